"""From the journal to a pump that goes on: what was lost is booked as uncertain, a running basal resumes by itself.

After any reset: nothing is made up, nothing is withheld (R-ALM-11). Only storage without a good copy withholds basal.
"""

from doseloop import label, records, snapshot
from doseloop.bolus import CATEGORY, Delivery
from doseloop.hal import BOOT_WATCHDOG
from doseloop.ledger import DOSE, PRIME
from doseloop.units import DAY_MS, collect_garbage, ng_of_nl, nl_of_steps, steps_of_nl
from doseloop.windows import QUARTER_MS

_COLLECT_EVERY = 32  # records: what stays must not be strewn between what goes, or no large block is left
_TORN_MOST = 2  # records at the end of the account that a cut may have torn
_LOST_MS = 2 * QUARTER_MS  # of basal: until the next quarter hour's record, and the last reservation
_BATTERY_READINGS = 3  # what the battery needs for a verdict: no motor is driven before
_ZERO_STATE = ("none", "good")
_CAUSES = ("unknown", "power", "watchdog", "soft", "maint")


def restore(pump):
    """Bring the pump back to where the journal left it, then start what ran."""
    torn = pump.keeper.journal.open()
    state, verdict = pump.keeper.load()
    pump.keys.load(pump.keeper.journal, bool(state and state.get("keys")))
    last = pump.keeper.journal.newest("acct") or pump.keeper.journal.newest("marks")
    outage_ms = _go_on_with_time(pump, last, state)
    if state:
        snapshot.load(pump, state)
    if last:
        _restore_account(pump, state)
    if last and verdict == "none":
        verdict = "bad"
    pump.steps_before_boot = pump.ledger.total_steps()
    _report(pump, torn, verdict, outage_ms)
    _resume(pump, state, outage_ms)


def _go_on_with_time(pump, last, state):
    """Elapsed time goes on from what was written last; an outage counts only if the present clock, kept, proves it."""
    newest_log = pump.keeper.journal.newest("log")
    times = [entry[2] for entry in (last, newest_log) if entry]
    if state:
        times.append(state["at"])
    if not times:
        pump.clock.begin(0, None, 0)
        return 0
    newest = max(times)
    proven = state and not state["clock_moving"] and state["zero"] is not None
    return pump.clock.begin(newest, state["zero"] + newest if proven else None, state["offset"] if state else 0)


def _restore_account(pump, state):
    """Newest sample into the ledger, what it reserved as uncertain, a delivery without a result as UNCERTAIN."""
    replay = _Replay(pump, state["at"] if state else -1)
    for seq, kind, elapsed, _, payload in pump.keeper.journal.records("acct"):
        if not replay.begun:
            replay.begin(pump.keeper.journal.records("marks"), elapsed)
        replay.take(kind, elapsed, payload)
        if seq % _COLLECT_EVERY == 0:
            collect_garbage()
    lost = _lost_steps(pump, replay)
    told = _close_told(pump, replay)
    if replay.sample:
        _load_sample(pump, replay, state, lost)
    if replay.unbooked and not _is_in_state(pump, replay, replay.unbooked, replay.unbooked.ended):
        _book(pump, replay.unbooked, replay.unbooked.made)
        pump.deliveries.last_result = replay.unbooked.number
    if replay.open_delivery:
        _book_cut_off(pump, replay.open_delivery)
    pump.keeper.write_log()  # what is in doubt is told before a new record has it as made
    pump.save()  # the line's bridge and the count it belongs to in one piece
    for delivery in (told, replay.open_delivery):
        if delivery:
            pump.keeper.result(delivery)  # before the sample that has it: the next replay must not take it for basal
    pump.write_sample()


def _lost_steps(pump, replay):
    """More of the account's newest records are damaged than a cut tears: its quarter hours are left, and this much may be missing."""
    journal, program = pump.keeper.journal, pump.basal.program
    mark = journal.newest("marks")
    newer = mark is not None and (not replay.sample or mark[2] > replay.sample[2])
    if not newer and journal.tail("acct") <= _TORN_MOST:
        return 0
    if newer and not replay.begun:
        replay.begin(journal.records("marks"), mark[2])
    if newer:
        replay.take(mark[1], mark[2], mark[4])
    pump.alarms.raise_("MEMORY_FAULT", pump.clock.elapsed, "the account is damaged")
    return steps_of_nl(program.basal_nl(_LOST_MS), pump.ledger.steps_per_ml) if program else 0


def _is_in_state(pump, replay, delivery, at):
    return at < replay.state_at or pump.deliveries.last_result == delivery.number


def _close_told(pump, replay):
    """A delivery whose result was cut off or lost, though the saved state has it and all before it; its end as told there."""
    delivery, last = replay.open_delivery, pump.deliveries.last
    if not delivery or not _is_in_state(pump, replay, delivery, delivery.started):
        return None
    replay.open_delivery = replay.unbooked = None
    delivery.outcome, delivery.ended, delivery.made, delivery.made_nl = "UNCERTAIN", delivery.started, delivery.steps, delivery.volume_nl
    if last and last.number == delivery.number:
        delivery.outcome, delivery.made, delivery.made_nl = last.outcome, last.made, last.made_nl
    replay.beside.append(delivery)
    return delivery


class _Replay:
    """The account stream from its oldest record on: what windows, the 24 h basal and the ids need of it."""

    def __init__(self, pump, state_at):
        self._pump = pump
        self.state_at = state_at  # deliveries older than this are in the saved state
        self._quarter_at = None  # elapsed of the last sample given to the windows
        self._last = None  # (elapsed, authorised ng) of the last sample
        self.sample = None  # (kind, values, elapsed) of the newest sample
        self.open_delivery = None  # intent without a result
        self.unbooked = None  # the last delivery with a result
        self.beside = []  # boluses and screening doses since the last sample: no basal
        self.begun = False

    def begin(self, marks, oldest):
        """What lies before the account's oldest record; a bolus in it counts as basal, for it cannot be told apart."""
        self.begun = True
        for _, _, elapsed, _, payload in marks:
            if elapsed < oldest:
                self._look_back(elapsed, records.unpack_sample(payload))

    def take(self, kind, elapsed, payload):
        if kind in records.SAMPLES:
            self._take_sample(kind, elapsed, records.unpack_sample(payload))
        elif kind == records.INTENT:
            self.open_delivery = _delivery_of(payload, elapsed)
        elif kind == records.RESULT and self.open_delivery:
            self._take_result(payload, elapsed)

    def _take_result(self, payload, elapsed):
        delivery, self.open_delivery = self.open_delivery, None
        _, outcome, delivery.made, delivery.made_nl = records.unpack_result(payload)
        delivery.ended = elapsed
        self.beside.append(delivery)
        if elapsed >= self.state_at and not self._pump.deliveries.seen(delivery.number):
            self._pump.deliveries.restore(delivery, outcome)
            _tell_trial(self._pump, delivery, outcome)
        self.unbooked = delivery

    def _take_sample(self, kind, elapsed, values):
        if elapsed > self.state_at:
            self._note_running(elapsed)
            self._note_day(elapsed, values[4])
        self.sample = (kind, values, elapsed)
        for delivery in (self.unbooked, self.open_delivery):
            if delivery:  # no record is made while one moves
                delivery.is_sampled = True
        self._look_back(elapsed, values)

    def _note_running(self, elapsed):
        """A record is good for its reservation: what is longer was an outage."""
        therapy = self._pump.therapy
        if self.sample:
            until = min(elapsed, self.sample[2] + self._pump.board["reservation_ms"])
            if until > (therapy.ran_at or 0):
                therapy.note_running(until, self.sample[0] == records.SAMPLE_RUNNING)

    def _note_day(self, elapsed, ng):
        """A midnight since the saved state: the day's dose counts from the record before it."""
        clock, ledger = self._pump.clock, self._pump.ledger
        day = clock.local_day(elapsed) if clock.is_set() else ledger.day
        if day != ledger.day:
            ledger.day, ledger.day_mark_ng = day, self._last[1] if self._last else ng

    def ng_beside(self, deliveries):
        return sum([delivery.ng(delivery.made_nl) for delivery in deliveries if CATEGORY[delivery.verb] == DOSE])

    def _look_back(self, elapsed, values):
        if self._quarter_at is None or elapsed - self._quarter_at >= QUARTER_MS:
            self._quarter_at = elapsed
            if elapsed >= self._pump.windows.begun:
                self._pump.windows.quarter(elapsed, values[2], values[0], values[1])
            self._pump.ledger.restore_mark(elapsed, values[4], values[5])
        if self._last and self._pump.clock.elapsed - self._last[0] < DAY_MS + QUARTER_MS:
            self._pump.basal.restore_given(self._last[0], elapsed, max(0, values[4] - self._last[1] - self.ng_beside(self.beside)))
        self._last = (elapsed, values[4])
        self.beside = []


def _load_sample(pump, replay, state, lost):
    """The newer of sample and saved state is the account; what the sample reserved beyond it is uncertain.

    Of the same millisecond the one with more steps is: a state saved for an alarm's sake holds the account of the last minute.
    """
    kind, values, elapsed = replay.sample
    ledger = pump.ledger
    pump.basal.restore_programmed(values[2], elapsed)
    if state is None or (elapsed, values[0]) > (state["at"], ledger.steps["dose"]):
        if values[0] > ledger.steps["dose"]:
            pump.line.drug_moved()
        ledger.steps["dose"], ledger.counts = values[0], values[1]
        ledger.authorised_ng.total, ledger.witnessed_ng.total = values[4], values[5]
        ledger.authorised_nl.total = ledger.refill_marks[0] + values[6]
        ledger.witnessed_nl.total = ledger.refill_marks[1] + values[7]
    if kind == records.SAMPLE_STOPPED and state and pump.run and elapsed > state["at"]:
        pump.run = False
        pump.therapy.note_stop(elapsed)
    open_steps = lost + values[3] - _basal_since(pump, replay, state)
    if kind == records.SAMPLE_RUNNING and open_steps > 0:
        known_ng = ledger.authorised_ng.total
        ledger.book_uncertain(open_steps)
        until = min(pump.clock.elapsed, elapsed + pump.board["reservation_ms"])
        pump.basal.restore_given(elapsed, until, ledger.authorised_ng.total - known_ng)
        pump.basal.note_uncertain(pump.clock.elapsed, ledger.authorised_ng.total - known_ng)
        pump.keeper.log(records.RESET, "uncertain up to %d basal steps" % open_steps)


def _basal_since(pump, replay, state):
    """Basal steps that the saved state has beyond the newest sample; for the 24 h rule they were given between the two."""
    _, values, elapsed = replay.sample
    steps, ng = pump.ledger.steps["dose"] - values[0], pump.ledger.authorised_ng.total - values[4]
    if steps <= 0:
        return 0
    beside = [d for d in replay.beside if CATEGORY[d.verb] == DOSE and _is_in_state(pump, replay, d, d.ended)]
    pump.basal.restore_given(elapsed, state["at"], max(0, ng - replay.ng_beside(beside)))
    return steps - sum([delivery.made for delivery in beside])


def _book(pump, delivery, steps):
    """Steps of a delivery that the saved state has not; of one that was sampled the records tell all but what it was."""
    ledger, category = pump.ledger, CATEGORY[delivery.verb]
    if delivery.is_sampled:
        if category != DOSE:
            ledger.steps[category] += steps
        if category in (DOSE, PRIME):
            pump.line.drug_moved()
    else:
        ledger.category = category
        ledger.book(steps)
        ledger.category = DOSE
    if delivery.verb == "DOSE:BOLUS":
        ledger.bolus_steps += steps
    pump.line.delivered(category, steps, ledger.steps_per_ml)


def _delivery_of(payload, elapsed):
    number, verb, steps, span_s, volume_nl, conc = records.unpack_intent(payload)
    return Delivery(verb, number, steps, span_s * 1000, volume_nl, conc, elapsed)


def _book_cut_off(pump, delivery):
    """Cut off by a power loss: what was made lies between none and all; all counts."""
    pump.ledger.uncertain_nl += nl_of_steps(delivery.steps, pump.ledger.steps_per_ml)
    _book(pump, delivery, delivery.steps)
    delivery.made, delivery.made_nl, delivery.ended = delivery.steps, delivery.volume_nl, pump.clock.elapsed
    pump.deliveries.restore(delivery, "UNCERTAIN")
    pump.deliveries.last_result = delivery.number
    _tell_trial(pump, delivery, "UNCERTAIN")
    pump.keeper.log(records.RESET, "%s %08x UNCERTAIN" % (delivery.verb, delivery.number))


def _tell_trial(pump, delivery, outcome):
    """A screening dose newer than the saved state: it starts the 24 h, whatever became of it (R-SCR-2)."""
    if delivery.verb == "DOSE:SCREEN":
        trial = pump.therapy.trial
        trial.begin(ng_of_nl(delivery.volume_nl, delivery.conc), delivery.started)
        trial.end(outcome, delivery.ended)
        pump.therapy.phase = label.SCREENING


def _report(pump, torn, verdict, outage_ms):
    now = pump.clock.elapsed
    cause = _CAUSES[pump.hal.boot_cause] if pump.hal.boot_cause < len(_CAUSES) else "unknown"
    outage = "unknown" if outage_ms is None else "%d s" % (outage_ms // 1000)
    pump.keeper.log(records.RESET, "boot %s, outage %s, torn %d" % (cause, outage, torn or 0))
    if pump.keys.state == "damaged":
        pump.log_access("key store damaged: no role opens")
    if pump.hal.boot_cause == BOOT_WATCHDOG:
        pump.alarms.raise_("WATCHDOG_RESET", now, "the watchdog reset the pump")
    if verdict not in _ZERO_STATE:
        pump.alarms.set("MEMORY_FAULT", True, now, "state copy: " + verdict)
    if verdict == "one_bad":
        pump.alarms.set("MEMORY_FAULT", False, now)


def _resume(pump, state, outage_ms):
    now = pump.clock.elapsed
    if state is None:
        return
    if outage_ms is None and pump.is_in_therapy():
        pump.alarms.raise_("WITHDRAWAL_RISK", now, "outage of unknown length")
    pump.alarms.set("CLOCK_LOST", not pump.clock.is_set(), now)
    pump.port.check(now, pump.hal.port_open())
    for _ in range(_BATTERY_READINGS):
        pump.battery.sample(pump.hal.battery_mv(), now)
    pump.alarms.set("BATTERY_DEPLETED", pump.battery.depleted, now)
    pump.watch.look_at_supplies(now)
    pump.refresh(judged=True)
    pump.save()


