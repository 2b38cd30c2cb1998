"""A balance on a line: opening it, one line of text to it and one back, and what went wrong in words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import serial

try:
    from termios import error as TermiosError
except ImportError:  # not a POSIX system
    TermiosError = OSError  # type: ignore[misc, assignment]

from hil.channel import RFC2217, remedy_elsewhere, why_gone

from .balance import Balance, BalanceGone, BalanceProtocolError, BalanceSilent

GRAMS = {"g": 1.0, "mg": 1e-3, "kg": 1e3}

# How a line that went away shows itself; TypeError is pyserial's, when closed in mid-read, ValueError its RFC 2217 client's.
LINE_ERRORS = (serial.SerialException, OSError, TypeError, ValueError, TermiosError)


class LineBalance(Balance):
    """What every protocol of lines shares. clock gives the seconds that readings are stamped with (virtual time, for a simulated rig)."""

    def __init__(
        self,
        url: str,
        *,
        timeout_s: float,
        stable_timeout_s: float,
        clock: Callable[[], float],
        **settings: Any,  # of the line, as pyserial names them
    ) -> None:
        self.url = url
        self._clock = clock
        self._timeout_s = timeout_s
        self._stable_timeout_s = stable_timeout_s
        self._line = self._open(settings)

    def close(self) -> None:
        """Close the line."""
        self._line.close()

    def _open(self, settings: dict[str, Any]) -> serial.Serial:
        if not self.url.lower().startswith(RFC2217):  # whose client knows no such thing
            settings = {**settings, "write_timeout": self._timeout_s}
        try:
            return serial.serial_for_url(self.url, timeout=self._timeout_s, **settings)
        except Exception as problem:  # a URL handler of pyserial raises whatever its parser does
            usual = f"{problem}; check the cable, the path, and that no other program has it open"
            raise BalanceGone(self._says(f"the line cannot be opened: {remedy_elsewhere(self.url, str(problem)) or usual}")) from None

    def _send(self, data: bytes) -> None:
        try:
            self._line.reset_input_buffer()
            self._line.write(data)
        except LINE_ERRORS as problem:
            raise self._gone(problem) from None

    def _read_line(self, command: str, timeout_s: float) -> str:
        """The next line, with its leading spaces (some formats count places)."""
        try:
            if self._line.timeout != timeout_s:  # to set it means talks with a server of RFC 2217
                self._line.timeout = timeout_s
            raw = self._line.read_until(b"\n", 256)
        except LINE_ERRORS as problem:
            raise self._gone(problem) from None
        if not raw.endswith(b"\n"):
            raise BalanceSilent(
                self._says(f"no answer to {command} within {timeout_s:g} s; is it switched on, and is the baud rate right?")
            )
        if not raw.strip().isascii():
            raise BalanceProtocolError(self._says(f"the answer to {command} is not text ({raw!r}); check the baud rate and parity"))
        return raw.decode("ascii").rstrip("\r\n")

    def _gone(self, problem: Exception) -> BalanceGone:
        return BalanceGone(self._says(f"the line went away ({problem}); {why_gone(self.url)}"))

    def _says(self, what: str) -> str:
        return f"balance on {self.url}: {what}"
