"""A model of the concentration in the spinal fluid from the dose that was delivered (R-PK-1). A model, not a prediction for a person.

One compartment at the lumbar end, with the mean figures of the label's 12.3: what is delivered goes in, and the fluid clears it. The
cisternal level is a fixed share of the lumbar one. The label calls the variation between patients great, and so it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log

CLEARANCE_ML_H = 30.0  # label 12.3
HALF_LIFE_H = 1.51  # label 12.3
LUMBAR_TO_CISTERNAL = 4.0  # label 12.3, "about 4:1"
SEEN_H = (6.0, 8.0)  # label 12.2: the effect of an infusion is first seen so long after its start
FULL_H = (24.0, 48.0)  # label 12.2: and is at its most then
ELIMINATION_H = log(2) / HALF_LIFE_H  # a share of what is there, per hour
VOLUME_ML = CLEARANCE_ML_H / ELIMINATION_H  # what the two figures imply
INFUSION_H = SEEN_H[0]  # what lasts shorter than until an effect is seen is no infusion
PAUSE_H = 1.0  # a slow pump steps now and then; a longer pause ends an infusion
WASHED_OUT = 0.05  # of the level to come: with less left than this, delivery is a new start


@dataclass(frozen=True)
class CsfCurve:
    """Levels in ng/mL over seconds since the run's zero."""

    t_s: Sequence[float]
    programmed: Sequence[float]  # lumbar, had the program been delivered exactly
    lumbar: Sequence[float]
    starts_s: Sequence[float]  # an infusion began, with next to nothing in the fluid
    source: str  # what told the delivered dose
    before_ng_h: float = 0.0  # the rate of a therapy taken over, at whose level the curve begins

    @property
    def cisternal(self) -> list[float]:
        return [cisternal_of(level) for level in self.lumbar]


def steady_ng_ml(rate_ng_h: float) -> float:
    """Where the lumbar level comes to rest."""
    return rate_ng_h / CLEARANCE_ML_H


def cisternal_of(lumbar: float) -> float:
    return lumbar / LUMBAR_TO_CISTERNAL


def after(level: float, rate_ng_h: float, hours: float) -> float:
    """The lumbar level after so long at one rate; exact for a rate that does not change meanwhile."""
    rest = steady_ng_ml(rate_ng_h)
    return rest + (level - rest) * exp(-ELIMINATION_H * hours)


def levels(t_s: Sequence[float], dose_ng: Sequence[float], begin: float = 0.0) -> list[float]:
    """Lumbar ng/mL at each instant, from the dose delivered up to it; between two instants it came evenly, at one instant at once."""
    found = [begin] if t_s else []
    for i in range(1, len(t_s)):
        hours, dose = (t_s[i] - t_s[i - 1]) / 3600, max(0.0, dose_ng[i] - dose_ng[i - 1])
        found.append(after(found[-1], dose / hours, hours) if hours > 0 else found[-1] + dose / VOLUME_ML)
    return found


def starts(t_s: Sequence[float], dose_ng: Sequence[float], lumbar: Sequence[float]) -> list[float]:
    """When an infusion began on a fluid that was washed out: onset counts from there. A bolus is none: nothing follows it."""
    found: list[float] = []
    for first, last in _flows(t_s, dose_ng):
        hours = (t_s[last] - t_s[first]) / 3600
        if hours >= INFUSION_H and lumbar[first] <= WASHED_OUT * steady_ng_ml((dose_ng[last] - dose_ng[first]) / hours):
            found.append(t_s[first])
    return found


def _flows(t_s: Sequence[float], dose_ng: Sequence[float]) -> list[tuple[int, int]]:
    """First and last index of each stretch in which dose came without a pause of PAUSE_H."""
    found: list[tuple[int, int]] = []
    for i in range(1, len(t_s)):
        if dose_ng[i] <= dose_ng[i - 1]:
            continue
        if found and t_s[i - 1] - t_s[found[-1][1]] <= PAUSE_H * 3600:
            found[-1] = (found[-1][0], i)
        else:
            found.append((i - 1, i))
    return found


def curve(t_s: Sequence[float], programmed_ng: Sequence[float], delivered_ng: Sequence[float], source: str, before_ng_h: float) -> CsfCurve:
    """Both levels of a run; a therapy taken over had come to rest at its rate."""
    begin = steady_ng_ml(before_ng_h)
    lumbar = levels(t_s, delivered_ng, begin)
    return CsfCurve(t_s, levels(t_s, programmed_ng, begin), lumbar, starts(t_s, delivered_ng, lumbar), source, before_ng_h)
