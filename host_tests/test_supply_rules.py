"""Refills, the low reservoir and the bolus rules against plain sums, for any figures (R-FIL-2, R-ALM-2, R-BOL-1)."""

from types import SimpleNamespace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pump_rig import BOARD, DAY_MS

from doseloop.bolus import Deliveries, Delivery
from doseloop.ledger import Ledger
from doseloop.line import Line
from doseloop.program import Program
from doseloop.supplies import Reservoir, is_low
from doseloop.units import Refusal

CAPACITY, RESIDUAL, THRESHOLD = (BOARD[name] for name in ("reservoir_nl", "residual_nl", "threshold_nl"))
TODAY = (2027, 5, 3)
VOLUMES = st.one_of(st.integers(0, CAPACITY), st.sampled_from([0, RESIDUAL, RESIDUAL + 1, THRESHOLD, THRESHOLD + 1, CAPACITY]))


def reservoir(left_nl, filled_nl=CAPACITY, conc=500):
    """A reservoir filled once, from which the account says that all but left_nl went."""
    ledger = Ledger(BOARD, Line(BOARD))
    made = Reservoir(BOARD, ledger)
    made.refill(filled_nl, "drug", conc, "L1", None)
    ledger.authorised_nl.total += filled_nl - left_nl
    return made


def code_of(do, *given):
    try:
        do(*given)
    except Refusal as refusal:
        return refusal.code
    return "OK"


# ---- R-FIL-2


@pytest.mark.req("R-FIL-2")
@given(VOLUMES, VOLUMES, VOLUMES, st.sampled_from([500, 1000]), st.sampled_from([None, (2027, 5, 2), (2027, 5, 3), (2028, 1, 1)]))
@example(RESIDUAL + 7, 7, 1, 1000, None)
@example(RESIDUAL + 8, 7, 1, 1000, None)
@example(7, 8, CAPACITY, 1000, None)
def test_a_refill_is_taken_if_it_is_in_date_and_fits_and_does_not_mix(left, withdrawn, volume, conc, expiry):
    found = reservoir(left)
    rest = max(0, left - withdrawn)
    wanted = "EXPIRED" if expiry == (2027, 5, 2) else "RESIDUAL" if conc == 1000 and rest > RESIDUAL else "OK"
    if wanted == "OK" and rest + volume > CAPACITY:
        wanted = "CAPACITY"
    given = (volume, conc, withdrawn, expiry, TODAY, "drug")
    assert code_of(found.check_refill, *given) == wanted
    if wanted == "OK":
        assert found.check_refill(*given) == rest + volume


@pytest.mark.req("R-FIL-2")
@given(st.integers(0, CAPACITY), st.integers(0, CAPACITY))
def test_a_withdrawal_is_discrepant_if_it_is_off_by_more_than_half_a_millilitre_and_14_5_percent_of_what_was_given(left, withdrawn):
    off, given = abs(withdrawn - left), CAPACITY - left
    assert reservoir(left).is_discrepant(withdrawn) == (off > 500_000 and 1000 * off > 145 * given)


@pytest.mark.req("R-FIL-2")
@given(st.integers(1_000_000, CAPACITY - 1_000_000), st.sampled_from([-1, 1]), st.sampled_from([0, 1]))
@example(CAPACITY - 3_000_000, 1, 0)
@example(CAPACITY - 3_000_000, -1, 1)
@example(CAPACITY - 4_000_000, -1, 0)
def test_the_limits_of_a_discrepancy_themselves_are_none(left, sign, beyond):
    most = max(500_000, 145 * (CAPACITY - left) // 1000)
    if 0 <= left + sign * (most + beyond) <= CAPACITY:
        assert reservoir(left).is_discrepant(left + sign * (most + beyond)) == bool(beyond)


# ---- R-ALM-2


@pytest.mark.req("R-ALM-2")
@given(st.sampled_from([-1, 0, 1, None]), st.integers(1_000, 2_000_000), st.integers(0, 100_000), st.booleans(), VOLUMES)
@example(-1, 1_000_000, 0, True, 0)
@example(0, 1_000_000, 0, True, 0)
@example(-1, 1_000_000, 50_000, True, 0)
@example(0, 1_000_000, 50_000, False, 0)
@example(None, 1_000, 0, True, THRESHOLD)
@example(None, 1_000, 0, True, THRESHOLD + 1)
def test_the_reservoir_is_low_at_its_threshold_or_with_less_than_72_hours_at_the_program_and_its_whole_allowance(
    beyond, daily, allowance, has_clock, left
):
    """beyond: how much more is usable than 72 h take; None: any volume."""
    conc = 500
    lines = ["name=p", f"conc={conc}", f"seg.all.00:00={daily}"]
    if allowance:
        lines += ["bolus_volume=1000", "bolus_time=60", "bolus_lockout=3600", f"bolus_allowance={allowance}"]
    ahead_nl = -(-3 * (daily + allowance) * 1000 // conc)
    left = min(CAPACITY, RESIDUAL + ahead_nl + beyond) if beyond is not None else left
    low = left <= THRESHOLD or max(0, left - RESIDUAL) < ahead_nl
    assert is_low(reservoir(left, conc=conc), Program(lines), 12_345_678 if has_clock else None) == low


# ---- R-BOL-1

SIZE_NL, TIME_S, LOCKOUT_S, ALLOWANCE_NG = 5_000, 60, 14_400, 8_000  # at 500 mcg/mL one bolus is 2500 ng: three fit in 24 h
WITH_BOLUS = ["name=p", "conc=500", "seg.all.00:00=240000", f"bolus_volume={SIZE_NL}", f"bolus_time={TIME_S}"]
WITH_BOLUS += [f"bolus_lockout={LOCKOUT_S}", f"bolus_allowance={ALLOWANCE_NG}"]
LOCKOUT_MS = LOCKOUT_S * 1000
WHOLE, HALF = (LOCKOUT_MS, SIZE_NL, True), (LOCKOUT_MS, SIZE_NL, False)
PAUSES = st.one_of(st.integers(0, 10 * 3_600_000), st.sampled_from([LOCKOUT_MS - 1, LOCKOUT_MS, DAY_MS - 1, DAY_MS]))


@pytest.mark.req("R-BOL-1", "R-BOL-2")
@given(st.lists(st.tuples(PAUSES, st.sampled_from([SIZE_NL, SIZE_NL, SIZE_NL, SIZE_NL - 1]), st.booleans()), max_size=12))
@example([WHOLE, WHOLE, WHOLE, (DAY_MS - 2 * LOCKOUT_MS, SIZE_NL, True)])
@example([WHOLE, WHOLE, WHOLE, (DAY_MS - 2 * LOCKOUT_MS - 1, SIZE_NL, True)])
@example([HALF, HALF, WHOLE, WHOLE, WHOLE])
def test_a_bolus_is_given_if_the_program_allows_its_size_and_lockout_and_allowance_are_kept(asked):
    program, deliveries, now = Program(WITH_BOLUS), Deliveries(), 0
    given = []  # (start, ng) of each bolus, cut short after half of its steps or whole
    for number, (pause, size_nl, whole) in enumerate(asked):
        now += pause
        room = sum(ng for start, ng in given if now - start < DAY_MS) + 2_500 <= ALLOWANCE_NG
        locked = bool(given) and now - given[-1][0] < LOCKOUT_MS
        wanted = "BOLUS_OFF" if size_nl != SIZE_NL else "LOCKOUT" if locked else "OK" if room else "WINDOW_MAX"
        assert code_of(deliveries.check_bolus, program, size_nl, now, None) == wanted
        if wanted == "OK":
            deliveries.begin(Delivery("DOSE:BOLUS", number, 500, 60_000, SIZE_NL, 500, now))
            deliveries.finish(500 if whole else 250, now + 60_000, 100_000, short=False)
            given.append((now, 2_500 if whole else 1_250))


@pytest.mark.req("R-BOL-1")
def test_a_program_without_boluses_or_none_at_all_allows_none():
    plain = Program(WITH_BOLUS[:3])
    for program in (plain, None, SimpleNamespace(bolus=None)):
        assert code_of(Deliveries().check_bolus, program, SIZE_NL, 0, None) == "BOLUS_OFF"
