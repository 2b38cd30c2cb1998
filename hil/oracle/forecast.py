"""When to refill (R-FIL-3), exactly.

Readings:
- "Less than 72 h left": until the usable volume is gone, at the program's own rates plus the allowance spread evenly over each 24 h.
- The drug is good on its expiry date; the forecast's expiry is the midnight that ends it.
"""

from __future__ import annotations

from datetime import date
from fractions import Fraction

from .program import DAY_MS, HOUR_MS, WEEK_MS, Program

LEFT_MS = 72 * HOUR_MS
THRESHOLD_NL = 2_000_000
THURSDAY_MS = 3 * DAY_MS  # 1970-01-01 on a week that starts on Monday


def consumed_nl(program: Program, local_ms: int, span_ms: int) -> Fraction:
    """Volume that leaves in a span from a local time (ms, 0 = a Monday), with the whole bolus allowance."""
    allowance_ng = Fraction((program.bolus.allowance_ng if program.bolus else 0) * span_ms, DAY_MS)
    return (program.dose(local_ms, local_ms + span_ms) + allowance_ng) * 1000 / program.conc


def lasts_ms(program: Program, local_ms: int, volume_nl: Fraction | int) -> Fraction | None:
    """How long a volume lasts; None if the program never uses it."""
    if volume_nl <= 0:
        return Fraction(0)
    weekly_nl = consumed_nl(program, local_ms, WEEK_MS)
    if not weekly_nl:
        return None
    weeks = int(volume_nl / weekly_nl)
    left_nl, span_ms = volume_nl - weeks * weekly_nl, weeks * WEEK_MS
    while left_nl > 0:
        to_bend_ms = _to_bend(program, local_ms + span_ms)
        used_nl = consumed_nl(program, local_ms + span_ms, to_bend_ms)
        if used_nl >= left_nl:
            return span_ms + to_bend_ms * left_nl / used_nl
        left_nl, span_ms = left_nl - used_nl, span_ms + to_bend_ms
    return Fraction(span_ms)


def _to_bend(program: Program, local_ms: int) -> int:
    """Time to the next segment of the week."""
    index = program.segment_at(local_ms) + 1
    end_ms = program.starts_ms[index] if index < len(program.starts_ms) else WEEK_MS
    return end_ms - local_ms % WEEK_MS


def low_in_ms(program: Program, local_ms: int, volume_nl: int, threshold_nl: int = THRESHOLD_NL, unusable_nl: int = 0) -> Fraction | None:
    """When RESERVOIR_LOW comes on (R-ALM-2), from now; 0 = it is on; None = never."""
    to_threshold = lasts_ms(program, local_ms, volume_nl - threshold_nl)
    to_empty = lasts_ms(program, local_ms, volume_nl - unusable_nl)
    if to_threshold is None or to_empty is None:
        return None
    return min(to_threshold, max(Fraction(0), to_empty - LEFT_MS))


def refill_by_s(
    program: Program,
    unix_s: int,
    offset_min: int,
    volume_nl: int,
    expiry: date | None = None,
    threshold_nl: int = THRESHOLD_NL,
    unusable_nl: int = 0,
) -> int | None:
    """Unix time of the refill date: RESERVOIR_LOW or the expiry, whichever is earlier; None if neither ever comes."""
    local_s = unix_s + offset_min * 60
    low_ms = low_in_ms(program, local_s * 1000 + THURSDAY_MS, volume_nl, threshold_nl, unusable_nl)
    dates = [] if low_ms is None else [unix_s + int(low_ms / 1000)]
    if expiry is not None:
        days = (expiry - date(1970, 1, 1)).days + 1
        dates.append(days * 86_400 - offset_min * 60)
    return min(dates, default=None)
