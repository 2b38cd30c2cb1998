"""One life cycle for every delivery beside basal: bolus, prime, test, calibration move (and screening).

Intent to the journal before the first step, result after the last; in between nothing is written. It ends DONE, PARTIAL
(ended early: the steps made are booked exactly), REFUSED (no step) or UNCERTAIN (the witness fell short, or a power cut).
"""

from doseloop import label
from doseloop.ledger import DOSE, MOVED, PRIME, TEST
from doseloop.units import DAY_MS, Refusal, mcg_text, ng_of_nl, nl_of_steps, span_text

CATEGORY = {
    "DOSE:BOLUS": DOSE,
    "DOSE:SCREEN": DOSE,
    "DOSE:PRIME": PRIME,
    "TEST:FLOW": TEST,
    "TEST:BOLUS": TEST,
    "CAL:MOVE": MOVED,
}
_KEPT_IDS = 64  # a command is stale after 65 s, so older ids cannot come again


class Delivery:
    """One delivery and how it ended."""

    def __init__(self, verb, number, steps, span_ms, volume_nl, conc, started):
        self.verb = verb
        self.number = number  # the host's id
        self.steps = steps
        self.span_ms = span_ms
        self.volume_nl = volume_nl
        self.conc = conc  # mcg/mL at the tip when it began
        self.started = started
        self.ended = None
        self.is_sampled = False  # of one read back at a restart: a record of the account has its volume and its dose
        self.made = 0
        self.made_nl = 0
        self.outcome = "RUNNING"

    def ng(self, volume_nl):
        """Dose in `volume_nl` of it, ng, rounded up."""
        return -(-volume_nl * self.conc // 1000)


class Deliveries:
    """The delivery in progress, the last one, the ids seen, and the 24 h window of boluses."""

    def __init__(self):
        self.current = None
        self.last = None
        self.uncertain = False  # a former bolus ended UNCERTAIN and nobody acknowledged
        self.last_result = None  # id of the last delivery whose result is in the saved state
        self._ids = []  # [id, verb, outcome] of what was executed, newest last
        self._given = []  # [start, dose] of boluses of the last 24 h; the dose in ng/1000 (nL x mcg/mL), the upper bound
        self._bolus_start = None

    def seen(self, number):
        """[id, verb, outcome] if this id was executed before, else None."""
        for entry in self._ids:
            if entry[0] == number:
                return entry
        return None

    def remember(self, number, verb, outcome):
        entry = self.seen(number)
        if entry:
            entry[2] = outcome
            return
        self._ids.append([number, verb, outcome])
        if len(self._ids) > _KEPT_IDS:
            self._ids.pop(0)

    # May this bolus start?

    def check_bolus(self, program, volume_nl, now, no_bolus):
        """Refusal BOLUS_OFF, ALARM_ACTIVE, UNCERTAIN, LOCKOUT or WINDOW_MAX, in this order (R-BOL-1 to R-BOL-3).

        no_bolus: the alarm or self-test that forbids boluses now, or None.
        """
        if program is None or program.bolus is None:
            raise Refusal("BOLUS_OFF", "the program allows no bolus; PROG:SET bolus_volume, bolus_time, bolus_lockout, bolus_allowance")
        size_nl = program.bolus[0]
        if volume_nl != size_nl:
            raise Refusal("BOLUS_OFF", "%d nl asked, the program allows boluses of %d nl" % (volume_nl, size_nl))
        if no_bolus:
            raise Refusal("ALARM_ACTIVE", "no bolus during %s; see ALAR?" % no_bolus)
        if self.uncertain:
            raise Refusal("UNCERTAIN", "the last bolus is uncertain; check it, then ALAR:ACK id=UNCERTAIN")
        self._check_lockout(program, now)
        self._check_window(program, volume_nl, now)

    def _check_lockout(self, program, now):
        """The lockout runs from the start of one bolus to the start of the next, however the first one ended."""
        lockout_ms = program.bolus[2] * 1000
        since = now - self._bolus_start if self._bolus_start is not None else lockout_ms
        if since < lockout_ms:
            wait = lockout_ms - since
            raise Refusal("LOCKOUT", "next bolus in %s, lockout %s" % (span_text(wait), span_text(lockout_ms)), [("wait", "%dms" % wait)])

    def _check_window(self, program, volume_nl, now):
        """Boluses of 24 h plus a full window of basal as programmed against the daily dose (R-BOL-2)."""
        given, wanted = self._given_dose(now), volume_nl * program.conc
        allowance = program.bolus[3]
        if allowance * 1000 < given + wanted:
            text = "%s given and %s asked over the allowance of %s mcg in 24 h; room again in %s"
            wait = self._room_in(allowance * 1000 - wanted, now)
            fields = [("most", "%dng" % max(0, allowance - self.given_ng(now))), ("wait", "%dms" % wait)]
            figures = (mcg_text(self.given_ng(now)), mcg_text(-(-wanted // 1000)), mcg_text(allowance), span_text(wait))
            raise Refusal("WINDOW_MAX", text % figures, fields)

    def _room_in(self, room, now):
        """ms until the boluses of 24 h leave as much as `room`; a day if this one never fits."""
        given = self._given_dose(now)
        for start, dose in self._given:
            given -= dose
            if given <= room:
                return start + DAY_MS - now
        return DAY_MS

    def _given_dose(self, now):
        """ng/1000 of boluses in the last 24 h: in progress and uncertain ones whole."""
        self._given = [entry for entry in self._given if now - entry[0] < DAY_MS]
        return sum([dose for _, dose in self._given])

    def given_ng(self, now):
        """The same in whole ng, rounded up."""
        return -(-self._given_dose(now) // 1000)

    # Life cycle.

    def begin(self, delivery):
        """Its intent is written: from here on it counts whole, until its result says less."""
        self.current = self.last = delivery
        self.remember(delivery.number, delivery.verb, "RUNNING")
        if delivery.verb == "DOSE:BOLUS":
            self._given.append([delivery.started, delivery.volume_nl * delivery.conc])
            self._bolus_start = delivery.started

    def finish(self, made, now, steps_per_ml, short):
        """Book the end of the delivery in progress; short: the witness saw too little of it. Returns it."""
        delivery, self.current = self.current, None
        self.last_result = delivery.number
        delivery.made = made
        delivery.made_nl = nl_of_steps(made, steps_per_ml)
        delivery.ended = now
        delivery.outcome = "UNCERTAIN" if short else "DONE" if made == delivery.steps else "PARTIAL"
        self.remember(delivery.number, delivery.verb, delivery.outcome)
        if delivery.verb == "DOSE:BOLUS":
            self.uncertain = self.uncertain or short
            if delivery.outcome == "PARTIAL":
                self._given[-1][1] = delivery.made_nl * delivery.conc
        return delivery

    def restore(self, delivery, outcome):
        """A delivery newer than the saved state, from the journal; one without a result was cut off: UNCERTAIN, counted whole."""
        delivery.outcome = outcome
        self.last = delivery
        self.remember(delivery.number, delivery.verb, outcome)
        if delivery.verb == "DOSE:BOLUS":
            volume_nl = delivery.made_nl if outcome == "PARTIAL" else delivery.volume_nl
            self._given.append([delivery.started, volume_nl * delivery.conc])
            self._bolus_start = delivery.started
            self.uncertain = self.uncertain or outcome == "UNCERTAIN"

    def dump(self):
        """What windows and ids need, for the saved state."""
        last = self.last
        shown = [last.verb, last.number, last.steps, last.volume_nl, last.made, last.made_nl, last.outcome] if last else None
        return [self.uncertain, self.last_result, self._bolus_start, self._given, self._ids, shown]

    def load(self, state):
        self.uncertain, self.last_result, self._bolus_start, self._given, self._ids, shown = state
        if shown:
            verb, number, steps, volume_nl, made, made_nl, outcome = shown
            self.last = Delivery(verb, number, steps, 0, volume_nl, 0, 0)
            self.last.made, self.last.made_nl, self.last.outcome, self.last.ended = made, made_nl, outcome, 0


def is_short(expected_counts, witnessed_counts, slack_counts):
    """The witness is short of a delivery by more than 2 % and by more than its slack (R-ALM-5)."""
    short = expected_counts - witnessed_counts
    return short > slack_counts and short * 100 > label.BOLUS_SHORT_PERCENT * expected_counts


def bolus_text(delivery):
    """`DOSE:BOLUS DONE 500 steps 2.5 mcg` for the log."""
    return "%s %s %d steps %s mcg" % (delivery.verb, delivery.outcome, delivery.made, mcg_text(ng_of_nl(delivery.made_nl, delivery.conc)))
