"""The oracle on the line: bridging from one concentration to the next, priming, new parts, and the observation timer."""

from __future__ import annotations

from fractions import Fraction

import pytest
from oracle_rig import CONFIRMED, SITE, code, empty, enrolled, flat, refill, screen, taken_over, with_bolus

from hil.oracle.program import DAY_MS, HOUR_MS

DEAD_NL = SITE.tube_nl + SITE.catheter_nl


def bridging(conc=1000, old=500):
    """A stopped pump whose line still holds the drug of before."""
    therapy = taken_over(flat(100, conc=old), run=False)
    therapy.pumped(0, 10)
    assert refill(therapy, 0, 5_000_000, conc).ok
    return therapy


# the bridge


@pytest.mark.req("R-CON-3")
def test_another_concentration_begins_a_bridge_of_the_whole_dead_volume():
    line = bridging().record.line
    assert (line.conc, line.left_nl, line.bridging) == (500, DEAD_NL, True)


@pytest.mark.req("R-CON-3")
def test_a_bridge_ends_with_the_step_that_takes_the_last_of_the_dead_volume():
    therapy = bridging()
    step_nl = Fraction(1_000_000, 300_000)
    steps = DEAD_NL / step_nl
    therapy.pumped(1, (steps - 1) * step_nl)
    assert therapy.record.line.left_nl == step_nl
    therapy.pumped(1, step_nl)
    assert (therapy.record.line.conc, therapy.record.line.left_nl) == (1000, 0)


@pytest.mark.req("R-CON-3")
def test_a_line_that_holds_nothing_or_test_fluid_or_the_same_drug_needs_no_bridge():
    fresh = taken_over(flat(100), run=False)
    refill(fresh, 0, 5_000_000, 1000)
    assert not fresh.record.line.bridging
    same = taken_over(flat(100), run=False)
    same.pumped(0, 1)
    refill(same, 0, 5_000_000, 500)
    assert not same.record.line.bridging
    rinsed = empty()
    refill(rinsed, 0, 5_000_000, 500, fluid="test")
    rinsed.pumped(0, 1)
    rinsed.empty(0)
    assert refill(rinsed, 0, 5_000_000, 1000).ok
    assert not rinsed.record.line.bridging


@pytest.mark.req("R-CON-3")
@pytest.mark.parametrize(("old", "new", "left_nl"), [(500, 1000, DEAD_NL - 40), (1000, 500, DEAD_NL - 10)])
def test_of_two_bounds_the_one_counts_that_never_raises_the_dose_at_the_tip(old, new, left_nl):
    therapy = bridging(new, old)
    therapy.pumped(1, 40, least_nl=10)
    assert therapy.record.line.left_nl == left_nl


@pytest.mark.req("R-CON-3")
def test_while_bridging_no_bolus_no_prime_no_screening_dose_and_no_third_concentration():
    therapy = bridging()
    assert code(refill(therapy, 1, 5_000_000, 500)) == "BRIDGING"
    assert code(refill(therapy, 1, 5_000_000, 2000)) == "BRIDGING"
    assert refill(therapy, 1, 5_000_000, 1000).ok
    assert therapy.record.line.left_nl == DEAD_NL
    assert code(therapy.prime(1, 10, CONFIRMED)) == "BRIDGING"
    therapy.commit(1, with_bolus(85, conc=1000))
    assert therapy.run(1).ok
    assert code(therapy.bolus(1, 10_000)) == "BRIDGING"
    therapy.pumped(1, DEAD_NL)
    assert therapy.bolus(1, 10_000).ok


@pytest.mark.req("R-CON-3", "R-SCR-1")
def test_a_screening_dose_waits_for_the_old_drug_to_leave_the_line():
    therapy = taken_over(flat(100))
    therapy.pumped(1, 10)
    therapy.stop(1)
    therapy.new_trial(1)
    refill(therapy, 1, 5_000_000, 50)
    assert code(therapy.screen(1, 50)) == "BRIDGING"
    assert therapy.new_line(1, "both").ok
    assert therapy.screen(1, 50).ok


@pytest.mark.req("R-CON-3")
def test_a_trials_drug_is_bridged_into_the_first_program():
    therapy = enrolled()
    end = screen(therapy, 0, 50)
    therapy.pumped(end, 1_000_000)
    therapy.respond(end, "positive")
    refill(therapy, end, 5_000_000, 500)
    assert (therapy.record.line.conc, therapy.record.line.left_nl) == (50, DEAD_NL)
    assert therapy.commit(end, flat(50)).ok
    assert therapy.run(end).ok


@pytest.mark.req("R-CON-1", "R-FIL-2")
def test_while_running_a_refill_has_the_programs_concentration():
    therapy = taken_over(flat(100))
    assert refill(therapy, 1, 5_000_000, 1000) == ("CONCENTRATION", {"want": 500})
    therapy.stop(1)
    assert refill(therapy, 1, 5_000_000, 1000, expected_nl=1_000_001) == ("RESIDUAL", {"most": 1_000_000})


# new parts and priming


@pytest.mark.req("R-CON-4")
@pytest.mark.parametrize(("part", "most"), [("tube", 100_000), ("catheter", 20_000), ("both", 120_000)])
def test_a_new_part_may_be_primed_with_its_dead_volume_once(part, most):
    therapy = empty()
    assert therapy.prime(0, 1, CONFIRMED) == ("PRIME_DONE", {"most": 0})
    therapy.new_line(0, part)
    assert therapy.prime(0, most + 1, CONFIRMED) == ("PRIME_DONE", {"most": most})
    assert therapy.prime(0, most, CONFIRMED).ok
    therapy.prime_ended(1)
    assert therapy.prime(1, 1, CONFIRMED) == ("PRIME_DONE", {"most": 0})


@pytest.mark.req("R-CON-4")
def test_steps_of_a_prime_that_was_broken_off_count_as_used_and_allowances_do_not_add_up():
    therapy = empty()
    therapy.new_line(0, "tube")
    therapy.prime(0, 60_000, CONFIRMED)
    therapy.prime_ended(1, unused_nl=50_000)
    assert therapy.record.line.prime_nl == 90_000
    therapy.new_line(1, "tube")
    assert therapy.record.line.prime_nl == 100_000


@pytest.mark.req("R-CON-4", "R-CAP-1", "R-CAP-2")
def test_a_prime_is_for_a_stopped_pump_whose_port_is_closed():
    therapy = taken_over(flat(100))
    assert code(therapy.prime(0, 1, CONFIRMED)) == "STATE"
    assert code(therapy.new_line(0, "both")) == "STATE"
    therapy.stop(0)
    therapy.new_line(0, "both")
    therapy.inputs(port_reads_open=True)
    assert code(therapy.prime(0, 1, CONFIRMED)) == "PORT_OPEN"
    therapy.inputs(port_reads_open=False)
    assert therapy.prime(0, 1, CONFIRMED).ok
    assert {code(therapy.prime(0, 1, CONFIRMED)), code(therapy.new_line(0, "both"))} == {"BUSY"}


@pytest.mark.req("R-CON-3", "R-CON-4")
def test_while_bridging_only_a_whole_new_line_is_recorded_and_it_ends_the_bridge():
    therapy = bridging()
    assert {code(therapy.new_line(1, "tube")), code(therapy.new_line(1, "catheter"))} == {"BRIDGING"}
    assert therapy.new_line(1, "both").ok
    assert (therapy.record.line.conc, therapy.record.line.left_nl) == (None, 0)


@pytest.mark.req("R-CON-4", "R-CAL-1")
def test_the_first_calibration_records_a_whole_line_and_another_tube_a_new_tube():
    therapy = empty()
    for tube, prime_nl in (("A1", 120_000), ("A1", 120_000), ("B2", 100_000)):
        assert therapy.calibrate(0, tube).ok
        assert therapy.record.line.prime_nl == prime_nl


# the observation


@pytest.mark.req("R-FIL-4")
def test_a_refill_or_a_change_of_program_is_observed_and_the_later_end_holds():
    therapy = taken_over(flat(100))
    assert therapy.observed_ms(0) == 0
    refill(therapy, 0, 5_000_000, observe_h=72)
    assert therapy.commit(DAY_MS, flat(110)).ok
    assert therapy.observed_ms(DAY_MS) == 48 * HOUR_MS
    assert therapy.commit(2 * DAY_MS, flat(110), observe_h=72).ok
    assert therapy.observed_ms(2 * DAY_MS) == 72 * HOUR_MS
    assert therapy.observed_ms(6 * DAY_MS) == 0
