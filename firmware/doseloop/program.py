"""A program: what is delivered in each segment of the day or the week, parsed, checked, canonical, hashed.

A program is kept as its canonical lines `key=value`. Staging, commit, the journal and a restart all go through
`make_program(lines)` (taper.py), so what runs is exactly what was read back.
"""

import binascii
import hashlib

from doseloop import label
from doseloop.units import (
    DAY_MIN,
    DAYS,
    HOUR_MS,
    MINUTE_MS,
    WEEK_MIN,
    Ratio,
    Refusal,
    larger,
    mcg_text,
    parse_integer,
    parse_quantity,
    printable,
    smaller,
)

MAX_SEGMENTS = 24
_MAX_NAME = 32
_WEEK_MS = WEEK_MIN * MINUTE_MS
_MAX_DOSE_NG = 100_000_000

# What PROG:SET takes: key -> (unit, least, most). Sources: R-CON-1, R-BOL-1.
KEYS = {
    "conc": ("mcg/ml", 1, 10_000),
    "bolus_volume": ("nl", 1, 5_000_000),
    "bolus_time": ("s", 1, 900),  # one reservation of 15 min covers its basal: nothing is written while it moves
    "bolus_lockout": ("s", 0, 604_800),
    "bolus_allowance": ("ng", 1, _MAX_DOSE_NG),
}
_BOLUS_KEYS = ("bolus_volume", "bolus_time", "bolus_lockout", "bolus_allowance")


def parse_clock(text):
    """`19:30` as minutes after midnight, or Refusal ARG."""
    if len(text) == 5 and text[2] == ":":
        hours = parse_integer(text[:2], "from")
        minutes = parse_integer(text[3:], "from")
        if hours < 24 and minutes < 60:
            return hours * 60 + minutes
    raise Refusal("ARG", "from wants a time from 00:00 to 23:59, not %s" % printable(text))


def parse_name(text):
    """A program's name: 1 to 32 letters, digits, `-`, `_` or `.`."""
    if 0 < len(text) <= _MAX_NAME and not [c for c in text if not (c.isalpha() or c.isdigit() or c in "-_.")]:
        return text
    raise Refusal("ARG", "name wants 1 to %d letters, digits, - _ or ., not %s" % (_MAX_NAME, printable(text)))


class Staging:
    """A program being written over the wire; nothing of it runs before it is committed."""

    def __init__(self, name):
        self.values = {"name": parse_name(name)}

    def set(self, key, text):
        if key not in KEYS:
            raise Refusal("ARG", "unknown key %s; known: %s" % (printable(key), ", ".join(sorted(KEYS))))
        unit, least, most = KEYS[key]
        value = parse_quantity(text, unit, key)
        if not least <= value <= most:
            raise Refusal("ARG", "%s %d is outside %d to %d %s" % (key, value, least, most, unit))
        self.values[key] = str(value)

    def segment(self, day, start, dose):
        if day != "all" and day not in DAYS:
            raise Refusal("ARG", "day wants mon to sun or all, not %s" % printable(day))
        minute = parse_clock(start)
        dose_ng = parse_quantity(dose, "ng", "dose")
        if dose_ng > _MAX_DOSE_NG:
            raise Refusal("ARG", "dose %d is above %d ng" % (dose_ng, _MAX_DOSE_NG))
        key = "seg.%s.%02d:%02d" % (day, minute // 60, minute % 60)
        others = len([k for k in self.values if k.startswith("seg.%s." % day) and k != key])
        if others >= MAX_SEGMENTS:
            raise Refusal("ARG", "a day has at most %d segments" % MAX_SEGMENTS)
        self.values[key] = dose_ng

    def taper(self, day, dose):
        """Day 1 to 28 of a drug holiday (R-HOL-1)."""
        dose_ng = parse_quantity(dose, "ng", "dose")
        if dose_ng > _MAX_DOSE_NG:
            raise Refusal("ARG", "dose %d is above %d ng" % (dose_ng, _MAX_DOSE_NG))
        self.values["taper.%02d" % day] = str(dose_ng)

    def lines(self):
        """The canonical lines as staged, in no order."""
        return ["%s=%s" % item for item in self.values.items()]


class Program:
    """An immutable, checked program.

    lines: the canonical `key=value` lines, sorted; hash: first 16 hex digits of their SHA-256
    conc: mcg/mL; bolus: None or (volume_nl, time_s, lockout_s, allowance_ng)
    starts_min, doses_ng: the week's segments in order, start in minutes of the week, dose in ng
    high, low: R-DOSE-2, as exact Ratio of ng; daily: high plus the bolus allowance
    """

    is_taper = False

    def __init__(self, lines):
        self.lines = sorted(lines)
        self.hash = digest(self.lines)
        values = split_lines(self.lines)
        self.name = values.pop("name", "")
        self.conc = int(values.pop("conc", 0))
        if not self.conc:
            raise Refusal("MISSING", "conc is missing: PROG:SET conc=500mcg/ml")
        self.bolus = _take_bolus(values)
        self.day_sums = []
        self.starts_min = []
        self.doses_ng = []
        self._build_week(values)
        self._before = _running_sums(self.doses_ng)
        self._week_ng = sum(self.day_sums)
        self.high, self.low = self._extremes()
        self.daily = self.high.plus(self.bolus[3] if self.bolus else 0)

    def _build_week(self, values):
        days = {}
        while values:  # let go one by one: a full week's are 20 KB
            key, dose = values.popitem()
            _, day, start = key.split(".")
            days.setdefault(day, []).append((parse_clock(start), int(dose)))
        for number, day in enumerate(DAYS):
            segments = sorted(days.get(day) or days.get("all") or ())
            if not segments or segments[0][0] != 0:
                raise Refusal("MISSING", "%s has no segment from 00:00: PROG:SEG day=%s from=00:00 dose=..ng" % (day, day))
            self.day_sums.append(sum([dose for _, dose in segments]))
            for minute, dose in segments:
                self.starts_min.append(number * DAY_MIN + minute)
                self.doses_ng.append(dose)

    def sums(self):
        """What was worked out from the segments, as far as a dose depends on it."""
        return self.day_sums, self._before, self._week_ng

    def segment_index(self, week_min):
        """Index of the segment that holds this minute of the week."""
        low, high = 0, len(self.starts_min)
        while high - low > 1:
            middle = (low + high) // 2
            if self.starts_min[middle] <= week_min:
                low = middle
            else:
                high = middle
        return low

    def length_min(self, index):
        """Length of a segment in minutes; a segment ends where the next begins, the last with the week."""
        following = self.starts_min[index + 1] if index + 1 < len(self.starts_min) else WEEK_MIN
        return following - self.starts_min[index]

    def rate_at(self, week_ms):
        """(dose_ng, length_ms, left_ms) of the segment at this time of the week: evenly dose_ng in length_ms."""
        index = self.segment_index(week_ms // MINUTE_MS)
        length_ms = self.length_min(index) * MINUTE_MS
        return self.doses_ng[index], length_ms, self.starts_min[index] * MINUTE_MS + length_ms - week_ms

    def _dose_to(self, week_ms):
        """(whole ng, ng x ms, ms) delivered from Monday 00:00 to this time: whole + part/length."""
        index = self.segment_index(week_ms // MINUTE_MS)
        inside = week_ms - self.starts_min[index] * MINUTE_MS
        return self._before[index], self.doses_ng[index] * inside, self.length_min(index) * MINUTE_MS

    def dose_between(self, from_ms, span_ms):
        """Ratio of ng programmed from a time of the week over the next span_ms (any length)."""
        weeks, rest = divmod(from_ms + span_ms, _WEEK_MS)
        whole_b, part_b, length_b = self._dose_to(rest)
        whole_a, part_a, length_a = self._dose_to(from_ms)
        whole = whole_b - whole_a + weeks * self._week_ng
        if not part_a and not part_b:
            return Ratio(whole)
        return Ratio(whole * length_a * length_b + part_b * length_a - part_a * length_b, length_a * length_b)

    def piece_at(self, course_ms):
        """Number of the segment at a time of the week; the next week's are counted on."""
        weeks, rest = divmod(course_ms, _WEEK_MS)
        return weeks * len(self.starts_min) + self.segment_index(rest // MINUTE_MS)

    def piece(self, number):
        """(start_ms, length_ms, dose_ng, ng before it) of a segment, from Monday 00:00 of the first week."""
        weeks, index = divmod(number, len(self.starts_min))
        start_ms = weeks * _WEEK_MS + self.starts_min[index] * MINUTE_MS
        return start_ms, self.length_min(index) * MINUTE_MS, self.doses_ng[index], weeks * self._week_ng + self._before[index]

    def _extremes(self):
        """The largest and smallest dose of any 24 h: a window's dose is linear between those that begin or end at a segment."""
        day_ms = DAY_MIN * MINUTE_MS
        first = self.dose_between(0, day_ms)
        high = low = first
        if self._same_each_day():
            return first, first
        for start in self.starts_min:
            for begin in (start * MINUTE_MS, (start * MINUTE_MS - day_ms) % _WEEK_MS):
                dose = self.dose_between(begin, day_ms)
                high = larger(high, dose)
                low = smaller(low, dose)
        return high, low

    def _same_each_day(self):
        count = len(self.starts_min) // 7
        for i in range(count, len(self.starts_min)):
            if self.doses_ng[i] != self.doses_ng[i - count] or self.starts_min[i] - self.starts_min[i - count] != DAY_MIN:
                return False
        return True  # with one segment more or less, somewhere the distance is no day

    def is_flat(self):
        """True if every segment of the week has its day's mean rate to within the rounding of R-DOSE-1, and days are alike."""
        for index in range(len(self.starts_min)):
            exact = self.day_sums[0] * self.length_min(index)
            if abs(self.doses_ng[index] * DAY_MIN - exact) >= DAY_MIN:
                return False
        return min(self.day_sums) == max(self.day_sums)

    def segments(self):
        """(day, from_min, length_min, dose_ng, day_sum_ng) of each segment of the week."""
        for index in range(len(self.starts_min)):
            day = self.starts_min[index] // DAY_MIN
            yield day, self.starts_min[index] % DAY_MIN, self.length_min(index), self.doses_ng[index], self.day_sums[day]

    def lowest_rate(self):
        """(dose_ng, length_ms) of the lowest rate of the week, at least half the lowest day's mean (R-ALM-8)."""
        lowest = Ratio(min(self.day_sums), 2 * DAY_MIN)
        slowest = None
        for index in range(len(self.doses_ng)):
            rate = Ratio(self.doses_ng[index], self.length_min(index))
            slowest = rate if slowest is None else smaller(slowest, rate)
        rate = larger(lowest, slowest)
        return rate.num, rate.den * MINUTE_MS

    def basal_nl(self, span_ms, conc=None):
        """The most basal volume in nL, rounded up, that a span within one segment takes; conc: at the tip, if not its own."""
        conc = conc or self.conc
        most = 0
        for index in range(len(self.doses_ng)):
            most = max(most, -(-self.doses_ng[index] * span_ms // (self.length_min(index) * 60 * conc)))
        return most

    def fastest_nl_h(self):
        """The fastest basal segment in nL/h, rounded up, plus the bolus rate (R-BOL-3)."""
        fastest = self.basal_nl(HOUR_MS)
        if self.bolus:
            fastest += -(-self.bolus[0] * 3600 // self.bolus[1])
        return fastest


def check_bridge_rate(program, board_nl_h, old_conc):
    """Refusal HOUR_MAX if the board is too slow for the basal while the old, weaker drug is at the tip (R-CON-3); 0: no bridge."""
    fastest = program.basal_nl(HOUR_MS, old_conc) if old_conc else 0
    if fastest > board_nl_h:
        text = "%d nl/h over the board's %d while the line holds %d mcg/ml; less dose, or LINE:NEW part=both"
        raise Refusal("HOUR_MAX", text % (fastest, board_nl_h, old_conc))


def check_profile(program, board_nl_h, reservation_nl, old_conc=0):
    """Refusal HOUR_MAX or HOUR_MIN for a segment outside its limits (R-PRF-3, R-BOL-3). Equality passes.

    Nothing is written while a bolus moves, so the basal beside it must fit one reservation (reservation_nl).
    old_conc: what the line holds in a bridge, else 0.
    """
    fastest = program.fastest_nl_h()
    if fastest > board_nl_h:
        raise Refusal("HOUR_MAX", "%d nl/h over the board's %d; a longer bolus or less dose" % (fastest, board_nl_h))
    check_bridge_rate(program, board_nl_h, old_conc)
    if program.bolus and program.basal_nl(program.bolus[1] * 1000) > reservation_nl:
        text = "more than %d nl of basal fall into a bolus of %d s; a shorter bolus"
        raise Refusal("HOUR_MAX", text % (reservation_nl, program.bolus[1]))
    if program.is_taper:  # R-PRF-3 is not for a holiday; its own plan has its rules (R-HOL-1)
        return
    if not min(program.day_sums):
        raise Refusal("HOUR_MIN", "a day without dose is no program: STOP, or a drug holiday, label 2.6")
    for day, start, length, dose, day_sum in program.segments():
        share = 100 * dose * DAY_MIN
        if share > label.SEGMENT_MAX * day_sum * length:
            raise _segment_refusal("HOUR_MAX", day, start, dose, "over", label.SEGMENT_MAX)
        if share < label.SEGMENT_MIN * day_sum * length:
            raise _segment_refusal("HOUR_MIN", day, start, dose, "under", label.SEGMENT_MIN)


def needs_profile_confirmation(program):
    """True if a segment is above 120 % or below 80 % of its day's mean (R-PRF-3)."""
    for _, _, length, dose, day_sum in program.segments():
        share = 100 * dose * DAY_MIN
        if share > label.SEGMENT_CONFIRM_HIGH * day_sum * length or share < label.SEGMENT_CONFIRM_LOW * day_sum * length:
            return True
    return False


def _segment_refusal(code, day, start, dose, relation, percent):
    place = "%s %02d:%02d" % (DAYS[day], start // 60, start % 60)
    return Refusal(code, "%s mcg from %s is %s %d %% of the day's mean rate" % (mcg_text(dose), place, relation, percent))


def digest(lines):
    """A program's hash: first 16 hex digits of SHA-256 over its sorted lines."""
    whole, between = hashlib.sha256(), b""
    for line in lines:  # one by one: joined, a full week's would want 4 KB in one piece, twice
        whole.update(between)
        whole.update(line.encode())
        between = b"\n"
    return binascii.hexlify(whole.digest())[:16].decode()


def split_lines(lines):
    """{key: value} of canonical lines; Refusal ARG for a key given twice."""
    values = {}
    for line in lines:
        key, value = line.split("=", 1)
        if key in values:
            raise Refusal("ARG", "%s is given twice" % printable(key))
        values[key] = value
    return values


def _take_bolus(values):
    found = [key for key in _BOLUS_KEYS if key in values]
    if not found:
        return None
    if len(found) < len(_BOLUS_KEYS):
        raise Refusal("MISSING", "a bolus needs all of %s" % ", ".join(_BOLUS_KEYS))
    return tuple([int(values.pop(key)) for key in _BOLUS_KEYS])


def _running_sums(doses):
    total = 0
    sums = []
    for dose in doses:
        sums.append(total)
        total += dose
    return sums
