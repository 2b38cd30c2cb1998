"""The label's numbers, each with its section, and the project's where the label is silent. Code elsewhere has none.

Sections are those of the prescribing information (the authority). Doses are ng, waits ms, percentages whole numbers.
"""

from doseloop.units import DAY_MS, HOUR_MS, const

SPINAL, CEREBRAL, PEDIATRIC = "spinal", "cerebral", "pediatric"
POPULATIONS = (SPINAL, CEREBRAL, PEDIATRIC)

# Phases of a therapy: 2.2 to 2.6. UNSCREENED ones take no chronic program: R-SCR-5.
NONE, SCREENING, SCREENED, NOT_CANDIDATE = "none", "screening", "screened", "not_candidate"
FIRST, TITRATION, MAINTENANCE, HOLIDAY = "first", "titration", "maintenance", "holiday"
UNSCREENED = (NONE, SCREENING, NOT_CANDIDATE)

# Smallest age for which safety was established: 1, 8.4. "Pediatric" is under 18; doses change at 12: 2.6.
MIN_AGE_YEARS = const(4)
ADULT_YEARS = const(18)
OLDER_CHILD_YEARS = const(12)
INJURY_YEARS = const(1)  # wait after a brain injury: 1, R-POP-1

# First chronic dose as a multiple of the positive screening dose: 2.5.
START_PERCENT_SHORT_EFFECT = const(200)
START_PERCENT_LONG_EFFECT = const(100)

# Screening trial: 2.2, 2.3. The first entry is for pediatric trials only.
SCREEN_DOSES_NG = (25_000, 50_000, 75_000, 100_000)
SCREEN_CONC = const(50)  # mcg/mL
SCREEN_TIME_S = const(60)  # "not less than one minute"
SCREEN_TIME_MOST_S = const(900)  # one reservation of the account
SCREEN_GAP_MS = const(24 * 3_600_000)
RESPONSE_WAIT_MS = const(4 * 3_600_000)
LONG_EFFECT_MS = const(8 * 3_600_000)  # 2.5

# No increase in the first 24 h, then one in any 24 h: 2.5.
STEADY_STATE_MS = const(24 * 3_600_000)
INCREASE_WAIT_MS = const(24 * 3_600_000)
INTERRUPTION_MS = const(6 * 3_600_000)  # project, R-INI-2

# (most, least) of one titration increase in percent: 2.5.
TITRATION_PERCENT = {SPINAL: (30, 10), CEREBRAL: (15, 5), PEDIATRIC: (15, 5)}
# ... and of one maintenance increase, at a refill: 2.6.
MAINTENANCE_PERCENT = {SPINAL: (40, 10), CEREBRAL: (20, 5), PEDIATRIC: (20, 5)}
MAINTENANCE_REFILL_MS = const(24 * 3_600_000)  # the increase follows the refill within this: project, R-MNT-1
REFILL_SPACING_MS = const(72 * 3_600_000)  # project, R-MNT-1
REFILL_CAPACITY_PART = const(4)  # a refill that licenses brings at least 1/4 of the capacity: project, R-MNT-1

# A return after an interruption is limited to a first program's dose: 5.5; the figure is the project's, R-WDR-1.
LONG_IDLE_MS = 14 * DAY_MS

# Drug holiday: 2.6 names a reduction over two to four weeks, R-HOL-1.
HOLIDAY_DAYS_LEAST, HOLIDAY_DAYS_MOST = 14, 28

# What suggests a catheter complication: 2.5, 2.6; the figures are the project's, R-MNT-4.
SUSPECT_PERCENT = const(150)
SUSPECT_SPAN_MS = 30 * DAY_MS
SUSPECT_REFUSALS_MS = 7 * DAY_MS
SUSPECT_CLIMBS = const(3)

# One reduction is at most 20 %: 2.6.
DECREASE_KEEPS_PERCENT = const(80)

# Ranges of 2.6 as hard daily maxima (project, R-MNT-3), and the figures below which a program is noted.
DAILY_MAX_NG = {SPINAL: 2_003_000, CEREBRAL: 1_400_000, PEDIATRIC: 1_400_000}
DAILY_MAX_UNDER_12_NG = const(1_199_000)
DAILY_LOW_NG = {SPINAL: 12_000, CEREBRAL: 22_000, PEDIATRIC: 22_000}
DAILY_LOW_UNDER_12_NG = const(24_000)
LIMITED_EXPERIENCE_NG = const(1_000_000)  # "limited experience": 2.6

# Segments against their day's mean rate: project, R-PRF-3.
SEGMENT_CONFIRM_HIGH, SEGMENT_CONFIRM_LOW = 120, 80
SEGMENT_MAX, SEGMENT_MIN = 200, 50

# Concentrations of a filled reservoir: 3, 2.3.
CONC_MIN_MCG_ML, CONC_MAX_MCG_ML = 51, 2000

# Observation after a refill or a change, hours: project, R-FIL-4.
OBSERVE_LEAST_H, OBSERVE_MOST_H = 1, 72

# Basal of any 24 h after a clock correction: project, R-PRF-4.
CLOCK_SLACK_PERCENT = const(101)

# Refill check: 14.5 % and 0.5 mL: project, R-FIL-2.
DISCREPANCY_PERMILLE = const(145)
DISCREPANCY_NL = const(500_000)

# Alarms: project and GIP, R-ALM-2 to R-ALM-7.
RESERVOIR_FORECAST_MS = 72 * HOUR_MS
FLOW_DISCREPANCY_PERCENT = const(1)
FLOW_DISCREPANCY_NL = const(5_000)
STALL_MS = const(15 * 60_000)
OVER_DELIVERY_COUNTS = const(64)
UNDER_SHORT_WINDOW_MS, UNDER_SHORT_COUNTS, UNDER_SHORT_PERCENT = 15 * 60_000, 320, 10
UNDER_LONG_WINDOW_MS, UNDER_LONG_COUNTS, UNDER_LONG_PERCENT = 24 * 3_600_000, 640, 5
WITHDRAWAL_WINDOW_MS = 6 * HOUR_MS
WITHDRAWAL_PERCENT = const(50)
STOPPED_HIGH_MS = 48 * HOUR_MS
BOLUS_SHORT_PERCENT = const(2)

# Storage of the filled reservoir: 11, 16; 40 C is the project's figure, R-STO-1. Tenths of a degree.
TEMPERATURE_HIGH, TEMPERATURE_LOW = 400, 10

# How fresh a command must be: DESIGN.
TTL_MAX_S = const(60)
CLOCK_LEAD_S = const(5)


def daily_max_ng(population, age):
    """Hard maximum of the daily dose in ng for this population and whole years of age (R-MNT-3)."""
    if population == PEDIATRIC and age < OLDER_CHILD_YEARS:
        return DAILY_MAX_UNDER_12_NG
    return DAILY_MAX_NG[population]


def daily_low_ng(population, age):
    """Daily dose in ng below which a program is noted, not refused (R-MNT-3)."""
    if population == PEDIATRIC and age < OLDER_CHILD_YEARS:
        return DAILY_LOW_UNDER_12_NG
    return DAILY_LOW_NG[population]


def step_percent(population, phase):
    """(most, least) percent of one increase in this phase (R-TIT-1, R-TIT-2, R-MNT-1)."""
    return (MAINTENANCE_PERCENT if phase == MAINTENANCE else TITRATION_PERCENT)[population]
