"""A program as a picture: the rate by the pump's clock, and two hours later where its effect is wanted."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MultipleLocator

from hil.chart import BALANCE, LEDGER, PROGRAM, STYLE
from hil.prescription import DAY_MIN, LEAD_MIN, Program, Segments
from hil.program_send import mcg
from hil.program_view import different_days

LEAD_H = LEAD_MIN / 60
WIDTH_IN, DAY_IN = 9.0, 2.7


def draw(program: Program, path: Path) -> None:
    """Write the picture as PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with matplotlib.rc_context({**STYLE, "font.size": 10, "axes.axisbelow": True}):
        days = [] if program.taper else different_days(program)
        figure = Figure(figsize=(WIDTH_IN, 1.0 + DAY_IN * max(1, len(days))), layout="constrained")
        figure.suptitle(f"{program.name}   {program.conc_mcg_ml} mcg/mL   hash {program.hash()}", fontsize=11, x=0.01, ha="left")
        if program.taper:
            _taper(figure.add_subplot(), program.taper)
        else:
            _days(figure, days)
        figure.savefig(path, format="png", dpi=130, metadata={"Software": None})


def _days(figure: Figure, days: Sequence[tuple[str, Segments]]) -> None:
    top = max(float(rate) for _, segments in days for _, _, rate in _pieces(segments))
    panels = figure.subplots(len(days), 1, squeeze=False, sharex=True)[:, 0]
    for axes, (name, segments) in zip(panels, days, strict=True):
        _day(axes, name, segments, top)
    panels[0].legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=3)
    panels[-1].set_xlabel("time of day (+ = the next day)")


def _day(axes: Axes, name: str, segments: Segments, top: float) -> None:
    pieces = _pieces(segments)
    edges = [start / 60 for start, _, _ in pieces] + [24.0]
    rates = [float(rate) for _, _, rate in pieces]
    mean = sum(dose for _, dose in segments) / 24 / 1000
    axes.stairs(rates, edges, baseline=0, color=LEDGER, fill=True, alpha=0.16)
    axes.stairs(rates, edges, baseline=None, color=LEDGER, lw=2.2, label="pump delivers")
    axes.stairs(rates, [e + LEAD_H for e in edges], baseline=None, color=BALANCE, lw=2.0, ls=(0, (4, 2)), label="effect wanted, 2 h later")
    axes.axhline(mean, color=PROGRAM, lw=1, ls=":", label="mean of the day")
    for start, end, rate in pieces:
        if end - start >= 90:
            _figure(axes, (start + end) / 120, float(rate), below=True)
    axes.set_title(f"{name}: {mcg(sum(dose for _, dose in segments))} mcg", loc="right", fontsize=10)
    axes.set_ylabel("mcg/h")
    axes.set_ylim(0, 1.22 * top)
    axes.set_xlim(0, 26)
    axes.xaxis.set_major_locator(MultipleLocator(2))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda hour, _: f"{hour:02.0f}:00" if hour <= 24 else f"{hour - 24:02.0f}:00+"))


def _figure(axes: Axes, x: float, y: float, below: bool = False) -> None:
    """The value at its line, in the line's colour; below it where other lines may lie above."""
    axes.annotate(mcg(y * 1000), (x, y), (0, -14 if below else 5), textcoords="offset points", ha="center", fontsize=9, color="#004b75")


def _pieces(segments: Segments) -> list[tuple[int, int, Fraction]]:
    """(start, end, mcg/h) of each segment."""
    ends = [*(start for start, _ in segments[1:]), DAY_MIN]
    return [(start, end, Fraction(dose * 60, (end - start) * 1000)) for (start, dose), end in zip(segments, ends, strict=True)]


def _taper(axes: Axes, doses: Sequence[int]) -> None:
    edges = [float(day) for day in range(len(doses) + 1)]
    heights = [dose / 1000 for dose in doses]
    axes.stairs(heights, edges, baseline=0, color=LEDGER, fill=True, alpha=0.16)
    axes.stairs(heights, edges, baseline=0, color=LEDGER, lw=2.2, label="dose of each 24 h")
    axes.plot([len(doses), len(doses) + 1.5], [0, 0], color=BALANCE, lw=4, solid_capstyle="butt", label="nothing from here on")
    for day in (0, len(doses) // 2, len(doses) - 1):
        _figure(axes, day + 0.5, heights[day])
    axes.set_xlabel("days since the start of the drug holiday")
    axes.set_ylabel("mcg a day")
    axes.set_ylim(0, 1.15 * heights[0])
    axes.set_xlim(0, len(doses) + 1.5)
    axes.xaxis.set_major_locator(MultipleLocator(2))
    axes.legend(loc="upper right")
