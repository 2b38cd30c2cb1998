"""The verbs that change something: each handler asks the rules in the order of REQUIREMENTS.md, then acts through pump.py."""

from doseloop import judge, label
from doseloop.guards import once, require_calibration, require_confirmation, require_no_delivery, require_rest
from doseloop.ledger import DOSE
from doseloop.port import require_path
from doseloop.program import Staging
from doseloop.staging import Stage, staged_program, staging_of
from doseloop.status import case_of
from doseloop.therapy import ORDINARY, OVERDOSE, RETURN
from doseloop.undo import keep
from doseloop.units import Refusal

_CAL_STEP_PERCENT = 5


# Clock and program.


def set_time(pump, fields, request):
    require_no_delivery(pump)
    keep(pump, pump.set_clock, fields["set"], fields["offset"])
    pump.keep_clock()
    return [("now", "%ds" % pump.clock.unix_s())]


def new_program(pump, fields, request):
    pump.stage = None
    pump.stage = Stage(Staging(fields["name"]), request.sess, pump.clock.elapsed)
    return []


def set_key(pump, fields, request):
    if len(fields) != 1:
        raise Refusal("ARG", "PROG:SET takes one key=value at a time")
    for key, text in fields.items():
        staging_of(pump, request.sess).set(key, text)
    return []


def set_segment(pump, fields, request):
    staging_of(pump, request.sess).segment(fields["day"], fields["from"], fields["dose"])
    return []


def set_taper_day(pump, fields, request):
    """PROG:TAPER: one day of a drug holiday (R-HOL-1)."""
    staging_of(pump, request.sess).taper(fields["day"], fields["dose"])
    return []


def commit(pump, fields, request):
    """What runs is exactly what was read back: the hash must be the staged program's."""
    require_no_delivery(pump)
    if pump.run and not pump.delivering:
        raise Refusal("STATE", "the pump is held by %s; STOP, then commit, and RUN once it is cleared" % pump.alarms.top())
    program = staged_program(pump, request.sess)
    if program.hash != fields["hash"]:
        raise Refusal("ARG", "hash is not the staged program's %s; read it back" % program.hash)
    judge.require_phase(pump.therapy, program)
    require_path(fields, "route", "intrathecal")
    finding = _judge(pump, program, fields)
    require_confirmation(finding.confirm, program.hash, fields)
    pump.stage = None
    once(pump, fields, request.verb)
    pump.put_in_force(program, _kind(finding, fields), fields.get("observe"))
    notes = "+".join(finding.notes) or "none"
    return [("hash", program.hash), ("notes", notes), ("runs", "now" if pump.delivering else "at_RUN")]


def _judge(pump, program, fields):
    """judge.Finding; an increase refused as STEP_CAP is remembered, for it may mean a catheter complication (R-MNT-4)."""
    try:
        return judge.check(pump.therapy, program, case_of(pump, fields))
    except Refusal as refusal:
        now = pump.clock.elapsed
        base = pump.therapy.base(now)
        if refusal.code == "STEP_CAP" and base.daily < program.daily:
            if pump.therapy.note_refused_increase(now):
                pump.watch.suspect_catheter("two increases over the cap within 7 days", now)
            pump.keeper.dirty = True
        raise


def _kind(finding, fields):
    return RETURN if finding.returns else fields.get("reason") or ORDINARY


# Run and stop.


def run(pump, fields, request):
    require_no_delivery(pump)
    program, therapy = pump.basal.program, pump.therapy
    if pump.run:
        raise Refusal("STATE", "RUN is in force already")
    if program is None and therapy.phase not in label.UNSCREENED:
        raise Refusal("STATE", "no program is committed; PROG:NEW, PROG:SEG, PROG:COMMIT first")
    if not therapy.ran:
        require_calibration(pump)
    if therapy.phase in label.UNSCREENED:
        judge.check_screened(therapy)
    _judge_again(pump, program)
    once(pump, fields, request.verb)
    pump.start()
    return [("state", "running" if pump.delivering else "held"), ("hash", program.hash)]


def _judge_again(pump, program):
    """A commit that was never run is judged again: a stop between the two makes no room (R-TIT-4)."""
    therapy = pump.therapy
    case = case_of(pump, {"attended": "yes", "reason": therapy.pending if therapy.pending == OVERDOSE else None})
    if therapy.runs(program):
        judge.check_resume(therapy, program, case)
        return
    case.may_return = therapy.pending == RETURN
    finding = judge.check(therapy, program, case)
    if therapy.pending != OVERDOSE:
        therapy.note_commit(RETURN if finding.returns else ORDINARY, pump.clock.elapsed)


def stop(pump, fields, request):
    cut = pump.stop()
    pump.last_command = ("STOP", "00000000", "DONE")
    kept = [("kept", "no")] if pump.keeper.unkept else []  # a reset would go on with what ran
    return [("state", "stopped"), ("cut", "%s_%s" % (cut.verb, cut.outcome) if cut else "none")] + kept


def empty(pump, fields, request):
    pump.settle()  # a delivery ends, whatever becomes of the rest
    pump.flow()
    return keep(pump, _empty, pump, fields, request)


def _empty(pump, fields, request):
    once(pump, fields, request.verb)
    pump.empty()
    pump.watch.look_at_supplies(pump.clock.elapsed)
    pump.refresh()
    return [("res", "0nl")]


# Supplies and calibration.


def refill(pump, fields, request):
    """R-FIL-1, R-FIL-2, R-POP-2, R-CON-1."""
    drug = fields["fluid"] == "drug"
    for name in _DRUG_FIELDS if drug else ():
        if name not in fields:
            raise Refusal("MISSING", "%s is missing: a refill with drug records %s" % (name, " ".join(_DRUG_FIELDS)))
    require_no_delivery(pump)
    require_path(fields, "path", "septum")
    if drug:
        _check_drug(pump, fields)
    elif pump.run:
        raise Refusal("STATE", "test fluid only while stopped; STOP and EMPTY first")
    expiry = fields.get("expiry")
    conc = fields.get("conc", 0) if drug else 0
    now = pump.clock.elapsed
    pump.advance(now)
    count_nl = pump.reservoir.check_refill(
        fields["volume"], conc, fields["withdrawn"], expiry, pump.clock.today(), fields["fluid"]
    )
    pump.line.check_refill(conc, pump.ledger.steps[DOSE])
    discrepant = pump.reservoir.is_discrepant(fields["withdrawn"])
    lot = fields.get("lot", "")
    record = {"volume_nl": fields["volume"], "fluid": fields["fluid"], "conc": conc, "lot": lot, "expiry": expiry}
    record["observe_h"] = fields.get("observe")
    once(pump, fields, request.verb)
    pump.refill(count_nl, record)
    pump.alarms.set("REFILL_DISCREPANCY", discrepant, now, "withdrawn %d nl" % fields["withdrawn"])
    pump.alarms.set("RESERVOIR_EMPTY", False, now)
    pump.refresh()
    pump.watch.look_at_supplies(pump.clock.elapsed)
    return [("res", "%dnl" % count_nl), ("discrepancy", "yes" if discrepant else "no")]


_DRUG_FIELDS = ("drug", "conc", "lot", "expiry", "stored", "attended")


def _check_drug(pump, fields):
    if fields.get("drug") != "baclofen":
        raise Refusal("COMPOUNDED", "drug wants baclofen alone, label 2.1")
    if fields.get("attended") != "yes":
        raise Refusal("UNATTENDED", "a refill needs attended=yes: trained staff and resuscitation present, label 5.3")
    _check_conc(pump, fields["conc"])
    if fields.get("stored") != "ok":
        raise Refusal("STATE", "stored=ok declares that the stock was kept below 30 C and unfrozen, label 16")


def _check_conc(pump, conc):
    """R-CON-1: under a program that runs its own alone; 50 for a screening trial that is open or may begin, else 51 to 2000."""
    if pump.run and conc != pump.basal.program.conc:
        text = "refill %d under program %d mcg/ml; STOP first, and commit a program for it"
        raise Refusal("CONCENTRATION", text % (conc, pump.basal.program.conc), [("want", "%dmcg/ml" % pump.basal.program.conc)])
    screens = conc == label.SCREEN_CONC and pump.therapy.phase in (label.NONE, label.SCREENING)
    if not screens and not label.CONC_MIN_MCG_ML <= conc <= label.CONC_MAX_MCG_ML:
        text = "%d outside %d to %d mcg/ml (%d for screening alone), label 2.3 and 3"
        raise Refusal("CONCENTRATION", text % (conc, label.CONC_MIN_MCG_ML, label.CONC_MAX_MCG_ML, label.SCREEN_CONC))


def set_calibration(pump, fields, request):
    """R-CAL-1: only while stopped; more than 5 % off the last needs confirmation (service role by the table).

    The first one of all is of a new line, one of another tube of a new tube.
    """
    require_no_delivery(pump)
    require_rest(pump, "CAL:SET")
    old_tube = pump.calibration["tube"] if pump.calibration else None
    part = "both" if old_tube is None else "tube" if old_tube != fields["tube"] else None
    if part:
        pump.line.check_replace(part, pump.ledger.steps[DOSE])
    spm = fields["spm"]
    old = pump.ledger.steps_per_ml
    if abs(spm - old) * 100 > _CAL_STEP_PERCENT * old:
        require_confirmation(["CONFIRM_CALIBRATION"], "cal %d" % spm, fields)
    calibration = {name: fields[name] for name in fields if name not in ("confirm", "date")}
    calibration["date"] = list(fields["date"])
    calibration["at_nl"] = pump.ledger.authorised_nl.total
    calibration["at_ms"] = pump.clock.elapsed
    pump.calibrate(calibration, part)
    return [("spm", spm)]


def renew_line(pump, fields, request):
    """LINE:NEW: a new tube or catheter is on record; with both new the line holds nothing (R-CON-4)."""
    require_no_delivery(pump)
    require_rest(pump, "LINE:NEW")
    pump.line.check_replace(fields["part"], pump.ledger.steps[DOSE])
    once(pump, fields, request.verb)
    pump.renew_line(fields["part"])
    return [("prime_left", "%dnl" % pump.line.prime_left_nl)]


# Alarms.


def acknowledge(pump, fields, request):
    code = fields["id"]
    if code == "UNCERTAIN" and pump.deliveries.uncertain:
        pump.deliveries.uncertain = False
        return [("id", code), ("on", "no")]
    pump.alarms.acknowledge(code)
    if code == "OVER_DELIVERY":
        pump.restart_motion(pump.clock.elapsed)
        pump.alarms.set(code, False, pump.clock.elapsed)
    pump.refresh()
    return [("id", code), ("on", "yes" if pump.alarms.is_on(code) else "no")]


def mute(pump, fields, request):
    pump.alarms.mute(pump.clock.elapsed)
    return [("for", "120s")]


def test_alarms(pump, fields, request):
    pump.alarms.test(pump.clock.elapsed)
    return []


def maintain(pump, fields, request):
    """MAINT: only while stopped; the next boot leaves watchdog, engine and enable off and opens the REPL."""
    require_rest(pump, "MAINT")
    require_no_delivery(pump)
    pump.reset_to_maint = True
    return [("next", "REPL")]


def replace_key(pump, fields, request):
    """KEY:SET: in force at once. The session ends, also if it is refused: with it every role that an old key opened, and no keystream
    masks two keys.

    A default key is replaced before the first RUN only: after it whoever knows what is published could lock the owner out.
    """
    require_no_delivery(pump)
    if pump.keys.state == "default" and pump.therapy.first_run is not None:
        raise Refusal("STATE", "the pump has run on the default key; give it keys by tools/flash.py --key-file")
    pump.wire.sess = ""
    pump.keys.replace(fields["role"], request.sess, fields["key"], fields["check"])
    pump.save()
    return [("role", fields["role"]), ("key", pump.keys.state)]


CHANGE = {
    "TIME": set_time,
    "PROG:NEW": new_program,
    "PROG:SET": set_key,
    "PROG:SEG": set_segment,
    "PROG:TAPER": set_taper_day,
    "PROG:COMMIT": commit,
    "RUN": run,
    "STOP": stop,
    "EMPTY": empty,
    "RES:REFILL": refill,
    "CAL:SET": set_calibration,
    "LINE:NEW": renew_line,
    "ALAR:ACK": acknowledge,
    "ALAR:MUTE": mute,
    "ALAR:TEST": test_alarms,
    "KEY:SET": replace_key,
    "MAINT": maintain,
}
