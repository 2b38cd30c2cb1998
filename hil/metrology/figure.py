"""One figure: its value, where its uncertainty comes from, its limits, and what may be said of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import sqrt
from typing import Any

from hil.result import FAILED, MARGINAL, NOT_MEASURED, Measurement

K = 2.0  # coverage factor: about 95 %
FLOOR = "below the noise floor"


@dataclass(frozen=True)
class Contribution:
    """A standard uncertainty (k = 1) in the figure's own unit, and where it comes from."""

    name: str
    u: float
    source: str


@dataclass(frozen=True)
class Figure:
    """Value with budget; low and high are limits, None is none. missing: why there is no value."""

    name: str
    value: float | None
    unit: str
    budget: tuple[Contribution, ...] = ()
    low: float | None = None
    high: float | None = None
    why: str = ""
    missing: str = ""
    floor: bool = False  # the balance's noise is over a third of the limit: shown grey, not judged
    up: float = 0.0  # the truth may lie so much further up than U says, and further down: an extreme is lifted by noise
    down: float = 0.0

    @property
    def u(self) -> float:
        return sqrt(sum(part.u**2 for part in self.budget))

    @property
    def expanded(self) -> float:
        """Uncertainty with k = 2."""
        return K * self.u

    @property
    def interval(self) -> tuple[float, float] | None:
        """Where the truth lies, k = 2."""
        return None if self.value is None else (self.value - self.expanded - self.down, self.value + self.expanded + self.up)

    @property
    def verdict(self) -> str:
        return FLOOR if self.floor else self.measurement().verdict

    def measurement(self) -> Measurement:
        """As a row of a run's result. A figure below the noise floor has no limits there: it is noted."""
        low, high = (None, None) if self.floor else (self.low, self.high)
        why = "; ".join(part for part in (self.why, FLOOR if self.floor else "") if part)
        above = self.expanded + self.up if self.budget else None
        below = self.expanded + self.down if self.budget else None
        return Measurement(self.name, self.value, self.unit, low, high, why, above, self.missing, None if below == above else below)

    def within(self, low: float | None, high: float | None, why: str = "") -> Figure:
        return replace(self, low=low, high=high, why=why or self.why)

    def as_json(self) -> dict[str, Any]:
        parts = [{"name": part.name, "u": part.u, "source": part.source} for part in self.budget]
        return {
            "name": self.name, "value": self.value, "unit": self.unit, "u": self.u, "k": K, "expanded": self.expanded,
            "interval": self.interval, "low": self.low, "high": self.high, "why": self.why, "verdict": self.verdict,
            "missing": self.missing, "budget": parts,
        }  # fmt: skip


def not_measured(name: str, unit: str, reason: str) -> Figure:
    """A figure there is no value of, and why."""
    return Figure(name, None, unit, missing=reason)


def worst(figures: list[Figure]) -> str:
    """The verdict over all: failed, else marginal, else not measured, else passed."""
    given = {figure.verdict for figure in figures}
    return next((verdict for verdict in (FAILED, MARGINAL, NOT_MEASURED) if verdict in given), "passed")
