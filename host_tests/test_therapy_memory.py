"""What the record keeps and for how long: doses in force, running time, refills, rights, suspicions; and what a restart knows."""

import pytest
from test_label_examples import program, therapy

from doseloop import label
from doseloop.judge import Case, check
from doseloop.label import POPULATIONS
from doseloop.program import Program
from doseloop.taper import Taper, make_program
from doseloop.therapy import ORDINARY, OVERDOSE, RETURN, Doses, Therapy
from doseloop.units import DAY_MS, HOUR_MS, Ratio, Refusal

PHASES = (label.FIRST, label.TITRATION, label.MAINTENANCE, label.HOLIDAY)


def doses(daily, high=None, low=None):
    return Doses(Ratio(daily), Ratio(daily if high is None else high), Ratio(daily if low is None else low))


def daily_of(found, now):
    """mcg a day of what was in force in the last 24 h."""
    return [each.daily.ceil() // 1000 for each in found.in_force(now)]


def taper(first=100, days=14, fall=2, start=None):
    lines = [f"taper.{day + 1:02d}={(first - fall * day) * 1000}" for day in range(days)]
    found = Taper(["name=t", "conc=500", *lines])
    found.start = start
    return found


def take(found, mcg, at, kind=ORDINARY):
    """Commit and first step at the same moment; what suggests a complication."""
    wanted = program(mcg) if isinstance(mcg, (int, float)) else mcg
    found.note_commit(kind, at)
    found.came_into_force(wanted, at)
    return found.took_force(wanted, at, at)


# ---- a new record, and one taken over


def test_a_new_record_knows_nothing():
    found = Therapy()
    assert found.dump(None) == {
        "population": None, "birth": None, "injury": None, "phase": "none", "origin": "own", "screen_ng": 0, "effect": "unknown",
        "first_run": None, "ran": False, "run_ms": 0, "restarted": False, "ran_at": None, "ended": False, "last_increase": None,
        "refills": [], "licensed_at": None, "pending": "ordinary", "pending_refill": None, "stopped_at": None, "refused": [],
        "climbs": 0, "maintained": [], "last_run": None, "taper": None, "trial": [0, None, None, "none", "none"], "return_to": None,
        "started": None, "before_increase": None, "past": [],
    }  # fmt: skip
    assert (ORDINARY, OVERDOSE, RETURN) == ("ordinary", "OVERDOSE", "RETURN"), "the journal keeps these words"
    assert found.base(0) is None and found.in_force(0) == [] and found.running_for(0) == 0


@pytest.mark.req("R-COM-1", "R-INI-2")
@pytest.mark.parametrize(("phase", "running"), [("first", 0), ("titration", DAY_MS), ("maintenance", DAY_MS)])
def test_a_therapy_that_is_taken_over_has_run_its_first_day_unless_it_is_in_it(phase, running):
    found = therapy(100, phase=phase, ago=5)
    assert (found.origin, found.phase, found.screen_ng) == ("imported", phase, 50_000)
    assert (found.running_for(0), found.last_increase) == (running, -5)
    assert found.started.daily.ceil() == 100_000 and daily_of(found, 0) == [100] and found.trial.ended is None


@pytest.mark.req("R-COM-1", "R-SCR-4")
def test_of_a_trial_that_is_taken_over_the_hours_count_from_then():
    found = Therapy()
    record = {"population": "spinal", "birth": (1980, 5, 1), "injury": None, "phase": "screened", "screen_ng": 50_000, "effect": "unknown"}
    found.import_record({**record, "increase_ago_ms": 0}, None, 7)
    assert found.trial.ended == 7 and found.last_run is None


# ---- what is in force


@pytest.mark.req("R-MNT-2")
@pytest.mark.parametrize(
    ("one", "other", "answer"),
    [
        ((5, 5, 5), (5, 5, 5), True),
        ((6, 6, 6), (5, 5, 5), True),
        ((5, 6, 6), (6, 5, 5), False),
        ((6, 5, 6), (5, 6, 5), False),
        ((6, 6, 5), (5, 5, 6), False),
        ((5, 5, 6), (5, 5, 5), True),
        ((6, 5, 5), (5, 5, 5), True),
        ((5, 6, 5), (5, 5, 5), True),
        ((4, 4, 4), (5, 5, 5), False),
    ],
)
def test_doses_cover_others_that_are_above_them_in_none_of_the_three(one, other, answer):
    assert doses(*one).covers(doses(*other)) is answer


@pytest.mark.req("R-MNT-2", "R-TIT-4")
def test_what_was_in_force_counts_for_24_hours_after_its_end_and_is_then_forgotten():
    found = therapy(100)
    take(found, 90, 1000)
    assert daily_of(found, 1000) == [100, 90]
    assert [daily_of(found, 1000 + ms) for ms in (DAY_MS - 1, DAY_MS)] == [[100, 90], [90]]
    take(found, 95, 1000 + DAY_MS - 1)
    assert daily_of(found, 1000 + DAY_MS - 1) == [100, 90, 95] and len(found.past) == 2
    take(found, 80, 1000 + DAY_MS)
    assert [until for until, _ in found.past] == [1000 + DAY_MS], "95 covers the 90 that ended before it"
    take(found, 81, 5 * DAY_MS)
    assert [until for until, _ in found.past] == [5 * DAY_MS], "after days nothing else is kept"


@pytest.mark.req("R-MNT-2", "R-HOL-1")
def test_a_taper_is_in_force_with_its_day_and_for_24_hours_with_the_day_before():
    found = therapy(100)
    take(found, taper(start=0), 0)
    assert daily_of(found, 0) == [100, 100], "the program before it and its first day"
    assert daily_of(found, DAY_MS) == [100, 98]
    assert daily_of(found, 3 * DAY_MS - 1) == [98, 96]
    assert daily_of(found, 3 * DAY_MS) == [96, 94]


@pytest.mark.req("R-MNT-2", "R-HOL-1")
def test_a_taper_that_was_left_counts_with_both_days_each_for_its_own_24_hours():
    found = therapy(100)
    take(found, taper(start=0), 0)
    left = 2 * DAY_MS + 6 * HOUR_MS
    take(found, 96, left)
    assert [until for until, _ in found.past] == [2 * DAY_MS, left] and daily_of(found, left) == [98, 96, 96]
    assert daily_of(found, 3 * DAY_MS) == [96, 96] and daily_of(found, left + DAY_MS) == [96]
    assert found.phase == label.TITRATION


@pytest.mark.req("R-TIT-4")
def test_the_first_step_ends_what_was_pending_and_the_same_program_again_is_no_change():
    found = therapy(100)
    take(found, 50, 0, OVERDOSE)
    assert (found.pending, found.pending_refill) == (ORDINARY, None)
    assert found.return_to.ceil() == 100_000
    past = list(found.past)
    found.took_force(program(50), HOUR_MS, HOUR_MS)
    assert found.past == past


# ---- rights


@pytest.mark.req("R-WDR-1")
@pytest.mark.parametrize(("mcg", "kind", "right"), [(50, OVERDOSE, 100), (50, ORDINARY, None), (50, RETURN, None), (110, OVERDOSE, None)])
def test_an_overdose_decrease_gives_a_right_to_return_and_nothing_else_does(mcg, kind, right):
    found = therapy(100)
    take(found, mcg, 0, kind)
    assert (found.return_to and found.return_to.ceil()) == (right and right * 1000)


@pytest.mark.req("R-WDR-1")
def test_the_larger_right_holds_and_an_even_overdose_commit_gives_none():
    found = therapy(100)
    take(found, Program(["name=other", "conc=500", "seg.all.00:00=100000"]), 0, OVERDOSE)
    assert found.return_to is None, "as much as before is no decrease"
    take(found, 50, 1, OVERDOSE)
    take(found, 25, 2, OVERDOSE)
    assert found.return_to.ceil() == 100_000
    take(found, 26, 3)
    assert found.return_to is None, "an increase uses it up"


# ---- suspicion


@pytest.mark.req("R-MNT-4")
@pytest.mark.parametrize("phase", PHASES)
def test_the_third_increase_in_a_row_is_suspicious_in_titration_alone(phase):
    found = therapy(100, phase=phase)
    if phase == label.HOLIDAY:
        found.last_run = taper(start=0)
    told = []
    for number in range(4):
        found.phase = phase
        found.note_commit(ORDINARY, number)
        told.append(found.took_force(program(101 + number), number, number))
    assert [bool(each) for each in told] == [False, False, phase == label.TITRATION, phase == label.TITRATION]
    assert found.climbs == (4 if phase == label.TITRATION else 0)
    if phase == label.TITRATION:
        assert told[2:] == [f"increase {number} in a row without a recorded response" for number in (3, 4)]


@pytest.mark.req("R-MNT-4")
@pytest.mark.parametrize(("mcg", "suspicious"), [(149.999, False), (150, True), (150.001, True)])
@pytest.mark.parametrize("phase", PHASES)
def test_half_as_much_again_within_30_days_is_suspicious_in_maintenance_alone(mcg, suspicious, phase):
    found = therapy(100, phase=label.MAINTENANCE)
    assert take(found, 120, 0) is None and take(found, 130, DAY_MS) is None
    found.phase = phase
    told = found.took_force(program(mcg), 2 * DAY_MS, 2 * DAY_MS)
    assert told == ("half as much again within 30 days" if suspicious and phase == label.MAINTENANCE else None)


@pytest.mark.req("R-MNT-4")
@pytest.mark.parametrize(("days", "suspicious"), [(30 * DAY_MS - 1, True), (30 * DAY_MS, False), (31 * DAY_MS, False)])
def test_a_dose_is_remembered_for_30_days_after_it_ended(days, suspicious):
    start = 40 * DAY_MS  # not at 0: ages count, not times
    found = therapy(100, phase=label.MAINTENANCE)
    take(found, 120, start)
    take(found, 130, start + 1)
    assert bool(take(found, 150, start + days)) is suspicious


@pytest.mark.req("R-MNT-4")
def test_of_the_doses_that_are_remembered_only_those_matter_that_no_later_one_undercuts():
    found = therapy(100, phase=label.MAINTENANCE)
    for day, mcg in enumerate((130, 120, 125, 110)):
        take(found, mcg, day * DAY_MS)
    assert [(at // DAY_MS, num // den) for at, num, den in found.maintained] == [(0, 100_000), (2, 120_000), (3, 125_000)]
    take(found, 90, 4 * DAY_MS)
    take(found, 91, 5 * DAY_MS)
    assert [(at // DAY_MS, num // den) for at, num, den in found.maintained] == [(5, 90_000)], "90 is below all before it"
    take(found, 90, 6 * DAY_MS)
    take(found, 91, 7 * DAY_MS)
    assert [(at // DAY_MS, num // den) for at, num, den in found.maintained] == [(7, 90_000)], "the same again counts from then"


@pytest.mark.req("R-MNT-4", "R-DOSE-1")
def test_doses_that_are_no_whole_nanograms_are_compared_exactly():
    found = therapy(100, phase=label.MAINTENANCE)
    for at, daily in enumerate((Ratio(100), Ratio(241, 2), Ratio(130), Ratio(120))):
        found._note_maintained(at, daily)
    assert found.maintained == [[0, 100, 1], [3, 120, 1]]
    found.maintained = []
    for at, daily in enumerate((Ratio(100), Ratio(241, 2), Ratio(130))):
        found._note_maintained(at, daily)
    assert found.maintained == [[0, 100, 1], [1, 241, 2], [2, 130, 1]]


@pytest.mark.req("R-MNT-4")
def test_only_what_ran_in_maintenance_is_remembered():
    for phase in PHASES:
        found = therapy(100, phase=phase)
        found.took_force(program(101), 0, 0)
        assert bool(found.maintained) is (phase == label.MAINTENANCE)
        for end in ("holiday", "trial"):
            found = therapy(100, phase=phase)
            found.came_into_force(taper(), 7) if end == "holiday" else found.open_trial(7, make_program)
            kept = [(at, num // den) for at, num, den in found.maintained]
            assert kept == ([(7, 100_000)] if phase == label.MAINTENANCE else [])


@pytest.mark.req("R-MNT-4")
def test_the_second_refused_increase_within_7_days_is_suspicious():
    found = Therapy()
    week = 7 * DAY_MS
    assert [found.note_refused_increase(at) for at in (5, 5 + week, 5 + 2 * week - 1, 5 + 2 * week)] == [False, False, True, True]
    assert found.note_refused_increase(5 + 2 * week + 1)
    assert found.refused == [5 + 2 * week, 5 + 2 * week + 1], "two are enough to remember"
    assert found.note_refused_increase(10 * week) is False and found.refused == [10 * week]


# ---- running time


@pytest.mark.req("R-INI-2")
def test_running_time_adds_up_and_begins_anew_after_more_than_6_hours():
    found = therapy(None, phase="screened")
    found.resume(1000)
    assert (found.phase, found.run_ms, found.ran_at, found.first_run, found.ran) == ("first", 0, 1000, 1000, True)
    found.note_running(1000 + 5 * HOUR_MS, True)
    found.note_running(1000 + 11 * HOUR_MS, True)
    assert found.run_ms == found.running_for(1000 + 11 * HOUR_MS) == 11 * HOUR_MS, "just 6 hours are no interruption"
    found.note_running(1000 + 12 * HOUR_MS, False)
    assert (found.run_ms, found.ran_at) == (11 * HOUR_MS, 1000 + 11 * HOUR_MS)
    assert [found.running_for(1000 + 17 * HOUR_MS + ms) for ms in (0, 1)] == [11 * HOUR_MS, 0]
    found.note_running(1000 + 17 * HOUR_MS + 1, True)
    assert (found.run_ms, found.ran_at) == (0, 1000 + 17 * HOUR_MS + 1)
    found.resume(2 * DAY_MS)
    assert found.first_run == 1000, "it ran first when it ran first"


@pytest.mark.req("R-INI-2")
@pytest.mark.parametrize("phase", [label.FIRST, label.TITRATION, label.MAINTENANCE])
def test_after_24_hours_of_running_the_first_phase_alone_becomes_titration(phase):
    found = therapy(100, phase=phase)
    found.run_ms, found.ran_at, found.restarted = 0, 0, True
    for hour in range(1, 24):
        found.note_running(hour * HOUR_MS, True)
        assert found.phase == phase and found.restarted
    found.note_running(DAY_MS, True)
    assert found.phase == (label.TITRATION if phase == label.FIRST else phase) and not found.restarted


@pytest.mark.req("R-ALM-7")
def test_a_stop_is_dated_until_delivery_begins_again():
    found = therapy(100)
    found.note_stop(77)
    assert found.stopped_at == 77
    found.resume(99)
    assert found.stopped_at is None


@pytest.mark.req("R-HOL-1", "R-INI-2", "R-INI-3")
def test_after_a_holiday_running_time_begins_anew_and_the_first_day_is_flat():
    found = therapy(100)
    found.started = doses(120_000)
    take(found, taper(start=0), 0)
    zero = 14 * DAY_MS
    take(found, 90, zero)
    assert (found.phase, found.run_ms, found.ran_at, found.before_increase, found.restarted) == (label.TITRATION, 0, zero, None, True)
    shaped = Program(["name=p", "conc=500", "seg.all.00:00=50000", "seg.all.12:00=40000"])
    found.last_increase = None
    case = Case(zero + HOUR_MS, (2027, 5, 3), None, 500, {"max_rate_nl_h": 10**9, "reservation_nl": 10**9}, None, True)
    with pytest.raises(Refusal) as refusal:
        check(found, shaped, case)
    assert refusal.value.code == "START_FLAT"


# ---- a new trial


@pytest.mark.req("R-SCR-5", "R-WDR-1")
def test_a_new_trial_forgets_the_response_and_ends_what_was_in_force():
    found = therapy(100)
    found.past = [[-2 * DAY_MS, doses(130_000)]]
    found.return_to = Ratio(5)
    found.resume(0)
    found.open_trial(HOUR_MS, make_program)
    assert (found.phase, found.screen_ng, found.effect, found.return_to, found.ended) == ("screening", 0, "unknown", None, True)
    assert daily_of(found, HOUR_MS) == [100] and daily_of(found, HOUR_MS + DAY_MS) == []
    assert [until for until, _ in found.past] == [HOUR_MS], "what ended days ago is dropped"
    assert found.first_run == 0, "a pump that is stopped goes on saying so"


@pytest.mark.req("R-SCR-5", "R-ALM-7")
def test_a_new_trial_after_a_holiday_leaves_nothing_to_miss():
    found = therapy(100)
    found.resume(0)
    take(found, taper(start=0), 0)
    found.open_trial(20 * DAY_MS, make_program)
    assert found.first_run is None and found.last_run is None and not found.ended


@pytest.mark.req("R-SCR-4", "R-SCR-5")
@pytest.mark.parametrize(("dose", "result", "phase", "kept"), [
    (50_000, "positive", "screened", 50_000), (50_000, "inadequate", "screening", 0), (100_000, "inadequate", "not_candidate", 0),
])  # fmt: skip
def test_a_response_decides_the_phase(dose, result, phase, kept):
    found = Therapy()
    found.phase = label.SCREENING
    found.trial.begin(dose, 0)
    found.trial.end("DONE", 1)
    found.respond(result)
    assert (found.phase, found.screen_ng, found.trial.response) == (phase, kept, result)


# ---- refills


@pytest.mark.req("R-MNT-1")
@pytest.mark.parametrize("phase", PHASES)
def test_a_refill_is_used_up_by_an_increase_in_maintenance_alone(phase):
    found = therapy(100, phase=phase)
    if phase == label.HOLIDAY:
        found.last_run = taper(start=0)
    found.note_refill(5, 5_000_000, 20_000_000)
    found.note_commit(ORDINARY, 6)
    assert found.pending_refill == (5 if phase == label.MAINTENANCE else None)
    found.took_force(program(110), 7, 7)
    assert found.licensed_at == (5 if phase == label.MAINTENANCE else None)


@pytest.mark.req("R-MNT-1", "R-WDR-1")
@pytest.mark.parametrize(("kind", "mcg", "used"), [(ORDINARY, 110, True), (RETURN, 110, False), (ORDINARY, 95, False)])
def test_a_return_and_a_decrease_use_no_refill(kind, mcg, used):
    found = therapy(100, phase=label.MAINTENANCE)
    found.note_refill(5, 5_000_000, 20_000_000)
    take(found, mcg, 6, kind)
    assert (found.licensed_at is not None) is used


@pytest.mark.req("R-MNT-1")
def test_refills_are_remembered_for_24_hours():
    found = therapy(100, phase=label.MAINTENANCE)
    for at in (0, 1, DAY_MS, DAY_MS + 1):
        found.note_refill(at, 5_000_000, 20_000_000)
    assert found.refills == [1, DAY_MS, DAY_MS + 1]
    found.note_refill(9 * DAY_MS, 4_999_999, 20_000_000)
    assert found.refills == []


# ---- over a restart


@pytest.mark.req("R-MON-2", "R-TIT-4")
@pytest.mark.parametrize("population", POPULATIONS)
def test_a_restart_knows_the_record(population):
    found = therapy(100, population, birth=(2018, 1, 1))
    found.injury = (2020, 2, 3)
    take(found, 120, 0)
    take(found, 60, HOUR_MS, OVERDOSE)
    found.note_refused_increase(HOUR_MS)
    state = found.dump(None)
    fresh = Therapy()
    fresh.load({**state, "birth": [2018, 1, 1], "injury": [2020, 2, 3]}, make_program, None)
    assert fresh.dump(None) == state
    assert (fresh.birth, fresh.injury) == ((2018, 1, 1), (2020, 2, 3)), "dates that compare as dates do"
    assert daily_of(fresh, HOUR_MS) == daily_of(found, HOUR_MS) and fresh.return_to.ceil() == 120_000


@pytest.mark.req("R-MON-2", "R-HOL-1")
@pytest.mark.parametrize("left", [None, 3 * DAY_MS])
def test_a_restart_knows_when_a_taper_began_and_when_it_was_left(left):
    found = therapy(100)
    take(found, taper(start=5), 5)
    found.last_run.left = left
    fresh = Therapy()
    fresh.load(found.dump(None), make_program, None)
    assert (fresh.last_run.is_taper, fresh.last_run.start, fresh.last_run.left) == (True, 5, left)
    committed = taper(start=5)
    again = Therapy()
    again.load({**found.dump(None), "last_run": committed.hash}, make_program, committed)
    assert again.last_run is committed and committed.left == left
