"""Calibrating a pump on a balance: blank, prime, tracer run, points over the range. What was measured is on disk after each point."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from hil.calibration.points import Point, Run, Wanted
from hil.errors import BenchError
from hil.instruments.diagnostics import Diagnosis, diagnose
from hil.metrology import blank as blanks
from hil.metrology.masslog import MassLog
from hil.wetbench import WetBench

NOMINAL_NL = 10.0  # a step of the reference rig
TRACER_STEPS = 4000
TRACER_PERCENT = 25.0  # a head without per-tube calibration is off by up to that from unit to unit (FACTS)
PRIME_STEPS = 24_000  # 240 uL: the dead volume of tubing and catheter
FAST_HZ = 400
SETTLE_S = 20.0
BLANK_POINTS = 6
Told = Callable[[str], None]


class Procedure:
    """One run on one bench; `folder` keeps it."""

    def __init__(self, bench: WetBench, run: Run, folder: Path, told: Told = print, nominal_nl: float = NOMINAL_NL) -> None:
        self.bench = bench
        self.run = run
        self.folder = folder
        self._told = told
        self._nominal_nl = nominal_nl
        self._resolution_g = 0.0001

    def play(self, cycle_s: float) -> None:
        """Whatever is not done yet."""
        found = diagnose(self.bench.balance, lambda s: self.bench.wait(round(s * 1000)))
        self._show_diagnosis(found)
        if self.run.blank is None:
            self._blank(cycle_s)
        self._prime()
        self._tracer()
        for i, wanted in enumerate(self.run.wanted):
            if self.run.done[i] is None:
                self._told(f"point {i + 1} of {len(self.run.wanted)}: {wanted.text}")
                self.run.done[i] = self._point(wanted)
                self.run.save(self.folder)

    def _show_diagnosis(self, found: Diagnosis) -> None:
        self._resolution_g = found.resolution_g
        for line in found.lines():
            self._told(line)
        if not found.fit:
            raise BenchError("the balance is not fit for a calibration, see above; `python -m hil balance URL` looks again")

    def _blank(self, cycle_s: float) -> None:
        self._told(f"blank: {blanks.CYCLES} cycles of {cycle_s / 60:g} min, nothing moves")
        readings = [self.bench.weigh_surely("blank")]
        for _ in range(blanks.CYCLES * BLANK_POINTS):
            self.bench.wait(round(cycle_s * 1000 / BLANK_POINTS))
            readings.append(self.bench.weigh_surely("blank"))
        self.run.blank = blanks.measure(MassLog.of(readings, self._resolution_g))
        self._told(f"  evaporation {self.run.blank.loss_g_h * 1e3:.3g} mg/h, a weight {self.run.blank.noise.reading_g * 1e3:.2g} mg")
        self.run.save(self.folder)

    def _prime(self) -> None:
        self._told(f"prime: {PRIME_STEPS} steps")
        self.bench.deliver("CAL:MOVE", steps=str(PRIME_STEPS), rate=f"{FAST_HZ}/s")

    def _tracer(self) -> None:
        """A short run that only shows that liquid moves, and about as much as it should."""
        point = self._point(Wanted(TRACER_STEPS, FAST_HZ))
        assert self.run.blank is not None
        volume_nl = (point.mass_g + self.run.blank.lost_g(point.span_s)) * self.run.conditions.nl_per_g
        off = 100 * (volume_nl / (TRACER_STEPS * self._nominal_nl) - 1)
        self._told(f"tracer run: {volume_nl / 1000:.2f} uL, {off:+.1f} % off the nominal {self._nominal_nl:g} nL a step")
        if abs(off) > TRACER_PERCENT:
            raise BenchError(
                f"the tracer run gave {volume_nl / 1000:.2f} uL, {off:+.0f} % off the nominal: look for air in the tube, a closed valve,"
                " a tube that is not seated, and whether the outlet is over the beaker"
            )

    def _point(self, wanted: Wanted) -> Point:
        """Weight, steps, the last drop, weight."""
        first = self.bench.weigh_surely(wanted.text)
        made = self.bench.deliver("CAL:MOVE", steps=str(wanted.steps), rate=f"{wanted.rate_hz}/s")
        self.bench.wait(round(SETTLE_S * 1000))
        last = self.bench.weigh_surely(wanted.text)
        return Point(made, wanted.rate_hz, last.mass_g - first.mass_g, last.t - first.t)
