"""The step engine: a queue of leases timed by hardware, and the log of the pulses it made."""

from __future__ import annotations

from array import array
from collections import deque

import numpy as np
from numpy.typing import NDArray


class LeaseError(ValueError):
    """A lease that no engine can run."""


class EdgeLog:
    """Pulse times, kept as runs (first, period, n) and spelled out only when asked for."""

    def __init__(self) -> None:
        self._first = array("q")
        self._period = array("q")
        self._n = array("q")
        self.total = 0

    def add(self, first_us: int, period_us: int, n: int) -> None:
        """Append n pulses, the first at first_us."""
        if n:
            self._first.append(first_us)
            self._period.append(period_us)
            self._n.append(n)
            self.total += n

    def expand(self) -> NDArray[np.int64]:
        """All pulse times in order."""
        n = np.array(self._n, dtype=np.int64)
        within = np.arange(self.total, dtype=np.int64) - np.repeat(np.cumsum(n) - n, n)
        first = np.repeat(np.array(self._first, dtype=np.int64), n)
        return first + within * np.repeat(np.array(self._period, dtype=np.int64), n)


class _Lease:
    """One lease with its place in time; made = pulses of it already made."""

    __slots__ = ("end_us", "made", "n", "period_us", "wait_end_us")

    def __init__(self, start_us: int, n: int, gap_us: int, period_us: int) -> None:
        self.wait_end_us = start_us + gap_us
        self.end_us = self.wait_end_us + n * period_us
        self.n = n
        self.period_us = period_us
        self.made = 0

    def due(self, us: int) -> int:
        """Pulses of this lease at or before us."""
        if us >= self.end_us:
            return self.n
        return max(0, us - self.wait_end_us) // self.period_us if self.period_us else 0


class StepEngine:
    """Runs leases one after the other: wait gap, then n times {wait period, pulse}."""

    def __init__(self) -> None:
        self.now_us = 0
        self.count = 0  # pulses on the step pin since boot
        self.queued = 0  # pulses ever put since boot, less those revoked
        self.dead = False  # it takes leases, and no pulse comes
        self._queue: deque[_Lease] = deque()
        self._edges = EdgeLog()

    @property
    def idle(self) -> bool:
        """Whether nothing is left to do."""
        return not self._queue

    @property
    def pending(self) -> int:
        """Pulses of the queue not yet made."""
        return self.queued - self.count

    @property
    def total(self) -> int:
        """Pulses made over every boot."""
        return self._edges.total + (self._queue[0].made if self._queue else 0)

    @property
    def end_us(self) -> int:
        """When the last lease of the queue ends (now, if idle)."""
        return self._queue[-1].end_us if self._queue else self.now_us

    def rate_hz(self) -> float:
        """Pulses a second at this instant."""
        lease = self._queue[0] if self._queue else None
        return 1e6 / lease.period_us if lease and lease.period_us and self.now_us >= lease.wait_end_us else 0.0

    def put(self, n: int, gap_us: int, period_us: int) -> None:
        """Queue a lease behind the others; an idle engine starts it now. One pulse without a period is owed, and comes at once."""
        if n < 0 or gap_us < 0 or period_us < 0 or (n > 1 and not period_us):
            raise LeaseError(f"no engine can run the lease n={n} gap={gap_us} us period={period_us} us")
        self._queue.append(_Lease(self.end_us, n, gap_us, period_us))
        self.queued += n

    def advance(self, us: int) -> int:
        """Run to the instant us and return the pulses made; one exactly at us counts as made."""
        made = 0
        if self.dead:
            self._queue.clear()
        queue = self._queue
        while queue:
            lease = queue[0]
            due = lease.due(us)
            made += due - lease.made
            lease.made = due
            if us < lease.end_us:
                break
            self._log(queue.popleft())
        self.now_us = us
        self.count += made
        return made

    def revoke(self) -> int:
        """Empty the queue and return the count of pulses made since boot."""
        if self._queue:
            self._log(self._queue[0])
            self._queue.clear()
        self.queued = self.count
        return self.count

    def boot(self) -> None:
        """The processor restarted: queue and count begin anew."""
        self.revoke()
        self.count = self.queued = 0

    def edges_us(self) -> NDArray[np.int64]:
        """Times of all pulses made since the rig was built, over every boot."""
        done = self._edges.expand()
        if not self._queue or not self._queue[0].made:
            return done
        lease = self._queue[0]
        j = np.arange(1, lease.made + 1, dtype=np.int64)
        return np.concatenate([done, lease.wait_end_us + j * lease.period_us])

    def _log(self, lease: _Lease) -> None:
        self._edges.add(lease.wait_end_us + lease.period_us, lease.period_us, lease.made)
