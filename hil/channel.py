"""Bytes to and from a pump: any pyserial URL, with errors a person can act on, and the log of the line."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, TextIO

import serial

from hil.errors import LinkError


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


def _why_not_opened(url: str, error: Exception) -> str:
    text, url = str(error), ascii(url[:200])[1:-1]
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
            raise LinkError(f"{self.url}: the serial line went away while sending ({error})") from error

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
            raise LinkError(f"{self.url}: the serial line went away ({error}); is the pump still plugged in?") from error

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
