"""What the caps allow right now, for a person and for the host's own oracle: STAT? part=caps.

The same rules as judge.py, turned round: not "may this dose start" but "which dose may". For a flat program in whole ng
that is attended and confirmed; profile, the 24 h across a change and the board's limits are left out.
"""

from doseloop import judge, label
from doseloop.units import Ratio, larger


def find_caps(therapy, today, now):
    """[(name, value)]: most, least in ng; wait in ms until time alone allows an increase; why none is allowed now."""
    right = _right(therapy, now)
    limits = _limits(therapy, today, now, right)
    return [
        ("most", "%dng" % min([most for _, most in limits])),
        ("least", "%dng" % _least(therapy, now)),
        ("wait", "%dms" % _wait(therapy, now)),
        ("why", _forbidding(therapy, _limits(therapy, today, now, None), now) or "none"),
        ("return", "%dng" % (right.floor() if right else 0)),
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
        ("top_high", "%dng" % _top([doses.high for doses in recent])),
        ("top_low", "%dng" % _top([doses.low for doses in recent])),
        ("before_daily", "%dng" % (before.daily.ceil() if before else 0)),
        ("before_high", "%dng" % (before.high.ceil() if before else 0)),
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


def _right(therapy, now):
    """Ratio: the daily dose to which a confirmed commit may return now, or None (R-WDR-1)."""
    return None if therapy.is_long_idle(now) else therapy.return_to


def _limits(therapy, today, now, right):
    """[(code, ng)]: the most that each rule leaves now, in the order in which they are named, with a right to return (R-WDR-1)."""
    if therapy.phase in label.UNSCREENED:
        return [("NOT_SCREENED", 0)]
    found = [("DAILY_MAX", label.daily_max_ng(therapy.population, judge.age_years(therapy.birth, today)))]
    cap = judge.start_cap(therapy, now, therapy.is_holiday_over(now))
    if cap:
        found.append(("START_CAP", cap[0].floor()))
    return found if _is_free(therapy, now) else found + _step_limits(therapy, now, right)


def _step_limits(therapy, now, right):
    """The same for the rules that measure from the program last run; a return is free of all but the first."""
    base = therapy.base(now)
    last = base.daily.floor()
    free = max(last, right.floor()) if right else last
    found = []
    if therapy.running_for(now) < label.STEADY_STATE_MS:
        found.append(("FIRST_24H", last))
    if judge.increase_wait(therapy, now):
        found.append(("TOO_SOON", free))
    if therapy.phase == label.MAINTENANCE and therapy.licence(now) is None:
        found.append(("NO_REFILL", free))
    found.append(("STEP_CAP", max(judge.step_most_ng(therapy, base), free)))
    return found


def _forbidding(therapy, limits, now):
    """Code of the first rule that forbids every dose above the one last run, a return aside, or None."""
    base = therapy.base(now)
    last = base.daily if base else Ratio(0)
    for code, most in limits:
        if Ratio(most) <= last:
            return code
    return None


def _wait(therapy, now):
    if therapy.phase in label.UNSCREENED or _is_free(therapy, now):
        return 0
    return max(0, label.STEADY_STATE_MS - therapy.running_for(now), judge.increase_wait(therapy, now))


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
