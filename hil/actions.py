"""What a step of a timeline can be: one small record an action, all checked (hil/steps.py says how they are written)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hil.conditions import Condition
from hil.tables import Table

Conditions = Mapping[str, Condition]


@dataclass(frozen=True)
class Advance:
    span_ms: int | None  # None: the scenario's days


@dataclass(frozen=True)
class AdvanceTo:
    clock_min: int


@dataclass(frozen=True)
class AdvanceUntil:
    within_ms: int
    every_ms: int
    alarm: str | None
    off: bool
    stat: Conditions


@dataclass(frozen=True)
class Command:
    verb: str
    fields: Mapping[str, str] = field(default_factory=dict)
    expect: str = "OK"
    says: tuple[str, ...] = ()
    reply: Conditions = field(default_factory=dict)
    role: str | None = None
    no_bolus: bool = False  # not one step of bolus or prime may leave
    sign: bool = True
    confirm: bool = False  # answer the pump's question with yes


@dataclass(frozen=True)
class Commit:
    program: str | Table
    expect: str
    says: tuple[str, ...]
    confirm: bool
    fields: Mapping[str, str]


@dataclass(frozen=True)
class Fault:
    name: str
    params: Mapping[str, Any]


@dataclass(frozen=True)
class Clear:
    name: str


@dataclass(frozen=True)
class Person:
    act: str
    volume_nl: int | None  # filled in, or left by a withdrawal
    conc_mcg_ml: int | None = None  # of what is filled in; None: as what is there


@dataclass(frozen=True)
class SetClock:
    shift_ms: int | None
    local: str | None


@dataclass(frozen=True)
class PowerCut:
    outage_ms: int
    clock_kept: bool


@dataclass(frozen=True)
class Hang:
    pass


@dataclass(frozen=True)
class Reset:
    pass


@dataclass(frozen=True)
class Mpremote:
    words: tuple[str, ...]
    says: tuple[str, ...]


@dataclass(frozen=True)
class Hello:
    pass


@dataclass(frozen=True)
class LoseReplies:
    count: int


@dataclass(frozen=True)
class Type:
    text: str
    says: tuple[str, ...]


@dataclass(frozen=True)
class Send:
    text: str
    seal: bool
    expect: str
    end: bool


@dataclass(frozen=True)
class Check:
    parts: Mapping[str, Conditions]
    alarms_on: tuple[str, ...]
    alarms_off: tuple[str, ...]
    counts: Conditions
    since: str | None


@dataclass(frozen=True)
class Mark:
    name: str


@dataclass(frozen=True)
class Measure:
    name: str
    of: str
    since: str
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Repeat:
    times: int
    steps: tuple[Step, ...]


Action = (
    Advance | AdvanceTo | AdvanceUntil | Command | Commit | Fault | Clear | Person | SetClock | PowerCut | Hang | Reset | Mpremote | Hello
    | LoseReplies | Type | Send | Check | Mark | Measure | Repeat
)  # fmt: skip


@dataclass(frozen=True)
class Step:
    """One step, where it stands in the file, and its note for the report."""

    action: Action
    where: str
    note: str = ""
    needs_virtual: bool = field(default=False)
