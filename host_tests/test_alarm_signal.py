"""The alarm signal: one at a time, the highest; none lost; a mute ends."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from doseloop.alarms import HIGH, LOW, MEDIUM, NO_BOLUS, SIGNALS, TABLE, TEST, Alarms

ROWS = {row[0]: row for row in TABLE}
PRIORITY = {code: row[1] for code, row in ROWS.items()}
MINUTE = 60_000


@pytest.fixture
def alarms():
    return Alarms(lambda text: None)


@pytest.mark.req("R-ALM-10")
def test_each_priority_has_a_burst_of_its_own_within_the_shapes_of_the_standard():
    _, low, medium, high = SIGNALS
    assert [len(s[3]) // 2 for s in (low, medium, high)] == [1, 3, 10]
    for row, sound, between in (
        (low, (125, 250), (15_001, 10**9)),
        (medium, (125, 250), (2500, 30_000)),
        (high, (75, 200), (2500, 15_000)),
    ):
        assert all(sound[0] <= ms <= sound[1] for ms in row[3][0::2])
        assert between[0] <= row[3][-1] <= between[1]
        assert sum(row[3][:-1]) <= 2000, "a test of 2 s plays a whole burst"
    assert 1400 <= 10**6 // (high[1] + high[2]) <= 2800 and 400 <= 10**6 // (medium[1] + medium[2]) <= 800, "light, in mHz"


# ---- the signal


@pytest.mark.req("R-ALM-10")
def test_a_low_alarm_sounds_two_seconds_once(alarms):
    alarms.set("RESERVOIR_LOW", True, 1000)
    assert [alarms.signal(t) for t in (1000, 2999, 3000, 10**7)] == [LOW, LOW, 0, 0]
    assert alarms.due(10**7) is None


@pytest.mark.req("R-ALM-7")
def test_pump_stopped_sounds_again_every_quarter_of_an_hour(alarms):
    alarms.set("PUMP_STOPPED", True, 0)
    now, sounded = 0, []
    while now < 61 * MINUTE:
        if alarms.signal(now):
            sounded.append(now)
        now += alarms.due(now)
    assert sounded == [0, 15 * MINUTE, 30 * MINUTE, 45 * MINUTE, 60 * MINUTE]


@pytest.mark.req("R-ALM-10")
def test_a_low_alarm_cut_short_by_a_higher_one_sounds_when_that_is_over(alarms):
    alarms.set("RESERVOIR_LOW", True, 0)
    assert alarms.signal(0) == LOW
    alarms.set("CLOCK_LOST", True, 1000)
    assert alarms.signal(1000) == MEDIUM
    alarms.set("CLOCK_LOST", False, 60_000)
    assert [alarms.signal(t) for t in (60_000, 61_999, 62_000)] == [LOW, LOW, 0]


@pytest.mark.req("R-ALM-10")
def test_two_low_alarms_sound_one_after_the_other(alarms):
    alarms.set("RESERVOIR_LOW", True, 0)
    alarms.signal(0)
    alarms.set("BATTERY_LOW", True, 500)
    assert [alarms.signal(t) for t in (500, 2000, 3999, 4000)] == [LOW, LOW, LOW, 0]


@pytest.mark.req("R-ALM-10")
def test_a_mute_ends_after_two_minutes_and_asking_again_does_not_lengthen_it(alarms):
    alarms.set("LATE", True, 0)
    assert alarms.mute(1000) == 120_000
    assert alarms.mute(100_000) == 21_000
    assert alarms.due(100_000) == 21_000
    assert [alarms.signal(t) for t in (1000, 120_999, 121_000)] == [0, 0, HIGH]
    assert alarms.action() == NO_BOLUS


@pytest.mark.req("R-ALM-10")
@pytest.mark.parametrize(
    "news",
    [
        lambda a: a.set("MOTOR_STALL", True, 2000),
        lambda a: a.set("BATTERY_LOW", True, 2000),
        lambda a: a.raise_("LATE", 2000),
        lambda a: a.escalate("PUMP_STOPPED", HIGH),
    ],
)
def test_a_new_alarm_ends_a_mute_and_a_test(alarms, news):
    alarms.raise_("LATE", 0)
    alarms.set("PUMP_STOPPED", True, 0)
    alarms.mute(1000)
    alarms.test(1500)
    news(alarms)
    assert alarms.signal(2000) == HIGH


@pytest.mark.req("R-ALM-10")
def test_what_a_mute_cut_short_sounds_after_it(alarms):
    alarms.set("RESERVOIR_LOW", True, 0)
    alarms.signal(0)
    alarms.mute(1000)
    assert [alarms.signal(t) for t in (1000, 120_999, 121_000, 122_999, 123_000)] == [0, 0, LOW, LOW, 0]


@pytest.mark.req("R-ALM-10")
def test_an_alarm_test_plays_each_signal_for_two_seconds(alarms):
    alarms.test(100)
    assert [alarms.signal(t) for t in (100, 2099, 2100, 4100, 6099, 6100)] == [TEST | 1, TEST | 1, TEST | 2, TEST | 3, TEST | 3, 0]
    alarms.test(10_000)
    assert alarms.due(10_500) == 1500


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


def listen(alarms, causes, now, until):
    """Run to `until` as the loop does, waking when due() says; returns [(signal, from, to)]. Between wake-ups nothing may change."""
    heard = []
    for code in causes:
        alarms.set(code, True, now)
    while now < until:
        signal, wait = alarms.signal(now), alarms.due(now)
        assert wait is None or wait > 0
        end = until if wait is None else min(until, now + wait)
        assert alarms.signal(end - 1) == signal
        heard.append((signal, now, end))
        now = end
    return heard


def longest_low(heard, came):
    """ms of the longest unbroken LOW after `came`."""
    best, start = 0, None
    for signal, begin, end in heard:
        start = (begin if start is None else start) if signal == LOW else None
        if start is not None:
            best = max(best, end - max(start, came))
    return best


@given(
    st.lists(
        st.tuples(st.sampled_from(["RESERVOIR_LOW", "BATTERY_LOW", "CLOCK_LOST", "LATE", "mute", "over"]), st.integers(1, 5000)),
        max_size=14,
    )
)
@settings(max_examples=150, deadline=None)
@pytest.mark.req("R-ALM-10")
def test_every_low_alarm_sounds_two_seconds_without_a_break_whatever_comes_between(steps):
    alarms, now, came, causes, heard = Alarms(lambda text: None), 0, {}, set(), []
    for what, wait in [*steps, ("over", 300_000)]:
        if what == "mute":
            alarms.mute(now)
        elif what == "over":
            for code in ("CLOCK_LOST", "LATE"):
                causes.discard(code)
                alarms.set(code, False, now)
            if alarms.is_on("LATE"):
                alarms.acknowledge("LATE")
        else:
            causes.add(what)
            came.setdefault(what, now)
        heard += listen(alarms, causes, now, now + wait)
        now += wait
    for code, at in came.items():
        if PRIORITY[code] == LOW:
            assert longest_low(heard, at) >= 2000
    assert heard[-1][0] == 0


@given(operations)
@settings(max_examples=80, deadline=None)
@pytest.mark.req("R-ALM-10")
def test_the_signal_changes_only_when_it_said_it_would(steps):
    alarms, now, causes = Alarms(lambda text: None), 0, set()
    for what, code, wait in steps:
        if what == "on":
            causes.add(code)
        elif what == "off":
            causes.discard(code)
            alarms.set(code, False, now)
        elif what == "ack" and alarms.is_on(code):
            alarms.acknowledge(code)
        elif what == "raise":
            alarms.raise_(code, now)
        elif what == "mute":
            alarms.mute(now)
        elif what == "restart":
            alarms.test(now)
        listen(alarms, causes, now, now + wait)
        now += wait
