"""An emulated Pico with a small rig on its pins: a head that turns when it is stepped and enabled, a closed port, a good battery.

Four corrections make rp2040py a bench: PIO keeps exact time while the processor sleeps, the emulated USB host asks at a
sane pace, PIO outputs are fed back to PIO inputs, and the stepper's joined queue is as deep as the chip's. Import this
before anything else of rp2040py makes a device.
"""

from __future__ import annotations

import dataclasses
import queue
import runpy
import time
from pathlib import Path
from typing import Any

import rp2040py.native._rp2040 as native

ROOT = Path(__file__).resolve().parents[1]
BOARD: dict[str, Any] = runpy.run_path(str(ROOT / "boards" / "pico" / "board.py"))["BOARD"]
USB_POLL_US = 1000
JOINED_WORDS = 8  # of a queue that takes both directions' places
NS_PER_CYCLE = 8
ROTOR_NS = 180_000  # the rotor follows by one count in this time: faster than the head's top rate, slow enough to be sampled
# The rotor's two channels, B before A when it turns forward, as the decoder counts them up.
QUADRATURE = ((False, False), (False, True), (True, True), (True, False))

_Base: Any = vars(native)["RPPIO"]


class TruePIO(_Base):  # type: ignore[misc]
    """Walks a long idle jump from due time to due time, so that no state machine loses cycles."""

    behind = 0  # cycles of the jump still to come, while it is walked

    def advance(self, cycles: int) -> None:
        while cycles > 8:
            step = (self.next_due_fp - self.cycle_fp + 255) >> 8
            if step >= cycles:
                break
            step = max(step, 1)
            cycles -= step
            self.behind = cycles
            _Base.advance(self, step)
        self.behind = 0
        _Base.advance(self, cycles)


setattr(native, "RPPIO", TruePIO)  # noqa: B010 - the compiled module declares no such name

from rp2040py.boards import BOARDS, resolve_firmware  # noqa: E402 - after the correction above
from rp2040py.device import MicroPythonDevice  # noqa: E402
from rp2040py.device.base_device import BaseDevice  # noqa: E402
from rp2040py.device.repl_runner import InteractiveRepl  # noqa: E402
from rp2040py.utils.fifo import FIFO  # noqa: E402


class Rig:
    """What hangs on the pins. edges_ns: time of each rising step edge; enable: (ns, level) of each change."""

    def __init__(self) -> None:
        self.edges_ns: list[int] = []
        self.enable: list[tuple[int, int]] = []
        self.steps = 0
        self._driven = False
        self._counts = 0  # of the rotor, following the steps
        self._mcu: Any = None
        self._alarm: Any = None

    def attach(self, mcu: Any) -> None:
        self._mcu = mcu
        mcu.pio[0].machines[0].tx_fifo = FIFO(JOINED_WORDS)
        mcu.gpio[BOARD["step_pin"]].add_listener(self._on_step)
        mcu.gpio[BOARD["enable_pin"]].add_listener(self._on_enable)
        mcu.gpio[BOARD["port_pin"]].set_input_value(False)
        mcu.adc.channel_values[BOARD["battery_pin"] - 26] = 3700 * 4095 // BOARD["battery_full_scale_mv"]
        self._alarm = mcu.clock.create_alarm(self._turn_rotor)
        self._show_rotor()

    def now_ns(self) -> int:
        return int(self._mcu.clock.nanos) - int(self._mcu.pio[0].behind) * NS_PER_CYCLE

    def _on_step(self, new: int, old: int) -> None:
        high = int(new) == 1
        self._mcu.gpio[BOARD["step_pin"]].set_input_value(high)
        if high:
            self.edges_ns.append(self.now_ns())
            self.steps += self._driven
            self._alarm.schedule(ROTOR_NS)

    def _on_enable(self, new: int, old: int) -> None:
        self._driven = int(new) == 1
        self._mcu.gpio[BOARD["enable_pin"]].set_input_value(self._driven)
        self.enable.append((self.now_ns(), int(self._driven)))

    def _target(self) -> int:
        return int(self.steps * BOARD["encoder_counts_per_turn"] // BOARD["steps_per_turn"])

    def _turn_rotor(self) -> None:
        if self._counts < self._target():
            self._counts += 1
            self._show_rotor()
        if self._counts < self._target():
            self._alarm.schedule(ROTOR_NS)

    def _show_rotor(self) -> None:
        channel_b, channel_a = QUADRATURE[-self._counts % 4]
        self._mcu.gpio[BOARD["encoder_pin"]].set_input_value(channel_a)
        self._mcu.gpio[BOARD["encoder_pin"] + 1].set_input_value(channel_b)


def _spec(image: Path, rig: Rig) -> Any:
    spec = resolve_firmware(BOARDS["pico"], "micropython", str(image))
    return dataclasses.replace(spec, extras=(*spec.extras, lambda: rig))


def prompt_device(image: Path, rig: Rig) -> Any:
    """A Pico whose image leaves the prompt free: `await device.aexec(code)`."""
    device = MicroPythonDevice(board=_spec(image, rig))
    device.mcu.usb_ctrl.read_delay_microseconds = USB_POLL_US
    return device


class Line:
    """The USB serial line of a Pico that runs the firmware: a channel for hil.link.Link. The emulator has a thread of its own."""

    def __init__(self, image: Path, rig: Rig) -> None:
        self.device: Any = BaseDevice(board=_spec(image, rig))
        self.device.mcu.usb_ctrl.read_delay_microseconds = USB_POLL_US
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
