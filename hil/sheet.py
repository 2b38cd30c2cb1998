"""A document for paper and for files: what every report.pdf is made of. fpdf2 makes it: pure Python from a wheel, no browser needed."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from itertools import zip_longest
from pathlib import Path

import matplotlib
from fpdf import FPDF
from fpdf.enums import TableBordersLayout, TableCellFillMode
from fpdf.fonts import FontFace
from PIL import Image

from hil.chart import PAPER, Chart

FONTS = Path(matplotlib.get_data_path(), "fonts", "ttf")
FONT = "sans"
MARGIN_MM, WIDTH_MM, HEIGHT_MM = 16.0, 178.0, 297.0
DPI = 170
TABLE_COLOURS = 128
TEXT_PT = 8  # of a table
INK, SOFT, LINE = (31, 35, 40), (87, 96, 106), (216, 222, 228)
VERDICT = {"passed": (11, 110, 79), "failed": (179, 64, 10), "unusable": (87, 96, 106)}


class Sheet(FPDF):
    """A4 with a line at the foot of each page that says what this is, and how much it is worth."""

    def __init__(self, name: str, verdict: str, evidence: str) -> None:
        super().__init__(format="A4")
        self._verdict, self._evidence = verdict, evidence
        self._foot = f"{name}   {verdict.upper()}   {evidence}   not a medical device"
        self.set_margins(MARGIN_MM, 14, MARGIN_MM)
        self.set_auto_page_break(True, 18)
        for style, name in (("", "DejaVuSans.ttf"), ("B", "DejaVuSans-Bold.ttf"), ("I", "DejaVuSans-Oblique.ttf")):
            self.add_font(FONT, style, FONTS / name)
        self.set_title(f"{name}: {verdict}")
        self.set_lang("en")
        self.add_page()

    def footer(self) -> None:
        self.set_y(-13)
        self.set_font(FONT, "", 7.5)
        self.set_text_color(*SOFT)
        self.cell(0, 5, self._foot)
        self.set_x(MARGIN_MM)
        self.cell(0, 5, f"{self.page_no()} / {{nb}}", align="R")

    def say(self, text: str, size: float = 9, style: str = "", colour: tuple[int, int, int] = INK) -> None:
        """A paragraph."""
        self.set_font(FONT, style, size)
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

    def badges(self) -> None:
        """The verdict, and what it is worth."""
        self.set_font(FONT, "B", 11)
        self.set_fill_color(*VERDICT.get(self._verdict, SOFT))
        self.set_text_color(255, 255, 255)
        verdict = self._verdict.upper()
        self.cell(self.get_string_width(verdict) + 8, 7.5, verdict, fill=True, align="C")
        self.set_x(self.get_x() + 3)
        self.set_text_color(*INK)
        self.set_draw_color(*INK)
        self.cell(self.get_string_width(self._evidence) + 8, 7.5, self._evidence, border=1, align="C", new_x="LMARGIN", new_y="NEXT")
        self.ln(2)

    def versions(self, facts: Sequence[tuple[str, str]]) -> None:
        """In two columns."""
        self.heading("Versions and hashes")
        half = (len(facts) + 1) // 2
        pairs = [(*left, *right) for left, right in zip_longest(facts[:half], facts[half:], fillvalue=("", ""))]
        self.grid((30, 60, 30, 60), ("what", "version or hash", "what", "version or hash"), pairs)

    def chart(self, chart: Chart) -> None:
        """Title, picture and caption, never torn apart."""
        height_mm = WIDTH_MM * chart.height_in * PAPER.taller / PAPER.width_in
        self.set_font(FONT, "", 8)
        caption_mm = float(self.multi_cell(0, 4, chart.caption, dry_run=True, output="HEIGHT"))  # type: ignore[arg-type]
        self.heading(chart.title, 14 + height_mm + caption_mm)
        self.image(_few_colours(chart.png(PAPER, DPI)), w=WIDTH_MM, h=height_mm, alt_text=chart.title)
        self.ln(0.5)
        self.say(chart.caption, 8, "", SOFT)

    def grid(
        self, widths: Sequence[int], head: Sequence[str], rows: Iterable[Sequence[str]], right: Sequence[int] = (), size: float = TEXT_PT
    ) -> None:
        """A table; columns of figures to the right."""
        small = size < TEXT_PT
        named = FontFace(emphasis="BOLD", color=SOFT, size_pt=size * 0.78 if small else size)
        aligned = ["RIGHT" if i in right else "LEFT" for i in range(len(widths))]
        self.set_font(FONT, "", size)
        self.set_text_color(*INK)
        self.set_draw_color(*LINE)
        self.set_fill_color(255, 255, 255)
        with self.table(
            col_widths=tuple(widths), text_align=tuple(aligned), line_height=size / 2, padding=(0.7, 0.6 if small else 1.2),
            repeat_headings=1, headings_style=named, borders_layout=TableBordersLayout.HORIZONTAL_LINES,
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
