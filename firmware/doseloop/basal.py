"""Which basal rate applies at a time: the committed program by the clock shown, or the lowest rate (R-PRF-4, R-ALM-8).

The lowest rate of the week applies while the time of day is unknown, and after a clock correction whenever the basal
of some 24 h would otherwise exceed the highest high dose in force in them plus 1 %: setting the clock back every hour
does not stay at the peak.
"""

from doseloop import label
from doseloop.ledger import Tally
from doseloop.units import DAY_MS, MINUTE_MS, Ratio, larger

_GUARD_STEP_MS = 300_000  # after a clock correction the rate is judged anew at least this often


class Basal:
    """Answers dosing's rate_at; keeps what was programmed, also while stopped."""

    def __init__(self, clock):
        self._clock = clock
        self.program = None  # committed and in force
        self.on = False  # basal is to be delivered
        self.lowest = False  # an alarm asks for the lowest rate
        self.corrected_at = None  # elapsed of the last clock correction
        self.held_low = False  # the 24 h rule holds the rate down at present
        self.programmed = Tally()  # steps that the program asked for since the journal began (R-ALM-6)
        self._programmed_to = None  # elapsed until which they count
        self._given = []  # [start, end, ng, in_ms] of basal laid out in the last 24 h, oldest first
        self._even = (None, True)  # a program, and whether it is flat or a taper
        self._uneven_to = None  # elapsed until which something else was laid out
        self._uncertain = []  # [elapsed, ng] booked by restarts as perhaps given
        self._highs = []  # [until, high] of programs that were in force in the last 24 h

    # What dosing asks.

    def rate_at(self, elapsed):
        """(ng, in_ms, for_ms): evenly ng in in_ms, valid for the next for_ms; None while basal is off."""
        if not self.on or self.program is None:
            return None
        ng, in_ms, for_ms = self._wanted(elapsed)
        self.held_low = False
        if self._is_guarded(elapsed) and not self.program.is_taper:
            for_ms = min(for_ms, _GUARD_STEP_MS)
            self.held_low = not self._fits(elapsed, for_ms, ng, in_ms)
            if self.held_low:
                ng, in_ms = self.program.lowest_rate()
        self._note_given(elapsed, elapsed + for_ms, ng, in_ms)
        return ng, in_ms, for_ms

    def _wanted(self, elapsed):
        course_ms = self.course_ms(elapsed)
        if course_ms is None or (self.lowest and not self.program.is_taper):
            ng, in_ms = self.program.lowest_rate()
            return ng, in_ms, DAY_MS
        return self.program.rate_at(course_ms)

    def course_ms(self, elapsed):
        """Where the program in force is at a time: ms of the week by the clock, of a taper since its start; None without a clock."""
        if self.program.is_taper:
            return 0 if self.program.start is None else elapsed - self.program.start
        return self._clock.week_ms(elapsed) if self._clock.is_set() else None

    def is_over(self, elapsed):
        """A drug holiday has come to its zero (R-HOL-1)."""
        return self.program is not None and self.program.is_taper and self.program.is_over(elapsed)

    def rate_ng_h(self, elapsed):
        """The basal rate now, in ng/h rounded down, for a person."""
        if not self.on or self.program is None:
            return 0
        ng, in_ms, _ = self._wanted(elapsed)
        if self.held_low:
            ng, in_ms = self.program.lowest_rate()
        return ng * 3_600_000 // in_ms

    # The 24 h rule after clock corrections.

    def _is_guarded(self, elapsed):
        return self.corrected_at is not None and elapsed - self.corrected_at < DAY_MS + _GUARD_STEP_MS

    def _fits(self, start, span_ms, ng, in_ms):
        """True if this rate for span_ms and the lowest rate after it keep every 24 h of the next 24 h within the limit."""
        limit = self._limit(start)
        low_ng, low_in_ms = self.program.lowest_rate()
        ends = sorted(self._turning_points(start, start + span_ms))
        for end, basal in zip(ends, self.given_since([end - DAY_MS for end in ends], start)):
            basal = _sum(basal, ng * min(end - start, span_ms), in_ms)
            basal = _sum(basal, low_ng * max(0, end - start - span_ms), low_in_ms)
            if not basal.at_most(label.CLOCK_SLACK_PERCENT, limit):
                return False
        return True

    def _limit(self, now):
        high = self.program.high
        for until, other in self._highs:
            if now - until < DAY_MS:
                high = larger(high, other)
        return high

    def _turning_points(self, start, end):
        """Ends of windows at which their dose may turn: where a rate changes at either end of the 24 h."""
        points = [end, start + DAY_MS]
        for piece in self._given:
            for edge in (piece[0] + DAY_MS, piece[1] + DAY_MS):
                if start < edge < start + DAY_MS:
                    points.append(edge)
        return points

    def was_even(self, now):
        """Nothing but flat programs and tapers was laid out in the last 24 h."""
        return self._uneven_to is None or now - self._uneven_to >= DAY_MS

    def _is_even(self):
        if self._even[0] is not self.program:
            self._even = (self.program, self.program is None or self.program.is_taper or self.program.is_flat())
        return self._even[1]

    def given_edges(self):
        """Elapsed times at which the basal laid out in the last 24 h changed."""
        return [edge for piece in self._given for edge in piece[:2]]

    def given_since(self, starts, now):
        """[Ratio of ng of basal laid out from each start until now]; starts: oldest first. One pass, for there may be hundreds."""
        found = []
        total = Ratio(0)
        index = len(self._given) - 1
        for start in reversed(starts):
            while index >= 0 and self._given[index][0] >= start:
                total = _piece_sum(total, self._given[index], start, now)
                index -= 1
            found.append(_piece_sum(total, self._given[index], start, now) if index >= 0 else total)
        found.reverse()
        return found

    def _note_given(self, start, end, ng, in_ms):
        self.cut_given(start)
        if not self._is_even():
            self._uneven_to = end
        self._given = [piece for piece in self._given if start - piece[1] < DAY_MS + _GUARD_STEP_MS]
        if self._given and self._given[-1][1] == start and self._given[-1][2:] == [ng, in_ms]:
            self._given[-1][1] = end
        else:
            self._given.append([start, end, ng, in_ms])

    def cut_given(self, now):
        """What was laid out beyond `now` was taken back."""
        if self._uneven_to is not None and self._uneven_to > now:
            self._uneven_to = now
        self._given = [piece for piece in self._given if piece[0] < now]
        for piece in self._given:
            piece[1] = min(piece[1], now)

    def restore_given(self, start, end, ng):
        """A stretch read back from the journal after a restart; of what fell into one ms too, or the 24 h rule would forget it."""
        if ng or end > start:
            start = min(start, end - 1)
            self._given.append([start, end, ng, end - start])
        if not self._is_even():
            self._uneven_to = end

    def note_uncertain(self, now, ng):
        """So much of what was given may not have been: it was on its way when the power failed."""
        self._uncertain.append([now, ng])

    def uncertain_ng(self, now):
        """ng of the last 24 h that may not have been given."""
        self._uncertain = [entry for entry in self._uncertain if now - entry[0] < DAY_MS]
        return sum([ng for _, ng in self._uncertain])

    # Changes.

    def change(self, program, now, ran):
        """Another program is in force from now on; ran: the one before it was not only committed but run."""
        if ran:
            for until, high in _highs_of(self.program, now):
                self._highs = [entry for entry in self._highs if now - entry[0] < DAY_MS and not entry[1] <= high] + [[until, high]]
        self.program = program

    def correct_clock(self, now):
        self.corrected_at = now

    # What was programmed.

    def advance_programmed(self, now, steps_per_ml, conc, switch, active):
        """Add what the program asked for since the last call, by the clock, also while stopped (R-ALM-6).

        conc: of what left, or would have left, the tip meanwhile; switch: None, or (elapsed, conc until then, conc after).
        """
        since = self._programmed_to
        self._programmed_to = now
        if since is None or not active or self.program is None or now <= since:
            return
        if switch and since < switch[0] <= now:
            self._ask(since, switch[0], steps_per_ml, switch[1])
            since, _, conc = switch
        self._ask(since, now, steps_per_ml, conc or self.program.conc)

    def _ask(self, since, now, steps_per_ml, conc):
        den = conc * 1000
        course_ms = self.course_ms(since)
        if course_ms is None or ((self.lowest or self.held_low) and not self.program.is_taper):
            ng, in_ms = self.program.lowest_rate()
            self.programmed.add(ng * (now - since) * steps_per_ml, in_ms * den)
        else:
            dose = self.program.dose_between(course_ms, now - since)
            self.programmed.add(dose.num * steps_per_ml, dose.den * den)

    def restore_programmed(self, total, elapsed):
        """The total read back from the journal, and until when it counts; what follows, outage included, is added next."""
        self.programmed.total = total
        self._programmed_to = elapsed

    def dump(self):
        highs = [[until, high.num, high.den] for until, high in self._highs]
        return {"corrected": self.corrected_at, "highs": highs, "uneven": self._uneven_to, "uncertain": self._uncertain}

    def load(self, state):
        self.corrected_at, self._uneven_to, self._uncertain = state["corrected"], state["uneven"], state["uncertain"]
        self._highs = [[until, Ratio(num, den)] for until, num, den in state["highs"]]


def _piece_sum(total, piece, start, end):
    """With what of a piece lies between two times; one read back from the journal counts in whole ng, or the sum would grow unwieldy."""
    begin, finish, ng, in_ms = piece
    span_ms = min(end, finish) - max(start, begin)
    if span_ms <= 0:
        return total
    if span_ms == in_ms or in_ms % MINUTE_MS:
        return total.plus(-(-ng * span_ms // in_ms))
    return _sum(total, ng * span_ms, in_ms)


def _highs_of(program, now):
    """[until, high] of a program; of a taper those of the days that reach into the last 24 h."""
    if not program.is_taper:
        return [[now, program.high]]
    day = program.day_at(now)
    found = [[now, Ratio(program.day_ng(day))]]
    return found if not day or program.start is None else [[program.start + day * DAY_MS, Ratio(program.day_ng(day - 1))]] + found


def _sum(total, num, den):
    if total.den == den:
        return Ratio(total.num + num, den)
    return Ratio(total.num * den + num * total.den, total.den * den)
