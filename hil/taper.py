"""The taper of a drug holiday (R-HOL-1): from a dose to zero over 14 to 28 days, each day the same share of the day before.

    [holiday]
    from = "200 mcg/day"     the dose that is run now
    days = 14
    last = "10 mcg/day"      of the last day, after it nothing; 5 % of `from` if it is not given

Day i is `from` x (last / from) ^ (i / days), rounded up to a whole ng and never under 80 % of the day before, so no float takes
part and the rule holds to the ng.
"""

from __future__ import annotations

from collections.abc import Sequence

from hil.errors import InputError
from hil.quantity import whole
from hil.tables import as_int, as_table, inside, need, only_keys

LEAST_DAYS, MOST_DAYS = 14, 28
KEPT_PERCENT = 80  # of the day before
LAST_PERCENT = 5  # of the dose it starts from
MOST_LAST_PERCENT = 20  # more than this to nothing is no taper
HOLIDAY_KEYS = ("from", "days", "last")


def parse_holiday(value: object, where: str) -> tuple[int, ...]:
    """The doses of a `[holiday]` table, in ng, day 1 first."""
    table = as_table(value, where)
    only_keys(table, HOLIDAY_KEYS, where)
    start_ng = whole(need(table, "from", where), "day dose (ng)", inside(where, "from"))
    days = as_int(need(table, "days", where), inside(where, "days"), LEAST_DAYS, MOST_DAYS)
    if start_ng < 1:
        raise InputError(inside(where, "from"), "is nothing: a taper starts from the daily dose that is run now")
    last_ng = max(-(-start_ng * LAST_PERCENT // 100), geometric(start_ng, 1, days)[-1])
    if "last" in table:
        last_ng = whole(table["last"], "day dose (ng)", inside(where, "last"))
    _check_last(start_ng, last_ng, days, inside(where, "last"))
    return geometric(start_ng, last_ng, days)


def _check_last(start_ng: int, last_ng: int, days: int, where: str) -> None:
    if not 0 < last_ng * 100 <= start_ng * MOST_LAST_PERCENT:
        text = f"{last_ng} ng is no end of a taper from {start_ng} ng: it is above nothing and at most {MOST_LAST_PERCENT} % of `from`"
        raise InputError(where, f"{text} ({start_ng * MOST_LAST_PERCENT // 100} ng)")
    least_ng = geometric(start_ng, 1, days)[-1]
    if last_ng < least_ng:
        text = f"{last_ng} ng cannot be reached in {days} days without a day below {KEPT_PERCENT} % of the day before"
        raise InputError(where, f"{text}; at least {least_ng} ng, or more days (up to {MOST_DAYS})")


def geometric(start_ng: int, last_ng: int, days: int) -> tuple[int, ...]:
    """Doses of days 1 to `days`, falling evenly (in percent) from `start_ng`, as near to `last_ng` as 80 % a day allows."""
    doses: list[int] = []
    before = start_ng
    for day in range(1, days + 1):
        ideal = _root_up(start_ng ** (days - day) * last_ng**day, days)
        before = max(ideal, -(-before * KEPT_PERCENT // 100))
        doses.append(before)
    return tuple(doses)


def _root_up(value: int, degree: int) -> int:
    """The smallest whole number whose power is `value` or more."""
    low, high = 0, 1 << -(-value.bit_length() // degree)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if middle**degree < value else (low, middle)
    return high


def canonical_lines(doses: Sequence[int]) -> list[str]:
    return [f"taper.{day:02d}={dose}" for day, dose in enumerate(doses, 1)]
