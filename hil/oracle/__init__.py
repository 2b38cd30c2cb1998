"""The oracle: a second, independent reading of the requirements, in Fractions.

It takes nothing from the firmware nor from the rest of the bench. `program` and `curve` say what dose is due when; `therapy`, with its
`record` and `rules`, what may be ordered and by which code it is refused; `forecast` when to refill. `label` holds the figures.
"""

from .curve import IdealCurve, week_ms, whole_steps
from .forecast import consumed_nl, lasts_ms, low_in_ms, refill_by_s
from .program import Bolus, Program, ProgramError, Segment, flat_day, flat_lines, program_hash
from .record import Record, Site
from .rules import Order
from .therapy import Therapy, Verdict

__all__ = [
    "Bolus",
    "IdealCurve",
    "Order",
    "Program",
    "ProgramError",
    "Record",
    "Segment",
    "Site",
    "Therapy",
    "Verdict",
    "consumed_nl",
    "flat_day",
    "flat_lines",
    "lasts_ms",
    "low_in_ms",
    "program_hash",
    "refill_by_s",
    "week_ms",
    "whole_steps",
]
