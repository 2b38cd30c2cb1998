"""The figures of the rules, each with its section of the label or the id that sets it."""

from __future__ import annotations

from dataclasses import dataclass

from .program import DAY_MS, HOUR_MS

# The order in which refusals are named (end of the requirements). What the wire asks of every dated command comes first, then the
# wire's own BUSY and STATE; but the catheter port is refused "in every state".
ORDER = (
    "CATHETER_PORT",
    "CLOCK_LOST",
    "STALE",
    "TEST_FLUID",
    "BUSY",
    "STATE",
    "UNCALIBRATED",
    "ROUTE",
    "PORT_OPEN",
    "COMPOUNDED",
    "UNATTENDED",
    "AGE",
    "NOT_SCREENED",
    "SCREEN_DOSE",
    "CONCENTRATION",
    "EXPIRED",
    "RESIDUAL",
    "CAPACITY",
    "BRIDGING",
    "PRIME_DONE",
    "START_FLAT",
    "DAILY_MAX",
    "HOUR_MAX",
    "HOUR_MIN",
    "HOLIDAY",
    "START_CAP",
    "FIRST_24H",
    "TOO_SOON",
    "NO_REFILL",
    "STEP_CAP",
    "BOLUS_OFF",
    "ALARM_ACTIVE",
    "UNCERTAIN",
    "LOCKOUT",
    "WINDOW_MAX",
    "CONFIRM_OVER_1000",
    "CONFIRM_PROFILE",
    "CONFIRM_HOLIDAY",
    "CONFIRM_RETURN",
    "CONFIRM_INJURY",
    "CONFIRM_PRIME",
)
RANK = {code: place for place, code in enumerate(ORDER)}

POPULATIONS = ("spinal", "cerebral", "pediatric")

MCG = 1000  # ng


@dataclass(frozen=True)
class Figures:
    """Percentages of a step: the most that is allowed, and below what it is noted."""

    titration: int
    maintenance: int
    noted_below: int


FIGURES = {
    "spinal": Figures(titration=30, maintenance=40, noted_below=10),  # 2.5, 2.6
    "cerebral": Figures(titration=15, maintenance=20, noted_below=5),
    "pediatric": Figures(titration=15, maintenance=20, noted_below=5),
}

DECREASE_PERCENT = 20  # 2.6
CONFIRM_ABOVE_NG = 1000 * MCG  # 2.6: limited experience above
CONC_MIN, CONC_MAX = 51, 2000  # R-CON-1
MIN_AGE = 4  # 8.4
ADULT_AGE = 18  # R-POP-1
START_FACTOR, START_FACTOR_LONG = 2, 1  # 2.5: the screening dose doubled, unless its effect lasted over 8 h

FIRST_RUNNING_MS = DAY_MS  # 2.5
INCREASE_GAP_MS = DAY_MS  # 2.5
INTERRUPTION_MS = 6 * HOUR_MS  # R-INI-2: more than this begins the first 24 h anew
IDLE_MS = 14 * DAY_MS  # R-WDR-1: after more than this without delivery, at most the start cap
LICENCE_MS = DAY_MS  # R-MNT-1: within 24 h of the refill's record
LICENCE_GAP_MS = 72 * HOUR_MS  # R-MNT-1
LICENCE_SHARE = 4  # R-MNT-1: a quarter of the capacity

SCREEN_CONC = 50  # 2.3
SCREEN_DOSES_MCG = (25, 50, 75, 100)  # 2.2
SCREEN_FIRST_MCG = {"spinal": (50,), "cerebral": (50,), "pediatric": (50, 25)}  # the usual one first
SCREEN_GAP_MS = DAY_MS  # R-SCR-3: from start to start
INADEQUATE_MS = 4 * HOUR_MS  # R-SCR-3: after the end
EFFECT_MS = 8 * HOUR_MS  # R-SCR-4: after the end

TAPER_DAYS = (14, 28)  # R-HOL-1
TAPER_KEPT_PERCENT = 80  # R-HOL-1

ESCALATION_PERCENT, ESCALATION_MS = 150, 30 * DAY_MS  # R-MNT-4
REFUSALS_MS = 7 * DAY_MS  # R-MNT-4: two refused increases within this
UNANSWERED = 3  # R-MNT-4: titration increases in a row without a response

OBSERVE_H = 24  # R-FIL-4

STALE_EARLY_S, TTL_MAX_S = 5, 60  # the wire's rule on `at` and `ttl`
DISCREPANCY_NL, DISCREPANCY_PERMILLE = 500_000, 145  # R-FIL-2


def daily_max_ng(population: str, age: int) -> int:
    """R-MNT-3: the most per day."""
    if population == "spinal":
        return 2003 * MCG
    return 1199 * MCG if population == "pediatric" and age < 12 else 1400 * MCG


def noted_below_ng(population: str, age: int) -> int:
    """R-MNT-3: a daily dose below this is noted."""
    if population == "spinal":
        return 12 * MCG
    return 24 * MCG if age < 12 else 22 * MCG
