"""A board's MicroPython prompt, through mpremote's serial transport. Everything on the board is done by `run`."""

from __future__ import annotations

import contextlib
import io
from typing import Any, Protocol

from mpremote.transport import TransportError
from mpremote.transport_serial import SerialTransport
from serial import SerialException

from tools.flashing import FlashError

ANSWER_S = 90  # longest silence of a script on the board: hashing every file on a slow one
ENTER_S = 10  # a board that has a prompt shows it by then; one that just resets swallowed the question
SLICE_S = 1  # on a pseudo-terminal mpremote's reads wait as long as its port does: no longer than this


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
        """mpremote prints what it got instead of a prompt: that is for no one."""
        with contextlib.redirect_stdout(io.StringIO()):
            self._transport.enter_raw_repl(soft_reset=False, timeout_overall=ENTER_S)

    def run(self, code: str) -> str:
        try:
            out, errors = self._transport.exec_raw(code, timeout=ANSWER_S)
        except (TransportError, SerialException, OSError, TypeError) as error:
            raise Gone(f"the board went away ({error})") from error
        if errors:
            raise ScriptError(errors.decode("utf-8", "replace").strip().splitlines()[-1])
        return str(out.decode("utf-8", "replace"))

    def reset(self) -> None:
        with contextlib.suppress(TransportError, SerialException, OSError, TypeError):
            self._transport.exec_raw_no_follow("import machine\nmachine.reset()")

    def close(self) -> None:
        if self._transport is not None:
            with contextlib.suppress(SerialException, OSError):
                self._transport.close()
