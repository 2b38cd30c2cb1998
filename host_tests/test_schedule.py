"""Pieces of constant rate as leases: exact counts, steps within one of ideal, and nothing beyond 2^30 in the tick."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doseloop.schedule import LEASE_US, Piece

SPANS = st.one_of(st.sampled_from([60_000, 3_600_000, 5 * 3_600_000, 86_400_000]), st.integers(1, 90_000_000))
DOSES = st.one_of(st.integers(0, 2_003_000), st.sampled_from([14_000, 84_000, 350_000]))


@st.composite
def pieces(draw):
    """(span ms, num, den, remainder): a dose over a span, at most some 60 steps a second."""
    span = draw(SPANS)
    dose = min(draw(DOSES), span * 20)
    conc, per_ml = draw(st.sampled_from([51, 500, 777, 2000])), draw(st.integers(90_000, 110_000))
    whole = draw(st.integers(1, 86_400_000))
    num, den = dose * per_ml * whole, conc * 1000 * whole
    while num > 3000 * den or Fraction(num, den) * 1000 / span > 60:
        den *= 10
    return span, num, den, draw(st.integers(-den // 128, den))


def edges_of(span, num, den, remainder, most=150):
    """Plan one piece; the us of each pulse from its start, and the piece."""
    piece = Piece()
    piece.plan(span, num, den, remainder, most, LEASE_US)
    now, edges = 0, []
    while piece.next_lease():
        now += piece.gap_us
        edges += [now + (k + 1) * piece.period_us for k in range(piece.n)]
        now += piece.n * piece.period_us
    return edges, piece


@pytest.mark.req("R-PRF-4", "R-DOSE-1")
@given(pieces())
def test_a_piece_has_exactly_the_steps_that_fall_due_and_hands_on_the_remainder(case):
    span, num, den, remainder = case
    edges, piece = edges_of(*case)
    assert len(edges) == (max(0, (remainder + num) // den) if num else 0)
    assert len(edges) * den + piece.remainder == remainder + num


@pytest.mark.req("R-PRF-4")
@given(pieces())
def test_no_step_is_late_by_more_than_a_microsecond_or_early_by_more_than_a_quarter_of_a_step(case):
    span, num, den, remainder = case
    for k, us in enumerate(edges_of(*case)[0], 1):
        ideal = Fraction(remainder, den) + Fraction(num * us, den * span * 1000)
        assert k - Fraction(1, 4) <= ideal <= k + Fraction(num, den * span * 1000) or us == 0


@pytest.mark.req("R-PRF-4")
@given(pieces())
def test_pulses_of_one_piece_are_a_whole_period_apart_to_one_microsecond(case):
    span, num, den, remainder = case
    edges = edges_of(*case)[0][1:]
    for before, after in zip(edges, edges[1:]):
        assert abs(Fraction(after - before) - Fraction(span * 1000 * den, num)) <= 1


@pytest.mark.req("R-PRF-4")
@given(pieces(), st.integers(1, 200))
def test_a_lease_is_never_longer_than_it_may_be(case, most):
    piece = Piece()
    piece.plan(*case, most, LEASE_US)
    while piece.next_lease():
        assert 0 <= piece.n <= most
        assert piece.gap_us + piece.n * piece.period_us <= LEASE_US + piece.n


class Small(int):
    """An int that must stay a small int of a 32-bit board: within +/-2^30."""

    def _checked(self, value):
        assert -(1 << 30) <= value < 1 << 30, value
        return Small(value)


for _name in ("add", "sub", "mul", "radd", "rsub", "rmul", "floordiv", "mod"):
    _operation = getattr(int, f"__{_name}__")
    setattr(Small, f"__{_name}__", lambda self, other, _op=_operation: self._checked(_op(self, other)))


@pytest.mark.req("R-UNIT-1")
@given(pieces())
def test_after_planning_a_lease_takes_only_numbers_below_two_to_the_thirty(case):
    piece = Piece()
    piece.plan(*case, 150, LEASE_US)
    piece._legs = [tuple(Small(Small(0)._checked(value)) for value in leg) for leg in piece._legs]
    piece._behind, piece._behind_fraction = Small(0), Small(0)
    while piece.next_lease():
        Small(0)._checked(piece.period_us + piece.gap_us)
