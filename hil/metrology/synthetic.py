"""Mass logs whose answers are known: a pump with a known error, weighed by a balance with known vices, in a known climate.

All that a report is uncertain of is drawn here from what the report states: the true temperature around the one that was read, the
clock's error, the balance's adjustment. So the count of intervals that hold the truth says whether the stated uncertainty is honest.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import pi

import numpy as np

from hil.instruments.gravimetry import z_factor
from hil.metrology.masslog import Floats, MassLog
from hil.metrology.volume import NL_PER_G, Conditions


@dataclass(frozen=True)
class Pump:
    """What really comes out, over seconds, for a flow asked for at rate_nl_h."""

    rate_nl_h: float = 41_667.0
    error: float = 0.0  # share
    pulsation: float = 0.0  # amplitude of the flow over one packet, share
    packet_nl: float = 4000.0
    starts_slow_s: float = 0.0  # the flow comes up with this time constant
    wears_per_day: float = 0.0  # share of flow lost a day

    def volume_nl(self, t_s: Floats) -> Floats:
        """Delivered since the start, at seconds since it; nothing before."""
        t = np.maximum(t_s, 0.0)
        rate = self.rate_nl_h * (1 + self.error) / 3600
        lost = self.starts_slow_s * (1 - np.exp(-t / self.starts_slow_s)) if self.starts_slow_s else 0.0
        even = rate * (t - lost) - rate * self.wears_per_day * t**2 / 2 / 86_400
        phase = 2 * pi * even / self.packet_nl
        return np.asarray(even + self.pulsation * self.packet_nl / (2 * pi) * (1 - np.cos(phase)))


@dataclass(frozen=True)
class Balance:
    """Its vices and those of the place."""

    reading_g: float = 0.00008  # of one recorded point (a mean of some readings)
    walk_g_sqrt_h: float = 0.00003
    resolution_g: float = 0.00001
    evaporation_g_h: float = 0.0005
    spikes: float = 0.0  # share of readings that somebody's elbow made
    dropouts: float = 0.0  # share of readings that are missing
    gap_s: tuple[float, float] = (0.0, 0.0)  # and a stretch without any

    def read(self, volume_nl: Callable[[Floats], Floats], t_s: Floats, climate: Conditions, random: np.random.Generator) -> MassLog:
        """What is written down of a volume in a beaker that dries."""
        actual = _actual(climate, random)
        really_s = t_s * (1 + random.normal(0, climate.u_clock)) + random.normal(0, climate.u_time_s, len(t_s))
        shown = volume_nl(really_s) / (NL_PER_G * z_factor(actual.temperature_c, actual.pressure_hpa, actual.salt_g_l))
        shown = shown - self.evaporation_g_h * (really_s - t_s[0]) / 3600
        shown *= (1 + random.normal(0, climate.u_adjustment)) * (1 + random.normal(0, climate.u_formula))
        walk_g = random.standard_normal(len(t_s) - 1) * self.walk_g_sqrt_h * np.sqrt(np.diff(t_s) / 3600)
        shown += np.concatenate([[0.0], np.cumsum(walk_g)]) + random.normal(0, self.reading_g, len(t_s))
        struck = random.random(len(t_s)) < self.spikes
        shown[struck] += random.choice([-1, 1], struck.sum()) * random.uniform(0.02, 0.2, struck.sum())
        told = np.round(shown / self.resolution_g) * self.resolution_g
        kept = (random.random(len(t_s)) >= self.dropouts) & ~((t_s >= self.gap_s[0]) & (t_s < self.gap_s[1]))
        return MassLog(t_s[kept], told[kept], self.resolution_g)


def _actual(climate: Conditions, random: np.random.Generator) -> Conditions:
    return replace(
        climate,
        temperature_c=climate.temperature_c + random.normal(0, climate.u_temperature_c),
        pressure_hpa=climate.pressure_hpa + random.normal(0, climate.u_pressure_hpa),
        salt_g_l=climate.salt_g_l + (random.normal(0, climate.u_salt_g_l) if climate.salt_g_l > 1 else 0.0),
    )
