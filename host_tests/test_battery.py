"""The battery (R-ALM-4): one spike raises nothing, no fall is missed, the forecast looks 90 days ahead."""

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from doseloop.battery import Battery, days_until

DAY = 86_400_000
BOARD = {
    "battery_low_mv": 3300,
    "battery_low_clear_mv": 3400,
    "battery_depleted_mv": 3000,
    "battery_depleted_clear_mv": 3150,
}


def fed(readings, battery=None):
    battery = battery or Battery(BOARD)
    for mv in readings:
        battery.sample(mv, 0)
    return battery


def run_days(battery, means, first=0, per_day=8):
    """One mean a day; the last day is only summed up when the next begins."""
    for i, mv in enumerate(means):
        for k in range(per_day):
            battery.sample(mv, (first + i) * DAY + k * DAY // per_day)
    battery.sample(means[-1], (first + len(means)) * DAY)
    return battery


@given(st.integers(3301, 4200), st.integers(0, 65_535), st.integers(0, 30))
@settings(max_examples=150, deadline=None)
@pytest.mark.req("R-ALM-4")
def test_one_spike_raises_nothing_also_right_after_a_start(mv, spike, before):
    battery = fed([mv] * before)
    for reading in [spike] + [mv] * 12:
        fed([reading], battery)
        assert not battery.low and not battery.depleted


@given(st.integers(0, 3000), st.integers(0, 65_535), st.integers(3, 30))
@settings(max_examples=100, deadline=None)
@pytest.mark.req("R-ALM-4")
def test_one_spike_ends_nothing(mv, spike, before):
    battery = fed([mv] * before)
    for reading in [spike] + [mv] * 12:
        fed([reading], battery)
        assert battery.low and battery.depleted


@given(st.integers(3400, 4200), st.integers(0, 3000))
@settings(max_examples=60, deadline=None)
@pytest.mark.req("R-ALM-4")
def test_a_fall_in_one_jump_is_found_within_10_readings(high, low):
    battery = fed([high] * 50)
    battery = fed([low] * 10, battery)
    assert battery.low and battery.depleted


@given(st.lists(st.integers(0, 3), min_size=400, max_size=600), st.lists(st.integers(-20, 20), min_size=10, max_size=10))
@settings(max_examples=40, deadline=None)
@pytest.mark.req("R-ALM-4")
def test_a_slow_fall_with_noise_is_never_missed(falls, noise):
    battery, mv = Battery(BOARD), 3700
    for i in range(4000):
        mv -= falls[i % len(falls)]
        battery.sample(mv + noise[i % 10], i)
        if mv < 3300 - 20 - 40:
            assert battery.low
        if mv < 3000 - 20 - 40:
            assert battery.depleted
            break


@pytest.mark.req("R-ALM-4")
def test_the_thresholds_have_hysteresis_and_equality_counts():
    battery = fed([3300] * 10)
    assert battery.low and battery.mv == 3300
    assert fed([3399] * 10, battery).low
    assert not fed([3400] * 10, battery).low
    assert not fed([3301] * 10, battery).low
    assert fed([3000] * 10, battery).depleted
    assert fed([3149] * 10, battery).depleted
    assert not fed([3150] * 10, battery).depleted and battery.low


def test_the_mean_is_of_the_last_10_readings_without_the_extremes():
    battery = fed([9999] * 20 + [3500, 3510, 3520, 3530, 3540, 3550, 3560, 3570, 3580, 3590])
    assert battery.mv == sum(range(3510, 3590, 10)) // 8


def test_before_three_readings_and_without_a_sensor_nothing_is_known():
    battery = fed([100, 100, None, -1])
    assert battery.mv == 0 and not battery.low and not battery.depleted
    assert fed([100], battery).depleted


# ---- the forecast


@given(st.lists(st.integers(0, 70_000), min_size=7, max_size=14), st.integers(0, 60_000), st.integers(0, 10_000))
@settings(max_examples=150, deadline=None)
@pytest.mark.req("R-ALM-4")
def test_the_forecast_is_the_line_of_least_squares_exactly(values, level, first):
    n = len(values)
    mean_x, mean_y = Fraction(n - 1, 2), Fraction(sum(values), n)
    slope = sum((x - mean_x) * (y - mean_y) for x, y in enumerate(values)) / sum((x - mean_x) ** 2 for x in range(n))
    expected = None
    if slope < 0:
        last = mean_y + slope * (n - 1 - mean_x)
        expected = max(0, int((last - level) / -slope // 1))
    assert days_until([(first + i, v) for i, v in enumerate(values)], level) == expected


@pytest.mark.req("R-ALM-4")
def test_less_than_90_days_left_is_low_although_the_voltage_is_fine():
    battery = run_days(Battery(BOARD), [4000 - 10 * i for i in range(10)])
    assert battery.days_left() == 91 and not battery.low
    battery = run_days(battery, [3900, 3890], first=10)
    assert battery.days_left() == 89 and battery.low and battery.mv > 3400


def ending_at(last_mv):
    """A week that falls by exactly 10 mV a day, as the journal gives it back."""
    return [n for day in range(7) for n in (day, (last_mv + 10 * (6 - day)) * 16)]


@pytest.mark.req("R-ALM-4")
def test_the_forecast_too_has_hysteresis():
    battery = Battery(BOARD)
    for last_mv, left, low in ((3950, 95, False), (3900, 90, False), (3890, 89, True), (3990, 99, True), (4000, 100, False)):
        battery.load(ending_at(last_mv))
        assert (battery.days_left(), battery.low) == (left, low)


@pytest.mark.req("R-ALM-4")
def test_without_a_week_of_means_or_without_a_fall_the_forecast_is_unknown():
    assert run_days(Battery(BOARD), [3900 - 50 * i for i in range(6)]).days_left() is None
    assert run_days(Battery(BOARD), [3700] * 14).days_left() is None
    assert run_days(Battery(BOARD), [3700 + i for i in range(14)]).days_left() is None


@pytest.mark.req("R-ALM-4")
def test_another_battery_begins_the_forecast_anew():
    battery = run_days(Battery(BOARD), [3500 - 10 * i for i in range(10)])
    assert battery.low
    battery = run_days(battery, [4000] * 3, first=10)
    assert battery.days_left() is None and not battery.low
    assert battery.dump()[0::2] == [10, 11, 12]


def test_means_older_than_14_days_and_those_of_a_clock_that_went_back_are_forgotten():
    battery = run_days(Battery(BOARD), [4000 - 2 * i for i in range(40)])
    assert list(battery.dump()[0::2]) == list(range(26, 40))
    battery = run_days(battery, [3900], first=100)
    assert battery.dump()[0::2] == [100]


@pytest.mark.req("R-TIM-1")
def test_the_daily_means_survive_a_restart():
    battery = run_days(Battery(BOARD), [4000 - 12 * i for i in range(10)])
    again = Battery(BOARD)
    again.load(battery.dump())
    assert again.days_left() == battery.days_left() and again.low == battery.low
    again.load([])
    assert again.days_left() is None
