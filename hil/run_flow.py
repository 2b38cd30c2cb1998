"""Flow accuracy of a run: start-up curve, trumpet curve and overall error of its steady flow, worked out by hil/metrology.

A story stops, doses and breaks things, and no accuracy can be told of that. So the longest stretch counts in which nothing but time passed
and the programmed rate stayed within a factor of two; the start-up curve is of the time after the first RUN. The balance says it; without
one the motion witness, whose count is the noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby, pairwise
from math import ceil, sqrt

import numpy as np

from hil.chart import Chart
from hil.errors import BenchError
from hil.metrology import pictures
from hil.metrology.analysis import FEWEST_SAMPLES
from hil.metrology.blank import Blank, Noise, measure
from hil.metrology.flow import PACKET_GOAL_S, STARTUP_S, Flow, FlowResult, Limits, Protocol
from hil.metrology.masslog import Floats, MassLog, clean
from hil.metrology.volume import Conditions
from hil.plant.config import RigConfig
from hil.quantity import span_text
from hil.recorder import Recorder, Seen
from hil.result import Result, WindowRow
from hil.scenario import Scenario
from hil.weighing import Weighing

WINDOWS = (1, 2, 5, 11, 19, 31)  # of the standard, in samples
ON_TIME = 0.01  # of the sample interval: a reading so near to its time was taken then
STARTUP_POINTS = 3
FACTOR, LEAST_NL = 2.0, 0.1  # what a steady flow may change by, and what one interval must hold
EXACT = Conditions(u_temperature_c=0.0, u_pressure_hpa=0.0, u_salt_g_l=0.0, u_adjustment=0.0, u_formula=0.0)  # counts have no weight


@dataclass(frozen=True)
class Witness:
    """Who saw the flow, and how sure it is."""

    name: str  # after "by"
    blank: Blank
    conditions: Conditions
    limits: Limits
    weighs: bool


def take(result: Result, scenario: Scenario, recorder: Recorder, weighing: Weighing | None) -> None:
    """Fill the result's charts and figures, or say why there are none."""
    try:
        witness = _witness(recorder.seen, scenario, weighing)
        steady = [_on_grid(part, scenario.setup.sample_ms) for part in _stretches(recorder.seen, witness)]
        _fill(result, [flow for part in steady for flow in _even(part)], scenario, witness)
    except BenchError as error:
        result.flow_note = f"No flow accuracy: {error}."


def _witness(seen: list[Seen], scenario: Scenario, weighing: Weighing | None) -> Witness:
    """The balance, unless there is none or it was gone before it said enough."""
    if weighing is not None and sum(row.mass_g is not None for row in seen) > FEWEST_SAMPLES:
        conditions = Conditions(temperature_c=scenario.rig.temperature_c)
        return Witness("the balance", measure(weighing.blank_log()), conditions, Limits(overall=scenario.limits.balance_percent), True)
    noise = Noise(_count_g(scenario.rig) / sqrt(12), 0.0, _count_g(scenario.rig))
    blank = Blank(0.0, 0.0, noise, 0, 0.0)
    return Witness("the motion witness", blank, EXACT, Limits(overall=scenario.limits.witness_percent), False)


def _count_g(rig: RigConfig) -> float:
    """One count of the encoder, as the mass that it stands for."""
    return rig.steps_per_turn / rig.encoder_counts_per_turn / rig.steps_per_ml * 1e6 / EXACT.nl_per_g


# ---- the record


def _stretches(seen: list[Seen], witness: Witness) -> list[list[Seen]]:
    """Where nothing but time passed, and the witness was there."""
    there = [row for row in seen if row.steady and not (witness.weighs and row.mass_g is None)]
    return [list(rows) for _, rows in groupby(there, key=lambda row: row.stretch)]


def _on_grid(rows: list[Seen], sample_ms: int) -> list[Seen]:
    """One row for each sample time; what was read in between (at the end of a story) is left out."""
    found: dict[int, Seen] = {}
    for row in rows:
        place = round(row.t_s * 1000 / sample_ms)
        if abs(row.t_s * 1000 - place * sample_ms) <= ON_TIME * sample_ms:
            found.setdefault(place, row)
    places = sorted(found)
    runs = [[place for _, place in run] for _, run in groupby(enumerate(places), key=lambda pair: pair[1] - pair[0])]
    return [found[place] for place in max(runs, key=len, default=[])]


def _even(rows: list[Seen]) -> list[list[Seen]]:
    """Parted where the programmed rate leaves a factor of two, or nothing is programmed."""
    flows: list[list[Seen]] = []
    least = most = 0.0
    for before, row in pairwise(rows):
        volume_nl = row.programmed_nl - before.programmed_nl
        low, high = min(least, volume_nl), max(most, volume_nl)
        if flows and flows[-1][-1] is before and high <= FACTOR * low:
            flows[-1].append(row)
            least, most = low, high
        elif volume_nl > LEAST_NL:
            flows.append([before, row])
            least = most = volume_nl
    return flows


def _log(rows: list[Seen], sample_s: float, witness: Witness) -> MassLog:
    """Grams over seconds since the stretch began, at the sample times."""
    t_s = np.arange(len(rows), dtype=np.float64) * sample_s
    if witness.weighs:
        return clean(MassLog(t_s, np.array([row.mass_g for row in rows], float), witness.blank.noise.resolution_g))
    grams = np.array([row.witnessed_nl for row in rows]) / EXACT.nl_per_g
    return MassLog(t_s, grams, witness.blank.noise.resolution_g)


# ---- figures


def _fill(result: Result, flows: list[list[Seen]], scenario: Scenario, witness: Witness) -> None:
    sample_s = scenario.setup.sample_ms / 1000
    longest = max(flows, key=len, default=None)
    if longest is None:
        raise BenchError("the pump was nowhere to deliver for two samples on end without something being done to it")
    judged = _judged(longest, sample_s, scenario, witness)
    if not witness.weighs and all(point.floor for point in judged.trumpet):
        raise BenchError("without a balance there is the motion witness, and one count of it is more than a third of every limit")
    result.windows = [WindowRow(p.window_s, p.high.measurement(), p.low.measurement()) for p in judged.trumpet if p.high.value is not None]
    result.measurements += [judged.overall.measurement(), *(m for row in result.windows for m in (row.high, row.low))]
    started, why = _startup(flows, sample_s, scenario, witness, result.evidence)
    result.charts += [*started, pictures.trumpet_chart(judged, result.evidence, witness.name)]
    begun = f"{span_text(round(longest[0].t_s * 1000))} after the {result.since}" if longest[0].t_s else f"the {result.since}"
    span = span_text(round((longest[-1].t_s - longest[0].t_s) * 1000))
    result.flow_note = f"By {witness.name}, over the {span} from {begun}, in which nothing but time passed.{why}"


def _judged(rows: list[Seen], sample_s: float, scenario: Scenario, witness: Witness) -> FlowResult:
    span_s = sample_s * (len(rows) - 1)
    rate_nl_h = (rows[-1].programmed_nl - rows[0].programmed_nl) * 3600 / span_s
    return _flow(rows, sample_s, rate_nl_h, scenario, witness)


def _flow(rows: list[Seen], sample_s: float, rate_nl_h: float, scenario: Scenario, witness: Witness) -> FlowResult:
    chosen = _protocol(len(rows) - 1, sample_s, rate_nl_h, scenario.rig)
    programmed_nl = np.array([row.programmed_nl for row in rows]) - rows[0].programmed_nl
    t_s = sample_s * np.arange(len(rows))

    def programmed(at_s: Floats) -> Floats:
        return np.asarray(np.interp(at_s, t_s, programmed_nl))

    flow = Flow(f"flow by {witness.name}", _log(rows, sample_s, witness), witness.blank, witness.conditions, 0.0, rate_nl_h, programmed)
    return flow.result(chosen, witness.limits)


def _protocol(intervals: int, sample_s: float, rate_nl_h: float, rig: RigConfig) -> Protocol:
    """S: the intervals of the record that come nearest to whole roller passages, half a minute at least."""
    passage_s = rig.steps_per_turn / rig.rollers / rig.steps_per_ml * 1e6 / rate_nl_h * 3600
    each = max(round(passage_s / sample_s), ceil(PACKET_GOAL_S / sample_s), 1)
    if intervals < FEWEST_SAMPLES * each:
        wanted = f"{FEWEST_SAMPLES} intervals of S = {span_text(round(each * sample_s * 1000))}"
        why = f"weighed every {span_text(round(sample_s * 1000))}, a roller passage takes {span_text(round(passage_s) * 1000)}"
        span = span_text(round(intervals * sample_s * 1000))
        raise BenchError(f"the longest steady flow of {span} is shorter than {wanted} ({why})")
    name = f"{each * sample_s / passage_s:.2g} roller passages"
    return Protocol(name, each * sample_s, WINDOWS, 0.0, intervals // each)


def _startup(flows: list[list[Seen]], sample_s: float, scenario: Scenario, witness: Witness, evidence: str) -> tuple[list[Chart], str]:
    """The start-up curve, or why there is none."""
    first = flows[0]
    if first[0].t_s:
        return [], " No start-up curve: something was done to the pump at once after it was started."
    last = min(len(first) - 1, max(1, round(STARTUP_S / sample_s)))
    rate_nl_h = (first[last].programmed_nl - first[0].programmed_nl) * 3600 / (sample_s * last)
    try:
        flow = _flow(first, sample_s, rate_nl_h, scenario, witness)
    except BenchError as error:
        return [], f" No start-up curve: {error}."
    if len(flow.startup) < STARTUP_POINTS:
        return [], f" No start-up curve: 120 min hold no {STARTUP_POINTS} intervals of S = {flow.protocol.sample_s / 60:.4g} min."
    return [pictures.startup_chart(flow, evidence, witness.name)], ""
