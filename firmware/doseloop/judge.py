"""May this program start? The one question, asked of the record by every commit and every RUN.

The rules follow the order of REQUIREMENTS.md; the first that forbids is named, with its limit, the figure that broke it,
and what would pass and when, in words and as fields. Nothing here changes anything. The figures are in label.py.
"""

from doseloop import label
from doseloop.program import check_bridge_rate, check_profile, needs_profile_confirmation
from doseloop.screening import too_soon
from doseloop.units import DAY_MS, MINUTE_MS, WEEK_MIN, Ratio, Refusal, age_years, larger, mcg_text, span_text

_WEEK_MS = WEEK_MIN * MINUTE_MS
_RETURN_FREE_OF = ("STEP_CAP", "NO_REFILL", "TOO_SOON")  # R-WDR-1


class Case:
    """What is true around a request: elapsed now, local date, reservoir's concentration, the board's dict, basal.Basal, declarations.

    may_return: a confirmed return (R-WDR-1) can be taken; RUN takes only one that was confirmed at its commit.
    old_conc: what the line holds in a bridge, else 0.
    """

    def __init__(self, now, today, week_ms, conc, board, basal, attended=False, reason=None, may_return=True, old_conc=0):
        self.now = now
        self.today = today
        self.week_ms = week_ms
        self.conc = conc
        self.board = board
        self.basal = basal
        self.attended = attended
        self.reason = reason
        self.may_return = may_return
        self.old_conc = old_conc


class Finding:
    """A program that may start: what is noted, what a person must confirm, and whether it is a return (R-WDR-1)."""

    def __init__(self, notes, confirm, returns):
        self.notes = notes
        self.confirm = confirm
        self.returns = returns


def check(therapy, program, case):
    """Refusal by the first rule that forbids `program`; else a Finding."""
    now = case.now
    require_phase(therapy, program)
    base = therapy.base(now)
    restart = therapy.is_holiday_over(now)
    increase = base is None or base.daily < program.daily
    if increase and not case.attended:
        raise Refusal("UNATTENDED", "an increase needs attended=yes: trained staff and resuscitation present, label 5.3")
    age = check_who(therapy, case.today)
    check_concentration(program, case.conc)
    _check_flat(therapy, program, now, restart)
    check_absolute(program, therapy.population, age, case.board, case.old_conc)
    if program.is_taper:
        program.check_plan()
    _check_start_cap(therapy, program, now, restart)
    returns = False
    if base and not restart:
        returns = _check_increase(therapy, program, case, base)
        _check_decrease(therapy, program, case, base)
        _check_across(therapy, program, case, base)
    return Finding(_notes(therapy, program, age, base), confirmations(program, returns), returns)


def require_phase(therapy, program):
    """Refusal STATE for a taper in a phase that has no holiday (R-HOL-1)."""
    if program.is_taper and therapy.phase not in (label.TITRATION, label.MAINTENANCE):
        raise Refusal("STATE", "a holiday begins in titration or maintenance; the phase is %s" % therapy.phase)


def check_resume(therapy, program, case):
    """RUN of the program last run: nothing is stepped, but the trial, concentration and a long idle time are judged (R-WDR-1).

    Not the age: it was judged at its commit, and a clock set wrong must not withhold a basal.
    """
    if therapy.is_holiday_over(case.now):
        raise Refusal("STATE", "the holiday is over: commit a restart program, at most the initial dose, label 2.6")
    check_screened(therapy)
    check_concentration(program, case.conc)
    check_bridge_rate(program, case.board["max_rate_nl_h"], case.old_conc)
    _check_start_cap(therapy, program, case.now, False)


def check_who(therapy, today):
    """Whole years of age; Refusal AGE under 4, NOT_SCREENED without a positive response on record (R-POP-1, R-SCR-5)."""
    if therapy.population is None:
        raise Refusal("NOT_SCREENED", "no record and no positive screening response; THER:RECORD, DOSE:SCREEN first, label 2.2")
    age = check_age(therapy.birth, today)
    check_screened(therapy)
    return age


def check_screened(therapy):
    """Refusal NOT_SCREENED without a positive response on record (R-SCR-5)."""
    if therapy.phase in label.UNSCREENED:
        text = "no positive screening response on record, phase %s; screen first, label 2.2"
        raise Refusal("NOT_SCREENED", text % therapy.phase)


def check_age(birth, today):
    """Whole years of age; Refusal AGE under 4 (R-POP-1)."""
    age = age_years(birth, today)
    if age < label.MIN_AGE_YEARS:
        raise Refusal("AGE", "%d years is under %d, label 1 and 8.4" % (age, label.MIN_AGE_YEARS))
    return age


def check_record(population, birth, injury, today):
    """Age and population must agree when they are recorded. Returns the codes to confirm (R-POP-1)."""
    if injury and today < injury:
        raise Refusal("ARG", "injury lies in the future; none, or a date until today")
    age = check_age(birth, today)
    if (population == label.PEDIATRIC) != (age < label.ADULT_YEARS):
        text = "pediatric is under %d years, adult is not; the record says %s and %d"
        raise Refusal("AGE", text % (label.ADULT_YEARS, population, age))
    if injury is None:
        return []
    return ["CONFIRM_INJURY"] if age_years(injury, today) < label.INJURY_YEARS else []


def check_concentration(program, conc):
    """R-CON-1: a filled concentration of the label, and the reservoir's."""
    if not label.CONC_MIN_MCG_ML <= program.conc <= label.CONC_MAX_MCG_ML or program.conc != conc:
        text = "program %d over reservoir %d mcg/ml; they must be equal, %d to %d, label 3"
        figures = (program.conc, conc, label.CONC_MIN_MCG_ML, label.CONC_MAX_MCG_ML)
        raise Refusal("CONCENTRATION", text % figures, [("want", "%dmcg/ml" % conc)])


def _check_flat(therapy, program, now, restart):
    first_day = (therapy.phase == label.FIRST or therapy.restarted) and therapy.running_for(now) < label.STEADY_STATE_MS
    if (restart or first_day or therapy.phase == label.SCREENED) and not program.is_flat():
        raise Refusal("START_FLAT", "the first 24 h run a flat day, complex schedules come later, label 2.4")


def check_absolute(program, population, age, board, old_conc=0):
    """Refusal DAILY_MAX, HOUR_MAX or HOUR_MIN: the limits that hold whatever ran before (R-MNT-3, R-PRF-3, R-BOL-3)."""
    most = label.daily_max_ng(population, age)
    if Ratio(most) < program.daily:
        text = "%s over %s mcg/day, %s, label 2.6"
        raise Refusal("DAILY_MAX", text % (mcg_text(program.daily.ceil()), mcg_text(most), population), [("most", "%dng" % most)])
    check_profile(program, board["max_rate_nl_h"], board["reservation_nl"], old_conc)


def confirmations(program, returns=False):
    """Codes that a person has to confirm before `program` may start, in order (R-MNT-3, R-PRF-3, R-HOL-1, R-WDR-1)."""
    asked = (
        ("CONFIRM_OVER_1000", Ratio(label.LIMITED_EXPERIENCE_NG) < program.daily),
        ("CONFIRM_PROFILE", not program.is_taper and needs_profile_confirmation(program)),
        ("CONFIRM_HOLIDAY", program.is_taper),
        ("CONFIRM_RETURN", returns),
    )
    return [code for code, wanted in asked if wanted]


# First program, restart.


def start_cap(therapy, now, restart):
    """(ng or Ratio, percent, of what) that limits a first program, one after 14 days without delivery, or a restart; None."""
    if restart:
        return therapy.started.daily, "the initial dose"
    if therapy.phase == label.SCREENED or therapy.is_long_idle(now):
        short = therapy.effect == "short"
        percent = label.START_PERCENT_SHORT_EFFECT if short else label.START_PERCENT_LONG_EFFECT
        return Ratio(therapy.screen_ng * percent, 100), "%d %% of the screening dose %s" % (percent, mcg_text(therapy.screen_ng))
    return None


def _check_start_cap(therapy, program, now, restart):
    """R-INI-1, R-HOL-1, R-WDR-1."""
    cap = start_cap(therapy, now, restart)
    dose = Ratio(program.dose_at(now)) if program.is_taper else program.daily
    if cap and cap[0] < dose:
        text = "%s over %s mcg/day, %s, label %s"
        section = "2.6" if restart else "2.5"
        most = cap[0].floor()
        raise Refusal("START_CAP", text % (mcg_text(dose.ceil()), mcg_text(most), cap[1], section), [("most", "%dng" % most)])


# Increases.


def _check_increase(therapy, program, case, base):
    """True if the increase is a return that wants confirmation (R-WDR-1); False if the ordinary rules let it pass."""
    if program.daily <= base.daily:
        return False
    if program.is_taper:
        text = "a taper begins at most at the %s mcg/day last run, label 2.6"
        raise Refusal("STEP_CAP", text % mcg_text(base.daily.floor()), [("most", "%dng" % base.daily.floor())])
    check_first_day(therapy, case.now)
    try:
        check_wait(therapy, case.now)
        if therapy.phase == label.MAINTENANCE:
            _check_refill(therapy, case.now)
        _check_step(therapy, program, base)
    except Refusal as refusal:
        if refusal.code in _RETURN_FREE_OF and case.may_return and returns(therapy, program.daily, case.now):
            return True
        raise
    return False


def returns(therapy, daily, now):
    """True if a daily dose (Ratio) is within what may be returned to (R-WDR-1)."""
    return therapy.return_to is not None and not therapy.is_long_idle(now) and daily <= therapy.return_to


def check_first_day(therapy, now):
    wait = label.STEADY_STATE_MS - therapy.running_for(now)
    if wait > 0:
        text = "no increase in the first 24 h of running; next increase in %s, label 2.5"
        raise Refusal("FIRST_24H", text % span_text(wait), [("wait", "%dms" % wait)])


def increase_wait(therapy, now):
    """ms until one increase in any 24 h allows the next (R-TIT-3)."""
    return 0 if therapy.last_increase is None else max(0, therapy.last_increase + label.INCREASE_WAIT_MS - now)


def check_wait(therapy, now):
    wait = increase_wait(therapy, now)
    if wait:
        raise too_soon("next increase in %s, one in any 24 h, label 2.5", wait)


def _check_refill(therapy, now):
    if therapy.licence(now) is None:
        raise Refusal("NO_REFILL", "in maintenance one increase within 24 h of a refill of a quarter of the capacity, label 2.6")


def _check_step(therapy, program, base):
    percent = label.step_percent(therapy.population, therapy.phase)[0]
    if not program.daily.at_most(100 + percent, base.daily):
        most = step_most_ng(therapy, base)
        text = "%s over %s mcg/day, %d %% on %s, label %s"
        section = "2.6" if therapy.phase == label.MAINTENANCE else "2.5"
        figures = (mcg_text(program.daily.ceil()), mcg_text(most), percent, mcg_text(base.daily.floor()), section)
        raise Refusal("STEP_CAP", text % figures, [("most", "%dng" % most)])


def step_most_ng(therapy, base):
    """The largest whole daily dose that one step from `base` allows, ng (R-TIT-1, R-TIT-2, R-MNT-1)."""
    percent = label.step_percent(therapy.population, therapy.phase)[0]
    return base.daily.num * (100 + percent) // (base.daily.den * 100)


# Decreases.


def _check_decrease(therapy, program, case, base):
    """R-MNT-2: daily, high and low dose keep 80 % of the highest of the last 24 h."""
    lowers = program.daily < base.daily or program.high < base.high or program.low < base.low
    freed = case.reason == "OVERDOSE" and not program.is_taper
    if not lowers or freed or _goes_back(therapy, program, case.now) or therapy.is_long_idle(case.now):
        return
    for name in ("daily", "high", "low"):
        highest = None
        for doses in therapy.in_force(case.now):
            dose = getattr(doses, name)
            highest = larger(highest, dose) if highest else dose
        if highest:
            _check_kept(getattr(program, name), highest, name)


def before_increase(therapy, now):
    """Doses before an increase of the last 24 h, to which going back is always allowed (R-MNT-2), or None."""
    before = therapy.before_increase
    return before if before and now - therapy.last_increase < DAY_MS else None


def _goes_back(therapy, program, now):
    before = before_increase(therapy, now)
    if before is None:
        return False
    return before.daily <= program.daily and before.high <= program.high and before.low <= program.low


def _check_kept(new, old, name):
    least = kept_ng(old)
    if new < Ratio(old.num * label.DECREASE_KEEPS_PERCENT, old.den * 100):
        text = "%s %s under %s mcg/day, 20 %% less than %s in the last 24 h, label 2.6; or reason=OVERDOSE"
        figures = (name, mcg_text(new.floor()), mcg_text(least), mcg_text(old.floor()))
        raise Refusal("STEP_CAP", text % figures, [("least", "%dng" % least)])


def kept_ng(old):
    """The smallest whole dose that a decrease from `old` (Ratio) keeps, ng."""
    return Ratio(old.num * label.DECREASE_KEEPS_PERCENT, old.den * 100).ceil()


# 24 hours across the change.


def _check_across(therapy, program, case, base):
    """No 24 h across the change may exceed the greatest high dose in force in them (R-DOSE-2), in whole ng.

    Between flat programs, or beside a taper, nothing can: that their hours are whole ng (R-DOSE-1) is no change of rate.
    What a power cut left uncertain is no reason to refuse: a program as it was programmed is judged, and to refuse a smaller one
    would keep the larger one running.
    """
    if case.week_ms is None or program.hash == therapy.last_run.hash:
        return
    if (program.is_taper or program.is_flat()) and case.basal.was_even(case.now):
        return
    limit = larger(program.high, base.high)
    for doses in therapy.in_force(case.now):
        limit = larger(limit, doses.high)
    worst = worst_across(case.basal, program, case.now, 0 if program.is_taper else case.week_ms)
    if limit.floor() + case.basal.uncertain_ng(case.now) < worst.floor():
        text = "24 h across the change hold %s over %s mcg; change at another hour or in a smaller step"
        fields = [("limit", "%dng" % limit.floor())]
        raise Refusal("STEP_CAP", text % (mcg_text(worst.ceil()), mcg_text(limit.floor())), fields)


def worst_across(basal, new, now, course_ms):
    """The largest dose (Ratio, ng) of any 24 h that begin with what was given until now and end with `new`.

    The dose is linear in the window's place between those where an end of it meets a change of rate.
    """
    edges = [0, DAY_MS]
    edges += [now - edge for edge in basal.given_edges()]
    edges += [DAY_MS - (start * MINUTE_MS - course_ms) % _WEEK_MS for start in new.starts_min]
    starts = sorted([now - before_ms for before_ms in edges if 0 <= before_ms <= DAY_MS])
    worst = Ratio(0)
    for start, first in zip(starts, basal.given_since(starts, now)):
        second = new.dose_between(course_ms, DAY_MS - (now - start))
        worst = larger(worst, Ratio(first.num * second.den + second.num * first.den, first.den * second.den))
    return worst


def _notes(therapy, program, age, base):
    notes = []
    if program.daily < Ratio(label.daily_low_ng(therapy.population, age)):
        notes.append("below_label_range")
    if base and base.daily < program.daily:
        least = label.step_percent(therapy.population, therapy.phase)[1]
        if not Ratio(base.daily.num * (100 + least), base.daily.den * 100) <= program.daily:
            notes.append("small_step")
    return notes
