"""One picture of a report: drawn once as code, shown wide, narrow and on paper. Colours told apart by everyone, lines told apart in grey.

Whoever has figures of its own for a report makes a `Chart` and puts it into `Result.charts`: it draws on the axes it is given,
with `Look.ticks` labels along an axis and `legend_above`, and takes colours and dashes from LINES.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import matplotlib

matplotlib.use("svg")
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import ScaledTranslation

# Okabe and Ito's palette; every line has a dash or a mark of its own besides.
PROGRAM = "#000000"
LEDGER = "#0072B2"
WITNESS = "#009E73"
BALANCE = "#D55E00"
MODEL = "#7B3F8C"
SOFT = "#b8bfc7"
TRUE = "#8a8a8a"
PRIORITY = {"HIGH": ("#D55E00", "////"), "MEDIUM": ("#E69F00", "...."), "LOW": ("#56B4E9", "")}
DASHED = (0, (4, 3))
DOTTED = (0, (1, 1.6))
LINES: dict[str, dict[str, Any]] = {
    "programmed": {"color": SOFT, "lw": 6, "solid_capstyle": "round"},
    "ledger": {"color": LEDGER, "lw": 1.5},
    "witness": {"color": WITNESS, "lw": 1.5, "ls": DASHED},
    "balance": {"color": BALANCE, "lw": 0.9, "marker": "o", "ms": 2.8, "mfc": "white"},
    "limit": {"color": BALANCE, "lw": 1.2, "ls": "--"},
}

STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.axisbelow": True,
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


@dataclass(frozen=True)
class Look:
    """Where a picture is shown: its width, and what fits."""

    width_in: float
    ticks: int  # labels along the bottom
    taller: float = 1.0


WIDE = Look(9.6, 16)
NARROW = Look(4.3, 7, taller=1.1)
PAPER = Look(7.2, 13, taller=0.75)
ENTRY_IN, LETTER_IN, RAISE_IN = 0.55, 0.068, 0.17  # what a legend takes: a line and its gaps, a letter; the height of the word of evidence


@dataclass(frozen=True)
class Chart:
    """A title, what it shows, the word of evidence that stands on it, and how to draw it."""

    title: str
    caption: str
    evidence: str
    height_in: float
    draw: Callable[[Axes, Look], None]
    model: bool = False  # worked out by a model, not observed

    @property
    def mark(self) -> str:
        return f"MODEL over {self.evidence} doses" if self.model else self.evidence

    def svg(self, look: Look) -> str:
        """As inline SVG, for a page; its ids are not those of the other width, which stands hidden on the same page with its hatches."""
        buffer = io.StringIO()
        with matplotlib.rc_context({**STYLE, "svg.hashsalt": f"doseloop {look.width_in}"}):
            self._figure(look).savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
        return buffer.getvalue()[buffer.getvalue().index("<svg") :]

    def png(self, look: Look, dpi: int) -> bytes:
        """As a picture, for paper."""
        buffer = io.BytesIO()
        with matplotlib.rc_context(STYLE):
            self._figure(look).savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
        return buffer.getvalue()

    def _figure(self, look: Look) -> Figure:
        figure = Figure(figsize=(look.width_in, self.height_in * look.taller), layout="constrained")
        axes = figure.add_subplot()
        self.draw(axes, look)
        axes.set_title(self.mark, loc="right", fontsize=8, color="#6a737d")
        return figure


def legend_above(axes: Axes, look: Look, mark: str, **more: Any) -> None:
    """Over the picture, where it hides nothing, in as many rows as the width wants; above the word of evidence if both would meet."""
    words = [h.get_label() for h in more["handles"]] if "handles" in more else axes.get_legend_handles_labels()[1]
    sizes = [ENTRY_IN + LETTER_IN * len(str(word)) for word in words]
    room = look.width_in - 0.7
    columns = len(words) if sum(sizes) <= room else max(1, int(room / max(sizes)))
    beside = sum(sizes) + LETTER_IN * len(mark) <= room
    raised = axes.transAxes + ScaledTranslation(0, 0.0 if beside else RAISE_IN, axes.get_figure(root=True).dpi_scale_trans)  # type: ignore[union-attr]
    axes.legend(
        ncols=columns, loc="lower left", bbox_to_anchor=(-0.01, 1.0), bbox_transform=raised, borderaxespad=0.2,
        handlelength=2.4, columnspacing=1.4, fontsize=8.5, **more,
    )  # fmt: skip


def mark_at(axes: Axes, x: float, words: str, row: int = 0) -> None:
    """A dotted line at an instant, named in the so-manieth row from the top, on the side where there is room."""
    left, right = axes.get_xlim()
    near_end = x > left + 0.8 * (right - left)
    axes.axvline(x, color="#6a737d", lw=1, ls=":")
    axes.annotate(
        words, (x, 1), xycoords=("data", "axes fraction"), xytext=(-4 if near_end else 4, -3 - 11 * row), textcoords="offset points",
        va="top", ha="right" if near_end else "left", color="#57606a", fontsize=8,
    )  # fmt: skip
