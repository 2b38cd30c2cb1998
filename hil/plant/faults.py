"""What can go wrong with a rig: one table of named faults, each with its words for a person."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hil.errors import BenchError, shown

from .rotor import UNITS

if TYPE_CHECKING:
    from .rig import Rig


class FaultError(BenchError):
    """A fault the rig does not know, or knows with other parameters."""


@dataclass(frozen=True)
class Fault:
    """How a fault begins and ends."""

    begin: Callable[..., None]
    end: Callable[[Rig], None]

    @property
    def doc(self) -> str:
        """What it is, for a list of faults."""
        return inspect.getdoc(self.begin) or ""

    @property
    def params(self) -> dict[str, str]:
        """Parameters it takes, as written."""
        taken = list(inspect.signature(self.begin).parameters.values())[1:]
        return {p.name: str(p).replace("'", "") for p in taken}


FAULTS: dict[str, Fault] = {}


def _fault(end: Callable[[Rig], None]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    def enter(begin: Callable[..., None]) -> Callable[..., None]:
        FAULTS[begin.__name__] = Fault(begin, end)
        return begin

    return enter


def check(name: str, params: dict[str, Any]) -> Fault:
    """The fault of that name, if it takes these parameters; FaultError says what would be accepted."""
    fault = lookup(name)
    try:
        inspect.signature(fault.begin).bind(None, **params)
    except TypeError as problem:
        raise FaultError(f"fault {name}: {problem}; it takes {', '.join(fault.params.values()) or 'nothing'}") from None
    for key, value in params.items():
        _check_value(name, key, value, str(inspect.signature(fault.begin).parameters[key].annotation))
    return fault


def _check_value(name: str, key: str, value: object, kind: str) -> None:
    """A parameter of the kind it is declared with; a number is finite and not negative (save a pressure), a percentage at most 100."""
    if kind == "bool":
        fits = isinstance(value, bool)
    elif kind in ("int", "float"):
        real = isinstance(value, int if kind == "int" else (int, float)) and not isinstance(value, bool)
        least = -1e9 if key == "mmhg" else 0
        fits = real and least <= value <= (100 if key == "percent" else 1e9)  # type: ignore[operator]
    else:
        fits = True
    if not fits:
        raise FaultError(f"fault {name}: {key} = {shown(value)} is no {kind} from 0 to {100 if key == 'percent' else 10**9}")


def begin(rig: Rig, name: str, params: dict[str, Any]) -> None:
    """Begin a fault by name."""
    check(name, params).begin(rig, **params)


def end(rig: Rig, name: str) -> None:
    """End a fault by name."""
    lookup(name).end(rig)


def lookup(name: str) -> Fault:
    """The fault of that name."""
    if name not in FAULTS:
        raise FaultError(f"no fault is called {shown(name)}; there are: {', '.join(sorted(FAULTS))}")
    return FAULTS[name]


# Ends shared by several faults: each puts its part back as it was built.


def _turn_well(rig: Rig) -> None:
    rig.rotor.gain = UNITS


def _still(rig: Rig) -> None:
    rig.rotor.runaway_steps_s, rig.rotor.runs_undriven = 0, False


def _driver_lives(rig: Rig) -> None:
    rig.rotor.driver_dead = False


def _witness_lives(rig: Rig) -> None:
    rig.rotor.revive_witness()


def _stays(rig: Rig) -> None:
    """What is lost stays lost until somebody puts it right."""


def _outlet_open(rig: Rig) -> None:
    rig.outlet.closed = False
    if rig.outlet.stalls:
        rig.outlet.stalls, rig.rotor.gain = False, UNITS


def _no_air(rig: Rig) -> None:
    rig.outlet.air_share = 0.0


def _no_pressure(rig: Rig) -> None:
    rig.head.back_pressure_mmhg = 0.0


def _no_free_flow(rig: Rig) -> None:
    rig.free_flow_nl_h = 0.0


def _no_script(rig: Rig) -> None:
    rig.battery.script = None


def _no_spike(rig: Rig) -> None:
    rig.battery.spike_readings, rig.battery.spike_until_us = 0, -1


def _port_closed(rig: Rig) -> None:
    rig.port.open = False


def _port_clean(rig: Rig) -> None:
    rig.port.bounce_us = 0


def _port_readable(rig: Rig) -> None:
    rig.port.unreadable = False


def _room_temperature(rig: Rig) -> None:
    rig.warm_to(rig.config.temperature_c)


def _sensor_back(rig: Rig) -> None:
    rig.thermometer.absent = False


def _engine_lives(rig: Rig) -> None:
    rig.engine.dead = False


def _new_tube(rig: Rig) -> None:
    rig.head.worn_share = 0.0


def _no_sag(rig: Rig) -> None:
    rig.battery.sag_mv = 0
    rig.battery.refresh(rig.now_us, rig.rotor.steps)


def _converter_free(rig: Rig) -> None:
    rig.battery.stuck_mv = None


def _buzzer_lives(rig: Rig) -> None:
    rig.buzzer_dead = False


def _no_drift(rig: Rig) -> None:
    rig.clock.drift(rig.config.rtc_drift_ppm, rig.now_us)


# Motion


@_fault(_turn_well)
def motor_stalled(rig: Rig) -> None:
    """The rotor stands still however many pulses come."""
    rig.rotor.gain = 0


@_fault(_turn_well)
def motor_slips(rig: Rig, percent: float) -> None:
    """Each pulse turns the rotor by percent less than a step."""
    rig.rotor.gain = UNITS - round(percent * UNITS / 100)


@_fault(_turn_well)
def motor_oversteps(rig: Rig, percent: float) -> None:
    """Each pulse turns the rotor by percent more than a step."""
    rig.rotor.gain = UNITS + round(percent * UNITS / 100)


@_fault(_still)
def runaway(rig: Rig, steps_per_s: int, undriven: bool = False) -> None:
    """The rotor turns by itself while the driver is enabled (undriven: whatever the driver does)."""
    rig.rotor.runaway_steps_s, rig.rotor.runs_undriven = steps_per_s, undriven


@_fault(_driver_lives)
def driver_dead(rig: Rig) -> None:
    """The motor driver takes the pulses and moves nothing."""
    rig.rotor.driver_dead = True


@_fault(_witness_lives)
def witness_dead(rig: Rig) -> None:
    """The encoder's count stands still while the rotor turns."""
    rig.rotor.freeze_witness()


@_fault(_engine_lives)
def engine_dead(rig: Rig) -> None:
    """The step engine takes orders and makes no pulse."""
    rig.engine.dead = True


# Liquid


@_fault(_new_tube)
def tube_worn(rig: Rig, percent: float) -> None:
    """The tube gives so much less at each turn; neither step count nor encoder sees it."""
    rig.head.worn_share = percent / 100


@_fault(_outlet_open)
def occlusion(rig: Rig, compliance_nl: float = 50_000.0, stalls: bool = False) -> None:
    """The tube is closed: it swells by compliance_nl, then the head slips, or (stalls) the motor stands; opened, it gives that at once."""
    rig.outlet.closed, rig.outlet.compliance_nl, rig.outlet.stalls = True, compliance_nl, stalls


@_fault(_no_air)
def air_in_tube(rig: Rig, percent: float) -> None:
    """That share of what is pumped is bubbles."""
    rig.outlet.air_share = percent / 100


@_fault(_no_pressure)
def back_pressure(rig: Rig, mmhg: float) -> None:
    """The head pumps against a pressure (negative: the supply stands high)."""
    rig.head.back_pressure_mmhg = mmhg


@_fault(_no_free_flow)
def free_flow(rig: Rig, nl_per_h: float) -> None:
    """Liquid runs past the rollers; neither step count nor encoder sees it, the balance does."""
    rig.free_flow_nl_h = nl_per_h


@_fault(_stays)
def reservoir_lost(rig: Rig, volume_nl: float) -> None:
    """So much liquid was never there (or leaked): the reservoir holds that much less from now on."""
    rig.reservoir.draw(volume_nl)


# Supplies


@_fault(_no_script)
def battery_curve(rig: Rig, points: list[list[float]]) -> None:
    """The voltage follows (hours from now, mV) points, straight between them."""
    rig.battery.script = tuple((float(hours), round(mv)) for hours, mv in points)
    rig.battery.script_from_us = rig.now_us
    rig.battery.refresh(rig.now_us, rig.rotor.steps)


@_fault(_no_spike)
def battery_spike(rig: Rig, mv: int, ms: int = 0, readings: int = 0) -> None:
    """The converter reads mv for ms milliseconds, or for so many readings; the motor does not notice."""
    rig.battery.spike_mv, rig.battery.spike_readings = mv, readings
    rig.battery.spike_until_us = rig.now_us + ms * 1000


@_fault(_no_sag)
def battery_sags(rig: Rig, mv: int) -> None:
    """The voltage falls by so much whenever the motor is driven; at rest nothing is seen of it."""
    rig.battery.sag_mv = mv
    rig.battery.refresh(rig.now_us, rig.rotor.steps)


@_fault(_converter_free)
def converter_stuck(rig: Rig) -> None:
    """The converter goes on giving what it read last."""
    rig.battery.stuck_mv = rig.battery.level_mv


@_fault(_converter_free)
def converter_saturated(rig: Rig, mv: int = 6600) -> None:
    """The converter stands at the end of its scale."""
    rig.battery.stuck_mv = mv


@_fault(_buzzer_lives)
def buzzer_dead(rig: Rig) -> None:
    """The buzzer is silent whatever it is told."""
    rig.buzzer_dead = True


@_fault(_room_temperature)
def temperature(rig: Rig, celsius: float) -> None:
    """The reservoir is at that temperature."""
    rig.warm_to(celsius)


@_fault(_sensor_back)
def temperature_sensor_lost(rig: Rig) -> None:
    """The temperature sensor is not there."""
    rig.thermometer.absent = True


@_fault(_stays)
def clock_lost(rig: Rig) -> None:
    """The kept clock lost its time; only setting it makes it valid."""
    rig.clock.lose(rig.now_us)


@_fault(_no_drift)
def clock_drifts(rig: Rig, ppm: int) -> None:
    """The kept clock runs fast by ppm (negative: slow)."""
    rig.clock.drift(ppm, rig.now_us)


@_fault(_no_drift)
def clock_stands(rig: Rig) -> None:
    """The kept clock goes on showing what it shows."""
    rig.clock.drift(-1_000_000, rig.now_us)


@_fault(_stays)
def clock_ahead(rig: Rig, seconds: int) -> None:
    """The kept clock jumps ahead."""
    rig.clock.jump(seconds, rig.now_us)


@_fault(_stays)
def clock_back(rig: Rig, seconds: int) -> None:
    """The kept clock jumps back."""
    rig.clock.jump(-seconds, rig.now_us)


# Catheter access port


@_fault(_port_closed)
def port_open(rig: Rig) -> None:
    """The port is open."""
    rig.port.open = True


@_fault(_port_clean)
def port_bounces(rig: Rig, period_ms: int = 5) -> None:
    """The switch changes its mind, by the seed, as often as every period_ms."""
    rig.port.bounce_us = period_ms * 1000


@_fault(_port_readable)
def port_unreadable(rig: Rig) -> None:
    """The switch's wire is broken: it reads open, whatever the port is."""
    rig.port.unreadable = True
