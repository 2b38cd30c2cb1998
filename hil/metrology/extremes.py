"""The highest of many noisy values: the standard takes it as it stands, and so does the figure; its uncertainty knows the noise.

The highest of a hundred readings of one and the same value lies about 2.5 standard deviations above it. So the truth may lie far below
the extreme that was read, by as much as noise alone makes of that many windows, but above it by no more than any one reading is unsure of.
No value is smoothed or drawn towards the others: a single true outlier stays what it was.
"""

from __future__ import annotations

from dataclasses import dataclass

from hil.metrology.figure import K
from hil.metrology.masslog import Floats

DRAWS = 400
SEED = 20260  # the same log gives the same figure


@dataclass(frozen=True)
class Extreme:
    """The extreme, and by how much further (beyond k = 2 of one value) the truth may lie towards the others."""

    value: float
    lifted: float


def extreme(values: Floats, noise: float, alone: Floats, sign: int) -> Extreme:
    """sign: 1 for the highest, -1 for the lowest. noise: standard deviation of one value. alone: what noise alone gives, one row a draw."""
    highest = alone.max(axis=1)
    most = float(highest.mean()) + K * float(highest.std(ddof=1))
    return Extreme(sign * float((sign * values).max()), max(0.0, most - K * noise))
