"""Boots the Pico's image on an emulated Pico and talks to it over its USB serial; prints memory and times.

Use: python tools/smoke.py ; the image is built first if its content changed. Every figure is EMULATED: the code is the one
that is flashed, the RP2040 is a program (one core, 125 MHz), and its flash erases faster than a real one.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from hil.errors import BenchError  # noqa: E402 - after the path is set
from hil.link import Link, Patience  # noqa: E402
from hil.pump import Pump  # noqa: E402
from hil.scenario import find_scenario, load_scenario  # noqa: E402
from tools.emulated_pico import Line, Rig, prompt_device  # noqa: E402
from tools.image import MANIFEST, build  # noqa: E402
from tools.pico_source import ImageError  # noqa: E402
from tools.tree import tree_hash  # noqa: E402

PARTS = MANIFEST.with_name("manifest_parts.py")
SCRIPTS = ("measure_tick.py", "measure_turn.py")
RESULT = ROOT / "build" / "smoke" / "result.json"
# What a passed run is evidence of, for `make trace`: the pulses of a program, and a typed STOP.
REQUIREMENTS = ["R-PRF-4", "R-OVD-1"]
BOOT_S = 120.0
ANSWER_S = 60.0
MIDNIGHT = 1_809_302_400  # unix seconds of 2027-05-03 00:00

# What it delivers: 1541 mcg a day at 2000 mcg/mL, so that a few seconds hold some steps of 10 nL, which are 20 ng each.
SCENARIO = "max-dose-2003"
STEP_NG = 20
DAY_NG, DAY_US = 1_541_000, 86_400_000_000
RUN_MS = 8_000
PERIOD_SLACK_US = 2.0


class SmokeError(Exception):
    """The image does not do what it must."""


def show(name: str, value: object, unit: str) -> None:
    print(f"{name:<28} {value!s:>12} {unit}", flush=True)


async def measure(image: Path) -> None:
    """Runs the measuring scripts from the prompt of an image without main."""
    for script in SCRIPTS:
        code = (ROOT / "tools" / "micropython" / script).read_text("utf-8")
        async with prompt_device(image, Rig()) as device:
            out, errors = await device.aexec(code, timeout=300)
        if errors:
            raise SmokeError(f"{script} on the emulated Pico:\n{out.decode()}{errors.decode()}")
        for name, value, unit in re.findall(r"^(\w+) (\S+) (\w+)", out.decode(), re.MULTILINE):
            show(name, value, unit)


def talk(image: Path) -> None:
    """Boots the image that is flashed, asks who it is, lets it deliver for a while, and stops it by a typed line."""
    rig = Rig()
    line = Line(image, rig)
    began = time.monotonic()
    line.open(BOOT_S)
    try:
        link = Link(line, wall=lambda: MIDNIGHT + line.now_ms() / 1000, patience=Patience(ANSWER_S, 2, 20.0))
        pump = Pump(link, lambda: MIDNIGHT + line.now_ms() / 1000)
        pump.open()
        show("first answer after", line.now_ms(), f"ms of its own time, {time.monotonic() - began:.1f} s of ours")
        print("*IDN? ->", " ".join(f"{name}={value}" for name, value in link.ask("*IDN?").items()))
        _deliver(pump, line, rig)
        _stop(link, line, rig)
        show("emulated time", line.now_ms(), f"ms in {time.monotonic() - began:.1f} s of ours")
        _check_emulator(line)
    finally:
        line.close()


def _deliver(pump: Pump, line: Line, rig: Rig) -> None:
    """A therapy taken over at a constant rate; its pulses must keep the program's period to within 2 us."""
    scenario = load_scenario(find_scenario(SCENARIO))
    assert scenario.history is not None
    assert scenario.program is not None
    pump.set_time(MIDNIGHT + line.now_ms() // 1000, 0)
    pump.calibrate(scenario.calibration)
    pump.take_over(scenario.history, scenario.program, scenario.program.conc_mcg_ml)
    if rig.edges_ns:
        raise SmokeError(f"{len(rig.edges_ns)} steps were made before RUN")
    pump.run()
    line.advance_to(line.now_ms() + RUN_MS)
    stat, counts = pump.stat(), pump.counts()
    print("STAT? ->", " ".join(f"{name}={stat[name]}" for name in ("state", "prog", "rate", "alarms", "top", "battery")))
    show("steps delivered", len(rig.edges_ns), f"at the pin; {counts.stepped} by the counter, {counts.witness} at the witness")
    gaps = [(later - earlier) / 1000 for earlier, later in pairwise(rig.edges_ns)]
    ideal = STEP_NG * DAY_US / DAY_NG  # not by STAT?, which cuts the rate to whole ng an hour
    worst = max(abs(gap - ideal) for gap in gaps)
    show("worst pulse interval", f"{worst:.1f}", f"us off the ideal {ideal:.1f}")
    if worst > PERIOD_SLACK_US or stat["state"] != "running":
        raise SmokeError(f"not the program: {stat['state']}, intervals {gaps}")


def _stop(link: Link, line: Line, rig: Rig) -> None:
    """A typed STOP: no step after its answer, and the motor's enable falls."""
    sent_ms = line.now_ms()
    answer = link.type_line("STOP")
    made = len(rig.edges_ns)
    line.advance_to(line.now_ms() + 3000)
    fell = [ns // 1_000_000 - sent_ms for ns, level in rig.enable if not level and ns // 1_000_000 >= sent_ms]
    show("STOP typed", fell[0] if fell else "never", f"ms until the enable fell; answered {answer.strip()[:40]!r}")
    if not fell or len(rig.edges_ns) != made:
        raise SmokeError(f"{len(rig.edges_ns) - made} steps after STOP, enable {rig.enable[-3:]}")


def _check_emulator(line: Line) -> None:
    drops = [int(block.backlog_drops) for block in line.device.mcu.pio[:2]]
    if any(drops):
        raise SmokeError(f"the emulator lost PIO time ({drops}): its figures are worth nothing")


def write_result(tree: str, verdict: str) -> None:
    """For `make trace`, which takes it only if the tree is still the same."""
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(json.dumps({"tree": tree, "verdict": verdict, "requirements": REQUIREMENTS}) + "\n", "utf-8")


def main() -> int:
    tree = tree_hash()
    try:
        parts, image = build(PARTS), build(MANIFEST)
        size = json.loads(image.with_suffix(".json").read_text("utf-8"))["image_bytes"]
        print(f"EMULATED, {image.relative_to(ROOT)}, {size} bytes of flash\n")
        asyncio.run(measure(parts))
        talk(image)
    except (ImageError, SmokeError, BenchError, TimeoutError) as error:
        print(f"smoke failed: {error}", file=sys.stderr)
        write_result(tree, "failed")
        return 1
    write_result(tree, "passed")
    print("smoke passed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
