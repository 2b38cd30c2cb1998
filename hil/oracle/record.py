"""What the rules look back on: the therapy's record, all of it immutable, so a copy is free.

Times are elapsed ms (R-TIM-1). Readings:
- R-MNT-2 "in force": the program last run stays in force while the pump is stopped, until another one is run.
- R-INI-2: an outage of unknown length counts zero (R-TIM-1), so it is no interruption of more than 6 h.
- An imported titration or maintenance has its first 24 h behind it, an imported first phase begins them at RUN; the time from the
  import to the first RUN is an interruption like a STOP.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timezone
from fractions import Fraction

from . import label
from .curve import EPOCH_WEEKDAY_MS
from .program import DAY_MS, Program


@dataclass(frozen=True)
class Site:
    """The pump's own figures."""

    capacity_nl: int = 20_000_000
    residual_nl: int = 1_000_000  # what a refill at another concentration may find left


@dataclass(frozen=True)
class InForce:
    """The program last run, from this moment until the next of its kind."""

    from_ms: int | None  # None = since before this pump
    program: Program


@dataclass(frozen=True)
class Stretch:
    """Basal delivered without a break by one program under one clock; to_ms None = still."""

    from_ms: int
    to_ms: int | None
    program: Program
    local_ms: int | None  # local time minus elapsed; None = without a clock, at the lowest rate

    def dose(self, from_ms: int, to_ms: int) -> Fraction:
        """ng as programmed between two elapsed times, as far as this stretch covers them."""
        start, end = max(from_ms, self.from_ms), to_ms if self.to_ms is None else min(to_ms, self.to_ms)
        if start >= end:
            return Fraction(0)
        if self.local_ms is None:
            return self.program.lowest_rate * (end - start)
        return self.program.dose(start + self.local_ms, end + self.local_ms)

    def bends_ms(self, from_ms: int, to_ms: int) -> list[int]:
        """Elapsed times in a span at which the rate may change."""
        ends = [self.from_ms] if self.to_ms is None else [self.from_ms, self.to_ms]
        if self.local_ms is None:
            return ends
        return ends + bends_ms(self.program, self.local_ms, from_ms, to_ms)


def bends_ms(program: Program, local_ms: int, from_ms: int, to_ms: int) -> list[int]:
    """Elapsed times in a span at which segments of a program begin."""
    first_day, last_day = (from_ms + local_ms) // DAY_MS, (to_ms + local_ms) // DAY_MS
    starts = (day * DAY_MS + s.start_ms for day in range(first_day, last_day + 1) for s in program.days[day % 7])
    return [start - local_ms for start in starts if from_ms <= start - local_ms <= to_ms]


@dataclass(frozen=True)
class Refill:
    """A refill on record."""

    at_ms: int
    volume_nl: int


@dataclass(frozen=True)
class Booked:
    """A bolus on record: ng is its whole dose, or what was delivered of it once that is known."""

    start_ms: int
    ng: Fraction


@dataclass(frozen=True)
class Record:
    """Everything a decision may depend on."""

    site: Site = Site()
    # who
    population: str = ""  # spinal, cerebral, pediatric; empty = no record
    birth: date = date(1980, 1, 1)
    phase: str = "none"  # none, screened, first, titration, maintenance
    screen_ng: int = 0  # the positive screening dose
    effect_long: bool | None = None  # lasted over 8 h; None = not known
    imported: bool = False
    # programs
    committed: Program | None = None
    last_run: Program | None = None
    before_increase: Program | None = None  # what ran before the last increase
    last_increase_ms: int | None = None
    in_force: tuple[InForce, ...] = ()
    stretches: tuple[Stretch, ...] = ()  # those that reach into the last 24 h
    # running
    ran: bool = False  # ever, on this pump
    running_since_ms: int | None = None  # None = stopped
    running_before_ms: int = 0  # running time before that, since the first 24 h began
    stopped_ms: int | None = None
    # clock
    unix_ms: int | None = None  # unix time minus elapsed; None = unset
    offset_ms: int = 0  # local time minus unix
    # supplies
    conc: int | None = None  # in the reservoir; None = nothing in it
    fluid: str = "none"  # none, drug, test
    expiry: date | None = None
    calibrated: bool = False
    refills: tuple[Refill, ...] = ()
    licensed_ms: int | None = None  # record of the last refill that licensed an increase
    # boluses
    boluses: tuple[Booked, ...] = ()
    bolus_running: bool = False
    uncertain: bool = False  # and not acknowledged
    # inputs
    port_reads_open: bool = False
    high_alarm: bool = False

    @property
    def running(self) -> bool:
        """Whether the basal runs."""
        return self.running_since_ms is not None

    @property
    def local_ms(self) -> int | None:
        """Local time minus elapsed, local 0 = a Monday."""
        return None if self.unix_ms is None else self.unix_ms + self.offset_ms + EPOCH_WEEKDAY_MS

    def unix_s(self, at_ms: int) -> int:
        """Wall clock, whole seconds."""
        return (at_ms + (self.unix_ms or 0)) // 1000

    def today(self, at_ms: int) -> date:
        """Local date."""
        return datetime.fromtimestamp((at_ms + (self.unix_ms or 0) + self.offset_ms) // 1000, timezone.utc).date()

    def age(self, at_ms: int) -> int:
        """Whole years on the local date; the birthday counts."""
        today = self.today(at_ms)
        return today.year - self.birth.year - ((today.month, today.day) < (self.birth.month, self.birth.day))

    def running_for_ms(self, at_ms: int) -> int:
        """Running time since the infusion started, or began anew (R-INI-2)."""
        if self.running_since_ms is not None:
            return self.running_before_ms + at_ms - self.running_since_ms
        return 0 if self.interrupted(at_ms) else self.running_before_ms

    def interrupted(self, at_ms: int) -> bool:
        """Stopped for more than 6 h."""
        return self.stopped_ms is not None and at_ms - self.stopped_ms > label.INTERRUPTION_MS

    def recent(self, at_ms: int) -> list[Program]:
        """Programs in force at any time of the last 24 h; one replaced 86,400,000 ms ago is not."""
        ends = [later.from_ms for later in self.in_force[1:]] + [None]
        pairs = zip(self.in_force, ends, strict=True)
        return [one.program for one, end in pairs if end is None or end > at_ms - DAY_MS]

    def increased_lately(self, at_ms: int) -> bool:
        """An increase within the last 24 h."""
        return self.last_increase_ms is not None and at_ms - self.last_increase_ms < label.INCREASE_GAP_MS

    def licence(self, at_ms: int) -> Refill | None:
        """The refill that allows an increase in maintenance now (R-MNT-1).

        Reading: any refill of the last 24 h that qualifies will do, a later small one does not take the licence away.
        """
        return next((refill for refill in reversed(self.refills) if self._licenses(refill, at_ms)), None)

    def _licenses(self, refill: Refill, at_ms: int) -> bool:
        fits = refill.volume_nl * label.LICENCE_SHARE >= self.site.capacity_nl
        far = self.licensed_ms is None or refill.at_ms - self.licensed_ms >= label.LICENCE_GAP_MS
        return fits and far and at_ms - refill.at_ms <= label.LICENCE_MS
