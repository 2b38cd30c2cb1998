"""Equal answers: the same cases on CPython and on MicroPython, and a digest of every answer.

Use: python tools/equal.py [SECTION ...] [--share PERCENT] [--on unix|unix32|emulated]
unix: the unix port (63-bit small ints, doubles), with a heap like a Pico's. unix32: the same port built for 32 bits (31-bit small
ints, single floats, as a Pico has). emulated: an emulated Pico, by default a fixed share of the cases. Each section of
tools/micropython/equal/ runs by itself; `script` is its text for any interpreter.
Exit 1 on a difference; then the first answer that differs is shown.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from hil.errors import TargetError  # noqa: E402 - after the path is set
from hil.targets.process import HEAP, find_micropython  # noqa: E402
from tools.pico_source import ImageError  # noqa: E402

FOLDER = ROOT / "tools" / "micropython" / "equal"
FIRMWARE = ROOT / "firmware"
SEED = 20270503
TIME_LIMIT_S = 600

# Answers of each section in a whole run.
SECTIONS = {
    "units": 5000,
    "programs": 5000,
    "therapy": 12_000,
    "schedules": 3000,
    "deliveries": 5000,
    "account": 4000,
    "wire": 4000,
    "alarms": 6000,
}

# Answers of each section on an emulated Pico by default; together about 8 s of the Pico's own time, 5 minutes of an idle machine's.
EMULATED_SHARE = {section: {"schedules": 16, "wire": 60}.get(section, 100) for section in SECTIONS}

NAMES = {
    "unix": "the unix port",
    "unix32": "the unix port of 32 bits: small ints of 31 bits, single floats",
    "emulated": "EMULATED, a Pico; its own seconds",
}


@dataclass(frozen=True)
class Answers:
    count: int
    digest: str
    seconds: float
    lines: list[str]  # everything printed


Ask = Callable[[str], Answers]  # an interpreter: runs a script's text


class Unlike(Exception):
    """The interpreters answer differently, or one of them cannot answer."""


def script(section: str, count: int, shown: int | None = None) -> str:
    """The whole text for any interpreter that finds the firmware on its path."""
    parts = [(FOLDER / name).read_text("utf-8") for name in ("source.py", f"cases_{section}.py")]
    return "\n".join([*parts, f'report(cases, "{section}", {count}, {SEED}, {shown})', ""])


def cpython() -> list[str]:
    return [sys.executable, "-B", "-X", "utf8"]


def micropython() -> list[str]:
    return [find_micropython(), "-X", f"heapsize={HEAP}"]


def answers(command: list[str], text: str, firmware: Path = FIRMWARE) -> Answers:
    """Run a script's text; its last line tells count and digest."""
    began = time.monotonic()
    env = {**os.environ, "PYTHONPATH": str(firmware), "MICROPYPATH": f"{firmware}:.frozen"}
    done = subprocess.run([*command, "-c", text], capture_output=True, text=True, timeout=TIME_LIMIT_S, check=False, env=env)
    lines = done.stdout.splitlines()
    if done.returncode or not lines or not lines[-1].startswith("equal "):
        raise Unlike(f"{Path(command[0]).name} ended with {done.returncode}:\n{done.stdout[-1000:]}{done.stderr[-3000:]}")
    _, _, count, digest = lines[-1].split()
    return Answers(int(count), digest, time.monotonic() - began, lines)


def ask_cpython(text: str) -> Answers:
    return answers(cpython(), text)


def ask_unix(text: str) -> Answers:
    return answers(micropython(), text)


def compare(section: str, count: int, ask: Ask = ask_unix) -> tuple[Answers, Answers]:
    """The answers of CPython and of the other; Unlike shows the first that differs."""
    here, there = (each(script(section, count)) for each in (ask_cpython, ask))
    if here.digest != there.digest:
        raise Unlike(_first_difference(section, count, ask))
    return here, there


def _first_difference(section: str, count: int, ask: Ask) -> str:
    both = (ask_cpython, ask)
    blocks = [[line for line in each(script(section, count, -1)).lines if line.startswith("block")] for each in both]
    number = next(i for i, (one, other) in enumerate(zip_longest(*blocks)) if one != other)
    shown = [[line for line in each(script(section, count, number)).lines if line.startswith("answer")] for each in both]
    one, other = next((one, other) for one, other in zip_longest(*shown) if one != other)
    return f"{section}: the first answer that differs\n  CPython      {one}\n  MicroPython  {other}"


def _unix32() -> Ask:
    from tools.unix32 import HEAP as HEAP_32
    from tools.unix32 import build_unix32

    command = [str(build_unix32()), "-X", f"heapsize={HEAP_32}"]
    return lambda text: answers(command, text)


def interpreter(name: str) -> tuple[Ask, dict[str, int]]:
    """How to ask it, and how many answers of each section are asked by default."""
    if name == "emulated":
        from tools.equal_pico import ask_pico

        return ask_pico, EMULATED_SHARE
    return (_unix32() if name == "unix32" else ask_unix), SECTIONS


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=", ".join(SECTIONS))
    parser.add_argument("--share", type=int, metavar="PERCENT", help="of all cases; by default all, on the emulated Pico a fixed share")
    parser.add_argument("--on", choices=("unix", "unix32", "emulated"), default="unix", dest="other")
    return parser.parse_args()


def main() -> int:
    options = parse()
    try:
        ask, counts = interpreter(options.other)
    except ImageError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    total, unlike, began = 0, [], time.monotonic()
    for section in options.sections or SECTIONS:
        count = counts[section] if options.share is None else SECTIONS[section] * options.share // 100
        try:
            here, there = compare(section, count, ask)
        except (Unlike, TargetError) as error:
            unlike.append(section)
            print(error)
            continue
        total += here.count
        seconds = f"CPython {here.seconds:.1f} s, {options.other} {there.seconds:.1f} s"
        print(f"{section:<12} {here.count:>6}  {here.digest[:32]}  {seconds}", flush=True)
    failed = f"; UNLIKE: {', '.join(unlike)}" if unlike else ""
    print(f"{total} answers equal on CPython and MicroPython ({NAMES[options.other]}){failed}; {time.monotonic() - began:.0f} s in all")
    return 1 if unlike else 0


if __name__ == "__main__":
    sys.exit(main())
