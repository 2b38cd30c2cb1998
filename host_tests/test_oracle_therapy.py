"""The oracle's decisions: examples from the label by section, each limit on both of its sides."""

from __future__ import annotations

from datetime import date

import pytest
from oracle_rig import BORN, MCG, MONDAY, code, empty, flat, refill, screened, taken_over

from hil.oracle import Order, Program, flat_lines
from hil.oracle.program import DAY_MS, HOUR_MS

# the first chronic program, label 2.5


@pytest.mark.req("R-INI-1")
@pytest.mark.parametrize(("effect", "most"), [("short", 100), ("long", 50), ("unknown", 50)])
def test_the_first_daily_dose_is_at_most_twice_the_screening_dose_or_once_if_its_effect_lasted(effect, most):
    therapy = screened(effect=effect)
    assert therapy.commit(0, flat(most, ng=1)) == ("START_CAP", {"most": most * MCG})
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
    assert therapy.commit(DAY_MS - 1, flat(110)) == ("FIRST_24H", {"wait": 1})
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
    therapy = taken_over(flat(100), population)
    assert therapy.commit(DAY_MS, flat(100 + percent, ng=1)) == ("STEP_CAP", {"most": (100 + percent) * MCG})
    assert therapy.commit(DAY_MS, flat(100 + percent)) == ("OK", ())


@pytest.mark.req("R-TIT-3")
def test_only_one_increase_in_24_h_and_a_small_one_is_noted():
    therapy = taken_over(flat(100))
    assert therapy.commit(DAY_MS, flat(109)) == ("OK", ("SMALL_STEP",))
    assert therapy.commit(2 * DAY_MS - 1, flat(120)) == ("TOO_SOON", {"wait": 1})
    assert therapy.commit(2 * DAY_MS, flat(120)) == ("OK", ())


@pytest.mark.req("R-TIT-3")
def test_an_increase_is_dated_by_its_first_step():
    therapy = taken_over(flat(100))
    therapy.commit(DAY_MS, flat(110))
    therapy.first_step(DAY_MS + 900)
    assert therapy.commit(2 * DAY_MS, flat(120)) == ("TOO_SOON", {"wait": 900})


@pytest.mark.req("R-TIT-3")
def test_the_last_increase_of_the_pump_before_counts():
    therapy = taken_over(flat(100), increase_ago_s=3600)
    assert therapy.commit(22 * HOUR_MS, flat(110)) == ("TOO_SOON", {"wait": HOUR_MS})


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
    therapy = taken_over(flat(100), population, phase="maintenance")
    assert code(therapy.commit(DAY_MS, flat(105))) == "NO_REFILL"
    assert refill(therapy, 2 * DAY_MS).ok
    assert therapy.commit(2 * DAY_MS, flat(100 + percent, ng=1)) == ("STEP_CAP", {"most": (100 + percent) * MCG})
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
    assert therapy.set_phase(2 * DAY_MS - 1, "maintenance") == ("TOO_SOON", {"wait": 1})
    assert therapy.set_phase(2 * DAY_MS, "maintenance").ok
    assert code(therapy.set_phase(2 * DAY_MS, "titration")) == "STATE"


@pytest.mark.req("R-MNT-2")
def test_a_decrease_is_at_most_a_fifth_of_the_highest_of_the_last_24_h():
    therapy = taken_over(flat(100))
    assert therapy.commit(DAY_MS, flat(80, ng=-1)) == ("STEP_CAP", {"least": 80 * MCG})
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
    assert therapy.commit(1, flat(most, 2000, ng=1), order) == ("DAILY_MAX", {"most": most * MCG})
    assert therapy.commit(1, flat(most, 2000), order).ok


@pytest.mark.req("R-MNT-3")
def test_above_1000_mcg_a_day_a_person_confirms():
    therapy = taken_over(flat(900, 2000))
    assert therapy.commit(1, flat(1000, 2000, ng=1)) == ("CONFIRM_OVER_1000", {"asked": ("CONFIRM_OVER_1000",)})
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
