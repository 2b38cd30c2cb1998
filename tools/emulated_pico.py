"""An emulated Pico for tools and tests that are not stories of the bench: its prompt, or its USB serial line, with the rig on its pins.

What makes rp2040py a bench is in hil/targets/rp2040.py, the rig in hil/targets/wiring.py; import this before a device is made.
"""

from __future__ import annotations

import queue
import time
from pathlib import Path
from typing import Any

from hil.plant.pins import PinRig
from hil.targets.emulated import board_data
from hil.targets.rp2040 import BaseDevice, InteractiveRepl, MicroPythonDevice, board_spec, correct
from hil.targets.wiring import RigWiring

BOARD: dict[str, Any] = board_data()


class Rig(RigWiring):
    """The reference rig in good order: a head that turns when it is stepped and enabled, a closed port, a fresh battery."""

    def __init__(self) -> None:
        super().__init__(PinRig(), BOARD)

    @property
    def steps(self) -> int:
        """Steps that turned the head."""
        return round(self.rig.rotor.steps)


def prompt_device(image: Path, rig: Rig) -> Any:
    """A Pico whose image leaves the prompt free: `await device.aexec(code)`."""
    device = MicroPythonDevice(board=board_spec(image, rig))
    correct(device.mcu)
    return device


class Line:
    """The USB serial line of a Pico that runs the firmware: a channel for hil.link.Link. The emulator has a thread of its own."""

    def __init__(self, image: Path, rig: Rig) -> None:
        self.device: Any = BaseDevice(board=board_spec(image, rig))
        correct(self.device.mcu)
        self._heard: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._port: Any = InteractiveRepl(self.device.cdc, lambda data: self._heard.put(bytes(data)))

    def open(self, timeout_s: float) -> None:
        self.device.start_async(timeout_s).result(timeout_s)
        self.device.simulator.submit(self._port.start()).result(timeout_s)

    def send(self, data: bytes) -> None:
        self.device.simulator.schedule_threadsafe(lambda: self._port.send(data))

    def receive(self, timeout_s: float) -> bytes:
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            try:
                return self._heard.get(timeout=0.02)
            except queue.Empty:
                self.device.simulator.schedule_threadsafe(self._pump)
        return b""

    def _pump(self) -> None:
        self._port.pump()

    def now_ms(self) -> int:
        """The emulated chip's time since it started."""
        return int(self.device.mcu.clock.nanos) // 1_000_000

    def advance_to(self, end_ms: int) -> None:
        while self.now_ms() < end_ms:
            time.sleep(0.02)

    def close(self) -> None:
        self.device.stop()
