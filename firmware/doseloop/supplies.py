"""What runs out: the reservoir and its forecast (R-ALM-2, R-FIL-2, R-FIL-3). The battery is in battery.py."""

from doseloop import label
from doseloop.ledger import DOSE
from doseloop.line import fill_of
from doseloop.units import DAY_MIN, DAY_MS, HOUR_MS, MINUTE_MS, Refusal, unix_days

_WEEK_MS = 7 * DAY_MS


class Reservoir:
    """What is in the reservoir, by the record of its last refill and the account since."""

    def __init__(self, board, ledger):
        self._ledger = ledger
        self.capacity_nl = board["reservoir_nl"]
        self.residual_nl = board["residual_nl"]
        self.threshold_nl = board["threshold_nl"]
        self.fluid = "none"  # none, drug, test
        self.filled_nl = 0  # count at the last refill
        self.conc = 0
        self.lot = ""
        self.expiry = None  # (year, month, day)
        self.emptied = True  # evacuated or never filled: another fluid may follow

    def remaining_nl(self):
        """What is left, in nL: the larger use of authorised and witnessed counts (R-ALM-3)."""
        return max(0, self.filled_nl - self._ledger.used_nl())

    def usable_nl(self):
        """What the head can still draw: the residual volume stays in."""
        return max(0, self.remaining_nl() - self.residual_nl)

    def fill(self):
        """line.Fill: which volume is drawn for a dose."""
        return fill_of(self._ledger.line, self._ledger.steps[DOSE], self._ledger.steps_per_ml, self.conc)

    def check_refill(self, volume_nl, conc, withdrawn_nl, expiry, today, fluid):
        """Refusal EXPIRED, RESIDUAL or CAPACITY, in this order; returns what is then in the reservoir, nL (R-FIL-2)."""
        left_nl = max(0, self.remaining_nl() - withdrawn_nl)
        if expiry and unix_days(today) > unix_days(expiry):
            raise Refusal("EXPIRED", "lot expired %d-%02d-%02d; fill from one that has not" % expiry)
        other = fluid != self.fluid or conc != self.conc
        if other and not self.emptied and left_nl > self.residual_nl:
            text = "%d nl of another fluid remain, %d may; withdraw more, or EMPTY first"
            raise Refusal("RESIDUAL", text % (left_nl, self.residual_nl), [("most", "%dnl" % self.residual_nl)])
        if left_nl + volume_nl > self.capacity_nl:
            text = "%d left and %d nl make more than the reservoir's %d; at most %d now"
            room_nl = self.capacity_nl - left_nl
            raise Refusal("CAPACITY", text % (left_nl, volume_nl, self.capacity_nl, room_nl), [("most", "%dnl" % room_nl)])
        return left_nl + volume_nl

    def is_discrepant(self, withdrawn_nl):
        """Withdrawn against expected is off by more than 14.5 % of what was delivered and more than 0.5 mL (R-FIL-2)."""
        if self.fluid == "none":
            return False
        off = abs(withdrawn_nl - self.remaining_nl())
        return off > label.DISCREPANCY_NL and off * 1000 > label.DISCREPANCY_PERMILLE * self._ledger.used_nl()

    def refill(self, count_nl, fluid, conc, lot, expiry):
        """Record a refill: count_nl is the new count, and the account since refill starts at zero."""
        self._ledger.mark_refill()
        self._ledger.feed(conc if fluid == "drug" else 0)
        self.filled_nl = count_nl
        self.fluid, self.conc, self.lot, self.expiry = fluid, conc, lot, expiry
        self.emptied = False

    def empty(self):
        """The reservoir was evacuated (R-OVD-1)."""
        self._ledger.mark_refill()
        self.filled_nl = 0
        self.emptied = True

    def dump(self):
        return [self.fluid, self.filled_nl, self.conc, self.lot, self.expiry, self.emptied]

    def load(self, state):
        self.fluid, self.filled_nl, self.conc, self.lot, expiry, self.emptied = state
        self.expiry = tuple(expiry) if expiry else None


def dose_ahead_ng(program, course_ms, span_ms):
    """ng that the program and its whole bolus allowance can take in the next span_ms, rounded up (R-FIL-3)."""
    allowance = program.bolus[3] if program.bolus else 0
    return program.dose_between(course_ms, span_ms).ceil() + -(-allowance * span_ms // DAY_MS)


def time_until_used_ms(program, course_ms, volume_nl, fill, limit_ms):
    """ms until `volume_nl` of `fill` has been used at the program plus allowance, to one minute, or limit_ms if later.

    Whole weeks are alike, so the search is within the week in which it ends: first which segment, then which minute of it.
    """
    need_ng = fill.ng_for(volume_nl)
    if program.is_taper:
        least_ms, most_ms = 0, label.HOLIDAY_DAYS_MOST * DAY_MS
        if dose_ahead_ng(program, course_ms, most_ms) < need_ng:
            return limit_ms
    else:
        week_ng = dose_ahead_ng(program, course_ms, _WEEK_MS)
        weeks = need_ng // week_ng if week_ng else limit_ms
        if weeks * _WEEK_MS >= limit_ms:
            return limit_ms
        least_ms, most_ms = max(0, weeks - 1) * _WEEK_MS, (weeks + 1) * _WEEK_MS
    return _Ahead(program, course_ms).first_minute(need_ng, least_ms, most_ms) * MINUTE_MS


class _Ahead:
    """What dose_ahead_ng says, for many spans from the same time: on a Pico a hundred times cheaper than asking it each time."""

    def __init__(self, program, course_ms):
        self._program = program
        self._course_ms = course_ms
        self._allowance_ng = program.bolus[3] if program.bolus else 0
        start_ms, self._length_ms, dose_ng, self._before_ng = program.piece(program.piece_at(course_ms))
        self._passed = dose_ng * (course_ms - start_ms)  # ng x length of the piece in progress that are behind

    def first_minute(self, need_ng, least_ms, most_ms):
        """Least number of minutes, within the span from least_ms to most_ms, in which `need_ng` can be taken."""
        low = self._program.piece_at(self._course_ms + least_ms)
        high = self._program.piece_at(self._course_ms + most_ms)
        while low < high:
            middle = (low + high) // 2
            if self._by_end_of(middle) >= need_ng:
                high = middle
            else:
                low = middle + 1
        return self._minute_in(self._program.piece(low), need_ng)

    def _by_end_of(self, number):
        start_ms, length_ms, dose_ng, before_ng = self._program.piece(number)
        whole_ng = before_ng + dose_ng - self._before_ng - self._passed // self._length_ms
        return whole_ng - -self._allowance_ng * (start_ms + length_ms - self._course_ms) // DAY_MS

    def _minute_in(self, piece, need_ng):
        start_ms, length_ms, dose_ng, before_ng = piece
        least = max(0, -(-(start_ms - self._course_ms) // MINUTE_MS))
        most = -(-(start_ms + length_ms - self._course_ms) // MINUTE_MS)
        whole_ng, passed, den = before_ng - self._before_ng, self._passed * length_ms, length_ms * self._length_ms
        dose, inside_ms = dose_ng * self._length_ms, self._course_ms - start_ms
        while least < most:
            middle = (least + most) // 2
            taken_ng = whole_ng - (passed - dose * (inside_ms + middle * MINUTE_MS)) // den - -self._allowance_ng * middle // DAY_MIN
            if taken_ng >= need_ng:
                most = middle
            else:
                least = middle + 1
        return least


def is_low(reservoir, program, course_ms):
    """RESERVOIR_LOW: at the threshold, or less than 72 h of usable volume left (R-ALM-2)."""
    if reservoir.remaining_nl() <= reservoir.threshold_nl:
        return True
    if program is None:
        return False
    if course_ms is None:  # without a clock: the most that the program can take
        ahead_ng = program.daily.ceil() * label.RESERVOIR_FORECAST_MS // DAY_MS
    else:
        ahead_ng = dose_ahead_ng(program, course_ms, label.RESERVOIR_FORECAST_MS)
    return reservoir.usable_nl() < reservoir.fill().nl_for(ahead_ng)


def refill_due_ms(reservoir, program, course_ms, limit_ms=3650 * DAY_MS):
    """ms until RESERVOIR_LOW comes on at the program plus allowance (R-FIL-3): threshold, or 72 h before usable runs out."""
    if is_low(reservoir, program, course_ms):
        return 0
    fill = reservoir.fill()
    to_threshold = time_until_used_ms(program, course_ms, reservoir.remaining_nl() - reservoir.threshold_nl, fill, limit_ms)
    to_empty = time_until_used_ms(program, course_ms, reservoir.usable_nl(), fill, limit_ms + label.RESERVOIR_FORECAST_MS)
    return min(to_threshold, to_empty - 72 * HOUR_MS)
