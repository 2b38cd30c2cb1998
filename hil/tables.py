"""TOML files people write: loading, and errors that name the file, the line or the key, and what is allowed."""

from __future__ import annotations

import dataclasses
import json
import math
import sys
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

from hil.errors import SHOWN, InputError, shown

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Table = Mapping[str, Any]
Built = TypeVar("Built")


ALARMS = (
    "RESERVOIR_EMPTY", "BATTERY_DEPLETED", "OVER_DELIVERY", "MEMORY_FAULT", "CLOCK_LOST", "FLOW_DISCREPANCY", "MOTOR_STALL",
    "UNDER_DELIVERY", "WITHDRAWAL_RISK", "PORT_OPEN", "LATE", "REFILL_DISCREPANCY", "TEMPERATURE", "CAL_EXPIRED", "WATCHDOG_RESET",
    "RESERVOIR_LOW", "BATTERY_LOW", "PUMP_STOPPED", "CATHETER_SUSPECT",
)  # fmt: skip


MOST_TOML = 1_000_000  # characters; the longest that is shipped has 10,000
MOST_BITS = 64  # of a whole number
MOST_BYTES = 50_000_000  # of any file that is read: weeks of weights, a year's time series


def load_toml(path: Path) -> dict[str, Any]:
    """The file's content; InputError with the line for what is no TOML."""
    text = read_text(path)
    if len(text) > MOST_TOML:
        raise InputError("", f"is longer than {MOST_TOML:,} characters, so it is no file of this kind", path)
    try:
        content: dict[str, Any] = tomllib.loads(text)
        _refuse_endless(content, "")
        return content
    except InputError as error:
        raise error.in_file(path) from None
    except (tomllib.TOMLDecodeError, ValueError, RecursionError) as error:
        raise InputError("", f"is no valid TOML: {_short(error)}", path) from None


def read_json(path: Path) -> Any:
    """What a program left in a file, if nobody has made it something else."""
    text = read_text(path)
    try:
        content = json.loads(text)
        _refuse_endless(content, "")
    except InputError as error:
        raise error.in_file(path) from None
    except (ValueError, RecursionError) as error:
        raise InputError("", f"is no valid JSON: {_short(error)}", path) from None
    return content


def _refuse_endless(value: object, where: str) -> None:
    """A number that nobody means, and that Python may not even write out, is refused before anything reckons with it."""
    if isinstance(value, int) and abs(value) >= 1 << MOST_BITS:
        raise InputError(where, "is a number beyond all use")
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, entry in entries:
        _refuse_endless(entry, inside(where, key))


def read_text(path: Path) -> str:
    """What a person or this program wrote into a file, if it is one and of a size that makes sense; else InputError."""
    try:
        if path.exists() and not path.is_file():
            raise InputError("", f"is no regular file: {NAME_A_FILE}", path)
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except FileNotFoundError:
        raise InputError("", f"no such file: {NAME_A_FILE}", path) from None
    except (OSError, ValueError) as error:  # ValueError: a name with a NUL
        raise InputError("", f"cannot be read ({_short(error)}): {NAME_A_FILE}", str(path)[:200]) from None
    if len(data) > MOST_BYTES:
        raise InputError("", f"is longer than {MOST_BYTES:,} bytes, so it is no file of this kind", path)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError("", f"is not UTF-8 ({_short(error)}): save it as UTF-8 text", path) from None


NAME_A_FILE = "name a file that you may read"


def _short(error: Exception) -> str:
    """Its words without what hangs on them."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return text.split("; use sys.")[0][:300]


def find_file(name: str, places: Iterable[Path], what: str, shipped: Iterable[str]) -> Path:
    """The first of the places that is a file; InputError that tells a wrong name from a thing that is no file."""
    try:
        for place in places:
            if place.is_file():
                return place
        other = Path(name).exists()
    except (OSError, ValueError) as error:  # a name too long, or with a NUL
        raise InputError("", f"{name[:60]!r} is no name of a file ({_short(error)})") from None
    if other:
        raise InputError("", f"is no regular file: {NAME_A_FILE}", name)
    raise InputError("", f"there is no file {name[:200]!r} and no shipped {what} of that name ({', '.join(shipped)})")


def only_keys(table: Table, allowed: Iterable[str], where: str) -> None:
    """InputError for the first key that is not allowed, with the nearest one that is."""
    known = sorted(allowed)
    for key in table:
        if key not in known:
            near = get_close_matches(key, known, 1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise InputError(inside(where, key), f"unknown key; {hint}allowed: {', '.join(known)}")


def inside(where: str, key: str | int) -> str:
    """The name of a key within a key."""
    if isinstance(key, int):
        return f"{where}[{key}]"
    key = key if len(key) <= SHOWN else key[:SHOWN] + "..."
    return f"{where}.{key}" if where else key


def need(table: Table, key: str, where: str) -> Any:
    """The value of a key that must be there."""
    if key not in table:
        raise InputError(inside(where, key), "is missing")
    return table[key]


def as_table(value: object, where: str) -> Table:
    if not isinstance(value, Mapping):
        raise InputError(where, f"must be a table, not {shown(value)}")
    return value


def as_list(value: object, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise InputError(where, f"must be a list, not {shown(value)}")
    return value


def as_text(value: object, where: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise InputError(where, f"must be a text, not {shown(value)}")
    return value


def as_int(value: object, where: str, least: int = 0, most: int = 10**12) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise InputError(where, f"must be a whole number from {least} to {most}, not {shown(value)}")
    return value


def as_number(value: object, where: str, least: float = -1e12, most: float = 1e15) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value) or not least <= value <= most:
        raise InputError(where, f"must be a number from {least:g} to {most:g}, not {shown(value)}")
    return float(value)


def as_alarm(value: object, where: str) -> str:
    """The code of an alarm of REQUIREMENTS.md."""
    return one_of(value, ALARMS, where)


def as_flag(value: object, where: str) -> bool:
    if not isinstance(value, bool):
        raise InputError(where, f"must be true or false, not {shown(value)}")
    return value


def built(kind: type[Built], value: object, where: str) -> Built:
    """A flat dataclass of what a program once wrote and somebody may have changed: every value of its field's kind."""
    table, found = as_table(value, where), {}
    for field in dataclasses.fields(kind):  # type: ignore[arg-type]
        if field.name in table:
            found[field.name] = _of_kind(table[field.name], str(field.type), inside(where, field.name))
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise InputError(inside(where, field.name), "is missing")
    return kind(**found)


def _of_kind(value: object, kind: str, where: str) -> Any:
    if value is None and "None" in kind:
        return None
    first = kind.split(" ")[0]
    if first == "float":
        return as_number(value, where)
    if first == "int":
        return as_int(value, where, -(10**15), 10**15)
    if first == "bool":
        return as_flag(value, where)
    if first == "str" and not isinstance(value, str):
        raise InputError(where, f"must be a text, not {shown(value)}")
    return as_table(value, where) if first.startswith(("dict", "Mapping")) else value


def one_of(value: object, allowed: Iterable[str], where: str) -> str:
    choices = list(allowed)
    if value not in choices:
        raise InputError(where, f"{shown(value)} is not one of {', '.join(choices)}")
    return str(value)
