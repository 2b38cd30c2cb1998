"""The account: tallies, marks, days, refills; the line and its bridges; the reservoir, its refusals and its forecast."""

from doseloop.ledger import CATEGORIES, Ledger, Tally, reservation
from doseloop.line import PARTS, Line
from doseloop.program import Program
from doseloop.supplies import Reservoir, dose_ahead_ng, is_low, refill_due_ms, time_until_used_ms
from doseloop.units import DAY_MS, HOUR_MS

BOARD = {
    "steps_per_turn": 3200, "encoder_counts_per_turn": 4096, "steps_per_ml_nominal": 100_000,
    "reservoir_nl": 20_000_000, "threshold_nl": 2_000_000, "residual_nl": 500_000, "reservation_nl": 10_000, "reservation_ms": 900_000,
    "dead_volume_tubing_nl": 20_000, "dead_volume_catheter_nl": 40_000,
}  # fmt: skip
TODAY = (2027, 5, 3)
WEEK_MS = 7 * DAY_MS


class Story:
    """One account through a life at random."""

    def __init__(self):
        self.ledger = Ledger(BOARD, Line(BOARD))
        self.reservoir = Reservoir(BOARD, self.ledger)
        self.now = self.due = self.raw = 0

    def move(self, draw):
        self.now += draw.below(7_200_000)
        self.due += draw.below(3_000)
        self.raw = (self.raw + draw.below(4_000)) & 0x3FFFFFFF
        self.ledger.advance(self.due, self.raw)
        if draw.one_in(3):
            self.ledger.mark_quarter(self.now)
        self.ledger.note_day(self.now // DAY_MS)

    def change(self, draw, tried):
        ledger, kind = self.ledger, draw.below(8)
        line, count = ledger.line, ledger.steps["dose"]
        if kind < 2:
            ledger.category = draw.pick(CATEGORIES) if kind else "dose"
        elif kind == 2:
            ledger.feed(draw.pick((0, 500, 777, 2000)))
        elif kind == 3:
            new = draw.between(90_000, 110_000)
            line.recalibrate(count, ledger.steps_per_ml, new)
            ledger.steps_per_ml = new
        elif kind == 4:
            ledger.book_uncertain(draw.below(1000))
        elif kind == 5:
            self.restart()
        elif kind == 6:
            line.delivered(draw.pick(CATEGORIES), draw.below(9_000), ledger.steps_per_ml)
        else:
            part = draw.pick(PARTS)
            answer = tried(line.check_replace, part, count), tried(line.check_refill, draw.pick((0, 500, 777)), count)
            if answer[0] is None:
                line.replace(part)
            return answer
        return None

    def restart(self):
        old, line = self.ledger, Line(BOARD)
        line.load(old.line.dump())
        fresh = Ledger(BOARD, line)
        fresh.load(old.dump())
        fresh.category, fresh.steps_per_ml = old.category, old.steps_per_ml
        self.ledger = self.reservoir._ledger = fresh
        self.due = 0

    def refill(self, draw, tried):
        fluid, conc, volume = draw.pick(("drug", "test")), draw.pick((500, 2000)), draw.below(20_000_000)
        withdrawn, expiry = draw.below(20_000_000), draw.pick((None, (2027, 5, 2), TODAY, (2029, 1, 1)))
        answer = tried(self.reservoir.check_refill, volume, conc, withdrawn, expiry, TODAY, fluid)
        discrepant = self.reservoir.is_discrepant(withdrawn)
        if isinstance(answer, int):
            self.reservoir.refill(answer, fluid, conc, "L%d" % draw.below(9), expiry)
        elif draw.one_in(3):
            self.reservoir.empty()
        return answer, discrepant, self.reservoir.dump()

    def told(self):
        ledger = self.ledger
        sums = ledger.since_refill(), ledger.used_nl(), ledger.day_ng(self.now), ledger.today_ng(), ledger.total_steps(), ledger.dump()
        return sums, ledger.tip_conc(), ledger.bridge_left(), ledger.line.holds(ledger.steps["dose"]), ledger.line.dump()


def forecasts(draw, reservoir):
    daily = draw.between(12_000, 2_000_000)
    lines = ["name=p", "conc=%d" % draw.pick((500, 2000)), "seg.all.00:00=%d" % (daily // 3), "seg.all.16:00=%d" % daily]
    if draw.one_in(3):
        lines.append("seg.sun.00:00=%d" % draw.below(daily))
    program = Program(lines)
    at, span = draw.below(WEEK_MS), draw.below(90 * HOUR_MS)
    if not reservoir.conc:
        return dose_ahead_ng(program, at, span)
    fill = reservoir.fill()
    ledger = reservoir._ledger
    covered = reservation(BOARD, ledger, draw.below(2_000_000), draw.below(2000)) if ledger.tip_conc() and ledger.line.feed else None
    return (
        covered, fill.nl_for(draw.below(10_000_000)), fill.ng_in(draw.below(19_000_000)),
        dose_ahead_ng(program, at, span), is_low(reservoir, program, at), is_low(reservoir, program, None),
        time_until_used_ms(program, at, draw.below(19_000_000), fill, 3650 * DAY_MS), refill_due_ms(reservoir, program, at),
    )  # fmt: skip


def tallied(draw):
    tally = Tally(draw.below(1000))
    for _ in range(10):
        tally.add(draw.below(1 << 40), draw.pick((97, 1 << 29, 100_000 * 4096)))
    return tally.total


def cases(draw, tried):
    while True:
        story = Story()
        for _ in range(30):
            story.move(draw)
            yield story.told()
            if draw.one_in(4):
                yield story.change(draw, tried)
            if draw.one_in(8):
                yield story.refill(draw, tried)
                yield forecasts(draw, story.reservoir)
            yield story.reservoir.remaining_nl(), story.reservoir.usable_nl(), tallied(draw)
