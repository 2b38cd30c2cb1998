"""Two clocks: elapsed time, on which every wait and window runs, and the wall clock, which only shows the time of day.

Elapsed time is kept in the journal and never set. Setting the wall clock changes no wait (R-TIM-1).
"""

from doseloop.hal import TICKS_MASK, ticks_diff
from doseloop.units import DAY_MS, MINUTE_MS, SECOND_MS, WEEK_MIN, date_of_unix_days

_WEEK_MS = WEEK_MIN * MINUTE_MS
_APART_MS = 15 * SECOND_MS  # project: between two looks a minute apart; more than a lease, and a kept clock tells whole seconds
_THURSDAY_MS = 3 * DAY_MS  # 1970-01-01 was a Thursday; weeks here begin on Monday


class Clock:
    """elapsed: ms since the journal began. wall: known or not; local time = unix + offset."""

    def __init__(self, hal):
        self._hal = hal
        self.ticks = hal.ticks_ms()
        self.elapsed = 0
        self.offset_min = 0
        self._unix_at_zero_ms = None  # wall clock minus elapsed, None while the wall clock is unset
        self._seen = None  # (unix s of the kept clock, elapsed ms) at the last look

    def begin(self, last_elapsed, last_wall_ms, offset_min):
        """Go on from what was written last; returns the outage in ms, or None if no kept clock proves it.

        last_wall_ms: the wall clock then, None if it was unset. The kept clock tells whole seconds, so up to one of an outage is
        not proven and not counted: no row of power cuts makes a wait shorter (R-TIM-1).
        """
        self.offset_min = offset_min
        self.ticks = self._hal.ticks_ms()
        kept_s = self._hal.rtc()
        outage_ms = None
        if kept_s is not None and last_wall_ms is not None and kept_s * SECOND_MS > last_wall_ms - SECOND_MS:
            outage_ms = max(0, kept_s * SECOND_MS - last_wall_ms)
        self.elapsed = last_elapsed + (outage_ms or 0)
        if kept_s is not None and (outage_ms is not None or last_wall_ms is None):
            self._unix_at_zero_ms = kept_s * SECOND_MS - self.elapsed  # one that shows less than was recorded has stood still
        return outage_ms

    def update(self):
        """Read the ticks; returns the elapsed time in ms. At least every 6 days, or the wrap is missed."""
        now = self._hal.ticks_ms() & TICKS_MASK
        step = ticks_diff(now, self.ticks)
        if step:
            self.elapsed += max(0, step)  # ticks that went back are no time; the dosing chain notices (LATE)
            self.ticks = now
        return self.elapsed

    def set_wall(self, unix_s, offset_min):
        """Set the wall clock; no elapsed time changes. The kept clock follows by keep()."""
        self._unix_at_zero_ms = unix_s * SECOND_MS - self.elapsed
        self.offset_min = offset_min
        self._seen = None

    def keep(self):
        """Set the kept clock, and the wall clock by it to the ms: a restart goes by their difference."""
        self.update()
        unix_s = self.unix_s()
        self.set_wall(unix_s, self.offset_min)
        self._hal.rtc_set(unix_s)

    def is_set(self):
        return self._unix_at_zero_ms is not None

    def compare(self):
        """Ticks and kept clock must have gone on alike since the last look, or one of them stands or jumps: then nobody can tell which
        is right, and the time of day is unknown until somebody sets it (R-ALM-8).
        """
        kept_s = self._hal.rtc()
        seen, self._seen = self._seen, (kept_s, self.elapsed)
        if self.is_set() and kept_s is not None and seen and seen[0] is not None:
            if abs((kept_s - seen[0]) * SECOND_MS - (self.elapsed - seen[1])) > _APART_MS:
                self._unix_at_zero_ms = None

    def keeps(self):
        """The kept clock is there."""
        return self._hal.rtc() is not None

    def zero_ms(self):
        """Unix ms at elapsed 0, None while unset: with it a restart tells the wall clock of a record to the ms."""
        return self._unix_at_zero_ms

    def unix_s(self):
        """Unix seconds now, 0 while unset."""
        return 0 if self._unix_at_zero_ms is None else (self._unix_at_zero_ms + self.elapsed) // SECOND_MS

    def unix_s_at(self, elapsed):
        """Unix seconds at an elapsed time, 0 while unset."""
        return 0 if self._unix_at_zero_ms is None else (self._unix_at_zero_ms + elapsed) // SECOND_MS

    def week_ms(self, elapsed):
        """Local time of the week in ms (Monday 00:00 is 0) at an elapsed time; needs a set clock."""
        return (self._unix_at_zero_ms + elapsed + self.offset_min * MINUTE_MS + _THURSDAY_MS) % _WEEK_MS

    def local_day(self, elapsed):
        """Number of the local day, counted from 1970-01-01; needs a set clock."""
        return (self._unix_at_zero_ms + elapsed + self.offset_min * MINUTE_MS) // DAY_MS

    def today(self):
        """Local date (year, month, day); needs a set clock."""
        return date_of_unix_days(self.local_day(self.elapsed))
