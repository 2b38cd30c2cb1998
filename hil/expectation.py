"""What the requirements say must come out: the oracle's ideal curve, fed with what was ordered and what happened."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hil.oracle.curve import IdealCurve, whole_steps
from hil.oracle.program import Program as OracleProgram
from hil.prescription import Program

CURVE_POINTS = 600


class Expectation:
    """The ideal curve from the first RUN on. All instants are the target's virtual microseconds."""

    def __init__(self, t_us: int, steps_per_ml: int) -> None:
        self.steps_per_ml = steps_per_ml
        self.program: Program | None = None
        self.running = False
        self._curve = IdealCurve(t_us, steps_per_ml)
        self._begun_us = t_us
        self._base_steps = 0  # pulses made before, which the curve does not count
        self._push_end_us: int | None = None

    # ---- what was ordered

    def clock(self, t_us: int, local_unix_s: int, sub_ms: int = 0) -> None:
        self._curve.set_clock(t_us, local_unix_s, sub_ms)

    def commit(self, t_us: int, program: Program) -> None:
        self.program = program
        self._curve.set_program(t_us, OracleProgram.parse(program.canonical_lines()))

    def run(self, t_us: int) -> None:
        self.running = True
        self._curve.run(t_us)

    def stop(self, t_us: int) -> None:
        self.running = False
        self._curve.stop(t_us)

    def push(self, t_us: int, volume_nl: int, duration_ms: int, steps: int | None = None) -> None:
        """A bolus, a prime, a test flow or a move was accepted."""
        self._curve.push(t_us, whole_steps(volume_nl, self.steps_per_ml) if steps is None else steps, duration_ms)
        self._push_end_us = t_us + duration_ms * 1000

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

    def cut(self, t_us: int, pulses: int) -> None:
        """The power went: nothing is due until it is back."""
        self._curve.anchor(t_us, pulses - self._base_steps)
        self._push_end_us = None
        self.stop(t_us)

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

    def step_error(self, edges_us: NDArray[np.int64], until_us: int) -> float:
        """Largest distance of a step edge from its ideal place, in steps."""
        return self._curve.step_error(edges_us[self._base_steps :], until_us)

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
