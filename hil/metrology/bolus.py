"""Boluses by weight: 25 in a row at one setting; the mean, and the worst high and low."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np

from hil.metrology.blank import Blank
from hil.metrology.extremes import DRAWS, SEED, extreme
from hil.metrology.figure import Contribution, Figure, not_measured
from hil.metrology.flow import FLOOR_SHARE
from hil.metrology.volume import Conditions

IN_A_ROW = 25
Weight = tuple[float, float]  # seconds, grams


@dataclass(frozen=True)
class BolusLimits:
    """In percent either way: of the mean (as the flow's), and of the worst single one (project)."""

    mean: float = 5.0
    single: float = 15.0


@dataclass(frozen=True)
class BolusResult:
    """One setting: every bolus's error in %, and the figures."""

    name: str
    setting_nl: float
    errors: tuple[float, ...]
    mean: Figure
    high: Figure
    low: Figure
    floor: bool
    notes: tuple[str, ...] = ()

    @property
    def figures(self) -> list[Figure]:
        return [self.mean, self.high, self.low]


def table(
    name: str, setting_nl: float, before: Sequence[Weight], after: Sequence[Weight], blank: Blank, conditions: Conditions,
    limits: BolusLimits | None = None, expected: int = IN_A_ROW,
) -> BolusResult:  # fmt: skip
    """From (seconds, grams) before and after each bolus, each read on its own; V = (m + b) Z."""
    limits = limits or BolusLimits()
    names = [f"{name}: {what} of {len(after)} boluses of {setting_nl / 1000:g} uL" for what in ("mean", "worst high", "worst low")]
    if len(after) < 2 or len(after) < expected // 2:
        gone = [not_measured(one, "%", f"{len(after)} of {expected} boluses were weighed") for one in names]
        return BolusResult(name, setting_nl, (), gone[0], gone[1], gone[2], floor=False)
    first, last = np.array(before, float), np.array(after, float)
    span_s = float((last[:, 0] - first[:, 0]).mean())
    masses = last[:, 1] - first[:, 1] + blank.loss_g_h * (last[:, 0] - first[:, 0]) / 3600
    errors = 100 * (masses * conditions.nl_per_g / setting_nl - 1)
    to_percent = 100 * conditions.nl_per_g / setting_nl
    noise = blank.noise.difference_g(span_s) * to_percent
    common = (
        Contribution("evaporation", blank.u_lost_g(span_s) * to_percent, f"{blank.loss_g_h * 1e3:.3g} mg/h by the blank"),
        *conditions.scale_budget(100 + float(errors.mean())),
    )
    budget = (*_mean_budget(blank, span_s, to_percent, len(errors)), *common)
    mean = Figure(names[0], float(errors.mean()), "%", budget, -limits.mean, limits.mean)

    alone = noise * np.random.default_rng(SEED).standard_normal((DRAWS, len(errors)))
    floor = noise > FLOOR_SHARE * limits.single
    one = Contribution("repeatability, resolution, drift", noise, "of one bolus")
    worst = []
    for named, sign in ((names[1], 1), (names[2], -1)):
        found = extreme(errors, noise, alone, sign)
        up, down = (0.0, found.lifted) if sign > 0 else (found.lifted, 0.0)
        worst.append(Figure(named, found.value, "%", (one, *common), -limits.single, limits.single, floor=floor, up=up, down=down))
    notes = () if len(errors) == expected else (f"{len(errors)} of {expected} boluses were weighed",)
    return BolusResult(name, setting_nl, tuple(float(e) for e in errors), mean, worst[0], worst[1], floor, notes)


def _mean_budget(blank: Blank, span_s: float, to_percent: float, count: int) -> tuple[Contribution, ...]:
    noise = blank.noise
    digit = noise.resolution_g / sqrt(12)
    own = sqrt(max(0.0, noise.reading_g**2 - digit**2))
    walk = noise.walk_g_sqrt_h * sqrt(span_s / 3600)
    return (
        Contribution("repeatability", sqrt(2 / count) * own * to_percent, f"{own * 1e3:.3g} mg a reading, {count} pairs"),
        Contribution("resolution", sqrt(2 / count) * digit * to_percent, f"last digit {noise.resolution_g * 1e3:g} mg"),
        Contribution("drift of the zero", walk / sqrt(count) * to_percent, f"{noise.walk_g_sqrt_h * 1e3:.2g} mg per root hour"),
    )
