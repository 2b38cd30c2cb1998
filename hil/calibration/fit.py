"""The slope method: delivered volume over steps. The slope is the volume of a step, the intercept what a start and a stop cost."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import sqrt
from typing import Any

import numpy as np

from hil.calibration.points import Point
from hil.errors import BenchError
from hil.metrology.blank import Blank
from hil.metrology.figure import Contribution, K
from hil.metrology.masslog import Floats
from hil.metrology.volume import Conditions

NL_PER_ML = 1e6
RANGE_PERCENT = 2.0  # a rate whose own volume per step is off the slope by more (and by more than its doubt) is outside the range
STEPS_PER_ML = (10_000, 1_000_000)  # what a pump takes


@dataclass(frozen=True)
class RateFit:
    """One rate's own volume per step against the slope, in percent, with U (k = 2)."""

    rate_hz: int
    off_percent: float
    expanded_percent: float

    @property
    def inside(self) -> bool:
        return abs(self.off_percent) <= RANGE_PERCENT + self.expanded_percent


@dataclass(frozen=True)
class Fit:
    """Volume per step and all that belongs to it."""

    nl_per_step: float
    u_nl_per_step: float  # k = 1
    intercept_nl: float
    u_intercept_nl: float
    spread_ppm: int  # of the points around the line, as a share of each one's volume
    points: int
    rates: tuple[RateFit, ...]
    budget: tuple[Contribution, ...]  # relative, in percent

    @property
    def steps_per_ml(self) -> int:
        return round(NL_PER_ML / self.nl_per_step)

    @property
    def expanded_percent(self) -> float:
        return K * 100 * self.u_nl_per_step / self.nl_per_step

    @property
    def range_nl_h(self) -> tuple[int, int]:
        """The rates of the longest unbroken run of rates inside."""
        runs: list[list[int]] = [[]]
        for rate in self.rates:
            if rate.inside:
                runs[-1].append(rate.rate_hz)
            else:
                runs.append([])
        best = max(runs, key=len)
        if not best:
            raise BenchError("no rate agrees with the slope: look at tube, head and balance, and measure anew")
        return round(best[0] * 3600 * self.nl_per_step), round(best[-1] * 3600 * self.nl_per_step)

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "steps_per_ml": self.steps_per_ml, "expanded_percent": self.expanded_percent}


def fit(points: list[Point], blank: Blank, conditions: Conditions) -> Fit:
    """Weighted by each point's own doubt; the doubt of the slope is the larger of what the balance explains and what the points show."""
    if len(points) < 3 or len({point.steps for point in points}) < 2:
        raise BenchError(f"{len(points)} points of {len({p.steps for p in points})} sizes make no slope: at least 3, of two sizes")
    steps = np.array([point.steps for point in points], float)
    volume = np.array([(p.mass_g + blank.lost_g(p.span_s)) * conditions.nl_per_g for p in points])
    own = np.array([blank.noise.difference_g(p.span_s) * conditions.nl_per_g for p in points])
    design = np.stack([np.ones_like(steps), steps], axis=1)
    covariance = np.linalg.inv(design.T @ (design / own[:, None] ** 2))
    intercept, slope = (float(x) for x in covariance @ design.T @ (volume / own**2))
    if slope <= 0:
        raise BenchError("the weight did not grow with the steps: look for air, a closed valve, or a beaker that is not on the balance")
    rest = volume - intercept - slope * steps
    birge = max(1.0, sqrt(float((rest**2 / own**2).sum()) / (len(points) - 2)))
    budget = _budget(sqrt(covariance[1, 1]) * birge / slope, birge, points, blank, conditions, slope)
    u_slope = slope * sqrt(sum(part.u**2 for part in budget)) / 100
    spread = sqrt(float((rest**2 / (slope * steps) ** 2).sum()) / (len(points) - 2))
    check_size(slope)
    rates = _rates(points, volume, own * birge, intercept, slope)
    return Fit(slope, u_slope, intercept, sqrt(covariance[0, 0]) * birge, round(spread * 1e6), len(points), rates, budget)


def check_size(nl_per_step: float) -> None:
    """BenchError for a volume per step that no pump of this kind has."""
    if not STEPS_PER_ML[0] <= NL_PER_ML / nl_per_step <= STEPS_PER_ML[1]:
        raise BenchError(f"{nl_per_step:.4g} nL a step is outside what a pump takes (1 to 100 nL): look at tube, units and balance")


def _budget(
    u_fit: float, birge: float, points: list[Point], blank: Blank, conditions: Conditions, slope: float
) -> tuple[Contribution, ...]:
    total_s, total = sum(p.span_s for p in points), sum(p.steps for p in points) * slope
    lost = blank.u_lost_g(total_s) * conditions.nl_per_g / total
    how = "as the balance explains" if birge == 1.0 else f"{birge:.2g} times what the balance explains: the points' own spread"
    return (
        Contribution("points around the line", 100 * u_fit, how),
        Contribution("evaporation", 100 * lost, f"{blank.loss_g_h * 1e3:.3g} +/- {blank.u_loss_g_h * 1e3:.2g} mg/h"),
        *conditions.scale_budget(100.0),
    )


def _rates(points: list[Point], volume: Floats, own: Floats, intercept: float, slope: float) -> tuple[RateFit, ...]:
    """Each rate's points alone, with the common intercept."""
    found = []
    for rate in sorted({point.rate_hz for point in points}):
        mine = [i for i, point in enumerate(points) if point.rate_hz == rate]
        weight = np.array([points[i].steps / own[i] ** 2 for i in mine])
        size = float(sum(w * points[i].steps for w, i in zip(weight, mine, strict=True)))
        per_step = float(sum(w * (volume[i] - intercept) for w, i in zip(weight, mine, strict=True))) / size
        found.append(RateFit(rate, 100 * (per_step / slope - 1), 100 * K / sqrt(size) / slope))
    return tuple(found)
