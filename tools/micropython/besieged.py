"""firmware/main.py with one thing more: now and then, before it sleeps, it tells the bench how much heap is held once all garbage is gone.

`make hostile` starts it in place of main.py; the figure goes through the hal's mark(), which the firmware itself never reads.
"""

import gc
import sys

HERE = __file__.rsplit("/", 1)[0] if "/" in __file__ else "."
FIRMWARE = HERE + "/../../firmware"
HEAP_MARK = 1
EVERY = 64  # sleeps

sys.path.insert(0, FIRMWARE)

import hal_unix  # noqa: E402 - found by the path above


class BesiegedHal(hal_unix.UnixHal):
    sleeps = 0

    def idle(self, wait_ms):
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
