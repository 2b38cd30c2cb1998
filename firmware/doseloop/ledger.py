"""The account: what was authorised, what the witness saw, since refill, today, in the last 24 h (R-ALM-3, R-MON-1).

Authorised is what the program and the deliveries made due, in steps; witnessed is counts of the rotor. Both are turned
into nL and ng with the calibration and concentration in force when they fell due, remainders carried, so a change of
either rewrites nothing that was booked before. What a power cut left open is booked whole as uncertain (upper bound).
"""

from doseloop.hal import ticks_diff
from doseloop.units import DAY_MS, HOUR_MS, const, steps_of_nl

_NL_PER_ML = const(1_000_000)

# What a stepped volume was: only the first is dose.
DOSE, PRIME, TEST, MOVED = "dose", "prime", "test", "moved"
CATEGORIES = (DOSE, PRIME, TEST, MOVED)


def reservation(board, ledger, rate_ng_h, covered):
    """Basal steps to cover by one record: at most 10 uL, 15 min of the program or what is left of a bridge, at least one step.

    covered: steps that are covered already and have not fallen due.
    """
    conc, left = ledger.tip_conc(), ledger.bridge_left()
    if left and left <= covered:
        conc = ledger.line.feed
    rate = rate_ng_h * board["reservation_ms"] // HOUR_MS
    most = min(steps_of_nl(board["reservation_nl"], ledger.steps_per_ml), rate * ledger.steps_per_ml // (conc * 1000) + 1) - covered
    if left > covered:
        most = min(most, left - covered)
    return max(1, most)


class Tally:
    """A running total of num/den with the remainder kept."""

    def __init__(self, total=0):
        self.total = total
        self._rest = 0
        self._den = 1

    def add(self, num, den):
        if den != self._den:
            self._rest = self._rest * den // self._den
            self._den = den
        whole, self._rest = divmod(self._rest + num, den)
        self.total += whole


class Ledger:
    """Totals since the journal began: steps by category, nL and ng, authorised and witnessed."""

    def __init__(self, board, line):
        self.line = line  # line.Line: of which concentration a step is at the tip
        self._steps_per_turn = board["steps_per_turn"]
        self._counts_per_turn = board["encoder_counts_per_turn"]
        self.steps_per_ml = board["steps_per_ml_nominal"]
        self.category = DOSE
        self.steps = {name: 0 for name in CATEGORIES}
        self.counts = 0  # witness counts
        self.authorised_nl = Tally()
        self.witnessed_nl = Tally()
        self.authorised_ng = Tally()
        self.witnessed_ng = Tally()
        self.uncertain_nl = 0  # of authorised_nl: may or may not have been delivered before a power cut
        self._due = 0  # steps since boot that are in the totals
        self._raw = None  # raw witness reading that is in the totals
        self.refill_marks = (0, 0, 0, 0)  # authorised nl, witnessed nl, authorised ng, witnessed ng at the last refill
        self.bolus_steps = 0  # of the dose steps
        self._marks = []  # (elapsed, authorised ng, witnessed ng) each quarter of an hour, back to 24 h
        self.day = None  # local day and authorised ng at its midnight
        self.day_mark_ng = 0

    def total_steps(self):
        return sum([self.steps[name] for name in CATEGORIES])

    def steps_of_counts(self, counts):
        return counts * self._steps_per_turn // self._counts_per_turn

    def counts_of_steps(self, steps):
        return steps * self._counts_per_turn // self._steps_per_turn

    def advance(self, due, raw_witness):
        """Book what fell due and what the witness counted since the last call, under the category in force."""
        left = self.bridge_left()
        if due != self._due:
            self._book_steps(due - self._due)
            self._due = due
        if raw_witness != self._raw:
            if self._raw is not None:
                self._book_counts(ticks_diff(raw_witness, self._raw), left)
            self._raw = raw_witness

    def tip_conc(self):
        """mcg/mL of what leaves the tip with the next step; 0: no drug."""
        return self.line.tip(self.steps[DOSE])

    def bridge_left(self):
        """Steps of the old concentration that are still in the line; 0: no bridge is on."""
        return self.line.left(self.steps[DOSE])

    def feed(self, conc):
        """The reservoir holds another fill, of drug of `conc` or (0) of test fluid."""
        self.line.refill(conc, self.steps[DOSE], self.steps_per_ml)

    def _book_steps(self, steps):
        before = self.steps[DOSE]
        self.steps[self.category] += steps
        self.authorised_nl.add(steps * _NL_PER_ML, self.steps_per_ml)
        if self.category == DOSE:
            self.authorised_ng.add(self.line.mass(before, before + steps) * 1000, self.steps_per_ml)
        if self.category in (DOSE, PRIME):
            self.line.drug_moved()

    def _book_counts(self, counts, left):
        """left: steps of the bridge that were left before."""
        self.counts += counts
        turns = counts * self._steps_per_turn
        den = self._counts_per_turn * self.steps_per_ml
        self.witnessed_nl.add(turns * _NL_PER_ML, den)
        if self.category == DOSE:
            old = min(counts, self.counts_of_steps(left)) if left else 0
            mass = self.line.feed * (counts - old) + (self.line.conc * old if old else 0)
            self.witnessed_ng.add(mass * self._steps_per_turn * 1000, den)

    def book_uncertain(self, steps):
        """Steps that may have been made before a power cut: the upper bound counts, authorised and witnessed alike."""
        self.book(steps)
        self.line.leave_open(self.steps[DOSE], steps)
        self.uncertain_nl += steps * _NL_PER_ML // self.steps_per_ml

    def book(self, steps):
        """Steps told by the journal: authorised, and taken for witnessed."""
        left = self.bridge_left()
        self._book_steps(steps)
        self._book_counts(self.counts_of_steps(steps), left)

    def mark_refill(self):
        self.refill_marks = (
            self.authorised_nl.total,
            self.witnessed_nl.total,
            self.authorised_ng.total,
            self.witnessed_ng.total,
        )

    def since_refill(self):
        """(authorised nl, witnessed nl, authorised ng, witnessed ng) since the last refill."""
        now = (self.authorised_nl.total, self.witnessed_nl.total, self.authorised_ng.total, self.witnessed_ng.total)
        return tuple([a - b for a, b in zip(now, self.refill_marks)])

    def used_nl(self):
        """What has left the reservoir since refill: the larger of authorised and witnessed (R-ALM-3)."""
        authorised, witnessed = self.since_refill()[:2]
        return max(authorised, witnessed)

    def note_day(self, local_day):
        """Begin a new count at local midnight."""
        if local_day != self.day:
            self.day = local_day
            self.day_mark_ng = self.authorised_ng.total

    def mark_quarter(self, now):
        """Remember where the account stood, for the dose of the last 24 h."""
        self.restore_mark(now, self.authorised_ng.total, self.witnessed_ng.total)

    def restore_mark(self, at, authorised_ng, witnessed_ng):
        self._marks.append((at, authorised_ng, witnessed_ng))
        while len(self._marks) > 1 and self._marks[1][0] <= at - DAY_MS:
            self._marks.pop(0)

    def day_ng(self, now):
        """(authorised, witnessed) ng of the last 24 h, to a quarter of an hour more."""
        mark = (0, 0, 0)
        for candidate in self._marks:
            if candidate[0] <= now - DAY_MS:
                mark = candidate
        if mark[0] == 0 and self._marks:
            mark = self._marks[0]
        return self.authorised_ng.total - mark[1], self.witnessed_ng.total - mark[2]

    def today_ng(self):
        return self.authorised_ng.total - self.day_mark_ng

    def dump(self):
        """Plain dict for the journal's state copy."""
        return {
            "steps": [self.steps[name] for name in CATEGORIES],
            "counts": self.counts,
            "tally": [self.authorised_nl.total, self.witnessed_nl.total, self.authorised_ng.total, self.witnessed_ng.total],
            "uncertain": self.uncertain_nl,
            "refill": list(self.refill_marks),
            "bolus": self.bolus_steps,
            "day": [self.day, self.day_mark_ng],
        }

    def load(self, state):
        for name, value in zip(CATEGORIES, state["steps"]):
            self.steps[name] = value
        self.counts = state["counts"]
        tallies = [Tally(value) for value in state["tally"]]
        self.authorised_nl, self.witnessed_nl, self.authorised_ng, self.witnessed_ng = tallies
        self.uncertain_nl = state["uncertain"]
        self.refill_marks = tuple(state["refill"])
        self.bolus_steps = state["bolus"]
        self.day, self.day_mark_ng = state["day"]
