"""The edges of a judgement: shaped programs, going back, 24 hours across a change, RUN, and what each sentence says."""

from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from test_label_examples import BOARD, TODAY, Given, program, therapy

from doseloop.basal import Basal
from doseloop.judge import Case, check, check_absolute, check_record, check_resume, worst_across
from doseloop.program import Program
from doseloop.taper import Taper
from doseloop.therapy import Doses
from doseloop.units import DAY_MS, HOUR_MS, Ratio, Refusal

WEEK_MS = 7 * DAY_MS


def weekly(*segments, conc=500, allowance=0):
    """A program of (day, hour, ng), with a bolus allowance or without."""
    lines = [f"seg.{day}.{hour:02d}:00={ng}" for day, hour, ng in segments]
    bolus = ["bolus_volume=10", "bolus_time=60", "bolus_lockout=0", f"bolus_allowance={allowance}"] if allowance else []
    return Program(["name=w", f"conc={conc}", *lines, *bolus])


def day_of(*ngs, **more):
    """A day of as many equal parts."""
    return weekly(*(("all", 24 // len(ngs) * part, ng) for part, ng in enumerate(ngs)), **more)


def taper(first=100_000, days=14, start=None):
    found = Taper(["name=t", "conc=500", *(f"taper.{day:02d}={first}" for day in range(1, days + 1))])
    found.start = start
    return found


def case(basal=None, now=0, week_ms=0, **more):
    return Case(now, TODAY, week_ms, 500, BOARD, basal or Given(), **{"attended": True, **more})


def refused(do, *args):
    try:
        do(*args)
    except Refusal as refusal:
        return refusal
    return None


def code(found, wanted, around=None):
    refusal = refused(check, found, wanted, around or case())
    return refusal.code if refusal else "OK"


def running(last, phase="titration"):
    """A therapy whose program last run is `last`, its waits over."""
    found = therapy(100, phase=phase)
    found.last_run = last
    found.refills = [0]
    return found


# ---- who and when


@pytest.mark.req("R-POP-2")
def test_unless_it_is_declared_nobody_attends_and_no_bridge_is_on():
    plain = Case(0, TODAY, 0, 500, BOARD, Given())
    assert (plain.attended, plain.reason, plain.may_return, plain.old_conc) == (False, None, True, 0)
    assert code(therapy(100), program(110), plain) == "UNATTENDED"


@pytest.mark.req("R-HOL-1")
@pytest.mark.parametrize(("phase", "answer"), [("first", "STATE"), ("titration", "OK"), ("maintenance", "OK"), ("holiday", "STATE")])
def test_a_taper_begins_in_titration_or_maintenance_whoever_asks(phase, answer):
    assert code(running(program(100), phase), taper()) == answer


@pytest.mark.req("R-POP-1")
@pytest.mark.parametrize(
    ("injury", "codes"),
    [(None, []), ((2026, 5, 4), ["CONFIRM_INJURY"]), ((2027, 5, 3), ["CONFIRM_INJURY"]), ((2026, 5, 3), []), ((2010, 1, 1), [])],
)
def test_an_injury_of_less_than_a_year_asks_for_a_person(injury, codes):
    assert check_record("cerebral", (1980, 5, 1), injury, TODAY) == codes


@pytest.mark.req("R-POP-1")
@pytest.mark.parametrize(("population", "birth"), [("pediatric", (1980, 5, 1)), ("pediatric", (2009, 5, 3)), ("spinal", (2009, 5, 4))])
def test_a_record_whose_age_is_not_its_populations_is_refused(population, birth):
    assert refused(check_record, population, birth, None, TODAY).code == "AGE"


@pytest.mark.req("R-MNT-3")
@pytest.mark.parametrize(("mcg", "notes"), [(12, []), (11.999, ["below_label_range"])])
def test_the_lower_end_of_the_labels_range_is_within_it(mcg, notes):
    assert check(therapy(mcg), program(mcg), case()).notes == notes


# ---- RUN of the program last run


@pytest.mark.req("R-SCR-5", "R-WDR-1")
@pytest.mark.parametrize(("phase", "answer"), [("titration", None), ("screening", "NOT_SCREENED"), ("not_candidate", "NOT_SCREENED")])
def test_a_run_wants_a_positive_response_on_record(phase, answer):
    found = therapy(100)
    found.phase = phase
    refusal = refused(check_resume, found, program(100), case())
    assert (refusal.code if refusal else None) == answer


@pytest.mark.req("R-CON-3")
def test_a_run_and_a_commit_ask_whether_the_board_is_fast_enough_for_the_bridge():
    slow = {**BOARD, "max_rate_nl_h": 20_000}
    wanted = day_of(240_000)  # 20,000 nl an hour at 500 mcg/mL
    for old_conc, answer in ((0, None), (500, None), (499, "HOUR_MAX")):
        around = Case(0, TODAY, 0, 500, slow, Given(), attended=True, old_conc=old_conc)
        for ask in (check_resume, check):
            refusal = refused(ask, running(wanted), wanted, around)
            assert (refusal.code if refusal else None) == answer
    assert refused(check_absolute, wanted, "spinal", 47, slow) is None, "unless it is told, no bridge is on"


# ---- sentences


@pytest.mark.req("R-UNIT-3", "R-INI-1", "R-HOL-1")
def test_the_start_cap_says_of_what_and_by_which_section():
    refusal = refused(check, therapy(None, phase="screened"), program(100.001), case())
    assert refusal.text == "100.001 over 100 mcg/day, 200 % of the screening dose 50, label 2.5"
    assert refusal.fields == [("most", "100000ng")]
    over = running(taper(80_000, start=-20 * DAY_MS))
    over.started = Doses(Ratio(90_000), Ratio(90_000), Ratio(90_000))
    refusal = refused(check, over, program(90.001), case())
    assert refusal.text == "90.001 over 90 mcg/day, the initial dose, label 2.6" and refusal.fields == [("most", "90000ng")]


@pytest.mark.req("R-UNIT-3", "R-TIT-1", "R-MNT-1")
@pytest.mark.parametrize(
    ("phase", "most", "percent", "section"),
    [("first", 130, 30, "2.5"), ("titration", 130, 30, "2.5"), ("maintenance", 140, 40, "2.6"), ("holiday", 130, 30, "2.5")],
)
def test_a_step_names_the_section_of_its_phase(phase, most, percent, section):
    last = taper(start=0) if phase == "holiday" else program(100)
    found = running(last, phase)
    found.run_ms = DAY_MS
    refusal = refused(check, found, program(150), case())
    assert refusal.text == f"150 over {most} mcg/day, {percent} % on 100, label {section}"


# ---- decreases of shaped programs


@pytest.mark.req("R-MNT-2")
def test_a_program_that_lowers_nothing_is_no_decrease_whatever_was_in_force_before():
    """After an OVERDOSE decrease of an hour ago from 100 to 50, the 50 mcg may be laid out anew."""
    found = running(day_of(25_000, 25_000))
    found.past = [[0, Doses(Ratio(100_000), Ratio(100_000), Ratio(100_000))]]
    around = case(now=HOUR_MS)
    assert code(found, day_of(12_500, 12_500, 12_500, 12_500), around) == "OK"
    assert code(found, day_of(24_999, 25_000), around) == "STEP_CAP"


@pytest.mark.req("R-MNT-2", "R-DOSE-2")
@pytest.mark.parametrize(
    ("wanted", "name"),
    [
        (weekly(("all", 0, 100_000), ("sun", 0, 130_000)), None),  # as it is
        (weekly(("all", 0, 100_000), ("sun", 0, 103_999), allowance=26_001), "high"),  # high alone, below 80 % of 130
        (weekly(("all", 0, 100_000), ("sun", 0, 104_000), allowance=26_000), None),
        (weekly(("all", 0, 100_000), ("sun", 0, 130_000), ("wed", 0, 79_999)), "low"),  # low alone
        (weekly(("all", 0, 100_000), ("sun", 0, 130_000), ("wed", 0, 80_000)), None),
    ],
)
def test_high_and_low_dose_keep_80_percent_each_by_itself(wanted, name):
    refusal = refused(check, running(weekly(("all", 0, 100_000), ("sun", 0, 130_000))), wanted, case(week_ms=None))
    assert (refusal is None) is (name is None)
    assert name is None or (refusal.code == "STEP_CAP" and refusal.text.startswith(name))


@pytest.mark.req("R-MNT-2")
@pytest.mark.parametrize(
    ("wanted", "answer"),
    [
        (day_of(100_000), "OK"),  # the dose before the increase
        (day_of(105_000), "OK"),  # between: 25 % down, and not below what was before
        (day_of(99_999), "STEP_CAP"),
        (day_of(100_000, allowance=5_000), "OK"),
        (day_of(95_000, allowance=5_000), "STEP_CAP"),  # the daily dose, but not the high one
    ],
)
def test_going_back_is_to_no_less_than_before_the_increase_in_each_of_the_three(wanted, answer):
    found = running(day_of(140_000), "maintenance")
    found.before_increase, found.last_increase = Doses(Ratio(100_000), Ratio(100_000), Ratio(100_000)), 0
    assert code(found, wanted, case(now=HOUR_MS, week_ms=None)) == answer


@pytest.mark.req("R-MNT-2")
@pytest.mark.parametrize("spoiled", ["daily", "high", "low"])
def test_each_sum_alone_keeps_a_program_from_being_a_going_back(spoiled):
    """100 mcg wanted after 140; before the increase one of the sums was 1 ng more."""
    found = running(day_of(140_000), "maintenance")
    sums = {name: Ratio(100_000 + (name == spoiled)) for name in ("daily", "high", "low")}
    found.before_increase, found.last_increase = Doses(**sums), 0
    assert code(found, day_of(100_000), case(now=HOUR_MS, week_ms=None)) == "STEP_CAP"
    assert code(found, day_of(100_001), case(now=HOUR_MS, week_ms=None)) == "OK"


# ---- 24 hours across the change


@pytest.mark.req("R-DOSE-2")
@pytest.mark.parametrize(
    ("old", "new", "answer"),
    [
        (day_of(100_000), day_of(60_000, 40_000), "STEP_CAP"),  # half a flat day and the stronger half
        (day_of(100_000), day_of(40_000, 60_000), "OK"),  # the weaker half first
        (day_of(60_000, 40_000), day_of(100_000), "OK"),
        (day_of(40_000, 60_000), day_of(100_000), "STEP_CAP"),  # the stronger half and half a flat day
        (day_of(12, 13), day_of(13, 12), "OK"),  # both are flat: that hours are whole ng is no change of rate
        (day_of(13, 12), day_of(12, 13), "OK"),
    ],
)
def test_a_change_at_midnight_is_judged_by_the_24_hours_that_it_cuts(old, new, answer):
    assert code(running(old), new, case(Given(old))) == answer


class CutOff(Given):
    """Basal of which `ng` may not have been delivered: power was cut."""

    def __init__(self, last, ng):
        super().__init__(last)
        self.ng = ng

    def uncertain_ng(self, now):
        return self.ng


@pytest.mark.req("R-DOSE-2", "R-ALM-11")
@pytest.mark.parametrize(("uncertain", "answer"), [(0, "STEP_CAP"), (9_999, "STEP_CAP"), (10_000, "OK")])
def test_what_a_cut_left_uncertain_is_no_reason_to_refuse_a_change(uncertain, answer):
    """110 mcg lie across the change, and 100 may: so much of it may not have been given."""
    assert code(running(day_of(100_000)), day_of(60_000, 40_000), case(CutOff(day_of(100_000), uncertain))) == answer


@pytest.mark.req("R-DOSE-2", "R-HOL-1")
@pytest.mark.parametrize(("before", "answer"), [(50_000, "OK"), (50_001, "STEP_CAP")])
def test_a_taper_after_a_shaped_day_is_judged_to_the_nanogram_from_its_first_millisecond(before, answer):
    old = day_of(100_000 - before, before)
    refusal = refused(check, running(old), taper(100_000), case(Given(old)))
    assert (refusal.code if refusal else "OK") == answer
    assert refusal is None or refusal.fields == [("limit", "100000ng")]


@pytest.mark.req("R-DOSE-2")
@pytest.mark.parametrize("course", [6 * HOUR_MS, 6 * HOUR_MS + 1, DAY_MS - 1])
@pytest.mark.parametrize("ngs", [(24_000,), (24_000, 0), (0, 24_000)])
def test_after_a_pause_the_worst_24_hours_are_those_that_begin_now(course, ngs):
    found = worst_across(Basal(None), day_of(*ngs), 5 * DAY_MS, course)
    assert Fraction(found.num, found.den) == 24_000


hours = st.lists(st.integers(0, 10_000), min_size=4, max_size=4)


def laid_out(ngs, now):
    """Basal that gave these by six hours, day after day, until now."""
    basal = Basal(None)
    for start in range(now - 30 * HOUR_MS, now, HOUR_MS):
        ng = ngs[start // (6 * HOUR_MS) % 4]
        basal._given.append([start, start + HOUR_MS, ng, 6 * HOUR_MS])
    return basal


@pytest.mark.req("R-DOSE-2")
@given(hours, hours, st.integers(0, 23), st.sampled_from([0, 5, 6]))
@example([0, 0, 0, 0], [4000, 1, 1, 1], 0, 0)  # the new program alone
@example([4000, 1, 1, 1], [0, 0, 0, 0], 6, 0)  # the old one alone
@example([0, 9000, 0, 0], [0, 0, 9000, 0], 12, 0)
@example([9000, 0, 0, 0], [0, 9000, 0, 0], 18, 6)
@example([1, 9000, 1, 1], [0, 0, 0, 9000], 13, 2)
def test_the_worst_24_hours_are_the_largest_of_all_that_lie_across_the_change(old, new, hour, day):
    """Everything changes on the hour, so one of the 25 windows that begin on an hour is the largest."""
    now = (100 * 24 + hour) * HOUR_MS
    course = (day * 24 + hour) * HOUR_MS
    wanted = day_of(*new)
    exact = []
    for back in range(25):
        given_ng = sum(Fraction(old[(now // HOUR_MS - k) // 6 % 4], 6) for k in range(1, back + 1))
        to_come = sum(Fraction(new[(hour + k) // 6 % 4], 6) for k in range(24 - back))
        exact.append(given_ng + to_come)
    found = worst_across(laid_out(old, now), wanted, now, course)
    assert Fraction(found.num, found.den) == max(exact)
