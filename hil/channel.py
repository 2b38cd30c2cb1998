"""Bytes to and from a pump: any pyserial URL, with errors a person can act on, and the log of the line."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, TextIO
from urllib.parse import urlsplit

import serial

from hil.errors import LinkError

RFC2217 = "rfc2217"
OVER_NETWORK = re.compile(f"({RFC2217}|socket)://", re.IGNORECASE)
# What pyserial says of a line elsewhere -> what a person does about it. The first that fits.
REMEDIES = {
    "refused": "nobody listens there: start what serves the line (`python -m hil serve --tcp 4000`, ser2net), or correct host and port",
    "service not known|name resolution|nodename|No address": "there is no such host: correct its name, or give its address",
    "timed out|unreachable|No route": "that host does not answer: look at its power, its cable and the firewall between",
    "option 'control'": "its server does not confirm what is done to DTR and RTS: write ?ign_set_control behind the address",
    "RFC2217|RFC 2217|for option|reset by peer|Broken pipe|forcibly": "it lets us go or does not speak RFC 2217: close the program that"
    " has this line; or is it a raw TCP port? then write socket:// in front",
}


class Channel(Protocol):
    """What Link needs of a line."""

    def send(self, data: bytes) -> None: ...

    def receive(self, timeout_s: float) -> bytes:
        """Bytes that came, b"" if none came in real `timeout_s`."""
        ...

    def close(self) -> None: ...


def open_serial(url: str, baud: int = 115200, timeout_s: float = 0.0) -> Any:
    """A pyserial port of any URL, opened for one user only; LinkError names what to do."""
    try:
        return serial.serial_for_url(url, baudrate=baud, timeout=timeout_s, exclusive=True)
    except FileNotFoundError:
        raise LinkError(f"{url}: no such serial port; list them with `python -m serial.tools.list_ports`") from None
    except Exception as error:  # a URL handler of pyserial raises whatever its parser does: re.error, KeyError, ValueError
        raise LinkError(_why_not_opened(url, error)) from error


def remedy_elsewhere(url: str, text: str) -> str:
    """What to do where a line over the network could not be opened; "" for any other URL, and where nobody knows."""
    if not OVER_NETWORK.match(url):
        return ""
    try:
        place = urlsplit(url)
        named = bool(place.hostname and place.port)
    except ValueError:
        named = False
    if not named:
        return f"it names no host and port: write it like {RFC2217}://bench7:4000"
    return next((remedy for said, remedy in REMEDIES.items() if re.search(said, text)), "")


def why_gone(url: str) -> str:
    """What to look at where a line that was open went away."""
    elsewhere = "is its host still on the network, and what serves the line still running?"
    return elsewhere if OVER_NETWORK.match(url) else "is it still plugged in?"


def _why_not_opened(url: str, error: Exception) -> str:
    text, url = str(error), ascii(url[:200])[1:-1]
    if remedy := remedy_elsewhere(url, text):
        return f"{url}: {remedy}"
    if "No such file" in text:
        return f"{url}: no such serial port; list them with `python -m serial.tools.list_ports`"
    if "Resource temporarily unavailable" in text or "busy" in text.lower():
        return f"{url}: busy, another program has this serial port open; close it first"
    if "Inappropriate ioctl" in text or "Is a directory" in text:
        return f"{url}: is no serial port; list them with `python -m serial.tools.list_ports`"
    if "ermission" in text:
        return f"{url}: not permitted; add yourself to the port's group (often dialout)"
    return f"{url}: cannot be opened: {text}"


class SerialChannel:
    """A pump on a real or remote serial line; waiting is real time."""

    READ_S = 0.05  # a read without a byte returns after this

    def __init__(self, url: str, baud: int = 115200) -> None:
        self.url = url
        self._port = open_serial(url, baud, self.READ_S)

    def send(self, data: bytes) -> None:
        try:
            self._port.write(data)
        except (serial.SerialException, OSError) as error:
            raise LinkError(f"{self.url}: the serial line went away while sending ({error}); {why_gone(self.url)}") from error

    def receive(self, timeout_s: float) -> bytes:
        deadline = time.monotonic() + timeout_s
        while True:
            data = self._read_now()
            if data or time.monotonic() >= deadline:
                return data

    def _read_now(self) -> bytes:
        try:
            return bytes(self._port.read(self._port.in_waiting or 1))
        except (serial.SerialException, OSError, TypeError) as error:
            raise LinkError(f"{self.url}: the serial line went away ({error}); {why_gone(self.url)}") from error

    def close(self) -> None:
        with contextlib.suppress(serial.SerialException, OSError):  # it may be gone already
            self._port.close()


class SerialLog:
    """Every line both ways with the pump's and the wall's time; `None` as path keeps nothing."""

    def __init__(self, path: Path | None, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._file: TextIO | None = path.open("w", encoding="ascii", errors="backslashreplace") if path else None
        self._wall_zero = time.monotonic()

    def note(self, direction: str, line: bytes) -> None:
        """`direction` is -> to the pump, <- from it, -- a remark of the bench."""
        if self._file is None:
            return
        wall = time.monotonic() - self._wall_zero
        self._file.write(f"{self._clock():14.3f} {wall:9.3f} {direction} {_visible(line)}\n")
        self._file.flush()

    def go_on(self, path: Path) -> None:
        """Append to another file from here on."""
        if self._file is not None:
            self._file = path.open("a", encoding="ascii", errors="backslashreplace")

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def _visible(line: bytes) -> str:
    return line.rstrip(b"\r\n").decode("latin-1").encode("unicode_escape").decode("ascii")
