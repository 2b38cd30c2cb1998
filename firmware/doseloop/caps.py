"""What the caps allow right now, for a person and for the host's own oracle: STAT? part=caps.

The same rules as judge.py, turned round: not "may this dose start" but "which dose may". For a flat program in whole ng
that is attended and confirmed; profile, the 24 h across a change and the board's limits are left out.
"""

from doseloop import judge, label
from doseloop.units import Ratio, larger, smaller


def find_caps(therapy, today, now):
    """[(name, value)]: most, least in ng; wait in ms until time alone allows an increase; why none is allowed now."""
    code = _forbids(therapy, now)
    return [
        ("most", "%dng" % _most(therapy, today, now, code)),
        ("least", "%dng" % _least(therapy, now)),
        ("wait", "%dms" % _wait(therapy, now)),
        ("why", code or "none"),
        ("return", "%dng" % (therapy.return_to.floor() if therapy.return_to and not therapy.is_long_idle(now) else 0)),
    ]


def history(therapy, now, delivering):
    """[(name, value)]: what the host's oracle needs of the history to judge by itself."""
    recent = therapy.in_force(now)
    before = judge.before_increase(therapy, now)
    licence = therapy.licence(now)
    licence_ms = 0 if licence is None else licence + label.MAINTENANCE_REFILL_MS - now
    idle_ms = 0 if delivering or therapy.ran_at is None else now - therapy.ran_at
    return [
        ("top_daily", "%dng" % _top([doses.daily for doses in recent])),
        ("top_low", "%dng" % _top([doses.low for doses in recent])),
        ("before_daily", "%dng" % (before.daily.ceil() if before else 0)),
        ("before_low", "%dng" % (before.low.floor() if before else 0)),
        ("licence", "%ds" % (licence_ms // 1000)),
        ("idle", "%ds" % (idle_ms // 1000)),
        ("started", "%dng" % (therapy.started.daily.ceil() if therapy.started else 0)),
    ]


def _top(doses):
    highest = Ratio(0)
    for dose in doses:
        highest = larger(highest, dose)
    return highest.ceil()


def _is_free(therapy, now):
    """No program before it measures a step: the first one, or a restart after a holiday."""
    return therapy.last_run is None or therapy.is_holiday_over(now)


def _forbids(therapy, now):
    """Code of the first rule that at present forbids every ordinary increase, or None."""
    if therapy.phase in label.UNSCREENED:
        return "NOT_SCREENED"
    if _is_free(therapy, now):
        return None
    if therapy.running_for(now) < label.STEADY_STATE_MS:
        return "FIRST_24H"
    if judge.increase_wait(therapy, now):
        return "TOO_SOON"
    if therapy.phase == label.MAINTENANCE and therapy.licence(now) is None:
        return "NO_REFILL"
    return None


def _wait(therapy, now):
    if therapy.phase in label.UNSCREENED or _is_free(therapy, now):
        return 0
    return max(0, label.STEADY_STATE_MS - therapy.running_for(now), judge.increase_wait(therapy, now))


def _most(therapy, today, now, code):
    if code == "NOT_SCREENED":
        return 0
    most = Ratio(label.daily_max_ng(therapy.population, judge.age_years(therapy.birth, today)))
    cap = judge.start_cap(therapy, now, therapy.is_holiday_over(now))
    if cap:
        most = smaller(most, cap[0])
    if not _is_free(therapy, now):
        most = smaller(most, _step(therapy, now, code))
    return most.floor()


def _step(therapy, now, code):
    """The largest dose that one step, or a confirmed return, may reach."""
    base = therapy.base(now)
    step = base.daily if code else Ratio(judge.step_most_ng(therapy, base))
    may_return = code != "FIRST_24H" and therapy.return_to is not None and not therapy.is_long_idle(now)
    return larger(step, therapy.return_to) if may_return else step


def _least(therapy, now):
    """The smallest dose by the decrease rule; the program last run itself, and going back, always pass (R-MNT-2)."""
    if therapy.phase in label.UNSCREENED or _is_free(therapy, now) or therapy.is_long_idle(now):
        return 0
    base = therapy.base(now)
    least = base.daily.ceil()
    kept = [judge.kept_ng(doses.daily) for doses in therapy.in_force(now)]
    least = min(least, max(kept) if kept else 0)
    before = judge.before_increase(therapy, now)
    return min(least, before.daily.ceil()) if before else least
