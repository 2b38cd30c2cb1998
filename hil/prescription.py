"""The program compiler: what a person prescribes, as a TOML file, becomes the segments the pump takes.

A day is given in one of three ways, at the top for every day or under `[days.sat]` for one weekday:

    flat = "350 mcg/day"                      evenly over 24 hours
    hourly = ["14000 ng/h", ... 24 of them]   by the pump's clock, first the hour from 00:00
    base = "14000 ng/h"  with [[effect]]      a base rate and changes through the day
    total = "350 mcg/day" with [[effect]]     the same, the base worked out so that the day has this dose

An effect has `from`, `to` and `rate = "16800 ng/h"` or `change = "+20 %"`; its times are those of the wanted clinical
effect, and the pump begins two hours before (R-PRF-2). A bolus block allows the person's own doses (R-BOL-1). Instead of
all this a `[holiday]` (see taper.py) takes the dose down to nothing.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TypeVar

from hil.errors import InputError
from hil.quantity import clock_minutes, quantity, whole, whole_units
from hil.tables import Table, as_list, as_table, as_text, find_file, inside, load_toml, need, only_keys
from hil.taper import canonical_lines as taper_lines
from hil.taper import parse_holiday

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY_MIN = 1440
WEEK_MIN = 7 * DAY_MIN
LEAD_MIN = 120  # R-PRF-2: two hours before the desired clinical effect
MAX_SEGMENTS = 24

DAY_KEYS = ("flat", "hourly", "base", "total", "effect")
MOST_CONC_MCG_ML = 2000  # label 3: the strongest that is sold
MOST_SEGMENT_NG = 100_000_000  # what the wire takes; the label's daily maxima are the pump's to refuse
PROGRAM_KEYS = ("name", "conc", "days", "bolus", "holiday", *DAY_KEYS)
AROUND = ("patient", "supply")  # tables of a file that are no part of the program: see prescription_file.py
EFFECT_KEYS = ("from", "to", "rate", "change")
BOLUS_KEYS = ("volume", "time", "lockout", "allowance")
PROGRAMS = Path(__file__).parent / "programs"

Segments = tuple[tuple[int, int], ...]  # (start in minutes of the day, dose in ng)


@dataclass(frozen=True)
class Bolus:
    """What the program allows of boluses."""

    volume_nl: int
    time_s: int
    lockout_s: int
    allowance_ng: int


@dataclass(frozen=True)
class Program:
    """A compiled program. `days` has `all`, or weekdays, or both (a weekday then overrides); it is empty in a taper."""

    name: str
    conc_mcg_ml: int
    days: Mapping[str, Segments]
    bolus: Bolus | None = None
    taper: tuple[int, ...] = ()  # ng of each day of a drug holiday, day 1 first; empty = a program that goes on

    def canonical_lines(self) -> list[str]:
        """The sorted `key=value` lines whose SHA-256 is the hash."""
        lines = [f"name={self.name}", f"conc={self.conc_mcg_ml}"]
        if self.bolus:
            lines += [f"bolus_{key}={value}" for key, (value, _) in self._bolus_values(self.bolus).items()]
        lines += [f"seg.{day}.{start // 60:02d}:{start % 60:02d}={dose}" for day, start, dose in self._segments()]
        return sorted(lines + taper_lines(self.taper))

    def hash(self) -> str:
        return hashlib.sha256("\n".join(self.canonical_lines()).encode()).hexdigest()[:16]

    def commands(self) -> Iterator[tuple[str, dict[str, str]]]:
        """The verbs and fields that stage it, in order."""
        yield "PROG:NEW", {"name": self.name}
        yield "PROG:SET", {"conc": f"{self.conc_mcg_ml}mcg/ml"}
        if self.bolus:
            for key, (value, unit) in self._bolus_values(self.bolus).items():
                yield "PROG:SET", {f"bolus_{key}": f"{value}{unit}"}
        for day, start, dose in self._segments():
            yield "PROG:SEG", {"day": day, "from": f"{start // 60:02d}:{start % 60:02d}", "dose": f"{dose}ng"}
        for number, dose in enumerate(self.taper, 1):
            yield "PROG:TAPER", {"day": str(number), "dose": f"{dose}ng"}

    def of_day(self, day: str) -> Segments:
        """The segments in force on a weekday."""
        return self.days[day] if day in self.days else self.days["all"]

    def day_ng(self, day: str) -> int:
        return sum(dose for _, dose in self.of_day(day))

    def _segments(self) -> Iterator[tuple[str, int, int]]:
        for day, segments in self.days.items():
            for start, dose in segments:
                yield day, start, dose

    @staticmethod
    def _bolus_values(bolus: Bolus) -> dict[str, tuple[int, str]]:
        return {
            "volume": (bolus.volume_nl, "nl"),
            "time": (bolus.time_s, "s"),
            "lockout": (bolus.lockout_s, "s"),
            "allowance": (bolus.allowance_ng, "ng"),
        }


# ---- files


def load_program(path: Path) -> Program:
    """The program of a TOML file; InputError with file and key."""
    try:
        table = load_toml(path)
        return compile_program({key: table[key] for key in table if key not in AROUND})
    except InputError as error:
        raise error.in_file(path) from None


def find_program(name: str, beside: Path | None = None) -> Path:
    """A program file by its path, seen from `beside`, or by the name of a shipped one."""
    places = (Path(name), (beside or Path()) / name, PROGRAMS / f"{name}.toml", PROGRAMS / name)
    return find_file(name, places, "program", sorted(path.stem for path in PROGRAMS.glob("*.toml")))


# ---- compiling


def compile_program(table: Table, where: str = "") -> Program:
    """A program of its TOML table."""
    only_keys(table, PROGRAM_KEYS, where)
    name = as_text(need(table, "name", where), inside(where, "name"))
    if len(name) > 32 or not all(c.isascii() and (c.isalnum() or c in "-_.") for c in name) or not name[0].isalnum():
        raise InputError(inside(where, "name"), f"{name[:60]!r} is no name: 1 to 32 letters, digits, - _ or ., the first a letter or digit")
    conc = whole(need(table, "conc", where), "concentration (mcg/mL)", inside(where, "conc"))
    if not 1 <= conc <= MOST_CONC_MCG_ML:
        raise InputError(inside(where, "conc"), f"{conc} mcg/mL is outside 1 to {MOST_CONC_MCG_ML}")
    if "holiday" in table:
        _only_holiday(table, where)
        return Program(name, conc, {}, taper=_small_enough(parse_holiday(table["holiday"], inside(where, "holiday")), where))
    bolus = _bolus(table["bolus"], inside(where, "bolus")) if "bolus" in table else None
    days = _days(table, where)
    _small_enough([ng for segments in days.values() for _, ng in segments], where)
    return Program(name, conc, days, bolus)


Doses = TypeVar("Doses", bound=Sequence[int])


def _small_enough(doses: Doses, where: str) -> Doses:
    if any(ng > MOST_SEGMENT_NG for ng in doses):
        raise InputError(where, f"a segment holds more than {MOST_SEGMENT_NG} ng")
    return doses


def _only_holiday(table: Table, where: str) -> None:
    other = [key for key in ("bolus", "days", *DAY_KEYS) if key in table]
    if other:
        raise InputError(inside(where, other[0]), "does not go with [holiday]: a taper has its own doses, and no boluses")


def _bolus(value: object, where: str) -> Bolus:
    table = as_table(value, where)
    only_keys(table, BOLUS_KEYS, where)
    return Bolus(
        whole(need(table, "volume", where), "volume (nL)", inside(where, "volume")),
        whole_units(need(table, "time", where), "time (ms)", 1000, "seconds", inside(where, "time")),
        whole_units(need(table, "lockout", where), "time (ms)", 1000, "seconds", inside(where, "lockout")),
        whole(need(table, "allowance", where), "dose (ng)", inside(where, "allowance")),
    )


def _days(table: Table, where: str) -> dict[str, Segments]:
    special = as_table(table.get("days", {}), inside(where, "days"))
    only_keys(special, DAYS, inside(where, "days"))
    given = {day: as_table(special[day], f"{inside(where, 'days')}.{day}") for day in DAYS if day in special}
    for day, of_day in given.items():
        only_keys(of_day, DAY_KEYS, f"{inside(where, 'days')}.{day}")
    general = {key: table[key] for key in DAY_KEYS if key in table}
    if not general and len(given) < 7:
        missing = ", ".join(day for day in DAYS if day not in given)
        raise InputError(where, f"no dose is given for {missing}: give flat, hourly, base or total at the top, or under [days.mon]")
    sources = {d: (given[d], f"{inside(where, 'days')}.{d}") if d in given else (general, where) for d in DAYS}
    return _shortest(_whole_week(sources))


def _shortest(week: dict[str, Segments]) -> dict[str, Segments]:
    """The most common day as `all`, and the weekdays that differ from it."""
    common = Counter(week.values()).most_common(1)[0][0]
    return {"all": common, **{day: segments for day, segments in week.items() if segments != common}}


# A week as steps of the rate in ng/h: start minute of the week -> rate until the next start.
Rates = dict[int, Fraction]


def _whole_week(sources: Mapping[str, tuple[Table, str]]) -> dict[str, Segments]:
    """The segments of each weekday; effects may reach back into the day before."""
    base: Rates = {}
    changes: list[tuple[int, int, Fraction]] = []
    totals: dict[str, Fraction] = {}
    for number, day in enumerate(DAYS):
        table, where = sources[day]
        day_rates, effects, total = _one_day(table, where)
        base.update({number * DAY_MIN + minute: rate for minute, rate in day_rates.items()})
        changes += [(number * DAY_MIN + start, number * DAY_MIN + end, rate) for start, end, rate in effects]
        if total is not None:
            totals[day] = total
    rates = _with_changes(base, changes)
    week: dict[str, Segments] = {}
    for number, day in enumerate(DAYS):
        week[day], dose = _day_segments(rates, number)
        _check_day(day, dose, len(week[day]), totals.get(day), sources[day][1])
    return week


def _check_day(day: str, dose: Fraction, segments: int, total: Fraction | None, where: str) -> None:
    if segments > MAX_SEGMENTS:
        raise InputError(where, f"{day} has {segments} segments; the pump takes {MAX_SEGMENTS} a day")
    if total is not None and dose != total:
        text = f"{day} would get {float(dose):,.3f} ng instead of {int(total):,}: an effect reaches over its midnight"
        raise InputError(inside(where, "total"), f"{text}, and the neighbouring day differs; give base = and rate = there")
    if dose.denominator != 1:
        raise InputError(where, f"the doses of {day} add up to {float(dose):,.3f} ng; a day is a whole number of ng")


def _one_day(table: Table, where: str) -> tuple[Rates, list[tuple[int, int, Fraction]], Fraction | None]:
    """A day's own rates by minute, its effects (pump times, may be negative), and its dose if that was given."""
    ways = [key for key in ("flat", "hourly", "base", "total") if key in table]
    if len(ways) != 1:
        raise InputError(where, f"give exactly one of flat, hourly, base, total (found: {', '.join(ways) or 'none'})")
    way = ways[0]
    at = inside(where, way)
    if "effect" in table and way in ("flat", "hourly"):
        raise InputError(inside(where, "effect"), f"goes with base or total, not with {way}")
    if way == "flat":
        return {0: Fraction(whole(table["flat"], "day dose (ng)", at), 24)}, [], None
    if way == "hourly":
        return _hourly(table["hourly"], at), [], None
    effects = [_effect(e, f"{inside(where, 'effect')}[{i}]") for i, e in enumerate(as_list(table.get("effect", []), where))]
    if way == "base":
        base = quantity(table["base"], "rate (ng/h)", at)
        return {0: base}, [(s, e, rate(base)) for s, e, rate in effects], None
    total = Fraction(whole(table["total"], "day dose (ng)", at))
    base = _base_of_total(total, effects, at)
    return {0: base}, [(s, e, rate(base)) for s, e, rate in effects], total


def _hourly(value: object, where: str) -> Rates:
    rates = as_list(value, where)
    if len(rates) != 24:
        raise InputError(where, f"has {len(rates)} hours; a day has 24, the first from 00:00")
    return {hour * 60: quantity(rate, "rate (ng/h)", f"{where}[{hour}]") for hour, rate in enumerate(rates)}


@dataclass(frozen=True)
class _EffectRate:
    """An absolute rate, or a share of the base."""

    absolute: Fraction | None
    share: Fraction

    def __call__(self, base: Fraction) -> Fraction:
        return self.absolute if self.absolute is not None else base * self.share


def _effect(value: object, where: str) -> tuple[int, int, _EffectRate]:
    """Start and end as the pump's times (already shifted), and the rate."""
    table = as_table(value, where)
    only_keys(table, EFFECT_KEYS, where)
    start = clock_minutes(need(table, "from", where), inside(where, "from"))
    end = clock_minutes(need(table, "to", where), inside(where, "to"))
    if start == end:
        raise InputError(inside(where, "to"), "the effect ends when it starts")
    if end < start:  # over midnight
        end += DAY_MIN
    if ("rate" in table) == ("change" in table):
        raise InputError(where, 'give rate = "16800 ng/h" or change = "+20 %", one of the two')
    return start - LEAD_MIN, end - LEAD_MIN, _effect_rate(table, where)


def _effect_rate(table: Table, where: str) -> _EffectRate:
    if "rate" in table:
        return _EffectRate(quantity(table["rate"], "rate (ng/h)", inside(where, "rate")), Fraction(1))
    change = quantity(table["change"], "change (%)", inside(where, "change"), signed=True)
    if change <= -100:
        raise InputError(inside(where, "change"), f"{table['change']!r} leaves nothing to deliver")
    return _EffectRate(None, 1 + change / 100)


def _base_of_total(total: Fraction, effects: list[tuple[int, int, _EffectRate]], where: str) -> Fraction:
    """The base rate with which the day, its effects included, has `total` ng."""
    hours, fixed = Fraction(24), Fraction(0)
    for start, end, rate in effects:
        span = Fraction(end - start, 60)
        if rate.absolute is not None:
            hours, fixed = hours - span, fixed + span * rate.absolute
        else:
            hours += span * (rate.share - 1)
    if fixed >= total or hours <= 0:
        raise InputError(where, "leaves nothing for the hours outside the effects")
    return (total - fixed) / hours


def _with_changes(base: Rates, changes: list[tuple[int, int, Fraction]]) -> Rates:
    """The base with the changes laid over it, around the week."""
    cuts = set(base)
    for start, end, _ in changes:
        cuts.update((start % WEEK_MIN, end % WEEK_MIN))
    return {minute: _rate_at(minute, base, changes) for minute in sorted(cuts)}


def _rate_at(minute: int, base: Rates, changes: list[tuple[int, int, Fraction]]) -> Fraction:
    over = [rate for start, end, rate in changes if (minute - start) % WEEK_MIN < end - start]
    if len(set(over)) > 1:
        clock = f"{minute % DAY_MIN // 60:02d}:{minute % 60:02d}"
        raise InputError("effect", f"two effects overlap at {clock} (pump time) with different rates")
    return over[0] if over else base[max(start for start in base if start <= minute)]


def _day_segments(rates: Rates, number: int) -> tuple[Segments, Fraction]:
    """One weekday's segments in whole ng, cut by running sums (R-DOSE-1), and its dose."""
    first, last = number * DAY_MIN, (number + 1) * DAY_MIN
    starts = [minute for minute in sorted(rates) if first <= minute < last]
    segments: list[tuple[int, int]] = []
    run = Fraction(0)
    for start, end in zip(starts, [*starts[1:], last], strict=True):
        before = int(run)
        run += rates[start] * (end - start) / 60
        segments.append((start - first, int(run) - before))
    return _merged(tuple(segments), rates, first), run


def _merged(segments: Segments, rates: Rates, first: int) -> Segments:
    """Neighbours of one rate are one segment."""
    merged: list[tuple[int, int]] = []
    for start, dose in segments:
        if merged and rates[first + start] == rates[first + merged[-1][0]]:
            merged[-1] = (merged[-1][0], merged[-1][1] + dose)
        else:
            merged.append((start, dose))
    return tuple(merged)
