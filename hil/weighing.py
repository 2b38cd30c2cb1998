"""The third witness: what the balance says was delivered, with its blank and its noise."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from hil.instruments import Balance, Evaporation, Reading, volume_nl
from hil.instruments.diagnostics import last_digit
from hil.instruments.gravimetry import mean_of
from hil.metrology.masslog import MassLog

BLANK_CYCLES = 10
BLANK_CYCLE_MS = 3_600_000
REPEATS = 5  # readings a point: repeated weighing takes the noise down


@dataclass(frozen=True)
class Weighed:
    """A volume and how sure it is (two standard deviations)."""

    volume_nl: float
    noise_nl: float
    mass_g: float  # as read


class Weighing:
    """Reads one balance and turns grams into nL since `begin`."""

    def __init__(self, balance: Balance, temperature_c: float) -> None:
        self._balance = balance
        self._temperature_c = temperature_c
        self._blank: Evaporation | None = None
        self._zero: Reading | None = None
        self._blank_points: list[Reading] = []
        self._seen_g: list[float] = []  # single readings of the blank: they show the last digit

    def blank(self, wait: Callable[[int], None]) -> None:
        """Ten cycles with nothing delivered; `wait(ms)` lets time pass."""
        readings = [self._point()]
        for _ in range(BLANK_CYCLES):
            wait(BLANK_CYCLE_MS)
            readings.append(self._point())
        self._blank = Evaporation.from_blank(readings)
        self._blank_points = readings

    def blank_log(self) -> MassLog:
        """The blank's points: noise and zero are told from them."""
        return MassLog.of(self._blank_points, last_digit(self._seen_g))

    def begin(self) -> None:
        """From here on."""
        self._zero = self._point()

    def delivered(self) -> Weighed:
        """Since begin, corrected for what evaporated."""
        assert self._zero is not None, "begin() first"
        point = self._point()
        mass_g = (self._blank.corrected_g(point, self._zero.t) if self._blank else point.mass_g) - self._zero.mass_g
        return Weighed(volume_nl(mass_g, self._temperature_c), self._noise_nl(point.t - self._zero.t), point.mass_g)

    def _noise_nl(self, span_s: float) -> float:
        """Of two points and of the blank, which grows with the time it is stretched over."""
        if self._blank is None:
            return 0.0
        point_g = self._blank.spread_g_h * (BLANK_CYCLE_MS / 3_600_000) / 2**0.5
        blank_g = point_g * 2**0.5 / BLANK_CYCLES * span_s / (BLANK_CYCLE_MS / 1000)
        return 2e6 * math.sqrt(2 * point_g**2 + blank_g**2)

    def _point(self) -> Reading:
        readings = [self._balance.read() for _ in range(REPEATS)]
        if self._blank is None:
            self._seen_g += [reading.mass_g for reading in readings]
        return mean_of(readings)

    @property
    def evaporation_g_h(self) -> float:
        return self._blank.loss_g_h if self._blank else 0.0

    def close(self) -> None:
        self._balance.close()
