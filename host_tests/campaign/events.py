"""Random histories: a start and events as plain data, drawn from the seed and the history's number alone.

Figures are drawn around the rules' borders: waits end a millisecond short of them, on them, or past them; doses lie on
the caps, one ng above, one below. Stories (stories.py) lead to what chance alone would hardly reach.
"""

import random

from campaign.stories import STORIES

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
AROUND = (-1, -1, 0, 0, 1)
_SPANS = (DAY, DAY, DAY, DAY, 6 * HOUR, 4 * HOUR, 8 * HOUR, 3 * DAY, 7 * DAY, 14 * DAY)
_MARKS = ("increase", "increase", "increase", "stop", "stop", "run", "refill", "bolus", "power", "commit", "refused")
_WAITS = (1, 20 * MINUTE, HOUR, 4 * HOUR, 6 * HOUR, 8 * HOUR, DAY, DAY - 1, DAY + 1, 3 * DAY, 14 * DAY, 30 * DAY)
_PERCENTS = (
    50,
    79,
    80,
    80,
    81,
    90,
    100,
    100,
    105,
    110,
    114,
    115,
    115,
    116,
    119,
    120,
    120,
    121,
    129,
    130,
    130,
    131,
    139,
    140,
    140,
    141,
    200,
)
_LIMITS_NG = (12_000, 22_000, 24_000, 1_000_000, 1_000_000, 1_199_000, 1_400_000, 2_003_000)  # a fixed limit of the label each
_SHAPES = ("hours", "morning", "evening", "quarter", "night", "steep", "peak", "over", "under", "weekend", "friday", "gap")
_BIRTHS = {
    "spinal": ("1980-05-01", "2000-02-29", "2009-05-03"),
    "cerebral": ("1980-05-01", "2000-02-29"),
    "pediatric": ("2015-05-03", "2015-05-20", "2018-09-09", "2009-05-10", "2023-05-03"),
}  # some have a birthday about now: a child turns 12 or 18 in the history, or is under 4 once the clock is set back
_ODD_BIRTHS = ("2023-05-03", "2023-05-04", "2009-05-04", "2009-05-03")


def start_of(rng):
    """Who is treated: taken over in some phase with some dose, or from the first screening dose on."""
    population = rng.choice(("spinal", "cerebral", "pediatric"))
    birth = rng.choice(_BIRTHS[population]) if rng.random() < 0.97 else rng.choice(_ODD_BIRTHS)
    if rng.random() < 0.25:
        injury = rng.choice(("none", "none", "none", "2026-05-03", "2026-05-04", "2027-05-03", "2027-05-04"))
        return {"origin": "own", "population": population, "birth": birth, "injury": injury}
    phase = rng.choice(("screened", "first", "titration", "titration", "maintenance"))
    daily = rng.choice((10_000, 60_000, 100_003, 250_000, 800_000, 990_000, 1_100_000, 1_350_000))
    conc = rng.choice((51, 500)) if daily < 300_000 else 2000
    bolus = [daily * 1000 // (20 * conc), 60, rng.choice((0, 3600, 14_400)), daily // 5]
    return {
        "origin": "imported",
        "population": population,
        "birth": birth,
        "phase": phase,
        "daily": daily,
        "conc": conc,
        "bolus": bolus if rng.random() < 0.4 else None,
        "screen": rng.choice((25, 50, 75, 100)),
        "effect": rng.choice(("short", "long", "unknown")),
        "ago_s": rng.choice((0, 3600, 86_399, 86_400, 500_000)),
        "volume": rng.choice((0, 9_000_000, 18_000_000, 20_000_000)),
    }


def _commit(rng):
    args = {"percent": rng.choice(_PERCENTS)}
    if rng.random() < 0.4:
        args["add"] = rng.choice((-1, 1))
    if rng.random() < 0.3:
        args["shape"] = rng.choice(_SHAPES)
        if rng.random() < 0.1:
            args["confirm"] = rng.choice(("no", "wrong"))
    if rng.random() < 0.3:
        args["bolus"] = rng.choice((5, 20, 50))
        args["lockout_s"] = rng.choice((0, 3600, 14_400))
    if rng.random() < 0.1:
        args["reason"] = "OVERDOSE"
    if rng.random() < 0.03:
        args["conc"] = rng.choice((50, 51, 400, 2000, 2001))
    dice = rng.random()
    if dice < 0.1:
        args["of"] = rng.choice(("started", "return", "screen"))
    elif dice < 0.2:
        args = {"of": rng.choice(_LIMITS_NG), "add": rng.choice((-1, 0, 1)), "confirm": rng.choice(("yes", "no"))}
    if rng.random() < 0.15:
        args["hurry"] = True
    return _spoiled(rng, args, "route")


def _spoiled(rng, args, way="path"):
    """Now and then what a person forgets or gets wrong."""
    dice = rng.random()
    if dice < 0.03:
        args["attended"] = False
    elif dice < 0.035:
        args[way] = "catheter-port"
    elif dice < 0.04:
        args[way] = "intravenous"
    elif dice < 0.05:
        args["age_s"] = rng.choice((-6, -5, 60, 61))
    elif dice < 0.09:
        args["confirm"] = rng.choice(("no", "wrong"))
    return args


def _refill(rng):
    args = {"volume": rng.choice((1_000_000, 4_999_999, 5_000_000, 9_000_000, 19_000_000, 20_000_000, 20_000_001))}
    args["withdrawn"] = rng.choice(("all", "all", "all", "none", "half", "much", "residual", "more"))
    if rng.random() < 0.15:
        args["conc"] = rng.choice((49, 50, 51, 500, 1000, 2000, 2001))
    if rng.random() < 0.05:
        args["expires"] = rng.choice((-1, 0, 1))
    if rng.random() < 0.02:
        args["drug"] = "baclofen+morphine"
    if rng.random() < 0.1:
        args["observe"] = rng.choice((1, 24, 72))
    return _spoiled(rng, args)


def _screen(rng):
    args = {"mcg": rng.choice(("next", "next", "next", 25, 50, 75, 100, 60))}
    if rng.random() < 0.2:
        args["time_s"] = rng.choice((60, 900))
    return _spoiled(rng, args)


def _respond(rng):
    args = {}
    if rng.random() < 0.8:
        args["result"] = rng.choice(("positive", "inadequate", "inadequate"))
    if rng.random() < 0.3:
        args["effect"] = rng.choice(("short", "long"))
    return args


def _bolus(rng):
    args = {"more_nl": 10} if rng.random() < 0.05 else {}
    return _spoiled(rng, args)


def _prime(rng):
    return _spoiled(rng, {"percent": rng.choice((50, 100, 100, 101)), "add": rng.choice((0, 0, 1))})


def _power(rng):
    return {"outage_ms": rng.choice((None, 5_000, 5_000, HOUR, HOUR, 6 * HOUR - 1000, 6 * HOUR, 6 * HOUR + 1000, DAY, 15 * DAY))}


def _record(rng):
    args = {"injury": rng.choice(("none", "2027-01-01")), "population": rng.choice(("spinal", "cerebral", "pediatric"))}
    if rng.random() < 0.3:
        args["confirm"] = rng.choice(("no", "wrong"))
    return args


def _taper(rng):
    args = {"days": rng.choice((13, 14, 14, 21, 28)), "percent": rng.choice((79, 80, 80, 90, 100, 100, 101))}
    if rng.random() < 0.1:
        args["spoil"] = rng.choice(("rise", "zero", "steep"))
    return _spoiled(rng, args, "route")


# kind, weight, how its arguments are drawn
KINDS = (
    ("wait", 24, lambda rng: {"ms": rng.choice(_WAITS)}),
    ("until", 36, lambda rng: {"mark": rng.choice(_MARKS), "ms": rng.choice(_SPANS) + rng.choice(AROUND)}),
    ("commit", 48, _commit),
    ("run", 16, lambda rng: {"hurry": True} if rng.random() < 0.15 else {}),
    ("stop", 8, lambda rng: {}),
    ("power", 8, _power),
    ("clock", 5, lambda rng: {"hours": rng.choice((-25, -2, -1, 0, 1, 2, 25, 24 * 400))}),
    ("refill", 14, _refill),
    ("phase", 6, lambda rng: {"phase": rng.choice(("maintenance", "maintenance", "titration"))}),
    ("bolus", 12, _bolus),
    ("acknowledge", 4, lambda rng: {}),
    ("port", 4, lambda rng: {"is_open": rng.random() < 0.25}),
    ("alarm", 4, lambda rng: {"is_on": rng.random() < 0.3}),
    ("screen", 6, _screen),
    ("respond", 4, _respond),
    ("trial", 1, lambda rng: {}),
    ("taper", 4, _taper),
    ("clinical", 2, lambda rng: {"result": rng.choice(("adequate", "inadequate"))}),
    ("line", 1, lambda rng: {"part": rng.choice(("tube", "catheter", "both"))}),
    ("prime", 4, _prime),
    ("calibrate", 1, lambda rng: {"hours": rng.choice((1, 100, 20_000)), "tube": rng.choice(("T1", "T1", "T2"))}),
    ("empty", 1, lambda rng: {}),
    ("record", 1, _record),
    ("repeat", 2, lambda rng: {}),
)
_NAMES = [kind for kind, weight, _ in KINDS for _ in range(weight)]
_DRAW = {kind: draw for kind, _, draw in KINDS}


def one(rng, kind=None):
    """[kind, arguments] of one event."""
    kind = kind or rng.choice(_NAMES)
    return [kind, _DRAW[kind](rng)]


def history(seed, number, length):
    """(start, [[kind, arguments], ...])"""
    rng = random.Random(f"{seed}/{number}")
    start = start_of(rng)
    events = list(STORIES["admit" if start["origin"] == "own" else "begin"](rng))
    while len(events) < length:
        if rng.random() < 0.12:
            events += _disturbed(rng, STORIES[rng.choice(_TOLD)](rng))
        else:
            events.append(one(rng))
    return start, events[:length]


_TOLD = [name for name in sorted(STORIES) if name not in ("admit", "begin")]


def _disturbed(rng, story):
    """A story, now and then with something left out or something else between."""
    for event in story:
        dice = rng.random()
        if dice >= 0.05:
            yield event
        if dice >= 0.9:
            yield one(rng)
