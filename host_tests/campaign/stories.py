"""Stories: what a clinic does in one go, so that histories reach the far ends of a therapy. Each is a list of events."""

HOUR, DAY = 3_600_000, 86_400_000


def _around(rng, ms):
    return ms + rng.choice((-1, 0, 0, 0, 1))


def _until(rng, mark, ms):
    return ["until", {"mark": mark, "ms": _around(rng, ms)}]


def begin(rng):
    return [["refill", {"volume": 19_000_000, "withdrawn": "all"}], ["run", {}]]


def admit(rng):
    """From the record to a positive response, and often the first program."""
    events = [
        ["record", {"confirm": rng.choice(("yes", "no"))}],
        ["record", {}],
        ["refill", {"volume": 10_000_000, "conc": 50, "withdrawn": "all"}],
        *screening(rng),
    ]
    return events + first_program(rng) if rng.random() < 0.8 else events


def screening(rng):
    events = []
    for _ in range(rng.choice((1, 1, 2, 3, 4))):
        events += [["screen", {"mcg": "next"}], _until(rng, "screen_end", rng.choice((0, 4 * HOUR))), ["respond", {"result": "inadequate"}]]
        events.append(_until(rng, "screen", DAY))
    events += [["screen", {"mcg": "next"}], _until(rng, "screen_end", rng.choice((0, HOUR, 8 * HOUR)))]
    events.append(["respond", {"result": rng.choice(("positive",) * 7 + ("inadequate",))}])
    if rng.random() < 0.5:
        events += [_until(rng, "screen_end", 8 * HOUR), ["respond", {"effect": rng.choice(("short", "long"))}]]
    return events


def first_program(rng):
    commit = {"of": "screen", "percent": rng.choice((50, 99, 100, 100, 200, 200)), "add": rng.choice((0, 0, 0, 1))}
    return [["refill", {"volume": 19_000_000, "conc": rng.choice((51, 500, 2000)), "withdrawn": "all"}], ["commit", commit], ["run", {}]]


def new_trial(rng):
    events = [["stop", {}], ["trial", {}], ["refill", {"volume": 10_000_000, "conc": 50, "withdrawn": "all"}], ["line", {"part": "both"}]]
    return events + screening(rng) + first_program(rng)


def climb(rng):
    events = []
    for _ in range(rng.randint(1, 4)):
        events += [_until(rng, "increase", DAY), ["commit", {"percent": rng.choice((110, 115, 115, 130, 130, 131))}]]
    return events


def maintain(rng):
    events = [_until(rng, "increase", DAY), ["phase", {"phase": "maintenance"}]]
    for _ in range(rng.randint(1, 3)):
        refill = {"volume": rng.choice((4_999_999, 5_000_000, 5_000_000, 9_000_000)), "withdrawn": "all"}
        commit = {"percent": rng.choice((115, 120, 120, 121, 140, 140, 141))}
        events += [["refill", refill], _until(rng, "refill", rng.choice((0, HOUR, DAY))), ["commit", commit]]
        events += [["commit", commit]] if rng.random() < 0.3 else []
        events.append(_until(rng, "licence", 3 * DAY))
    return events


def holiday(rng):
    days = rng.choice((14, 14, 28))
    events = [["taper", {"days": days, "percent": rng.choice((80, 90, 100))}], ["run", {}]]
    events.append(["until", {"mark": "taper", "ms": _around(rng, rng.choice((DAY, 3 * DAY, (days - 1) * DAY, days * DAY)))}])
    commit = {"of": rng.choice(("last", "last", "started")), "percent": rng.choice((80, 100, 100, 115, 130)), "add": rng.choice((0, 1))}
    return events + rng.choice(
        (
            [["phase", {"phase": "titration"}], _until(rng, "increase", DAY), ["commit", {"percent": 115}]],
            [["commit", commit], ["run", {}]],
            [
                _until(rng, "taper", days * DAY),
                ["run", {}],
                ["commit", commit],
                ["run", {}],
                _until(rng, "run", DAY),
                ["commit", {"percent": 115}],
            ],
            [["stop", {}], _until(rng, "stop", rng.choice((6 * HOUR, 14 * DAY))), ["run", {}]],
        )
    )


def comeback(rng):
    """An interruption or an overdose, and the return."""
    if rng.random() < 0.5:
        events = [["stop", {}], _until(rng, "stop", rng.choice((6 * HOUR, DAY, 14 * DAY))), ["run", {}]]
        events += [["commit", {"percent": 80}]] if rng.random() < 0.5 else []
    else:
        events = [["commit", {"percent": rng.choice((30, 60, 79)), "reason": "OVERDOSE"}], ["run", {}]]
    events += [_until(rng, "run", DAY)] if rng.random() < 0.6 else []
    commit = {"of": "return", "percent": rng.choice((90, 100, 100)), "add": rng.choice((0, 0, 1))}
    return [*events, ["commit", dict(commit, confirm=rng.choice(("no", "wrong")))], ["commit", commit], ["commit", {"of": "return"}]]


def idle(rng):
    return [
        ["stop", {}],
        _until(rng, "stop", 14 * DAY),
        ["run", {}],
        ["commit", {"of": "screen", "percent": rng.choice((100, 200)), "add": 0}],
        ["run", {}],
    ]


def boluses(rng):
    events = [["port", {"is_open": False}], ["alarm", {"is_on": False}], ["acknowledge", {}], ["run", {}]]
    events.append(["commit", {"bolus": rng.choice((5, 20)), "lockout_s": rng.choice((0, 3600))}])
    for _ in range(rng.randint(2, 7)):
        wait = rng.choice((0, 30_000, 59_999, 60_000, HOUR, DAY))
        events += [["bolus", {}], _until(rng, "bolus", wait), *([["power", {"outage_ms": 5_000}]] if rng.random() < 0.1 else [])]
    return [*events, ["acknowledge", {}], ["bolus", {}]]


def bridge(rng):
    conc = rng.choice((51, 500, 1000, 2000))
    events = [["stop", {}], ["refill", {"volume": 18_000_000, "conc": conc, "withdrawn": "all"}], ["commit", {"conc": conc}], ["run", {}]]
    return [
        *events,
        ["wait", {"ms": rng.choice((HOUR, 6 * HOUR, DAY, 3 * DAY))}],
        ["bolus", {}],
        ["refill", {"volume": 9000000, "withdrawn": "all"}],
    ]


def new_line(rng):
    events = [["stop", {}], ["line", {"part": rng.choice(("tube", "catheter", "both"))}]]
    return [
        *events,
        ["prime", {"percent": rng.choice((40, 100, 101))}],
        ["wait", {"ms": rng.choice((1000, 600000))}],
        ["prime", {"percent": 100}],
        ["run", {}],
    ]


def waiting(rng):
    """An increase that is committed while stopped, and a RUN when it is no longer one that may begin."""
    events = [_until(rng, "increase", DAY), ["stop", {}]]
    events += [["refill", {"volume": 9_000_000, "withdrawn": "all"}], ["wait", {"ms": rng.choice((0, HOUR, 5 * HOUR))}]]
    events += [["commit", {"percent": rng.choice((110, 115, 130)), "shape": rng.choice(("flat", "morning", "evening", "steep"))}]]
    return [*events, _until(rng, rng.choice(("stop", "refill")), rng.choice((6 * HOUR, DAY))), ["run", {}]]


def water(rng):
    """Test fluid, what is refused meanwhile, and drug again."""
    events = [["stop", {}], ["test_fluid", {}], ["commit", {"percent": 100}], ["run", {}], ["bolus", {}], ["prime", {}]]
    return [*events, ["refill", {"volume": 9_000_000}], ["empty", {}], ["acknowledge", {}], ["commit", {"percent": 100}], ["run", {}]]


def refusals(rng):
    """A dose above the cap twice in 7 days; a month of maintenance."""
    over = {"percent": rng.choice((131, 141, 200))}
    return [["commit", over], _until(rng, "refused", 7 * DAY), ["commit", over]]


STORIES = {
    "begin": begin,
    "admit": admit,
    "new_trial": new_trial,
    "climb": climb,
    "maintain": maintain,
    "holiday": holiday,
    "comeback": comeback,
    "idle": idle,
    "boluses": boluses,
    "bridge": bridge,
    "new_line": new_line,
    "refusals": refusals,
    "waiting": waiting,
    "water": water,
}
