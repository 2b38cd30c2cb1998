"""Which answers a campaign must have drawn from each verb; a code never reached is a weakness of events.py."""

REQUIREMENTS = [
    "R-BOL-1", "R-BOL-2", "R-BOL-3", "R-CAL-1", "R-CAL-2", "R-CAP-1", "R-CAP-2", "R-COM-1", "R-CON-1", "R-CON-3", "R-CON-4", "R-DOSE-1",
    "R-DOSE-2", "R-FIL-1", "R-FIL-2", "R-FIL-4", "R-HOL-1", "R-INI-1", "R-INI-2", "R-INI-3", "R-MNT-1", "R-MNT-2", "R-MNT-3", "R-MNT-4",
    "R-POP-1", "R-POP-2", "R-PRF-1", "R-PRF-3", "R-SCR-1", "R-SCR-2", "R-SCR-3", "R-SCR-4", "R-SCR-5", "R-TIM-1", "R-TIT-1", "R-TIT-2",
    "R-TIT-3", "R-TIT-4", "R-WDR-1",
]  # fmt: skip

_DATED = "OK CATHETER_PORT CLOCK_LOST STALE TEST_FLUID BUSY ROUTE "
EXPECTED = {
    "acknowledge": "OK",
    "bolus": _DATED + "STATE UNCALIBRATED PORT_OPEN BRIDGING BOLUS_OFF ALARM_ACTIVE UNCERTAIN LOCKOUT WINDOW_MAX",
    "calibrate": "OK BUSY STATE BRIDGING",
    "clinical": "OK BUSY STATE",
    "clock": "OK",
    "commit": _DATED + "STATE UNATTENDED AGE NOT_SCREENED CONCENTRATION START_FLAT DAILY_MAX HOUR_MAX HOUR_MIN HOLIDAY START_CAP FIRST_24H"
    " TOO_SOON NO_REFILL STEP_CAP CONFIRM_OVER_1000 CONFIRM_PROFILE CONFIRM_HOLIDAY CONFIRM_RETURN",
    "empty": "OK",
    "import": "OK AGE DAILY_MAX",
    "line": "OK BUSY STATE BRIDGING",
    "phase": "OK BUSY STATE TOO_SOON TEST_FLUID",
    "prime": _DATED + "STATE UNCALIBRATED PORT_OPEN BRIDGING PRIME_DONE CONFIRM_PRIME",
    "record": "OK ARG BUSY STATE CLOCK_LOST AGE CONFIRM_INJURY",
    "refill": _DATED + "COMPOUNDED UNATTENDED CONCENTRATION EXPIRED RESIDUAL CAPACITY BRIDGING",
    "repeat": "OK",
    "respond": "OK MISSING BUSY STATE TOO_SOON",
    "run": "OK BUSY STATE CLOCK_LOST TEST_FLUID UNCALIBRATED NOT_SCREENED CONCENTRATION START_FLAT START_CAP FIRST_24H NO_REFILL STEP_CAP",
    "screen": _DATED + "STATE UNCALIBRATED PORT_OPEN UNATTENDED SCREEN_DOSE CONCENTRATION BRIDGING TOO_SOON ALARM_ACTIVE",
    "stop": "OK",
    "test_fluid": "OK",
    "trial": "OK BUSY STATE",
}


def missing(seen):
    """Answers that were expected and never came."""
    wanted = [kind + " " + code for kind, codes in sorted(EXPECTED.items()) for code in codes.split()]
    return [answer for answer in wanted if not seen.get(answer)]


def table(seen):
    """Counts by verb, then what is missing."""
    kinds = sorted({answer.split()[0] for answer in seen})
    lines = []
    for kind in kinds:
        counts = ["%s %d" % (answer.split()[1], count) for answer, count in sorted(seen.items()) if answer.split()[0] == kind]
        lines.append("%-8s %s" % (kind, ", ".join(counts)))
    return "\n".join([*lines, "never reached: %s" % (", ".join(missing(seen)) or "none")])
