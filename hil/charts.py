"""The report's pictures of one run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.patches import Patch

from hil import csf
from hil.chart import BALANCE, DASHED, LEDGER, LINES, MODEL, PRIORITY, PROGRAM, TRUE, WITNESS, Chart, Look, legend_above, mark_at
from hil.result import AlarmSpan, Result, Sample
from hil.tip import TipCurve

DAY_S = 86_400
CSF_LEAST_S = 3600  # a model of hours says nothing about minutes


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

    def label(self, axes: Axes, look: Look) -> None:
        axes.set_xlim(-0.01 * self.of(self.end_s), 1.01 * self.of(self.end_s))
        axes.set_xlabel(f"{'days' if self.in_days else 'minutes' if self.in_minutes else 'hours'} since the {self.since}")
        if self.in_days or self.in_minutes:
            axes.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(look.ticks, steps=[1, 2, 5, 10]))
        else:
            axes.xaxis.set_major_locator(matplotlib.ticker.MultipleLocator(_hours_step(self.end_s / 3600, look.ticks)))


def _hours_step(hours: float, ticks: int) -> float:
    return next((step for step in (1, 2, 3, 6, 12) if hours / step <= ticks), 24)


def of_run(result: Result) -> list[Chart]:
    """Programmed against delivered, where they part, the rate, the step error."""
    if len(result.samples) < 2:
        return []
    found = [delivered(result), deviation(result), rate(result)]
    return [*found, step_error(result)] if result.step_errors else found


def of_drug(result: Result) -> list[Chart]:
    """What became of the dose: at the catheter tip, and in the model of the spinal fluid."""
    found = [tip(curve, result.since, result.evidence) for curve in result.tips if len(curve.t_s) > 1]
    if result.csf is not None and result.csf.t_s[-1] - result.csf.t_s[0] >= CSF_LEAST_S:
        found.append(spinal_fluid(result, result.csf))
    return found


# ---- the pictures of a run


def delivered(result: Result) -> Chart:
    """Programmed against delivered, by each witness."""
    axis = TimeAxis(result)
    times = [axis.of(s.t_s) for s in result.samples]

    def draw(axes: Axes, look: Look) -> None:
        weighed = [s for s in result.samples if s.balance_nl is not None]
        axes.plot(times, [s.programmed_nl / 1000 for s in result.samples], **LINES["programmed"], label="programmed (oracle)")
        axes.plot(times, [s.authorised_nl / 1000 for s in result.samples], **LINES["ledger"], label="ledger (authorised)")
        axes.plot(times, [s.witnessed_nl / 1000 for s in result.samples], **LINES["witness"], label="motion witness")
        if weighed:
            style = {**LINES["balance"], "ls": "", "ms": 3.4, "markevery": max(1, len(weighed) // (3 * look.ticks))}
            axes.plot([axis.of(s.t_s) for s in weighed], [(s.balance_nl or 0) / 1000 for s in weighed], **style, label="balance")
        axes.set_ylabel("delivered, µL")
        axes.legend(loc="upper left")
        axis.label(axes, look)

    caption = "All witnesses of the delivered volume over the programmed curve."
    return Chart("Programmed and delivered", caption, result.evidence, 3.4, draw)


def deviation(result: Result) -> Chart:
    """The same three witnesses minus the programmed curve, where the eye can see them apart."""
    axis = TimeAxis(result)

    def draw(axes: Axes, look: Look) -> None:
        axes.axhline(0, color=PROGRAM, lw=1)
        of_witnesses(axes, axis, result.samples)
        _balance_deviation(axes, axis, result)
        axes.set_ylabel("delivered minus\nprogrammed, µL")
        legend_above(axes, look, result.evidence)
        axes.margins(y=0.1)
        axis.label(axes, look)

    caption = "The same, minus the programmed curve. The shaded band is what the balance cannot tell: two standard deviations of its noise."
    return Chart("Where they part", caption, result.evidence, 2.5, draw)


def of_witnesses(axes: Axes, axis: TimeAxis, samples: Sequence[Sample]) -> None:
    """Ledger and motion witness minus the programmed curve."""
    times = [axis.of(s.t_s) for s in samples]
    axes.plot(times, [(s.authorised_nl - s.programmed_nl) / 1000 for s in samples], **LINES["ledger"], label="ledger")
    axes.plot(times, [(s.witnessed_nl - s.programmed_nl) / 1000 for s in samples], **LINES["witness"], label="motion witness")


def _balance_deviation(axes: Axes, axis: TimeAxis, result: Result) -> None:
    weighed = [s for s in result.samples if s.balance_nl is not None]
    if not weighed:
        return
    times = [axis.of(s.t_s) for s in weighed]
    middle = [((s.balance_nl or 0) - s.programmed_nl) / 1000 for s in weighed]
    noise = [(s.balance_noise_nl or 0) / 1000 for s in weighed]
    low = [m - n for m, n in zip(middle, noise, strict=True)]
    high = [m + n for m, n in zip(middle, noise, strict=True)]
    axes.plot(times, middle, **LINES["balance"], markevery=max(1, len(weighed) // 60), label="balance")
    axes.fill_between(times, low, high, color=BALANCE, alpha=0.15, lw=0, label="its noise, 2 sigma")


def rate(result: Result) -> Chart:
    """The rate the pump says it delivers at."""
    axis = TimeAxis(result)

    def draw(axes: Axes, look: Look) -> None:
        rates = [s.rate_ng_h / 1000 for s in result.samples]
        axes.plot([axis.of(s.t_s) for s in result.samples], rates, color=LEDGER, drawstyle="steps-post")
        axes.set_ylim(0, 1.2 * max([*rates, 0.001]))
        axes.set_ylabel("basal rate,\nmcg/h")
        axis.label(axes, look)

    return Chart("Basal rate", "As the pump's status says it.", result.evidence, 1.8, draw)


def step_error(result: Result) -> Chart:
    """The largest distance of a step edge from its ideal place, and its limit."""
    axis = TimeAxis(result)

    def draw(axes: Axes, look: Look) -> None:
        axes.plot([axis.of(t) for t, _ in result.step_errors], [e for _, e in result.step_errors], color=LEDGER, lw=0.9)
        axes.axhline(1, **LINES["limit"])
        axes.annotate(
            "limit: one step", (1, 1), xycoords=("axes fraction", "data"), xytext=(0, 3), textcoords="offset points",
            ha="right", va="bottom", color=BALANCE, fontsize=8,
        )  # fmt: skip
        axes.yaxis.set_major_locator(matplotlib.ticker.MaxNLocator(4))
        axes.set_ylim(0, max(1.4, 1.1 * max(e for _, e in result.step_errors)))
        axes.set_ylabel("largest step\nerror, steps")
        axis.label(axes, look)

    caption = "Each step edge against the oracle's ideal curve: the largest of |k - ideal| and |k - 1 - ideal| in each stretch."
    return Chart("Step error", caption, result.evidence, 1.9, draw)


# ---- the pictures of the drug


def tip(curve: TipCurve, since: str, evidence: str) -> Chart:
    """The dose rate at the catheter tip while another concentration comes through the line."""

    def draw(axes: Axes, look: Look) -> None:
        hours = [t / 3600 for t in curve.t_s]
        lines: list[tuple[Sequence[float], dict[str, Any]]] = [
            (curve.programmed, {**LINES["programmed"], "label": "programmed"}),
            (curve.unbridged, {"color": BALANCE, "lw": 1.6, "ls": DASHED, "label": "had the pump not bridged"}),
            (curve.at_tip, {"color": LEDGER, "lw": 1.6, "label": "at the tip"}),
        ]
        for rates, style in lines:
            if rates:
                axes.plot(hours, [rate / 1000 for rate in rates], **style)
        axes.set_ylim(0, 1.4 * max([*curve.programmed, *curve.at_tip, *curve.unbridged, 1.0]) / 1000)
        mark_at(axes, curve.entered_s / 3600, f"{curve.after_mcg_ml:.4g} mcg/mL goes into the line")
        if curve.through_s is not None:
            mark_at(axes, curve.through_s / 3600, "it is at the tip", row=1)
        axes.set_ylabel("dose rate at the\ncatheter tip, mcg/h")
        axes.set_xlabel(f"hours since the {since}")
        legend_above(axes, look, evidence)

    return Chart(f"Dose rate at the catheter tip, {curve.change}", _of_tip(curve), evidence, 3.0, draw)


def _of_tip(curve: TipCurve) -> str:
    caption = f"Means over {curve.window_s / 3600:.3g} h of what leaves the catheter while the drug in the line changes: {curve.change}."
    if curve.unbridged:
        caption += " Dashed: the same program, had every volume been worked out with the new concentration from the refill on."
    if curve.declared_mcg_ml and abs(curve.after_mcg_ml - curve.declared_mcg_ml) > 0.005 * curve.declared_mcg_ml:
        caption += f" The refill was of {curve.declared_mcg_ml:.4g} mcg/mL; it mixed with what the syringe had left in the reservoir."
    return caption


def spinal_fluid(result: Result, curve: csf.CsfCurve) -> Chart:
    """The model's two levels, and when the label expects an effect (R-PK-1)."""
    axis = TimeAxis(result)

    def draw(axes: Axes, look: Look) -> None:
        times = [axis.of(t) for t in curve.t_s]
        axes.plot(times, curve.programmed, **LINES["programmed"], label="lumbar, as programmed")
        axes.plot(times, curve.lumbar, color=MODEL, lw=1.6, label="lumbar, as delivered")
        axes.plot(times, curve.cisternal, color=WITNESS, lw=1.6, ls=DASHED, label="cisternal, a quarter of it")
        axes.set_ylim(0, 1.35 * max([*curve.programmed, *curve.lumbar, 1.0]))
        for start_s in curve.starts_s:
            _onset(axes, axis, start_s)
        axes.set_ylabel("concentration in the\nspinal fluid, ng/mL")
        legend_above(axes, look, f"MODEL over {result.evidence} doses")
        axis.label(axes, look)

    return Chart("Spinal fluid: a model, not a prediction for a person", _of_fluid(curve), result.evidence, 2.9, draw, model=True)


def _onset(axes: Axes, axis: TimeAxis, start_s: float) -> None:
    """Two bands after the start of an infusion, as far as the run went."""
    first: dict[str, Any] = {"facecolor": "#f0dc9a", "edgecolor": "none"}
    full: dict[str, Any] = {"facecolor": "none", "edgecolor": "#c9ae4e", "hatch": "///"}
    for (begin_h, end_h), style, words in ((csf.SEEN_H, first, "effect first seen"), (csf.FULL_H, full, "effect full")):
        begin_s, end_s = start_s + begin_h * 3600, min(axis.end_s, start_s + end_h * 3600)
        if begin_s < axis.end_s:
            known = axes.get_legend_handles_labels()[1]
            axes.axvspan(axis.of(begin_s), axis.of(end_s), lw=0, zorder=0.5, label=None if words in known else words, **style)


def _of_fluid(curve: csf.CsfCurve) -> str:
    (seen, seen_by), (full, full_by) = csf.SEEN_H, csf.FULL_H
    caption = (
        f"One compartment with the mean figures of the label's 12.3: clearance {csf.CLEARANCE_ML_H:g} mL/h, half-life"
        f" {csf.HALF_LIFE_H:g} h, lumbar to cisternal about {csf.LUMBAR_TO_CISTERNAL:g}:1, from {curve.source}."
        " Patients differ greatly; nobody's fluid was measured."
    )
    onset = f"the effect of an infusion is first seen {seen:g} to {seen_by:g} h after its start"
    onset += f" and is full at {full:g} to {full_by:g} h (12.2)"
    if curve.starts_s:
        caption += f" Bands: {onset}."
    elif curve.before_ng_h:
        caption += f" The therapy was taken over: the curve begins at its level, and the marks of onset lie before this run ({onset})."
    return caption


# ---- alarms


def alarms(result: Result) -> Chart:
    """Each alarm as a bar from on to off."""
    axis = TimeAxis(result)
    codes = list(dict.fromkeys(span.code for span in result.alarms))[::-1]

    def draw(axes: Axes, look: Look) -> None:
        for span in result.alarms:
            _bar(axes, axis, span, codes.index(span.code))
        axes.set_yticks(range(len(codes)), codes, fontsize=8)
        axes.set_ylim(-0.7, len(codes) - 0.3)
        axes.grid(axis="y", visible=False)
        legend_above(axes, look, result.evidence, handles=_priorities(result.alarms))
        axis.label(axes, look)

    caption = "From on to off; a bar that reaches the right edge was still on at the end."
    return Chart("Alarms", caption, result.evidence, 1.1 + 0.28 * len(codes), draw)


def _bar(axes: Axes, axis: TimeAxis, span: AlarmSpan, row: int) -> None:
    end_s = axis.end_s if span.off_ms is None else span.off_ms / 1000
    start = axis.of(max(0.0, span.on_ms / 1000))
    width = max(axis.of(end_s) - start, 0.004 * axis.of(axis.end_s))
    color, hatch = PRIORITY.get(span.priority.upper(), (TRUE, ""))
    axes.barh(row, width, left=start, height=0.55, color=color, hatch=hatch, edgecolor="white", lw=0.5)


def _priorities(spans: Sequence[AlarmSpan]) -> list[Any]:
    there = {span.priority.upper() for span in spans}
    return [Patch(facecolor=c, hatch=h, edgecolor="white", label=name.lower()) for name, (c, h) in PRIORITY.items() if name in there]
