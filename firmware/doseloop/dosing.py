"""The dosing loop: keeps a chain of leases in the step engine that follows the basal rate, plus at most one extra delivery.

The chain is cut into pieces of constant rate. Each piece starts from an anchor, the exact state of the account at its
start; so when the chain is revoked in the middle, the account is worked out exactly for that instant and everything
goes on from there. Basal is an exact integral that an extra delivery never touches (R-BOL-3); what was stepped and is
not basal belongs to the extra. Counts are steps since boot.
"""

import binascii

from doseloop.hal import TICKS_MASK, ticks_add, ticks_diff
from doseloop.schedule import LEASE_US, Piece, fresh_remainder
from doseloop.units import const, steps_of_nl

FOREVER_MS = const(0x1FFFFFFF)
# The chain is topped up when this much of it is left: a flash erase (400 ms at worst) and a slow turn fit in.
_MARGIN_MS = const(1_000)
_EXTRA_MARGIN_MS = const(300)
_CHAIN_MOST_MS = const(11_000)  # no chain is longer: a lease and the margin
_EXTRA_LEASE_US = const(600_000)  # with the margin within 1 s of a bolus
_SHARE = const(4)  # a basal lease takes at most 3/4 of the volume limit; the rest is what may still be queued


class Extra:
    """One delivery beside the basal rate: `steps` evenly over `span_ms` from `start` (elapsed ms)."""

    def __init__(self, steps, span_ms, start):
        self.steps = steps
        self.span_ms = span_ms
        self.start = start
        self.end = start + span_ms


def seal(content):
    """Tells whether numbers and texts in memory are still what they were."""
    return binascii.crc32(repr(content).encode())


class _Anchor:
    """The account at the start of a piece."""

    def __init__(self, start, end, basal, planned):
        self.start = start
        self.end = end
        self.basal_count, self.remainder, self.den, self.rate_num = basal
        self.planned, self.extra, self.extra_done = planned
        self._seal = self._make_seal()

    def _make_seal(self):
        counts = (self.basal_count, self.remainder, self.den, self.rate_num)
        return seal((self.start, self.end, counts, self.planned, self.extra_done))

    def is_sealed(self):
        """It is in memory as it was made."""
        return self._seal == self._make_seal()


class Dosing:
    """running: leases are kept coming. commanded: steps put to the engine and not taken back."""

    def __init__(self, hal, rate_at, reserve):
        """rate_at(elapsed) -> (ng, in_ms, for_ms) of basal or None; reserve(steps) -> steps newly covered by a reservation."""
        self._hal = hal
        self._rate_at = rate_at
        self._reserve = reserve
        self.running = False
        self.exhausted = False  # not even one step is left to reserve: the usable volume is gone
        self.late = 0  # times the chain ran dry before its next lease
        self.late_steps = 0  # steps that fell due in such gaps; they are not made up
        self.reserved = 0  # steps that may still be put before a new reservation
        self.commanded = 0
        self.extra = None
        self.first_step_at = None  # elapsed ms of the first step after a resume, once it is in the chain
        self._extra_done = 0  # steps of all extras that have ended
        self._basal_count = 0
        self._remainder = 0
        self._den = 1
        self._fresh = True
        self._piece = Piece()
        self._piece_seal = seal(self._piece.legs())
        self._spoilt = False  # something planned before was not what it had been
        self._anchors = []
        self._lease_ready = False
        self._chain_ms = 0  # end of the chain: ticks and the microseconds beyond
        self._chain_us = 0
        self._piece_end_ms = 0
        self._margin_ms = _MARGIN_MS
        self._steps_per_ml = 0
        self._conc = 0
        self._switch = None  # (count at which another concentration is at the tip, that concentration): a bridge is on
        self.switched_at = None  # elapsed ms at which it is, once that is in the chain
        self._lease_steps = 1
        self._single = False
        self._ending = False  # no lease follows the chain
        self._engine_late = 0  # steps the engine has told to be late
        self._extra_last = 0  # count of the last step of the extra, once it is in the chain
        self.pieces = 0  # laid out since boot

    def configure(self, steps_per_ml, conc, switch=None):
        """Calibration and concentration for what is planned from now on; call only while settled.

        switch: (count, conc): from this count on the tip has another concentration (R-CON-3). No extra meanwhile.
        """
        self._steps_per_ml = steps_per_ml
        self._conc = conc
        self._switch = switch
        self._lease_steps = max(1, steps_of_nl(self._hal.board["lease_basal_nl"], steps_per_ml) * (_SHARE - 1) // _SHARE)

    def single_steps(self, on):
        """Near the end of the reservoir a lease is one step, so that the last usable step can be the last."""
        self._single = on

    # The tick: what is due, then one put. Allocates nothing.

    def due_in(self, ticks):
        """ms until the chain wants its next lease; 0 or less: now."""
        if not self.running:
            return FOREVER_MS
        if not self._anchors:
            return 0
        return ticks_diff(self._chain_ms, ticks) - self._margin_ms

    def tick(self):
        """Put one lease; False if there is none to put before a new piece or a new reservation (then call prepare)."""
        if not self._lease_ready and not (self._anchors and self._next_lease()):
            return False
        piece = self._piece
        if piece.n > self.reserved:
            return False
        self._lease_ready = False
        self._hal.put(piece.n, piece.gap_us, piece.period_us)
        self.reserved -= piece.n
        self.commanded += piece.n
        end_us = self._chain_us + piece.gap_us + piece.n * piece.period_us
        self._chain_ms = ticks_add(self._chain_ms, end_us // 1000)
        self._chain_us = end_us % 1000
        return True

    def _next_lease(self):
        piece = self._piece
        if not piece.next_lease():
            left_ms = ticks_diff(self._piece_end_ms, self._chain_ms)
            if left_ms <= 0:
                return False
            piece.n = 0
            piece.period_us = 0
            piece.gap_us = LEASE_US if left_ms > LEASE_US // 1000 else left_ms * 1000 - self._chain_us
        self._lease_ready = True
        return True

    # Pieces: once per change of rate.

    def prepare(self, now, ticks):
        """What tick could not do: cover the next lease by a reservation, or lay out the next piece. False: nothing can go on."""
        if self._lease_ready:
            return self._cover(self._piece.n, now)
        return self._begin_piece(now, ticks)

    def _cover(self, steps, now):
        self.reserved += self._reserve(steps)
        if self.reserved >= steps:
            return True
        if steps == 1:
            self.exhausted = True
            self._let_end()
            return False
        self._single = True
        self.settle(now)
        self.running = True
        return True

    def _begin_piece(self, now, ticks):
        start = self._anchors[-1].end if self._anchors else now
        basal = self._rate_at(start)
        if basal is None and self.extra is None:
            self._run_out(now)
            return False
        if not self._anchors:
            self._chain_ms = ticks
            self._chain_us = 0
        end = self._lay_out(start, self._piece_end(start, basal), basal)
        self._piece_end_ms = (ticks + (end - now)) & TICKS_MASK
        self._forget_before(now)
        return True

    def _run_out(self, now):
        """Nothing more to do: let the chain end by itself, then rest."""
        self._let_end()
        if not self._anchors or self._anchors[-1].end <= now:
            self.settle(now)

    def _let_end(self):
        """No lease follows: due again just after the chain's end, which is then no lateness."""
        self._ending = True
        self._margin_ms = -1

    def _piece_end(self, start, basal):
        end = start + basal[2] if basal else self.extra.end
        return min(end, self.extra.end) if self.extra else end

    def _lay_out(self, start, end, basal):
        """A piece from start to end, or to where the concentration at the tip changes if that is earlier; returns its end."""
        rate_num = 0
        if basal:
            bridged = self._switch and not self._is_through(self._switch[0])
            conc = self._switch[1] if self._switch and not bridged else self._conc
            self._rebase(basal[1] * conc * 1000)
            rate_num = basal[0] * self._steps_per_ml
            if bridged and rate_num:
                end = self._cut_at_switch(start, end, rate_num)
        self.is_sealed()  # of what was planned before, nothing is looked at again
        anchor = _Anchor(
            start,
            end,
            (self._basal_count, self._remainder, self._den, rate_num),
            (self.commanded, self.extra, self._extra_done),
        )
        self._anchors.append(anchor)
        self._plan(anchor)
        self.pieces += 1
        self._piece_seal = seal(self._piece.legs())
        self._advance_basal(rate_num * (end - start))
        if self.extra and end >= self.extra.end:
            self._extra_done += self.extra.steps
            self._extra_last = anchor.planned + self._piece.pulses
            self.extra = None
        return end

    def _is_through(self, count):
        """The program has asked for `count` steps: the lead, by which a step is made early, is not counted."""
        done = self._basal_count + self._extra_done
        return done > count or (done == count and self._remainder >= fresh_remainder(self._den))

    def _cut_at_switch(self, start, end, rate_num):
        """The old drug is through with the whole step, not before: the next piece has the new rate and the same lead."""
        left = self._switch[0] - self._basal_count - self._extra_done
        wanted = left * self._den + fresh_remainder(self._den) - self._remainder
        switch_at = start + max(1, -(-wanted // rate_num))
        if switch_at > end:
            return end
        self.switched_at = switch_at
        return switch_at

    def _plan(self, anchor):
        num, den, first = _sum_at(anchor, anchor.start)
        last = _sum_at(anchor, anchor.end)[0]
        lease_us = _EXTRA_LEASE_US if anchor.extra else LEASE_US
        self._margin_ms = _EXTRA_MARGIN_MS if anchor.extra else _MARGIN_MS
        remainder = num - (anchor.planned - first) * den
        most = 1 if self._single else self._lease_steps
        self._piece.plan(anchor.end - anchor.start, last - num, den, remainder, most, lease_us)
        if self.first_step_at is None and self._piece.pulses and anchor.rate_num:
            self.first_step_at = anchor.start + _first_step_ms(anchor, last - num, den, remainder)

    def is_sealed(self):
        """What is planned, and what was since the last drop_plan, is in memory as it was laid out."""
        if self._piece_seal != seal(self._piece.legs()):
            self._spoilt = True
        for anchor in self._anchors:
            if not anchor.is_sealed():
                self._spoilt = True
        return not self._spoilt

    def is_empty(self):
        """Nothing is planned."""
        return not self._anchors

    def drop_plan(self):
        """A damaged plan is not asked what fell due: what was made is, and the program goes on from now (R-ALM-8). No extra runs."""
        made = self._hal.revoke()
        self.reserved += self.commanded - made
        self.commanded = made
        self._anchors = []
        self._spoilt = self._lease_ready = self.running = False
        self._piece_seal = seal(self._piece.legs())
        self._basal_count = made - self._extra_done
        self._fresh = True

    def _rebase(self, den):
        """The remainder over a new denominator: floor(r x D2 / D1), exact at whole ng and where D2 is a multiple of D1."""
        if self._fresh:
            self._fresh = False
            self._remainder = fresh_remainder(den)
        else:
            self._remainder = self._remainder * den // self._den
        self._den = den

    def _advance_basal(self, num):
        steps, self._remainder = divmod(self._remainder + num, self._den)
        self._basal_count += steps

    def _forget_before(self, now):
        while len(self._anchors) > 1 and self._anchors[0].end <= now:
            self._anchors.pop(0)

    # Cutting the chain.

    def begin(self):
        """Let leases flow from the next turn on (after settle, or for the first time)."""
        self.running = True

    def settle(self, now):
        """End after the pulse in progress, take back what was not stepped; the account is exact for `now` afterwards."""
        self.running = False
        self.exhausted = self._ending = False
        self._extra_last = 0
        self._lease_ready = False
        made = self._hal.revoke()  # also where nothing is planned: an open port may have halted the engine
        if not self._anchors:
            return
        self.is_sealed()
        self.reserved += self.commanded - made
        self.commanded = made
        anchor = self._anchor_at(now)
        self._anchors = []
        self._restore(anchor, min(now, anchor.end))
        if self.first_step_at is not None and self.first_step_at > now:
            self.first_step_at = None
        if self.switched_at is not None and self.switched_at > now:
            self.switched_at = None

    def _anchor_at(self, now):
        for anchor in reversed(self._anchors):
            if anchor.start <= now:
                return anchor
        return self._anchors[0]

    def _restore(self, anchor, now):
        self._basal_count, self._remainder, self._den = anchor.basal_count, anchor.remainder, anchor.den
        self._extra_done, self.extra = anchor.extra_done, anchor.extra
        self._advance_basal(anchor.rate_num * (now - anchor.start))
        if self.extra is None:
            self._drop_missed()

    def _drop_missed(self):
        """Steps that fell due but were never made, because the chain ran dry, are not made up (R-ALM-9, R-ALM-11)."""
        missed = self._basal_count + self._extra_done - self.commanded
        if missed > 1:
            self.late_steps += missed
            self._basal_count -= missed

    def note_late(self):
        self.late += 1

    def is_late(self, ticks):
        """The chain has run dry although it was to go on, or a step left the engine after its time."""
        engine_late = self._hal.late()
        if engine_late != self._engine_late:
            self._engine_late = engine_late
            return True
        left = ticks_diff(self._chain_ms, ticks)  # more than a chain has: the ticks went back
        return self.running and not self._ending and bool(self._anchors) and not 0 <= left <= _CHAIN_MOST_MS

    # Extras.

    def start_extra(self, steps, span_ms, now):
        """Settle, then deliver `steps` evenly over span_ms beside the basal rate."""
        self.settle(now)
        self.extra = Extra(steps, span_ms, now)
        self.running = True
        return self.extra

    def end_extra(self, now):
        """End the extra, early or not; returns the steps that were made of it, None if all had been laid out and have passed.

        What the chain did not make is missing from the extra first; the basal account is untouched.
        """
        self.settle(now)
        extra = self.extra
        if extra is None:
            return None
        made = min(max(self.commanded - self._extra_done - self._basal_count, 0), extra.steps)
        self._extra_done += made
        self.extra = None
        self._drop_missed()
        return made

    def extra_runs_on(self):
        """The last steps of the extra are still in the engine: it began as much after its plan as the processor took to put it."""
        return self._hal.stepped() < self._extra_last

    # What the account says.

    def due(self, now):
        """Steps that have fallen due until now: what the program and the extras authorised."""
        if not self._anchors:
            return self.commanded
        anchor = self._anchor_at(now)
        num, den, count = _sum_at(anchor, min(now, anchor.end))
        return count + num // den

    def chain_left_ms(self, ticks):
        """How long the leases in the engine still last."""
        return ticks_diff(self._chain_ms, ticks) if self._anchors else 0

    def outstanding(self, now):
        """Steps put to the engine that are not due yet."""
        return self.commanded - self.due(now)



def _sum_at(anchor, now):
    """(numerator, denominator, whole steps): the exact sum of basal and extra at `now`."""
    num = anchor.remainder + anchor.rate_num * (now - anchor.start)
    count = anchor.basal_count + anchor.extra_done
    extra = anchor.extra
    if extra is None:
        return num, anchor.den, count
    return num * extra.span_ms + extra.steps * (now - extra.start) * anchor.den, anchor.den * extra.span_ms, count


def _first_step_ms(anchor, num, den, remainder):
    """ms from the anchor's start to its first pulse, rounded up."""
    span_ms = anchor.end - anchor.start
    return max(0, -(-span_ms * (den - remainder) // num))
