"""Driver for balances that speak MT-SICS (levels 0 and 1) on any line pyserial can open."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from typing import Any

from .balance import (
    BalanceBusy,
    BalanceOverload,
    BalanceProtocolError,
    BalanceUnderload,
    Identity,
    Reading,
)
from .line import GRAMS, LineBalance

WEIGHT = re.compile(r"^(?P<status>[SD]) +(?P<value>-?[0-9]+(\.[0-9]*)?) +(?P<unit>\w+)$")
QUOTED = re.compile(r'"([^"]*)"')

# What the error answers mean, for a person.
ERRORS = {
    "ES": "it does not know the command {command!r} (ES); is it an MT-SICS balance, and at which level?",
    "ET": "it received {command!r} damaged (ET); check baud rate, parity and cable",
    "EL": "it cannot execute {command!r} as given (EL)",
}


class MtSicsBalance(LineBalance):
    """One balance on one line; S, Z and T answer only once it is at rest."""

    def __init__(
        self,
        url: str,
        *,
        baudrate: int = 9600,
        timeout_s: float = 2.0,
        stable_timeout_s: float = 30.0,
        clock: Callable[[], float] = time.monotonic,
        **settings: Any,
    ) -> None:
        super().__init__(url, timeout_s=timeout_s, stable_timeout_s=stable_timeout_s, clock=clock, baudrate=baudrate, **settings)

    # the Balance contract

    def identify(self) -> Identity:
        """Model, serial number and software (I4, I3, I2); a field the balance does not give stays empty."""
        return Identity(model=self._inquire("I2"), serial_number=self._inquire("I4"), software=self._inquire("I3"))

    def zero(self) -> None:
        """Zero at rest (Z)."""
        fields = self._ask("Z", self._stable_timeout_s)
        self._refuse_range("Z", fields)
        if fields != "A":
            raise BalanceProtocolError(self._says(f"the answer to Z is {fields!r}, expected 'A'"))

    def tare(self) -> float:
        """Tare at rest (T); gives the tare in grams."""
        return self._weight("T", self._ask("T", self._stable_timeout_s)).mass_g

    def read(self, stable: bool = False) -> Reading:
        """Net weight, at once (SI) or once at rest (S)."""
        if stable:
            return self._weight("S", self._ask("S", self._stable_timeout_s))
        return self._weight("SI", self._ask("SI", self._timeout_s))

    # beyond it

    def reset(self) -> str:
        """Like switching off and on (@): tare and zero forgotten; gives the serial number it answers."""
        self._command("@")
        return self._text(self._answer("@", "I4", self._timeout_s))

    def stream(self) -> Iterator[Reading]:
        """Readings as fast as the balance sends them (SIR), until the iterator is closed."""
        self._command("SIR")
        try:
            while True:
                yield self._weight("SIR", self._answer("SIR", "S", self._timeout_s))
        finally:
            self._stop_stream()

    def commands(self) -> list[str]:
        """The commands it knows (I0); some balances answer with a summary instead, which gives an empty list."""
        names: list[str] = []
        self._command("I0")
        while True:
            fields = self._answer("I0", "I0", self._timeout_s)
            known = re.match(r'^[AB] [0-9] "([^"]+)"$', fields)
            names += [known[1]] if known else []
            if not fields.startswith("B"):
                return names

    # lines

    def _command(self, command: str) -> None:
        self._send(command.encode("ascii") + b"\r\n")

    def _ask(self, command: str, timeout_s: float) -> str:
        self._command(command)
        return self._answer(command, command, timeout_s)

    def _answer(self, command: str, name: str, timeout_s: float) -> str:
        """Fields of the answer, without the name in front. SI may be answered as S or as SI: both are in use."""
        line = self._read_line(command, timeout_s).strip()
        if line in ERRORS:
            raise BalanceProtocolError(self._says(ERRORS[line].format(command=command)))
        first, _, fields = line.partition(" ")
        if first not in (name, "S" if name == "SI" else name):
            raise BalanceProtocolError(self._says(f"the answer to {command} is {line!r}"))
        return fields.strip()

    def _stop_stream(self) -> None:
        if not self._line.is_open:
            return
        self._command("SI")  # any command ends it; what was still under way is thrown away
        deadline = time.monotonic() + self._timeout_s
        self._line.timeout = 0.05
        while self._line.read(256) and time.monotonic() < deadline:
            pass

    # answers

    def _inquire(self, command: str) -> str:
        return self._text(self._ask(command, self._timeout_s))

    @staticmethod
    def _text(fields: str) -> str:
        return " ".join(QUOTED.findall(fields))

    def _weight(self, command: str, fields: str) -> Reading:
        self._refuse_range(command, fields)
        found = WEIGHT.match(fields)
        if not found or found["unit"] not in GRAMS:
            raise BalanceProtocolError(self._says(f"the answer to {command} is {fields!r}: no weight in {', '.join(GRAMS)}"))
        return Reading(float(found["value"]) * GRAMS[found["unit"]], found["status"] == "S", self._clock())

    def _refuse_range(self, command: str, fields: str) -> None:
        if fields == "I":
            raise BalanceBusy(self._says(f"it cannot execute {command} now: not at rest, or busy with another command"))
        if fields == "+":
            raise BalanceOverload(self._says("overload: take weight off the pan"))
        if fields == "-":
            raise BalanceUnderload(self._says("underload: put the pan and the beaker in place"))
