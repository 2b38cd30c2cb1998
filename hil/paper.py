"""report.pdf of a run: the same as the page, for paper and for files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hil import charts, report
from hil.result import Result, limits_text, shown
from hil.sheet import SOFT, VERDICT, Sheet

STEPS = 200


def write(result: Result, path: Path) -> None:
    """The document for one run."""
    path.write_bytes(document(result))


def document(result: Result) -> bytes:
    paper = Sheet(result.scenario, result.verdict, result.evidence)
    _head(paper, result)
    _measurements(paper, result)
    if result.flow_note:
        paper.heading(f"Flow accuracy ({result.evidence})")
        paper.say(result.flow_note, 8.5)
    for chart in result.charts:
        paper.chart(chart)
    _windows(paper, result)
    for chart in charts.of_run(result):
        paper.chart(chart)
    _alarms(paper, result)
    for chart in charts.of_drug(result):
        paper.chart(chart)
    _story(paper, result)
    paper.versions([*result.versions.items(), ("seed", str(result.seed))])
    return bytes(paper.output())


def _head(paper: Sheet, result: Result) -> None:
    paper.say(report.NOT_MEDICAL, 8, "", SOFT)
    paper.ln(2)
    paper.badges()
    paper.say(result.title, 14, "B")
    time = "virtual time" if result.evidence == "SIMULATED" else "time"
    paper.say(
        f"scenario {result.scenario}   target {result.target}   seed {result.seed}   {time} {report.span(result.virtual_s * 1000)}"
        f"   wall time {result.wall_s:.1f} s", 8, "", SOFT,
    )  # fmt: skip
    if result.reason:
        paper.say(result.reason, 9, "B", VERDICT["failed"])
    paper.ln(1.5)
    tiles = report.tiles(result)
    rows = [[f"since the {result.since}", *(tile.volume for tile in tiles)], ["off the program", *(tile.deviation for tile in tiles)]]
    paper.grid((38, 35, 35, 35, 35), ["volume", *(tile.name for tile in tiles)], rows, right=(1, 2, 3, 4))
    about = report.ABOUT.get(result.evidence, "")
    paper.say(f"Every figure in this document is {result.evidence}{': ' + about if about else ''}.", 8, "", SOFT)
    paper.ln(1)
    paper.say(" ".join(result.story.split()))
    for warning in result.warnings:
        paper.ln(1)
        paper.say(f"Warning: {warning}", 8.5, "B")
    if result.key == "default":
        paper.ln(1)
        paper.say(f"Default key. {report.DEFAULT_KEY}", 8.5, "B")


def _measurements(paper: Sheet, result: Result) -> None:
    if not result.measurements:
        return
    paper.heading(f"Measurements ({result.evidence})")
    figures = report.measured(result)
    said = [(report.uncertainty_text(m), limits_text(m), report.margin_text(m), m.missing or m.why, report.mark(m)) for m in figures]
    rows = [(m.name, shown(m.value), m.unit, *more) for m, more in zip(figures, said, strict=True)]
    head = ("figure", "value", "unit", "unc., k = 2", "allowed", "margin", "source of the limit", "verdict")
    paper.grid((38, 19, 11, 22, 27, 16, 36, 21), head, rows, right=(1, 3, 5))


def _windows(paper: Sheet, result: Result) -> None:
    """The trumpet's figures, both extremes of a length in one row."""
    if not result.windows:
        return
    rows = []
    for row in result.windows:
        both = [(shown(m.value), report.uncertainty_text(m), report.mark(m)) for m in (row.high, row.low)]
        rows.append((f"{row.window_s / 60:.4g}", *both[0], *both[1], f"{limits_text(row.high)}, {row.high.why}"))
    head = ("P, min", "Ep(max), %", "unc., k = 2", "", "Ep(min), %", "unc., k = 2", "", "allowed, %")
    paper.ln(1)
    paper.grid((14, 19, 28, 19, 19, 28, 19, 32), head, rows, right=(0, 1, 4))


def _alarms(paper: Sheet, result: Result) -> None:
    if not result.alarms:
        paper.heading("Alarms")
        paper.say("None came on.")
        return
    paper.chart(charts.alarms(result))
    ends = ["still on" if a.off_ms is None else report.span(a.off_ms) for a in result.alarms]
    rows = [(a.code, a.priority.lower(), report.span(a.on_ms), end) for a, end in zip(result.alarms, ends, strict=True)]
    paper.ln(1)
    paper.grid((50, 25, 30, 30), ("alarm", "priority", "on", "off"), rows, right=(2, 3))


def _story(paper: Sheet, result: Result) -> None:
    if result.outcomes:
        paper.heading("The story, step by step")
        rows = [(report.span(o.t_ms), o.what, o.detail, "✓" if o.ok else "✗ failed") for o in result.outcomes[:STEPS]]
        paper.grid((24, 74, 62, 18), ("time", "step", "outcome", ""), rows)
        if len(result.outcomes) > STEPS:
            paper.say(f"{len(result.outcomes) - STEPS} more steps are in result.json.", 8, "", SOFT)
    if result.refusals:
        paper.heading("Refusals")
        told: list[dict[str, Any]] = result.refusals[:STEPS]
        refused = [(report.span(f["t_s"] * 1000), f["verb"], f["code"], f["text"]) for f in told]
        paper.grid((24, 32, 34, 88), ("time", "command", "code", "what the pump said"), refused)
