"""The contract a board must meet. Everything platform-free sees the hardware only through an object like this.

A board family implements the class below in `hal_<family>.py`; the host tests bring their own, with the bad habits
of real hardware. Nothing here touches a pin.

Attributes and calls (all quantities are integers):
  ticks_ms()            milliseconds, 30 bits, wrapping; compare only by ticks_diff
  put(n, gap_us, period_us)   queue a lease: wait gap, then n times {wait period, pulse}; it starts at the end of the
                        lease before, or now if the engine is idle; must not allocate
  room()                leases the engine's queue can still take without blocking
  revoke()              end after the pulse in progress, empty the queue; returns pulses made since boot, exactly
  late()                steps since boot that left the engine beyond the board's jitter after their place; the places of
                        what follows moved behind them. 0 where hardware keeps the time
  stepped()             pulses on the step pin since boot, counted on another path than put()
  witness()             encoder counts, 30 bits, wrapping
  feed(ms)              motor driver stays enabled for that long from now; 0 drops it at once
  port_open()           the raw switch of the catheter access port reads open (or cannot be read), or has cut the motor off
  guard_port(on)        while on, an open port switch cuts the motor off by interrupt, whatever the loop does: enable drops and
                        no feed() raises it before the guard is off; then steps made meanwhile moved nothing (R-CAP-2)
  battery_mv()          one raw reading
  probe(part)           of "converter" (it reads a channel whose value the chip knows) or "buzzer" (it was heard): True it works,
                        False it does not, None this board cannot tell
  code_check()          a generator that looks over the code that runs: None for each slice of at most some 5 ms, at last a word:
                        "pass" it is as built, "FAIL" it is not, "none" nothing is there to compare it with
  temperature()         tenths of a degree C, or None without a sensor
  rtc()                 unix seconds of a clock that was kept over a power loss, or None
  rtc_set(unix_s)       set that clock
  tone(signal)          0 silent, else a row of alarms.SIGNALS; TEST bit for an alarm test
  watchdog(ms)          the controller reports in: the hal goes on feeding its hardware watchdog for that long, no longer
  idle(ms)              sleep until then, a serial byte, or an edge of the port switch
  reset(cause)          restart the board; does not return
  serial, store         wire.py's and journal.py's lower ends; a store is a store.FileStore or a region.RegionStore
  random32(), uid(), boot_cause, board (the dict of boards/<name>/board.py)
"""

from doseloop.units import const

TICKS_MASK = const(0x3FFFFFFF)
_TICKS_HALF = const(0x20000000)

BOOT_POWER = const(1)
BOOT_WATCHDOG = const(2)
BOOT_SOFT = const(3)
BOOT_MAINT = const(4)


def ticks_diff(later, earlier):
    """Signed distance of two 30-bit wrapping counts; right while they are less than 2^29 apart (6.2 days of ms).

    No number on the way is beyond a board's small int, so the dosing tick may use it.
    """
    distance = later - earlier
    if distance >= _TICKS_HALF:
        return distance - TICKS_MASK - 1
    if distance < -_TICKS_HALF:
        return distance + TICKS_MASK + 1
    return distance


def ticks_add(ticks, ms):
    """`ms` (not negative) after `ticks`, wrapping, with no number on the way beyond a board's small int."""
    room = TICKS_MASK - ticks
    return ticks + ms if ms <= room else ms - room - 1
