"""Steps, pulse counter, rotor encoder and motor enable of an STM32. Checked against the port's stubs and over fakes only: no board ran it.

pyb.Timer has no one-pulse mode, so that bit is set in the timer's own register (RM0090, TIMx_CR1): started, such a timer
runs once and stops by itself. Four timers work so: the step pulse, the enable, and the wake-up of software_leases.Player,
whose hard interrupt starts the next step; a flash erase holds that up, as all code lies in the same flash. The step timer
also triggers a second one inside the chip, which counts its pulses; the encoder has a timer of its own.
"""

import time

import pyb
import stm
from machine import Pin

from doseloop.units import const
from hal_common import Deadline
from software_leases import Player, Unwrapped

# TIMx_CR1: counter on, interrupts only from the counter's end, one pulse. TIMx_EGR: take over what was written.
_ON = const(1)
_URS = const(4)
_OPM = const(8)
_UG = const(1)
# TIMx_CR2: the trigger given to other timers is channel 1's pulse. TIMx_SMCR: count trigger n.
_TRGO_OC1 = const(4 << 4)
_COUNT_TRIGGER = const(7)
_TRIGGER_SHIFT = const(4)

_COUNT_TOP = const(0xFFFF)  # the counters have 16 bits, also where the chip has timers of 32
_STEP_HZ = const(1_000_000)
_PULSE_US = const(6)
_ENABLE_HZ = const(4_000)
_ENABLE_MOST_MS = const(2_000)  # the enable lasts this long without the processor
_LONGEST_US = const(60_000)  # a wake-up is at most so far away; play() asks anew
_SHORTEST_US = const(20)
_REST_MS = const(1_000)


def _base(number):
    return getattr(stm, "TIM%d" % number)


class OneShot:
    """A timer that counts once to its end when started, then stops. With an output: high from count 1 to the end."""

    def __init__(self, number, hz, channel=None):
        timer = pyb.Timer(number, prescaler=0, period=_COUNT_TOP)  # it runs at first; no pin is on it yet
        timer.prescaler(timer.source_freq() // hz - 1)
        if channel:
            timer.channel(channel, pyb.Timer.PWM_INVERTED, pulse_width=1)
        base = _base(number)
        self.timer = timer
        self._control = base + stm.TIM_CR1
        self._top = base + stm.TIM_ARR
        self._count = base + stm.TIM_CNT
        self.stop()
        stm.mem32[base + stm.TIM_EGR] = _UG
        self.stop()

    def stop(self):
        stm.mem32[self._control] = _OPM | _URS
        stm.mem32[self._count] = 0

    def start(self, counts, already=0):
        """Run for so many counts; already = 1: the output goes high, or stays so, at once."""
        stm.mem32[self._control] = _OPM | _URS
        stm.mem32[self._top] = counts
        stm.mem32[self._count] = already
        stm.mem32[self._control] = _OPM | _URS | _ON

    def again(self):
        """The same once more."""
        stm.mem32[self._control] = _OPM | _URS | _ON


def _give_pin(pin, alternate):
    """Lets a timer have the pin, low until then: only after the timer has been stopped."""
    Pin(pin, Pin.OUT, value=0)
    Pin(pin, Pin.ALT, alt=alternate)


class Engine:
    """Leases to single pulses of a timer; they are counted by a second timer inside the chip."""

    def __init__(self, board):
        self._step = OneShot(board["step_timer"], _STEP_HZ, 1)
        stm.mem32[_base(board["step_timer"]) + stm.TIM_CR2] = _TRGO_OC1
        stm.mem32[_base(board["step_timer"]) + stm.TIM_ARR] = _PULSE_US
        self._counter = self._make_counter(board["count_timer"], board["count_trigger"])
        _give_pin(board["step_pin"], board["step_alternate"])
        self._alarm = OneShot(board["wake_timer"], _STEP_HZ)
        self._player = Player(time.ticks_us, self._step.again, self._wake_in, board["step_jitter_us"], board["min_pulse_period_us"])
        self._play_bound = self._player.play
        self._alarm.timer.callback(self._wake)
        self._alarm.stop()
        self.put = self._player.put
        self.room = self._player.room
        self.revoke = self._player.revoke
        self.halt = self._player.halt

    def _make_counter(self, number, trigger):
        timer = pyb.Timer(number, prescaler=0, period=_COUNT_TOP)
        stm.mem32[_base(number) + stm.TIM_SMCR] = trigger << _TRIGGER_SHIFT | _COUNT_TRIGGER
        timer.counter(0)
        return Unwrapped(timer.counter, _COUNT_TOP + 1)

    def _wake(self, _timer):
        """By hard interrupt: allocates nothing."""
        self._play_bound()

    def _wake_in(self, us):
        if us < 0:
            self._alarm.stop()
        else:
            self._alarm.start(min(max(us, _SHORTEST_US), _LONGEST_US))

    def attend(self):
        self._player.play()
        self._counter.count()
        wait_us = self._player.wait_us()
        return _REST_MS if wait_us < 0 else wait_us // 1000

    def late(self):
        return self._player.late

    def stepped(self):
        return self._counter.count()


class Enable:
    """Motor enable: a timer drops it after two seconds at most; while the deadline is not over, attend() starts it again.

    While it is not fed the pin is no timer's: an output that is low, whatever the timer's comparator makes of a stop.
    """

    def __init__(self, pin, timer, alternate):
        self._shot = OneShot(timer, _ENABLE_HZ, 1)
        self._deadline = Deadline()
        self._alternate = alternate
        self._given = False  # the pin is the timer's
        self._pin = Pin(pin, Pin.OUT, value=0)

    def feed(self, ms):
        self._deadline.renew(ms)
        self.attend()

    def attend(self):
        left_ms = self._deadline.left()
        if left_ms:
            self._shot.start(min(left_ms, _ENABLE_MOST_MS) * (_ENABLE_HZ // 1000), 1)
            if not self._given:
                self._given = True
                self._pin.init(Pin.ALT, alt=self._alternate)
        elif self._given:
            self._given = False
            self._pin.init(Pin.OUT, value=0)


class Encoder:
    """The rotor's quadrature count, four counts a line. Channel A is on the timer's input 2, B on 1: up when B leads A."""

    def __init__(self, pin_a, pin_b, timer, alternate):
        for pin in (pin_a, pin_b):
            Pin(pin, Pin.ALT, Pin.PULL_UP, alt=alternate)
        counter = pyb.Timer(timer, prescaler=0, period=_COUNT_TOP)
        counter.channel(1, pyb.Timer.ENC_AB)
        self.count = Unwrapped(counter.counter, _COUNT_TOP + 1).count
