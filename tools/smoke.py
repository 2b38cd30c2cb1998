"""Boots the Pico's image on an emulated Pico and talks to it over its USB serial; prints memory and times.

Use: python tools/smoke.py ; the image is built first if its content changed. Every figure is EMULATED: the code is the one
that is flashed, the RP2040 is a program (one core, 125 MHz), and its flash erases faster than a real one.
"""

from __future__ import annotations

import asyncio
import re
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from hil.frames import Reply, parse_line, request_body, seal  # noqa: E402 - after the path is set
from tools.emulated_pico import Line, Rig, prompt_device  # noqa: E402
from tools.image import MANIFEST, build  # noqa: E402
from tools.pico_source import ImageError  # noqa: E402

PARTS = MANIFEST.with_name("manifest_parts.py")
SCRIPTS = ("measure_tick.py", "measure_turn.py")
BOOT_S = 120.0
ANSWER_S = 60.0


class SmokeError(Exception):
    """The image does not do what it must."""


async def measure(image: Path) -> None:
    """Runs the measuring scripts from the prompt of an image without main."""
    for script in SCRIPTS:
        code = (ROOT / "tools" / "micropython" / script).read_text("utf-8")
        async with prompt_device(image, Rig()) as device:
            out, errors = await device.aexec(code, timeout=300)
        if errors:
            raise SmokeError(f"{script} on the emulated Pico:\n{out.decode()}{errors.decode()}")
        for name, value, unit in re.findall(r"^(\w+) (\S+) (\w+)", out.decode(), re.MULTILINE):
            print(f"{name:<28} {value:>12} {unit}", flush=True)


async def _asked(line: Line, seq: int, verb: str) -> Reply:
    answer = parse_line((await line.ask(seal(request_body(seq, verb, {})).decode().strip(), ANSWER_S)).encode())
    if not isinstance(answer, Reply) or not answer.ok:
        raise SmokeError(f"{verb} was answered {answer}")
    return answer


async def talk(image: Path) -> None:
    """Boots the image that is flashed and asks who it is, by frame and by hand."""
    rig = Rig()
    line = Line(image, rig)
    began = time.monotonic()
    await line.open(BOOT_S)
    try:
        hello = await _asked(line, 0, "HELLO")
        print(f"{'first answer after':<28} {line.now_ms():>12} ms (of its own time; {time.monotonic() - began:.1f} s of ours)")
        identity = await _asked(line, 1, "*IDN?")
        print("*IDN? ->", " ".join(f"{name}={value}" for name, value in identity.fields.items()))
        print("STAT? ->", await line.ask("STAT?", ANSWER_S))
        if hello.fields.get("board") != "pico":
            raise SmokeError(f"HELLO was answered by board {hello.fields.get('board')}")
        _check_rig(line, rig)
    finally:
        line.close()


def _check_rig(line: Line, rig: Rig) -> None:
    if rig.edges_ns:
        raise SmokeError(f"{len(rig.edges_ns)} steps were made before anyone asked for one")
    drops = [int(block.backlog_drops) for block in line.device.mcu.pio[:2]]
    if any(drops):
        raise SmokeError(f"the emulator lost PIO time ({drops}): its figures are worth nothing")


def main() -> int:
    try:
        parts, image = build(PARTS), build(MANIFEST)
        print(f"EMULATED, {image.relative_to(ROOT)}, {image.with_suffix('.bin').stat().st_size} bytes of flash\n")
        asyncio.run(measure(parts))
        asyncio.run(talk(image))
    except (ImageError, SmokeError, TimeoutError) as error:
        print(f"smoke failed: {error}", file=sys.stderr)
        return 1
    print("smoke passed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
