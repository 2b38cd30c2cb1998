"""firmware/main.py with two things more: before it sleeps it tells the bench what was written to its flash, and now and then how much
heap is held once all garbage is gone.

`make hostile` starts it in place of main.py; the figures go through the hal's mark(), which the firmware itself never reads.
"""

import gc
import os
import sys

HERE = __file__.rsplit("/", 1)[0] if "/" in __file__ else "."
FIRMWARE = HERE + "/../../firmware"
HEAP_MARK, RECORDS_MARK, FILES_MARK = 1, 2, 3
EVERY = 64  # sleeps

sys.path.insert(0, FIRMWARE)

import hal_unix  # noqa: E402 - found by the path above


class CountingStore(hal_unix._Store):
    """records: appended; files: written anew, each a block erased and more."""

    records = files = 0

    def append(self, name, data):
        self.records += 1
        super().append(name, data)

    def replace(self, name, data):
        self.files += 1
        super().replace(name, data)


class BesiegedHal(hal_unix.UnixHal):
    sleeps = 0

    def __init__(self, board):
        super().__init__(board)
        self.store = CountingStore(os.getenv("DOSELOOP_STORE"), self._tell)
        self._told = (0, 0)

    def idle(self, wait_ms):
        written = (self.store.records, self.store.files)
        if written != self._told:
            self._told = written
            self.mark(RECORDS_MARK, written[0])
            self.mark(FILES_MARK, written[1])
        if wait_ms:
            self.sleeps += 1
            if self.sleeps % EVERY == 0:
                gc.collect()
                self.mark(HEAP_MARK, gc.mem_alloc())
        super().idle(wait_ms)


hal_unix.UnixHal = BesiegedHal
with open(FIRMWARE + "/main.py") as file:
    source = file.read()
exec(source, {"__name__": "__main__", "__file__": FIRMWARE + "/main.py"})
