"""The oracle: a second, independent reading of the requirements, in Fractions.

It takes nothing from the firmware nor from the rest of the bench. `program` and `curve` say what dose is due when, `therapy`
what may be ordered and what is refused by which code, `forecast` when to refill.
"""

from .curve import IdealCurve, week_ms, whole_steps
from .program import Bolus, Program, ProgramError, Segment, flat_day, flat_lines, program_hash

__all__ = [
    "Bolus",
    "IdealCurve",
    "Program",
    "ProgramError",
    "Segment",
    "flat_day",
    "flat_lines",
    "program_hash",
    "week_ms",
    "whole_steps",
]
