"""Refills and boluses (R-FIL-*, R-CON-*, R-BOL-*).

Readings:
- R-CAL-2: drug and test fluid never mix: drug is withdrawn before test fluid comes, and after test fluid an EMPTY is on record before drug
  comes. Test fluid is no drug of any concentration, so it is BRIDGING too while a bridge is on.
- R-FIL-2: the drug is good on its expiry date, past it the day after.
- R-CON-1: exactly 50 mcg/mL is taken in phases none and screening.
- R-FIL-4: the observation starts when a refill or a commit is accepted.
- R-BOL-1: a bolus has exactly the volume the program allows; another is BOLUS_OFF. The lockout runs from start to start.
- R-BOL-2: boluses of the last 24 h, counted from their starts, and a window of the present program's high dose stay within its
  daily dose. WINDOW_MAX names the room that is left and the time until this bolus fits (None if it never does).
- R-BOL-3, R-CAP-2: while the port reads open it is PORT_OPEN; closed but not yet acknowledged it is ALARM_ACTIVE.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from . import label, line
from .program import DAY_MS, HOUR_MS, Program
from .record import Booked, Record, Refill
from .verdict import Refusal, floor_ng

if TYPE_CHECKING:
    from .rules import Order


# Refills


@dataclass(frozen=True)
class Filling:
    """What a refill brings, and what it found."""

    volume_nl: int
    conc: int
    expiry: date
    remaining_nl: int
    fluid: str = "drug"
    drug: str = "baclofen"


def refill_refusals(r: Record, at_ms: int, new: Filling, order: Order) -> Iterator[Refusal]:
    """What refuses a refill besides its path and clock."""
    unlike = r.supplies.fluid not in ("none", new.fluid) and not r.supplies.emptied
    if unlike and (new.fluid == "drug" or new.remaining_nl):
        yield "TEST_FLUID", {}
    if not order.attended:
        yield "UNATTENDED", {}
    if new.fluid == "drug":
        yield from _drug(r, at_ms, new)
    other = r.supplies.conc is not None and new.conc != r.supplies.conc
    if other and new.remaining_nl > r.site.residual_nl:
        yield "RESIDUAL", {"most": r.site.residual_nl}
    if new.remaining_nl + new.volume_nl > r.site.capacity_nl:
        yield "CAPACITY", {"most": r.site.capacity_nl - new.remaining_nl}
    if r.line.bridging and (other or new.fluid != "drug"):
        yield "BRIDGING", {}


def _drug(r: Record, at_ms: int, new: Filling) -> Iterator[Refusal]:
    if new.drug != "baclofen":
        yield "COMPOUNDED", {}
    screening = new.conc == label.SCREEN_CONC and r.phase in ("none", "screening")
    if r.running and r.course.committed and new.conc != r.course.committed.conc:
        yield "CONCENTRATION", {"want": r.course.committed.conc}
    elif not screening and not label.CONC_MIN <= new.conc <= label.CONC_MAX:
        yield "CONCENTRATION", {}
    if r.clock.unix_ms is not None and r.clock.today(at_ms) > new.expiry:
        yield "EXPIRED", {}


def refilled(r: Record, at_ms: int, new: Filling) -> Record:
    """The refill is on record."""
    if new.fluid == "drug":
        kept = (one for one in r.supplies.refills if at_ms - one.at_ms <= label.LICENCE_MS)
        r = replace(r, line=line.refilled(r, new.conc), supplies=replace(r.supplies, refills=(*kept, Refill(at_ms, new.volume_nl))))
    return replace(r, supplies=replace(r.supplies, conc=new.conc, fluid=new.fluid, expiry=new.expiry, emptied=False))


def observed(r: Record, at_ms: int, hours: int) -> Record:
    """R-FIL-4: an observation of so many hours starts; a later end holds."""
    until_ms = max(r.supplies.observe_until_ms, at_ms + hours * HOUR_MS)
    return replace(r, supplies=replace(r.supplies, observe_until_ms=until_ms))


def discrepancy(expected_nl: int, withdrawn_nl: int, delivered_nl: int) -> tuple[str, ...]:
    """R-FIL-2: a note on what was withdrawn."""
    off_nl = abs(withdrawn_nl - expected_nl)
    large = off_nl > label.DISCREPANCY_NL and off_nl * 1000 > label.DISCREPANCY_PERMILLE * delivered_nl
    return ("REFILL_DISCREPANCY",) if large else ()


# Boluses


def bolus_state(r: Record) -> Iterator[Refusal]:
    """What the pump's state says of any bolus."""
    checks = (
        ("STATE", not r.running),
        ("UNCALIBRATED", not r.supplies.calibrated),
        ("PORT_OPEN", r.boluses.port_reads_open),
        ("BRIDGING", r.line.bridging),
        ("ALARM_ACTIVE", r.boluses.high_alarm),
        ("UNCERTAIN", r.boluses.uncertain),
    )
    yield from ((code, {}) for code, applies in checks if applies)


def bolus_limits(r: Record, at_ms: int, volume_nl: int) -> Iterator[Refusal]:
    """What the program says of this one."""
    program = r.course.committed
    if program is None or program.bolus is None or volume_nl != program.bolus.volume_nl:
        yield "BOLUS_OFF", {}
        return
    booked = r.boluses.booked
    since_ms = at_ms - booked[-1].start_ms if booked else None
    if since_ms is not None and since_ms < program.bolus.lockout_s * 1000:
        yield "LOCKOUT", {"wait": program.bolus.lockout_s * 1000 - since_ms}
    recent = [one for one in booked if at_ms - one.start_ms < DAY_MS]
    room = program.bolus.allowance_ng - sum(one.ng for one in recent)
    ng = bolus_ng(program, volume_nl)
    if ng > room:
        yield "WINDOW_MAX", _window(recent, at_ms, ng, room)


def bolus_ng(program: Program, volume_nl: int) -> Fraction:
    """Dose of a volume of the program's drug."""
    return Fraction(volume_nl * program.conc, 1000)


def _window(recent: list[Booked], at_ms: int, ng: Fraction, room: Fraction | int) -> dict[str, Any]:
    """The room, and when boluses that leave the 24 h have made enough."""
    figures: dict[str, Any] = {"most": max(0, floor_ng(room)), "wait": None}
    for one in recent:
        room += one.ng
        if ng <= room:
            figures["wait"] = one.start_ms + DAY_MS - at_ms
            break
    return figures


def bolus_started(r: Record, at_ms: int, volume_nl: int) -> Record:
    """Its intent reserves its dose. The last one is kept for the lockout, however old."""
    booked = r.boluses.booked
    kept = tuple(one for one in booked if at_ms - one.start_ms < DAY_MS or one is booked[-1])
    ng = bolus_ng(r.course.committed, volume_nl) if r.course.committed else Fraction(0)
    return replace(r, boluses=replace(r.boluses, booked=(*kept, Booked(at_ms, ng)), moving="bolus"))


def bolus_ended(r: Record, outcome: str, delivered_nl: int) -> Record:
    """DONE, PARTIAL with what was delivered, or UNCERTAIN, which counts whole until somebody acknowledges."""
    booked = r.boluses.booked
    if outcome == "PARTIAL" and r.course.committed:
        booked = (*booked[:-1], replace(booked[-1], ng=bolus_ng(r.course.committed, delivered_nl)))
    uncertain = r.boluses.uncertain or outcome == "UNCERTAIN"
    return replace(r, boluses=replace(r.boluses, booked=booked, moving="", uncertain=uncertain))
