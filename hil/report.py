"""report.html: one page that stands alone, on a screen and on paper."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from hil import charts
from hil.quantity import span_text
from hil.result import Measurement, Result, limits_text, shown
from hil.tip import TipCurve

LONG_TIMELINE = 400


@dataclass(frozen=True)
class Picture:
    """One chart with what it shows."""

    title: str
    caption: str
    svg: str


def write(result: Result, path: Path) -> None:
    """The page for one run."""
    path.write_text(page(result), "utf-8")


def page(result: Result) -> str:
    environment = Environment(loader=PackageLoader("hil"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters.update(shown=shown, span=_span, limits=limits_text, margin=margin_text)
    return environment.get_template("report.html.j2").render(
        r=result,
        tiles=_tiles(result),
        pictures=_pictures(result),
        alarm_svg=charts.alarms(result) if result.alarms else "",
        outcomes=result.outcomes[:LONG_TIMELINE],
        left_out=max(0, len(result.outcomes) - LONG_TIMELINE),
    )


def _span(ms: float) -> str:
    return ("-" if ms < 0 else "") + span_text(abs(int(ms)))


def _tiles(result: Result) -> list[tuple[str, str, str]]:
    """(name, volume, deviation from the oracle) of each witness."""
    tiles = [("programmed (oracle)", _microlitres(result.expected_nl), "")]
    for name, value in (("ledger", result.authorised_nl), ("motion witness", result.witnessed_nl), ("balance", result.balance_nl)):
        tiles.append((name, _microlitres(value), _deviation(value, result.expected_nl)))
    return tiles


def _microlitres(value_nl: float | None) -> str:
    return "not measured" if value_nl is None else f"{value_nl / 1000:,.3f} µL"


def _deviation(value_nl: float | None, expected_nl: float | None) -> str:
    if value_nl is None or not expected_nl:
        return ""
    return f"{100 * (value_nl - expected_nl) / expected_nl:+.3f} %"


def margin_text(m: Measurement) -> str:
    """How far the nearer limit is."""
    if m.value is None or (m.low is None and m.high is None):
        return ""
    distances = [d for d in (None if m.low is None else m.value - m.low, None if m.high is None else m.high - m.value) if d is not None]
    return shown(min(distances))


def _pictures(result: Result) -> list[Picture]:
    if len(result.samples) < 2:
        return []
    found = [
        Picture(
            "Programmed and delivered", "All three witnesses of the delivered volume over the programmed curve.", charts.delivered(result)
        ),
        Picture(
            "Where they part",
            "The same, minus the programmed curve. The shaded band is what the balance cannot tell: two standard deviations of its noise.",
            charts.deviation(result),
        ),
        Picture("Basal rate", "As the pump's status says it.", charts.rate(result)),
        *(_of_tip(curve, result) for curve in result.tips if len(curve.t_s) > 1),
    ]
    if result.step_errors:
        caption = "Each step edge against the oracle's ideal curve: the largest of |k - ideal| and |k - 1 - ideal| in each stretch."
        found.append(Picture("Step error", caption, charts.step_error(result)))
    return found


def _of_tip(curve: TipCurve, result: Result) -> Picture:
    caption = f"Means over {curve.window_s / 3600:.3g} h of what leaves the catheter while the drug in the line changes: {curve.change}."
    if curve.unbridged:
        caption += " Dashed: the same program, had every volume been worked out with the new concentration from the refill on."
    if curve.declared_mcg_ml and abs(curve.after_mcg_ml - curve.declared_mcg_ml) > 0.005 * curve.declared_mcg_ml:
        caption += f" The refill was of {curve.declared_mcg_ml:.4g} mcg/mL; it mixed with what the syringe had left in the reservoir."
    return Picture(f"Dose rate at the catheter tip, {curve.change}", caption, charts.tip(curve, result.since, result.evidence))
