"""Driver for Sartorius balances that speak SBI, on any line pyserial can open.

Written from the interface's published description (operating instructions of Cubis MSE, Quintix, WZA weigh cells): commands are
ESC and a letter, answers are 16 characters, or 22 with an identification in front: sign, value right-aligned, a space, and three characters
of unit, which stay blank while the balance is not at rest. Set the balance to SBI, data output manual, without stability. ESC P asks
for one reading; ESC T, U and V are not answered. No kept package on PyPI drives such a balance without an agent framework or Python 3.13;
one of them simulates it, and the driver is tried against that too (host_tests/test_sartorius.py).
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

from .balance import BalanceBusy, BalanceOverload, BalanceProtocolError, BalanceSilent, BalanceUnderload, Identity, Reading
from .line import GRAMS, LineBalance

ESC = b"\x1b"
WEIGHT = re.compile(r"^(?P<sign>[+-]?) *(?P<value>[0-9]+(\.[0-9]*)?|\.[0-9]+)(\[(?P<unverified>[0-9])\])? *(?P<unit>[A-Za-z/%]*) *$")
IDENTIFICATION = 6  # characters, in the long form
LONG = 17  # characters without the line's end, from which an answer is one with identification
RETRY_S = 0.2
AT_ZERO_G = 0.002


class SartoriusBalance(LineBalance):
    """One balance on one line."""

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
        self._in_g = 1.0  # of the unit seen last: it is not told while the balance moves

    def identify(self) -> Identity:
        """Model, serial number and software (x1, x2, x3); older balances know none of them: then a weight must do."""
        model = self._inquire("x1_")
        if not model:
            self.read()
            return Identity("Sartorius balance (SBI)", "", "")
        return Identity(model, self._inquire("x2_"), self._inquire("x3_"))

    def zero(self) -> None:
        """Zero at rest (V, or the key that tares and zeroes), and look whether it did."""
        self.read(stable=True)
        for command in ("V", "T"):
            self._command(command)
            if abs(self.read(stable=True).mass_g) <= AT_ZERO_G:
                return
        raise BalanceBusy(self._says("it was told to zero and does not show zero: empty the pan, or tare instead"))

    def tare(self) -> float:
        """Tare at rest (T); gives the net grams that were tared away."""
        before = self.read(stable=True).mass_g
        self._command("T")
        left = self.read(stable=True).mass_g
        if abs(left) > AT_ZERO_G:
            raise BalanceBusy(self._says(f"it was told to tare and shows {left:g} g"))
        return before

    def read(self, stable: bool = False) -> Reading:
        """Net weight (P), at once or once at rest."""
        until = time.monotonic() + self._stable_timeout_s
        while True:
            self._command("P")
            reading = self._weight(self._read_line("ESC P", self._timeout_s))
            if reading.stable or not stable:
                return reading
            if time.monotonic() > until:
                raise BalanceBusy(self._says(f"not at rest within {self._stable_timeout_s:g} s: look for draught and vibration"))
            time.sleep(min(RETRY_S, self._stable_timeout_s / 10))

    def _command(self, command: str) -> None:
        self._send(ESC + command.encode("ascii") + b"\r\n")

    def _inquire(self, command: str) -> str:
        self._command(command)
        try:
            return self._read_line(f"ESC {command}", self._timeout_s).strip()
        except BalanceSilent:
            return ""

    def _weight(self, line: str) -> Reading:
        special = line[:IDENTIFICATION].strip() == "Stat"
        body = line[IDENTIFICATION:] if special or len(line) >= LONG else line
        self._refuse(body.strip(), special)
        found = WEIGHT.match(body.strip())
        if not found:
            raise BalanceProtocolError(self._says(f"the answer to ESC P is {line!r}: no weight; is it set to SBI, output manual?"))
        unit = found["unit"]
        if unit and unit not in GRAMS:
            raise BalanceProtocolError(self._says(f"it weighs in {unit!r}: set its unit to g"))
        self._in_g = GRAMS[unit] if unit else self._in_g
        value = float(found["value"] + (found["unverified"] or ""))
        grams = value * self._in_g * (-1 if found["sign"] == "-" else 1)
        return Reading(grams, bool(unit), self._clock())

    def _refuse(self, body: str, special: bool) -> None:
        """High, Low, -- (no weight yet), calibrating, and errors; older balances say H, L and C."""
        word = body.lower()
        if word in ("high", "h"):
            raise BalanceOverload(self._says("overload: take weight off the pan"))
        if word in ("low", "l"):
            raise BalanceUnderload(self._says("underload: put the pan and the beaker in place"))
        if word.startswith(("cal", "--")) or word in ("c", "off"):
            raise BalanceBusy(self._says(f"it shows {body!r}: wait until it has done, then ask again"))
        if word.startswith("err") or special:
            raise BalanceProtocolError(self._says(f"it reports {body!r}: see its manual's list of errors"))
