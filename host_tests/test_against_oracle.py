"""The whole firmware beside the bench's oracle, a second reading of the requirements, through random histories.

Both get the same orders at the same elapsed times; decision and code must be equal. The campaign (campaign/) goes through very many
more, over a stub of motion and journal; here a few of its histories run on the whole firmware, which links the two.
"""

import pytest
from campaign.events import history
from campaign.orders import Play
from pump_rig import DAY_MS, HOUR_MS
from whole_firmware import WholePlay

LONGEST_MS = 26 * HOUR_MS  # of a wait: whole days of motion take their time
CUTS_MS = (5_000, HOUR_MS, DAY_MS)


def one_go(drawn):
    """Without power cuts and clock corrections: only the pump knows when R-PRF-4 holds a rate down."""
    return [[kind, args] for kind, args in drawn if kind not in ("power", "clock")]


def with_cuts(drawn):
    """A cut leaves the running time known to the last record, so neither a wait nor an outage goes to the second; and the basal
    of the last 24 h known to a reservation, so programs are flat.
    """
    events, cut = [], False
    for kind, args in drawn:
        cut = cut or kind == "power"
        if (kind == "power" and args["outage_ms"] not in CUTS_MS) or (kind == "until" and cut):
            continue
        events.append([kind, {name: args[name] for name in args if name != "shape"}])
    return events


def short_history(number, kept):
    """A history of the campaign without waits of days."""
    start, drawn = history(3, number, 30)
    if start.get("phase") in ("first", "screened"):
        start["phase"] = "titration"
    drawn = [event for event in drawn if event[0] != "until" or event[1]["ms"] <= LONGEST_MS]
    return start, [[kind, {"ms": min(args["ms"], LONGEST_MS)} if kind == "wait" else args] for kind, args in kept(drawn)]


@pytest.mark.req("R-SCR-1", "R-SCR-3", "R-HOL-1", "R-WDR-1", "R-CON-3", "R-CON-4", "R-MNT-4", "R-BOL-2", "R-TIT-4", "R-FIL-2", "R-TIM-1")
@pytest.mark.parametrize("kept", [one_go, with_cuts])
@pytest.mark.parametrize("number", range(40))
def test_whole_firmware_and_oracle_decide_alike_through_histories_of_the_campaign(number, kept):
    start, events = short_history(number, kept)
    twins = WholePlay(start)
    for event in events:
        twins.play(event)


@pytest.mark.req("R-TIT-4", "R-TIM-1")
@pytest.mark.parametrize("number", range(6))
def test_the_campaign_and_the_whole_firmware_answer_alike(number):
    start, events = short_history(number, one_go)
    told = []
    for twins in (Play(start), WholePlay(start)):
        for event in events:
            twins.play(event)
        told.append(twins.seen)
    assert told[0] == told[1]


@pytest.mark.req("R-TIT-1", "R-TIT-2", "R-TIT-3", "R-TIT-4")
@pytest.mark.parametrize("number", range(20))
def test_no_history_raises_the_daily_dose_by_more_than_a_step_or_twice_in_24_hours(number):
    start, events = short_history(number, with_cuts)
    free = ("phase", "refill", "trial", "taper", "empty")  # what allows more than a step of titration, or begins anew
    start = dict(start, origin="imported", phase="titration", bolus=None, conc=2000, volume=18_000_000, daily=100_000)
    birth = "2015-05-03" if start["population"] == "pediatric" else "1980-05-01"
    start = dict({"screen": 50, "effect": "short", "ago_s": 86_400}, **dict(start, birth=birth))
    twins = WholePlay(start)
    most = 130 if start["population"] == "spinal" else 115
    raised, before = [], twins.record.doses(twins.now()).daily
    for kind, args in events:
        if kind in free or args.get("reason") or args.get("of") == "return":
            continue
        twins.play([kind, args])
        daily = twins.pump.therapy.base(twins.now()).daily.floor()
        if daily > before:
            assert 100 * daily <= most * before or daily <= max([100_000, *[dose for _, dose in raised]])  # a step, or a return (R-WDR-1)
            raised.append((twins.pump.therapy.last_increase, daily))
        before = daily
    times = [at for at, _ in raised]
    assert all(later - at >= DAY_MS for at, later in zip(times, times[1:]))
