"""The advisory CATHETER_SUSPECT: sudden escalation suggests a catheter complication (R-MNT-4).

It comes on and stays until somebody acknowledges. Readings:
- (a) +50 % is measured at any program that takes force in maintenance, against the lowest daily dose in force in maintenance in the last 30
  days of 24 h; a dose that was replaced exactly 30 days ago is not counted any more. A taper leaves maintenance, so it is not measured.
  Entering maintenance puts no program in force: its dose counts from there on, as do those of an earlier maintenance; nothing is raised.
- (b) Every refusal with STEP_CAP of a commit above the program last run counts, whichever rule gave it; refusals of RUN do not.
- (c) A response, adequate or not, ends the count, nothing else does; every increase from the third on raises the advisory. The phase
  before it counts: neither a dose above the day's that breaks a holiday off nor the restart after its zero is one.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from . import label
from .record import Advice, Maintained

if TYPE_CHECKING:
    from .program import Ng

SUSPECT = "CATHETER_SUSPECT"


def raised(advice: Advice) -> Advice:
    """The advisory is on."""
    return replace(advice, raised=advice.raised | {SUSPECT})


def increase_refused(advice: Advice, at_ms: int) -> Advice:
    """(b) The commit of an increase was refused by STEP_CAP."""
    again = advice.refused_ms is not None and at_ms - advice.refused_ms < label.REFUSALS_MS
    return replace(raised(advice) if again else advice, refused_ms=at_ms)


def titrated(advice: Advice) -> Advice:
    """(c) An increase took force in titration."""
    advice = replace(advice, unanswered=advice.unanswered + 1)
    return raised(advice) if advice.unanswered >= label.UNANSWERED else advice


def answered(advice: Advice) -> Advice:
    """A clinical response was recorded."""
    return replace(advice, unanswered=0)


def maintained(advice: Advice, at_ms: int, daily: Ng) -> Advice:
    """(a) A program takes force in maintenance."""
    noted = entered(advice, at_ms, daily)
    escalated = any(100 * daily >= label.ESCALATION_PERCENT * one.daily for one in noted.maintained)
    return raised(noted) if escalated else noted


def entered(advice: Advice, at_ms: int, daily: Ng) -> Advice:
    """A dose is in force in maintenance from here on."""
    kept = [one for one in advice.maintained if one.to_ms is None or one.to_ms > at_ms - label.ESCALATION_MS]
    return replace(advice, maintained=(*_ended(kept, at_ms), Maintained(daily)))


def left(advice: Advice, at_ms: int) -> Advice:
    """Maintenance was left."""
    return replace(advice, maintained=_ended(advice.maintained, at_ms))


def _ended(doses: list[Maintained] | tuple[Maintained, ...], at_ms: int) -> tuple[Maintained, ...]:
    return tuple(replace(one, to_ms=at_ms) if one.to_ms is None else one for one in doses)
