"""An RP2040 that runs the flashed image: rp2040py, corrected where it is no bench, and driven by whoever calls `run_to`.

What is corrected, each measured before it was:
- PIO keeps exact time through the jumps that an idle processor makes (as shipped it loses them);
- the emulated USB host asks at a sane pace; the stepper's joined queue is as deep as the chip's;
- a flash erase holds up the processor as long as a real one does, while everything else goes on.
Nothing runs between two calls of `run_to`: chip time stands still while the bench computes. One core, 125 MHz.
Import this before anything else of rp2040py makes a device.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import rp2040py.native._rp2040 as native

USB_POLL_US = 1000  # the emulated host asks for bytes this often
JOINED_WORDS = 8  # of a queue that takes both directions' places
NS_PER_CYCLE = 8
REBASE_NS = 1000  # a longer lag than truncation makes: the block stood still meanwhile
NEVER_NS = 1 << 62
SLICE_NS = 1_000_000

_Base: Any = vars(native)["RPPIO"]


class TruePIO(_Base):  # type: ignore[misc]
    """Walks a long idle jump from due time to due time, so that no state machine loses cycles."""

    behind = 0  # cycles of the jump still to come, while it is walked
    _lag_ns = 0.0  # of the chip's clock against this block's cycles

    def advance(self, cycles: int, _advance: Callable[[Any, int], None] = _Base.advance) -> None:
        if cycles > 8:
            cycles = self._walk(cycles + self._cut_off(cycles))
        _advance(self, cycles)

    def _cut_off(self, cycles: int) -> int:
        """Whole cycles that the jumps so far were cut short by: the emulator drops each one's fraction."""
        lag_ns = self.rp2040.clock.nanos - NS_PER_CYCLE * ((self.cycle_fp >> 8) + cycles)
        lost = int(lag_ns - self._lag_ns) // NS_PER_CYCLE
        if 0 <= lost < REBASE_NS // NS_PER_CYCLE:
            return lost
        self._lag_ns = lag_ns
        return 0

    def _walk(self, cycles: int) -> int:
        """All but the last few of these cycles; gives how many are left."""
        self._skip_waits(cycles)
        while cycles > 8:
            step = (self.next_due_fp - self.cycle_fp + 255) >> 8
            if step >= cycles:
                break
            step = max(step, 1)
            cycles -= step
            self.behind = cycles
            _Base.advance(self, step)
        self.behind = 0
        return cycles

    def _skip_waits(self, cycles: int) -> None:
        """A machine in a loop of one `jmp y--` to itself only counts: nothing sees it, so its rounds are taken at once."""
        end_fp = self.cycle_fp + (cycles << 8)
        for machine in self.machines:
            if machine.enabled and not machine.waiting and self.instructions[machine.pc] == JMP_Y_DEC | machine.pc:
                rounds = min(machine.y, (end_fp - machine.next_due_fp) // machine.div_fp)
                if rounds > 0:
                    machine.y -= rounds
                    machine.next_due_fp += rounds * machine.div_fp
        self.recompute_due()


JMP_Y_DEC = 0x0080  # without delay; the low five bits are the address
setattr(native, "RPPIO", TruePIO)  # noqa: B010 - the compiled module declares no such name

from rp2040py.boards import BOARDS, resolve_firmware  # noqa: E402 - after the correction above
from rp2040py.device.base_device import BaseDevice, ResetCause  # noqa: E402
from rp2040py.execute_batch import execute_batch  # noqa: E402
from rp2040py.memory_map import FLASH_START_ADDRESS  # noqa: E402
from rp2040py.utils.fifo import FIFO  # noqa: E402

RUN_PIN, POWER_ON, BY_WATCHDOG = ResetCause.RUN_PIN, ResetCause.POWER_ON, ResetCause.WATCHDOG
ERASES = (0x20, 0xD8)  # sector, block: flash commands
PROGRAM = 0x02


class Wiring(Protocol):
    """What hangs on the pins."""

    def attach(self, mcu: Any) -> None: ...


@dataclass(frozen=True)
class FlashTimes:
    """How long the flash chip is busy, and the processor with it: ms of an erase, of a page. W25Q16JV, typical."""

    erase_ms: float = 45.0
    page_ms: float = 0.4


FLASH = {"typical": FlashTimes(), "worst": FlashTimes(400.0, 3.0)}


def board_spec(image: Path, wiring: Wiring) -> Any:
    """rp2040py's description of a Pico with this image and this rig on its pins."""
    spec = resolve_firmware(BOARDS["pico"], "micropython", str(image))
    return dataclasses.replace(spec, extras=(*spec.extras, lambda: wiring))


def correct(mcu: Any, usb_poll_us: int = USB_POLL_US) -> None:
    """Make a chip that was just built a bench's chip."""
    mcu.usb_ctrl.read_delay_microseconds = usb_poll_us
    mcu.pio[0].machines[0].tx_fifo = FIFO(JOINED_WORDS)


def pin_ns(mcu: Any) -> int:
    """The instant of an edge that a listener is told of."""
    return int(mcu.clock.nanos) - int(mcu.pio[0].behind) * NS_PER_CYCLE


class Chip(BaseDevice):
    """A Pico. `hear` takes what comes over its USB serial line, `told_reset` each reset's cause before it boots again."""

    def __init__(self, image: Path, wiring: Wiring, flash: FlashTimes = FlashTimes(), usb_poll_us: int = USB_POLL_US) -> None:
        super().__init__(board=board_spec(image, wiring))
        correct(self.mcu, usb_poll_us)
        self.hear: Callable[[bytes], None] = lambda data: None
        self.told_reset: Callable[[Any], None] = lambda cause: None
        self.feed: Callable[[], None] = lambda: None  # asked often: what came for the line meanwhile
        self.hung = False
        self._flash = flash
        self._flash_called = False
        self._busy_until_ns = 0  # the processor stands still until then
        self._stop = self.mcu.clock.create_alarm(self.halt)
        self._sending = bytearray()
        self._apply = self.mcu.ssi._apply_command
        vars(self.mcu.ssi)["_apply_command"] = self._apply_flash_command
        self.cdc.on_serial_data = self._heard

    # ---- time

    @property
    def now_ns(self) -> int:
        """Since it was first powered."""
        return int(self.mcu.clock.nanos)

    @property
    def lost_cycles(self) -> int:
        """Times that PIO lost cycles of an idle jump; never, with TruePIO."""
        return sum(int(pio.backlog_drops) for pio in self.mcu.pio)

    def boot(self) -> None:
        """Power on."""
        self._started = True
        self.mcu.core.pc = FLASH_START_ADDRESS

    def run_to(self, end_ns: int) -> None:
        """Up to an instant, or until something is heard or `halt` is called."""
        simulator = self.simulator
        simulator.stopped = False
        while not simulator.stopped and self.now_ns < end_ns:
            self.feed()
            self._send_some()
            if self.hung or self.now_ns < self._busy_until_ns:
                self._pass(end_ns if self.hung else min(end_ns, self._busy_until_ns))
            else:
                self._stop.schedule(end_ns - self.mcu.clock.nanos)
                execute_batch(simulator, 1)
                simulator.stopped = simulator.stopped and not self._waits_for_flash(end_ns)

    def _waits_for_flash(self, end_ns: int) -> bool:
        """The batch was ended by a flash command, not by the end or by something heard."""
        waits, self._flash_called = self._flash_called, False
        return waits and self.now_ns < end_ns

    def halt(self) -> None:
        """End `run_to` after the instruction in progress."""
        self.simulator.stopped = True

    def _pass(self, end_ns: int) -> None:
        """Time without the processor: timers, USB and PIO go on. A reset (the watchdog's) ends it."""
        clock = self.mcu.clock
        self._stop.cancel()
        while self.now_ns < end_ns and (self.hung or self._busy_until_ns) and not self.simulator.stopped:
            due_ns = clock.nanos_to_next_alarm if clock.has_scheduled_alarm else SLICE_NS
            step_ns = max(NS_PER_CYCLE, min(due_ns, end_ns - clock.nanos, SLICE_NS))
            clock.tick(step_ns)
            for pio in self.mcu.pio:
                if not pio.stopped:
                    pio.advance(int(step_ns / NS_PER_CYCLE))

    # ---- what happens to it

    def hang(self) -> None:
        """The core stops computing; only a reset gets it back."""
        self.hung = True

    def reset(self, cause: Any) -> None:
        """RUN pin or power: at once, flash kept. A power cut loses the memory too."""
        if cause is POWER_ON:
            self.mcu.sram[:] = b"\xa5" * len(self.mcu.sram)
        self.hard_reset(cause=cause)

    def _enter_reset(self, cause: Any) -> None:
        super()._enter_reset(cause)
        self.hung, self._busy_until_ns = False, 0
        self._sending.clear()
        self._stand_down_watchdog()
        self.told_reset(cause)

    def _stand_down_watchdog(self) -> None:
        """A chip that comes out of reset has its watchdog off, until it is told otherwise; rp2040py lets it run on."""
        self.mcu.watchdog.timer.enable = self.mcu.watchdog.alarm.enable = False

    def _apply_flash_command(self) -> None:
        """An erase or a page takes its time, and code that runs from flash has to wait for it."""
        ssi = self.mcu.ssi
        command, enabled = bytes(ssi._tx_buffer), ssi._write_enabled
        self._apply()
        if enabled and len(command) >= 4 and command[0] in (*ERASES, PROGRAM):
            took_ms = self._flash.erase_ms if command[0] in ERASES else self._flash.page_ms
            if took_ms:
                self._busy_until_ns = self.now_ns + int(took_ms * 1e6)
                self._flash_called = True
                self.halt()

    # ---- its serial line

    def _heard(self, data: bytes | bytearray) -> None:
        self.hear(bytes(data))
        if b"\n" in data:
            self.halt()

    def send(self, data: bytes) -> None:
        """Bytes for the chip; they go as its USB takes them."""
        self._sending += data

    def _send_some(self) -> None:
        fifo = self.cdc.tx_fifo
        room = min(len(self._sending), fifo.size - fifo.item_count)
        for byte in self._sending[:room]:
            self.cdc.send_serial_byte(byte)
        del self._sending[:room]
