"""Quantities with their units, exact conversions, calendar dates, and the one exception that refuses.

Inside the firmware a dose is integer ng, a volume integer nL, a time integer ms, motion integer steps and a
concentration integer mcg/mL (which is the same number in ng/uL). No float takes part (R-UNIT-1).
"""

import gc

try:
    from micropython import const
except ImportError:  # CPython

    def const(value):
        return value


def collect_garbage():
    """On a board: what goes is let go now, so that large blocks stay free. CPython needs it not, and takes long for it."""
    if hasattr(gc, "mem_free"):
        gc.collect()


SECOND_MS = const(1000)
MINUTE_MS = const(60_000)
HOUR_MS = const(3_600_000)
DAY_MS = const(86_400_000)
DAY_MIN = const(1440)
WEEK_MIN = const(10080)
NG_PER_MCG = const(1000)

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_MAX_DIGITS = const(15)
_DAYS_IN_MONTH = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


class Refusal(Exception):
    """A request that is not carried out: a stable code, a sentence for a person, and fields for a program.

    Whoever raises it has changed nothing (R-UNIT-3).
    """

    def __init__(self, code, text, fields=()):
        super().__init__(code)
        self.code = code
        self.text = text
        self.fields = fields


def parse_integer(text, name, signed=False):
    """The integer written in `text`, or Refusal ARG naming the field."""
    digits = text[1:] if signed and text[:1] == "-" else text
    if not digits or len(digits) > _MAX_DIGITS or not _only_digits(digits):
        raise Refusal("ARG", "%s wants a whole number, not %s" % (name, printable(text)))
    return int(text)


def _only_digits(text):
    return not text.strip("0123456789")


def parse_quantity(text, unit, name="value", signed=False):
    """The integer of `text`, which must end in exactly `unit` (R-UNIT-2).

    A bare number, another unit or `mg` is Refusal UNIT; a malformed number with the right unit too.
    """
    number = text[: len(text) - len(unit)]
    digits = number[1:] if signed and number[:1] == "-" else number
    if text[len(number) :] != unit or not digits or len(digits) > _MAX_DIGITS or not _only_digits(digits):
        raise Refusal("UNIT", "%s wants a whole number of %s, like 100%s, not %s" % (name, unit, unit, printable(text)))
    return int(number)


def printable(text):
    """What a person sent, short and safe to send back inside quotes."""
    out = ""
    for c in text[:24]:
        out += c if " " <= c <= "~" and c not in '">' else "?"
    return out or "nothing"


def nl_of_steps(steps, steps_per_ml):
    """Volume in whole nL of `steps`, rounded down."""
    return steps * 1_000_000 // steps_per_ml


def steps_of_nl(volume_nl, steps_per_ml):
    """Whole steps that fit in `volume_nl`."""
    return volume_nl * steps_per_ml // 1_000_000


def ng_of_nl(volume_nl, conc_mcg_ml):
    """Dose in whole ng in `volume_nl`, rounded down (1 mcg/mL is 1 ng/uL)."""
    return volume_nl * conc_mcg_ml // 1000


def mcg_text(dose_ng):
    """`131` or `130.5` for 131,000 or 130,500 ng: mcg with as many decimals as it needs."""
    whole, rest = divmod(dose_ng, NG_PER_MCG)
    return ("%d.%03d" % (whole, rest)).rstrip("0").rstrip(".")


def span_text(span_ms):
    """A wait for a person: `3 h 12 min`, `45 s`; rounded up, so that waiting that long suffices."""
    seconds = -(-span_ms // SECOND_MS)
    if seconds < 60:
        return "%d s" % seconds
    minutes = -(-seconds // 60)
    if minutes < 60:
        return "%d min" % minutes
    return "%d h %d min" % (minutes // 60, minutes % 60)


def is_leap(year):
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def days_in_month(year, month):
    return 29 if month == 2 and is_leap(year) else _DAYS_IN_MONTH[month - 1]


def parse_date(text, name="date"):
    """`2027-05-01` as (year, month, day), or Refusal ARG."""
    parts = text.split("-")
    if [len(p) for p in parts] == [4, 2, 2] and _only_digits("".join(parts)):
        year, month, day = [int(p) for p in parts]
        if year >= 1900 and 1 <= month <= 12 and 1 <= day <= days_in_month(year, month):
            return (year, month, day)
    raise Refusal("ARG", "%s wants a date like 2027-05-01, not %s" % (name, printable(text)))


def unix_days(date):
    """Days from 1970-01-01 to `date` (year, month, day), by the civil calendar."""
    year, month, day = date
    if month <= 2:
        year -= 1
        month += 12
    return 365 * year + year // 4 - year // 100 + year // 400 + (153 * (month - 3) + 2) // 5 + day - 719469


def date_of_unix_days(days):
    """(year, month, day) of a day number counted from 1970-01-01; the inverse of unix_days."""
    year = 1970 + days // 366
    while unix_days((year + 1, 1, 1)) <= days:
        year += 1
    month = 12
    while unix_days((year, month, 1)) > days:
        month -= 1
    return (year, month, days - unix_days((year, month, 1)) + 1)


def age_years(birth, today):
    """Whole years of age on `today`; a birthday counts as the new age (R-POP-1)."""
    return today[0] - birth[0] - ((today[1], today[2]) < (birth[1], birth[2]))


class Ratio:
    """A non-negative rational num/den that only compares and adds: percentages never round (R-DOSE-1)."""

    def __init__(self, num, den=1):
        self.num = num
        self.den = den

    def plus(self, whole):
        """This plus a whole number."""
        return Ratio(self.num + whole * self.den, self.den)

    def at_most(self, percent, other):
        """True if 100 x self <= percent x other, by cross-multiplication."""
        return 100 * self.num * other.den <= percent * other.num * self.den

    def __lt__(self, other):
        return self.num * other.den < other.num * self.den

    def __le__(self, other):
        return self.num * other.den <= other.num * self.den

    def same(self, other):
        return self.num * other.den == other.num * self.den

    def ceil(self):
        return -(-self.num // self.den)

    def floor(self):
        return self.num // self.den


def larger(a, b):
    return b if a < b else a


def smaller(a, b):
    return a if a < b else b
