"""The oracle on going back up after an interruption or an overdose, on long idle times, and on the advisory."""

from __future__ import annotations

from datetime import date

import pytest
from oracle_rig import CONFIRMED, MCG, code, flat, refill, taken_over, taper

from hil.oracle import Order, Program, flat_lines
from hil.oracle.program import DAY_MS, HOUR_MS

OVERDOSE = Order(reason="OVERDOSE")
ASKED = ("CONFIRM_RETURN", {"asked": ("CONFIRM_RETURN",)})


def overdosed(to_mcg=10, phase="titration"):
    """100 mcg, cut to a few after a day."""
    therapy = taken_over(flat(100), phase=phase)
    assert therapy.commit(DAY_MS, flat(to_mcg), OVERDOSE).ok
    return therapy


def interrupted(stop_ms, phase="titration", mcg=100):
    """100 mcg, stopped after a day for so long, then resumed; gives it and the elapsed time of that."""
    therapy = taken_over(flat(mcg), phase=phase)
    therapy.stop(DAY_MS)
    assert therapy.run(DAY_MS + stop_ms).ok
    return therapy, DAY_MS + stop_ms


# the right to return


@pytest.mark.req("R-WDR-1")
def test_after_an_overdose_one_confirmed_commit_returns_to_the_dose_before():
    therapy = overdosed()
    assert therapy.commit(DAY_MS + 1, flat(100, ng=1), CONFIRMED) == ("STEP_CAP", {"most": 13 * MCG})
    assert therapy.commit(DAY_MS + 1, flat(100)) == ASKED
    assert therapy.commit(DAY_MS + 1, flat(100), Order(confirmed=frozenset({"CONFIRM_RETURN"}))).ok
    assert therapy.record.last_increase_ms == DAY_MS + 1
    assert therapy.caps(DAY_MS + 1).return_ng == 0


@pytest.mark.req("R-WDR-1")
def test_a_step_that_is_allowed_anyway_needs_no_confirmation_and_uses_the_right_up():
    therapy = overdosed()
    assert therapy.commit(DAY_MS + 1, flat(13)).ok
    assert code(therapy.commit(2 * DAY_MS + 1, flat(100), CONFIRMED)) == "STEP_CAP"


@pytest.mark.req("R-WDR-1")
def test_a_return_is_free_of_too_soon_and_no_refill_and_uses_no_refill():
    therapy = taken_over(flat(100), phase="maintenance")
    refill(therapy, DAY_MS)
    assert therapy.commit(DAY_MS, flat(120)).ok
    assert therapy.commit(DAY_MS + 1, flat(60), OVERDOSE).ok
    assert code(therapy.copy().commit(DAY_MS + 2, flat(121), CONFIRMED)) == "TOO_SOON"
    assert therapy.commit(DAY_MS + 2, flat(120)) == ASKED
    assert therapy.commit(DAY_MS + 2, flat(120), CONFIRMED).ok
    assert therapy.record.supplies.licensed_ms == DAY_MS


@pytest.mark.req("R-WDR-1", "R-MNT-1")
def test_a_refill_that_a_return_did_not_use_still_licenses_an_increase():
    therapy = taken_over(flat(100), phase="maintenance")
    assert therapy.commit(DAY_MS, flat(60), OVERDOSE).ok
    refill(therapy, DAY_MS + 1)
    assert therapy.commit(DAY_MS + 2, flat(100), CONFIRMED).ok
    assert therapy.commit(2 * DAY_MS + 1, flat(110)) == ("TOO_SOON", {"wait": 1})
    assert code(therapy.commit(2 * DAY_MS + 2, flat(110))) == "NO_REFILL"
    refill(therapy, 2 * DAY_MS + 3)
    assert therapy.commit(2 * DAY_MS + 3, flat(110)).ok


@pytest.mark.req("R-WDR-1", "R-INI-2")
@pytest.mark.parametrize(("stop_ms", "right"), [(6 * HOUR_MS, 0), (6 * HOUR_MS + 1, 100 * MCG)])
def test_an_interruption_of_more_than_six_hours_gives_the_right_when_delivery_resumes(stop_ms, right):
    therapy, at = interrupted(stop_ms)
    assert therapy.caps(at).return_ng == right


@pytest.mark.req("R-WDR-1", "R-INI-2")
def test_a_return_waits_for_the_first_24_hours():
    therapy, at = interrupted(7 * HOUR_MS)
    assert therapy.commit(at, flat(60), OVERDOSE).ok
    assert therapy.commit(at + DAY_MS - 1, flat(100), CONFIRMED) == ("FIRST_24H", {"wait": 1})
    assert therapy.commit(at + DAY_MS, flat(100)) == ASKED


@pytest.mark.req("R-WDR-1")
def test_a_power_loss_is_an_interruption_if_its_length_is_known():
    for known_ms, right in ((7 * HOUR_MS, 100 * MCG), (6 * HOUR_MS, 0), (None, 0)):
        therapy = taken_over(flat(100))
        assert therapy.caps(therapy.power_loss(DAY_MS, known_ms)).return_ng == right


@pytest.mark.req("R-WDR-1")
def test_the_larger_of_two_rights_holds():
    therapy = overdosed(50)
    therapy.stop(2 * DAY_MS)
    therapy.run(2 * DAY_MS + 7 * HOUR_MS)
    assert therapy.caps(2 * DAY_MS + 7 * HOUR_MS).return_ng == 100 * MCG


@pytest.mark.req("R-WDR-1")
def test_a_return_committed_while_stopped_needs_no_second_confirmation_at_run():
    therapy = overdosed()
    therapy.stop(DAY_MS + 1)
    assert therapy.commit(DAY_MS + 1, flat(100), CONFIRMED).ok
    assert therapy.run(DAY_MS + 2).ok
    assert therapy.record.doses(DAY_MS + 2).daily == 100 * MCG


@pytest.mark.req("R-WDR-1", "R-DOSE-2")
def test_the_window_of_24_h_holds_for_a_return_too():
    early = Program.parse(["name=b", "conc=500", "seg.all.00:00=60000", "seg.all.12:00=40000"])
    late = Program.parse(["name=a", "conc=500", "seg.all.00:00=40000", "seg.all.12:00=60000"])
    therapy = taken_over(late)
    assert therapy.commit(DAY_MS - 1, flat(50), OVERDOSE).ok
    assert therapy.commit(DAY_MS, early, CONFIRMED) == ("STEP_CAP", {"limit": 100 * MCG})


@pytest.mark.req("R-WDR-1", "R-HOL-1", "R-SCR-5")
def test_the_right_ends_with_a_holiday_and_with_a_new_trial():
    therapy = overdosed(90)
    therapy.commit(2 * DAY_MS, taper(90), CONFIRMED)
    assert therapy.caps(2 * DAY_MS).return_ng == 0
    therapy.stop(3 * DAY_MS)
    therapy.run(3 * DAY_MS + 7 * HOUR_MS)
    assert therapy.caps(3 * DAY_MS + 7 * HOUR_MS).return_ng == 0
    tried = overdosed()
    tried.stop(2 * DAY_MS)
    tried.new_trial(2 * DAY_MS)
    assert tried.caps(2 * DAY_MS).return_ng == 0


# more than 14 days


@pytest.mark.req("R-WDR-1")
@pytest.mark.parametrize(("idle_ms", "expected"), [(14 * DAY_MS, "OK"), (14 * DAY_MS + 1, "START_CAP")])
def test_after_more_than_14_days_without_delivery_run_and_commit_obey_the_start_cap(idle_ms, expected):
    therapy = taken_over(flat(101), screen_ng=50 * MCG)
    therapy.stop(DAY_MS)
    assert code(therapy.copy().run(DAY_MS + idle_ms)) == expected
    assert code(therapy.commit(DAY_MS + idle_ms, flat(101))) == expected


@pytest.mark.req("R-WDR-1", "R-MNT-2")
def test_after_more_than_14_days_the_decrease_rule_does_not_hold_and_the_right_to_return_is_gone():
    therapy = overdosed(60)
    therapy.stop(2 * DAY_MS)
    at = 16 * DAY_MS
    assert (therapy.caps(at).return_ng, therapy.caps(at).least_ng) == (100 * MCG, 48 * MCG)
    assert (therapy.caps(at + 1).return_ng, therapy.caps(at + 1).least_ng) == (0, 0)
    assert therapy.commit(at + 1, flat(5)).ok
    assert therapy.run(at + 1).ok
    assert therapy.caps(at + 1).return_ng == 0


@pytest.mark.req("R-WDR-1", "R-ALM-11")
def test_a_basal_that_resumes_by_itself_is_not_asked():
    therapy = taken_over(flat(200))
    at = therapy.power_loss(DAY_MS, 15 * DAY_MS)
    assert therapy.record.running
    assert therapy.caps(at).idle_ms == 0


@pytest.mark.req("R-WDR-1", "R-COM-1")
def test_the_14_days_of_an_imported_therapy_begin_with_the_import():
    therapy = taken_over(flat(200), run=False)
    assert therapy.copy().run(14 * DAY_MS).ok
    assert therapy.run(14 * DAY_MS + 1) == ("START_CAP", {"most": 100 * MCG})


# the advisory


def suspected(therapy):
    return "CATHETER_SUSPECT" in therapy.record.advice.raised


@pytest.mark.req("R-MNT-4")
@pytest.mark.parametrize(("gap_ms", "expected"), [(7 * DAY_MS - 1, True), (7 * DAY_MS, False)])
def test_two_refused_increases_in_seven_days_raise_the_advisory(gap_ms, expected):
    therapy = taken_over(flat(100))
    assert code(therapy.commit(DAY_MS, flat(131))) == "STEP_CAP"
    assert not suspected(therapy)
    assert code(therapy.commit(DAY_MS + gap_ms, flat(131))) == "STEP_CAP"
    assert suspected(therapy) == expected


@pytest.mark.req("R-MNT-4")
def test_a_refused_decrease_and_another_code_do_not_count():
    therapy = taken_over(flat(100), phase="maintenance")
    for at in (DAY_MS, DAY_MS + 1):
        assert code(therapy.commit(at, flat(50))) == "STEP_CAP"
        assert code(therapy.commit(at, flat(150))) == "NO_REFILL"
    assert not suspected(therapy)


@pytest.mark.req("R-MNT-4")
def test_half_more_than_the_lowest_dose_of_30_days_in_maintenance_raises_the_advisory():
    for second, expected in ((149, False), (150, True)):
        therapy = taken_over(flat(100))
        assert therapy.set_phase(DAY_MS, "maintenance").ok
        refill(therapy, DAY_MS)
        assert therapy.commit(DAY_MS, flat(125)).ok
        refill(therapy, 5 * DAY_MS)
        assert therapy.commit(5 * DAY_MS, flat(second)).ok
        assert suspected(therapy) == expected


@pytest.mark.req("R-MNT-4")
@pytest.mark.parametrize(("later_ms", "expected"), [(30 * DAY_MS - 1, True), (30 * DAY_MS, False)])
def test_a_dose_replaced_30_days_ago_is_forgotten(later_ms, expected):
    therapy = taken_over(flat(100), phase="maintenance")
    refill(therapy, DAY_MS)
    assert therapy.commit(DAY_MS, flat(125)).ok
    refill(therapy, DAY_MS + later_ms)
    assert therapy.commit(DAY_MS + later_ms, flat(150)).ok
    assert suspected(therapy) == expected


@pytest.mark.req("R-MNT-4")
def test_a_third_titration_increase_in_a_row_without_a_response_raises_the_advisory():
    therapy = taken_over(flat(100))
    for day, mcg in ((1, 110), (2, 120)):
        assert therapy.commit(day * DAY_MS, flat(mcg)).ok
    twin = therapy.copy()
    assert therapy.commit(3 * DAY_MS, flat(130)).ok
    assert suspected(therapy)
    therapy.acknowledge(3 * DAY_MS)
    assert not suspected(therapy)
    assert twin.clinical_response(3 * DAY_MS, "inadequate").ok
    assert twin.commit(3 * DAY_MS, flat(130)).ok
    assert not suspected(twin)


@pytest.mark.req("R-MNT-4")
def test_a_clinical_response_belongs_to_a_therapy_that_runs():
    therapy = taken_over(flat(100))
    therapy.stop(1)
    assert therapy.clinical_response(1, "adequate").ok
    therapy.new_trial(1)
    assert code(therapy.clinical_response(1, "adequate")) == "STATE"


# the caps as they are shown


@pytest.mark.req("R-TIT-1", "R-MNT-1", "R-WDR-1")
def test_the_caps_say_what_a_commit_could_have():
    caps = taken_over(flat(100)).caps(0)
    assert (caps.most_ng, caps.least_ng, caps.wait_ms, caps.why, caps.return_ng) == (130_000, 80_000, 0, "none", 0)
    kept = taken_over(flat(100), phase="maintenance").caps(0)
    assert (kept.most_ng, kept.why, kept.licence_ms) == (100_000, "NO_REFILL", None)
    fresh = taken_over(flat(100), phase="first").caps(HOUR_MS)
    assert (fresh.most_ng, fresh.wait_ms, fresh.why) == (100_000, 23 * HOUR_MS, "FIRST_24H")
    returning = overdosed(10).caps(DAY_MS)
    assert (returning.most_ng, returning.return_ng, returning.why) == (100_000, 100_000, "none")


@pytest.mark.req("R-MNT-2")
def test_the_dose_before_an_increase_of_the_last_24_h_lowers_the_least():
    therapy = taken_over(flat(100))
    therapy.commit(DAY_MS, flat(130))
    caps = therapy.caps(2 * DAY_MS - 1)
    assert (caps.least_ng, caps.before_daily, caps.why, caps.wait_ms) == (100_000, 100_000, "TOO_SOON", 1)
    assert therapy.caps(2 * DAY_MS).least_ng == 104_000


@pytest.mark.req("R-MNT-1")
def test_the_caps_show_how_long_a_refill_licenses():
    therapy = taken_over(flat(100), phase="maintenance")
    refill(therapy, HOUR_MS)
    assert therapy.caps(2 * HOUR_MS).licence_ms == 23 * HOUR_MS
    assert therapy.caps(25 * HOUR_MS).licence_ms == 0
    assert therapy.caps(25 * HOUR_MS + 1).licence_ms is None


@pytest.mark.req("R-INI-1", "R-MNT-3")
def test_the_maximum_of_the_population_caps_a_step():
    therapy = taken_over(Program.parse(flat_lines("x", 2000, 1150 * MCG)), "pediatric", birth=date(2018, 1, 1))
    assert therapy.caps(DAY_MS).most_ng == 1199 * MCG
