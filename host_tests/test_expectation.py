"""What the bench expects: bridges, tapers and screening doses in the ideal curve, kept in step with what happens."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.expectation import Expectation, Push
from hil.fluids import Bridge, Fluids
from hil.oracle import Program as OracleProgram
from hil.oracle import flat_lines
from hil.oracle.curve import IdealCurve
from hil.prescription import Program, compile_program

HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US
MONDAY = 1_809_302_400
DEAD_NL = 240_000
TAPER = Program("holiday", 500, {}, taper=tuple(200_000 - 10_000 * day for day in range(14)))


def flat(conc: int, mcg: int) -> Program:
    return compile_program({"name": "flat", "conc": f"{conc} mcg/mL", "flat": f"{mcg} mcg/day"})


def expecting(program: Program) -> Expectation:
    expectation = Expectation(0, 100_000)
    expectation.clock(0, MONDAY)
    expectation.commit(0, program)
    return expectation


# ---- bridges


@pytest.mark.req("R-CON-3")
@given(st.sampled_from([50, 500, 1000, 2000]), st.sampled_from([500, 1000, 2000]), st.integers(50_000, 1_400_000), st.integers(1, 40))
def test_a_bridge_is_the_old_concentration_for_its_volume_and_then_the_new_one(old, new, dose_ng, hours):
    curve = IdealCurve()
    curve.set_clock(0, MONDAY)
    curve.set_program(0, OracleProgram.parse(flat_lines("new", new, dose_ng)))
    curve.bridge(0, old, DEAD_NL)
    curve.run(0)
    t_us = hours * HOUR_US
    dose = curve.basal_ng(0, t_us)
    old_ng = min(dose, Fraction(DEAD_NL * old, 1000))
    wanted_nl = old_ng * 1000 / old + (dose - old_ng) * 1000 / new
    assert float(curve.volume_nl(0, t_us)) == pytest.approx(float(wanted_nl), abs=0.01)
    assert curve.bridging(t_us) == (old_ng == dose and dose < Fraction(DEAD_NL * old, 1000))


@pytest.mark.req("R-CON-3")
def test_a_stop_does_not_wear_a_bridge_down():
    expectation = expecting(flat(2000, 600))
    expectation.bridge(0, 500, DEAD_NL, 0)
    expectation.run(0)
    expectation.stop(2 * HOUR_US)
    expectation.run(20 * HOUR_US)
    assert expectation.bridge_left_nl(20 * HOUR_US, 10_000) == DEAD_NL - 100_000
    assert expectation.volume_nl(20 * HOUR_US, 21 * HOUR_US) == pytest.approx(50_000)
    assert not expectation.bridging(23 * HOUR_US)


@pytest.mark.req("R-CON-3")
def test_a_bridge_that_the_pump_knows_to_be_over_ends_at_once():
    expectation = expecting(flat(2000, 600))
    expectation.bridge(0, 500, DEAD_NL, 0)
    expectation.run(0)
    expectation.bridge(HOUR_US, 500, 0, 5000)
    assert expectation.volume_nl(HOUR_US, 2 * HOUR_US) == pytest.approx(12_500)


@pytest.mark.req("R-CON-3")
def test_a_refill_with_another_drug_than_the_lines_begins_a_bridge_and_one_with_the_same_does_not():
    fluids = Fluids(DEAD_NL)
    assert fluids.refilled(50) is None  # a line that holds nothing
    fluids.moved()
    assert fluids.refilled(50) is None
    assert fluids.refilled(500) == Bridge(50, DEAD_NL)
    fluids.moved()
    assert (fluids.line, fluids.reservoir) == (50, 500)
    fluids.through()
    assert fluids.line == 500


@pytest.mark.req("R-CON-4")
def test_a_new_line_holds_nothing_and_ends_a_bridge():
    fluids = Fluids(DEAD_NL)
    fluids.refilled(50)
    fluids.moved()
    fluids.refilled(500)
    fluids.new_line()
    assert (fluids.bridging, fluids.line) == (False, None)
    assert fluids.refilled(2000) is None


# ---- tapers


@pytest.mark.req("R-HOL-1")
def test_a_taper_gives_each_day_its_dose_from_its_start_and_nothing_after_the_last():
    expectation = expecting(flat(500, 200))
    expectation.run(0)
    start = 5 * HOUR_US
    expectation.commit(start, TAPER)
    for day, dose_ng in enumerate(TAPER.taper):
        at = start + day * DAY_US
        assert expectation.volume_nl(at, at + DAY_US) == pytest.approx(dose_ng * 2)
    end = start + 14 * DAY_US
    assert expectation.volume_nl(end, end + 30 * DAY_US) == 0


@pytest.mark.req("R-HOL-1")
def test_a_taper_that_was_committed_while_stopped_begins_with_run():
    expectation = expecting(TAPER)
    expectation.run(7 * HOUR_US)
    assert expectation.volume_nl(0, 7 * HOUR_US) == 0
    assert expectation.volume_nl(7 * HOUR_US, 7 * HOUR_US + DAY_US) == pytest.approx(400_000)


@pytest.mark.req("R-HOL-1", "R-TIM-1")
def test_the_days_of_a_taper_pass_while_it_is_stopped_and_no_clock_moves_them():
    expectation = expecting(TAPER)
    expectation.run(0)
    expectation.clock(HOUR_US, MONDAY + 40_000)
    expectation.stop(2 * HOUR_US)
    expectation.run(26 * HOUR_US)
    assert expectation.volume_nl(26 * HOUR_US, 27 * HOUR_US) == pytest.approx(190_000 * 2 / 24)


@pytest.mark.req("R-HOL-1", "R-TIM-1")
@pytest.mark.parametrize(("kept", "passed_h"), [(True, 12), (False, 2)])
def test_an_outage_counts_for_a_taper_only_if_a_kept_clock_proves_it(kept, passed_h):
    expectation = expecting(TAPER)
    expectation.run(0)
    expectation.cut(2 * HOUR_US, 0)
    back = 12 * HOUR_US
    expectation.restarted(back, 0, kept)
    expectation.run(back)
    first_day_left = (24 - passed_h) * HOUR_US
    assert expectation.volume_nl(back, back + first_day_left) == pytest.approx(400_000 * (24 - passed_h) / 24)
    assert expectation.volume_nl(back + first_day_left, back + first_day_left + HOUR_US) == pytest.approx(380_000 / 24)


@pytest.mark.req("R-HOL-1")
def test_a_holiday_that_is_broken_off_goes_on_flat_with_the_dose_of_the_day():
    expectation = expecting(TAPER)
    expectation.run(0)
    became = expectation.break_off(4 * DAY_US + HOUR_US)
    assert became is not None and became.day_ng("mon") == 160_000 and len(became.of_day("mon")) == 24
    assert expectation.volume_nl(10 * DAY_US, 11 * DAY_US) == pytest.approx(320_000, abs=1)


def test_without_a_holiday_nothing_is_broken_off():
    assert expecting(flat(500, 200)).break_off(HOUR_US) is None


# ---- doses beside the basal


@pytest.mark.req("R-SCR-2")
def test_a_screening_dose_is_evenly_in_the_curve_and_its_dose_is_counted():
    expectation = Expectation(0, 100_000)
    expectation.push(0, Push(1_000_000, 60_000, dose_ng=50_000))
    assert expectation.volume_nl(0, 30_000_000) == pytest.approx(500_000)
    assert expectation.dose_ng(HOUR_US) == 50_000


def test_a_dose_that_was_cut_off_counts_as_far_as_it_came():
    expectation = Expectation(0, 100_000)
    expectation.push(0, Push(1_000_000, 60_000, dose_ng=50_000))
    expectation.push_ended(30_000_000, 49_990)
    assert expectation.dose_ng(HOUR_US) == pytest.approx(24_995)
    assert expectation.volume_nl(0, HOUR_US) == pytest.approx(499_900)


def test_a_prime_moves_volume_and_no_dose():
    expectation = Expectation(0, 100_000)
    expectation.push(0, Push(240_000, 60_000))
    assert (expectation.volume_nl(0, HOUR_US), expectation.dose_ng(HOUR_US)) == (pytest.approx(240_000), 0)
