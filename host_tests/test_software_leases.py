"""The lease player by itself, over a clock that wraps: places, lateness, exact revoke; and on MicroPython, that it allocates nothing."""

import subprocess
from itertools import accumulate
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.errors import TargetError
from hil.targets.process import find_micropython
from software_leases import Player, Unwrapped

HERE = Path(__file__).parent
TICKS = 1 << 30
JITTER_US = 2_000
SHORTEST_US = 500


class Stage:
    """A clock, a step pin, and a wake-up that comes `late_us` after it was asked for."""

    def __init__(self, start=TICKS - 50_000):
        self.start = start
        self.us = 0
        self.edges = []
        self.wake_at = None
        self.late_us = 0
        self.player = Player(self.now, self.pulse, self.wake_in, JITTER_US, SHORTEST_US)

    def now(self):
        return (self.start + self.us) % TICKS

    def pulse(self):
        self.edges.append(self.us)

    def wake_in(self, us):
        self.wake_at = None if us < 0 else self.us + us + self.late_us

    def run(self, us):
        end = self.us + us
        while self.wake_at is not None and self.wake_at <= end:
            self.us = max(self.us, self.wake_at)
            self.player.play()
        self.us = max(self.us, end)


LEASE = st.tuples(st.integers(0, 4), st.integers(0, 60_000), st.integers(1_000, 90_000))


@given(st.lists(LEASE, min_size=1, max_size=40))
def test_with_punctual_wake_ups_every_edge_is_at_its_place(leases):
    stage, places, at = Stage(), [], 0
    for n, gap, period in leases:
        stage.player.put(n, gap, period)
        places += list(accumulate([at + gap + period] + [period] * (n - 1))) if n else []
        at += gap + n * period
    stage.run(at + 1)
    assert stage.edges == places
    assert stage.player.made == len(places)
    assert stage.player.late == 0
    assert stage.player.wait_us() == -1


@given(st.lists(LEASE, min_size=1, max_size=30), st.integers(0, JITTER_US))
def test_within_the_jitter_nothing_is_late_and_nothing_drifts(leases, late_us):
    stage, total, at = Stage(), 0, 0
    stage.late_us = late_us
    for n, gap, period in leases:
        stage.player.put(n, gap, max(period, 4 * JITTER_US))
        total, at = total + n, at + gap + n * max(period, 4 * JITTER_US)
    stage.run(at + JITTER_US + 1)
    assert len(stage.edges) == total
    assert stage.player.late == 0


@given(st.integers(1, 60), st.integers(JITTER_US + 1, 500_000))
def test_one_late_step_is_told_once_and_what_follows_keeps_its_distance(n, late_us):
    stage = Stage()
    stage.player.put(n, 0, 10_000)
    stage.wake_at = None  # the processor hangs
    stage.us = 10_000 + late_us
    stage.player.play()
    stage.run(n * 10_000)
    assert len(stage.edges) == n
    assert stage.player.late == 1
    assert stage.edges == [10_000 + late_us + 10_000 * k for k in range(n)]


@given(st.lists(st.integers(0, 200_000), min_size=1, max_size=40))
def test_however_the_wake_ups_come_no_two_steps_are_closer_than_three_quarters_of_a_period(naps):
    stage = Stage()
    stage.player.put(30, 0, 8_000)
    for nap in naps:
        stage.us += nap
        stage.player.play()
    gaps = [later - earlier for earlier, later in zip(stage.edges, stage.edges[1:])]
    assert all(gap >= 6_000 for gap in gaps)


@given(st.lists(LEASE, min_size=1, max_size=60), st.integers(0, 3_000_000))
def test_revoke_gives_exactly_the_steps_that_were_started_and_nothing_follows(leases, at_us):
    stage = Stage()
    for lease in leases:
        stage.player.put(*lease)
    stage.run(at_us)
    made = stage.player.revoke()
    stage.run(20_000_000)
    assert made == len(stage.edges)
    stage.player.put(2, 0, 1_000)
    stage.run(10_000)
    assert stage.player.revoke() == made + 2


def test_a_call_by_interrupt_in_the_middle_of_another_does_nothing():
    stage = Stage()
    inner = []

    def pulse():
        stage.edges.append(stage.us)
        inner.append(stage.player.play())

    stage.player._pulse = pulse
    stage.player.put(2, 0, 1_000)
    stage.run(50_000)
    assert len(stage.edges) == 2


def test_a_halted_player_starts_nothing_until_it_is_revoked():
    stage = Stage()
    stage.player.put(5, 0, 1_000)
    stage.run(2_100)
    stage.player.halt()
    stage.us += 50_000
    stage.player.play()
    assert len(stage.edges) == 2
    assert stage.player.revoke() == 2
    stage.player.put(1, 0, 1_000)
    stage.run(2_000)
    assert len(stage.edges) == 3


def test_room_counts_the_leases_that_still_fit():
    stage = Stage()
    stage.player.put(1, 0, 1_000_000)
    room = stage.player.room()
    for k in range(room):
        assert stage.player.room() == room - k
        stage.player.put(1, 0, 1_000)
    assert stage.player.room() == 0


@given(st.lists(st.integers(-30_000, 30_000), max_size=200), st.integers(0, 65_535))
def test_a_counter_of_16_bits_is_followed_as_long_as_it_moves_less_than_half_its_range_between_two_looks(moves, start):
    value = [start]
    counter = Unwrapped(lambda: value[0] % 65_536, 65_536)
    for move in moves:
        value[0] += move
        assert counter.count() == (value[0] - start) % TICKS


@given(st.lists(st.integers(-15_000, 15_000), max_size=200))
def test_a_counter_that_falls_to_zero_at_either_end_is_followed_too(moves):
    value, total = [0], 0
    counter = Unwrapped(lambda: value[0], 32_000)
    for move in moves:
        total += move
        value[0] = total % 32_000 - (32_000 if total < 0 and total % 32_000 else 0)
        assert counter.count() == total % TICKS


def test_on_micropython_put_play_and_revoke_allocate_nothing():
    try:
        micropython = find_micropython()
    except TargetError as error:
        pytest.skip(f"NOT TESTED on MicroPython: {error}")
    command = [micropython, str(HERE / "micropython_player.py"), str(HERE.parent / "firmware")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.endswith("nothing allocated\n"), done.stdout + done.stderr
