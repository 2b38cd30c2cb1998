"""What a balance shows while nothing is delivered: noise of a reading, wandering of the zero, evaporation.

Model of a blank: mass = start - loss x time + random walk + white noise. The two noises are told apart by likelihood, the loss
follows by generalised least squares, so its uncertainty knows both.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import sqrt

import numpy as np

from hil.errors import BenchError
from hil.metrology.masslog import Floats, MassLog, clean

CYCLES = 10  # the fewest blank cycles (FACTS: gravimetry)
MOST_POINTS = 160  # more readings are taken together in groups
S_PER_H = 3600.0
RATIOS = np.linspace(0.0, 1.0, 41) ** 2 * 20.0  # of the zero's walk in an hour to the noise of a reading
ASSUMED_LOSS_G_H = 0.001  # without a blank: somewhere between nothing and twice this, for an open beaker with an oil film


@dataclass(frozen=True)
class Noise:
    """Standard deviation of one reading, of which the last digit is a part, and of the zero's random walk."""

    reading_g: float
    walk_g_sqrt_h: float
    resolution_g: float = 0.0001

    def difference_g(self, span_s: float) -> float:
        """Of the difference of two readings so far apart."""
        return sqrt(2 * self.reading_g**2 + self.walk_g_sqrt_h**2 * span_s / S_PER_H)

    def sample(self, t_s: Floats, draws: int, random: np.random.Generator) -> Floats:
        """Noise of readings at these times, one row a draw."""
        walk_g = self.walk_g_sqrt_h * np.sqrt(np.diff(t_s) / S_PER_H)
        steps = random.standard_normal((draws, len(t_s) - 1)) * walk_g
        walked = np.concatenate([np.zeros((draws, 1)), np.cumsum(steps, axis=1)], axis=1)
        return np.asarray(walked + self.reading_g * random.standard_normal((draws, len(t_s))))


@dataclass(frozen=True)
class Blank:
    """Mean loss b of V = (m + b) Z, and the noise it was found in."""

    loss_g_h: float
    u_loss_g_h: float
    noise: Noise
    readings: int
    span_s: float
    assumed: bool = False  # no blank was weighed

    def lost_g(self, span_s: float) -> float:
        return self.loss_g_h * span_s / S_PER_H

    def u_lost_g(self, span_s: float) -> float:
        return self.u_loss_g_h * span_s / S_PER_H


def measure(log: MassLog) -> Blank:
    """From at least ten blank cycles, read at their ends or more often."""
    if len(log.t_s) <= CYCLES:
        raise BenchError(f"a blank takes at least {CYCLES} cycles ({CYCLES + 1} weights, nothing delivered), this one has {len(log.t_s)}")
    tidy = clean(log)
    t_h, mass_g, group = _grouped(tidy)
    loss, u_loss, white_g, walk = _fit(np.diff(t_h), np.diff(mass_g), 0.2 * log.resolution_g / sqrt(group))
    noise = Noise(max(white_g * sqrt(group), log.resolution_g / sqrt(12)), walk, log.resolution_g)
    return Blank(-loss, u_loss, noise, len(tidy.t_s), tidy.span_s)


def assumed(log: MassLog, reading_g: float) -> Blank:
    """Without a blank: evaporation lies somewhere between nothing and 2 mg/h (rectangular), the noise is what the log shows."""
    noise = Noise(max(reading_g, log.resolution_g / sqrt(12)), 0.0, log.resolution_g)
    return Blank(ASSUMED_LOSS_G_H, ASSUMED_LOSS_G_H / sqrt(3), noise, 0, 0.0, assumed=True)


def _grouped(log: MassLog) -> tuple[Floats, Floats, int]:
    """Hours and grams of at most MOST_POINTS means, and how many readings each is of."""
    group = max(1, len(log.t_s) // MOST_POINTS)
    whole = len(log.t_s) // group * group
    t_s, mass_g = log.t_s[:whole].reshape(-1, group), log.mass_g[:whole].reshape(-1, group)
    return t_s.mean(axis=1) / S_PER_H, mass_g.mean(axis=1), group


def _fit(step_h: Floats, step_g: Floats, least_g: float) -> tuple[float, float, float, float]:
    """Slope in g/h and its standard uncertainty, white noise in g, random walk in g per root hour.

    Averaged over the likelihood of walk / white, each ratio as likely beforehand: the likeliest alone often is no walk at all, and its
    slope is too sure. Differences of readings have the covariance white^2 (tridiagonal + ratio^2 x hours); one basis makes it diagonal
    for all ratios.
    """
    values, vectors, root = _basis(step_h.tobytes())
    x, y = vectors.T @ root, vectors.T @ (step_g / root)
    found = np.array([_given(ratio, values, x, y, least_g) for ratio in RATIOS])
    weight = np.exp(found[:, 0] - found[:, 0].max()) * np.gradient(RATIOS)
    weight /= weight.sum()
    slope = float(weight @ found[:, 1])
    u_slope = sqrt(float(weight @ (found[:, 2] ** 2 + (found[:, 1] - slope) ** 2)))
    return slope, u_slope, sqrt(float(weight @ found[:, 3] ** 2)), sqrt(float(weight @ found[:, 4] ** 2))


@lru_cache(maxsize=4)  # records of one plan have the same times
def _basis(step_h: bytes) -> tuple[Floats, Floats, Floats]:
    """Eigenvalues and vectors of the white noise's covariance, scaled by the walk's, and the root of the hours."""
    root = np.sqrt(np.frombuffer(step_h))
    white = 2 * np.eye(len(root)) - np.eye(len(root), k=1) - np.eye(len(root), k=-1)
    values, vectors = np.linalg.eigh(white / np.outer(root, root))
    return np.asarray(values), np.asarray(vectors), np.asarray(root)


def _given(ratio: float, values: Floats, x: Floats, y: Floats, least_g: float) -> tuple[float, float, float, float, float]:
    """Restricted log-likelihood, slope, its uncertainty, white noise and walk, for walk = ratio x white per root hour."""
    spread = values + ratio**2
    information = float((x * x / spread).sum())
    slope = float((x * y / spread).sum()) / information
    degrees = len(x) - 1
    variance = max(float(((y - slope * x) ** 2 / spread).sum()) / degrees, least_g**2)
    likelihood = -0.5 * (degrees * np.log(variance) + float(np.log(spread).sum()) + np.log(information))
    return likelihood, slope, sqrt(variance / information), sqrt(variance), sqrt(variance) * ratio
