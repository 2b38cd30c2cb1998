"""Runs at an emulated Pico's prompt: the step engine, at work while the processor is loaded with everything that holds it up.

The load: collections, flash writes, a flood of bad lines through the wire's reader, floats. The edges are seen at the pin by the
emulator; here only the leases are put. Prints lines `name value unit`, and `lease n gap_us period_us` of every lease as put.
"""

import gc
import time

from board import BOARD
from doseloop import frame
from rp2_motion import Engine

# (n, gap_us, period_us): groups at the top rate, single steps of unlike periods, waits, gaps.
LEASES = (
    [(40, 0, 250)] * 10
    + [(1, 0, 1000 + 7 * i) for i in range(40)]
    + [(0, 5000, 0), (5, 300, 800), (0, 777, 0), (3, 0, 251), (1, 40_000, 500)]
    + [(75, 0, 333)] * 6
    + [(2, 0, 9_973)] * 10
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
        except (frame.WireError, IndexError):
            return frame.reply_error(0, "FRAME", "a bad line")


def main():
    engine, load = Engine(BOARD["step_pin"]), Load()
    kinds = (load.collect, load.read, load.write, load.read)
    turn = 0
    for lease in LEASES:
        while engine.waiting > 40:
            kinds[turn % len(kinds)]()
            turn += 1
            engine.refill()
        engine.put(*lease)
        print("lease %d %d %d" % lease)
    while engine.waiting:
        load.read()
        engine.refill()
    time.sleep_ms(200)
    print("stepped", engine.stepped(), "steps")
    for name in ("collections", "writes", "lines"):
        print(name, getattr(load, name), "times")


main()
