"""Boluses and other deliveries: who may start, what counts in 24 h, how each ends, what a restart knows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doseloop.bolus import CATEGORY, Deliveries, Delivery, bolus_text, is_short
from doseloop.program import Program
from doseloop.units import Refusal

SECOND_MS = 1000
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
SIZE_NL, LOCKOUT_S, ALLOWANCE_NG = 5_000, 3_600, 12_000
DOSE_NG = 2_500  # of one bolus at 500 mcg/mL


def program(size=SIZE_NL, lockout=LOCKOUT_S, allowance=ALLOWANCE_NG, conc=500):
    lines = ["name=p", f"conc={conc}", "seg.all.00:00=100000", "bolus_time=60"]
    return Program([*lines, f"bolus_volume={size}", f"bolus_lockout={lockout}", f"bolus_allowance={allowance}"])


def delivery(number=1, started=0, verb="DOSE:BOLUS", volume=SIZE_NL, steps=500, conc=500):
    return Delivery(verb, number, steps, 60_000, volume, conc, started)


def given_at(*starts, volume=SIZE_NL):
    """Deliveries after whole boluses at these times."""
    found = Deliveries()
    for number, start in enumerate(starts, 1):
        found.begin(delivery(number, start, volume=volume))
        found.finish(500, start + 60_000, 100_000, False)
    return found


def refusal(found, now, volume=SIZE_NL, no_bolus=None, rules=None):
    """The Refusal of a bolus now, or None."""
    try:
        found.check_bolus(program() if rules is None else rules, volume, now, no_bolus)
    except Refusal as refused:
        return refused
    return None


def code(*args, **kwargs):
    found = refusal(*args, **kwargs)
    return found.code if found else "OK"


# ---- may it start?


def test_every_verb_of_a_delivery_is_booked_as_what_it_is():
    assert CATEGORY == {
        "DOSE:BOLUS": "dose", "DOSE:SCREEN": "dose", "DOSE:PRIME": "prime", "TEST:FLOW": "test", "TEST:BOLUS": "test", "CAL:MOVE": "moved",
    }  # fmt: skip


@pytest.mark.req("R-BOL-1")
def test_a_bolus_is_off_unless_the_program_allows_it_and_then_only_its_size():
    flat = Program(["name=p", "conc=500", "seg.all.00:00=100000"])
    found = Deliveries()
    with pytest.raises(Refusal) as refused:
        found.check_bolus(None, SIZE_NL, 0, None)
    assert refused.value.code == "BOLUS_OFF"
    assert code(found, 0, rules=flat) == "BOLUS_OFF"
    assert [code(found, 0, volume=SIZE_NL + more) for more in (-1, 0, 1)] == ["BOLUS_OFF", "OK", "BOLUS_OFF"]


@pytest.mark.req("R-BOL-1", "R-BOL-2", "R-BOL-3")
def test_of_several_reasons_the_first_in_the_order_of_the_requirements_is_named():
    found = given_at(0, 1)
    found.uncertain = True
    tight = program(allowance=1)
    assert code(found, 2, volume=1, no_bolus="LATE", rules=tight) == "BOLUS_OFF"
    assert code(found, 2, no_bolus="LATE", rules=tight) == "ALARM_ACTIVE"
    assert code(found, 2, rules=tight) == "UNCERTAIN"
    found.uncertain = False
    assert code(found, 2, rules=tight) == "LOCKOUT"
    assert code(found, 2 + LOCKOUT_S * SECOND_MS, rules=tight) == "WINDOW_MAX"


@pytest.mark.req("R-UNIT-3")
def test_each_refusal_says_what_stands_against_it():
    assert "4999 nl" in refusal(Deliveries(), 0, volume=4999).text and "5000 nl" in refusal(Deliveries(), 0, volume=4999).text
    assert "PORT_OPEN" in refusal(Deliveries(), 0, no_bolus="PORT_OPEN").text


@pytest.mark.req("R-BOL-1")
@pytest.mark.parametrize("started", [0, 7, 10**9])
@pytest.mark.parametrize("end", ["whole", "cut short", "not yet"])
def test_the_lockout_runs_from_start_to_start_however_the_first_one_ended(started, end):
    found = Deliveries()
    found.begin(delivery(started=started))
    if end != "not yet":
        found.finish(500 if end == "whole" else 1, started + 60_000, 100_000, False)
    refused = refusal(found, started + LOCKOUT_S * SECOND_MS - 1)
    assert (refused.code, refused.fields) == ("LOCKOUT", [("wait", "1ms")])
    assert refused.text == "next bolus in 1 s, lockout 1 h 0 min"
    assert code(found, started + LOCKOUT_S * SECOND_MS) == "OK"
    assert refusal(found, started + 1_000_000).fields == [("wait", "2600000ms")]


@pytest.mark.req("R-BOL-2")
def test_the_window_takes_the_whole_allowance_and_not_one_nanogram_more():
    at = 10 * HOUR_MS
    assert code(given_at(0), at, rules=program(allowance=2 * DOSE_NG)) == "OK"
    refused = refusal(given_at(0), at, rules=program(allowance=2 * DOSE_NG - 1))
    assert refused.code == "WINDOW_MAX"
    assert refused.fields == [("most", "2499ng"), ("wait", f"{14 * HOUR_MS}ms")]
    assert refused.text == "2.5 given and 2.5 asked over the allowance of 4.999 mcg in 24 h; room again in 14 h 0 min"


@pytest.mark.req("R-BOL-2")
@pytest.mark.parametrize(
    ("allowance", "wait"),
    [
        (3 * DOSE_NG, DAY_MS - 5 * HOUR_MS),  # the first of three makes room
        (2 * DOSE_NG, DAY_MS - 3 * HOUR_MS),
        (DOSE_NG, DAY_MS - HOUR_MS),
        (DOSE_NG - 1, DAY_MS),  # never room
    ],
)
def test_a_full_window_says_when_there_is_room_again(allowance, wait):
    found = given_at(0, 2 * HOUR_MS, 4 * HOUR_MS)
    refused = refusal(found, 5 * HOUR_MS, rules=program(lockout=0, allowance=allowance))
    assert dict(refused.fields)["wait"] == f"{wait}ms"
    assert dict(refused.fields)["most"] == f"{max(0, allowance - 3 * DOSE_NG)}ng"


@pytest.mark.req("R-BOL-2")
def test_a_bolus_that_never_fits_says_a_day():
    refused = refusal(Deliveries(), 0, rules=program(allowance=DOSE_NG - 1))
    assert dict(refused.fields) == {"most": f"{DOSE_NG - 1}ng", "wait": f"{DAY_MS}ms"}


@pytest.mark.req("R-BOL-2")
def test_a_dose_asked_for_is_rounded_up():
    assert code(Deliveries(), 0, volume=3, rules=program(size=3, allowance=2)) == "OK"
    assert code(Deliveries(), 0, volume=3, rules=program(size=3, allowance=1)) == "WINDOW_MAX"
    assert delivery(conc=777).ng(10) == 8 and delivery(conc=500).ng(4) == 2


@pytest.mark.req("R-BOL-2", "R-TIM-1")
def test_a_bolus_counts_for_24_hours_to_the_millisecond():
    found = given_at(1000)
    assert [found.given_ng(1000 + ms) for ms in (0, DAY_MS - 1, DAY_MS)] == [DOSE_NG, DOSE_NG, 0]
    assert found.given_ng(0) == 0, "what is forgotten does not come back"
    assert given_at(1000).given_ng(5 * DAY_MS) == 0


starts = st.lists(st.integers(0, 2 * DAY_MS), min_size=1, max_size=8).map(sorted)


@pytest.mark.req("R-BOL-2")
@given(starts, st.integers(DOSE_NG, 6 * DOSE_NG), st.integers(0, DAY_MS))
def test_the_wait_of_a_full_window_is_the_first_moment_at_which_the_bolus_passes(times, allowance, later):
    rules = program(lockout=0, allowance=allowance)
    now = times[-1] + later
    refused = refusal(given_at(*times), now, rules=rules)
    if refused is None:
        assert sum(now - at < DAY_MS for at in times) * DOSE_NG + DOSE_NG <= allowance
        return
    wait = int(dict(refused.fields)["wait"][:-2])
    assert code(given_at(*times), now + wait - 1, rules=rules) == "WINDOW_MAX"
    assert code(given_at(*times), now + wait, rules=rules) == "OK"


# ---- how it ends


@pytest.mark.req("R-BOL-2")
@pytest.mark.parametrize(
    ("made", "short", "outcome", "counted"),
    [
        (500, False, "DONE", DOSE_NG),
        (499, False, "PARTIAL", 2_495),
        (0, False, "PARTIAL", 0),
        (500, True, "UNCERTAIN", DOSE_NG),
        (100, True, "UNCERTAIN", DOSE_NG),  # whole: the upper bound
    ],
)
def test_a_bolus_counts_whole_unless_it_is_known_to_have_been_less(made, short, outcome, counted):
    found = Deliveries()
    found.begin(delivery(7))
    assert found.current is found.last and found.given_ng(1) == DOSE_NG and found.seen(7) == [7, "DOSE:BOLUS", "RUNNING"]
    ended = found.finish(made, 60_000, 100_000, short)
    assert (ended.outcome, ended.made, ended.made_nl, ended.ended) == (outcome, made, made * 10, 60_000)
    assert found.current is None and found.last is ended and found.last_result == 7
    assert found.seen(7) == [7, "DOSE:BOLUS", outcome]
    assert found.given_ng(1) == counted
    assert found.uncertain is short


@pytest.mark.req("R-BOL-2", "R-CON-4")
@pytest.mark.parametrize("short", [False, True])
@pytest.mark.parametrize("verb", [verb for verb in CATEGORY if verb != "DOSE:BOLUS"])
def test_only_a_bolus_counts_as_one_and_only_a_bolus_can_leave_the_next_uncertain(verb, short):
    found = Deliveries()
    found.begin(delivery(verb=verb))
    found.finish(250, 60_000, 100_000, short)
    assert found.given_ng(1) == 0 and not found.uncertain
    assert code(found, 1) == "OK"
    found.restore(delivery(2, verb=verb), "UNCERTAIN")
    assert found.given_ng(1) == 0 and not found.uncertain and code(found, 1) == "OK"


@pytest.mark.req("R-BOL-2")
def test_an_uncertain_bolus_stays_uncertain_when_the_next_one_ends_well():
    found = Deliveries()
    for number, short in ((1, True), (2, False)):
        found.begin(delivery(number, number * HOUR_MS))
        found.finish(500, number * HOUR_MS + 60_000, 100_000, short)
    assert found.uncertain and code(found, 9 * HOUR_MS) == "UNCERTAIN"


@pytest.mark.req("R-BOL-2")
def test_the_last_of_several_is_the_one_that_a_partial_end_makes_smaller():
    found = given_at(0, 1000)
    found.begin(delivery(3, 2000))
    found.finish(100, 3000, 100_000, False)
    assert [found.given_ng(at) for at in (4000, DAY_MS, DAY_MS + 1000)] == [2 * DOSE_NG + 500, DOSE_NG + 500, 500]


@pytest.mark.req("R-BOL-2")
def test_a_whole_bolus_counts_as_asked_also_where_it_is_no_whole_number_of_steps():
    found = Deliveries()
    found.begin(delivery(volume=SIZE_NL + 4))
    assert found.finish(500, 60_000, 100_000, False).outcome == "DONE"
    assert found.given_ng(1) == DOSE_NG + 2


# ---- ids


@pytest.mark.req("R-UNIT-3")
def test_an_id_is_known_with_its_outcome_until_64_others_came_after_it():
    found = Deliveries()
    assert found.seen(0) is None
    for number in range(64):
        found.remember(number, "PROG:COMMIT", "DONE")
    found.remember(0, "PROG:COMMIT", "REFUSED")
    assert found.seen(0) == [0, "PROG:COMMIT", "REFUSED"], "the same id changes its outcome and keeps its place"
    found.remember(64, "RUN", "DONE")
    assert found.seen(0) is None and found.seen(1) == [1, "PROG:COMMIT", "DONE"] and found.seen(64) == [64, "RUN", "DONE"]


# ---- over a restart


@pytest.mark.req("R-BOL-2", "R-ALM-11")
@pytest.mark.parametrize(("outcome", "counted"), [("UNCERTAIN", DOSE_NG), ("DONE", DOSE_NG), ("PARTIAL", 1_000)])
def test_a_delivery_found_in_the_journal_counts_by_its_outcome(outcome, counted):
    found, cut = Deliveries(), delivery(9, 5000)
    cut.made_nl = 2_000
    found.restore(cut, outcome)
    assert found.last is cut and cut.outcome == outcome and found.seen(9) == [9, "DOSE:BOLUS", outcome]
    assert found.given_ng(5000) == counted
    assert found.uncertain is (outcome == "UNCERTAIN")
    found.uncertain = False
    assert [code(found, 5000 + LOCKOUT_S * SECOND_MS + more) for more in (-1, 0)] == ["LOCKOUT", "OK"]


@pytest.mark.req("R-BOL-2", "R-ALM-11")
def test_a_delivery_restored_after_an_uncertain_one_leaves_it_uncertain():
    found = Deliveries()
    found.restore(delivery(1), "UNCERTAIN")
    found.restore(delivery(2, 1000), "DONE")
    assert found.uncertain


@pytest.mark.req("R-BOL-2", "R-MON-1")
def test_a_restart_knows_windows_ids_and_the_last_delivery():
    found = given_at(0, HOUR_MS)
    found.uncertain = True
    fresh = Deliveries()
    fresh.load(found.dump())
    assert fresh.dump() == found.dump()
    last = fresh.last
    assert (last.verb, last.number, last.steps, last.volume_nl, last.made, last.made_nl, last.outcome) == (
        "DOSE:BOLUS", 2, 500, SIZE_NL, 500, SIZE_NL, "DONE",
    )  # fmt: skip
    assert last.ended == 0, "ended, at a time nobody asks for"
    assert (last.span_ms, last.conc, last.started) == (0, 0, 0)
    assert fresh.current is None and fresh.uncertain and fresh.last_result == 2 and fresh.given_ng(HOUR_MS) == 2 * DOSE_NG


def test_before_the_first_delivery_there_is_none_to_know():
    fresh, found = Deliveries(), Deliveries()
    fresh.load(found.dump())
    assert fresh.last is None and fresh.current is None and found.dump() == [False, None, None, [], [], None]


def test_a_delivery_that_has_begun_is_running_and_has_made_nothing():
    begun = delivery()
    assert (begun.outcome, begun.ended, begun.made, begun.made_nl) == ("RUNNING", None, 0, 0)


# ---- the witness


@pytest.mark.req("R-ALM-5")
@pytest.mark.parametrize(
    ("expected", "witnessed", "slack", "short"),
    [
        (1000, 980, 10, False),  # exactly 2 %
        (1000, 979, 10, True),
        (1000, 979, 21, False),  # within the slack
        (1000, 979, 20, True),
        (1000, 1021, 10, False),  # more than expected is not short
        (0, 0, 0, False),
        (100, 97, 2, True),
        (100, 98, 1, False),
        (1000, 950, 60, False),  # 5 %, and within the slack
        (1000, 985, 10, False),  # 1.5 %, and over the slack
        (4949, 4850, 10, True),  # 99 of 4949 are 2.0004 %
    ],
)
def test_the_witness_is_short_of_a_delivery_by_more_than_2_percent_and_more_than_its_slack(expected, witnessed, slack, short):
    assert is_short(expected, witnessed, slack) is short


def test_the_log_says_how_a_delivery_ended():
    found = Deliveries()
    found.begin(delivery(conc=777))
    assert bolus_text(found.finish(250, 60_000, 100_000, False)) == "DOSE:BOLUS PARTIAL 250 steps 1.942 mcg"
