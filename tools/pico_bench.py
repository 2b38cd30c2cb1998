"""An emulated Pico to measure on: its prompt, its wire, and the step pin's edges. Chip time passes only while it is asked.

Uses the emulator as hil/targets/rp2040.py corrects it: a flash erase holds the processor up as long as a real one (45 ms).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hil.errors import TargetError
from hil.frames import Reply, parse_line, request_body, seal
from hil.plant.pins import PinRig
from hil.targets.emulated import board_data
from hil.targets.rp2040 import FLASH, Chip
from hil.targets.wiring import RigWiring

USB_POLL_US = 100  # a real host asks without a pause
RAW = b"raw REPL; CTRL-B to exit\r\n>"
END = b"\x04"
LIMIT_NS = 120 * 1_000_000_000  # of its own time
CONNECT_NS = 2_000_000_000
SLICE_NS = 1_000_000


class PicoBench:
    """`heard`: what it has said and nobody has taken yet. `answer_bytes`: of the last answer, its end included."""

    def __init__(self, image: Path, usb_poll_us: int = USB_POLL_US) -> None:
        self.wiring = RigWiring(PinRig(), board_data())
        self.chip = Chip(image, self.wiring, FLASH["typical"], usb_poll_us)
        self.heard = b""
        self.answer_bytes = 0
        self.chip.hear = self._hear

    def _hear(self, data: bytes) -> None:
        self.heard += data

    def start(self) -> None:
        """Power on, until the USB host has it."""
        connected: list[bool] = []
        self.chip.cdc.on_device_connected = lambda: connected.append(True)
        self.chip.boot()
        while not connected:
            if self.chip.now_ns > CONNECT_NS:
                raise TargetError("the emulated Pico did not come up on USB in 2 s of its own")
            self.chip.run_to(self.chip.now_ns + SLICE_NS)

    def run_ms(self, ms: float) -> None:
        end_ns = self.chip.now_ns + int(ms * 1e6)
        while self.chip.now_ns < end_ns:
            self.chip.run_to(end_ns)

    def until(self, mark: bytes, limit_ns: int = LIMIT_NS) -> bytes:
        """What it says up to and with the mark."""
        end_ns = self.chip.now_ns + limit_ns
        while mark not in self.heard:
            if self.chip.now_ns > end_ns:
                raise TargetError(f"no {mark!r} from the emulated Pico, only {self.heard[-500:]!r}")
            self.chip.run_to(self.chip.now_ns + SLICE_NS)
        said, mark, self.heard = self.heard.partition(mark)
        return said + mark

    # ---- its prompt

    def execute(self, code: str) -> str:
        """What a script prints, run from the prompt of an image without main."""
        self.chip.send(b"\r\x03\x03\x01")
        self.until(RAW)
        self.chip.send(code.encode() + END)
        self.until(b"OK")
        said = self.until(END)[:-1].decode()
        errors = self.until(END)[:-1].decode()
        if errors:
            raise TargetError(f"on the emulated Pico:\n{said[-2000:]}{errors}")
        return said

    # ---- its wire

    def exchange(self, seq: int, verb: str, **fields: Any) -> tuple[Reply, float]:
        """Its reply, and the ms of its time from the frame's first byte to the reply's last. Only the reply of this number counts."""
        began_ns = self.chip.now_ns
        self.chip.send(seal(request_body(seq, verb, fields)))
        while True:
            answer = parse_line(self._line(began_ns))
            if isinstance(answer, Reply):
                if answer.seq != seq:
                    raise TargetError(f"{verb} with number {seq} was answered {answer}")
                return answer, (self.chip.now_ns - began_ns) / 1e6

    # A channel for hil.link.Link, in its time.

    def send(self, data: bytes) -> None:
        self.chip.send(data)

    def receive(self, timeout_s: float) -> bytes:
        end_ns = self.chip.now_ns + int(timeout_s * 1e9)
        while not self.heard and self.chip.now_ns < end_ns:
            self.chip.run_to(min(end_ns, self.chip.now_ns + SLICE_NS))
        heard, self.heard = self.heard, b""
        return heard

    def close(self) -> None:
        """Nothing is open."""

    def _line(self, began_ns: int) -> bytes:
        """Run until a line is whole; the chip stops at its end by itself."""
        while b"\n" not in self.heard:
            if self.chip.now_ns > began_ns + LIMIT_NS:
                raise TargetError(f"the emulated Pico gave no answer, only {self.heard[-200:]!r}")
            self.chip.run_to(began_ns + LIMIT_NS)
        line, end, self.heard = self.heard.partition(b"\n")
        self.answer_bytes = len(line + end)
        return line.strip()

    def edges_us(self) -> list[float]:
        return [ns / 1000 for ns in self.wiring.edges_ns]
