"""The report's pictures, as SVG that stands inside the page: colours told apart by everyone, marks told apart in print."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import Any

import matplotlib

matplotlib.use("svg")
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hil.result import AlarmSpan, Result
from hil.tip import TipCurve

# Okabe and Ito's palette, each with a line or a mark of its own.
PROGRAM = "#000000"
LEDGER = "#0072B2"
WITNESS = "#009E73"
BALANCE = "#D55E00"
TRUE = "#8a8a8a"
PRIORITY = {"HIGH": ("#D55E00", "////"), "MEDIUM": ("#E69F00", "...."), "LOW": ("#56B4E9", "")}
WIDTH_IN = 9.6
DAY_S = 86_400

STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e3e6ea",
    "grid.linewidth": 0.8,
    "axes.edgecolor": "#8894a0",
    "axes.labelcolor": "#30363d",
    "xtick.color": "#30363d",
    "ytick.color": "#30363d",
    "legend.frameon": False,
    "svg.fonttype": "path",
    "svg.hashsalt": "doseloop",
}


class TimeAxis:
    """One time axis for all pictures of a page: hours up to three days, then days."""

    def __init__(self, result: Result) -> None:
        self.since = result.since
        self.end_s = max([result.virtual_s, *(sample.t_s for sample in result.samples[-1:]), 60.0])
        self.in_days = self.end_s > 3 * DAY_S
        self.in_minutes = self.end_s < 2 * 3600
        self.unit_s = DAY_S if self.in_days else 60 if self.in_minutes else 3600

    def of(self, t_s: float) -> float:
        return t_s / self.unit_s

    def label(self, axes: Axes) -> None:
        axes.set_xlim(-0.01 * self.of(self.end_s), 1.01 * self.of(self.end_s))
        axes.set_xlabel(f"{'days' if self.in_days else 'minutes' if self.in_minutes else 'hours'} since the {self.since}")
        if not self.in_days and not self.in_minutes:
            axes.xaxis.set_major_locator(matplotlib.ticker.MultipleLocator(_hours_step(self.end_s / 3600)))


def _hours_step(hours: float) -> float:
    return next((step for step in (1, 2, 3, 6, 12) if hours / step <= 16), 24)


def _picture(height_in: float, draw: Callable[[Axes], None], evidence: str) -> str:
    """One axes of the page's width, with the evidence word in its corner, as inline SVG."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH_IN, height_in), layout="constrained")
        axes = figure.add_subplot()
        draw(axes)
        axes.set_title(evidence, loc="right", fontsize=8, color="#6a737d")
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return buffer.getvalue()[buffer.getvalue().index("<svg") :]


# ---- the pictures


def rate(result: Result) -> str:
    """The rate the pump says it delivers at."""
    axis = TimeAxis(result)

    def draw(axes: Axes) -> None:
        times = [axis.of(s.t_s) for s in result.samples]
        axes.plot(times, [s.rate_ng_h / 1000 for s in result.samples], color=LEDGER, drawstyle="steps-post")
        axes.set_ylim(0, 1.25 * max([s.rate_ng_h / 1000 for s in result.samples] + [0.001]))
        axes.set_ylabel("basal rate, mcg/h")
        axis.label(axes)

    return _picture(1.7, draw, result.evidence)


def delivered(result: Result) -> str:
    """Programmed against delivered, by each witness."""
    axis = TimeAxis(result)

    def draw(axes: Axes) -> None:
        times = [axis.of(s.t_s) for s in result.samples]
        weighed = [s for s in result.samples if s.balance_nl is not None]
        axes.plot(
            times,
            [s.programmed_nl / 1000 for s in result.samples],
            color="#b8bfc7",
            lw=6,
            solid_capstyle="round",
            label="programmed (oracle)",
        )
        axes.plot(times, [s.authorised_nl / 1000 for s in result.samples], color=LEDGER, lw=1.4, label="ledger (authorised)")
        axes.plot(times, [s.witnessed_nl / 1000 for s in result.samples], color=WITNESS, lw=1.4, ls=(0, (4, 3)), label="motion witness")
        axes.plot(
            [axis.of(s.t_s) for s in weighed],
            [(s.balance_nl or 0) / 1000 for s in weighed],
            color=BALANCE, ls="", marker="o", ms=3, mfc="white", markevery=max(1, len(weighed) // 48), label="balance",
        )  # fmt: skip
        axes.set_ylabel("delivered, µL")
        axes.legend(loc="upper left")
        axis.label(axes)

    return _picture(3.4, draw, result.evidence)


def deviation(result: Result) -> str:
    """The same three witnesses minus the programmed curve, where the eye can see them apart."""
    axis = TimeAxis(result)

    def draw(axes: Axes) -> None:
        times = [axis.of(s.t_s) for s in result.samples]
        axes.axhline(0, color=PROGRAM, lw=1)
        axes.plot(times, [(s.authorised_nl - s.programmed_nl) / 1000 for s in result.samples], color=LEDGER, lw=1.2, label="ledger")
        axes.plot(
            times,
            [(s.witnessed_nl - s.programmed_nl) / 1000 for s in result.samples],
            color=WITNESS,
            lw=1.2,
            ls=(0, (4, 3)),
            label="motion witness",
        )
        _balance_deviation(axes, axis, result)
        axes.set_ylabel("delivered minus\nprogrammed, µL")
        axes.legend(loc="upper left", ncols=4)
        axes.margins(y=0.25)
        axis.label(axes)

    return _picture(2.4, draw, result.evidence)


def _balance_deviation(axes: Axes, axis: TimeAxis, result: Result) -> None:
    weighed = [s for s in result.samples if s.balance_nl is not None]
    if not weighed:
        return
    times = [axis.of(s.t_s) for s in weighed]
    middle = [((s.balance_nl or 0) - s.programmed_nl) / 1000 for s in weighed]
    noise = [(s.balance_noise_nl or 0) / 1000 for s in weighed]
    low = [m - n for m, n in zip(middle, noise, strict=True)]
    high = [m + n for m, n in zip(middle, noise, strict=True)]
    axes.fill_between(times, low, high, color=BALANCE, alpha=0.13, lw=0, label="balance noise, 2 sigma")
    axes.plot(times, middle, color=BALANCE, lw=0.9, marker="o", ms=2.4, mfc="white", label="balance")


def step_error(result: Result) -> str:
    """The largest distance of a step edge from its ideal place, and its limit."""
    axis = TimeAxis(result)

    def draw(axes: Axes) -> None:
        axes.plot([axis.of(t) for t, _ in result.step_errors], [e for _, e in result.step_errors], color=LEDGER, lw=0.9)
        axes.axhline(1, color=BALANCE, lw=1.2, ls="--")
        axes.annotate(
            "limit: one step", (1, 1), xycoords=("axes fraction", "data"), xytext=(0, 3), textcoords="offset points",
            ha="right", va="bottom", color=BALANCE, fontsize=8,
        )  # fmt: skip
        axes.yaxis.set_major_locator(matplotlib.ticker.MaxNLocator(4))
        axes.set_ylim(0, max(1.4, 1.1 * max(e for _, e in result.step_errors)))
        axes.set_ylabel("largest step\nerror, steps")
        axis.label(axes)

    return _picture(1.9, draw, result.evidence)


def tip(curve: TipCurve, since: str, evidence: str) -> str:
    """The dose rate at the catheter tip while another concentration comes through the line."""

    def draw(axes: Axes) -> None:
        hours = [t / 3600 for t in curve.t_s]
        lines: list[tuple[Sequence[float], dict[str, Any]]] = [
            (curve.programmed, {"color": "#b8bfc7", "lw": 6, "solid_capstyle": "round", "label": "programmed"}),
            (curve.unbridged, {"color": BALANCE, "lw": 1.6, "ls": (0, (4, 3)), "label": "at the tip, had the pump not bridged"}),
            (curve.at_tip, {"color": LEDGER, "lw": 1.6, "label": "at the tip"}),
        ]
        for rates, style in lines:
            if rates:
                axes.plot(hours, [rate / 1000 for rate in rates], **style)
        axes.set_ylim(0, 1.3 * max([*curve.programmed, *curve.at_tip, *curve.unbridged, 1.0]) / 1000)
        _mark(axes, curve.entered_s / 3600, f"{curve.after_mcg_ml:.4g} mcg/mL\ngoes into the line")
        if curve.through_s is not None:
            _mark(axes, curve.through_s / 3600, "it is at the tip")
        axes.set_ylabel("dose rate at the\ncatheter tip, mcg/h")
        axes.set_xlabel(f"hours since the {since}")
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3)

    return _picture(3.0, draw, evidence)


def _mark(axes: Axes, x: float, words: str) -> None:
    axes.axvline(x, color="#6a737d", lw=1, ls=":")
    axes.annotate(
        words, (x, 1), xycoords=("data", "axes fraction"), xytext=(4, -3), textcoords="offset points", va="top", color="#57606a", fontsize=8
    )


def alarms(result: Result) -> str:
    """Each alarm as a bar from on to off."""
    axis = TimeAxis(result)
    codes = list(dict.fromkeys(span.code for span in result.alarms))[::-1]

    def draw(axes: Axes) -> None:
        for span in result.alarms:
            _bar(axes, axis, span, codes.index(span.code))
        axes.set_yticks(range(len(codes)), codes)
        axes.set_ylim(-0.7, len(codes) - 0.3)
        axes.grid(axis="y", visible=False)
        axes.legend(handles=_priorities(result.alarms), loc="lower left", bbox_to_anchor=(0, 1), ncols=3)
        axis.label(axes)

    return _picture(1.1 + 0.28 * len(codes), draw, result.evidence)


def _bar(axes: Axes, axis: TimeAxis, span: AlarmSpan, row: int) -> None:
    end_s = axis.end_s if span.off_ms is None else span.off_ms / 1000
    start = axis.of(max(0.0, span.on_ms / 1000))
    width = max(axis.of(end_s) - start, 0.004 * axis.of(axis.end_s))
    color, hatch = PRIORITY.get(span.priority.upper(), (TRUE, ""))
    axes.barh(row, width, left=start, height=0.55, color=color, hatch=hatch, edgecolor="white", lw=0.5)


def _priorities(spans: Sequence[AlarmSpan]) -> list[Any]:
    from matplotlib.patches import Patch

    there = {span.priority.upper() for span in spans}
    return [Patch(facecolor=c, hatch=h, edgecolor="white", label=name.lower()) for name, (c, h) in PRIORITY.items() if name in there]
