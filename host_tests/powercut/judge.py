"""Boots the firmware on what a cut left, and says what is wrong with it: a list of sentences, empty if nothing is."""

from doseloop import records
from doseloop.journal import Journal
from powercut.rig import Rig, open_store
from powercut.told import Told, knows, listen

OUTAGE_US = 60_000_000
RESERVATION_NL = 10_000
STORY = {"mcg/mL": 500, "moved at": 100_000, "primed at": 101_000}  # steps per mL of what is no dose
NG_SLACK = 8  # a step and a half, of what is rounded apart
NL_SLACK = 12  # a step that has just fallen due, and what is rounded
KEPT = {"log": 1000, "acct": 700, "marks": 10}  # R-MON-2; DESIGN
RUN_MS = 30_000
DAY_S = 86_400
LOOKED_BACK = 40  # log lines of a start, at most


class Cut:
    """done: operations of the story that are whole. before, after: the world at the earliest and the latest instant of this cut."""

    def __init__(self, story, done):
        self.story = story
        self.done = done
        self.after = story.stamps[done]
        self.before = story.stamps[done - 1] if done else self.after
        self.lives = []  # Told of the starts since


def restart(kind, flash, cut):
    """Start the firmware on it; returns (rig, told). Whatever it raises goes on."""
    told = Told(flash)
    listen(told)
    us, _, rtc_offset, reads_open, rotor, _ = cut.after
    rig = Rig(kind, flash, us=us + OUTAGE_US * (1 + len(cut.lives)))
    rig.hal.rtc_offset, rig.hal.reads_open, rig.hal.rotor = rtc_offset, reads_open, rotor
    rig.boot()
    return rig, told


def faults(rig, told, cut):
    """After restart()."""
    pump, found = rig.pump, []
    now = pump.clock.elapsed
    _state(told, cut, found)
    _memory(pump, cut, found)
    _account(pump, cut, found)
    _dose(pump.ledger, found)
    _deliveries(pump, cut, now, found)
    rig.connect()
    shown = int(rig.ask("STAT?", part="account")[1]["uncertain"][:-2])
    if shown != pump.ledger.uncertain_nl:
        found.append("uncertain shown as %d nl, it is %d" % (shown, pump.ledger.uncertain_nl))
    _goes_on(rig, found)
    _records(rig, told, cut, found)
    return found


def _state(told, cut, found):
    """The old or the new, whole; no copy damaged."""
    crc, verdict = told.loaded
    if verdict != "good":
        found.append("state copy " + verdict)
    last, allowed = None, set()
    for before, after, data in cut.story.saves:
        if after <= cut.done:
            last = data
        elif before <= cut.done:
            allowed.add(data)
    if last is not None:
        allowed.add(last)
    for life in cut.lives:
        allowed.update([data for _, _, data in life.saves])
    if allowed and last is not None and crc not in allowed:
        found.append("the state is neither the last that was saved nor the one in progress")


def _memory(pump, cut, found):
    """What was acknowledged holds; what was on its way may hold or not."""
    story, allowed = cut.story, []
    for ops, what in story.replies:
        if ops <= cut.done:
            allowed, since = [what], ops
    for ops, what in story.turns:
        if ops >= since:
            allowed.append(what)
            if ops > cut.done:
                break
    allowed += [what for ops, what in story.replies if since <= ops and ops <= allowed_end(story, cut)]
    for name, value in knows(pump).items():
        if value not in [what[name] for what in allowed]:
            found.append("%s is %s, acknowledged was %s" % (name, value, allowed[0][name]))


def allowed_end(story, cut):
    """Operations done by the end of the turn in which the power went."""
    for ops, _ in story.turns:
        if ops > cut.done:
            return ops
    return len(story.stamps)


def _account(pump, cut, found):
    ledger = pump.ledger
    uncertain = -(-ledger.uncertain_nl * ledger.steps_per_ml // 1_000_000)
    total = ledger.total_steps()
    if total < cut.after[1]:
        found.append("booked %d steps, %d may have been made" % (total, cut.after[1]))
    if total - uncertain > cut.before[1] + 1:
        found.append("booked %d steps of them %d uncertain, but only %d were made" % (total, uncertain, cut.before[1]))
    booked_nl = ledger.authorised_nl.total
    if booked_nl + NL_SLACK < cut.after[5]:
        found.append("booked %d nl, %d may have been made" % (booked_nl, cut.after[5]))
    if booked_nl - ledger.uncertain_nl > cut.before[5] + NL_SLACK:
        found.append("booked %d nl of them %d uncertain, but only %d were made" % (booked_nl, ledger.uncertain_nl, cut.before[5]))
    most = RESERVATION_NL + sum([intent[4] for intent, outcome, _ in cut.story.deliveries(cut.done).values() if outcome is None])
    if ledger.uncertain_nl > most + 10:
        found.append("uncertain %d nl, reserved were %d" % (ledger.uncertain_nl, most))
    if ledger.uncertain_nl and not _is_logged(pump, "uncertain", "UNCERTAIN"):
        found.append("uncertain steps are not in the log")


def _dose(ledger, found):
    """What is booked as dose is all that left but what moved for a calibration or primed."""
    no_dose_nl = sum([ledger.steps[what] * 1_000_000 // STORY[at] for what, at in (("moved", "moved at"), ("prime", "primed at"))])
    due_ng = (ledger.authorised_nl.total - no_dose_nl) * STORY["mcg/mL"] // 1000
    if abs(ledger.authorised_ng.total - due_ng) > NG_SLACK:
        found.append("a dose of %d ng is booked, the volume is that of %d ng" % (ledger.authorised_ng.total, due_ng))


def _is_logged(pump, *words):
    journal = pump.keeper.journal
    for _, kind, _, _, payload in journal.records("log", max(1, journal.newest("log")[0] - LOOKED_BACK)):
        for word in words:
            if kind == records.RESET and word in payload.decode():
                return True
    return False


def _deliveries(pump, cut, now, found):
    """None twice, none forgotten: the outcome is the written one, else UNCERTAIN; boluses count in their window."""
    story = cut.story
    if pump.deliveries.current:
        found.append("a delivery goes on after the restart")
    known, coming, pg = story.deliveries(cut.done), story.deliveries(cut.done + _in_progress(story, cut.done)), 0
    steps = 0
    for number, (intent, outcome, volume_nl) in known.items():
        seen = pump.deliveries.seen(number)
        may = (outcome or "UNCERTAIN", coming[number][1] or "UNCERTAIN")
        if seen is None or seen[2] not in may:
            found.append("delivery %08x is %s, written was %s" % (number, seen, may[0]))
        if intent[1] == "DOSE:BOLUS":
            pg += intent[5] * (volume_nl if outcome == "PARTIAL" or (seen and seen[2] == "PARTIAL") else intent[4])
            steps += _made(intent, (known[number], coming[number]), seen)
    if abs(pump.ledger.bolus_steps - steps) > 1:
        found.append("%d steps of boluses are booked, %d were given" % (pump.ledger.bolus_steps, steps))
    if pump.deliveries.given_ng(now) < pg // 1000:
        found.append("boluses of %d ng in the window, %d were given" % (pump.deliveries.given_ng(now), pg // 1000))


def _made(intent, entries, seen):
    """Steps of a bolus: by its result if that cut it short, else all."""
    for _, outcome, volume_nl in entries:
        if seen and seen[2] == outcome == "PARTIAL":
            return volume_nl * intent[2] // intent[4]
    return intent[2]


def _in_progress(story, done):
    """Operations until the record that was being written is whole; 0 if none was."""
    for before, after, _, _, _ in story.appends:
        if before <= done < after:
            return after - done
    return 0


def _goes_on(rig, found):
    """Basal from now on, at its rate, nothing made up; or nothing at all."""
    rig.advance(RUN_MS)
    pump, made = rig.pump, len(rig.hal.edges)
    if not pump.run:
        due = 0
    else:
        daily = pump.basal.program.high
        due = daily.num * (RUN_MS // 1000) * pump.ledger.steps_per_ml // (daily.den * pump.reservoir.conc * 1000 * DAY_S)
    if abs(made - due) > 2:
        found.append("%d steps in the first half minute, %d were due" % (made, due))


def _records(rig, told, cut, found):
    """Every record that was written is there, the starts' own too, and none that nobody wrote."""
    journal = Journal(open_store(rig.kind, rig.flash))
    journal.open()
    for stream in KEPT:
        written, coming = {}, {}
        for before, after, name, seq, record in cut.story.appends:
            if name == stream and after <= cut.done:
                written[seq] = record
            elif name == stream and before <= cut.done:
                coming[seq] = record
        for life in cut.lives:
            coming.update({seq: record for _, _, name, seq, record in life.appends if name == stream})
        own = {seq: record for _, _, name, seq, record in told.appends if name == stream}
        count = _compare(stream, journal, written, coming, own, found)
        if count < KEPT[stream] - len(journal.torn):
            found.append("only %d records of %s are kept" % (count, stream))


def _compare(stream, journal, written, coming, own, found):
    count, missing, first = 0, dict(written), min(written) if written else 1 << 30
    missing.update(own)
    for seq, kind, elapsed, wall, payload in journal.records(stream):
        count += 1
        record = (kind, elapsed, wall, bytes(payload))
        if seq >= first and record not in (written.get(seq), coming.get(seq), own.get(seq)):
            found.append("record %s %d is none that was written" % (stream, seq))
        if (seq in own and record == own[seq]) or seq not in own:
            missing.pop(seq, None)
    for seq in missing:
        found.append("record %s %d is lost" % (stream, seq))
    return count
