"""Two runs side by side: what differs first, then what does not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import hypot
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes

from hil import charts, report, run_folder
from hil.chart import BALANCE, DASHED, LEDGER, PROGRAM, Chart, Look, legend_above
from hil.result import AlarmSpan, Measurement, Result, Sample, limits_text, shown

NOTHING = "none"
VOLUMES = (("programmed", "expected_nl"), ("ledger", "authorised_nl"), ("motion witness", "witnessed_nl"), ("balance", "balance_nl"))


@dataclass(frozen=True)
class Row:
    """One thing of both runs."""

    group: str
    what: str
    a: str
    b: str
    change: str = ""  # b against a, where both are figures
    differs: bool = False


@dataclass(frozen=True)
class Comparison:
    a: Result
    b: Result
    names: tuple[str, str]  # as the folders were given
    rows: tuple[Row, ...]

    @property
    def differences(self) -> list[Row]:
        return [row for row in self.rows if row.differs]

    @property
    def same(self) -> list[Row]:
        return [row for row in self.rows if not row.differs]


def compare(a: Path, b: Path) -> Comparison:
    """InputError if one of them is no run folder."""
    return of_results(run_folder.read(a), run_folder.read(b), (str(a), str(b)))


def of_results(a: Result, b: Result, names: tuple[str, str] = ("A", "B")) -> Comparison:
    rows = [*_facts(a, b), *_figures(a, b), *_alarms(a, b), *_refusals(a, b), *_versions(a, b)]
    return Comparison(a, b, names, tuple(rows))


# ---- rows


def _facts(a: Result, b: Result) -> Iterable[Row]:
    pairs: list[tuple[str, Callable[[Result], str]]] = [
        ("verdict", lambda r: r.verdict),
        ("first failure", lambda r: r.reason or NOTHING),
        ("evidence", lambda r: r.evidence),
        ("scenario", lambda r: r.scenario),
        ("target", lambda r: r.target),
        ("seed", lambda r: str(r.seed)),
        ("key", lambda r: r.key or "not told"),
        ("time run", lambda r: report.span(r.virtual_s * 1000)),
        ("steps that went otherwise than promised", lambda r: str(sum(not o.ok for o in r.outcomes))),
    ]
    return [_row("run", what, say(a), say(b)) for what, say in pairs]


def _row(group: str, what: str, a: str, b: str, change: str = "") -> Row:
    return Row(group, what, a, b, change, a != b)


def _figures(a: Result, b: Result) -> Iterable[Row]:
    for what, name in VOLUMES:
        x, y = getattr(a, name), getattr(b, name)
        change = f"{(y - x) / 1000:+,.3f} µL" if x is not None and y is not None and x != y else ""
        yield _row("volume", what, report.microlitres(x), report.microlitres(y), change)
    ours, theirs = ({m.name: m for m in r.measurements} for r in (a, b))
    for name in dict.fromkeys([*ours, *theirs]):
        yield _figure(name, ours.get(name), theirs.get(name))


def _figure(name: str, a: Measurement | None, b: Measurement | None) -> Row:
    change = ""
    if a and b and a.value is not None and b.value is not None and a.value != b.value:
        change = f"{'+' if b.value > a.value else ''}{shown(b.value - a.value)}" + _within(a, b)
    return _row("figure", name, _said(a), _said(b), change)


def _said(m: Measurement | None) -> str:
    if m is None:
        return "not there"
    limits = "" if m.low is None and m.high is None else f", allowed {limits_text(m)}: {m.verdict}"
    return f"{shown(m.value)} {m.unit}{' ' + report.uncertainty_text(m) if m.uncertainty else ''}{limits}"


def _within(a: Measurement, b: Measurement) -> str:
    """Whether a difference says anything, where both figures have an uncertainty."""
    if not (a.uncertainty and b.uncertainty and a.value is not None and b.value is not None):
        return ""
    low, high = (a, b) if a.value <= b.value else (b, a)
    doubt = hypot(low.uncertainty or 0.0, high.downwards)  # of the sides that face each other
    return " (within uncertainty)" if abs(b.value - a.value) <= doubt else " (beyond uncertainty)"


def _alarms(a: Result, b: Result) -> Iterable[Row]:
    for code in sorted({span.code for span in (*a.alarms, *b.alarms)}):
        yield _row("alarm", code, *(_told([s for s in r.alarms if s.code == code], r.virtual_s) for r in (a, b)))


def _told(spans: list[AlarmSpan], end_s: float) -> str:
    if not spans:
        return "did not come on"
    on_ms = sum((end_s * 1000 if s.off_ms is None else s.off_ms) - s.on_ms for s in spans)
    return f"{len(spans)} x, first at {report.span(spans[0].on_ms)}, on for {report.span(on_ms)}"


def _refusals(a: Result, b: Result) -> Iterable[Row]:
    def counted(r: Result) -> dict[str, int]:
        names = [f"{f.get('verb', '')} {f.get('code', '')}" for f in r.refusals]
        return {name: names.count(name) for name in names}

    ours, theirs = counted(a), counted(b)
    for name in dict.fromkeys([*ours, *theirs]):
        yield _row("refusal", name, f"{ours.get(name, 0)} x", f"{theirs.get(name, 0)} x")


def _versions(a: Result, b: Result) -> Iterable[Row]:
    for name in dict.fromkeys([*a.versions, *b.versions]):
        yield _row("version", name, _version(a.versions, name), _version(b.versions, name))


def _version(versions: Mapping[str, str], name: str) -> str:
    return versions.get(name, "not told")


# ---- as text


def text(c: Comparison) -> str:
    """A table for a terminal: differences, then how much is the same."""
    lines = [f"A  {c.names[0]}", f"B  {c.names[1]}", ""]
    if not c.differences:
        lines.append("nothing differs")
    else:
        lines += _table([("", "A", "B", "B against A"), *((f"{r.group}: {r.what}", r.a, r.b, r.change) for r in c.differences)])
    return "\n".join([*lines, "", f"{len(c.differences)} differ, {len(c.same)} are the same"])


def _table(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [min(56, max(len(row[i]) for row in rows)) for i in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


# ---- as a page


def write(c: Comparison, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page(c), "utf-8")


def page(c: Comparison) -> str:
    return report.environment().get_template("compare.html.j2").render(
        c=c, sides=(("A", c.a, c.names[0]), ("B", c.b, c.names[1])), pictures=report.pictures(_pictures(c)), not_medical=report.NOT_MEDICAL
    )


def _pictures(c: Comparison) -> list[Chart]:
    if min(len(c.a.samples), len(c.b.samples)) < 2:
        return []
    return [
        _both(c, "Ledger minus programmed", "delivered minus\nprogrammed, µL", lambda s: (s.authorised_nl - s.programmed_nl) / 1000),
        _both(c, "Motion witness minus programmed", "delivered minus\nprogrammed, µL", lambda s: (s.witnessed_nl - s.programmed_nl) / 1000),
        _both(c, "Balance minus programmed", "delivered minus\nprogrammed, µL", _weighed_off),
        _both(c, "Delivered by the ledger", "delivered, µL", lambda s: s.authorised_nl / 1000),
        _both(c, "Basal rate", "basal rate,\nmcg/h", lambda s: s.rate_ng_h / 1000, "steps-post"),
    ]


def _weighed_off(s: Sample) -> float | None:
    return None if s.balance_nl is None else (s.balance_nl - s.programmed_nl) / 1000


def _both(c: Comparison, title: str, unit: str, value: Callable[[Sample], float | None], drawstyle: str = "default") -> Chart:
    axis = charts.TimeAxis(max(c.a, c.b, key=lambda r: r.samples[-1].t_s))
    evidence = c.a.evidence if c.a.evidence == c.b.evidence else f"A {c.a.evidence}, B {c.b.evidence}"
    styles: tuple[dict[str, Any], ...] = ({"color": LEDGER, "lw": 2.4, "alpha": 0.75}, {"color": BALANCE, "lw": 1.4, "ls": DASHED})

    def draw(axes: Axes, look: Look) -> None:
        axes.axhline(0, color=PROGRAM, lw=0.8)
        for name, run, style in (("A", c.a, styles[0]), ("B", c.b, styles[1])):
            there = [(axis.of(s.t_s), y) for s in run.samples if (y := value(s)) is not None]
            axes.plot([x for x, _ in there], [y for _, y in there], drawstyle=drawstyle, label=name, **style)
        axes.set_ylabel(unit)
        legend_above(axes, look, evidence)
        axis.label(axes, look)

    return Chart(title, "", evidence, 2.3, draw)
