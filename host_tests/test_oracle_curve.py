"""The oracle's ideal curve: what is due at any instant, over everything that can happen to a program."""

from __future__ import annotations

from fractions import Fraction
from math import floor

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hil.oracle.curve import IdealCurve, week_ms, whole_steps
from hil.oracle.program import DAY_MS, HOUR_MS, WEEK_MS, Program, flat_lines

HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US
MONDAY = 1809302400  # 2027-05-03 00:00

HOURS = [16_800 if hour >= 19 else 14_000 for hour in range(24)]
NIGHT = Program.parse(["name=night", "conc=2000", *(f"seg.all.{h:02d}:00={ng}" for h, ng in enumerate(HOURS))])
FLAT = Program.parse(flat_lines("flat", 500, 100_000))
WEEKEND = Program.parse(["name=w", "conc=500", "seg.all.00:00=100001", "seg.sat.00:00=70000", "seg.sat.07:30=50001", "seg.sun.00:00=90000"])
PROGRAMS = [NIGHT, FLAT, WEEKEND]


def running(program, local_unix_s=MONDAY, spm=100_000):
    curve = IdealCurve(steps_per_ml=spm)
    curve.set_clock(0, local_unix_s)
    curve.set_program(0, program)
    curve.run(0)
    return curve


LEAD = Fraction(1, 64)  # how far ahead of its instant a pump places each step


def edges_of(curve, until_us):
    """Where a perfect pump would step: each at the first us at which it is due."""
    edges = []
    for k in range(1, floor(curve.ideal(until_us) + LEAD) + 1):
        low, high = (edges[-1] if edges else 0), until_us
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if curve.ideal(middle) >= k - LEAD else (middle + 1, high)
        edges.append(low)
    return np.array(edges, dtype=np.int64)


@pytest.mark.req("R-PRF-4")
def test_a_day_of_the_labels_night_program_is_175_microlitres():
    curve = running(NIGHT)
    assert curve.volume_nl(0, DAY_US) == 175_000
    assert curve.ideal(DAY_US) == 17_500
    assert curve.basal_ng(0, 28 * DAY_US) == 28 * 350_000


@pytest.mark.req("R-PRF-4")
@given(st.sampled_from(PROGRAMS), st.integers(0, 7 * 86_400), st.integers(0, 3 * DAY_MS))
def test_the_curve_is_the_integral_of_the_rate_for_the_clock_time_shown(program, start_s, span_ms):
    curve = running(program, MONDAY + start_s)
    dose_ng = program.dose(start_s * 1000, start_s * 1000 + span_ms)
    assert curve.basal_ng(0, span_ms * 1000) == dose_ng
    assert curve.ideal(span_ms * 1000) == dose_ng * 100_000 / (program.conc * 1000)


events = st.lists(
    st.tuples(
        st.sampled_from(["run", "stop", "program", "clock", "lost", "push", "cut", "spm", "anchor"]),
        st.integers(0, 30 * 3_600_000),
        st.integers(0, 10**6),
    ),
    max_size=14,
)


def happen(curve, at_us, kind, value):
    """One random event."""
    if kind == "run":
        curve.run(at_us)
    elif kind == "stop":
        curve.stop(at_us)
    elif kind == "program":
        curve.set_program(at_us, PROGRAMS[value % 3])
    elif kind == "clock":
        curve.set_clock(at_us, MONDAY + value)
    elif kind == "lost":
        curve.lowest(at_us)
    elif kind == "push":
        curve.push(at_us, value % 5_000, 1_000 + value)
    elif kind == "cut":
        curve.push_ended(at_us, 0)
    elif kind == "spm":
        curve.set_steps_per_ml(at_us, 90_000 + value % 20_000)
    elif kind == "anchor":
        curve.anchor(at_us, floor(curve.ideal(at_us)))


@pytest.mark.req("R-PRF-4")
@settings(max_examples=60)
@given(events)
def test_no_event_makes_or_loses_more_than_a_fraction_of_a_step_but_a_bolus_cut_short(history):
    curve, at = running(NIGHT), 0
    for kind, wait_ms, value in history:
        at += wait_ms * 1000
        before = curve.ideal(at)
        happen(curve, at, kind, value)
        if kind == "anchor":
            assert -1 < curve.ideal(at) - before <= 0
        elif kind != "cut":
            assert curve.ideal(at) == before


@pytest.mark.req("R-PRF-4")
@settings(max_examples=60)
@given(events, st.lists(st.integers(0, 400 * 3_600_000_000), min_size=1, max_size=8))
@example([("push", HOUR_MS, 4_999), ("stop", 1_000, 0), ("run", HOUR_MS, 1)], [5 * HOUR_US])
@example([("clock", HOUR_MS, 70_000), ("push", HOUR_MS, 4_999), ("stop", HOUR_MS, 0), ("run", HOUR_MS, 1)], [100 * HOUR_US, HOUR_US])
def test_looking_ahead_changes_nothing_of_what_follows(history, looks):
    seen, unseen, at = running(WEEKEND), running(WEEKEND), 0
    for kind, wait_ms, value in history:
        seen.ideal(at + looks[value % len(looks)])
        at += wait_ms * 1000
        happen(seen, at, kind, value)
        happen(unseen, at, kind, value)
    for look in looks:
        assert seen.ideal(look) == unseen.ideal(look)


@pytest.mark.req("R-PRF-4")
@settings(max_examples=40)
@given(events, st.lists(st.integers(0, 28 * DAY_US), min_size=1, max_size=30))
def test_the_floats_are_the_fractions_to_a_millionth_of_a_step_over_28_days(history, times):
    curve, at = running(NIGHT), 0
    for kind, wait_ms, value in history:
        at += wait_ms * 1000
        happen(curve, at, kind, value)
    floats = curve.ideal_at(np.array(times, dtype=np.int64))
    for time_us, value in zip(times, floats, strict=True):
        assert abs(Fraction(float(value)) - curve.ideal(time_us)) < Fraction(1, 10**6)


@pytest.mark.req("R-PRF-4")
@settings(max_examples=15)
@given(st.sampled_from(PROGRAMS), st.integers(0, 7 * 86_400))
def test_a_perfect_pump_is_never_more_than_one_step_off(program, start_s):
    curve = running(program, MONDAY + start_s)
    edges = edges_of(curve, HOUR_US // 4)
    assert 0.98 < curve.step_error(edges, HOUR_US // 4) <= 1
    assert 0 <= len(edges) - curve.steps_due(HOUR_US // 4) <= 1


@pytest.mark.req("R-PRF-4")
def test_a_pump_that_loses_one_step_or_makes_one_too_many_is_seen():
    curve = running(NIGHT)
    edges = edges_of(curve, HOUR_US // 4)
    assert curve.step_error(edges) <= 1
    assert curve.step_error(np.delete(edges, 3)) > 1.9
    assert curve.step_error(np.insert(edges, 3, edges[3])) > 1
    assert curve.step_error(edges[:-2]) <= 1 < curve.step_error(edges[:-2], HOUR_US // 4)


@pytest.mark.req("R-PRF-4")
def test_the_fraction_of_a_step_is_kept_over_a_stop():
    curve = running(NIGHT)
    curve.stop(1_000_000)
    part = curve.ideal(1_000_000)
    assert 0 < part < 1
    curve.run(DAY_US)
    assert curve.ideal(DAY_US) == part
    assert curve.volume_nl(1_000_000, DAY_US) == 0


@pytest.mark.req("R-PRF-4")
def test_a_clock_set_moves_the_program_and_nothing_delivered():
    curve = running(NIGHT)
    before = curve.ideal(DAY_US)
    assert curve.largest_24h_ng(DAY_US) == 350_000
    curve.set_clock(DAY_US, MONDAY + 19 * 3600)
    assert curve.ideal(DAY_US) == before
    assert curve.rate_ng_h(DAY_US) == 16_800
    assert curve.largest_24h_ng(2 * DAY_US) == 350_000 + 5 * 2_800


@pytest.mark.req("R-ALM-8")
def test_without_a_clock_the_lowest_rate_holds_until_the_time_is_set():
    curve = running(NIGHT, MONDAY + 20 * 3600)
    curve.lowest(HOUR_US)
    assert curve.basal_ng(HOUR_US, 49 * HOUR_US) == 48 * 14_000
    curve.set_clock(49 * HOUR_US, MONDAY + 20 * 3600)
    assert curve.rate_ng_h(49 * HOUR_US) == 16_800


@pytest.mark.req("R-BOL-3")
def test_a_bolus_adds_to_the_basal_and_does_not_change_its_account():
    with_bolus, without = running(FLAT), running(FLAT)
    with_bolus.push(HOUR_US, whole_steps(50_000, 100_000), 300_000)
    assert with_bolus.ideal(2 * HOUR_US) == without.ideal(2 * HOUR_US) + 5_000
    assert with_bolus.basal_ng(0, 2 * HOUR_US) == without.basal_ng(0, 2 * HOUR_US)
    half = HOUR_US + 150_000_000
    assert with_bolus.ideal(half) == without.ideal(half) + 2_500


@given(st.integers(0, 299), st.integers(0, 5_000))
def test_a_bolus_cut_short_counts_the_steps_it_made(second, made):
    curve, without = running(FLAT), running(FLAT)
    curve.push(0, 5_000, 300_000)
    curve.push_ended(second * 1_000_000, made)
    assert curve.ideal(HOUR_US) == without.ideal(HOUR_US) + made


def test_after_a_reset_the_curve_starts_at_the_steps_really_made():
    curve = running(NIGHT)
    curve.push(HOUR_US, 1_000, 60_000)
    curve.stop(HOUR_US + 1_000_000)
    curve.anchor(2 * HOUR_US, 700)
    curve.run(2 * HOUR_US)
    assert curve.ideal(2 * HOUR_US) == 700
    assert curve.ideal(3 * HOUR_US) == 1_400


def test_events_come_in_order_of_time():
    curve = running(NIGHT)
    curve.stop(10)
    with pytest.raises(ValueError, match="order of time"):
        curve.run(9)


def test_another_concentration_at_the_head_changes_the_steps_and_not_the_dose():
    curve = running(NIGHT)
    curve.set_concentration(HOUR_US, 1000)
    assert curve.ideal(2 * HOUR_US) - curve.ideal(HOUR_US) == 1_400
    assert curve.basal_ng(HOUR_US, 2 * HOUR_US) == 14_000


def test_the_third_of_may_2027_is_a_monday():
    assert week_ms(MONDAY) == 0
    assert week_ms(MONDAY - 1) == WEEK_MS - 1_000
