"""The oracle on the record and the screening trial, label 2.2 and 2.3, each wait on both of its sides."""

from __future__ import annotations

from datetime import date

import pytest
from oracle_rig import BORN, CONFIRMED, MCG, code, empty, enrolled, flat, refill, screen, taken_over

from hil.oracle import Order, Therapy
from hil.oracle.program import DAY_MS, HOUR_MS

MINUTE = 60_000


def tried(*doses, population="spinal"):
    """A trial in which each of these doses was inadequate; gives it and the elapsed time from which the next may come."""
    therapy = enrolled(population)
    for day, mcg in enumerate(doses):
        end = screen(therapy, day * DAY_MS, mcg)
        assert therapy.respond(end + 4 * HOUR_MS, "inadequate").ok
    return therapy, len(doses) * DAY_MS


# the record


@pytest.mark.req("R-POP-1")
@pytest.mark.parametrize(("population", "birth", "expected"), [
    ("pediatric", date(2023, 5, 4), "AGE"),
    ("pediatric", date(2023, 5, 3), "OK"),
    ("pediatric", date(2009, 5, 4), "OK"),
    ("pediatric", date(2009, 5, 3), "AGE"),
    ("spinal", date(2009, 5, 4), "AGE"),
    ("spinal", date(2009, 5, 3), "OK"),
    ("cerebral", date(2009, 5, 4), "AGE"),
])  # fmt: skip
def test_population_and_age_must_fit_and_nobody_is_under_four(population, birth, expected):
    assert code(empty().enrol(0, population=population, birth=birth)) == expected
    assert code(empty().import_(0, None, population=population, birth=birth, phase="screened")) == expected


@pytest.mark.req("R-POP-1")
@pytest.mark.parametrize(("injury", "expected"), [
    (date(2026, 5, 3), "OK"),
    (date(2026, 5, 4), "CONFIRM_INJURY"),
    (date(2027, 5, 3), "CONFIRM_INJURY"),
    (date(2027, 5, 4), "ARG"),
])  # fmt: skip
def test_a_brain_injury_less_than_a_year_ago_is_confirmed(injury, expected):
    therapy = empty()
    assert code(therapy.copy().enrol(0, population="cerebral", birth=BORN, injury=injury)) == expected
    confirmed = therapy.enrol(0, population="cerebral", birth=BORN, injury=injury, order=CONFIRMED)
    assert code(confirmed) == ("ARG" if expected == "ARG" else "OK")


@pytest.mark.req("R-POP-1")
def test_a_record_is_made_before_the_first_dose_and_never_after_a_program_ran():
    therapy = enrolled()
    assert therapy.enrol(0, population="cerebral", birth=BORN).ok
    end = screen(therapy, 0, 50)
    assert code(therapy.enrol(end, population="spinal", birth=BORN)) == "STATE"
    assert therapy.new_trial(end).ok
    assert therapy.enrol(end, population="spinal", birth=BORN).ok
    treated = taken_over(flat(100))
    treated.stop(1)
    treated.new_trial(1)
    assert code(treated.enrol(1, population="spinal", birth=BORN)) == "STATE"


@pytest.mark.req("R-POP-1", "R-TIM-1")
def test_a_record_needs_a_clock():
    assert code(Therapy().enrol(0, population="spinal", birth=BORN)) == "CLOCK_LOST"


# doses


@pytest.mark.req("R-SCR-1")
@pytest.mark.parametrize(("population", "allowed"), [("spinal", [50]), ("cerebral", [50]), ("pediatric", [25, 50])])
def test_a_trial_begins_with_50_mcg_or_in_a_child_with_25(population, allowed):
    for mcg in (25, 50, 75, 100):
        verdict = enrolled(population).screen(0, mcg)
        assert verdict.ok if mcg in allowed else verdict == ("SCREEN_DOSE", {"next": 50})


@pytest.mark.req("R-SCR-1")
@pytest.mark.parametrize(("given", "following"), [((25,), 50), ((50,), 75), ((25, 50, 75), 100)])
def test_no_dose_of_the_trial_is_skipped(given, following):
    population = "pediatric" if 25 in given else "spinal"
    therapy, at = tried(*given, population=population)
    for mcg in {25, 50, 75, 100} - {following}:
        assert therapy.screen(at, mcg) == ("SCREEN_DOSE", {"next": following})
    assert therapy.next_screen_mcg(at) == following
    assert therapy.screen(at, following).ok


@pytest.mark.req("R-SCR-3")
def test_while_no_response_is_recorded_no_dose_is_next():
    therapy = enrolled()
    screen(therapy, 0, 50)
    assert therapy.screen(DAY_MS, 75) == ("SCREEN_DOSE", {"next": None})
    assert therapy.next_screen_mcg(DAY_MS) is None


@pytest.mark.req("R-SCR-3", "R-TIM-1")
def test_24_hours_lie_between_the_starts_of_two_doses_to_the_millisecond():
    therapy, _ = tried(50)
    assert therapy.screen(DAY_MS - 1, 75) == ("TOO_SOON", {"wait": 1})
    assert therapy.screen(DAY_MS, 75).ok


@pytest.mark.req("R-SCR-2", "R-SCR-3")
@pytest.mark.parametrize("outcome", ["PARTIAL", "UNCERTAIN"])
def test_a_dose_that_was_cut_off_takes_no_response_starts_the_24_hours_and_is_repeated(outcome):
    therapy = enrolled()
    end = screen(therapy, 0, 50, outcome)
    assert code(therapy.respond(end, "positive")) == "STATE"
    assert code(therapy.respond(end + 4 * HOUR_MS, "inadequate")) == "STATE"
    assert therapy.screen(DAY_MS - 1, 50) == ("TOO_SOON", {"wait": 1})
    assert therapy.screen(DAY_MS, 75) == ("SCREEN_DOSE", {"next": 50})
    assert therapy.screen(DAY_MS, 50).ok


@pytest.mark.req("R-SCR-3", "R-SCR-5")
def test_the_24_hours_outlive_a_new_trial():
    therapy = enrolled()
    end = screen(therapy, 0, 50, "UNCERTAIN")
    assert therapy.new_trial(end).ok
    assert therapy.screen(DAY_MS - 1, 50) == ("TOO_SOON", {"wait": 1})
    assert therapy.screen(DAY_MS, 50).ok


@pytest.mark.req("R-SCR-1", "R-CON-1")
@pytest.mark.parametrize(("conc", "expected"), [(50, "OK"), (51, "CONCENTRATION"), (500, "CONCENTRATION")])
def test_a_screening_dose_takes_exactly_50_mcg_per_ml(conc, expected):
    verdict = enrolled(conc=conc).screen(0, 50)
    assert verdict.ok or verdict == ("CONCENTRATION", {"want": 50})
    assert code(verdict) == expected


@pytest.mark.req("R-CON-1")
def test_50_mcg_per_ml_is_taken_before_and_during_a_trial_only():
    assert code(refill(empty(), 0, 5_000_000, 50)) == "OK"
    therapy = taken_over(flat(100), run=False)
    assert code(refill(therapy, 0, 5_000_000, 50)) == "CONCENTRATION"
    therapy.new_trial(0)
    assert refill(therapy, 0, 5_000_000, 50).ok


@pytest.mark.req("R-POP-2", "R-CAP-1", "R-CAP-2", "R-BOL-3")
def test_a_screening_dose_asks_for_the_usual_things_in_their_order():
    therapy = enrolled()
    assert code(therapy.screen(0, 50, Order(path="port", attended=False))) == "CATHETER_PORT"
    assert code(therapy.screen(0, 50, Order(attended=False))) == "UNATTENDED"
    therapy.inputs(high_alarm=True)
    assert code(therapy.screen(0, 50)) == "ALARM_ACTIVE"
    assert code(therapy.screen(0, 75)) == "SCREEN_DOSE"
    therapy.inputs(port_reads_open=True)
    assert code(therapy.screen(0, 75, Order(attended=False))) == "PORT_OPEN"
    therapy.inputs(calibrated=False)
    assert code(therapy.screen(0, 50)) == "UNCALIBRATED"


@pytest.mark.req("R-SCR-1")
def test_a_screening_dose_needs_a_record_and_a_trial():
    nobody = empty()
    refill(nobody, 0, 5_000_000, 50)
    assert code(nobody.screen(0, 50)) == "STATE"
    assert code(taken_over(flat(100)).screen(0, 50)) == "STATE"


# responses


@pytest.mark.req("R-SCR-3")
def test_inadequate_is_possible_from_4_hours_after_the_end_to_the_millisecond():
    therapy = enrolled()
    end = screen(therapy, 0, 50, minutes=15)
    assert therapy.respond(end + 4 * HOUR_MS - 1, "inadequate") == ("TOO_SOON", {"wait": 1})
    assert therapy.respond(end + 4 * HOUR_MS, "inadequate").ok
    assert code(therapy.respond(end + 4 * HOUR_MS, "positive")) == "STATE"


@pytest.mark.req("R-SCR-4")
def test_a_positive_response_ends_the_trial_and_its_dose_is_kept():
    therapy, at = tried(50)
    end = screen(therapy, at, 75)
    assert therapy.respond(end, "positive").ok
    assert (therapy.record.phase, therapy.record.trial.screen_ng) == ("screened", 75 * MCG)
    assert code(therapy.screen(end + DAY_MS, 100)) == "STATE"


@pytest.mark.req("R-SCR-4", "R-INI-1")
@pytest.mark.parametrize(("effect", "most"), [(None, 50), ("long", 50), ("short", 100)])
def test_how_long_the_effect_lasted_is_recorded_from_8_hours_on_and_until_then_the_smaller_cap_holds(effect, most):
    therapy = enrolled()
    end = screen(therapy, 0, 50)
    therapy.respond(end, "positive")
    assert therapy.respond(end + 8 * HOUR_MS - 1, effect="short") == ("TOO_SOON", {"wait": 1})
    if effect:
        assert therapy.respond(end + 8 * HOUR_MS, effect=effect).ok
        assert code(therapy.respond(end + 8 * HOUR_MS, effect=effect)) == "STATE"
    refill(therapy, end + 8 * HOUR_MS)
    assert therapy.commit(end + 8 * HOUR_MS, flat(most, ng=1)) == ("START_CAP", {"most": most * MCG})
    assert therapy.commit(end + 8 * HOUR_MS, flat(most)).ok


@pytest.mark.req("R-SCR-4")
def test_response_and_effect_may_come_together_and_are_refused_together():
    therapy = enrolled()
    end = screen(therapy, 0, 50)
    assert therapy.respond(end, "positive", "long") == ("TOO_SOON", {"wait": 8 * HOUR_MS})
    assert therapy.record.phase == "screening"
    assert code(therapy.respond(end + 8 * HOUR_MS, "inadequate", "long")) == "STATE"
    assert therapy.respond(end + 8 * HOUR_MS, "positive", "short").ok
    assert therapy.record.trial.effect_long is False
    assert code(therapy.respond(end + 8 * HOUR_MS)) == "MISSING"


@pytest.mark.req("R-SCR-5")
def test_no_response_to_100_mcg_refuses_every_program_until_a_new_trial():
    therapy, at = tried(50, 75, 100)
    assert therapy.record.phase == "not_candidate"
    assert code(therapy.commit(at, flat(50))) == "NOT_SCREENED"
    assert code(therapy.run(at)) == "NOT_SCREENED"
    assert code(therapy.screen(at, 50)) == "STATE"
    assert therapy.new_trial(at).ok
    assert therapy.screen(at, 50).ok


@pytest.mark.req("R-SCR-3")
def test_while_a_dose_moves_nothing_else_is_asked_of_the_trial():
    therapy = enrolled()
    therapy.screen(0, 50)
    assert {code(therapy.screen(1, 50)), code(therapy.respond(1, "positive")), code(therapy.new_trial(1))} == {"BUSY"}


# a new trial


def renewed(at=DAY_MS, screen_mcg=50):
    """A therapy of 100 mcg, stopped for a new trial with a positive response; gives it and the elapsed time."""
    therapy = taken_over(flat(100))
    therapy.stop(at)
    assert therapy.new_trial(at).ok
    refill(therapy, at, 5_000_000, 50, withdrawn_nl=0, expected_nl=0)
    end = screen(therapy, at, screen_mcg)
    therapy.respond(end, "positive")
    refill(therapy, end, 5_000_000, 500)
    return therapy, end


@pytest.mark.req("R-SCR-5")
def test_during_a_new_trial_no_program_runs_not_even_the_old_one():
    therapy = taken_over(flat(100))
    assert code(therapy.new_trial(1)) == "STATE"
    therapy.stop(1)
    therapy.new_trial(1)
    assert code(therapy.run(1)) == "NOT_SCREENED"
    assert code(therapy.commit(1, flat(50))) == "NOT_SCREENED"
    assert therapy.caps(1).why == "NOT_SCREENED"


@pytest.mark.req("R-INI-1", "R-TIT-4")
def test_after_a_new_trial_the_start_cap_and_the_step_from_the_program_last_run_hold():
    therapy, at = renewed()
    assert therapy.run(at) == ("STATE", {})  # what was committed before the trial is no more
    assert therapy.commit(at, flat(90)) == ("START_CAP", {"most": 50 * MCG})
    assert therapy.commit(at, flat(50)) == ("STEP_CAP", {"least": 80 * MCG})
    assert therapy.commit(at + DAY_MS, flat(50)).ok
    assert therapy.run(at + DAY_MS).ok
    assert therapy.record.phase == "first"


@pytest.mark.req("R-TIT-4", "R-SCR-5")
def test_a_new_trial_makes_no_larger_step_possible():
    therapy = taken_over(flat(20))
    therapy.stop(DAY_MS)
    therapy.new_trial(DAY_MS)
    refill(therapy, DAY_MS, 5_000_000, 50)
    end = screen(therapy, DAY_MS, 50)
    therapy.respond(end, "positive")
    refill(therapy, end, 5_000_000, 500)
    assert therapy.commit(end, flat(26, ng=1)) == ("STEP_CAP", {"most": 26 * MCG})
    assert therapy.commit(end, flat(26)).ok


@pytest.mark.req("R-MNT-2", "R-SCR-5")
@pytest.mark.parametrize(("later_ms", "expected"), [(DAY_MS - 1, "STEP_CAP"), (DAY_MS, "OK")])
def test_the_program_last_run_counts_as_in_force_until_the_new_trial_began(later_ms, expected):
    therapy, at = renewed()
    began = at - MINUTE
    assert code(therapy.commit(began + later_ms, flat(50))) == expected
