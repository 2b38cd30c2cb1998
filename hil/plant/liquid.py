"""The way of the liquid: reservoir, tube, beaker, and what evaporates from it."""

from __future__ import annotations

from .config import RigConfig

US_PER_H = 3_600_000_000
AIR_G_ML = 0.0012  # at 1013 hPa and room temperature
WEIGHTS_G_ML = 8.0  # what balances are adjusted with


def water_density(temperature_c: float, salt_g_l: float = 0.0) -> float:
    """Density of water in g/mL (Tanaka 2001, 0 to 40 C), with dissolved salt at about 0.7 mg/mL per g/L."""
    t = temperature_c
    falling = (t - 3.983035) ** 2 * (t + 301.797) / (522528.9 * (t + 69.34881))
    return 0.99997495 * (1 - falling) + 0.0007 * salt_g_l


def buoyancy(density_g_ml: float) -> float:
    """What a balance shows for one gram of a liquid, weighed in air."""
    return (1 - AIR_G_ML / density_g_ml) / (1 - AIR_G_ML / WEIGHTS_G_ML)


class Reservoir:
    """Gives liquid until there is none."""

    def __init__(self, config: RigConfig) -> None:
        self.capacity_nl = config.reservoir_nl
        self.volume_nl = float(config.liquid_nl)
        self.conc = float(config.conc_mcg_ml)

    def draw(self, volume_nl: float) -> float:
        """Take out up to volume_nl; gives what really came."""
        drawn = min(volume_nl, self.volume_nl)
        self.volume_nl -= drawn
        return drawn

    def withdraw(self, leave_nl: float = 0.0) -> float:
        """Empty it with a syringe through the septum, save what that cannot reach; gives what was taken out."""
        return self.draw(max(0.0, self.volume_nl - leave_nl))

    def fill(self, volume_nl: float, conc: float | None = None) -> None:
        """Add volume_nl through the septum, of its own concentration if none is named; it mixes with what was left,
        and what does not fit is pressed out and lost."""
        if volume_nl <= 0:
            return
        if conc is not None:
            self.conc = (self.conc * self.volume_nl + conc * volume_nl) / (self.volume_nl + volume_nl)
        self.volume_nl = min(self.volume_nl + volume_nl, float(self.capacity_nl))


class Outlet:
    """The tube behind the head: open, or closed and swelling."""

    def __init__(self) -> None:
        self.closed = False
        self.compliance_nl = 0.0  # what the closed tube takes up before the head only slips over it
        self.stalls = False  # once it can take up no more, the motor stands
        self.air_share = 0.0  # share of the flow that is bubbles
        self._swollen_nl = 0.0

    def room(self, volume_nl: float) -> float:
        """How much of volume_nl the head can push into the tube now."""
        return min(volume_nl, self.compliance_nl - self._swollen_nl) if self.closed else volume_nl

    @property
    def full(self) -> bool:
        """Closed, and swollen as far as it goes."""
        return self.closed and self._swollen_nl >= self.compliance_nl

    def through(self, volume_nl: float) -> float:
        """Push volume_nl in; gives what comes out at the far end."""
        self._swollen_nl += volume_nl
        if self.closed:
            return 0.0
        out, self._swollen_nl = self._swollen_nl * (1 - self.air_share), 0.0
        return out


class Beaker:
    """Stands on the balance, takes what is delivered, and dries slowly."""

    def __init__(self, config: RigConfig) -> None:
        self.density_g_ml = water_density(config.temperature_c, config.salt_g_l)
        self.evaporation_mg_h = config.evaporation_mg_h
        self.delivered_nl = 0.0
        self.mass_g = 0.0  # relative to the beaker at the start
        self._dried_to_us = 0

    def add(self, volume_nl: float, now_us: int) -> None:
        """Take a delivered volume, and dry up to now."""
        self.delivered_nl += volume_nl
        self.mass_g += volume_nl * 1e-6 * self.density_g_ml
        self.mass_g -= self.evaporation_mg_h * 1e-3 * (now_us - self._dried_to_us) / US_PER_H
        self._dried_to_us = now_us

    def weight_g(self) -> float:
        """What an ideal balance shows for it, in air."""
        return self.mass_g * buoyancy(self.density_g_ml)
