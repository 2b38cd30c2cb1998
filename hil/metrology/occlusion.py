"""The valve behind the head is closed: when did the pump say so, and what came when it was opened again."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

from hil.metrology.blank import Blank
from hil.metrology.figure import Contribution, Figure, not_measured
from hil.metrology.volume import Conditions

Weight = tuple[float, float]  # seconds, grams


@dataclass(frozen=True)
class OcclusionLimits:
    """alarm_s: R-ALM-5 finds commanded motion without motion within 15 min; bolus_nl: (project)."""

    alarm_s: float | None = 900.0  # None: nothing is promised, the time is only noted
    bolus_nl: float = 100_000.0


@dataclass(frozen=True)
class OcclusionResult:
    """Both figures, and the alarm's name."""

    name: str
    alarm: str
    time: Figure
    bolus: Figure
    notes: tuple[str, ...] = ()

    @property
    def figures(self) -> list[Figure]:
        return [self.time, self.bolus]


def judge(
    name: str, alarm: str, alarm_after_s: float | None, asked_every_s: float, before: Weight | None, after: Weight | None,
    blank: Blank, conditions: Conditions, limits: OcclusionLimits | None = None, waited_s: float = 0.0, notes: tuple[str, ...] = (),
) -> OcclusionResult:  # fmt: skip
    """before and after: (seconds, grams) around the opening, with the pump stopped. No alarm within waited_s: so it is said, and fails."""
    limits = limits or OcclusionLimits()
    time = _time(name, alarm, alarm_after_s, asked_every_s, limits, waited_s)
    named = f"{name}: bolus released when the valve opens"
    if before is None or after is None:
        return OcclusionResult(name, alarm, time, not_measured(named, "uL", "the balance did not answer"), notes)
    span_s = after[0] - before[0]
    value = (after[1] - before[1] + blank.lost_g(span_s)) * conditions.nl_per_g / 1000
    to_ul = conditions.nl_per_g / 1000
    budget = (
        Contribution("repeatability, resolution, drift", blank.noise.difference_g(span_s) * to_ul, "two readings"),
        Contribution("evaporation", blank.u_lost_g(span_s) * to_ul, f"{blank.loss_g_h * 1e3:.3g} mg/h"),
        Contribution("Z", abs(value) * conditions.u_z, "temperature, pressure, formula"),
    )
    return OcclusionResult(name, alarm, time, Figure(named, value, "uL", budget, None, limits.bolus_nl / 1000, "project"), notes)


def _time(name: str, alarm: str, after_s: float | None, every_s: float, limits: OcclusionLimits, waited_s: float) -> Figure:
    """Seen at a question: it came on in the interval before it, rectangular; the middle is the value."""
    named = f"{name}: time from closing to alarm"
    most_s = limits.alarm_s
    if after_s is None and most_s is not None and waited_s <= most_s:
        return not_measured(named, "min", f"it was waited for {waited_s / 60:.0f} min only")
    most = None if most_s is None else most_s / 60
    if after_s is None:
        why = "no alarm came while it was waited for: a pump without a pressure sensor whose head slips cannot know"
        return Figure(f"{named} (none came)", waited_s / 60, "min", (), None, most, why)
    budget = (Contribution("question interval", every_s / 60 / sqrt(12), f"asked every {every_s:g} s, rectangular"),)
    return Figure(f"{named} ({alarm})", (after_s - every_s / 2) / 60, "min", budget, None, most, "R-ALM-5")
