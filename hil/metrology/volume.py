"""From grams to volume with what makes it uncertain: conditions of the place, density, buoyancy, the clock."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

from hil.errors import BenchError
from hil.instruments.gravimetry import z_factor
from hil.metrology.figure import Contribution

NL_PER_G = 1e6  # nL in a gram at 1 uL/mg


@dataclass(frozen=True)
class Conditions:
    """Of the liquid, the air and the clock; each u_ is a standard uncertainty (k = 1)."""

    temperature_c: float = 20.0
    pressure_hpa: float = 1013.25
    salt_g_l: float = 0.0
    u_temperature_c: float = 0.3
    u_pressure_hpa: float = 5.0
    u_salt_g_l: float = 0.1
    u_adjustment: float = 10e-6  # of the balance, as a share of what it shows
    u_formula: float = 1e-5  # Kell's water, dry air in place of moist
    u_time_s: float = 0.05  # of a reading's time
    u_clock: float = 20e-6  # of the clock's rate

    def __post_init__(self) -> None:
        if not 5 <= self.temperature_c <= 40:
            raise BenchError(f"{self.temperature_c:g} C: the density of water is tabulated here from 5 to 40 C")
        if not 600 <= self.pressure_hpa <= 1100:
            raise BenchError(f"{self.pressure_hpa:g} hPa is no air pressure: 600 to 1100 (station pressure, not reduced to sea level)")
        if not 0 <= self.salt_g_l <= 30:
            raise BenchError(f"{self.salt_g_l:g} g/L of salt: 0 for water, 9 for saline, at most 30")

    @property
    def z(self) -> float:
        """Microlitres per milligram shown."""
        return z_factor(self.temperature_c, self.pressure_hpa, self.salt_g_l)

    @property
    def nl_per_g(self) -> float:
        return NL_PER_G * self.z

    def z_budget(self) -> tuple[Contribution, ...]:
        """Relative standard uncertainties of Z."""
        parts = (
            ("temperature", self._slope(self.u_temperature_c, 0, 0), f"Z over {self.u_temperature_c:g} K"),
            ("air pressure", self._slope(0, self.u_pressure_hpa, 0), f"Z over {self.u_pressure_hpa:g} hPa"),
            ("salt", self._slope(0, 0, self.u_salt_g_l), f"Z over {self.u_salt_g_l:g} g/L"),
            ("density formula", self.u_formula, "water by Kell 1975; dry air"),
        )
        return tuple(Contribution(f"Z: {name}", u, source) for name, u, source in parts)

    def _slope(self, temperature: float, pressure: float, salt: float) -> float:
        there = z_factor(self.temperature_c + temperature, self.pressure_hpa + pressure, self.salt_g_l + salt)
        return abs(there / self.z - 1)

    @property
    def u_z(self) -> float:
        return sqrt(sum(part.u**2 for part in self.z_budget()))

    def scale_budget(self, percent: float) -> tuple[Contribution, ...]:
        """What makes every volume wrong by the same share: Z, the balance's adjustment. percent: the value it is a share of."""
        size = abs(percent)
        return (
            *(Contribution(part.name, size * part.u, part.source) for part in self.z_budget()),
            Contribution("balance adjustment", size * self.u_adjustment, f"{self.u_adjustment * 1e6:g} ppm, by its certificate"),
        )
