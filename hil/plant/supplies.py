"""Battery, clock, temperature sensor and the catheter-access-port switch."""

from __future__ import annotations

from bisect import bisect_right
from random import Random

from .config import RigConfig

Curve = tuple[tuple[float, int], ...]
US_PER_H = 3_600_000_000
REFRESH_US = 1_000_000  # the open-circuit voltage is worked out once a second


def on_curve(curve: Curve, x: float) -> int:
    """Value at x of a curve of (x, value) points, straight between them, level outside."""
    at = bisect_right(curve, x, key=lambda point: point[0])
    if at == 0 or at == len(curve):
        return curve[max(0, at - 1)][1]
    (x0, y0), (x1, y1) = curve[at - 1], curve[at]
    return round(y0 + (y1 - y0) * (x - x0) / (x1 - x0))


class Battery:
    """A voltage that falls with the charge used, follows a script, or spikes."""

    def __init__(self, config: RigConfig) -> None:
        self._config = config
        self.script: Curve | None = None  # (hours since script_from_us, mV)
        self.script_from_us = 0
        self.spike_mv = 0
        self.spike_until_us = -1
        self.spike_readings = 0
        self.fitted_us = 0
        self.fitted_steps = 0.0
        self.sag_mv = 0  # it gives so much less while it drives the motor
        self.stuck_mv: int | None = None  # the converter stands at this, whatever it is to read
        self.can_drive = True
        self.level_mv = 0  # without spikes
        self._fresh_until_us = -1

    def follow(self, now_us: int, steps: float) -> None:
        """Refresh, if the last time is long enough ago."""
        if now_us >= self._fresh_until_us:
            self.refresh(now_us, steps)

    def read_mv(self, now_us: int) -> int:
        """What the converter reads now."""
        if self.stuck_mv is not None:
            return self.stuck_mv
        if self.spike_readings:
            self.spike_readings -= 1
            return self.spike_mv
        return self.spike_mv if now_us < self.spike_until_us else self.level_mv

    def refresh(self, now_us: int, steps: float) -> None:
        """Work out the voltage, and whether it can drive the motor (a spike is too short to matter)."""
        self.level_mv = self._scripted(now_us) if self.script else self._by_charge(now_us, steps)
        self.can_drive = self.level_mv - self.sag_mv >= self._config.drive_min_mv
        self._fresh_until_us = now_us + REFRESH_US

    def replace(self, now_us: int, steps: float) -> None:
        """Fit a fresh one."""
        self.fitted_us, self.fitted_steps, self.script = now_us, steps, None
        self.refresh(now_us, steps)

    def _scripted(self, now_us: int) -> int:
        assert self.script is not None
        return on_curve(self.script, (now_us - self.script_from_us) / US_PER_H)

    def _by_charge(self, now_us: int, steps: float) -> int:
        c = self._config
        idle_mah = (now_us - self.fitted_us) / US_PER_H * c.idle_ua * 1e-3
        moved_mah = (steps - self.fitted_steps) * c.step_uc * 1e-3 / 3600
        return on_curve(c.battery_curve, (idle_mah + moved_mah) / c.battery_mah)


class Port:
    """The switch at the catheter access port. A broken wire reads open: its pull-up sees to that."""

    def __init__(self, seed: int) -> None:
        self.open = False
        self.unreadable = False
        self.bounce_us = 0  # 0 = a clean switch; else it may change its mind this often
        self._seed = seed

    def reads_open(self, now_us: int) -> bool:
        """What the pin says at this instant."""
        if self.bounce_us:
            return Random(self._seed * 1_000_003 + now_us // self.bounce_us).random() < 0.5
        return self.open or self.unreadable


class KeptClock:
    """The clock chip that runs on when the processor does not."""

    def __init__(self, config: RigConfig) -> None:
        self.valid = config.rtc_valid
        self._set_us = config.rtc_unix_s * 1_000_000
        self._set_at_us = 0
        self._drift_ppm = config.rtc_drift_ppm

    def read(self, now_us: int) -> tuple[int, int]:
        """Unix seconds and milliseconds it shows."""
        ms = self._shown_us(now_us) // 1000
        return ms // 1000, ms % 1000

    def set(self, unix_s: int, now_us: int) -> None:
        """Set it; it is valid from then on."""
        self._set_us, self._set_at_us, self.valid = unix_s * 1_000_000, now_us, True

    def lose(self, now_us: int) -> None:
        """Its cell died: it starts at the epoch and says that it is not valid."""
        self.set(0, now_us)
        self.valid = False

    def jump(self, seconds: int, now_us: int) -> None:
        """From now on it shows so many seconds more."""
        self._set_us, self._set_at_us = self._shown_us(now_us) + seconds * 1_000_000, now_us

    def drift(self, ppm: int, now_us: int) -> None:
        """Run fast (or slow) by ppm from now on."""
        self._set_us, self._set_at_us = self._shown_us(now_us), now_us
        self._drift_ppm = ppm

    def _shown_us(self, now_us: int) -> int:
        span = now_us - self._set_at_us
        return self._set_us + span + span * self._drift_ppm // 1_000_000


class Thermometer:
    """The sensor at the reservoir; an absent one reads as code 0."""

    def __init__(self, config: RigConfig) -> None:
        self.temperature_c = config.temperature_c
        self.absent = False

    def code(self) -> int:
        """Tenths of a degree plus 1000, or 0 without a sensor."""
        return 0 if self.absent else 1000 + round(self.temperature_c * 10)
