"""Dilution: exact volumes, single-use vials, and what can be measured with a syringe (R-CON-2)."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.cli import main
from hil.dilution import STOCKS, TENTH_NL, VIAL_NL, choices, exact, larger, lines, nearest, whole_neighbours

WANTS = st.integers(51, 2000)
FILLS = st.integers(1, 1000).map(lambda tenths: tenths * TENTH_NL)


@pytest.mark.req("R-CON-2")
@given(WANTS, FILLS)
def test_every_choice_has_exactly_the_wanted_concentration_and_volume(want: int, fill_nl: int) -> None:
    for mix in choices(want, fill_nl):
        assert mix.conc == want
        assert mix.stock_nl + mix.saline_nl == fill_nl and mix.saline_nl >= 0


@pytest.mark.req("R-CON-2")
@given(WANTS, FILLS)
def test_vials_opened_are_what_is_used_and_what_is_discarded_and_no_vial_is_opened_in_vain(want: int, fill_nl: int) -> None:
    for mix in choices(want, fill_nl):
        assert mix.vials * VIAL_NL == mix.stock_nl + mix.discarded_nl
        assert 0 <= mix.discarded_nl < VIAL_NL


@pytest.mark.req("R-CON-2")
@given(WANTS, FILLS, st.sampled_from(STOCKS))
def test_the_nearest_measurable_mix_is_measurable_and_none_is_nearer(want: int, fill_nl: int, stock: int) -> None:
    if stock < want:
        return
    mix = exact(want, fill_nl, stock)
    near = nearest(mix)
    assert near.is_measurable and near.total_nl == fill_nl
    distance = abs(near.stock_nl - mix.stock_nl)
    assert distance <= Fraction(TENTH_NL, 2) or near.stock_nl == TENTH_NL


@pytest.mark.req("R-CON-2")
@given(WANTS, FILLS, st.sampled_from(STOCKS))
def test_a_larger_total_is_measurable_and_exactly_as_strong(want: int, fill_nl: int, stock: int) -> None:
    more = larger(exact(want, fill_nl, stock)) if stock >= want else None
    if more is not None:
        assert more.is_measurable and more.conc == want and more.total_nl >= fill_nl


@pytest.mark.req("R-CON-2", "R-CON-1")
@given(WANTS, FILLS, st.sampled_from(STOCKS))
def test_the_neighbours_offered_can_be_measured_and_programmed(want: int, fill_nl: int, stock: int) -> None:
    if stock < want:
        return
    for one in whole_neighbours(exact(want, fill_nl, stock)):
        assert one.is_measurable and one.conc.denominator == 1 and 51 <= one.conc <= 2000


@pytest.mark.req("R-CON-2")
def test_the_choice_that_is_measurable_and_wastes_least_comes_first() -> None:
    assert [mix.stock for mix in choices(350, 18_000_000)] == [500, 1000, 2000]
    assert [mix.stock for mix in choices(500, 40_000_000)] == [1000, 2000, 500]  # one vial, not two


@pytest.mark.req("R-CON-2")
def test_what_cannot_be_measured_is_said_with_the_concentration_that_the_nearest_mix_has(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dilute", "--want", "350", "--fill", "18 mL", "--stock", "2000"]) == 0
    shown = capsys.readouterr().out
    assert "3.15 mL of it + 14.85 mL preservative-free saline; open 1 vial of 20 mL, discard 16.85 mL" in shown
    assert "nearest: 3.1 mL + 14.9 mL saline gives 344.444 mcg/mL (3100/9): cannot be programmed" in shown
    assert "make 20 mL of 350 mcg/mL (3.5 mL + 16.5 mL saline, 1 vial), fill 18 mL, discard 2 mL" in shown


@pytest.mark.req("R-CON-2", "R-CON-1")
def test_fifty_is_for_screening_alone_and_its_neighbours_are_never_offered() -> None:
    shown = "\n".join(lines(50, 5_000_000))
    assert "screening trial alone" in shown and "0.5 mL of it + 4.5 mL" in shown
    assert "program" not in shown.split("refused", 1)[1]


@pytest.mark.req("R-CON-2", "R-UNIT-2")
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--want", "49", "--fill", "18 mL"], "51 to 2000"),
        (["--want", "2001", "--fill", "18 mL"], "51 to 2000"),
        (["--want", "350.5 mcg/mL", "--fill", "18 mL"], "not a whole number"),
        (["--want", "0.35 mg/mL", "--fill", "18 mL"], "1 mg = 1000 mcg"),
        (["--want", "-350", "--fill", "18 mL"], "plain positive number"),
        (["--want", "350", "--fill", "18"], "no unit"),
        (["--want", "350", "--fill", "0 mL"], "no fill volume"),
        (["--want", "350", "--fill", "999 mL"], "no fill volume"),
        (["--want", "600", "--fill", "18 mL", "--stock", "500"], "only makes it weaker"),
        (["--want", "350", "--fill", "18 mL", "--stock", "750"], "not sold"),
        (["--want", "", "--fill", "18 mL"], "not a number"),
    ],
)
def test_an_impossible_wish_is_refused_with_a_sentence(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dilute", *arguments]) == 2
    error = capsys.readouterr().err
    assert words in error and "Traceback" not in error
