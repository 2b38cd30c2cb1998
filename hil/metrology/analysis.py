"""A file of weights against what was programmed, without any instrument: `python -m hil analyse`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from math import sqrt

import numpy as np

from hil.errors import InputError
from hil.metrology import blank as blanks
from hil.metrology import flow
from hil.metrology.masslog import Floats, MassLog, clean, curvature_g
from hil.metrology.outcome import Outcome
from hil.metrology.volume import Conditions
from hil.metrology.weights_file import Weights
from hil.oracle.curve import IdealCurve
from hil.oracle.program import Program as OracleProgram
from hil.prescription import Program

FROM_A_FILE = "FROM A FILE"
FINEST_SPM = 1_000_000  # the curve's volume does not depend on it
FEWEST_SAMPLES = 10
MOST_GAIN_G_H = 0.010  # the drift that a balance fit for a run may have (hil/instruments/diagnostics.py)


@dataclass(frozen=True)
class Asked:
    """What was programmed: a flat rate, or a program that ran from a local clock time on."""

    name: str
    rate_nl_h: float = 0.0
    program: Program | None = None
    began: datetime | None = None

    def programmed(self, span_s: float) -> tuple[float, Callable[[Floats], Floats] | None]:
        """Mean rate over a span, and the volume over seconds since the start (None: flat)."""
        if self.program is None:
            return self.rate_nl_h, None
        curve = IdealCurve(0, FINEST_SPM)
        began = self.began or datetime(2027, 5, 3)
        local_s = int((began.replace(tzinfo=None) - datetime(1970, 1, 1)).total_seconds())
        curve.set_clock(0, local_s, began.microsecond // 1000)
        curve.set_program(0, OracleProgram.parse(self.program.canonical_lines()))
        curve.run(0)

        def volume_nl(t_s: Floats) -> Floats:
            return np.array([float(curve.volume_nl(0, round(max(0.0, float(t)) * 1e6))) for t in t_s])

        return float(volume_nl(np.array([span_s]))[0]) * 3600 / span_s, volume_nl


def needs_clock(program: Program) -> bool:
    """Its rate changes with the time of day or the weekday."""
    doses = {dose for segments in program.days.values() for _, dose in _rates(segments)}
    return len(doses) > 1 or bool(program.taper)


def _rates(segments: tuple[tuple[int, int], ...]) -> list[tuple[int, float]]:
    ends = [start for start, _ in segments[1:]] + [1440]
    return [(start, dose / (end - start)) for (start, dose), end in zip(segments, ends, strict=True)]


def analyse(
    name: str, weights: Weights, asked: Asked, conditions: Conditions, *, blank: MassLog | None = None,
    protocol: flow.Protocol | None = None, packet_nl: float = 0.0, start_s: float = 0.0, limits: flow.Limits | None = None,
) -> Outcome:  # fmt: skip
    """The figures of one flow. Without a protocol: packets if the pump has them, else S = 1/100 of the record, at least half a minute."""
    log = clean(weights.log)
    span_s = float(log.t_s[-1]) - start_s
    if span_s <= 0:
        raise InputError("--start-after", f"the record ends after {log.t_s[-1]:.0f} s: nothing is left")
    rate_nl_h, programmed = asked.programmed(span_s)
    outcome = Outcome(f"{name} against {asked.name}", FROM_A_FILE, "none", conditions)
    outcome.blank = _measured(blank) if blank is not None else _assumed(log)
    if blank is None:
        outcome.notes.append(
            "no blank was given (--blank): evaporation is assumed between 0 and 2 mg/h, noise is taken from the record itself"
        )
    chosen = _fitting(protocol or _usual(rate_nl_h, packet_nl, span_s, log), span_s, log)
    judged = flow.Flow(name, log, outcome.blank, conditions, start_s, rate_nl_h, programmed)
    outcome.flows.append(judged.result(chosen, limits))
    return outcome


def _measured(blank: MassLog) -> blanks.Blank:
    """A beaker dries; one that grows heavier was delivered into."""
    found = blanks.measure(blank)
    if found.loss_g_h < -MOST_GAIN_G_H - 3 * found.u_loss_g_h:
        raise InputError("--blank", f"gains {-1000 * found.loss_g_h:.3g} mg/h: that is no blank, something was delivered")
    return found


def _assumed(log: MassLog) -> blanks.Blank:
    """White noise bends the line through three readings by sqrt(1.5) of itself; what the flow bends counts as noise too."""
    return blanks.assumed(log, curvature_g(log) / sqrt(1.5))


def _usual(rate_nl_h: float, packet_nl: float, span_s: float, log: MassLog) -> flow.Protocol:
    if packet_nl:
        return flow.packets(rate_nl_h, packet_nl)
    sample_s = max(30.0, round(span_s / 100 / log.interval_s) * log.interval_s, log.interval_s)
    return flow.Protocol("S by the record", sample_s, (1, 2, 5, 11, 19, 31), 0.0, 100)


def _fitting(protocol: flow.Protocol, span_s: float, log: MassLog) -> flow.Protocol:
    """As many samples as the record holds, up to those of the protocol."""
    held = int((span_s - protocol.settle_s) / protocol.sample_s + 1e-6)
    if held < FEWEST_SAMPLES:
        wanted = f"{protocol.settle_s / 3600:.3g} h of settling and at least {FEWEST_SAMPLES} x {protocol.sample_s / 60:.3g} min"
        raise InputError("", f"the record of {span_s / 3600:.3g} h is too short: {protocol.name} wants {wanted}")
    if log.interval_s > protocol.sample_s * (1 + flow.AT_EDGE):
        raise InputError(
            "", f"a weight every {log.interval_s:.0f} s is too seldom for S = {protocol.sample_s:.0f} s: choose a longer --sample"
        )
    return replace(protocol, samples=min(held, protocol.samples))
