"""What a program delivers when: rates, lengths, volumes, and the limits of board, reservation and profile, to the last unit."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_program_rules import DAYS, lines

from doseloop.program import Program, check_bridge_rate, check_profile, needs_profile_confirmation
from doseloop.units import Refusal

MINUTE_MS = 60_000
DAY_MS = 1440 * MINUTE_MS
WEEK_MS = 7 * DAY_MS
NO_LIMIT = 10**12
BOLUS = ["bolus_volume=5000", "bolus_time=7", "bolus_lockout=3600", "bolus_allowance=12000"]


def program(*segments, conc=500):
    return Program(["name=p", f"conc={conc}", *segments])


def refusal_of(found, board=NO_LIMIT, reservation=NO_LIMIT, **more):
    try:
        check_profile(found, board, reservation, **more)
    except Refusal as refusal:
        return refusal
    return None


def week_of(found_lines):
    """[(start ms, length ms, ng)] of the week, worked out from the lines alone."""
    days = {}
    for line in found_lines:
        key, value = line.split("=")
        if key.startswith("seg."):
            _, day, start = key.split(".")
            days.setdefault(day, []).append((int(start[:2]) * 60 + int(start[3:]), int(value)))
    week = []
    for number, day in enumerate(DAYS):
        segments = sorted(days.get(day, days["all"]))
        ends = [minute for minute, _ in segments[1:]] + [1440]
        week += [((number * 1440 + at) * MINUTE_MS, (end - at) * MINUTE_MS, ng) for (at, ng), end in zip(segments, ends)]
    return week


# ---- rates


@pytest.mark.req("R-PRF-1", "R-PRF-4", "R-DOSE-1")
@given(lines(), st.integers(0, WEEK_MS - 1))
def test_the_rate_at_any_time_is_that_of_the_segment_it_falls_into(found, week_ms):
    mine = Program(found)
    for start, length, ng in week_of(found):
        if start <= week_ms < start + length:
            assert mine.rate_at(week_ms) == (ng, length, start + length - week_ms)
        assert mine.rate_at(start) == (ng, length, length), "a segment begins at its first millisecond"
        assert mine.rate_at(start + length - 1) == (ng, length, 1), "and ends with its last"


@pytest.mark.req("R-DOSE-1")
@given(lines(), st.integers(0, WEEK_MS - 1), st.integers(0, 2 * WEEK_MS))
def test_the_dose_of_a_span_is_the_sum_of_what_its_segments_give_evenly(found, week_ms, span):
    exact = Fraction(0)
    for start, length, ng in week_of(found):
        for week in range(4):
            begin = start + week * WEEK_MS
            overlap = min(week_ms + span, begin + length) - max(week_ms, begin)
            exact += Fraction(ng * max(0, overlap), length)
    dose = Program(found).dose_between(week_ms, span)
    assert Fraction(dose.num, dose.den) == exact


@pytest.mark.req("R-PRF-1")
def test_segments_tell_day_time_length_dose_and_the_sum_of_their_day():
    found = list(program("seg.all.00:00=100", "seg.all.19:30=44", "seg.tue.00:00=50").segments())
    assert found[:3] == [(0, 0, 1170, 100, 144), (0, 1170, 270, 44, 144), (1, 0, 1440, 50, 50)]
    assert found[-1] == (6, 1170, 270, 44, 144) and len(found) == 13


@pytest.mark.req("R-DOSE-2")
@pytest.mark.parametrize(
    ("segments", "sums"),
    [
        (["seg.all.00:00=2400"], 1),
        (["seg.all.00:00=100", "seg.all.19:30=44"], 1),
        ([f"seg.{day}.00:00=2400" for day in DAYS], 1),
        (["seg.all.00:00=2400", "seg.sun.00:00=2401"], 15),  # one, and two for each segment
        ([f"seg.all.{hour:02d}:00=9" for hour in range(0, 24, 4)], 1),
        (["seg.all.00:00=2400", "seg.sun.00:00=2399"], 15),
        (["seg.all.00:00=2400", "seg.tue.00:00=2401"], 15),
        (["seg.all.00:00=9", "seg.all.12:00=9", "seg.sun.00:00=9", "seg.sun.11:59=9"], 29),
        (["seg.all.00:00=9", "seg.all.12:00=9", "seg.sun.00:00=9"], 27),
        (["seg.all.00:00=9", "seg.all.12:00=9", "seg.mon.00:00=9"], 27),
        (["seg.all.00:00=9", "seg.all.12:00=9", "seg.sun.00:00=9", "seg.sun.12:01=9"], 29),
        (["seg.all.00:00=9", "seg.all.12:00=9", "seg.tue.00:00=9", "seg.tue.11:59=9"], 29),
        (["seg.all.00:00=9", "seg.mon.00:00=5", "seg.mon.12:00=4"], 17),
    ],
)
def test_only_a_week_with_unlike_days_is_walked_through_which_takes_a_board_long(segments, sums, monkeypatch):
    asked = []
    plain = Program.dose_between
    monkeypatch.setattr(Program, "dose_between", lambda self, start, span: asked.append(start) or plain(self, start, span))
    program(*segments)
    assert len(asked) == sums


# ---- flat


@pytest.mark.req("R-DOSE-1", "R-INI-3")
@pytest.mark.parametrize(
    ("segments", "flat"),
    [
        (["seg.all.00:00=2400"], True),
        (["seg.all.00:00=1200", "seg.all.12:00=1200"], True),
        (["seg.all.00:00=1201", "seg.all.12:00=1200"], True),  # half a nanogram of rounding each
        (["seg.all.00:00=1201", "seg.all.12:00=1199"], False),  # one nanogram
        (["seg.all.00:00=1199", "seg.all.12:00=1201"], False),
        (["seg.all.00:00=33", "seg.all.08:00=33", "seg.all.16:00=34"], True),
        (["seg.all.00:00=33", "seg.all.08:00=33", "seg.all.16:00=34", "seg.tue.00:00=33", "seg.tue.08:00=33", "seg.tue.16:00=33"], False),
        (["seg.all.00:00=2400", "seg.sun.00:00=2500"], False),
        (["seg.all.00:00=2400", "seg.mon.00:00=2300"], False),
    ],
)
def test_flat_is_the_days_mean_to_less_than_a_nanogram_and_every_day_alike(segments, flat):
    assert program(*segments).is_flat() is flat


# ---- volumes


@pytest.mark.req("R-BOL-3")
@given(lines(), st.sampled_from([1, 51, 500, 777, 2000]), st.integers(1, DAY_MS))
def test_the_most_basal_volume_of_a_span_is_that_of_the_fastest_segment_rounded_up(found, conc, span):
    found = [f"conc={conc}" if line.startswith("conc") else line for line in found]
    most = max(Fraction(ng * span * 1000, length * conc) for _, length, ng in week_of(found))
    assert Program(found).basal_nl(span) == -(-most.numerator // most.denominator)


@pytest.mark.req("R-BOL-3")
def test_a_program_without_dose_takes_no_volume():
    assert program("seg.all.00:00=0").basal_nl(DAY_MS) == 0


@pytest.mark.req("R-BOL-3")
def test_the_fastest_rate_is_basal_and_bolus_together_each_rounded_up():
    assert program("seg.all.00:00=24001").fastest_nl_h() == 2001  # 2000 1/12 nl an hour
    assert program("seg.all.00:00=24001", *BOLUS).fastest_nl_h() == 2001 + 2_571_429  # 5000 nl in 7 s


# ---- limits


@pytest.mark.req("R-BOL-3")
def test_the_boards_fastest_rate_may_be_reached_and_not_passed():
    found = program("seg.all.00:00=24001", *BOLUS)
    assert refusal_of(found, board=2_573_430) is None and refusal_of(found, board=2_573_431) is None
    refusal = refusal_of(found, board=2_573_429)
    assert refusal.code == "HOUR_MAX" and refusal.text.startswith("2573430 nl/h over the board's 2573429;")
    assert refusal_of(found, board=1_000_000).code == "HOUR_MAX"


@pytest.mark.req("R-CON-3", "R-BOL-3")
def test_while_a_weaker_drug_is_at_the_tip_the_board_has_to_be_as_much_faster():
    found = program("seg.all.00:00=24000", conc=2000)  # 500 nl an hour, 2000 of the old drug
    assert refusal_of(found, board=500) is None and refusal_of(found, board=2_000, old_conc=500) is None
    refusal = refusal_of(found, board=1_999, old_conc=500)
    text = "2000 nl/h over the board's 1999 while the line holds 500 mcg/ml; less dose, or LINE:NEW part=both"
    assert (refusal.code, refusal.text) == ("HOUR_MAX", text)
    assert refusal_of(found, board=1_000, old_conc=500).code == "HOUR_MAX"
    assert refusal_of(found, board=499, old_conc=500).text.startswith("500 nl/h over the board's 499; a longer"), "its own comes first"
    assert check_bridge_rate(found, 0, 0) is None, "without a bridge there is nothing to judge"


@pytest.mark.req("R-CON-3")
@given(lines(), st.sampled_from([51, 500, 2000]), st.integers(1, DAY_MS))
def test_a_volume_at_another_concentration_is_that_of_the_same_doses(found, conc, span):
    mine = Program(found)
    assert mine.basal_nl(span, conc) == Program([line.replace("conc=500", f"conc={conc}") for line in found]).basal_nl(span)
    assert mine.basal_nl(span, None) == mine.basal_nl(span, 500)


@pytest.mark.req("R-BOL-3")
def test_the_basal_beside_a_bolus_fits_one_reservation_which_may_be_full():
    found = program("seg.all.00:00=86400000", *BOLUS)  # 1 mcg a second at 500 mcg/mL: 2000 nl a second
    assert refusal_of(found, reservation=14_000) is None and refusal_of(found, reservation=14_001) is None
    refusal = refusal_of(found, reservation=13_999)
    assert (refusal.code, refusal.text) == ("HOUR_MAX", "more than 13999 nl of basal fall into a bolus of 7 s; a shorter bolus")
    assert refusal_of(program("seg.all.00:00=86400000"), reservation=1) is None, "without a bolus nothing is held back"


@pytest.mark.req("R-PRF-3")
@pytest.mark.parametrize(
    ("hour", "confirm", "code"),
    [
        (100_000, False, "OK"),
        (120_000, False, "OK"),
        (120_001, True, "OK"),
        (80_000, False, "OK"),
        (79_999, True, "OK"),
        (200_000, True, "OK"),
        (200_001, True, "HOUR_MAX"),
        (50_000, True, "OK"),
        (49_999, True, "HOUR_MIN"),
    ],
)
def test_a_segment_is_held_against_its_days_mean_to_the_nanogram(hour, confirm, code):
    """A day of 2,400,000 ng: one hour from 19:30 on, the rest even."""
    rest = 2_400_000 - hour
    early = rest * 1170 // 1380
    found = program(f"seg.all.00:00={early}", f"seg.all.19:30={hour}", f"seg.all.20:30={rest - early}")
    assert needs_profile_confirmation(found) is confirm
    refusal = refusal_of(found)
    assert (refusal.code if refusal else "OK") == code
    if refusal:
        relation = "over 200" if code == "HOUR_MAX" else "under 50"
        assert refusal.text == f"{hour / 1000:.3f} mcg from mon 19:30 is {relation} % of the day's mean rate"


@pytest.mark.req("R-PRF-3")
def test_the_day_and_the_time_of_the_segment_are_named():
    found = program("seg.all.00:00=2400", "seg.wed.00:00=2000", "seg.wed.23:59=400")
    assert refusal_of(found).text == "0.4 mcg from wed 23:59 is over 200 % of the day's mean rate"
    found = program("seg.all.00:00=2400", "seg.sun.00:00=1000", "seg.sun.01:00=1000", "seg.sun.13:00=1000")
    assert refusal_of(found).text == "1 mcg from sun 00:00 is over 200 % of the day's mean rate"
    found = program("seg.all.00:00=2400", "seg.sun.00:00=100", "seg.sun.01:00=1000", "seg.sun.02:01=1300")
    assert refusal_of(found).text == "1 mcg from sun 01:00 is over 200 % of the day's mean rate"


@pytest.mark.req("R-PRF-3")
def test_a_day_without_dose_is_no_program():
    refusal = refusal_of(program("seg.all.00:00=2400", "seg.wed.00:00=0"))
    assert refusal.code == "HOUR_MIN" and "without dose" in refusal.text
    assert refusal_of(program("seg.all.00:00=0")).code == "HOUR_MIN"


@pytest.mark.req("R-ALM-8")
@pytest.mark.parametrize(
    ("segments", "rate"),
    [
        (["seg.all.00:00=2400"], Fraction(2400, DAY_MS)),
        (["seg.all.00:00=1000", "seg.all.12:00=1400"], Fraction(1000, DAY_MS // 2)),  # above half the mean: the slowest
        (["seg.all.00:00=2000", "seg.all.12:00=400"], Fraction(1200, DAY_MS)),  # below: half the mean
        (["seg.all.00:00=1800", "seg.all.12:00=600"], Fraction(1200, DAY_MS)),  # just half
        (["seg.all.00:00=2400", "seg.sun.00:00=240"], Fraction(240, DAY_MS)),  # the slowest day
        (["seg.all.00:00=2400", "seg.sun.00:00=200", "seg.sun.12:00=40"], Fraction(120, DAY_MS)),
    ],
)
def test_the_lowest_rate_is_the_slowest_segment_or_half_the_lowest_days_mean(segments, rate):
    assert Fraction(*program(*segments).lowest_rate()) == rate


@pytest.mark.req("R-DOSE-1")
@given(st.integers(0, 4 * WEEK_MS))
def test_the_segment_of_an_instant_lies_around_it_and_follows_what_was_before(at_ms):
    of_a_day = ("00:00=20001", "06:15=70003", "22:30=9998")
    found = program(*[f"seg.{day}.{segment}" for day in DAYS for segment in of_a_day])
    number = found.piece_at(at_ms)
    start_ms, length_ms, dose_ng, before_ng = found.piece(number)
    assert start_ms <= at_ms < start_ms + length_ms
    assert length_ms == {20_001: 375, 70_003: 975, 9_998: 90}[dose_ng] * MINUTE_MS
    day, rest_ms = divmod(start_ms, DAY_MS)
    assert rest_ms == {20_001: 0, 70_003: 375, 9_998: 1350}[dose_ng] * MINUTE_MS
    assert before_ng == day * 100_002 + {20_001: 0, 70_003: 20_001, 9_998: 90_004}[dose_ng]
    assert found.piece(number + 1)[0] == start_ms + length_ms
