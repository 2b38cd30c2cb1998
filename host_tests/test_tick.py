"""The dosing tick: no allocation on MicroPython, no number beyond 2^30."""

import os
import subprocess
from pathlib import Path

import pytest
from pump_rig import FakeBoard, MemoryStore
from test_schedule import Small

from doseloop.dosing import Dosing
from hil.errors import TargetError
from hil.targets.process import find_micropython

REPO = Path(__file__).parent.parent


@pytest.mark.req("R-UNIT-1", "R-PRF-4")
def test_a_tick_allocates_nothing_on_micropython_with_the_heap_locked():
    try:
        micropython = find_micropython()
    except TargetError as error:
        pytest.skip(f"NOT TESTED on MicroPython: {error}")
    script = REPO / "tools" / "micropython" / "measure_tick.py"
    env = {**os.environ, "MICROPYPATH": f"{REPO / 'firmware'}:.frozen"}
    done = subprocess.run([micropython, str(script)], capture_output=True, text=True, timeout=60, check=False, env=env)
    assert "tick_bytes 0 B" in done.stdout, done.stdout + done.stderr


@pytest.mark.req("R-UNIT-1")
@pytest.mark.parametrize("dose", [500, 14_000, 84_000, 2_003_000])
def test_a_tick_takes_only_numbers_below_two_to_the_thirty(dose):
    hal = FakeBoard(MemoryStore())
    hal.put = lambda n, gap_us, period_us: None
    dosing = Dosing(hal, lambda elapsed: (dose, 86_400_000, 86_400_000), lambda steps: 10_000)
    dosing.configure(103_457, 777)
    dosing.begin()
    dosing.prepare(0, hal.ticks_ms())
    piece = dosing._piece
    piece._legs = [tuple(Small(value) for value in leg) for leg in piece._legs]
    for name in ("_chain_ms", "_chain_us", "_piece_end_ms", "reserved", "commanded"):
        setattr(dosing, name, Small(getattr(dosing, name)))
    for _ in range(2000):
        if not dosing.tick():
            dosing.reserved = Small(10_000)
        for name in ("_chain_ms", "_chain_us", "reserved", "commanded"):
            assert -(1 << 30) <= getattr(dosing, name) < 1 << 30
