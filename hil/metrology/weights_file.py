"""A file of recorded weights, as balances, loggers and spreadsheets write it.

Columns are separated by commas, semicolons or tabs; the first line names them; lines that begin with # are skipped.
- time: `t_s`, `time (s)`, `min`, `h`: a number in that unit; or `time`, `timestamp`, `date`: 2027-05-03T08:00:00(.123)(Z or +02:00), with a
  space instead of the T too, or 08:00:00 of a day (it may run over midnight).
- mass: `mass_g`, `weight (mg)`, `net [kg]`: the unit is in the name, or follows each value (`35.1234 g`).
- `what`, as this bench writes it: the part of a run that a line belongs to; of several parts one has to be named. Anything else is ignored.
A decimal comma is understood where the separator is no comma.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from hil.errors import InputError, shown
from hil.instruments.diagnostics import last_digit
from hil.metrology.masslog import FEWEST, MassLog
from hil.tables import read_text

GRAMS = {"g": 1.0, "mg": 1e-3, "kg": 1e3, "ug": 1e-6, "µg": 1e-6}
SECONDS = {"s": 1.0, "sec": 1.0, "ms": 1e-3, "min": 60.0, "h": 3600.0, "hours": 3600.0}
TIME_NAMES = ("t", "time", "timestamp", "date", "datetime", "elapsed")
MASS_NAMES = ("mass", "weight", "net", "m", "w", "value")
DAY_S = 86_400.0
PART = "what"
BLANK = "blank"
MOST_TOLD = 12
MOST_LINES = 5_000_000
MOST_G = 1e5
VALUE = re.compile(r"^([+-]?\s*[0-9]*[.]?[0-9]+(?:[eE][+-]?[0-9]+)?)\s*([A-Za-zµ]*)$")


@dataclass(frozen=True)
class Column:
    index: int
    unit: str  # empty: in each value, or a clock time


@dataclass(frozen=True)
class Weights:
    """The log, and what clock time its first reading has (None: the file tells none)."""

    log: MassLog
    began: datetime | None


def load(path: Path, part: str | None = None, option: str = "--part") -> Weights:
    """InputError names the line and what to do. part: of a file that holds several, the lines of this one; option: what named it."""
    text = read_text(path)
    try:
        return _read(text, part, option)
    except InputError as error:
        raise error.in_file(path) from None


def load_blank(path: Path) -> Weights:
    """A blank of its own, or the one among the parts of a run."""
    return load(path, BLANK if BLANK in parts_of(path) else None, "--blank")


def parts_of(path: Path) -> list[str]:
    """What a file of this bench holds, in its order; nothing: it does not say."""
    rows = _rows(read_text(path))
    _, head = next(rows, (0, []))
    return _parts(head, [row for _, row in rows])


def _parts(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    if PART not in head:
        return []
    at = head.index(PART)
    return list(dict.fromkeys(row[at] for row in rows if at < len(row) and row[at]))


def _of_part(head: Sequence[str], rows: list[tuple[int, list[str]]], part: str | None, option: str) -> list[tuple[int, list[str]]]:
    """The lines of one part. Several together are refused: a blank among the flow would make a wrong figure, not an error."""
    parts = _parts(head, [row for _, row in rows])
    told = ", ".join(map(shown, parts[:MOST_TOLD])) + (", ..." if len(parts) > MOST_TOLD else "")
    if part is None:
        if len(parts) > 1:
            raise InputError("", f"holds several parts, {told}: name one with {option}")
        return rows
    if part not in parts:
        raise InputError(option, f"{shown(part)} is no part of it: {f'it holds {told}' if parts else f'it has no column {PART!r}'}")
    at = head.index(PART)
    return [(number, row) for number, row in rows if at < len(row) and row[at] == part]


def _read(text: str, part: str | None = None, option: str = "--part") -> Weights:
    lines = _rows(text)
    number, head = next(lines, (0, []))
    if not head:
        raise InputError("", "is empty: the first line names the columns, like t_s,mass_g")
    time, mass = _columns(head, number)
    rows = _of_part(head, list(lines), part, option)
    clock = _Clock(time)
    times, masses = [], []
    for number, row in rows:
        if max(time.index, mass.index) >= len(row):
            raise InputError(f"line {number}", f"has {len(row)} columns, the first line names {len(head)}")
        times.append(clock(row[time.index], number))
        masses.append(_mass(row[mass.index], mass.unit, number))
        if len(times) > 1 and times[-1] <= times[-2]:
            raise InputError(f"line {number}", "its time is not after the line before: sort the file, or take the double line out")
    if len(times) < FEWEST:
        raise InputError("", f"holds {len(times)} weights, at least {FEWEST} are needed")
    found = np.array(masses)
    return Weights(MassLog(np.array(times), found, last_digit(found.tolist())), clock.began)


def _rows(text: str) -> Iterator[tuple[int, list[str]]]:
    """(line number, cells) of every line that says something."""
    lines = text.splitlines()
    if len(lines) > MOST_LINES:
        raise InputError("", f"has {len(lines)} lines, at most {MOST_LINES} are read: thin it out")
    told = [line for line in lines if line.strip() and not line.lstrip().startswith("#")]
    separator = next((s for s in "\t;," if told and s in told[0]), ",")
    for number, line in enumerate(lines, start=1):
        if line.strip() and not line.lstrip().startswith("#"):
            cells = next(csv.reader([line], delimiter=separator))
            yield number, [cell.strip().replace(",", ".") if separator != "," else cell.strip() for cell in cells]


def _columns(head: Sequence[str], number: int) -> tuple[Column, Column]:
    time = _find(head, TIME_NAMES, SECONDS)
    mass = _find(head, MASS_NAMES, GRAMS, skip=time.index if time else -1)
    for what, column, example in (("time", time, "t_s"), ("mass", mass, "mass_g")):
        if column is None:
            raise InputError(f"line {number}", f"names no column of {what} ({shown(', '.join(head))[1:-1]}): call one {example}")
    assert time is not None and mass is not None
    return time, mass


def _find(head: Sequence[str], names: Sequence[str], units: dict[str, float], skip: int = -1) -> Column | None:
    for i, name in enumerate(head):
        words = [word for word in re.split(r"[\s_()\[\]/.]+", name.strip().lower()) if word]
        unit = next((word for word in words[::-1] if word in units), "")
        if i != skip and words and (words[0] in names or (len(words) == 1 and unit)):
            return Column(i, unit)
    return None


def _mass(cell: str, unit: str, number: int) -> float:
    found = VALUE.match(cell)
    if not found:
        raise InputError(f"line {number}", f"{shown(cell)} is no weight: a number, with its unit here or in the column's name")
    given = found[2].lower() or unit
    if given not in GRAMS:
        problem = f"is in {shown(given)}" if given else "has no unit"
        raise InputError(f"line {number}", f"{shown(cell)} {problem}: name the column mass_g, mass_mg or mass_kg")
    grams = float(found[1].replace(" ", "")) * GRAMS[given]
    if abs(grams) > MOST_G:
        raise InputError(f"line {number}", f"{shown(cell)} is no weight of a laboratory balance")
    return grams


class _Clock:
    """Seconds since the first reading, from numbers or from clock times."""

    def __init__(self, column: Column) -> None:
        self.began: datetime | None = None
        self._unit_s = SECONDS.get(column.unit)
        self._zero: float | None = None
        self._last = 0.0
        self._days = 0
        self._read: Callable[[str], float] | None = self._number if self._unit_s else None

    def __call__(self, cell: str, number: int) -> float:
        try:
            if self._read is None:
                self._read = self._kind(cell)
            value = self._read(cell)
        except (ValueError, OverflowError):
            problem = f"{shown(cell)} is no time: seconds under t_s, or like 2027-05-03T08:00:00 or 08:00:00"
            raise InputError(f"line {number}", problem) from None
        if not np.isfinite(value):
            raise InputError(f"line {number}", f"{shown(cell)} is no time")
        if self._zero is None:
            self._zero = value
        return value - self._zero

    def _kind(self, cell: str) -> Callable[[str], float]:
        if re.fullmatch(r"\d{1,2}:\d\d(:\d\d(\.\d+)?)?", cell):
            return self._of_day
        if re.fullmatch(r"[+-]?[\d.]+([eE][+-]?\d+)?", cell):
            self._unit_s = 1.0
            return self._number
        self.began = _instant(cell)
        return lambda text: _instant(text).timestamp()

    def _number(self, cell: str) -> float:
        return float(cell) * (self._unit_s or 1.0)

    def _of_day(self, cell: str) -> float:
        hours, minutes, *seconds = cell.split(":")
        value = int(hours) * 3600.0 + int(minutes) * 60 + float(seconds[0] if seconds else 0)
        if value + self._days * DAY_S < self._last - DAY_S / 2:
            self._days += 1  # over midnight
        self._last = value + self._days * DAY_S
        return self._last


def _instant(cell: str) -> datetime:
    """An ISO 8601 instant; one without an offset is as good as any, for only differences count."""
    return datetime.fromisoformat(cell.replace("Z", "+00:00").replace(" ", "T", 1))
