"""Quantities as people write them in files: always with their unit, always exact."""

from __future__ import annotations

import re
from fractions import Fraction

from hil.errors import InputError, shown

# kind -> unit as written (case does not matter) -> how many of the kind's own unit; the first is the one shown as example
UNITS: dict[str, dict[str, Fraction]] = {
    "day dose (ng)": {"mcg/day": Fraction(1000), "ng/day": Fraction(1)},
    "rate (ng/h)": {"ng/h": Fraction(1), "mcg/h": Fraction(1000), "mcg/day": Fraction(1000, 24)},
    "dose (ng)": {"mcg": Fraction(1000), "ng": Fraction(1)},
    "concentration (mcg/mL)": {"mcg/ml": Fraction(1)},
    "volume (nL)": {"ul": Fraction(1000), "nl": Fraction(1), "ml": Fraction(1_000_000)},
    "time (ms)": {
        "h": Fraction(3_600_000),
        "min": Fraction(60_000),
        "s": Fraction(1000),
        "ms": Fraction(1),
        "d": Fraction(86_400_000),
        "days": Fraction(86_400_000),
    },
    "flow (nL/h)": {
        "ul/h": Fraction(1000),
        "nl/h": Fraction(1),
        "ml/h": Fraction(1_000_000),
        "ml/day": Fraction(1_000_000, 24),
        "ul/day": Fraction(1000, 24),
    },
    "voltage (mV)": {"mv": Fraction(1), "v": Fraction(1000)},
    "change (%)": {"%": Fraction(1)},
}
EXAMPLES = {
    "day dose (ng)": "350 mcg/day",
    "rate (ng/h)": "14000 ng/h",
    "dose (ng)": "250 mcg",
    "concentration (mcg/mL)": "2000 mcg/mL",
    "volume (nL)": "20 mL",
    "time (ms)": "90 min",
    "flow (nL/h)": "41.67 uL/h",
    "voltage (mV)": "3600 mV",
    "change (%)": "+20 %",
}

_LONGEST = 40  # characters; the largest quantity that means anything needs half of it
_SHAPE = re.compile(r"([+-]?)([0-9][0-9_]*)(\.[0-9]+)?\s*([^\d\s.].*)?")


def quantity(value: object, kind: str, where: str, *, signed: bool = False) -> Fraction:
    """`value` in the kind's own unit, exact; InputError names the key and what is wanted."""
    wanted = f'write it with its unit, like "{EXAMPLES[kind]}"'
    if isinstance(value, (bool, int, float)) or not isinstance(value, str):
        raise InputError(where, f"{shown(value)} has no unit: {wanted}")
    if len(value) > _LONGEST:
        raise InputError(where, f"{value[:_LONGEST]!r}... is too long for a quantity: {wanted}")
    match = _SHAPE.fullmatch(value.strip())
    if not match:
        raise InputError(where, f"{shown(value)} is not a number with a unit: {wanted}")
    sign, whole, decimals, unit = match.groups()
    if sign and not signed:
        raise InputError(where, f"{shown(value)} is signed; a {kind.split(' (')[0]} is a plain positive number: {wanted}")
    if not unit:
        raise InputError(where, f"{shown(value)} has no unit: {wanted}")
    number = Fraction(whole.replace("_", "") + (decimals or ""))
    return (-1 if sign == "-" else 1) * number * _factor(unit, kind, where, wanted)


def _factor(unit: str, kind: str, where: str, wanted: str) -> Fraction:
    units = UNITS[kind]
    if unit.lower() in units:
        return units[unit.lower()]
    if unit.lower().startswith("mg"):
        raise InputError(where, f"the unit {shown(unit)} is refused: intrathecal doses are in mcg (1 mg = 1000 mcg); {wanted}")
    raise InputError(where, f"the unit {shown(unit)} is no unit of {kind.split(' (')[0]} ({', '.join(units)}): {wanted}")


def whole(value: object, kind: str, where: str, *, signed: bool = False) -> int:
    """The same, where only whole numbers of the kind's own unit make sense."""
    exact = quantity(value, kind, where, signed=signed)
    if exact.denominator != 1:
        raise InputError(where, f"{shown(value)} is not a whole number in {kind.split('(')[1].rstrip(')')}")
    return int(exact)


def whole_units(value: object, kind: str, size: int, unit: str, where: str) -> int:
    """A whole number of `unit`, which is `size` of the kind's own unit; a fraction is refused, never rounded away."""
    exact = whole(value, kind, where)
    if exact % size:
        raise InputError(where, f"{shown(value)} is not a whole number of {unit}")
    return exact // size


def clock_minutes(value: object, where: str) -> int:
    """`"19:30"` as minutes after midnight; 24:00 is the end of the day."""
    match = re.fullmatch(r"(\d\d):(\d\d)", value) if isinstance(value, str) else None
    minutes = int(match[1]) * 60 + int(match[2]) if match and int(match[2]) < 60 else -1
    if not 0 <= minutes <= 1440:
        raise InputError(where, f'{shown(value)} is no time of day: write it like "19:30", from "00:00" to "24:00"')
    return minutes


def span_text(ms: int) -> str:
    """`2 d 03:04:05.006` for a person."""
    seconds, rest = divmod(ms, 1000)
    days, seconds = divmod(seconds, 86_400)
    text = f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}" + (f".{rest:03d}" if rest else "")
    return f"{days} d {text}" if days else text
