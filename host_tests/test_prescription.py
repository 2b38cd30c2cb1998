"""The program compiler: what a person writes, what the pump gets, and what is refused with file and key."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.errors import InputError
from hil.prescription import DAYS, PROGRAMS, compile_program, find_program, load_program


def program(**keys: Any) -> Any:
    return compile_program({"name": "test", "conc": "500 mcg/mL", **keys})


def effect(start: str, end: str, **keys: str) -> dict[str, str]:
    return {"from": start, "to": end, **keys}


# ---- R-PRF-2 and the label's example


@pytest.mark.req("R-PRF-2")
def test_the_labels_twenty_percent_at_night_is_shipped_and_exact() -> None:
    shipped = load_program(find_program("night-flex-spinal"))
    assert shipped.days == {"all": ((0, 266_000), (1140, 84_000))}  # 19 h of 14,000 and, from 19:00, 5 h of 16,800 ng/h
    assert shipped.day_ng("mon") == 350_000


@pytest.mark.req("R-PRF-2")
def test_changes_begin_two_hours_before_the_wanted_effect() -> None:
    made = program(base="10 mcg/h", effect=[effect("14:00", "16:00", rate="12 mcg/h")])
    assert made.days["all"] == ((0, 120_000), (720, 24_000), (840, 100_000))


@pytest.mark.req("R-PRF-2")
def test_an_effect_soon_after_midnight_reaches_into_the_weekday_before() -> None:
    made = program(flat="240 mcg/day", days={"sat": {"base": "10 mcg/h", "effect": [effect("01:00", "05:00", rate="12 mcg/h")]}})
    assert made.of_day("fri") == ((0, 230_000), (1380, 12_000))
    assert made.of_day("sat") == ((0, 36_000), (180, 210_000))


@pytest.mark.req("R-DOSE-1")
@given(st.integers(1, 2_003_000))
def test_a_flat_day_is_one_even_segment_of_exactly_its_dose(dose_ng: int) -> None:
    assert program(flat=f"{dose_ng} ng/day").days == {"all": ((0, dose_ng),)}


@given(st.lists(st.integers(0, 90_000), min_size=24, max_size=24))
def test_hourly_rates_sum_to_their_day(rates: list[int]) -> None:
    made = program(hourly=[f"{rate} ng/h" for rate in rates])
    assert made.day_ng("wed") == sum(rates)


@pytest.mark.req("R-DOSE-1", "R-PRF-2")
@given(st.integers(10_000, 2_000_000), st.integers(0, 23), st.integers(1, 12), st.integers(-50, 100))
def test_a_total_with_an_effect_is_exactly_the_total(dose_ng: int, start: int, hours: int, percent: int) -> None:
    made = program(
        total=f"{dose_ng} ng/day", effect=[effect(f"{start:02d}:00", f"{(start + hours) % 24:02d}:00", change=f"{percent:+d} %")]
    )
    assert all(made.day_ng(day) == dose_ng for day in DAYS)


def test_the_hash_is_of_the_sorted_canonical_lines() -> None:
    made = program(flat="100 mcg/day", bolus={"volume": "20 uL", "time": "10 min", "lockout": "4 h", "allowance": "40 mcg"})
    text = "bolus_allowance=40000\nbolus_lockout=14400\nbolus_time=600\nbolus_volume=20000\nconc=500\nname=test\nseg.all.00:00=100000"
    assert made.hash() == hashlib.sha256(text.encode()).hexdigest()[:16]


def test_weekdays_that_are_alike_are_written_once() -> None:
    made = program(days={day: {"flat": "100 mcg/day" if day != "sun" else "90 mcg/day"} for day in DAYS})
    assert list(made.days) == ["all", "sun"]


@pytest.mark.parametrize("path", sorted(PROGRAMS.glob("*.toml")), ids=lambda path: path.stem)
def test_every_shipped_program_compiles_to_its_own_name(path: Path) -> None:
    assert load_program(path).name == path.stem


# ---- what is refused


@pytest.mark.parametrize(
    ("keys", "key", "words"),
    [
        ({"flat": 350}, "flat", "no unit"),
        ({"flat": "350"}, "flat", "no unit"),
        ({"flat": "0.35 mg/day"}, "flat", "1 mg = 1000 mcg"),
        ({"flat": "-350 mcg/day"}, "flat", "positive"),
        ({"flat": float("nan")}, "flat", "no unit"),
        ({"flat": "nan mcg/day"}, "flat", "not a number"),
        ({"flat": "350 mcg/h"}, "flat", "no unit of day dose"),
        ({"flat": "0.0005 mcg/day"}, "flat", "whole number"),
        ({"flt": "350 mcg/day"}, "flt", "did you mean 'flat'"),
        ({"hourly": ["14000 ng/h"] * 23}, "hourly", "has 23 hours"),
        ({"hourly": ["14000 ng/h"] * 25}, "hourly", "has 25 hours"),
        ({"hourly": ["14000 ng/h"] * 23 + [14000]}, "hourly[23]", "no unit"),
        ({"flat": "350 mcg/day", "base": "1 ng/h"}, "", "exactly one"),
        ({}, "", "no dose is given for mon"),
        ({"days": {"sat": {"flat": "350 mcg/day"}}}, "", "no dose is given for mon, tue, wed, thu, fri, sun"),
        ({"flat": "1 mcg/day", "days": {"someday": {}}}, "days.someday", "unknown key"),
        ({"base": "14000 ng/h", "effect": [effect("25:00", "26:00", rate="1 ng/h")]}, "effect[0].from", "no time of day"),
        ({"base": "14000 ng/h", "effect": [effect("21:00", "02:00")]}, "effect[0]", "one of the two"),
        ({"base": "14000 ng/h", "effect": [effect("21:00", "02:00", change="20")]}, "effect[0].change", "no unit"),
        (
            {"base": "1 ng/h", "effect": [effect("03:00", "05:00", rate="2 ng/h"), effect("04:00", "06:00", rate="3 ng/h")]},
            "effect",
            "overlap at 02:00",
        ),
        (
            {"flat": "1 mcg/day", "days": {"sat": {"total": "2 mcg/day", "effect": [effect("21:00", "03:00", change="+20 %")]}}},
            "days.sat.total",
            "reaches over its midnight",
        ),
        ({"base": "1.3 ng/h"}, "", "add up to 31.200 ng"),
        ({"flat": "1 mcg/day", "name": "a name with spaces"}, "name", "is no name"),
        ({"flat": "1 mcg/day", "conc": "2000"}, "conc", "no unit"),
        ({"flat": "1 mcg/day", "bolus": {"volume": "20 uL"}}, "bolus.time", "is missing"),
    ],
)
def test_a_wrong_program_is_refused_with_its_key(keys: dict[str, Any], key: str, words: str) -> None:
    with pytest.raises(InputError) as caught:
        program(**keys)
    assert caught.value.where == key and words in str(caught.value)


def test_a_wrong_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "p.toml"
    path.write_text('name = "p"\nconc = "500 mcg/mL"\nflat = 350\n')
    with pytest.raises(InputError, match=r"p\.toml: flat: 350 has no unit"):
        load_program(path)


def test_a_file_that_is_no_toml_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "p.toml"
    path.write_text('name = "p"\nflat = 350 mcg\n')
    with pytest.raises(InputError, match=r"p\.toml: is no valid TOML: .*line 2"):
        load_program(path)


@pytest.mark.req("R-UNIT-2", "R-UNIT-3")
@pytest.mark.parametrize(
    "text",
    [
        'name = "p"\nconc = "0 mcg/mL"\nflat = "350 mcg/day"',
        'name = "p"\nconc = "2001 mcg/mL"\nflat = "350 mcg/day"',
        'name = "p"\nconc = "' + "9" * 6000 + ' mcg/mL"\nflat = "350 mcg/day"',
        'name = "p"\nconc = ' + "9" * 6000 + '\nflat = "350 mcg/day"',
        "name = " + "[" * 5000,
        'name = "p"\nconc = "500 mcg/mL"\nflat = "999999999999999999999999 mcg/day"',
        'name = "p"\nconc = "500 mcg/mL"\nflat = "35 mcg/day"\n'
        '[bolus]\nvolume = "5 uL"\ntime = "1500 ms"\nlockout = "1 h"\nallowance = "9 mcg"',
    ],
)
def test_nonsense_of_any_size_is_an_error_that_names_the_file_and_nothing_is_rounded_away(tmp_path, text):
    path = tmp_path / "p.toml"
    path.write_text(text)
    with pytest.raises(InputError) as error:
        load_program(path)
    assert "p.toml" in str(error.value)
    assert len(str(error.value)) < 600
