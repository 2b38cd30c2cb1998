"""What a pump says of its therapy, and the oracle's record made of it, so that the host can judge by itself.

Taken as the pump tells it: the history (`STAT?` and its parts therapy, caps, supplies). Judged anew from it: everything else.
A program of which only sums are known is stood in for by a week that has these sums.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from fractions import Fraction
from math import ceil, floor

from hil.errors import Refused
from hil.link import Link
from hil.oracle import label
from hil.oracle.program import DAY_MS, Doses, Program
from hil.oracle.record import Basal, Clock, Course, InForce, Patient, Record, Refill, Site, Stretch, Supplies, Trial
from hil.pump import leading_int

NOW_MS = 4000 * DAY_MS  # the record's elapsed time: far enough from zero for any history
PARTS = ("stat", "therapy", "caps", "supplies")
Said = Mapping[str, str]


@dataclass(frozen=True)
class PumpSays:
    """The pump's own words, part by part; a part that its firmware has not is empty."""

    stat: Said
    therapy: Said
    caps: Said
    supplies: Said
    program: Program | None  # the committed one, read back line by line
    identity: Said = field(default_factory=dict)

    @property
    def knows_history(self) -> bool:
        """Whether it tells what a judgement needs beyond the program last run."""
        return "top_daily" in self.caps

    @property
    def last_run(self) -> Program | None:
        """The program last run, or a week with its sums."""
        if self.therapy.get("last_run", "none") == "none":
            return None
        if self.program is not None and self.program.hash == self.therapy["last_run"]:
            return self.program
        daily, high, low = (told(self.therapy, name) for name in ("daily", "high", "low"))
        return stand_in(daily, high, low, told(self.supplies, "conc"))

    @property
    def running(self) -> bool:
        return self.stat.get("state") == "running"

    @property
    def daily_ng(self) -> int:
        """Daily dose of the program last run."""
        return told(self.therapy, "daily")


def told(part: Said, name: str) -> int:
    """A figure of the pump without its unit; 0 where it says none."""
    return leading_int(part.get(name, "0"))


def listen(link: Link) -> PumpSays:
    """Ask the pump for everything a judgement needs; changes nothing."""
    parts = {part: _part(link, part) for part in PARTS}
    return PumpSays(program=_committed(link), identity=link.ask("*IDN?"), **parts)


def _part(link: Link, part: str) -> Said:
    try:
        return link.ask("STAT?", {} if part == "stat" else {"part": part})
    except Refused as refused:
        if refused.code in ("ARG", "CLOCK_LOST"):  # a firmware older than this part; caps that need a date it has not
            return {}
        raise


def _committed(link: Link) -> Program | None:
    try:
        return Program.parse(row["line"] for row in link.records("PROG?") if "line" in row)
    except Refused as refused:
        if refused.code == "STATE":
            return None
        raise


def stand_in(daily_ng: int, high_ng: int, low_ng: int, conc: int) -> Program:
    """A week whose daily, high and low dose are these: six days at the high dose, Sunday at the low one."""
    lines = ["name=stand-in", f"conc={conc}", f"seg.all.00:00={high_ng}"]
    if low_ng != high_ng:
        lines.append(f"seg.sun.00:00={low_ng}")
    if daily_ng > high_ng:
        lines += ["bolus_volume=1", "bolus_time=1", "bolus_lockout=0", f"bolus_allowance={daily_ng - high_ng}"]
    return Program.parse(lines)


# ---- the oracle's record


def record_of(says: PumpSays, new: Program) -> Record:
    """The pump's history as the oracle's record at NOW_MS, for a judgement on `new`."""
    therapy = says.therapy
    return Record(
        site=Site(capacity_nl=told(says.supplies, "capacity")),
        patient=Patient(_word(therapy, "population"), _date(therapy, "birth") or date(1980, 1, 1), _date(therapy, "injury")),
        phase=therapy.get("phase", "none"),
        imported=therapy.get("origin") == "imported",
        trial=Trial(screen_ng=told(therapy, "screen"), effect_long={"long": True, "short": False}.get(therapy.get("effect", ""))),
        course=_course(says, new),
        basal=_basal(says),
        clock=_clock(says),
        supplies=_supplies(says),
    )


def _word(part: Said, name: str) -> str:
    return "" if part.get(name, "none") == "none" else part[name]


def _date(part: Said, name: str) -> date | None:
    return date.fromisoformat(part[name]) if _word(part, name) else None


def _clock(says: PumpSays) -> Clock:
    unix_ms = None if says.stat.get("clock") == "lost" else told(says.stat, "now") * 1000 - NOW_MS
    return Clock(unix_ms, (_offset_min(says) or 0) * 60_000)


def _offset_min(says: PumpSays) -> int | None:
    """Local time minus UTC, where the firmware tells it."""
    part = next((part for part in (says.caps, says.therapy, says.stat) if "offset" in part), None)
    return None if part is None else told(part, "offset")


def _course(says: PumpSays, new: Program) -> Course:
    last = says.last_run
    since = says.therapy.get("last_increase", "never")
    holiday_ms = _holiday_ms(says, last)
    return Course(
        committed=says.program,
        last_run=last,
        in_force=_in_force(says, last, holiday_ms),
        holiday_ms=holiday_ms,
        before=_before(says, new),
        last_increase_ms=None if since == "never" else NOW_MS - leading_int(since) * 1000,
        started=_exact(told(says.caps, "started"), new.daily_ng, ceil),
        return_to=_exact(told(says.caps, "return"), new.daily_ng, floor),
    )


def _in_force(says: PumpSays, last: Program | None, holiday_ms: int | None) -> tuple[InForce, ...]:
    if last is None:
        return ()
    if is_top(says):
        return (InForce(holiday_ms, None, last),)
    daily, high, low = (told(says.caps, name) for name in ("top_daily", "top_high", "top_low"))
    before = stand_in(daily, high, low, last.conc)  # something else was in force in the last 24 h
    return (InForce(None, NOW_MS, before), InForce(holiday_ms if holiday_ms else NOW_MS, None, last))


def is_top(says: PumpSays) -> bool:
    """Whether no more was in force in the last 24 h than the program last run (the pump rounds both up)."""
    last = says.last_run
    if last is None:
        return False
    tops = (told(says.caps, name) for name in ("top_daily", "top_high", "top_low"))
    return all(top <= ceil(dose) for top, dose in zip(tops, last.doses, strict=True))


def _holiday_ms(says: PumpSays, last: Program | None) -> int | None:
    """A start that gives the day the pump is in; one to come where only that day's dose is known of the taper."""
    day = says.therapy.get("holiday", "none")
    if last is None or day == "none":
        return None
    if not last.taper:
        return None if day == "over" else NOW_MS + DAY_MS
    days_before = len(last.taper) if day == "over" else leading_int(day) - 1
    return NOW_MS - days_before * DAY_MS


def _before(says: PumpSays, new: Program) -> Doses | None:
    """What ran before an increase of the last 24 h."""
    daily, high, low = (told(says.caps, name) for name in ("before_daily", "before_high", "before_low"))
    return Doses(_exact(daily, new.daily_ng, ceil), _exact(high, new.high_ng, ceil), _exact(low, new.low_ng, floor)) if daily else None


def _exact(said: int, dose: int | Fraction, rounded: Callable[[int | Fraction], int]) -> int | Fraction:
    """What the pump rounded; the dose to be judged itself where that is what it rounds to: a way back is no step."""
    return dose if rounded(dose) == said else said


def _basal(says: PumpSays) -> Basal:
    stretch = known_last_day(says)
    return Basal(
        ran=bool(_word(says.therapy, "last_run")),
        since_ms=NOW_MS if says.running else None,
        before_ms=told(says.therapy, "running_for") * 1000,
        stopped_ms=None if says.running else NOW_MS - told(says.caps, "idle") * 1000,
        stretches=(stretch,) if stretch else (),
    )


def known_last_day(says: PumpSays) -> Stretch | None:
    """The last 24 h, if they were one program run without a break under a clock whose offset is known; else None."""
    program, local_ms = says.program, _clock(says).local_ms
    if program is None or program is not says.last_run or program.taper or not says.running or _offset_min(says) is None:
        return None
    increase = says.therapy.get("last_increase", "never")
    alone = increase == "never" or leading_int(increase) * 1000 >= DAY_MS
    if not (alone and is_top(says) and told(says.therapy, "running_for") * 1000 >= DAY_MS):
        return None
    return Stretch(NOW_MS - DAY_MS, None, program, local_ms)


def _supplies(says: PumpSays) -> Supplies:
    left_ms = told(says.caps, "licence") * 1000
    return Supplies(
        conc=told(says.supplies, "conc"),
        fluid="drug",  # PROG:CHECK? does not look at the fluid
        expiry=_date(says.supplies, "expiry"),
        calibrated=says.supplies.get("calibrated") == "yes",
        refills=(Refill(NOW_MS + left_ms - label.LICENCE_MS, told(says.supplies, "capacity")),) if left_ms else (),
    )
