"""When to refill (R-FIL-3), exactly.

Readings:
- "Less than 72 h left": until the usable volume is gone, at the program's own rates plus the allowance spread evenly over each 24 h.
- While bridging, the volume that leaves first holds the old drug; the forecast knows the bridge's volume, not what it may be by its bounds.
- A holiday's forecast follows its taper to the zero; what it never uses lasts for ever.
- The drug is good on its expiry date; the forecast's expiry is the midnight that ends it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from fractions import Fraction

from .program import DAY_MS, EPOCH_WEEKDAY_MS, HOUR_MS, WEEK_MS, Program

LEFT_MS = 72 * HOUR_MS
THRESHOLD_NL = 2_000_000


@dataclass(frozen=True)
class Bridge:
    """Old drug that still leaves first (R-CON-3)."""

    conc: int
    left_nl: int | Fraction


def due_ng(program: Program, local_ms: int, span_ms: int) -> Fraction:
    """Dose of a span from a local time (ms, 0 = a Monday; of a taper: its start), with the whole bolus allowance."""
    allowance_ng = Fraction((program.bolus.allowance_ng if program.bolus else 0) * span_ms, DAY_MS)
    return program.dose(local_ms, local_ms + span_ms) + allowance_ng


def consumed_nl(program: Program, local_ms: int, span_ms: int) -> Fraction:
    """Volume of that at the program's own concentration."""
    return due_ng(program, local_ms, span_ms) * 1000 / program.conc


def content_ng(program: Program, volume_nl: Fraction | int, bridge: Bridge | None = None) -> Fraction:
    """Dose in the next volume that leaves: while bridging that of the old drug."""
    old_nl = min(volume_nl, bridge.left_nl) if bridge else 0
    return Fraction(old_nl * (bridge.conc if bridge else 0) + (volume_nl - old_nl) * program.conc) / 1000


def lasts_ms(program: Program, local_ms: int, volume_nl: Fraction | int, bridge: Bridge | None = None) -> Fraction | None:
    """How long a volume lasts; None if the program never uses it."""
    if volume_nl <= 0:
        return Fraction(0)
    left_ng, span_ms = content_ng(program, volume_nl, bridge), 0
    if not program.taper:
        weekly_ng = due_ng(program, local_ms, WEEK_MS)
        if not weekly_ng:
            return None
        weeks = int(left_ng / weekly_ng)
        left_ng, span_ms = left_ng - weeks * weekly_ng, weeks * WEEK_MS
    while left_ng > 0:
        to_bend_ms = _to_bend(program, local_ms + span_ms)
        if to_bend_ms is None:
            return None
        used_ng = due_ng(program, local_ms + span_ms, to_bend_ms)
        if used_ng >= left_ng:
            return span_ms + to_bend_ms * left_ng / used_ng
        left_ng, span_ms = left_ng - used_ng, span_ms + to_bend_ms
    return Fraction(span_ms)


def _to_bend(program: Program, local_ms: int) -> int | None:
    """Time to the next segment of the week, or day of the taper; None after its zero."""
    index = program.segment_at(local_ms) + 1
    if program.taper:
        return index * DAY_MS - local_ms if index <= len(program.taper) else None
    end_ms = program.starts_ms[index] if index < len(program.starts_ms) else WEEK_MS
    return end_ms - local_ms % WEEK_MS


def low_in_ms(
    program: Program,
    local_ms: int,
    volume_nl: int,
    threshold_nl: int = THRESHOLD_NL,
    unusable_nl: int = 0,
    bridge: Bridge | None = None,
) -> Fraction | None:
    """When RESERVOIR_LOW comes on (R-ALM-2), from now; 0 = it is on; None = never."""
    to_threshold = lasts_ms(program, local_ms, volume_nl - threshold_nl, bridge)
    to_empty = lasts_ms(program, local_ms, volume_nl - unusable_nl, bridge)
    low_ms = [] if to_empty is None else [max(Fraction(0), to_empty - LEFT_MS)]
    return min(low_ms if to_threshold is None else [to_threshold, *low_ms], default=None)


def refill_by_s(
    program: Program,
    unix_s: int,
    offset_min: int,
    volume_nl: int,
    expiry: date | None = None,
    threshold_nl: int = THRESHOLD_NL,
    unusable_nl: int = 0,
    bridge: Bridge | None = None,
    into_ms: int = 0,
) -> int | None:
    """Unix time of the refill date: RESERVOIR_LOW or the expiry, whichever is earlier; None if neither ever comes.

    into_ms: time since the start of a taper.
    """
    local_ms = into_ms if program.taper else (unix_s + offset_min * 60) * 1000 + EPOCH_WEEKDAY_MS
    low_ms = low_in_ms(program, local_ms, volume_nl, threshold_nl, unusable_nl, bridge)
    dates = [] if low_ms is None else [unix_s + int(low_ms / 1000)]
    if expiry is not None:
        days = (expiry - date(1970, 1, 1)).days + 1
        dates.append(days * 86_400 - offset_min * 60)
    return min(dates, default=None)
