"""A program being written: which keys, names, times and doses are taken, to the last unit, and what a slip is answered."""

import pytest

from doseloop.program import KEYS, MAX_SEGMENTS, Program, Staging, digest, parse_clock, parse_name, split_lines
from doseloop.units import Refusal

MOST_NG = 100_000_000
FLAT = ["name=p", "conc=500", "seg.all.00:00=2400"]
BOLUS = {"bolus_volume": 5000, "bolus_time": 60, "bolus_lockout": 3600, "bolus_allowance": 12_000}


def refused(do, *args):
    """The Refusal, or None."""
    try:
        do(*args)
    except Refusal as refusal:
        return refusal
    return None


def code(do, *args):
    refusal = refused(do, *args)
    return refusal.code if refusal else "OK"


def with_bolus(lines=FLAT, **changed):
    return [*lines, *(f"{key}={value}" for key, value in {**BOLUS, **changed}.items())]


# ---- values


@pytest.mark.req("R-CON-1", "R-BOL-1", "R-UNIT-3")
@pytest.mark.parametrize(
    ("key", "unit", "least", "most"),
    [
        ("conc", "mcg/ml", 1, 10_000),
        ("bolus_volume", "nl", 1, 5_000_000),
        ("bolus_time", "s", 1, 15 * 60),
        ("bolus_lockout", "s", 0, 7 * 24 * 3600),
        ("bolus_allowance", "ng", 1, MOST_NG),
    ],
)
def test_a_value_is_taken_from_its_least_to_its_most_and_no_further(key, unit, least, most):
    for value in (least, least + 1, most - 1, most):
        staging = Staging("p")
        staging.set(key, f"{value}{unit}")
        assert staging.values == {"name": "p", key: str(value)}
    refusal = refused(Staging("p").set, key, f"{most + 1}{unit}")
    assert refusal.code == "ARG" and key in refusal.text and f"{least} to {most} {unit}" in refusal.text
    below = refused(Staging("p").set, key, f"{least - 1}{unit}")
    assert below.code == ("UNIT" if least == 0 else "ARG"), "a sign is no part of a number"


@pytest.mark.req("R-BOL-1")
def test_the_keys_are_these_and_an_unknown_one_is_answered_with_them():
    assert set(KEYS) == {"conc", *BOLUS}
    refusal = refused(Staging("p").set, "rate", "5ng")
    assert refusal.code == "ARG" and refusal.text == f"unknown key rate; known: {', '.join(sorted(KEYS))}"


# ---- names


@pytest.mark.parametrize("name", ["p", "night-flex_2.1", "0", "-", "A" * 32])
def test_a_name_is_up_to_32_letters_digits_and_three_signs(name):
    assert parse_name(name) == name and Staging(name).values == {"name": name}


@pytest.mark.parametrize("name", ["", "A" * 33, "a b", "a/b", "a+", "a=b"])
def test_any_other_name_is_refused(name):
    refusal = refused(Staging, name)
    assert refusal.code == "ARG" and "32" in refusal.text


# ---- times


@pytest.mark.req("R-PRF-1")
@pytest.mark.parametrize(("text", "minute"), [("00:00", 0), ("00:59", 59), ("01:00", 60), ("19:30", 1170), ("23:59", 1439)])
def test_a_time_of_the_day_is_minutes_after_midnight(text, minute):
    assert parse_clock(text) == minute


@pytest.mark.req("R-PRF-1")
@pytest.mark.parametrize("text", ["24:00", "25:00", "07:60", "07:61", "7:00", "07:000", "07;00", "07.00", "07 00", "0700", "", "-1:00"])
def test_what_is_no_time_of_the_day_is_refused(text):
    assert code(parse_clock, text) == "ARG"


# ---- segments and days of a taper


@pytest.mark.req("R-PRF-1")
@pytest.mark.parametrize("day", ["all", "mon", "sun", "abc", "zzz", "Mon", ""])
def test_a_segment_belongs_to_a_weekday_or_to_all(day):
    staging, answer = Staging("p"), "OK" if day in ("all", "mon", "sun") else "ARG"
    assert code(staging.segment, day, "19:05", "100ng") == answer
    assert staging.values == ({"name": "p", f"seg.{day}.19:05": 100} if answer == "OK" else {"name": "p"})


@pytest.mark.req("R-PRF-1")
@pytest.mark.parametrize("start", ["00:00", "00:59", "01:01", "09:59", "19:30", "23:59"])
def test_a_segment_is_kept_under_the_time_it_was_given(start):
    staging = Staging("p")
    staging.segment("mon", start, "7ng")
    assert staging.values[f"seg.mon.{start}"] == 7


@pytest.mark.req("R-UNIT-3")
@pytest.mark.parametrize(("dose", "answer"), [(0, "OK"), (MOST_NG - 1, "OK"), (MOST_NG, "OK"), (MOST_NG + 1, "ARG"), (2 * MOST_NG, "ARG")])
def test_a_dose_beyond_all_sense_is_refused_in_a_segment_and_in_a_taper(dose, answer):
    for do, place in ((Staging("p").segment, ("all", "00:00")), (Staging("p").taper, (1,))):
        refusal = refused(do, *place, f"{dose}ng")
        assert (refusal.code if refusal else "OK") == answer
        assert refusal is None or str(dose) in refusal.text


@pytest.mark.req("R-PRF-1")
def test_a_full_day_takes_no_segment_more_wherever_it_begins_but_every_one_may_be_changed():
    staging = Staging("p")
    for hour in range(MAX_SEGMENTS):
        staging.segment("mon", f"{hour:02d}:00", "100ng")
    for hour in (0, 12, 23):
        staging.segment("mon", f"{hour:02d}:00", "101ng")
        assert staging.values[f"seg.mon.{hour:02d}:00"] == 101
        assert code(staging.segment, "mon", f"{hour:02d}:30", "100ng") == "ARG"
    assert code(staging.segment, "tue", "00:30", "100ng") == "OK", "other days are not full"
    assert MAX_SEGMENTS == 24


@pytest.mark.req("R-HOL-1")
def test_a_day_of_a_taper_is_kept_under_its_number():
    staging = Staging("p")
    for day, dose in ((1, 190_000), (28, 7)):
        staging.taper(day, f"{dose}ng")
    assert sorted(staging.lines()) == ["name=p", "taper.01=190000", "taper.28=7"]
    assert code(staging.taper, 2, "190") == "UNIT"


# ---- from lines to a program


@pytest.mark.req("R-PRF-1", "R-DOSE-1")
def test_what_was_staged_is_the_program():
    staging = Staging("p")
    staging.set("conc", "500mcg/ml")
    staging.segment("all", "00:00", "2400ng")
    program = Program(staging.lines())
    assert program.lines == sorted(FLAT) and (program.name, program.conc, program.bolus) == ("p", 500, None)
    assert program.hash == digest(sorted(FLAT)) and len(program.hash) == 16


@pytest.mark.req("R-CON-1")
def test_a_program_without_its_concentration_is_incomplete():
    refusal = refused(Program, ["name=p", "seg.all.00:00=2400"])
    assert refusal.code == "MISSING" and "conc" in refusal.text


@pytest.mark.req("R-PRF-1")
@pytest.mark.parametrize("lines", [["seg.all.00:01=2400"], ["seg.all.00:00=5", "seg.wed.12:00=5"], []])
def test_a_day_begins_at_midnight(lines):
    refusal = refused(Program, ["conc=500", *lines])
    assert refusal.code == "MISSING"
    assert ("wed" if len(lines) == 2 else "mon") in refusal.text


@pytest.mark.req("R-BOL-1")
@pytest.mark.parametrize("left_out", BOLUS)
def test_a_bolus_needs_all_of_its_figures(left_out):
    lines = [line for line in with_bolus() if not line.startswith(left_out)]
    refusal = refused(Program, lines)
    assert refusal.code == "MISSING" and left_out in refusal.text


@pytest.mark.req("R-BOL-1", "R-DOSE-2")
def test_the_daily_dose_is_the_high_dose_plus_the_allowance():
    program = Program(with_bolus())
    assert program.bolus == (5000, 60, 3600, 12_000)
    assert (program.high.ceil(), program.low.ceil(), program.daily.ceil(), program.daily.floor()) == (2400, 2400, 14_400, 14_400)


@pytest.mark.req("R-PRF-1")
def test_lines_are_split_at_the_first_sign_and_a_key_stands_once():
    assert split_lines(["a=b=c=d", "e="]) == {"a": "b=c=d", "e": ""}
    refusal = refused(Program, [*FLAT, "conc=1000"])
    assert refusal.code == "ARG" and refusal.text == "conc is given twice"
