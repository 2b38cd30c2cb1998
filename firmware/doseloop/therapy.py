"""Who is treated, in which phase, with what history; and the one question: may this program start?

Everything that changes a dose is judged here against the program last run, on elapsed time kept in the journal, so no
chain of stop, restart, clock set or re-upload makes a larger step or a second one (R-TIT-4). The figures are in label.py.
`check` changes nothing; what happened is told by `took_force`, `note_running`, `note_stop`, `note_refill`.
"""

from doseloop import label
from doseloop.program import check_profile, needs_profile_confirmation
from doseloop.units import (
    DAY_MS,
    MINUTE_MS,
    WEEK_MIN,
    Ratio,
    Refusal,
    age_years,
    larger,
    mcg_text,
    span_text,
)

_WEEK_MS = WEEK_MIN * MINUTE_MS


class Doses:
    """The three sums of a program that rules compare, kept in the history when the program itself is gone."""

    def __init__(self, daily, high, low):
        self.daily = daily
        self.high = high
        self.low = low

    def dump(self):
        return [[r.num, r.den] for r in (self.daily, self.high, self.low)]


def doses_of(program):
    return Doses(program.daily, program.high, program.low)


def _load_doses(state):
    return Doses(*[Ratio(num, den) for num, den in state]) if state else None


class Therapy:
    """The record and its history. Times are elapsed ms; None means it has not happened."""

    def __init__(self):
        self.population = None
        self.birth = None  # (year, month, day)
        self.phase = "none"
        self.origin = "own"
        self.screen_ng = 0  # the screening dose that gave a positive response
        self.effect = "unknown"  # of that dose: short, long (over 8 h), unknown
        self.first_run = None
        self.run_ms = 0  # running time since the infusion started or began anew (R-INI-2)
        self.ran_at = None  # last moment at which basal was delivered
        self.last_run = None  # Program last run: what a step is measured against
        self.started = None  # Doses of the first chronic program (R-HOL-1)
        self.last_increase = None  # when the first step of the last increase was made
        self.before_increase = None  # Doses before it
        self.past = []  # [until, Doses] of what was in force before now, back to 24 h
        self.refill_at = None  # last refill that licensed a maintenance increase (R-MNT-1)
        self.refill_used = False
        self.stopped_at = None

    # What happened.

    def import_record(self, record, program, now):
        """Take over a therapy from a replaced pump (R-COM-1). record: dict of the checked fields of THER:IMPORT."""
        self.population, self.birth, self.phase = record["population"], record["birth"], record["phase"]
        self.screen_ng, self.effect = record["screen_ng"], record["effect"]
        self.origin = "imported"
        self.last_run = program
        if program:
            self.started = doses_of(program)
            self.last_increase = now - record["increase_ago_ms"]
            self.run_ms = record["increase_ago_ms"] if self.phase == "first" else label.STEADY_STATE_MS
            self.ran_at = now

    def took_force(self, program, at, now):
        """The first step of `program` was made at `at`: from now on it is the program last run."""
        if self.last_run is None:
            self.started = doses_of(program)
        elif self.last_run.hash != program.hash:
            self.past.append([at, doses_of(self.last_run)])  # in force until another one is run, also while stopped
            if self.last_run.daily < program.daily:
                self.last_increase, self.before_increase = at, doses_of(self.last_run)
                if self.phase == "maintenance":
                    self.refill_used = True
        self.last_run = program
        self._forget(now)

    def _forget(self, now):
        self.past = [entry for entry in self.past if now - entry[0] < DAY_MS]

    def note_running(self, now, delivering):
        """Keep the running time; an interruption of more than 6 h begins it anew (R-INI-2)."""
        if not delivering:
            return
        if self.is_interrupted(now):
            self.run_ms = 0
        elif now > self.ran_at:
            self.run_ms += now - self.ran_at
        self.ran_at = now
        if self.phase == "first" and self.run_ms >= label.STEADY_STATE_MS:
            self.phase = "titration"

    def is_interrupted(self, now):
        """Nothing was delivered for more than 6 h, or never."""
        return self.ran_at is None or now - self.ran_at > label.INTERRUPTION_MS

    def running_for(self, now):
        """Running time in ms that counts for R-INI-2 as of now."""
        return 0 if self.is_interrupted(now) else self.run_ms

    def resume(self, now):
        """Delivery begins again: the pause itself is not running time."""
        if self.is_interrupted(now):
            self.run_ms = 0
        self.ran_at = now
        self.stopped_at = None
        if self.first_run is None:
            self.first_run = now
        if self.phase == "screened":
            self.phase = "first"

    def note_stop(self, now):
        self.stopped_at = now

    def note_refill(self, now, volume_nl, capacity_nl):
        """A refill licenses one maintenance increase if it is large and late enough (R-MNT-1)."""
        spaced = self.refill_at is None or now - self.refill_at >= label.REFILL_SPACING_MS
        if spaced and volume_nl * label.REFILL_CAPACITY_PART >= capacity_nl:
            self.refill_at = now
            self.refill_used = False

    def enter_maintenance(self, now):
        """THER:PHASE phase=maintenance (R-MNT-1)."""
        if self.phase != "titration":
            raise Refusal("STATE", "maintenance follows titration; the phase is %s" % self.phase)
        self._check_wait(now)
        self.phase = "maintenance"

    # The one question.

    def check(self, program, case):
        """Refusal by the first rule, in the order of REQUIREMENTS.md, that forbids `program`; else a list of notes.

        case: Case, what is true around the request.
        """
        self._check_attended(program, case)
        age = self._check_who(case.today)
        if program.conc != case.conc:
            text = "program %d over reservoir %d mcg/ml; they must be equal" % (program.conc, case.conc)
            raise Refusal("CONCENTRATION", text)
        self._check_start_flat(program, case.now)
        check_absolute(program, self.population, age, case.board, self.phase == "holiday")
        self._check_start_cap(program)
        if self.last_run:
            self._check_increase(program, case)
            self._check_decrease(program, case)
            self._check_across(program, case)
        return self._notes(program, age)

    def _check_attended(self, program, case):
        increase = self.last_run is None or self.last_run.daily < program.daily
        if increase and not case.attended:
            raise Refusal("UNATTENDED", "an increase needs attended=yes: trained staff and resuscitation present, label 5.3")

    def _check_who(self, today):
        if self.population is None:
            raise Refusal("NOT_SCREENED", "no record and no positive screening response; screen first, label 2.2")
        age = check_age(self.birth, self.population, today)
        if self.last_run is None and not self.screen_ng:
            raise Refusal("NOT_SCREENED", "no positive screening response on record; screen first, label 2.2")
        return age

    def _check_start_flat(self, program, now):
        early = self.last_run is None or (self.phase == "first" and self.running_for(now) < label.STEADY_STATE_MS)
        if early and not program.is_flat():
            raise Refusal("START_FLAT", "the first 24 h run a flat day, complex schedules come later, label 2.4")

    def _check_start_cap(self, program):
        if self.last_run is not None:
            return
        percent = label.START_PERCENT_SHORT_EFFECT if self.effect == "short" else label.START_PERCENT_LONG_EFFECT
        if not program.daily.at_most(percent, Ratio(self.screen_ng)):
            most = self.screen_ng * percent // 100
            text = "%s over %s mcg/day, %d %% of the screening dose %s, label 2.5"
            daily = mcg_text(program.daily.ceil())
            raise Refusal("START_CAP", text % (daily, mcg_text(most), percent, mcg_text(self.screen_ng)))

    def _check_increase(self, program, case):
        base = self.last_run.daily
        if program.daily <= base:
            return
        running = self.running_for(case.now)
        if running < label.STEADY_STATE_MS:
            wait = span_text(label.STEADY_STATE_MS - running)
            raise Refusal("FIRST_24H", "no increase in the first 24 h of running; next increase in %s, label 2.5" % wait)
        self._check_wait(case.now)
        if self.phase == "maintenance":
            self._check_refill(case.now)
        percent = label.step_percent(self.population, self.phase)[0]
        if not program.daily.at_most(100 + percent, base):
            raise Refusal("STEP_CAP", _step_text(program.daily, base, 100 + percent, "2.6" if self.phase == "maintenance" else "2.5"))

    def _check_wait(self, now):
        since = now - self.last_increase if self.last_increase is not None else label.INCREASE_WAIT_MS
        if since < label.INCREASE_WAIT_MS:
            raise Refusal("TOO_SOON", "next increase in %s, one in any 24 h, label 2.5" % span_text(label.INCREASE_WAIT_MS - since))

    def _check_refill(self, now):
        fresh = self.refill_at is not None and now - self.refill_at <= label.MAINTENANCE_REFILL_MS
        if not fresh or self.refill_used:
            raise Refusal("NO_REFILL", "in maintenance one increase within 24 h of a refill of a quarter of the capacity, label 2.6")

    def _check_decrease(self, program, case):
        last = self.last_run
        lowers = program.daily < last.daily or program.low < last.low
        if not lowers or case.reason == "OVERDOSE" or self._returns(program, case.now):
            return
        in_force = [entry[1] for entry in self.past if case.now - entry[0] < DAY_MS]
        in_force.append(doses_of(last))
        for name in ("daily", "low"):
            for doses in in_force:
                _check_kept(getattr(program, name), getattr(doses, name), name)

    def _returns(self, program, now):
        """Going back to the dose before an increase of the last 24 h is always allowed (R-MNT-2)."""
        before = self.before_increase
        if before is None or now - self.last_increase >= DAY_MS:
            return False
        return before.daily <= program.daily and before.low <= program.low

    def _check_across(self, program, case):
        """No 24 h across the change may exceed the greatest high dose in force in them (R-DOSE-2).

        The account is kept in whole ng, so what was read back after a restart is known to 1 ng.
        """
        if case.week_ms is None or program.hash == self.last_run.hash:
            return
        limit = larger(program.high, self.last_run.high)
        for until, doses in self.past:
            if case.now - until < DAY_MS:
                limit = larger(limit, doses.high)
        worst = worst_across(case.basal, program, case.now, case.week_ms)
        if limit.ceil() + 1 < worst.floor():
            text = "24 h across the change hold %s over %s mcg; change at another hour or in a smaller step"
            raise Refusal("STEP_CAP", text % (mcg_text(worst.ceil()), mcg_text(limit.floor())))

    def _notes(self, program, age):
        notes = []
        if program.daily < Ratio(label.daily_low_ng(self.population, age)):
            notes.append("below_label_range")
        if self.last_run and self.last_run.daily < program.daily:
            least = label.step_percent(self.population, self.phase)[1]
            if not Ratio(self.last_run.daily.num * (100 + least), self.last_run.daily.den * 100) <= program.daily:
                notes.append("small_step")
        return notes

    # The journal's copy.

    def dump(self, committed):
        """Plain dict; the program last run is kept as its lines, or by its hash where it is the committed one."""
        state = {name: getattr(self, name) for name in _PLAIN}
        last = self.last_run
        state["last_run"] = None if last is None else last.hash if committed and committed.hash == last.hash else last.lines
        for name in ("started", "before_increase"):
            doses = getattr(self, name)
            state[name] = doses.dump() if doses else None
        state["past"] = [[until, doses.dump()] for until, doses in self.past]
        return state

    def load(self, state, make_program, committed):
        for name in _PLAIN:
            setattr(self, name, state[name])
        self.birth = tuple(self.birth) if self.birth else None
        last = state["last_run"]
        self.last_run = committed if committed and last == committed.hash else make_program(last) if last else None
        self.started = _load_doses(state["started"])
        self.before_increase = _load_doses(state["before_increase"])
        self.past = [[until, _load_doses(doses)] for until, doses in state["past"]]


_PLAIN = (
    "population",
    "birth",
    "phase",
    "origin",
    "screen_ng",
    "effect",
    "first_run",
    "run_ms",
    "ran_at",
    "last_increase",
    "refill_at",
    "refill_used",
    "stopped_at",
)


class Case:
    """What is true around a request: elapsed now, local date, reservoir's concentration, the board's dict, basal.Basal, declarations."""

    def __init__(self, now, today, week_ms, conc, board, basal, attended=False, reason=None):
        self.now = now
        self.today = today
        self.week_ms = week_ms
        self.conc = conc
        self.board = board
        self.basal = basal
        self.attended = attended
        self.reason = reason


def check_age(birth, population, today):
    """Whole years of age; Refusal AGE under 4, or where population and age disagree (R-POP-1)."""
    age = age_years(birth, today)
    if age < label.MIN_AGE_YEARS:
        raise Refusal("AGE", "%d years is under %d, label 1 and 8.4" % (age, label.MIN_AGE_YEARS))
    if population == label.PEDIATRIC and age >= label.ADULT_YEARS:
        raise Refusal("AGE", "pediatric is under %d years, the record says %d" % (label.ADULT_YEARS, age))
    return age


def check_absolute(program, population, age, board, holiday=False):
    """Refusal DAILY_MAX, HOUR_MAX or HOUR_MIN: the limits that hold whatever ran before (R-MNT-3, R-PRF-3, R-BOL-3)."""
    most = label.daily_max_ng(population, age)
    if Ratio(most) < program.daily:
        text = "%s over %s mcg/day, %s, label 2.6"
        raise Refusal("DAILY_MAX", text % (mcg_text(program.daily.ceil()), mcg_text(most), population))
    check_profile(program, board["max_rate_nl_h"], board["reservation_nl"], holiday)


def confirmations(program):
    """Codes that a person has to confirm before `program` may start, in order (R-MNT-3, R-PRF-3)."""
    codes = []
    if Ratio(label.LIMITED_EXPERIENCE_NG) < program.daily:
        codes.append("CONFIRM_OVER_1000")
    if needs_profile_confirmation(program):
        codes.append("CONFIRM_PROFILE")
    return codes


def _check_kept(new, old, name):
    if not old.at_most(100, new) and not _keeps(new, old):
        least = Ratio(old.num * label.DECREASE_KEEPS_PERCENT, old.den * 100).ceil()
        text = "%s %s under %s mcg/day, 20 %% less than %s in the last 24 h, label 2.6; or reason=OVERDOSE"
        raise Refusal("STEP_CAP", text % (name, mcg_text(new.floor()), mcg_text(least), mcg_text(old.floor())))


def _keeps(new, old):
    return Ratio(label.DECREASE_KEEPS_PERCENT * old.num, 100 * old.den) <= new


def _step_text(new, base, percent, section):
    most = base.num * percent // (base.den * 100)
    text = "%s over %s mcg/day, %d %% on %s, label %s"
    return text % (mcg_text(new.ceil()), mcg_text(most), percent - 100, mcg_text(base.floor()), section)


def worst_across(basal, new, now, week_ms):
    """The largest dose (Ratio, ng) of any 24 h that begin with what was given until now and end with `new`.

    The dose is linear in the window's place between those where an end of it meets a change of rate.
    """
    edges = [0, DAY_MS]
    edges += [now - edge for edge in basal.given_edges()]
    edges += [DAY_MS - (start * MINUTE_MS - week_ms) % _WEEK_MS for start in new.starts_min]
    worst = Ratio(0)
    for before_ms in edges:
        if 0 <= before_ms <= DAY_MS:
            first = basal.given_between(now - before_ms, now)
            second = new.dose_between(week_ms, DAY_MS - before_ms)
            worst = larger(worst, Ratio(first.num * second.den + second.num * first.den, first.den * second.den))
    return worst
