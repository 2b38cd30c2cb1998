"""The pump: its parts, and the few things that can be done to it. Rules live in the parts; what watches is in watch.py.

Delivering means: RUN is in force, a program is committed, and no alarm that stops is on (R-ALM-1, R-ALM-11). Every
change goes the same way: settle the chain so the account is exact, change, let it flow again.
"""

from doseloop import records, snapshot
from doseloop.alarms import LOWEST, STOP, Alarms
from doseloop.auth import Keys
from doseloop.basal import Basal
from doseloop.battery import Battery
from doseloop.bolus import CATEGORY, Deliveries, Delivery, bolus_text, is_short
from doseloop.clock import Clock
from doseloop.dosing import Dosing
from doseloop.hal import ticks_diff
from doseloop.keeper import Keeper
from doseloop.ledger import DOSE, Ledger, reservation
from doseloop.line import Line
from doseloop.port import Port
from doseloop.supplies import Reservoir
from doseloop.taper import make_program
from doseloop.therapy import ORDINARY, Therapy
from doseloop.units import DAY_MS, HOUR_MS, Refusal, nl_of_steps, steps_of_nl, unix_days
from doseloop.windows import MotionWatch, Windows

_RESTING = ("PUMP_STOPPED", "WITHDRAWAL_RISK", "UNDER_DELIVERY")  # what a stopped infusion raises
REPORT_MS = 10_000  # watchdog and driver live on a report of the controller at most one lease old


class Pump:
    """hal: the board. Nothing moves before `boot.restore` has run and the loop turns."""

    def __init__(self, hal):
        board = hal.board
        self.hal = hal
        self.board = board
        self.clock = Clock(hal)
        self.keeper = Keeper(hal.store, self.clock)
        self.keys = Keys()
        self.alarms = Alarms(self._log_alarm)
        self.line = Line(board)
        self.ledger = Ledger(board, self.line)
        self.reservoir = Reservoir(board, self.ledger)
        self.battery = Battery(board)
        self.basal = Basal(self.clock)
        self.dosing = Dosing(hal, self.basal.rate_at, self._reserve)
        self.therapy = Therapy()
        self.deliveries = Deliveries()
        self.windows = Windows(self.ledger)
        self.motion = MotionWatch(self.ledger, board["witness_slack_counts"])
        self.port = Port()
        self.calibration = None  # dict of CAL:SET
        self.run = False  # RUN is in force
        self.delivering = False
        self.observe_until = 0  # elapsed ms of the observation timer's end (R-FIL-4)
        self.imported = False
        self.engine_dead = False  # orders were put and no pulse came: withheld until a reset (R-ALM-11)
        self.events = None  # callable(name, pairs) of the wire
        self.steps_before_boot = 0
        self.clock_moving = False  # the clock is being set: no record proves an outage before the next sample
        self.stage = None  # staging.Stage: the program being staged
        self.last_command = None  # (verb, id, outcome)
        self.last_error = ("none", "")
        self.reset_to_maint = False
        self._witness_zero = hal.witness()
        self._extra_witness = 0
        self._extra_due = 0

    # Delivering or not.

    def refresh(self, judged=False):
        """Bring delivery in line with RUN and the alarms; called after whatever may have changed either.

        judged: by RUN, or it is a reset, after which basal resumes whatever the outage was (R-ALM-11).
        """
        action = self.alarms.action()
        current = self.deliveries.current
        if current and (action >= STOP or self.forbids(current.verb)):
            self.end_delivery()
            self.flow()
        wanted = self.run and self.basal.program is not None and action < STOP and not self.engine_dead
        lowest = action == LOWEST
        if wanted == self.delivering and lowest == self.basal.lowest:
            return
        now = self.settle()
        self.basal.lowest = lowest
        if wanted and not self.delivering and not judged and self.therapy.is_long_idle(now):
            self._drop_run(now)
        elif wanted and not self.delivering:
            self._resume(now)
        elif not wanted and self.delivering:
            self._rest(now)
        self.flow()

    def forbids(self, verb):
        """Code of the alarm that forbids this delivery now, or None (R-BOL-3).

        A screening dose is given while the infusion rests: that it rests is no reason against it.
        """
        if verb not in ("DOSE:BOLUS", "DOSE:SCREEN"):
            return None
        return self.alarms.high(_RESTING if verb == "DOSE:SCREEN" else ())

    def _drop_run(self, now):
        """Held by an alarm for more than 14 days: RUN is asked anew, for then a first program's dose is the most (R-WDR-1)."""
        self.run = False
        self.therapy.note_stop(now)
        self.alarms.set("PUMP_STOPPED", True, now)
        self.save()

    def settle(self):
        """Make the account exact for now, with the chain revoked and any delivery beside basal ended; returns now."""
        now = self.clock.update()
        if self.deliveries.current:
            self.end_delivery()
        self.dosing.settle(now)
        self.basal.cut_given(now)
        self.advance(now)
        return now

    def advance(self, now):
        """Book what fell due and what the witness saw until now."""
        tip_conc, switched_at = self.ledger.tip_conc(), self.dosing.switched_at
        self.ledger.advance(self.dosing.due(now), self.hal.witness())
        switch = (switched_at, self.line.conc, self.line.feed) if switched_at is not None else None
        self.basal.advance_programmed(now, self.ledger.steps_per_ml, tip_conc, switch, self.is_in_therapy())
        self.therapy.note_running(now, self.delivering and not self.basal.is_over(now))

    def flow(self):
        """Let leases flow from the next turn on, if there is something to deliver."""
        if self.delivering:
            self._configure()
            self.dosing.begin()

    def _configure(self):
        left = self.ledger.bridge_left()
        switch = (self.dosing.due(self.clock.elapsed) + left, self.line.feed) if left else None
        self.dosing.configure(self.ledger.steps_per_ml, self.ledger.tip_conc() or 1, switch)

    def _resume(self, now):
        self.delivering = True
        self.basal.on = True
        if self.therapy.first_run is None:
            self.windows.begin(now)
            self.ledger.mark_quarter(now)
        self.therapy.resume(now)
        self._come_into_force(now)
        self.restart_motion(now)

    def _come_into_force(self, now):
        """What is no increase, and the first program of all, is what runs from here on, first step or not: a dose so small that its
        first step takes days, or a power cut, must not keep the old dose, or none, the base of the next step (R-TIT-4, R-INI-1). A taper
        counts its days from here (R-HOL-1).
        """
        program = self.basal.program
        self.therapy.came_into_force(program, now)
        if program.is_taper and program.start is None:
            program.start = now
        base = self.therapy.base(now)
        if base is None or (not self.therapy.runs(program) and program.daily <= base.daily):
            self.watch.suspect_catheter(self.therapy.took_force(program, now, now), now)

    def _rest(self, now):
        self.delivering = False
        self.basal.on = False
        self.dosing.reserved = 0
        self.hal.feed(0)
        self.therapy.note_running(now, not self.basal.is_over(now))
        return not self.keeper.holding and self.write_sample()  # held: by a command, which is saved first

    def motion_counts(self):
        """Witness counts since boot."""
        return ticks_diff(self.hal.witness(), self._witness_zero)

    def restart_motion(self, now):
        """Judge motion anew: after a resume, at the start of a delivery, after an acknowledged fault."""
        self.motion.reset(now, self.dosing.due(now), self.motion_counts())

    def is_in_therapy(self):
        """From the first chronic RUN to a holiday's zero, and again from its restart: PUMP_STOPPED exists (R-ALM-7).

        A new trial after a therapy is no zero: a patient whose infusion was stopped is still one.
        """
        if self.therapy.first_run is None:
            return False
        if not self.therapy.is_holiday_over(self.clock.elapsed):
            return True
        return self.run and not self.basal.is_over(self.clock.elapsed)

    # The account in the journal.

    def _reserve(self, steps):
        """Cover the next basal steps by a record before they are made; returns how many more are covered."""
        now = self.clock.elapsed
        self.advance(now)
        usable = steps_of_nl(self.reservoir.usable_nl(), self.ledger.steps_per_ml)
        free = usable - self.dosing.outstanding(now) - self.dosing.reserved
        granted = max(0, min(max(steps, self._reservation(now)), free))
        if granted < self._reservation(now):
            self.dosing.single_steps(True)
        if granted:
            self.write_sample(granted)
        return granted

    def _reservation(self, now):
        """Steps of one reservation."""
        covered = self.dosing.outstanding(now) + self.dosing.reserved
        return reservation(self.board, self.ledger, self.basal.rate_ng_h(now), covered)

    def write_sample(self, granted=0):
        """One record of the account: what was, and what may still be made before the next one (with `granted` steps more).

        True if it is written.
        """
        covered = granted
        if self.delivering:
            covered += self.dosing.reserved + self.dosing.outstanding(self.clock.elapsed)
        kind = records.SAMPLE_RUNNING if self.delivering else records.SAMPLE_AT_REST if self.run else records.SAMPLE_STOPPED
        return self.keeper.sample(self.ledger, self.basal.programmed.total, covered, kind)

    def save(self):
        """The record and everything else that must survive, in both copies; while a delivery moves, after it. True if it is kept."""
        self.watch.forget_forecast()
        if self.keeper.holding or not self.self_test.is_sound():
            self.keeper.dirty = True
            return False
        return self.keeper.save(snapshot.dump(self))

    def _log_alarm(self, text):
        self.keeper.log(records.ALARM, text)
        self.keeper.dirty = True
        if self.events:
            self.events("ALARM", [("text", text)])

    def expiry_s(self):
        """Unix seconds at the end of the lot's last day, 0 if there is none."""
        expiry = self.reservoir.expiry
        return 0 if not expiry else (unix_days(expiry) + 1) * DAY_MS // 1000 - self.clock.offset_min * 60

    def log_access(self, text):
        self.keeper.log(records.ACCESS, text)

    def note_late(self, now):
        """The chain ran dry: a named fault, and the chain starts anew from now; what was missed is not made up (R-ALM-9)."""
        self.dosing.note_late()
        self.settle()
        self.restart_motion(now)
        self.alarms.raise_("LATE", now, "the dosing loop missed its deadline")
        self.flow()

    # What can be done to it.

    def stop(self):
        """STOP (R-OVD-1): latched until RUN. Returns the delivery it cut short, or None."""
        cut = self.deliveries.current
        now = self.settle()
        self.watch.settle_force(now)
        news = self.run or self.delivering or cut
        if self.run or self.delivering:
            self.run = False
            self.therapy.note_stop(now)
        on_record = self.delivering and self._rest(now)
        self.hal.feed(0)
        self.alarms.set("PUMP_STOPPED", self.is_in_therapy(), now)
        if news and not self.save():  # STOP needs no key: said again and again it must not wear the flash
            self.keeper.unkept = not (on_record or self.write_sample())
        return cut

    def start(self):
        """RUN, after every rule has agreed."""
        self.run = True
        self.alarms.set("PUMP_STOPPED", False, self.clock.elapsed)
        self.refresh(judged=True)

    def put_in_force(self, program, kind=ORDINARY, observe_h=None):
        """Commit: from now on if delivering, else at RUN. The chain before it is settled, the remainder goes on.

        kind: what sort of commit therapy.took_force will see (ordinary, OVERDOSE, RETURN).
        """
        now = self.settle()
        last = self.therapy.last_run
        old = self.basal.program
        self.basal.change(program, now, old is not None and last is not None and last.hash == old.hash)
        self.therapy.note_commit(kind, now)
        self.dosing.first_step_at = None
        if self.delivering:
            self._come_into_force(now)
        self.flow()
        self.start_observation(observe_h)

    def exchange_program(self, same):
        """The one in memory was damaged; `same` was read back. What it laid out so far stays as it was made."""
        if self.therapy.last_run is self.basal.program:
            self.therapy.last_run = same
        self.basal.program = same
        self.settle()

    def end_therapy(self):
        """A new screening trial: nothing is committed any more, what ran stays in the history (R-SCR-5)."""
        now = self.settle()
        last = self.therapy.last_run
        ran = last is not None and self.basal.program is not None and last.hash == self.basal.program.hash
        self.basal.change(None, now, ran)
        self.therapy.open_trial(now, make_program)
        self.windows.begin(now)

    def start_observation(self, hours=None):
        """hours: 1 to 72, None: the board's default; a later end holds (R-FIL-4)."""
        self.observe_until = max(self.observe_until, self.clock.elapsed + (hours or self.board["observation_h"]) * HOUR_MS)

    def set_clock(self, unix_s, offset_min):
        """Set the wall clock; the rate follows the clock shown, elapsed time does not (R-TIM-1, R-PRF-4).

        Once it is saved, keep_clock().
        """
        now = self.settle()
        was_set = self.clock.is_set()
        self.clock_moving = True
        self.clock.set_wall(unix_s, offset_min)
        if was_set or self.therapy.first_run is not None:
            self.basal.correct_clock(now)
        self.alarms.set("CLOCK_LOST", False, now)
        self.refresh()
        self.flow()

    def keep_clock(self):
        """The kept clock follows the wall clock that was set and saved."""
        self.clock.keep()
        self.clock_moving = False
        self.save()

    def refill(self, count_nl, record):
        """record: dict with volume_nl, fluid, conc, lot, expiry, observe_h (R-FIL-2)."""
        now = self.settle()
        self.reservoir.refill(count_nl, record["fluid"], record["conc"], record["lot"], record["expiry"])
        self.dosing.single_steps(False)
        self.dosing.reserved = 0
        if record["fluid"] == "drug":
            self.therapy.note_refill(now, record["volume_nl"], self.reservoir.capacity_nl)
        self.start_observation(record["observe_h"])
        self.flow()

    def empty(self):
        """EMPTY: the reservoir was evacuated (R-OVD-1)."""
        self.settle()
        self.dosing.reserved = 0
        self.reservoir.empty()
        self.flow()

    def calibrate(self, calibration, part):
        """CAL:SET, only while stopped (R-CAL-1). part: of the line that is new with it, or None."""
        self.settle()
        if part:
            self.line.replace(part)
        self.line.recalibrate(self.ledger.steps[DOSE], self.ledger.steps_per_ml, calibration["spm"])
        self.calibration = calibration
        self.ledger.steps_per_ml = calibration["spm"]

    def renew_line(self, part):
        """LINE:NEW, only while stopped (R-CON-4)."""
        self.settle()
        self.line.replace(part)

    # Deliveries beside basal.

    def begin_delivery(self, verb, number, volume_nl, span_ms, steps=None):
        """Intent to the journal, then the steps. Returns the Delivery."""
        now = self.settle()
        if steps is None:
            steps = steps_of_nl(volume_nl, self.ledger.steps_per_ml)
        if nl_of_steps(steps, self.ledger.steps_per_ml) > self.reservoir.usable_nl():
            self.flow()
            raise Refusal("STATE", "%d nl asked, %d usable; refill first" % (volume_nl, self.reservoir.usable_nl()))
        self._configure()
        delivery = Delivery(verb, number, steps, span_ms, volume_nl, self.ledger.tip_conc(), now)
        self._cover_basal(now, span_ms)
        if self.keeper.unkept or not self.keeper.intent(delivery):
            self.flow()
            raise Refusal("ALARM_ACTIVE", "no delivery while the journal cannot be written; see SELF?")
        self.ledger.category = CATEGORY[verb]
        self.deliveries.begin(delivery)
        self._watch_delivery()
        self.keeper.holding = True
        self.dosing.reserved += steps
        self.hal.guard_port(verb.startswith("DOSE:"))
        delivery.started = self.clock.update()  # the journal may have taken a flash erase
        self.dosing.start_extra(steps, span_ms, delivery.started)
        return delivery

    def _cover_basal(self, now, span_ms):
        """Basal during the delivery is covered beforehand, for nothing is written while it moves."""
        if self.delivering:
            rate_nl_h = self.basal.rate_ng_h(now) * 1000 // self.ledger.tip_conc() + 1
            wanted = steps_of_nl(rate_nl_h * span_ms // HOUR_MS, self.ledger.steps_per_ml) + 2
            if self.dosing.reserved < wanted:
                self.dosing.reserved += self._reserve(wanted - self.dosing.reserved)

    def _watch_delivery(self):
        self._extra_witness = self.ledger.counts
        self._extra_due = self.ledger.total_steps()
        self.restart_motion(self.clock.elapsed)

    def end_delivery(self):
        """Cut the delivery in progress short, or book its natural end; basal goes on by the caller's flow()."""
        now = self.clock.update()
        delivery = self.deliveries.current
        self.hal.guard_port(False)  # first: an edge after the engine was revoked must not halt it again, basal goes on (R-CAP-2)
        made = self.dosing.end_extra(now)
        made = delivery.steps if made is None else made
        self.advance(now)
        self.dosing.reserved -= delivery.steps - made
        self.ledger.category = DOSE
        expected = self.ledger.counts_of_steps(self.ledger.total_steps() - self._extra_due)
        short = is_short(expected, self.ledger.counts - self._extra_witness, self.board["witness_slack_counts"])
        self.deliveries.finish(made, now, self.ledger.steps_per_ml, short)
        if delivery.verb == "DOSE:BOLUS":
            self.ledger.bolus_steps += made
        if delivery.verb == "DOSE:SCREEN":
            self.therapy.trial.end(delivery.outcome, now)
        self.line.delivered(CATEGORY[delivery.verb], made, self.ledger.steps_per_ml)
        self.keeper.result(delivery)
        self.keeper.holding = False
        self.keeper.log(records.CHANGE, bolus_text(delivery))
        self.write_sample()
        self.save()
        if self.events:
            pairs = [("verb", delivery.verb), ("id", "%08x" % delivery.number), ("outcome", delivery.outcome), ("steps", str(made))]
            self.events("DELIVERY", pairs)
        return delivery
