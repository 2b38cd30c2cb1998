"""Runs on MicroPython: how long a dosing tick takes, and what it allocates.

`make benchmark` runs it on the unix port, `make benchmark BOARD=emulated` and `make smoke` from the prompt of an emulated Pico. It
prints lines `name value unit`.
"""

import gc
import time

import micropython

from doseloop.dosing import Dosing
from doseloop.units import HOUR_MS

TICKS = 200
# night-flex-spinal: 16,800 ng in an hour at 2000 mcg/mL and 100,000 steps per mL.
RATE = (16_800, HOUR_MS, 5 * HOUR_MS)


class Bench:
    """As much of a board as the dosing loop touches; its engine takes every lease."""

    board = {"lease_basal_nl": 2000}

    def __init__(self):
        self.leases = 0

    def put(self, n, gap_us, period_us):
        self.leases += 1

    def late(self):
        return 0

    def revoke(self):
        return 0


def prepared():
    """A dosing loop in the middle of a long piece, its reservation made."""
    dosing = Dosing(Bench(), lambda elapsed: RATE, lambda steps: 1_000_000)
    dosing.configure(100_000, 2000)
    dosing.begin()
    while not dosing.tick():
        dosing.prepare(0, 0)
    return dosing


def tick_ns(dosing):
    """Time of one tick: all in a row, so that the clock's own time does not count."""
    began = time.ticks_us()
    for _ in range(TICKS):
        dosing.tick()
    return time.ticks_diff(time.ticks_us(), began) * 1000 // TICKS


def each_us(dosing):
    """Microseconds of each of TICKS ticks, the clock's own time included, sorted."""
    ticks = []
    for _ in range(TICKS):
        began = time.ticks_us()
        dosing.tick()
        ticks.append(time.ticks_diff(time.ticks_us(), began))
    return sorted(ticks)


def allocated(dosing):
    """Bytes taken from the heap by TICKS ticks; a locked heap makes any of them raise."""
    micropython.heap_lock()
    try:
        for _ in range(TICKS):
            if not dosing.tick():
                raise RuntimeError("the piece ended in mid-measurement")
    finally:
        micropython.heap_unlock()
    before = gc.mem_alloc()
    for _ in range(TICKS):
        dosing.tick()
    return gc.mem_alloc() - before


def main():
    dosing = prepared()
    gc.collect()
    print("tick", tick_ns(dosing), "ns")
    print("tick_bytes", allocated(dosing), "B")
    ticks = each_us(dosing)
    print("tick_median", ticks[TICKS // 2], "us")
    print("tick_p99", ticks[TICKS * 99 // 100], "us")
    print("heap_free", gc.mem_free(), "B")


main()
