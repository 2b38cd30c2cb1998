"""The timeline of a scenario: each step one table with one action key, parsed and checked before anything runs.

| action | what it does |
|---|---|
| `advance = "90 min"` | let time pass; `"days"` = as many days as the scenario (or --days) says |
| `advance_to = "19:00"` | up to the next time the pump's clock reads this |
| `advance_until = { alarm = "RESERVOIR_LOW", within = "3 h" }` | up to an alarm on (`off = true`: gone), or `stat = { .. }` |
| `command = "DOSE:BOLUS"` | send it with `fields`; `expect` is OK or the refusal's code, `says` words of its text, `reply` conditions |
| `commit = "name or file"` | stage, read back and commit a program, or a table in place; `confirm = true` answers yes |
| `fault = "motor_slips"` | begin a fault of the rig, `with = { percent = 5 }`; `clear = "motor_slips"` ends it |
| `port = "open"` | the catheter access port: open or closed |
| `person = "withdraw"` | a person at the rig: withdraw (`leave` a volume), fill (`volume`, `conc`), new_battery, new_tube, new_catheter, |
|  | disconnect and connect (catheter and tubing) |
| `set_clock = "+1 h"` | TIME: shifted, or set to `"2027-05-04 03:00"` |
| `power_cut = { outage = "10 min", clock = "kept" }` | battery out and in again; clock kept or lost |
| `hang = true` | the processor stops computing (its watchdog must restart it) |
| `reset = true` | the RUN pin is pulled low for a moment |
| `mpremote = ["exec", "print(6 * 7)"]` | that, on a pump whose prompt is open; `says` words of what it prints |
| `hello = true` | another host opens a session |
| `lose_replies = 3` | the first answers to the next commands are lost |
| `type = "STAT?"` | a line typed by hand; `says` words of the answer |
| `send = "..."` | a raw line (`seal = true` adds the CRC), `expect` = code of the answer, or NOTHING |
| `check = { stat = { .. }, alarms_on = [..] }` | conditions on STAT? and its parts, alarms, counts since a mark |
| `mark = "before"` | remember all counts under a name |
| `measure = "bolus"` | a figure for the report: `of`, `since` a mark, `low`, `high` |
| `repeat = 7` | `steps = [ .. ]` that many times |
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone

from hil.actions import (
    Action,
    Advance,
    AdvanceTo,
    AdvanceUntil,
    Check,
    Clear,
    Command,
    Commit,
    Fault,
    Hang,
    Hello,
    LoseReplies,
    Mark,
    Measure,
    Mpremote,
    Person,
    PowerCut,
    Repeat,
    Reset,
    Send,
    SetClock,
    Step,
    Type,
)
from hil.conditions import Condition, condition
from hil.errors import InputError, shown
from hil.plant import faults
from hil.quantity import clock_minutes, whole
from hil.tables import Table, as_alarm, as_flag, as_int, as_list, as_number, as_table, as_text, inside, need, one_of, only_keys

PARTS = ("stat", "account", "supplies", "therapy", "motion", "caps", "trial")
COUNTS = (
    "authorised_nl", "witnessed_nl", "balance_nl", "basal_steps", "bolus_steps", "pulses", "time_s", "tip_ng", "programmed_ng",
    "driven", "beeps",
)  # fmt: skip
PERSON_ACTS = ("withdraw", "fill", "new_battery", "new_tube", "new_catheter", "connect", "disconnect")


MOST_SPAN_MS = 3650 * 86_400_000


def parse_steps(value: object, where: str) -> tuple[Step, ...]:
    """All steps of a timeline; InputError names the step and the key."""
    return tuple(_step(as_table(entry, f"{where}[{i}]"), f"{where}[{i}]") for i, entry in enumerate(as_list(value, where)))


def _step(table: Table, where: str) -> Step:
    actions = [key for key in table if key in _PARSERS]
    if len(actions) != 1:
        found = ", ".join(actions) or ", ".join(table) or "nothing"
        raise InputError(where, f"a step has exactly one action, this one has {found}; actions: {', '.join(sorted(_PARSERS))}")
    name = actions[0]
    parser, options = _PARSERS[name]
    only_keys(table, {name, "note", *options}, where)
    action = parser(table, table[name], where)
    note = as_text(table["note"], inside(where, "note")) if "note" in table else ""
    return Step(action, where, note, isinstance(action, _VIRTUAL) or _holds_virtual(action))


def _holds_virtual(action: Action) -> bool:
    return isinstance(action, Repeat) and any(step.needs_virtual for step in action.steps)


# ---- one parser an action: (the step's table, the action's value, where) -> action


def _advance(table: Table, value: object, where: str) -> Action:
    return Advance(None if value == "days" else _span(value, inside(where, "advance")))


def _advance_to(table: Table, value: object, where: str) -> Action:
    return AdvanceTo(clock_minutes(value, inside(where, "advance_to")) % 1440)


def _advance_until(table: Table, value: object, where: str) -> Action:
    at = inside(where, "advance_until")
    goal = as_table(value, at)
    only_keys(goal, ("alarm", "off", "stat", "within", "every"), at)
    if ("alarm" in goal) == ("stat" in goal):
        raise InputError(at, "wants alarm = or stat = { .. }, one of the two")
    return AdvanceUntil(
        _span(need(goal, "within", at), inside(at, "within")),
        _span(goal.get("every", "10 s"), inside(at, "every")),
        as_alarm(goal["alarm"], inside(at, "alarm")) if "alarm" in goal else None,
        as_flag(goal.get("off", False), inside(at, "off")),
        _conditions(goal.get("stat", {}), inside(at, "stat")),
    )


def _command(table: Table, value: object, where: str) -> Action:
    role = table.get("role")
    return Command(
        as_text(value, inside(where, "command")),
        _fields(table.get("fields", {}), inside(where, "fields")),
        as_text(table.get("expect", "OK"), inside(where, "expect")),
        _texts(table.get("says", []), inside(where, "says")),
        _conditions(table.get("reply", {}), inside(where, "reply")),
        one_of(role, ("operator", "service"), inside(where, "role")) if role is not None else None,
        as_flag(table.get("no_bolus", False), inside(where, "no_bolus")),
        as_flag(table.get("sign", True), inside(where, "sign")),
        as_flag(table.get("confirm", False), inside(where, "confirm")),
    )


def _commit(table: Table, value: object, where: str) -> Action:
    program = value if isinstance(value, str) else as_table(value, inside(where, "commit"))
    return Commit(
        program,
        as_text(table.get("expect", "OK"), inside(where, "expect")),
        _texts(table.get("says", []), inside(where, "says")),
        as_flag(table.get("confirm", False), inside(where, "confirm")),
        _fields(table.get("fields", {}), inside(where, "fields")),
    )


def _fault(table: Table, value: object, where: str) -> Action:
    name = as_text(value, inside(where, "fault"))
    params = dict(as_table(table.get("with", {}), inside(where, "with")))
    try:
        faults.check(name, params)
    except faults.FaultError as error:
        raise InputError(inside(where, "fault"), str(error)) from None
    return Fault(name, params)


def _clear(table: Table, value: object, where: str) -> Action:
    return Clear(one_of(value, sorted(faults.FAULTS), inside(where, "clear")))


def _port(table: Table, value: object, where: str) -> Action:
    state = one_of(value, ("open", "closed"), inside(where, "port"))
    return Fault("port_open", {}) if state == "open" else Clear("port_open")


def _person(table: Table, value: object, where: str) -> Action:
    act = one_of(value, PERSON_ACTS, inside(where, "person"))
    if (act == "fill") != ("volume" in table):
        raise InputError(inside(where, "volume"), "goes with person = fill, and only with it")
    for key, of in (("conc", "fill"), ("leave", "withdraw")):
        if key in table and act != of:
            raise InputError(inside(where, key), f"goes with person = {of}, and only with it")
    conc = whole(table["conc"], "concentration (mcg/mL)", inside(where, "conc")) if "conc" in table else None
    key = "volume" if act == "fill" else "leave"
    return Person(act, whole(table[key], "volume (nL)", inside(where, key)) if key in table else None, conc)


def _set_clock(table: Table, value: object, where: str) -> Action:
    text = as_text(value, inside(where, "set_clock"))
    if text[0] in "+-":
        return SetClock(whole(text, "time (ms)", inside(where, "set_clock"), signed=True), None)
    local_seconds(text, inside(where, "set_clock"))
    return SetClock(None, text)


def _power_cut(table: Table, value: object, where: str) -> Action:
    at = inside(where, "power_cut")
    cut = as_table(value, at)
    only_keys(cut, ("outage", "clock"), at)
    outage = whole(need(cut, "outage", at), "time (ms)", inside(at, "outage"))
    return PowerCut(outage, one_of(cut.get("clock", "kept"), ("kept", "lost"), inside(at, "clock")) == "kept")


def _hang(table: Table, value: object, where: str) -> Action:
    as_flag(value, inside(where, "hang"))
    return Hang()


def _reset(table: Table, value: object, where: str) -> Action:
    as_flag(value, inside(where, "reset"))
    return Reset()


def _mpremote(table: Table, value: object, where: str) -> Action:
    words = tuple(as_text(word, inside(where, "mpremote")) for word in as_list(value, inside(where, "mpremote")))
    return Mpremote(words, _texts(table.get("says", []), inside(where, "says")))


def _hello(table: Table, value: object, where: str) -> Action:
    as_flag(value, inside(where, "hello"))
    return Hello()


def _lose_replies(table: Table, value: object, where: str) -> Action:
    return LoseReplies(as_int(value, inside(where, "lose_replies"), 1))


def _type(table: Table, value: object, where: str) -> Action:
    return Type(as_text(value, inside(where, "type")), _texts(table.get("says", []), inside(where, "says")))


def _send(table: Table, value: object, where: str) -> Action:
    if not isinstance(value, str) or any(ord(c) > 255 for c in value):
        raise InputError(inside(where, "send"), f"must be a text of single bytes, not {shown(value)}")
    return Send(
        value,
        as_flag(table.get("seal", False), inside(where, "seal")),
        as_text(table.get("expect", "FRAME"), inside(where, "expect")),
        as_flag(table.get("end", True), inside(where, "end")),
    )


def _check(table: Table, value: object, where: str) -> Action:
    at = inside(where, "check")
    wanted = as_table(value, at)
    only_keys(wanted, (*PARTS, "alarms_on", "alarms_off", "counts", "since"), at)
    counts = _conditions(wanted.get("counts", {}), inside(at, "counts"))
    only_keys(counts, COUNTS, inside(at, "counts"))
    return Check(
        {part: _conditions(wanted[part], inside(at, part)) for part in PARTS if part in wanted},
        _alarms(wanted.get("alarms_on", []), inside(at, "alarms_on")),
        _alarms(wanted.get("alarms_off", []), inside(at, "alarms_off")),
        counts,
        as_text(wanted["since"], inside(at, "since")) if "since" in wanted else None,
    )


def _mark(table: Table, value: object, where: str) -> Action:
    return Mark(as_text(value, inside(where, "mark")))


def _measure(table: Table, value: object, where: str) -> Action:
    return Measure(
        as_text(value, inside(where, "measure")),
        one_of(need(table, "of", where), COUNTS, inside(where, "of")),
        as_text(need(table, "since", where), inside(where, "since")),
        number_or_none(table.get("low"), inside(where, "low")),
        number_or_none(table.get("high"), inside(where, "high")),
    )


def _repeat(table: Table, value: object, where: str) -> Action:
    return Repeat(as_int(value, inside(where, "repeat"), 1, 100_000), parse_steps(need(table, "steps", where), inside(where, "steps")))


Parser = Callable[[Table, object, str], Action]
_PARSERS: dict[str, tuple[Parser, tuple[str, ...]]] = {
    "advance": (_advance, ()),
    "advance_to": (_advance_to, ()),
    "advance_until": (_advance_until, ()),
    "command": (_command, ("fields", "expect", "says", "reply", "role", "no_bolus", "sign", "confirm")),
    "commit": (_commit, ("fields", "expect", "says", "confirm")),
    "fault": (_fault, ("with",)),
    "clear": (_clear, ()),
    "port": (_port, ()),
    "person": (_person, ("volume", "conc", "leave")),
    "set_clock": (_set_clock, ()),
    "power_cut": (_power_cut, ()),
    "hang": (_hang, ()),
    "reset": (_reset, ()),
    "mpremote": (_mpremote, ("says",)),
    "hello": (_hello, ()),
    "lose_replies": (_lose_replies, ()),
    "type": (_type, ("says",)),
    "send": (_send, ("seal", "expect", "end")),
    "check": (_check, ()),
    "mark": (_mark, ()),
    "measure": (_measure, ("of", "since", "low", "high")),
    "repeat": (_repeat, ("steps",)),
}
_VIRTUAL = (Fault, Clear, Person, PowerCut, Hang, Reset, Mpremote)


# ---- values


def _span(value: object, where: str) -> int:
    span = whole(value, "time (ms)", where)
    if not 0 < span <= MOST_SPAN_MS:
        raise InputError(where, "must be longer than nothing and at most ten years")
    return span


def _texts(value: object, where: str) -> tuple[str, ...]:
    entries = [value] if isinstance(value, str) else as_list(value, where)
    return tuple(as_text(entry, where) for entry in entries)


def _alarms(value: object, where: str) -> tuple[str, ...]:
    return tuple(as_alarm(code, where) for code in _texts(value, where))


def _fields(value: object, where: str) -> dict[str, str]:
    table = as_table(value, where)
    for key, entry in table.items():
        if isinstance(entry, bool) or not isinstance(entry, (str, int)):
            raise InputError(inside(where, key), f'{shown(entry)} cannot be sent: write it as it goes over the wire, like "250nl"')
    return {key: str(entry) for key, entry in table.items()}


def _conditions(value: object, where: str) -> dict[str, Condition]:
    return {key: condition(entry, inside(where, key)) for key, entry in as_table(value, where).items()}


def number_or_none(value: object, where: str) -> float | None:
    if value is None:
        return None
    return as_number(value, where)


def local_seconds(text: str, where: str) -> int:
    """`2027-05-04 03:00` as seconds, as if it were UTC."""
    for form in ("%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S"):
        try:
            return int(datetime.strptime(text, form).replace(tzinfo=timezone.utc).timestamp())
        except ValueError:
            continue
    raise InputError(where, f'{shown(text)} is no date and time: write it like "2027-05-04 03:00"')
