"""Step engine, pulse counter, motor-enable watchdog and rotor encoder of the RP2040, each a PIO state machine.

Block 0: stepper (14 instructions), counter (3), enable (7). Block 1: quadrature decoder (all 32 places, it must lie at 0).
The processor hands out leases and reads counts; what is leased is timed, and ends, without it.
"""

from array import array

import uctypes
from machine import Pin
from rp2 import PIO, StateMachine, asm_pio

from doseloop.hal import TICKS_MASK
from doseloop.units import const
from hal_common import Deadline

_ENGINE_HZ = const(1_000_000)  # one cycle is one microsecond
_ENABLE_HZ = const(6_000)  # a count is six cycles, 1 ms; a divider of 16 bits makes it of a system clock up to 393 MHz
_ENABLE_MOST_MS = const(2_000)  # without the processor the motor's driver is off after this
_ENCODER_HZ = const(100_000)  # one look each 10 to 14 cycles: over 7000 counts/s, 4267 are needed at the top rate

# Cycles of a stepper's round besides its wait: the pulse (5), its end, the jump, the balance (7), the copy, the wait's last.
_ROUND_US = const(16)
# Cycles a lease without pulses takes besides its gap.
_EMPTY_LEASE_US = const(8)
# The stepper's own queue is eight words; a lease is three. One lease's period may still wait in it while its gap runs.
_QUEUE_WORDS = const(8)
_LEASE_WORDS = const(3)
_FIFO_WORDS = const(4)
_RING = const(64)  # leases that wait in memory for a place in it
_REFILL_MS = const(1)  # while some wait: the queue holds two leases, and the shortest are one step of 2 ms
_REST_MS = const(1_000)

# Encoded instructions, run out of turn.
_MOV_ISR_X = const(0xA0C1)
_PUSH = const(0x8000)  # not blocking
_PULL = const(0x8080)  # not blocking
_PINS_LOW = const(0xE000)
_X_ZERO = const(0xE020)
_Y_ZERO = const(0xE040)


@asm_pio(set_init=PIO.OUT_LOW, fifo_join=PIO.JOIN_TX)
def _stepper():
    # Words: n, gap, period. The rising edge is the step; a lease begins and ends on one. Between two edges lie
    # y + 16 cycles in a lease, and gap + y + 16 from the last edge of one lease to the first of the next.
    wrap_target()
    label("next")
    pull(block)
    mov(x, osr)
    pull(block)
    mov(y, osr)
    label("gap")
    jmp(y_dec, "gap")
    pull(block)
    jmp(x_dec, "wait")
    jmp("next")  # n = 0: the gap was all
    label("again")
    nop()[6]  # as long as fetching a lease takes
    label("wait")
    mov(y, osr)
    label("period")
    jmp(y_dec, "period")
    set(pins, 1)[4]
    set(pins, 0)
    jmp(x_dec, "again")
    wrap()


@asm_pio()
def _counter():
    # Counts rising edges of the step pin down from 0 in X; it is read by instructions run out of turn.
    wrap_target()
    label("next")
    wait(0, pin, 0)
    wait(1, pin, 0)
    jmp(x_dec, "next")
    wrap()


@asm_pio(set_init=PIO.OUT_LOW)
def _enable():
    # The pin is high while X, renewed by any new word, counts down: six cycles a count.
    wrap_target()
    set(pins, 0)
    pull(block)
    mov(x, osr)
    set(pins, 1)
    label("fed")
    pull(noblock)[1]
    mov(x, osr)[1]
    jmp(x_dec, "fed")[1]
    wrap()


@asm_pio(in_shiftdir=PIO.SHIFT_LEFT, out_shiftdir=PIO.SHIFT_RIGHT)
def _quadrature():
    # A jump table at address 0, indexed by the last and the present state of the two channels; Y is the count, up when B leads A.
    jmp("update")
    jmp("down")
    jmp("up")
    jmp("update")
    jmp("up")
    jmp("update")
    jmp("update")
    jmp("down")
    jmp("down")
    jmp("update")
    jmp("update")
    jmp("up")
    jmp("update")
    jmp("up")
    label("down")  # state 14
    jmp(y_dec, "update")
    wrap_target()
    label("update")  # state 15
    mov(isr, y)
    push(noblock)
    out(isr, 2)
    in_(pins, 2)
    mov(osr, isr)
    mov(pc, isr)
    label("up")
    mov(y, invert(y))
    jmp(y_dec, "turned")
    label("turned")
    mov(y, invert(y))
    wrap()
    # Fills the block, so that the loader puts the table at 0.
    nop()
    nop()
    nop()
    nop()
    nop()
    nop()
    nop()
    nop()


class _Word:
    """A 32-bit word read from a state machine, seen as 30 bits without allocating."""

    def __init__(self):
        self.word = array("I", [0])
        self._bytes = uctypes.bytearray_at(uctypes.addressof(self.word), 4)

    def value(self):
        b = self._bytes
        return b[0] | b[1] << 8 | b[2] << 16 | (b[3] & 0x3F) << 24


class Engine:
    """Leases to the stepper; its pulses counted again on the pin. Leases beyond its queue wait in a ring until refill()."""

    def __init__(self, step_pin):
        self._lease = array("I", [0, 0, 0])
        self._ring = array("I", [0] * (_LEASE_WORDS * _RING))
        self._first = 0  # place of the oldest waiting lease
        self.waiting = 0  # how many wait
        self._halted = False  # nothing moves before revoke()
        self._word = _Word()
        pin = Pin(step_pin, Pin.OUT, value=0)
        self._counter = StateMachine(1, _counter, freq=_ENGINE_HZ, in_base=pin)
        self._counter.exec(_X_ZERO)
        self._counter.active(1)
        self._stepper = StateMachine(0, _stepper, freq=_ENGINE_HZ, set_base=pin)
        self._stepper.active(1)

    def put(self, n, gap_us, period_us):
        """Never blocks while room() is not 0. A halted engine drops what finds no place: revoke() would."""
        if not self.waiting and self._has_place():
            self._send(n, gap_us, period_us)
        else:
            self._keep(n, gap_us, period_us)

    def _has_place(self):
        return self._stepper.tx_fifo() <= _QUEUE_WORDS - _LEASE_WORDS

    def _send(self, n, gap_us, period_us):
        lease = self._lease
        lease[0] = n
        lease[1] = gap_us if n else max(gap_us - _EMPTY_LEASE_US, 0)
        lease[2] = max(period_us - _ROUND_US, 0)
        self._stepper.put(lease)

    def _keep(self, n, gap_us, period_us):
        while self.waiting == _RING:
            if self._halted:
                return
            self.refill()
        at = (self._first + self.waiting) % _RING * _LEASE_WORDS
        ring = self._ring
        ring[at] = n
        ring[at + 1] = gap_us
        ring[at + 2] = period_us
        self.waiting += 1

    def refill(self):
        """Move leases from the ring into the stepper's queue; to be called often while some wait."""
        ring = self._ring
        while self.waiting and self._has_place():
            at = self._first * _LEASE_WORDS
            self._send(ring[at], ring[at + 1], ring[at + 2])
            self._first = (self._first + 1) % _RING
            self.waiting -= 1

    def attend(self):
        """Moves leases on; returns ms until it wants to again."""
        self.refill()
        return _REFILL_MS if self.waiting else _REST_MS

    def late(self):
        return 0  # the state machine keeps the time

    def room(self):
        self.refill()
        return _RING - self.waiting

    def revoke(self):
        """Stops at once; a pulse whose edge has gone out is finished by hand. The wait in between is longer than a pulse."""
        stepper = self._stepper
        stepper.active(0)
        self.waiting = 0
        self._halted = False
        while stepper.tx_fifo():
            stepper.exec(_PULL)
        stepper.exec(_PINS_LOW)
        stepper.restart()
        stepper.active(1)
        return self.stepped()

    def halt(self):
        """Stand still at once, by interrupt too; revoke() ends it."""
        self._halted = True
        self._stepper.active(0)

    def stepped(self):
        self._counter.exec(_MOV_ISR_X)
        self._counter.exec(_PUSH)
        self._counter.get(self._word.word)
        return -self._word.value() & TICKS_MASK


class Enable:
    """Motor enable: high only while fed, by feed() for as long as that says, in slices that keep() renews."""

    def __init__(self, pin):
        self._until = Deadline()
        self._machine = StateMachine(2, _enable, freq=_ENABLE_HZ, set_base=Pin(pin, Pin.OUT, value=0))
        self._machine.active(1)

    def feed(self, ms):
        """0 drops it at once; may come by interrupt."""
        self._until.renew(ms)
        if ms > 0:
            self.keep()
        else:
            self._drop()

    def keep(self):
        """To be called several times in 2 s."""
        left = self._until.left()
        if left and self._machine.tx_fifo() < _FIFO_WORDS:
            self._machine.put(min(left, _ENABLE_MOST_MS))

    def _drop(self):
        machine = self._machine
        while machine.tx_fifo():
            machine.exec(_PULL)
        machine.exec(_PINS_LOW)
        machine.restart()


class Encoder:
    """The rotor's quadrature count; one count each edge of either channel."""

    def __init__(self, pin):
        self._word = _Word()
        channel_a = Pin(pin, Pin.IN, Pin.PULL_UP)
        Pin(pin + 1, Pin.IN, Pin.PULL_UP)
        self._machine = StateMachine(4, _quadrature, freq=_ENCODER_HZ, in_base=channel_a)
        self._machine.exec(_Y_ZERO)
        self._machine.active(1)

    def count(self):
        """Drops what waited in the queue, then takes a count made since (at most 0.2 ms later)."""
        machine, word = self._machine, self._word.word
        while machine.rx_fifo():
            machine.get(word)
        machine.get(word)
        return self._word.value()
