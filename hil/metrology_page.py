"""report.html of a metrology run, or of analysed weights: verdict, figures, curves, boluses, the uncertainty budget of each figure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hil import report
from hil.chart import Chart
from hil.metrology import pictures
from hil.metrology.figure import Figure
from hil.metrology.outcome import Outcome
from hil.result import shown

ABOUT = {**report.ABOUT, "FROM A FILE": "the weights were given as a file, nobody watched them being taken"}

METHOD = "Method: IEC 60601-2-24; the sample interval S stands with each figure."
READING = (
    "Passed: all of the interval in which the truth lies is within the limits; failed: all of it is outside; else marginal. Grey, below the"
    " noise floor: the balance's noise (k = 1) is over a third of the limit, so nothing is judged."
)


@dataclass(frozen=True)
class Budget:
    """Figures that have the same contributions, each a row of standard uncertainties (k = 1)."""

    names: tuple[str, ...]
    sources: tuple[str, ...]  # as the first of the figures has them
    rows: list[tuple[Figure, list[str]]]


def write(outcome: Outcome, path: Path) -> None:
    path.write_text(page(outcome), "utf-8")


def page(outcome: Outcome) -> str:
    return report.environment().get_template("metrology.html.j2").render(
        o=outcome,
        rows=[(figure, figure.measurement()) for figure in outcome.figures],
        drawn=report.pictures(drawn(outcome)),
        facts=facts(outcome),
        budgets=budgets(outcome.figures),
        about=ABOUT.get(outcome.evidence, ""),
        method=METHOD,
        reading=READING,
        not_medical=report.NOT_MEDICAL,
    )  # fmt: skip


def drawn(outcome: Outcome) -> list[Chart]:
    """The curves of each flow and the boluses."""
    curves = [chart for flow in outcome.flows for chart in pictures.charts(flow, outcome.evidence, "the balance")]
    return [*curves, *(pictures.bolus_chart(bolus, outcome.evidence) for bolus in outcome.boluses if bolus.errors)]


def facts(outcome: Outcome) -> list[tuple[str, str]]:
    """Who, when, by which plan, with what tube; under what conditions, and with what blank."""
    c, blank = outcome.conditions, outcome.blank
    found = [
        *outcome.setup.items(),
        ("liquid", f"{c.temperature_c:g} ± {2 * c.u_temperature_c:g} °C, {c.salt_g_l:g} ± {2 * c.u_salt_g_l:g} g/L salt"),
        ("air", f"{c.pressure_hpa:g} ± {2 * c.u_pressure_hpa:g} hPa"),
        ("Z", f"{c.z:.5f} ± {2 * c.u_z:.5f} µL/mg (k = 2)"),
    ]
    if blank is None:
        return found
    how = "assumed, no blank was given" if blank.assumed else f"{blank.readings} weights over {blank.span_s / 3600:.3g} h"
    return [
        *found,
        ("evaporation", f"{blank.loss_g_h * 1e3:.3g} ± {2e3 * blank.u_loss_g_h:.2g} mg/h (k = 2): {how}"),
        ("noise of a weight", f"{blank.noise.reading_g * 1e3:.2g} mg (k = 1), last digit {blank.noise.resolution_g * 1e3:g} mg"),
    ]


def budgets(figures: Sequence[Figure]) -> list[Budget]:
    """In the order of the figures."""
    found: dict[tuple[str, ...], Budget] = {}
    for figure in figures:
        if not figure.budget:
            continue
        names = tuple(part.name for part in figure.budget)
        group = found.setdefault(names, Budget(names, tuple(part.source for part in figure.budget), []))
        group.rows.append((figure, [shown(float(f"{part.u:.2g}")) for part in figure.budget]))
    return list(found.values())
