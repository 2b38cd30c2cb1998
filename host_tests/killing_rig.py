"""A firmware with a fault planted in it, for the campaigns to find."""

import shutil
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

# name: (file under firmware/, what stands there, what is put in its place)
PLANTS = {
    "basal goes before its reservation is written": (
        "doseloop/pump.py",
        "        if granted:\n            self.write_sample(granted)\n",
        "",
    ),
    "a lease is put before its reservation is written": (
        "doseloop/pump.py",
        "        if granted:\n            self.write_sample(granted)\n",
        "        if granted:\n            self.hal.put(granted, 0, 1000)\n            self.write_sample(0)\n",
    ),
    "a delivery that was cut off forgets its id": (
        "doseloop/bolus.py",
        "        self.last = delivery\n        self.remember(delivery.number, delivery.verb, outcome)\n",
        "        self.last = delivery\n",
    ),
    "STOP is answered and not kept": (
        "doseloop/pump.py",
        "        on_record = self.delivering and self._rest(now)\n",
        "        self.run = True\n        on_record = self.delivering and self._rest(now)\n        self.run = news = False\n",
    ),
    "a boot makes up for steps that nobody asks for": (
        "hal_unix.py",
        "        self._cell(_LEASE, pulses, gap_us, period_us)\n",
        "        if pulses and not hasattr(self, 'more'):\n            self.more = 5\n            pulses += 5\n"
        "        self._cell(_LEASE, pulses, gap_us, period_us)\n",
    ),
    "a new frame ends the one before it": (
        "doseloop/frame.py",
        "            if byte == 10 or byte == 13:\n",
        "            if byte == 10 or byte == 13 or (byte == _START and self._n > 1):\n",
    ),
    "no frame's CRC is looked at": (
        "doseloop/frame.py",
        "    if line[star + 1 :] != crc_text(body):\n",
        "    if False:\n",
    ),
    "a line that nobody holds is an error": (
        "hal_unix.py",
        "        if not self._hal.serial_pending():\n            return 0\n        count = 0\n"
        "        while count < len(buffer) and self._readable.poll(0):\n            byte = self._byte()\n",
        "        count = 0\n        while count < len(buffer) and self._readable.poll(0):\n            byte = self._in.read(1)\n",
    ),
}


def planted(name: str, folder: Path) -> Path:
    """main.py of a copy of the firmware with that fault; the unix board's data beside it."""
    shutil.copytree(ROOT / "firmware", folder / "firmware", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "boards" / "unix", folder / "boards" / "unix", ignore=shutil.ignore_patterns("__pycache__"))
    file, whole, fault = PLANTS[name]
    path = folder / "firmware" / file
    text = path.read_text("utf-8")
    assert text.count(whole) == 1, f"{file} no longer reads as the plant {name!r} expects"
    path.write_text(text.replace(whole, fault), "utf-8")
    return folder / "firmware" / "main.py"
