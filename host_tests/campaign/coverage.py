"""Which answers a campaign must have drawn from each verb; a code never reached is a weakness of events.py."""

REQUIREMENTS = [
    "R-CAP-1", "R-CAP-2", "R-CON-1", "R-DOSE-1", "R-DOSE-2", "R-FIL-1", "R-FIL-2", "R-INI-1", "R-INI-2", "R-INI-3", "R-MNT-1", "R-MNT-2",
    "R-MNT-3", "R-POP-1", "R-POP-2", "R-PRF-3", "R-TIM-1", "R-TIT-1", "R-TIT-2", "R-TIT-3", "R-TIT-4", "R-BOL-1", "R-BOL-2", "R-BOL-3",
]  # fmt: skip

EXPECTED = {
    "import": "OK",
    "commit": "OK CATHETER_PORT CLOCK_LOST STALE ROUTE UNATTENDED CONCENTRATION START_FLAT DAILY_MAX HOUR_MAX HOUR_MIN START_CAP FIRST_24H"
    " TOO_SOON NO_REFILL STEP_CAP CONFIRM_OVER_1000 CONFIRM_PROFILE BUSY",
    "run": "OK STATE CLOCK_LOST FIRST_24H TOO_SOON NO_REFILL STEP_CAP",
    "stop": "OK",
    "phase": "OK STATE TOO_SOON",
    "refill": "OK BUSY CATHETER_PORT CLOCK_LOST STALE COMPOUNDED UNATTENDED CONCENTRATION EXPIRED RESIDUAL CAPACITY",
    "bolus": "OK STATE BUSY CATHETER_PORT CLOCK_LOST STALE PORT_OPEN BOLUS_OFF UNCERTAIN LOCKOUT WINDOW_MAX",
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
