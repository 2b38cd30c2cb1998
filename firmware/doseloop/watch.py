"""What is looked at, how often, and which alarm it sets. Every condition of the alarm table is found here or in boot.py.

Each turn: port switch, end of a delivery, motion. Every half minute: battery. Each minute: windows, supplies, the rest.
"""

from doseloop import label, supplies
from doseloop.alarms import HIGH
from doseloop.units import HOUR_MS, MINUTE_MS, SECOND_MS, steps_of_nl

_BATTERY_MS = 30 * SECOND_MS
_FORECAST_MS = 2 * MINUTE_MS  # the refill date is exact to 3 min
# Motion is judged at each turn, at most 10 s apart; in a delivery at most 250 ms apart. The turn that sees the last of it may come so
# much after it, and so may the one that finds it gone for long enough (R-ALM-5).
_PATIENCE_MS = label.STALL_MS - 20 * SECOND_MS
_PATIENCE_DELIVERY_MS = 500
DELIVERY_TURN_MS = 250
_LAG_MS = 500  # the engine may be this late with a delivery's last steps: a flash erase and a slow turn lay before its first
_LAG_TURN_MS = 5


class Watch:
    """turn() each turn of the loop; due_in() says when it wants the next at the latest."""

    def __init__(self, pump):
        self._pump = pump
        self._next_minute = 0
        self._next_battery = 0
        self._next_supplies = 0
        self._next_forecast = 0
        self._stepped = (-1, 0)  # motion.moved_at, and the pulses on the step pin then
        self.refill_due = None  # elapsed ms at which RESERVOIR_LOW is forecast to come on (R-FIL-3)

    def due_in(self, now):
        wait = min(self._next_minute, self._next_battery, self._next_supplies) - now
        if self._pump.keeper.dirty:
            wait = min(wait, SECOND_MS)
        delivery = self._pump.deliveries.current
        if delivery:
            left = delivery.started + delivery.span_ms - now
            wait = min(wait, DELIVERY_TURN_MS, left if left > 0 else _LAG_TURN_MS)
        return min(wait, self._pump.port.due_in(now), self._pump.self_test.due_in(now))

    def turn(self, now):
        pump = self._pump
        if pump.port.check(now, pump.hal.port_open()) or pump.port.open:
            self._port(now)
        delivery = pump.deliveries.current
        if delivery and now >= delivery.started + delivery.span_ms + (_LAG_MS if pump.dosing.extra_runs_on() else 0):
            pump.end_delivery()
            pump.flow()
        self._motion(now)
        pump.self_test.turn(now)
        if pump.keeper.failed:
            self._unwritten(now)
        if now >= self._next_battery:
            self._next_battery = now + _BATTERY_MS
            self._battery(now)
        self._now_and_then(now)
        if pump.keeper.dirty:
            self._save(now)
        if pump.dosing.exhausted and pump.dosing.outstanding(now) <= 0:
            self._reservoir(now)

    def look_at_supplies(self, now):
        """The reservoir's alarms anew: after a refill, an EMPTY."""
        self._reservoir(now)

    # Each turn.

    def _port(self, now):
        """An open port ends a bolus or prime at once; basal goes on (R-CAP-2)."""
        pump = self._pump
        pump.alarms.set("PORT_OPEN", pump.port.open and pump.port.known, now)
        if pump.port.open:
            self._end_dose()

    def _end_dose(self):
        delivery = self._pump.deliveries.current
        if delivery and delivery.verb.startswith("DOSE:"):
            self._pump.end_delivery()
            self._pump.flow()

    def _motion(self, now):
        pump = self._pump
        motion = pump.motion
        patience = _PATIENCE_DELIVERY_MS if pump.deliveries.current else _PATIENCE_MS
        was = motion.stalled or motion.over_delivery
        motion.check(now, pump.dosing.due(now), pump.motion_counts(), patience)
        if motion.moved_at != self._stepped[0]:
            self._stepped = (motion.moved_at, pump.hal.stepped())
        if was or motion.stalled or motion.over_delivery:
            if not was:
                self._trust_plan(now)
            self._judge_motion(now)

    def _trust_plan(self, now):
        """Before the account is believed: if the plan is damaged, it is the account that is wrong, not the motion (R-ALM-8)."""
        if not self._pump.dosing.is_sealed():
            self._pump.self_test.memory(now)

    def _unwritten(self, now):
        """The journal took no write: no bolus, and basal goes on (R-ALM-8, R-ALM-11)."""
        pump = self._pump
        pump.keeper.failed = False
        if not pump.alarms.is_on("MEMORY_FAULT"):
            pump.alarms.raise_("MEMORY_FAULT", now, "the journal cannot be written")

    def _judge_motion(self, now):
        pump = self._pump
        alarms = pump.alarms
        if pump.motion.stalled and not pump.engine_dead and self._engine_stands():
            pump.engine_dead = True
            pump.settle()  # what fell due and was never made is no motion that is missing,
            pump.restart_motion(now)  # and its taking back no motion too much
            alarms.set("MOTOR_STALL", True, now, "the step engine makes no steps: basal is withheld")
        alarms.set("MOTOR_STALL", pump.motion.stalled or pump.engine_dead, now)
        alarms.set("OVER_DELIVERY", pump.motion.over_delivery, now)
        if pump.motion.over_delivery:
            pump.hal.feed(0)
        if (pump.motion.stalled or pump.motion.over_delivery) and pump.deliveries.current:
            pump.end_delivery()
            pump.flow()

    def _engine_stands(self):
        """What was due since motion was last seen has not even left the engine: not one pulse on the step pin (R-ALM-11)."""
        pump = self._pump
        stepped = pump.hal.stepped()
        return stepped == self._stepped[1] and pump.dosing.due(pump.clock.elapsed) - stepped > 1

    # Now and then.

    def _now_and_then(self, now):
        """One thing a turn: together they would take a Pico 11 ms."""
        if now >= self._next_minute:
            self._next_minute = now + MINUTE_MS
            self._minute(now)
        elif now >= self._next_supplies:
            self._next_supplies = now + MINUTE_MS
            self._reservoir(now)

    def _battery(self, now):
        pump = self._pump
        works = pump.hal.probe("converter") is not False
        pump.battery.sample(pump.hal.battery_mv() if works else -1, now)
        pump.alarms.set("BATTERY_LOW", pump.battery.low, now, "the battery cannot be read" if pump.battery.unread else "")
        pump.alarms.set("BATTERY_DEPLETED", pump.battery.depleted, now)

    def _minute(self, now):
        pump = self._pump
        self._trust_plan(now)
        pump.advance(now)
        pump.motion.minute(pump.dosing.due(now), pump.motion_counts())
        self._took_force(now)
        if pump.clock.is_set():
            pump.ledger.note_day(pump.clock.local_day(now))
        self._windows(now)
        self._record(now)

    def _save(self, now):
        """What changed by itself, an alarm above all, is saved in the same turn, but at most once a second."""
        keeper = self._pump.keeper
        if not keeper.holding and now - keeper.saved_at >= SECOND_MS:
            self._pump.save()
            if keeper.unsampled:
                self._pump.write_sample()

    def _took_force(self, now):
        """The first step of another program has been made: it is the program last run (R-TIT-3)."""
        pump = self._pump
        program, first = pump.basal.program, pump.dosing.first_step_at
        if program is None or first is None or first > now:
            return
        if not pump.therapy.runs(program):
            restart = pump.therapy.is_holiday_over(now)
            suspicion = pump.therapy.took_force(program, first, now)
            if restart:
                pump.windows.begin(now)
            self.suspect_catheter(suspicion, now)
            pump.keeper.dirty = True

    def suspect_catheter(self, suspicion, now):
        """The advisory of R-MNT-4, with what suggests it."""
        if suspicion:
            self._pump.alarms.raise_("CATHETER_SUSPECT", now, suspicion)

    def settle_force(self, now):
        """Bring the history up to date before a decision that reads it."""
        self._pump.advance(now)
        self._took_force(now)

    def _windows(self, now):
        pump = self._pump
        if not pump.is_in_therapy():
            for code in ("UNDER_DELIVERY", "WITHDRAWAL_RISK"):
                pump.alarms.set(code, False, now)
        if not pump.is_in_therapy() or pump.basal.program is None:  # in a new trial they stay as they were
            return
        ledger = pump.ledger
        full = pump.windows.sample(now, pump.basal.programmed.total, ledger.steps["dose"], ledger.counts)
        pump.alarms.set("UNDER_DELIVERY", pump.windows.under_delivery, now)
        pump.alarms.set("WITHDRAWAL_RISK", pump.windows.withdrawal_risk, now)
        if full:
            ledger.mark_quarter(now)
        if full and not pump.keeper.holding:
            pump.write_sample()

    def _reservoir(self, now):
        pump = self._pump
        reservoir, ledger = pump.reservoir, pump.ledger
        pump.advance(now)
        filled = reservoir.fluid == "drug"
        program = pump.basal.program if filled else None
        course_ms = pump.basal.course_ms(now) if program else None
        pump.alarms.set("RESERVOIR_LOW", filled and supplies.is_low(reservoir, program, course_ms), now)
        empty = pump.is_in_therapy() and pump.basal.program is not None and steps_of_nl(reservoir.usable_nl(), ledger.steps_per_ml) < 1
        pump.alarms.set("RESERVOIR_EMPTY", empty, now)
        authorised, witnessed = ledger.since_refill()[:2]
        off = abs(authorised - witnessed)
        wide = off > label.FLOW_DISCREPANCY_NL and off * 100 > label.FLOW_DISCREPANCY_PERCENT * max(authorised, witnessed)
        pump.alarms.set("FLOW_DISCREPANCY", wide, now)

    def fresh_forecast(self, now):
        """Elapsed ms at which RESERVOIR_LOW is forecast to come on, None if unknown; worked out anew if old or changed."""
        if now >= self._next_forecast:
            self.forecast(now)
        return self.refill_due

    def forget_forecast(self):
        """Something it depends on has changed."""
        self._next_forecast = 0

    def forecast(self, now):
        """Work out the refill date (R-FIL-3)."""
        pump = self._pump
        self._next_forecast = now + _FORECAST_MS
        self.refill_due = None
        if pump.basal.program is None or pump.reservoir.fluid != "drug" or not pump.clock.is_set():
            return
        pump.advance(now)
        due = supplies.refill_due_ms(pump.reservoir, pump.basal.program, pump.basal.course_ms(now))
        self.refill_due = now + due

    def _record(self, now):
        """What depends on records: calibration, temperature, clock, the stop that lasts."""
        pump = self._pump
        alarms = pump.alarms
        pump.clock.compare()
        alarms.set("CLOCK_LOST", not pump.clock.is_set(), now)
        alarms.set("CAL_EXPIRED", pump.delivering and calibration_fault(pump) is not None, now)
        celsius = pump.hal.temperature()
        filled = pump.reservoir.fluid != "none" and not pump.reservoir.emptied
        hot_or_cold = celsius is not None and not label.TEMPERATURE_LOW <= celsius <= label.TEMPERATURE_HIGH
        alarms.set("TEMPERATURE", filled and hot_or_cold, now)
        stopped = pump.therapy.stopped_at
        is_stopped = pump.is_in_therapy() and not pump.run
        alarms.set("PUMP_STOPPED", is_stopped, now)
        if is_stopped and stopped is not None and now - stopped >= label.STOPPED_HIGH_MS:
            alarms.escalate("PUMP_STOPPED", HIGH)


def calibration_fault(pump):
    """Why the calibration is not valid now, or None (R-CAL-1): none, hours of tube use, volume."""
    calibration = pump.calibration
    if calibration is None:
        return "no calibration"
    if pump.clock.elapsed - calibration["at_ms"] > calibration["hours"] * HOUR_MS:
        return "the calibration's hours are used up"
    if pump.ledger.authorised_nl.total - calibration["at_nl"] > calibration["volume"] * 1000:
        return "the calibration's volume is used up"
    return None
