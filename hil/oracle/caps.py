"""What a commit could have now: the figures of `STAT? part=caps`.

Readings:
- `most` is the largest flat dose in whole ng that an attended and confirmed commit could have by NOT_SCREENED (0), DAILY_MAX, START_CAP,
  FIRST_24H, TOO_SOON, NO_REFILL, STEP_CAP of the increase and R-WDR-1; profile, window and board are left out, and so is `least`.
- `least` is the smallest that the decrease rule leaves without OVERDOSE: a fifth below the highest in force in the last 24 h, the dose
  before an increase of the last 24 h, or the one last run, whichever is lowest; 0 where the rule does not hold.
- `wait` is the longer of FIRST_24H and TOO_SOON, also where a return would be free of TOO_SOON; 0 where no increase is measured.
- `why` is the code that forbids one ng more than the program last run, the first in the order; a right to return aside, which `return`
  shows. While no program may be committed, `least` is 0.
- Without a clock a child counts as under 12.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import label, rules
from .program import Doses
from .record import Record
from .verdict import ceil_ng, floor_ng, percent_of

if TYPE_CHECKING:
    from .program import Ng

NOTHING = Doses(0, 0, 0)


@dataclass(frozen=True)
class Caps:
    """All of it in ng, ms and s; exact where a dose is no whole ng."""

    most_ng: int
    least_ng: int
    wait_ms: int
    why: str  # a code, or none
    return_ng: int
    top_daily: Ng  # highest in force in the last 24 h
    top_high: Ng
    top_low: Ng
    before_daily: Ng  # before an increase of the last 24 h; 0 = none
    before_high: Ng
    before_low: Ng
    licence_ms: int | None  # how long a refill still licenses an increase; None = none does
    idle_ms: int
    started: Ng


def caps(r: Record, at_ms: int) -> Caps:
    """The caps at an elapsed time."""
    recent, before, licence = r.recent(at_ms), r.before(at_ms) or NOTHING, r.licence(at_ms)
    return Caps(
        most_ng=min(_limits(r, at_ms, r.return_to(at_ms)).values()),
        least_ng=least_ng(r, at_ms),
        wait_ms=wait_ms(r, at_ms),
        why=_why(r, at_ms),
        return_ng=floor_ng(r.return_to(at_ms)),
        top_daily=max((one.daily for one in recent), default=0),
        top_high=max((one.high for one in recent), default=0),
        top_low=max((one.low for one in recent), default=0),
        before_daily=before.daily,
        before_high=before.high,
        before_low=before.low,
        licence_ms=None if licence is None else licence.at_ms + label.LICENCE_MS - at_ms,
        idle_ms=r.idle_ms(at_ms),
        started=r.course.started,
    )


def _limits(r: Record, at_ms: int, right: Ng) -> dict[str, int]:
    """The most in whole ng by each code that sets one, with a right to return to a dose."""
    if r.phase in rules.UNTREATED:
        return {"NOT_SCREENED": 0}
    found = {"DAILY_MAX": label.daily_max_ng(r.patient.population, r.age(at_ms))}
    cap = rules.start_cap(r, at_ms)
    if cap is not None:
        found["START_CAP"] = floor_ng(cap)
    base = r.doses(at_ms)
    return found if base is None or r.over(at_ms) else {**found, **_step_limits(r, at_ms, base, right)}


def _step_limits(r: Record, at_ms: int, base: Doses, right: Ng) -> dict[str, int]:
    """The same by the rules that measure from the program last run."""
    last_ng, right_ng = floor_ng(base.daily), floor_ng(right)
    found = {"STEP_CAP": max(floor_ng(percent_of(100 + rules.step_percent(r), base.daily)), right_ng)}
    for code, _ in rules.waits(r, at_ms):
        found[code] = last_ng if code == "FIRST_24H" else max(last_ng, right_ng)
    if r.phase == "maintenance" and r.licence(at_ms) is None:
        found["NO_REFILL"] = max(last_ng, right_ng)
    return found


def _why(r: Record, at_ms: int) -> str:
    base = r.doses(at_ms) or NOTHING
    forbidding = [code for code, most_ng in _limits(r, at_ms, 0).items() if most_ng <= base.daily]
    return min(forbidding, key=lambda code: label.RANK[code], default="none")


def wait_ms(r: Record, at_ms: int) -> int:
    """Time until an increase could be accepted, as far as time alone decides."""
    if r.phase in rules.UNTREATED or r.doses(at_ms) is None or r.over(at_ms):
        return 0
    return max((figures["wait"] for _, figures in rules.waits(r, at_ms)), default=0)


def least_ng(r: Record, at_ms: int) -> int:
    """The least that the decrease rule leaves."""
    base, recent, before = r.doses(at_ms), r.recent(at_ms), r.before(at_ms)
    if base is None or not recent or r.phase in rules.UNTREATED or r.over(at_ms) or r.long_idle(at_ms):
        return 0
    kept = 100 - label.DECREASE_PERCENT
    allowed = [percent_of(kept, max(one.daily for one in recent)), base.daily] + ([before.daily] if before else [])
    return min(ceil_ng(dose) for dose in allowed)
