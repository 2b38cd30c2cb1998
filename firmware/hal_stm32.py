"""STM32 boards behind hal.py. Checked against the port's stubs and over fakes only: no board ran it. Motion is in stm32_motion.py.

What the chip cannot do: time steps without the processor (a hung one makes none), write its own flash while code runs from
it, so the journal is on an SD card. Its clock is kept over a power loss by a cell on VBAT.
"""

import machine
import pyb
import stm
from machine import ADC, Pin, Timer

from doseloop.hal import BOOT_POWER, BOOT_SOFT, BOOT_WATCHDOG
from doseloop.units import const
from hal_common import TONE_HZ, BoardHal, Signal
from stm32_motion import Enable, Encoder, Engine

_MARK = const(0x0D05E000)  # in a backup register, which a reset keeps; the low bits hold the cause we reset for
_CAUSE_MASK = const(0xF)


class Hal(BoardHal):
    """See doseloop/hal.py for the contract."""

    first_weekday = 1

    def __init__(self, board, boot_cause=None):
        super().__init__(board, take_boot_cause() if boot_cause is None else boot_cause)
        self._battery = ADC(Pin(board["battery_pin"]))
        self._full_scale_mv = board["battery_full_scale_mv"]
        self._buzzer = pyb.Timer(board["buzzer_timer"], freq=TONE_HZ).channel(
            1, pyb.Timer.PWM, pin=pyb.Pin(board["buzzer_pin"]), pulse_width_percent=0
        )
        self._enable = Enable(board["enable_pin"], board["enable_timer"], board["enable_alternate"])
        self._encoder = Encoder(board["encoder_a_pin"], board["encoder_b_pin"], board["encoder_timer"], board["encoder_alternate"])
        self.begin(
            Engine(board), self._enable, self._encoder, Signal(self._sound, board["lamp_red_pin"], board["lamp_yellow_pin"], Timer(-1))
        )

    def attend(self):
        """The encoder is followed before it has gone through half its range, and the enable renewed while it may be."""
        self._encoder.count()
        self._enable.attend()
        return super().attend()

    def begin_port_irq(self, handler):
        self._port.irq(handler, Pin.IRQ_RISING | Pin.IRQ_FALLING, hard=True)

    def cut_motor(self):
        """The player stands still too, until revoke(): what it has not stepped is not booked."""
        self._enable.feed(0)
        self._engine.halt()

    def _sound(self, on):
        self._buzzer.pulse_width_percent(50 if on else 0)

    def battery_mv(self):
        return self._battery.read_u16() * (self._full_scale_mv >> 1) >> 15

    def temperature(self):
        return None

    def reset(self, cause):
        mark_cause(cause)
        machine.reset()


def mark_cause(cause):
    """What the next start is to take as its cause, if no power cut comes before it."""
    stm.mem32[stm.RTC + stm.RTC_BKP0R] = _MARK | cause


def take_boot_cause():
    """Why we started; asked once, before a pin is touched, as it clears the mark. It is our own mark, else the watchdog, else power.

    Making the clock opens the backup registers.
    """
    machine.RTC()
    mark = stm.mem32[stm.RTC + stm.RTC_BKP0R]
    stm.mem32[stm.RTC + stm.RTC_BKP0R] = 0
    if mark & ~_CAUSE_MASK == _MARK:
        return mark & _CAUSE_MASK or BOOT_SOFT
    if machine.reset_cause() == machine.WDT_RESET:
        return BOOT_WATCHDOG
    return BOOT_POWER
