"""Runs at an emulated Pico's prompt: the step engine at work while the processor does everything that holds it up.

The load: collections, flash writes with their erases, a flood of bad lines through the wire's reader. The edges are seen at the
pin by the emulator; here only the leases are put, each 60 ms or more, as the dosing loop makes them. Prints lines `name value
unit`, and `lease n gap_us period_us` of every lease as put.
"""

import gc
import time

from board import BOARD
from doseloop import frame
from rp2_motion import Engine

LEASES = (
    [(240, 0, 250)] * 3  # the top rate
    + [(60, 0, 1003)] * 2
    + [(1, 0, 60_000 + 7 * i) for i in range(4)]
    + [(0, 65_000, 0), (5, 60_000, 800), (60, 777, 1000), (0, 60_777, 0), (300, 0, 251), (1, 61_000, 500)]
    + [(180, 0, 333)] * 2
    + [(6, 0, 9_973)] * 2
)
JUNK = b">0001 STAT?*00000000\r\nSTAT? part\r" + b"#" * 90 + b"\n"


class Load:
    """One kind of load after the other, again and again."""

    def __init__(self):
        self.reader = frame.Reader()
        self.writes = self.lines = self.collections = 0

    def collect(self):
        gc.collect()
        self.collections += 1

    def write(self):
        with open("/load.txt", "w") as file:
            file.write("x" * 3000)
        self.writes += 1

    def read(self):
        pos = 0
        while pos < len(JUNK):
            pos = self.reader.feed(JUNK, pos, len(JUNK))
            if self.reader.ended:
                self.judge(self.reader.take())

    def judge(self, line):
        self.lines += 1
        try:
            frame.parse(line)
        except frame.WireError:
            frame.reply_error(0, "FRAME", "a bad line")


def main():
    engine, load = Engine(BOARD["step_pin"]), Load()
    kinds = (load.collect, load.read, load.write, load.read)
    for lease in LEASES:
        print("lease %d %d %d" % lease)
        engine.put(*lease)
    turn = 0
    while engine.waiting:
        kinds[turn % len(kinds)]()
        turn += 1
        engine.refill()
    time.sleep_ms(250)
    print("stepped", engine.stepped(), "steps")
    for name in ("collections", "writes", "lines"):
        print(name, getattr(load, name), "times")


main()
