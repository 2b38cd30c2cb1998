"""A program as the requirements define it: canonical lines, exact sums over any 24 h of its week, profile limits (R-DOSE-*, R-PRF-*)."""

from __future__ import annotations

import hashlib
import re
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MINUTE_MS = 60_000
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
WEEK_MS = 7 * DAY_MS
MAX_SEGMENTS = 24  # R-PRF-1

BOLUS_KEYS = ("bolus_volume", "bolus_time", "bolus_lockout", "bolus_allowance")
SEGMENT = re.compile(r"seg\.(all|mon|tue|wed|thu|fri|sat|sun)\.([01][0-9]|2[0-3]):([0-5][0-9])")
INTEGER = re.compile(r"0|[1-9][0-9]{0,11}")


class ProgramError(ValueError):
    """Lines that are no program."""


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


def program_hash(lines: Iterable[str]) -> str:
    """First 16 hex digits of SHA-256 over the sorted lines."""
    return hashlib.sha256("\n".join(sorted(lines)).encode("ascii")).hexdigest()[:16]


@dataclass(frozen=True)
class Program:
    """A week of basal segments, a concentration, and perhaps a bolus."""

    lines: tuple[str, ...]
    name: str
    conc: int  # mcg per mL
    bolus: Bolus | None
    days: tuple[tuple[Segment, ...], ...]  # Monday first

    @classmethod
    def parse(cls, lines: Iterable[str]) -> Program:
        """From canonical lines, in any order; ProgramError names the key that is wrong."""
        pairs = _pairs(lines)
        plain = {key: value for key, value in pairs.items() if not key.startswith("seg.")}
        starts = {key: value for key, value in pairs.items() if key.startswith("seg.")}
        _known(plain)
        return cls(
            tuple(sorted(f"{key}={value}" for key, value in pairs.items())),
            plain["name"],
            _integer("conc", plain["conc"]),
            _bolus(plain),
            _week(starts),
        )

    @cached_property
    def hash(self) -> str:
        """What RUN and COMMIT name it by."""
        return program_hash(self.lines)

    @cached_property
    def day_ng(self) -> tuple[int, ...]:
        """Dose of each weekday."""
        return tuple(sum(segment.ng for segment in day) for day in self.days)

    @cached_property
    def starts_ms(self) -> tuple[int, ...]:
        """Where the segments of the week begin."""
        return tuple(i * DAY_MS + segment.start_ms for i, day in enumerate(self.days) for segment in day)

    @cached_property
    def rates(self) -> tuple[Fraction, ...]:
        """ng per ms of each segment of the week."""
        return tuple(segment.rate for day in self.days for segment in day)

    @cached_property
    def _sums(self) -> tuple[int, ...]:
        """ng from the week's start to the start of each segment, and the whole week last."""
        sums = [0]
        for day in self.days:
            for segment in day:
                sums.append(sums[-1] + segment.ng)
        return tuple(sums)

    def segment_at(self, local_ms: int) -> int:
        """Index of the week's segment in force at a local time (ms since a Monday 00:00)."""
        return bisect_right(self.starts_ms, local_ms % WEEK_MS) - 1

    def rate_at(self, local_ms: int) -> Fraction:
        """ng per ms at a local time."""
        return self.rates[self.segment_at(local_ms)]

    def dose_until(self, local_ms: int) -> Fraction:
        """ng from local time 0 (a Monday) to local_ms."""
        weeks, within = divmod(local_ms, WEEK_MS)
        index = self.segment_at(within)
        return weeks * self._sums[-1] + self._sums[index] + self.rates[index] * (within - self.starts_ms[index])

    def dose(self, from_ms: int, to_ms: int) -> Fraction:
        """ng delivered from one local time to another."""
        return self.dose_until(to_ms) - self.dose_until(from_ms)

    @cached_property
    def _any_24h(self) -> tuple[Fraction, Fraction]:
        # The sum over a window is piecewise linear in where it starts: its extremes lie where one of its ends
        # meets the start of a segment.
        places = {start for begin in self.starts_ms for start in (begin, (begin - DAY_MS) % WEEK_MS)}
        sums = [self.dose(start, start + DAY_MS) for start in places]
        return min(sums), max(sums)

    @property
    def low_ng(self) -> Fraction:
        """The LOW dose: least sum over any 24 h of the repeating week (R-DOSE-2)."""
        return self._any_24h[0]

    @property
    def high_ng(self) -> Fraction:
        """The HIGH dose: largest sum over any 24 h of the repeating week (R-DOSE-2)."""
        return self._any_24h[1]

    @property
    def daily_ng(self) -> Fraction:
        """The daily dose of all caps: high dose and the bolus allowance of 24 h (R-DOSE-2)."""
        return self.high_ng + (self.bolus.allowance_ng if self.bolus else 0)

    @cached_property
    def lowest_rate(self) -> Fraction:
        """ng per ms without a clock: the week's lowest, at least half the lowest day's mean (R-ALM-8)."""
        return max(min(self.rates), Fraction(min(self.day_ng), 2 * DAY_MS))

    @cached_property
    def is_flat(self) -> bool:
        """R-INI-3. Reading: every day has the same dose, and no segment is a whole ng off its even share of it."""
        dose_ng = self.day_ng[0]
        if set(self.day_ng) != {dose_ng}:
            return False
        return all(abs(s.ng * DAY_MS - dose_ng * (s.end_ms - s.start_ms)) < DAY_MS for day in self.days for s in day)

    def profile_refusals(self, holiday: bool = False) -> list[str]:
        """What R-PRF-3 says of it, the hard ones first; equality passes.

        Reading: a day without any dose is no program outside a holiday; a zero is reached by STOP or by a taper (R-HOL-1).
        """
        shares = [Fraction(s.rate * DAY_MS, total) for day, total in zip(self.days, self.day_ng, strict=True) if total for s in day]
        found = []
        if any(share > 2 for share in shares):
            found.append("HOUR_MAX")
        if (any(share < Fraction(1, 2) for share in shares) or not all(self.day_ng)) and not holiday:
            found.append("HOUR_MIN")
        if any(share > Fraction(6, 5) or share < Fraction(4, 5) for share in shares):
            found.append("CONFIRM_PROFILE")
        return found


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
    return tuple(Segment(start, end, segments[start]) for start, end in zip(starts, ends, strict=True))
