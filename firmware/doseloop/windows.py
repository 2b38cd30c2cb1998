"""Rolling windows over what was programmed, authorised and witnessed, and the motion rules that read them (R-ALM-5, R-ALM-6).

Two rings: one sample a minute for an hour, one a quarter of an hour for a week; both wrap by themselves. Values are
steps (programmed, authorised) and witness counts, 32 bits, wrapping; only differences are used.
"""

from array import array

from doseloop import label
from doseloop.units import MINUTE_MS, const

QUARTER_MS = const(900_000)
_MINUTES = const(64)
_QUARTERS = const(676)
_MASK = const(0xFFFFFFFF)


class Ring:
    """Samples of (programmed, authorised, witnessed) at equal times, newest first by age."""

    def __init__(self, size):
        self._size = size
        self._values = (array("I", [0] * size), array("I", [0] * size), array("I", [0] * size))
        self._newest = -1
        self.count = 0

    def clear(self):
        self.count = 0

    def push(self, programmed, authorised, witnessed):
        self._newest = (self._newest + 1) % self._size
        self._values[0][self._newest] = programmed & _MASK
        self._values[1][self._newest] = authorised & _MASK
        self._values[2][self._newest] = witnessed & _MASK
        self.count = min(self.count + 1, self._size)

    def change(self, which, age):
        """How much value `which` rose over the last `age` sample intervals."""
        values = self._values[which]
        return (values[self._newest] - values[(self._newest - age) % self._size]) & _MASK

    def reach(self, age, wanted):
        """The least age from `age` on over which at least `wanted` steps were programmed, or None within this ring."""
        while age < self.count:
            if self.change(0, age) >= wanted:
                return age
            age += 1
        return None


class Windows:
    """The motion rules. sample() once a minute while therapy is on; the findings are plain attributes."""

    def __init__(self, ledger):
        self._ledger = ledger
        self._minutes = Ring(_MINUTES)
        self._quarters = Ring(_QUARTERS)
        self._last = None  # (elapsed, programmed, authorised, witnessed) of the newest quarter
        self.begun = 0  # elapsed ms
        self.under_delivery = False
        self.withdrawal_risk = False

    def begin(self, now):
        """Windows begin at the first RUN, and anew after a holiday's zero; a restart reads back nothing older."""
        self.begun = now
        self._minutes.clear()
        self._quarters.clear()
        self._last = None
        self.under_delivery = self.withdrawal_risk = False

    def quarter(self, now, programmed, authorised, witnessed):
        """Fill the ring up to now with one sample a quarter of an hour, evenly between what is known; True if any was due.

        After an outage, or between records read back from the journal, more than one is missing.
        """
        new = (programmed, authorised, witnessed)
        if self._last is None:
            self._quarters.push(*new)
            self._last = (now,) + new
            return True
        at, old = self._last[0], self._last[1:]
        missing = (now - at) // QUARTER_MS
        for i in range(max(1, missing - _QUARTERS), missing + 1):
            part = i * QUARTER_MS
            self._quarters.push(*[a + (b - a) * part // (now - at) for a, b in zip(old, new)])
        if missing:
            part = missing * QUARTER_MS
            self._last = (at + part,) + tuple([a + (b - a) * part // (now - at) for a, b in zip(old, new)])
        return missing > 0

    def sample(self, now, programmed, authorised, witnessed):
        """One minute's sample; True when a quarter of an hour is full and its sample was taken as well."""
        self._minutes.push(programmed, authorised, witnessed)
        full = self.quarter(now, programmed, authorised, witnessed)
        if full:
            self.withdrawal_risk = self._less_than_half()
        self.under_delivery = self._short() or self._long()
        return full

    def _short(self):
        wanted = self._ledger.steps_of_counts(label.UNDER_SHORT_COUNTS)
        return self._is_short_by(
            (self._minutes, label.UNDER_SHORT_WINDOW_MS // MINUTE_MS), (self._quarters, 1), wanted, label.UNDER_SHORT_PERCENT
        )

    def _long(self):
        wanted = self._ledger.steps_of_counts(label.UNDER_LONG_COUNTS)
        least = label.UNDER_LONG_WINDOW_MS // QUARTER_MS
        return self._is_short_by((self._quarters, least), (self._quarters, least), wanted, label.UNDER_LONG_PERCENT)

    def _is_short_by(self, fine, coarse, wanted_steps, percent):
        ring, age = fine[0], fine[0].reach(fine[1], wanted_steps)
        if age is None and coarse[0] is not ring:
            ring, age = coarse[0], coarse[0].reach(coarse[1], wanted_steps)
        if age is None:
            return False
        return self._delivered(ring, age) * 100 <= (100 - percent) * ring.change(0, age)

    def _delivered(self, ring, age):
        """The smaller of authorised and witnessed, in steps."""
        return min(ring.change(1, age), self._ledger.steps_of_counts(ring.change(2, age) + 1))

    def _less_than_half(self):
        age = label.WITHDRAWAL_WINDOW_MS // QUARTER_MS
        if self._quarters.count <= age or not self._quarters.change(0, age):
            return False
        # One step more is granted: at a few steps in 6 h it may fall on either side of the window's edges.
        return (self._delivered(self._quarters, age) + 1) * 100 < label.WITHDRAWAL_PERCENT * self._quarters.change(0, age)


class MotionWatch:
    """Commanded motion against witnessed motion: stall, and the witness running ahead (R-ALM-5)."""

    _SAMPLES = 15

    def __init__(self, ledger, slack_counts):
        self._ledger = ledger
        self._slack = slack_counts
        self._last_counts = 0
        self.moved_at = 0  # when motion was last seen, or judged anew
        self._due_then = 0
        self._ahead = array("i", [0] * self._SAMPLES)
        self._next = 0
        self._least_ahead = 0
        self.stalled = False
        self.over_delivery = False

    def reset(self, now, due, counts):
        """Begin anew: after a stop, an acknowledged fault, a boot."""
        self._last_counts = counts
        self.moved_at = now
        self._due_then = due
        ahead = counts - self._ledger.counts_of_steps(due)
        for i in range(self._SAMPLES):
            self._ahead[i] = ahead
        self._least_ahead = ahead
        self.stalled = self.over_delivery = False

    def check(self, now, due, counts, patience_ms):
        """Called each turn with motion totals. patience_ms: how long motion may stay unseen before it is a stall."""
        if counts > self._last_counts:  # a rotor that only dithers back and forth has not moved
            self._last_counts = counts
            self.moved_at = now
            self._due_then = due
            self.stalled = False
        elif now - self.moved_at >= patience_ms:
            unseen = self._ledger.counts_of_steps(due - self._due_then)
            self.stalled = unseen >= self._slack
        ahead = counts - self._ledger.counts_of_steps(due)
        if ahead < self._least_ahead:
            self._least_ahead = ahead
        elif ahead - self._least_ahead > label.OVER_DELIVERY_COUNTS:
            self.over_delivery = True

    def minute(self, due, counts):
        """Once a minute: forget what is older than 15 minutes."""
        self._ahead[self._next] = counts - self._ledger.counts_of_steps(due)
        self._next = (self._next + 1) % self._SAMPLES
        self._least_ahead = min(self._ahead)
