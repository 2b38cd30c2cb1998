"""What can be said of a prescription without a pump: the oracle's verdict on the file, and what the caps allow.

Without a `[patient]` only what holds for everybody is judged, with the widest daily maximum. With one, the program is judged as
that patient's first (the start cap), or, if the file says what runs, as the next step at the earliest moment that allows one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timezone
from fractions import Fraction
from math import ceil, floor
from typing import Any

from hil.oracle import label, rules
from hil.oracle.program import DAY_MS, Program, flat_lines
from hil.oracle.record import InForce, Record, Refill, Site
from hil.oracle.rules import Order
from hil.oracle.therapy import Therapy
from hil.prescription_file import Patient, Prescription
from hil.program_send import mcg
from hil.second_opinion import oracle_program

NOW_MS = 100 * DAY_MS
NO_CAP_NG = 10**12  # a screening dose that caps nothing, where the file does not say it
ANYBODY = Patient("spinal", date(1980, 1, 1), None, "unknown", None, "")

# code -> what it says of this program; {limit} as the oracle gives it
SENTENCES = {
    "AGE": "under {limit} years of age, label 1 and 8.4",
    "CONCENTRATION": "{conc} mcg/mL is outside 51 to 2000, label 2.3 and 3",
    "START_FLAT": "the first program is flat, complex schedules come later, label 2.4",
    "DAILY_MAX": "{daily} over {limit} mcg/day, the most for this patient, label 2.6",
    "HOUR_MAX": "a segment is above 200 % of its day's mean rate",
    "HOUR_MIN": "a segment is below 50 % of its day's mean rate, or a day has no dose",
    "START_CAP": "{daily} over {limit} mcg/day, from the screening dose, label 2.5",
    "STEP_CAP": "{daily} mcg/day is too large a step; the limit is {limit} mcg, label 2.5 and 2.6",
    "HOLIDAY": "no taper over 14 to 28 days with each day at least 80 % of the day before, label 2.6",
}
IN_NG = ("DAILY_MAX", "START_CAP", "STEP_CAP")


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
    therapy = _therapy(prescription, program, today)
    verdict = therapy.commit(NOW_MS, program, Order(attended=True, confirmed=True))
    confirm = tuple(code for code, _ in rules.confirmations(program, False))
    if verdict.ok:
        return Judged("OK", "", confirm, verdict.detail, _given(prescription))
    return Judged(verdict.code, _sentence(verdict.code, verdict.detail, program), confirm, (), _given(prescription))


def _sentence(code: str, limit: Any, program: Program) -> str:
    shown = mcg(floor(limit)) if code in IN_NG and isinstance(limit, (int, Fraction)) else str(limit)
    return SENTENCES.get(code, "").format(limit=shown, daily=mcg(ceil(program.daily_ng)), conc=program.conc)


def _given(prescription: Prescription) -> str:
    patient = prescription.patient
    if patient is None:
        return "no [patient]: only what holds for everybody, with the widest daily maximum (spinal)"
    if patient.running_ng:
        return f"after {mcg(patient.running_ng)} mcg/day, in {patient.phase}, no change in the last 24 h" + (
            ", within 24 h of a refill" if patient.phase == "maintenance" else ""
        )
    return "as the first program" + ("" if patient.screen_ng else "; without patient.screen its start cap is not judged")


def _therapy(prescription: Prescription, program: Program, today: date) -> Therapy:
    """The most permissive history that fits the file: what is refused here is refused by every pump."""
    patient = prescription.patient or ANYBODY
    last = Program.parse(flat_lines("running", max(1, program.conc), patient.running_ng)) if patient.running_ng else None
    phase = patient.phase or ("screened" if prescription.patient else "titration")
    unix_s = int(datetime(today.year, today.month, today.day, tzinfo=timezone.utc).timestamp())
    therapy = Therapy()
    therapy.record = Record(
        site=Site(),
        population=patient.population,
        birth=patient.birth,
        phase=phase,
        screen_ng=patient.screen_ng or NO_CAP_NG,
        effect_long={"long": True, "short": False}.get(patient.effect),
        committed=last,
        last_run=last,
        in_force=(InForce(None, last),) if last else (),
        ran=last is not None,
        running_since_ms=0 if last else None,
        unix_ms=unix_s * 1000 - NOW_MS,
        conc=program.conc,
        fluid="drug",
        refills=(Refill(NOW_MS, Site().capacity_nl),),
    )
    return therapy


# ---- caps of a patient


def caps(patient: Patient, today: date) -> Iterator[str]:
    """What the rules allow this patient, in mcg/day."""
    born = patient.birth
    age = today.year - born.year - ((today.month, today.day) < (born.month, born.day))
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
