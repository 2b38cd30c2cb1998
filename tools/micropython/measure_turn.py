"""Runs on MicroPython: what a whole turn of the controller's loop takes, and how much heap the firmware holds.

`make benchmark` runs it on the unix port, `make benchmark BOARD=emulated` and `make smoke` from the prompt of an emulated Pico. The
hardware is a stub that takes every lease and turns at once, so what is measured is the firmware; its journal is a real one, and lies
where the board's own would: on the bare blocks that an image of ours leaves free, else on the real filesystem. It prints lines
`name value unit`.
"""

import binascii
import gc
import os
import sys
import time

gc.collect()
HEAP_BEFORE = gc.mem_alloc()
gc.threshold(8_192)  # as main.py loads: what stays lies close together, and large blocks stay free

from doseloop.controller import Controller  # noqa: E402 - the heap is measured around the import
from doseloop.program import Program  # noqa: E402
from doseloop.store import FileStore  # noqa: E402

MIDNIGHT = 1_809_043_200  # unix seconds of 2027-04-30 00:00
TURNS = 200
LOADED_TURNS = 100
NIGHT_FLEX = ("name=night-flex-spinal", "conc=2000", "seg.all.00:00=266000", "seg.all.19:00=84000")


class Line:
    """A serial line on which `coming` comes, as fast as it is read; what is sent is counted."""

    def __init__(self):
        self.coming = b""
        self.sent = 0

    def read(self, buffer):
        count = min(len(buffer), len(self.coming))
        buffer[:count] = self.coming[:count]
        self.coming = self.coming[count:]
        return count

    def write(self, data):
        self.sent += len(data)
        return len(data)


class Stub:
    """A board whose time is moved by idle() and whose head makes each lease at once."""

    boot_cause = 1

    def __init__(self, board, store):
        self.board = board
        self.serial = Line()
        self.store = store
        self.steps = 0
        self.now = 0

    def ticks_ms(self):
        return self.now & 0x3FFFFFFF

    def code_check(self):
        return iter(("none",))

    def tick_us(self):
        return 0

    def idle(self, ms):
        self.now += ms

    def put(self, n, gap_us, period_us):
        self.steps += n

    def room(self):
        return 8

    def late(self):
        return 0

    def stepped(self):
        return self.steps

    revoke = stepped

    def witness(self):
        return self.steps * self.board["encoder_counts_per_turn"] // self.board["steps_per_turn"] & 0x3FFFFFFF

    def nothing(self, *values):
        return None

    feed = guard_port = tone = watchdog = rtc_set = rtc = temperature = probe = nothing

    def port_open(self):
        return False

    def battery_mv(self):
        return 3700

    def random32(self):
        return 7

    def uid(self):
        return "stub"

    code_hash = uid


def place():
    """(board, store of the journal), as hal_rp2.py and hal_unix.py choose it."""
    from board import BOARD

    blocks = BOARD.get("journal_blocks", 0)
    if blocks:
        import rp2

        from doseloop.region import RegionStore

        count, size = rp2.Flash().ioctl(4, 0), rp2.Flash().ioctl(5, 0)
        first = count - blocks
        files = os.statvfs("/")
        if files[1] * files[2] <= first * size:
            return BOARD, RegionStore(rp2.Flash(start=first * size, len=blocks * size), blocks)
    folder = "build/benchmark/journal" if sys.platform in ("linux", "darwin") else "/measure"
    made = ""
    for name in folder.split("/"):
        made = made + "/" + name if made else name or "/"
        try:
            os.mkdir(made)
        except OSError:
            pass
    for name in os.listdir(folder):
        os.remove(folder + "/" + name)
    return BOARD, FileStore(folder)


def running():
    """A controller in the middle of night-flex-spinal."""
    gc.collect()
    gc.threshold(65_536)  # as main.py runs
    board, store = place()
    while store.tidy():
        pass
    hal = Stub(board, store)
    controller = Controller(hal)
    del sys.modules["doseloop.boot"]  # as main.py forgets it
    delattr(sys.modules["doseloop"], "boot")
    pump = controller.pump
    pump.set_clock(MIDNIGHT, 0)
    pump.refill(18_000_000, {"volume_nl": 18_000_000, "fluid": "drug", "conc": 2000, "lot": "x", "observe_h": None, "expiry": (2030, 1, 1)})
    pump.calibrate({"spm": 100_000, "tube": "x", "at_nl": 0, "at_ms": 0, "hours": 1000, "volume": 100_000, "date": [2027, 4, 30]}, "both")
    pump.put_in_force(Program(list(NIGHT_FLEX)))
    pump.start()
    return hal, controller


def measured(hal, controller):
    """Microseconds of each of TURNS turns, sorted."""
    turns = []
    for _ in range(TURNS):
        began = time.ticks_us()
        wait = controller.turn()
        turns.append(time.ticks_diff(time.ticks_us(), began))
        controller.rest(wait)
    return sorted(turns)


def question_us(hal, controller, text):
    """Microseconds from a framed question's first byte to the last byte of its answer, all turns together."""
    hal.serial.coming = b"%s*%08X\n" % (text, binascii.crc32(text))
    hal.serial.sent = 0
    began = time.ticks_us()
    while hal.serial.coming or not hal.serial.sent:
        controller.turn()
    return time.ticks_diff(time.ticks_us(), began)


def main():
    hal, controller = running()
    for _ in range(20):
        hal.idle(controller.turn())
    gc.collect()
    print("firmware_heap", gc.mem_alloc() - HEAP_BEFORE, "B")
    print("free_heap", gc.mem_free(), "B")
    began = hal.now
    turns = measured(hal, controller)
    print("turn_median", turns[TURNS // 2], "us")
    print("turn_p90", turns[TURNS * 9 // 10], "us")
    print("turn_p99", turns[TURNS * 99 // 100], "us")
    print("turn_worst", turns[-1], "us")
    print("turns_an_hour", TURNS * 3_600_000 // max(1, hal.now - began), "turns")
    print("hello", question_us(hal, controller, b">0000 HELLO"), "us")
    print("identity", question_us(hal, controller, b">0001 *IDN?"), "us")
    gc.collect()
    before = gc.mem_alloc()
    print("status", question_us(hal, controller, b">0002 STAT?"), "us")
    print("status_allocates", gc.mem_alloc() - before, "B")
    loaded(hal, controller)
    if not controller.pump.delivering or not hal.steps:
        raise SystemExit("the pump did not run")


def loaded(hal, controller):
    """The loop under a flood of bad lines and questions, as fast as it reads: turns, and the longest of them, collections included."""
    flood = b">0003 STAT?*00000000\n\x03\x04junk without an end>0003 STAT? part=\r\nSTAT?\n" + b"x" * 80 + b"\n"
    turns = []
    for _ in range(LOADED_TURNS):
        if not hal.serial.coming:
            hal.serial.coming = flood
        hal.idle(1)
        began = time.ticks_us()
        controller.turn()
        turns.append(time.ticks_diff(time.ticks_us(), began))
    turns.sort()
    print("loaded_turn_median", turns[LOADED_TURNS // 2], "us")
    print("loaded_turn_p99", turns[LOADED_TURNS * 99 // 100], "us")
    print("loaded_turn_worst", turns[-1], "us")
    gc.collect()
    began = time.ticks_us()
    gc.collect()
    print("collection", time.ticks_diff(time.ticks_us(), began), "us")


main()
