"""A board's MicroPython prompt, through mpremote's serial transport. Everything on the board is done by `run`."""

from __future__ import annotations

import contextlib
import struct
import time
from typing import Any, Protocol

from mpremote.transport import TransportError
from mpremote.transport_serial import SerialTransport
from serial import SerialException

from tools.flashing import FlashError

ANSWER_S = 90  # longest silence of a script on the board: hashing every file on a slow one
ENTER_S = 10  # a board that has a prompt shows it by then; one that just resets swallowed the question
SLICE_S = 1  # a read that nothing answers returns after this
RAW = b"raw REPL; CTRL-B to exit\r\n"
# How a line that breaks in mid-exchange shows itself; TypeError is pyserial's when closed, struct.error mpremote's at half an answer.
BROKEN = (TransportError, SerialException, OSError, TypeError, struct.error)


class Gone(FlashError):
    """The board no longer answers: cable pulled, power cut, or reset."""


class ScriptError(FlashError):
    """A script on the board raised; `last` is the line MicroPython gave for it."""

    def __init__(self, last: str) -> None:
        self.last = last
        super().__init__(f"the board said: {last}")


class Prompt(Protocol):
    def run(self, code: str) -> str:
        """What the code printed; ScriptError if it raised, Gone if the board is."""
        ...

    def reset(self) -> None:
        """Starts the board anew; what it says after that is not waited for."""
        ...

    def close(self) -> None: ...


class SerialPrompt:
    """A raw prompt on a serial port; whatever ran there is interrupted."""

    def __init__(self, port: str) -> None:
        self._transport: Any = None
        try:
            self._transport = SerialTransport(port, timeout=SLICE_S)
            self._enter()
            self._transport.serial.timeout = ANSWER_S
        except (TransportError, SerialException, OSError) as error:
            self.close()
            raise Gone(f"{port}: {error}") from error

    def _enter(self) -> None:
        """Interrupts whatever runs there and asks for the raw prompt; mpremote's own way waits for as long as something talks."""
        serial, end, heard = self._transport.serial, time.monotonic() + ENTER_S, b""
        serial.write(b"\r\x03\r\x01")
        while not heard.endswith(RAW):
            if time.monotonic() >= end:
                raise TransportError("could not enter raw repl")
            heard = (heard + serial.read(1))[-len(RAW) :]
        self._transport.in_raw_repl = True

    def run(self, code: str) -> str:
        try:
            out, errors = self._transport.exec_raw(code, timeout=ANSWER_S)
        except BROKEN as error:
            raise Gone(f"the board went away ({error})") from error
        if errors:
            raise ScriptError((errors.decode("utf-8", "replace").strip() or "an error without a word").splitlines()[-1])
        return str(out.decode("utf-8", "replace"))

    def reset(self) -> None:
        with contextlib.suppress(*BROKEN):
            self._transport.exec_raw_no_follow("import machine\nmachine.reset()")

    def close(self) -> None:
        if self._transport is not None:
            with contextlib.suppress(SerialException, OSError):
                self._transport.close()
