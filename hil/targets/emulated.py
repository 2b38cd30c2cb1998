"""The flashed image on an emulated Pico, with the simulated rig on its pins and pyserial on its USB serial line.

Chip time passes only while the bench lets it: in advance_to, and while an answer is waited for. It passes slowly, a second takes
one to three of ours and up to forty where the processor computes without a pause; so a story of hours is none for this target.
"""

from __future__ import annotations

import contextlib
import os
import runpy
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hil.channel import Channel, open_serial
from hil.errors import TargetError
from hil.pin_figures import Pins
from hil.plant.pins import PinRig
from hil.targets.base import EMULATED, Target
from hil.targets.process import REPO, PtyPair

if TYPE_CHECKING:
    from hil.targets.rp2040 import Chip
    from hil.targets.wiring import RigWiring

BOARD_FILE = REPO / "boards" / "pico" / "board.py"
IMAGE_TOOL = REPO / "tools" / "image.py"
IMAGE_VARIABLE = "DOSELOOP_IMAGE"  # a UF2 to boot instead of the one that is built from this tree
PACKAGES = "run `pip install -e '.[bench,pico]'` in this environment (or `make emulated`, which does)"
BUILD_LIMIT_S = 1800
ENUMERATION_MS = 2000
USB_POLL_US = 5000  # an idle chip is a third slower to emulate at 1000; an answer may come so much later
TAKEN_IN_MS = 60  # a change of the port switch has reached the firmware's loop
RESET_MS = 20  # the RUN pin is held so long
PTY_S = 0.2  # bytes need at most so long through a pty
EMPTY_MS = 5
PROMPT_LIMIT_S = 120


@cache
def board_data() -> dict[str, Any]:
    """The Pico's pins and limits, as its board file has them."""
    board: dict[str, Any] = runpy.run_path(str(BOARD_FILE))["BOARD"]
    return board


def find_image() -> Path:
    """The UF2 to boot: $DOSELOOP_IMAGE, or what tools/image.py builds of this tree (nothing, if its content was built before)."""
    named = os.environ.get(IMAGE_VARIABLE)
    if named:
        if not Path(named).is_file():
            raise TargetError(f"{IMAGE_VARIABLE}={named} is no file: correct it, or unset it to have the image built")
        return Path(named)
    if not IMAGE_TOOL.is_file():
        raise TargetError(f"there is no {IMAGE_TOOL} to build an image with: set {IMAGE_VARIABLE}=/path/to/image.uf2")
    built = subprocess.run([sys.executable, str(IMAGE_TOOL)], capture_output=True, text=True, timeout=BUILD_LIMIT_S, check=False)
    lines = built.stdout.split()
    if built.returncode or not lines:
        why = built.stderr.strip().removeprefix("error: ") or "tools/image.py said nothing"
        raise TargetError(f"no image for the emulated Pico: {why}")
    return Path(lines[-1])


def make_chip(image: Path, wiring: RigWiring, flash: str) -> Chip:
    """The emulator, imported only here: it is no part of a bench that needs none."""
    from hil.targets.rp2040 import FLASH, Chip

    return Chip(image, wiring, FLASH[flash], USB_POLL_US)


class EmulatedChannel:
    """The pump's line as a host sees it: pyserial on a pty. While it waits, the chip runs."""

    def __init__(self, target: EmulatedTarget) -> None:
        self._target = target
        self.open()

    def open(self) -> None:
        """Also again, after close: whatever lay unread is nobody's."""
        self._port = open_serial(self._target.serial_path)
        self._port.reset_input_buffer()
        self._target.unread = 0

    def send(self, data: bytes) -> None:
        self._port.write(data)
        self._target.take_from_host(len(data))

    def receive(self, timeout_s: float) -> bytes:
        end_ns = self._target.now_ns() + int(timeout_s * 1e9)
        while not (data := self._take()):
            if self._target.now_ns() >= end_ns:
                break
            self._target.run_to(end_ns)
        return data

    def _take(self) -> bytes:
        """What has come; bytes on their way through the pty are waited for, and the chip with them."""
        if self._target.unread and select.select([self._port.fileno()], [], [], PTY_S)[0]:
            data = bytes(self._port.read(self._port.in_waiting))
            self._target.unread = max(0, self._target.unread - len(data))
            return data
        return b""

    def close(self) -> None:
        self._port.close()


class EmulatedTarget(Target):
    """`wiring` is the rig on the pins. The flash lives as long as this object."""

    name = "emulated"
    evidence = EMULATED
    virtual = True
    hours = False
    keeps_clock = False  # the RP2040's clock does not survive a reset

    def __init__(self, rig: PinRig | None = None, *, image: Path | None = None, flash: str = "typical") -> None:
        self.rig: PinRig = rig or PinRig()
        self.image = image or find_image()
        try:
            from hil.targets.wiring import RigWiring

            self.wiring = RigWiring(self.rig, board_data())
            self.chip = make_chip(self.image, self.wiring, flash)
        except ImportError as error:
            raise TargetError(f"the emulator is not installed ({error}): {PACKAGES}") from None
        self.resets_ns: list[int] = []  # when it was reset, by whatever
        self._told: Callable[[int], None] = lambda cause: None
        self._unix_zero = float(self.rig.config.rtc_unix_s)
        self.unread = 0  # bytes the pump said and no host has read
        self._channel: EmulatedChannel | None = None
        self.pty: PtyPair | None = None
        self._open_pty()
        self.chip.hear = self._from_chip
        self.chip.feed = self._feed
        self.chip.told_reset = self._reset

    # ---- the contract

    def start(self) -> None:
        connected: list[bool] = []
        self.chip.cdc.on_device_connected = lambda: connected.append(True)
        self.chip.boot()
        end_ns = self.now_ns() + ENUMERATION_MS * 1_000_000
        while not connected and self.now_ns() < end_ns:
            self.run_to(min(end_ns, self.now_ns() + 1_000_000))
        if not connected:
            raise TargetError(f"{self.image.name} did not come up on USB in {ENUMERATION_MS} ms of its own: is it an image for a Pico?")

    def channel(self) -> EmulatedChannel:
        if self._channel is None:
            self._channel = EmulatedChannel(self)
        return self._channel

    def now_ns(self) -> int:
        """The chip's own time since it was first powered, outages included."""
        return self.chip.now_ns + self.wiring.outage_ns

    def now_ms(self) -> int:
        return self.now_ns() // 1_000_000

    def clock_s(self) -> float:
        return self.now_ns() / 1e9

    def unix_s(self) -> float:
        return self._unix_zero + self.now_ns() / 1e9

    def advance_to(self, end_ms: int) -> None:
        while self.now_ms() < end_ms:
            self.run_to(end_ms * 1_000_000)

    def run_to(self, end_ns: int) -> None:
        """Up to an instant of now_ns(), or until the pump has said a line."""
        self.chip.run_to(end_ns - self.wiring.outage_ns)
        self.wiring.catch_up()

    def on_restart(self, told: Callable[[int], None]) -> None:
        self._told = told

    def versions(self) -> dict[str, str]:
        from importlib import metadata

        return {"emulator": f"rp2040py {metadata.version('rp2040py')}", "image": self.image.name}

    def fresh_line(self) -> Channel:
        """A line of its own for a process that was forked off: the one before belongs to the parent."""
        self._channel, self.unread = None, 0
        self._open_pty()
        return self.channel()

    def _open_pty(self) -> None:
        """Its far end never blocks: what nobody reads is lost, and time goes on."""
        self.pty = PtyPair()
        os.set_blocking(self.pty.master, False)
        self.serial_path = self.pty.path

    def close(self) -> None:
        if self._channel is not None:
            self._channel.close()
            self._channel = None
        if self.pty is not None:
            self.pty.close()
            self.pty = None

    # ---- what happens to the rig and the chip

    def rig_changed(self, port: bool) -> None:
        self.wiring.look()
        if port:
            self.advance_to(self.now_ms() + TAKEN_IN_MS)

    def power_cut(self, outage_ms: int, clock_kept: bool = True) -> None:
        from hil.targets.rp2040 import POWER_ON

        self._outage(outage_ms)
        self.chip.reset(POWER_ON)

    def press_reset(self) -> None:
        from hil.targets.rp2040 import RUN_PIN

        self._outage(RESET_MS)
        self.chip.reset(RUN_PIN)

    def _outage(self, ms: int) -> None:
        """Nothing computes and nothing is driven; the rig's time goes on."""
        self.wiring.restarted()
        self.wiring.outage_ns += ms * 1_000_000
        self.wiring.catch_up()

    def hang(self) -> None:
        self.chip.hang()

    def flow_since_ms(self) -> int:
        return self.rig.driven_since_us // 1000

    # ---- what its pins showed

    def pins(self) -> Pins:
        edges = np.array(self.wiring.edges_ns, dtype=np.int64)
        return Pins(edges, tuple(self.wiring.enable), self.chip.lost_cycles, len(self.wiring.sounds), self.resets_ns, self.chip.stack_left)

    def sounds(self) -> int:
        """Each burst of edges at the buzzer's pin."""
        return len(self.wiring.sounds)

    def pin_pulses(self) -> int:
        return self.wiring.pulses_since_boot

    def mpremote(self, words: Sequence[str]) -> str:
        """The chip runs on while mpremote does; the line is its alone meanwhile."""
        line = self.channel()
        line.close()
        command = [sys.executable, "-m", "mpremote", "connect", self.serial_path, "resume", *words]
        with tempfile.TemporaryFile() as out:
            program = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
            end_ns = self.now_ns() + PROMPT_LIMIT_S * 1_000_000_000
            end_s = time.monotonic() + PROMPT_LIMIT_S  # a chip that sleeps is faster than a program that starts on a busy machine
            while program.poll() is None and (self.now_ns() < end_ns or time.monotonic() < end_s):
                self.run_to(self.now_ns() + EMPTY_MS * 1_000_000)
            program.kill()
            program.wait()
            out.seek(0)
            printed = out.read().decode("utf-8", "replace")
        self.channel().open()
        return printed

    def _reset(self, cause: Any) -> None:
        from hil.targets.lockstep import POWER, WATCHDOG
        from hil.targets.rp2040 import BY_WATCHDOG

        self.wiring.restarted()
        self.resets_ns.append(self.now_ns())
        self._told(WATCHDOG if cause is BY_WATCHDOG else POWER)

    # ---- the line: the chip's USB on one side, a pty on the other

    def take_from_host(self, count: int) -> None:
        """Take in what a host has just written, so that it is the chip's before time goes on."""
        while count > 0 and self.pty is not None and select.select([self.pty.master], [], [], PTY_S)[0]:
            data = os.read(self.pty.master, 4096)
            self.chip.send(data)
            count -= len(data)

    def _feed(self) -> None:
        if self.pty is not None and select.select([self.pty.master], [], [], 0)[0]:
            self.chip.send(os.read(self.pty.master, 4096))

    def _from_chip(self, data: bytes) -> None:
        """What nobody reads in time is lost, as where no terminal is open."""
        if self.pty is not None:
            with contextlib.suppress(BlockingIOError):
                self.unread += os.write(self.pty.master, data)
