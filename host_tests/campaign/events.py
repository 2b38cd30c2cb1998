"""Random histories: a set-up and events as plain data, drawn from the seed and the history's number alone.

Figures are drawn around the rules' borders: waits end a millisecond short of them, on them, or past them; doses lie on
the caps, one ng above, one below.
"""

import random

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
_AROUND = (-1, -1, 0, 0, 1)
_SPANS = (DAY, DAY, DAY, 6 * HOUR, 4 * HOUR, 8 * HOUR, 2 * DAY, 3 * DAY)
_MARKS = ("increase", "increase", "increase", "stop", "run", "refill", "bolus", "power", "phase")
_WAITS = (20 * MINUTE, HOUR, 4 * HOUR, 6 * HOUR, 8 * HOUR, DAY, DAY - 1, DAY + 1, 3 * DAY, 14 * DAY, 30 * DAY)
_PERCENTS = (50, 79, 80, 81, 90, 95, 100, 100, 105, 110, 114, 115, 115, 116, 119, 120, 120, 121, 129, 130, 130, 131, 139, 140, 140, 141, 200)


def start_of(rng):
    """Who is taken over, in which phase, with what dose."""
    population = rng.choice(("spinal", "cerebral", "pediatric"))
    phase = rng.choice(("screened", "first", "titration", "titration", "maintenance"))
    daily = rng.choice((10_000, 60_000, 100_003, 250_000, 800_000, 1_100_000))
    conc = 500 if daily < 300_000 else 2000
    bolus = rng.random() < 0.4
    return {
        "population": population,
        "birth": rng.choice(("1980-05-01", "2000-02-29")) if population != "pediatric" else rng.choice(("2015-05-03", "2016-01-01", "2018-09-09")),
        "phase": phase,
        "daily": daily,
        "conc": conc,
        "bolus": (daily * 1000 // (20 * conc * 1), 60, rng.choice((0, 3600, 14_400)), daily // 5) if bolus else None,
        "screen": rng.choice((50_000, 75_000, 100_000)),
        "effect": rng.choice(("short", "long", "unknown")),
        "ago_s": rng.choice((0, 3600, 86_399, 86_400, 500_000)),
        "volume": rng.choice((9_000_000, 18_000_000, 20_000_000)),
    }


def _commit(rng):
    args = {"percent": rng.choice(_PERCENTS)}
    if rng.random() < 0.4:
        args["add"] = rng.choice((-1, 1))
    if rng.random() < 0.3:
        args["shape"] = rng.choice(
            ("hours", "morning", "evening", "quarter", "night", "steep", "peak", "over", "under", "weekend", "friday", "gap")
        )
    if rng.random() < 0.3:
        args["bolus"] = rng.choice((5, 20, 50))
        args["lockout_s"] = rng.choice((0, 3600, 14_400))
    if rng.random() < 0.1:
        args["reason"] = "OVERDOSE"
    if rng.random() < 0.03:
        args["conc"] = rng.choice((50, 51, 400, 2000, 2001))
    _spoil(rng, args, "route")
    return args


def _spoil(rng, args, way):
    """Now and then what a person forgets or gets wrong."""
    dice = rng.random()
    if dice < 0.03:
        args["attended"] = False
    elif dice < 0.04:
        args[way] = "catheter-port"
    elif dice < 0.05:
        args["age_s"] = rng.choice((-6, -5, 60, 61))
    elif dice < 0.07:
        args["confirm"] = rng.choice(("no", "wrong"))


def _refill(rng):
    args = {"volume": rng.choice((1_000_000, 4_999_999, 5_000_000, 9_000_000, 19_000_000, 20_000_000, 20_000_001))}
    args["withdrawn"] = rng.choice(("all", "all", "all", "none", "half", "much"))
    if rng.random() < 0.1:
        args["conc"] = rng.choice((50, 51, 500, 1000, 2000, 2001))
    if rng.random() < 0.05:
        args["expires"] = rng.choice((-1, 0, 1))
    if rng.random() < 0.02:
        args["drug"] = "baclofen+morphine"
    _spoil(rng, args, "path")
    return args


def _until(rng):
    return {"mark": rng.choice(_MARKS), "ms": rng.choice(_SPANS) + rng.choice(_AROUND)}


def _power(rng):
    return {"outage_ms": rng.choice((None, 5_000, HOUR, 6 * HOUR - 1000, 6 * HOUR, 6 * HOUR + 1000, DAY))}


# kind, weight, how its arguments are drawn
KINDS = (
    ("wait", 14, lambda rng: {"ms": rng.choice(_WAITS)}),
    ("until", 20, _until),
    ("commit", 28, _commit),
    ("run", 8, lambda rng: {}),
    ("stop", 4, lambda rng: {}),
    ("power", 4, _power),
    ("clock", 3, lambda rng: {"hours": rng.choice((-25, -2, -1, 0, 1, 2, 25))}),
    ("refill", 7, _refill),
    ("phase", 3, lambda rng: {}),
    ("bolus", 7, lambda rng: {"more_nl": 10} if rng.random() < 0.05 else {}),
    ("acknowledge", 2, lambda rng: {}),
    ("port", 2, lambda rng: {"is_open": rng.random() < 0.4}),
)
_NAMES = [kind for kind, weight, _ in KINDS for _ in range(weight)]
_DRAW = {kind: draw for kind, _, draw in KINDS}


def history(seed, number, events):
    """(start, [[kind, arguments], ...])"""
    rng = random.Random("%d/%d" % (seed, number))
    start = start_of(rng)
    drawn = [["run", {}]]
    while len(drawn) < events:
        kind = rng.choice(_NAMES)
        drawn.append([kind, _DRAW[kind](rng)])
    return start, drawn
