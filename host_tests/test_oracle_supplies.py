"""The oracle on clocks, paths, refills, boluses and the import."""

from __future__ import annotations

from datetime import date

import pytest
from oracle_rig import BORN, MONDAY, SITE, code, empty, flat, refill, taken_over, with_bolus

from hil.oracle import Order, Therapy
from hil.oracle.program import DAY_MS, HOUR_MS

# clock, staleness, path


@pytest.mark.req("R-TIM-1")
def test_without_a_clock_what_needs_a_date_is_refused_and_stop_is_not():
    therapy = taken_over(with_bolus(100))
    at = therapy.power_loss(HOUR_MS, None)
    assert therapy.record.running
    assert {code(therapy.commit(at, flat(100))), code(therapy.bolus(at, 10_000)), code(refill(therapy, at))} == {"CLOCK_LOST"}
    assert therapy.stop(at).ok
    assert code(therapy.run(at)) == "CLOCK_LOST"


@pytest.mark.req("R-TIM-1")
@pytest.mark.parametrize(("age_s", "expected"), [(-6, "STALE"), (-5, "OK"), (0, "OK"), (30, "OK"), (31, "STALE")])
def test_a_command_from_too_long_ago_or_from_the_future_is_stale(age_s, expected):
    therapy = taken_over(flat(100))
    order = Order(at_unix_s=MONDAY + 3600 - age_s, ttl_s=30)
    assert code(therapy.commit(HOUR_MS, flat(90), order)) == expected


@pytest.mark.req("R-CAP-1", "R-FIL-1")
@pytest.mark.parametrize("path", ["port", "cap", "CATHETER_PORT"])
def test_the_catheter_port_is_refused_first_in_every_state(path):
    order = Order(path=path, route="oral", attended=False, at_unix_s=1)
    for therapy in (Therapy(SITE), empty(), taken_over(with_bolus(100)), taken_over(flat(100), run=False)):
        assert code(therapy.bolus(1, 5, order)) == "CATHETER_PORT"
        assert code(refill(therapy, 1, order=order)) == "CATHETER_PORT"


# refill


@pytest.mark.req("R-FIL-2")
def test_a_refill_fits_the_reservoir_with_what_remains_in_it():
    therapy = taken_over(flat(100))
    assert refill(therapy, 1, 18_000_001, expected_nl=5_000_000, withdrawn_nl=3_000_000) == ("CAPACITY", {"most": 18_000_000})
    assert refill(therapy, 1, 18_000_000, expected_nl=5_000_000, withdrawn_nl=3_000_000, delivered_nl=15_000_000).ok


@pytest.mark.req("R-FIL-2")
def test_another_concentration_finds_at_most_the_residual_volume():
    therapy = taken_over(flat(100), run=False)
    assert refill(therapy, 1, 9_000_000, 1000, expected_nl=1_000_001) == ("RESIDUAL", {"most": 1_000_000})
    assert refill(therapy, 1, 9_000_000, 1000, expected_nl=1_000_000).ok
    assert code(therapy.run(1)) == "CONCENTRATION"


@pytest.mark.req("R-FIL-2")
def test_drug_past_its_expiry_is_refused_from_the_day_after():
    for today, expected in ((date(2027, 5, 3), "OK"), (date(2027, 5, 2), "EXPIRED")):
        therapy = taken_over(flat(100))
        verdict = therapy.refill(1, 5_000_000, 500, expiry=today, withdrawn_nl=0, expected_nl=0)
        assert code(verdict) == expected


@pytest.mark.req("R-FIL-2")
@pytest.mark.parametrize(("off_nl", "delivered_nl", "found"), [
    (500_000, 1_000_000, ()),
    (500_001, 1_000_000, ("REFILL_DISCREPANCY",)),
    (1_450_000, 10_000_000, ()),
    (1_450_001, 10_000_000, ("REFILL_DISCREPANCY",)),
])  # fmt: skip
def test_a_volume_withdrawn_far_from_the_expected_is_noted(off_nl, delivered_nl, found):
    therapy = taken_over(flat(100))
    assert refill(therapy, 1, 1_000_000, expected_nl=off_nl, withdrawn_nl=0, delivered_nl=delivered_nl) == ("OK", found)


@pytest.mark.req("R-CON-1")
@pytest.mark.parametrize(("conc", "expected"), [(50, "CONCENTRATION"), (51, "OK"), (2000, "OK"), (2001, "CONCENTRATION")])
def test_chronic_concentrations_are_51_to_2000(conc, expected):
    assert code(refill(taken_over(flat(100), run=False), 1, 1_000_000, conc)) == expected


@pytest.mark.req("R-CON-1")
def test_a_program_has_the_concentration_of_the_reservoir():
    assert taken_over(flat(100)).commit(1, flat(100, conc=1000)) == ("CONCENTRATION", {"want": 500})


@pytest.mark.req("R-POP-2", "R-CAL-2")
def test_only_baclofen_attended_and_no_test_fluid_in_a_therapy():
    therapy = taken_over(flat(100), run=False)
    assert code(refill(therapy, 1, drug="baclofen+morphine")) == "COMPOUNDED"
    assert code(refill(therapy, 1, order=Order(path="septum", attended=False))) == "UNATTENDED"
    assert refill(therapy, 1, 5_000_000, fluid="test").ok
    assert {code(therapy.run(1)), code(therapy.commit(1, flat(100))), code(therapy.bolus(1, 5))} <= {"TEST_FLUID", "STATE"}
    assert code(therapy.run(1)) == "TEST_FLUID"
    assert code(refill(therapy, 1, expected_nl=5_000_000, withdrawn_nl=4_999_999)) == "TEST_FLUID"
    assert code(refill(therapy, 1, expected_nl=5_000_000, withdrawn_nl=5_000_000)) == "TEST_FLUID"
    assert therapy.empty(1).ok
    assert refill(therapy, 1).ok


# boluses


def bolused(**fields):
    therapy = taken_over(with_bolus(100, **fields))
    assert therapy.bolus(0, 10_000).ok  # 5 mcg
    therapy.bolus_ended(60_000, "DONE")
    return therapy


@pytest.mark.req("R-BOL-1")
def test_a_bolus_is_off_unless_the_program_allows_it():
    assert code(taken_over(flat(100)).bolus(0, 10_000)) == "BOLUS_OFF"
    assert taken_over(with_bolus(100)).bolus(0, 10_001) == ("BOLUS_OFF", {})


@pytest.mark.req("R-BOL-1")
def test_the_lockout_is_kept_to_the_millisecond():
    therapy = bolused()
    assert therapy.bolus(HOUR_MS - 1, 10_000) == ("LOCKOUT", {"wait": 1})
    assert therapy.bolus(HOUR_MS, 10_000).ok


@pytest.mark.req("R-BOL-2")
def test_the_allowance_of_24_h_is_a_rolling_one_that_a_stop_does_not_widen():
    therapy = bolused()
    for hour in (1, 2):
        assert therapy.bolus(hour * HOUR_MS, 10_000).ok
        therapy.bolus_ended(hour * HOUR_MS + 60_000, "DONE")
    assert therapy.bolus(3 * HOUR_MS, 10_000) == ("WINDOW_MAX", {"most": 0, "wait": 21 * HOUR_MS})
    therapy.stop(3 * HOUR_MS)
    therapy.run(8 * HOUR_MS)
    assert code(therapy.bolus(8 * HOUR_MS, 10_000)) == "WINDOW_MAX"
    therapy.power_loss(9 * HOUR_MS, HOUR_MS)
    assert code(therapy.bolus(DAY_MS - 1, 10_000)) == "WINDOW_MAX"
    assert therapy.bolus(DAY_MS, 10_000).ok


@pytest.mark.req("R-BOL-2")
def test_an_uncertain_bolus_counts_whole_and_a_partial_one_what_was_delivered():
    therapy = taken_over(with_bolus(100, allowance_mcg=8))
    for outcome, delivered_nl, expected in (("UNCERTAIN", 0, "WINDOW_MAX"), ("PARTIAL", 6_000, "OK"), ("PARTIAL", 6_002, "WINDOW_MAX")):
        twin = therapy.copy()
        assert twin.bolus(0, 10_000).ok
        twin.bolus_ended(30_000, outcome, delivered_nl)
        twin.inputs(uncertain=False)
        assert code(twin.bolus(HOUR_MS, 10_000)) == expected


@pytest.mark.req("R-BOL-3", "R-CAP-2")
@pytest.mark.parametrize(
    ("flag", "expected"), [("port_reads_open", "PORT_OPEN"), ("high_alarm", "ALARM_ACTIVE"), ("uncertain", "UNCERTAIN")]
)
def test_no_bolus_while_something_is_wrong(flag, expected):
    therapy = taken_over(with_bolus(100))
    therapy.inputs(**{flag: True})
    assert code(therapy.bolus(0, 10_000)) == expected


@pytest.mark.req("R-CAL-1")
def test_without_a_calibration_there_is_no_first_run_and_no_bolus():
    therapy = taken_over(with_bolus(100), run=False)
    therapy.inputs(calibrated=False)
    assert code(therapy.run(0)) == "UNCALIBRATED"
    therapy.inputs(calibrated=True)
    therapy.run(0)
    therapy.inputs(calibrated=False)
    assert code(therapy.bolus(0, 10_000)) == "UNCALIBRATED"
    therapy.stop(0)
    assert therapy.run(1).ok


@pytest.mark.req("R-COM-1")
def test_a_therapy_is_taken_over_once_and_only_into_an_empty_journal():
    therapy = taken_over(flat(100))
    verdict = therapy.import_(1, flat(90), population="spinal", birth=BORN, phase="titration", conc=500)
    assert code(verdict) == "STATE"
    assert therapy.record.last_run == flat(100)
