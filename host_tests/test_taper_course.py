"""A drug holiday by itself: its days, its rates and sums along elapsed time, and which plans are none."""

from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from doseloop.program import Program, digest
from doseloop.taper import Taper, make_program
from doseloop.units import Refusal

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
DAYS = [100_000 - 7_000 * day for day in range(14)]
HEAD = ["name=away", "conc=500"]


def lines(days, head=HEAD):
    return [*head, *(f"taper.{number:02d}={dose}" for number, dose in enumerate(days, 1))]


def taper(days=DAYS, start=None, left=None):
    found = Taper(lines(days))
    found.start, found.left = start, left
    return found


def refused(do, *args):
    try:
        do(*args)
    except Refusal as refusal:
        return refusal
    return None


def plan(days):
    """The Refusal of a plan with these days, or None."""
    return refused(taper(days).check_plan)


# ---- lines


@pytest.mark.req("R-HOL-1")
def test_lines_with_a_day_of_a_taper_make_a_taper_and_others_a_program():
    found = make_program(lines(DAYS))
    assert isinstance(found, Taper) and found.is_taper
    assert (found.name, found.conc, found.days_ng, found.lines) == ("away", 500, DAYS, sorted(lines(DAYS)))
    assert found.hash == digest(sorted(lines(DAYS)))
    assert (found.start, found.left, found.bolus, found.is_flat()) == (None, None, None, False)
    assert [dose.ceil() for dose in (found.daily, found.high, found.low)] == [100_000] * 3
    other = make_program([*HEAD, "seg.all.00:00=1"])
    assert isinstance(other, Program) and not other.is_taper


@pytest.mark.req("R-HOL-1")
@pytest.mark.parametrize(
    ("found", "code", "word"),
    [
        (lines(DAYS, ["name=away"]), "MISSING", "conc is missing"),
        ([*HEAD, "taper.02=5"], "MISSING", "day 1 of the taper is missing: PROG:TAPER day=1 dose"),
        ([*lines(DAYS[:3]), "taper.05=5"], "MISSING", "day 4 of the taper is missing: PROG:TAPER day=4 dose"),
        ([*lines(DAYS), "seg.all.00:00=5"], "ARG", "no seg.all.00:00"),
        ([*lines(DAYS), "bolus_time=5"], "ARG", "no bolus_time"),
    ],
)
def test_a_taper_has_its_days_without_a_hole_and_nothing_else(found, code, word):
    refusal = refused(make_program, found)
    assert refusal.code == code and word in refusal.text


# ---- along its course


@pytest.mark.req("R-HOL-1")
@pytest.mark.parametrize("start", [0, 12_345, 10**10])
def test_each_day_is_24_hours_from_the_start_and_zero_follows(start):
    found = taper(start=start)
    for day, dose in enumerate([*DAYS, 0, 0]):
        for at in (start + day * DAY_MS, start + (day + 1) * DAY_MS - 1):
            assert (found.day_at(at), found.dose_at(at), found.is_over(at)) == (day, dose, day >= len(DAYS))
    assert [found.day_ng(day) for day in (-1, 0, 13, 14)] == [0, DAYS[0], DAYS[13], 0]


@pytest.mark.req("R-HOL-1")
def test_before_it_came_into_force_it_stands_at_its_first_day():
    assert (taper().day_at(10**12), taper().dose_at(10**12), taper().is_over(10**12)) == (0, DAYS[0], False)


@pytest.mark.req("R-HOL-1")
def test_it_stays_at_the_day_on_which_it_was_left():
    found = taper(start=100, left=100 + 3 * DAY_MS)
    assert [found.day_at(at) for at in (100, 100 + 2 * DAY_MS, 100 + 3 * DAY_MS, 100 + 30 * DAY_MS)] == [0, 2, 3, 3]
    assert not found.is_over(100 + 30 * DAY_MS)


@pytest.mark.req("R-HOL-1", "R-PRF-4")
@given(st.integers(0, 16 * DAY_MS))
@example(13 * DAY_MS)
@example(14 * DAY_MS)
@example(15 * DAY_MS)
def test_the_rate_is_the_days_dose_evenly_until_the_day_ends(course):
    dose = [*DAYS, 0, 0, 0][course // DAY_MS]
    assert taper().rate_at(course) == (dose, DAY_MS, (course // DAY_MS + 1) * DAY_MS - course)


@pytest.mark.req("R-HOL-1", "R-DOSE-1")
@given(st.integers(0, 16 * DAY_MS), st.integers(0, 16 * DAY_MS))
@example(0, 14 * DAY_MS)
@example(13 * DAY_MS, DAY_MS + 7)
@example(14 * DAY_MS + 5, 7 * DAY_MS)
@example(-1, HOUR_MS)
def test_the_dose_of_a_span_is_the_sum_of_its_parts_of_days(course, span):
    exact = Fraction(0)
    for day, dose in enumerate(DAYS):
        overlap = min(course + span, (day + 1) * DAY_MS) - max(course, day * DAY_MS)
        exact += Fraction(dose * max(0, overlap), DAY_MS)
    found = taper().dose_between(course, span)
    assert Fraction(found.num, found.den) == exact


@pytest.mark.req("R-BOL-3", "R-CON-3")
def test_the_most_volume_is_that_of_the_first_day_rounded_up():
    found = taper([24_001, *DAYS[1:]])
    assert (found.basal_nl(DAY_MS), found.basal_nl(HOUR_MS), found.fastest_nl_h()) == (48_002, 2_001, 2_001)
    assert found.basal_nl(DAY_MS, 2000) == 12_001 and found.basal_nl(DAY_MS, None) == 48_002


@pytest.mark.req("R-HOL-1", "R-DOSE-1")
@pytest.mark.parametrize("day", [0, 5, 13])
def test_broken_off_it_is_a_flat_program_of_the_days_dose(day):
    found = make_program(taper(start=7).flat_lines_at(7 + day * DAY_MS + HOUR_MS))
    assert (found.name, found.conc, found.is_flat()) == ("away", 500, True)
    assert (found.daily.num, len(found.starts_min)) == (DAYS[day] * found.daily.den, 7 * 24)


# ---- plans


@pytest.mark.req("R-HOL-1")
@pytest.mark.parametrize(("count", "passes"), [(1, False), (13, False), (14, True), (28, True), (29, False)])
def test_a_taper_takes_14_to_28_days(count, passes):
    refusal = plan([1000] * count)
    assert (refusal is None) is passes
    if not passes:
        assert (refusal.code, refusal.text) == ("HOLIDAY", f"a taper of {count} days; it takes 14 to 28, label 2.6")


@pytest.mark.req("R-HOL-1", "R-UNIT-3")
@pytest.mark.parametrize("day", [2, 7, 13])
@pytest.mark.parametrize(
    ("before", "dose", "least"), [(1000, 800, None), (1000, 799, 800), (1001, 801, None), (1001, 800, 801), (1000, 1, 800)]
)
def test_no_day_is_below_80_percent_of_the_day_before_save_the_last(day, before, dose, least):
    """The days after it are as low, so that only this one steps."""
    refusal = plan([before] * (day - 1) + [dose] * (15 - day))
    if least is None:
        assert refusal is None
        return
    text = f"day {day}: {dose / 1000:g} under {least / 1000:g} mcg, 20 % less than the day before, label 2.6"
    assert (refusal.code, refusal.text, refusal.fields) == ("HOLIDAY", text, [("least", f"{least}ng")])


@pytest.mark.req("R-HOL-1")
def test_each_day_is_held_against_the_one_before_it_not_against_the_first():
    days = [1_000_000, 800_000, 640_000, 512_000, 409_600, 327_680, 262_144, 209_716, 167_773]  # 80 % each day, rounded up
    assert plan([*days, *[days[-1]] * 5]) is None
    assert plan([*days[:3], 640_001, *days[3:], *[days[-1]] * 4]).text == "day 4 rises to 640.001 mcg; a taper only falls"


@pytest.mark.req("R-HOL-1")
@pytest.mark.parametrize("last", [1, 500, 999, 1000])
def test_the_last_day_may_be_as_low_as_one_likes(last):
    assert plan([1000] * 13 + [last]) is None


@pytest.mark.req("R-HOL-1")
@pytest.mark.parametrize("day", [1, 2, 8, 14])
def test_no_day_is_without_dose_and_none_rises(day):
    days = [1000] * 14
    refusal = plan([*days[1:day], 0, *days[day:]])
    assert (refusal.code, refusal.text) == ("HOLIDAY", f"day {day} has no dose; zero follows the last day by itself")
    if day > 1:
        refusal = plan([*days[1:day], 1001, *days[day:]])
        assert (refusal.code, refusal.text) == ("HOLIDAY", f"day {day} rises to 1.001 mcg; a taper only falls")


@pytest.mark.req("R-HOL-1")
@given(st.integers(0, 16 * DAY_MS))
def test_a_day_of_the_course_lies_around_its_instants_and_follows_the_days_before(at_ms):
    found = taper()
    number = found.piece_at(at_ms)
    start_ms, length_ms, dose_ng, before_ng = found.piece(number)
    assert start_ms <= at_ms < start_ms + length_ms and length_ms == DAY_MS and start_ms % DAY_MS == 0
    assert dose_ng == (DAYS + [0] * 3)[start_ms // DAY_MS]
    assert before_ng == sum(DAYS[: start_ms // DAY_MS])
