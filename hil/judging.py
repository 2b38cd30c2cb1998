"""Small questions that steps ask: what was pushed, which conditions do not hold, how they read."""

from __future__ import annotations

from collections.abc import Mapping

from hil.actions import Conditions
from hil.frames import Reply
from hil.pump import leading_int

HOUR_MS = 3_600_000
SCREEN_MCG_ML = 50  # R-SCR-1
SCREEN_S = 60  # R-SCR-2, where the command names no time


def push_of(verb: str, fields: Mapping[str, str], reply: Mapping[str, str], bolus_s: int) -> tuple[int, int | None, int]:
    """(nL, steps if those were asked for, ms) of a delivery that was accepted; only a prime takes its time from the pump."""
    asked = {name: leading_int(value) for name, value in fields.items()}
    volume_nl = asked.get("volume", 0)
    if verb == "CAL:MOVE":
        return 0, asked["steps"], asked["steps"] * 1000 // asked["rate"]
    if verb == "DOSE:SCREEN":
        return asked["dose"] * 1_000_000 // SCREEN_MCG_ML, None, asked.get("time", SCREEN_S) * 1000
    if verb == "TEST:FLOW":
        return volume_nl, None, -(-volume_nl * HOUR_MS // asked["rate"])
    if verb == "TEST:BOLUS":
        return volume_nl, None, asked["time"] * 1000
    return volume_nl, None, bolus_s * 1000 if verb == "DOSE:BOLUS" else leading_int(reply.get("time", "1"))


def unmet(wanted: Conditions, values: Mapping[str, str]) -> list[str]:
    """The conditions that do not hold, as sentences."""
    return [
        f"{key} is {values.get(key, 'absent')}, expected {wish}"
        for key, wish in wanted.items()
        if key not in values or not wish.holds(values[key])
    ]


def written(wanted: Conditions) -> str:
    return ", ".join(f"{key} {wish}" if wish.is_range else f"{key} = {wish}" for key, wish in wanted.items())


def code_of(reply: Reply | None) -> str:
    if reply is None:
        return "NOTHING"
    return reply.code or "OK"
