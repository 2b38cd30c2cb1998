"""Leases played by software: one hardware one-shot pulse each, started on its due time. For chips without a step engine.

The family gives three things: now() (microseconds, 30 bits, wrapping), pulse() (starts one pulse that ends by itself) and
wake_in(us) (have play() called after so long; negative: not at all). Nothing here touches a pin.

Late is told, never caught up by a burst. A step may start up to `jitter_us` after its place: its lease keeps its places, and
what follows comes at least 3/4 of a period later. Beyond that the step counts as late and all places move behind it.
A processor that hangs starts nothing. play() may come by interrupt at any time: while a call is at work it does nothing, and
that call plays what came due meanwhile. put(), play() and revoke() allocate nothing.
"""

from array import array

from doseloop.hal import TICKS_MASK, ticks_add, ticks_diff
from doseloop.units import const

_RING = const(64)  # leases that wait for their turn
_WORDS = const(3)
_NEVER_US = const(0x1FFFFFFF)
_LONG_AGO_US = const(-0x0FFFFFFF)


class Player:
    """made: steps started since boot. late: those of them that started more than jitter_us after their place."""

    def __init__(self, now, pulse, wake_in, jitter_us, shortest_us):
        """shortest_us: two steps are never closer than that."""
        self._now = now
        self._pulse = pulse
        self._wake_in = wake_in
        self._jitter_us = jitter_us
        self._shortest_us = shortest_us
        self.made = 0
        self.late = 0
        self._ring = array("I", [0] * (_WORDS * _RING))
        self._first = 0  # place of the oldest waiting lease
        self._waiting = 0
        self._busy = False  # a call is at work: one that comes by interrupt must leave
        self._playing = False  # a lease is under way
        self._halted = False  # nothing starts before revoke()
        self._left = 0  # its steps still to come; 0: it only waits
        self._period_us = 0
        self._place_us = 0  # when its next step belongs, or its wait ends
        self._hold_us = 0  # so long after its place may that step start, to keep its distance from the one before
        self._behind_us = _LONG_AGO_US  # how long after the place that was last reached the last step started

    def put(self, n, gap_us, period_us):
        """Queue a lease. With room() it takes its place at once; without, this waits for one. Halted, it drops it as revoke() would."""
        while self._waiting == _RING:
            if self._halted:
                return
            self.play()
        self._busy = True
        now = self._now()
        self._end_waits(now)
        if self._playing:
            self._keep(n, gap_us, period_us)
        else:
            self._place_us = now
            self._behind_us = _LONG_AGO_US
            self._begin(n, gap_us, period_us)
        self._busy = False
        self.play()

    def room(self):
        return _RING - self._waiting

    def play(self):
        """Start the step that is due, one at most, and ask to be woken for the next."""
        if self._busy:
            return
        self._busy = True
        self._advance(self._now())
        self._busy = False
        self._wake_in(self.wait_us())

    def wait_us(self):
        """Until the next call of play() is due (0: now), negative: nothing is under way, or it is halted until revoke()."""
        if not self._playing or self._halted:
            return -1
        return max(0, self._hold_us - ticks_diff(self._now(), self._place_us))

    def revoke(self):
        """Nothing starts after this; returns the steps started since boot. A pulse in progress ends by itself."""
        self._busy = True
        self._playing = False
        self._halted = False
        self._waiting = 0
        self._busy = False
        self._wake_in(-1)
        return self.made

    def halt(self):
        """Start nothing more, by interrupt too; revoke() ends it."""
        self._halted = True

    def _keep(self, n, gap_us, period_us):
        at = (self._first + self._waiting) % _RING * _WORDS
        ring = self._ring
        ring[at] = n
        ring[at + 1] = gap_us
        ring[at + 2] = period_us
        self._waiting += 1

    def _begin(self, n, gap_us, period_us):
        """The lease starts at _place_us."""
        self._playing = True
        self._left = n
        self._period_us = period_us
        self._aim(gap_us + period_us if n else gap_us)

    def _next(self):
        """The lease has ended at _place_us: the next one starts there."""
        if not self._waiting:
            self._playing = False
            return
        at = self._first * _WORDS
        self._first = (self._first + 1) % _RING
        self._waiting -= 1
        ring = self._ring
        self._begin(ring[at], ring[at + 1], ring[at + 2])

    def _aim(self, wait_us):
        """The next place is wait_us after this one."""
        self._place_us = ticks_add(self._place_us, wait_us)
        self._behind_us = max(self._behind_us - wait_us, _LONG_AGO_US)
        spacing_us = max(self._period_us - (self._period_us >> 2), self._shortest_us)
        self._hold_us = max(0, self._behind_us + spacing_us) if self._left else 0

    def _advance(self, now):
        while self._playing and not self._halted and ticks_diff(now, self._place_us) >= self._hold_us:
            if self._left:
                self._step(now)
                return
            self._next()

    def _end_waits(self, now):
        while self._playing and not self._left and ticks_diff(now, self._place_us) >= 0:
            self._next()

    def _step(self, now):
        behind_us = ticks_diff(now, self._place_us)
        if behind_us > self._jitter_us:
            self.late += 1
            self._place_us = now
            behind_us = 0
        self._behind_us = behind_us
        self._pulse()
        self.made = (self.made + 1) & TICKS_MASK
        self._left -= 1
        if self._left:
            self._aim(self._period_us)
        else:
            self._next()


class Unwrapped:
    """A hardware counter of few bits as a count of 30, wrapping. read() must be followed before it moved half its range."""

    def __init__(self, read, modulus):
        """read() may be negative: a counter that falls to 0 at +modulus and at -modulus counts modulo modulus as well."""
        self._read = read
        self._modulus = modulus
        self._last = read() % modulus
        self._count = 0

    def count(self):
        now = self._read() % self._modulus
        moved = now - self._last
        if moved > self._modulus >> 1:
            moved -= self._modulus
        elif moved < -(self._modulus >> 1):
            moved += self._modulus
        self._last = now
        self._count = (self._count + moved) & TICKS_MASK
        return self._count
