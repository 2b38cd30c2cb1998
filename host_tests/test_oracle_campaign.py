"""The oracle's state machine under random histories: what the caps promise, counted over by another way; and the refill forecast."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from oracle_rig import MCG, MONDAY, flat, refill, taken_over, taper, with_bolus

from hil.oracle import Bridge, Program, Site, consumed_nl, flat_lines, lasts_ms, low_in_ms, refill_by_s, rules
from hil.oracle.program import DAY_MS, HOUR_MS, WEEK_MS

DOSES = [60, 80, 100, 104, 110, 115, 120, 130, 150, 169]
STEPS = {"spinal": (30, 40), "cerebral": (15, 20), "pediatric": (15, 20)}

moves = st.lists(
    st.tuples(
        st.sampled_from(["commit", "commit", "commit", "run", "stop", "loss", "unknown", "clock", "phase", "refill"]),
        st.sampled_from([1, HOUR_MS, 5 * HOUR_MS, 7 * HOUR_MS, DAY_MS - 1, DAY_MS, DAY_MS + 1]),
        st.sampled_from(DOSES),
    ),
    max_size=40,
)


def move(therapy, at_ms, kind, mcg):
    """One order or mishap; gives the elapsed time after it."""
    if kind == "commit":
        therapy.commit(at_ms, flat(mcg))
    elif kind == "run":
        therapy.run(at_ms)
    elif kind == "stop":
        therapy.stop(at_ms)
    elif kind == "loss":
        return therapy.power_loss(at_ms, mcg * 60_000)
    elif kind == "unknown":
        return therapy.power_loss(at_ms, None)
    elif kind == "clock":
        therapy.clock_set(at_ms, MONDAY + mcg * 3600)
    elif kind == "phase":
        therapy.set_phase(at_ms, "maintenance")
    elif kind == "refill":
        refill(therapy, at_ms, mcg * 100_000)
    return at_ms


def delivering(therapy):
    """The dose that runs now, or None."""
    record = therapy.record
    return record.last_run.daily_ng if record.running else None


def history_of(population, phase, sequence):
    """(elapsed ms, dose in force) at each change of dose while running, the imported one first."""
    therapy = taken_over(flat(100), population, phase=phase)
    at_ms, seen = 0, [(-10 * DAY_MS, Fraction(100 * MCG))]
    for kind, wait_ms, mcg in sequence:
        at_ms = move(therapy, at_ms + wait_ms, kind, mcg)
        dose = delivering(therapy)
        if dose is not None and dose != seen[-1][1]:
            seen.append((at_ms, dose))
    return seen


@pytest.mark.req("R-TIT-1", "R-TIT-2", "R-TIT-3", "R-TIT-4", "R-MNT-1", "R-MNT-2")
@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(STEPS)), st.sampled_from(["titration", "maintenance"]), moves)
def test_no_history_holds_two_increases_in_24_h_or_a_step_above_the_cap(population, phase, sequence):
    seen = history_of(population, phase, sequence)
    changes = list(pairwise(seen))
    rises = [after[0] for before, after in changes if after[1] > before[1]]
    assert all(later - earlier >= DAY_MS for earlier, later in pairwise(rises))
    most = max(STEPS[population])
    assert all(after[1] * 100 <= before[1] * (100 + most) for before, after in changes)


@pytest.mark.req("R-TIT-4")
@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(STEPS)), moves)
def test_no_history_of_one_day_rises_above_one_step(population, sequence):
    seen = history_of(population, "titration", sequence)
    percent = max(STEPS[population])
    for at_ms, dose in seen:
        ends = [later for later, _ in seen[1:]] + [10**18]
        before = [d for (start, d), end in zip(seen, ends, strict=True) if start < at_ms and end > at_ms - DAY_MS]
        assert not before or dose * 100 <= max(before) * (100 + percent)
        assert not before or dose * 100 >= max(before) * 80 or dose >= min(before)


@pytest.mark.req("R-UNIT-3")
@settings(max_examples=200, deadline=None)
@given(moves, st.sampled_from(DOSES))
def test_a_refused_commit_changes_nothing_but_the_count_of_refusals(sequence, mcg):
    therapy, at_ms = taken_over(flat(100)), 0
    for kind, wait_ms, dose in sequence:
        at_ms = move(therapy, at_ms + wait_ms, kind, dose)
    twin = therapy.copy()
    if not twin.commit(at_ms, flat(mcg)).ok:
        therapy.clock_set(at_ms, MONDAY)
        twin.clock_set(at_ms, MONDAY)
        assert replace(twin.record, advice=therapy.record.advice) == therapy.record


@pytest.mark.req("R-BOL-2")
@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["bolus", "bolus", "stop", "run", "loss"]), st.integers(0, 5 * HOUR_MS)), max_size=40))
def test_no_24_h_hold_more_boluses_than_the_allowance(sequence):
    therapy, at_ms, given_at = taken_over(with_bolus(100)), 0, []
    for kind, wait_ms in sequence:
        at_ms += wait_ms
        if kind == "bolus" and therapy.bolus(at_ms, 10_000).ok:
            given_at.append(at_ms)
            at_ms += 60_000
            therapy.bolus_ended(at_ms, "DONE")
        elif kind == "loss":
            at_ms = therapy.power_loss(at_ms, wait_ms)
        elif kind == "stop":
            therapy.stop(at_ms)
        elif kind == "run":
            therapy.run(at_ms)
    for start in given_at:
        assert sum(5 for at in given_at if start <= at < start + DAY_MS) <= 15
    assert all(b - a >= HOUR_MS for a, b in pairwise(given_at))


shapes = st.lists(st.sampled_from([30_000, 40_000, 50_000, 60_000]), min_size=1, max_size=4)


def shaped(parts):
    """A day of even stretches with a dose of its own each."""
    lines = [f"seg.all.{i * 24 // len(parts):02d}:00={ng}" for i, ng in enumerate(parts)]
    return Program.parse(["name=s", "conc=500", *lines])


@pytest.mark.req("R-DOSE-2")
@settings(max_examples=150, deadline=None)
@given(shapes, shapes, st.integers(0, 3 * 1440))
@example([150_000], [60_000, 50_000, 40_000], 0)
@example([40_000, 50_000, 60_000], [150_000], 0)
def test_a_change_is_refused_if_and_only_if_some_24_h_across_it_exceed_the_greater_high_dose(old_parts, new_parts, minute):
    old, new = shaped(old_parts), shaped(new_parts)
    at_ms = DAY_MS + minute * 60_000
    hours = [at_ms // HOUR_MS * HOUR_MS + i * HOUR_MS for i in range(1, 25)]  # all bends lie on whole hours
    ends = [at_ms, at_ms + DAY_MS, *hours]
    sums = [old.dose(end - DAY_MS, at_ms) + new.dose(at_ms, end) for end in ends if at_ms <= end <= at_ms + DAY_MS]
    found = list(rules.window(taken_over(old).record, at_ms, new))
    assert bool(found) == (max(sums) > max(old.high_ng, new.high_ng))


# the refill date


@pytest.mark.req("R-FIL-3")
@settings(deadline=None)
@given(shapes, st.integers(0, WEEK_MS), st.integers(1, 20_000_000))
def test_a_volume_lasts_exactly_until_it_is_consumed(parts, local_ms, volume_nl):
    program = shaped(parts)
    lasts = lasts_ms(program, local_ms, volume_nl)
    assert consumed_nl(program, local_ms, int(lasts)) <= volume_nl <= consumed_nl(program, local_ms, int(lasts) + 1)


@pytest.mark.req("R-FIL-3", "R-ALM-2")
def test_the_refill_date_is_when_the_threshold_is_reached_or_72_h_are_left():
    slow, fast = flat(100), Program.parse(flat_lines("fast", 500, 500_000))  # 200 uL and 1 mL a day
    assert low_in_ms(slow, 0, 12_000_000) == 50 * DAY_MS
    assert low_in_ms(fast, 0, 12_000_000) == 9 * DAY_MS
    assert low_in_ms(fast, 0, 2_999_999) == 0
    assert low_in_ms(slow, 0, 2_000_000) == 0


@pytest.mark.req("R-FIL-3", "R-HOL-1")
def test_the_forecast_of_a_holiday_follows_its_taper_to_the_zero():
    holiday = taper(100, 14, 100)  # 200 uL a day
    assert low_in_ms(holiday, 0, 4_000_000) == 10 * DAY_MS
    assert low_in_ms(holiday, 9 * DAY_MS, 2_200_000) == DAY_MS
    assert low_in_ms(holiday, 0, 5_000_000) is None
    assert low_in_ms(holiday, 14 * DAY_MS, 2_000_001) is None
    assert lasts_ms(taper(100, 14, 80), 0, 200_000 + 80_000) == DAY_MS + DAY_MS // 2


@pytest.mark.req("R-FIL-3", "R-CON-3")
def test_the_forecast_knows_that_old_drug_leaves_first():
    program = flat(100, 1000)  # 100 uL a day; the old drug at half the concentration 200 uL
    assert low_in_ms(program, 0, 2_300_000) == 3 * DAY_MS
    assert low_in_ms(program, 0, 2_300_000, bridge=Bridge(500, 200_000)) == 2 * DAY_MS
    assert lasts_ms(program, 0, 100_000, Bridge(500, 200_000)) == DAY_MS // 2


@pytest.mark.req("R-FIL-3")
def test_the_whole_bolus_allowance_counts_in_the_forecast():
    assert low_in_ms(with_bolus(80, allowance_mcg=20), 0, 12_000_000) == 50 * DAY_MS


@pytest.mark.req("R-FIL-3")
def test_the_expiry_comes_first_if_it_is_earlier():
    program = flat(100)
    assert refill_by_s(program, MONDAY, 0, 12_000_000) == MONDAY + 50 * 86_400
    assert refill_by_s(program, MONDAY, 120, 12_000_000, date(2027, 5, 9)) == MONDAY + 7 * 86_400 - 7200
    nothing = Program.parse(["name=zero", "conc=500", "seg.all.00:00=0"])
    assert refill_by_s(nothing, MONDAY, 0, 12_000_000) is None


def test_a_commit_costs_the_oracle_little():
    therapy = taken_over(flat(100))
    assert therapy.record.site == Site()
    twin = therapy.copy()
    twin.stop(5)
    assert therapy.record.running
    assert not twin.record.running
