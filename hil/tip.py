"""The dose rate at the catheter tip around a change of concentration: programmed, as it was, and as it would have been without a bridge.

The plant knows what leaves the tip, slug by slug. Rates are means over a window that holds at least MIN_WINDOW_NL, for the passage
of each roller shows below that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil, floor

import numpy as np
from numpy.typing import NDArray

from hil.plant.line import Front, Line, Tube
from hil.plant.rig import Rig

HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US
BEFORE_US = 6 * HOUR_US  # shown before the new drug enters the line
AFTER_US = 6 * HOUR_US  # and after it came through, or would have
MIN_WINDOW_NL = 10_000.0
GRID_US = 300_000_000

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class TipCurve:
    """One change of concentration; times in seconds since the run began, rates in ng/h."""

    before_mcg_ml: float
    after_mcg_ml: float
    entered_s: float  # the new drug begins to go into the line
    through_s: float | None  # it is at the tip; None: not within the run
    window_s: float
    t_s: Sequence[float]
    programmed: Sequence[float]
    at_tip: Sequence[float]
    unbridged: Sequence[float]  # had the pump reckoned with the new concentration at once; empty: the line was new
    declared_mcg_ml: float = 0.0  # what the refill was said to be; it may have mixed with what the syringe left

    def largest_deviation(self, rates: Sequence[float]) -> float | None:
        """Percent of the programmed rate, signed; windows in which the pump stood for a good part do not count."""
        usual = float(np.median([rate for rate in self.programmed if rate > 1] or [1.0]))
        pairs = zip(rates, self.programmed, strict=True) if rates else ()
        off = [100 * (rate - wanted) / wanted for rate, wanted in pairs if wanted > usual / 2]
        return max(off, key=abs, default=None)

    @property
    def change(self) -> str:
        before = f"{self.before_mcg_ml:.4g}" if self.before_mcg_ml else "a new line"
        return f"{before} to {self.after_mcg_ml:.4g} mcg/mL"


def curves(rig: Rig, programmed_ng: Callable[[int], float], begin_us: int, refills: Sequence[tuple[int, int]] = ()) -> list[TipCurve]:
    """One for each front that entered the line since begin_us; `programmed_ng` is the dose due up to an instant.

    refills: (us, mcg/mL as it was declared) in order of time.
    """
    rig.settle()
    log = _Log(rig, begin_us)
    found = []
    for entry in rig.line.entries:
        entered_us = log.when(entry.passed_nl)
        if entered_us >= begin_us:
            said = [conc for at_us, conc in refills if at_us <= entered_us]
            found.append(_curve(rig.line, log, entry, entered_us, programmed_ng, float(said[-1]) if said else entry.after))
    return found


class _Log:
    """What had left the tip at any instant, straight between the looks."""

    def __init__(self, rig: Rig, begin_us: int) -> None:
        self.begin_us = begin_us
        self._t = np.array(rig.tip_log.t_us, dtype=np.float64)
        self._passed = np.array(rig.tip_log.passed_nl)
        self._ng = np.array(rig.tip_log.tip_ng)
        self.end_us = int(self._t[-1])

    def when(self, passed_nl: float) -> int:
        """The last instant at which no more than that had passed."""
        after = int(np.searchsorted(self._passed, passed_nl + 1e-6, side="right"))
        return int(self._t[max(0, after - 1)])

    def ng(self, t_us: Floats) -> Floats:
        return np.asarray(np.interp(t_us, self._t, self._ng))

    def passed_nl(self, t_us: Floats) -> Floats:
        return np.asarray(np.interp(t_us, self._t, self._passed))


def _curve(line: Line, log: _Log, entry: Front, entered_us: int, programmed_ng: Callable[[int], float], declared: float) -> TipCurve:
    through_us = _through_us(line, log, entry)
    start_us = max(log.begin_us, entered_us - BEFORE_US)
    unbridged_ng = line.dead_nl * declared / 1000 if entry.before else 0.0
    without_us = _when_due(programmed_ng, entered_us, log.end_us, unbridged_ng)
    end_us = min(log.end_us, max(through_us or log.end_us, without_us) + AFTER_US)
    window_us = _window_us(log, start_us, end_us)
    grid = np.arange(start_us, end_us + 1, GRID_US, dtype=np.float64)
    due = np.array([programmed_ng(int(t)) for t in grid])
    without = _unbridged(grid, due, entered_us, entry, line.dead_nl, declared) if entry.before else None
    half = window_us // 2
    at = grid[(grid >= start_us + half) & (grid <= end_us - half)]

    def rate(total: Floats) -> list[float]:
        ahead, behind = np.interp(at + half, grid, total), np.interp(at - half, grid, total)
        return [float(value) for value in (ahead - behind) * HOUR_US / (2 * half)]

    return TipCurve(
        entry.before, entry.after, (entered_us - log.begin_us) / 1e6, None if through_us is None else (through_us - log.begin_us) / 1e6,
        2 * half / 1e6, [float(t) for t in (at - log.begin_us) / 1e6],
        rate(due), rate(log.ng(grid)), [] if without is None else rate(without), declared,
    )  # fmt: skip


def _through_us(line: Line, log: _Log, entry: Front) -> int | None:
    """When what entered there was at the tip."""
    for front in line.fronts:
        if front.passed_nl > entry.passed_nl and front.after == entry.after:
            return log.when(front.passed_nl)
    return None


def _when_due(programmed_ng: Callable[[int], float], from_us: int, end_us: int, dose_ng: float) -> int:
    """When so much has been programmed since from_us, to the hour: without a bridge the line is through then."""
    goal_ng, at_us = programmed_ng(from_us) + dose_ng, from_us
    while at_us < end_us and programmed_ng(at_us) < goal_ng:
        at_us += HOUR_US
    return at_us


def _window_us(log: _Log, start_us: int, end_us: int) -> int:
    """Whole hours that hold MIN_WINDOW_NL at the slower of the two flows."""
    hours = max(1, floor((end_us - start_us) / HOUR_US))
    ends = np.linspace(start_us, end_us, hours + 1)
    flows = np.diff(log.passed_nl(ends)) * HOUR_US / max(1, (end_us - start_us) / hours)
    flowing = flows[flows > 1]
    slowest = float(np.quantile(flowing, 0.1)) if len(flowing) else MIN_WINDOW_NL
    return min(max(1, ceil(MIN_WINDOW_NL / slowest)), 12) * HOUR_US


def _unbridged(grid: Floats, due_ng: Floats, entered_us: int, entry: Front, dead_nl: float, declared: float) -> Floats:
    """ng out of a line full of the old drug, had every volume been reckoned with the new concentration from the start."""
    line, total, out = Tube(dead_nl, entry.before), 0.0, []
    for at_us, step_ng in zip(grid, np.diff(due_ng, prepend=due_ng[0]), strict=True):
        if at_us <= entered_us:
            total += step_ng
        else:
            total += sum(conc * nl for conc, nl in line.push(entry.after, step_ng * 1000 / declared)) / 1000
        out.append(total)
    return np.array(out)
