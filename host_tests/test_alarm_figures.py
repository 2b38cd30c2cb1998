"""The alarm table's figures and signals as they are written down elsewhere, and the edges of time and rank."""

import struct

import pytest

from doseloop.alarms import HIGH, LOW, LOWEST, MEDIUM, NO_BOLUS, PRIORITIES, RUN, SIGNALS, STOP, TABLE, TEST, Alarms

MINUTE = 60_000
UNLATCHED = {"CLOCK_LOST", "TEMPERATURE", "CAL_EXPIRED", "RESERVOIR_LOW", "BATTERY_LOW", "PUMP_STOPPED"}


@pytest.fixture
def log():
    return []


@pytest.fixture
def alarms(log):
    return Alarms(log.append)


# ---- figures


@pytest.mark.req("R-ALM-1")
def test_priorities_and_what_the_pump_does_rise_from_nothing_to_the_most():
    assert (LOW, MEDIUM, HIGH) == (1, 2, 3) and PRIORITIES == ("SILENT", "LOW", "MEDIUM", "HIGH")
    assert (RUN, NO_BOLUS, LOWEST, STOP) == (0, 1, 2, 3)


@pytest.mark.req("R-ALM-1", "R-ALM-7")
def test_what_latches_and_how_long_a_cause_must_last():
    assert {row[0] for row in TABLE if not row[3]} == UNLATCHED
    assert {row[0]: row[4] for row in TABLE if row[4]} == {"TEMPERATURE": 5 * MINUTE}
    assert {row[0]: row[6] for row in TABLE if row[6]} == {"PUMP_STOPPED": 15 * MINUTE}


@pytest.mark.req("R-ALM-10")
def test_a_signal_is_a_light_and_a_burst_that_begins_anew_after_a_silence():
    five = [100, 50] * 4 + [100]
    silent, low, medium, high = SIGNALS
    assert silent == ("", 0, 0, ())
    assert low == ("yellow", 1, 0, (200, 16_000)), "a steady light"
    assert medium == ("yellow", 1000, 1000, (*[200, 75] * 2, 200, 7500))
    assert high == ("red", 250, 250, (*five, 500, *five, 5000))


@pytest.mark.req("R-ALM-10")
def test_a_test_is_a_bit_of_its_own_beside_the_signal():
    assert TEST == 1 << 8
    alarms = Alarms(lambda text: None)
    alarms.test(0)
    assert [alarms.signal(t) for t in (0, 1999, 2000, 4000, 5999, 6000)] == [LOW + 256, LOW + 256, MEDIUM + 256, HIGH + 256, HIGH + 256, 0]


# ---- a test


@pytest.mark.req("R-ALM-10")
@pytest.mark.parametrize("after", [6000, 6001, 8000, 60_000])
def test_an_alarm_test_is_over_after_six_seconds_however_late_the_loop_comes(alarms, log, after):
    alarms.test(1000)
    assert log == ["alarm test"] and alarms.due(1000) == 2000
    assert alarms.signal(1000 + after) == 0
    assert alarms.due(1000 + after) is None
    alarms.set("LATE", True, 70_000)
    assert alarms.signal(70_000) == HIGH


# ---- a mute


@pytest.mark.req("R-ALM-10", "R-MON-2")
def test_a_mute_is_logged_once_however_often_it_is_asked_for(alarms, log):
    alarms.set("LATE", True, 0)
    alarms.mute(0)
    alarms.mute(1)
    alarms.mute(119_999)
    assert log == ["LATE on", "muted"]
    alarms.mute(120_000)
    assert log == ["LATE on", "muted", "muted"], "the first one was over"


# ---- rank


@pytest.mark.req("R-ALM-1", "R-MON-1")
def test_the_first_of_several_is_the_top_and_only_a_high_one_counts_as_high(alarms):
    assert alarms.top() is None and not alarms.high()
    alarms.set("BATTERY_LOW", True, 0)
    assert alarms.top() == "BATTERY_LOW" and not alarms.high()
    alarms.set("RESERVOIR_LOW", True, 1)
    alarms.set("CLOCK_LOST", True, 2)
    assert alarms.top() == "CLOCK_LOST" and not alarms.high() and alarms.count() == 3
    alarms.set("LATE", True, 3)
    assert alarms.top() == "LATE" and alarms.high()
    assert [alarm.code for alarm in alarms.active()] == ["LATE", "CLOCK_LOST", "BATTERY_LOW", "RESERVOIR_LOW"]


@pytest.mark.req("R-ALM-7")
@pytest.mark.parametrize("priority", [LOW, MEDIUM, HIGH])
def test_escalating_never_lowers(alarms, log, priority):
    alarms.set("LATE", True, 0)
    alarms.acknowledge("LATE")
    told = len(log)
    alarms.escalate("LATE", priority)
    assert len(log) == told and alarms.active()[0].priority == HIGH and alarms.active()[0].acked


@pytest.mark.req("R-ALM-7", "R-MON-2")
def test_an_escalation_is_news(alarms, log):
    alarms.set("PUMP_STOPPED", True, 0)
    alarms.escalate("PUMP_STOPPED", MEDIUM)
    alarms.escalate("PUMP_STOPPED", HIGH)
    assert log == ["PUMP_STOPPED on", "PUMP_STOPPED MEDIUM", "PUMP_STOPPED HIGH"]


# ---- time


@pytest.mark.req("R-ALM-1")
@pytest.mark.parametrize("late", [0, 1, 100_000])
def test_a_cause_that_has_lasted_is_on_also_if_the_loop_came_late(alarms, late):
    alarms.set("TEMPERATURE", True, 7)
    assert alarms.due(7) == 5 * MINUTE and alarms.due(8) == 5 * MINUTE - 1
    assert alarms.due(7 + 5 * MINUTE + late) == 0, "due, and never in the past"
    alarms.set("TEMPERATURE", True, 7 + 5 * MINUTE + late, "41 C")
    (alarm,) = alarms.active()
    assert (alarm.code, alarm.since, alarm.detail) == ("TEMPERATURE", 7 + 5 * MINUTE + late, "41 C")


@pytest.mark.req("R-ALM-10")
@pytest.mark.parametrize(("since", "due"), [(0, 2000), (2000 - 5 * MINUTE, 2000), (1999 - 5 * MINUTE, 1999), (2001 - 5 * MINUTE, 2000)])
def test_the_loop_is_wanted_again_at_the_earlier_of_signal_and_cause(alarms, since, due):
    """BATTERY_LOW sounds until 2000; a temperature lasts since `since`."""
    start = 10 * MINUTE
    alarms.set("TEMPERATURE", True, start + since)
    alarms.set("BATTERY_LOW", True, start)
    assert alarms.signal(start) == LOW
    assert alarms.due(start) == due


# ---- over a restart


@pytest.mark.req("R-MON-2")
def test_a_dump_is_place_priority_and_seconds_of_each_that_latches(alarms):
    alarms.set("OVER_DELIVERY", True, 5_000_999)
    alarms.set("LATE", True, 5_999_000)
    alarms.set("CLOCK_LOST", True, 6_000_000)
    assert alarms.dump() == struct.pack("<BBIBBI", 2, HIGH, 5000, 10, HIGH, 5999)
    assert [row[0] for row in TABLE][2] == "OVER_DELIVERY" and [row[0] for row in TABLE][10] == "LATE"


@pytest.mark.req("R-ALM-11")
def test_an_alarm_taken_back_has_no_detail_and_begins_when_it_did(alarms):
    alarms.load(struct.pack("<BBI", 10, HIGH, 5999))
    (alarm,) = alarms.active()
    assert (alarm.code, alarm.detail, alarm.since, alarm.cause, alarm.acked) == ("LATE", "", 5_999_000, False, False)
