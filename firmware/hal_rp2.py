"""The RP2040 and RP2350 behind hal.py. Pins and limits come from boards/<board>/board.py; motion is in rp2_motion.py.

What the chip cannot do: its clock does not survive a power loss, its watchdog waits 8388 ms at most and cannot be stopped,
and a flash erase holds up the loop while the PIO goes on stepping.
"""

import hashlib
import os

import machine
import rp2
import uctypes
from machine import ADC, PWM, Pin, Timer

from doseloop.hal import BOOT_POWER, BOOT_SOFT, BOOT_WATCHDOG
from doseloop.region import BLOCK, RegionStore, holds_files
from doseloop.units import Refusal, const
from hal_common import CODE_SLICE, TONE_HZ, BoardHal, Signal
from rp2_motion import Enable, Encoder, Engine

# A watchdog register that a reset keeps and a power-on clears, by chip: the watchdog's base, then scratch register 0.
_SCRATCH_RP2040 = const(0x4005800C)
_SCRATCH_RP2350 = const(0x400D800C)
_SCRATCH_MARK = const(0x0D05E000)  # the low bits hold the cause we reset for
_CAUSE_MASK = const(0xF)
_KEEP_MS = const(500)

_IMAGE = const(0x10000000)  # the flash as the processor sees it
_MARK = b"DLIMAGE1"  # then the image's length in 4 bytes and its SHA-256: tools/image.py
_COVERED = """DOSELOOP DOES NOT START: a pump's journal lies in the last %d blocks of the flash, and a filesystem covers it. Nothing moves.
Take it back or give it up: boards/pico/README.md, "Where the journal lies"."""
_TEMPERATURE_CHANNEL = const(4)
_COLD_MV, _HOT_MV = const(500), const(900)  # -85 to 147 C: RP2040 datasheet 4.9.5, 706 mV at 27 C, 1.721 mV less for each degree


class Hal(BoardHal):
    """See doseloop/hal.py for the contract."""

    def __init__(self, board, boot_cause=None):
        super().__init__(board, take_boot_cause() if boot_cause is None else boot_cause)
        self._battery = ADC(Pin(board["battery_pin"]))
        self._full_scale_mv = board["battery_full_scale_mv"]
        self._keeper = Timer(-1)
        self._buzzer = PWM(Pin(board["buzzer_pin"]), freq=TONE_HZ, duty_u16=0)
        self.begin(
            Engine(board["step_pin"]),
            Enable(board["enable_pin"]),
            Encoder(board["encoder_pin"]),
            Signal(self._sound, board["lamp_red_pin"], board["lamp_yellow_pin"], Timer(-1)),
        )
        self._keeper.init(period=_KEEP_MS, mode=Timer.PERIODIC, callback=self._keep)

    def open_store(self):
        """The end of the storage, if the mounted filesystem leaves it free (our image's _boot.py sees to it); else files.

        Upstream's MicroPython, put over an image, makes a filesystem over all of it: the journal there is not silently begun anew.
        """
        blocks = self.board["journal_blocks"]
        if not blocks:
            return super().open_store()
        files = os.statvfs("/")
        first = rp2.Flash().ioctl(4, 0) - blocks
        region = rp2.Flash(start=first * BLOCK, len=blocks * BLOCK)
        if files[1] * files[2] <= first * BLOCK:
            return RegionStore(region, blocks)
        store = super().open_store()
        if holds_files(region, blocks) and not os.listdir(self.board["journal_folder"]):
            raise Refusal("JOURNAL", _COVERED % blocks)
        return store

    def _keep(self, _timer):
        """The controller's reports go on to watchdog and motor enable, also while one long turn lasts, and no longer than they count."""
        self._keep_alive()
        if not self._cut:
            self._enable.keep()
        if self._cut:  # the port's interrupt came between
            self._enable.feed(0)

    def begin_port_irq(self, handler):
        self._port.irq(handler, Pin.IRQ_RISING | Pin.IRQ_FALLING, hard=True)

    def cut_motor(self):
        """The stepper stands still too, until revoke(): what it has not stepped is not booked."""
        self._enable.feed(0)
        self._engine.halt()

    def probe(self, part):
        """The converter stands or is at its end if it does not read the chip's own sensor; nobody hears the buzzer."""
        if part != "converter":
            return None
        return _COLD_MV <= ADC(_TEMPERATURE_CHANNEL).read_u16() * 3300 >> 16 <= _HOT_MV

    def image_check(self):
        trailer = uctypes.bytearray_at(self.board["code_trailer"], 44)
        if trailer[:8] != _MARK:
            yield "none" if self.code_hash() == "none" else "FAIL"
            return
        whole, at = hashlib.sha256(), _IMAGE
        end = min(at + int.from_bytes(trailer[8:12], "little"), self.board["code_trailer"])
        while at < end:
            whole.update(uctypes.bytearray_at(at, min(CODE_SLICE, end - at)))
            at += CODE_SLICE
            yield None
        yield "pass" if whole.digest() == trailer[12:] else "FAIL"

    def _sound(self, on):
        self._buzzer.duty_u16(0x8000 if on else 0)

    def battery_mv(self):
        return self._battery.read_u16() * (self._full_scale_mv >> 1) >> 15

    def temperature(self):
        return None

    def reset(self, cause):
        mark_cause(cause)
        machine.reset()


def _scratch():
    return _SCRATCH_RP2350 if "RP2350" in os.uname().machine else _SCRATCH_RP2040


def mark_cause(cause):
    """What the next start is to take as its cause, if no power cut comes before it."""
    machine.mem32[_scratch()] = _SCRATCH_MARK | cause


def take_boot_cause():
    """Why we started; asked once, before a pin is touched, as it clears the mark. It is our own mark, else the watchdog, else power."""
    mark = machine.mem32[_scratch()]
    machine.mem32[_scratch()] = 0
    if mark & ~_CAUSE_MASK == _SCRATCH_MARK:
        return mark & _CAUSE_MASK or BOOT_SOFT
    if machine.reset_cause() == machine.WDT_RESET:
        return BOOT_WATCHDOG
    return BOOT_POWER
