"""Run by test_software_leases.py on a real MicroPython: the player under a locked heap. argv: the firmware folder."""

import sys

import micropython

sys.path.insert(0, sys.argv[1])

from software_leases import Player, Unwrapped


class Stage:
    def __init__(self):
        self.us = 0x3FFFFF00
        self.steps = 0

    def now(self):
        return self.us

    def pulse(self):
        self.steps += 1

    def wake_in(self, us):
        if us >= 0:
            self.us = (self.us + us) & 0x3FFFFFFF


stage = Stage()
player = Player(stage.now, stage.pulse, stage.wake_in, 1000, 100)
counter = Unwrapped(stage.now, 65_536)


def work():
    for k in range(200):
        player.put(3, k, 5_000)
        player.put(0, 9_000_000, 0)
        while player.room() < 60:
            player.play()
        counter.count()
        if k % 20 == 19:
            player.halt()
            player.play()
            player.revoke()


work()
before = stage.steps
micropython.heap_lock()
try:
    work()
finally:
    micropython.heap_unlock()
print(stage.steps - before, "steps,", "nothing allocated" if stage.steps > before else "nothing done")
