"""The verbs of the therapy itself: the record, a take-over, screening responses, phases (R-POP-1, R-COM-1, R-SCR-*, R-MNT-1)."""

from doseloop import judge, label
from doseloop.guards import once, require_confirmation, require_no_delivery, require_rest
from doseloop.screening import POSITIVE, too_soon
from doseloop.staging import staged_program
from doseloop.taper import make_program
from doseloop.units import NG_PER_MCG, SECOND_MS, Refusal, parse_date


def _require_clock(pump):
    if not pump.clock.is_set():
        raise Refusal("CLOCK_LOST", "the time of day is unset; TIME set=..s offset=..min first")


def _injury_of(fields):
    text = fields.get("injury", "none")
    return None if text == "none" else parse_date(text, "injury")


# The record and the take-over.


def set_record(pump, fields, request):
    """THER:RECORD: who is treated; it stands from the first screening dose on (R-POP-1)."""
    injury = _injury_of(fields)
    therapy = pump.therapy
    require_no_delivery(pump)
    open_still = therapy.phase == label.NONE or (therapy.phase == label.SCREENING and not therapy.trial.dose_ng)
    if not open_still or therapy.started is not None:
        raise Refusal("STATE", "the record stands since the first dose; phase %s" % therapy.phase)
    _require_clock(pump)
    population, birth = fields["population"], fields["birth"]
    codes = judge.check_record(population, birth, injury, pump.clock.today())
    require_confirmation(codes, "record %s %d-%02d-%02d %s" % ((population,) + birth + (fields["injury"],)), fields)
    therapy.record(population, birth, injury)
    return [("population", population), ("injury", fields["injury"])]


def import_therapy(pump, fields, request):
    """R-COM-1: only on an empty journal, before the first RUN, once."""
    if pump.imported or pump.therapy.population or pump.basal.program or pump.reservoir.fluid != "none":
        raise Refusal("STATE", "a therapy is taken over only on an empty journal, once")
    _require_clock(pump)
    program = None
    if fields["phase"] != label.SCREENED:
        program = staged_program(pump, request.sess)
        if fields.get("hash") != program.hash:
            raise Refusal("ARG", "hash is not the staged program's %s; read it back" % program.hash)
        if program.is_taper:
            raise Refusal("STATE", "a holiday is not taken over; import the program before it")
    record = _record_of(fields)
    _check_import(pump, record, fields, program)
    _take_over(pump, record, program, fields)
    return [("origin", "imported"), ("phase", fields["phase"])]


def _record_of(fields):
    record = {name: fields[name] for name in ("population", "birth", "phase", "effect")}
    record["injury"] = _injury_of(fields)
    record["screen_ng"] = fields["screen"] * NG_PER_MCG
    record["increase_ago_ms"] = fields["increase_ago"] * SECOND_MS
    return record


def _check_import(pump, record, fields, program):
    """What is taken over keeps the absolute limits; no step or start is judged."""
    today = pump.clock.today()
    codes = judge.check_record(record["population"], record["birth"], record["injury"], today)
    if record["screen_ng"] not in label.SCREEN_DOSES_NG:
        raise Refusal("SCREEN_DOSE", "screening doses are 25, 50, 75 and 100 mcg, label 2.2")
    if program:
        judge.check_concentration(program, fields["conc"])
    elif not label.CONC_MIN_MCG_ML <= fields["conc"] <= label.CONC_MAX_MCG_ML:
        text = "%d outside %d to %d mcg/ml, label 3"
        raise Refusal("CONCENTRATION", text % (fields["conc"], label.CONC_MIN_MCG_ML, label.CONC_MAX_MCG_ML))
    pump.reservoir.check_refill(fields["volume"], fields["conc"], 0, fields["expiry"], today, "drug")
    what = "import %s %d-%02d-%02d %s " % ((record["population"],) + record["birth"] + (fields.get("injury", "none"),))
    if program:
        age = judge.check_age(record["birth"], today)
        judge.check_absolute(program, record["population"], age, pump.board)
        codes = judge.confirmations(program) + codes
        what += program.hash
    require_confirmation(codes, what, fields)


def _take_over(pump, record, program, fields):
    pump.stage = None
    pump.imported = True
    pump.therapy.import_record(record, program, pump.clock.elapsed)
    pump.basal.program = program
    if fields["volume"]:
        pump.reservoir.refill(fields["volume"], "drug", fields["conc"], fields["lot"], fields["expiry"])


# Screening.


def respond(pump, fields, request):
    """SCREEN:RESPONSE (R-SCR-2 to R-SCR-5)."""
    result, effect = fields.get("result"), fields.get("effect")
    if result is None and effect is None:
        raise Refusal("MISSING", "result=positive|inadequate or effect=short|long is missing")
    require_no_delivery(pump)
    therapy, now = pump.therapy, pump.clock.elapsed
    if result:
        if therapy.phase != label.SCREENING:
            raise Refusal("STATE", "no trial is open; the phase is %s" % therapy.phase)
        therapy.trial.require_unanswered()
    if effect:
        _require_effect_open(therapy, result)
    therapy.trial.check_waits(result, effect, now)
    once(pump, fields, request.verb)
    if result:
        therapy.respond(result)
    if effect:
        therapy.effect = effect
    return [("phase", therapy.phase), ("effect", therapy.effect)]


def _require_effect_open(therapy, result):
    """Once, of the dose that gave a positive response."""
    positive = result == POSITIVE or (result is None and therapy.phase == label.SCREENED)
    if not positive or therapy.effect != "unknown":
        raise Refusal("STATE", "the effect is recorded once, of a positive response, before the first program runs")


def open_trial(pump, fields, request):
    """SCREEN:NEW: a new trial; the history stays, the program in force does not (R-SCR-5)."""
    require_no_delivery(pump)
    require_rest(pump, "SCREEN:NEW")
    once(pump, fields, request.verb)
    pump.end_therapy()
    return [("phase", pump.therapy.phase)]


# Phases.


def record_response(pump, fields, request):
    """THER:RESPONSE: the clinical response to the dose (R-MNT-4)."""
    require_no_delivery(pump)
    if pump.therapy.phase not in (label.FIRST, label.TITRATION, label.MAINTENANCE, label.HOLIDAY):
        raise Refusal("STATE", "no chronic therapy; the phase is %s" % pump.therapy.phase)
    once(pump, fields, request.verb)
    pump.therapy.climbs = 0
    return [("result", fields["result"])]


def change_phase(pump, fields, request):
    """THER:PHASE; not while a delivery moves, for nothing is saved then, and a power cut would undo what was answered."""
    require_no_delivery(pump)
    return _PHASES[fields["phase"]](pump)


def _enter_maintenance(pump):
    """At least 24 h after the last increase (R-MNT-1)."""
    therapy, now = pump.therapy, pump.clock.elapsed
    if therapy.phase != label.TITRATION:
        raise Refusal("STATE", "maintenance follows titration; the phase is %s" % therapy.phase)
    judge.check_wait(therapy, now)
    program = pump.basal.program
    if pump.delivering and not therapy.runs(program) and therapy.base(now).daily < program.daily:
        raise too_soon("an increase waits for its first step; maintenance in %s, label 2.6", label.INCREASE_WAIT_MS)
    therapy.enter_maintenance()
    return [("phase", therapy.phase)]


def _break_holiday(pump):
    """The dose of the present day holds, flat, from now on even if the pump is stopped; increases follow R-TIT (R-HOL-1)."""
    taper, now = pump.therapy.last_run, pump.clock.elapsed
    if pump.therapy.phase != label.HOLIDAY or taper.is_over(now):
        raise Refusal("STATE", "no holiday is under way; the phase is %s" % pump.therapy.phase)
    program = make_program(taper.flat_lines_at(now))
    pump.put_in_force(program)
    pump.therapy.came_into_force(program, now)
    pump.therapy.took_force(program, now, now)
    return [("phase", pump.therapy.phase), ("hash", program.hash)]


_PHASES = {"maintenance": _enter_maintenance, "titration": _break_holiday}

TREAT = {
    "THER:RECORD": set_record,
    "THER:IMPORT": import_therapy,
    "THER:PHASE": change_phase,
    "THER:RESPONSE": record_response,
    "SCREEN:RESPONSE": respond,
    "SCREEN:NEW": open_trial,
}
