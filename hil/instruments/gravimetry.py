"""From grams to nanolitres: buoyancy and density (the Z factor), and the blank for evaporation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean, stdev

from .balance import Reading

WEIGHTS_G_ML = 8.0  # balances are adjusted with steel
MIN_BLANKS = 10


def water_density_g_ml(temperature_c: float) -> float:
    """Density of air-free water at 1 atm (Kell 1975), good to 1e-5 between 5 and 40 C."""
    t = temperature_c
    terms = (999.83952, 16.945176, -7.9870401e-3, -46.170461e-6, 105.56302e-9, -280.54253e-12)
    return sum(c * t**i for i, c in enumerate(terms)) / (1 + 16.879850e-3 * t) / 1000


def air_density_g_ml(temperature_c: float, pressure_hpa: float = 1013.25) -> float:
    """Density of dry air."""
    return 0.34848e-3 * pressure_hpa / (temperature_c + 273.15)


def z_factor(temperature_c: float, pressure_hpa: float = 1013.25, salt_g_l: float = 0.0) -> float:
    """Microlitres of water per milligram shown: 1.0029 at 20 C, so 1 g = 1 mL is wrong by 0.3 %."""
    air = air_density_g_ml(temperature_c, pressure_hpa)
    liquid = water_density_g_ml(temperature_c) + 0.0007 * salt_g_l
    return (1 - air / WEIGHTS_G_ML) / (liquid - air)


def volume_nl(mass_g: float, temperature_c: float = 20.0, pressure_hpa: float = 1013.25, salt_g_l: float = 0.0) -> float:
    """Volume of a mass read from a balance in air."""
    return mass_g * 1e6 * z_factor(temperature_c, pressure_hpa, salt_g_l)


@dataclass(frozen=True)
class Evaporation:
    """What a beaker loses by itself, from blank cycles: V = (m + b) Z."""

    loss_g_h: float
    spread_g_h: float  # standard deviation between the blank cycles
    cycles: int

    @classmethod
    def from_blank(cls, readings: Sequence[Reading]) -> Evaporation:
        """From readings with nothing delivered; at least 10 cycles, so 11 readings."""
        if len(readings) <= MIN_BLANKS:
            raise ValueError(
                f"a blank takes at least {MIN_BLANKS} cycles ({MIN_BLANKS + 1} readings), this one has {len(readings)} readings"
            )
        losses = [(a.mass_g - b.mass_g) / (b.t - a.t) * 3600 for a, b in pairwise(readings)]
        whole = (readings[0].mass_g - readings[-1].mass_g) / (readings[-1].t - readings[0].t) * 3600
        return cls(whole, stdev(losses), len(losses))

    def corrected_g(self, reading: Reading, since_t: float) -> float:
        """The mass as if nothing had dried since since_t."""
        return reading.mass_g + self.loss_g_h * (reading.t - since_t) / 3600


def mean_of(readings: Sequence[Reading]) -> Reading:
    """Several readings at one place as one: repeated weighing takes the noise down."""
    return Reading(fmean(r.mass_g for r in readings), all(r.stable for r in readings), fmean(r.t for r in readings))
