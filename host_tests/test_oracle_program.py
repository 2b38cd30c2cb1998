"""The oracle's programs: what is one, its sums over any 24 h, its profile."""

from __future__ import annotations

import hashlib
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.oracle import Program, ProgramError, flat_day, flat_lines, program_hash
from hil.oracle.program import DAY_MS, DAYS, HOUR_MS, MINUTE_MS, WEEK_MS


def clock(minute):
    return f"{minute // 60:02d}:{minute % 60:02d}"


@st.composite
def days(draw, name):
    """Segments of one day, as canonical lines."""
    starts = sorted({0, *draw(st.lists(st.integers(1, 1439), max_size=5))})
    return [f"seg.{name}.{clock(start)}={draw(st.integers(0, 100_000))}" for start in starts]


@st.composite
def programs(draw):
    names = draw(st.sampled_from([("all",), DAYS, ("all", "sat", "sun")]))
    lines = [line for name in names for line in draw(days(name))]
    return Program.parse(["name=x", "conc=500", *lines])


def night_flex():
    """350 mcg a day, +20 % for an effect from 21:00 to 02:00 (label 2.4)."""
    hours = [16_800 if hour >= 19 else 14_000 for hour in range(24)]
    return Program.parse(["name=night", "conc=2000", *(f"seg.all.{h:02d}:00={ng}" for h, ng in enumerate(hours))])


@pytest.mark.req("R-DOSE-1")
@given(st.integers(0, 2_003_000))
def test_the_hours_of_a_flat_day_sum_to_the_dose_and_differ_by_one_ng_at_most(dose_ng):
    hours = flat_day(dose_ng)
    assert sum(hours) == dose_ng
    assert max(hours) - min(hours) <= 1
    assert all(sum(hours[: h + 1]) == (h + 1) * dose_ng // 24 for h in range(24))
    assert Program.parse(flat_lines("flat", 500, dose_ng)).is_flat


@pytest.mark.req("R-DOSE-2")
@given(programs(), st.lists(st.integers(0, 2 * WEEK_MS), min_size=1, max_size=20))
def test_no_window_of_24_h_holds_more_than_the_high_dose_or_less_than_the_low(program, starts):
    for start in starts:
        assert program.low_ng <= program.dose(start, start + DAY_MS) <= program.high_ng


@pytest.mark.req("R-DOSE-2")
@given(programs())
def test_the_high_and_the_low_dose_are_reached_by_some_window_of_whole_minutes(program):
    starts = {start + shift for start in program.starts_ms for shift in (0, WEEK_MS - DAY_MS)}
    sums = {program.dose(start, start + DAY_MS) for start in starts}
    assert (program.high_ng, program.low_ng) == (max(sums), min(sums))
    assert program.high_ng >= max(program.day_ng)
    assert program.low_ng <= min(program.day_ng)


@pytest.mark.req("R-DOSE-1")
@given(programs(), st.integers(0, WEEK_MS), st.integers(0, WEEK_MS))
def test_doses_of_neighbouring_stretches_add_up(program, a, b):
    a, b = sorted((a, b))
    assert program.dose(0, a) + program.dose(a, b) == program.dose(0, b)
    assert program.dose(0, WEEK_MS) == sum(program.day_ng)


@pytest.mark.req("R-DOSE-2")
def test_two_heavy_ends_of_neighbouring_days_make_a_high_dose_above_every_day():
    monday, tuesday = ["seg.mon.00:00=0", "seg.mon.12:00=100"], ["seg.tue.00:00=100", "seg.tue.12:00=0"]
    rest = [f"seg.{day}.00:00=100" for day in DAYS[2:]]
    program = Program.parse(["name=x", "conc=500", *monday, *tuesday, *rest])
    assert (program.high_ng, program.low_ng) == (200, 50)


@pytest.mark.req("R-DOSE-2")
def test_the_allowance_of_the_boluses_counts_in_the_daily_dose():
    bolus = ["bolus_volume=1000", "bolus_time=60", "bolus_lockout=3600", "bolus_allowance=5000"]
    assert Program.parse(flat_lines("x", 500, 100_000) + bolus).daily_ng == 105_000


@pytest.mark.req("R-PRF-1")
def test_a_weekday_with_segments_of_its_own_takes_them_instead_of_all():
    program = Program.parse(["name=x", "conc=500", "seg.all.00:00=100", "seg.sun.00:00=40", "seg.sun.12:00=40"])
    assert program.day_ng == (100,) * 6 + (80,)


def test_the_hash_is_sha_256_over_the_sorted_lines_whatever_their_order():
    lines = flat_lines("flat", 500, 100_000)
    text = "\n".join(sorted(lines)).encode()
    assert Program.parse(reversed(lines)).hash == program_hash(lines) == hashlib.sha256(text).hexdigest()[:16]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("seg.all.00:00=-5", "plain integer"),
        ("seg.all.00:00=5.0", "plain integer"),
        ("seg.all.00:00=nan", "plain integer"),
        ("seg.all.00:00=007", "plain integer"),
        ("seg.all.00:00=5mcg", "plain integer"),
        ("seg.all.01:00=5", "00:00"),
        ("seg.all.24:00=5", "no segment"),
        ("seg.all.1:00=5", "no segment"),
        ("seg.day.00:00=5", "no segment"),
        ("seg.mon.00:00=5", "tue"),
        ("rate=5", "unknown keys: rate"),
        ("bolus_volume=5", "all of"),
        ("name=y", "twice"),
        ("nothing", "key=value"),
    ],
)
def test_lines_that_are_no_program_are_refused_by_name(line, words):
    start = [] if line.startswith("seg") else ["seg.all.00:00=5"]
    with pytest.raises(ProgramError, match=words):
        Program.parse(["name=x", "conc=500", *start, line])


@pytest.mark.req("R-PRF-1")
def test_a_day_has_at_most_24_segments():
    lines = [f"seg.all.{clock(i * 30)}=5" for i in range(25)]
    with pytest.raises(ProgramError, match="25 segments"):
        Program.parse(["name=x", "conc=500", *lines])


@pytest.mark.req("R-PRF-2")
def test_the_example_of_the_label_delivers_exactly_350_mcg_a_day():
    program = night_flex()
    assert program.high_ng == program.low_ng == 350_000
    assert program.profile_refusals() == []
    assert not program.is_flat


def two_rates(percent):
    """An hour at percent of its day's mean rate, the rest even."""
    hour_ng = 1_000 * percent
    rest = 2_400_000 - hour_ng
    return Program.parse(["name=x", "conc=500", f"seg.all.00:00={hour_ng}", f"seg.all.01:00={rest}"])


@pytest.mark.req("R-PRF-3")
@pytest.mark.parametrize(
    ("percent", "codes"),
    [
        (100, []),
        (120, []),
        (121, ["CONFIRM_PROFILE"]),
        (80, []),
        (79, ["CONFIRM_PROFILE"]),
        (200, ["CONFIRM_PROFILE"]),
        (201, ["HOUR_MAX", "CONFIRM_PROFILE"]),
        (50, ["CONFIRM_PROFILE"]),
        (49, ["HOUR_MIN", "CONFIRM_PROFILE"]),
        (0, ["HOUR_MIN", "CONFIRM_PROFILE"]),
    ],
)
def test_an_hour_far_from_its_days_mean_is_asked_about_or_refused(percent, codes):
    assert two_rates(percent).profile_refusals() == codes


@pytest.mark.req("R-ALM-8")
@given(programs())
def test_the_lowest_rate_is_the_weeks_lowest_but_at_least_half_the_lowest_days_mean(program):
    half = Fraction(min(program.day_ng), 2 * DAY_MS)
    assert program.lowest_rate >= half
    assert program.lowest_rate in {half, min(program.rates)}


@given(programs(), st.integers(0, WEEK_MS // MINUTE_MS - 1))
def test_the_rate_is_what_the_dose_grows_by(program, minute):
    at = minute * MINUTE_MS
    assert program.dose(at, at + MINUTE_MS) == program.rate_at(at) * MINUTE_MS
    assert program.dose(at, at + HOUR_MS) >= 0
