"""What the story has promised, and when: each with the number of flash operations that were done by then."""

import binascii

from doseloop import records
from doseloop.journal import Journal

_append, _save, _load = Journal.append, Journal.save, Journal.load


class Told:
    """One life of the pump, from a start to the cut."""

    now = None  # the one that listens

    def __init__(self, flash):
        self.flash = flash
        self.appends = []  # (operations before, after, stream, seq, (kind, elapsed, wall, payload))
        self.saves = []  # (before, after, CRC of the data)
        self.loaded = None  # (CRC of the data, verdict)
        self.replies = []  # (operations, what the pump then knew)
        self.turns = []  # the same, after each turn that changed it
        self.stamps = []  # of each operation: what the world was like before it

    def ops(self):
        return len(self.flash.ops)

    # For the records of the account.

    def deliveries(self, done):
        """{id: (intent, outcome or None, its nl)} of the intents that `done` operations have made durable."""
        found = {}
        for _, after, stream, _, (kind, _, _, payload) in self.appends:
            if stream == "acct" and after <= done and kind == records.INTENT:
                intent = records.unpack_intent(payload)
                found[intent[0]] = (intent, None, 0)
            elif stream == "acct" and after <= done and kind == records.RESULT:
                number, outcome, _, volume_nl = records.unpack_result(payload)
                found[number] = (found[number][0], outcome, volume_nl)
        return found


def listen(told):
    Told.now = told


def _told_append(journal, stream, kind, elapsed, wall, payload):
    told, before = Told.now, Told.now.ops()
    seq = _append(journal, stream, kind, elapsed, wall, payload)
    told.appends.append((before, told.ops(), stream, seq, (kind, elapsed, wall, bytes(payload))))
    return seq


def _told_save(journal, name, data):
    told, before = Told.now, Told.now.ops()
    kept = _save(journal, name, data)
    if name == "state" and kept:
        told.saves.append((before, told.ops(), binascii.crc32(data)))
    return kept


def _told_load(journal, name, repair=True):
    data, verdict = _load(journal, name, repair)
    if name == "state" and Told.now.loaded is None:
        Told.now.loaded = (binascii.crc32(data) if data else None, verdict)
    return data, verdict


Journal.append, Journal.save, Journal.load = _told_append, _told_save, _told_load


def knows(pump):
    """What a host may be told and a restart must not forget."""
    return {
        "run": pump.run,
        "program": pump.basal.program and pump.basal.program.hash,
        "phase": pump.therapy.phase,
        "reservoir": str(pump.reservoir.dump()),
        "refill": str(pump.ledger.refill_marks),
        "calibration": str(sorted(pump.calibration.items())) if pump.calibration else None,
        "offset": pump.clock.offset_min,
        "imported": pump.imported,
        "observation": pump.observe_until,
        "operator's key": pump.keys.key("operator"),
        "port alarm": "PORT_OPEN" in [alarm.code for alarm in pump.alarms.active()],
    }


def follow(rig, told):
    """Write down everything from here on."""
    hal = rig.hal

    def heard(line):
        if line.startswith(b"<"):
            told.replies.append((told.ops(), knows(rig.pump)))

    def turned():
        new = knows(rig.pump)
        if not told.turns or told.turns[-1][1] != new:
            told.turns.append((told.ops(), new))

    hal.heard, rig.turned = heard, turned
    def stamp():
        told.stamps.append((hal.us, len(hal.edges), hal.rtc_offset, hal.reads_open, hal.rotor, rig.made_nl()))

    rig.flash.before_op = stamp
    listen(told)
    told.replies.append((told.ops(), knows(rig.pump)))
    turned()
