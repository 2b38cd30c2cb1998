"""Runs where the hal runs, on MicroPython or CPython: a list of calls, one after the other, with nothing between them.

A call is (name, arguments ...): a method of the hal, or one of these. `wait` ms as the controller's loop waits; `busy` ms in which it
never idles; `nap` ms, the same asleep; `fill` n gap_us period_us most: leases for as long as room() says so. One answer a call.
"""

import time


def wait(hal, ms):
    end = (hal.ticks_ms() + ms) & 0x3FFFFFFF
    while True:
        left = (end - hal.ticks_ms()) & 0x3FFFFFFF
        if left == 0 or left > 0x1FFFFFFF:
            return
        hal.idle(left)


def busy(hal, ms):
    end = (hal.ticks_ms() + ms) & 0x3FFFFFFF
    while 0 < (end - hal.ticks_ms()) & 0x3FFFFFFF <= 0x1FFFFFFF:
        pass


def nap(hal, ms):
    time.sleep_ms(ms)


def fill(hal, n, gap_us, period_us, most):
    count = 0
    while count < most and hal.room():
        hal.put(n, gap_us, period_us)
        count += 1
    return count


def run(hal, calls):
    own = {"wait": wait, "busy": busy, "nap": nap, "fill": fill}
    answers = []
    for call in calls:
        name = call[0]
        if name in own:
            answers.append(own[name](hal, *call[1:]))
        else:
            answers.append(getattr(hal, name)(*call[1:]))
    return answers
