"""What the requirements say must come out: the oracle's ideal curve, fed with what was ordered and what happened."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from hil.oracle.curve import DAY_US, IdealCurve, whole_steps
from hil.oracle.program import Program as OracleProgram
from hil.oracle.program import flat_day
from hil.prescription import Program

CURVE_POINTS = 600


@dataclass(frozen=True)
class Push:
    """What is given beside the basal rate: whole steps if those were asked for, else those of the volume."""

    volume_nl: int
    span_ms: int
    steps: int | None = None
    dose_ng: int = 0  # 0: no dose, as a prime or a test


class Expectation:
    """The ideal curve from the first delivery on. All instants are the target's virtual microseconds."""

    def __init__(self, t_us: int, steps_per_ml: int) -> None:
        self.steps_per_ml = steps_per_ml
        self.program: Program | None = None
        self.running = False
        self._curve = IdealCurve(t_us, steps_per_ml)
        self._begun_us = t_us
        self._base_steps = 0  # pulses made before, which the curve does not count
        self._push_end_us: int | None = None
        self._taper_us: int | None = None  # when the taper in force began; None: none, or it waits for RUN
        self._cut_us = 0  # when the power went last

    # ---- what was ordered

    def clock(self, t_us: int, local_unix_s: int, sub_ms: int = 0) -> None:
        self._curve.set_clock(t_us, local_unix_s, sub_ms)

    def commit(self, t_us: int, program: Program) -> None:
        """In force at once; a taper counts its days from here if the pump runs, else from RUN."""
        self.program, self._taper_us = program, None
        if not program.taper:
            self._curve.set_program(t_us, OracleProgram.parse(program.canonical_lines()))
        elif self.running:
            self._begin_taper(t_us, program)

    def run(self, t_us: int) -> None:
        if self.program is not None and self.program.taper and self._taper_us is None:
            self._begin_taper(t_us, self.program)
        self.running = True
        self._curve.run(t_us)

    def stop(self, t_us: int) -> None:
        self.running = False
        self._curve.stop(t_us)

    def push(self, t_us: int, push: Push) -> None:
        """A bolus, a prime, a test flow or a move was accepted."""
        steps = whole_steps(push.volume_nl, self.steps_per_ml) if push.steps is None else push.steps
        self._curve.push(t_us, steps, push.span_ms, push.dose_ng)
        self._push_end_us = t_us + push.span_ms * 1000

    def bridge(self, t_us: int, old_conc: int, volume_nl: int, pulses: int | None) -> None:
        """So much of the old concentration is still to come out of the catheter; none: it is through. No pulses seen: as is due."""
        self._curve.bridge(t_us, old_conc, volume_nl, None if pulses is None else pulses - self._base_steps)

    def bridging(self, t_us: int) -> bool:
        return self._curve.bridging(t_us)

    def bridge_left_nl(self, t_us: int, pulses: int) -> float:
        """What a bridge has still to pump, seen from the steps really made; 0 = none is on."""
        return float(self._curve.bridge_left_steps(t_us, pulses - self._base_steps)) * 1e6 / self.steps_per_ml

    def break_off(self, t_us: int) -> Program | None:
        """The taper in force ends: the dose of its present day holds. Gives the program that it becomes."""
        if self.program is None or self._taper_us is None:
            return None
        dose_ng = self.program.taper[(t_us - self._taper_us) // DAY_US]
        hours = tuple((60 * hour, ng) for hour, ng in enumerate(flat_day(dose_ng)))
        flat = replace(self.program, days={"all": hours}, taper=())
        self.commit(t_us, flat)
        return flat

    def _begin_taper(self, t_us: int, program: Program) -> None:
        self._taper_us = t_us
        self._curve.set_taper(t_us, program.conc_mcg_ml, program.taper)

    # ---- what happened

    def pushing(self, t_us: int) -> bool:
        return self._push_end_us is not None and t_us < self._push_end_us

    def push_ended(self, t_us: int, steps_made: int) -> None:
        """It ended early, after so many steps."""
        if self.pushing(t_us):
            self._curve.push_ended(t_us, steps_made)
            self._push_end_us = None

    def restarted(self, t_us: int, pulses: int, clock_kept: bool) -> None:
        """The processor restarted: the curve goes on from the steps really made."""
        self._curve.anchor(t_us, pulses - self._base_steps)
        self._push_end_us = None
        if not clock_kept:
            self._curve.lowest(t_us)
            self._lose_time(t_us)

    def cut(self, t_us: int, pulses: int) -> None:
        """The power went: nothing is due until it is back."""
        self._curve.anchor(t_us, pulses - self._base_steps)
        self._push_end_us = None
        self._cut_us = t_us
        self.stop(t_us)

    def _lose_time(self, t_us: int) -> None:
        """An outage that nobody timed is no part of a taper (R-TIM-1)."""
        if self.program is not None and self._taper_us is not None:
            self._taper_us += t_us - self._cut_us
            self._curve.set_taper(t_us, self.program.conc_mcg_ml, self.program.taper, self._taper_us)

    def base(self, pulses: int) -> None:
        """Pulses made before the curve began."""
        self._base_steps = pulses

    def halt_at(self, t_us: int, pulses: int) -> None:
        """An alarm was seen to have stopped the basal: what was really made is the new base."""
        self._curve.anchor(t_us, pulses - self._base_steps)
        self.stop(t_us)

    def resume_at(self, t_us: int, pulses: int) -> None:
        """It has gone on since then, from so many steps."""
        self._curve.anchor(t_us, pulses - self._base_steps)
        self.run(t_us)

    # ---- what it says

    def volume_nl(self, from_us: int, to_us: int) -> float:
        return float(self._curve.volume_nl(from_us, to_us))

    def dose_ng(self, to_us: int) -> float:
        """Basal and boluses since the curve began."""
        return float(self._curve.dose_ng(self._begun_us, to_us))

    def step_error(self, edges_us: NDArray[np.int64], until_us: int) -> float:
        """Largest distance of a step edge from its ideal place, in steps."""
        return self._curve.step_error(edges_us[self._base_steps :], until_us)

    def stretches(self, until_us: int) -> list[tuple[int, int, Fraction]]:
        """Every stretch of constant rate so far: (from us, to us, steps a us)."""
        return self._curve.stretches(until_us)

    def error_curve(self, edges_us: NDArray[np.int64]) -> list[tuple[float, float]]:
        """(seconds since the curve began, largest error) of at most CURVE_POINTS stretches of edges."""
        edges = edges_us[self._base_steps :]
        parts = min(CURVE_POINTS, len(edges))
        if not parts:
            return []
        starts = np.linspace(0, len(edges), parts, endpoint=False).astype(np.int64)
        largest = np.maximum.reduceat(self._curve.errors(edges), starts)
        times_s = (edges[starts] - self._begun_us) / 1e6
        return [(float(t), float(error)) for t, error in zip(times_s, largest, strict=True)]
