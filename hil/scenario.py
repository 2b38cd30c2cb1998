"""Scenario files: a story with its rig, its therapy, its timeline and its expected outcome.

title = "Night flex, spinal"            story = "..."
program = "night-flex-spinal"           a file, a shipped program, or a [program] table
requirements = ["R-TIT-1", "R-TIT-3"]   what a passed run is evidence of, for `make trace`
targets = ["emulated"]                  where alone it makes sense; elsewhere it is skipped aloud
days = 1                                what advance = "days" means; --days N overrides it

[clock]    start = "2027-05-03 00:00"  offset = "+2 h"
[history]  a therapy taken over from a replaced pump (THER:IMPORT); without it the pump starts empty
[board]    overrides of the board's data            [rig]      overrides of the simulated rig
[balance]  overrides of the simulated balance       [calibration]  overrides of CAL:SET
[setup]    run = true, seed = 1, sample = "15 min", ticks_start, flash = "typical" or "worst" (of an emulated board)
[limits]   max_step_error, witness_percent, balance_percent, ledger_nl, tip_percent
[expected] volume = "175 uL" (per day of `days`), alarms = [...]
[[timeline]]  see hil/steps.py
"""

from __future__ import annotations

import dataclasses
import runpy
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from hil.actions import Step
from hil.errors import InputError, shown
from hil.instruments.simulated import BalanceModel
from hil.plant.config import RigConfig
from hil.prescription import Program, compile_program, find_program, load_program
from hil.provenance import digest
from hil.quantity import whole, whole_units
from hil.steps import local_seconds, parse_steps
from hil.tables import (
    Table,
    as_alarm,
    as_flag,
    as_int,
    as_list,
    as_number,
    as_table,
    as_text,
    find_file,
    inside,
    load_toml,
    need,
    one_of,
    only_keys,
)

SCENARIOS = Path(__file__).parent / "scenarios"
FOLDERS = (SCENARIOS, SCENARIOS / "emulated")
BOARD_FILE = Path(__file__).parent.parent / "boards" / "unix" / "board.py"
TARGETS = ("unix", "emulated", "serial")
MOST_DAYS = 3650
MOST_SAMPLE_MS = 30 * 86_400_000
TOP_KEYS = (
    "title", "story", "program", "days", "clock", "history", "board", "rig", "balance", "calibration", "setup", "limits",
    "expected", "timeline", "requirements", "targets",
)  # fmt: skip
HISTORY_KEYS = ("population", "birth", "phase", "program", "screen", "effect", "increase_ago", "volume", "lot", "expiry")
PHASES = ("screened", "first", "titration", "maintenance")
CALIBRATION: dict[str, str] = {
    "spm": "100000",
    "points": "5",
    "spread_ppm": "500",
    "tube": "T-0427",
    "tube_hours": "0",
    "hours": "2000",
    "volume": "60000ul",
    "rate_min": "100nl/h",
    "rate_max": "150000000nl/h",
}


@dataclass(frozen=True)
class History:
    """A therapy as a replaced pump left it."""

    population: str
    birth: str
    phase: str
    program: Program | None  # what ran before; None: the scenario's own program, or none while only screened
    screen_mcg: int
    effect: str
    increase_ago_s: int
    volume_nl: int
    lot: str
    expiry: str


@dataclass(frozen=True)
class Setup:
    """How the run begins."""

    run: bool = True
    seed: int = 1
    sample_ms: int = 900_000
    ticks_start: int = 0
    flash: str = "typical"  # how slow an emulated board's flash is


@dataclass(frozen=True)
class Limits:
    """What the verdict allows."""

    max_step_error: float = 1.0
    witness_percent: float = 1.0
    balance_percent: float = 5.0
    ledger_nl: float = 10.0  # one step of the reference rig
    tip_percent: float = 10.0  # of the dose rate, while another concentration comes through the line


@dataclass(frozen=True)
class Expected:
    """The outcome the story promises; None is not checked."""

    volume_nl: int | None = None  # per day of `days`
    alarms: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Scenario:
    """Everything a run needs, checked."""

    name: str
    title: str
    story: str
    program: Program | None
    days: int
    start_unix_s: int
    offset_min: int
    history: History | None
    board: Mapping[str, Any]
    rig: RigConfig
    balance: BalanceModel
    calibration: Mapping[str, str]
    setup: Setup
    limits: Limits
    expected: Expected
    timeline: tuple[Step, ...]
    requirements: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()  # the only ones it is for; empty: any
    folder: Path = field(default=Path())
    digest: str = ""  # of the file

    @property
    def dead_volume_nl(self) -> int:
        """Of tubing and catheter, as the board states it."""
        board = {**board_data(), **self.board}
        return int(board["dead_volume_tubing_nl"]) + int(board["dead_volume_catheter_nl"])

    @property
    def needs_virtual(self) -> str | None:
        """Why it cannot run on a real pump; None if it can."""
        for step in self.timeline:
            if step.needs_virtual:
                return f"{step.where} acts on the simulated rig"
        return None

    def find(self, program: str | Table) -> Program:
        """A program named in the timeline, or written there."""
        return _program(program, "commit", self.folder)


def find_scenario(name: str) -> Path:
    """A scenario by its path or by the name of a shipped one."""
    places = (Path(name), *(folder / end for folder in FOLDERS for end in (f"{name}.toml", name)))
    return find_file(name, places, "scenario", (path.stem for path in shipped_scenarios()))


def shipped_scenarios() -> list[Path]:
    return [path for folder in FOLDERS for path in sorted(folder.glob("*.toml"))]


def load_scenario(path: Path) -> Scenario:
    """The scenario of a file; InputError with file and line or key."""
    try:
        return _scenario(load_toml(path), path)
    except InputError as error:
        raise error.in_file(path) from None


def _scenario(table: Table, path: Path) -> Scenario:
    only_keys(table, TOP_KEYS, "")
    start, offset = _clock(_part(table, "clock"))
    history = _history(as_table(table["history"], "history"), path.parent) if "history" in table else None
    program = _program(table["program"], "program", path.parent) if "program" in table else None
    board = _board(_part(table, "board"))
    return Scenario(
        name=path.stem,
        title=as_text(need(table, "title", ""), "title"),
        story=as_text(need(table, "story", ""), "story").strip(),
        program=program,
        days=as_int(table.get("days", 1), "days", 1, MOST_DAYS),
        start_unix_s=start,
        offset_min=offset,
        history=history,
        board=board,
        rig=_rig(_part(table, "rig"), start, board, history, program),
        balance=_dataclass(BalanceModel, _part(table, "balance"), "balance"),
        calibration=_calibration(_part(table, "calibration")),
        setup=_setup(_part(table, "setup")),
        limits=_dataclass(Limits, _part(table, "limits"), "limits"),
        expected=_expected(_part(table, "expected")),
        timeline=_timeline(need(table, "timeline", "")),
        requirements=tuple(as_text(id, "requirements") for id in as_list(table.get("requirements", []), "requirements")),
        targets=tuple(one_of(kind, TARGETS, "targets") for kind in as_list(table.get("targets", []), "targets")),
        folder=path.parent,
        digest=digest(path.read_bytes()),
    )


def _rig(table: Table, start: int, board: Table, history: History | None, program: Program | None) -> RigConfig:
    """The rig is as the board and the history say, save where the file says that it is not."""
    given: dict[str, Any] = {"rtc_unix_s": start}
    given.update({key: board[key] for key in ("dead_volume_tubing_nl", "dead_volume_catheter_nl") if key in board})
    if history:
        before = history.program or program
        given.update(liquid_nl=history.volume_nl, conc_mcg_ml=float(before.conc_mcg_ml) if before else 0.0)
    rig: RigConfig = _dataclass(RigConfig, table, "rig", **given)
    return rig


def _timeline(value: object) -> tuple[Step, ...]:
    steps = parse_steps(value, "timeline")
    if not steps:
        raise InputError("timeline", "is empty: a story has at least one step")
    return steps


@cache
def board_data() -> Mapping[str, Any]:
    """The reference board, as its file has it."""
    data: Mapping[str, Any] = runpy.run_path(str(BOARD_FILE))["BOARD"]
    return data


def _board(table: Table) -> Table:
    """Overrides of the board's data: its own keys, values of their kind."""
    data = board_data()
    only_keys(table, data, "board")
    return {key: _like(value, data[key], inside("board", key)) for key, value in table.items()}


def _part(table: Table, key: str) -> Table:
    return as_table(table.get(key, {}), key)


def _program(value: object, where: str, folder: Path) -> Program:
    if isinstance(value, Mapping):
        return compile_program(value, where)
    return load_program(find_program(as_text(value, where), folder))


def _clock(table: Table) -> tuple[int, int]:
    """Unix seconds at the start, and the offset of local time in minutes."""
    only_keys(table, ("start", "offset"), "clock")
    offset_ms = whole(table["offset"], "time (ms)", "clock.offset", signed=True) if "offset" in table else 0
    local = local_seconds(as_text(table.get("start", "2027-05-03 00:00"), "clock.start"), "clock.start")
    return local - offset_ms // 1000, offset_ms // 60_000


def _history(table: Table, folder: Path) -> History:
    only_keys(table, HISTORY_KEYS, "history")
    phase = one_of(need(table, "phase", "history"), PHASES, "history.phase")
    return History(
        population=one_of(need(table, "population", "history"), ("spinal", "cerebral", "pediatric"), "history.population"),
        birth=_date(need(table, "birth", "history"), "history.birth"),
        phase=phase,
        program=_program(table["program"], "history.program", folder) if "program" in table else None,
        screen_mcg=whole_units(need(table, "screen", "history"), "dose (ng)", 1000, "mcg", "history.screen"),
        effect=one_of(table.get("effect", "short"), ("short", "long", "unknown"), "history.effect"),
        increase_ago_s=whole_units(table.get("increase_ago", "72 h"), "time (ms)", 1000, "seconds", "history.increase_ago"),
        volume_nl=whole(table.get("volume", "18 mL"), "volume (nL)", "history.volume"),
        lot=as_text(table.get("lot", "B-1187"), "history.lot"),
        expiry=_date(table.get("expiry", "2028-06-30"), "history.expiry"),
    )


def _date(value: object, where: str) -> str:
    local_seconds(f"{value} 00:00", where)
    return str(value)


def _setup(table: Table) -> Setup:
    only_keys(table, ("run", "seed", "sample", "ticks_start", "flash"), "setup")
    return Setup(
        as_flag(table.get("run", True), "setup.run"),
        as_int(table.get("seed", 1), "setup.seed"),
        sample_span(table.get("sample", "15 min"), "setup.sample"),
        as_int(table.get("ticks_start", 0), "setup.ticks_start", 0, (1 << 30) - 1),
        one_of(table.get("flash", "typical"), ("typical", "worst"), "setup.flash"),
    )


def sample_span(value: object, where: str) -> int:
    """How often the witnesses are read, in ms."""
    sample_ms = whole(value, "time (ms)", where)
    if sample_ms < 1000:
        raise InputError(where, f"{shown(value)} is too short: the witnesses are read at most once a second")
    if sample_ms > MOST_SAMPLE_MS:
        raise InputError(where, f"{shown(value)} is too long: the witnesses are read once in 30 days at least")
    return sample_ms


def _expected(table: Table) -> Expected:
    only_keys(table, ("volume", "alarms"), "expected")
    volume = whole(table["volume"], "volume (nL)", "expected.volume") if "volume" in table else None
    alarms = None
    if "alarms" in table:
        alarms = tuple(sorted(as_alarm(code, "expected.alarms") for code in as_list(table["alarms"], "expected.alarms")))
    return Expected(volume, alarms)


def _calibration(table: Table) -> dict[str, str]:
    only_keys(table, (*CALIBRATION, "date", "none"), "calibration")
    if as_flag(table.get("none", False), "calibration.none"):
        return {}
    return {**CALIBRATION, **{key: str(value) for key, value in table.items() if key != "none"}}


def _dataclass(kind: type[Any], table: Table, where: str, **first: Any) -> Any:
    """An instance of a flat dataclass from a table; numbers only where it has numbers."""
    fields = {f.name: f for f in dataclasses.fields(kind)}
    only_keys(table, fields, where)
    values = dict(first)
    for key, value in table.items():
        values[key] = _like(value, fields[key].default, inside(where, key))
    return kind(**values)


def _like(value: object, default: object, where: str) -> object:
    """The value, if it is of the default's kind."""
    if isinstance(default, bool):
        return as_flag(value, where)
    if isinstance(default, int):
        return as_int(value, where, min(1, default))
    if isinstance(default, float):
        return as_number(value, where, 0 if default >= 0 else -1e12)
    if isinstance(default, tuple):
        return tuple(tuple(entry) if isinstance(entry, list) else entry for entry in as_list(value, where))
    return as_text(value, where)
