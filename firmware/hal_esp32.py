"""The ESP32 behind hal.py. Checked against the port's stubs and over fakes only: no board ran it. Motion is in esp32_motion.py.

What the chip cannot do: time steps without the processor (a hung one makes none), hold the motor enable without it (the
watchdog resets a hung one), keep its clock over a power loss. A pin that has a pull of its own is needed for the port switch:
GPIO 34 to 39 have none.
"""

import machine
from esp32 import Partition
from machine import ADC, PWM, Pin, Timer

from doseloop.hal import BOOT_POWER, BOOT_SOFT, BOOT_WATCHDOG
from doseloop.region import MIN_BLOCKS, RegionStore
from doseloop.units import const
from esp32_motion import Enable, Encoder, Engine
from hal_common import TONE_HZ, BoardHal, Signal

_MARK = b"doseloop"  # in the RTC's memory, which a reset keeps and a power loss clears; the byte after it is the cause
_SIGNAL_TIMER = const(2)
_PARTITION = "doseloop"  # of type data, if whoever made the board's table gave the journal one; else it is kept in files
_PIN_SCALE_MV = const(3300)  # battery_full_scale_mv is what lies on the divider when the pin has this


class Hal(BoardHal):
    """See doseloop/hal.py for the contract."""

    def __init__(self, board, boot_cause=None):
        super().__init__(board, take_boot_cause() if boot_cause is None else boot_cause)
        self._battery = ADC(Pin(board["battery_pin"]), atten=ADC.ATTN_11DB)
        self._full_scale_mv = board["battery_full_scale_mv"]
        self._buzzer = PWM(Pin(board["buzzer_pin"]), freq=TONE_HZ, duty_u16=0)
        self._encoder = Encoder(board["encoder_a_pin"], board["encoder_b_pin"])
        self.begin(
            Engine(board["step_pin"], board["step_count_pin"], board["step_jitter_us"], board["min_pulse_period_us"]),
            Enable(board["enable_pin"]),
            self._encoder,
            Signal(self._sound, board["lamp_red_pin"], board["lamp_yellow_pin"], Timer(_SIGNAL_TIMER)),
        )

    def open_store(self):
        for region in Partition.find(Partition.TYPE_DATA, label=_PARTITION):
            blocks = region.ioctl(4, 0)
            if blocks >= MIN_BLOCKS:
                return RegionStore(region, blocks)
        return super().open_store()

    def attend(self):
        """The encoder too is followed before it has gone through half its range, and a lost interrupt of the port is made up."""
        self._encoder.count()
        if self._guarded and not self._cut and self._port.value():
            self._on_port(self._port)
        return super().attend()

    def cut_motor(self):
        """The player stands still too, until revoke(): what it has not stepped is not booked."""
        self._enable.feed(0)
        self._engine.halt()

    def _sound(self, on):
        self._buzzer.duty_u16(0x8000 if on else 0)

    def battery_mv(self):
        """The converter is bent; read_uv goes by the chip's own calibration."""
        return self._battery.read_uv() // 1000 * self._full_scale_mv // _PIN_SCALE_MV

    def temperature(self):
        return None

    def reset(self, cause):
        mark_cause(cause)
        machine.reset()


def mark_cause(cause):
    """What the next start is to take as its cause, if no power cut comes before it."""
    machine.RTC().memory(_MARK + bytes([cause]))


def take_boot_cause():
    """Why we started; asked once, before a pin is touched, as it clears the mark. It is our own mark, else the watchdog, else power."""
    memory = machine.RTC().memory()
    machine.RTC().memory(b"")
    if memory[: len(_MARK)] == _MARK and len(memory) == len(_MARK) + 1:
        return memory[-1] or BOOT_SOFT
    if machine.reset_cause() == machine.WDT_RESET:
        return BOOT_WATCHDOG
    return BOOT_POWER
