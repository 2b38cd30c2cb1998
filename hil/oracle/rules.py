"""The rules of refusal, one small generator each: it yields (code, limit) if it refuses. `first` names the one that counts.

A limit is what would have been accepted (ng, ms, nL), or None where there is no figure.

Readings:
- R-POP-2: a first chronic program counts as an increase, so it declares attendance too.
- R-INI-3: "flat for its first 24 h" is asked of the whole program: when it will be run is not known at commit.
- R-MNT-2: the 20 % hold for the daily dose (high dose and allowance) and for the low dose (without it), each against its highest
  in force; only a program that lowers one of them against the one last run is a decrease.
- R-MNT-2 "going back": any program at or above the one before the increase, in daily and in low dose.
- R-DOSE-2: if more than two programs were in force in the window, the greatest of their high doses is the limit; time without
  basal counts as nothing delivered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from . import label
from .program import DAY_MS, Program
from .record import Record, bends_ms

Refusal = tuple[str, Any]
Rule = Callable[[], Iterator[Refusal]]


@dataclass(frozen=True)
class Order:
    """What a command declares besides its dose; the defaults are those of a careful person."""

    path: str = "pump"  # of the delivery; a refill takes the septum
    route: str = "intrathecal"
    attended: bool = True
    confirmed: bool = False
    reason: str = ""
    at_unix_s: int | None = None  # None = just now
    ttl_s: int = label.TTL_MAX_S


def first(*found: Iterable[Refusal]) -> Refusal | None:
    """The refusal that is named when several apply."""
    every = [refusal for rule in found for refusal in rule]
    return min(every, key=lambda refusal: label.ORDER.index(refusal[0]), default=None)


# Any command that starts or raises delivery


def command(r: Record, at_ms: int, order: Order, way: str = "pump") -> Iterator[Refusal]:
    """Path, clock, age of the command, fluid, route (R-CAP-1, R-TIM-1, R-CAL-2, R-POP-2)."""
    if order.path != way:
        yield "CATHETER_PORT", way
    if r.unix_ms is None:
        yield "CLOCK_LOST", None
    elif not fresh(r.unix_s(at_ms), order):
        yield "STALE", order.ttl_s
    if order.route != "intrathecal":
        yield "ROUTE", "intrathecal"


def fresh(now_s: int, order: Order) -> bool:
    """Whether a command is neither too old nor from the future."""
    at_s = now_s if order.at_unix_s is None else order.at_unix_s
    return -label.STALE_EARLY_S <= now_s - at_s <= min(order.ttl_s, label.TTL_MAX_S)


def therapy_fluid(r: Record) -> Iterator[Refusal]:
    """R-CAL-2: no therapy with test fluid."""
    if r.fluid == "test":
        yield "TEST_FLUID", None


# A program


def who(r: Record, at_ms: int, new: Program, attended: bool) -> Iterator[Refusal]:
    """R-POP-1, R-POP-2, R-SCR-5."""
    if r.phase == "none":
        yield "NOT_SCREENED", None
    elif r.unix_ms is not None and r.age(at_ms) < label.MIN_AGE:
        yield "AGE", label.MIN_AGE
    if not attended and (r.last_run is None or is_increase(r, new)):
        yield "UNATTENDED", None


def concentration(r: Record, new: Program) -> Iterator[Refusal]:
    """R-CON-1."""
    if not label.CONC_MIN <= new.conc <= label.CONC_MAX or new.conc != r.conc:
        yield "CONCENTRATION", r.conc


def absolute(r: Record, at_ms: int, new: Program) -> Iterator[Refusal]:
    """R-MNT-3, R-PRF-3: whatever came before."""
    limit = label.daily_max_ng(r.population, r.age(at_ms))
    if new.daily_ng > limit:
        yield "DAILY_MAX", limit
    yield from ((code, None) for code in new.profile_refusals() if code != "CONFIRM_PROFILE")


def start(r: Record, at_ms: int, new: Program) -> Iterator[Refusal]:
    """R-INI-1, R-INI-3."""
    beginning = r.phase == "screened" or (r.phase == "first" and r.running_for_ms(at_ms) < label.FIRST_RUNNING_MS)
    if beginning and not new.is_flat:
        yield "START_FLAT", None
    limit = r.screen_ng * (label.START_FACTOR_LONG if r.effect_long is not False else label.START_FACTOR)
    if r.phase == "screened" and r.last_run is None and new.daily_ng > limit:
        yield "START_CAP", limit


def increase(r: Record, at_ms: int, new: Program) -> Iterator[Refusal]:
    """R-INI-2, R-TIT-1..4, R-MNT-1."""
    if r.last_run is None or not is_increase(r, new):
        return
    if r.running_for_ms(at_ms) < label.FIRST_RUNNING_MS:
        yield "FIRST_24H", label.FIRST_RUNNING_MS - r.running_for_ms(at_ms)
    if r.increased_lately(at_ms):
        yield "TOO_SOON", (r.last_increase_ms or 0) + label.INCREASE_GAP_MS - at_ms
    if r.phase == "maintenance" and r.licence(at_ms) is None:
        yield "NO_REFILL", None
    figures = label.FIGURES[r.population]
    percent = figures.maintenance if r.phase == "maintenance" else figures.titration
    if 100 * new.daily_ng > (100 + percent) * r.last_run.daily_ng:
        yield "STEP_CAP", Fraction(100 + percent, 100) * r.last_run.daily_ng


def decrease(r: Record, at_ms: int, new: Program, reason: str) -> Iterator[Refusal]:
    """R-MNT-2."""
    if r.last_run is None or reason == "OVERDOSE" or not is_decrease(r, new) or is_return(r, at_ms, new):
        return
    recent = r.recent(at_ms)
    kept = 100 - label.DECREASE_PERCENT
    for value, highest in (
        (new.daily_ng, max(program.daily_ng for program in recent)),
        (new.low_ng, max(program.low_ng for program in recent)),
    ):
        if 100 * value < kept * highest:
            yield "STEP_CAP", Fraction(kept, 100) * highest


def window(r: Record, at_ms: int, new: Program) -> Iterator[Refusal]:
    """R-DOSE-2: no 24 h across the change above the greater of the old and the new high dose."""
    if r.last_run is None or r.local_ms is None or new.hash == r.last_run.hash:
        return  # the same program again is no change, whatever a clock correction did to the last 24 h (R-PRF-4 judges that)
    limit = max(program.high_ng for program in [new, *r.recent(at_ms)])
    if _even(new) and all(_even(stretch.program) for stretch in r.stretches):
        return  # constant rates: any mixture lies between them
    if any(_across(r, at_ms, new, r.local_ms, end) > limit for end in _window_ends(r, at_ms, new, r.local_ms)):
        yield "STEP_CAP", limit


def confirmations(new: Program, confirmed: bool) -> Iterator[Refusal]:
    """R-MNT-3, R-PRF-3. Reading: one confirmation of the program answers both."""
    if confirmed:
        return
    if new.daily_ng > label.CONFIRM_ABOVE_NG:
        yield "CONFIRM_OVER_1000", label.CONFIRM_ABOVE_NG
    if "CONFIRM_PROFILE" in new.profile_refusals():
        yield "CONFIRM_PROFILE", None


def notes(r: Record, at_ms: int, new: Program) -> tuple[str, ...]:
    """What is accepted and noted (R-MNT-3, R-TIT-3)."""
    found = []
    if new.daily_ng < label.noted_below_ng(r.population, r.age(at_ms)):
        found.append("LOW_DOSE")
    if r.last_run is not None and is_increase(r, new):
        least = 100 + label.FIGURES[r.population].noted_below
        found += ["SMALL_STEP"] if 100 * new.daily_ng < least * r.last_run.daily_ng else []
    return tuple(found)


def is_increase(r: Record, new: Program) -> bool:
    """More per day than the program last run (R-TIT-4)."""
    return r.last_run is not None and new.daily_ng > r.last_run.daily_ng


def is_decrease(r: Record, new: Program) -> bool:
    """Less than the program last run, in daily or in low dose."""
    return r.last_run is not None and (new.daily_ng < r.last_run.daily_ng or new.low_ng < r.last_run.low_ng)


def is_return(r: Record, at_ms: int, new: Program) -> bool:
    """Back to the dose before an increase of the last 24 h (R-MNT-2)."""
    before = r.before_increase
    return before is not None and r.increased_lately(at_ms) and new.daily_ng >= before.daily_ng and new.low_ng >= before.low_ng


def _even(program: Program) -> bool:
    return len(set(program.rates)) == 1


def _across(r: Record, at_ms: int, new: Program, local_ms: int, end_ms: int) -> Fraction:
    """Basal as programmed in the 24 h that end at end_ms, the new program from at_ms on."""
    past = sum((s.dose(end_ms - DAY_MS, at_ms) for s in r.stretches), Fraction(0))
    return past + new.dose(at_ms + local_ms, end_ms + local_ms)


def _window_ends(r: Record, at_ms: int, new: Program, local_ms: int) -> set[int]:
    # The sum is piecewise linear in where the window ends: largest where one of its ends meets a change of rate.
    old = {bend + DAY_MS for stretch in r.stretches for bend in stretch.bends_ms(at_ms - DAY_MS, at_ms)}
    ahead = bends_ms(new, local_ms, at_ms, at_ms + DAY_MS)
    return {at_ms, at_ms + DAY_MS, *(end for end in [*old, *ahead] if at_ms <= end <= at_ms + DAY_MS)}
