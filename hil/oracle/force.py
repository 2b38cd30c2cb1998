"""How a program takes force, and how the basal starts and stops: the changes of the record that all orders share.

Readings:
- R-TIT-3 "dated by its first step": where first steps are told, an increase takes force with its own and not with its commit or RUN; until
  then it is delivered, but neither the program last run nor in force (R-TIT-4). What is no increase takes force at once, as all else does
  where they are not told.
- R-WDR-1: an interruption gives the right to return when delivery resumes, also by itself after a power loss; the program that was in
  force counts. None after a new trial, which ended its force, nor in a holiday, whose doses fall on purpose. Any increase that takes force
  uses it up.
- R-HOL-1: the restart after a zero dates an increase and uses the right to return up, but has no dose before it to go back to.
- The dose a therapy "began with" is that of the first program that took force after the last positive trial.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from . import advice
from .program import DAY_MS, Program
from .record import Advice, Course, InForce, Record, Stretch

if TYPE_CHECKING:
    from .program import Ng


def same(a: Program | None, b: Program | None) -> bool:
    """Whether two programs are one."""
    return a is not None and b is not None and (a is b or a.lines == b.lines)


def waiting(r: Record) -> Program | None:
    """A committed program that has not taken force yet, or not since a new trial or since its taper was left."""
    in_force = any(one.to_ms is None for one in r.course.in_force) and r.course.left_ms is None
    return None if in_force and same(r.course.committed, r.last_run) else r.course.committed


def rising(r: Record, at_ms: int) -> bool:
    """Whether a committed increase waits: for RUN, or for its first step."""
    program, base = waiting(r), r.doses(at_ms)
    return program is not None and base is not None and program.daily_ng > base.daily


def started(r: Record, at_ms: int) -> Record:
    """Basal from here on, by an order or by itself."""
    r = replace(r, course=replace(r.course, return_to=_right(r, at_ms)))
    if r.interrupted(at_ms):
        r = replace(r, basal=replace(r.basal, before_ms=0))
    if r.phase == "screened":
        r = replace(r, phase="first", basal=replace(r.basal, before_ms=0))
    r = replace(r, basal=replace(r.basal, ran=True, since_ms=at_ms, stopped_ms=None))
    return flows(r, at_ms)


def stopped(r: Record, at_ms: int) -> Record:
    """No basal from here on."""
    basal = replace(r.basal, before_ms=r.running_for_ms(at_ms), since_ms=None, stopped_ms=at_ms)
    return _close_stretch(replace(r, basal=basal), at_ms)


def flows(r: Record, at_ms: int) -> Record:
    """The committed program is delivered from here on. It takes force at once, but an increase whose first step is told with that."""
    program, pending = waiting(r), r.steps_told and rising(r, at_ms)
    if program is not None and r.phase == "holiday" and not program.taper:
        r = replace(r, phase="titration", course=replace(r.course, left_ms=at_ms))
    return reopened(r if pending else take_force(r, at_ms), at_ms)


def take_force(r: Record, at_ms: int) -> Record:
    """The committed program is the one last run from here."""
    program, old = waiting(r), r.doses(at_ms)
    if program is None:
        return r
    restart, increase = r.over(at_ms), rising(r, at_ms)
    if old is None or all(one.to_ms is not None for one in r.course.in_force):
        r = replace(r, course=replace(r.course, started=program.daily_ng))
    if restart:
        r = replace(r, basal=replace(r.basal, before_ms=0, since_ms=at_ms), course=replace(r.course, restarted=True))
    if increase:
        r = _increased(r, at_ms, restart)
    elif old is not None and r.course.reason == "OVERDOSE" and program.daily_ng < old.daily:
        r = replace(r, course=replace(r.course, return_to=max(r.return_to(at_ms), old.daily)))
    r = replace(r, phase="holiday" if program.taper else r.phase, advice=_advised(r, at_ms, program, increase))
    return put_in_force(r, at_ms, program)


def put_in_force(r: Record, at_ms: int, program: Program) -> Record:
    """A program is the one last run, whatever the steps say."""
    course = replace(
        r.course,
        last_run=program,
        in_force=(*ended(r.course, at_ms), InForce(at_ms, None, program)),
        holiday_ms=at_ms if program.taper else None,
        left_ms=None,
        return_to=0 if program.taper else r.course.return_to,
    )
    return replace(r, course=course)


def ended(course: Course, at_ms: int) -> tuple[InForce, ...]:
    """What was in force until now, as far as it reaches into the last 24 h."""
    kept = [one for one in course.in_force if one.to_ms is None or one.to_ms > at_ms - DAY_MS]
    return tuple(replace(one, to_ms=at_ms, left_ms=course.left_ms) if one.to_ms is None else one for one in kept)


def held(r: Record, at_ms: int, low: bool) -> Record:
    """R-PRF-4 holds the rate at the lowest from here on, or no longer. When, the pump says: it looks at it every so often."""
    return reopened(replace(r, basal=replace(r.basal, held_low=low)), at_ms)


def reopened(r: Record, at_ms: int) -> Record:
    """Another program, or another clock, while running."""
    return _open_stretch(_close_stretch(r, at_ms), at_ms) if r.running else r


def _right(r: Record, at_ms: int) -> Ng:
    """The right to return once delivery resumes."""
    old, right = r.doses(at_ms), r.return_to(at_ms)
    if old is None or not r.interrupted(at_ms) or r.long_idle(at_ms) or r.phase in ("screened", "holiday"):
        return right
    return max(right, old.daily)


def _increased(r: Record, at_ms: int, restart: bool) -> Record:
    """An increase takes force: dated, its licence used, the right to return used up."""
    licence_ms = None if r.course.by_return else r.course.licence_ms
    before = None if restart else r.doses(at_ms)
    r = replace(r, course=replace(r.course, last_increase_ms=at_ms, before=before, return_to=0))
    return r if licence_ms is None else replace(r, supplies=replace(r.supplies, licensed_ms=licence_ms))


def _advised(r: Record, at_ms: int, program: Program, increase: bool) -> Advice:
    """R-MNT-4 (a) and (c)."""
    found = r.advice
    if r.phase == "maintenance":
        return advice.left(found, at_ms) if program.taper else advice.maintained(found, at_ms, program.daily_ng)
    taper = r.last_run is not None and r.last_run.taper  # it was a holiday until now
    return advice.titrated(found) if increase and r.phase == "titration" and not taper else found


def _open_stretch(r: Record, at_ms: int) -> Record:
    program = r.course.committed
    if program is None:
        return r
    local_ms = -(r.course.holiday_ms or 0) if program.taper else None if r.basal.held_low else r.clock.local_ms
    kept = tuple(s for s in r.basal.stretches if s.to_ms is None or s.to_ms > at_ms - DAY_MS)
    return replace(r, basal=replace(r.basal, stretches=(*kept, Stretch(at_ms, None, program, local_ms))))


def _close_stretch(r: Record, at_ms: int) -> Record:
    stretches = r.basal.stretches
    if not stretches or stretches[-1].to_ms is not None:
        return r
    return replace(r, basal=replace(r.basal, stretches=(*stretches[:-1], replace(stretches[-1], to_ms=at_ms))))
