"""Steps, pulse counter, rotor encoder and motor enable of the ESP32. Checked against the port's stubs and over fakes only: no board ran it.

A step is one RMT transmission of one pulse, started by software_leases.Player from a timer's callback. Its jitter is that of
MicroPython's soft interrupts, which wait for a collection or a flash write to end: up to tens of ms. The pulse counter units
count without the processor. They are read on pins of their own: the RMT's pin cannot be an input at the same time, so a wire
goes from the step pin to the counter's pin. esp32.PCNT is there from MicroPython 1.26 on.
"""

import time

from esp32 import PCNT, RMT
from machine import Pin, Timer

from doseloop.units import const
from hal_common import Deadline
from software_leases import Player, Unwrapped

_RMT_CHANNEL = const(0)
_CLOCK_DIV = const(80)  # of 80 MHz: items are microseconds
_PULSE_US = const(5)
_COUNT_UNIT = const(0)
_ENCODER_UNIT = const(1)
_PCNT_RANGE = const(32_000)  # at either end the counter falls to 0
_FILTER = const(1_000)  # of 80 MHz: edges closer than 12.5 us are noise to the encoder, the port's most is 1023
_STEP_TIMER = const(0)
_ENABLE_TIMER = const(1)
_LONGEST_US = const(1_000_000)  # a timer is asked for no more; the callback asks anew
_SHORTEST_US = const(50)
_REST_MS = const(1_000)
_ENABLE_LOOK_MS = const(100)


def _unit(number):
    """A pulse counter unit that falls to 0 at either end. The limits act only while they can interrupt."""
    unit = PCNT(number, min=-_PCNT_RANGE, max=_PCNT_RANGE)
    unit.irq(_ignore, PCNT.IRQ_MIN | PCNT.IRQ_MAX)
    return unit


def _ignore(_unit):
    pass  # Unwrapped sees a fall to 0 by itself


def _run(unit):
    unit.init(value=0)
    unit.start()
    return Unwrapped(unit.value, _PCNT_RANGE)


class Engine:
    """Leases to single RMT pulses; the pulses counted again on a wire from the step pin."""

    def __init__(self, step_pin, count_pin, jitter_us, shortest_us):
        self._counter = self._make_counter(count_pin)
        self._rmt = RMT(_RMT_CHANNEL, pin=Pin(step_pin, Pin.OUT, value=0), clock_div=_CLOCK_DIV, idle_level=False)
        self._durations = (_PULSE_US, 1)  # high, then low, which stays
        self._timer = Timer(_STEP_TIMER)
        self._wake_bound = self._wake
        self._player = Player(time.ticks_us, self._pulse, self._wake_in, jitter_us, shortest_us)
        self.put = self._player.put
        self.room = self._player.room
        self.revoke = self._player.revoke
        self.halt = self._player.halt

    def _make_counter(self, pin):
        unit = _unit(_COUNT_UNIT)
        unit.init(channel=0, pin=Pin(pin, Pin.IN, Pin.PULL_DOWN), rising=PCNT.INCREMENT)
        return _run(unit)

    def _pulse(self):
        self._rmt.write_pulses(self._durations, True)

    def _wake(self, _timer):
        self._player.play()

    def _wake_in(self, us):
        if us < 0:
            self._timer.deinit()
            return
        wait_us = min(max(us, _SHORTEST_US), _LONGEST_US)
        # The port takes period in units of tick_hz (machine_timer.c); the stubs know them only apart.
        self._timer.init(mode=Timer.ONE_SHOT, period=wait_us, tick_hz=1_000_000, callback=self._wake_bound)  # type: ignore[call-overload]

    def attend(self):
        """Plays what is due, also if a callback was lost: the port drops one when its queue is full."""
        self._player.play()
        self._counter.count()
        wait_us = self._player.wait_us()
        return _REST_MS if wait_us < 0 else wait_us // 1000

    def late(self):
        return self._player.late

    def stepped(self):
        return self._counter.count()


class Enable:
    """Motor enable by software: a timer's callback drops it at the deadline. A processor that hangs is reset by the watchdog.

    Through a reset the pin floats: a resistor at the driver holds it off.
    """

    def __init__(self, pin):
        self._pin = Pin(pin, Pin.OUT, value=0)
        self._deadline = Deadline()
        self._timer = Timer(_ENABLE_TIMER)
        self._timer.init(mode=Timer.PERIODIC, period=_ENABLE_LOOK_MS, callback=self._look)

    def feed(self, ms):
        self._deadline.renew(ms)
        self._pin.value(1 if ms > 0 else 0)

    def _look(self, _timer):
        if not self._deadline.left():
            self._pin.value(0)


class Encoder:
    """The rotor's quadrature count, four counts a line; up when B leads A."""

    def __init__(self, pin_a, pin_b):
        unit = _unit(_ENCODER_UNIT)
        a = Pin(pin_a, Pin.IN, Pin.PULL_UP)
        b = Pin(pin_b, Pin.IN, Pin.PULL_UP)
        unit.init(channel=0, pin=a, rising=PCNT.INCREMENT, falling=PCNT.DECREMENT, mode_pin=b, mode_low=PCNT.REVERSE)
        unit.init(channel=1, pin=b, rising=PCNT.DECREMENT, falling=PCNT.INCREMENT, mode_pin=a, mode_low=PCNT.REVERSE)
        unit.init(filter=_FILTER)
        self.count = _run(unit).count
