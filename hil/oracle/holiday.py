"""The drug holiday: a taper to zero, by days of 24 h from its start, whatever the clock shows (R-HOL-1).

Readings:
- The start is when the taper comes into force while running; time stopped or without power counts, an outage of unknown length is zero.
- Broken off by command, the flat program of the day's dose is in force at once, also while stopped; what was committed and waited for RUN
  is replaced by it. Being a change of program, it starts the observation timer. It is neither an increase nor a decrease.
- An interruption in a holiday gives no right to return (R-WDR-1); an OVERDOSE decrease that breaks it off does, to the day's dose.
- A new trial breaks a holiday off as well; after the zero it leaves nothing that a step could be measured from.
- A taper that is broken off or over is not taken up again: RUN of it is STATE.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from . import label
from .program import Program, flat_lines
from .verdict import Refusal

if TYPE_CHECKING:
    from .record import Record


def plan_fits(taper: tuple[int, ...]) -> bool:
    """14 to 28 days, each above zero, none above the day before and none below 80 % of it, save the last."""
    least, most = label.TAPER_DAYS
    falls = all(day <= before for before, day in zip(taper, taper[1:]))
    gently = all(100 * day >= label.TAPER_KEPT_PERCENT * before for before, day in zip(taper, taper[1:-1]))
    return least <= len(taper) <= most and all(taper) and falls and gently


def refusals(r: Record, new: Program) -> Iterator[Refusal]:
    """A taper's plan, and when one may begin."""
    if not new.taper:
        return
    if r.phase not in ("titration", "maintenance"):
        yield "STATE", {}
    if not plan_fits(new.taper):
        yield "HOLIDAY", {}


def resumes(r: Record, at_ms: int) -> bool:
    """Whether RUN may go on with a taper that was stopped."""
    return r.phase == "holiday" and not r.over(at_ms)


def day_program(r: Record, at_ms: int) -> Program | None:
    """The flat program of the present day's dose; None after the zero."""
    doses, taper = r.doses(at_ms), r.last_run
    if doses is None or taper is None or not doses.daily:
        return None
    return Program.parse(flat_lines(taper.name, taper.conc, int(doses.daily)))


def forgotten(r: Record, at_ms: int) -> Record:
    """A new trial: of a taper last run, only the day's dose stays to measure from."""
    if r.last_run is None or not r.last_run.taper:
        return r
    return replace(r, course=replace(r.course, last_run=day_program(r, at_ms), holiday_ms=None, left_ms=None))


def shown(r: Record, at_ms: int) -> str:
    """As the status says it: the day of how many, `over` after the zero, else `none`."""
    if r.phase != "holiday" or r.last_run is None:
        return "none"
    return "over" if r.over(at_ms) else f"{r.holiday_day(at_ms) + 1}/{len(r.last_run.taper)}"
