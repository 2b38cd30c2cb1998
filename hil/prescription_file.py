"""A prescription file whole: the program, and what else a person may write down to have it judged and planned.

    [patient]
    population = "spinal"        spinal, cerebral or pediatric
    birth = "1980-05-01"
    screen = "50 mcg"            the positive screening dose
    effect = "short"             of that dose: short, long (over 8 h), unknown
    running = "300 mcg/day"      the dose that runs now, flat; with it steps are judged
    phase = "titration"          titration or maintenance, with `running`

    [supply]
    fill = "18 mL"               what is (to be) in the reservoir
    expiry = "2028-01-31"        of what is in it
    filled = "2027-05-03"        the day of the fill; today if it is not given
    stock = ["2000 mcg/mL"]      vials at hand, for the dilution

Neither table is part of the program or of its hash.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

from hil.dilution import check_fill, check_wish
from hil.errors import InputError, shown
from hil.prescription import AROUND, Program, compile_program
from hil.quantity import whole
from hil.tables import Table, as_list, as_table, inside, load_toml, need, one_of, only_keys

POPULATIONS = ("spinal", "cerebral", "pediatric")
PHASES = ("titration", "maintenance")
EFFECTS = ("short", "long", "unknown")
PATIENT_KEYS = ("population", "birth", "screen", "effect", "running", "phase")
SUPPLY_KEYS = ("fill", "expiry", "filled", "stock")
SCREENS_NG = (25_000, 50_000, 75_000, 100_000)  # R-SCR-1


@dataclass(frozen=True)
class Patient:
    """Who it is for; None = not written down."""

    population: str
    birth: date
    screen_ng: int | None
    effect: str
    running_ng: int | None
    phase: str


@dataclass(frozen=True)
class Supply:
    """What the reservoir holds."""

    fill_nl: int
    expiry: date | None
    filled: date | None
    stocks: tuple[int, ...]  # mcg/mL; empty = not written down


@dataclass(frozen=True)
class Prescription:
    """A file, read."""

    path: Path
    program: Program
    patient: Patient | None
    supply: Supply | None


def load_prescription(path: Path) -> Prescription:
    """The whole file; InputError with file and key."""
    try:
        table = load_toml(path)
        program = compile_program({key: table[key] for key in table if key not in AROUND})
        patient = _patient(table["patient"], "patient") if "patient" in table else None
        supply = _supply(table["supply"], "supply") if "supply" in table else None
        if supply and supply.stocks:
            check_wish(program.conc_mcg_ml, supply.fill_nl, supply.stocks, ("conc", "supply.fill", "supply.stock"))
    except InputError as error:
        raise error.in_file(path) from None
    return Prescription(path, program, patient, supply)


def _patient(value: object, where: str) -> Patient:
    table = as_table(value, where)
    only_keys(table, PATIENT_KEYS, where)
    running = whole(table["running"], "day dose (ng)", inside(where, "running")) if "running" in table else None
    if running == 0:
        raise InputError(inside(where, "running"), "is nothing: leave the key out if no program runs yet")
    if (running is None) != ("phase" not in table):
        raise InputError(inside(where, "phase"), "goes with running, and running with it")
    return Patient(
        one_of(need(table, "population", where), POPULATIONS, inside(where, "population")),
        _day(need(table, "birth", where), inside(where, "birth")),
        _screen(table["screen"], inside(where, "screen")) if "screen" in table else None,
        one_of(table.get("effect", "unknown"), EFFECTS, inside(where, "effect")),
        running,
        one_of(table["phase"], PHASES, inside(where, "phase")) if "phase" in table else "",
    )


def _screen(value: object, where: str) -> int:
    dose = whole(value, "dose (ng)", where)
    if dose not in SCREENS_NG:
        raise InputError(where, f"{shown(value)} is no screening dose: 25, 50, 75 or 100 mcg")
    return dose


def _supply(value: object, where: str) -> Supply:
    table = as_table(value, where)
    only_keys(table, SUPPLY_KEYS, where)
    fill = whole(need(table, "fill", where), "volume (nL)", inside(where, "fill"))
    check_fill(fill, inside(where, "fill"))
    return Supply(
        fill,
        _day(table["expiry"], inside(where, "expiry")) if "expiry" in table else None,
        _day(table["filled"], inside(where, "filled")) if "filled" in table else None,
        _stocks(table, where),
    )


def _stocks(table: Table, where: str) -> tuple[int, ...]:
    at = inside(where, "stock")
    given = table.get("stock", [])
    entries = [given] if isinstance(given, str) else as_list(given, at)
    return tuple(whole(entry, "concentration (mcg/mL)", at) for entry in entries)


def _day(value: object, where: str) -> date:
    if isinstance(value, date) and not isinstance(value, datetime):  # TOML has dates of its own
        return value
    try:
        return date.fromisoformat(value) if isinstance(value, str) and len(value) == 10 else _no_day(value, where)
    except ValueError:
        return _no_day(value, where)


def _no_day(value: object, where: str) -> date:
    raise InputError(where, f'{shown(str(value))} is no date: write it like "2027-05-03"')
