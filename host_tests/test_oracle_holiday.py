"""The oracle on drug holidays, label 2.6: the plan, its days, breaking it off, and what comes after its zero."""

from __future__ import annotations

import pytest
from oracle_rig import CONFIRMED, MCG, MONDAY, code, flat, refill, taken_over, taper, with_bolus

from hil.oracle import Order, Program, ProgramError, flat_lines, taper_lines
from hil.oracle.program import DAY_MS, HOUR_MS


def on_holiday(first_mcg=100, days=14, phase="titration", at=DAY_MS, **more):
    """A holiday of 14 days from at, each day 80 % of the one before."""
    therapy = taken_over(flat(100), phase=phase)
    assert therapy.commit(at, taper(first_mcg, days, **more), CONFIRMED).ok
    return therapy


def plan(*percents, days=14):
    """100 mcg, then days with these percentages of the day before, then the same dose to the end."""
    doses = [100 * MCG]
    for percent in percents:
        doses.append(doses[-1] * percent // 100)
    return Program.parse(taper_lines("plan", 500, doses + [doses[-1]] * (days - len(doses))))


def after_zero(later_ms=0):
    """The pump after the zero of a holiday of 14 days that began at DAY_MS; gives it and the elapsed time."""
    return on_holiday(), 15 * DAY_MS + later_ms


# the plan


@pytest.mark.req("R-HOL-1")
@pytest.mark.parametrize(("program", "expected"), [
    (taper(days=13), "HOLIDAY"),
    (taper(days=14), "OK"),
    (taper(days=28), "OK"),
    (plan(80), "OK"),
    (plan(79), "HOLIDAY"),
    (plan(100), "OK"),
    (plan(101), "HOLIDAY"),
    (plan(0), "HOLIDAY"),
    (plan(*[100] * 12, 1), "OK"),
    (plan(*[100] * 12, 0), "HOLIDAY"),
    (plan(*[100] * 11, 1, 100), "HOLIDAY"),
])  # fmt: skip
def test_a_taper_takes_14_to_28_days_above_zero_none_below_80_percent_of_the_day_before_save_the_last(program, expected):
    assert code(taken_over(flat(100)).commit(DAY_MS, program, CONFIRMED)) == expected


@pytest.mark.req("R-HOL-1")
@pytest.mark.parametrize(("lines", "words"), [
    (["taper.01=5", "taper.03=4"], "day 2"),
    (["taper.00=5"], "no day of a taper"),
    (["taper.29=5"], "no day of a taper"),
    (["taper.1=5"], "no day of a taper"),
    (["taper.01=5", "seg.all.00:00=5"], "neither segments nor a bolus"),
    (["taper.01=5", "bolus_volume=1", "bolus_time=1", "bolus_lockout=1", "bolus_allowance=1"], "neither segments nor a bolus"),
])  # fmt: skip
def test_lines_that_are_no_taper_are_refused_by_name(lines, words):
    with pytest.raises(ProgramError, match=words):
        Program.parse(["name=x", "conc=500", *lines])


@pytest.mark.req("R-HOL-1", "R-MNT-2")
@pytest.mark.parametrize(("first_ng", "expected"), [
    (-20_001, ("STEP_CAP", {"least": 80 * MCG})),
    (-20_000, ("OK", ())),
    (0, ("OK", ())),
    (1, ("STEP_CAP", {"most": 100 * MCG})),
])  # fmt: skip
def test_the_first_day_keeps_four_fifths_of_what_ran_and_is_no_increase(first_ng, expected):
    program = Program.parse(taper_lines("t", 500, [100 * MCG + first_ng] * 14))
    assert taken_over(flat(100)).commit(DAY_MS, program, CONFIRMED) == expected


@pytest.mark.req("R-HOL-1")
def test_a_holiday_begins_from_titration_or_maintenance_and_is_confirmed():
    assert code(taken_over(flat(100), phase="first").commit(0, taper(), CONFIRMED)) == "STATE"
    for phase in ("titration", "maintenance"):
        therapy = taken_over(flat(100), phase=phase)
        assert therapy.commit(0, taper()) == ("CONFIRM_HOLIDAY", {"asked": ("CONFIRM_HOLIDAY",)})
        assert therapy.commit(0, taper(), Order(confirmed=frozenset({"CONFIRM_HOLIDAY"}))).ok
        assert (therapy.record.phase, therapy.holiday(0)) == ("holiday", "1/14")
        assert code(therapy.commit(0, taper(), CONFIRMED)) == "STATE"


# its days


@pytest.mark.req("R-HOL-1", "R-TIM-1")
def test_a_day_of_the_taper_is_24_hours_from_its_start_whatever_the_clock_shows():
    therapy = on_holiday()
    therapy.clock_set(DAY_MS + 1, MONDAY + 40 * 86_400)
    assert therapy.holiday(2 * DAY_MS - 1) == "1/14"
    assert therapy.holiday(2 * DAY_MS) == "2/14"
    assert therapy.record.doses(2 * DAY_MS).daily == 80 * MCG
    assert therapy.holiday(15 * DAY_MS - 1) == "14/14"
    assert therapy.holiday(15 * DAY_MS) == "over"


@pytest.mark.req("R-HOL-1")
def test_a_taper_committed_while_stopped_starts_at_run_and_time_stopped_counts():
    therapy = taken_over(flat(100))
    therapy.stop(DAY_MS)
    therapy.commit(DAY_MS, taper(), CONFIRMED)
    assert therapy.holiday(DAY_MS) == "none"
    assert therapy.run(DAY_MS + 5 * HOUR_MS).ok
    therapy.stop(DAY_MS + 6 * HOUR_MS)
    assert therapy.run(3 * DAY_MS + 5 * HOUR_MS).ok
    assert therapy.holiday(3 * DAY_MS + 5 * HOUR_MS) == "3/14"
    at = therapy.power_loss(3 * DAY_MS + 5 * HOUR_MS, DAY_MS)
    assert therapy.holiday(at) == "4/14"
    assert therapy.holiday(therapy.power_loss(at, None)) == "4/14"


@pytest.mark.req("R-HOL-1", "R-BOL-1")
def test_a_taper_allows_no_bolus():
    therapy = taken_over(with_bolus(85))
    assert therapy.commit(DAY_MS, taper(85), CONFIRMED).ok
    assert code(therapy.bolus(DAY_MS, 10_000)) == "BOLUS_OFF"


@pytest.mark.req("R-DOSE-2", "R-HOL-1")
def test_the_24_h_across_the_start_of_a_taper_do_not_exceed_the_old_high_dose():
    late = Program.parse(["name=a", "conc=500", "seg.all.00:00=50000", "seg.all.12:00=60000"])
    assert taken_over(late).commit(DAY_MS, taper(110), CONFIRMED) == ("STEP_CAP", {"limit": 110 * MCG})
    assert taken_over(late).commit(DAY_MS, taper(100), CONFIRMED).ok


# breaking it off


@pytest.mark.req("R-HOL-1")
def test_broken_off_by_command_the_dose_of_the_day_holds():
    therapy = on_holiday()
    assert therapy.set_phase(3 * DAY_MS, "titration").ok
    assert therapy.record.phase == "titration"
    assert therapy.record.last_run == flat_of_day(64)
    assert therapy.record.running
    assert code(therapy.set_phase(3 * DAY_MS, "titration")) == "STATE"
    assert therapy.commit(3 * DAY_MS, flat_of_day(84)) == ("STEP_CAP", {"most": 83_200})


def flat_of_day(mcg):
    return Program.parse(flat_lines("holiday", 500, mcg * MCG))


@pytest.mark.req("R-HOL-1")
def test_broken_off_while_stopped_it_is_the_days_dose_that_run_resumes():
    therapy = on_holiday()
    therapy.stop(2 * DAY_MS)
    therapy.commit(2 * DAY_MS, flat(70))
    assert therapy.set_phase(3 * DAY_MS, "titration").ok
    assert therapy.run(3 * DAY_MS).ok
    assert therapy.record.doses(4 * DAY_MS).daily == 64 * MCG


@pytest.mark.req("R-HOL-1", "R-TIT-1", "R-TIT-4")
@pytest.mark.parametrize(("phase", "most_ng"), [("titration", 104_000), ("maintenance", 104_000)])
def test_a_commit_breaks_it_off_and_is_a_titration_step_from_the_dose_of_the_day(phase, most_ng):
    therapy = on_holiday(phase=phase)
    assert therapy.commit(2 * DAY_MS, flat(0, ng=most_ng + 1)) == ("STEP_CAP", {"most": most_ng})
    assert therapy.commit(2 * DAY_MS, flat(0, ng=most_ng)).ok
    assert (therapy.record.phase, therapy.holiday(2 * DAY_MS)) == ("titration", "none")
    assert code(therapy.commit(3 * DAY_MS - 1, flat(105))) == "TOO_SOON"


@pytest.mark.req("R-MNT-2", "R-HOL-1")
@pytest.mark.parametrize(("at", "least"), [(2 * DAY_MS, 80), (3 * DAY_MS - 1, 80), (3 * DAY_MS, 72)])
def test_a_decrease_in_a_holiday_is_measured_from_the_days_that_reach_into_the_last_24_h(at, least):
    therapy = on_holiday(percent=90)  # 100, 90, 81 mcg
    assert therapy.caps(at).least_ng == least * MCG
    assert therapy.commit(at, flat(least, ng=-1)) == ("STEP_CAP", {"least": least * MCG})
    assert therapy.commit(at, flat(least)).ok


@pytest.mark.req("R-HOL-1")
def test_a_change_waiting_for_run_leaves_the_holiday_as_it_is_until_then():
    therapy = on_holiday()
    therapy.stop(2 * DAY_MS)
    assert therapy.commit(2 * DAY_MS, flat(80)).ok
    assert therapy.holiday(2 * DAY_MS) == "2/14"
    assert therapy.run(2 * DAY_MS).ok
    assert therapy.record.phase == "titration"


# after the zero


@pytest.mark.req("R-HOL-1")
def test_after_the_zero_a_restart_is_at_most_what_the_therapy_began_with_flat_and_attended():
    therapy, at = after_zero(5 * DAY_MS)
    night = Program.parse(["name=n", "conc=500", "seg.all.00:00=79000", "seg.all.19:00=21000"])
    assert code(therapy.commit(at, night, CONFIRMED)) == "START_FLAT"
    assert therapy.commit(at, flat(100, ng=1)) == ("START_CAP", {"most": 100 * MCG})
    assert code(therapy.commit(at, flat(1), Order(attended=False))) == "UNATTENDED"
    assert therapy.commit(at, flat(100)).ok
    assert therapy.record.phase == "titration"


@pytest.mark.req("R-HOL-1", "R-INI-2", "R-TIT-3")
def test_a_restart_begins_the_first_24_hours_anew_and_dates_an_increase():
    therapy, at = after_zero()
    therapy.commit(at, flat(50))
    assert therapy.commit(at + DAY_MS - 1, flat(55)) == ("FIRST_24H", {"wait": 1})
    assert therapy.record.last_increase_ms == at
    assert therapy.commit(at + DAY_MS, flat(55)).ok


@pytest.mark.req("R-HOL-1", "R-MNT-2")
def test_a_restart_may_not_be_taken_back_to_nothing():
    therapy, at = after_zero()
    therapy.commit(at, flat(50))
    assert therapy.commit(at + 1, flat(39)) == ("STEP_CAP", {"least": 40 * MCG})
    assert therapy.caps(at + 1).before_daily == 0


@pytest.mark.req("R-HOL-1")
def test_the_taper_itself_is_not_run_again_after_its_zero():
    therapy, at = after_zero()
    assert code(therapy.set_phase(at, "titration")) == "STATE"
    therapy.stop(at)
    assert code(therapy.run(at)) == "STATE"
    assert code(therapy.commit(at, taper(), CONFIRMED)) == "STATE"
    assert therapy.commit(at, flat(60)).ok
    assert therapy.run(at + 20 * DAY_MS).ok
    assert therapy.record.running_for_ms(at + 20 * DAY_MS) == 0


@pytest.mark.req("R-HOL-1", "R-MNT-1")
def test_a_holiday_leaves_maintenance():
    therapy = on_holiday(phase="maintenance")
    therapy.set_phase(2 * DAY_MS, "titration")
    assert therapy.record.phase == "titration"
    assert therapy.set_phase(2 * DAY_MS, "maintenance").ok


@pytest.mark.req("R-HOL-1", "R-SCR-5")
def test_a_new_trial_ends_a_holiday_and_its_taper_is_not_taken_up_again():
    therapy = on_holiday()
    therapy.stop(2 * DAY_MS)
    assert therapy.new_trial(2 * DAY_MS).ok
    assert therapy.holiday(2 * DAY_MS) == "none"
    assert therapy.record.doses(5 * DAY_MS).daily == 80 * MCG
    assert code(therapy.run(2 * DAY_MS)) == "NOT_SCREENED"


@pytest.mark.req("R-HOL-1")
def test_the_initial_dose_is_that_of_the_first_run_and_a_later_increase_does_not_move_it():
    therapy = taken_over(flat(100))
    therapy.commit(DAY_MS, flat(130))
    therapy.commit(2 * DAY_MS, taper(130), CONFIRMED)
    assert therapy.caps(17 * DAY_MS).started == 100 * MCG
    assert therapy.caps(17 * DAY_MS).most_ng == 100 * MCG


@pytest.mark.req("R-CON-1", "R-HOL-1")
def test_a_taper_has_the_concentration_of_the_reservoir():
    assert taken_over(flat(100)).commit(1, taper(conc=1000), CONFIRMED) == ("CONCENTRATION", {"want": 500})
    stopped = taken_over(flat(100), run=False)
    refill(stopped, 1, 5_000_000, 1000)
    assert stopped.commit(1, taper(conc=1000), CONFIRMED).ok
