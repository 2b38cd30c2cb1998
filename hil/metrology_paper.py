"""report.pdf of a metrology run, or of analysed weights: the same as its page."""

from __future__ import annotations

from pathlib import Path

from hil import report
from hil.metrology.outcome import Outcome
from hil.metrology_page import ABOUT, METHOD, READING, Budget, budgets, drawn, facts
from hil.result import Measurement, limits_text, shown
from hil.sheet import SOFT, WIDTH_MM, Sheet

LEAST_MM, MOST_MM = 36, 28  # of a budget: the figure's column at least, a contribution's at most


def write(outcome: Outcome, path: Path) -> None:
    path.write_bytes(document(outcome))


def document(outcome: Outcome) -> bytes:
    """A4; every page says at its foot what its figures are worth."""
    sheet = Sheet(outcome.title, outcome.verdict, outcome.evidence)
    _head(sheet, outcome)
    _figures(sheet, outcome)
    for chart in drawn(outcome):
        sheet.chart(chart)
    _boluses(sheet, outcome)
    _budgets(sheet, outcome)
    sheet.versions(list(outcome.versions.items()))
    return bytes(sheet.output())


def _head(sheet: Sheet, outcome: Outcome) -> None:
    sheet.say(report.NOT_MEDICAL, 8, "", SOFT)
    sheet.ln(2)
    sheet.badges()
    sheet.say(f"Flow accuracy by weight: {outcome.title}", 14, "B")
    about = ABOUT.get(outcome.evidence, "")
    sheet.say(f"{METHOD} Every figure in this document is {outcome.evidence}{': ' + about if about else ''}.", 8, "", SOFT)
    sheet.ln(1.5)
    sheet.grid((45, 133), ("what", "as stated or measured"), [("target", outcome.target), *facts(outcome)])
    for note in outcome.notes:
        sheet.say(f"Note: {note}", 8.5, "B")


def _figures(sheet: Sheet, outcome: Outcome) -> None:
    sheet.heading(f"Figures ({outcome.evidence})")
    if not outcome.figures:
        sheet.say("None was measured.")
        return
    rows = [_row(figure.measurement(), report.mark(figure.measurement())) for figure in outcome.figures]
    head = ("figure", "value", "unit", "unc., k = 2", "allowed", "margin", "remark", "verdict")
    sheet.grid((40, 17, 11, 22, 25, 16, 36, 23), head, rows, right=(1, 3, 5))
    sheet.say(READING, 8, "", SOFT)


def _row(m: Measurement, mark: str) -> tuple[str, ...]:
    return m.name, shown(m.value), m.unit, report.uncertainty_text(m), limits_text(m), report.margin_text(m), m.missing or m.why, mark


def _boluses(sheet: Sheet, outcome: Outcome) -> None:
    for bolus in outcome.boluses:
        if bolus.errors:
            sheet.heading(f"{bolus.name}: each of {len(bolus.errors)} boluses of {bolus.setting_nl / 1000:g} µL ({outcome.evidence})")
            errors = "; ".join(f"{error:+.3f}" for error in bolus.errors)
            sheet.say(f"Error in % of the setting, in the order they were given: {errors}.", 8.5)


def _budgets(sheet: Sheet, outcome: Outcome) -> None:
    found = budgets(outcome.figures)
    if found:
        sheet.heading(f"Uncertainty budget ({outcome.evidence})")
    for budget in found:
        _budget(sheet, budget)


def _budget(sheet: Sheet, budget: Budget) -> None:
    """A contribution is a column; its source stands below."""
    count = len(budget.names) + 1
    first = max(LEAST_MM, WIDTH_MM - MOST_MM * count)
    rows = [(f"{figure.name}, {figure.unit}", *parts, shown(figure.expanded)) for figure, parts in budget.rows]
    widths = (round(first), *([round((WIDTH_MM - first) / count)] * count))
    sheet.grid(widths, ("figure", *budget.names, "U (k = 2)"), rows, right=tuple(range(1, count + 1)), size=6)
    sheet.say("From: " + "; ".join(f"{name}: {source}" for name, source in zip(budget.names, budget.sources, strict=True)), 7, "", SOFT)
    sheet.ln(2)
