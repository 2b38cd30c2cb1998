"""A change of concentration: the dose at the tip has no step, through segments, stops, power cuts and clock sets (R-CON-3)."""

import contextlib
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pump_rig import HOUR_MS
from test_dosing import Loop
from test_restart import Cut, cutting
from tip_rig import SMALL, Tip

from doseloop.line import Line

MINUTE = 60_000
PAIRS = [(500, 2000), (2000, 500), (51, 500), (51, 2000), (2000, 51), (137, 333), (333, 137)]
FLAT = [(0, 70_000)]
NIGHT = [(0, 53_200), (1140, 16_800)]
HOURS = [(60 * hour, 2_800 + 111 * (hour % 3)) for hour in range(24)]
CUTS = st.lists(st.tuples(st.integers(1, 40 * MINUTE), st.sampled_from([0, 1000, 10 * MINUTE])), min_size=1, max_size=4)
EVENTS = st.lists(st.tuples(st.sampled_from(["advance", "advance", "stop", "clock"]), st.integers(1, 100 * MINUTE)), min_size=1, max_size=8)


def play(tip, events):
    for what, number in events:
        if what == "stop":
            tip.stop()
            tip.rig.advance(number % HOUR_MS)
            tip.run()
        elif what == "clock":
            tip.set_clock(number % 240 - 120)
        else:
            tip.rig.advance(number)


@pytest.mark.req("R-CON-3", "R-PRF-4")
@given(st.sampled_from(PAIRS), st.sampled_from([FLAT, NIGHT, HOURS]), st.sampled_from([100_000, 103_457]), EVENTS)
@settings(max_examples=25, deadline=None)
def test_the_dose_at_the_tip_has_no_step_over_a_change_of_concentration(pair, day, spm, events):
    tip = Tip(spm=spm).take_over(day, pair[0]).run()
    tip.rig.advance(events[0][1])
    tip.change(pair[1])
    play(tip, events)
    tip.rig.advance(HOUR_MS)
    tip.assert_no_step()


@pytest.mark.req("R-CON-3", "R-PRF-4")
@pytest.mark.parametrize("pair", PAIRS)
def test_the_dose_at_the_tip_has_no_step_as_long_as_the_bridge_lasts_and_after_it(pair):
    """With the old drug's rate each bridge takes its own time: run until it is well through."""
    tip = Tip().take_over(NIGHT, pair[0]).run()
    tip.rig.advance(17 * HOUR_MS)
    tip.change(pair[1])
    for _ in range(100):
        tip.rig.advance(20 * MINUTE)
        if tip.rig.status("supplies")["bridge"] == "0nl":
            break
    tip.rig.advance(2 * HOUR_MS)
    tip.assert_no_step()
    assert len({tip.conc_of(k) for k in range(1, len(tip.rig.edges()) + 1)}) == 2
    assert tip.rig.status("supplies")["line"] == f"{pair[1]}mcg/ml"
    assert not tip.rig.alarms()


class BridgedLoop(Loop):
    """Dosing alone, with an ideal that has the old rate up to exactly `through` steps and the new one from there on."""

    def __init__(self, segments, old, new, through):
        super().__init__(segments, conc=old)
        self.new, self.through = new, through
        self.dosing.configure(self.spm, old, (through, new))

    def add_ideal(self, ms):
        start, per_us = self.hal.us, Fraction(0)
        rate = self.rate_at(self.now)
        if rate:
            per_us = Fraction(rate[0] * self.spm, rate[1] * 1_000_000)
        if self.ideal < self.through and self.ideal + per_us * ms * 1000 / self.conc >= self.through:
            start += (self.through - self.ideal) * self.conc / per_us
            self.ideal = Fraction(self.through)
            self.marks.append((start, self.ideal))
        conc = self.new if self.ideal >= self.through else self.conc
        self.ideal += per_us * (self.hal.us + ms * 1000 - start) / conc
        if ms:
            self.marks.append((self.hal.us + ms * 1000, self.ideal))


@pytest.mark.req("R-CON-3", "R-PRF-4")
@given(st.sampled_from(PAIRS), st.integers(1, 40), st.lists(st.tuples(st.sampled_from("ars"), st.integers(1, MINUTE)), max_size=6))
@settings(max_examples=60, deadline=None)
def test_a_step_is_early_by_the_same_part_of_a_step_before_and_after_the_bridge(pair, through, events):
    """The switch comes with the whole step of the ideal, to one ms; so what is early does not grow with a forty-fold change."""
    loop = BridgedLoop([(1_500, 60_000), (900, 600_000)], *pair, through)
    loop.run()
    for what, ms in events:
        loop.advance(ms)
        if what == "r":
            loop.stop()
            loop.run()
        elif what == "s":
            loop.dosing.settle(loop.now)
            loop.dosing.begin()
            loop.turn()
    loop.advance(40 * MINUTE)
    per_ms = Fraction(1_500 * loop.spm, 60_000 * min(pair) * 1000)
    early = [k - loop.ideal_at(us) for k, us in enumerate(loop.hal.edges, 1)]
    assert len(early) > through
    assert all(-2 * per_ms <= part <= Fraction(1, 64) + 2 * per_ms + Fraction(1, 1000) for part in early)


@pytest.mark.req("R-CON-3")
def test_without_bridging_the_same_check_fails(monkeypatch):
    def mutant(self, conc, count, steps_per_ml):
        self.feed = conc

    monkeypatch.setattr(Line, "refill", mutant)
    tip = Tip().take_over(FLAT, 500).run()
    tip.rig.advance(HOUR_MS)
    tip.change(2000)
    tip.rig.advance(HOUR_MS)
    with pytest.raises(AssertionError, match="behind"):
        tip.assert_no_step()


@pytest.mark.req("R-CON-3", "R-ALM-11")
@given(
    st.sampled_from(PAIRS),
    st.lists(st.tuples(st.integers(1, 40 * MINUTE), st.sampled_from([0, 1000, 10 * MINUTE])), min_size=1, max_size=4),
)
@settings(max_examples=25, deadline=None)
def test_after_power_cuts_the_dose_at_the_tip_is_never_above_the_program(pair, cuts):
    tip = Tip().take_over(NIGHT, pair[0]).run()
    tip.rig.advance(HOUR_MS)
    tip.change(pair[1])
    for ms, outage in cuts:
        tip.rig.advance(ms)
        tip.cut_power(outage)
    tip.periods = tip.periods[-1:]
    tip.rig.advance(3 * HOUR_MS)
    uncertain = int(tip.rig.status("account")["uncertain"][:-2]) // 10
    short = uncertain * Fraction(abs(pair[0] - pair[1]) * 1000, tip.spm)
    for us, before, after, asked in tip.errors():
        assert after - asked <= tip.strongest(), us
        assert asked - before <= short + tip.strongest() * Fraction(1001, 1000), us
    assert tip.rig.pump.ledger.authorised_ng.total >= tip.given_ng() - 1


@pytest.mark.req("R-CON-3", "R-ALM-11")
@pytest.mark.parametrize("pair", [(2000, 500), (500, 2000)])
@pytest.mark.parametrize("writes", range(9))
def test_a_second_cut_at_any_write_of_the_boot_keeps_the_careful_bound(pair, writes):
    tip = Tip().take_over(FLAT, pair[0]).run()
    tip.rig.advance(10 * MINUTE)
    tip.change(pair[1])
    tip.rig.advance(10 * MINUTE + 7_000)
    made = len(tip.rig.edges()) - tip.fills[-1][0]
    store = cutting(tip.rig, writes)
    with contextlib.suppress(Cut):
        tip.rig.cut_power(0, clock_kept=False)
    store.restore()
    tip.rig.cut_power(0, clock_kept=False)
    left = tip.rig.pump.ledger.bridge_left()
    if pair[0] > pair[1]:
        assert left >= tip.dead - made
    else:
        assert left <= tip.dead - made
    assert abs(left - (tip.dead - made)) <= 75  # one reservation of 15 min, booked once


@pytest.mark.req("R-CON-3")
@pytest.mark.parametrize("pair", PAIRS)
def test_the_account_books_the_dose_that_left_the_tip(pair):
    tip = Tip().take_over(FLAT, pair[0]).run()
    tip.rig.advance(HOUR_MS)
    tip.change(pair[1])
    for _ in range(60):
        tip.rig.advance(23 * MINUTE)
        given = tip.given_ng()
        found = tip.rig.pump.ledger
        assert abs(found.authorised_ng.total - given) <= tip.strongest() + 1
        assert abs(found.witnessed_ng.total - given) <= 3 * tip.strongest() + 1


@pytest.mark.req("R-CON-3", "R-ALM-6")
@pytest.mark.parametrize("pair", [(51, 2000), (2000, 51)])
def test_what_the_program_asks_in_a_bridge_is_counted_in_steps_of_the_old_drug(pair):
    tip = Tip(dict(SMALL, dead_volume_catheter_nl=20_000)).take_over(FLAT, pair[0]).run()
    tip.rig.advance(HOUR_MS)
    tip.change(pair[1])
    for _ in range(40):
        tip.rig.advance(31 * MINUTE)
        tip.rig.pump.advance(tip.rig.pump.clock.update())
        asked = tip.rig.pump.basal.programmed.total
        assert abs(asked - tip.rig.pump.ledger.steps["dose"]) <= 3
        assert not tip.rig.alarms() & {"UNDER_DELIVERY", "WITHDRAWAL_RISK"}


@pytest.mark.req("R-CON-3", "R-ALM-11")
def test_a_reservation_ends_with_the_bridge_so_15_minutes_of_a_weak_drug_are_not_hours_of_a_strong_one():
    tip = Tip().take_over(FLAT, 51).run()
    tip.rig.advance(HOUR_MS)
    tip.change(2000)
    before = tip.rig.pump.ledger.steps["dose"]
    while tip.rig.pump.ledger.bridge_left():
        tip.rig.advance(5_000)
    tip.rig.advance(1000)
    ledger = tip.rig.pump.ledger
    dosing = tip.rig.pump.dosing
    assert ledger.steps["dose"] >= before + tip.dead
    quarter = 70_000 * 100 // (96 * 2000) + 1
    assert dosing.reserved + dosing.outstanding(tip.rig.pump.clock.elapsed) <= quarter + 2
