"""Step schedules: pieces of constant rate as leases, all of them told over in a sum of small ints, the first ones in full."""

from doseloop.schedule import LEASE_US, Piece, fresh_remainder

SPANS = (60_000, 900_000, 3_600_000, 18_000_000, 86_400_000)
MOST_PULSES = 400


def leases(piece):
    """(how many, the first three, a sum over all)."""
    count = total = 0
    first = []
    while piece.next_lease():
        count += 1
        if count <= 3:
            first.append((piece.n, piece.gap_us, piece.period_us))
        total = (total * 31 + piece.n * 7 + piece.gap_us * 5 + piece.period_us) % 999_983
    return count, first, total


def rate(draw, span):
    """(num, den) of steps in span, as dosing makes them: a dose in a segment's length, or a delivery's steps."""
    if draw.one_in(4):
        return draw.between(1, min(MOST_PULSES, 1 + span // 20)), 1
    length = draw.pick((1, 3, 5, 24)) * 3_600_000
    conc, per_ml = draw.pick((51, 500, 777, 2000)), draw.between(90_000, 110_000)
    dose = draw.below(2_003_000)
    num, den = dose * per_ml * span, conc * 1000 * length
    while num > MOST_PULSES * den:
        den *= 10
    return num, den


def cases(draw, tried):
    piece = Piece()
    while True:
        span = draw.pick(SPANS) if draw.below(3) else draw.between(1, 90_000_000)
        num, den = rate(draw, span)
        remainder = draw.pick((0, fresh_remainder(den), draw.below(den), -draw.below(den) // 128))
        lease_us = 600_000 if span <= 900_000 and draw.one_in(2) else LEASE_US
        piece.plan(span, num, den, remainder, draw.pick((1, 10, 150)), lease_us)
        yield piece.pulses, piece.remainder, leases(piece)
