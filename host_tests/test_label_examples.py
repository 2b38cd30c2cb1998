"""The label's figures as examples, by section of the prescribing information; what is refused says what would pass."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doseloop.judge import Case, check, confirmations
from doseloop.program import Program
from doseloop.therapy import Therapy
from doseloop.units import DAY_MS, HOUR_MS, Ratio, Refusal, age_years, date_of_unix_days, unix_days
from hil.oracle.program import flat_lines

TODAY = (2027, 5, 3)


class Given:
    """Basal that ran one program by the clock until now; a week begins at elapsed 0."""

    def __init__(self, program=None, week_ms=0):
        self.program, self.week_ms = program, week_ms

    def given_edges(self):
        return [-k * HOUR_MS for k in range(25)]

    def uncertain_ng(self, now):
        return 0

    def given_since(self, starts, now):
        return [self._given(start, now - start) for start in starts]

    def _given(self, start, span):
        return self.program.dose_between((self.week_ms + start) % (7 * DAY_MS), span) if self.program else Ratio(0)

    def was_even(self, now):
        return self.program is None or self.program.is_flat()


BOARD = {"max_rate_nl_h": 144_000_000, "reservation_nl": 10_000}


def program(mcg, conc=500, name="p"):
    return Program(flat_lines(name, conc, round(mcg * 1000)))


def therapy(mcg, population="spinal", phase="titration", birth=(1980, 5, 1), screen=50, effect="short", ago=DAY_MS):
    """A therapy taken over at elapsed 0, running `mcg` a day (None: only screened)."""
    found = Therapy()
    record = dict(population=population, birth=birth, injury=None, phase=phase, screen_ng=screen * 1000, effect=effect, increase_ago_ms=ago)
    found.import_record(record, program(mcg) if mcg else None, 0)
    if mcg:
        found.note_running(0, True)
    return found


def verdict(found, mcg, now=0, today=TODAY, conc=500, **more):
    case = Case(now, today, 0, conc, BOARD, Given(), more.get("attended", True), more.get("reason"))
    try:
        check(found, program(mcg), case)
    except Refusal as refusal:
        return refusal.code
    return "OK"


@pytest.mark.req("R-TIT-1", "R-TIT-2", "R-MNT-2", "R-DOSE-1")
@pytest.mark.parametrize(
    ("population", "old", "new", "code"),
    [
        ("spinal", 100, 130, "OK"),  # 2.5: 10 to 30 %
        ("spinal", 100, 130.001, "STEP_CAP"),
        ("spinal", 100, 131, "STEP_CAP"),
        ("spinal", 100, 101, "OK"),
        ("cerebral", 100, 115, "OK"),  # 2.5: 5 to 15 %
        ("cerebral", 100, 115.001, "STEP_CAP"),
        ("pediatric", 100, 115, "OK"),
        ("pediatric", 100, 116, "STEP_CAP"),
        ("spinal", 100, 80, "OK"),  # 2.6: down by 10 to 20 %
        ("spinal", 100, 79.999, "STEP_CAP"),
    ],
)
def test_one_titration_step_is_bounded_and_equality_passes(population, old, new, code):
    birth = (2018, 1, 1) if population == "pediatric" else (1980, 5, 1)
    assert verdict(therapy(old, population, birth=birth), new) == code


@pytest.mark.req("R-TIT-3", "R-TIM-1")
@pytest.mark.parametrize(("ago", "code"), [(DAY_MS, "OK"), (DAY_MS - 1, "TOO_SOON"), (1, "TOO_SOON")])
def test_24_hours_to_the_millisecond_lie_between_two_increases(ago, code):
    assert verdict(therapy(100, ago=ago), 110) == code


@pytest.mark.req("R-INI-1", "R-POP-2", "R-INI-3")
@pytest.mark.parametrize(
    ("screen", "effect", "mcg", "code"),
    [
        (50, "short", 100, "OK"),  # 2.5: twice the screening dose
        (50, "short", 100.001, "START_CAP"),
        (50, "long", 50, "OK"),  # effect over 8 h: the screening dose
        (50, "long", 51, "START_CAP"),
        (75, "unknown", 75, "OK"),
        (75, "unknown", 150, "START_CAP"),
        (100, "short", 200, "OK"),
    ],
)
def test_the_first_day_is_twice_the_screening_dose_or_once_if_its_effect_lasted(screen, effect, mcg, code):
    assert verdict(therapy(None, phase="screened", screen=screen, effect=effect), mcg) == code


@pytest.mark.req("R-INI-3")
def test_the_first_program_is_flat():
    found = therapy(None, phase="screened")
    shaped = Program(["name=p", "conc=500", "seg.all.00:00=50000", "seg.all.12:00=40000"])
    with pytest.raises(Refusal) as refusal:
        check(found, shaped, Case(0, TODAY, 0, 500, BOARD, Given(), True))
    assert refusal.value.code == "START_FLAT"


@pytest.mark.req("R-INI-2")
def test_no_increase_in_the_first_24_hours_of_running_and_anew_after_six_hours_of_pause():
    found = therapy(None, phase="screened")
    found.took_force(program(100), 0, 0)
    found.resume(0)
    for hours in range(24):
        assert verdict(found, 110, hours * HOUR_MS) == "FIRST_24H"
        found.note_running((hours + 1) * HOUR_MS, True)
    assert verdict(found, 110, DAY_MS) == "OK"
    assert found.phase == "titration"
    assert verdict(found, 110, DAY_MS + 6 * HOUR_MS) == "OK"
    assert verdict(found, 110, DAY_MS + 6 * HOUR_MS + 1) == "FIRST_24H"


@pytest.mark.req("R-MNT-3")
@pytest.mark.parametrize(
    ("population", "birth", "mcg", "code"),
    [
        ("spinal", (1980, 1, 1), 2003, "OK"),  # 2.6: 12 to 2,003
        ("spinal", (1980, 1, 1), 2003.001, "DAILY_MAX"),
        ("cerebral", (1980, 1, 1), 1400, "OK"),  # 2.6: 22 to 1,400
        ("cerebral", (1980, 1, 1), 1401, "DAILY_MAX"),
        ("pediatric", (2015, 5, 4), 1199, "OK"),  # 2.6: under 12 years 24 to 1,199
        ("pediatric", (2015, 5, 4), 1200, "DAILY_MAX"),
        ("pediatric", (2015, 5, 3), 1200, "OK"),  # the 12th birthday counts as 12
        ("pediatric", (2015, 5, 3), 1401, "DAILY_MAX"),
        ("pediatric", (2023, 5, 4), 100, "AGE"),  # 8.4: below 4 years
        ("pediatric", (2023, 5, 3), 100, "OK"),
    ],
)
def test_the_daily_maximum_is_the_range_of_the_label(population, birth, mcg, code):
    assert verdict(therapy(mcg, population, birth=birth), mcg) == code


@pytest.mark.req("R-MNT-3", "R-PRF-3")
@pytest.mark.parametrize(("mcg", "codes"), [(1000, []), (1000.001, ["CONFIRM_OVER_1000"]), (2003, ["CONFIRM_OVER_1000"])])
def test_more_than_1000_a_day_asks_for_a_person(mcg, codes):
    assert confirmations(program(mcg)) == codes


@pytest.mark.req("R-MNT-2")
def test_going_back_to_the_dose_before_an_increase_of_the_last_day_is_always_allowed_and_overdose_frees_a_decrease():
    found = therapy(100)
    found.took_force(program(130), 0, 0)
    assert verdict(found, 100, HOUR_MS) == "OK"
    assert verdict(found, 99, HOUR_MS) == "STEP_CAP"
    assert verdict(found, 10, HOUR_MS, reason="OVERDOSE") == "OK"
    assert verdict(found, 100, DAY_MS) == "STEP_CAP"


@pytest.mark.req("R-TIT-4", "R-MNT-2")
def test_an_overdose_decrease_does_not_reset_what_the_next_step_is_measured_against():
    found = therapy(100)
    found.took_force(program(50), HOUR_MS, HOUR_MS)
    found.note_running(HOUR_MS, True)
    assert verdict(found, 65, HOUR_MS) == "OK"
    assert verdict(found, 65.001, HOUR_MS) == "STEP_CAP"


@pytest.mark.req("R-POP-2", "R-CON-1")
def test_an_increase_declares_who_is_there_and_the_concentration_is_the_reservoirs():
    assert verdict(therapy(100), 110, attended=False) == "UNATTENDED"
    assert verdict(therapy(100), 100, attended=False) == "OK"
    assert verdict(therapy(100), 110, conc=1000) == "CONCENTRATION"


@pytest.mark.req("R-SCR-5")
def test_without_a_positive_response_on_record_no_chronic_program_starts():
    assert verdict(Therapy(), 100) == "NOT_SCREENED"


@pytest.mark.req("R-UNIT-3")
def test_a_refusal_names_rule_limit_offending_figure_and_section():
    with pytest.raises(Refusal) as refusal:
        check(therapy(100), program(131), Case(0, TODAY, 0, 500, BOARD, Given(), True))
    assert refusal.value.text == "131 over 130 mcg/day, 30 % on 100, label 2.5"


@pytest.mark.req("R-DOSE-2")
def test_a_change_that_puts_two_peaks_into_one_24_hours_is_refused():
    morning = Program(["name=a", "conc=500", "seg.all.00:00=60000", "seg.all.12:00=40000"])
    evening = Program(["name=b", "conc=500", "seg.all.00:00=40000", "seg.all.12:00=60000"])
    found = therapy(100)
    found.last_run = morning
    with pytest.raises(Refusal) as refusal:
        check(found, evening, Case(0, TODAY, 12 * HOUR_MS, 500, BOARD, Given(morning, 12 * HOUR_MS), True))
    assert refusal.value.code == "STEP_CAP"
    check(found, evening, Case(0, TODAY, 0, 500, BOARD, Given(morning), True))


@pytest.mark.req("R-POP-1")
@given(st.dates(min_value=__import__("datetime").date(1900, 1, 1)))
def test_the_calendar_is_pythons(day):
    number = unix_days((day.year, day.month, day.day))
    assert number == day.toordinal() - 719_163
    if number >= 0:
        assert date_of_unix_days(number) == (day.year, day.month, day.day)


@pytest.mark.req("R-POP-1")
def test_a_birthday_counts_as_the_new_age():
    assert [age_years((2015, 5, 3), today) for today in ((2027, 5, 2), (2027, 5, 3))] == [11, 12]
