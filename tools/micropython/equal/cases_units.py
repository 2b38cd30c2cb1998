"""Numbers, units, dates and texts: what is read, what is refused, how figures are said to a person."""

from doseloop import units
from doseloop.program import parse_clock, parse_name

SIGNS = "0123456789-+. :mcgnlusMh/%éx\t\"'>=_"
UNITS = ("ng", "nl", "s", "ms", "mcg", "mcg/ml", "min", "nl/h", "ppm")


def soup(draw, most):
    return "".join([draw.pick(SIGNS) for _ in range(draw.below(most + 1))])


def number(draw):
    """Mostly good: up to 16 digits, sometimes a sign, a blank or something else at an end."""
    text = "".join([chr(48 + draw.below(10)) for _ in range(draw.below(17))])
    return draw.pick(("", "", "", "-", "+", " ", "_")) + text + draw.pick(("", "", "", "", " ", ".", "e3"))


def date(draw):
    return "%d-%02d-%02d" % (draw.between(1890, 2110), draw.below(14), draw.below(33))


def day(draw):
    return draw.between(1900, 2100), draw.between(1, 12), draw.between(1, 28)


def parsed(draw, tried):
    kind = draw.below(6)
    signed = draw.one_in(3)
    if kind == 0:
        return tried(units.parse_integer, number(draw), "n", signed)
    if kind == 1:
        return tried(units.parse_quantity, number(draw) + draw.pick(UNITS), draw.pick(UNITS), "n", signed)
    if kind == 2:
        return tried(units.parse_quantity, soup(draw, 12), draw.pick(UNITS), "n", signed)
    if kind == 3:
        return tried(units.parse_date, date(draw) if draw.below(4) else soup(draw, 10))
    if kind == 4:
        return tried(parse_clock, "%02d:%02d" % (draw.below(26), draw.below(62)) if draw.below(4) else soup(draw, 6))
    return tried(parse_name, "".join([draw.pick("aZ09-_.+ /") for _ in range(draw.below(36))]))


def figures(draw):
    big = draw.below(1 << 40)
    conc, per_ml = draw.between(1, 10_000), draw.between(50_000, 200_000)
    a, b = units.Ratio(draw.below(1 << 40), draw.between(1, 1 << 30)), units.Ratio(draw.below(1 << 40), draw.between(1, 1 << 30))
    percent = draw.between(1, 250)
    return (
        units.nl_of_steps(big, per_ml), units.steps_of_nl(big, per_ml), units.ng_of_nl(big, conc),
        units.mcg_text(draw.below(10_000_000)), units.span_text(draw.below(200_000_000)),
        a < b, a <= b, a.same(b), a.at_most(percent, b), a.ceil(), b.floor(), units.larger(a, b), units.smaller(a, b), a.plus(percent),
    )  # fmt: skip


def cases(draw, tried):
    while True:
        yield parsed(draw, tried)
        yield parsed(draw, tried)
        yield figures(draw)
        first, second = day(draw), day(draw)
        days = units.unix_days(first)
        yield days, units.age_years(first, second), units.date_of_unix_days(days) if days >= 0 else None
        yield units.printable(soup(draw, 40))
