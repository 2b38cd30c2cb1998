"""Plays a metrology plan on a pump and a balance, and works the figures out: `python -m hil metrology`."""

from __future__ import annotations

import csv
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from hil import provenance
from hil.errors import BenchError, BenchUnusable
from hil.instruments import Reading
from hil.instruments.diagnostics import Diagnosis, diagnose
from hil.metrology import blank as blanks
from hil.metrology import bolus, flow, occlusion
from hil.metrology.figure import Contribution, Figure, not_measured
from hil.metrology.masslog import FEWEST, MassLog, clean
from hil.metrology.outcome import Outcome
from hil.metrology.plan import BolusPlan, FlowPlan, OcclusionPlan, Plan, PressurePlan
from hil.pump import leading_int
from hil.wetbench import WetBench

SETTLE_S = 20.0  # after a delivery, before it is weighed: the last drop and the balance
ALARM_LOOK_S = 5.0
SLACK_NL = 200_000  # left in the reservoir at least
NL_A_STEP = 1000  # a flow is ordered a little longer than it is weighed
Progress = Callable[[float], None]  # seconds played


class OutOfLiquid(BenchError):
    """The reservoir does not hold what the next part takes."""


@dataclass
class Runner:
    """One plan on one bench. `outcome` is filled part by part, so an interrupted run keeps what it has."""

    bench: WetBench
    plan: Plan
    progress: Progress = lambda seconds: None
    ask: Callable[[str], bool] | None = None  # a person sets up what the bench cannot; None: nobody is there
    fill_nl: int | None = None
    outcome: Outcome = field(init=False)
    blank: blanks.Blank = field(init=False)
    diagnosis: Diagnosis | None = None

    def __post_init__(self) -> None:
        evidence = self.bench.target.evidence
        self.outcome = Outcome(self.plan.title, evidence, self.bench.target.name, self.plan.conditions)
        self.outcome.versions = {**provenance.of_host(), **self.bench.identity}

    def play(self) -> Outcome:
        """All parts; a part that the pump refuses or breaks off is missing, and the next one goes on."""
        self.bench.prepare_test_fluid(self.fill_nl)
        self.outcome.setup["pump's calibration"] = self._calibration()
        self._diagnose()
        self._blank()
        for one in self.plan.flows:
            self._part(one.name, lambda one=one: self.outcome.flows.append(self._flow(one)))  # type: ignore[misc]
        for two in self.plan.boluses:
            self._part(two.name, lambda two=two: self.outcome.boluses.append(self._boluses(two)))  # type: ignore[misc]
        for three in self.plan.pressures:
            self._part(three.name, lambda three=three: self.outcome.others.append(self._pressure(three)))  # type: ignore[misc]
        for four in self.plan.occlusions:
            self._part(four.name, lambda four=four: self.outcome.occlusions.append(self._occlusion(four)))  # type: ignore[misc]
        self.outcome.notes += [f"the balance went away: {why}" for why in self.bench.lost]
        return self.outcome

    def _calibration(self) -> str:
        told = self.bench.pump.stat("supplies")
        if told.get("calibrated") != "yes":
            return "none"
        low, high = (leading_int(told.get(name, "0")) / 1e6 for name in ("rate_min", "rate_max"))
        return f"valid from {low:g} to {high:g} mL/h"

    def _part(self, name: str, work: Callable[[], None]) -> None:
        try:
            work()
        except BenchUnusable:
            raise
        except BenchError as error:
            self.outcome.others.append(not_measured(name, "%", str(error)))

    def _wait_until(self, at_s: float) -> None:
        began = self.bench.now_s()
        self.bench.wait_until(at_s)
        self.progress(self.bench.now_s() - began)

    # ---- before

    def _diagnose(self) -> None:
        """Nothing moves yet: the balance must be fit."""
        self.diagnosis = diagnose(self.bench.balance, lambda s: self.bench.wait(round(s * 1000)))
        self.outcome.notes += [f"balance not fit: {finding}" for finding in self.diagnosis.findings]

    def _blank(self) -> None:
        """Ten cycles and more with nothing delivered."""
        every_s = self.plan.blank_cycle_s / self.plan.blank_points
        readings = [self.bench.weigh("blank")]
        start_s = self.bench.now_s()
        for i in range(1, self.plan.blank_cycles * self.plan.blank_points + 1):
            self._wait_until(start_s + i * every_s)
            readings.append(self.bench.weigh("blank"))
        self.blank = blanks.measure(self._log([r for r in readings if r is not None], "the blank"))
        self.outcome.blank = self.blank

    def _log(self, readings: list[Reading], what: str) -> MassLog:
        if len(readings) < FEWEST:
            raise BenchError(f"{what}: the balance gave {len(readings)} weights")
        resolution = self.diagnosis.resolution_g if self.diagnosis else 0.0001
        return MassLog.of(readings, resolution)

    # ---- flow

    def _flow(self, one: FlowPlan) -> flow.FlowResult:
        start_s, readings = self._weighed_flow(one.name, one.rate_nl_h, one.protocol.sample_s, one.span_s)
        period = (start_s + one.protocol.settle_s, start_s + one.protocol.end_s)
        log = clean(self._log(self._unbroken(readings, one.name, period), one.name))
        return flow.Flow(one.name, log, self.blank, self.plan.conditions, start_s, one.rate_nl_h).result(one.protocol, self.plan.limits)

    def _weighed_flow(self, name: str, rate_nl_h: int, every_s: float, span_s: float) -> tuple[float, list[Reading]]:
        """Weights at each end of an interval while it flows."""
        volume_nl = int(rate_nl_h * (span_s + 60) / 3600) + NL_A_STEP
        self._room_for(volume_nl)
        readings = [self.bench.weigh(name)]
        start_s = self.bench.now_s()
        self.bench.begin("TEST:FLOW", volume=f"{volume_nl}nl", rate=f"{rate_nl_h}nl/h")
        try:
            for i in range(1, round(span_s / every_s) + 1):
                self._wait_until(start_s + i * every_s)
                readings.append(self.bench.weigh(name))
        finally:
            self.bench.stop()
        return start_s, [r for r in readings if r is not None]

    def _unbroken(self, readings: list[Reading], name: str, period: tuple[float, float]) -> list[Reading]:
        """A balance that was away may have another zero: the stretch with most of the analysis period counts, the rest is not measured."""
        stretches: list[list[Reading]] = [[]]
        for reading in readings:
            if stretches[-1] and not self.bench.unbroken(stretches[-1][-1].t, reading.t):
                stretches.append([])
            stretches[-1].append(reading)
        if len(stretches) > 1:
            self.outcome.notes.append(f"{name}: the balance was away; of {len(stretches)} stretches the longest counts")
        return max(stretches, key=lambda stretch: sum(period[0] <= reading.t <= period[1] for reading in stretch))

    def _pair(self, first: Reading | None, last: Reading | None) -> tuple[bolus.Weight, bolus.Weight] | None:
        """Two weights that may be subtracted; None if one is missing or the balance was away in between."""
        if first is None or last is None or not self.bench.unbroken(first.t, last.t):
            return None
        return (first.t, first.mass_g), (last.t, last.mass_g)

    def _room_for(self, volume_nl: int) -> None:
        left_nl = self.bench.left_nl()
        if left_nl >= volume_nl + SLACK_NL:
            return
        if self.bench.rig is not None:
            self.bench.prepare_test_fluid()
            return
        raise OutOfLiquid(f"{volume_nl / 1e6:.2f} mL wanted, {left_nl / 1e6:.2f} mL in the reservoir: fill it and run this part again")

    # ---- boluses

    def _boluses(self, one: BolusPlan) -> bolus.BolusResult:
        before: list[bolus.Weight] = []
        after: list[bolus.Weight] = []
        for _ in range(one.count):
            self._room_for(one.volume_nl)
            first = self.bench.weigh(one.name)
            began_s = self.bench.now_s()
            self.bench.deliver("TEST:BOLUS", volume=f"{one.volume_nl}nl", time=f"{one.time_s}s")
            self._wait_until(max(self.bench.now_s(), began_s + one.time_s) + SETTLE_S)
            last = self.bench.weigh(one.name)
            if pair := self._pair(first, last):
                before.append(pair[0])
                after.append(pair[1])
        return bolus.table(one.name, one.volume_nl, before, after, self.blank, self.plan.conditions, self.plan.bolus_limits, one.count)

    # ---- pressure and height

    def _pressure(self, one: PressurePlan) -> Figure:
        """The change of flow against the same flow without pressure, right before it: whole packets of both."""
        name = f"{one.name}: change of flow at {one.rate_nl_h / 1e6:g} mL/h"
        if self.bench.rig is None and (self.ask is None or not self.ask(f"{one.how}; first a flow without it")):
            return not_measured(name, "%", "no person set it up: run at a terminal")
        span_s = self._whole_packets(one)
        without = self._volume(one, span_s)
        self._set_pressure(one.mmhg, f"now {one.how}")
        with_it = self._volume(one, span_s)
        self._set_pressure(0.0, "now take it away again")
        if without is None or with_it is None:
            return not_measured(name, "%", "the balance did not answer")
        value = 100 * (with_it / without - 1)
        noise = self.blank.noise.difference_g(span_s) * self.plan.conditions.nl_per_g
        lost = self.blank.u_lost_g(span_s) * self.plan.conditions.nl_per_g
        budget = (
            Contribution("repeatability, resolution, drift", 100 * noise / without * 2**0.5, "two flows, two weights each"),
            Contribution("evaporation", abs(value) * lost / without, "nearly the same in both"),
        )
        limit = self.plan.limits.overall
        return Figure(name, value, "%", budget, -limit, limit, f"over {span_s / 60:.0f} min each")

    def _whole_packets(self, one: PressurePlan) -> float:
        if not self.plan.packet_nl:
            return one.span_s
        cycle_s = self.plan.packet_nl / one.rate_nl_h * 3600
        return max(1, round(one.span_s / cycle_s)) * cycle_s

    def _volume(self, one: PressurePlan, span_s: float) -> float | None:
        """One flow of a span, weighed before and after, corrected for evaporation."""
        volume_nl = round(one.rate_nl_h * span_s / 3600)
        self._room_for(volume_nl)
        first = self.bench.weigh(one.name)
        began_s = self.bench.now_s()
        self.bench.deliver("TEST:FLOW", volume=f"{volume_nl}nl", rate=f"{one.rate_nl_h}nl/h")
        self.progress(self.bench.now_s() - began_s)
        self._wait_until(self.bench.now_s() + SETTLE_S)
        last = self.bench.weigh(one.name)
        pair = self._pair(first, last)
        if pair is None:
            return None
        (from_s, from_g), (to_s, to_g) = pair
        return (to_g - from_g + self.blank.lost_g(to_s - from_s)) * self.plan.conditions.nl_per_g

    def _set_pressure(self, mmhg: float, words: str) -> None:
        if self.bench.rig is not None:
            self.bench.rig.fault("back_pressure", mmhg=mmhg)
        elif self.ask is None or not self.ask(words):
            raise BenchError("nobody changed the pressure")

    # ---- occlusion

    def _occlusion(self, one: OcclusionPlan) -> occlusion.OcclusionResult:
        """Flow, valve closed, questions until an alarm comes, stop, valve opened: what comes then is the bolus released."""
        volume_nl = int(one.rate_nl_h * one.wait_s / 3600 * 1.2)
        self._room_for(volume_nl)
        self.bench.begin("TEST:FLOW", volume=f"{volume_nl}nl", rate=f"{one.rate_nl_h}nl/h")
        self._wait_until(self.bench.now_s() + 60)
        known = set(self.bench.pump.alarms())
        self._valve(one, closed=True)
        closed_s = self.bench.now_s()
        alarm, after_s = self._await_alarm(known, closed_s, one)
        self.bench.stop()
        first = self.bench.weigh(one.name)
        self._valve(one, closed=False)
        self._wait_until(self.bench.now_s() + SETTLE_S)
        last = self.bench.weigh(one.name)
        for code in set(self.bench.pump.alarms()) - known:
            self.bench.link.command("ALAR:ACK", {"id": code}, role="operator")
        weights = self._pair(first, last) or (None, None)
        limits, conditions = self.plan.occlusion_limits, self.plan.conditions
        if not one.stalls:
            limits = replace(limits, alarm_s=None)  # no requirement promises an alarm while the head turns and slips
        return occlusion.judge(one.name, alarm, after_s, ALARM_LOOK_S, weights[0], weights[1], self.blank, conditions, limits, one.wait_s)

    def _await_alarm(self, known: set[str], closed_s: float, one: OcclusionPlan) -> tuple[str, float | None]:
        while self.bench.now_s() - closed_s < one.wait_s:
            self._wait_until(self.bench.now_s() + ALARM_LOOK_S)
            if self.bench.rig is not None:
                self.bench.rig.settle()
            new = sorted(set(self.bench.pump.alarms()) - known)
            if new:
                return "+".join(new), self.bench.now_s() - closed_s
        return "none", None

    def _valve(self, one: OcclusionPlan, closed: bool) -> None:
        if self.bench.rig is not None and closed:
            self.bench.rig.fault("occlusion", compliance_nl=one.compliance_nl, stalls=one.stalls)
        elif self.bench.rig is not None:
            self.bench.rig.clear("occlusion")
        elif self.ask is None or not self.ask("close the valve behind the pump now" if closed else "open the valve now"):
            self.bench.stop()
            raise BenchError("nobody moved the valve: run at a terminal")


def write_logs(outcome: Outcome, folder: Path) -> None:
    """figures.csv beside metrology.json, for a spreadsheet."""
    with (folder / "figures.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["name", "value", "unit", "U_up", "U_down", "low", "high", "verdict"])
        for m in outcome.measurements:
            down = m.downwards if m.uncertainty is not None else None
            writer.writerow([m.name, m.value, m.unit, m.uncertainty, down, m.low, m.high, m.verdict])


def person(prompt: str) -> bool:
    """Ask the one who stands beside the bench; False if nobody can."""
    if not sys.stdin.isatty():
        return False
    print(f"\n  {prompt}; Enter when done (s: skip) ", end="", flush=True)
    answer = input().strip().lower()
    time.sleep(0.1)
    return answer != "s"
