"""Whole domains, gone through member by member where they are small enough; each mark names its domain.

What is expected is worked out here in plain integers from the requirement, never with the firmware's own sums.
"""

from functools import cache
from itertools import pairwise, permutations
from types import SimpleNamespace

import pytest
from pump_rig import NIGHT_FLEX, PumpRig

from doseloop import commands, label, operate, treat
from doseloop.alarms import HIGH, LOW, LOWEST, MEDIUM, NO_BOLUS, RUN, STOP, TABLE, Alarms
from doseloop.bolus import Deliveries
from doseloop.judge import Case, check, check_concentration, check_record, confirmations
from doseloop.program import KEYS, Program, Staging, check_profile, needs_profile_confirmation
from doseloop.screening import INADEQUATE, POSITIVE
from doseloop.taper import Taper
from doseloop.therapy import Therapy
from doseloop.units import DAY_MS, HOUR_MS, Refusal, age_years
from hil.errors import Refused

TODAY = (2027, 5, 3)
BIRTHS = {"spinal": (1980, 5, 1), "cerebral": (1980, 5, 1), "pediatric": (2018, 5, 1)}
MOST_MCG = {"spinal": 2003, "cerebral": 1400, "pediatric": 1199}  # label 2.6; this child is nine
RISES = {"titration": {"spinal": 30, "cerebral": 15, "pediatric": 15}, "maintenance": {"spinal": 40, "cerebral": 20, "pediatric": 20}}
BOARD = {"max_rate_nl_h": 144_000_000, "reservation_nl": 10_000}


def code_of(do, *given):
    """OK, or the code of the refusal."""
    try:
        do(*given)
    except Refusal as refusal:
        return refusal.code
    return "OK"


@cache
def program(day_ng):
    return Program(["name=p", "conc=500", f"seg.all.00:00={day_ng}"])


def therapy(population, phase, last_ng=None, screen_ng=50_000, effect="short"):
    """A therapy whose every wait is over, with a refill that licenses an increase."""
    found = Therapy()
    record = {"population": population, "birth": BIRTHS[population], "injury": None, "phase": phase, "effect": effect}
    found.import_record({**record, "screen_ng": screen_ng, "increase_ago_ms": DAY_MS}, program(last_ng) if last_ng else None, 0)
    found.note_refill(0, 18_000_000, 20_000_000)
    return found


def verdict(found, day_ng):
    return code_of(check, found, program(day_ng), Case(0, TODAY, None, 500, BOARD, None, attended=True))


# ---- caps


@pytest.mark.req("R-TIT-1", "R-TIT-2", "R-MNT-1", "R-MNT-2", "R-DOSE-1")
@pytest.mark.exhaustive(
    "every whole mcg a day within the label's range, to the nanogram on either side of both limits",
    part_of=["R-MNT-1", "R-MNT-2", "R-DOSE-1"],
)
@pytest.mark.parametrize("population", sorted(MOST_MCG))
@pytest.mark.parametrize("phase", sorted(RISES))
def test_from_every_dose_the_largest_and_the_smallest_step_are_the_labels(phase, population):
    percent, most_ng = RISES[phase][population], MOST_MCG[population] * 1000
    found = therapy(population, phase, 1000)
    for mcg in range(1, MOST_MCG[population] + 1):
        found.last_run = program(mcg * 1000)
        highest, lowest = mcg * 10 * (100 + percent), mcg * 800
        wanted = ["OK" if highest <= most_ng else "DAILY_MAX", "STEP_CAP" if highest < most_ng else "DAILY_MAX", "OK", "STEP_CAP"]
        assert [verdict(found, ng) for ng in (highest, highest + 1, lowest, lowest - 1)] == wanted, mcg


@pytest.mark.req("R-INI-1")
@pytest.mark.exhaustive("every screening dose with every effect, every whole mcg a day to 250")
def test_a_first_program_is_within_the_start_cap_of_its_screening_dose():
    for screen in (25, 50, 75, 100):
        for effect, times in (("short", 2), ("long", 1), ("unknown", 1)):
            found = therapy("spinal", "screened", screen_ng=screen * 1000, effect=effect)
            allowed = [mcg for mcg in range(1, 251) if verdict(found, mcg * 1000) == "OK"]
            assert allowed == list(range(1, screen * times + 1))


@pytest.mark.req("R-MNT-3", "R-POP-1")
@pytest.mark.exhaustive("every age from 0 to 100 of every population, to the nanogram on either side of its maximum")
def test_at_every_age_the_daily_maximum_is_that_of_the_population():
    for age in range(101):
        for population in MOST_MCG:
            most = 2_003_000 if population == "spinal" else 1_199_000 if population == "pediatric" and age < 12 else 1_400_000
            found = therapy(population, "titration", most)
            found.birth = (2027 - age, 5, 3)
            wanted = ["AGE", "AGE"] if age < 4 else ["OK", "DAILY_MAX"]
            assert [verdict(found, ng) for ng in (most, most + 1)] == wanted, (population, age)
            fits = age >= 4 and (population == "pediatric") == (age < 18)
            assert code_of(check_record, population, found.birth, None, TODAY) == ("OK" if fits else "AGE")


@pytest.mark.req("R-MNT-3")
@pytest.mark.exhaustive("every whole mcg a day to 2003, and one ng more")
def test_a_person_confirms_every_dose_above_1000_mcg_a_day_and_no_other():
    asked = [ng for mcg in range(1, 2004) for ng in (mcg * 1000, mcg * 1000 + 1) if confirmations(program(ng))]
    assert asked == [ng for mcg in range(1000, 2004) for ng in (mcg * 1000, mcg * 1000 + 1)][1:]


# ---- who


@pytest.mark.req("R-POP-1")
@pytest.mark.exhaustive("every birthday of a leap cycle, on the day and the day before, at every age to 18")
def test_every_birthday_counts_as_the_new_age():
    days = [(2000 + year, month, day) for year in range(4) for month in range(1, 13) for day in range(1, month_length(year, month) + 1)]
    assert len(days) == 1461
    for before, birth in pairwise(days):
        for age in range(1, 19):
            shift = birth[0] - before[0]
            if birth[1:] != (2, 29) or age % 4 == 0:
                assert age_years(birth, (birth[0] + age, *birth[1:])) == age
            if before[1:] != (2, 29) or age % 4 == 0:
                assert age_years(birth, (birth[0] + age - shift, *before[1:])) == age - 1


def month_length(year, month):
    return 29 if month == 2 and year % 4 == 0 else (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)[month - 1]


# ---- screening

CANDIDATES = (1, 24, 25, 26, 49, 50, 51, 74, 75, 76, 99, 100, 101, 125, 150, 200)
LADDER = (25, 50, 75, 100)


def next_doses(history, population):
    """The doses in mcg that may follow a trial's history of (dose, outcome, response)."""
    if not history:
        return {25, 50} if population == "pediatric" else {50}
    dose, outcome, response = history[-1]
    if outcome != "DONE":
        return {dose}
    return {after for before, after in pairwise(LADDER) if before == dose} if response == INADEQUATE else set()


def trials(population, length, history=()):
    """Every history of a trial up to so many doses."""
    yield history
    if len(history) < length:
        for dose in sorted(next_doses(history, population)):
            for end in (("PARTIAL", "none"), ("UNCERTAIN", "none"), ("DONE", "none"), ("DONE", INADEQUATE), ("DONE", POSITIVE)):
                yield from trials(population, length, (*history, (dose, *end)))


def patient(population):
    """What SCREEN:RESPONSE needs of a pump, with a record and an open trial."""
    pump = SimpleNamespace(therapy=Therapy(), deliveries=Deliveries(), clock=SimpleNamespace(elapsed=0), save=lambda: None)
    pump.therapy.record(population, BIRTHS[population], None)
    pump.therapy.phase = "screening"
    return pump


def respond(pump, at, **fields):
    pump.clock.elapsed = at
    return code_of(treat.respond, pump, {"id": "00000001", **fields}, SimpleNamespace(verb="SCREEN:RESPONSE"))


def played(history, population):
    """A pump that went through a trial, a day between its doses."""
    pump = patient(population)
    for number, (dose, outcome, response) in enumerate(history):
        pump.therapy.trial.begin(dose * 1000, number * DAY_MS)
        pump.therapy.trial.end(outcome, number * DAY_MS + 60_000)
        if response != "none":
            assert respond(pump, number * DAY_MS + 60_000 + 4 * HOUR_MS, result=response) == "OK"
    return pump


@pytest.mark.req("R-SCR-1", "R-SCR-2", "R-SCR-3", "R-SCR-4", "R-SCR-5")
@pytest.mark.exhaustive("every trial of up to five doses with every outcome and response", part_of=["R-SCR-2"])
@pytest.mark.parametrize("population", ["spinal", "pediatric"])
def test_after_every_history_of_a_trial_only_its_next_dose_is_taken_and_its_phase_is_right(population):
    for history in trials(population, 5):
        pump = played(history, population)
        found = pump.therapy
        taken = {mcg for mcg in CANDIDATES if code_of(found.trial.check_dose, mcg * 1000, population) == "OK"}
        assert taken == next_doses(history, population), history
        last = history[-1] if history else (0, "none", "none")
        phase = "screened" if last[2] == POSITIVE else "not_candidate" if last == (100, "DONE", INADEQUATE) else "screening"
        assert (found.phase, found.screen_ng) == (phase, last[0] * 1000 if phase == "screened" else 0), history
        waits = last[1] == "DONE" and last[2] == "none"
        assert respond(pump, 10 * DAY_MS, result=POSITIVE) == ("OK" if waits else "STATE"), history


@pytest.mark.req("R-SCR-3", "R-SCR-4")
@pytest.mark.exhaustive("every second of the first 25 hours, and the millisecond before each limit")
@pytest.mark.parametrize(
    ("fields", "limit"),
    [
        ({}, DAY_MS),  # the next dose, from the start of the last
        ({"result": INADEQUATE}, 60_000 + 4 * HOUR_MS),  # from its end
        ({"effect": "long"}, 60_000 + 8 * HOUR_MS),
        ({"result": POSITIVE, "effect": "short"}, 60_000 + 8 * HOUR_MS),
        ({"result": POSITIVE}, 60_000),
    ],
)
def test_the_next_dose_waits_24_hours_from_the_start_and_a_response_4_or_8_from_the_end(fields, limit):
    pump = patient("spinal")
    trial = pump.therapy.trial
    for now in [*range(60_000, 25 * HOUR_MS, 1000), max(60_000, limit - 1)]:
        trial.begin(50_000, 0)
        trial.end("DONE", 60_000)
        pump.therapy.effect, pump.therapy.phase = "unknown", "screening" if fields.get("result") else "screened"
        code = respond(pump, now, **fields) if fields else code_of(trial.check_gap, now)
        assert code == ("OK" if now >= limit else "TOO_SOON"), now


# ---- holiday and profile


def plan(days_ng):
    return Taper(["name=h", "conc=500"] + [f"taper.{day:02d}={ng}" for day, ng in enumerate(days_ng, 1)])


@pytest.mark.req("R-HOL-1")
@pytest.mark.exhaustive(
    "every length of 1 to 40 days, and every whole mcg of a first day with the limits of the day after it",
    part_of=["R-HOL-1"],
)
def test_a_taper_has_14_to_28_days_and_no_day_keeps_less_than_80_percent():
    lengths = [days for days in range(1, 41) if code_of(plan([1000] * days).check_plan) == "OK"]
    assert lengths == list(range(14, 29))
    for mcg in range(1, 2004):
        for second, code in ((mcg * 800, "OK"), (mcg * 800 - 1, "HOLIDAY"), (mcg * 1000, "OK"), (mcg * 1000 + 1, "HOLIDAY")):
            assert code_of(plan([mcg * 1000] + [second] * 13).check_plan) == code, (mcg, second)


@pytest.mark.req("R-PRF-3")
@pytest.mark.exhaustive("every whole percent of its day's mean that one hour of 24 can have")
def test_an_hour_beyond_its_share_of_the_day_is_refused_or_confirmed():
    for percent in range(2401):
        rest = 2400 - percent  # of a mean of 2300 each, so that all 24 hours make 24 means exactly
        hours = [23 * percent] + [rest] * 23
        made = Program(["name=p", "conc=500"] + [f"seg.all.{hour:02d}:00={ng}" for hour, ng in enumerate(hours)])
        shares = (100 * 23 * percent, 100 * rest)
        code = "HOUR_MAX" if percent > 200 else "HOUR_MIN" if min(shares) < 50 * 2300 else "OK"
        assert code_of(check_profile, made, 10**9, 10_000) == code, percent
        assert needs_profile_confirmation(made) == (max(shares) > 120 * 2300 or min(shares) < 80 * 2300), percent


@pytest.mark.req("R-PRF-1")
@pytest.mark.exhaustive("every pair of two-digit numbers as a time of day, and every number of segments to 30")
def test_a_segment_begins_at_any_minute_of_the_day_and_a_day_has_at_most_24():
    taken = {text for text in (f"{hour:02d}:{minute:02d}" for hour in range(100) for minute in range(100)) if is_time(text)}
    assert taken == {f"{minute // 60:02d}:{minute % 60:02d}" for minute in range(1440)}
    staging = Staging("p")
    codes = [code_of(staging.segment, "mon", f"00:{minute:02d}", "1ng") for minute in range(30)]
    assert codes == ["OK"] * 24 + ["ARG"] * 6
    assert code_of(staging.segment, "tue", "00:00", "1ng") == "OK"


def is_time(text):
    return code_of(Staging("p").segment, "all", text, "1ng") == "OK"


# ---- concentrations


@pytest.mark.req("R-CON-1")
@pytest.mark.exhaustive("every whole concentration to 10,000 mcg/mL, in a refill in every phase and under a program")
def test_a_reservoir_holds_51_to_2000_and_for_screening_50():
    pump = SimpleNamespace(run=False, therapy=SimpleNamespace())
    for pump.therapy.phase in ("none", "screening", "screened", "not_candidate", "first", "titration", "maintenance", "holiday"):
        taken = [conc for conc in range(10_001) if code_of(operate._check_conc, pump, conc) == "OK"]
        screens = [50] if pump.therapy.phase in ("none", "screening") else []
        assert taken == screens + list(range(51, 2001)), pump.therapy.phase
    for conc in range(10_001):
        made = SimpleNamespace(conc=conc)
        wanted = "OK" if 51 <= conc <= 2000 else "CONCENTRATION"
        assert [code_of(check_concentration, made, held) for held in (conc, conc + 1)] == [wanted, "CONCENTRATION"], conc


# ---- quantities

UNITS = {"", "nl", "ul", "ml", "s", "ms", "min", "h", "ng", "mcg", "mg", "mcg/ml", "nl/h", "/s"}
UNITS |= {unit.upper() for unit in UNITS}


@pytest.mark.req("R-UNIT-2")
@pytest.mark.exhaustive("every quantity of every verb and every key of a program, with every unit that is not its own")
def test_no_quantity_is_read_with_another_unit_or_none():
    for verb, (_, spec) in commands.VERBS.items():
        for name, kind in spec.items():
            if kind[0] == "q":
                alone = {name: kind}
                for unit in UNITS - {kind[1]}:
                    assert code_of(commands.check_fields, alone, {name.rstrip("?"): f"100{unit}"}) == "UNIT", (verb, name, unit)
    staging = Staging("p")
    for key, (own, *_) in KEYS.items():
        assert {unit for unit in UNITS if code_of(staging.set, key, f"100{unit}") == "OK"} == {own}
    assert {unit for unit in UNITS if code_of(staging.segment, "all", "00:00", f"100{unit}") == "OK"} == {"ng"}
    assert {unit for unit in UNITS if code_of(staging.taper, 1, f"100{unit}") == "OK"} == {"ng"}


# ---- the catheter access port

PORT_WORDS = ["port", "PORT", "cap", "Cap", "catheter", "catheter_port", "CATHETER_ACCESS_PORT", "access", "side-port", "pump+cap"]
SAMPLES = {"q": lambda kind: f"{kind[2]}{kind[1]}", "n": lambda kind: kind[1], "w": lambda kind: kind[1][0], "t": lambda kind: "x"}
SAMPLES |= {"d": lambda kind: "2027-05-01", "h": lambda kind: "0" * kind[1]}


def empty_pump():
    return PumpRig().set_up()


def held():
    return PumpRig().take_over(NIGHT_FLEX)


def running():
    return held().run()


def with_open_port():
    rig = running()
    rig.open_port()
    rig.advance(1000)
    return rig


def without_a_clock():
    return running().cut_power(60_000, clock_kept=False).connect()


def sampled(verb, way, word):
    """A whole request: every field that must be there, and the way to give it."""
    _, spec = commands.VERBS[verb]
    fields = {name: SAMPLES[kind[0]](kind) for name, kind in spec.items() if not name.endswith("?") and name not in ("id", "at", "ttl")}
    return {**fields, way: word}


def ways():
    """Every verb with each of its fields that names a way."""
    for verb, (_, spec) in commands.VERBS.items():
        yield from ((verb, way) for way in ("path", "route") if way in spec or way + "?" in spec)


@pytest.mark.req("R-CAP-1", "R-FIL-1")
@pytest.mark.exhaustive("every verb that names a way, ten spellings of the port, either role, in five states", part_of=["R-FIL-1"])
@pytest.mark.parametrize("role", ["operator", "service"])
@pytest.mark.parametrize("state", [empty_pump, held, running, with_open_port, without_a_clock])
def test_no_request_goes_through_the_catheter_access_port(state, role):
    rig = state()
    rig.connect(role)
    assert {verb for verb, _ in ways()} == {"DOSE:BOLUS", "DOSE:SCREEN", "DOSE:PRIME", "RES:REFILL", "PROG:COMMIT"}
    before = rig.pump.deliveries.dump(), rig.pump.ledger.bolus_steps, rig.pump.reservoir.dump(), rig.pump.run
    for verb, way in ways():
        for word in PORT_WORDS:
            with pytest.raises(Refused) as refused:
                rig.do(verb, **sampled(verb, way, word))
            assert refused.value.code == "CATHETER_PORT", (verb, way, word)
    assert (rig.pump.deliveries.dump(), rig.pump.ledger.bolus_steps, rig.pump.reservoir.dump(), rig.pump.run) == before


# ---- alarms

ROWS = {row[0]: row for row in TABLE}


@pytest.mark.req("R-ALM-1", "R-ALM-10", "R-ALM-11")
@pytest.mark.exhaustive("every alarm, and every two of them in either order", part_of=["R-ALM-10", "R-ALM-11"])
def test_of_two_alarms_the_stronger_action_holds_and_the_higher_priority_sounds():
    stops = {"RESERVOIR_EMPTY", "BATTERY_DEPLETED", "OVER_DELIVERY", "MEMORY_FAULT"}

    def wanted(code):
        high = ROWS[code][1] == HIGH
        return STOP if code in stops else LOWEST if code == "CLOCK_LOST" else NO_BOLUS if high else RUN

    assert RUN < NO_BOLUS < STOP and RUN < LOWEST < STOP and LOW < MEDIUM < HIGH
    for first, second in permutations(ROWS, 2):
        alarms = Alarms(lambda text: None)
        for code in (first, second):
            alarms.set(code, True, 0)
            alarms.set(code, True, 300_000)
        actions = {wanted(first), wanted(second)}
        if actions == {NO_BOLUS, LOWEST}:
            assert alarms.high(), "no bolus by the alarm, and the lowest rate by the lost clock"
            assert alarms.action() == LOWEST
        else:
            assert alarms.action() == max(actions), (first, second)
        assert alarms.signal(300_001) == max(ROWS[first][1], ROWS[second][1])
        assert {alarm.code for alarm in alarms.active()} == {first, second}


def test_the_figures_above_are_those_of_the_label():
    assert tuple(mcg * 1000 for mcg in LADDER) == label.SCREEN_DOSES_NG
