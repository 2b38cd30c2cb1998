"""Any balance from what a person writes: `/dev/ttyUSB0`, `socket://scale:8001`, `sbi:/dev/ttyUSB1#baud=1200,bits=7,parity=O`."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from hil.errors import InputError

from .line import LineBalance
from .mtsics import MtSicsBalance
from .sartorius import SartoriusBalance

PROTOCOLS: dict[str, type[LineBalance]] = {"mtsics": MtSicsBalance, "sbi": SartoriusBalance}
HELP = (
    "a balance: any pyserial URL, like /dev/ttyUSB0 or socket://scale:8001 (MT-SICS); sbi:URL for a Sartorius;"
    " #baud=9600,bits=8,parity=N,stop=1 after it for other line settings"
)
SETTINGS = {"baud": "baudrate", "bits": "bytesize", "parity": "parity", "stop": "stopbits"}
ALLOWED = {"bits": ("7", "8"), "parity": ("N", "E", "O"), "stop": ("1", "2")}


def open_balance(text: str, clock: Callable[[], float] = time.monotonic, **options: Any) -> LineBalance:
    """The balance that `text` names, opened; InputError names what is wrong in the text."""
    protocol, url, settings = parsed(text)
    return PROTOCOLS[protocol](url, clock=clock, **{**options, **settings})


def parsed(text: str) -> tuple[str, str, dict[str, Any]]:
    """Protocol, pyserial URL and line settings."""
    name, colon, rest = text.partition(":")
    protocol, url = (name, rest) if colon and name in PROTOCOLS else ("mtsics", text)
    url, _, given = url.partition("#")
    if not url:
        raise InputError("--balance", f"{text!r} names no line: {HELP}")
    return protocol, url, dict(_setting(part.strip(), text) for part in given.split(",") if part.strip())


def _setting(part: str, text: str) -> tuple[str, Any]:
    key, _, value = part.partition("=")
    if key not in SETTINGS:
        raise InputError("--balance", f"{key!r} in {text!r} is no setting of a line: {', '.join(SETTINGS)}")
    if key == "baud" and not (value.isdecimal() and 50 <= int(value) <= 4_000_000):
        raise InputError("--balance", f"baud={value!r} in {text!r} is no baud rate")
    if key in ALLOWED and value.upper() not in ALLOWED[key]:
        raise InputError("--balance", f"{part!r} in {text!r}: {key} is one of {', '.join(ALLOWED[key])}")
    return SETTINGS[key], value.upper() if key == "parity" else int(value)
