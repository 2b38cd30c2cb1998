"""The rig driven by pins instead of leases: each rising step edge is a pulse, the enable line a level.

The head, the liquid, the supplies and every fault are the same; only who makes the pulses is another.
"""

from __future__ import annotations

from array import array

import numpy as np
from numpy.typing import NDArray

from .config import RigConfig
from .engine import LeaseError, StepEngine
from .rig import Rig

NEVER_US = 1 << 62
STANDS_US = 10_000_000  # no pulse for so long: nothing flows


class PulseCounter(StepEngine):
    """Pulses somebody else made. What is still to come nobody knows."""

    def __init__(self) -> None:
        super().__init__()
        self._times_us = array("q")
        self._told = 0  # pulses that `advance` has given out

    def pulse(self, at_us: int) -> None:
        """A rising edge; edges come in order of time."""
        self._times_us.append(at_us)

    @property
    def total(self) -> int:
        return len(self._times_us)

    @property
    def pending(self) -> int:
        return 0

    def rate_hz(self) -> float:
        """By the last two pulses; 0 once the next is long overdue."""
        if self.total < 2:
            return 0.0
        period_us = self._times_us[-1] - self._times_us[-2]
        return 1e6 / period_us if period_us > 0 and self.now_us - self._times_us[-1] <= max(2 * period_us, STANDS_US) else 0.0

    def put(self, n: int, gap_us: int, period_us: int) -> None:
        raise LeaseError("this rig is driven by its pins: it takes no leases")

    def advance(self, us: int) -> int:
        """Pulses since the last call."""
        made = self.total - self._told
        self._told = self.total
        self.count += made
        self.now_us = us
        return made

    def revoke(self) -> int:
        return self.count

    def edges_us(self) -> NDArray[np.int64]:
        return np.array(self._times_us, dtype=np.int64)


class PinRig(Rig):
    """A rig whose pulses and enable level come from pins. Instants may lag its own time a little: they then count as now."""

    def __init__(self, config: RigConfig | None = None, seed: int = 0) -> None:
        super().__init__(config, seed)
        self.pulses = PulseCounter()
        self.engine = self.pulses
        self.driven_since_us = 0  # when the driver was enabled last

    def pulse(self, at_us: int) -> None:
        """A rising edge of the step pin."""
        self.advance_to(max(self.now_us, at_us - 1))
        self.pulses.pulse(at_us)
        self.advance_to(max(self.now_us, at_us))

    def drive(self, on: bool, at_us: int) -> None:
        """The enable line changed."""
        self.advance_to(max(self.now_us, at_us))
        self.enable_until_us = NEVER_US if on else self.now_us - 1
        if on:
            self.driven_since_us = self.now_us
