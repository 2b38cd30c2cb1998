"""How a therapy begins on this pump, or goes on: what a take-over and a RUN ask.

Readings:
- R-COM-1: what is taken over must keep the absolute limits; no step or start is judged.
- R-TIT-4: what was committed while stopped is judged again by RUN; whether it is a return, and which refill licenses it, is what the
  judgement says that puts it in force.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from . import force, holiday, rules, screening
from .verdict import Refusal

if TYPE_CHECKING:
    from .record import Record
    from .rules import Order


def import_once(r: Record) -> list[Refusal]:
    """Only on an empty journal, before the first RUN."""
    if r.patient.population or r.basal.ran or r.supplies.fluid != "none":
        return [("STATE", {})]
    return []


def import_limits(r: Record, at_ms: int, volume_nl: int, order: Order) -> list[Refusal]:
    """Who, what is in the reservoir, and the limits of the label."""
    if r.clock.unix_ms is None:
        return [("CLOCK_LOST", {})]
    today = r.clock.today(at_ms)
    found = [*screening.ages(r.patient, today), *screening.injury(r.patient, today, order)]
    if r.supplies.expiry and today > r.supplies.expiry:
        found.append(("EXPIRED", {}))
    if volume_nl > r.site.capacity_nl:
        found.append(("CAPACITY", {"most": r.site.capacity_nl}))
    if r.last_run:
        found += [*rules.concentration(r, r.last_run), *rules.absolute(r, at_ms, r.last_run)]
    return found


def run_state(r: Record, at_ms: int) -> list[Refusal]:
    """Whether RUN is possible at all now."""
    found: list[Refusal] = [("STATE", {})] if r.running else []
    if not r.basal.ran and not r.supplies.calibrated:
        found.append(("UNCALIBRATED", {}))
    if r.phase in rules.UNTREATED:
        return [*found, ("NOT_SCREENED", {})]
    committed = r.course.committed
    finished = committed is not None and committed.taper and force.waiting(r) is None and not holiday.resumes(r, at_ms)
    return [*found, ("STATE", {})] if committed is None or finished else found


def run_program(r: Record, at_ms: int, order: Order) -> rules.Judgement:
    """The program that RUN would put in force, or go on with."""
    program, committed = force.waiting(r), r.course.committed
    if committed is None or r.phase in rules.UNTREATED:
        return rules.Judgement([])
    if program is None:
        return rules.Judgement(list(rules.again(r, at_ms, committed)))
    return rules.judge(r, at_ms, program, order.attended, r.course.reason or order.reason, r.course.by_return)


def judged(r: Record, at_ms: int, found: rules.Judgement) -> Record:
    """What the judgement that puts a program in force says of it: a return or not, and the refill that licenses an increase."""
    by_return = "CONFIRM_RETURN" in found.asked
    licence = r.licence(at_ms) if r.phase == "maintenance" else None
    reason = "" if by_return else r.course.reason
    return replace(r, course=replace(r.course, reason=reason, by_return=by_return, licence_ms=licence.at_ms if licence else None))
