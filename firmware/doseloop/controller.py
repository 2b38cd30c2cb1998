"""Wires the parts together and turns the loop; decides nothing itself.

One turn: time, serial line, what is watched, the dosing chain, signals; then the report that feeds the watchdog and
keeps the motor driver on, and sleep until the earliest thing that is due.
"""

from doseloop import boot, selftest
from doseloop.auth import Keys
from doseloop.commands import Commands, needs
from doseloop.deliver import DELIVER
from doseloop.operate import CHANGE
from doseloop.pump import REPORT_MS, Pump
from doseloop.status import ASK
from doseloop.treat import TREAT
from doseloop.units import const
from doseloop.watch import Watch
from doseloop.wire import Wire

# The controller reports at least this often: within one lease, and well within the watchdog.
_LONGEST_IDLE_MS = const(10_000)
_PUTS_A_TURN = const(8)


class Controller:
    """run() never returns; turn() is one pass, for the tests."""

    def __init__(self, hal):
        self._hal = hal
        pump = self.pump = Pump(hal)
        pump.watch = Watch(pump)
        pump.keys = Keys()
        handlers = {}
        handlers.update(ASK)
        handlers.update(CHANGE)
        handlers.update(DELIVER)
        handlers.update(TREAT)
        self._commands = Commands(pump, handlers)
        self.wire = pump.wire = Wire(
            hal.serial, self._handle, needs, hal.random32, pump.keys, self._elapsed, pump.log_access
        )
        pump.events = self.wire.event
        self._signal = 0
        boot.restore(pump)
        selftest.at_start(pump)

    def _elapsed(self):
        return self.pump.clock.elapsed

    def _handle(self, request):
        reply = [(name, str(value)) for name, value in self._commands.dispatch(request)]
        if request.verb == "HELLO":
            self.pump.stage = None
        self.pump.refresh()
        return reply

    def run(self):
        while True:
            self._hal.idle(self.turn())

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
        """Every part has reported in: feed the watchdog, and keep the driver on while something is to move."""
        pump = self.pump
        if pump.dosing.running and not pump.motion.over_delivery:
            self._hal.feed(REPORT_MS)
        self._hal.watchdog(REPORT_MS)

    def _sleep(self, now):
        pump = self.pump
        wait = min(_LONGEST_IDLE_MS, pump.watch.due_in(now), pump.dosing.due_in(pump.clock.ticks))
        sound = pump.alarms.due(now)
        if sound is not None and sound < wait:
            wait = sound
        if pump.reset_to_maint and not self.wire.waiting():
            self._hal.reset(4)
        return wait if wait > 0 else 0
