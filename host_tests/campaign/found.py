"""Histories on which pump and oracle once disagreed, as short as they could be made: each with what it shows and its requirements.

`play` of run.py must go through all of them without a word. Events are those of events.py.
"""

DAY = 86_400_000

_TITRATION = {
    "origin": "imported", "population": "spinal", "birth": "1980-05-01", "phase": "titration", "daily": 100_000, "conc": 500, "bolus": None,
    "screen": 50, "effect": "short", "ago_s": 500_000, "volume": 18_000_000,
}  # fmt: skip
_OWN = {"origin": "own", "population": "spinal", "birth": "1980-05-01", "injury": "none"}


def _start(**more):
    return dict(_TITRATION, **more)


_FILL = ["refill", {"volume": 19_000_000, "withdrawn": "all"}]
_FILL_50 = ["refill", {"volume": 10_000_000, "conc": 50, "withdrawn": "all"}]
_FILL_500 = ["refill", {"volume": 19_000_000, "conc": 500, "withdrawn": "all"}]
_RUN, _STOP, _TRIAL = ["run", {}], ["stop", {}], ["trial", {}]
_SCREENED = [
    _FILL_50,
    ["line", {"part": "both"}],
    ["screen", {}],
    ["until", {"mark": "screen_end", "ms": 0}],
    ["respond", {"result": "positive"}],
]


def _until(mark, ms):
    return ["until", {"mark": mark, "ms": ms}]


def _taper(days=14, percent=100):
    return ["taper", {"days": days, "percent": percent}]


# (what it shows, requirements, start, events)
FOUND = [
    (
        "the first program is what the next is measured from before its first step too",
        ("R-INI-1", "R-INI-2", "R-TIT-4"),
        _OWN,
        [
            ["record", {}],
            *_SCREENED,
            _FILL_500,
            ["commit", {"of": 24}],
            ["run", {"hurry": True}],
            ["commit", {"of": 2_003_000}],
            ["commit", {"of": 25}],
        ],
    ),
    (
        "an increase that waits for its first step is not stepped from, and keeps maintenance waiting",
        ("R-TIT-3", "R-TIT-4", "R-MNT-1"),
        _start(daily=10_000, conc=2000, ago_s=86_400),
        [
            _RUN,
            ["commit", {"percent": 130, "hurry": True}],
            ["phase", {}],
            ["commit", {"percent": 169}],
            ["commit", {"percent": 90}],
            ["phase", {}],
        ],
    ),
    (
        "the rate that a clock correction holds down counts as what was given",
        ("R-DOSE-2", "R-PRF-4"),
        _start(daily=1_100_000, conc=2000, bolus=[27_500, 60, 14_400, 220_000]),
        [
            _RUN,
            ["commit", {"percent": 80, "shape": "peak", "bolus": 5, "lockout_s": 0}],
            ["wait", {"ms": 14 * DAY}],
            ["wait", {"ms": 1_200_000}],
            ["clock", {"hours": -25}],
            ["power", {"outage_ms": 5000}],
            _until("power", DAY),
            ["commit", {"percent": 90, "add": 1}],
        ],
    ),
    (
        "a day of a taper that was left holds until the first step of what came",
        ("R-MNT-2", "R-HOL-1"),
        _start(daily=250_000),
        [_taper(14, 90), _RUN, _until("taper", DAY - 1), ["commit", {"percent": 114, "bolus": 20}], _until("commit", DAY + 1)],
    ),
    (
        "a holiday left for an increase that is stopped before its first step keeps the dose of its day",
        ("R-MNT-2", "R-HOL-1"),
        _start(daily=990_000, conc=2000),
        [_RUN, _taper(), ["commit", {"of": 1_000_000, "hurry": True}], _STOP, _until("stop", 3 * DAY), ["commit", {"percent": 80}], _RUN],
    ),
    (
        "the same taper committed again once it was left is another holiday, with a zero of its own",
        ("R-HOL-1", "R-TIT-4"),
        _start(),
        [
            _RUN,
            _taper(),
            ["commit", {"percent": 101, "hurry": True}],
            _taper(),
            _until("commit", 3 * DAY),
            ["commit", {"percent": 101, "confirm": "no"}],
            _until("commit", 15 * DAY),
            ["commit", {"of": "started"}],
            ["commit", {"of": "started", "add": 1}],
        ],
    ),
    (
        "a taper that was left, stopped and committed again is judged and begins anew at RUN",
        ("R-HOL-1", "R-TIT-4"),
        _start(),
        [
            _RUN,
            _taper(),
            ["commit", {"percent": 101, "hurry": True}],
            _STOP,
            _taper(),
            ["power", {"outage_ms": 5000}],
            _until("stop", DAY),
            _RUN,
            ["wait", {"ms": 15 * DAY}],
            ["commit", {"of": "started"}],
        ],
    ),
    (
        "a new trial's first program after a holiday begins its first 24 h at RUN",
        ("R-INI-2", "R-SCR-5"),
        _start(phase="maintenance", ago_s=86_399),
        [
            _taper(14, 80),
            _RUN,
            _STOP,
            _until("stop", 14 * DAY),
            _TRIAL,
            *_SCREENED,
            _FILL_500,
            ["commit", {"of": "screen", "percent": 50}],
            _RUN,
        ],
    ),
    (
        "a first RUN wants a calibration, one after a new trial does not again",
        ("R-CAL-1",),
        _start(phase="maintenance", daily=10_000),
        [["calibrate", {"hours": 100, "tube": "T1"}], _taper(), _RUN, _until("taper", 14 * DAY), _STOP, _TRIAL, _RUN],
    ),
    (
        "a new trial after a holiday's zero is capped by its own screening dose, not by the old initial dose",
        ("R-INI-1", "R-SCR-5", "R-HOL-1"),
        _start(),
        [_taper(), _RUN, _until("taper", 14 * DAY), _STOP, _TRIAL, *_SCREENED, _FILL_500, ["commit", {"of": "screen", "percent": 201}]],
    ),
    (
        "a holiday that a new trial breaks off leaves the dose of that day",
        ("R-TIT-4", "R-HOL-1", "R-SCR-5"),
        _start(),
        [_taper(), _RUN, _until("taper", 3 * DAY), _STOP, _TRIAL, ["wait", {"ms": 30 * DAY}], *_SCREENED, _FILL_500, ["commit", {}]],
    ),
    (
        "the initial dose is that of the first program after the last trial",
        ("R-HOL-1",),
        _start(daily=800_000, conc=2000),
        [_TRIAL, *_SCREENED, _FILL_500, ["wait", {"ms": DAY}], ["commit", {"of": "screen", "percent": 99}], _RUN],
    ),
    (
        "a holiday left at the end of a day is left with the dose of that day, whenever the first step comes",
        ("R-HOL-1", "R-TIT-3", "R-MNT-2"),
        _start(phase="maintenance", daily=60_000),
        [_taper(28), _RUN, _until("taper", 27 * DAY - 1), ["commit", {"percent": 115}], ["commit", {"percent": 80}]],
    ),
    (
        "a day of a taper is in force until the next one begins, and to the millisecond 24 h after",
        ("R-MNT-2", "R-HOL-1"),
        _start(daily=1_100_000, conc=2000),
        [_taper(), _RUN, _until("taper", 3 * DAY), ["commit", {"percent": 105, "add": -1}], _STOP, _until("stop", DAY - 1)],
    ),
    (
        "a holiday is broken off at once while stopped, whatever waits for RUN",
        ("R-HOL-1",),
        _start(),
        [
            _taper(),
            _RUN,
            _STOP,
            ["commit", {"percent": 110, "add": -1}],
            ["wait", {"ms": DAY // 3}],
            ["phase", {"phase": "titration"}],
            _RUN,
        ],
    ),
    (
        "the first 24 h of an imported first phase begin at RUN",
        ("R-INI-2", "R-COM-1"),
        _start(phase="first", ago_s=500_000),
        [
            _RUN,
            ["commit", {"percent": 110}],
            _until("run", DAY - 1),
            ["commit", {"percent": 110}],
            _until("run", DAY),
            ["commit", {"percent": 110}],
        ],
    ),
    (
        "a screening dose is no basal of the last 24 h after a restart",
        ("R-DOSE-2", "R-SCR-2"),
        _OWN,
        [["record", {}], *_SCREENED, ["power", {"outage_ms": 5000}], _FILL_500, ["commit", {"of": "screen"}], _RUN],
    ),
    (
        "a bolus that was cut off is no basal of the last 24 h after two restarts",
        ("R-DOSE-2", "R-BOL-2"),
        _start(phase="maintenance", daily=1_350_000, conc=2000),
        [_RUN, ["commit", {"bolus": 20, "lockout_s": 0}], ["bolus", {}], ["power", {"outage_ms": DAY}], ["power", {"outage_ms": 5000}]],
    ),
    (
        "what would not be kept over a power cut is not taken while a delivery moves",
        ("R-MNT-1", "R-TIM-1"),
        _start(),
        [["prime", {}], ["phase", {}], ["clinical", {"result": "adequate"}], _RUN, ["power", {"outage_ms": 5000}], ["phase", {}]],
    ),
    (
        "a bolus or a prime that the state forbids names the state first",
        ("R-BOL-3", "R-CON-4"),
        _start(bolus=[50_000, 60, 3600, 20_000]),
        [
            ["bolus", {}],
            ["port", {"is_open": True}],
            ["bolus", {}],
            _RUN,
            ["prime", {}],
            ["port", {"is_open": False}],
            ["bolus", {}],
            ["bolus", {}],
        ],
    ),
    (
        "without a positive response RUN says so, with or without a program",
        ("R-SCR-5",),
        _OWN,
        [_RUN, ["record", {}], _RUN, ["calibrate", {"hours": 1, "tube": "T1"}], ["wait", {"ms": DAY}], _RUN],
    ),
    (
        "an increase that breaks a holiday off does not count among three in a row without a response",
        ("R-MNT-4",),
        _start(phase="maintenance"),
        [_taper(), _RUN, ["commit", {"percent": 115}], *[_until("increase", DAY), ["commit", {"percent": 130}]] * 2],
    ),
    (
        "doses of an earlier maintenance count for 30 days, and any program that takes force is measured by them",
        ("R-MNT-4",),
        _start(phase="maintenance", daily=800_000, conc=2000),
        [
            _RUN,
            ["commit", {"percent": 60, "reason": "OVERDOSE"}],
            _until("run", DAY),
            ["commit", {"of": "return"}],
            ["acknowledge", {}],
            ["commit", {"name": "d"}],
        ],
    ),
    (
        "the age is asked of a commit, not of the RUN that goes on with what ran",
        ("R-POP-1",),
        _start(population="pediatric", birth="2023-05-03"),
        [_RUN, _STOP, ["clock", {"hours": -2}], ["commit", {"percent": 90}], _RUN],
    ),
    (
        "a smaller dose that is far above the lowest of 30 days raises the advisory too",
        ("R-MNT-4",),
        _start(phase="maintenance", daily=1_100_000, conc=2000),
        [
            ["commit", {"percent": 30, "reason": "OVERDOSE"}],
            _RUN,
            ["commit", {"of": "return"}],
            ["acknowledge", {}],
            ["commit", {"percent": 90}],
        ],
    ),
    (
        "a taper above the dose last run is a step too far whenever it is, and no return",
        ("R-HOL-1", "R-WDR-1"),
        _start(daily=60_000),
        [_RUN, ["commit", {"percent": 130, "bolus": 5}], _taper(28, 101), _STOP, _until("stop", DAY), _RUN, _taper(28, 101)],
    ),
    (
        "a program of before a new trial is not run again, and the same one committed anew takes force anew",
        ("R-SCR-5", "R-MNT-2"),
        _start(),
        [
            _RUN,
            ["commit", {"percent": 80}],
            _STOP,
            _TRIAL,
            *_SCREENED,
            _FILL_500,
            _RUN,
            ["commit", {}],
            _RUN,
            _until("run", DAY),
            ["commit", {"percent": 80}],
        ],
    ),
    (
        "boluses are added up exactly, not each rounded up",
        ("R-BOL-2",),
        _start(population="cerebral", daily=60_000, conc=51),
        [_RUN, ["commit", {"percent": 81}], ["commit", {"bolus": 5, "lockout_s": 0}], *[["bolus", {}], ["wait", {"ms": 60_000}]] * 5],
    ),
    (
        "the wait for room in the bolus window is until enough boluses are old enough",
        ("R-BOL-1",),
        _start(population="cerebral", daily=1_100_000, conc=2000, bolus=[27_500, 60, 3600, 220_000]),
        [_RUN, ["commit", {"bolus": 5, "lockout_s": 0}], *[["bolus", {}], ["wait", {"ms": 61_000}]] * 5],
    ),
    (
        "once anything was run, a new trial opens no new record",
        ("R-POP-1",),
        _start(),
        [_taper(28, 80), _RUN, _until("taper", 28 * DAY + 1), _STOP, _TRIAL, ["record", {"population": "cerebral"}]],
    ),
    (
        "the effect of an imported trial can be recorded 8 h after the import",
        ("R-SCR-4", "R-COM-1"),
        _start(phase="screened", effect="unknown"),
        [["respond", {"effect": "long"}], ["wait", {"ms": DAY // 3}], ["respond", {"effect": "long"}], ["respond", {"effect": "short"}]],
    ),
    (
        "a re-shaped program of flat days by the hour exceeds no 24 h",
        ("R-DOSE-1", "R-DOSE-2"),
        _start(phase="maintenance", daily=800_000, conc=2000),
        [
            _FILL,
            _RUN,
            ["commit", {"percent": 131, "add": -1, "shape": "hours"}],
            _until("refill", 14 * DAY),
            ["commit", {"name": "d"}],
            _taper(21),
        ],
    ),
    (
        "basal that flowed beside a bolus when the power failed is in doubt on both sides",
        ("R-DOSE-2", "R-ALM-11"),
        _start(population="pediatric", birth="2015-05-03", daily=60_000, conc=51, bolus=[58_823, 60, 14_400, 12_000], ago_s=DAY // 1000),
        [
            _FILL,
            _RUN,
            ["wait", {"ms": DAY // 4}],
            ["bolus", {}],
            _until("bolus", 59_999),
            ["power", {"outage_ms": 5000}],
            ["commit", {"percent": 100, "add": -1, "shape": "peak", "hurry": True}],
        ],
    ),
]
