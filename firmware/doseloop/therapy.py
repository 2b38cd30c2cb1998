"""Who is treated, in which phase, with what history: the record that every decision is measured against.

Nothing here decides: judge.py asks, this tells. What happened is told to it by `took_force`, `note_running`, `note_stop`,
`note_refill` and the like. Times are elapsed ms kept in the journal, so no chain of stop, restart, clock set or re-upload
makes a larger step or a second one (R-TIT-4).
"""

from doseloop import label
from doseloop.screening import POSITIVE, Trial
from doseloop.units import DAY_MS, Ratio, larger

ORDINARY, OVERDOSE, RETURN = "ordinary", "OVERDOSE", "RETURN"


class Doses:
    """The three sums of a program that rules compare, kept in the history when the program itself is gone."""

    def __init__(self, daily, high, low):
        self.daily = daily
        self.high = high
        self.low = low

    def covers(self, other):
        """No sum is below the other's."""
        return other.daily <= self.daily and other.high <= self.high and other.low <= self.low

    def dump(self):
        return [[r.num, r.den] for r in (self.daily, self.high, self.low)]


def doses_of(program, elapsed):
    """Doses of a program, or of the day of a taper that this time falls into."""
    if program.is_taper:
        return _even(program.dose_at(elapsed))
    return Doses(program.daily, program.high, program.low)


def _even(day_ng):
    day = Ratio(day_ng)
    return Doses(day, day, day)


def _load_doses(state):
    return Doses(*[Ratio(num, den) for num, den in state]) if state else None


class Therapy:
    """The record and its history. None means it has not happened."""

    def __init__(self):
        self.population = None
        self.birth = None  # (year, month, day)
        self.injury = None  # date of a brain injury, None: none on record
        self.phase = label.NONE
        self.origin = "own"
        self.trial = Trial()
        self.screen_ng = 0  # the screening dose that gave a positive response
        self.effect = "unknown"  # of that dose: short, long (over 8 h), unknown
        self.first_run = None
        self.ran = False  # basal ever ran on this pump (R-CAL-1)
        self.run_ms = 0  # running time since the infusion started or began anew (R-INI-2)
        self.restarted = False  # after a holiday, and not yet for 24 h
        self.ran_at = None  # last moment at which basal was delivered
        self.last_run = None  # Program or Taper last run: what a step is measured against
        self.ended = False  # a new trial ended its force
        self.started = None  # Doses of the first chronic program (R-HOL-1)
        self.last_increase = None  # when the first step of the last increase was made
        self.before_increase = None  # Doses before it
        self.past = []  # [until, Doses] of what was in force before now, back to 24 h
        self.refills = []  # elapsed times of refills of the last 24 h that may license a maintenance increase (R-MNT-1)
        self.licensed_at = None  # record of the refill that licensed the last one
        self.return_to = None  # Ratio: daily dose to which one confirmed commit may return (R-WDR-1)
        self.pending = ORDINARY  # kind of the commit that waits for its first step
        self.pending_refill = None  # the refill that licenses it
        self.stopped_at = None
        self.refused = []  # times of increases refused as STEP_CAP (R-MNT-4)
        self.climbs = 0  # titration increases since a recorded clinical response (R-MNT-4)
        self.maintained = []  # [until, num, den] of daily doses in maintenance before now (R-MNT-4)

    # Who.

    def record(self, population, birth, injury):
        self.population, self.birth, self.injury = population, birth, injury

    def import_record(self, record, program, now):
        """Take over a therapy from a replaced pump (R-COM-1). record: dict of the checked fields of THER:IMPORT."""
        self.record(record["population"], record["birth"], record["injury"])
        self.phase, self.screen_ng, self.effect = record["phase"], record["screen_ng"], record["effect"]
        self.origin = "imported"
        self.last_run = program
        if program:
            self.started = doses_of(program, now)
            self.last_increase = now - record["increase_ago_ms"]
            self.run_ms = 0 if self.phase == label.FIRST else label.STEADY_STATE_MS
            self.ran_at = now
        else:
            self.trial.ended = now  # its dose was given before: what is asked of its effect counts from here

    # Screening.

    def open_trial(self, now, make_program):
        """SCREEN:NEW: doses and responses are forgotten, what was in force ends now (R-SCR-5); a holiday with its day's dose."""
        last = self.last_run
        if last and not self.ended:
            self.past += self._last_in_force(now)
        if self.phase == label.MAINTENANCE:
            self._note_maintained(now, self.base(now).daily)
        if self.is_holiday_over(now):
            self.first_run = None  # nothing is delivered on purpose: no alarm says that it is missed (R-ALM-7)
        if last and last.is_taper:
            self.last_run = make_program(last.flat_lines_at(now)) if last.dose_at(now) else None
        self.ended = self.last_run is not None
        self.trial.begin_anew()
        self.phase, self.screen_ng, self.effect, self.return_to = label.SCREENING, 0, "unknown", None
        self._forget(now)

    def respond(self, result):
        """SCREEN:RESPONSE result=.. (R-SCR-4, R-SCR-5)."""
        self.trial.response = result
        if result == POSITIVE:
            self.phase, self.screen_ng = label.SCREENED, self.trial.dose_ng
        elif self.trial.is_failed():
            self.phase = label.NOT_CANDIDATE

    # What runs.

    def runs(self, program):
        """It is the program last run, and still in force. The same taper committed again once it was left is another holiday."""
        return self.last_run is not None and not self.ended and self._is_last(program)

    def _is_last(self, program):
        return self.last_run is program or (self.last_run.hash == program.hash and not program.is_taper)

    def base(self, now):
        """Doses last run, what a step is measured against; None before the first program."""
        return doses_of(self.last_run, now) if self.last_run else None

    def in_force(self, now):
        """Doses in force at any time of the last 24 h; the program last run stays in force while stopped."""
        entries = self.past + self._last_in_force(now) if self.last_run and not self.ended else self.past
        return [entry[1] for entry in entries if now - entry[0] < DAY_MS]

    def _last_in_force(self, now):
        """[until, Doses] of the program last run; of a taper the day before too, as it may reach into the last 24 h."""
        last = self.last_run
        found = [[now, doses_of(last, now)]]
        if last.is_taper and last.day_at(now):
            day = last.day_at(now)
            found.insert(0, [last.start + day * DAY_MS, _even(last.day_ng(day - 1))])
        return found

    def took_force(self, program, at, now):
        """The first step of `program` was made at `at`: it is the program last run. Returns what suggests a catheter
        complication (R-MNT-4), or None."""
        suspicion = None
        if self.last_run is None or self.ended:
            self.started = doses_of(program, at)
        if self.last_run and not self._is_last(program):
            suspicion = self._replace(program, at)
        self.last_run, self.ended = program, False
        self.pending, self.pending_refill = ORDINARY, None
        self._forget(now)
        return suspicion

    def _replace(self, program, at):
        old, new = self.base(at), doses_of(program, at)
        restart = self.is_holiday_over(at)
        if not self.ended:
            self.past += self._last_in_force(at)
        if self.phase == label.MAINTENANCE:
            self._note_maintained(at, old.daily)
        suspicion = self._suspicion(old, new)
        if old.daily < new.daily:
            self._note_increase(old, at)
        elif new.daily < old.daily and self.pending == OVERDOSE and not program.is_taper:
            self.return_to = larger(self.return_to, old.daily) if self.return_to else old.daily
        if restart:
            self.run_ms, self.ran_at, self.before_increase, self.restarted = 0, at, None, True
        return suspicion

    def _note_increase(self, old, at):
        self.last_increase, self.before_increase, self.return_to = at, old, None
        if self.pending_refill is not None and self.pending != RETURN:
            self.licensed_at = self.pending_refill

    def _suspicion(self, old, new):
        """What in this change suggests a catheter complication, or None (R-MNT-4)."""
        if self.phase == label.TITRATION and old.daily < new.daily and not self.last_run.is_taper:
            self.climbs += 1
            if self.climbs >= label.SUSPECT_CLIMBS:
                return "increase %d in a row without a recorded response" % self.climbs
        if self.phase == label.MAINTENANCE:
            for _, num, den in self.maintained:
                if Ratio(num, den).at_most(100, Ratio(new.daily.num * 100, new.daily.den * label.SUSPECT_PERCENT)):
                    return "half as much again within 30 days"
        return None

    def _note_maintained(self, at, daily):
        """Of the doses kept only those that no later one undercuts matter."""
        kept = [entry for entry in self.maintained if at - entry[0] < label.SUSPECT_SPAN_MS]
        while kept and daily <= Ratio(kept[-1][1], kept[-1][2]):
            kept.pop()
        self.maintained = kept + [[at, daily.num, daily.den]]

    def note_refused_increase(self, now):
        """An increase was refused as STEP_CAP; True if it is the second in 7 days (R-MNT-4)."""
        self.refused = [at for at in self.refused if now - at < label.SUSPECT_REFUSALS_MS][-1:] + [now]
        return len(self.refused) > 1

    def _forget(self, now):
        """Of what was in force, drop what is older than 24 h, and what a later entry covers in all three sums."""
        kept = []
        for entry in self.past:
            if now - entry[0] < DAY_MS:
                kept = [other for other in kept if not entry[1].covers(other[1])] + [entry]
        self.past = kept

    # Running time.

    def note_running(self, now, delivering):
        """Keep the running time; an interruption of more than 6 h begins it anew (R-INI-2)."""
        if not delivering:
            return
        if self.is_interrupted(now):
            self.run_ms = 0
        elif now > self.ran_at:
            self.run_ms += now - self.ran_at
        self.ran_at = now
        if self.run_ms >= label.STEADY_STATE_MS:
            self.restarted = False
            if self.phase == label.FIRST:
                self.phase = label.TITRATION

    def is_interrupted(self, now):
        """Nothing was delivered for more than 6 h, or never."""
        return self.ran_at is None or now - self.ran_at > label.INTERRUPTION_MS

    def is_long_idle(self, now):
        """Nothing was delivered for more than 14 days (R-WDR-1)."""
        return self.ran_at is not None and now - self.ran_at > label.LONG_IDLE_MS

    def running_for(self, now):
        """Running time in ms that counts for R-INI-2 as of now."""
        return 0 if self.is_interrupted(now) else self.run_ms

    def resume(self, now):
        """Delivery begins again: the pause itself is not running time; the dose before it may be returned to."""
        if self.is_interrupted(now):
            self.run_ms = 0
            self._note_return(now)
        self.ran_at = now
        self.stopped_at = None
        self.ran = True
        if self.first_run is None:
            self.first_run = now
        if self.phase == label.SCREENED:
            self.phase, self.run_ms = label.FIRST, 0

    def _note_return(self, now):
        if self.is_long_idle(now):
            self.return_to = None
        elif self.last_run and not self.ended and self.phase != label.HOLIDAY:
            before = self.base(now).daily
            self.return_to = larger(self.return_to, before) if self.return_to else before

    def note_stop(self, now):
        self.stopped_at = now

    # Holiday.

    def came_into_force(self, program, now):
        """It is delivered from now on: a taper begins a holiday, another program ends one with the dose of its day (R-HOL-1)."""
        if program.is_taper:
            if self.phase == label.MAINTENANCE:
                self._note_maintained(now, self.base(now).daily)
            self.phase, self.return_to = label.HOLIDAY, None
        elif self.phase == label.HOLIDAY:
            self.phase = label.TITRATION
            self.last_run.left = now

    def is_holiday_over(self, now):
        """The taper last run has come to its zero, and nothing was run since."""
        last = self.last_run
        return last is not None and last.is_taper and last.is_over(now)

    # Commits, refills, phases.

    def note_commit(self, kind, now):
        """What waits for its first step, and the refill that licenses it should it be an increase in maintenance."""
        self.pending = kind
        self.pending_refill = self.licence(now) if self.phase == label.MAINTENANCE else None

    def note_refill(self, now, volume_nl, capacity_nl):
        """A large refill may license one maintenance increase (R-MNT-1)."""
        self.refills = [at for at in self.refills if now - at <= label.MAINTENANCE_REFILL_MS]
        if volume_nl * label.REFILL_CAPACITY_PART >= capacity_nl:
            self.refills.append(now)

    def licence(self, now):
        """Record time of the newest refill that licenses an increase now, or None (R-MNT-1)."""
        for at in reversed(self.refills):
            spaced = self.licensed_at is None or at - self.licensed_at >= label.REFILL_SPACING_MS
            if spaced and now - at <= label.MAINTENANCE_REFILL_MS:
                return at
        return None

    def enter_maintenance(self):
        self.phase = label.MAINTENANCE

    # The journal's copy.

    def dump(self, committed):
        """Plain dict; the program last run is kept as its lines, or by its hash where it is the committed one."""
        state = {name: getattr(self, name) for name in _PLAIN}
        last = self.last_run
        state["last_run"] = None if last is None else last.hash if committed and self.runs(committed) else last.lines
        state["taper"] = [last.start, last.left] if last and last.is_taper else None
        state["trial"] = self.trial.dump()
        state["return_to"] = [self.return_to.num, self.return_to.den] if self.return_to else None
        for name in ("started", "before_increase"):
            doses = getattr(self, name)
            state[name] = doses.dump() if doses else None
        state["past"] = [[until, doses.dump()] for until, doses in self.past]
        return state

    def load(self, state, make_program, committed):
        for name in _PLAIN:
            setattr(self, name, state[name])
        self.birth = tuple(self.birth) if self.birth else None
        self.injury = tuple(self.injury) if self.injury else None
        last = state["last_run"]
        self.last_run = committed if committed and last == committed.hash else make_program(last) if last else None
        if self.last_run and self.last_run.is_taper:
            self.last_run.start, self.last_run.left = state["taper"]
        self.trial.load(state["trial"])
        self.return_to = Ratio(*state["return_to"]) if state["return_to"] else None
        self.started = _load_doses(state["started"])
        self.before_increase = _load_doses(state["before_increase"])
        self.past = [[until, _load_doses(doses)] for until, doses in state["past"]]


_PLAIN = (
    "population",
    "birth",
    "injury",
    "phase",
    "origin",
    "screen_ng",
    "effect",
    "first_run",
    "ran",
    "run_ms",
    "restarted",
    "ran_at",
    "ended",
    "last_increase",
    "refills",
    "licensed_at",
    "pending",
    "pending_refill",
    "stopped_at",
    "refused",
    "climbs",
    "maintained",
)
