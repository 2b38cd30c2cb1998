"""Alarms: one table; HIGH latches; what the pump does; restarts. The signal is in test_alarm_signal.py."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from doseloop.alarms import HIGH, LOW, LOWEST, MEDIUM, NO_BOLUS, RUN, STOP, TABLE, Alarm, Alarms
from doseloop.units import Refusal

ROWS = {row[0]: row for row in TABLE}
CODES = sorted(ROWS)
PRIORITY = {code: row[1] for code, row in ROWS.items()}


@pytest.fixture
def alarms():
    return Alarms(lambda text: None)


@pytest.fixture
def log():
    return []


# ---- the table


@pytest.mark.req("R-ALM-1")
def test_each_row_of_the_table_is_the_requirement():
    stop = {"RESERVOIR_EMPTY", "BATTERY_DEPLETED", "OVER_DELIVERY", "MEMORY_FAULT"}
    basal = {"FLOW_DISCREPANCY", "MOTOR_STALL", "UNDER_DELIVERY", "WITHDRAWAL_RISK", "PORT_OPEN", "LATE"}
    medium = {"CLOCK_LOST", "REFILL_DISCREPANCY", "TEMPERATURE", "CAL_EXPIRED", "WATCHDOG_RESET"}
    low = {"RESERVOIR_LOW", "BATTERY_LOW", "PUMP_STOPPED", "CATHETER_SUSPECT"}
    assert set(ROWS) == stop | basal | medium | low and len(TABLE) == len(ROWS)
    for code, (_, priority, action, latched, persist_ms, hold, repeat_ms, text) in ROWS.items():
        assert priority == (HIGH if code in stop | basal else MEDIUM if code in medium else LOW)
        assert action == (STOP if code in stop else NO_BOLUS if code in basal else LOWEST if code == "CLOCK_LOST" else RUN)
        assert latched or priority != HIGH
        assert hold == (code == "OVER_DELIVERY")
        assert (persist_ms > 0) == (code == "TEMPERATURE")
        assert repeat_ms == (900_000 if code == "PUMP_STOPPED" else 0)
        assert 0 < len(text) <= 80 and not set(text) & set('">')


# ---- coming and going


@pytest.mark.req("R-ALM-1")
@pytest.mark.parametrize("code", [c for c in CODES if PRIORITY[c] == HIGH])
@pytest.mark.parametrize("first", ["gone", "acknowledged"])
def test_high_stays_on_until_its_cause_is_gone_and_a_person_acknowledged_in_either_order(alarms, code, first):
    alarms.set(code, True, 1000)
    if first == "gone":
        alarms.set(code, False, 2000)
        assert alarms.is_on(code)
        alarms.acknowledge(code)
    else:
        alarms.acknowledge(code)
        assert alarms.is_on(code) and alarms.signal(1500) == HIGH, "an acknowledgement is no mute"
        alarms.set(code, False, 2000)
    assert not alarms.is_on(code) and alarms.count() == 0 and alarms.top() is None


@pytest.mark.req("R-ALM-1")
@pytest.mark.parametrize("code", [c for c in CODES if not ROWS[c][3]])
def test_what_does_not_latch_goes_off_with_its_cause(alarms, code):
    alarms.set(code, True, 0)
    alarms.set(code, True, 300_000)
    assert alarms.is_on(code)
    alarms.set(code, False, 300_001)
    assert not alarms.is_on(code)


@pytest.mark.req("R-ALM-1")
def test_a_cause_must_last_its_time_without_a_break(alarms):
    alarms.set("TEMPERATURE", True, 0)
    alarms.set("TEMPERATURE", True, 299_999)
    assert not alarms.is_on("TEMPERATURE") and alarms.due(299_999) == 1
    alarms.set("TEMPERATURE", False, 299_999)
    assert alarms.due(299_999) is None
    alarms.set("TEMPERATURE", True, 300_000)
    alarms.set("TEMPERATURE", True, 599_999)
    assert not alarms.is_on("TEMPERATURE")
    alarms.set("TEMPERATURE", True, 600_000)
    assert alarms.is_on("TEMPERATURE") and alarms.active()[0].since == 600_000


@pytest.mark.req("R-ALM-1")
def test_a_cause_comes_on_in_time_also_if_it_is_reported_once_only(alarms):
    alarms.set("TEMPERATURE", True, 0)
    assert alarms.signal(299_999) == 0 and alarms.signal(300_000) == MEDIUM
    assert alarms.is_on("TEMPERATURE") and alarms.due(300_000) is None


@pytest.mark.req("R-ALM-1")
def test_a_cause_that_returns_needs_a_new_acknowledgement(alarms):
    alarms.set("PORT_OPEN", True, 0)
    alarms.set("PORT_OPEN", False, 1)
    alarms.set("PORT_OPEN", True, 2)
    alarms.acknowledge("PORT_OPEN")
    alarms.set("PORT_OPEN", False, 3)
    assert not alarms.is_on("PORT_OPEN")
    alarms.set("PORT_OPEN", True, 4)
    alarms.set("PORT_OPEN", False, 5)
    assert alarms.is_on("PORT_OPEN") and not alarms.active()[0].acked


def test_a_momentary_cause_is_latched_if_the_table_says_so_and_logged_either_way(log):
    alarms = Alarms(log.append)
    alarms.raise_("WATCHDOG_RESET", 5)
    alarms.raise_("TEMPERATURE", 6, "41 C")
    assert alarms.is_on("WATCHDOG_RESET") and not alarms.is_on("TEMPERATURE")
    assert log == ["WATCHDOG_RESET on", "WATCHDOG_RESET gone", "TEMPERATURE on 41 C", "TEMPERATURE off"]
    alarms.acknowledge("WATCHDOG_RESET")
    assert log[-2:] == ["WATCHDOG_RESET acknowledged", "WATCHDOG_RESET off"] and alarms.count() == 0


def test_acknowledging_what_is_not_on_is_refused(alarms):
    for code in ("LATE", "NO_SUCH", ""):
        with pytest.raises(Refusal) as refusal:
            alarms.acknowledge(code)
        assert refusal.value.code == "ARG"


@pytest.mark.req("R-ALM-7")
def test_pump_stopped_becomes_high_once_and_then_latches(log):
    alarms = Alarms(log.append)
    alarms.escalate("PUMP_STOPPED", HIGH)
    assert alarms.count() == 0
    alarms.set("PUMP_STOPPED", True, 0)
    alarms.acknowledge("PUMP_STOPPED")
    told = len(log)
    for _ in range(3):
        alarms.escalate("PUMP_STOPPED", HIGH)
    assert log[told:] == ["PUMP_STOPPED HIGH"]
    assert alarms.high() and alarms.action() == NO_BOLUS and alarms.signal(1) == HIGH
    alarms.set("PUMP_STOPPED", False, 2)
    assert alarms.is_on("PUMP_STOPPED"), "the acknowledgement was for the low one"
    alarms.acknowledge("PUMP_STOPPED")
    alarms.set("PUMP_STOPPED", True, 3)
    assert alarms.active()[0].priority == LOW


# ---- what the pump does


@pytest.mark.req("R-ALM-1", "R-ALM-11")
@pytest.mark.parametrize("code", CODES)
def test_stop_and_lowest_follow_the_cause_save_for_over_delivery_which_waits_for_a_person(alarms, code):
    row = ROWS[code]
    alarms.set(code, True, 0)
    alarms.set(code, True, 300_000)
    assert alarms.action() == row[2]
    alarms.set(code, False, 300_001)
    left = STOP if code == "OVER_DELIVERY" else NO_BOLUS if row[1] == HIGH else RUN
    assert alarms.action() == left
    if alarms.is_on(code):
        alarms.acknowledge(code)
    assert alarms.action() == RUN


@pytest.mark.req("R-ALM-8")
def test_a_memory_fault_with_a_good_copy_forbids_boluses_only(alarms):
    alarms.raise_("MEMORY_FAULT", 0, "one copy repaired")
    assert alarms.action() == NO_BOLUS and alarms.high()


# ---- properties

times = st.integers(0, 200_000)
codes = st.sampled_from(
    ["LATE", "OVER_DELIVERY", "BATTERY_DEPLETED", "CLOCK_LOST", "TEMPERATURE", "PUMP_STOPPED", "BATTERY_LOW", "WATCHDOG_RESET"]
)
operations = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["on", "off", "raise", "ack"]), codes, times),
        st.tuples(st.sampled_from(["mute", "restart"]), st.none(), times),
    ),
    max_size=40,
)


class Model:
    """A second, plain reading of the rules: what is on, what was muted when."""

    def __init__(self):
        self.cause = {}  # code: since
        self.on = {}  # code: acknowledged
        self.muted = None

    def apply(self, what, code, now):
        before = set(self.on)
        if what == "mute" and not (self.muted is not None and now < self.muted):
            self.muted = now + 120_000
        elif what == "restart":
            self.on = {c: False for c in self.on if ROWS[c][3]}
            self.cause = {}
            self.muted = None
        elif what == "on" and code not in self.cause:
            self.cause[code] = now
        elif what == "off":
            self.cause.pop(code, None)
        elif what == "raise" and not self.is_cause(code, now):
            self.come(code)
        elif what == "ack" and code in self.on:
            self.on[code] = True
        return before

    def come(self, code):
        self.on[code] = False
        self.muted = None

    def is_cause(self, code, now):
        return code in self.cause and now - self.cause[code] >= ROWS[code][4]

    def settle(self, now, was_cause):
        for code in self.cause:
            if self.is_cause(code, now) and code not in was_cause:
                self.come(code)
        for code in list(self.on):
            if not self.is_cause(code, now) and (self.on[code] or not ROWS[code][3]):
                del self.on[code]

    def action(self, now):
        forces = [RUN]
        for code in self.on:
            force = ROWS[code][2]
            forces.append(force if self.is_cause(code, now) or ROWS[code][5] else min(force, NO_BOLUS))
        return max(forces)


def do(alarms, model, what, code, now):
    """One operation on the firmware's alarms; returns them (new ones after a restart)."""
    if what == "restart":
        fresh = Alarms(lambda text: None)
        fresh.load(alarms.dump())
        return fresh
    if what == "mute":
        alarms.mute(now)
    elif what == "raise":
        alarms.raise_(code, now)
    elif what == "ack" and code in model.on:
        alarms.acknowledge(code)
    return alarms


@given(operations)
@settings(max_examples=250, deadline=None)
@pytest.mark.req("R-ALM-1", "R-ALM-10")
def test_whatever_happens_the_highest_alone_sounds_none_is_lost_and_every_mute_ends(steps):
    alarms, model, now, was = Alarms(lambda text: None), Model(), 0, set()
    for what, code, wait in steps:
        now += wait
        alarms = do(alarms, model, what, code, now)
        model.apply(what, code, now)
        for each in PRIORITY:
            alarms.set(each, each in model.cause, now)
        if what == "restart":
            was = set()
        model.settle(now, was)
        was = {c for c in model.cause if model.is_cause(c, now)}
        assert {a.code for a in alarms.active()} == set(model.on)
        assert alarms.action() == model.action(now)
        order = [(-a.priority, a.since) for a in alarms.active()]
        assert order == sorted(order)
        muted = model.muted is not None and now < model.muted
        top = max([PRIORITY[c] for c in model.on], default=0)
        assert (alarms.high() is not None) == (top == HIGH)
        if top > LOW:
            assert alarms.signal(now) == (0 if muted else top)
        else:
            assert alarms.signal(now) in ((0,) if muted else (0, top))


@pytest.mark.req("R-ALM-10")
def test_a_mute_is_over_after_its_120_s_also_if_nobody_looked_at_its_end(alarms):
    alarms.set("LATE", True, 0)
    alarms.mute(0)
    assert alarms.signal(119_999) == 0
    assert alarms.signal(120_001) == HIGH


CALLS = {
    "on": lambda alarms, code, now: alarms.set(code, True, now, "why"),
    "off": lambda alarms, code, now: alarms.set(code, False, now),
    "raise": lambda alarms, code, now: alarms.raise_(code, now, "why"),
    "escalate": lambda alarms, code, now: alarms.escalate(code, HIGH),
    "acknowledge": lambda alarms, code, now: alarms.is_on(code) and alarms.acknowledge(code),
    "signal": lambda alarms, code, now: alarms.signal(now),
    "restart": lambda alarms, code, now: alarms.load(alarms.dump()),
}


def changed(alarms):
    """(code, attribute) of all that stands otherwise in a row than it was made."""
    rows = zip(alarms.rows(), Alarms(lambda text: None).rows())
    return {(row.code, name) for row, as_made in rows for name, value in vars(row).items() if value != vars(as_made)[name]}


@given(st.lists(st.tuples(st.sampled_from(sorted(CALLS)), st.sampled_from(CODES), st.integers(1, 400_000)), max_size=40))
@example([("on", "PUMP_STOPPED", 5), ("escalate", "PUMP_STOPPED", 900_000), ("acknowledge", "PUMP_STOPPED", 10)])
@settings(max_examples=250, deadline=None)
@pytest.mark.req("R-ALM-8")
def test_all_that_changes_in_an_alarm_is_named_so_that_a_change_not_kept_is_undone_whole(calls):
    alarms, now = Alarms(lambda text: None), 0
    for name, code, wait in calls:
        now += wait
        CALLS[name](alarms, code, now)
        assert {attribute for _, attribute in changed(alarms)} <= set(Alarm.CHANGES)


@given(st.binary(max_size=60))
@settings(max_examples=60, deadline=None)
def test_any_dump_is_taken_without_an_error(data):
    alarms = Alarms(lambda text: None)
    alarms.load(data)
    assert alarms.signal(0) in range(4) and alarms.action() in range(4)
    for alarm in alarms.active():
        alarms.acknowledge(alarm.code)
    assert alarms.count() == 0


def test_latched_alarms_are_on_after_a_restart_with_their_age_and_sound(alarms):
    alarms.raise_("LATE", 7000)
    alarms.set("OVER_DELIVERY", True, 9000)
    alarms.acknowledge("OVER_DELIVERY")
    alarms.set("BATTERY_LOW", True, 9500)
    alarms.set("PUMP_STOPPED", True, 9500)
    alarms.escalate("PUMP_STOPPED", HIGH)
    again = Alarms(lambda text: None)
    again.load(alarms.dump())
    assert [(a.code, a.since) for a in again.active()] == [("LATE", 7000), ("OVER_DELIVERY", 9000), ("PUMP_STOPPED", 9000)]
    assert not any(a.acked or a.cause or a.priority != HIGH for a in again.active())
    assert again.action() == STOP and again.signal(10_000) == HIGH


def test_setting_what_is_already_so_changes_nothing(alarms, log):
    alarms = Alarms(log.append)
    alarms.set("LATE", True, 0)
    for now in range(1, 50):
        alarms.set("LATE", True, now)
        alarms.set("PORT_OPEN", False, now)
    assert log == ["LATE on"]
