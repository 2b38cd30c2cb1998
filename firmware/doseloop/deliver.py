"""The verbs that deliver beside basal: each handler asks the rules in the order of REQUIREMENTS.md, then begins it."""

from doseloop.alarms import STOP
from doseloop.guards import require_calibration, require_confirmation, require_no_delivery, require_rest
from doseloop.port import require_closed, require_path
from doseloop.units import HOUR_MS, SECOND_MS, Refusal, nl_of_steps


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
    require_rest(pump, "PRIME")
    if fields["connected"] != "no":
        raise Refusal("STATE", "prime only while not connected: connected=no")
    if pump.reservoir.fluid != "drug":
        raise Refusal("STATE", "the reservoir holds no drug; RES:REFILL first")
    if fields["volume"] > pump.prime_left_nl:
        text = "%d nl asked, %d nl of dead volume left to prime; record a new tube first"
        raise Refusal("PRIME_DONE", text % (fields["volume"], pump.prime_left_nl))
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


def _require_board_rate(pump, rate_nl_h):
    if rate_nl_h > pump.board["max_rate_nl_h"]:
        raise Refusal("HOUR_MAX", "%d nl/h over the board's %d" % (rate_nl_h, pump.board["max_rate_nl_h"]))


DELIVER = {
    "DOSE:BOLUS": give_bolus,
    "DOSE:PRIME": prime,
    "CAL:MOVE": move,
    "TEST:FLOW": test_flow,
    "TEST:BOLUS": test_bolus,
}
