"""What the journal's records mean: kinds and payloads. journal.py itself knows none of it.

Account stream: samples of the account (each also the reservation for what follows), the intent of a delivery before
its first step, and its result after its last. Log stream: one line of text per entry.
"""

import struct

# Account stream.
SAMPLE_RUNNING = 1  # basal may have gone on after this record, up to its reservation
SAMPLE_AT_REST = 2
INTENT = 3
RESULT = 4
SAMPLE_STOPPED = 5  # at rest by STOP: kept by this too, should the state that says so not be
SAMPLES = (SAMPLE_RUNNING, SAMPLE_AT_REST, SAMPLE_STOPPED)

# Log stream.
COMMAND, REFUSED, ALARM, CHANGE, RESET, ACCESS = 16, 17, 18, 19, 20, 21
LOG_KINDS = {COMMAND: "command", REFUSED: "refusal", ALARM: "alarm", CHANGE: "change", RESET: "reset", ACCESS: "access"}

# dose steps, witness counts, programmed steps, reserved steps, authorised ng, witnessed ng, authorised and witnessed nl since refill
_SAMPLE = "<IiIIqqii"  # signed where a witness may have dithered back
# id, verb number, steps, span s, volume nl, concentration mcg/mL
_INTENT = "<IIIIII"
# id, outcome number, steps made, volume nl
_RESULT = "<IIII"
_MASK = 0xFFFFFFFF

OUTCOMES = ("none", "RUNNING", "DONE", "PARTIAL", "REFUSED", "UNCERTAIN")
VERBS = (
    "none",
    "DOSE:BOLUS",
    "DOSE:PRIME",
    "DOSE:SCREEN",
    "TEST:FLOW",
    "TEST:BOLUS",
    "CAL:MOVE",
)


def pack_sample(ledger, programmed, reserved):
    """The account as it is now, and how many basal steps may be made before the next record."""
    since = ledger.since_refill()
    return struct.pack(
        _SAMPLE,
        ledger.steps["dose"] & _MASK,
        ledger.counts,
        programmed & _MASK,
        reserved,
        ledger.authorised_ng.total,
        ledger.witnessed_ng.total,
        since[0],
        since[1],
    )


def unpack_sample(payload):
    """(dose steps, counts, programmed, reserved, authorised ng, witnessed ng, authorised nl, witnessed nl since refill)."""
    return struct.unpack(_SAMPLE, payload)


def pack_intent(number, verb, steps, span_s, volume_nl, conc):
    return struct.pack(_INTENT, number, VERBS.index(verb), steps, span_s, volume_nl, conc)


def unpack_intent(payload):
    """(id, verb, steps, span_s, volume_nl, conc)"""
    number, verb, steps, span_s, volume_nl, conc = struct.unpack(_INTENT, payload[: struct.calcsize(_INTENT)])
    return number, VERBS[verb], steps, span_s, volume_nl, conc


def pack_result(number, outcome, steps, volume_nl):
    return struct.pack(_RESULT, number, OUTCOMES.index(outcome), steps, volume_nl)


def unpack_result(payload):
    """(id, outcome, steps made, volume_nl)"""
    number, outcome, steps, volume_nl = struct.unpack(_RESULT, payload[: struct.calcsize(_RESULT)])
    return number, OUTCOMES[outcome], steps, volume_nl
