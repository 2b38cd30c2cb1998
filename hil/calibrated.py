"""The valid range of a pump's calibration against the rates of a program or a run: outside it nobody measured the volume of a step.

The pump keeps the range (CAL:SET) and tells it (STAT? part=supplies); it refuses nothing for it: R-CAL-1 asks for a valid calibration, and
therapy that could safely run is not stopped (R-ALM-11). So the host says it, before a program is sent and in each run's report.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from hil.prescription import Program
from hil.pump import leading_int

NL_PER_NG = 1000  # over the concentration in mcg/mL
DAY_H = 24


@dataclass(frozen=True)
class Range:
    """From and to, in nL/h."""

    low: int
    high: int

    @property
    def text(self) -> str:
        return f"{_rate(self.low)} to {_rate(self.high)}"

    def warning(self, rates_nl_h: Iterable[float]) -> str:
        """What to say of these rates; nothing if all are inside. Equality passes, to the nL/h."""
        outside = sorted(rate for rate in rates_nl_h if rate > 0 and not self.low <= round(rate) <= self.high)
        if not outside:
            return ""
        rates = _rate(outside[0]) if outside[0] == outside[-1] else f"{_rate(outside[0])} to {_rate(outside[-1])}"
        return (
            f"the calibration is valid from {self.text}, and {rates} is outside: nobody measured the volume of a step there; weigh it"
            " (python -m hil metrology), or calibrate over these rates (python -m hil calibrate --rates)"
        )


def told_range(supplies: Mapping[str, str]) -> Range | None:
    """As the pump tells it; None: it has no calibration, or its firmware does not tell."""
    if supplies.get("calibrated") != "yes" or "rate_max" not in supplies:
        return None
    return Range(leading_int(supplies["rate_min"]), leading_int(supplies["rate_max"]))


def rates_nl_h(program: Program) -> list[float]:
    """Of each segment, of each day of a taper, and of a bolus."""
    per_ng = NL_PER_NG / program.conc_mcg_ml
    found = [day_ng * per_ng / DAY_H for day_ng in program.taper]
    for segments in program.days.values():
        ends = [start for start, _ in segments[1:]] + [DAY_H * 60]
        found += [60 * dose_ng * per_ng / (end - start) for (start, dose_ng), end in zip(segments, ends, strict=True)]
    if program.bolus:
        found.append(program.bolus.volume_nl * 3600 / program.bolus.time_s)
    return found


def _rate(nl_h: float) -> str:
    return f"{nl_h / 1000:.4g} uL/h" if nl_h < 1e6 else f"{nl_h / 1e6:.4g} mL/h"
