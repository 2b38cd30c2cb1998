"""What a pump says of its therapy, and the oracle's record made of it, so that the host can judge by itself.

Taken as the pump tells it: the history (`STAT?` and its parts therapy, caps, supplies). Judged anew from it: everything else.
A program of which only sums are known is stood in for by a week that has these sums.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from math import ceil
from typing import Any

from hil.errors import Refused
from hil.link import Link
from hil.oracle import label
from hil.oracle.program import DAY_MS, Program, ProgramError
from hil.oracle.record import InForce, Record, Refill, Site, Stretch
from hil.oracle.therapy import Therapy
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
        daily, high, low = (leading_int(self.therapy.get(name, "0")) for name in ("daily", "high", "low"))
        return stand_in(daily, high, low, self._conc)

    @property
    def running(self) -> bool:
        return self.stat.get("state") == "running"

    @property
    def daily_ng(self) -> int:
        """Daily dose of the program last run."""
        return leading_int(self.therapy.get("daily", "0"))

    @property
    def _conc(self) -> int:
        return leading_int(self.supplies.get("conc", "0"))


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
    except ProgramError:
        return None  # a taper, which has days and no segments


def stand_in(daily_ng: int, high_ng: int, low_ng: int, conc: int) -> Program:
    """A week whose high, low and daily dose are these: six days at the high dose, Sunday at the low one."""
    lines = ["name=stand-in", f"conc={conc}", f"seg.all.00:00={high_ng}"]
    if low_ng != high_ng:
        lines.append(f"seg.sun.00:00={low_ng}")
    if daily_ng > high_ng:
        lines += ["bolus_volume=1", "bolus_time=1", "bolus_lockout=0", f"bolus_allowance={daily_ng - high_ng}"]
    return Program.parse(lines)


# ---- the oracle's record


def therapy_of(says: PumpSays) -> Therapy:
    """The oracle with the pump's history, at NOW_MS."""
    therapy = Therapy(_site(says), **_who(says), **_programs(says), **_running(says), **_supplies(says))
    therapy.now_ms = NOW_MS
    return therapy


def known_last_day(says: PumpSays) -> Stretch | None:
    """The last 24 h, if they were one program run without a break under a clock whose offset is known; else None."""
    program, offset = says.last_run, says.caps.get("offset") or says.therapy.get("offset")
    if program is None or offset is None or program is not says.program or not says.running:
        return None
    increase = says.therapy.get("last_increase", "never")
    alone = increase == "never" or leading_int(increase) * 1000 >= DAY_MS
    if not (alone and _is_top(says) and leading_int(says.therapy.get("running_for", "0")) * 1000 >= DAY_MS):
        return None
    local_ms = Record(unix_ms=_unix_ms(says), offset_ms=leading_int(offset) * 60_000).local_ms
    return Stretch(NOW_MS - DAY_MS, None, program, local_ms)


def _site(says: PumpSays) -> Site:
    return Site(capacity_nl=leading_int(says.supplies.get("capacity", "0")))


def _who(says: PumpSays) -> dict[str, Any]:
    therapy = says.therapy
    population, birth = therapy.get("population", "none"), therapy.get("birth", "none")
    return {
        "population": "" if population == "none" else population,
        "birth": date(1980, 1, 1) if birth == "none" else date.fromisoformat(birth),
        "phase": therapy.get("phase", "none"),
        "screen_ng": leading_int(therapy.get("screen", "0")),
        "effect_long": {"long": True, "short": False}.get(therapy.get("effect", "")),
        "imported": therapy.get("origin") == "imported",
        "unix_ms": _unix_ms(says),
        "offset_ms": leading_int(says.caps.get("offset") or therapy.get("offset") or "0") * 60_000,
    }


def _unix_ms(says: PumpSays) -> int | None:
    return None if says.stat.get("clock") == "lost" else leading_int(says.stat.get("now", "0")) * 1000 - NOW_MS


def _programs(says: PumpSays) -> dict[str, Any]:
    last = says.last_run
    since = says.therapy.get("last_increase", "never")
    in_force = [InForce(NOW_MS - DAY_MS // 2, last)] if last else []
    top = _sums(says, "top")
    if top and not _is_top(says):  # something else was in force in the last 24 h: as far back as it can be
        in_force.insert(0, InForce(None, top))
    stretch = known_last_day(says)
    return {
        "committed": says.program,
        "last_run": last,
        "before_increase": _sums(says, "before"),
        "last_increase_ms": None if since == "never" else NOW_MS - leading_int(since) * 1000,
        "in_force": tuple(in_force),
        "stretches": (stretch,) if stretch else (),
    }


def _is_top(says: PumpSays) -> bool:
    """Whether no more was in force in the last 24 h than the program last run (the pump rounds both up)."""
    last = says.last_run
    daily, low = (leading_int(says.caps.get(f"top_{kind}", "0")) for kind in ("daily", "low"))
    return last is not None and daily <= ceil(last.daily_ng) and low <= ceil(last.low_ng)


def _sums(says: PumpSays, name: str) -> Program | None:
    """A week with the sums that the pump gives as `name_daily` and `name_low`."""
    daily, low = (leading_int(says.caps.get(f"{name}_{kind}", "0")) for kind in ("daily", "low"))
    return stand_in(daily, daily, low, leading_int(says.supplies.get("conc", "0"))) if daily else None


def _running(says: PumpSays) -> dict[str, Any]:
    ran_ms = leading_int(says.therapy.get("running_for", "0")) * 1000
    stopped_ms = None if says.running else NOW_MS - leading_int(says.caps.get("idle", "0")) * 1000
    return {
        "ran": says.therapy.get("last_run", "none") != "none",
        "running_since_ms": NOW_MS if says.running else None,
        "running_before_ms": ran_ms,
        "stopped_ms": stopped_ms,
    }


def _supplies(says: PumpSays) -> dict[str, Any]:
    left_ms = leading_int(says.caps.get("licence", "0")) * 1000
    refills = (Refill(NOW_MS + left_ms - label.LICENCE_MS, leading_int(says.supplies.get("capacity", "0"))),) if left_ms else ()
    expiry = says.supplies.get("expiry", "none")
    return {
        "conc": leading_int(says.supplies.get("conc", "0")),
        "fluid": "drug",  # PROG:CHECK? does not look at the fluid
        "expiry": None if expiry == "none" else date.fromisoformat(expiry),
        "calibrated": says.supplies.get("calibrated") == "yes",
        "refills": refills,
    }
