"""One picture of a report: drawn once as code, shown wide, narrow and on paper. Colours told apart by everyone, lines told apart in grey.

Whoever has figures of its own for a report makes a `Chart` and puts it into `Result.charts`: it draws on the axes it is given,
with `Look.ticks` labels along an axis and `Look.columns(n)` columns of a legend, and takes colours and dashes from LINES.
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
    legend: int  # columns of a legend, at most
    taller: float = 1.0

    def columns(self, entries: int) -> int:
        return min(self.legend, entries)


WIDE = Look(9.6, 16, 4)
NARROW = Look(4.3, 7, 2, taller=1.1)
PAPER = Look(7.2, 13, 4)


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
        """As inline SVG, for a page."""
        buffer = io.StringIO()
        with matplotlib.rc_context(STYLE):
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


def legend_above(axes: Axes, look: Look, **more: Any) -> None:
    """Over the picture, where it hides nothing: below the word of evidence where both would meet."""
    count = len(more.get("handles") or axes.get_legend_handles_labels()[1])
    place = {"loc": "lower left", "bbox_to_anchor": (-0.01, 1.0 if look.legend > 2 else 1.03 + 0.06), "borderaxespad": 0.2}
    axes.legend(ncols=look.columns(count), handlelength=2.4, columnspacing=1.4, fontsize=8.5, **{**place, **more})


def mark_at(axes: Axes, x: float, words: str) -> None:
    """A dotted line at an instant, named at its top."""
    axes.axvline(x, color="#6a737d", lw=1, ls=":")
    axes.annotate(
        words, (x, 1), xycoords=("data", "axes fraction"), xytext=(4, -3), textcoords="offset points", va="top", color="#57606a", fontsize=8
    )
