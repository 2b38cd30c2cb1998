"""The figures of a run and their limits: three witnesses of one volume against each other and against the oracle."""

from __future__ import annotations

from hil import csf, tip
from hil.oracle.program import Program as OracleProgram
from hil.recorder import Recorder
from hil.result import Measurement, Result
from hil.scenario import Scenario
from hil.targets.base import Target

NL_PER_STEP = 10.0  # of the reference rig


def take_all(result: Result, scenario: Scenario, target: Target, recorder: Recorder, longest_s: float = 0.0) -> None:
    """Fill the result's figures from its last sample and the target."""
    result.virtual_s = recorder.since_ms() / 1000
    if not result.samples or recorder.expectation is None:
        return
    last = result.samples[-1]
    result.expected_nl = last.programmed_nl
    result.authorised_nl, result.witnessed_nl, result.balance_nl = last.authorised_nl, last.witnessed_nl, last.balance_nl
    result.csf = spinal_fluid(result, scenario)
    result.measurements[:0] = [
        *_against_oracle(result, scenario),
        *_between_witnesses(result, scenario),
        *_steps(result, scenario, target, recorder, 0.0 if target.instant else longest_s),
        *_at_the_tip(result, scenario, target, recorder),
    ]
    if scenario.expected.volume_nl is not None:
        wanted = float(scenario.expected.volume_nl * scenario.days)
        result.measurements.append(
            Measurement("expected by the story", result.expected_nl, "nL", wanted - 0.5, wanted + 0.5, "[expected] volume")
        )


def _against_oracle(result: Result, scenario: Scenario) -> list[Measurement]:
    expected, authorised = result.expected_nl or 0.0, result.authorised_nl or 0.0
    slack, doubt = scenario.limits.ledger_nl, result.uncertain_nl
    why = "R-PRF-4: within one step" + (", plus what power cuts left uncertain" if doubt else "")
    found = [Measurement("ledger minus oracle", authorised - expected, "nL", -slack, slack + doubt, why)]
    if expected > 0:
        value = 100 * ((result.witnessed_nl or 0.0) - expected) / expected
        band = max(scenario.limits.witness_percent, 100 * 2 * NL_PER_STEP / expected)
        found.append(Measurement("motion witness against oracle", value, "%", -band, band + 100 * doubt / expected, "R-ALM-3"))
    return found


def _between_witnesses(result: Result, scenario: Scenario) -> list[Measurement]:
    last, witnessed = result.samples[-1], result.witnessed_nl or 0.0
    if result.balance_lost:
        limit = scenario.limits.balance_percent
        return [Measurement("balance against motion witness", None, "%", -limit, limit, "third witness", missing=result.balance_lost)]
    if last.balance_nl is None or witnessed <= 0:
        return []
    value = 100 * (last.balance_nl - witnessed) / witnessed
    noise = 100 * (last.balance_noise_nl or 0.0) / witnessed
    limit = scenario.limits.balance_percent
    low = -limit - 100 * result.uncertain_nl / witnessed
    return [
        Measurement("balance against motion witness", value, "%", low, limit, "a peristaltic head is labelled +/-5 %", noise),
        Measurement("noise of the balance (2 sigma)", noise, "%", None, None, "gravimetry, repeated readings"),
        Measurement("evaporation, by the blank", result.evaporation_mg_h, "mg/h", None, None, "ten blank cycles"),
    ]


def _steps(result: Result, scenario: Scenario, target: Target, recorder: Recorder, longest_s: float) -> list[Measurement]:
    """The step error needs the edges, which only the simulated rig (or a logic analyser) has.

    A command takes effect somewhere in its exchange; what the fastest rate makes in the longest exchange is allowed on top.
    """
    if target.rig is None or recorder.expectation is None:
        return []
    edges_us = target.rig.edges_us()
    result.max_step_error = recorder.expectation.step_error(edges_us, target.now_ms() * 1000)
    result.step_errors = recorder.expectation.error_curve(edges_us)
    fastest = max((float(rate) for _, _, rate in recorder.expectation.stretches(target.now_ms() * 1000)), default=0.0)
    vague = fastest * longest_s * 1e6
    why = "R-PRF-4: within one step at every instant" + (f", and {longest_s * 1000:.0f} ms of an exchange" if vague else "")
    return [Measurement("largest step error", result.max_step_error, "steps", 0.0, scenario.limits.max_step_error + vague, why)]


def _at_the_tip(result: Result, scenario: Scenario, target: Target, recorder: Recorder) -> list[Measurement]:
    """Dose out of the catheter, and how even it stayed while another concentration came through the line (R-CON-3)."""
    tip_ng, last = recorder.tip_ng(), result.samples[-1]
    if target.rig is None or tip_ng is None or recorder.expectation is None or recorder.zero_ms is None:
        return []
    result.tip_ng = round(tip_ng)
    result.tips = tip.curves(target.rig, recorder.expectation.dose_ng, recorder.zero_ms * 1000, recorder.refills)
    found = []
    if last.programmed_ng > 0:
        off = 100 * (tip_ng - last.programmed_ng) / last.programmed_ng
        found.append(Measurement("dose out of the catheter tip against the program", off, "%", None, None, "plug flow through the line"))
    return found + [figure for curve in result.tips for figure in _of_change(curve, scenario.limits.tip_percent)]


def _of_change(curve: tip.TipCurve, percent: float) -> list[Measurement]:
    what = f"{curve.change}, {curve.window_s / 3600:.3g} h windows"
    why = "R-CON-3: no step in the dose rate at the tip"
    found = [Measurement(f"tip rate off the program, {what}", curve.largest_deviation(curve.at_tip), "%", -percent, percent, why)]
    if curve.unbridged:
        without = curve.largest_deviation(curve.unbridged)
        why = "the same program, new concentration at once"
        found.append(Measurement("the same, had the pump not bridged", without, "%", None, None, why))
    return found


# ---- the model of the spinal fluid


def spinal_fluid(result: Result, scenario: Scenario) -> csf.CsfCurve:
    """From what left the catheter tip where the rig is simulated, else from the pump's account (R-PK-1)."""
    tips = [sample.tip_ng for sample in result.samples if sample.tip_ng is not None]
    known = len(tips) == len(result.samples)
    delivered = tips if known else [sample.ledger_ng for sample in result.samples]
    source = "the dose that left the catheter tip" if known else "the dose by the pump's ledger"
    times, programmed = [s.t_s for s in result.samples], [s.programmed_ng for s in result.samples]
    return csf.curve(times, programmed, delivered, source, _rate_before(scenario))


def _rate_before(scenario: Scenario) -> float:
    """Mean ng/h of the therapy that was taken over; 0: none had begun."""
    history = scenario.history
    program = (history.program or scenario.program) if history and history.phase != "screened" else None
    if program is None or program.taper:
        return 0.0
    return float(sum(OracleProgram.parse(program.canonical_lines()).day_ng)) / (7 * 24)
