"""The power-cut campaign on an emulated Pico: the image that is flashed plays a story once, every erase and every page it programs written
down; then its flash is built as a cut at one of them left it, and the same image starts on it and is asked over USB (EMULATED).

Run by `make powercut BOARD=emulated`. Records are read from the flash itself, by the firmware's own journal on the host.
"""

from __future__ import annotations

import multiprocessing
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

from tqdm import tqdm

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "firmware"))

from doseloop.journal import Journal  # noqa: E402 - after the path is set
from doseloop.region import BLOCK, RegionStore  # noqa: E402
from hil import auth  # noqa: E402
from hil.errors import BenchError  # noqa: E402
from hil.link import Link, Patience  # noqa: E402
from hil.pump import Pump  # noqa: E402
from hil.scenario import find_scenario, load_scenario  # noqa: E402
from hil.targets.emulated import EmulatedTarget, board_data  # noqa: E402
from hil.targets.rp2040 import PROGRAM  # noqa: E402

PAGE = 256
HOWS = ("before", "half", "flip")
SCENARIO = "max-dose-2003"  # steps come each second and a half
PATIENT = Patience(60.0, 2, 30.0)
OUTAGE_MS = 1000
RESERVATION_NL = 10_000
FIELDS = ("state", "phase", "program", "hash", "lot")  # of STAT?, as far as it has them: what a restart must not forget
Told = dict[str, str]


@dataclass(frozen=True)
class Operation:
    at: int
    new: bytes  # what lies there afterwards
    pulses: int  # at the step pin before it


@dataclass
class Story:
    image: bytearray  # the flash before the first operation
    operations: list[Operation] = field(default_factory=list)
    replies: list[tuple[int, Told]] = field(default_factory=list)  # operations done, what the pump then said of itself


class Region:
    """The journal's blocks in a flash image, as a block device that only its reader writes to."""

    def __init__(self, flash: bytes | bytearray) -> None:
        self.blocks: int = board_data()["journal_blocks"]
        self._data = bytearray(flash[len(flash) - self.blocks * BLOCK :])

    def readblocks(self, block: int, buf: Any, offset: int = 0) -> None:
        buf[:] = self._data[block * BLOCK + offset : block * BLOCK + offset + len(buf)]

    def writeblocks(self, block: int, buf: bytes, offset: int) -> None:
        at = block * BLOCK + offset
        self._data[at : at + len(buf)] = bytes(a & b for a, b in zip(self._data[at : at + len(buf)], buf, strict=True))

    def ioctl(self, op: int, arg: int) -> int:
        return 0


def records(flash: bytes | bytearray) -> tuple[set[Any], int]:
    """Every record in the flash, and how many are torn."""
    region = Region(flash)
    journal: Any = Journal(RegionStore(region, region.blocks))
    torn = int(journal.open())
    return {(name, *record) for name in ("log", "acct") for record in journal.records(name)}, torn


class Pico:
    """The emulated Pico and a host that talks to it."""

    def __init__(self) -> None:
        self.target = EmulatedTarget()
        self.chip = self.target.chip

    def link(self) -> Pump:
        target = self.target
        link = Link(target.channel(), wall=target.unix_s, patience=PATIENT, keys=auth.default_keys(), clock=target.clock_s, seed=1)
        return Pump(link, target.unix_s)

    @property
    def flash(self) -> bytearray:
        flash: bytearray = self.chip.mcu.flash
        return flash

    def made(self) -> int:
        return len(self.target.wiring.edges_ns)


def play(pico: Pico, told: Callable[[str], None]) -> Story:
    """From a new board to one that runs, with a bolus, a refill, a program, a clock set and a stop."""
    scenario = load_scenario(find_scenario(SCENARIO))
    history, program = scenario.history, scenario.program
    assert history is not None and program is not None, "the story is that of a therapy taken over"
    pico.target.start()
    pump = pico.link()
    pump.open()
    pump.set_time(int(pico.target.unix_s()), 0)
    pump.calibrate(scenario.calibration)
    story = Story(bytearray(pico.flash))
    pico.chip.told_flash = lambda command: story.operations.append(operation(pico, command))

    def scene(name: str, act: Callable[[], object]) -> None:
        act()
        story.replies.append((len(story.operations), says(pump)))
        told(f"{name}: {len(story.operations)} flash operations")

    scene("clock", lambda: pump.set_time(int(pico.target.unix_s()), 60))
    scene("taken over", lambda: pump.take_over(history, program, program.conc_mcg_ml))
    scene("running", pump.run)
    scene("basal", lambda: pico.target.advance_to(pico.target.now_ms() + 4_000))
    scene("refill", lambda: pump.link.command("RES:REFILL", refill(program.conc_mcg_ml)))
    scene("phase", lambda: pump.link.command("THER:PHASE", {"phase": "maintenance"}))
    scene("stopped", lambda: pump.link.command("STOP", {}))
    scene("running again", pump.run)
    scene("basal", lambda: pico.target.advance_to(pico.target.now_ms() + 4_000))
    pico.chip.told_flash = lambda command: None
    return story


def refill(conc: int) -> Told:
    drug = {"path": "septum", "fluid": "drug", "drug": "baclofen", "conc": f"{conc}mcg/ml", "lot": "L2", "expiry": "2029-01-01"}
    return {**drug, "volume": "1000000nl", "withdrawn": "5000000nl", "stored": "ok", "attended": "yes"}


def operation(pico: Pico, command: bytes) -> Operation:
    at = int.from_bytes(command[1:4], "big")
    if command[0] != PROGRAM:
        size = BLOCK if command[0] == 0x20 else 16 * BLOCK
        return Operation(at - at % size, b"\xff" * size, pico.made())
    old = pico.flash[at : at + len(command) - 4]
    return Operation(at, bytes(a & b for a, b in zip(old, command[4:], strict=True)), pico.made())


def says(pump: Pump) -> Told:
    said = {**pump.stat(), **pump.stat("supplies")}
    return {name: said[name] for name in FIELDS if name in said}


def torn(old: bytes, new: bytes, how: str, dice: Random) -> bytes:
    """What a cut in the midst of an operation leaves."""
    changed = [k for k in range(len(new)) if new[k] != old[k]] or [0]
    if how == "before":
        return old
    if how == "flip":
        wrong = bytearray(new)
        wrong[dice.randint(changed[0], changed[-1])] ^= 1 << dice.randrange(8)
        return bytes(wrong)
    middle = (changed[0] + changed[-1] + 1) // 2
    return new[:middle] + old[middle:]


_pico: Pico
_story: Story


def _begin() -> None:
    """Of a process that was forked off: the line before belongs to the parent."""
    _pico.target.fresh_line()


def cut(number: int) -> list[str]:
    """Start the image on what a cut at this operation left; what is wrong then."""
    done, how = number // len(HOWS), HOWS[number % len(HOWS)]
    flash = bytearray(_story.image)
    for each in _story.operations[:done]:
        flash[each.at : each.at + len(each.new)] = each.new
    whole = records(flash)[0]
    last = _story.operations[done]
    old = bytes(flash[last.at : last.at + len(last.new)])
    flash[last.at : last.at + len(last.new)] = torn(old, last.new, how, Random(number))
    before = _story.operations[done - 1].pulses if done else last.pulses
    name = f"operation {done} {how}"
    _pico.flash[:] = flash
    _pico.target.power_cut(OUTAGE_MS)
    try:
        return [f"{name}: {text}" for text in judge(_pico.link(), done, before, last.pulses, whole)]
    except BenchError as error:
        return [f"{name}: {error}"]


def judge(pump: Pump, done: int, least: int, most: int, whole: set[Any]) -> Iterator[str]:
    pump.open()
    said, account = says(pump), pump.stat("account")
    allowed = [told for ops, told in _story.replies if ops <= done][-1:] + [told for ops, told in _story.replies if ops > done][:1]
    if _story.replies[0][0] <= done:
        for name, value in said.items():
            if value not in [told[name] for told in allowed]:
                yield f"{name}={value}, acknowledged was {allowed[0][name]}"
    authorised, uncertain = int(account["authorised"]), int(account["uncertain"].removesuffix("nl"))
    if authorised < most:
        yield f"{authorised} steps booked, {most} were made"
    if authorised - uncertain // 10 > least + _pico.target.wiring.pulses_since_boot + 1:
        yield f"{authorised} steps booked, {uncertain} nl of them uncertain, {least} were made"
    if uncertain > RESERVATION_NL + 10:
        yield f"{uncertain} nl uncertain, at most {RESERVATION_NL} are reserved"
    if "MEMORY_FAULT" in pump.alarms():
        yield "a copy is damaged"
    lost = whole - records(_pico.flash)[0]
    if lost:
        yield f"{len(lost)} records are lost: {sorted(lost)[:3]}"


def campaign(cuts: int, jobs: int) -> int:
    """Plays, cuts, prints; 0 if nothing was lost."""
    global _pico, _story
    began = time.monotonic()
    _pico = Pico()
    _story = play(_pico, lambda text: print(f"EMULATED, {text}", flush=True))
    every = len(_story.operations) * len(HOWS)
    chosen = [k * every // cuts for k in range(min(cuts, every))] if cuts < every else list(range(every))
    found: list[str] = []
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("fork"), _begin) as pool:
        for faults in tqdm(pool.map(cut, chosen), total=len(chosen), unit=" cuts", desc="EMULATED"):
            found += faults
    for text in islice(found, 20):
        print(f"  {text}")
    took = time.monotonic() - began
    print(f"EMULATED: {len(chosen)} cuts at {len(_story.operations)} flash operations, {len(found)} faults; {took:.0f} s")
    return 1 if found or not chosen else 0
