"""The line from head to tip: what it holds, the bridge from one concentration to the next, and what may be primed (R-CON-3, R-CON-4).

Volumes are nL, exact: a step may be a fraction of one. Readings:
- The line begins to hold what is in the reservoir as soon as anything moves while no bridge is on; test fluid counts as nothing.
- An import moves nothing, so the line holds nothing until something was pumped.
- A bridge is over with the step that takes the last of the dead volume; the rest of that step is new drug.
- A volume known by two bounds (power cut) counts with the bound that never raises the dose at the tip: after a change to a weaker
  drug the lower one, to a stronger one the upper.
- R-CON-4: the allowance is a volume; what a prime did not use may be primed later. A new part on record sets it to that part's dead
  volume, whatever was left.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING

from .verdict import Refusal

if TYPE_CHECKING:
    from .record import Line, Record, Site


def dead_nl(site: Site, part: str = "both") -> int:
    """Dead volume of a part of the line."""
    return {"tube": site.tube_nl, "catheter": site.catheter_nl}.get(part, site.tube_nl + site.catheter_nl)


# What happens to it


def refilled(r: Record, conc: int) -> Line:
    """Drug of this concentration is in the reservoir now: another than the line holds starts a bridge."""
    line = r.line
    if line.bridging or line.conc is None or line.conc == conc:
        return line
    return replace(line, left_nl=dead_nl(r.site))


def pumped(r: Record, volume_nl: int | Fraction, least_nl: int | Fraction | None = None) -> Line:
    """So much left the head; least_nl: the lower bound, where it is not known exactly."""
    line, new = r.line, r.supplies.conc if r.supplies.fluid == "drug" else None
    if not volume_nl:
        return line
    if not line.bridging:
        return replace(line, conc=new)
    weaker = line.conc is not None and new is not None and new < line.conc
    moved = least_nl if weaker and least_nl is not None else volume_nl
    left_nl = line.left_nl - moved
    return replace(line, left_nl=left_nl) if left_nl > 0 else replace(line, left_nl=0, conc=new)


def renewed(r: Record, part: str) -> Line:
    """A new tube, catheter, or both: with both the line holds nothing."""
    line = replace(r.line, prime_nl=dead_nl(r.site, part))
    return replace(line, conc=None, left_nl=0) if part == "both" else line


def new_part(r: Record, tube: str) -> str:
    """What a calibration with a tube of this name puts on record: the first one a whole line, another name a tube, the same nothing."""
    if not r.line.tube:
        return "both"
    return "" if tube == r.line.tube else "tube"


# What is refused


def renew_refusals(r: Record, part: str) -> Iterator[Refusal]:
    """LINE:NEW, and CAL:SET with another tube: stopped, nothing moves; while bridging only the whole line."""
    if r.running:
        yield "STATE", {}
    if r.line.bridging and part and part != "both":
        yield "BRIDGING", {}


def prime_refusals(r: Record, volume_nl: int) -> Iterator[Refusal]:
    """DOSE:PRIME: stopped, at most what is left of the dead volume of what is new."""
    checks = (
        ("STATE", r.running),
        ("UNCALIBRATED", not r.supplies.calibrated),
        ("PORT_OPEN", r.boluses.port_reads_open),
        ("BRIDGING", r.line.bridging),
    )
    yield from ((code, {}) for code, applies in checks if applies)
    if volume_nl > r.line.prime_nl:
        yield "PRIME_DONE", {"most": int(r.line.prime_nl)}
