"""The peristaltic head: where the rotor stands gives what has gone through the tube, in closed form."""

from __future__ import annotations

from math import exp, pi, sin, tau

from .config import RigConfig


class Head:
    """Volume as a function of rotor position, so a lease of any length costs one evaluation."""

    def __init__(self, config: RigConfig) -> None:
        self.nl_per_step = 1e6 / config.steps_per_ml * (1 + config.head_error_ppm * 1e-6)
        self._passage = config.steps_per_turn / config.rollers  # steps from one roller to the next
        self._harmonics = tuple(enumerate(config.pulsation, start=1))
        self._run_in_share = config.run_in_share
        self._run_in_steps = config.run_in_turns * config.steps_per_turn
        self._wear_per_step = config.wear_per_1000_turns / (1000 * config.steps_per_turn)
        self._pressure_loss = config.pressure_loss_per_mmhg
        self._tube_start = 0.0  # position at which this tube was fitted
        self.back_pressure_mmhg = 0.0
        self.worn_share = 0.0  # of the flow, lost at one blow

    def volume_nl(self, position: float) -> float:
        """What the rotor has pumped from 0 to position (steps) at no back pressure."""
        steps = position - self._tube_start
        return self.nl_per_step * (position + self._pulsation(position) + self._tube(steps))

    def pressure_factor(self) -> float:
        """Share of the flow that is left against the back pressure, through the tube as it is."""
        return max(0.0, 1 - self._pressure_loss * self.back_pressure_mmhg) * (1 - self.worn_share)

    def new_tube(self, position: float) -> None:
        """A fresh tube: it runs in and wears from here."""
        self._tube_start = position

    def _pulsation(self, position: float) -> float:
        # Integral of amplitude x sin(k x phase): zero at each whole passage, as each passage gives the same.
        phase = tau * (position / self._passage % 1.0)
        return sum(a * self._passage / (pi * k) * sin(k * phase / 2) ** 2 for k, a in self._harmonics)

    def _tube(self, steps: float) -> float:
        # Integral of the extra flow of a new tube (fades) and of the wear (grows).
        extra = self._run_in_share * self._run_in_steps * (1 - exp(-steps / self._run_in_steps))
        return extra - self._wear_per_step * steps * steps / 2
