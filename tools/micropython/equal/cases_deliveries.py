"""Boluses and other deliveries: asked for at random times, ended fully, partly or uncertain, over restarts."""

from doseloop.bolus import Deliveries, Delivery, bolus_text, is_short
from doseloop.program import Program

VERBS = ("DOSE:BOLUS", "DOSE:BOLUS", "DOSE:BOLUS", "DOSE:PRIME", "TEST:FLOW")


def bolus_program(draw):
    if draw.one_in(20):
        return draw.pick((None, Program(["name=p", "conc=500", "seg.all.00:00=100000"])))
    figures = (draw.between(1_000, 9_000), draw.between(1, 900), draw.pick((0, 60, 3600, 90_000)), draw.between(1, 60_000))
    keys = ("bolus_volume", "bolus_time", "bolus_lockout", "bolus_allowance")
    return Program(["name=p", "conc=%d" % draw.pick((500, 2000)), "seg.all.00:00=100000"] + ["%s=%d" % pair for pair in zip(keys, figures)])


def asked(draw, program):
    return program.bolus[0] if program and program.bolus and draw.below(8) else draw.below(9_000)


def ended(draw, deliveries, now):
    delivery = deliveries.finish(draw.pick((deliveries.current.steps, draw.below(900))), now, 100_000, draw.one_in(12))
    if draw.one_in(4):
        deliveries.uncertain = False  # a person acknowledged
    return delivery.outcome, delivery.made_nl, bolus_text(delivery)


def restarted(draw, old):
    fresh = Deliveries()
    fresh.load(old.dump())
    if old.current:
        fresh.restore(old.current, draw.pick(("UNCERTAIN", "DONE", "PARTIAL")))
    return fresh


def cases(draw, tried):
    while True:
        deliveries, now, number, program = Deliveries(), 0, 0, bolus_program(draw)
        for _ in range(60):
            now += draw.pick((1, 1000, 600_000, 3_600_000, 40_000_000)) * draw.between(1, 3)
            volume = asked(draw, program)
            answer = tried(deliveries.check_bolus, program, volume, now, draw.pick((None, None, None, None, None, "LATE")))
            yield answer, deliveries.given_ng(now), deliveries.seen(draw.below(number + 1))
            if answer is None:
                number += 1
                delivery = Delivery(draw.pick(VERBS), number, draw.between(1, 900), 60_000, volume, program.conc, now)
                deliveries.begin(delivery)
                if draw.one_in(6):
                    deliveries = restarted(draw, deliveries)
                else:
                    yield ended(draw, deliveries, now + draw.below(60_000))
            yield deliveries.dump(), is_short(draw.below(4000), draw.below(4000), draw.below(40))
