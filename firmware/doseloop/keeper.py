"""Keeps the account and the record in the journal: samples, intents, results, log lines, and the one copy of state.

Nothing is written while a bolus moves (DESIGN, "The account"). Log lines wait in memory for the end of the command or the turn
in which they arise: that is where the stack has room to write them, 8 KB on a Pico being some 28 calls.
"""

import json

from doseloop import records
from doseloop.journal import Journal
from doseloop.units import collect_garbage
from doseloop.windows import QUARTER_MS

_MAX_WAITING = 64
_LOG_TEXT = 40


class Keeper:
    """holding: a delivery moves, so nothing may be written."""

    def __init__(self, store, clock):
        self.journal = Journal(store)
        self.holding = False
        self.dirty = False  # state changed and was not saved yet
        self.saved_at = 0  # elapsed ms of the last save
        self.waiting = []  # log lines
        self.lost_lines = 0  # those that found no room
        self.failing = False  # the last write failed
        self.unsampled = False  # the newest record of the account found no room
        self.unkept = False  # the last state to be saved is in no copy
        self.failed = False  # one has, and nobody was told yet
        self._clock = clock

    # Account stream.

    def sample(self, ledger, programmed, reserved, kind):
        """True: it is on record."""
        payload = records.pack_sample(ledger, programmed, reserved)
        kept = self._append("acct", kind, payload)
        self.unsampled = not kept
        self.dirty = self.dirty or not kept
        mark = self.journal.newest("marks")
        if mark is None or self._clock.elapsed - mark[2] >= QUARTER_MS:
            self._append("marks", kind, payload)  # at a high rate the account turns over in hours: the last 24 h need a longer memory
        return kept

    def intent(self, delivery):
        """False: it is not on record, so the delivery must not begin."""
        payload = records.pack_intent(
            delivery.number, delivery.verb, delivery.steps, delivery.span_ms // 1000, delivery.volume_nl, delivery.conc
        )
        return self._append("acct", records.INTENT, payload)

    def result(self, delivery):
        payload = records.pack_result(delivery.number, delivery.outcome, delivery.made, delivery.made_nl)
        self._append("acct", records.RESULT, payload)

    # Log stream.

    def log(self, kind, text):
        """One line of at most 40 characters, for write_log()."""
        if len(self.waiting) < _MAX_WAITING:
            self.waiting.append((kind, text[:_LOG_TEXT].encode(), self._clock.elapsed, self._clock.unix_s()))
        else:
            self.lost_lines += 1

    def write_log(self):
        """Write the lines that wait, unless a delivery moves: before a command is answered, and at the end of each turn."""
        if self.holding:
            return
        waiting, self.waiting = self.waiting, []
        lost, self.lost_lines = self.lost_lines, 0
        if lost:
            self.log(records.CHANGE, "%d log lines lost" % lost)
            waiting.append(self.waiting.pop())
        for kind, text, elapsed, wall in waiting:
            self._append("log", kind, text, elapsed, wall)

    # State.

    def save(self, state):
        """Both copies of the state, one after the other; True if one has it. What neither has is tried again. `state` is empty then."""
        collect_garbage()  # the copies of a full week's program want some 10 KB in one piece
        data = json.dumps(state).encode()
        state.clear()  # the room is wanted
        kept = self.journal.save("state", data)
        self.failing = kept < 2
        self.failed = self.failed or self.failing
        self.dirty = self.unkept = not kept
        self.saved_at = self._clock.elapsed
        return kept > 0

    def load(self):
        """(state or None, 'good' | 'one_bad' | 'none' | 'bad')"""
        data, verdict = self.journal.load("state", not self.holding)
        return (json.loads(data) if data else None), verdict

    def _append(self, stream, kind, payload, elapsed_ms=None, wall_s=0):
        """A storage that cannot be written is said and stops no basal (R-ALM-11): the account goes on in memory.

        Of now, unless it is told of when.
        """
        if elapsed_ms is None:
            elapsed_ms, wall_s = self._clock.elapsed, self._clock.unix_s()
        try:
            self.journal.append(stream, kind, elapsed_ms, wall_s, payload)
            self.failing = False
        except OSError:
            self.failing = self.failed = True
        return not self.failing
