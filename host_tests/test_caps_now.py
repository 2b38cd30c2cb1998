"""What the caps allow right now, rule by rule: the most, the least, the wait, and which rule is named."""

import pytest
from test_label_examples import TODAY, therapy

from doseloop.caps import find_caps, history
from doseloop.program import Program
from doseloop.therapy import Doses
from doseloop.units import DAY_MS, HOUR_MS, Ratio

NONE = {"most": "0ng", "least": "0ng", "wait": "0ms", "why": "NOT_SCREENED", "return": "0ng"}


def caps(found, now=0):
    return dict(find_caps(found, TODAY, now))


def tiny(ng):
    return Program(["name=p", "conc=500", f"seg.all.00:00={ng}"])


@pytest.mark.req("R-SCR-5", "R-MON-1")
@pytest.mark.parametrize("phase", ["none", "screening", "not_candidate"])
def test_without_a_response_nothing_is_allowed(phase):
    found = therapy(100)
    found.phase = phase
    assert caps(found) == NONE


@pytest.mark.req("R-INI-1", "R-MON-1")
def test_a_first_program_is_capped_by_the_screening_dose():
    assert caps(therapy(None, phase="screened")) == {**NONE, "most": "100000ng", "why": "none"}


@pytest.mark.req("R-TIT-1", "R-MNT-2", "R-MON-1")
def test_in_titration_a_step_up_and_a_step_down():
    assert caps(therapy(100)) == {"most": "130000ng", "least": "80000ng", "wait": "0ms", "why": "none", "return": "0ng"}


@pytest.mark.req("R-TIT-3", "R-INI-2", "R-MNT-1", "R-MON-1")
@pytest.mark.parametrize(
    ("phase", "ago", "ran", "wait", "why"),
    [
        ("titration", DAY_MS - 5, DAY_MS, 5, "TOO_SOON"),
        ("first", DAY_MS, DAY_MS - 7, 7, "FIRST_24H"),
        ("first", DAY_MS - 9, DAY_MS - 7, 9, "FIRST_24H"),
        ("maintenance", DAY_MS, DAY_MS, 0, "NO_REFILL"),
        ("maintenance", DAY_MS - 1, DAY_MS, 1, "TOO_SOON"),
    ],
)
def test_what_forbids_every_increase_is_named_with_the_time_it_takes(phase, ago, ran, wait, why):
    found = therapy(100, phase=phase, ago=ago)
    found.run_ms = ran
    assert caps(found) == {"most": "100000ng", "least": "80000ng", "wait": f"{wait}ms", "why": why, "return": "0ng"}


@pytest.mark.req("R-MNT-3", "R-MON-1")
@pytest.mark.parametrize(("mcg", "most", "why"), [(2003, 2003, "DAILY_MAX"), (2002.999, 2003, "none"), (1600, 2003, "none")])
def test_at_the_daily_maximum_it_is_the_maximum_that_forbids_more(mcg, most, why):
    found = caps(therapy(mcg))
    assert (found["most"], found["why"]) == (f"{most * 1000}ng", why)


@pytest.mark.req("R-TIT-1", "R-MON-1")
@pytest.mark.parametrize(("ng", "most", "why"), [(3, 3, "STEP_CAP"), (4, 5, "none")])
def test_a_dose_so_small_that_no_step_is_a_nanogram_has_no_step(ng, most, why):
    found = therapy(100)
    found.last_run = tiny(ng)
    assert (caps(found)["most"], caps(found)["why"]) == (f"{most}ng", why)


@pytest.mark.req("R-WDR-1", "R-MON-1")
def test_a_right_to_return_is_free_of_all_but_the_first_24_hours_and_no_reason_to_say_that_more_is_allowed():
    found = therapy(100, ago=DAY_MS - 5)
    found.return_to = Ratio(200_000)
    assert caps(found) == {"most": "200000ng", "least": "80000ng", "wait": "5ms", "why": "TOO_SOON", "return": "200000ng"}
    found.run_ms = 0
    assert (caps(found)["most"], caps(found)["why"]) == ("100000ng", "FIRST_24H")
    idle = caps(found, 14 * DAY_MS + 1)
    assert (idle["return"], idle["least"]) == ("0ng", "0ng"), "after 14 days without delivery there is no right"


@pytest.mark.req("R-MNT-2", "R-MON-1")
def test_going_back_lowers_the_least():
    found = therapy(140, ago=0)
    found.before_increase = Doses(Ratio(100_001), Ratio(90_000), Ratio(80_001))
    assert caps(found, 1)["least"] == "100001ng"
    assert caps(found, DAY_MS)["least"] == "112000ng"
    found.before_increase = Doses(Ratio(120_000), Ratio(120_000), Ratio(120_000))
    assert caps(found, 1)["least"] == "112000ng"


@pytest.mark.req("R-MON-1", "R-COM-1")
def test_the_history_is_what_the_oracle_needs_to_judge_by_itself():
    found = therapy(140, phase="maintenance", ago=0)
    found.past = [[0, Doses(Ratio(300_001, 2), Ratio(299_999, 2), Ratio(100_001, 2))]]
    found.before_increase = Doses(Ratio(200_001, 2), Ratio(199_999, 2), Ratio(100_001, 2))
    found.note_refill(0, 5_000_000, 20_000_000)
    told = dict(history(found, HOUR_MS, False))
    assert told == {
        "top_daily": "150001ng", "top_high": "150000ng", "top_low": "140000ng", "before_daily": "100001ng", "before_high": "100000ng",
        "before_low": "50000ng", "licence": f"{23 * 3600}s", "idle": "3600s", "started": "140000ng",
    }  # fmt: skip
    assert dict(history(found, HOUR_MS, True))["idle"] == "0s"
    fresh = dict(history(therapy(None, phase="screened"), 0, False))
    assert set(fresh.values()) == {"0ng", "0s"}


@pytest.mark.req("R-MON-1")
def test_a_history_without_delivery_is_not_idle():
    assert dict(history(therapy(None, phase="screened"), 10 * DAY_MS, False))["idle"] == "0s"
