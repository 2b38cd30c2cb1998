"""report.html: one page that stands alone, on a wide screen, on a phone and in print; the verdict first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from hil import charts
from hil.chart import NARROW, WIDE, Chart
from hil.quantity import span_text
from hil.result import Measurement, Result, limits_text, shown

LONG_TIMELINE = 400
ABOUT = {
    "SIMULATED": "the firmware is real, the rig and the balance are software",
    "EMULATED": "the image that is flashed ran on an emulated chip, the rig is software",
    "MEASURED": "a real board ran",
    "UNKNOWN ORIGIN": "the line is a pseudo-terminal, and nobody said what stands behind it; see --evidence",
}
NOT_MEDICAL = "A bench rig that pumps water onto a balance. Not a medical device; nothing here may be used on a person."
DEFAULT_KEY = "The default key is in force: whoever has read the source can command this pump. Provision keys of your own."
HASHED = ("hash", "commit", "board data")


@dataclass(frozen=True)
class Picture:
    """One chart, at both widths a page shows it in."""

    title: str
    caption: str
    wide: str
    narrow: str


@dataclass(frozen=True)
class Tile:
    """One witness's volume and its deviation from the program."""

    name: str
    volume: str
    deviation: str


def write(result: Result, path: Path) -> None:
    """The page for one run."""
    path.write_text(page(result), "utf-8")


def page(result: Result) -> str:
    return environment().get_template("report.html.j2").render(
        r=result,
        tiles=tiles(result),
        measured=measured(result),
        windows=result.windows,
        flow=pictures(result.charts),
        run=pictures(charts.of_run(result)),
        alarms=pictures([charts.alarms(result)] if result.alarms else []),
        drug=pictures(charts.of_drug(result)),
        outcomes=result.outcomes[:LONG_TIMELINE],
        left_out=max(0, len(result.outcomes) - LONG_TIMELINE),
        about=ABOUT.get(result.evidence, ""),
        not_medical=NOT_MEDICAL,
        default_key=DEFAULT_KEY if result.key == "default" else "",
    )


def environment() -> Environment:
    """Templates that escape what they are given, and fail on what they were not."""
    found = Environment(loader=PackageLoader("hil"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    found.filters.update(shown=shown, span=span, limits=limits_text, margin=margin_text, uncertainty=uncertainty_text, mark=mark)
    return found


def pictures(drawn: Sequence[Chart]) -> list[Picture]:
    return [Picture(chart.title, chart.caption, chart.svg(WIDE), chart.svg(NARROW)) for chart in drawn]


def span(ms: float) -> str:
    return ("-" if ms < 0 else "") + span_text(abs(int(ms)))


def tiles(result: Result) -> list[Tile]:
    found = [Tile("programmed (oracle)", microlitres(result.expected_nl), "")]
    for name, value in (("ledger", result.authorised_nl), ("motion witness", result.witnessed_nl), ("balance", result.balance_nl)):
        found.append(Tile(name, microlitres(value), _deviation(value, result.expected_nl)))
    return found


def measured(result: Result) -> list[Measurement]:
    """Without those that stand in the trumpet's own table."""
    own = [id(m) for row in result.windows for m in (row.high, row.low)]
    return [m for m in result.measurements if id(m) not in own]


def microlitres(value_nl: float | None) -> str:
    return "not measured" if value_nl is None else f"{value_nl / 1000:,.3f} µL"


def _deviation(value_nl: float | None, expected_nl: float | None) -> str:
    if value_nl is None or not expected_nl:
        return ""
    return f"{100 * (value_nl - expected_nl) / expected_nl:+.3f} %"


def margin_text(m: Measurement) -> str:
    """How far the nearer limit is."""
    return "" if m.margin is None else shown(m.margin)


def uncertainty_text(m: Measurement) -> str:
    """Expanded, k = 2; exact counts have none."""
    if m.uncertainty is None:
        return ""
    if m.uncertainty_down is None or m.uncertainty_down == m.uncertainty:
        return f"± {shown(m.uncertainty)}"
    return f"+{shown(m.uncertainty)} -{shown(m.uncertainty_down)}"


def mark(m: Measurement) -> str:
    """The verdict with a sign that stands in grey too."""
    return {"failed": "✗ failed", "passed": "✓ passed", "marginal": "≈ marginal"}.get(m.verdict, m.verdict)
