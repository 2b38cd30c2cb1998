"""What can be said of a prescription without a pump: the oracle's verdict on the file, and what the caps allow.

Without a `[patient]` only what holds for everybody is judged, with the widest daily maximum. With one, the program is judged as
that patient's first (the start cap), or, if the file says what runs, as the next step at the earliest moment that allows one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timezone
from math import ceil
from typing import Any

from hil.oracle import label, rules
from hil.oracle.program import DAY_MS, Program, flat_lines
from hil.oracle.record import Basal, Clock, Course, InForce, Record, Refill, Site, Supplies, Trial, years
from hil.oracle.record import Patient as Person
from hil.oracle.verdict import first
from hil.prescription_file import Patient, Prescription
from hil.program_send import mcg
from hil.second_opinion import oracle_program

NOW_MS = 100 * DAY_MS
NO_CAP_NG = 10**12  # a screening dose that caps nothing, where the file does not say it
ANYBODY = Patient("spinal", date(1980, 1, 1), None, "unknown", None, "")

# code -> what it says of this program
SENTENCES = {
    "STATE": "a drug holiday begins in titration or maintenance, label 2.6; with a [patient] give running and phase",
    "AGE": f"under {label.MIN_AGE} years of age, label 1 and 8.4",
    "CONCENTRATION": "{conc} mcg/mL is outside 51 to 2000, label 2.3 and 3",
    "START_FLAT": "the first program is flat, complex schedules come later, label 2.4",
    "DAILY_MAX": "{daily} over {most} mcg/day, the most for this patient, label 2.6",
    "HOUR_MAX": "a segment is above 200 % of its day's mean rate",
    "HOUR_MIN": "a segment is below 50 % of its day's mean rate, or a day has no dose",
    "START_CAP": "{daily} over {most} mcg/day, from the screening dose, label 2.5",
    "HOLIDAY": "no taper over 14 to 28 days with each day at least 80 % of the day before, label 2.6",
}
# STEP_CAP comes from one of three rules, told apart by the figure that it gives
STEPS = {
    "most": "{daily} over {most} mcg/day, one increase, label 2.5 and 2.6",
    "least": "{daily} mcg/day, low {low}, under {least}: one reduction is at most 20 %, label 2.6",
    "limit": "24 h across the change hold more than {limit} mcg",
}


@dataclass(frozen=True)
class Judged:
    """The oracle's word on a file."""

    code: str
    sentence: str
    confirm: tuple[str, ...]
    notes: tuple[str, ...]
    given: str  # what it was judged as


def judge(prescription: Prescription, today: date) -> Judged:
    program = oracle_program(prescription.program)
    record = _record(prescription, program, today)
    found = rules.judge(record, NOW_MS, program, attended=True, reason="")
    refusal, given = first(found.refusals), _given(prescription)
    if refusal:
        return Judged(refusal[0], _sentence(*refusal, program), rules.confirmations(program), (), given)
    return Judged("OK", "", found.asked, rules.notes(record, NOW_MS, program), given)


def _sentence(code: str, figures: Mapping[str, Any], program: Program) -> str:
    shape = SENTENCES.get(code) or next((text for name, text in STEPS.items() if name in figures), "")
    doses = {"daily": mcg(ceil(program.daily_ng)), "low": mcg(int(program.low_ng))}
    return shape.format(**doses, conc=program.conc, **{name: mcg(figures[name]) for name in STEPS if name in figures})


def _given(prescription: Prescription) -> str:
    patient = prescription.patient
    if patient is None:
        return "no [patient]: only what holds for everybody, with the widest daily maximum (spinal)"
    if patient.running_ng:
        return f"after {mcg(patient.running_ng)} mcg/day, in {patient.phase}, no change in the last 24 h" + (
            ", within 24 h of a refill" if patient.phase == "maintenance" else ""
        )
    return "as the first program" + ("" if patient.screen_ng else "; without patient.screen its start cap is not judged")


def _record(prescription: Prescription, program: Program, today: date) -> Record:
    """The most permissive history that fits the file: what is refused here is refused by every pump."""
    patient = prescription.patient or ANYBODY
    last = Program.parse(flat_lines("running", program.conc, patient.running_ng)) if patient.running_ng else None
    unix_s = int(datetime(today.year, today.month, today.day, tzinfo=timezone.utc).timestamp())
    effect_long = {"long": True, "short": False}.get(patient.effect)
    return Record(
        patient=Person(patient.population, patient.birth),
        phase=patient.phase or ("screened" if prescription.patient else "titration"),
        trial=Trial(screen_ng=patient.screen_ng or NO_CAP_NG, effect_long=effect_long),
        course=Course(committed=last, last_run=last, in_force=(InForce(None, None, last),) if last else ()),
        basal=Basal(ran=last is not None, since_ms=0 if last else None),
        clock=Clock(unix_s * 1000 - NOW_MS),
        supplies=Supplies(conc=program.conc, fluid="drug", refills=(Refill(NOW_MS, Site().capacity_nl),)),
    )


# ---- caps of a patient


def caps(patient: Patient, today: date) -> Iterator[str]:
    """What the rules allow this patient, in mcg/day."""
    age = years(patient.birth, today)
    yield f"{patient.population}, {age} years: at most {mcg(label.daily_max_ng(patient.population, age))} mcg/day in all"
    if age < label.MIN_AGE:
        yield f"  under {label.MIN_AGE} years: no program is accepted (AGE)"
    if patient.screen_ng and not patient.running_ng:
        factor = label.START_FACTOR if patient.effect == "short" else label.START_FACTOR_LONG
        yield f"  first program: at most {mcg(factor * patient.screen_ng)} mcg/day ({factor} x the screening dose, effect {patient.effect})"
    if patient.running_ng:
        figures = label.FIGURES[patient.population]
        percent = figures.maintenance if patient.phase == "maintenance" else figures.titration
        most = min(patient.running_ng * (100 + percent) // 100, label.daily_max_ng(patient.population, age))
        least = -(-patient.running_ng * (100 - label.DECREASE_PERCENT) // 100)
        yield f"  next step from {mcg(patient.running_ng)} mcg/day: at most {mcg(most)} (+{percent} %), at least {mcg(least)} (-20 %)"
        yield "  one increase in any 24 h" + (", and only within 24 h of a refill" if patient.phase == "maintenance" else "")
