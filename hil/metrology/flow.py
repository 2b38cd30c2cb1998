"""Flow over a mass log by IEC 60601-2-24: start-up curve, trumpet curve, overall error.

Q_i is the flow of one sample interval S. Errors are against the volume that was programmed for the same time, so a program whose
rate changes is judged as well as a flat one; for a flat one this is the standard's own formula.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite, sqrt

import numpy as np

from hil.errors import BenchError
from hil.metrology.blank import Blank
from hil.metrology.extremes import DRAWS, SEED, extreme
from hil.metrology.figure import Contribution, Figure, K, not_measured
from hil.metrology.masslog import Floats, MassLog, curvature_g
from hil.metrology.volume import Conditions

Programmed = Callable[[Floats], Floats]  # nL since the flow's start, at seconds since it
LEAST_S = 20.0  # two thirds of the standard's shortest: whole packets may come to a little less than half a minute
PACKET_GOAL_S = 30.0
AT_EDGE = 1e-3  # of S: a reading so near to an edge is at it
NEAR_EDGE = 0.25  # of S: readings that may be interpolated to an edge
FLOOR_SHARE = 1 / 3  # of a limit: noise above it greys a point out
STARTUP_S = 7200.0


@dataclass(frozen=True)
class Protocol:
    """When to look, how often, and through which windows (all in seconds)."""

    name: str
    sample_s: float
    windows: tuple[int, ...]  # in samples
    settle_s: float
    samples: int  # of the analysis period, after settling

    @property
    def end_s(self) -> float:
        return self.settle_s + self.samples * self.sample_s


def packets(rate_nl_h: float, packet_nl: float) -> Protocol:
    """Of a pump that delivers in packets: S = k x packet cycle, k = 1 if that is over half a minute, else what comes nearest to it."""
    cycle_s = packet_nl / rate_nl_h * 3600
    k = 1 if cycle_s > PACKET_GOAL_S else max(1, round(PACKET_GOAL_S / cycle_s))
    return Protocol("packet pump", k * cycle_s, (1, 2, 5, 11, 19, 31), 0.0, 100)


def ambulatory() -> Protocol:
    """S = 15 min, P = 15 to 930 min, after 24 h of settling, over 25 h."""
    return Protocol("ambulatory, continuous", 900.0, (1, 4, 10, 22, 38, 62), 86_400.0, 100)


def fast(hour: int = 2) -> Protocol:
    """S = 0.5 min, P = 2 to 31 min, in one hour (the second, or the last)."""
    return Protocol(f"fast pump, hour {hour}", 30.0, (4, 10, 22, 38, 62), (hour - 1) * 3600.0, 120)


PROTOCOLS = {"ambulatory": ambulatory, "fast": fast}


@dataclass(frozen=True)
class Limits:
    """Of the figures of a flow, in percent either way: peristaltic pumps are labelled +/-5 % (FACTS); the trumpet's axis is 15 %."""

    overall: float = 5.0
    window: float = 15.0


@dataclass(frozen=True)
class Point:
    """One length of window: the highest and lowest error in it."""

    window_s: float
    high: Figure
    low: Figure
    windows: int  # that were weighed, of
    possible: int
    floor: bool  # noise over a third of the limit
    noise: float  # of one window, %, k = 1


@dataclass(frozen=True)
class FlowResult:
    """All figures of one flow."""

    name: str
    rate_nl_h: float
    protocol: Protocol
    startup: tuple[tuple[float, float, float], ...]  # (end of the interval in min, Q in nL/h, U of it)
    trumpet: tuple[Point, ...]
    overall: Figure
    notes: tuple[str, ...]
    startup_floor: bool = False  # noise of one interval over a third of a window's limit

    @property
    def figures(self) -> list[Figure]:
        return [self.overall, *(figure for point in self.trumpet for figure in (point.high, point.low))]


class Flow:
    """One flow on one log. start_s: when it began, in the log's time; programmed: what was asked for."""

    def __init__(
        self,
        name: str,
        log: MassLog,
        blank: Blank,
        conditions: Conditions,
        start_s: float,
        rate_nl_h: float,
        programmed: Programmed | None = None,
    ) -> None:
        if not rate_nl_h > 0 or not isfinite(rate_nl_h):
            raise BenchError(f"{name}: a rate of {rate_nl_h:g} nL/h cannot be judged; give the programmed one, above 0")
        self.name = name
        self.log = log
        self.blank = blank
        self.conditions = conditions
        self.start_s = start_s
        self.rate_nl_h = rate_nl_h
        self._programmed = programmed or (lambda t_s: t_s * rate_nl_h / 3600)
        self.interpolated = False
        self._bend_g = 0.0

    # ---- volumes

    def edges(self, from_s: float, sample_s: float, count: int) -> tuple[Floats, Floats]:
        """Seconds since the start and delivered nL (corrected for evaporation) at the ends of intervals; NaN where nothing was read."""
        t_s = from_s + sample_s * np.arange(count + 1)
        return np.asarray(t_s, np.float64), np.array([self._volume_at(float(t), sample_s) for t in t_s])

    def _volume_at(self, t_s: float, sample_s: float) -> float:
        at = self.start_s + t_s
        right = int(np.searchsorted(self.log.t_s, at - AT_EDGE * sample_s))
        times = self.log.t_s
        if right < len(times) and abs(times[right] - at) <= AT_EDGE * sample_s:
            return self._nl(float(self.log.mass_g[right]), t_s)
        if not 0 < right < len(times) or max(times[right] - at, at - times[right - 1]) > NEAR_EDGE * sample_s:
            return float("nan")
        self.interpolated = True
        return self._nl(float(np.interp(at, times[right - 1 : right + 1], self.log.mass_g[right - 1 : right + 1])), t_s)

    def _nl(self, mass_g: float, t_s: float) -> float:
        return (mass_g - float(self.log.mass_g[0]) + self.blank.lost_g(t_s)) * self.conditions.nl_per_g

    # ---- figures

    def result(self, protocol: Protocol, limits: Limits | None = None) -> FlowResult:
        """All of it. A log that ends early gives what it holds."""
        limits = limits or Limits()
        if protocol.sample_s < LEAST_S:
            raise BenchError(f"S = {protocol.sample_s:g} s: a sample interval far under half a minute says nothing")
        t_s, volume_nl = self.edges(protocol.settle_s, protocol.sample_s, protocol.samples)
        known = np.flatnonzero(np.isfinite(volume_nl))
        if self.interpolated:
            self._bend_g = sqrt(max(0.0, curvature_g(self.log) ** 2 - 1.5 * self.blank.noise.reading_g**2))
        told = self.blank.noise.sample(t_s, DRAWS, np.random.default_rng(SEED)) * self.conditions.nl_per_g
        points = tuple(self._point(n, t_s, volume_nl, told, protocol, limits) for n in protocol.windows if n <= protocol.samples)
        overall = self._overall(t_s[known], volume_nl[known], limits, protocol)
        doubt_nl_h = self._startup_doubt_nl_h(protocol)
        startup, notes = self._startup(protocol, doubt_nl_h), self._notes(protocol, len(known))
        floor = 100 * doubt_nl_h / K / self.rate_nl_h > FLOOR_SHARE * limits.window
        return FlowResult(self.name, self.rate_nl_h, protocol, startup, points, overall, notes, floor)

    def _notes(self, protocol: Protocol, known: int) -> tuple[str, ...]:
        notes = [f"S = {protocol.sample_s / 60:.4g} min ({protocol.name})", f"{max(0, known - 1)} of {protocol.samples} intervals weighed"]
        if self.log.outliers_s:
            notes.append(f"{len(self.log.outliers_s)} readings stood alone far off their neighbours and were left out")
        if self.log.gaps_s:
            notes.append(f"{len(self.log.gaps_s)} gaps in the record, the longest {max(b - a for a, b in self.log.gaps_s):.0f} s")
        if self.interpolated:
            notes.append("readings were interpolated to the interval's ends; see the budget")
        if self.blank.assumed:
            notes.append("no blank was weighed: evaporation is assumed between 0 and 2 mg/h")
        return tuple(notes)

    def _overall(self, t_s: Floats, volume_nl: Floats, limits: Limits, protocol: Protocol) -> Figure:
        """A = 100 (Q - r) / r over the analysis period."""
        name = f"{self.name}: overall error A, S = {protocol.sample_s / 60:.4g} min"
        labelled = "; peristaltic pumps are labelled +/-5 %" if limits.overall == Limits.overall else ""
        why = f"over {protocol.samples * protocol.sample_s / 3600:.3g} h{labelled}"
        if len(t_s) < 2 or t_s[-1] - t_s[0] < protocol.samples * protocol.sample_s / 2:
            return not_measured(name, "%", "less than half of the analysis period was weighed")
        asked_nl = float(np.diff(self._programmed(np.array([t_s[0], t_s[-1]])))[0])
        value = 100 * (float(volume_nl[-1] - volume_nl[0]) - asked_nl) / asked_nl
        span_s = float(t_s[-1] - t_s[0])
        budget = (*self._difference_budget(span_s, asked_nl), *self._common_budget(value, span_s, asked_nl))
        return Figure(name, value, "%", budget, -limits.overall, limits.overall, why)

    def _difference_budget(self, span_s: float, asked_nl: float) -> tuple[Contribution, ...]:
        """What two readings bring to their difference, in % of the volume asked for."""
        noise, to_percent = self.blank.noise, 100 * self.conditions.nl_per_g / asked_nl
        digit = noise.resolution_g / sqrt(12)
        own = sqrt(max(0.0, noise.reading_g**2 - digit**2))
        walk = noise.walk_g_sqrt_h
        return (
            Contribution("repeatability", sqrt(2) * own * to_percent, f"{own * 1e3:.3g} mg a reading"),
            Contribution("resolution", sqrt(2) * digit * to_percent, f"last digit {noise.resolution_g * 1e3:g} mg, twice, rectangular"),
            Contribution("drift of the zero", walk * sqrt(span_s / 3600) * to_percent, f"{walk * 1e3:.2g} mg per root hour"),
            *self._bend(to_percent),
        )

    def _bend(self, to_percent: float) -> tuple[Contribution, ...]:
        if not self._bend_g:
            return ()
        source = f"{self._bend_g * 1e3:.2g} mg, by the log's own readings"
        return (Contribution("interpolation", sqrt(2) * self._bend_g * to_percent, source),)

    def _common_budget(self, value: float, span_s: float, asked_nl: float) -> tuple[Contribution, ...]:
        """What all windows of a length share."""
        lost = 100 * self.blank.u_lost_g(span_s) * self.conditions.nl_per_g / asked_nl
        timing = 100 * sqrt((sqrt(2) * self.conditions.u_time_s / span_s) ** 2 + self.conditions.u_clock**2)
        how = "assumed, rectangular" if self.blank.assumed else f"blank of {self.blank.span_s / 3600:.3g} h"
        return (
            Contribution("evaporation", lost, f"{self.blank.loss_g_h * 1e3:.3g} +/- {self.blank.u_loss_g_h * 1e3:.2g} mg/h, {how}"),
            Contribution("timing", timing, f"{self.conditions.u_time_s:g} s a reading, clock {self.conditions.u_clock * 1e6:g} ppm"),
            *self.conditions.scale_budget(100 + value),
        )

    def _point(self, n: int, t_s: Floats, volume_nl: Floats, told: Floats, protocol: Protocol, limits: Limits) -> Point:
        """Ep(max) and Ep(min) of windows of n samples; told: what the balance alone would say, one row a draw."""
        window_s = n * protocol.sample_s
        asked_nl = np.diff(self._programmed(t_s))
        asked = np.convolve(asked_nl, np.ones(n), "valid")
        errors = 100 * (volume_nl[n:] - volume_nl[:-n] - asked) / asked
        here = np.flatnonzero(np.isfinite(errors))
        typical_nl = float(np.mean(asked))
        noise = 100 * self.blank.noise.difference_g(window_s) * self.conditions.nl_per_g / typical_nl
        floor = noise > FLOOR_SHARE * limits.window
        base = f"{self.name}: {window_s / 60:.4g} min windows, S = {protocol.sample_s / 60:.4g} min"
        if len(here) < max(2, len(errors) // 2):
            weighed = f"{len(here)} of {len(errors)} windows were weighed"
            gone = [not_measured(f"{base}, {side}", "%", weighed) for side in ("Ep(max)", "Ep(min)")]
            return Point(window_s, gone[0], gone[1], len(here), len(errors), floor, noise)

        alone = (100 * (told[:, n:] - told[:, :-n]) / asked)[:, here]
        found = [self._extreme(f"{base}, {side}", errors[here], noise, alone, sign, window_s, typical_nl, limits, floor)
                 for side, sign in (("Ep(max)", 1), ("Ep(min)", -1))]  # fmt: skip
        return Point(window_s, found[0], found[1], len(here), len(errors), floor, noise)

    def _extreme(
        self,
        name: str,
        errors: Floats,
        noise: float,
        alone: Floats,
        sign: int,
        window_s: float,
        typical_nl: float,
        limits: Limits,
        floor: bool,
    ) -> Figure:
        found = extreme(errors, noise, alone, sign)
        budget = (*self._difference_budget(window_s, typical_nl), *self._common_budget(found.value, window_s, typical_nl))
        up, down = (0.0, found.lifted) if sign > 0 else (found.lifted, 0.0)
        why = "the trumpet's axis"
        return Figure(name, found.value, "%", budget, -limits.window, limits.window, why, floor=floor, up=up, down=down)

    def _startup(self, protocol: Protocol, doubt_nl_h: float) -> tuple[tuple[float, float, float], ...]:
        """Q_i of the first two hours (or of the first interval, should it be longer)."""
        count = max(1, int(STARTUP_S / protocol.sample_s + 1e-9))
        t_s, volume_nl = self.edges(0.0, protocol.sample_s, count)
        rates = np.diff(volume_nl) * 3600 / protocol.sample_s
        return tuple((float(t_s[i + 1]) / 60, float(rates[i]), doubt_nl_h) for i in range(count) if isfinite(rates[i]))

    def _startup_doubt_nl_h(self, protocol: Protocol) -> float:
        """Of the flow of one interval, k = 2."""
        noise_g = sqrt(self.blank.noise.difference_g(protocol.sample_s) ** 2 + self.blank.u_lost_g(protocol.sample_s) ** 2)
        return K * noise_g * self.conditions.nl_per_g * 3600 / protocol.sample_s
