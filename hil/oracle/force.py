"""How a program takes force, and how the basal starts and stops: the changes of the record that all orders share.

Readings:
- R-TIT-3 "dated by its first step": a program is dated when it comes into force while running, unless `Therapy.first_step` says when its
  first step really was. That holds for what was in force until then (R-MNT-2) and for the running time after a holiday (R-INI-2) too.
- R-WDR-1: an interruption gives the right to return when delivery resumes, also by itself after a power loss; the program that was in
  force counts. None after a new trial, which ended its force, nor in a holiday, whose doses fall on purpose. Any increase that takes force
  uses it up.
- R-HOL-1: the restart after a zero dates an increase and uses the right to return up, but has no dose before it to go back to.
- The dose a therapy "began with" is that of its first RUN after the last positive trial.
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
    """A committed program that was not run yet, or not since a new trial."""
    in_force = any(one.to_ms is None for one in r.course.in_force)
    return None if in_force and same(r.course.committed, r.last_run) else r.course.committed


def started(r: Record, at_ms: int) -> Record:
    """Basal from here on, by an order or by itself."""
    r = replace(r, course=replace(r.course, return_to=_right(r, at_ms)))
    if r.interrupted(at_ms):
        r = replace(r, basal=replace(r.basal, before_ms=0))
    r = take_force(r, at_ms)
    if r.phase == "screened" and r.last_run:
        r = replace(r, phase="first", course=replace(r.course, started=r.last_run.daily_ng), basal=replace(r.basal, before_ms=0))
    return _open_stretch(replace(r, basal=replace(r.basal, ran=True, since_ms=at_ms, stopped_ms=None)), at_ms)


def stopped(r: Record, at_ms: int) -> Record:
    """No basal from here on."""
    basal = replace(r.basal, before_ms=r.running_for_ms(at_ms), since_ms=None, stopped_ms=at_ms)
    return _close_stretch(replace(r, basal=basal), at_ms)


def take_force(r: Record, at_ms: int) -> Record:
    """The committed program is the one last run from here."""
    program, old = waiting(r), r.doses(at_ms)
    if program is None:
        return r
    restart = r.over(at_ms)
    increase = old is not None and program.daily_ng > old.daily
    if restart:
        since_ms = at_ms if r.running else None
        r = replace(r, basal=replace(r.basal, before_ms=0, since_ms=since_ms), course=replace(r.course, restarted=True))
    if increase:
        r = _increased(r, at_ms, restart)
    elif old is not None and r.course.reason == "OVERDOSE" and program.daily_ng < old.daily:
        r = replace(r, course=replace(r.course, return_to=max(r.return_to(at_ms), old.daily)))
    noted = _advised(r, at_ms, program, increase and not restart)
    return put_in_force(replace(r, phase=_phase(r, program), advice=noted), at_ms, program)


def put_in_force(r: Record, at_ms: int, program: Program) -> Record:
    """A program is the one last run, whatever the steps say."""
    course = replace(
        r.course,
        last_run=program,
        in_force=(*ended(r.course, at_ms), InForce(at_ms, None, program)),
        holiday_ms=at_ms if program.taper else None,
        return_to=0 if program.taper else r.course.return_to,
    )
    return reopened(replace(r, course=course), at_ms)


def dated(r: Record, at_ms: int) -> Record:
    """What took force last did so now, with its first step."""
    *older, newest = r.course.in_force
    since_ms = newest.from_ms
    if newest.program.taper or since_ms is None:
        return r
    old = older[-1] if older and older[-1].to_ms == since_ms else None
    if old:
        older[-1] = replace(old, to_ms=at_ms)
    course = replace(r.course, in_force=(*older, replace(newest, from_ms=at_ms)))
    if r.course.last_increase_ms == since_ms and (old is None or newest.program.daily_ng > _daily(old, since_ms)):
        course = replace(course, last_increase_ms=at_ms)
    restart = old is not None and old.program.taper and not _daily(old, since_ms)
    basal = replace(r.basal, since_ms=at_ms) if restart else r.basal
    return replace(r, course=course, basal=basal, advice=advice.dated(r.advice, since_ms, at_ms))


def _daily(one: InForce, at_ms: int) -> Ng:
    """The dose last in force of it; of a taper that is over none."""
    if not one.program.taper:
        return one.program.daily_ng
    day = (at_ms - (one.from_ms or 0)) // DAY_MS
    return one.program.taper[day] if day < len(one.program.taper) else 0


def ended(course: Course, at_ms: int) -> tuple[InForce, ...]:
    """What was in force until now, as far as it reaches into the last 24 h."""
    kept = [one for one in course.in_force if one.to_ms is None or one.to_ms > at_ms - DAY_MS]
    return tuple(replace(one, to_ms=at_ms) if one.to_ms is None else one for one in kept)


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
    licence = r.licence(at_ms) if r.phase == "maintenance" and not r.course.by_return else None
    before = None if restart else r.doses(at_ms)
    r = replace(r, course=replace(r.course, last_increase_ms=at_ms, before=before, return_to=0))
    return replace(r, supplies=replace(r.supplies, licensed_ms=licence.at_ms)) if licence else r


def _phase(r: Record, program: Program) -> str:
    """A taper begins a holiday; another program ends one."""
    if program.taper:
        return "holiday"
    return "titration" if r.phase == "holiday" else r.phase


def _advised(r: Record, at_ms: int, program: Program, increase: bool) -> Advice:
    """R-MNT-4 (a) and (c)."""
    found = r.advice
    if r.phase == "maintenance":
        return advice.left(found, at_ms) if program.taper else advice.maintained(found, at_ms, program.daily_ng)
    return advice.titrated(found) if increase and r.phase == "titration" else found


def _open_stretch(r: Record, at_ms: int) -> Record:
    program = r.last_run
    if program is None:
        return r
    local_ms = -(r.course.holiday_ms or 0) if program.taper else r.clock.local_ms
    kept = tuple(s for s in r.basal.stretches if s.to_ms is None or s.to_ms > at_ms - DAY_MS)
    return replace(r, basal=replace(r.basal, stretches=(*kept, Stretch(at_ms, None, program, local_ms))))


def _close_stretch(r: Record, at_ms: int) -> Record:
    stretches = r.basal.stretches
    if not stretches or stretches[-1].to_ms is not None:
        return r
    return replace(r, basal=replace(r.basal, stretches=(*stretches[:-1], replace(stretches[-1], to_ms=at_ms))))
