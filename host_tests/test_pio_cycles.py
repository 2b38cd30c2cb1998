"""Every cycle of the PIO programs is accounted for: the period asked is the period on the pin (rp2_motion.py)."""

import re
from itertools import pairwise
from pathlib import Path

import pytest
from fakes.pio import Machine, read_program
from hypothesis import given, settings
from hypothesis import strategies as st

SOURCE = (Path(__file__).parents[1] / "firmware" / "rp2_motion.py").read_text("utf-8")
CONSTANTS = {name: int(value.replace("_", ""), 0) for name, value in re.findall(r"^(_\w+) = const\((0?x?[\w]+)\)", SOURCE, re.MULTILINE)}
ROUND_US, EMPTY_US = CONSTANTS["_ROUND_US"], CONSTANTS["_EMPTY_LEASE_US"]
BLOCK = 32  # instructions of a PIO block
PULSE_CYCLES = 5
CLOCKS_HZ = {"RP2040": 125_000_000, "RP2350": 150_000_000}
OVERCLOCKED_HZ = 270_000_000


def program(name):
    return read_program(SOURCE, name)


def words(leases):
    """As Engine._send writes them."""
    for n, gap, period in leases:
        yield from (n, gap if n else max(gap - EMPTY_US, 0), max(period - ROUND_US, 0))


def rises(leases):
    total = sum(gap + n * period for n, gap, period in leases)
    return Machine(program("_stepper"), words(leases)).run(total + 1000).rises()


def ideal(leases):
    at, places = 0, []
    for n, gap, period in leases:
        at += gap
        for _ in range(n):
            at += period
            places.append(at)
    return places


def gaps(places):
    return [later - earlier for earlier, later in pairwise(places)]


@pytest.mark.req("R-PRF-4")
def test_the_period_asked_is_the_period_on_the_pin():
    for period in (ROUND_US, 20, 250, 1003, 65_537):
        assert gaps(rises([(5, 0, period)])) == [period] * 4


lease = st.one_of(
    st.tuples(st.integers(1, 6), st.sampled_from([0, 1, 77, 1000]), st.integers(ROUND_US, 400)),
    st.tuples(st.just(0), st.integers(EMPTY_US, 500), st.just(0)),
)


@pytest.mark.req("R-PRF-4")
@settings(max_examples=60, deadline=None)
@given(st.lists(lease, min_size=1, max_size=12))
def test_chained_leases_lose_and_win_no_cycle(leases):
    assert gaps(rises(leases)) == gaps(ideal(leases))


def test_a_pulse_is_five_microseconds_long():
    machine = Machine(program("_stepper"), words([(3, 0, 250)])).run(2000)
    assert [later[0] - earlier[0] for earlier, later in zip(machine.edges[::2], machine.edges[1::2])] == [PULSE_CYCLES] * 3


def test_the_stepper_ends_by_itself_and_waits_with_the_pin_low():
    machine = Machine(program("_stepper"), words([(3, 0, 250), (0, 100, 0)])).run(100_000)
    assert len(machine.rises()) == 3 and machine.level == 0
    assert machine.program.ops[machine.pc].name == "pull"


def test_the_counter_misses_no_pulse_at_the_top_rate_and_counts_none_twice():
    counter = Machine(program("_counter"))
    counter.input = lambda cycle: int(cycle % 250 < PULSE_CYCLES)
    counter.run(250 * 40 + 100)
    assert -counter.registers["x"] & 0xFFFFFFFF == 40


@pytest.mark.req("R-ALM-5")
@pytest.mark.parametrize("ms", [1, 500, 2000])
def test_the_enable_falls_when_it_was_fed_for_so_long(ms):
    per_ms = CONSTANTS["_ENABLE_HZ"] // 1000
    machine = Machine(program("_enable"), [ms]).run(per_ms * 3000)
    (rise, _), (fall, _) = machine.edges
    assert ms <= (fall - rise) / per_ms <= ms + 2


def test_a_new_word_renews_the_enable_and_an_old_one_does_not_add_up():
    per_ms = CONSTANTS["_ENABLE_HZ"] // 1000
    machine = Machine(program("_enable"), [1000]).run(500 * per_ms)
    machine.fifo.append(1000)
    machine.run(3000 * per_ms)
    (rise, _), (fall, _) = machine.edges
    assert (fall - rise) / per_ms == pytest.approx(1500, abs=3)


def test_the_programs_fit_their_blocks_and_the_decoders_table_lies_at_0():
    sizes = {name: len(program(name).ops) for name in ("_stepper", "_counter", "_enable", "_quadrature")}
    assert sizes["_stepper"] + sizes["_counter"] + sizes["_enable"] <= BLOCK
    assert sizes["_quadrature"] == BLOCK


@pytest.mark.parametrize("chip", CLOCKS_HZ)
def test_every_state_machines_rate_can_be_divided_from_the_chips_clock(chip):
    """A divider of 16 whole bits and 8 of fraction; what times steps must divide without a rest."""
    for name in ("_ENGINE_HZ", "_ENABLE_HZ", "_ENCODER_HZ"):
        assert 1 <= CLOCKS_HZ[chip] / CONSTANTS[name] < 65_536, name
    assert CLOCKS_HZ[chip] % CONSTANTS["_ENGINE_HZ"] == 0


def test_no_rate_is_too_slow_for_the_divider_of_a_faster_system_clock():
    """A person may give the chip another clock: machine.freq(). The motor's enable must come up then too."""
    assert all(OVERCLOCKED_HZ / CONSTANTS[name] < 65_536 for name in ("_ENGINE_HZ", "_ENABLE_HZ", "_ENCODER_HZ"))
