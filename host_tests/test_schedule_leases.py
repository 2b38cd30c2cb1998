"""Leases one by one: when each ends, how large it is, how long it waits, and what a piece forgets when it is planned anew."""

from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from test_schedule import pieces

from doseloop.schedule import LEASE_US, Piece, fresh_remainder

SHORTEST_US = 1_000
STEPS_IN_TWO_DAYS = 400_000


@st.composite
def short_pieces(draw):
    """(span ms, num, den, remainder) of a few steps in a few ms: periods with halves and thirds, steps owed and steps ahead."""
    span, num, den = draw(st.integers(1, 50)), draw(st.integers(0, 40)), draw(st.integers(1, 7))
    return span, num, den, draw(st.sampled_from([-(den // 2), 0, den - 1, den, 2 * den, fresh_remainder(den)]))


most_pulses = st.sampled_from([1, 2, 10, 150, 200])
plans = st.one_of(
    st.tuples(pieces(), st.tuples(most_pulses, st.just(LEASE_US))),
    st.tuples(short_pieces(), st.tuples(most_pulses, st.sampled_from([LEASE_US, 600_000, 5_000, 1_200]))),
)


def planned(case, most=150, lease_us=LEASE_US):
    piece = Piece()
    piece.plan(*case, most, lease_us)
    return piece


def leases(piece):
    """[(n, gap, period)] of what is left of a piece."""
    found = []
    while piece.next_lease():
        found.append((piece.n, piece.gap_us, piece.period_us))
        assert len(found) < 20_000
    return found


def period(case):
    span, num, den, _ = case
    return Fraction(span * 1000 * den, num)


def first_at(case):
    """us of the first pulse; at once if it is owed already."""
    span, num, den, remainder = case
    return max(Fraction(0), Fraction(span * 1000 * (den - remainder), num))


def below_29_bits(us):
    """What is lost where a time is kept to 2^-29 us."""
    return us - Fraction(int(us * (1 << 29)), 1 << 29)


@pytest.mark.req("R-PRF-4", "R-DOSE-1")
@given(plans)
@example(((1, 16, 1, 0), (1, LEASE_US)))  # every 62.5 us
@example(((1, 16, 1, 0), (2, LEASE_US)))
@example(((1, 12, 1, 0), (1, LEASE_US)))  # every 83 1/3 us
@example(((50, 40, 7, 3), (150, 5_000)))
def test_each_group_ends_less_than_its_number_of_pulses_in_microseconds_early_and_never_late(plan):
    case, limit = plan
    now, made, lost = 0, 0, Fraction(0)
    for n, gap, period_us in leases(planned(case, *limit)):
        now += gap + n * period_us
        if n:
            lost += below_29_bits(n * period(case) if made else first_at(case))
            made += n
            early = first_at(case) + (made - 1) * period(case) - now
            assert 0 <= early - lost < n


@pytest.mark.req("R-PRF-4")
@given(plans)
@example(((1, 250, 1, 0), (150, LEASE_US)))  # every 4 us: a group of one
@example(((1, 125, 1, 0), (150, LEASE_US)))  # every 8 us: of two
@example(((2, 167, 1, 0), (150, LEASE_US)))
@example(((1000, 100, 1, 0), (2000, LEASE_US)))  # every 10,000 us: 899 in 9 s, for each may take 1 us more
@example(((60_000, 40, 1, 0), (150, LEASE_US)))
@example(((50, 11, 1, 0), (3, LEASE_US)))
@example(((1, 300, 1, 0), (150, LEASE_US)))  # every 3 1/3 us: not even one pulse in four microseconds
@example(((17_998, 2_000, 1, 0), (2_000, LEASE_US)))  # 1000 pulses of 9,000 us are 9 s
@example(((1_000, 11, 1, 0), (10, LEASE_US)))  # after the first, exactly one group
def test_groups_are_as_large_as_earliness_and_limits_allow(plan):
    case, limit = plan
    most, lease_us = limit
    piece = planned(case, *limit)
    sizes = [n for n, _, _ in leases(piece) if n]
    assert sum(sizes) == piece.pulses
    if len(sizes) < 2:
        assert sizes in ([], [1])
        return
    whole_us = int(period(case))
    group = min(most, max(1, whole_us // 4), max(1, lease_us // (whole_us + 1)))
    rest = sum(sizes) - 1
    assert sizes == [1] + [rest % group] * (rest % group > 0) + [group] * (rest // group)


@pytest.mark.req("R-PRF-4")
@given(plans)
@example(((18_000, 2, 1, 0), (150, LEASE_US)))  # 9 s exactly: one lease
@example(((18_001, 2, 1, 0), (150, LEASE_US)))  # 500 us more: too little for a lease of its own
@example(((18_002, 2, 1, 0), (150, LEASE_US)))  # 1 ms more: enough
@example(((36_000, 2, 1, 0), (150, LEASE_US)))
@example(((100_000, 2, 1, 0), (150, LEASE_US)))
def test_a_far_pulse_waits_in_whole_leases_and_keeps_one_to_two_of_its_wait_for_its_own(plan):
    case, limit = plan
    lease_us = limit[1]
    waited, pulses = 0, 0
    for n, gap, period_us in leases(planned(case, *limit)):
        if not n:
            assert (gap, period_us) == (lease_us, 0)
            waited += gap
            continue
        assert gap == 0
        wait = first_at(case) if not pulses else period(case)
        assert int(wait) <= waited + period_us <= int(wait) + 1
        assert waited == 0 or SHORTEST_US <= period_us <= lease_us + SHORTEST_US
        assert n > 1 or period_us <= lease_us + SHORTEST_US
        waited, pulses = 0, pulses + n
    assert waited == 0, "waiting belongs to a pulse"


@pytest.mark.req("R-PRF-4")
@pytest.mark.parametrize(
    ("wait_us", "waits", "own_us"),
    [
        (8_999_999, 0, 8_999_999),
        (9_000_000, 0, 9_000_000),
        (9_000_999, 0, 9_000_999),
        (9_001_000, 1, 1_000),
        (18_000_999, 1, 9_000_999),
        (18_001_000, 2, 1_000),
        (86_400_000_000, 9_599, 9_000_000),
    ],
)
def test_the_wait_of_one_pulse_is_cut_into_leases_of_9_seconds(wait_us, waits, own_us):
    """One step in wait_us, planned over whole ms: the remainder moves its time to the microsecond."""
    span_ms = -(-wait_us // 1000) + 1
    found = leases(planned((span_ms, span_ms * 1000, wait_us, 0)))
    assert found[:waits] == [(0, LEASE_US, 0)] * waits
    assert found[waits] == (1, 0, own_us)


@pytest.mark.req("R-PRF-4", "R-DOSE-1")
@pytest.mark.parametrize(
    ("num", "den", "remainder", "pulses", "left"),
    [
        (7, 7, 0, 1, 0),  # exactly one
        (6, 7, 0, 0, 6),
        (6, 7, 1, 1, 0),
        (7, 7, -1, 0, 6),  # a step was made ahead of its time
        (1, 7, -3, 0, -2),
        (15, 7, 0, 2, 1),
        (0, 7, 7, 0, 7),  # a step that is owed waits for a rate
        (0, 7, 3, 0, 3),
        (1, 7, 13, 2, 0),  # then both come, the first at once
    ],
)
def test_steps_due_are_the_floor_and_the_rest_is_handed_on(num, den, remainder, pulses, left):
    piece = planned((10, num, den, remainder))
    assert (piece.pulses, piece.remainder) == (pulses, left)
    found = leases(piece)
    assert sum(n for n, _, _ in found) == pulses
    if remainder >= den and pulses:
        assert found[0] == (1, 0, 0)


def test_a_piece_that_was_never_planned_has_nothing():
    piece = Piece()
    assert not piece.next_lease() and not piece.next_lease()
    assert (piece.pulses, piece.remainder, piece.n, piece.gap_us, piece.period_us) == (0, 0, 0, 0, 0)


def test_a_piece_that_has_ended_stays_ended():
    piece = planned((10, 3, 1, 0))
    assert len(leases(piece)) > 0
    assert not piece.next_lease() and not piece.next_lease()


@pytest.mark.req("R-PRF-4")
@given(plans, st.integers(0, 12), plans)
@example(((60_000, 2, 1, 0), (1, LEASE_US)), 3, ((60_000, 2, 1, 0), (1, LEASE_US)))  # left while waiting
@example(((1, 16, 1, 0), (1, LEASE_US)), 2, ((1, 12, 1, 0), (1, LEASE_US)))  # left while half a microsecond behind
@example(((1, 17, 1, 0), (1, LEASE_US)), 9, ((1, 17, 1, 0), (1, LEASE_US)))
@example(((50, 40, 7, 3), (1, LEASE_US)), 3, ((10, 0, 1, 0), (1, LEASE_US)))  # then nothing is due
def test_a_piece_planned_anew_knows_nothing_of_the_one_it_left(old, taken, new):
    used = planned(old[0], *old[1])
    for _ in range(taken):
        used.next_lease()
    used.plan(*new[0], *new[1])
    fresh = planned(new[0], *new[1])
    assert (used.pulses, used.remainder) == (fresh.pulses, fresh.remainder)
    assert leases(used) == leases(fresh)


@pytest.mark.req("R-PRF-4")
@given(plans)
@example(((1, 12, 1, 0), (1, LEASE_US)))
@example(((7, 11, 3, 1), (4, LEASE_US)))
def test_what_is_kept_of_a_groups_time_is_exact_to_a_nanosecond_in_two_days(plan):
    """Each leg keeps whole us a period, whole us a group beyond those, and a fraction of 29 bits, rounded down."""
    case, limit = plan
    piece = planned(case, *limit)
    for number, (_, pulses, waits, period_us, slip_us, fraction, lease_us) in enumerate(piece._legs):
        kept = waits * lease_us * pulses + pulses * period_us + slip_us + Fraction(fraction, 1 << 29)
        exact = pulses * period(case) if number else first_at(case)
        assert 0 <= fraction < 1 << 29
        assert 0 <= (exact - kept) * STEPS_IN_TWO_DAYS * 1000 < 1000


@pytest.mark.req("R-PRF-4")
@pytest.mark.parametrize(("den", "lead"), [(64, 1), (127, 1), (128, 2), (64_000, 1000), (63, 0)])
def test_a_new_account_leads_by_a_64th_of_a_step(den, lead):
    assert fresh_remainder(den) == lead


def test_a_lease_with_the_second_of_look_ahead_is_ten_seconds():
    assert LEASE_US == (10 - 1) * 1_000_000
