"""The account over cuts that fall between two records of one deed, and over storage that fails: what it says is what was made."""

from __future__ import annotations

import contextlib
from bisect import bisect_right

import fakes.board as fakes
import pytest
from pump_rig import DAY_MS, HOUR_MS, PumpRig, flat
from test_account import refill
from test_restart import BOLUS, MINUTE, Cut, cutting, prime, running

from hil.errors import Refused

NL_A_STEP = 10
RESTART_WRITES = 12


def cut_in(rig, writes, act):
    """Let so many writes pass in the act, then cut the power in each; True if one was cut."""
    store = cutting(rig, writes)
    try:
        act()
    except Cut:
        return True
    finally:
        store.restore()
    return False


def failing(rig, fails):
    """Writes for which `fails(kind, name)` is true end in EIO; call what is returned to end it."""
    whole = (rig.store.replace, rig.store.append)

    def trying(kind, write):
        def attempt(name, data):
            if fails(kind, name):
                raise OSError(5)
            write(name, data)

        return attempt

    rig.store.replace, rig.store.append = trying("replace", whole[0]), trying("append", whole[1])

    def restore():
        rig.store.replace, rig.store.append = whole

    return restore


@contextlib.contextmanager
def empty_battery():
    """A board that starts meanwhile has one: its pump is held by BATTERY_DEPLETED."""
    begin = fakes.FakeBoard.__init__

    def low(self, *args, **more):
        begin(self, *args, **more)
        self.millivolts = 2900

    fakes.FakeBoard.__init__ = low
    try:
        yield
    finally:
        fakes.FakeBoard.__init__ = begin


# ---- every write of a deed, and every write of the restart after it


def basal(**more):
    rig = PumpRig().take_over(flat(1_000_000), **{"bolus": BOLUS, **more}).run()
    rig.advance(20 * MINUTE)
    return rig


def at_rest():
    rig = basal()
    rig.do("STOP")
    return rig


def in_bolus():
    rig = basal()
    rig.do("DOSE:BOLUS", volume="50000nl", path="pump")
    rig.advance(30_000)
    return rig


def in_prime():
    rig = at_rest()
    prime(rig, 50_000)
    rig.advance(2 * MINUTE)
    prime(rig)
    rig.advance(20_000)
    return rig


def with_water():
    rig = at_rest()
    rig.do("EMPTY", id="0000000a")
    rig.do("LINE:NEW", part="both")
    rig.do("RES:REFILL", path="septum", fluid="test", volume="5000000nl", withdrawn="0nl", id="0000000b")
    rig.do("CAL:MOVE", steps=2000, rate="100/s")
    rig.advance(5000)
    return rig


def opened(rig):
    rig.open_port()
    rig.advance(2000)


DEEDS = {
    "basal over a reservation": (basal, lambda rig: rig.advance(35 * MINUTE)),
    "STOP": (basal, lambda rig: rig.do("STOP")),
    "RUN": (at_rest, lambda rig: (rig.do("RUN"), rig.advance(2 * MINUTE))),
    "a bolus ends": (in_bolus, lambda rig: rig.advance(40_000)),
    "STOP in a bolus": (in_bolus, lambda rig: rig.do("STOP")),
    "the port opened in a bolus": (in_bolus, opened),
    "EMPTY in a bolus": (in_bolus, lambda rig: (rig.do("EMPTY", id="0000000a"), rig.advance(1000))),
    "a prime ends": (in_prime, lambda rig: rig.advance(50_000)),
    "STOP in a prime": (in_prime, lambda rig: rig.do("STOP")),
    "RUN after a prime": (in_prime, lambda rig: (rig.advance(50_000), rig.do("RUN"), rig.advance(MINUTE))),
    "a move ends": (with_water, lambda rig: rig.advance(30_000)),
    "a test flow after a move": (with_water, lambda rig: (rig.advance(20_000), rig.do("TEST:BOLUS", volume="100000nl", time="60s"))),
    "an empty battery": (basal, lambda rig: (setattr(rig.hal, "millivolts", 2900), rig.advance(20 * MINUTE))),
}


def found_of(rig):
    ledger, pump = rig.pump.ledger, rig.pump
    now = pump.clock.elapsed
    return {
        "steps": dict(ledger.steps), "bolus": ledger.bolus_steps, "uncertain": -(-ledger.uncertain_nl // NL_A_STEP),
        "nl": ledger.authorised_nl.total, "ng": ledger.authorised_ng.total, "prime left": pump.line.prime_left_nl,
        "line": pump.line.holds(ledger.steps["dose"]), "run": pump.run, "ran": pump.therapy.run_ms,
        "window": pump.deliveries.given_ng(now), "given": pump.basal.given_since([now - DAY_MS], now)[0],
    }  # fmt: skip


def wrong_with(told, rig, before, memory):
    """Sentences; before, memory: of the pump before the deed and when the power went."""
    made, total, found = len(rig.edges()), sum(told["steps"].values()), []
    if not made <= total <= made + told["uncertain"] + 2:
        found.append(f"{total} steps are booked, {told['uncertain']} of them uncertain, {made} were made")
    if abs(told["nl"] - total * NL_A_STEP) > 3:
        found.append(f"{told['nl']} nL are booked for {total} steps")
    if abs(told["ng"] - told["steps"]["dose"] * 20) > 20:  # 2000 mcg/mL
        found.append(f"{told['ng']} ng are booked for {told['steps']['dose']} steps of dose")
    for what in ("prime", "test", "moved"):
        if told["steps"][what] < memory["steps"][what]:
            found.append(f"{told['steps'][what]} steps of {what}, it was {memory['steps'][what]}")
    if told["prime left"] > memory["prime left"] or told["window"] < min(before["window"], memory["window"]):
        found.append("more may be given than before")
    for what in ("line", "run"):
        if told[what] not in (before[what], memory[what]):
            found.append(f"{what} is {told[what]}, it was {before[what]}, then {memory[what]}")
    if told["ran"] > memory["ran"] + 2000:
        found.append(f"ran for {told['ran']} ms, it was {memory['ran']}")
    basal_ng = (told["steps"]["dose"] - told["bolus"]) * 20
    given_ng = told["given"].num // told["given"].den
    if not basal_ng - 20 * told["uncertain"] - 60 <= given_ng <= told["ng"] - told["bolus"] * 20 + 60:
        found.append(f"{given_ng} ng of basal in the 24 h rule, {basal_ng} were booked")
    return found


@pytest.mark.req("R-ALM-3", "R-ALM-8", "R-ALM-11")
@pytest.mark.parametrize(("kept", "outage_ms"), [(True, 1000), (False, 0)])
@pytest.mark.parametrize("deed", DEEDS)
def test_a_cut_at_any_write_of_a_deed_and_again_at_any_of_the_restart_leaves_a_true_account(deed, kept, outage_ms):
    make, do = DEEDS[deed]
    for first in range(20):
        for second in (None, *range(0, RESTART_WRITES, 2)):
            rig = make()
            before = found_of(rig)
            cut = cut_in(rig, first, lambda rig=rig: do(rig))
            memory = found_of(rig)
            if second is not None and not cut_in(rig, second, lambda rig=rig: rig.cut_power(outage_ms, clock_kept=kept)):
                break
            for _ in range(2):
                rig.cut_power(outage_ms, clock_kept=kept)
                wrong = wrong_with(found_of(rig), rig, before, memory)
                assert not wrong, (first, second, wrong)
        if not cut:
            return


# ---- found by a reviewer who tried


def stopped_between_record_and_state():
    rig = basal(bolus=None)
    cut_in(rig, 1, lambda: rig.do("STOP"))
    rig.cut_power(1000).connect()
    rig.do("EMPTY", id="0000000a")
    return rig


@pytest.mark.req("R-CON-3")
def test_the_line_still_holds_what_a_record_newer_than_the_state_has_moved_into_it():
    rig = stopped_between_record_and_state()
    refill(rig, 10_000_000, 0, conc=500)
    rig.commit(flat(1_000_000), conc=500)
    rig.run()
    before = len(rig.edges())
    rig.advance(HOUR_MS)
    assert rig.status("supplies")["line"] == "2000mcg/ml"
    assert len(rig.edges()) - before <= 1_000_000 // 24 // 20 + 1  # as 2000 mcg/mL wants it


@pytest.mark.req("R-CAL-2", "R-CON-4")
def test_test_fluid_pushes_no_drug_that_a_record_newer_than_the_state_has_moved():
    rig = stopped_between_record_and_state()
    rig.do("RES:REFILL", path="septum", fluid="test", volume="5000000nl", withdrawn="0nl", id="0000000b")
    assert rig.refused("TEST:FLOW", volume="240000nl", rate="6000000nl/h") == "STATE"


@pytest.mark.req("R-INI-2")
def test_outages_while_the_pump_is_held_are_no_running_time():
    rig = PumpRig().take_over(flat(100_000), phase="first").run()
    rig.advance(4 * HOUR_MS)
    for _ in range(5):
        with empty_battery():
            rig.cut_power(5 * HOUR_MS)
            rig.advance(3000)
        rig.cut_power(1000)
        rig.advance(MINUTE)
    rig.connect()
    assert rig.commit_code(flat(120_000)) == "FIRST_24H"


@pytest.mark.req("R-WDR-1")
def test_a_reset_while_the_pump_is_held_forgets_no_fifteen_days_without_dose():
    rig = PumpRig().take_over(flat(300_000)).run()
    rig.advance(40 * HOUR_MS)
    with empty_battery():
        rig.cut_power(15 * DAY_MS)
        rig.advance(3000)
        rig.cut_power(1000)
        rig.advance(3000)
    rig.hal.millivolts = 3700
    rig.advance(30 * MINUTE)
    assert not rig.pump.run


@pytest.mark.req("R-INI-2")
@pytest.mark.parametrize("writes", range(8))
def test_an_outage_is_no_running_time_whichever_write_of_the_restart_is_cut(writes):
    rig = PumpRig().take_over(flat(240_000), phase="first").run()
    rig.advance(3 * HOUR_MS)
    cut_in(rig, writes, lambda: rig.cut_power(5 * HOUR_MS))
    rig.cut_power(1000)
    assert rig.pump.therapy.run_ms <= 3 * HOUR_MS


@pytest.mark.req("R-PRF-4")
@pytest.mark.parametrize("newer", ["the state", "nothing"])
def test_basal_before_a_restart_counts_in_the_24_hours_of_a_clock_set_again_and_again(newer):
    rig = PumpRig().take_over([("all", "00:00", 200_000), ("all", "08:00", 100_000)]).run()

    def set_back():
        rig.connect()
        rig.skew_s = 60 - rig.hal.us / 1e6
        rig.do("TIME", set=f"{int(rig.unix())}s", offset="0min")

    if newer == "the state":  # an alarm has saved it since the last record
        rig.advance(7 * HOUR_MS + 44 * MINUTE)
        rig.open_port()
        rig.advance(3000)
        rig.open_port(False)
        rig.advance(3000)
        rig.cut_power(1000)
    else:
        rig.advance(7 * HOUR_MS + 29 * MINUTE)
        rig.cut_power(0, clock_kept=False).cut_power(0, clock_kept=False)
    set_back()
    for _ in range(6):
        rig.advance(8 * HOUR_MS - MINUTE)
        set_back()
    edges = rig.edges()
    most = max(bisect_right(edges, us) - bisect_right(edges, us - DAY_MS * 1000) for us in edges)
    assert most <= 300_000 // 20 * 101 // 100 + 1


@pytest.mark.req("R-ALM-11", "R-PRF-4")
@pytest.mark.parametrize("writes", range(8))
def test_a_bolus_cut_off_is_never_basal_that_holds_the_rate_down(writes):
    rig = PumpRig().take_over([("all", "00:00", 60_000), ("all", "12:00", 40_000)], bolus=BOLUS).run()
    rig.advance(30 * MINUTE)
    rig.do("DOSE:BOLUS", volume="50000nl", path="pump")
    rig.advance(30_000)
    cut_in(rig, writes, lambda: rig.cut_power(1000))
    rig.cut_power(1000)
    rig.advance(5000)
    rig.cut_power(1000).connect()
    rig.do("TIME", set=f"{int(rig.unix())}s", offset="0min")
    rig.advance(5000)
    assert rig.status()["rate"] == "5000ng/h"


@pytest.mark.req("R-MON-1")
def test_the_dose_of_today_is_kept_over_a_cut_whenever_the_state_was_saved():
    rig = PumpRig().take_over(flat(240_000))
    rig.advance(20 * HOUR_MS)
    rig.run()
    rig.advance(22 * HOUR_MS)  # 18:00 of the next day
    before = int(rig.status()["today"][:-2])
    rig.cut_power(1000)
    rig.advance(2 * MINUTE)
    rig.connect()
    assert before <= int(rig.status()["today"][:-2]) <= before + 3000  # a reservation, and two minutes


@pytest.mark.req("R-ALM-3", "R-ALM-11")
def test_a_lost_record_after_a_bolus_hides_no_reservation_behind_its_steps():
    rig = PumpRig().take_over(flat(1_500_000), bolus=BOLUS).run()
    rig.advance(20 * MINUTE)
    rig.do("DOSE:BOLUS", volume="50000nl", path="pump")
    rig.advance(61_000 + 6 * MINUTE)
    newest = max(name for name in rig.store.files if name.startswith("acct"))
    rig.store.files[newest] = rig.store.files[newest][:-20] + bytes(20)
    rig.cut_power(1000)
    assert rig.pump.ledger.total_steps() >= len(rig.edges())


@pytest.mark.req("R-ALM-3", "R-ALM-11")
def test_a_reservation_that_could_not_be_written_is_written_as_soon_as_it_can():
    rig = PumpRig().take_over(flat(1_500_000)).run()
    rig.advance(16 * MINUTE)
    tried = []

    def fails(kind, name):
        if kind == "append" and name.startswith("acct"):
            tried.append(name)
        return bool(tried) and kind == "append" and len(tried) in (2, 3)

    restore = failing(rig, fails)
    refill(rig, 500_000, 0, id="0000000a")
    rig.advance(2000)
    restore()
    rig.advance(10 * MINUTE)
    rig.cut_power(1000)
    assert len(tried) > 3 and rig.pump.ledger.total_steps() >= len(rig.edges())


@pytest.mark.req("R-CON-4", "R-ALM-8")
def test_no_delivery_begins_while_what_the_last_one_did_is_in_no_copy_of_the_state():
    rig = running()
    rig.do("STOP")
    restore = failing(rig, lambda kind, name: kind == "replace")
    with pytest.raises(Refused, match="ALARM_ACTIVE"):
        for volume_nl in (100_000, 50_000):
            prime(rig, volume_nl)
            rig.advance(3 * MINUTE)
    restore()
    rig.cut_power(1000)
    assert rig.pump.ledger.total_steps() >= len(rig.edges())
    assert rig.pump.line.prime_left_nl <= 240_000 - rig.pump.ledger.steps["prime"] * NL_A_STEP


@pytest.mark.req("R-ALM-3")
@pytest.mark.parametrize("what", ["prime", "bolus"])
def test_a_delivery_whose_result_was_lost_is_counted_once_if_a_record_has_it(what):
    rig = running()
    if what == "prime":
        rig.do("STOP")
        prime(rig)
    else:
        rig.do("DOSE:BOLUS", volume="50000nl", path="pump")
    rig.advance(1000)
    tried = []

    def fails(kind, name):
        if kind == "replace":
            raise Cut
        tried.append(name)
        return len(tried) <= 2

    restore = failing(rig, fails)
    with contextlib.suppress(Cut):
        rig.advance(3 * MINUTE)
    restore()
    rig.cut_power(1000)
    assert rig.pump.ledger.authorised_nl.total <= len(rig.edges()) * NL_A_STEP + 10_000
