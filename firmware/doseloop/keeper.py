"""Keeps the account and the record in the journal: samples, intents, results, log lines, and the one copy of state.

Nothing is written while a bolus moves (DESIGN, "The account"): log lines wait in memory until it has ended.
"""

import json

from doseloop import records
from doseloop.journal import Journal
from doseloop.units import collect_garbage
from doseloop.windows import QUARTER_MS

_MAX_WAITING = 40
_LOG_TEXT = 40


class Keeper:
    """holding: a delivery moves, so nothing may be written."""

    def __init__(self, store, clock):
        self.journal = Journal(store)
        self.holding = False
        self.dirty = False  # state changed and was not saved yet
        self.saved_at = 0  # elapsed ms of the last save
        self.lost_lines = 0  # log lines that found no room while holding
        self.failing = False  # the last write failed
        self.unkept = False  # the last state to be saved is in no copy
        self.failed = False  # one has, and nobody was told yet
        self._clock = clock
        self._waiting = []

    # Account stream.

    def sample(self, ledger, programmed, reserved, kind):
        """True: it is on record."""
        payload = records.pack_sample(ledger, programmed, reserved)
        kept = self._append("acct", kind, payload)
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
        """One line of at most 40 characters; waits while a delivery moves."""
        entry = (kind, self._clock.elapsed, self._clock.unix_s(), text[:_LOG_TEXT].encode())
        if not self.holding:
            self._try(self.journal.append, "log", *entry)
        elif len(self._waiting) < _MAX_WAITING:
            self._waiting.append(entry)
        else:
            self.lost_lines += 1

    def release(self):
        """The delivery has ended: write what waited."""
        self.holding = False
        waiting, self._waiting = self._waiting, []
        for entry in waiting:
            self._try(self.journal.append, "log", *entry)
        if self.lost_lines:
            self.log(records.CHANGE, "%d log lines lost in a delivery" % self.lost_lines)
        self.lost_lines = 0

    def forget(self):
        """What waited tells of something that was undone."""
        self._waiting = []

    # State.

    def save(self, state):
        """Both copies of the state, one after the other; True if one has it. What neither has is tried again."""
        collect_garbage()  # the copies of a full week's program want some 10 KB in one piece
        kept = self.journal.save("state", json.dumps(state).encode())
        self.failing = kept < 2
        self.failed = self.failed or self.failing
        self.dirty = self.unkept = not kept
        self.saved_at = self._clock.elapsed
        return kept > 0

    def load(self):
        """(state or None, 'good' | 'one_bad' | 'none' | 'bad')"""
        data, verdict = self.journal.load("state", not self.holding)
        return (json.loads(data) if data else None), verdict

    def _append(self, stream, kind, payload):
        return self._try(self.journal.append, stream, kind, self._clock.elapsed, self._clock.unix_s(), payload)

    def _try(self, write, *what):
        """A storage that cannot be written is said and stops no basal (R-ALM-11): the account goes on in memory."""
        self.failing = True
        try:
            write(*what)
            self.failing = False
        except OSError:
            self.failed = True
        return not self.failing
