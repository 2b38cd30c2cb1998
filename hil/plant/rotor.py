"""The rotor and the encoder that witnesses it, independent of the step pin."""

from __future__ import annotations

from .config import RigConfig

UNITS = 1_000_000  # the rotor's place is kept in millionths of a step, so a slip of parts per million is exact
WRAP = 1 << 30


class Rotor:
    """Turns by pulses, as far as its faults let it."""

    def __init__(self, config: RigConfig) -> None:
        self.position = 0  # millionths of a step since the rig was built
        self.gain = UNITS  # how far one pulse turns it; 0 = stalled
        self.runaway_steps_s = 0  # turning by itself
        self.runs_undriven = False  # even without the driver
        self.driver_dead = False  # pulses arrive, the coils stay dark
        self._counts = config.encoder_counts_per_turn
        self._turn_units = config.steps_per_turn * UNITS
        self._offset = config.encoder_start
        self._frozen: int | None = None  # what a dead witness still shows

    @property
    def steps(self) -> float:
        """The rotor's place in steps."""
        return self.position / UNITS

    def turn(self, pulses: int) -> None:
        """Pulses that reach an enabled driver."""
        if not self.driver_dead:
            self.position += pulses * self.gain

    def run_away(self, span_us: int) -> None:
        """Turn by itself for span_us."""
        self.position += self.runaway_steps_s * span_us

    def witness(self) -> int:
        """The encoder's count, modulo 2^30."""
        if self._frozen is not None:
            return self._frozen
        return (self.position * self._counts // self._turn_units + self._offset) % WRAP

    def freeze_witness(self) -> None:
        """The encoder dies: its count stays where it is."""
        self._frozen = self.witness()

    def revive_witness(self) -> None:
        """The encoder counts again, from the count it died at."""
        if self._frozen is not None:
            frozen, self._frozen = self._frozen, None
            self._offset += frozen - self.witness()
