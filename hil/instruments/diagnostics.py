"""Is this balance fit for a run? Samples a second, noise, drift, stability, its last digit; before anything is delivered."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from .balance import Balance, Reading

WANTED = 60
LEAST_RATE_HZ = 1.0  # slower than this a reading's time is unsure
MOST_NOISE_G = 0.0005
MOST_DRIFT_G_H = 0.010  # more is draught, a warming balance or a leak, not evaporation
LEAST_STABLE = 0.5


@dataclass(frozen=True)
class Diagnosis:
    """What the balance did while nobody touched it."""

    model: str
    serial_number: str
    readings: int
    rate_hz: float  # samples a second of the wall's clock
    noise_g: float  # standard deviation of one reading, without the drift
    drift_g_h: float
    u_drift_g_h: float  # standard uncertainty: what the noise alone tilts the line through the readings
    stable_share: float
    resolution_g: float
    findings: tuple[str, ...]  # what is wrong, and what to do; empty: fit

    @property
    def fit(self) -> bool:
        return not self.findings

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    def lines(self) -> list[str]:
        """For a terminal."""
        return [
            f"balance: {self.model} {self.serial_number}".rstrip(),
            f"  {self.readings} readings, {self.rate_hz:.1f} a second, {100 * self.stable_share:.0f} % at rest",
            f"  noise {self.noise_g * 1e3:.3f} mg (k = 1), last digit {self.resolution_g * 1e3:g} mg",
            f"  drift {self.drift_g_h * 1e3:+.2f} ± {2e3 * self.u_drift_g_h:.2f} mg/h (k = 2)",
            *(f"  NOT FIT: {finding}" for finding in self.findings),
        ]


def diagnose(
    balance: Balance,
    wait: Callable[[float], None] = time.sleep,
    readings: int = WANTED,
    every_s: float = 1.0,
    wall: Callable[[], float] = time.monotonic,
) -> Diagnosis:
    """Reads it `readings` times, `every_s` apart by `wait` (virtual time, for a simulated one). BalanceError if it does not answer."""
    who = balance.identify()
    found: list[Reading] = []
    asking_s = 0.0
    for i in range(readings):
        if i:
            wait(every_s)
        began = wall()
        found.append(balance.read())
        asking_s += wall() - began
    return _judged(who.model, who.serial_number, found, readings / max(asking_s, 1e-6))


def _judged(model: str, serial_number: str, found: list[Reading], rate_hz: float) -> Diagnosis:
    t_h = np.array([r.t for r in found]) / 3600
    mass_g = np.array([r.mass_g for r in found])
    slope, start = np.polyfit(t_h - t_h[0], mass_g, 1) if np.ptp(t_h) > 0 else (0.0, float(mass_g.mean()))
    noise_g = float(np.std(mass_g - start - slope * (t_h - t_h[0]), ddof=2))
    u_slope = noise_g / max(float(np.sqrt(((t_h - t_h.mean()) ** 2).sum())), 1e-12)
    stable = sum(r.stable for r in found) / len(found)
    findings = _findings(rate_hz, noise_g, abs(float(slope)) - 3 * u_slope, stable)
    digit = last_digit(mass_g.tolist())
    return Diagnosis(model, serial_number, len(found), rate_hz, noise_g, float(slope), u_slope, stable, digit, findings)


def _findings(rate_hz: float, noise_g: float, surely_g_h: float, stable: float) -> tuple[str, ...]:
    found = []
    if rate_hz < LEAST_RATE_HZ:
        found.append(f"{rate_hz:.2f} samples a second, wanted {LEAST_RATE_HZ:g}: raise the baud rate, or choose output without stability")
    if noise_g > MOST_NOISE_G:
        found.append(
            f"noise {noise_g * 1e3:.2f} mg, wanted at most {MOST_NOISE_G * 1e3:g}: close the draught shield, take it off the pump's table"
        )
    if surely_g_h > MOST_DRIFT_G_H:
        found.append(
            f"drift over {MOST_DRIFT_G_H * 1e3:g} mg/h: let it warm up, cover the beaker (oil film), look for a leak or a running pump"
        )
    if stable < LEAST_STABLE:
        found.append(f"at rest in {100 * stable:.0f} % of readings only: vibration, or something is being delivered")
    return tuple(found)


def last_digit(masses_g: list[float]) -> float:
    """The resolution that readings show: the coarsest decimal step they all are multiples of; 1 ug if none is."""
    for digit in (0.1, 0.01, 0.001, 0.0001, 0.00001):
        if all(abs(m / digit - round(m / digit)) < 1e-6 for m in masses_g):
            return digit
    return 1e-6
