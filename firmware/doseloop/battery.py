"""The battery: a mean that one wrong reading cannot move, two thresholds with hysteresis, and a forecast (R-ALM-4)."""

from doseloop.units import DAY_MS, const

_READINGS = const(10)
_FEWEST = const(3)  # after a start: enough to leave the extremes out
_KEPT_DAYS = const(14)
_FEWEST_DAYS = const(7)  # project: a shorter slope is noise
_FINE = const(16)  # a day's mean is kept in 1/16 mV
_NEW_MV = const(100)  # project: a day's mean higher by that is another battery
_MOST_MV = const(6000)  # project
_SOON_DAYS = const(90)  # R-ALM-4
_SOON_CLEAR_DAYS = const(100)


class Battery:
    """board: dict with battery_low_mv, battery_low_clear_mv, battery_depleted_mv, battery_depleted_clear_mv."""

    def __init__(self, board):
        self.mv = 0  # mean of the last 10 readings without the highest and the lowest; 0 before there are 3
        self.low = False  # replace soon: by voltage, or less than 90 days are left
        self.depleted = False  # it cannot drive the motor
        self._board = board
        self.unread = False  # what the converter says has been impossible for as long as a mean takes
        self._missed = 0  # impossible readings in a row
        self._readings = []  # the last 10, in no order
        self._oldest = 0
        self._low_mv = False  # low by voltage
        self._soon = False  # low by forecast
        self._day = None  # number of the day being summed up
        self._day_end = 0  # elapsed ms
        self._sum = 0
        self._count = 0
        self._days = []  # (day, mean in 1/16 mV), oldest first, 14 days at most
        self._left = None

    def sample(self, mv, elapsed_ms):
        """One raw reading in mV; None (no sensor) is passed over, and what cannot be, until it stays: then nobody knows (low)."""
        if mv is None:
            return
        self._missed = 0 if is_possible(mv) else self._missed + 1
        self.unread = self._missed >= _READINGS
        if self._missed:
            self.low = self._low_mv or self._soon or self.unread
            return
        self._note_day(mv, elapsed_ms)
        if len(self._readings) < _READINGS:
            self._readings.append(mv)
        else:
            self._readings[self._oldest] = mv
            self._oldest = (self._oldest + 1) % _READINGS
        if len(self._readings) >= _FEWEST:
            self._judge()

    def days_left(self):
        """Whole days until the daily means reach battery_depleted_mv; None while unknown or not falling."""
        return self._left

    def dump(self):
        """The daily means, for the journal: a flat list of ints."""
        return [n for day in self._days for n in day]

    def load(self, numbers):
        """Take back what dump() gave."""
        self._days = [(numbers[i], numbers[i + 1]) for i in range(0, len(numbers) - 1, 2)]
        self._forecast()

    def _judge(self):
        readings = self._readings
        self.mv = (sum(readings) - max(readings) - min(readings)) // (len(readings) - 2)
        board = self._board
        self._low_mv = self.mv <= board["battery_low_mv"] or (self._low_mv and self.mv < board["battery_low_clear_mv"])
        self.depleted = self.mv <= board["battery_depleted_mv"] or (self.depleted and self.mv < board["battery_depleted_clear_mv"])
        self.low = self._low_mv or self._soon or self.unread

    def _note_day(self, mv, elapsed_ms):
        if self._day is None or elapsed_ms >= self._day_end:
            if self._count:
                self._keep_day()
            self._day = elapsed_ms // DAY_MS
            self._day_end = (self._day + 1) * DAY_MS
            self._sum = self._count = 0
        self._sum += mv
        self._count += 1

    def _keep_day(self):
        mean = self._sum * _FINE // self._count
        if self._days and mean - self._days[-1][1] > _NEW_MV * _FINE:
            self._days = []
        self._days = [day for day in self._days if self._day - _KEPT_DAYS < day[0] < self._day]
        self._days.append((self._day, mean))
        self._forecast()

    def _forecast(self):
        self._left = days_until(self._days, self._board["battery_depleted_mv"] * _FINE)
        limit = _SOON_CLEAR_DAYS if self._soon else _SOON_DAYS
        self._soon = self._left is not None and self._left < limit
        self.low = self._low_mv or self._soon or self.unread


def is_possible(mv):
    """No battery of this kind has more; one that was taken out while something else feeds the processor has nothing."""
    return 0 <= mv <= _MOST_MV


def days_until(points, level):
    """Days from the last of [(day, value), ...] until the line of least squares is at `level`; None if it does not fall there."""
    n = len(points)
    if n < _FEWEST_DAYS:
        return None
    xs = [day - points[0][0] for day, _ in points]
    sum_x = sum(xs)
    sum_y = sum([value for _, value in points])
    spread = n * sum([x * x for x in xs]) - sum_x * sum_x
    fall = sum_x * sum_y - n * sum([x * value for x, (_, value) in zip(xs, points)])  # slope = -fall : spread
    if fall <= 0:
        return None
    above = (sum_y - n * level) * spread - fall * (n * xs[-1] - sum_x)  # n x spread x (line at the last day - level)
    return max(0, above // (n * fall))
