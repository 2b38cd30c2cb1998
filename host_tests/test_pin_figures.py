"""The figures of a listener on the step pin: each of its limits can be broken, and is then seen."""

from __future__ import annotations

import numpy as np
import pytest

from hil.expectation import Expectation, Push
from hil.pin_figures import Hang, Pins, of_count, of_hangs, of_pulses
from hil.prescription import compile_program
from hil.result import FAILED, PASSED, Measurement

SECOND_NS = 1_000_000_000
# 864 mcg a day at 500 mcg/mL and 100,000 steps/mL are 2 steps a second.
PROGRAM = compile_program({"name": "two-a-second", "conc": "500 mcg/mL", "flat": "864 mcg/day"}, "program")


def expectation() -> Expectation:
    curve = Expectation(0, 100_000)
    curve.clock(0, 0)
    curve.commit(0, PROGRAM)
    curve.run(0)
    return curve


def even(count: int, period_ns: int) -> np.ndarray:
    return np.arange(1, count + 1, dtype=np.int64) * period_ns


def pins(edges: np.ndarray, enable: tuple[tuple[int, bool], ...] = (), lost: int = 0) -> Pins:
    return Pins(edges, enable, lost, 0)


def verdicts(figures: list[Measurement]) -> dict[str, str]:
    return {figure.name: figure.verdict for figure in figures}


INTERVAL, RATE, LOST = "largest pulse interval off the program", "largest pulse rate off the program", "PIO steps lost by the emulator"


@pytest.mark.req("R-PRF-4")
def test_pulses_at_the_programs_distance_pass() -> None:
    found = verdicts(of_pulses(pins(even(120, SECOND_NS // 2)), expectation(), 60_000_000, 0.1))
    assert (found[INTERVAL], found[RATE], found[LOST]) == (PASSED, PASSED, PASSED)


@pytest.mark.req("R-PRF-4")
def test_one_interval_two_microseconds_off_is_seen() -> None:
    edges = even(120, SECOND_NS // 2)
    edges[60] += 2_000
    assert verdicts(of_pulses(pins(edges), expectation(), 60_000_000, 0.1))[INTERVAL] == FAILED


@pytest.mark.req("R-PRF-4")
def test_a_rate_sixty_parts_per_million_off_is_seen_and_forty_pass() -> None:
    for ppm, verdict in ((60, FAILED), (40, PASSED)):
        edges = even(120, round(SECOND_NS / 2 * (1 + ppm * 1e-6)))
        assert verdicts(of_pulses(pins(edges), expectation(), 60_000_000, 0.1))[RATE] == verdict


@pytest.mark.req("R-PRF-4")
def test_pulses_that_never_came_are_one_gap_as_long_as_the_stretch_and_all_of_the_rate() -> None:
    found = {figure.name: figure for figure in of_pulses(pins(even(0, 1)), expectation(), 60_000_000, 0.1)}
    assert (found[INTERVAL].value, found[RATE].value) == (60e6 - 0.5e6, 1e6)
    assert (found[INTERVAL].verdict, found[RATE].verdict) == (FAILED, FAILED)


def test_a_stretch_shorter_than_a_few_leases_has_intervals_and_no_rate() -> None:
    curve = expectation()
    curve.push(30_000_000, Push(50_000, 20_000))
    fast = 30 * SECOND_NS + even(400, round(SECOND_NS / 252 * (1 + 90e-6)))
    edges = np.concatenate([even(60, SECOND_NS // 2), fast])
    found = verdicts(of_pulses(pins(edges), curve, 31_500_000, 0.1))
    assert (found[INTERVAL], found[RATE]) == (PASSED, PASSED)


def test_the_first_moments_after_a_change_of_rate_are_left_out() -> None:
    curve = expectation()
    curve.push(30_000_000, Push(50_000, 20_000))
    edges = np.concatenate([even(60, SECOND_NS // 2), 30 * SECOND_NS + 300_000_000 + even(4900, SECOND_NS // 252)])
    found = verdicts(of_pulses(pins(edges), curve, 49_000_000, 0.1))
    assert found[INTERVAL] == PASSED


def test_pulses_that_are_due_and_do_not_come_fail() -> None:
    assert verdicts(of_pulses(pins(even(10, SECOND_NS // 2)), expectation(), 60_000_000, 0.1))[INTERVAL] == FAILED


def test_a_story_too_short_for_a_rate_has_no_figure_of_it() -> None:
    assert INTERVAL not in verdicts(of_pulses(pins(even(10, SECOND_NS // 2)), expectation(), 5_000_000, 0.1))


def test_pio_time_that_the_emulator_lost_fails_the_run() -> None:
    assert verdicts(of_pulses(pins(even(120, SECOND_NS // 2), lost=1), expectation(), 60_000_000, 0.1))[LOST] == FAILED


@pytest.mark.parametrize("difference, verdict", [(0, PASSED), (1, FAILED), (-1, FAILED), (None, FAILED)])
def test_one_pulse_more_or_less_than_the_firmware_counted_fails(difference: int | None, verdict: str) -> None:
    assert of_count(difference)[0].verdict == verdict


HUNG = [(990, True, PASSED), (1010, True, FAILED), (9_900, False, PASSED), (10_100, False, FAILED)]


@pytest.mark.parametrize("last_ms, in_bolus, verdict", HUNG)
def test_pulses_that_outlast_a_lease_after_a_hang_are_seen(last_ms: int, in_bolus: bool, verdict: str) -> None:
    edges = np.array([SECOND_NS, SECOND_NS + last_ms * 1_000_000], dtype=np.int64)
    enable = ((0, True), (3 * SECOND_NS, False))  # what is pulsed without the driver counts all the same
    found = verdicts(of_hangs(pins(edges, enable), [Hang(SECOND_NS, in_bolus)], 20 * SECOND_NS))
    assert found["last pulse after the processor hung"] == verdict


def test_pulses_after_the_reset_are_none_of_the_hang() -> None:
    edges = np.array([SECOND_NS, 10 * SECOND_NS], dtype=np.int64)
    seen = Pins(edges, ((0, True), (3 * SECOND_NS, False)), 0, 0, (9 * SECOND_NS,))
    assert verdicts(of_hangs(seen, [Hang(SECOND_NS, True)], 20 * SECOND_NS))["last pulse after the processor hung"] == PASSED


@pytest.mark.parametrize("fell_ms, verdict", [(2_000, PASSED), (2_200, FAILED)])
def test_an_enable_that_outlasts_two_seconds_after_a_hang_is_seen(fell_ms: int, verdict: str) -> None:
    enable = ((0, True), (SECOND_NS + fell_ms * 1_000_000, False))
    found = verdicts(of_hangs(pins(even(1, SECOND_NS), enable), [Hang(SECOND_NS, True)], 20 * SECOND_NS))
    assert found["motor enable off after the processor hung"] == verdict


def test_an_enable_that_never_falls_after_a_hang_is_seen() -> None:
    found = verdicts(of_hangs(pins(even(5, SECOND_NS), ((0, True),)), [Hang(SECOND_NS, True)], 20 * SECOND_NS))
    assert found["motor enable off after the processor hung"] == FAILED
