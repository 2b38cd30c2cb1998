"""One fault at one rate: brought about, waited for, and what the pump does afterwards compared with the table."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from tools.faults import table
from tools.faults.rate import HOUR_MS, Rate
from tools.faults.stand import CAL_HOURS, Stand
from tools.faults.table import Fault

GRACE = 20  # a fault that is found late is told by how much, if it is found within so many times the limit or two hours
LOOKS = 200  # of the time allowed: how finely the time seen is told
WATCH_MS, WATCH_STEPS = 600_000, 20  # what follows is watched for the longer of the two
BOLUS_SETTLES_MS = 12_000  # and the lease that was under way
CLOCK_LOOK_MS = 70_000  # where the lowest rate follows from another alarm than the first
REFUSED_FOR_IT = (
    "ALARM_ACTIVE",
    "PORT_OPEN",
    "CLOCK_LOST",
    "UNCALIBRATED",
    "STATE",
    "STALE",
)  # in the order of refusals all before LOCKOUT
ACTIONS_WITHOUT_MOTION = (table.STOPS, table.WITHHELD)


@dataclass
class Finding:
    """What became of one fault at one rate."""

    fault: str
    rate: str
    seed: int
    allowed_ms: int
    seen_ms: int | None = None
    wrong: list[str] = field(default_factory=list)  # sentences
    did: str = ""
    bolus: str = ""

    @property
    def passed(self) -> bool:
        return self.seen_ms is not None and not self.wrong


def run(fault: Fault, rate: Rate, seed: int, work: Path) -> Finding:
    found = Finding(fault.name, rate.name, seed, fault.limit(rate))
    stand = Stand(rate, seed, work)
    try:
        stand.set_up(CAL_HOURS if fault.alarm == "CAL_EXPIRED" else 2000)
        if fault.in_bolus:
            _begin_bolus(stand, found)
        _find(stand, fault, found)
        if found.seen_ms is not None:
            _judge_alarm(stand, fault, found)
            found.wrong += [sentence for sentence in (fault.also(stand),) if sentence]
            _judge_motion(stand, fault, found)
            _judge_bolus(stand, fault, found)
    finally:
        stand.close()
    return found


def _begin_bolus(stand: Stand, found: Finding) -> None:
    answer = stand.bolus()
    if answer != "OK":
        found.wrong.append(f"no bolus was given before the fault: {answer}")
    stand.advance(20_000)


def _find(stand: Stand, fault: Fault, found: Finding) -> None:
    """Bring it about and wait for its alarm, or for the pump to stop where that is what the table says."""
    stand.quiet()
    fault.begin(stand)
    began, limit = stand.began_ms or stand.now_ms, found.allowed_ms
    step = max(5, min(10_000, limit // LOOKS))
    last = min(limit * GRACE, limit + 2 * HOUR_MS)
    while stand.now_ms - began <= last:
        if _is_found(stand, fault):
            found.seen_ms = _found_at(stand, fault) - began
            break
        stand.listen(step)
    if found.seen_ms is None:
        found.wrong.append(f"not found within {last // 1000} s")
    elif found.seen_ms > limit:
        found.wrong.append(f"found after {found.seen_ms / 1000:.1f} s, allowed are {limit / 1000:.1f} s")


def _found_at(stand: Stand, fault: Fault) -> int:
    if not fault.alarm:
        return stand.now_ms
    return (fault.action == table.WITHHELD and stand.dropped_ms()) or stand.came_on_ms(fault.alarm)


def _is_found(stand: Stand, fault: Fault) -> bool:
    if not fault.alarm and not fault.part:
        return stand.status()["state"] == "running"
    if fault.part:
        return stand.self_test().get(fault.part) not in ("pass", "none", "wait")
    if fault.action == table.WITHHELD:
        return stand.dropped_ms() is not None and stand.status()["state"] == "fault" and fault.alarm in stand.alarms()
    return stand.has_news(fault.alarm) and fault.alarm in stand.alarms()


def _judge_alarm(stand: Stand, fault: Fault, found: Finding) -> None:
    if not fault.alarm:
        return
    row = stand.alarms().get(fault.alarm)
    if row is None:
        found.wrong.append(f"{fault.alarm} came and went by itself")
    elif row["priority"] != fault.priority:
        found.wrong.append(f"{fault.alarm} is {row['priority']}, not {fault.priority}")


def _judge_motion(stand: Stand, fault: Fault, found: Finding) -> None:
    """Basal by the program, at the lowest rate, or not a step."""
    stand.listen(CLOCK_LOOK_MS if fault.action == table.LOWEST else BOLUS_SETTLES_MS)
    before, turned, from_ms = stand.pulses, stand.turned, stand.now_ms
    stand.listen(max(WATCH_MS, stand.rate.ms_of_steps(WATCH_STEPS)))
    made, span_ms = stand.pulses - before, stand.now_ms - from_ms
    if fault.action in ACTIONS_WITHOUT_MOTION:
        found.did = f"{made} pulses, {stand.turned - turned:.1f} steps turned"
        if made or stand.turned != turned:
            found.wrong.append(f"it moved on: {found.did}")
        return
    if fault.action == table.LOWEST:
        want = stand.rate.lowest_steps(span_ms)
    else:
        want = stand.rate.steps(from_ms, stand.now_ms)
    found.did = f"{made} pulses of {want:.1f}"
    if abs(made - want) > 1.5 + want / 1000:
        found.wrong.append(f"basal is not {fault.action}: {found.did} in {span_ms // 1000} s")


def _judge_bolus(stand: Stand, fault: Fault, found: Finding) -> None:
    if fault.in_bolus and stand.status()["outcome"] not in ("PARTIAL", "UNCERTAIN"):
        found.wrong.append(f"the bolus in progress ended as {stand.status()['outcome']}")
    if fault.bolus == table.NO_BOLUS:
        before = stand.pulses
        found.bolus = stand.bolus()
        if found.bolus not in REFUSED_FOR_IT:
            found.wrong.append(f"a bolus was answered {found.bolus}")
        elif stand.pulses != before:
            found.wrong.append("a bolus was refused, and made a step")
