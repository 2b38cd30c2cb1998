"""What several verbs require before they act: rest, no delivery, a valid calibration, a person's confirmation."""

import binascii
import hashlib

from doseloop.ledger import DOSE
from doseloop.units import Refusal
from doseloop.watch import calibration_fault


def once(pump, fields, verb):
    """Remember the id; the save of what it does keeps it, so that it is never executed twice."""
    pump.deliveries.remember(int(fields["id"], 16), verb, "DONE")
    pump.last_command = (verb, fields["id"], "DONE")


def require_rest(pump, what):
    if pump.run:
        raise Refusal("STATE", "%s only while stopped; STOP first" % what)


def require_no_delivery(pump):
    if pump.deliveries.current:
        raise Refusal("BUSY", "a delivery is in progress; wait for it or STOP")


def require_no_bridge(pump):
    """Refusal BRIDGING: what is pushed now would be the old drug at another rate (R-CON-3)."""
    pump.line.require_no_bridge(pump.ledger.steps[DOSE])


def require_confirmation(codes, what, fields):
    """Two steps: the refusal names what is to be confirmed and a token; the same request with the token passes."""
    if not codes:
        return
    token = binascii.hexlify(hashlib.sha256((what + "+".join(codes)).encode()).digest())[:8].decode()
    if fields.get("confirm") != token:
        text = "a person must confirm %s; send it again with confirm=%s" % (" and ".join(codes), token)
        raise Refusal(codes[0], text, [("confirm", token)])


def require_calibration(pump):
    fault = calibration_fault(pump)
    if fault:
        raise Refusal("UNCALIBRATED", "%s; calibrate: python -m hil calibrate, then CAL:SET" % fault)
