"""An RP2040 that runs the flashed image: rp2040py, corrected where it is no bench, and driven by whoever calls `run_to`.

What is corrected, each measured before it was:
- PIO keeps exact time through the jumps that an idle processor makes (as shipped it loses them), and costs a third less;
- a jump forced on a stalled state machine is obeyed;
- the emulated USB host asks at a sane pace; the stepper's joined queue is as deep as the chip's;
- its random bit is random, from a fixed seed;
- its flash chip has an id, which says EMULATED (as shipped it has none: hil/evidence.py);
- a flash erase holds up the processor as long as a real one does, while everything else goes on.
Nothing runs between two calls of `run_to`: chip time stands still while the bench computes. One core, 125 MHz.
Import this before anything else of rp2040py makes a device.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Protocol

import rp2040py.native._rp2040 as native

USB_POLL_US = 1000  # the emulated host asks for bytes this often
JOINED_WORDS = 8  # of a queue that takes both directions' places
NS_PER_CYCLE = 8
PACE_NS = 500_000  # PIO is walked at least so often; its edges have their own instants all the same
SLICE_NS = 1_000_000
JMP_Y_DEC = 0x0080  # without delay; the low five bits are the address
SM0_INSTR, SM_REGISTERS = 0xD8, 0x18  # of a block's registers: an instruction written there is done at once

_Base: Any = vars(native)["RPPIO"]


class TruePIO(_Base):  # type: ignore[misc]
    """A PIO block that is walked, due time by due time, to the clock's present: each PACE_NS, and whenever somebody looks or acts.

    The emulator's own loop is told that the block is stopped: it would call it at every instruction of the processor, and hand it a
    long idle jump in one piece, in which state machines lose cycles.
    """

    def __init__(self, *_given: Any) -> None:  # the compiled class has taken them already
        self._runs = False
        self._zero_ns = 0.0  # the clock's time at this block's cycle 0
        self._pace = self.rp2040.clock.create_alarm(self._keep_pace)

    @property
    def now_ns(self) -> int:
        """The instant this block has been walked to: that of an edge, for whoever listens at its pins."""
        return int(self._zero_ns) + (self.cycle_fp >> 8) * NS_PER_CYCLE if self._runs else int(self.rp2040.clock.nanos)

    def catch_up(self) -> None:
        """Walk to the present."""
        if self._runs:
            self._walk(int((self.rp2040.clock.nanos - self._zero_ns) / NS_PER_CYCLE) - (self.cycle_fp >> 8))

    def _walk(self, cycles: int) -> None:
        self._skip_waits(cycles)
        while cycles > 0:
            step = min(max((self.next_due_fp - self.cycle_fp + 255) >> 8, 1), cycles)
            cycles -= step
            _Base.advance(self, step)

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

    def _keep_pace(self) -> None:
        self.catch_up()
        self._pace.schedule(PACE_NS)

    def read_uint32(self, offset: int) -> int:
        self.catch_up()
        return int(_Base.read_uint32(self, offset))

    def write_uint32(self, offset: int, value: int) -> None:
        self.catch_up()
        _Base.write_uint32(self, offset, value)
        self._obey_jump(offset, value)
        self._go_or_stand()

    def _obey_jump(self, offset: int, value: int) -> None:
        """A jump that is forced on a stalled machine takes it away from what it waited for; the emulator left it waiting there."""
        number, rest = divmod(offset - SM0_INSTR, SM_REGISTERS)
        if rest or number not in range(4) or value >> 13:
            return
        machine = self.machines[number]
        if machine.waiting:
            machine.waiting, machine.wait_delay, machine.next_due_fp = False, -1, self.cycle_fp
            self.recompute_due()

    def _go_or_stand(self) -> None:
        """After a write: time begins for a block whose first machine was started, and ends with its last."""
        runs = any(machine.enabled for machine in self.machines)
        if runs and not self._runs:
            self._zero_ns = self.rp2040.clock.nanos - (self.cycle_fp >> 8) * NS_PER_CYCLE
            self._pace.schedule(PACE_NS)
        elif self._runs and not runs:
            self._pace.cancel()
        self._runs, self.stopped = runs, True

    def reset(self) -> None:
        self._runs = False
        self._pace.cancel()
        _Base.reset(self)


setattr(native, "RPPIO", TruePIO)  # noqa: B010 - the compiled module declares no such name

from rp2040py.boards import BOARDS, resolve_firmware  # noqa: E402 - after the correction above
from rp2040py.device import MicroPythonDevice  # noqa: E402
from rp2040py.device.base_device import BaseDevice, ResetCause  # noqa: E402
from rp2040py.device.repl_runner import InteractiveRepl  # noqa: E402
from rp2040py.execute_batch import execute_batch  # noqa: E402
from rp2040py.memory_map import FLASH_START_ADDRESS  # noqa: E402
from rp2040py.utils.fifo import FIFO  # noqa: E402

__all__ = ["FLASH", "BaseDevice", "Chip", "FlashTimes", "InteractiveRepl", "MicroPythonDevice", "board_spec", "correct"]

RUN_PIN, POWER_ON, BY_WATCHDOG = ResetCause.RUN_PIN, ResetCause.POWER_ON, ResetCause.WATCHDOG
ERASES = (0x20, 0xD8)  # sector, block: flash commands
PROGRAM, READ_UNIQUE_ID = 0x02, 0x4B
FLASH_ID = b"EMULATED"
ROSC = 0x4006_0000
RANDOMBIT = 0x1C
STACK = slice(0x40000, 0x42000)  # of the memory: the two scratch banks, where MicroPython's linker file puts the C stack
BLANK = 0xA5  # memory that nobody has written since power came


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
    _make_noise(mcu)
    _name_flash(mcu)


def _name_flash(mcu: Any) -> None:
    """Read Unique ID of a W25Q16JV: the command, four bytes of nothing, eight bytes of id."""
    ssi = mcu.ssi
    usual = ssi._shift_byte

    def shift(byte: int) -> int:
        answer, sent = int(usual(byte)), ssi._tx_buffer
        place = len(sent) - 6
        return FLASH_ID[place] if sent[0] == READ_UNIQUE_ID and 0 <= place < len(FLASH_ID) else answer

    vars(ssi)["_shift_byte"] = shift


def _make_noise(mcu: Any) -> None:
    """The ring oscillator's random bit, which the emulator has stuck: else every boot has the same session and nonce."""
    oscillator, source = mcu.peripherals[ROSC >> 12], Random(1)
    usual = oscillator.read_uint32
    vars(oscillator)["read_uint32"] = lambda offset: source.getrandbits(1) if offset == RANDOMBIT else usual(offset)


class Chip(BaseDevice):  # type: ignore[misc, unused-ignore] # without rp2040py mypy knows it as Any
    """A Pico. `hear` takes what comes over its USB serial line, `told_reset` each reset's cause before it boots again."""

    def __init__(self, image: Path, wiring: Wiring, flash: FlashTimes = FlashTimes(), usb_poll_us: int = USB_POLL_US) -> None:
        super().__init__(board=board_spec(image, wiring))
        correct(self.mcu, usb_poll_us)
        self.hear: Callable[[bytes], None] = lambda data: None
        self.told_reset: Callable[[Any], None] = lambda cause: None
        self.told_flash: Callable[[bytes], None] = lambda command: None  # of each erase and page, before it is done
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

    @property
    def stack_left(self) -> int:
        """Bytes of the C stack that were never used since power came; MicroPython raises RuntimeError when 256 are left."""
        stack = bytes(self.mcu.sram[STACK])
        return len(stack) - len(stack.lstrip(bytes([BLANK])))

    def boot(self) -> None:
        """Power on."""
        self._blank_memory()
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

    # ---- what happens to it

    def hang(self) -> None:
        """The core stops computing; only a reset gets it back."""
        self.hung = True

    def reset(self, cause: Any) -> None:
        """RUN pin or power: at once, flash kept. A power cut loses the memory too."""
        if cause is POWER_ON:
            self._blank_memory()
        self.hard_reset(cause=cause)

    def _blank_memory(self) -> None:
        self.mcu.sram[:] = bytes([BLANK]) * len(self.mcu.sram)

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
        writes = enabled and len(command) >= 4 and command[0] in (*ERASES, PROGRAM)
        if writes:
            self.told_flash(command)
        self._apply()
        if writes:
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
