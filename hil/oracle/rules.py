"""The rules of refusal for programs, one small generator each: it yields (code, figures) if it refuses.

Readings:
- R-POP-2: a first chronic program, and the restart after a holiday, count as an increase, so they declare attendance too.
- R-POP-1: population and age are compared when the record is made; under 4 years is asked at every program too.
- R-INI-3: "flat for its first 24 h" is asked of the whole program: when it will be run is not known at commit.
- R-MNT-2: the 20 % hold for the daily dose (high dose and allowance), for the high and for the low dose (without it), each against its
  highest in force; only a program that lowers one of them against the one last run is a decrease. OVERDOSE does not free a taper.
- R-MNT-2 "going back": any program at or above the one before the increase, in daily, high and low dose.
- R-HOL-1: a restart stays flat for its first 24 h of running, as a first program does (R-INI-3).
- R-DOSE-2: if more than two programs were in force in the window, the greatest of their high doses is the limit; time without
  basal counts as nothing delivered. The rule is asked last: it can only be named when no other refuses.
- R-DOSE-2: a dose is whole ng (R-UNIT-1): a window that is above the limit by less than one is not.
- R-DOSE-2: between flat programs, or beside a taper, a window cannot be exceeded: that the hours of a flat day are rounded to whole ng
  (R-DOSE-1) is no change of rate, wherever a clock correction puts them.
- R-HOL-1: a taper is judged by its first day's dose; it has no profile, but the 24 h window across its start holds.
- R-WDR-1: after 14 days without delivery the start cap comes on top of the other rules, and the decrease rule does not hold.
- STEP_CAP can come from three rules; the one named is the increase's (`most`), else the decrease's (`least`, the daily dose's before the
  high and the low dose's), else the window's (`limit`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import lcm
from typing import TYPE_CHECKING

from . import holiday, label
from .program import DAY_MS, Doses, Program
from .verdict import Refusal, ceil_ng, floor_ng, percent_of

if TYPE_CHECKING:
    from .program import Ng
    from .record import Record, Stretch

UNTREATED = ("none", "screening", "not_candidate")  # R-SCR-5: no chronic program
FREED_BY_RETURN = ("TOO_SOON", "NO_REFILL", "STEP_CAP")  # R-WDR-1


@dataclass(frozen=True)
class Order:
    """What a command declares besides its dose; the defaults are those of a careful person."""

    path: str = "pump"  # of the delivery; a refill takes the septum
    route: str = "intrathecal"
    attended: bool = True
    confirmed: bool | frozenset[str] = False  # all that is asked, or those codes
    reason: str = ""
    at_unix_s: int | None = None  # None = just now
    ttl_s: int = label.TTL_MAX_S

    def unconfirmed(self, asked: tuple[str, ...]) -> Iterator[Refusal]:
        """What is asked and was not confirmed: one token answers all of it, so all of it is named."""
        given = frozenset(asked if self.confirmed else ()) if isinstance(self.confirmed, bool) else self.confirmed
        if not given.issuperset(asked):
            yield next(code for code in asked if code not in given), {"asked": asked}


# Any command that starts or raises delivery


def command(r: Record, at_ms: int, order: Order, way: str = "pump") -> Iterator[Refusal]:
    """Path, clock, age of the command, route (R-CAP-1, R-TIM-1, R-POP-2)."""
    yield from busy(r)
    if order.path != way:
        yield "CATHETER_PORT", {}
    if r.clock.unix_ms is None:
        yield "CLOCK_LOST", {}
    elif not fresh(r.clock.unix_s(at_ms), order):
        yield "STALE", {}
    if order.route != "intrathecal":
        yield "ROUTE", {}


def busy(r: Record) -> Iterator[Refusal]:
    """Nothing is written down while a delivery moves, so nothing is changed but by STOP."""
    if r.boluses.moving:
        yield "BUSY", {}


def fresh(now_s: int, order: Order) -> bool:
    """Whether a command is neither too old nor from the future."""
    at_s = now_s if order.at_unix_s is None else order.at_unix_s
    return -label.STALE_EARLY_S <= now_s - at_s <= min(order.ttl_s, label.TTL_MAX_S)


def therapy_fluid(r: Record) -> Iterator[Refusal]:
    """R-CAL-2: no therapy with test fluid."""
    if r.supplies.fluid == "test":
        yield "TEST_FLUID", {}


# A program


@dataclass(frozen=True)
class Judgement:
    """What refuses a program, and what a person must confirm before it passes."""

    refusals: list[Refusal]
    asked: tuple[str, ...] = ()


def judge(r: Record, at_ms: int, new: Program, attended: bool, reason: str, may_return: bool = True) -> Judgement:
    """All rules of a program that look at the record."""
    found = [*holiday.refusals(r, new), *who(r, at_ms, new, attended), *concentration(r, new)]
    if r.phase in UNTREATED:
        return Judgement(found)
    found += [*absolute(r, at_ms, new), *start(r, at_ms, new)]
    steps = [] if r.over(at_ms) else list(increase(r, at_ms, new))
    returning = may_return and not new.taper and is_return(r, at_ms, new.doses) and any(code in FREED_BY_RETURN for code, _ in steps)
    if returning:
        steps = [refusal for refusal in steps if refusal[0] not in FREED_BY_RETURN]
    found += steps
    if not r.over(at_ms):
        found += decrease(r, at_ms, new, reason)
        found = found or list(window(r, at_ms, new))
    return Judgement(found, (*confirmations(new), *(["CONFIRM_RETURN"] if returning else [])))


def who(r: Record, at_ms: int, new: Program, attended: bool) -> Iterator[Refusal]:
    """R-POP-1, R-POP-2, R-SCR-5."""
    if not attended and (r.last_run is None or is_increase(r, at_ms, new.doses)):
        yield "UNATTENDED", {}
    if r.patient.population and r.clock.unix_ms is not None and r.age(at_ms) < label.MIN_AGE:
        yield "AGE", {}
    if r.phase in UNTREATED:
        yield "NOT_SCREENED", {}


def concentration(r: Record, new: Program) -> Iterator[Refusal]:
    """R-CON-1."""
    conc = r.supplies.conc
    if not chronic(new.conc) or new.conc != conc:
        yield "CONCENTRATION", {"want": conc} if conc is not None and chronic(conc) else {}


def chronic(conc: int) -> bool:
    """A concentration for chronic infusion."""
    return label.CONC_MIN <= conc <= label.CONC_MAX


def absolute(r: Record, at_ms: int, new: Program) -> Iterator[Refusal]:
    """R-MNT-3, R-PRF-3: whatever came before."""
    limit = label.daily_max_ng(r.patient.population, r.age(at_ms))
    if new.daily_ng > limit:
        yield "DAILY_MAX", {"most": limit}
    yield from ((code, {}) for code in new.profile_refusals() if code != "CONFIRM_PROFILE")


# R-INI-1, R-INI-3, R-HOL-1, R-WDR-1


def start(r: Record, at_ms: int, new: Program) -> Iterator[Refusal]:
    """How a therapy begins, or begins again."""
    beginning = (r.phase == "first" or r.course.restarted) and r.running_for_ms(at_ms) < label.FIRST_RUNNING_MS
    if (beginning or r.phase == "screened" or r.over(at_ms)) and not new.is_flat:
        yield "START_FLAT", {}
    yield from above_start(r, at_ms, new.daily_ng)


def above_start(r: Record, at_ms: int, daily: Ng) -> Iterator[Refusal]:
    """More than the start cap, where there is one."""
    limit = start_cap(r, at_ms)
    if limit is not None and daily > limit:
        yield "START_CAP", {"most": floor_ng(limit)}


def start_cap(r: Record, at_ms: int) -> Ng | None:
    """The most to begin with: after a holiday what the therapy began with; after a trial or 14 days of nothing what the trial allows."""
    if r.over(at_ms):
        return r.course.started
    if r.phase == "screened" or (r.last_run is not None and r.long_idle(at_ms)):
        return r.trial.screen_ng * (label.START_FACTOR if r.trial.effect_long is False else label.START_FACTOR_LONG)
    return None


def again(r: Record, at_ms: int, program: Program) -> Iterator[Refusal]:
    """RUN of the program last run. Reading: it was judged before, so only what time or a new trial changed is asked."""
    yield from concentration(r, program)
    if r.phase == "screened" and not program.is_flat:
        yield "START_FLAT", {}
    doses = r.doses(at_ms) or program.doses
    yield from above_start(r, at_ms, doses.daily)


# Steps


def increase(r: Record, at_ms: int, new: Program) -> Iterator[Refusal]:
    """R-INI-2, R-TIT-1..4, R-MNT-1, R-HOL-1: measured against the program last run."""
    base = r.doses(at_ms)
    if base is None or new.daily_ng <= base.daily:
        return
    if new.taper:  # it is none, whenever it is
        yield "STEP_CAP", {"most": floor_ng(base.daily)}
        return
    yield from waits(r, at_ms)
    if r.phase == "maintenance" and r.licence(at_ms) is None:
        yield "NO_REFILL", {}
    percent = 100 + step_percent(r)
    if 100 * new.daily_ng > percent * base.daily:
        yield "STEP_CAP", {"most": floor_ng(percent_of(percent, base.daily))}


def waits(r: Record, at_ms: int) -> Iterator[Refusal]:
    """What time alone decides about an increase."""
    running_ms = r.running_for_ms(at_ms)
    if running_ms < label.FIRST_RUNNING_MS:
        yield "FIRST_24H", {"wait": label.FIRST_RUNNING_MS - running_ms}
    if r.increased_lately(at_ms):
        yield "TOO_SOON", {"wait": (r.last_increase_ms or 0) + label.INCREASE_GAP_MS - at_ms}


def step_percent(r: Record) -> int:
    """The most that one increase may add."""
    figures = label.FIGURES[r.patient.population]
    return figures.maintenance if r.phase == "maintenance" else figures.titration


def decrease(r: Record, at_ms: int, new: Program, reason: str) -> Iterator[Refusal]:
    """R-MNT-2."""
    base, recent = r.doses(at_ms), r.recent(at_ms)
    if base is None or not recent or (reason == "OVERDOSE" and not new.taper) or r.long_idle(at_ms):
        return
    if not is_decrease(base, new.doses) or goes_back(r, at_ms, new.doses):
        return
    kept = 100 - label.DECREASE_PERCENT
    for kind in range(3):  # daily, high, low
        highest = max(one[kind] for one in recent)
        if 100 * new.doses[kind] < kept * highest:
            yield "STEP_CAP", {"least": ceil_ng(percent_of(kept, highest))}


def is_increase(r: Record, at_ms: int, new: Doses) -> bool:
    """More per day than the program last run (R-TIT-4)."""
    base = r.doses(at_ms)
    return base is not None and new.daily > base.daily


def is_decrease(base: Doses, new: Doses) -> bool:
    """Less than the program last run, in daily, high or low dose."""
    return new.daily < base.daily or new.high < base.high or new.low < base.low


def goes_back(r: Record, at_ms: int, new: Doses) -> bool:
    """Back to the dose before an increase of the last 24 h (R-MNT-2)."""
    before = r.before(at_ms)
    return before is not None and new.daily >= before.daily and new.high >= before.high and new.low >= before.low


def is_return(r: Record, at_ms: int, new: Doses) -> bool:
    """Up to at most the dose before an interruption or an OVERDOSE decrease (R-WDR-1)."""
    return is_increase(r, at_ms, new) and new.daily <= r.return_to(at_ms)


# A window of 24 h across a change


def window(r: Record, at_ms: int, new: Program) -> Iterator[Refusal]:
    """R-DOSE-2: no 24 h across the change above the greater of the old and the new high dose."""
    last, clock_ms = r.last_run, r.clock.local_ms
    if last is None or clock_ms is None or new.lines == last.lines:
        return  # the same program again is no change, whatever a clock correction did to the last 24 h (R-PRF-4 judges that)
    stretches = [s for s in r.basal.stretches if s.to_ms is None or s.to_ms > at_ms - DAY_MS]
    if new.is_even and all(stretch.program.is_even for stretch in stretches):
        return  # constant rates: any mixture lies between them
    limit = max([new.high_ng, *(one.high for one in r.recent(at_ms))])
    local_ms = -at_ms if new.taper else clock_ms
    unit = lcm(new.unit, *(stretch.program.unit for stretch in stretches))
    past, most = [(s.parts, unit // s.program.unit) for s in stretches], floor_ng(limit) * unit
    for end_ms in _window_ends(stretches, at_ms, new, local_ms):
        dose = new.parts(at_ms + local_ms, end_ms + local_ms) * (unit // new.unit)
        dose += sum(parts(end_ms - DAY_MS, at_ms) * scale for parts, scale in past)
        if dose >= most + unit:
            yield "STEP_CAP", {"limit": floor_ng(limit)}
            return


def _window_ends(stretches: list[Stretch], at_ms: int, new: Program, local_ms: int) -> set[int]:
    # The sum is piecewise linear in where the window ends: largest where one of its ends meets a change of rate.
    old = {bend + DAY_MS for stretch in stretches for bend in stretch.bends_ms(at_ms - DAY_MS, at_ms)}
    ahead = [bend - local_ms for bend in new.bends_ms(at_ms + local_ms, at_ms + DAY_MS + local_ms)]
    return {at_ms, at_ms + DAY_MS, *(end for end in [*old, *ahead] if at_ms <= end <= at_ms + DAY_MS)}


# What is asked and what is noted


def confirmations(new: Program) -> tuple[str, ...]:
    """R-MNT-3, R-PRF-3, R-HOL-1: what a person must confirm about a program itself."""
    found = ["CONFIRM_OVER_1000"] if new.daily_ng > label.CONFIRM_ABOVE_NG else []
    found += ["CONFIRM_PROFILE"] if "CONFIRM_PROFILE" in new.profile_refusals() else []
    return (*found, "CONFIRM_HOLIDAY") if new.taper else tuple(found)


def notes(r: Record, at_ms: int, new: Program) -> tuple[str, ...]:
    """What is accepted and noted (R-MNT-3, R-TIT-3)."""
    found = ["LOW_DOSE"] if new.daily_ng < label.noted_below_ng(r.patient.population, r.age(at_ms)) else []
    base = r.doses(at_ms)
    if base is not None and new.daily_ng > base.daily:
        least = 100 + label.FIGURES[r.patient.population].noted_below
        found += ["SMALL_STEP"] if 100 * new.daily_ng < least * base.daily else []
    return tuple(found)
