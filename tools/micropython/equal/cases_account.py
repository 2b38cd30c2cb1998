"""The account: tallies, marks, days, refills; the reservoir, its refusals and its forecast."""

from doseloop.ledger import CATEGORIES, Ledger, Tally
from doseloop.program import Program
from doseloop.supplies import Reservoir, dose_ahead_ng, is_low, refill_due_ms, time_until_used_ms
from doseloop.units import DAY_MS, HOUR_MS

BOARD = {
    "steps_per_turn": 3200, "encoder_counts_per_turn": 4096, "steps_per_ml_nominal": 100_000,
    "reservoir_nl": 20_000_000, "threshold_nl": 2_000_000, "residual_nl": 500_000,
}  # fmt: skip
TODAY = (2027, 5, 3)
WEEK_MS = 7 * DAY_MS


class Story:
    """One account through a life at random."""

    def __init__(self):
        self.ledger = Ledger(BOARD)
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

    def change(self, draw):
        ledger, kind = self.ledger, draw.below(6)
        if kind == 0:
            ledger.category = draw.pick(CATEGORIES)
        elif kind == 1:
            ledger.conc = draw.pick((0, 500, 777, 2000))
        elif kind == 2:
            ledger.steps_per_ml = draw.between(90_000, 110_000)
        elif kind == 3:
            ledger.book_uncertain(draw.below(1000))
        elif kind == 4:
            fresh = Ledger(BOARD)
            fresh.load(ledger.dump())
            fresh.category, fresh.conc, fresh.steps_per_ml = ledger.category, ledger.conc, ledger.steps_per_ml
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
        return ledger.since_refill(), ledger.used_nl(), ledger.day_ng(self.now), ledger.today_ng(), ledger.total_steps(), ledger.dump()


def forecasts(draw, reservoir):
    daily = draw.between(12_000, 2_000_000)
    lines = ["name=p", "conc=%d" % draw.pick((500, 2000)), "seg.all.00:00=%d" % (daily // 3), "seg.all.16:00=%d" % daily]
    if draw.one_in(3):
        lines.append("seg.sun.00:00=%d" % draw.below(daily))
    program = Program(lines)
    at, span = draw.below(WEEK_MS), draw.below(90 * HOUR_MS)
    return (
        dose_ahead_ng(program, at, span), is_low(reservoir, program, at), is_low(reservoir, program, None),
        time_until_used_ms(program, at, draw.below(19_000_000), 3650 * DAY_MS), refill_due_ms(reservoir, program, at),
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
                story.change(draw)
            if draw.one_in(8):
                yield story.refill(draw, tried)
                yield forecasts(draw, story.reservoir)
            yield story.reservoir.remaining_nl(), story.reservoir.usable_nl(), tallied(draw)
