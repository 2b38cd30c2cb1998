"""Wires the parts together and turns the loop; decides nothing itself.

One turn: time, serial line, what is watched, the dosing chain, signals; then the report that feeds the watchdog and
keeps the motor driver on, and sleep until the earliest thing that is due.
"""

from doseloop.commands import Commands, needs
from doseloop.deliver import DELIVER
from doseloop.hal import BOOT_MAINT
from doseloop.operate import CHANGE
from doseloop.pump import REPORT_MS, Pump
from doseloop.selftest import SelfTest
from doseloop.status import ASK
from doseloop.treat import TREAT
from doseloop.units import collect_garbage, const
from doseloop.watch import Watch
from doseloop.wire import Wire

# The controller reports at least this often: as often as it puts leases, and before its last report is one lease old.
_LONGEST_IDLE_MS = const(9_000)
_HOLD_MS = const(1_000)  # the motor is held this long after the last lease: the engine may lag, the head comes to rest
_PUTS_A_TURN = const(8)
_COLLECT_TURNS = const(60)  # some 30 KB of garbage, half of what would force a collection
_LONG_MS = const(500)
_FAREWELL_MS = const(100)  # the answer to MAINT leaves the port before the reset takes the port away


class Controller:
    """run() never returns; turn() is one pass, for the tests."""

    def __init__(self, hal):
        self._hal = hal
        pump = self.pump = Pump(hal)
        pump.watch = Watch(pump)
        pump.self_test = SelfTest(pump)
        handlers = {}
        for table in (ASK, CHANGE, DELIVER, TREAT):
            handlers.update(table)
        self._commands = Commands(pump, handlers)
        self.wire = pump.wire = Wire(
            hal.serial, self._handle, needs, hal.random32, pump.keys, self._elapsed, pump.log_access
        )
        pump.events = self.wire.event
        self._signal = 0
        self._turns = 0  # since the garbage was last collected
        from doseloop.boot import restore  # here, for main.py forgets the module again: it is needed once

        restore(pump)
        pump.keeper.write_log()
        pump.self_test.start()

    def _elapsed(self):
        return self.pump.clock.elapsed

    def _handle(self, request):
        """What wire.py calls; what it has to tell the log is written before it is answered."""
        try:
            reply = self._commands.dispatch(request)
            if request.verb == "HELLO":
                self.pump.stage = None
            self.pump.refresh()
            return reply
        finally:
            self.pump.keeper.write_log()

    def run(self):
        while True:
            self.rest(self.turn())

    def rest(self, wait_ms):
        """Sleep. Before a long one, now and then, what the turns left behind is collected: then no turn has to (a Pico takes 8 ms).
        So is flash erased, a block each time: then no record has to wait for it.
        """
        self._turns += 1
        if wait_ms >= _LONG_MS and not self.pump.keeper.holding:
            self._hal.store.tidy()
        if self._turns >= _COLLECT_TURNS and wait_ms >= _LONG_MS:
            self._turns = 0
            collect_garbage()
        self._hal.idle(wait_ms)

    def turn(self):
        """One pass; returns the ms it may sleep."""
        pump = self.pump
        now = pump.clock.update()
        if pump.dosing.is_late(pump.clock.ticks):
            pump.note_late(now)
        busy = self.wire.turn()
        pump.watch.turn(now)
        pump.refresh()
        self._dose(pump.clock.elapsed)  # a command may have taken a while: the chain begins at the ticks that belong to this
        self._sound(now)
        self._report()
        if pump.keeper.waiting:
            pump.keeper.write_log()
        if busy:
            return 0
        return self._sleep(now)

    def _dose(self, now):
        """Keep the chain of leases ahead of time."""
        pump = self.pump
        dosing = pump.dosing
        ticks = pump.clock.ticks
        for _ in range(_PUTS_A_TURN):
            if dosing.due_in(ticks) > 0 or not self._hal.room():
                return
            if not dosing.tick() and not dosing.prepare(now, ticks):
                return

    def _sound(self, now):
        signal = self.pump.alarms.signal(now)
        if signal != self._signal:
            self._signal = signal
            self._hal.tone(signal)

    def _report(self):
        """Every part has reported in: feed the watchdog, and keep the driver on for as long as leases last."""
        pump = self.pump
        dosing = pump.dosing
        if dosing.running and not pump.motion.over_delivery:
            left_ms = max(0, dosing.chain_left_ms(pump.clock.ticks))
            self._hal.feed(min(REPORT_MS, left_ms + _HOLD_MS))
        self._hal.watchdog(REPORT_MS)

    def _sleep(self, now):
        pump = self.pump
        wait = min(_LONGEST_IDLE_MS, pump.watch.due_in(now), pump.dosing.due_in(pump.clock.ticks))
        sound = pump.alarms.due(now)
        if sound is not None and sound < wait:
            wait = sound
        if pump.reset_to_maint and not self.wire.waiting():
            self._hal.idle(_FAREWELL_MS)
            self._hal.reset(BOOT_MAINT)
        return wait if wait > 0 else 0
