"""The alarm table and what is on (R-ALM-1, R-ALM-10). Time is elapsed ms.

An alarm is *on* from the moment its cause has lasted long enough. It goes off with its cause; a latched one only when
its cause is gone and a person has acknowledged it, in either order. HIGH always latches.
"""

import struct

from doseloop.units import Refusal, const

LOW = const(1)
MEDIUM = const(2)
HIGH = const(3)
PRIORITIES = ("SILENT", "LOW", "MEDIUM", "HIGH")

# What the pump does, in rising order; each includes the ones before it.
RUN = const(0)
NO_BOLUS = const(1)
LOWEST = const(2)
STOP = const(3)

_NOW = const(0)
_LATCHED = True
_HOLD = True  # the action stays until acknowledged, even if the cause is gone; else a cause gone leaves NO_BOLUS at most
_TEMPERATURE_MS = const(300_000)  # project: a door opened for a moment is no warm reservoir
_QUARTER_MS = const(900_000)  # R-ALM-7

# code, priority, action, latched, ms the cause must last, hold, ms between LOW signals (0: it sounds once), text.
# The place of a row is kept in dumps: add new ones at the end.
TABLE = (
    ("RESERVOIR_EMPTY", HIGH, STOP, _LATCHED, _NOW, False, 0, "the usable volume is gone: refill, then RUN"),
    ("BATTERY_DEPLETED", HIGH, STOP, _LATCHED, _NOW, False, 0, "the battery cannot drive the motor: replace it"),
    ("OVER_DELIVERY", HIGH, STOP, _LATCHED, _NOW, _HOLD, 0, "more was moved than ordered: check head and driver, then acknowledge"),
    ("MEMORY_FAULT", HIGH, STOP, _LATCHED, _NOW, False, 0, "program or journal copy damaged: read it back; commit again if none is good"),
    ("CLOCK_LOST", MEDIUM, LOWEST, False, _NOW, False, 0, "the time is not set, the lowest rate runs: send TIME"),
    ("FLOW_DISCREPANCY", HIGH, NO_BOLUS, _LATCHED, _NOW, False, 0, "witnessed and authorised volume differ: check tube and calibration"),
    ("MOTOR_STALL", HIGH, NO_BOLUS, _LATCHED, _NOW, False, 0, "steps without motion: check motor, head and tube"),
    ("UNDER_DELIVERY", HIGH, NO_BOLUS, _LATCHED, _NOW, False, 0, "less than the program was delivered: check the pump"),
    ("WITHDRAWAL_RISK", HIGH, NO_BOLUS, _LATCHED, _NOW, False, 0, "under half of the program in 6 h: abrupt withdrawal is dangerous"),
    ("PORT_OPEN", HIGH, NO_BOLUS, _LATCHED, _NOW, False, 0, "the catheter access port is open: close it, then acknowledge"),
    ("LATE", HIGH, NO_BOLUS, _LATCHED, _NOW, False, 0, "the dosing loop missed its deadline"),
    ("REFILL_DISCREPANCY", MEDIUM, RUN, _LATCHED, _NOW, False, 0, "the volume withdrawn is not the one expected: check calibration"),
    ("TEMPERATURE", MEDIUM, RUN, False, _TEMPERATURE_MS, False, 0, "the filled reservoir is too warm or too cold"),
    ("CAL_EXPIRED", MEDIUM, RUN, False, _NOW, False, 0, "the calibration has expired, no bolus: stop, then CAL:SET"),
    ("WATCHDOG_RESET", MEDIUM, RUN, _LATCHED, _NOW, False, 0, "the watchdog restarted the pump"),
    ("RESERVOIR_LOW", LOW, RUN, False, _NOW, False, 0, "the reservoir is low: plan the refill"),
    ("BATTERY_LOW", LOW, RUN, False, _NOW, False, 0, "replace the battery soon"),
    ("PUMP_STOPPED", LOW, RUN, False, _NOW, False, _QUARTER_MS, "the pump is stopped: RUN, or have the patient seen"),
    ("CATHETER_SUSPECT", LOW, RUN, _LATCHED, _NOW, False, 0, "sudden escalation: check pump function and catheter patency"),
)

# By priority: light, its ms on and off, and the burst: ms of sound, ms of silence, ... again and again while it sounds.
# Shapes of IEC 60601-1-8: HIGH a group of 5 twice at 2 Hz red, MEDIUM 3 at 0.5 Hz yellow, LOW one, steady. A burst fits a test's 2 s.
# Times are whole slices of 25 ms, by which hal_common.py plays them: a gap of 80 would be 100 and more.
SIGNALS = (
    ("", 0, 0, ()),
    ("yellow", 1, 0, (200, 16_000)),
    ("yellow", 1000, 1000, (200, 75, 200, 75, 200, 7500)),
    ("red", 250, 250, (100, 50, 100, 50, 100, 50, 100, 50, 100, 500, 100, 50, 100, 50, 100, 50, 100, 50, 100, 5000)),
)
TEST = const(256)  # this bit beside a signal: an alarm test plays it

LOW_MS = const(2000)  # how long LOW sounds
TEST_MS = const(2000)  # each signal of a test
MUTE_MS = const(120_000)

_DUMP = "<BBI"  # place in the table, priority, seconds it is on since
_DUMP_BYTES = const(6)


class Alarm:
    """One row of the table and how it stands. Read it; only Alarms changes it."""

    CHANGES = ("priority", "on", "cause", "acked", "since", "detail", "seen", "first", "due")  # all else is the row's, for good

    def __init__(self, place, row):
        self.place = place
        self.code, self.priority, self.row_action, self.latched, self.persist_ms, self.hold, self.repeat_ms, self.text = row
        self.row_priority = self.priority
        self.on = False
        self.cause = False  # present now, and long enough
        self.acked = False  # while on: a person has seen it
        self.since = 0  # when it came on
        self.detail = ""
        self.seen = False  # the cause is reported, long enough or not
        self.first = 0  # since when
        self.due = None  # when LOW sounds next, None = it has sounded

    def stays(self):
        return (self.latched or self.priority == HIGH) and not self.acked

    def action(self):
        action = max(self.row_action, NO_BOLUS) if self.priority == HIGH else self.row_action
        return action if self.cause or self.hold else min(action, NO_BOLUS)


class Alarms:
    """What is on. log(text) is told of each coming, going and acknowledgement."""

    def __init__(self, log, table=TABLE):
        self._log = log
        self._alarms = {row[0]: Alarm(place, row) for place, row in enumerate(table)}
        self._on = []  # by priority, then age
        self._pending = []  # seen, not yet for long enough
        self._action = RUN
        self._muted_until = None  # elapsed ms
        self._test_from = None  # elapsed ms
        self._low_from = None  # since when LOW sounds

    # ---- causes

    def set(self, code, on, now_ms, detail=""):
        """Report a cause as it stands. Called each turn: costs nothing while nothing changes."""
        alarm = self._alarms[code]
        if on:
            if not alarm.cause:
                self._coming(alarm, now_ms, detail)
        elif alarm.seen:
            self._going(alarm)

    def raise_(self, code, now_ms, detail=""):
        """Report a cause that came and is gone again; without a latch only the log shows it."""
        alarm = self._alarms[code]
        if not alarm.cause:
            self._turn_on(alarm, now_ms, detail)
            self._gone(alarm)

    def escalate(self, code, priority):
        """Give an alarm that is on a higher priority until it goes off; it counts as a new one."""
        alarm = self._alarms[code]
        if alarm.on and priority > alarm.priority:
            alarm.priority = priority
            alarm.acked = False
            self._news(code + " " + PRIORITIES[priority])

    def _coming(self, alarm, now_ms, detail):
        if not alarm.seen:
            alarm.seen = True
            alarm.first = now_ms
            self._pending.append(alarm)
        self._ripen(alarm, now_ms, detail)

    def _ripen(self, alarm, now_ms, detail):
        """Turn on what was seen for long enough; a cause is there until set() says that it is gone."""
        if now_ms - alarm.first >= alarm.persist_ms:
            self._pending.remove(alarm)
            self._turn_on(alarm, now_ms, detail)

    def _going(self, alarm):
        alarm.seen = False
        if alarm.cause:
            self._gone(alarm)
        else:
            self._pending.remove(alarm)

    def _turn_on(self, alarm, now_ms, detail):
        if not alarm.on:
            alarm.since = now_ms
            alarm.priority = alarm.row_priority
            self._on.append(alarm)
        alarm.on = alarm.cause = True
        alarm.due = now_ms
        alarm.detail = detail
        self._news(alarm.code + " on" + (" " + detail if detail else ""))

    def _gone(self, alarm):
        alarm.cause = False
        if alarm.stays():
            self._changed(alarm.code + " gone")
        else:
            self._turn_off(alarm)

    def _turn_off(self, alarm):
        alarm.on = alarm.acked = False
        self._on.remove(alarm)
        self._changed(alarm.code + " off")

    def _news(self, text):
        """A new alarm ends a mute and a test."""
        self._muted_until = self._test_from = None
        self._changed(text)

    def _changed(self, text):
        self._sort()
        self._log(text)

    def _sort(self):
        self._on.sort(key=lambda alarm: (-alarm.priority, alarm.since, alarm.place))
        self._action = max([alarm.action() for alarm in self._on] or (RUN,))

    # ---- persons

    def acknowledge(self, code):
        """A person has seen it. Refusal ARG if it is not on."""
        alarm = self._alarms.get(code)
        if alarm is None or not alarm.on:
            raise Refusal("ARG", "no such alarm is on: ALAR? lists them")
        alarm.acked = True
        self._changed(code + " acknowledged")
        if not alarm.cause:
            self._turn_off(alarm)

    def mute(self, now_ms):
        """Silence for 120 s; asked for again meanwhile, it does not grow. Returns the ms left."""
        if not self._is_muted(now_ms):
            self._muted_until = now_ms + MUTE_MS
            self._low_from = None  # what was cut short sounds again
            self._log("muted")
        return self._muted_until - now_ms

    def test(self, now_ms):
        """Play each signal for 2 s, from LOW to HIGH. A new alarm ends it."""
        self._test_from = now_ms
        self._log("alarm test")

    # ---- what follows

    def action(self):
        """RUN, NO_BOLUS, LOWEST or STOP: the strongest in force."""
        return self._action

    def is_on(self, code):
        return self._alarms[code].on

    def high(self, ignoring=()):
        """Code of the first HIGH that is on, save those to ignore; None if there is none."""
        for alarm in self._on:
            if alarm.priority == HIGH and alarm.code not in ignoring:
                return alarm.code
        return None

    def active(self):
        """The Alarm of each that is on, highest priority first, then oldest."""
        return list(self._on)

    def count(self):
        return len(self._on)

    def rows(self):
        """Every Alarm, on or not."""
        return list(self._alarms.values())

    def top(self):
        """Code of the first of active(), None if none is on."""
        return self._on[0].code if self._on else None

    # ---- the signal

    def signal(self, now_ms):
        """What sounds now: 0 or the highest priority that has to, one at a time; with the bit TEST in an alarm test.

        Call it each turn: causes that have lasted long enough come on here too.
        """
        if self._pending:
            for alarm in list(self._pending):
                self._ripen(alarm, now_ms, "")
        if self._test_from is not None:
            number = (now_ms - self._test_from) // TEST_MS
            if number < HIGH:
                return number + 1 | TEST
            self._test_from = None
        if not self._on:
            return 0
        if self._is_muted(now_ms):
            return 0
        if self._on[0].priority > LOW:
            self._low_from = None  # a LOW cut short by a higher one sounds again afterwards
            return self._on[0].priority
        return self._low(now_ms)

    def _is_muted(self, now_ms):
        if self._muted_until is not None and now_ms >= self._muted_until:
            self._muted_until = None
        return self._muted_until is not None

    def _low(self, now_ms):
        """LOW sounds for 2 s once, or every so often; one that came meanwhile sounds after it."""
        if self._low_from is not None and now_ms - self._low_from >= LOW_MS:
            for alarm in self._on:
                if alarm.due is not None and alarm.due <= self._low_from:
                    alarm.due = self._low_from + alarm.repeat_ms if alarm.repeat_ms else None
            self._low_from = None
        if self._low_from is None:
            for alarm in self._on:
                if alarm.due is not None and alarm.due <= now_ms:
                    self._low_from = now_ms
        return 0 if self._low_from is None else LOW

    def due(self, now_ms):
        """ms until signal() changes or a cause has lasted long enough; None: nothing is to come."""
        if not self._on and not self._pending and self._test_from is None:
            return None
        due = self._signal_due(now_ms)
        for alarm in self._pending:
            left = alarm.first + alarm.persist_ms - now_ms
            due = left if due is None or left < due else due
        return None if due is None else max(0, due)

    def _signal_due(self, now_ms):
        if self._test_from is not None:
            return TEST_MS - (now_ms - self._test_from) % TEST_MS
        if not self._on:
            return None
        if self._muted_until is not None:
            return self._muted_until - now_ms
        if self._on[0].priority > LOW:
            return None
        if self._low_from is not None:
            return self._low_from + LOW_MS - now_ms
        dues = [alarm.due for alarm in self._on if alarm.due is not None]
        return min(dues) - now_ms if dues else None

    # ---- over a restart

    def dump(self):
        """The latched alarms that are on, as bytes (6 each). Whether a cause outlives the restart nobody knows: it is left out,
        and so is an acknowledgement given while the cause was there."""
        data = b""
        for alarm in self._on:
            if alarm.latched or alarm.priority == HIGH:
                data += struct.pack(_DUMP, alarm.place, alarm.priority, alarm.since // 1000)
        return data

    def load(self, data):
        """Take back what dump() gave: on, unacknowledged, the cause gone until set() says otherwise."""
        by_place = {alarm.place: alarm for alarm in self._alarms.values()}
        for at in range(0, len(data) - _DUMP_BYTES + 1, _DUMP_BYTES):
            place, priority, since_s = struct.unpack(_DUMP, data[at : at + _DUMP_BYTES])
            alarm = by_place.get(place)
            if alarm and not alarm.on and priority <= HIGH:
                alarm.on = True
                alarm.priority = max(priority, alarm.row_priority)
                alarm.since = alarm.due = since_s * 1000
                self._on.append(alarm)
        self._sort()
