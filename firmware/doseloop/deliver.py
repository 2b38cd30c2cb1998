"""The verbs that deliver beside basal: each handler asks the rules in the order of REQUIREMENTS.md, then begins it."""

from doseloop import label
from doseloop.alarms import STOP
from doseloop.guards import require_calibration, require_confirmation, require_no_bridge, require_no_delivery, require_rest
from doseloop.judge import check_age
from doseloop.port import require_closed, require_path
from doseloop.screening import volume_nl
from doseloop.units import HOUR_MS, NG_PER_MCG, SECOND_MS, Refusal, nl_of_steps


def give_bolus(pump, fields, request):
    """R-BOL-1 to R-BOL-3, R-CAP-1, R-CAP-2."""
    require_no_delivery(pump)
    if not pump.delivering:
        raise Refusal("STATE", "a bolus needs a running program; RUN first")
    require_calibration(pump)
    require_path(fields, "path", "pump")
    require_closed(pump.port)
    program = pump.basal.program
    pump.watch.settle_force(pump.clock.elapsed)
    require_no_bridge(pump)
    pump.deliveries.check_bolus(program, fields["volume"], pump.clock.elapsed, _forbidding(pump, request.verb))
    span_ms = program.bolus[1] * SECOND_MS
    return _begin(pump, request.verb, fields, fields["volume"], span_ms)


def _forbidding(pump, verb):
    """The alarm or self-test that forbids boluses now, or None (R-BOL-3)."""
    return pump.forbids(verb) or (None if pump.self_test.passed else "self-test")


def screen(pump, fields, request):
    """A screening dose (R-SCR-1 to R-SCR-3): 50 mcg/mL, evenly over at least a minute, while nothing runs."""
    therapy, now = pump.therapy, pump.clock.elapsed
    require_no_delivery(pump)
    if therapy.population is None or therapy.phase not in (label.NONE, label.SCREENING):
        raise Refusal("STATE", "no trial is open, phase %s; THER:RECORD, or SCREEN:NEW (service)" % therapy.phase)
    require_calibration(pump)
    require_path(fields, "path", "pump")
    if "route" in fields:
        require_path(fields, "route", "intrathecal")
    require_closed(pump.port)
    if fields.get("attended") != "yes":
        raise Refusal("UNATTENDED", "screening needs attended=yes: trained staff and resuscitation present, label 5.3")
    check_age(therapy.birth, pump.clock.today())
    dose_ng = fields["dose"] * NG_PER_MCG
    therapy.trial.check_dose(dose_ng, therapy.population)
    if pump.reservoir.conc != label.SCREEN_CONC:
        text = "screening wants %d mcg/ml, the reservoir holds %d, label 2.3"
        want = [("want", "%dmcg/ml" % label.SCREEN_CONC)]
        raise Refusal("CONCENTRATION", text % (label.SCREEN_CONC, pump.reservoir.conc), want)
    require_no_bridge(pump)
    therapy.trial.check_gap(now)
    forbidding = _forbidding(pump, request.verb)
    if forbidding:
        raise Refusal("ALARM_ACTIVE", "no bolus during %s; see ALAR?" % forbidding)
    reply = _begin(pump, request.verb, fields, volume_nl(dose_ng), fields.get("time", label.SCREEN_TIME_S) * SECOND_MS)
    therapy.phase = label.SCREENING
    therapy.trial.begin(dose_ng, pump.clock.elapsed)
    return reply


def prime(pump, fields, request):
    """R-CON-4: fills the dead volume of a recorded new tube or catheter, not connected, confirmed, while stopped."""
    require_no_delivery(pump)
    require_rest(pump, "PRIME")
    if fields["connected"] != "no":
        raise Refusal("STATE", "prime only while not connected: connected=no")
    if pump.reservoir.fluid != "drug":
        raise Refusal("STATE", "the reservoir holds no drug; RES:REFILL first")
    require_calibration(pump)
    require_path(fields, "path", "pump")
    require_closed(pump.port)
    require_no_bridge(pump)
    if fields["volume"] > pump.line.prime_left_nl:
        text = "%d nl asked, %d nl of dead volume left to prime; record a new part first: LINE:NEW"
        most = [("most", "%dnl" % pump.line.prime_left_nl)]
        raise Refusal("PRIME_DONE", text % (fields["volume"], pump.line.prime_left_nl), most)
    require_confirmation(["CONFIRM_PRIME"], "prime %d" % fields["volume"], fields)
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
    require_rest(pump, "CAL:MOVE")
    if pump.reservoir.fluid == "drug" and not pump.reservoir.emptied:
        raise Refusal("STATE", "the reservoir holds drug; EMPTY it and fill with test fluid")
    require_no_bridge(pump)
    _require_no_drug_in_line(pump)
    _require_board_rate(pump, nl_of_steps(fields["rate"] * 3600, pump.ledger.steps_per_ml))
    span_ms = max(1, fields["steps"] * SECOND_MS // fields["rate"])
    volume_nl = nl_of_steps(fields["steps"], pump.ledger.steps_per_ml)
    return _begin(pump, request.verb, fields, volume_nl, span_ms, fields["steps"])


def _begin(pump, verb, fields, volume_nl, span_ms, steps=None):
    require_no_delivery(pump)
    if pump.alarms.action() >= STOP:
        raise Refusal("ALARM_ACTIVE", "no motion during %s; see ALAR?" % pump.alarms.top())
    delivery = pump.begin_delivery(verb, int(fields["id"], 16), volume_nl, span_ms, steps)
    pump.last_command = (verb, fields["id"], "RUNNING")
    return [("id", fields["id"]), ("steps", delivery.steps), ("time", "%dms" % span_ms), ("outcome", "RUNNING")]


def _span_ms(volume_nl, rate_nl_h):
    return max(1, -(-volume_nl * HOUR_MS // rate_nl_h))


def _require_test_fluid(pump):
    require_rest(pump, "a test flow")
    if pump.reservoir.fluid != "test" or pump.reservoir.emptied:
        raise Refusal("STATE", "a test flow needs RES:REFILL fluid=test")
    _require_no_drug_in_line(pump)


def _require_no_drug_in_line(pump):
    """What is pushed out of a line that holds drug is dose, whatever the reservoir holds (R-CON-4)."""
    held = pump.line.holds(pump.ledger.steps["dose"])
    if held is not None:
        raise Refusal("STATE", "the line holds drug, %d mcg/ml; put in a new one: LINE:NEW part=both" % held)


def _require_board_rate(pump, rate_nl_h):
    if rate_nl_h > pump.board["max_rate_nl_h"]:
        raise Refusal("HOUR_MAX", "%d nl/h over the board's %d" % (rate_nl_h, pump.board["max_rate_nl_h"]))


DELIVER = {
    "DOSE:BOLUS": give_bolus,
    "DOSE:PRIME": prime,
    "DOSE:SCREEN": screen,
    "CAL:MOVE": move,
    "TEST:FLOW": test_flow,
    "TEST:BOLUS": test_bolus,
}
