"""Alarms and what watches: causes come and go, persons acknowledge and mute, power is cut; the signal and when it changes.

And the port's switch, the motion rules' windows and the battery, which raise them.
"""

from doseloop.alarms import HIGH, TABLE, Alarms
from doseloop.battery import Battery
from doseloop.ledger import Ledger
from doseloop.line import Line
from doseloop.port import Port, refuse_catheter_port
from doseloop.windows import MotionWatch, Windows

CODES = [row[0] for row in TABLE]
BOARD = {
    "steps_per_turn": 3200, "encoder_counts_per_turn": 4096, "steps_per_ml_nominal": 100_000,
    "dead_volume_tubing_nl": 100_000, "dead_volume_catheter_nl": 140_000,
    "battery_low_mv": 3300, "battery_low_clear_mv": 3400, "battery_depleted_mv": 3000, "battery_depleted_clear_mv": 3150,
}  # fmt: skip
WAYS = ("pump", "Port", "side port", "CAP", "catheter", "septum", "access", "")


def act(draw, tried, alarms, codes, now):
    """One thing that happens; the alarms after it (others after a restart) and its answer."""
    kind, code = draw.below(12), draw.pick(codes)
    if kind < 6:
        alarms.set(code, draw.one_in(2), now, draw.pick(("", "41 C")))
    elif kind == 6:
        alarms.raise_(code, now)
    elif kind == 7:
        return alarms, tried(alarms.acknowledge, code if draw.one_in(2) else alarms.top())
    elif kind == 8:
        return alarms, alarms.mute(now)
    elif kind == 9:
        alarms.test(now)
    elif kind == 10:
        alarms.escalate(code, HIGH)
    elif draw.one_in(3):
        fresh = Alarms(lambda text: None)
        fresh.load(alarms.dump())
        return fresh, "restarted"
    return alarms, None


def standing(alarms, now):
    signal = alarms.signal(now)
    on = [(a.code, a.priority, a.since, a.cause, a.acked, a.detail) for a in alarms.active()]
    return signal, alarms.due(now), alarms.action(), alarms.high(), on, alarms.dump()


def switch(draw, port, now):
    changed = port.check(now, draw.below(3) == 0)
    return changed, port.open, port.known, port.due_in(now)


class Motion:
    """Steps programmed, authorised and witnessed; in some lives authorised falls behind, or the witness does, or runs ahead."""

    LIVES = (((1,), (1,)), ((1, 0), (1,)), ((1,), (1, 0)), ((0,), (1,)), ((1,), (1, 2)), ((1,), (0,)))

    def __init__(self, draw):
        self.authorises, self.witnesses = draw.pick(self.LIVES)
        self.ledger = Ledger(BOARD, Line(BOARD))
        self.windows = Windows(self.ledger)
        self.watch = MotionWatch(self.ledger, 32)
        self.programmed = self.authorised = self.witnessed = 0

    def minute(self, draw, now):
        steps = draw.below(40)
        self.programmed += steps
        self.authorised += steps * draw.pick(self.authorises)
        self.witnessed += steps * 4096 // 3200 * draw.pick(self.witnesses)
        full = self.windows.sample(now, self.programmed, self.authorised, self.witnessed)
        self.watch.check(now, self.authorised, self.witnessed, 900_000)
        self.watch.minute(self.authorised, self.witnessed)
        return full, self.windows.under_delivery, self.windows.withdrawal_risk, self.watch.stalled, self.watch.over_delivery


def cases(draw, tried):
    while True:
        alarms, port, motion, battery, now = Alarms(lambda text: None), Port(), Motion(draw), Battery(BOARD), draw.below(1 << 40)
        codes = [draw.pick(CODES) for _ in range(draw.between(1, 4))]
        for _ in range(40):
            now += draw.pick((1, 100, 2000, 60_000, 300_000, 900_000)) * draw.below(4)
            alarms, answer = act(draw, tried, alarms, codes, now)
            yield answer, standing(alarms, now)
            yield switch(draw, port, now), motion.minute(draw, now)
            battery.sample(draw.between(2900, 4000), now)
            yield battery.mv, battery.low, battery.depleted, battery.days_left()
            fields = {"path": draw.pick(WAYS)}
            fields[draw.pick(("route", "x"))] = fields["path"] if draw.one_in(3) else "pump"
            yield tried(refuse_catheter_port, fields)
