"""A drug holiday: a taper to zero over 14 to 28 days of 24 h from its start (R-HOL-1, label 2.6).

It stands where a Program stands, with the same questions answered, but follows elapsed time since its start, not the
clock. Its time ("course") is ms since the start; a program's is ms since Monday 00:00.
"""

from doseloop import label
from doseloop.program import Program, digest, split_lines
from doseloop.units import DAY_MS, HOUR_MS, Ratio, Refusal, mcg_text


def make_program(lines):
    """A Program or a Taper, by its canonical lines."""
    for line in lines:
        if line.startswith("taper."):
            return Taper(lines)
    return Program(lines)


class Taper:
    """days_ng: dose of each day of 24 h; start: elapsed ms at which it came into force, None before; left: at which another program did."""

    bolus = None
    starts_min = ()
    is_taper = True

    def __init__(self, lines):
        self.lines = sorted(lines)
        self.hash = digest(self.lines)
        values = split_lines(self.lines)
        self.name = values.pop("name", "")
        self.conc = int(values.pop("conc", 0))
        if not self.conc:
            raise Refusal("MISSING", "conc is missing: PROG:SET conc=500mcg/ml")
        self.days_ng = _take_days(values)
        self.start = None
        self.left = None
        self.high = self.low = self.daily = Ratio(self.days_ng[0])

    def day_at(self, elapsed):
        """Which day of 24 h this time falls into, from 0; it stays the day at which the taper was left."""
        if self.start is None:
            return 0
        return ((elapsed if self.left is None else min(elapsed, self.left)) - self.start) // DAY_MS

    def day_ng(self, day):
        return self.days_ng[day] if 0 <= day < len(self.days_ng) else 0

    def dose_at(self, elapsed):
        """ng of the day of 24 h at this time; 0 once the taper is over."""
        return self.day_ng(self.day_at(elapsed))

    def is_over(self, elapsed):
        return self.day_at(elapsed) >= len(self.days_ng)

    def rate_at(self, course_ms):
        """(dose_ng, length_ms, left_ms): evenly dose_ng in length_ms, for the next left_ms."""
        day = course_ms // DAY_MS
        dose = self.days_ng[day] if day < len(self.days_ng) else 0
        return dose, DAY_MS, DAY_MS - course_ms % DAY_MS

    def _dose_to(self, course_ms):
        """ng x DAY_MS delivered from the start to this time."""
        day, inside = divmod(max(0, course_ms), DAY_MS)
        whole = sum(self.days_ng[:day]) * DAY_MS
        return whole + self.days_ng[day] * inside if day < len(self.days_ng) else whole

    def dose_between(self, from_ms, span_ms):
        """Ratio of ng programmed from a time of the course over the next span_ms."""
        return Ratio(self._dose_to(from_ms + span_ms) - self._dose_to(from_ms), DAY_MS)

    def piece_at(self, course_ms):
        """Number of the day of 24 h at a time of the course."""
        return course_ms // DAY_MS

    def piece(self, number):
        """(start_ms, length_ms, dose_ng, ng before it) of a day of 24 h, from the start."""
        return number * DAY_MS, DAY_MS, self.day_ng(number), sum(self.days_ng[:number])

    def is_flat(self):
        return False

    def basal_nl(self, span_ms, conc=None):
        """The most basal volume in nL, rounded up, that a span takes; conc: at the tip, if not its own."""
        return -(-self.days_ng[0] * 1000 * span_ms // (DAY_MS * (conc or self.conc)))

    def fastest_nl_h(self):
        return self.basal_nl(HOUR_MS)

    def check_plan(self):
        """Refusal HOLIDAY for a plan that is no taper of 14 to 28 days in steps of at most 20 % (R-HOL-1)."""
        days = self.days_ng
        if not label.HOLIDAY_DAYS_LEAST <= len(days) <= label.HOLIDAY_DAYS_MOST:
            text = "a taper of %d days; it takes %d to %d, label 2.6"
            raise Refusal("HOLIDAY", text % (len(days), label.HOLIDAY_DAYS_LEAST, label.HOLIDAY_DAYS_MOST))
        for i in range(len(days)):
            before = days[i - 1] if i else days[0]
            if not days[i]:
                raise Refusal("HOLIDAY", "day %d has no dose; zero follows the last day by itself" % (i + 1))
            if days[i] > before:
                raise Refusal("HOLIDAY", "day %d rises to %s mcg; a taper only falls" % (i + 1, mcg_text(days[i])))
            least = -(-before * label.DECREASE_KEEPS_PERCENT // 100)
            if days[i] < least and i + 1 < len(days):
                text = "day %d: %s under %s mcg, 20 %% less than the day before, label 2.6"
                raise Refusal("HOLIDAY", text % (i + 1, mcg_text(days[i]), mcg_text(least)), [("least", "%dng" % least)])

    def flat_lines_at(self, elapsed):
        """Lines of the flat program that holds the dose of the present day, by hours (R-DOSE-1)."""
        dose = self.dose_at(elapsed)
        lines = ["name=%s" % self.name, "conc=%d" % self.conc]
        for hour in range(24):
            lines.append("seg.all.%02d:00=%d" % (hour, (hour + 1) * dose // 24 - hour * dose // 24))
        return lines


def _take_days(values):
    days = []
    while "taper.%02d" % (len(days) + 1) in values:
        days.append(int(values.pop("taper.%02d" % (len(days) + 1))))
    for key in sorted(values):
        if key.startswith("taper."):
            raise Refusal("MISSING", "day %d of the taper is missing: PROG:TAPER day=%d dose=..ng" % (len(days) + 1, len(days) + 1))
        raise Refusal("ARG", "a taper has no %s: only name, conc and days" % key)
    return days
