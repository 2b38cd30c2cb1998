"""The trumpet and the start-up curve as IEC 60601-2-24 draws them, for print and the colour-blind: files, or a report's charts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from hil.chart import BALANCE, LEDGER, STYLE, Chart, Look, legend_above
from hil.metrology.bolus import BolusResult
from hil.metrology.figure import Figure as Judged
from hil.metrology.flow import FlowResult, Point
from hil.metrology.outcome import Outcome

GREY = "#9aa3ad"
AXIS = 15.0  # percent either way, as the standard draws it
SIZE_IN = (7.2, 4.2)
CHART_IN = 3.9
Shown = TypeVar("Shown")
GREY_SAYS = "Grey: the noise is over a third of the limit, so nothing is judged."


def charts(flow: FlowResult, evidence: str, instrument: str) -> list[Chart]:
    """Both curves of one flow for a report; instrument: what saw it."""
    found = [trumpet_chart(flow, evidence, instrument)]
    return [startup_chart(flow, evidence, instrument), *found] if flow.startup else found


def startup_chart(flow: FlowResult, evidence: str, instrument: str) -> Chart:
    caption = f"Flow of each sample interval over the first 120 min, by {instrument}; {'; '.join(flow.notes)}. {GREY_SAYS}"
    return Chart(f"Start-up curve, {_at(flow)}", caption, evidence, CHART_IN, _above(_startup, flow, evidence))


def trumpet_chart(flow: FlowResult, evidence: str, instrument: str) -> Chart:
    caption = (
        f"Highest and lowest error of all windows of a length, by {instrument}, against what was programmed for the same time;"
        f" {'; '.join(flow.notes)}. {GREY_SAYS} The bands reach further on one side, for noise lifts the highest of many."
    )
    return Chart(f"Trumpet curve, {_at(flow)}", caption, evidence, CHART_IN, _above(_trumpet, flow, evidence))


def bolus_chart(bolus: BolusResult, evidence: str) -> Chart:
    caption = "Each bolus, by its weight before and after; the mean as a line."
    return Chart(_of_boluses(bolus), caption, evidence, CHART_IN, _above(_boluses, bolus, evidence))


def _above(draw: Callable[[Axes, Shown], None], what: Shown, evidence: str) -> Callable[[Axes, Look], None]:
    """On a page the legend stands over the curves."""

    def drawn(axes: Axes, look: Look) -> None:
        draw(axes, what)
        legend_above(axes, look, evidence)

    return drawn


def write(outcome: Outcome, folder: Path) -> None:
    """All pictures of an outcome, named after their flows; the names go into outcome.pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    outcome.pictures = []
    for flow in outcome.flows:
        for kind, name, draw in (("startup", "Start-up", _startup), ("trumpet", "Trumpet", _trumpet)):
            title = f"{name} curve, {flow.name}, {_at(flow)}"
            _save(outcome, folder, f"{kind}-{_slug(flow.name)}", title, lambda axes, flow=flow, draw=draw: draw(axes, flow))  # type: ignore[misc]
    for bolus in outcome.boluses:
        if bolus.errors:
            _save(outcome, folder, f"bolus-{_slug(bolus.name)}", _of_boluses(bolus), lambda axes, bolus=bolus: _boluses(axes, bolus))  # type: ignore[misc]


def _slug(name: str) -> str:
    return "-".join("".join(c if c.isalnum() else " " for c in name.lower()).split())


def _save(outcome: Outcome, folder: Path, name: str, title: str, draw: Callable[[Axes], None]) -> None:
    with matplotlib.rc_context({**STYLE, "legend.frameon": True, "legend.framealpha": 0.9, "legend.edgecolor": "none"}):
        figure = Figure(figsize=SIZE_IN, layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        draw(axes)
        axes.legend(loc="lower right", fontsize=8)
        axes.set_title(title, loc="left", fontsize=9.5)
        axes.set_title(outcome.evidence, loc="right", fontsize=8, color="#6a737d")
        figure.savefig(folder / f"{name}.png", dpi=150, metadata={"Software": None})
        figure.savefig(folder / f"{name}.svg", metadata={"Date": None, "Creator": None})
    outcome.pictures += [f"{name}.svg", f"{name}.png"]


def _s_text(flow: FlowResult) -> str:
    return f"S = {flow.protocol.sample_s / 60:.4g} min"


def _at(flow: FlowResult) -> str:
    return f"{_rate_text(flow.rate_nl_h)}, {_s_text(flow)}"


def _rate_text(rate_nl_h: float) -> str:
    return f"{rate_nl_h / 1e6:.4g} mL/h" if rate_nl_h >= 1e6 else f"{rate_nl_h / 1000:.4g} µL/h"


# ---- the trumpet


def _trumpet(axes: Axes, flow: FlowResult) -> None:
    """Both extremes against the length of the window; the overall error as a line; grey: below the noise floor."""
    points = [point for point in flow.trumpet if point.high.value is not None]
    minutes = [point.window_s / 60 for point in points]
    judged = [point for point in points if not point.floor]
    _band(axes, judged, [point.window_s / 60 for point in judged])
    for side, colour, style in (("high", LEDGER, "-"), ("low", BALANCE, (0, (5, 2)))):
        if len(judged) < len(points):
            axes.plot(minutes, [_value(getattr(p, side)) for p in points], color=GREY, lw=0.9, zorder=1.5)
        axes.plot([p.window_s / 60 for p in judged], [_value(getattr(p, side)) for p in judged], color=colour, lw=1.3, ls=style, zorder=2)
    for point, at in zip(points, minutes, strict=True):
        _mark(axes, at, point)
    axes.fill_between([], [], [], facecolor="#dcebf5", edgecolor="#8bbbdb", hatch="////", lw=0, label="true extreme, k = 2")
    axes.plot([], [], color=LEDGER, marker="^", lw=1.3, label="Ep(max)")
    axes.plot([], [], color=BALANCE, marker="v", lw=1.3, ls=(0, (5, 2)), label="Ep(min)")
    if any(point.floor for point in points):
        axes.plot([], [], color=GREY, marker="o", mfc="white", ls="", label="grey: not judged")
    if flow.overall.value is not None:
        text = f"overall error A {flow.overall.value:+.2f} ± {flow.overall.expanded:.2g} %"
        axes.axhline(flow.overall.value, color="#000000", lw=1.1, ls=(0, (1, 1.5)), label=text)
    axes.axhline(0, color="#8894a0", lw=0.8)
    _trumpet_axes(axes, minutes)
    axes.set_xlabel(f"length of the observation window P, min ({_s_text(flow)})")


def _value(figure: Judged) -> float:
    return figure.value if figure.value is not None else float("nan")


def _trumpet_axes(axes: Axes, minutes: list[float]) -> None:
    """Percent within +/-15 as the standard has it; the length of the window in its own steps."""
    axes.set_ylim(-AXIS, AXIS)
    axes.set_xscale("log")
    axes.set_xticks(minutes, [f"{m:.3g}" for m in minutes])
    axes.set_xlim(0.92 * minutes[0], 1.09 * minutes[-1]) if minutes else None
    axes.minorticks_off()
    axes.set_ylabel("flow error, %\nof the programmed")


def _band(axes: Axes, points: list[Point], minutes: list[float]) -> None:
    """Where the true extremes lie, k = 2."""
    for side, colour, hatch in (("high", LEDGER, "////"), ("low", BALANCE, "\\\\\\\\")):
        ends = [getattr(point, side).interval for point in points]
        axes.fill_between(minutes, [e[0] for e in ends], [e[1] for e in ends], facecolor=colour, alpha=0.13, lw=0, zorder=1)
        axes.fill_between(
            minutes, [e[0] for e in ends], [e[1] for e in ends], facecolor="none", edgecolor=colour, alpha=0.25, hatch=hatch, lw=0
        )


def _mark(axes: Axes, at: float, point: Point) -> None:
    """Beyond the axis a mark stands at its edge, with its value."""
    for figure, mark, colour in ((point.high, "^", LEDGER), (point.low, "v", BALANCE)):
        value, shade = _value(figure), GREY if point.floor else colour
        shown = max(-0.975 * AXIS, min(0.975 * AXIS, value))
        axes.plot([at], [shown], marker=mark, ms=6.5, color=shade, mfc="white" if point.floor else colour, ls="", zorder=3, clip_on=False)
        if shown != value:
            axes.annotate(f"{value:+.0f} %", (at, shown), (7, -3), textcoords="offset points", fontsize=8, color="#30363d", zorder=4)


# ---- the start


def _startup(axes: Axes, flow: FlowResult) -> None:
    """Q_i over the first two hours, from -0.2 r to 2 r."""
    r = flow.rate_nl_h
    unit, name = (1e6, "mL/h") if r >= 1e6 else (1000.0, "µL/h")
    minutes, rates, doubts = _steps(flow, unit)
    low, high = ([q + sign * u for q, u in zip(rates, doubts, strict=True)] for sign in (-1, 1))
    colour, words = (GREY, ": below the noise floor") if flow.startup_floor else (LEDGER, "")
    axes.fill_between(minutes, low, high, color=colour, alpha=0.18, lw=0, label="± U (k = 2)")
    axes.plot(minutes, rates, color=colour, lw=1.4, label=f"flow Q of each interval S{words}")
    axes.axhline(r / unit, color="#000000", lw=1.1, ls=(0, (1, 1.5)), label="programmed rate r")
    axes.set_xlim(0, max([120.0, *minutes]))
    axes.set_ylim(-0.2 * r / unit, 2 * r / unit)
    axes.set_xlabel(f"time since the start, min ({_s_text(flow)})")
    axes.set_ylabel(f"flow Q, {name}")


def _steps(flow: FlowResult, unit: float) -> tuple[list[float], list[float], list[float]]:
    """Both ends of each interval, with its flow and doubt; a hole where an interval was not weighed."""
    minutes: list[float] = []
    rates: list[float] = []
    doubts: list[float] = []
    for end, rate, doubt in flow.startup:
        begin = end - flow.protocol.sample_s / 60
        if minutes and begin - minutes[-1] > 1e-6:
            minutes, rates, doubts = [*minutes, begin], [*rates, float("nan")], [*doubts, float("nan")]
        minutes += [begin, end]
        rates += [rate / unit] * 2
        doubts += [doubt / unit] * 2
    return minutes, rates, doubts


# ---- boluses


def _boluses(axes: Axes, bolus: BolusResult) -> None:
    numbers = range(1, len(bolus.errors) + 1)
    axes.vlines(numbers, 0, bolus.errors, color=GREY if bolus.floor else LEDGER, lw=1.2)
    axes.plot(numbers, bolus.errors, marker="o", ls="", color=GREY if bolus.floor else LEDGER, mfc="white" if bolus.floor else LEDGER, ms=5)
    mean = bolus.mean
    if mean.value is not None:
        text = f"mean {mean.value:+.2f} % ± {mean.expanded:.2g} % (k = 2)"
        axes.axhline(mean.value, color="#000000", lw=1.1, ls=(0, (1, 1.5)), label=text)
    axes.axhline(0, color="#8894a0", lw=0.8)
    most = max([AXIS, *(1.1 * abs(e) for e in bolus.errors)])
    axes.set_ylim(-most, most)
    axes.set_xlabel("bolus")
    axes.set_ylabel("error, % of the setting")


def _of_boluses(bolus: BolusResult) -> str:
    floor = ", noise over a third of the limit" if bolus.floor else ""
    return f"{len(bolus.errors)} boluses of {bolus.setting_nl / 1000:g} µL, {bolus.name}{floor}"
