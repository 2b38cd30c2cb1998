"""The whole rig in software, driven in virtual microseconds by whoever grants the time."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from . import faults
from .config import RigConfig
from .engine import StepEngine
from .head import Head
from .line import Line, TipLog
from .liquid import Beaker, Outlet, Reservoir, water_density
from .rotor import UNITS, WRAP, Rotor
from .supplies import Battery, KeptClock, Port, Thermometer

US_PER_H = 3_600_000_000
TIP_LOOK_US = 300_000_000  # how often what left the tip is looked at


class Inputs(NamedTuple):
    """What the pump's pins read at one instant."""

    stepped: int
    witness: int
    port_open: bool
    idle: bool
    pending: int
    battery_mv: int
    temperature_code: int  # tenths of a degree + 1000, 0 = no sensor
    rtc_valid: bool
    rtc_s: int
    rtc_ms: int


@dataclass(frozen=True)
class Sample:
    """The rig's true state at one instant; no pump can see all of it."""

    t_us: int
    pulses: int  # on the step pin, over every boot
    rotor_steps: float
    witness: int
    delivered_nl: float
    reservoir_nl: float
    weight_g: float  # what an ideal balance would show
    battery_mv: int

    @staticmethod
    def names() -> list[str]:
        """Column names of a time series."""
        return [field.name for field in fields(Sample)]

    def row(self) -> list[Any]:
        """Values in the order of names()."""
        return list(asdict(self).values())


class Load(NamedTuple):
    """What the balance carries at one instant."""

    t_s: float
    weight_g: float  # as an ideal balance would show it
    rate_g_s: float  # how fast it grows


class Rig:
    """Engine, head, rotor, liquid, supplies and faults, as one thing with one clock.

    Pulses and the rotor are followed at every advance, in whole numbers; the liquid is worked out only when somebody
    looks at it or a fault changes its way, for its volume is a function of where the rotor stands.
    """

    def __init__(self, config: RigConfig | None = None, seed: int = 0) -> None:
        self.config = config or RigConfig()
        self.seed = seed
        self.now_us = 0
        self.engine = StepEngine()
        self.rotor = Rotor(self.config)
        self.head = Head(self.config)
        self.reservoir = Reservoir(self.config)
        self.outlet = Outlet()
        self.line = Line(self.config)
        self.tip_log = TipLog()
        self.beaker = Beaker(self.config)
        self.battery = Battery(self.config)
        self.port = Port(seed)
        self.clock = KeptClock(self.config)
        self.thermometer = Thermometer(self.config)
        self.enable_until_us = -1  # the driver drops out after this instant
        self.free_flow_nl_h = 0.0  # past the rotor, seen by no witness
        self.buzzer_dead = False
        self.active_faults: dict[str, dict[str, Any]] = {}
        self._settled_us = 0
        self._settled_nl = self.head.volume_nl(0.0)
        self.battery.refresh(0, 0.0)

    # what the firmware can do

    def put(self, n: int, gap_us: int, period_us: int) -> None:
        """Queue a lease (LEASE)."""
        self.engine.put(n, gap_us, period_us)

    def revoke(self) -> int:
        """Empty the queue; gives the pulses since boot (REVOKE)."""
        return self.engine.revoke()

    def feed(self, enable_ms: int) -> None:
        """Keep the motor driver enabled for so long from now, 0 = off at once (FEED)."""
        self.enable_until_us = self.now_us + enable_ms * 1000 if enable_ms else self.now_us - 1

    def rtc_set(self, unix_s: int) -> None:
        """Set the kept clock (RTC_SET)."""
        self.clock.set(unix_s, self.now_us)

    def boot(self) -> None:
        """The processor restarted: engine empty, count 0, driver off. Rotor, witness and liquid stay."""
        self.engine.boot()
        self.enable_until_us = self.now_us - 1

    # what it can read

    @property
    def count(self) -> int:
        """Pulses since boot."""
        return self.engine.count

    @property
    def pending(self) -> int:
        """Pulses queued and not yet made."""
        return self.engine.pending

    @property
    def enabled(self) -> bool:
        """Whether a pulse now would move the head."""
        return self.now_us <= self.enable_until_us and self.battery.can_drive

    def inputs(self) -> Inputs:
        """All pins at the current instant."""
        engine, now = self.engine, self.now_us
        shown_s, shown_ms = self.clock.read(now)
        return Inputs(
            engine.count % WRAP,
            self.rotor.witness(),
            self.port.reads_open(now),
            engine.idle,
            engine.pending,
            self.battery_mv(),
            self.thermometer.code(),
            self.clock.valid,
            shown_s,
            shown_ms,
        )

    @property
    def converter_sound(self) -> bool:
        """Whether the converter reads a voltage that is known beforehand as what it is."""
        return self.battery.stuck_mv is None

    def battery_mv(self) -> int:
        """What the converter reads."""
        return self.battery.read_mv(self.now_us)

    # time

    def advance_to(self, us: int) -> None:
        """Let virtual time run to us; pulses at or before us are made."""
        if us < self.now_us:
            raise ValueError(f"time runs forward only: at {self.now_us} us, asked for {us} us")
        driven_until = min(us, self.enable_until_us) if self.battery.can_drive else -1
        if driven_until >= self.now_us:
            self._drive_to(driven_until)
        if driven_until < us:
            self.engine.advance(us)  # the step pin toggles, nothing turns
        self._run_away_undriven(us, driven_until)
        self.now_us = us
        self.battery.follow(us, self.rotor.steps)
        if us - self._settled_us >= TIP_LOOK_US:
            self.settle()

    def _drive_to(self, us: int) -> None:
        made = self.engine.advance(us)
        if made:
            self.rotor.turn(made)
        if self.rotor.runaway_steps_s:
            self.rotor.run_away(us - self.now_us)

    def _run_away_undriven(self, us: int, driven_until: int) -> None:
        if self.rotor.runaway_steps_s and self.rotor.runs_undriven:
            self.rotor.run_away(us - max(self.now_us, driven_until))

    # what a person does

    def withdraw(self, leave_nl: float = 0.0) -> float:
        """Empty the reservoir by syringe, save what that cannot reach; gives the nL that came out."""
        self.settle()
        return self.reservoir.withdraw(leave_nl)

    def refill(self, volume_nl: float, conc_mcg_ml: float | None = None) -> None:
        """Fill volume_nl in through the septum; None: of the concentration that is in it."""
        self.settle()
        self.reservoir.fill(volume_nl, conc_mcg_ml)

    def new_battery(self) -> None:
        """Fit a fresh battery."""
        self.battery.replace(self.now_us, self.rotor.steps)

    def new_tube(self) -> None:
        """Fit a fresh tube, with saline in it."""
        self.settle()
        self.head.new_tube(self.rotor.steps)
        self._settled_nl = self.head.volume_nl(self.rotor.steps)
        self.line.new_tubing()

    def new_catheter(self) -> None:
        """Fit a fresh catheter, with saline in it."""
        self.settle()
        self.line.new_catheter()

    def join(self, joined: bool) -> None:
        """Connect the tubing to the catheter, or take it off."""
        self.settle()
        self.line.joined = joined

    def warm_to(self, temperature_c: float) -> None:
        """Bring the liquid and the sensor to a temperature."""
        self.settle()
        self.thermometer.temperature_c = temperature_c
        self.beaker.density_g_ml = water_density(temperature_c, self.config.salt_g_l)

    # faults

    def fault(self, name: str, **params: Any) -> None:
        """Begin a fault of the table faults.FAULTS (again: with new parameters)."""
        self.settle()
        faults.begin(self, name, params)
        self.active_faults[name] = params

    def clear(self, name: str) -> None:
        """End a fault."""
        self.settle()
        faults.end(self, name)
        self.active_faults.pop(name, None)

    # what the bench sees

    def settle(self) -> None:
        """Bring the liquid up to now."""
        pumped_nl = self.head.volume_nl(self.rotor.steps)
        asked_nl = (pumped_nl - self._settled_nl) * self.head.pressure_factor()
        asked_nl += self.free_flow_nl_h * (self.now_us - self._settled_us) / US_PER_H
        self._settled_nl, self._settled_us = pumped_nl, self.now_us
        drawn_nl = self.reservoir.draw(self.outlet.room(max(0.0, asked_nl)))
        out_nl = self.outlet.through(drawn_nl)
        if self.outlet.full and self.outlet.stalls:
            self.rotor.gain = 0
        self.line.push(self.reservoir.conc, out_nl)
        self.tip_log.note(self.now_us, self.line)
        self.beaker.add(out_nl, self.now_us)
        self.battery.refresh(self.now_us, self.rotor.steps)

    @property
    def delivered_nl(self) -> float:
        """Volume that left the tube since the rig was built."""
        self.settle()
        return self.beaker.delivered_nl

    @property
    def tip_ng(self) -> float:
        """Dose that left the catheter tip since the rig was built."""
        self.settle()
        return self.line.tip_ng

    def weight_g(self) -> float:
        """What an ideal balance would show now, relative to the start."""
        self.settle()
        return self.beaker.weight_g()

    def flow_nl_h(self) -> float:
        """Flow out of the tube now, without its pulsation."""
        driven = self.engine.rate_hz() * (self.rotor.gain / UNITS) if self.enabled and not self.rotor.driver_dead else 0.0
        if self.outlet.closed or not self.reservoir.volume_nl:
            return 0.0
        return driven * self.head.nl_per_step * self.head.pressure_factor() * 3600 + self.free_flow_nl_h

    def load(self) -> Load:
        """What stands on the balance now."""
        growth_g_s = self.flow_nl_h() * 1e-6 * self.beaker.density_g_ml / 3600
        return Load(self.now_us / 1e6, self.weight_g(), growth_g_s)

    def edges_us(self) -> NDArray[np.int64]:
        """Times of all step pulses made so far, over every boot."""
        return self.engine.edges_us()

    def sample(self) -> Sample:
        """The true state now."""
        self.settle()
        return Sample(
            self.now_us,
            self.engine.total,
            self.rotor.position / UNITS,
            self.rotor.witness(),
            self.beaker.delivered_nl,
            self.reservoir.volume_nl,
            self.beaker.weight_g(),
            self.battery.level_mv,
        )
