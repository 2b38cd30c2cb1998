"""A simulated 0.1 mg balance with a serial line of its own: what it weighs comes from a rig, at the virtual instant of the asking."""

from __future__ import annotations

import os
import select
import threading
import tty
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from math import sqrt
from random import Random

from hil.plant import Load


@dataclass(frozen=True)
class BalanceModel:
    """How good, or bad, the balance is."""

    model: str = "SIM220 Simulated balance"
    serial_number: str = "D000000001"
    software: str = "1.00"
    capacity_g: float = 220.0
    beaker_g: float = 35.0  # on the pan before the first drop
    readability_g: float = 0.0001
    noise_g: float = 0.00015  # standard deviation of one reading
    settling_s: float = 0.6  # it shows what lay on it so long ago
    stable_g_s: float = 0.0005  # faster growth than this is "dynamic"
    drift_g_sqrt_h: float = 0.00003  # random walk of the zero point
    underload_g: float = -1.0


class Scale:
    """The weighing itself and the commands, without a line: MT-SICS levels 0 and 1 as the bench needs them.

    Faults are names in `faults`: busy, unstable, overload, underload, transmission (answers ET), mute, garbled.
    """

    def __init__(self, load: Callable[[], Load], model: BalanceModel | None = None, seed: int = 0) -> None:
        self.model = model or BalanceModel()
        self.faults: set[str] = set()
        self.streaming = False
        self._load = load
        self._random = Random(seed)
        self._drift_g = 0.0
        self._drift_t_s = 0.0
        self._zero_g = self.model.beaker_g  # switched on with the beaker in place
        self._tare_g = 0.0
        self._verbs: dict[str, Callable[[], str]] = {
            "S": lambda: self._weigh("S", at_rest=True),
            "SI": lambda: self._weigh("S", at_rest=False),
            "SIR": self._stream,
            "Z": lambda: self._set_zero("Z", at_rest=True),
            "ZI": lambda: self._set_zero("ZI", at_rest=False),
            "T": lambda: self._set_tare("T", at_rest=True),
            "TI": lambda: self._set_tare("TI", at_rest=False),
            "TAC": self._clear_tare,
            "@": self._reset,
            "I0": self._list,
            "I1": lambda: 'I1 A "01" "2.30" "2.22" "" ""',
            "I2": lambda: f'I2 A "{self.model.model} {self.model.capacity_g:.4f} g"',
            "I3": lambda: f'I3 A "{self.model.software}"',
            "I4": lambda: f'I4 A "{self.model.serial_number}"',
        }

    def answer(self, line: str) -> str:
        """The answer to one command line, without its end."""
        self.streaming = False
        if "mute" in self.faults:
            return ""
        if "transmission" in self.faults:
            return "ET"
        verb = self._verbs.get(line)
        return verb() if verb else "ES"

    def streamed(self) -> str:
        """One line of a stream."""
        return self._weigh("S", at_rest=False)

    def _weigh(self, name: str, at_rest: bool) -> str:
        gross_g, stable = self._look()
        out = self._out_of_range(gross_g)
        if out or (at_rest and not stable) or "busy" in self.faults:
            return f"{name} {out or 'I'}"
        return f"{name} {self._value(gross_g - self._zero_g - self._tare_g, stable)}"

    def _set_zero(self, name: str, at_rest: bool) -> str:
        gross_g, stable = self._look()
        out = self._out_of_range(gross_g)
        if out or (at_rest and not stable) or "busy" in self.faults:
            return f"{name} {out or 'I'}"
        self._zero_g, self._tare_g = gross_g, 0.0
        return "Z A" if at_rest else f"ZI {'S' if stable else 'D'}"

    def _set_tare(self, name: str, at_rest: bool) -> str:
        gross_g, stable = self._look()
        out = self._out_of_range(gross_g)
        if out or (at_rest and not stable) or "busy" in self.faults:
            return f"{name} {out or 'I'}"
        self._tare_g = gross_g - self._zero_g
        return f"{name} {self._value(self._tare_g, stable)}"

    def _look(self) -> tuple[float, bool]:
        """Gross grams as shown now, and whether at rest."""
        load, model = self._load(), self.model
        self._drift_to(load.t_s)
        shown_g = model.beaker_g + load.weight_g - load.rate_g_s * model.settling_s
        shown_g += self._drift_g + self._random.gauss(0.0, model.noise_g)
        stable = abs(load.rate_g_s) <= model.stable_g_s and "unstable" not in self.faults
        return shown_g, stable

    def _drift_to(self, t_s: float) -> None:
        hours = max(0.0, t_s - self._drift_t_s) / 3600
        self._drift_g += self._random.gauss(0.0, self.model.drift_g_sqrt_h * sqrt(hours))
        self._drift_t_s = t_s

    def _out_of_range(self, gross_g: float) -> str:
        if "overload" in self.faults or gross_g > self.model.capacity_g:
            return "+"
        return "-" if "underload" in self.faults or gross_g < self.model.underload_g else ""

    def _value(self, mass_g: float, stable: bool) -> str:
        steps = round(mass_g / self.model.readability_g)
        return f"{'S' if stable else 'D'} {steps * self.model.readability_g:10.4f} g"

    def _stream(self) -> str:
        self.streaming = True
        return self.streamed()

    def _clear_tare(self) -> str:
        self._tare_g = 0.0
        return "TAC A"

    def _reset(self) -> str:
        self._zero_g, self._tare_g = self.model.beaker_g, 0.0
        return self._verbs["I4"]()

    def _list(self) -> str:
        levels = {"T": 1, "TI": 1, "TAC": 1}
        lines = [f'I0 B {levels.get(verb, 0)} "{verb}"' for verb in sorted(self._verbs)]
        return "\r\n".join([*lines[:-1], lines[-1].replace("I0 B", "I0 A")])


class SimulatedBalance:
    """A Scale on a pty: open `path` with any MT-SICS client.

    load is called in this object's thread; whoever moves the rig waits for the answer meanwhile, so time stands still.
    """

    def __init__(self, load: Callable[[], Load], model: BalanceModel | None = None, seed: int = 0, stream_s: float = 0.2) -> None:
        self.scale = Scale(load, model, seed)
        self._stream_s = stream_s
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        self.path = os.ttyname(self._slave)  # the slave stays open, or the master would report a hang-up for good
        self._wake_read, self._wake_write = os.pipe()
        self._thread = threading.Thread(target=self._serve, name="simulated balance", daemon=True)
        self._thread.start()

    @property
    def faults(self) -> set[str]:
        """Names of faults in force (see Scale); put them in, take them out."""
        return self.scale.faults

    @property
    def plugged(self) -> bool:
        """The cable is on; once off, its path may belong to somebody else."""
        return self._thread.is_alive()

    def unplug(self) -> None:
        """The cable comes off: the line is gone for whoever has it open."""
        self.close()

    def close(self) -> None:
        """End the thread and close the line."""
        if self._thread.is_alive():
            os.write(self._wake_write, b"x")
            self._thread.join(timeout=5)

    def __enter__(self) -> SimulatedBalance:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def _serve(self) -> None:
        waiting = b""
        try:
            while True:
                ready = select.select([self._master, self._wake_read], [], [], self._stream_s if self.scale.streaming else None)[0]
                if self._wake_read in ready:
                    return
                waiting = self._take(waiting + os.read(self._master, 256)) if ready else self._send_streamed(waiting)
        finally:
            for fd in (self._master, self._slave, self._wake_read, self._wake_write):
                with suppress(OSError):
                    os.close(fd)

    def _take(self, data: bytes) -> bytes:
        """Answer the whole lines in data; gives the rest."""
        *lines, rest = data.replace(b"\r", b"\n").split(b"\n")
        for line in lines:
            if line:
                self._send(self.scale.answer(line.decode("ascii", "replace")))
        return rest

    def _send_streamed(self, waiting: bytes) -> bytes:
        self._send(self.scale.streamed())
        return waiting

    def _send(self, text: str) -> None:
        if not text:
            return
        garbled = "garbled" in self.scale.faults
        os.write(self._master, text.encode().replace(b"0", b"\xfe") + b"\r\n" if garbled else text.encode() + b"\r\n")
