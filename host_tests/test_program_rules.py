"""Programs: exact sums, canonical form, limits of the profile; beside the oracle's reading where there is one."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doseloop import label
from doseloop.program import Program, Staging, check_profile, needs_profile_confirmation
from doseloop.units import MINUTE_MS, Refusal
from hil.oracle.program import Program as OracleProgram
from hil.oracle.program import flat_lines

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@st.composite
def lines(draw):
    """Canonical lines of a program, with or without weekdays of its own."""
    days = draw(st.lists(st.sampled_from(DAYS), max_size=3, unique=True))
    found = ["name=p", "conc=500"]
    for day in ["all", *days]:
        starts = {0, *draw(st.lists(st.integers(1, 1439), max_size=5))}
        found += [f"seg.{day}.{minute // 60:02d}:{minute % 60:02d}={draw(st.integers(0, 90_000))}" for minute in starts]
    return found


@pytest.mark.req("R-DOSE-1", "R-DOSE-2")
@given(lines())
def test_high_and_low_dose_over_any_24_hours_are_exactly_the_oracles(found):
    mine, other = Program(found), OracleProgram.parse(found)
    assert Fraction(mine.high.num, mine.high.den) == other.high_ng
    assert Fraction(mine.low.num, mine.low.den) == other.low_ng
    assert mine.hash == other.hash
    assert mine.is_flat() == other.is_flat


@pytest.mark.req("R-DOSE-2")
@given(lines(), st.integers(0, 10_079), st.integers(0, 1440))
def test_no_24_hours_of_the_week_hold_more_than_the_high_dose_or_less_than_the_low(found, minute, shift):
    program = Program(found)
    dose = program.dose_between(minute * MINUTE_MS, 86_400_000)
    assert program.low <= dose <= program.high


@pytest.mark.req("R-DOSE-1")
@given(lines(), st.integers(0, 604_799_999), st.integers(0, 700_000_000), st.integers(0, 700_000_000))
def test_the_dose_of_two_spans_is_the_dose_of_both(found, start, first, second):
    program = Program(found)
    a = program.dose_between(start, first)
    b = program.dose_between((start + first) % 604_800_000, second)
    both = program.dose_between(start, first + second)
    assert Fraction(a.num, a.den) + Fraction(b.num, b.den) == Fraction(both.num, both.den)


@pytest.mark.req("R-DOSE-1")
@given(st.integers(0, 2_003_000))
def test_a_flat_day_given_as_24_hours_sums_to_its_dose_and_counts_as_flat(daily):
    program = Program(flat_lines("p", 500, daily))
    assert program.high.same(program.low)
    assert program.high.num == daily * program.high.den
    assert program.is_flat()


@pytest.mark.req("R-PRF-3")
@given(lines())
def test_segments_outside_half_and_twice_their_days_mean_are_refused_as_the_oracle_does(found):
    mine, other = Program(found), OracleProgram.parse(found)
    codes = other.profile_refusals()
    try:
        check_profile(mine, 10**12, 10**12)
        code = "OK"
    except Refusal as refusal:
        code = refusal.code
    hard = [name for name in ("HOUR_MAX", "HOUR_MIN") if name in codes]
    assert code in (hard or ["OK"])
    assert needs_profile_confirmation(mine) == ("CONFIRM_PROFILE" in codes)


@pytest.mark.req("R-PRF-3")
@pytest.mark.parametrize(
    ("night", "code"), [(120, "OK"), (200, "OK"), (201, "HOUR_MAX"), (50, "OK"), (49, "HOUR_MIN")]
)
def test_equality_with_a_segment_limit_passes(night, code):
    """A day of 2400 ng: one hour at `night` percent of the mean rate, the rest even, so the mean stays 100 ng/h."""
    found = ["name=p", "conc=500", f"seg.all.00:00={2400 - night}", f"seg.all.23:00={night}"]
    try:
        check_profile(Program(found), 10**12, 10**12)
        seen = "OK"
    except Refusal as refusal:
        seen = refusal.code
    assert seen == code


@pytest.mark.req("R-PRF-2", "R-PRF-3")
def test_the_labels_night_example_needs_no_confirmation():
    program = Program(["name=night", "conc=2000", "seg.all.00:00=266000", "seg.all.19:00=84000"])
    assert program.daily.num == 350_000 * program.daily.den
    assert not needs_profile_confirmation(program)


@pytest.mark.req("R-ALM-8")
def test_the_lowest_rate_is_the_weeks_slowest_but_at_least_half_the_lowest_days_mean():
    program = Program(["name=p", "conc=500", "seg.all.00:00=2000", "seg.all.12:00=400"])
    dose, span = program.lowest_rate()
    assert Fraction(dose, span) == Fraction(2400, 2 * 86_400_000)


@pytest.mark.req("R-PRF-1", "R-UNIT-2")
@pytest.mark.parametrize(
    ("key", "value", "code"),
    [
        ("conc", "500", "UNIT"),
        ("conc", "500mg/ml", "UNIT"),
        ("conc", "-500mcg/ml", "UNIT"),
        ("conc", "0mcg/ml", "ARG"),
        ("conc", "99999999999999999999mcg/ml", "UNIT"),
        ("bolus_time", "0s", "ARG"),
        ("rate", "5ng/h", "ARG"),
    ],
)
def test_a_value_without_its_unit_or_out_of_range_is_refused_and_nothing_is_staged(key, value, code):
    staging = Staging("p")
    with pytest.raises(Refusal) as refusal:
        staging.set(key, value)
    assert refusal.value.code == code
    assert staging.values == {"name": "p"}


@pytest.mark.req("R-PRF-1")
def test_a_day_takes_24_segments_and_refuses_the_25th():
    staging = Staging("p")
    for hour in range(24):
        staging.segment("mon", f"{hour:02d}:00", "100ng")
    with pytest.raises(Refusal) as refusal:
        staging.segment("mon", "23:30", "100ng")
    assert refusal.value.code == "ARG"


@pytest.mark.req("R-PRF-1")
@pytest.mark.parametrize("start", ["24:00", "7:00", "07:60", "noon", "-1:00", ""])
def test_a_segment_starts_at_a_time_of_the_day(start):
    with pytest.raises(Refusal) as refusal:
        Staging("p").segment("all", start, "100ng")
    assert refusal.value.code == "ARG"


@pytest.mark.req("R-PRF-1", "R-DOSE-1")
def test_a_program_with_a_day_that_does_not_begin_at_midnight_is_incomplete():
    staging = Staging("p")
    staging.set("conc", "500mcg/ml")
    staging.segment("mon", "00:00", "100ng")
    with pytest.raises(Refusal) as refusal:
        Program(staging.lines())
    assert refusal.value.code == "MISSING"
    assert "tue" in refusal.value.text


@pytest.mark.req("R-MNT-3")
def test_the_daily_maxima_are_the_labels():
    assert [label.daily_max_ng(*who) for who in (("spinal", 40), ("cerebral", 40), ("pediatric", 11), ("pediatric", 12))] == [
        2_003_000,
        1_400_000,
        1_199_000,
        1_400_000,
    ]
