"""A program as the requirements define it: canonical lines, exact sums over any 24 h of its week, profile limits (R-DOSE-*, R-PRF-*).

A program has either a week of segments or the days of a taper (R-HOL-1). A taper runs by the time since its start, whatever the clock
shows: where a week takes a local time (ms since a Monday 00:00), a taper takes the ms since its start.

Doses are kept as integers of 1/unit ng (`parts`), which is exact and fast; what leaves this module is ng, an int where it is whole.
Nothing here needs more than Python 3.9: campaigns run it on PyPy too.
"""

from __future__ import annotations

import hashlib
import re
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from math import lcm
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    Ng = int | Fraction

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MINUTE_MS = 60_000
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
WEEK_MS = 7 * DAY_MS
EPOCH_WEEKDAY_MS = 3 * DAY_MS  # 1970-01-01 was a Thursday
MAX_SEGMENTS = 24  # R-PRF-1
MAX_TAPER_DAYS = 28  # R-HOL-1

BOLUS_KEYS = ("bolus_volume", "bolus_time", "bolus_lockout", "bolus_allowance")
SEGMENT = re.compile(r"seg\.(all|mon|tue|wed|thu|fri|sat|sun)\.([01][0-9]|2[0-3]):([0-5][0-9])")
TAPER = re.compile(r"taper\.([0-9]{2})")
INTEGER = re.compile(r"0|[1-9][0-9]{0,11}")


class ProgramError(ValueError):
    """Lines that are no program."""


class Doses(NamedTuple):
    """What caps and steps are measured by: daily dose (with the bolus allowance), high dose and low dose, in ng (R-DOSE-2)."""

    daily: Ng
    high: Ng
    low: Ng


@dataclass(frozen=True)
class Bolus:
    """What a program allows on top of the basal rate (R-BOL-1)."""

    volume_nl: int
    time_s: int
    lockout_s: int
    allowance_ng: int  # in any 24 h


@dataclass(frozen=True)
class Segment:
    """A stretch of a day and the ng delivered evenly in it."""

    start_ms: int
    end_ms: int
    ng: int

    @property
    def rate(self) -> Fraction:
        """ng per ms."""
        return Fraction(self.ng, self.end_ms - self.start_ms)


def flat_day(dose_ng: int) -> list[int]:
    """The 24 hours of a flat day (R-DOSE-1)."""
    return [(hour + 1) * dose_ng // 24 - hour * dose_ng // 24 for hour in range(24)]


def flat_lines(name: str, conc: int, dose_ng: int) -> list[str]:
    """Canonical lines of a flat program, by hours."""
    hours = [f"seg.all.{hour:02d}:00={ng}" for hour, ng in enumerate(flat_day(dose_ng))]
    return [f"name={name}", f"conc={conc}", *hours]


def taper_lines(name: str, conc: int, doses_ng: Iterable[int]) -> list[str]:
    """Canonical lines of a taper, by days."""
    return [f"name={name}", f"conc={conc}", *(f"taper.{day:02d}={ng}" for day, ng in enumerate(doses_ng, 1))]


def program_hash(lines: Iterable[str]) -> str:
    """First 16 hex digits of SHA-256 over the sorted lines."""
    return hashlib.sha256("\n".join(sorted(lines)).encode("ascii")).hexdigest()[:16]


def exact(numerator: int, denominator: int) -> Ng:
    """The quotient, as an int where it is whole."""
    whole, rest = divmod(numerator, denominator)
    return Fraction(numerator, denominator) if rest else whole


@dataclass(frozen=True)
class Program:
    """A week of basal segments or the days of a taper, a concentration, and perhaps a bolus."""

    lines: tuple[str, ...]
    name: str
    conc: int  # mcg per mL
    bolus: Bolus | None
    days: tuple[tuple[Segment, ...], ...]  # Monday first; empty for a taper
    taper: tuple[int, ...] = ()  # ng of each day of a drug holiday

    @classmethod
    def parse(cls, lines: Iterable[str]) -> Program:
        """From canonical lines, in any order; ProgramError names the key that is wrong."""
        pairs = _pairs(lines)
        starts = {key: value for key, value in pairs.items() if key.startswith("seg.")}
        tapered = {key: value for key, value in pairs.items() if key.startswith("taper.")}
        plain = {key: value for key, value in pairs.items() if key not in starts and key not in tapered}
        _known(plain)
        if tapered and (starts or _bolus(plain)):
            raise ProgramError("a taper has neither segments nor a bolus")
        return cls(
            tuple(sorted(f"{key}={value}" for key, value in pairs.items())),
            plain["name"],
            _integer("conc", plain["conc"]),
            _bolus(plain),
            () if tapered else _week(starts),
            _taper(tapered),
        )

    @cached_property
    def hash(self) -> str:
        """What RUN and COMMIT name it by."""
        return program_hash(self.lines)

    # how much is due when

    @cached_property
    def unit(self) -> int:
        """Every dose over whole ms is a whole multiple of 1/unit ng."""
        return lcm(2 * DAY_MS, *(segment.end_ms - segment.start_ms for day in self.days for segment in day))

    @cached_property
    def day_ng(self) -> tuple[int, ...]:
        """Dose of each weekday, or of each day of the taper."""
        return self.taper or tuple(sum(segment.ng for segment in day) for day in self.days)

    @cached_property
    def starts_ms(self) -> tuple[int, ...]:
        """Where the segments of the week begin."""
        return tuple(i * DAY_MS + segment.start_ms for i, day in enumerate(self.days) for segment in day)

    @cached_property
    def rates(self) -> tuple[Fraction, ...]:
        """ng per ms of each segment of the week, or of each day of the taper and after it."""
        if self.taper:
            return (*(Fraction(ng, DAY_MS) for ng in self.taper), Fraction(0))
        return tuple(segment.rate for day in self.days for segment in day)

    @cached_property
    def part_rates(self) -> tuple[int, ...]:
        """The same in 1/unit ng per ms."""
        return tuple(int(rate * self.unit) for rate in self.rates)

    @cached_property
    def _sums(self) -> tuple[int, ...]:
        """1/unit ng from the start of the week or taper to each start of a segment or day, and the whole last."""
        sums = [0]
        for ng in self.taper or (segment.ng for day in self.days for segment in day):
            sums.append(sums[-1] + ng * self.unit)
        return tuple(sums)

    def segment_at(self, local_ms: int | Fraction) -> int:
        """Index of the week's segment in force at a local time, or of the taper's day (the last: after it)."""
        if self.taper:
            return min(int(local_ms // DAY_MS), len(self.taper))
        return bisect_right(self.starts_ms, local_ms % WEEK_MS) - 1

    def rate_at(self, local_ms: int) -> Fraction:
        """ng per ms at a local time."""
        return self.rates[self.segment_at(local_ms)]

    def parts_until(self, local_ms: int) -> int:
        """1/unit ng from local time 0 to local_ms."""
        index = self.segment_at(local_ms)
        if self.taper:
            return self._sums[index] + self.part_rates[index] * (local_ms - index * DAY_MS)
        weeks, within = divmod(local_ms, WEEK_MS)
        return weeks * self._sums[-1] + self._sums[index] + self.part_rates[index] * (within - self.starts_ms[index])

    def parts(self, from_ms: int, to_ms: int) -> int:
        """1/unit ng delivered from one local time to another."""
        return self.parts_until(to_ms) - self.parts_until(from_ms)

    def dose(self, from_ms: int, to_ms: int) -> Fraction:
        """ng delivered from one local time to another."""
        return Fraction(self.parts(from_ms, to_ms), self.unit)

    def bends_ms(self, from_ms: int, to_ms: int) -> list[int]:
        """Local times in a span at which segments, or days of the taper, begin."""
        days = range(from_ms // DAY_MS, to_ms // DAY_MS + 1)
        if self.taper:
            return [day * DAY_MS for day in days if from_ms <= day * DAY_MS]
        starts = (day * DAY_MS + segment.start_ms for day in days for segment in self.days[day % 7])
        return [start for start in starts if from_ms <= start <= to_ms]

    # what it is measured by

    @cached_property
    def _any_24h(self) -> tuple[Ng, Ng]:
        # The sum over a window is piecewise linear in where it starts: its extremes lie where one of its ends
        # meets the start of a segment.
        places = {start for begin in self.starts_ms for start in (begin, (begin - DAY_MS) % WEEK_MS)}
        sums = [self.parts(start, start + DAY_MS) for start in places]
        return exact(min(sums), self.unit), exact(max(sums), self.unit)

    @cached_property
    def doses(self) -> Doses:
        """The LOW dose is the least, the HIGH dose the largest sum over any 24 h of the repeating week (R-DOSE-2); a taper is judged by
        its first day."""
        if self.taper:
            return Doses(self.taper[0], self.taper[0], self.taper[0])
        low, high = self._any_24h
        return Doses(high + (self.bolus.allowance_ng if self.bolus else 0), high, low)

    @property
    def low_ng(self) -> Ng:
        """The LOW dose."""
        return self.doses.low

    @property
    def high_ng(self) -> Ng:
        """The HIGH dose."""
        return self.doses.high

    @property
    def daily_ng(self) -> Ng:
        """The daily dose of all caps: high dose and the bolus allowance of 24 h."""
        return self.doses.daily

    @cached_property
    def lowest_rate(self) -> Fraction:
        """ng per ms without a clock: the week's lowest, at least half the lowest day's mean (R-ALM-8)."""
        return max(min(self.rates), Fraction(min(self.day_ng), 2 * DAY_MS))

    @cached_property
    def lowest_parts(self) -> int:
        """The same in 1/unit ng per ms."""
        return int(self.lowest_rate * self.unit)

    @cached_property
    def is_even(self) -> bool:
        """One rate all week, to the whole ng that hours are rounded to, or a taper, which only falls."""
        return bool(self.taper) or self.is_flat

    @cached_property
    def is_flat(self) -> bool:
        """R-INI-3. Reading: every day has the same dose, and no segment is a whole ng off its even share of it."""
        if self.taper or len(set(self.day_ng)) > 1:
            return False
        dose_ng = self.day_ng[0]
        return all(abs(s.ng * DAY_MS - dose_ng * (s.end_ms - s.start_ms)) < DAY_MS for day in self.days for s in day)

    @cached_property
    def _profile(self) -> tuple[str, ...]:
        # A segment's share of its day's mean rate, as (numerator, denominator).
        shares = [(s.ng * DAY_MS, total * (s.end_ms - s.start_ms)) for day, total in zip(self.days, self.day_ng) if total for s in day]
        found = []
        if any(share > 2 * mean for share, mean in shares):
            found.append("HOUR_MAX")
        if any(2 * share < mean for share, mean in shares) or not all(self.day_ng):
            found.append("HOUR_MIN")
        if any(5 * share > 6 * mean or 5 * share < 4 * mean for share, mean in shares):
            found.append("CONFIRM_PROFILE")
        return tuple(found)

    def profile_refusals(self) -> list[str]:
        """What R-PRF-3 says of it, the hard ones first; equality passes. A taper has no profile.

        Reading: a day without any dose is no program outside a holiday; a zero is reached by STOP or by a taper (R-HOL-1).
        """
        return [] if self.taper else list(self._profile)


def _pairs(lines: Iterable[str]) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for line in lines:
        key, equals, value = line.partition("=")
        if not equals:
            raise ProgramError(f"{line!r} is not key=value")
        if key in pairs:
            raise ProgramError(f"{key} is given twice")
        pairs[key] = value
    return pairs


def _known(plain: dict[str, str]) -> None:
    unknown = sorted(set(plain) - {"name", "conc", *BOLUS_KEYS})
    missing = sorted({"name", "conc"} - set(plain))
    if unknown or missing:
        raise ProgramError(f"unknown keys: {', '.join(unknown) or 'none'}; missing keys: {', '.join(missing) or 'none'}")


def _integer(key: str, value: str) -> int:
    if not INTEGER.fullmatch(value):
        raise ProgramError(f"{key} must be a plain integer, is {value!r}")
    return int(value)


def _bolus(plain: dict[str, str]) -> Bolus | None:
    given = [key for key in BOLUS_KEYS if key in plain]
    if not given:
        return None
    if len(given) < len(BOLUS_KEYS):
        raise ProgramError(f"a bolus takes all of {', '.join(BOLUS_KEYS)} or none; here: {', '.join(given)}")
    return Bolus(*(_integer(key, plain[key]) for key in BOLUS_KEYS))


def _taper(tapered: dict[str, str]) -> tuple[int, ...]:
    """The days of a taper, 1 to the last without a hole."""
    by_day: dict[int, int] = {}
    for key, value in tapered.items():
        found = TAPER.fullmatch(key)
        if not found or not 1 <= int(found[1]) <= MAX_TAPER_DAYS:
            raise ProgramError(f"{key} is no day of a taper; expected taper.01 to taper.{MAX_TAPER_DAYS}")
        by_day[int(found[1])] = _integer(key, value)
    missing = sorted(set(range(1, max(by_day, default=0))) - set(by_day))
    if missing:
        raise ProgramError(f"the taper lacks day {missing[0]}")
    return tuple(by_day[day] for day in sorted(by_day))


def _week(starts: dict[str, str]) -> tuple[tuple[Segment, ...], ...]:
    """Reading of R-PRF-1: a weekday with segments of its own takes them; the others take `all`."""
    by_day: dict[str, dict[int, int]] = {}
    for key, value in starts.items():
        found = SEGMENT.fullmatch(key)
        if not found:
            raise ProgramError(f"{key} is no segment; expected seg.<day>.<HH:MM>")
        at_ms = int(found[2]) * HOUR_MS + int(found[3]) * MINUTE_MS
        by_day.setdefault(found[1], {})[at_ms] = _integer(key, value)
    days = {day: _day(day, segments) for day, segments in by_day.items()}
    absent = [day for day in DAYS if day not in days and "all" not in days]
    if absent:
        raise ProgramError(f"no segments for {', '.join(absent)}")
    return tuple(days[day] if day in days else days["all"] for day in DAYS)


def _day(day: str, segments: dict[int, int]) -> tuple[Segment, ...]:
    starts = sorted(segments)
    if starts[0] != 0:
        raise ProgramError(f"the first segment of {day} must start at 00:00")
    if len(starts) > MAX_SEGMENTS:
        raise ProgramError(f"{day} has {len(starts)} segments, at most {MAX_SEGMENTS}")
    ends = [*starts[1:], DAY_MS]
    return tuple(Segment(start, end, segments[start]) for start, end in zip(starts, ends))
