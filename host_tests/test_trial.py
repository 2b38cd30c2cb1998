"""The screening trial by itself: which dose comes next, when, and which response may be recorded."""

import pytest

from doseloop.label import POPULATIONS
from doseloop.screening import INADEQUATE, POSITIVE, Trial, too_soon, volume_nl
from doseloop.units import Refusal

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
DOSES = (25_000, 50_000, 75_000, 100_000)


def trial(dose=50_000, outcome="DONE", response="none", started=0, ended=60_000):
    found = Trial()
    found.begin(dose, started)
    if outcome != "RUNNING":
        found.end(outcome, ended)
    found.response = response
    return found


def refused(do, *args):
    try:
        do(*args)
    except Refusal as refusal:
        return refusal
    return None


def code(do, *args):
    refusal = refused(do, *args)
    return refusal.code if refusal else "OK"


# ---- which dose


@pytest.mark.req("R-SCR-1")
@pytest.mark.parametrize(("population", "first"), [("spinal", (50_000,)), ("cerebral", (50_000,)), ("pediatric", (25_000, 50_000))])
def test_a_trial_begins_with_50_mcg_and_a_childs_may_begin_with_25(population, first):
    found = Trial()
    assert found.next_doses(population) == first
    assert [code(found.check_dose, dose, population) for dose in DOSES] == ["OK" if dose in first else "SCREEN_DOSE" for dose in DOSES]


@pytest.mark.req("R-SCR-1", "R-SCR-3")
@pytest.mark.parametrize("population", POPULATIONS)
@pytest.mark.parametrize("dose", DOSES)
@pytest.mark.parametrize(("response", "more"), [("none", False), (POSITIVE, False), (INADEQUATE, True)])
def test_after_a_whole_dose_the_next_follows_only_an_inadequate_response(population, dose, response, more):
    after = tuple(each for each in DOSES if each > dose)[:1]
    assert trial(dose, response=response).next_doses(population) == (after if more else ())


@pytest.mark.req("R-SCR-2")
@pytest.mark.parametrize("dose", DOSES)
@pytest.mark.parametrize("outcome", ["RUNNING", "PARTIAL", "UNCERTAIN"])
def test_a_dose_that_was_not_given_whole_is_given_again(dose, outcome):
    found = trial(dose, outcome)
    assert found.outcome == outcome and found.next_doses("spinal") == (dose,)
    assert [code(found.check_dose, each, "spinal") for each in DOSES] == ["OK" if each == dose else "SCREEN_DOSE" for each in DOSES]


@pytest.mark.req("R-SCR-1", "R-UNIT-3")
@pytest.mark.parametrize(
    ("found", "population", "text", "following"),
    [
        (Trial(), "spinal", "60 mcg is out of turn; next is 50 mcg, label 2.2", "50mcg"),
        (Trial(), "pediatric", "60 mcg is out of turn; next is 25 or 50 mcg, label 2.2", "50mcg"),
        (trial(response=INADEQUATE), "spinal", "60 mcg is out of turn; next is 75 mcg, label 2.2", "75mcg"),
        (trial(), "spinal", "60 mcg is out of turn; first record the response: SCREEN:RESPONSE, label 2.2", "none"),
    ],
)
def test_a_dose_out_of_turn_is_answered_with_the_next_one(found, population, text, following):
    refusal = refused(found.check_dose, 60_000, population)
    assert (refusal.code, refusal.text, refusal.fields) == ("SCREEN_DOSE", text, [("next", following)])


@pytest.mark.req("R-SCR-1")
@pytest.mark.parametrize(("dose", "volume"), [(25_000, 500_000), (50_000, 1_000_000), (75_000, 1_500_000), (100_000, 2_000_000)])
def test_50_mcg_are_one_millilitre(dose, volume):
    assert volume_nl(dose) == volume


# ---- when


@pytest.mark.req("R-SCR-3", "R-TIM-1")
@pytest.mark.parametrize("outcome", ["RUNNING", "DONE", "PARTIAL"])
@pytest.mark.parametrize("started", [0, 5_000])
def test_24_hours_run_from_start_to_start_also_into_a_new_trial(outcome, started):
    found = trial(outcome=outcome, started=started)
    for _ in range(2):
        refusal = refused(found.check_gap, started + DAY_MS - 1)
        assert (refusal.code, refusal.fields) == ("TOO_SOON", [("wait", "1ms")])
        assert code(found.check_gap, started + DAY_MS) == code(found.check_gap, started + 9 * DAY_MS) == "OK"
        found.begin_anew()
    assert (found.dose_ng, found.ended, found.outcome, found.response, found.started) == (0, None, "none", "none", started)


def test_before_the_first_dose_there_is_nothing_to_wait_for():
    assert code(Trial().check_gap, 0) == "OK"


@pytest.mark.req("R-SCR-3", "R-SCR-4")
@pytest.mark.parametrize(
    ("result", "effect", "wait"),
    [(INADEQUATE, None, 4), (INADEQUATE, "short", 8), (POSITIVE, "short", 8), (None, "long", 8), (POSITIVE, None, 0)],
)
def test_inadequate_takes_4_hours_and_an_effect_8_from_the_end_of_the_dose(result, effect, wait):
    found = trial(ended=60_000)
    end = 60_000 + wait * HOUR_MS
    assert code(found.check_waits, result, effect, end) == code(found.check_waits, result, effect, end + DAY_MS) == "OK"
    if wait:
        assert code(found.check_waits, result, effect, end - 1) == "TOO_SOON"
        refusal = refused(found.check_waits, result, effect, end - 1000)
        assert (refusal.code, refusal.fields) == ("TOO_SOON", [("wait", "1000ms")])
        assert "in 1 s" in refusal.text and f"{wait} h" in refusal.text


def test_a_wait_is_told_in_words_and_as_a_figure():
    refusal = too_soon("wait %s", 61_000)
    assert (refusal.code, refusal.text, refusal.fields) == ("TOO_SOON", "wait 2 min", [("wait", "61000ms")])


# ---- responses


@pytest.mark.req("R-SCR-2", "R-SCR-4")
@pytest.mark.parametrize(
    ("found", "answer"),
    [
        (trial(), "OK"),
        (trial(response=POSITIVE), "STATE"),
        (trial(response=INADEQUATE), "STATE"),
        (trial(outcome="PARTIAL"), "STATE"),
        (trial(outcome="UNCERTAIN"), "STATE"),
        (trial(outcome="RUNNING"), "STATE"),
        (Trial(), "STATE"),
    ],
)
def test_a_response_belongs_to_a_whole_dose_that_has_none(found, answer):
    refusal = refused(found.require_unanswered)
    assert (refusal.code if refusal else "OK") == answer
    assert refusal is None or found.outcome in refusal.text


@pytest.mark.req("R-SCR-5")
@pytest.mark.parametrize("dose", DOSES)
@pytest.mark.parametrize("response", ["none", POSITIVE, INADEQUATE])
def test_a_trial_has_failed_when_the_largest_dose_had_no_response(dose, response):
    assert trial(dose, response=response).is_failed() is (dose == 100_000 and response == INADEQUATE)


@pytest.mark.req("R-MON-2")
def test_a_restart_knows_the_trial():
    fresh = Trial()
    fresh.load(trial(75_000, "PARTIAL", started=7, ended=9).dump())
    assert (fresh.dose_ng, fresh.started, fresh.ended, fresh.outcome, fresh.response) == (75_000, 7, 9, "PARTIAL", "none")
    assert Trial().dump() == [0, None, None, "none", "none"]
