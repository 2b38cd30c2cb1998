"""The verbs that change something: each handler asks the rules in the order of REQUIREMENTS.md, then acts through pump.py."""

import binascii
import hashlib

from doseloop import label
from doseloop.alarms import STOP
from doseloop.port import require_closed, require_path
from doseloop.program import Staging
from doseloop.status import case_of
from doseloop.therapy import check_absolute, check_age, confirmations
from doseloop.units import HOUR_MS, NG_PER_MCG, SECOND_MS, Refusal, nl_of_steps
from doseloop.watch import calibration_fault

_CAL_STEP_PERCENT = 5


class Stage:
    """The program being staged, whose session it is, and when it was last touched."""

    def __init__(self, staging, sess, now):
        self.staging = staging
        self.sess = sess
        self.touched = now


# Clock and program.


def set_time(pump, fields, request):
    _require_no_delivery(pump)
    pump.set_clock(fields["set"], fields["offset"])
    return [("now", "%ds" % pump.clock.unix_s())]


def new_program(pump, fields, request):
    pump.stage = Stage(Staging(fields["name"]), request.sess, pump.clock.elapsed)
    return []


def set_key(pump, fields, request):
    if len(fields) != 1:
        raise Refusal("ARG", "PROG:SET takes one key=value at a time")
    for key, text in fields.items():
        pump.staging(request.sess).set(key, text)
    return []


def set_segment(pump, fields, request):
    pump.staging(request.sess).segment(fields["day"], fields["from"], fields["dose"])
    return []


def commit(pump, fields, request):
    """What runs is exactly what was read back: the hash must be the staged program's."""
    _require_no_delivery(pump)
    program = pump.staged_program(request.sess)
    if program.hash != fields["hash"]:
        raise Refusal("ARG", "hash is not the staged program's %s; read it back" % program.hash)
    require_path(fields, "route", "intrathecal")
    pump.watch.settle_force(pump.clock.elapsed)
    notes = pump.therapy.check(program, case_of(pump, fields))
    _require_confirmation(confirmations(program), program.hash, fields)
    pump.overdose = fields.get("reason") == "OVERDOSE"
    pump.stage = None
    _once(pump, fields, request.verb)
    pump.put_in_force(program)
    return [("hash", program.hash), ("notes", "+".join(notes) or "none"), ("runs", "now" if pump.delivering else "at_RUN")]


def _require_confirmation(codes, what, fields):
    """Two steps: the refusal names what is to be confirmed and a token; the same request with the token passes."""
    if not codes:
        return
    token = binascii.hexlify(hashlib.sha256((what + "+".join(codes)).encode()).digest())[:8].decode()
    if fields.get("confirm") != token:
        text = "a person must confirm %s; send it again with confirm=%s" % (" and ".join(codes), token)
        raise Refusal(codes[0], text, [("confirm", token)])


def _once(pump, fields, verb):
    """Remember the id; the save of what it does keeps it, so that it is never executed twice."""
    pump.deliveries.remember(int(fields["id"], 16), verb, "DONE")
    pump.last_command = (verb, fields["id"], "DONE")


# Run and stop.


def run(pump, fields, request):
    program = pump.basal.program
    if program is None:
        raise Refusal("STATE", "no program is committed; PROG:NEW, PROG:SEG, PROG:COMMIT first")
    if pump.run:
        raise Refusal("STATE", "RUN is in force already")
    if pump.therapy.first_run is None:
        require_calibration(pump)
    pump.watch.settle_force(pump.clock.elapsed)
    last = pump.therapy.last_run
    if last is None or last.hash != program.hash:
        pump.therapy.check(program, case_of(pump, {"attended": "yes", "reason": "OVERDOSE" if pump.overdose else None}))
    elif program.conc != pump.reservoir.conc:
        text = "program %d over reservoir %d mcg/ml; they must be equal"
        raise Refusal("CONCENTRATION", text % (program.conc, pump.reservoir.conc))
    _once(pump, fields, request.verb)
    pump.start()
    return [("state", "running" if pump.delivering else "held"), ("hash", program.hash)]


def stop(pump, fields, request):
    cut = pump.stop()
    pump.last_command = ("STOP", "00000000", "DONE")
    return [("state", "stopped"), ("cut", "%s_%s" % (cut.verb, cut.outcome) if cut else "none")]


def empty(pump, fields, request):
    _once(pump, fields, request.verb)
    pump.empty()
    pump.watch.look_at_supplies(pump.clock.elapsed)
    pump.refresh()
    return [("res", "0nl")]


def require_calibration(pump):
    fault = calibration_fault(pump)
    if fault:
        raise Refusal("UNCALIBRATED", "%s; calibrate: python -m hil calibrate, then CAL:SET" % fault)


# Deliveries.


def give_bolus(pump, fields, request):
    """R-BOL-1 to R-BOL-3, R-CAP-1, R-CAP-2."""
    require_calibration(pump)
    require_path(fields, "path", "pump")
    require_closed(pump.port)
    program = pump.basal.program
    pump.watch.settle_force(pump.clock.elapsed)
    high = pump.alarms.top() if pump.alarms.any_high() else None if pump.tested else "self-test"
    pump.deliveries.check_bolus(program, fields["volume"], pump.clock.elapsed, high)
    if not pump.delivering:
        raise Refusal("STATE", "a bolus needs a running program; RUN first")
    span_ms = program.bolus[1] * SECOND_MS
    return _begin(pump, request.verb, fields, fields["volume"], span_ms)


def prime(pump, fields, request):
    """R-CON-4: fills the dead volume of a recorded new tube, not connected, confirmed, while stopped."""
    require_calibration(pump)
    require_path(fields, "path", "pump")
    require_closed(pump.port)
    _require_rest(pump, "PRIME")
    if fields["connected"] != "no":
        raise Refusal("STATE", "prime only while not connected: connected=no")
    if pump.reservoir.fluid != "drug":
        raise Refusal("STATE", "the reservoir holds no drug; RES:REFILL first")
    if fields["volume"] > pump.prime_left_nl:
        text = "%d nl asked, %d nl of dead volume left to prime; record a new tube first"
        raise Refusal("PRIME_DONE", text % (fields["volume"], pump.prime_left_nl))
    _require_confirmation(["CONFIRM_PRIME"], "prime %d" % fields["volume"], fields)
    rate_nl_h = pump.board["prime_nl_h"]
    return _begin(pump, request.verb, fields, fields["volume"], _span_ms(fields["volume"], rate_nl_h))


def test_bolus(pump, fields, request):
    _require_test_fluid(pump)
    span_ms = fields["time"] * SECOND_MS
    _require_board_rate(pump, -(-fields["volume"] * HOUR_MS // span_ms))
    return _begin(pump, request.verb, fields, fields["volume"], span_ms)


def test_flow(pump, fields, request):
    _require_test_fluid(pump)
    _require_board_rate(pump, fields["rate"])
    return _begin(pump, request.verb, fields, fields["volume"], _span_ms(fields["volume"], fields["rate"]))


def move(pump, fields, request):
    """CAL:MOVE: steps for a calibration, only while stopped, booked as moved (R-CAL-2)."""
    _require_rest(pump, "CAL:MOVE")
    if pump.reservoir.fluid == "drug" and not pump.reservoir.emptied:
        raise Refusal("STATE", "the reservoir holds drug; EMPTY it and fill with test fluid")
    _require_board_rate(pump, nl_of_steps(fields["rate"] * 3600, pump.ledger.steps_per_ml))
    span_ms = max(1, fields["steps"] * SECOND_MS // fields["rate"])
    volume_nl = nl_of_steps(fields["steps"], pump.ledger.steps_per_ml)
    return _begin(pump, request.verb, fields, volume_nl, span_ms, fields["steps"])


def _require_no_delivery(pump):
    if pump.deliveries.current:
        raise Refusal("BUSY", "a delivery is in progress; wait for it or STOP")


def _begin(pump, verb, fields, volume_nl, span_ms, steps=None):
    _require_no_delivery(pump)
    if pump.alarms.action() >= STOP:
        raise Refusal("ALARM_ACTIVE", "no motion during %s; see ALAR?" % pump.alarms.top())
    delivery = pump.begin_delivery(verb, int(fields["id"], 16), volume_nl, span_ms, steps)
    pump.last_command = (verb, fields["id"], "RUNNING")
    return [("id", fields["id"]), ("steps", delivery.steps), ("time", "%dms" % span_ms), ("outcome", "RUNNING")]


def _span_ms(volume_nl, rate_nl_h):
    return max(1, -(-volume_nl * HOUR_MS // rate_nl_h))


def _require_rest(pump, what):
    if pump.run:
        raise Refusal("STATE", "%s only while stopped; STOP first" % what)


def _require_test_fluid(pump):
    _require_rest(pump, "a test flow")
    if pump.reservoir.fluid != "test" or pump.reservoir.emptied:
        raise Refusal("STATE", "a test flow needs RES:REFILL fluid=test")


def _require_board_rate(pump, rate_nl_h):
    if rate_nl_h > pump.board["max_rate_nl_h"]:
        raise Refusal("HOUR_MAX", "%d nl/h over the board's %d" % (rate_nl_h, pump.board["max_rate_nl_h"]))


# Supplies and calibration.


def refill(pump, fields, request):
    """R-FIL-1, R-FIL-2, R-POP-2, R-CON-1."""
    drug = fields["fluid"] == "drug"
    for name in _DRUG_FIELDS if drug else ():
        if name not in fields:
            raise Refusal("MISSING", "%s is missing: a refill with drug records %s" % (name, " ".join(_DRUG_FIELDS)))
    _require_no_delivery(pump)
    require_path(fields, "path", "septum")
    if drug:
        _check_drug(fields)
    expiry = fields.get("expiry")
    conc = fields.get("conc", 0) if drug else 0
    now = pump.clock.elapsed
    pump.advance(now)
    count_nl = pump.reservoir.check_refill(
        fields["volume"], conc, fields["withdrawn"], expiry, pump.clock.today(), fields["fluid"]
    )
    if pump.run and (not drug or conc != pump.basal.program.conc):
        raise Refusal("STATE", "another fluid or concentration only while stopped; STOP first")
    discrepant = pump.reservoir.is_discrepant(fields["withdrawn"])
    lot = fields.get("lot", "")
    record = {"volume_nl": fields["volume"], "fluid": fields["fluid"], "conc": conc, "lot": lot, "expiry": expiry}
    _once(pump, fields, request.verb)
    pump.refill(count_nl, record)
    pump.alarms.set("REFILL_DISCREPANCY", discrepant, now, "withdrawn %d nl" % fields["withdrawn"])
    pump.alarms.set("RESERVOIR_EMPTY", False, now)
    pump.refresh()
    pump.watch.look_at_supplies(pump.clock.elapsed)
    return [("res", "%dnl" % count_nl), ("discrepancy", "yes" if discrepant else "no")]


_DRUG_FIELDS = ("drug", "conc", "lot", "expiry", "stored", "attended")


def _check_drug(fields):
    if fields.get("drug") != "baclofen":
        raise Refusal("COMPOUNDED", "drug wants baclofen alone, label 2.1")
    if fields.get("attended") != "yes":
        raise Refusal("UNATTENDED", "a refill needs attended=yes: trained staff and resuscitation present, label 5.3")
    conc = fields.get("conc", 0)
    if not label.CONC_MIN_MCG_ML <= conc <= label.CONC_MAX_MCG_ML:
        text = "%d outside %d to %d mcg/ml, label 2.3 and 3"
        raise Refusal("CONCENTRATION", text % (conc, label.CONC_MIN_MCG_ML, label.CONC_MAX_MCG_ML))
    if fields.get("stored") != "ok":
        raise Refusal("STATE", "stored=ok declares that the stock was kept below 30 C and unfrozen, label 16")


def set_calibration(pump, fields, request):
    """R-CAL-1: only while stopped; more than 5 % off the last needs confirmation (service role by the table)."""
    _require_rest(pump, "CAL:SET")
    _require_no_delivery(pump)
    spm = fields["spm"]
    old = pump.ledger.steps_per_ml
    if abs(spm - old) * 100 > _CAL_STEP_PERCENT * old:
        _require_confirmation(["CONFIRM_CALIBRATION"], "cal %d" % spm, fields)
    calibration = {name: fields[name] for name in fields if name not in ("confirm", "date")}
    calibration["date"] = list(fields["date"])
    calibration["at_nl"] = pump.ledger.authorised_nl.total
    calibration["at_ms"] = pump.clock.elapsed
    pump.calibrate(calibration)
    return [("spm", spm)]


# Therapy.


def import_therapy(pump, fields, request):
    """R-COM-1: only on an empty journal, before the first RUN, once."""
    if pump.imported or pump.therapy.population or pump.basal.program or pump.reservoir.fluid != "none":
        raise Refusal("STATE", "a therapy is taken over only on an empty journal, once")
    if not pump.clock.is_set():
        raise Refusal("CLOCK_LOST", "the time of day is unset; TIME set=..s offset=..min first")
    program = None
    if fields["phase"] != "screened":
        program = pump.staged_program(request.sess)
        if fields.get("hash") != program.hash:
            raise Refusal("ARG", "hash is not the staged program's %s; read it back" % program.hash)
    record = _record_of(fields)
    _check_record(pump, record, fields, program)
    _take_over(pump, record, program, fields)
    return [("origin", "imported"), ("phase", fields["phase"])]


def _record_of(fields):
    record = {name: fields[name] for name in ("population", "birth", "phase", "effect")}
    record["screen_ng"] = fields["screen"] * NG_PER_MCG
    record["increase_ago_ms"] = fields["increase_ago"] * SECOND_MS
    return record


def _check_record(pump, record, fields, program):
    """What is taken over keeps the absolute limits; no step or start is judged."""
    today = pump.clock.today()
    age = check_age(record["birth"], record["population"], today)
    if record["screen_ng"] not in label.SCREEN_DOSES_NG:
        raise Refusal("SCREEN_DOSE", "screening doses are 25, 50, 75 and 100 mcg, label 2.2")
    if program and program.conc != fields["conc"]:
        raise Refusal("CONCENTRATION", "program %d over reservoir %d mcg/ml" % (program.conc, fields["conc"]))
    pump.reservoir.check_refill(fields["volume"], fields["conc"], 0, fields["expiry"], today, "drug")
    if program:
        check_absolute(program, record["population"], age, pump.board)
        _require_confirmation(confirmations(program), program.hash, fields)


def _take_over(pump, record, program, fields):
    pump.stage = None
    pump.imported = True
    pump.therapy.import_record(record, program, pump.clock.elapsed)
    pump.basal.program = program
    if fields["volume"]:
        pump.reservoir.refill(fields["volume"], "drug", fields["conc"], fields["lot"], fields["expiry"])
    pump.save()


def change_phase(pump, fields, request):
    pump.watch.settle_force(pump.clock.elapsed)
    pump.therapy.enter_maintenance(pump.clock.elapsed)
    pump.save()
    return [("phase", pump.therapy.phase)]


# Alarms.


def acknowledge(pump, fields, request):
    code = fields["id"]
    if code == "UNCERTAIN" and pump.deliveries.uncertain:
        pump.deliveries.uncertain = False
        pump.save()
        return [("id", code), ("on", "no")]
    pump.alarms.acknowledge(code)
    if code == "OVER_DELIVERY":
        pump.restart_motion(pump.clock.elapsed)
        pump.alarms.set(code, False, pump.clock.elapsed)
    pump.refresh()
    pump.save()
    return [("id", code), ("on", "yes" if pump.alarms.is_on(code) else "no")]


def mute(pump, fields, request):
    pump.alarms.mute(pump.clock.elapsed)
    return [("for", "120s")]


def test_alarms(pump, fields, request):
    pump.alarms.test(pump.clock.elapsed)
    return []


def maintain(pump, fields, request):
    """MAINT: only while stopped; the next boot leaves watchdog, engine and enable off and opens the REPL."""
    _require_rest(pump, "MAINT")
    _require_no_delivery(pump)
    pump.reset_to_maint = True
    return [("next", "REPL")]


CHANGE = {
    "TIME": set_time,
    "PROG:NEW": new_program,
    "PROG:SET": set_key,
    "PROG:SEG": set_segment,
    "PROG:COMMIT": commit,
    "RUN": run,
    "STOP": stop,
    "EMPTY": empty,
    "DOSE:BOLUS": give_bolus,
    "DOSE:PRIME": prime,
    "RES:REFILL": refill,
    "CAL:SET": set_calibration,
    "CAL:MOVE": move,
    "ALAR:ACK": acknowledge,
    "ALAR:MUTE": mute,
    "ALAR:TEST": test_alarms,
    "THER:IMPORT": import_therapy,
    "THER:PHASE": change_phase,
    "TEST:FLOW": test_flow,
    "TEST:BOLUS": test_bolus,
    "MAINT": maintain,
}
