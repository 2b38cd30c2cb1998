"""The oracle: a second, independent reading of the requirements, in exact numbers.

It takes nothing from the firmware nor from the rest of the bench.

| module | what it says |
|---|---|
| `label` | the figures, each with its section |
| `program` | what a program is and what it delivers |
| `record` | what the rules look back on |
| `rules` `screening` `holiday` `line` `supplies` | what is refused, by which code and figure |
| `beginning` `advice` `force` | take-over and RUN; the advisory; how a program takes force, starts and stops |
| `caps` | the most and the least that a commit could have now |
| `therapy` | all of it as a state machine |
| `forecast` | when to refill |
| `curve` | steps due at any instant; it alone needs numpy, so it is imported by name |
"""

from .caps import Caps
from .forecast import Bridge, consumed_nl, lasts_ms, low_in_ms, refill_by_s
from .program import Bolus, Doses, Program, ProgramError, Segment, flat_day, flat_lines, program_hash, taper_lines
from .record import Record, Site
from .rules import Order
from .therapy import Therapy
from .verdict import Verdict

__all__ = [
    "Bolus",
    "Bridge",
    "Caps",
    "Doses",
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
    "taper_lines",
]
