"""The taper of a drug holiday: what the host compiles, and what it refuses (R-HOL-1)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.errors import InputError
from hil.prescription import compile_program, load_program
from hil.taper import geometric, parse_holiday


def holiday(**keys: Any) -> Any:
    return compile_program({"name": "away", "conc": "500 mcg/mL", "holiday": {"from": "200 mcg/day", "days": 14, **keys}})


@pytest.mark.req("R-HOL-1")
@given(st.integers(100, 2_003_000), st.integers(14, 28))
def test_no_day_is_below_eighty_percent_of_the_day_before_nor_above_it(start_ng: int, days: int) -> None:
    doses = parse_holiday({"from": f"{start_ng} ng/day", "days": days}, "")
    before = start_ng
    for dose in doses:
        assert 5 * dose >= 4 * before and 0 < dose <= before
        before = dose
    assert len(doses) == days


@pytest.mark.req("R-HOL-1")
@given(st.integers(10_000, 2_003_000), st.integers(14, 28))
def test_a_taper_ends_at_a_twentieth_of_its_start_unless_another_end_is_given(start_ng: int, days: int) -> None:
    assert geometric(start_ng, -(-start_ng // 20), days)[-1] - -(-start_ng // 20) in (0, 1, 2, 3, 4)


@pytest.mark.req("R-HOL-1")
def test_each_day_keeps_the_same_share_to_the_nanogram() -> None:
    doses = holiday().taper
    assert doses[0] == 161_473 and doses[-1] == 10_000  # 200,000 x 0.05^(1/14), rounded up
    shares = [later / earlier for earlier, later in zip((200_000, *doses), doses)]
    assert max(shares) - min(shares) < 1e-3


@pytest.mark.req("R-HOL-1")
def test_a_taper_goes_to_the_pump_day_by_day_and_stands_in_the_canonical_lines() -> None:
    made = holiday(days=28, last="10 mcg/day")
    staged = list(made.commands())
    assert staged[0] == ("PROG:NEW", {"name": "away"}) and staged[1] == ("PROG:SET", {"conc": "500mcg/ml"})
    assert staged[2] == ("PROG:TAPER", {"day": "1", "dose": f"{made.taper[0]}ng"}) and len(staged) == 30
    assert made.canonical_lines()[:3] == ["conc=500", "name=away", f"taper.01={made.taper[0]}"]
    assert made.canonical_lines()[-1] == f"taper.28={made.taper[-1]}"


@pytest.mark.req("R-HOL-1", "R-UNIT-2", "R-UNIT-3")
@pytest.mark.parametrize(
    ("keys", "key", "words"),
    [
        ({"days": 13}, "holiday.days", "from 14 to 28"),
        ({"days": 29}, "holiday.days", "from 14 to 28"),
        ({"days": "14 days"}, "holiday.days", "from 14 to 28"),
        ({"from": 200}, "holiday.from", "no unit"),
        ({"from": "0.2 mg/day"}, "holiday.from", "1 mg = 1000 mcg"),
        ({"from": "0 mcg/day"}, "holiday.from", "nothing"),
        ({"last": "0 mcg/day"}, "holiday.last", "above nothing"),
        ({"last": "41 mcg/day"}, "holiday.last", "at most 20 %"),
        ({"last": "1 mcg/day"}, "holiday.last", "cannot be reached in 14 days"),
        ({"lst": "10 mcg/day"}, "holiday.lst", "did you mean 'last'"),
    ],
)
def test_a_wrong_holiday_is_refused_with_its_key(keys: dict[str, Any], key: str, words: str) -> None:
    with pytest.raises(InputError) as caught:
        holiday(**keys)
    assert caught.value.where == key and words in str(caught.value)


@pytest.mark.req("R-HOL-1")
@pytest.mark.parametrize("line", ['flat = "100 mcg/day"', '[bolus]\nvolume = "5 uL"', '[days.sat]\nflat = "1 mcg/day"'])
def test_a_holiday_takes_no_other_dose_beside_it(tmp_path: Path, line: str) -> None:
    path = tmp_path / "away.toml"
    path.write_text(f'name = "away"\nconc = "500 mcg/mL"\n{line}\n[holiday]\nfrom = "200 mcg/day"\ndays = 14\n')
    with pytest.raises(InputError, match=r"away\.toml: .*does not go with \[holiday\]"):
        load_program(path)


@pytest.mark.req("R-HOL-1")
def test_a_last_dose_that_is_just_reachable_is_reached() -> None:
    assert holiday(last="8797 ng/day").taper[-1] in (8797, 8798)  # each day rounds up
    with pytest.raises(InputError, match="at least 8797 ng"):
        holiday(last="8796 ng/day")
