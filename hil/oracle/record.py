"""What the rules look back on: the therapy's record, all of it immutable, so a copy is free.

Times are elapsed ms (R-TIM-1), doses ng. Readings:
- R-MNT-2 "in force": the program last run stays in force while the pump is stopped, until another one is run or a new trial begins. Of a
  taper those days count that reach into the 24 h.
- R-INI-2: an outage of unknown length counts zero (R-TIM-1), so it is no interruption of more than 6 h.
- An imported titration or maintenance has its first 24 h behind it, an imported first phase begins them at RUN; the time from the
  import to the first RUN is an interruption like a STOP, and time without delivery (R-WDR-1).
- R-WDR-1: the program that ran "before" counts with its daily dose, the bolus allowance included.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date
from fractions import Fraction
from typing import TYPE_CHECKING

from . import label
from .program import DAY_MS, EPOCH_WEEKDAY_MS, Doses, Program

if TYPE_CHECKING:
    from .program import Ng

EPOCH_ORDINAL = date(1970, 1, 1).toordinal()


@dataclass(frozen=True)
class Site:
    """The pump's own figures."""

    capacity_nl: int = 20_000_000
    residual_nl: int = 1_000_000  # what a refill at another concentration may find left
    tube_nl: int = 100_000  # dead volume of the pump tubing
    catheter_nl: int = 20_000  # and of the catheter


@dataclass(frozen=True)
class Patient:
    """R-POP-1."""

    population: str = ""  # spinal, cerebral, pediatric; empty = no record
    birth: date = date(1980, 1, 1)
    injury: date | None = None  # to the brain


@dataclass(frozen=True)
class ScreenDose:
    """A dose of the screening trial."""

    mcg: int
    start_ms: int
    end_ms: int | None = None  # None = it moves
    outcome: str = ""  # DONE, PARTIAL, UNCERTAIN; empty = it moves
    response: str = ""  # positive, inadequate; empty = none recorded


@dataclass(frozen=True)
class Trial:
    """The screening trial, and what it found."""

    last: ScreenDose | None = None  # of this trial
    last_start_ms: int | None = None  # of the last dose in any trial: the 24 h of R-SCR-3 outlive it
    screen_ng: int = 0  # the positive dose
    effect_long: bool | None = None  # lasted over 8 h; None = not known
    imported_ms: int | None = None  # when a trial made elsewhere was taken over


@dataclass(frozen=True)
class InForce:
    """A program that was last run, from a moment until another one was, or a new trial began."""

    from_ms: int | None  # None = since before this pump
    to_ms: int | None  # None = still
    program: Program
    left_ms: int | None = None  # of a taper: when another program came, though it may have taken force later

    def doses(self, from_ms: int, at_ms: int) -> list[Doses]:
        """What was in force of it after from_ms, until at_ms."""
        if self.to_ms is not None and self.to_ms <= from_ms:
            return []
        if not self.program.taper:
            return [self.program.doses]
        start_ms = self.from_ms or 0
        ends = [end for end in (self.left_ms, self.to_ms, at_ms) if end is not None]
        last = (ends[0] - start_ms) // DAY_MS  # its dose held until another program took force
        first = min(last, (from_ms - start_ms) // DAY_MS)
        return [Doses(ng, ng, ng) for day, ng in enumerate(self.program.taper) if first <= day <= last]


@dataclass(frozen=True)
class Course:
    """Programs and steps of the dose."""

    committed: Program | None = None
    reason: str = ""  # of the commit
    by_return: bool = False  # it was confirmed as a return (R-WDR-1)
    licence_ms: int | None = None  # record of the refill that licenses it, should it be an increase in maintenance
    last_run: Program | None = None
    in_force: tuple[InForce, ...] = ()  # those that reach into the last 24 h
    holiday_ms: int | None = None  # when the taper last run took force
    left_ms: int | None = None  # when another program came in its place, which waits for its first step
    before: Doses | None = None  # what ran before the last increase
    last_increase_ms: int | None = None
    started: Ng = 0  # daily dose of the first chronic program
    return_to: Ng = 0  # R-WDR-1; 0 = no right to return
    restarted: bool = False  # after a holiday, and not yet run for 24 h


@dataclass(frozen=True)
class Stretch:
    """Basal delivered without a break by one program under one clock; to_ms None = still."""

    from_ms: int
    to_ms: int | None
    program: Program
    local_ms: int | None  # the program's time minus elapsed; None = at the lowest rate: without a clock, or held down (R-PRF-4)

    def parts(self, from_ms: int, to_ms: int) -> int:
        """Dose as programmed between two elapsed times, as far as this stretch covers them, in 1/unit ng of the program."""
        start, end = max(from_ms, self.from_ms), to_ms if self.to_ms is None else min(to_ms, self.to_ms)
        if start >= end:
            return 0
        if self.local_ms is None:
            return self.program.lowest_parts * (end - start)
        return self.program.parts(start + self.local_ms, end + self.local_ms)

    def bends_ms(self, from_ms: int, to_ms: int) -> list[int]:
        """Elapsed times in a span at which the rate may change."""
        ends = [self.from_ms] if self.to_ms is None else [self.from_ms, self.to_ms]
        if self.local_ms is None:
            return ends
        local_ms = self.local_ms
        return ends + [bend - local_ms for bend in self.program.bends_ms(from_ms + local_ms, to_ms + local_ms)]


@dataclass(frozen=True)
class Basal:
    """When the basal ran."""

    ran: bool = False  # ever, on this pump
    since_ms: int | None = None  # None = stopped
    before_ms: int = 0  # running time before that, since the first 24 h began
    stopped_ms: int | None = None
    held_low: bool = False  # after a clock correction, until the 24 h fit (R-PRF-4)
    stretches: tuple[Stretch, ...] = ()  # those that reach into the last 24 h


@dataclass(frozen=True)
class Clock:
    """What makes a date of elapsed time."""

    unix_ms: int | None = None  # unix time minus elapsed; None = unset
    offset_ms: int = 0  # local time minus unix

    @property
    def local_ms(self) -> int | None:
        """Local time minus elapsed, local 0 = a Monday."""
        return None if self.unix_ms is None else self.unix_ms + self.offset_ms + EPOCH_WEEKDAY_MS

    def unix_s(self, at_ms: int) -> int:
        """Wall clock, whole seconds."""
        return (at_ms + (self.unix_ms or 0)) // 1000

    def today(self, at_ms: int) -> date:
        """Local date."""
        return date.fromordinal((at_ms + (self.unix_ms or 0) + self.offset_ms) // DAY_MS + EPOCH_ORDINAL)


@dataclass(frozen=True)
class Refill:
    """A refill on record."""

    at_ms: int
    volume_nl: int


@dataclass(frozen=True)
class Supplies:
    """Reservoir and calibration."""

    conc: int | None = None  # in the reservoir; None = nothing in it
    fluid: str = "none"  # none, drug, test
    emptied: bool = False  # evacuated since it was filled
    expiry: date | None = None
    calibrated: bool = False
    refills: tuple[Refill, ...] = ()
    licensed_ms: int | None = None  # record of the last refill that licensed an increase
    observe_until_ms: int = 0  # R-FIL-4


@dataclass(frozen=True)
class Line:
    """Pump tubing and catheter."""

    conc: int | None = None  # what it holds, mcg/mL; None = nothing, or test fluid
    left_nl: int | Fraction = 0  # of the old drug's dead volume; 0 = no bridge
    prime_nl: int | Fraction = 0  # what may still be primed
    tube: str = ""  # as the calibration names it

    @property
    def bridging(self) -> bool:
        """Whether old drug is still on its way out."""
        return self.left_nl > 0


@dataclass(frozen=True)
class Booked:
    """A bolus on record: ng is its whole dose, or what was delivered of it once that is known."""

    start_ms: int
    ng: Fraction


@dataclass(frozen=True)
class Boluses:
    """What is given on top of the basal."""

    booked: tuple[Booked, ...] = ()
    moving: str = ""  # bolus, prime, screen; empty = no delivery moves
    uncertain: bool = False  # and not acknowledged
    port_reads_open: bool = False
    high_alarm: bool = False


@dataclass(frozen=True)
class Maintained:
    """A daily dose that was in force in maintenance, until to_ms."""

    daily: Ng
    to_ms: int | None = None  # None = still


@dataclass(frozen=True)
class Advice:
    """What R-MNT-4 counts, and the advisories that are on."""

    refused_ms: int | None = None  # the last increase refused by STEP_CAP
    unanswered: int = 0  # titration increases since a response was recorded
    maintained: tuple[Maintained, ...] = ()
    raised: frozenset[str] = field(default_factory=frozenset)


@dataclass(frozen=True)
class Record:
    """Everything a decision may depend on."""

    site: Site = Site()
    steps_told: bool = False  # first steps are told: an increase takes force with its own, not with its commit
    patient: Patient = Patient()
    phase: str = "none"  # none, screening, screened, not_candidate, first, titration, maintenance, holiday
    imported: bool = False
    trial: Trial = Trial()
    course: Course = Course()
    basal: Basal = Basal()
    clock: Clock = Clock()
    supplies: Supplies = Supplies()
    line: Line = Line()
    boluses: Boluses = Boluses()
    advice: Advice = Advice()

    @property
    def running(self) -> bool:
        """Whether the basal runs."""
        return self.basal.since_ms is not None

    @property
    def last_run(self) -> Program | None:
        """The program last run."""
        return self.course.last_run

    @property
    def last_increase_ms(self) -> int | None:
        """When the last increase made its first step."""
        return self.course.last_increase_ms

    def age(self, at_ms: int) -> int:
        """Whole years on the local date; the birthday counts."""
        return years(self.patient.birth, self.clock.today(at_ms))

    # running

    def running_for_ms(self, at_ms: int) -> int:
        """Running time since the infusion started, or began anew (R-INI-2)."""
        if self.basal.since_ms is not None:
            return self.basal.before_ms + at_ms - self.basal.since_ms
        return 0 if self.interrupted(at_ms) else self.basal.before_ms

    def interrupted(self, at_ms: int) -> bool:
        """Stopped for more than 6 h."""
        return self.idle_ms(at_ms) > label.INTERRUPTION_MS

    def idle_ms(self, at_ms: int) -> int:
        """Time without delivery: since the basal last ran, or since the import."""
        return 0 if self.running or self.basal.stopped_ms is None else at_ms - self.basal.stopped_ms

    def long_idle(self, at_ms: int) -> bool:
        """More than 14 days without delivery (R-WDR-1)."""
        return self.idle_ms(at_ms) > label.IDLE_MS

    # doses

    def doses(self, at_ms: int) -> Doses | None:
        """What a step is measured from: the program last run, of a taper the day's dose (R-TIT-4, R-HOL-1)."""
        course = self.course
        if course.last_run is None or not course.last_run.taper:
            return course.last_run.doses if course.last_run else None
        day, taper = self.holiday_day(at_ms), course.last_run.taper
        ng = taper[day] if day < len(taper) else 0
        return Doses(ng, ng, ng)

    def holiday_day(self, at_ms: int) -> int:
        """Which day of its taper a holiday is in, from 0; the one in which another program came."""
        left_ms = self.course.left_ms
        return ((at_ms if left_ms is None else min(at_ms, left_ms)) - (self.course.holiday_ms or 0)) // DAY_MS

    def over(self, at_ms: int) -> bool:
        """After a holiday's zero: until its restart takes force."""
        taper = self.course.last_run.taper if self.course.last_run else ()
        return bool(taper) and self.holiday_day(at_ms) >= len(taper)

    def recent(self, at_ms: int) -> list[Doses]:
        """In force at any time of the last 24 h; what was replaced 86,400,000 ms ago is not."""
        entries, left_ms = self.course.in_force, self.course.left_ms
        if left_ms is not None:
            entries = tuple(replace(one, left_ms=left_ms) if one.to_ms is None else one for one in entries)
        return [doses for one in entries for doses in one.doses(at_ms - DAY_MS, at_ms)]

    def increased_lately(self, at_ms: int) -> bool:
        """An increase within the last 24 h."""
        return self.course.last_increase_ms is not None and at_ms - self.course.last_increase_ms < label.INCREASE_GAP_MS

    def before(self, at_ms: int) -> Doses | None:
        """The doses before an increase of the last 24 h."""
        return self.course.before if self.increased_lately(at_ms) else None

    def return_to(self, at_ms: int) -> Ng:
        """The daily dose that one confirmed commit may return to; 0 = none."""
        return 0 if self.long_idle(at_ms) else self.course.return_to

    # refills

    def licence(self, at_ms: int) -> Refill | None:
        """The refill that allows an increase in maintenance now (R-MNT-1).

        Reading: any refill of the last 24 h that qualifies will do, a later small one does not take the licence away.
        """
        return next((refill for refill in reversed(self.supplies.refills) if self._licenses(refill, at_ms)), None)

    def _licenses(self, refill: Refill, at_ms: int) -> bool:
        licensed_ms = self.supplies.licensed_ms
        fits = refill.volume_nl * label.LICENCE_SHARE >= self.site.capacity_nl
        far = licensed_ms is None or refill.at_ms - licensed_ms >= label.LICENCE_GAP_MS
        return fits and far and at_ms - refill.at_ms <= label.LICENCE_MS


def years(since: date, today: date) -> int:
    """Whole years between two dates; the same date of a later year counts."""
    return today.year - since.year - ((today.month, today.day) < (since.month, since.day))
