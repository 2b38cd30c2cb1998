"""What a metrology run does, from a TOML file or as shipped (`full`, `quick`).

title, [conditions] (temperature_c, pressure_hpa, salt_g_l), packet = "4 uL" (one roller passage; 0 = the pump has no packets)
[limits]      overall = 5.0, window = 15.0, bolus_mean = 5.0, bolus_single = 15.0 (percent), occlusion_alarm = "15 min"
[blank]       cycles = 10, cycle = "1 h", points = 6 (weights in each)
[[flow]]      name, rate = "41.67 uL/h", protocol = "packets", "ambulatory" or "fast"
[[bolus]]     name, volume = "5 uL", time = "60 s", count = 25
[[pressure]]  name, rate, mmhg = 100 (or -100), or height_m = -0.5 (the supply below the pump), span = "30 min"
[[occlusion]] name, rate, stalls = true, compliance = "50 uL" (of the simulated rig), wait = "30 min"
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from hil.errors import InputError, shown
from hil.metrology.blank import CYCLES
from hil.metrology.bolus import IN_A_ROW, BolusLimits
from hil.metrology.flow import PROTOCOLS, STARTUP_S, Limits, Protocol, packets
from hil.metrology.occlusion import OcclusionLimits
from hil.metrology.volume import Conditions
from hil.quantity import quantity, whole
from hil.tables import Table, as_list, as_text, inside, load_toml, only_keys

PACKET_NL = 4000  # of the reference rig: 3200 steps a turn, 8 rollers, 100000 steps a mL
SHIPPED = Path(__file__).resolve().parent / "plans"
MMHG_PER_M = 0.998 * 9.80665 / 0.133322387415  # of water at 20 C
T = TypeVar("T")


@dataclass(frozen=True)
class FlowPlan:
    name: str
    rate_nl_h: int
    protocol: Protocol

    @property
    def span_s(self) -> float:
        return max(self.protocol.end_s, STARTUP_S)


@dataclass(frozen=True)
class BolusPlan:
    name: str
    volume_nl: int
    time_s: int
    count: int = IN_A_ROW

    @property
    def span_s(self) -> float:
        return self.count * (self.time_s + 60.0)


@dataclass(frozen=True)
class PressurePlan:
    """A flow against a pressure, compared with the same flow without it."""

    name: str
    rate_nl_h: int
    mmhg: float
    span_s: float
    how: str  # for a person: what to set up


@dataclass(frozen=True)
class OcclusionPlan:
    name: str
    rate_nl_h: int
    wait_s: float
    stalls: bool = True
    compliance_nl: float = 50_000.0


@dataclass(frozen=True)
class Plan:
    """All of it."""

    title: str
    conditions: Conditions = field(default_factory=Conditions)
    packet_nl: int = PACKET_NL
    blank_cycles: int = CYCLES
    blank_cycle_s: float = 3600.0
    blank_points: int = 6
    limits: Limits = field(default_factory=Limits)
    bolus_limits: BolusLimits = field(default_factory=BolusLimits)
    occlusion_limits: OcclusionLimits = field(default_factory=OcclusionLimits)
    flows: tuple[FlowPlan, ...] = ()
    boluses: tuple[BolusPlan, ...] = ()
    pressures: tuple[PressurePlan, ...] = ()
    occlusions: tuple[OcclusionPlan, ...] = ()

    @property
    def span_s(self) -> float:
        """About how long it takes."""
        flows = sum(one.span_s for one in self.flows) + sum(2 * one.span_s for one in self.pressures)
        return self.blank_cycles * self.blank_cycle_s + flows + sum(b.span_s for b in self.boluses) + sum(o.wait_s for o in self.occlusions)


def shipped() -> list[str]:
    return sorted(path.stem for path in SHIPPED.glob("*.toml"))


def find(name: str) -> Path:
    """A shipped plan's name, or a path."""
    path = SHIPPED / f"{name}.toml"
    if path.exists():
        return path
    if Path(name).suffix != ".toml" and not Path(name).exists():
        raise InputError("--plan", f"{shown(name)} is neither a plan file nor a shipped one ({', '.join(shipped())})")
    return Path(name)


def load(path: Path) -> Plan:
    try:
        return _plan(load_toml(path))
    except InputError as error:
        raise error.in_file(path) from None


def _plan(table: Table) -> Plan:
    only_keys(table, ("title", "conditions", "packet", "limits", "blank", "flow", "bolus", "pressure", "occlusion"), "")
    packet_nl = whole(table.get("packet", f"{PACKET_NL} nL"), "volume (nL)", "packet")
    limits, blank = _table(table, "limits"), _table(table, "blank")
    only_keys(limits, ("overall", "window", "bolus_mean", "bolus_single", "occlusion_alarm"), "limits")
    only_keys(blank, ("cycles", "cycle", "points"), "blank")
    conditions = _table(table, "conditions")
    only_keys(conditions, Conditions.__dataclass_fields__, "conditions")
    plan = Plan(
        title=as_text(table.get("title", "metrology"), "title"),
        conditions=Conditions(**{key: _number(value, f"conditions.{key}", -50, 2000) for key, value in conditions.items()}),
        packet_nl=packet_nl,
        blank_cycles=int(_number(blank.get("cycles", CYCLES), "blank.cycles", CYCLES, 1000)),
        blank_cycle_s=_seconds(blank.get("cycle", "1 h"), "blank.cycle"),
        blank_points=int(_number(blank.get("points", 6), "blank.points", 1, 100)),
        limits=Limits(_percent(limits, "overall", 5.0), _percent(limits, "window", 15.0)),
        bolus_limits=BolusLimits(_percent(limits, "bolus_mean", 5.0), _percent(limits, "bolus_single", 15.0)),
        occlusion_limits=OcclusionLimits(_seconds(limits.get("occlusion_alarm", "15 min"), "limits.occlusion_alarm")),
        flows=_each(table, "flow", lambda one, where: _flow(one, where, packet_nl)),
        boluses=_each(table, "bolus", _bolus),
        pressures=_each(table, "pressure", _pressure),
        occlusions=_each(table, "occlusion", _occlusion),
    )
    if not (plan.flows or plan.boluses or plan.pressures or plan.occlusions):
        raise InputError("", "the plan measures nothing: give it a [[flow]], [[bolus]], [[pressure]] or [[occlusion]]")
    return plan


def _each(table: Table, key: str, made: Callable[[Table, str], T]) -> tuple[T, ...]:
    found = []
    for i, one in enumerate(as_list(table.get(key, []), key)):
        if not isinstance(one, dict):
            raise InputError(inside(key, i), f"is no table: write [[{key}]]")
        found.append(made(one, inside(key, i)))
    return tuple(found)


def _table(table: Table, key: str) -> Table:
    value = table.get(key, {})
    if not isinstance(value, dict):
        raise InputError(key, f"is no table: write [{key}]")
    return value


def _flow(one: Table, where: str, packet_nl: int) -> FlowPlan:
    only_keys(one, ("name", "rate", "protocol"), where)
    rate_nl_h = flow_rate(one.get("rate"), inside(where, "rate"))
    kind = one.get("protocol", "packets")
    if kind not in ("packets", *PROTOCOLS):
        raise InputError(inside(where, "protocol"), f"{shown(kind)} is none of packets, {', '.join(PROTOCOLS)}")
    if kind == "packets" and not packet_nl:
        raise InputError(inside(where, "protocol"), "a pump without packets (packet = 0) is tested as ambulatory or fast")
    protocol = packets(rate_nl_h, packet_nl) if kind == "packets" else PROTOCOLS[kind]()
    return FlowPlan(as_text(one.get("name", f"{rate_nl_h / 1000:g} uL/h"), inside(where, "name")), rate_nl_h, protocol)


def flow_rate(value: object, where: str) -> int:
    """A rate the pump takes in TEST:FLOW: whole nL/h, from 1 uL/h on."""
    rate_nl_h = round(quantity(value, "flow (nL/h)", where))
    if not 1000 <= rate_nl_h <= 150_000_000:
        raise InputError(where, f"{shown(value)} is outside what a pump takes: 1 uL/h to 150 mL/h")
    return rate_nl_h


def _bolus(one: Table, where: str) -> BolusPlan:
    only_keys(one, ("name", "volume", "time", "count"), where)
    volume_nl = whole(one.get("volume"), "volume (nL)", inside(where, "volume"))
    if not 1 <= volume_nl <= 20_000_000:
        raise InputError(inside(where, "volume"), f"{shown(one.get('volume'))} is no bolus: up to 20 mL")
    count = int(_number(one.get("count", IN_A_ROW), inside(where, "count"), 2, 1000))
    time_s = max(1, round(_seconds(one.get("time", "60 s"), inside(where, "time"))))
    return BolusPlan(as_text(one.get("name", f"bolus {volume_nl / 1000:g} uL"), inside(where, "name")), volume_nl, time_s, count)


def _pressure(one: Table, where: str) -> PressurePlan:
    only_keys(one, ("name", "rate", "mmhg", "height_m", "span"), where)
    if ("mmhg" in one) == ("height_m" in one):
        raise InputError(where, "give either mmhg (back pressure) or height_m (of the supply over the pump, negative: below)")
    if "mmhg" in one:
        mmhg = _number(one["mmhg"], inside(where, "mmhg"), -500, 500)
        how = f"set a back pressure of {mmhg:+g} mmHg at the outlet"
        name = f"back pressure {mmhg:+g} mmHg"
    else:
        height = _number(one["height_m"], inside(where, "height_m"), -3, 3)
        mmhg, name = -height * MMHG_PER_M, f"supply {abs(height):g} m {'below' if height < 0 else 'above'}"
        how = f"put the supply {abs(height):g} m {'below' if height < 0 else 'above'} the pump"
    rate_nl_h = flow_rate(one.get("rate", "1 mL/h"), inside(where, "rate"))
    span_s = _seconds(one.get("span", "30 min"), inside(where, "span"))
    return PressurePlan(as_text(one.get("name", name), inside(where, "name")), rate_nl_h, mmhg, span_s, how)


def _occlusion(one: Table, where: str) -> OcclusionPlan:
    only_keys(one, ("name", "rate", "wait", "stalls", "compliance"), where)
    stalls = one.get("stalls", True)
    if not isinstance(stalls, bool):
        raise InputError(inside(where, "stalls"), f"{shown(stalls)} is neither true nor false")
    rate_nl_h = flow_rate(one.get("rate", "1 mL/h"), inside(where, "rate"))
    compliance = float(whole(one.get("compliance", "50 uL"), "volume (nL)", inside(where, "compliance")))
    name = as_text(one.get("name", f"occlusion at {rate_nl_h / 1e6:g} mL/h"), inside(where, "name"))
    return OcclusionPlan(name, rate_nl_h, _seconds(one.get("wait", "30 min"), inside(where, "wait")), stalls, compliance)


def _seconds(value: object, where: str) -> float:
    ms = quantity(value, "time (ms)", where)
    if not 1000 <= ms <= 30 * 86_400_000:
        raise InputError(where, f"{shown(value)} is no span from 1 s to 30 days")
    return float(ms) / 1000


def _number(value: Any, where: str, low: float, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
        raise InputError(where, f"{shown(value)} is no number from {low:g} to {high:g}")
    return float(value)


def _percent(table: Table, key: str, default: float) -> float:
    return _number(table.get(key, default), f"limits.{key}", 0.01, 100)
