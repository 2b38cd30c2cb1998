"""Which answers a campaign must have drawn from each verb; a code never reached is a weakness of events.py."""

# Of which requirement a campaign without a disagreement is evidence, if it drew all of these answers.
SHOWN_BY = {
    "R-DOSE-2": "commit STEP_CAP",
    "R-TIM-1": "clock OK, commit CLOCK_LOST, commit STALE",
    "R-POP-1": "record OK, record AGE",
    "R-POP-2": "refill COMPOUNDED, commit ROUTE, commit UNATTENDED",
    "R-SCR-1": "screen OK, screen SCREEN_DOSE, screen CONCENTRATION",
    "R-SCR-2": "screen OK, respond STATE",
    "R-SCR-3": "screen TOO_SOON, respond TOO_SOON",
    "R-SCR-4": "respond OK, respond TOO_SOON",
    "R-SCR-5": "commit NOT_SCREENED, run NOT_SCREENED, trial OK",
    "R-INI-1": "commit START_CAP",
    "R-INI-2": "commit FIRST_24H",
    "R-INI-3": "commit START_FLAT",
    "R-TIT-1": "commit STEP_CAP, commit OK",
    "R-TIT-2": "commit STEP_CAP, commit OK",
    "R-TIT-3": "commit TOO_SOON",
    "R-TIT-4": "commit STEP_CAP, commit TOO_SOON, run OK, stop OK, clock OK",
    "R-MNT-1": "commit NO_REFILL, phase OK, phase TOO_SOON",
    "R-MNT-2": "commit STEP_CAP, stop OK",
    "R-MNT-3": "commit DAILY_MAX",
    "R-MNT-4": "commit STEP_CAP, clinical OK",
    "R-HOL-1": "commit HOLIDAY, phase OK",
    "R-WDR-1": "run START_CAP, commit OK",
    "R-PRF-3": "commit HOUR_MAX, commit HOUR_MIN",
    "R-CON-1": "commit CONCENTRATION, refill CONCENTRATION",
    "R-CON-3": "refill BRIDGING, bolus BRIDGING, prime BRIDGING",
    "R-CON-4": "prime PRIME_DONE, line OK",
    "R-FIL-1": "refill CATHETER_PORT",
    "R-FIL-2": "refill EXPIRED, refill RESIDUAL, refill CAPACITY",
    "R-FIL-4": "refill OK, commit OK",
    "R-CAP-1": "bolus CATHETER_PORT, commit CATHETER_PORT",
    "R-CAP-2": "bolus PORT_OPEN, prime PORT_OPEN",
    "R-CAL-1": "bolus UNCALIBRATED, run UNCALIBRATED",
    "R-BOL-1": "bolus BOLUS_OFF, bolus LOCKOUT",
    "R-BOL-2": "bolus WINDOW_MAX",
    "R-BOL-3": "bolus ALARM_ACTIVE, bolus UNCERTAIN",
}


def shown(seen):
    """The requirements that a campaign with these answers is evidence of."""
    return [id for id, answers in SHOWN_BY.items() if all(seen.get(answer) for answer in answers.split(", "))]


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
    "screen": _DATED + "STATE UNCALIBRATED PORT_OPEN UNATTENDED AGE SCREEN_DOSE CONCENTRATION BRIDGING TOO_SOON ALARM_ACTIVE",
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
        counts = [f"{answer.split()[1]} {count}" for answer, count in sorted(seen.items()) if answer.split()[0] == kind]
        lines.append(f"{kind:11} {', '.join(counts)}")
    return "\n".join([*lines, "never reached: " + (", ".join(missing(seen)) or "none")])
