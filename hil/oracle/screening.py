"""The record of the patient and the screening trial (R-POP-1, R-SCR-1..5).

Readings:
- THER:RECORD and SCREEN:RESPONSE carry no date of sending: STATE comes before CLOCK_LOST.
- R-POP-1: an injury is a year old on its date of the next year. A record may be made anew as long as nothing was given.
- R-SCR-1: before a pediatric trial's first dose the next one is called 50 mcg, though 25 is accepted too.
- R-SCR-3: the 24 h run from the start of any dose, also one that was cut off or belongs to a former trial.
- R-SCR-4: the dose of an imported trial ended at the import at the latest.
- A screening dose is no bolus of R-BOL-2. Under 4 years is asked at each, as at each commit; not at a RUN that goes on with what ran.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING

from . import label
from .record import Patient, Record, ScreenDose, Trial, years
from .verdict import Refusal

if TYPE_CHECKING:
    from .rules import Order

TRYING = ("none", "screening")


# The record


def record_state(r: Record) -> Iterator[Refusal]:
    """Only before anything was given."""
    fresh = r.phase == "none" or (r.phase == "screening" and r.trial.last is None)
    if not fresh or r.basal.ran or r.last_run is not None:
        yield "STATE", {}


def ages(patient: Patient, today: date) -> Iterator[Refusal]:
    """Population and age must fit, and nobody is under 4."""
    age = years(patient.birth, today)
    if age < label.MIN_AGE or (patient.population == "pediatric") != (age < label.ADULT_AGE):
        yield "AGE", {}


def injury(patient: Patient, today: date, order: Order) -> Iterator[Refusal]:
    """A brain injury of less than a year ago is asked about."""
    if patient.injury is not None and years(patient.injury, today) < 1:
        yield from order.unconfirmed(("CONFIRM_INJURY",))


# A dose


def next_mcg(r: Record) -> tuple[int, ...]:
    """Which dose may come next, the usual one first; none while a response is due or after the last."""
    last = r.trial.last
    if last is None:
        return label.SCREEN_FIRST_MCG.get(r.patient.population, ())
    if last.outcome in ("PARTIAL", "UNCERTAIN"):
        return (last.mcg,)
    if last.response == "inadequate":
        return label.SCREEN_DOSES_MCG[label.SCREEN_DOSES_MCG.index(last.mcg) + 1 :][:1]
    return ()


def dose_refusals(r: Record, at_ms: int, mcg: int, order: Order) -> Iterator[Refusal]:
    """What refuses a dose besides its path, clock and fluid."""
    due, since_ms = next_mcg(r), None if r.trial.last_start_ms is None else at_ms - r.trial.last_start_ms
    checks = (
        ("STATE", r.running or not r.patient.population or r.phase not in TRYING),
        ("UNCALIBRATED", not r.supplies.calibrated),
        ("PORT_OPEN", r.boluses.port_reads_open),
        ("UNATTENDED", not order.attended),
        ("AGE", bool(r.patient.population) and r.clock.unix_ms is not None and r.age(at_ms) < label.MIN_AGE),
        ("BRIDGING", r.line.bridging),
        ("ALARM_ACTIVE", r.boluses.high_alarm),
    )
    yield from ((code, {}) for code, applies in checks if applies)
    if mcg not in due:
        yield "SCREEN_DOSE", {"next": due[0] if due else None}
    if r.supplies.conc != label.SCREEN_CONC:
        yield "CONCENTRATION", {"want": label.SCREEN_CONC}
    if since_ms is not None and since_ms < label.SCREEN_GAP_MS:
        yield "TOO_SOON", {"wait": label.SCREEN_GAP_MS - since_ms}


def given(r: Record, at_ms: int, mcg: int) -> Record:
    """A dose starts."""
    trial = replace(r.trial, last=ScreenDose(mcg, at_ms), last_start_ms=at_ms)
    return replace(r, phase="screening", trial=trial, boluses=replace(r.boluses, moving="screen"))


def ended(r: Record, at_ms: int, outcome: str) -> Record:
    """The dose that moves ends."""
    last = r.trial.last and replace(r.trial.last, end_ms=at_ms, outcome=outcome)
    return replace(r, trial=replace(r.trial, last=last), boluses=replace(r.boluses, moving=""))


# Its response


def response_refusals(r: Record, at_ms: int, result: str | None, effect: str | None) -> Iterator[Refusal]:
    """SCREEN:RESPONSE: each field in its time."""
    last = r.trial.last
    answerable = last is not None and last.outcome == "DONE" and not last.response
    if result and (r.phase != "screening" or not answerable):
        yield "STATE", {}
    if effect and result != "positive" and (result or r.phase != "screened" or r.trial.effect_long is not None):
        yield "STATE", {}
    end_ms = last.end_ms if last else r.trial.imported_ms
    if result == "inadequate" and end_ms is not None and at_ms - end_ms < label.INADEQUATE_MS:
        yield "TOO_SOON", {"wait": end_ms + label.INADEQUATE_MS - at_ms}
    if effect and end_ms is not None and at_ms - end_ms < label.EFFECT_MS:
        yield "TOO_SOON", {"wait": end_ms + label.EFFECT_MS - at_ms}


def responded(r: Record, result: str | None, effect: str | None) -> Record:
    """The response is on record."""
    trial, phase = r.trial, r.phase
    if result and trial.last:
        mcg = trial.last.mcg
        trial = replace(trial, last=replace(trial.last, response=result))
        if result == "positive":
            trial, phase = replace(trial, screen_ng=mcg * label.MCG), "screened"
        elif mcg == label.SCREEN_DOSES_MCG[-1]:
            phase = "not_candidate"
    if effect:
        trial = replace(trial, effect_long=effect == "long")
    return replace(r, trial=trial, phase=phase)


def new_trial(r: Record) -> Trial:
    """Nothing given in it, but the 24 h of the last dose go on."""
    return Trial(last_start_ms=r.trial.last_start_ms)
