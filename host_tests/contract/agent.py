"""Runs where the hal runs, on MicroPython or CPython: a list of calls, one after the other, with nothing between them.

A call is (name, arguments ...): a method of the hal, or one of these. `wait` ms as the controller's loop waits; `busy` ms in which it
never idles; `nap` ms, the same asleep; `fill` n gap_us period_us most: leases for as long as room() says so. One answer a call.
`look`: the word code_check() ends with, and ms of its longest slice; `name_code` hash: what the unix port is to compare with.
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


def look(hal):
    longest, before = 0, hal.ticks_ms()
    for word in hal.code_check():
        now = hal.ticks_ms()
        longest, before = max(longest, (now - before) & 0x3FFFFFFF), now
        if word:
            break
    return [word, longest]


def name_code(hal, code):
    """On the unix port: what the code's hash is to be, "": what it is."""
    import os

    os.putenv("DOSELOOP_CODE", code or hal.code_hash())


def run(hal, calls):
    own = {"wait": wait, "busy": busy, "nap": nap, "fill": fill, "look": look, "name_code": name_code}
    answers = []
    for call in calls:
        name = call[0]
        if name in own:
            answers.append(own[name](hal, *call[1:]))
        else:
            answers.append(getattr(hal, name)(*call[1:]))
    return answers
