"""What the flashing tests share: a board with a real littlefs in a file (tools/micropython/lfs_board.py), and small firmwares for it."""

import subprocess
from pathlib import Path

import pytest

from hil.errors import TargetError
from hil.targets.process import find_micropython
from tools.flashing.device import Device
from tools.flashing.install import Installer
from tools.flashing.payload import pack
from tools.flashing.prompt import Gone, ScriptError

SCRIPT = Path(__file__).resolve().parents[1] / "tools" / "micropython" / "lfs_board.py"
BLOCK = 4096


def micropython():
    try:
        return find_micropython()
    except TargetError as error:
        pytest.skip(str(error))


def command(what, flash, cut):
    return [micropython(), str(SCRIPT), what, str(flash), str(cut)]


def firmware(version, changed=True):
    """A small firmware that says at start of which version each of its modules is; `lib.py` is the same in all."""
    pad = "#" * 5000
    return pack(
        {
            "main.py": f"from doseloop import a, b\nimport lib\nprint('BOOTED', {version}, a.V, b.V)\n".encode(),
            "doseloop/__init__.py": b"",
            "doseloop/a.py": f"V = {version if changed else 0}\n{pad}\n".encode(),
            "doseloop/b.py": f"{pad}\nV = {version if changed else 0}\n".encode(),
            "lib.py": f"{pad}{pad}\n".encode(),
        },
        content=f"{version:016x}",
    )


class LfsBoard:
    """A prompt on that board. cut: flash operations until its power goes. cable: runs until its cable is pulled.

    lost: the next run still reaches the board, and its answer is lost.
    """

    def __init__(self, flash, cut=-1, cable=-1, lost=False):
        self.flash = Path(flash)
        self.operations = 0
        self.runs = 0
        self._cable = cable
        self._lost = lost
        self._process = subprocess.Popen(command("serve", flash, cut), stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def run(self, code):
        if self.runs == self._cable:
            if self._lost:
                self._ask(code)
            raise Gone("the board went away (cable)")
        self.runs += 1
        word, text = self._ask(code)
        if word == b"err":
            raise ScriptError(text)
        return text

    def _ask(self, code):
        data = code.encode()
        try:
            self._process.stdin.write(b"%d\n%s" % (len(data), data))
            self._process.stdin.flush()
            head = self._process.stdout.readline()
        except OSError:
            head = b""
        if not head:
            raise Gone("the board went away (power)")
        word, size, self.operations = head.split()
        return word, self._process.stdout.read(int(size)).decode()

    def reset(self):
        self.close()

    def close(self):
        self._process.kill()
        self._process.communicate()

    def __enter__(self):
        return self

    def __exit__(self, *what):
        self.close()


def formatted(path, blocks=96):
    """A file with an empty littlefs."""
    path.write_bytes(b"\xff" * BLOCK * blocks)
    subprocess.run(command("format", path, -1), check=True)
    return path


def install(prompt, payload, **more):
    said = []
    return Installer(Device(prompt), payload, said.append, **more).run()


def boot(flash):
    """What the board says when it starts."""
    done = subprocess.run(command("boot", flash, -1), capture_output=True, text=True, timeout=60, check=False)
    return (done.stdout + done.stderr).strip()
