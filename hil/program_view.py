"""A prescription as a person reads it: each day as a table, with the pump's time and that of the wanted effect."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta, timezone
from fractions import Fraction
from math import ceil, floor

from hil import dilution
from hil.oracle.forecast import refill_by_s
from hil.oracle.program import Program as OracleProgram
from hil.prescription import DAY_MIN, DAYS, LEAD_MIN, Program, Segments
from hil.prescription_file import Prescription, Supply
from hil.program_check import caps
from hil.program_send import mcg
from hil.second_opinion import oracle_program

THRESHOLD_NL = 2_000_000  # R-ALM-2, as shipped
RESIDUAL_NL = 500_000  # what the head cannot draw, as shipped


def show(prescription: Prescription, today: date) -> Iterator[str]:
    program = prescription.program
    yield f"{program.name}: {program.conc_mcg_ml} mcg/mL, hash {program.hash()}"
    if program.taper:
        yield from taper_table(program)
    else:
        judged = oracle_program(program)
        for days, segments in different_days(program):
            yield from day_table(days, segments)
        yield from sums(judged)
        if prescription.supply:
            yield from supply_lines(program, judged, prescription.supply, today)
    if prescription.patient:
        yield from caps(prescription.patient, today)


# ---- days


def different_days(program: Program) -> list[tuple[str, Segments]]:
    """Each different day once, with the weekdays that have it."""
    found: dict[Segments, list[int]] = {}
    for number, day in enumerate(DAYS):
        found.setdefault(program.of_day(day), []).append(number)
    return [(_days_text(numbers), segments) for segments, numbers in found.items()]


def _days_text(numbers: list[int]) -> str:
    if len(numbers) == len(DAYS):
        return "every day"
    spans: list[list[int]] = []
    for number in numbers:
        if spans and spans[-1][-1] == number - 1:
            spans[-1].append(number)
        else:
            spans.append([number])
    return ", ".join(DAYS[s[0]] if len(s) == 1 else f"{DAYS[s[0]]}{'-' if len(s) > 2 else ', '}{DAYS[s[-1]]}" for s in spans)


def day_table(days: str, segments: Segments) -> Iterator[str]:
    """Rates and doses by the pump's time; the wanted effect comes two hours later (R-PRF-2)."""
    day_ng = sum(dose for _, dose in segments)
    yield ""
    yield f"  {days}: {mcg(day_ng)} mcg, mean {rate_text(Fraction(day_ng, 24))}"
    yield f"  {'pump':15s} {'effect':17s} {'rate':>16s} {'of mean':>9s} {'dose':>14s}"
    for (start, dose), end in zip(segments, [*(start for start, _ in segments[1:]), DAY_MIN], strict=True):
        rate = Fraction(dose * 60, end - start)
        share = f"{float(rate * 24 / day_ng * 100):.1f} %" if day_ng else "-"
        effect = f"{clock(start + LEAD_MIN)} - {clock(end + LEAD_MIN)}"
        yield f"  {clock(start)} - {clock(end)}   {effect:17s} {rate_text(rate):>16s} {share:>9s} {mcg(dose):>10s} mcg"


def clock(minute: int) -> str:
    """`19:30`; past midnight it is the next day's, with a plus."""
    if minute > DAY_MIN:
        return f"{(minute - DAY_MIN) // 60:02d}:{minute % 60:02d}+"
    return f"{minute // 60:02d}:{minute % 60:02d}"


def rate_text(ng_h: Fraction) -> str:
    """Exact in ng/h where that is whole."""
    return f"{int(ng_h):,} ng/h" if ng_h.denominator == 1 else f"{float(ng_h):,.2f} ng/h"


def taper_table(program: Program) -> Iterator[str]:
    yield ""
    yield f"  drug holiday, {len(program.taper)} days of 24 h from its start, then nothing"
    yield f"  {'day':>5s} {'dose':>14s} {'rate':>16s} {'of the day before':>18s}"
    before = 0
    for number, dose in enumerate(program.taper, 1):
        share = f"{100 * dose / before:.2f} %" if before else "-"
        yield f"  {number:5d} {mcg(dose):>10s} mcg {rate_text(Fraction(dose, 24)):>16s} {share:>18s}"
        before = dose
    total = sum(program.taper)
    yield f"  {mcg(total)} mcg in all, {dilution.ml_text(Fraction(total * 1000, program.conc_mcg_ml))}"


def sums(judged: OracleProgram) -> Iterator[str]:
    yield ""
    allowance = judged.bolus.allowance_ng if judged.bolus else 0
    with_bolus = f" (high dose and {mcg(allowance)} mcg of boluses)" if allowance else ""
    high, low = mcg(ceil(judged.high_ng)), mcg(floor(judged.low_ng))
    yield f"daily dose {mcg(ceil(judged.daily_ng))} mcg{with_bolus}; any 24 h: high {high}, low {low} mcg"
    yield f"without a clock the pump runs {rate_text(judged.lowest_rate * 3_600_000)} (R-ALM-8)"


# ---- supply


def supply_lines(program: Program, judged: OracleProgram, supply: Supply, today: date) -> Iterator[str]:
    filled = supply.filled or today
    start_s = int(datetime.combine(filled, time(), timezone.utc).timestamp())
    due_s = refill_by_s(judged, start_s, 0, supply.fill_nl, supply.expiry, THRESHOLD_NL, RESIDUAL_NL)
    since = f"{dilution.ml_text(supply.fill_nl)} filled on {filled} at 00:00"
    if due_s is None:
        yield f"refill: never; {since} is never used up"
    else:
        # seconds since 1970 as a calendar time, without a limit of the platform
        due = datetime(1970, 1, 1) + timedelta(seconds=min(due_s, 200_000_000_000))
        why = "its expiry" if supply.expiry and due_s == _end_of(supply.expiry) else "RESERVOIR_LOW"
        yield f"refill by {due:%Y-%m-%d %H:%M} ({why}): {since}, threshold 2 mL, 0.5 mL stays in"
    if supply.stocks:
        yield from (f"  {line}" if number else f"mix: {line}" for number, line in enumerate(_mix(program, supply)))


def _end_of(day: date) -> int:
    return int(datetime.combine(day + timedelta(days=1), time(), timezone.utc).timestamp())


def _mix(program: Program, supply: Supply) -> Iterator[str]:
    return dilution.lines(program.conc_mcg_ml, supply.fill_nl, supply.stocks)
