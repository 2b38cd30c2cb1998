"""Equal answers on an emulated Pico: what tools/equal.py --on emulated asks there, at the prompt of the image without main.

A Pico has small ints of 31 bits and single floats. EMULATED: the code is what is flashed, the RP2040 is a program, and what
computes without a pause takes it 35 times as long; so a fixed share is asked, all of it only by --share 100.
"""

from __future__ import annotations

import asyncio

from tools.emulated_pico import Rig, prompt_device
from tools.equal import Answers, Unlike
from tools.image import MANIFEST, build

TIME_LIMIT_S = 12 * 3600.0


def ask_pico(text: str) -> Answers:
    """Run a script's text on a Pico that has just started; `seconds` are the Pico's own."""
    return asyncio.run(_ask(text))


async def _ask(text: str) -> Answers:
    image = build(MANIFEST.with_name("manifest_parts.py"))
    async with prompt_device(image, Rig()) as device:
        began = int(device.mcu.clock.nanos)
        out, errors = await device.aexec(text, timeout=TIME_LIMIT_S)
        seconds = (int(device.mcu.clock.nanos) - began) / 1e9
    lines = out.decode().splitlines()
    if errors or not lines or not lines[-1].startswith("equal "):
        raise Unlike(f"the emulated Pico ended with:\n{out.decode()[-1000:]}{errors.decode()[-3000:]}")
    _, _, count, digest = lines[-1].split()
    return Answers(int(count), digest, seconds, lines)

