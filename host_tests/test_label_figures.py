"""Every figure of label.py once more, in the words and units of the label and the requirements."""

import pytest

from doseloop import label, units

SECOND_MS = 1000
MINUTE_MS = 60 * SECOND_MS
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS


def mcg(*doses):
    """Doses as the label prints them, in the ng of the firmware."""
    found = tuple(dose * 1000 for dose in doses)
    return found if len(found) > 1 else found[0]


def by_population(spinal, cerebral, pediatric):
    return {"spinal": spinal, "cerebral": cerebral, "pediatric": pediatric}


FIGURES = {
    # 1, 2.6, 8.4: ages
    "MIN_AGE_YEARS": 4,
    "ADULT_YEARS": 18,
    "OLDER_CHILD_YEARS": 12,
    "INJURY_YEARS": 1,
    # 2.2, 2.3, 2.5: screening and the first dose
    "SCREEN_DOSES_NG": mcg(25, 50, 75, 100),
    "SCREEN_CONC": 50,
    "SCREEN_TIME_S": 60,
    "SCREEN_TIME_MOST_S": 15 * 60,
    "SCREEN_GAP_MS": 24 * HOUR_MS,
    "RESPONSE_WAIT_MS": 4 * HOUR_MS,
    "LONG_EFFECT_MS": 8 * HOUR_MS,
    "START_PERCENT_SHORT_EFFECT": 200,
    "START_PERCENT_LONG_EFFECT": 100,
    # 2.5: titration
    "STEADY_STATE_MS": DAY_MS,
    "INCREASE_WAIT_MS": DAY_MS,
    "INTERRUPTION_MS": 6 * HOUR_MS,
    "TITRATION_PERCENT": by_population((30, 10), (15, 5), (15, 5)),
    # 2.6: maintenance
    "MAINTENANCE_PERCENT": by_population((40, 10), (20, 5), (20, 5)),
    "MAINTENANCE_REFILL_MS": DAY_MS,
    "REFILL_SPACING_MS": 3 * DAY_MS,
    "REFILL_CAPACITY_PART": 4,
    "DECREASE_KEEPS_PERCENT": 100 - 20,
    "DAILY_MAX_NG": by_population(*mcg(2003, 1400, 1400)),
    "DAILY_MAX_UNDER_12_NG": mcg(1199),
    "DAILY_LOW_NG": by_population(*mcg(12, 22, 22)),
    "DAILY_LOW_UNDER_12_NG": mcg(24),
    "LIMITED_EXPERIENCE_NG": mcg(1000),
    # 2.6, 5.5: holiday, return
    "HOLIDAY_DAYS_LEAST": 2 * 7,
    "HOLIDAY_DAYS_MOST": 4 * 7,
    "LONG_IDLE_MS": 14 * DAY_MS,
    # R-MNT-4
    "SUSPECT_PERCENT": 150,
    "SUSPECT_SPAN_MS": 30 * DAY_MS,
    "SUSPECT_REFUSALS_MS": 7 * DAY_MS,
    "SUSPECT_CLIMBS": 3,
    # R-PRF-3, R-PRF-4
    "SEGMENT_CONFIRM_HIGH": 120,
    "SEGMENT_CONFIRM_LOW": 80,
    "SEGMENT_MAX": 200,
    "SEGMENT_MIN": 50,
    "CLOCK_SLACK_PERCENT": 101,
    # R-CON-1, R-FIL-2, R-FIL-4
    "CONC_MIN_MCG_ML": 51,
    "CONC_MAX_MCG_ML": 2000,
    "DISCREPANCY_PERMILLE": 145,
    "DISCREPANCY_NL": 500_000,
    "OBSERVE_LEAST_H": 1,
    "OBSERVE_MOST_H": 72,
    # R-ALM-2 to R-ALM-7
    "RESERVOIR_FORECAST_MS": 72 * HOUR_MS,
    "FLOW_DISCREPANCY_PERCENT": 1,
    "FLOW_DISCREPANCY_NL": 5_000,
    "STALL_MS": 15 * MINUTE_MS,
    "OVER_DELIVERY_COUNTS": 64,
    "UNDER_SHORT_WINDOW_MS": 15 * MINUTE_MS,
    "UNDER_SHORT_COUNTS": 320,
    "UNDER_SHORT_PERCENT": 10,
    "UNDER_LONG_WINDOW_MS": 24 * HOUR_MS,
    "UNDER_LONG_COUNTS": 640,
    "UNDER_LONG_PERCENT": 5,
    "WITHDRAWAL_WINDOW_MS": 6 * HOUR_MS,
    "WITHDRAWAL_PERCENT": 50,
    "STOPPED_HIGH_MS": 48 * HOUR_MS,
    "BOLUS_SHORT_PERCENT": 2,
    # R-STO-1, tenths of a degree
    "TEMPERATURE_HIGH": 10 * 40,
    "TEMPERATURE_LOW": 10 * 1,
    # DESIGN, "The wire"
    "TTL_MAX_S": 60,
    "CLOCK_LEAD_S": 5,
}


def is_figure(value):
    """A number, several, or a table of them; the rest are names."""
    values = list(value.values()) if isinstance(value, dict) else value if isinstance(value, tuple) else [value]
    return any(isinstance(each, int) or (isinstance(each, tuple) and is_figure(each)) for each in values)


@pytest.mark.req("R-INI-1", "R-TIT-1", "R-TIT-2", "R-MNT-1", "R-MNT-2", "R-MNT-3", "R-SCR-1", "R-HOL-1", "R-CON-1", "R-FIL-2", "R-STO-1")
@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_is_the_labels_or_the_requirements(name):
    assert getattr(label, name) == FIGURES[name]


def test_no_figure_is_left_out():
    own = {name for name, value in vars(label).items() if name.isupper() and is_figure(value) and not hasattr(units, name)}
    assert own == set(FIGURES)


@pytest.mark.req("R-MNT-3", "R-POP-1")
@pytest.mark.parametrize(
    ("population", "age", "most", "low"),
    [
        ("spinal", 4, 2003, 12),
        ("spinal", 80, 2003, 12),
        ("cerebral", 11, 1400, 22),
        ("cerebral", 30, 1400, 22),
        ("pediatric", 4, 1199, 24),
        ("pediatric", 11, 1199, 24),
        ("pediatric", 12, 1400, 22),
        ("pediatric", 13, 1400, 22),
    ],
)
def test_the_daily_range_is_that_of_population_and_age_and_a_twelfth_birthday_counts(population, age, most, low):
    assert (label.daily_max_ng(population, age), label.daily_low_ng(population, age)) == (mcg(most), mcg(low))


@pytest.mark.req("R-TIT-1", "R-TIT-2", "R-MNT-1")
@pytest.mark.parametrize("population", label.POPULATIONS)
@pytest.mark.parametrize("phase", ["first", "titration", "maintenance", "holiday"])
def test_a_step_is_a_maintenance_step_in_maintenance_alone(population, phase):
    table = "MAINTENANCE_PERCENT" if phase == "maintenance" else "TITRATION_PERCENT"
    assert label.step_percent(population, phase) == FIGURES[table][population]
