"""Do the figures recover answers that are known, and is their uncertainty honest? One case a vice, many seeds, counted.

For every figure: the mean of recovered - true, the mean U (k = 2), the share of intervals that hold the truth, and the spread of
(recovered - true) / u, which is 1 if u is honest. A case fails if fewer intervals hold than a binomial bound allows, if a figure is off
by more than its own U on average, or (where the budget is exact) if the spread is not near 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from math import comb, sqrt

import numpy as np

from hil.metrology import bolus, flow
from hil.metrology.blank import Blank, measure
from hil.metrology.figure import Figure
from hil.metrology.masslog import Floats, MassLog, clean
from hil.metrology.synthetic import Balance, Pump
from hil.metrology.volume import Conditions

SEEDS = 100
CONFIDENCE = 0.95
BOUND = 1e-4  # how rarely an honest figure may fall under its bound
HONEST = (0.65, 1.35)  # of the spread of error / u over a hundred seeds, where the budget is exact
BLANK_H = 10
BLANK_STEP_S = 300.0


@dataclass(frozen=True)
class Case:
    """One pump on one balance; what is wrong with them is known."""

    name: str
    pump: Pump = field(default_factory=Pump)
    balance: Balance = field(default_factory=Balance)
    climate: Conditions = field(default_factory=Conditions)
    per_sample: int = 1  # readings in each sample interval
    ambulatory: bool = False
    boluses_nl: float = 0.0  # instead of a flow: 25 of this size


@dataclass(frozen=True)
class Trial:
    """One figure on one seed."""

    figure: str
    truth: float
    recovered: float
    interval: tuple[float, float]
    u: float
    exact: bool  # its budget is exact: the spread of error / u must be near 1


@dataclass(frozen=True)
class Finding:
    """One figure over all seeds."""

    case: str
    figure: str
    seeds: int
    truth: float
    bias: float
    expanded: float
    held: int
    least: int
    spread: float
    exact: bool

    @property
    def ok(self) -> bool:
        honest = not self.exact or HONEST[0] <= self.spread <= HONEST[1]
        return self.held >= self.least and abs(self.bias) <= self.expanded and honest


CASES: tuple[Case, ...] = (
    Case("right, quiet", Pump(), Balance(walk_g_sqrt_h=0.0)),
    Case("+3 % error", Pump(error=0.03)),
    Case("-7 % error", Pump(error=-0.07)),
    Case("evaporation 3 mg/h", Pump(error=0.01), Balance(evaporation_g_h=0.003)),
    Case("noise 0.5 mg", Pump(error=0.01), Balance(reading_g=0.0005, resolution_g=0.0001)),
    Case("zero wanders 0.3 mg/sqrt(h)", Pump(error=0.01), Balance(walk_g_sqrt_h=0.0003)),
    Case("pulsation 20 %", Pump(error=0.02, pulsation=0.2)),
    Case("drift: 2 % wear a day", Pump(error=0.01, wears_per_day=0.02)),
    Case("outliers 1 %", Pump(error=0.02), Balance(spikes=0.01), per_sample=4),
    Case("dropouts 5 %, 30 min gap", Pump(error=0.02), Balance(dropouts=0.05, gap_s=(15_000.0, 16_800.0)), per_sample=4),
    Case("saline at 25 C, 950 hPa", Pump(error=-0.02), climate=Conditions(25.0, 950.0, 9.0)),
    Case("ambulatory, 1 mL a day", Pump(error=0.02, starts_slow_s=3600.0), ambulatory=True),
    Case("25 boluses of 50 uL, +2 %", Pump(error=0.02), boluses_nl=50_000.0),
    Case("25 boluses of 1 uL, -3 %", Pump(error=-0.03), boluses_nl=1000.0),
)


def run(case: Case, seeds: int = SEEDS, first: int = 0, step: Callable[[], object] = lambda: None) -> list[Finding]:
    """All figures of a case over so many seeds."""
    trials: dict[str, list[Trial]] = {}
    for seed in range(first, first + seeds):
        for trial in _trials(case, np.random.default_rng([seed, len(case.name)])):
            trials.setdefault(trial.figure, []).append(trial)
        step()
    return [_finding(case.name, name, found) for name, found in trials.items()]


def least_held(count: int) -> int:
    """The fewest of `count` intervals of 95 % that an honest figure holds, but for one time in ten thousand."""
    below = 0.0
    for k in range(count + 1):
        below += comb(count, k) * CONFIDENCE**k * (1 - CONFIDENCE) ** (count - k)
        if below > BOUND:
            return k
    return count


def _finding(case: str, name: str, trials: list[Trial]) -> Finding:
    off = np.array([t.recovered - t.truth for t in trials])
    u = np.array([t.u for t in trials])
    held = sum(t.interval[0] <= t.truth <= t.interval[1] for t in trials)
    truth, count = float(np.mean([t.truth for t in trials])), len(trials)
    spread = sqrt(float(np.mean((off / u) ** 2)))
    width = float(np.mean([t.interval[1] - t.interval[0] for t in trials])) / 2
    return Finding(case, name, count, truth, float(off.mean()), width, held, least_held(count), spread, trials[0].exact)


def _trials(case: Case, random: np.random.Generator) -> Iterator[Trial]:
    blank = blank_of(case, random)
    loss, u_loss = blank.loss_g_h * 1e3, blank.u_loss_g_h * 1e3
    true = case.balance.evaporation_g_h * 1e3
    yield Trial("evaporation, mg/h", true, loss, (loss - 2 * u_loss, loss + 2 * u_loss), u_loss, False)
    yield from _of_boluses(case, blank, random) if case.boluses_nl else _of_flow(case, blank, random)


def blank_of(case: Case, random: np.random.Generator) -> Blank:
    """Ten hours with nothing delivered, read every five minutes."""
    t_s = np.arange(0, BLANK_H * 3600 + 1, BLANK_STEP_S)
    balance = replace(case.balance, gap_s=(0.0, 0.0))
    return measure(balance.read(np.zeros_like, t_s, case.climate, random))


def protocol_of(case: Case) -> flow.Protocol:
    return flow.ambulatory() if case.ambulatory else flow.packets(case.pump.rate_nl_h, case.pump.packet_nl)


def log_of(case: Case, random: np.random.Generator) -> MassLog:
    """The flow as the balance told it."""
    protocol = protocol_of(case)
    t_s = np.arange(0, round(protocol.end_s / protocol.sample_s) * case.per_sample + 1) * protocol.sample_s / case.per_sample
    return clean(case.balance.read(case.pump.volume_nl, t_s, case.climate, random))


def _of_flow(case: Case, blank: Blank, random: np.random.Generator) -> Iterator[Trial]:
    protocol, pump = protocol_of(case), case.pump
    judged = flow.Flow(case.name, log_of(case, random), blank, case.climate, 0.0, pump.rate_nl_h)
    found = judged.result(protocol)
    t_s, weighed = judged.edges(protocol.settle_s, protocol.sample_s, protocol.samples)
    known = np.flatnonzero(np.isfinite(weighed))
    true_nl = pump.volume_nl(t_s)
    asked = pump.rate_nl_h * (t_s[known[-1]] - t_s[known[0]]) / 3600
    yield _trial("A, %", 100 * (true_nl[known[-1]] - true_nl[known[0]] - asked) / asked, found.overall, True)
    for point, n in zip(found.trumpet, protocol.windows, strict=True):
        asked = pump.rate_nl_h * n * protocol.sample_s / 3600
        errors = 100 * ((true_nl[n:] - true_nl[:-n]) / asked - 1)
        errors = errors[np.isfinite(weighed[n:] - weighed[:-n])]
        yield _trial(f"Ep(max) {n} S, %", float(errors.max()), point.high, False)
        yield _trial(f"Ep(min) {n} S, %", float(errors.min()), point.low, False)


def _of_boluses(case: Case, blank: Blank, random: np.random.Generator) -> Iterator[Trial]:
    """Each is read 30 s before it begins and 30 s after; they spread by half a percent."""
    sizes = case.boluses_nl * (1 + case.pump.error) * (1 + random.normal(0, 0.005, bolus.IN_A_ROW))
    starts = 300.0 * np.arange(bolus.IN_A_ROW)
    t_s = np.sort(np.concatenate([starts, starts + 120.0]))
    given = np.concatenate([[0.0], np.cumsum(sizes)])

    def volume_nl(at: Floats) -> Floats:
        return np.asarray(given[np.searchsorted(starts + 60.0, at)])

    log = case.balance.read(volume_nl, t_s, case.climate, random)
    weights = [(float(t), float(m)) for t, m in zip(log.t_s, log.mass_g, strict=True)]
    found = bolus.table(case.name, case.boluses_nl, weights[::2], weights[1::2], blank, case.climate)
    errors = 100 * (sizes / case.boluses_nl - 1)
    yield _trial("mean, %", float(errors.mean()), found.mean, True)
    yield _trial("worst high, %", float(errors.max()), found.high, False)
    yield _trial("worst low, %", float(errors.min()), found.low, False)


def _trial(name: str, truth: float, figure: Figure, exact: bool) -> Trial:
    assert figure.value is not None and figure.interval is not None, figure.missing
    return Trial(name, float(truth), figure.value, figure.interval, figure.u, exact)
