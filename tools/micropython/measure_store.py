"""Run at the prompt of an emulated Pico: what a write of the journal takes, in files and on bare blocks. Prints name, value, unit."""

import gc
import os
import time

import rp2

from doseloop.journal import Journal
from doseloop.region import BLOCK, RegionStore
from doseloop.store import FileStore

REGION = 64
RECORDS = 40
SAVES = 3
STATE = b"s" * 4000


def timed(call, *given):
    gc.collect()
    began = time.ticks_us()
    call(*given)
    return time.ticks_diff(time.ticks_us(), began)


def tell(name, times):
    times.sort()
    print(name + "_median", times[len(times) // 2], "us")
    print(name + "_worst", times[-1], "us")


def measure(name, store):
    tidied = []

    def quiet():
        began = time.ticks_us()
        if store.tidy():
            tidied.append(time.ticks_diff(time.ticks_us(), began))
            return True
        return False

    while quiet():
        pass
    journal = Journal(store)
    print(name + "_open", timed(journal.open), "us")
    tell(name + "_record", [timed(journal.append, "log", 1, k, 0, b"payload") for k in range(RECORDS)])
    saves = []
    for _ in range(SAVES):
        while quiet():
            pass
        saves.append(timed(journal.save, "state", STATE))
    tell(name + "_save", saves)
    if tidied:
        tell(name + "_tidy", tidied)


first = rp2.Flash().ioctl(4, 0) - REGION
files = os.statvfs("/")
assert files[1] * files[2] <= first * BLOCK, "the filesystem covers the region"
try:
    os.mkdir("/journal")
except OSError:
    pass
measure("files", FileStore("/journal"))
device = rp2.Flash(start=first * BLOCK, len=REGION * BLOCK)
print("region_mount", timed(RegionStore, device, REGION), "us")
measure("region", RegionStore(device, REGION))
