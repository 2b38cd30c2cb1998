"""Two answers to "may this program start now?": the pump's own (PROG:CHECK?) and the oracle's. They must be the same.

Where they are not, one of the two is wrong, and nobody should commit before it is known which: a DEFECT. Left to the pump are
two refusals that rest on what only it knows: a limit of its board, and the 24 h across a change where their course is unknown.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import ceil, floor
from pathlib import Path
from textwrap import wrap
from typing import Any

from hil.oracle import rules
from hil.oracle.program import Program as OracleProgram
from hil.oracle.verdict import first
from hil.prescription import Program
from hil.pump_record import NOW_MS, PumpSays, known_last_day, record_of, told

BOLUS_NL_H = 1_000_000  # a faster bolus may be over what a board can do
BOX_WIDTH = 110


@dataclass(frozen=True)
class Answer:
    """What one side says of a program."""

    hash: str
    verdict: str  # OK or the code of the refusal, as an attended commit would get it
    daily_ng: int
    high_ng: int
    low_ng: int
    confirm: tuple[str, ...]


@dataclass(frozen=True)
class Opinions:
    """Both answers, the pump's own words, and in what they differ."""

    pump: Answer
    oracle: Answer
    says: str  # the pump's sentence
    detail: Any  # the figures of the oracle's refusal
    left_to_pump: str  # why a stricter pump is believed; empty = it is not
    differ: tuple[str, ...]


def oracle_program(program: Program) -> OracleProgram:
    return OracleProgram.parse(program.canonical_lines())


def pump_answer(checked: Mapping[str, str]) -> Answer:
    """Of the fields of PROG:CHECK?."""
    confirm = checked.get("confirm", "none")
    asked = () if confirm == "none" else tuple(confirm.split("+"))
    daily, high, low = (told(checked, name) for name in ("daily", "high", "low"))
    return Answer(checked.get("hash", ""), checked.get("verdict", ""), daily, high, low, asked)


def oracle_answer(program: OracleProgram, says: PumpSays, reason: str) -> tuple[Answer, Any]:
    """The oracle's answer, and the figures behind a refusal."""
    record = record_of(says, program)
    judged = rules.judge(record, NOW_MS, program, attended=True, reason=reason)
    lost = [("CLOCK_LOST", dict[str, Any]())] if record.clock.unix_ms is None else []
    code, detail = first(lost, judged.refusals) or ("OK", {})
    asked = judged.asked if code == "OK" else rules.confirmations(program)
    daily, high, low = ceil(program.daily_ng), ceil(program.high_ng), floor(program.low_ng)
    return Answer(program.hash, code, daily, high, low, asked), detail


def compare(program: Program, checked: Mapping[str, str], says: PumpSays, reason: str) -> Opinions:
    """Ask the oracle what the pump was asked."""
    judged = oracle_program(program)
    theirs, (ours, detail) = pump_answer(checked), oracle_answer(judged, says, reason)
    left = _left_to_pump(judged, theirs, ours, says)
    differ = [name for name in asdict(ours) if getattr(ours, name) != getattr(theirs, name)]
    if "verdict" in differ and (left or not says.knows_history):
        differ.remove("verdict")
    return Opinions(theirs, ours, checked.get("text", ""), detail, left, tuple(differ))


def _left_to_pump(program: OracleProgram, pump: Answer, oracle: Answer, says: PumpSays) -> str:
    """Why the pump may refuse what the oracle would accept."""
    if oracle.verdict != "OK" or pump.verdict == "OK":
        return ""
    fast = program.bolus is not None and program.bolus.volume_nl * 3600 > BOLUS_NL_H * program.bolus.time_s
    if pump.verdict == "HOUR_MAX" and fast:
        return "the limits of its board are the pump's own"
    uneven = not program.is_even or says.last_run is None or not says.last_run.is_even
    if pump.verdict == "STEP_CAP" and uneven and known_last_day(says) is None:
        return "the course of its last 24 h is known to the pump alone"
    return ""


# ---- a defect, loudly


def defect_text(opinions: Opinions, saved: Path, log: Path | None) -> str:
    """Both answers in a box, and what to keep."""
    rows = ["DEFECT: the pump and the oracle do not agree. NOTHING WAS COMMITTED.", ""]
    rows.append(f"{'':14s} {'the pump':28s} {'the oracle':28s}")
    for name in asdict(opinions.oracle):
        pump, oracle = (_value(getattr(side, name)) for side in (opinions.pump, opinions.oracle))
        rows.append(f"{name:14s} {pump:28s} {oracle:28s} {'<- differs' if name in opinions.differ else ''}".rstrip())
    rows += ["", *wrap(f"the pump says: {opinions.says}", BOX_WIDTH - 4), ""]
    rows += wrap("One of the two is wrong, and until it is known which, no program of this kind is to be sent to this pump.", BOX_WIDTH - 4)
    rows.append(f"Keep for the report: {saved}")
    if log is not None:
        rows.append(f"                     {log}")
    rows.append("                     the program's file, and the firmware's image")
    edge = "#" * BOX_WIDTH
    return "\n".join([edge, *(f"# {row:{BOX_WIDTH - 4}s} #" for row in rows), edge])


def _value(value: object) -> str:
    return ("+".join(value) or "none") if isinstance(value, tuple) else str(value)


def save_defect(folder: Path, program: Program, opinions: Opinions, says: PumpSays, checked: Mapping[str, str]) -> Path:
    """All that was said, in one file."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"defect-{program.name}-{program.hash()}.json"
    content = {
        "pump": asdict(opinions.pump),
        "oracle": {**asdict(opinions.oracle), "detail": str(opinions.detail)},
        "differ": opinions.differ,
        "program": program.canonical_lines(),
        "check": dict(checked),
        "said": {part: dict(getattr(says, part)) for part in ("identity", "stat", "therapy", "caps", "supplies")},
        "running_program": says.program.lines if says.program else None,
    }
    path.write_text(json.dumps(content, indent=2) + "\n", "utf-8")
    return path
