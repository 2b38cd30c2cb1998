"""The oracle's decisions: examples from the label by section, each limit on both of its sides."""

from __future__ import annotations

from datetime import date
from functools import cache

import pytest

from hil.oracle import Order, Program, Site, Therapy, flat_lines
from hil.oracle.program import DAY_MS, HOUR_MS

MONDAY = 1809302400  # 2027-05-03 00:00
MCG = 1000
BORN = date(1980, 5, 1)
SITE = Site(capacity_nl=20_000_000, residual_nl=1_000_000)


@cache
def flat(mcg, conc=500, ng=0):
    return Program.parse(flat_lines("flat", conc, mcg * MCG + ng))


def with_bolus(mcg, volume_nl=10_000, lockout_s=3600, allowance_mcg=15, conc=500):
    keys = [f"bolus_volume={volume_nl}", "bolus_time=60", f"bolus_lockout={lockout_s}", f"bolus_allowance={allowance_mcg * MCG}"]
    return Program.parse(flat_lines("boluses", conc, mcg * MCG) + keys)


def empty():
    """An empty pump whose clock is set to a Monday midnight at elapsed 0."""
    therapy = Therapy(SITE)
    therapy.clock_set(0, MONDAY)
    therapy.inputs(calibrated=True)
    return therapy


def screened(population="spinal", screen_mcg=50, effect="short", birth=BORN, conc=500):
    therapy = empty()
    verdict = therapy.import_(
        0,
        None,
        population=population,
        birth=birth,
        phase="screened",
        screen_ng=screen_mcg * MCG,
        effect=effect,
        conc=conc,
        volume_nl=10_000_000,
    )
    assert verdict.ok, verdict
    return therapy


def taken_over(program, population="spinal", phase="titration", birth=BORN, run=True, **more):
    therapy = empty()
    verdict = therapy.import_(0, program, population=population, birth=birth, phase=phase, volume_nl=10_000_000, conc=program.conc, **more)
    assert verdict.ok, verdict
    if run:
        assert therapy.run(0).ok
    return therapy


def code(verdict):
    return verdict.code


def refill(therapy, at_ms, volume_nl=18_000_000, conc=500, expected_nl=0, withdrawn_nl=0, **more):
    return therapy.refill(at_ms, volume_nl, conc, expiry=date(2029, 1, 1), expected_nl=expected_nl, withdrawn_nl=withdrawn_nl, **more)


# the first chronic program, label 2.5


@pytest.mark.req("R-INI-1")
@pytest.mark.parametrize(("effect", "most"), [("short", 100), ("long", 50), ("unknown", 50)])
def test_the_first_daily_dose_is_at_most_twice_the_screening_dose_or_once_if_its_effect_lasted(effect, most):
    therapy = screened(effect=effect)
    assert therapy.commit(0, flat(most, ng=1)) == ("START_CAP", most * MCG)
    assert therapy.commit(0, flat(most)).ok


@pytest.mark.req("R-SCR-5")
def test_without_a_screening_trial_there_is_no_program():
    assert code(empty().commit(0, flat(100))) == "NOT_SCREENED"
    assert code(empty().run(0)) == "NOT_SCREENED"


@pytest.mark.req("R-INI-2", "R-TIM-1")
def test_no_increase_in_the_first_24_h_of_running_to_the_millisecond():
    therapy = screened()
    therapy.commit(0, flat(100))
    assert therapy.run(0).ok
    assert therapy.commit(DAY_MS - 1, flat(110)) == ("FIRST_24H", 1)
    assert therapy.commit(DAY_MS, flat(110)).ok


@pytest.mark.req("R-INI-2", "R-TIT-4")
@pytest.mark.parametrize(("stop_ms", "expected"), [(6 * HOUR_MS, "OK"), (6 * HOUR_MS + 1, "FIRST_24H")])
def test_an_interruption_of_more_than_six_hours_begins_the_24_h_anew(stop_ms, expected):
    therapy = taken_over(flat(100))
    therapy.stop(DAY_MS)
    assert code(therapy.copy().commit(DAY_MS + stop_ms, flat(110))) == expected
    assert therapy.run(DAY_MS + stop_ms).ok
    assert code(therapy.commit(DAY_MS + stop_ms, flat(110))) == expected


@pytest.mark.req("R-INI-2", "R-TIT-4")
def test_an_increase_committed_before_a_long_stop_is_judged_again_at_run():
    therapy = taken_over(flat(100))
    therapy.stop(DAY_MS)
    assert therapy.commit(DAY_MS + 1, flat(130)).ok
    assert code(therapy.run(DAY_MS + 7 * HOUR_MS)) == "FIRST_24H"
    assert therapy.commit(DAY_MS + 7 * HOUR_MS, flat(100)).ok
    assert therapy.run(DAY_MS + 7 * HOUR_MS).ok


@pytest.mark.req("R-INI-3")
def test_the_first_program_is_flat_for_its_first_24_h():
    night = Program.parse(["name=n", "conc=500", "seg.all.00:00=79000", "seg.all.19:00=21000"])
    therapy = screened()
    assert code(therapy.commit(0, night)) == "START_FLAT"
    therapy.commit(0, flat(100))
    therapy.run(0)
    assert code(therapy.commit(DAY_MS - 1, night)) == "START_FLAT"
    assert therapy.commit(DAY_MS, night).ok


# titration, label 2.5


@pytest.mark.req("R-TIT-1", "R-TIT-2")
@pytest.mark.parametrize(("population", "percent"), [("spinal", 30), ("cerebral", 15), ("pediatric", 15)])
def test_an_increase_in_titration_is_at_most_the_labels_step(population, percent):
    therapy = taken_over(flat(100), population, birth=date(2015, 1, 1))
    assert therapy.commit(DAY_MS, flat(100 + percent, ng=1)) == ("STEP_CAP", (100 + percent) * MCG)
    assert therapy.commit(DAY_MS, flat(100 + percent)) == ("OK", ())


@pytest.mark.req("R-TIT-3")
def test_only_one_increase_in_24_h_and_a_small_one_is_noted():
    therapy = taken_over(flat(100))
    assert therapy.commit(DAY_MS, flat(109)) == ("OK", ("SMALL_STEP",))
    assert therapy.commit(2 * DAY_MS - 1, flat(120)) == ("TOO_SOON", 1)
    assert therapy.commit(2 * DAY_MS, flat(120)) == ("OK", ())


@pytest.mark.req("R-TIT-3")
def test_an_increase_is_dated_by_its_first_step():
    therapy = taken_over(flat(100))
    therapy.commit(DAY_MS, flat(110))
    therapy.first_step(DAY_MS + 900)
    assert therapy.commit(2 * DAY_MS, flat(120)) == ("TOO_SOON", 900)


@pytest.mark.req("R-TIT-3")
def test_the_last_increase_of_the_pump_before_counts():
    therapy = taken_over(flat(100), increase_ago_s=3600)
    assert therapy.commit(22 * HOUR_MS, flat(110)) == ("TOO_SOON", HOUR_MS)


@pytest.mark.req("R-TIT-4", "R-TIM-1")
@pytest.mark.parametrize("trick", ["stop", "restart", "clock", "decrease", "upload", "phase", "lost"])
def test_no_trick_makes_room_for_a_second_increase(trick):
    therapy = taken_over(flat(100))
    therapy.commit(DAY_MS, flat(130))
    at = DAY_MS + HOUR_MS
    if trick == "stop":
        therapy.stop(at)
        therapy.run(at)
    elif trick == "restart":
        at = therapy.power_loss(at, HOUR_MS)
    elif trick == "clock":
        therapy.clock_set(at, MONDAY + 30 * 86_400)
    elif trick == "decrease":
        assert therapy.commit(at, flat(104)).ok
    elif trick == "upload":
        assert therapy.commit(at, flat(130)).ok
    elif trick == "phase":
        assert code(therapy.set_phase(at, "maintenance")) == "TOO_SOON"
    elif trick == "lost":
        at = therapy.power_loss(at, None)
        therapy.clock_set(at, MONDAY + 30 * 86_400)
    assert code(therapy.commit(at, flat(135))) == "TOO_SOON"


@pytest.mark.req("R-TIT-4")
def test_a_commit_that_was_never_run_is_replaced_and_not_stepped_from():
    therapy = taken_over(flat(100))
    therapy.stop(DAY_MS)
    assert therapy.commit(DAY_MS, flat(130)).ok
    assert code(therapy.commit(DAY_MS, flat(169))) == "STEP_CAP"
    assert therapy.commit(DAY_MS, flat(120)).ok
    assert therapy.run(DAY_MS + 1).ok
    assert therapy.record.last_increase_ms == DAY_MS + 1


# maintenance, label 2.6


@pytest.mark.req("R-MNT-1")
@pytest.mark.parametrize(("population", "percent"), [("spinal", 40), ("cerebral", 20), ("pediatric", 20)])
def test_an_increase_in_maintenance_needs_a_refill_and_is_at_most_the_labels_step(population, percent):
    therapy = taken_over(flat(100), population, phase="maintenance", birth=date(2015, 1, 1))
    assert code(therapy.commit(DAY_MS, flat(105))) == "NO_REFILL"
    assert refill(therapy, 2 * DAY_MS).ok
    assert therapy.commit(2 * DAY_MS, flat(100 + percent, ng=1)) == ("STEP_CAP", (100 + percent) * MCG)
    assert therapy.commit(2 * DAY_MS, flat(100 + percent)) == ("OK", ())
    assert code(therapy.commit(3 * DAY_MS, flat(101 + percent))) == "NO_REFILL"


@pytest.mark.req("R-MNT-1")
@pytest.mark.parametrize(("volume_nl", "later_ms", "expected"), [
    (5_000_000, DAY_MS, "OK"),
    (4_999_999, DAY_MS, "NO_REFILL"),
    (5_000_000, DAY_MS + 1, "NO_REFILL"),
])  # fmt: skip
def test_a_refill_licenses_with_a_quarter_of_the_capacity_and_for_24_h(volume_nl, later_ms, expected):
    therapy = taken_over(flat(100), phase="maintenance")
    refill(therapy, DAY_MS, volume_nl)
    assert code(therapy.commit(DAY_MS + later_ms, flat(120))) == expected


@pytest.mark.req("R-MNT-1")
@pytest.mark.parametrize(("gap_ms", "expected"), [(72 * HOUR_MS, "OK"), (72 * HOUR_MS - 1, "NO_REFILL")])
def test_refills_license_at_least_72_h_apart(gap_ms, expected):
    therapy = taken_over(flat(100), phase="maintenance")
    refill(therapy, DAY_MS, 5_000_000)
    assert therapy.commit(DAY_MS, flat(120)).ok
    refill(therapy, DAY_MS + gap_ms, 5_000_000)
    assert code(therapy.commit(DAY_MS + gap_ms, flat(140))) == expected


@pytest.mark.req("R-MNT-1")
def test_maintenance_is_entered_24_h_after_the_last_increase():
    therapy = taken_over(flat(100))
    therapy.commit(DAY_MS, flat(120))
    assert therapy.set_phase(2 * DAY_MS - 1, "maintenance") == ("TOO_SOON", 1)
    assert therapy.set_phase(2 * DAY_MS, "maintenance").ok
    assert code(therapy.set_phase(2 * DAY_MS, "titration")) == "STATE"


@pytest.mark.req("R-MNT-2")
def test_a_decrease_is_at_most_a_fifth_of_the_highest_of_the_last_24_h():
    therapy = taken_over(flat(100))
    assert therapy.commit(DAY_MS, flat(80, ng=-1)) == ("STEP_CAP", 80 * MCG)
    assert therapy.commit(DAY_MS, flat(80)).ok
    assert code(therapy.commit(2 * DAY_MS - 1, flat(79))) == "STEP_CAP"
    assert therapy.commit(2 * DAY_MS, flat(64)).ok


@pytest.mark.req("R-MNT-2")
def test_the_low_dose_may_not_fall_faster_either():
    therapy = taken_over(flat(100))
    weekly = Program.parse(["name=w", "conc=500", *flat_lines("", 500, 100 * MCG)[2:], "seg.sun.00:00=79999"])
    assert code(therapy.commit(DAY_MS, weekly)) == "STEP_CAP"


@pytest.mark.req("R-MNT-2")
def test_an_overdose_may_be_answered_by_any_decrease_and_stop_is_always_obeyed():
    therapy = taken_over(flat(100))
    assert therapy.commit(HOUR_MS, flat(10), Order(reason="OVERDOSE")).ok
    assert therapy.stop(HOUR_MS).ok
    assert therapy.stop(HOUR_MS).ok


@pytest.mark.req("R-MNT-2")
def test_going_back_to_the_dose_before_an_increase_is_always_allowed():
    therapy = taken_over(flat(100))
    therapy.commit(DAY_MS, flat(130))
    assert code(therapy.commit(DAY_MS + 1, flat(99))) == "STEP_CAP"
    assert therapy.commit(2 * DAY_MS - 1, flat(100)).ok


@pytest.mark.req("R-MNT-3")
@pytest.mark.parametrize(("population", "birth", "most"), [
    ("spinal", BORN, 2003),
    ("cerebral", BORN, 1400),
    ("pediatric", date(2015, 5, 4), 1199),
    ("pediatric", date(2015, 5, 3), 1400),
])  # fmt: skip
def test_the_daily_maximum_follows_population_and_the_twelfth_birthday(population, birth, most):
    therapy = taken_over(flat(most - 2, 2000), population, birth=birth)
    order = Order(confirmed=True)
    assert therapy.commit(1, flat(most, 2000, ng=1), order) == ("DAILY_MAX", most * MCG)
    assert therapy.commit(1, flat(most, 2000), order).ok


@pytest.mark.req("R-MNT-3")
def test_above_1000_mcg_a_day_a_person_confirms():
    therapy = taken_over(flat(900, 2000))
    assert therapy.commit(1, flat(1000, 2000, ng=1)) == ("CONFIRM_OVER_1000", 1000 * MCG)
    assert therapy.copy().commit(1, flat(1000, 2000)).ok
    assert therapy.commit(1, flat(1001, 2000), Order(confirmed=True)).ok


@pytest.mark.req("R-MNT-3")
@pytest.mark.parametrize(
    ("population", "birth", "least"), [("spinal", BORN, 12), ("cerebral", BORN, 22), ("pediatric", date(2018, 1, 1), 24)]
)
def test_a_dose_below_the_range_of_the_label_is_noted(population, birth, least):
    therapy = taken_over(flat(least, conc=51), population, birth=birth)
    assert therapy.copy().commit(1, flat(least, conc=51)) == ("OK", ())
    assert therapy.commit(1, flat(least, conc=51, ng=-1)) == ("OK", ("LOW_DOSE",))


@pytest.mark.req("R-POP-1")
def test_under_four_years_there_is_no_therapy():
    assert code(empty().import_(0, None, population="pediatric", birth=date(2023, 5, 4), phase="screened")) == "AGE"
    assert empty().import_(0, None, population="pediatric", birth=date(2023, 5, 3), phase="screened").ok


@pytest.mark.req("R-POP-2")
def test_an_increase_declares_attendance_and_a_decrease_need_not():
    therapy = taken_over(flat(100))
    assert code(therapy.commit(1, flat(110), Order(attended=False))) == "UNATTENDED"
    assert therapy.commit(1, flat(90), Order(attended=False)).ok
    assert code(therapy.commit(1, flat(90), Order(route="intravenous"))) == "ROUTE"


# a window of 24 h across a change


@pytest.mark.req("R-DOSE-2")
def test_a_new_profile_may_not_put_its_heavy_hours_behind_those_of_the_old_one():
    late = Program.parse(["name=a", "conc=500", "seg.all.00:00=50000", "seg.all.12:00=60000"])
    early = Program.parse(["name=b", "conc=500", "seg.all.00:00=60000", "seg.all.12:00=50000"])
    for at_ms, expected in ((DAY_MS, "STEP_CAP"), (DAY_MS + 12 * HOUR_MS, "OK"), (DAY_MS - 1, "STEP_CAP")):
        assert code(taken_over(late).commit(at_ms, early)) == expected


@pytest.mark.req("R-DOSE-2")
def test_hours_in_which_the_pump_stood_make_room_in_the_window():
    late = Program.parse(["name=a", "conc=500", "seg.all.00:00=50000", "seg.all.12:00=60000"])
    early = Program.parse(["name=b", "conc=500", "seg.all.00:00=60000", "seg.all.12:00=50000"])
    therapy = taken_over(late)
    therapy.stop(20 * HOUR_MS)
    assert therapy.commit(DAY_MS, early).ok
    assert therapy.run(DAY_MS).ok


@pytest.mark.req("R-PRF-3")
@pytest.mark.parametrize(
    ("hour_ng", "expected"), [(8_001, "HOUR_MAX"), (8_000, "OK"), (4_801, "OK"), (3_199, "OK"), (2_000, "OK"), (1_999, "HOUR_MIN")]
)
def test_an_hour_of_a_commit_stays_between_half_and_twice_the_mean(hour_ng, expected):
    program = Program.parse(["name=h", "conc=500", f"seg.all.00:00={hour_ng}", f"seg.all.01:00={96_000 - hour_ng}"])
    therapy = taken_over(flat(97))
    assert code(therapy.copy().commit(0, program, Order(confirmed=True))) == expected
    asked = not 3_200 <= hour_ng <= 4_800
    assert code(therapy.commit(0, program)) == ("CONFIRM_PROFILE" if asked and expected == "OK" else expected)


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
    assert refill(therapy, 1, 18_000_001, expected_nl=5_000_000, withdrawn_nl=3_000_000) == ("CAPACITY", 18_000_000)
    assert refill(therapy, 1, 18_000_000, expected_nl=5_000_000, withdrawn_nl=3_000_000, delivered_nl=15_000_000).ok


@pytest.mark.req("R-FIL-2")
def test_another_concentration_finds_at_most_the_residual_volume():
    therapy = taken_over(flat(100), run=False)
    assert refill(therapy, 1, 9_000_000, 1000, expected_nl=1_000_001) == ("RESIDUAL", 1_000_000)
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
    assert taken_over(flat(100)).commit(1, flat(100, conc=1000)) == ("CONCENTRATION", 500)


@pytest.mark.req("R-POP-2", "R-CAL-2")
def test_only_baclofen_attended_and_no_test_fluid_in_a_therapy():
    therapy = taken_over(flat(100), run=False)
    assert code(refill(therapy, 1, drug="baclofen+morphine")) == "COMPOUNDED"
    assert code(refill(therapy, 1, order=Order(path="septum", attended=False))) == "UNATTENDED"
    assert refill(therapy, 1, 5_000_000, fluid="test").ok
    assert {code(therapy.run(1)), code(therapy.commit(1, flat(100))), code(therapy.bolus(1, 5))} <= {"TEST_FLUID", "STATE"}
    assert code(therapy.run(1)) == "TEST_FLUID"
    assert code(refill(therapy, 1, expected_nl=5_000_000, withdrawn_nl=4_999_999)) == "TEST_FLUID"
    assert refill(therapy, 1, expected_nl=5_000_000, withdrawn_nl=5_000_000).ok


# boluses


def bolused(**fields):
    therapy = taken_over(with_bolus(100, **fields))
    assert therapy.bolus(0, 10_000).ok  # 5 mcg
    therapy.bolus_ended(60_000, "DONE")
    return therapy


@pytest.mark.req("R-BOL-1")
def test_a_bolus_is_off_unless_the_program_allows_it():
    assert code(taken_over(flat(100)).bolus(0, 10_000)) == "BOLUS_OFF"
    assert taken_over(with_bolus(100)).bolus(0, 10_001) == ("BOLUS_OFF", 10_000)


@pytest.mark.req("R-BOL-1")
def test_the_lockout_is_kept_to_the_millisecond():
    therapy = bolused()
    assert therapy.bolus(HOUR_MS - 1, 10_000) == ("LOCKOUT", 1)
    assert therapy.bolus(HOUR_MS, 10_000).ok


@pytest.mark.req("R-BOL-2")
def test_the_allowance_of_24_h_is_a_rolling_one_that_a_stop_does_not_widen():
    therapy = bolused()
    for hour in (1, 2):
        assert therapy.bolus(hour * HOUR_MS, 10_000).ok
        therapy.bolus_ended(hour * HOUR_MS + 60_000, "DONE")
    assert therapy.bolus(3 * HOUR_MS, 10_000) == ("WINDOW_MAX", 0)
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
