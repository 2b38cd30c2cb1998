"""Recorded weights: what was read when, and what of it cannot be believed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from hil.errors import BenchError
from hil.instruments.balance import Reading

Floats = NDArray[np.float64]
SPIKE_SIGMAS = 8.0  # a single reading so far off both its neighbours is none of the liquid's doing
GAP_FACTOR = 2.5  # of the usual interval: readings are missing there
FEWEST = 3
FEWEST_TO_CLEAN = 8
REACH = 2  # readings on either side that must agree
WILD = 4.0  # usual steps between two readings: no pump jumps so


@dataclass(frozen=True)
class MassLog:
    """Net grams over seconds, in order of time. resolution_g: the last digit of the balance."""

    t_s: Floats
    mass_g: Floats
    resolution_g: float = 0.0001
    outliers_s: tuple[float, ...] = ()  # when readings were that clean() took out
    gaps_s: tuple[tuple[float, float], ...] = field(default=())  # from, to: nothing was read in between

    def __post_init__(self) -> None:
        if len(self.t_s) < FEWEST:
            raise BenchError(f"{len(self.t_s)} weights are too few for any figure: record at least {FEWEST}")
        if not (np.isfinite(self.t_s).all() and np.isfinite(self.mass_g).all()):
            raise BenchError("a weight or its time is no number: take that reading out")
        if (np.diff(self.t_s) <= 0).any():
            at = int(np.argmax(np.diff(self.t_s) <= 0)) + 1
            raise BenchError(f"time does not run forward at reading {at + 1} ({self.t_s[at]:g} s after {self.t_s[at - 1]:g} s)")

    @classmethod
    def of(cls, readings: Iterable[Reading], resolution_g: float = 0.0001) -> MassLog:
        """From a balance's readings."""
        kept = list(readings)
        return cls(np.array([r.t for r in kept], float), np.array([r.mass_g for r in kept], float), resolution_g)

    @property
    def interval_s(self) -> float:
        """The usual time between two readings."""
        return float(np.median(np.diff(self.t_s)))

    @property
    def span_s(self) -> float:
        return float(self.t_s[-1] - self.t_s[0])

    def between(self, from_s: float, to_s: float) -> MassLog:
        """The readings of a stretch of time."""
        inside = (self.t_s >= from_s) & (self.t_s <= to_s)
        return MassLog(self.t_s[inside], self.mass_g[inside], self.resolution_g, self.outliers_s, self.gaps_s)


def clean(log: MassLog) -> MassLog:
    """Take out single readings far off both neighbours, and say where readings are missing. Nothing is put in their place."""
    spikes = _spikes(log)
    kept = MassLog(log.t_s[~spikes], log.mass_g[~spikes], log.resolution_g) if spikes.any() else log
    steps = np.diff(kept.t_s)
    wide = np.flatnonzero(steps > GAP_FACTOR * log.interval_s)
    gaps = tuple((float(kept.t_s[i]), float(kept.t_s[i + 1])) for i in wide)
    return MassLog(kept.t_s, kept.mass_g, log.resolution_g, tuple(float(t) for t in log.t_s[spikes]), gaps)


def _spikes(log: MassLog) -> NDArray[np.bool_]:
    """Which readings stand alone: far off their neighbours, who agree with theirs once they are gone.

    A start, a stop, a step (a knocked valve, a released bolus) and a bend are no spikes: their neighbours go on disagreeing.
    """
    kept = np.arange(len(log.t_s))
    if len(kept) < FEWEST_TO_CLEAN:
        return np.zeros(len(log.t_s), bool)
    off = _off_line(log.t_s, log.mass_g)
    spread = 1.4826 * float(np.median(np.abs(off - np.median(off))))
    limit = SPIKE_SIGMAS * max(spread, log.resolution_g / 2)
    usual_g = float(np.median(np.abs(np.diff(log.mass_g))))
    suspects = sorted(np.flatnonzero(np.abs(off) > limit), key=lambda at: -abs(off[at]))
    for width in (1, 1, 2, 3):  # what hides one from the other goes first
        for i in suspects:
            at = int(np.searchsorted(kept, i))
            starts = range(at - width + 1, at + 1) if at < len(kept) and kept[at] == i else ()
            left = next((left for left in starts if _alone(log, kept, left, left + width, limit, usual_g)), None)
            if left is not None:
                kept = np.delete(kept, range(left, left + width))
    found = np.ones(len(log.t_s), bool)
    found[kept] = False
    return found


def _alone(log: MassLog, kept: NDArray[np.intp], left: int, right: int, limit: float, usual_g: float) -> bool:
    """Without the readings left to right - 1 all around agree. At an end a slow start looks the same, so there it must be wild."""
    if left < 0 or right > len(kept) or len(kept) - (right - left) < FEWEST_TO_CLEAN:
        return False
    reach = REACH if left > 0 and right < len(kept) else 2 * REACH
    rest = np.concatenate([kept[max(0, left - reach) : left], kept[right : right + reach]])
    around = _off_neighbours(log.t_s[rest], log.mass_g[rest])
    if len(around) < 1 or np.abs(around).max() > limit:
        return False
    if left > 0 and right < len(kept):
        return _gap_off(log, kept, left, right) > limit
    beside = rest[:2] if left == 0 else rest[-2:][::-1]
    gone = kept[left:right]
    far = _beyond(log.t_s[gone], log.mass_g[gone], log.t_s[beside], log.mass_g[beside])
    return bool(np.abs(far).max() > max(limit, WILD * usual_g))


def _gap_off(log: MassLog, kept: NDArray[np.intp], left: int, right: int) -> float:
    """How far the readings to go are off the line over them, at most."""
    a, b, gone = kept[left - 1], kept[right], kept[left:right]
    line = log.mass_g[a] + (log.t_s[gone] - log.t_s[a]) / (log.t_s[b] - log.t_s[a]) * (log.mass_g[b] - log.mass_g[a])
    return float(np.abs(log.mass_g[gone] - line).max())


def _off_neighbours(t_s: Floats, mass_g: Floats) -> Floats:
    """How far each inner reading is off the line through its two neighbours."""
    share = (t_s[1:-1] - t_s[:-2]) / (t_s[2:] - t_s[:-2])
    return np.asarray(mass_g[1:-1] - (mass_g[:-2] + share * (mass_g[2:] - mass_g[:-2])))


def _off_line(t_s: Floats, mass_g: Floats) -> Floats:
    """The same for every reading; the first and the last against the line through the two beside them, which is half as sure."""
    ends = [_beyond(t_s[i], mass_g[i], t_s[j], mass_g[j]) / 2 for i, j in ((slice(0, 1), slice(1, 3)), (slice(-1, None), slice(-3, -1)))]
    return np.concatenate([ends[0], _off_neighbours(t_s, mass_g), ends[1]])


def _beyond(t_s: Floats, mass_g: Floats, near_s: Floats, near_g: Floats) -> Floats:
    slope = (near_g[1] - near_g[0]) / (near_s[1] - near_s[0])
    return np.asarray(mass_g - near_g[0] - slope * (t_s - near_s[0]))


def curvature_g(log: MassLog) -> float:
    """Root mean square of the same: noise and what the flow bends between readings (outliers left out by clean())."""
    return float(np.sqrt(np.mean(_off_neighbours(log.t_s, log.mass_g) ** 2)))


def joined(parts: Sequence[MassLog]) -> MassLog:
    """Several stretches of one balance as one log."""
    return MassLog(np.concatenate([part.t_s for part in parts]), np.concatenate([part.mass_g for part in parts]), parts[0].resolution_g)
