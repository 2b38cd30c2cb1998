"""report.pdf: the same as the page, for paper and for files. fpdf2 makes it: pure Python from a wheel, no browser and no system library."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

import matplotlib
from fpdf import FPDF
from fpdf.enums import TableBordersLayout, TableCellFillMode
from fpdf.fonts import FontFace
from PIL import Image

from hil import charts, report
from hil.chart import PAPER, Chart
from hil.result import Result, limits_text, shown

FONTS = Path(matplotlib.get_data_path(), "fonts", "ttf")
FONT, MONO = "sans", "mono"
MARGIN_MM, WIDTH_MM, HEIGHT_MM = 16.0, 178.0, 297.0
DPI = 170
TABLE_COLOURS = 128
INK, SOFT, LINE = (31, 35, 40), (87, 96, 106), (216, 222, 228)
VERDICT = {"passed": (11, 110, 79), "failed": (179, 64, 10), "unusable": (87, 96, 106)}
STEPS = 200


def write(result: Result, path: Path) -> None:
    """The document for one run."""
    path.write_bytes(document(result))


def document(result: Result) -> bytes:
    paper = _Paper(result)
    paper.add_page()
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
    _versions(paper, result)
    return bytes(paper.output())


class _Paper(FPDF):
    """A4 with a line at the foot of each page that says what this is, and how much it is worth."""

    def __init__(self, result: Result) -> None:
        super().__init__(format="A4")
        self._foot = f"{result.scenario}   {result.verdict.upper()}   {result.evidence}   not a medical device"
        self.set_margins(MARGIN_MM, 14, MARGIN_MM)
        self.set_auto_page_break(True, 18)
        for style, name in (("", "DejaVuSans.ttf"), ("B", "DejaVuSans-Bold.ttf"), ("I", "DejaVuSans-Oblique.ttf")):
            self.add_font(FONT, style, FONTS / name)
        self.add_font(MONO, "", FONTS / "DejaVuSansMono.ttf")
        self.set_title(f"{result.scenario}: {result.verdict}")
        self.set_lang("en")

    def footer(self) -> None:
        self.set_y(-13)
        self.set_font(FONT, "", 7.5)
        self.set_text_color(*SOFT)
        self.cell(0, 5, self._foot)
        self.set_x(MARGIN_MM)
        self.cell(0, 5, f"{self.page_no()} / {{nb}}", align="R")

    def say(self, text: str, size: float = 9, style: str = "", colour: tuple[int, int, int] = INK, family: str = FONT) -> None:
        """A paragraph."""
        self.set_font(family, style, size)
        self.set_text_color(*colour)
        self.multi_cell(0, size * 0.5, text, align="L", new_x="LMARGIN", new_y="NEXT")

    def heading(self, text: str, keep_mm: float = 30) -> None:
        """Over what follows it, on the same page."""
        if self.get_y() + keep_mm > HEIGHT_MM - 18:
            self.add_page()
        elif self.get_y() > 20:
            self.ln(4)
        self.say(text, 11.5, "B")
        self.set_draw_color(*LINE)
        self.line(MARGIN_MM, self.get_y() + 0.8, MARGIN_MM + WIDTH_MM, self.get_y() + 0.8)
        self.ln(2)

    def chart(self, chart: Chart) -> None:
        """Title, picture and caption, never torn apart."""
        height_mm = WIDTH_MM * chart.height_in * PAPER.taller / PAPER.width_in
        self.set_font(FONT, "", 8)
        caption_mm = float(self.multi_cell(0, 4, chart.caption, dry_run=True, output="HEIGHT"))  # type: ignore[arg-type]
        self.heading(chart.title, 14 + height_mm + caption_mm)
        self.image(_few_colours(chart.png(PAPER, DPI)), w=WIDTH_MM, h=height_mm, alt_text=chart.title)
        self.ln(0.5)
        self.say(chart.caption, 8, "", SOFT)

    def grid(self, widths: Sequence[int], head: Sequence[str], rows: Iterable[Sequence[str]], right: Sequence[int] = ()) -> None:
        """A table; columns of figures to the right."""
        aligned = ["RIGHT" if i in right else "LEFT" for i in range(len(widths))]
        self.set_font(FONT, "", 8)
        self.set_text_color(*INK)
        self.set_draw_color(*LINE)
        self.set_fill_color(255, 255, 255)
        with self.table(
            col_widths=tuple(widths), text_align=tuple(aligned), line_height=4, padding=(0.7, 1.2), repeat_headings=1,
            headings_style=FontFace(emphasis="BOLD", color=SOFT), borders_layout=TableBordersLayout.HORIZONTAL_LINES,
            cell_fill_mode=TableCellFillMode.NONE,
        ) as table:  # fmt: skip
            for row in (head, *rows):
                table.row(tuple(row))
        self.ln(1)


def _few_colours(png: bytes) -> Image.Image:
    """A drawing has few: a fifth of the bytes."""
    with Image.open(io.BytesIO(png)) as picture:
        few: Image.Image = picture.convert("RGB").quantize(TABLE_COLOURS, dither=Image.Dither.NONE)
    return few


def _head(paper: _Paper, result: Result) -> None:
    paper.say(report.NOT_MEDICAL, 8, "", SOFT)
    paper.ln(2)
    paper.set_font(FONT, "B", 11)
    paper.set_fill_color(*VERDICT.get(result.verdict, SOFT))
    paper.set_text_color(255, 255, 255)
    paper.cell(paper.get_string_width(result.verdict.upper()) + 8, 7.5, result.verdict.upper(), fill=True, align="C")
    paper.set_x(paper.get_x() + 3)
    paper.set_text_color(*INK)
    paper.set_draw_color(*INK)
    paper.cell(paper.get_string_width(result.evidence) + 8, 7.5, result.evidence, border=1, align="C", new_x="LMARGIN", new_y="NEXT")
    paper.ln(2)
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


def _measurements(paper: _Paper, result: Result) -> None:
    if not result.measurements:
        return
    paper.heading(f"Measurements ({result.evidence})")
    figures = report.measured(result)
    said = [(report.uncertainty_text(m), limits_text(m), report.margin_text(m), m.missing or m.why, report.mark(m)) for m in figures]
    rows = [(m.name, shown(m.value), m.unit, *more) for m, more in zip(figures, said, strict=True)]
    head = ("figure", "value", "unit", "unc., k = 2", "allowed", "margin", "source of the limit", "verdict")
    paper.grid((38, 19, 11, 22, 27, 16, 36, 21), head, rows, right=(1, 3, 5))


def _windows(paper: _Paper, result: Result) -> None:
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


def _alarms(paper: _Paper, result: Result) -> None:
    if not result.alarms:
        paper.heading("Alarms")
        paper.say("None came on.")
        return
    paper.chart(charts.alarms(result))
    ends = ["still on" if a.off_ms is None else report.span(a.off_ms) for a in result.alarms]
    rows = [(a.code, a.priority.lower(), report.span(a.on_ms), end) for a, end in zip(result.alarms, ends, strict=True)]
    paper.ln(1)
    paper.grid((50, 25, 30, 30), ("alarm", "priority", "on", "off"), rows, right=(2, 3))


def _story(paper: _Paper, result: Result) -> None:
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


def _versions(paper: _Paper, result: Result) -> None:
    paper.heading("Versions and hashes")
    facts = [*result.versions.items(), ("seed", str(result.seed))]
    half = (len(facts) + 1) // 2
    pairs = [(*left, *right) for left, right in zip_longest(facts[:half], facts[half:], fillvalue=("", ""))]
    paper.grid((30, 60, 30, 60), ("what", "version or hash", "what", "version or hash"), pairs)
