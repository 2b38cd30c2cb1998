"""What is answered OK is in the storage; what the storage does not take is refused as STORAGE and leaves everything as it was.

Each verb that changes what is kept, over a storage that fails at any of its operations: once, a few times or from then on, and with or
without having done what it says it could not do. Then the power goes, and what the next start finds is compared.
"""


import json

import pytest
from fakes.flash import NorFlash
from hypothesis import given, settings
from hypothesis import strategies as st
from pump_rig import HOUR_MS, MemoryStore, PumpRig, flat
from test_holiday import commit_taper, days_from
from therapy_rig import new_patient

from doseloop import snapshot
from doseloop.commands import VERBS
from doseloop.region import RegionStore
from hil.errors import Refused

MINUTE = 60_000
BLOCKS = 64
DEAD = 1 << 30
_EIO = 5
# Verbs with a role that need not be kept before they are answered: what is staged dies with its session, a delivery's record is its intent,
# a key's is its own file, and the rest is of the moment.
NOT_KEPT = {
    "PROG:NEW", "PROG:SET", "PROG:SEG", "PROG:TAPER", "DOSE:BOLUS", "DOSE:PRIME", "DOSE:SCREEN", "CAL:MOVE", "TEST:FLOW", "TEST:BOLUS",
    "KEY:SET", "ALAR:MUTE", "ALAR:TEST", "MAINT",
}  # fmt: skip


class Trouble:
    """Which writing operations fail: `count` of them from number `first` on, of which the first `taken` are done all the same."""

    def __init__(self):
        self.heal()

    def heal(self):
        self.begin(0, 0, 0)

    def begin(self, first, count=DEAD, taken=0):
        self.first, self.count, self.taken, self.done = first, count, taken, 0

    def next(self):
        """(fails, is done) of the next operation."""
        self.done += 1
        number = self.done - self.first
        fails = 0 < number <= self.count
        return fails, not fails or number <= self.taken


class Files(MemoryStore):
    def __init__(self, trouble):
        super().__init__()
        self._trouble = trouble

    def append(self, name, data):
        self._do(super().append, name, data)

    def replace(self, name, data):
        self._do(super().replace, name, data)

    def _do(self, write, name, data):
        fails, is_done = self._trouble.next()
        if is_done:
            write(name, data)
        if fails:
            raise OSError(_EIO)

    def reopened(self):
        return self


class BadFlash(NorFlash):
    def __init__(self, trouble):
        super().__init__(BLOCKS)
        self._trouble = trouble

    def _put(self, at, new):
        fails, is_done = self._trouble.next()
        if is_done:
            super()._put(at, new)
        if fails:
            raise OSError(_EIO)


class Region(RegionStore):
    def reopened(self):
        return Region(self._device, BLOCKS)


def on_files(trouble):
    return Files(trouble)


def on_region(trouble):
    store = Region(BadFlash(trouble), BLOCKS)
    while store.tidy():
        pass
    return store


STORES = {"files": on_files, "region": on_region}


# ---- each verb where it would be answered OK: (rig, fields)


def running(store, day_ng=100_000, **more):
    rig = PumpRig(store=store).take_over(flat(day_ng), **more).run()
    rig.advance(20 * MINUTE)
    return rig


def stopped(store):
    rig = running(store)
    rig.do("STOP")
    return rig


def commit(store):
    rig = running(store)
    return rig, dict(hash=rig.stage(flat(130_000)), attended="yes", route="intrathecal")


def commit_before_its_first_step(store):
    """The one before it was not yet made a step of."""
    rig, fields = commit(store)
    rig.do("PROG:COMMIT", **fields)
    return rig, dict(hash=rig.stage(flat(85_000)), attended="yes", route="intrathecal")


def first_run(store):
    return PumpRig(store=store).take_over(flat(100_000)), {}


def refill(store):
    rig = running(store)
    return rig, dict(
        path="septum", fluid="drug", drug="baclofen", volume="9000000nl", conc="2000mcg/ml", lot="L2", expiry="2028-01-01",
        withdrawn="9000000nl", stored="ok", attended="yes",
    )  # fmt: skip


def calibration(store):
    rig = stopped(store)
    return rig, dict(
        spm=101_000, points=5, spread_ppm=3000, tube="T1", tube_hours=1, date="2027-05-02", hours=20_000, volume="100000000ul",
        rate_min="0nl/h", rate_max="100000nl/h",
    )  # fmt: skip


def acknowledgement(store):
    rig = running(store)
    rig.open_port()
    rig.open_port(False)
    rig.advance(5000)
    return rig, dict(id="PORT_OPEN")


def clock(store):
    rig = running(store, 350_000)
    return rig, dict(set=f"{int(rig.unix()) + 7000}s", offset="60min")


def record(store):
    return PumpRig(store=store).set_up(), dict(population="spinal", birth="1980-05-01", injury="none")


def take_over(store):
    rig = PumpRig(store=store).set_up()
    return rig, dict(
        population="spinal", birth="1980-05-01", phase="titration", hash=rig.stage(flat(100_000)), screen="50mcg", effect="short",
        increase_ago="100000s", volume="18000000nl", conc="2000mcg/ml", lot="L1", expiry="2029-01-01",
    )  # fmt: skip


def broken_holiday(store):
    rig = running(store)
    assert commit_taper(rig, days_from(100_000)) == "OK"
    rig.advance(30 * HOUR_MS)
    return rig, dict(phase="titration")


def screened(store):
    rig = new_patient(store=store)
    rig.do("DOSE:SCREEN", dose="50mcg", path="pump", attended="yes")
    rig.advance(5 * HOUR_MS)
    return rig, dict(result="inadequate")


SITUATIONS = {
    "PROG:COMMIT": commit,
    "PROG:COMMIT again": commit_before_its_first_step,
    "RUN": lambda store: (stopped(store), {}),
    "RUN first": first_run,
    "EMPTY": lambda store: (running(store), {}),
    "RES:REFILL": refill,
    "CAL:SET": calibration,
    "LINE:NEW": lambda store: (stopped(store), dict(part="both")),
    "ALAR:ACK": acknowledgement,
    "TIME": clock,
    "SCREEN:RESPONSE": screened,
    "SCREEN:NEW": lambda store: (stopped(store), {}),
    "THER:RECORD": record,
    "THER:RESPONSE": lambda store: (running(store), dict(result="adequate")),
    "THER:IMPORT": take_over,
    "THER:PHASE": lambda store: (running(store), dict(phase="maintenance")),
    "THER:PHASE back": broken_holiday,
}


# ---- what is known


def whole(pump):
    """All that is kept, save what goes on with time and the alarms."""
    state = json.loads(json.dumps(snapshot.dump(pump)))
    del state["alarms"]
    return state


def known(pump):
    """What a restart must not change: the account, what ran until when, and the alarms' own history are other tests' business."""
    state = whole(pump)
    therapy = {name: value for name, value in state["therapy"].items() if name not in ("run_ms", "ran_at")}
    names = ("run", "program", "taper_from", "offset", "observe", "calibration", "windows", "line", "imported", "reservoir", "keys")
    return {name: state[name] for name in names}, therapy, state["deliveries"][4], state["ledger"]["refill"]


def answer(rig, situation, fields):
    """OK or the refusal's code."""
    verb = situation.split()[0]
    try:
        rig.do(verb, **fields)
    except Refused as refused:
        if not refused.code.startswith("CONFIRM_"):
            return refused.code
        return answer(rig, situation, {**fields, "confirm": refused.fields["confirm"]})
    return "OK"


def restarted(rig):
    rig.store = rig.store.reopened()
    return rig.cut_power(1000)


def operations(kind, situation):
    """How many writing operations an undisturbed storage needs for it."""
    if (kind, situation) not in COUNTED:
        trouble = Trouble()
        rig, fields = SITUATIONS[situation](STORES[kind](trouble))
        trouble.heal()
        assert answer(rig, situation, fields) == "OK"
        COUNTED[kind, situation] = trouble.done
    return COUNTED[kind, situation]


COUNTED = {}


def try_it(kind, situation, first, count, taken, dead_at_start):
    """The code of its answer, after everything that must hold has been looked at."""
    trouble = Trouble()
    rig, fields = SITUATIONS[situation](STORES[kind](trouble))
    rig.pump.watch.settle_force(rig.pump.clock.elapsed)
    before, alarms, kept_clock, made = whole(rig.pump), rig.alarms(), rig.hal.rtc_offset, len(rig.edges())
    was = known(rig.pump)
    trouble.begin(first, count, taken)
    code = answer(rig, situation, fields)
    assert code in ("OK", "STORAGE")
    if code == "STORAGE":
        assert whole(rig.pump) == before and rig.hal.rtc_offset == kept_clock
        assert alarms <= rig.alarms() <= alarms | {"MEMORY_FAULT"}
        assert len(rig.edges()) == made
    else:
        was = known(rig.pump)
    if not dead_at_start:
        trouble.heal()
    restarted(rig)
    assert known(rig.pump) == was
    return code


def goes_on(rig):
    """At its rate, as before."""
    rate = rig.pump.basal.rate_ng_h(rig.pump.clock.elapsed)
    before = len(rig.edges())
    rig.advance(30 * MINUTE)
    due = rate // 40  # in half an hour, at 100,000 steps per mL of 2000 mcg/mL
    assert abs(len(rig.edges()) - before - due) <= 2


def test_every_verb_that_changes_what_is_kept_is_looked_at_here():
    changing = {verb for verb, (who, _) in VERBS.items() if who in ("operator", "service")}
    assert {situation.split()[0] for situation in SITUATIONS} | NOT_KEPT == changing


@pytest.mark.req("R-ALM-8", "R-MON-2")
@pytest.mark.parametrize("situation", SITUATIONS)
@pytest.mark.parametrize("kind", STORES)
def test_a_storage_that_takes_no_write_refuses_it_and_nothing_is_changed(kind, situation):
    assert try_it(kind, situation, 0, DEAD, 0, True) == "STORAGE"


@pytest.mark.req("R-ALM-11", "R-PRF-4")
@pytest.mark.parametrize("situation", SITUATIONS)
def test_after_a_refusal_for_the_storage_basal_goes_on_as_before(situation):
    trouble = Trouble()
    rig, fields = SITUATIONS[situation](on_files(trouble))
    trouble.begin(0)
    assert answer(rig, situation, fields) == "STORAGE"
    goes_on(rig)


@pytest.mark.req("R-ALM-8", "R-MON-2")
@pytest.mark.parametrize("kind", STORES)
@settings(max_examples=60, deadline=None)
@given(st.data())
def test_wherever_the_storage_fails_what_is_answered_ok_is_kept_and_what_is_refused_has_changed_nothing(kind, data):
    situation = data.draw(st.sampled_from(sorted(SITUATIONS)))
    first = data.draw(st.integers(0, operations(kind, situation)))
    count = data.draw(st.sampled_from((1, 2, 3, 10, DEAD)))
    try_it(kind, situation, first, count, data.draw(st.sampled_from((0, 1, DEAD))), data.draw(st.booleans()))


@pytest.mark.req("R-ALM-8")
@pytest.mark.parametrize("kind", STORES)
@pytest.mark.parametrize("taken", [0, 1])
def test_a_storage_that_dies_at_any_operation_of_a_commit_leaves_the_old_or_the_new(kind, taken):
    for first in range(operations(kind, "PROG:COMMIT") + 1):
        try_it(kind, "PROG:COMMIT", first, DEAD, taken, False)


@pytest.mark.req("R-ALM-8")
@pytest.mark.parametrize("situation", SITUATIONS)
def test_what_was_refused_for_the_storage_is_obeyed_by_the_same_words_once_it_takes_it(situation):
    trouble = Trouble()
    rig, fields = SITUATIONS[situation](on_files(trouble))
    if "id" in VERBS[situation.split()[0]][1] and "id" not in fields:
        fields["id"] = "0badcafe"
    trouble.begin(0)
    assert answer(rig, situation, fields) == "STORAGE"
    log = [payload for _, _, _, _, payload in rig.pump.keeper.journal.records("log")]
    trouble.heal()
    assert answer(rig, situation, fields) == "OK"
    told = [payload for _, _, _, _, payload in rig.pump.keeper.journal.records("log")][len(log) :]
    assert [text for text in told if text.startswith(situation.split()[0].encode())]
    assert len(told) == len(set(told)), "what was undone is not told of"
    was = known(rig.pump)
    assert known(restarted(rig).pump) == was


# ---- STOP is obeyed whatever becomes of the record


@pytest.mark.req("R-OVD-1", "R-ALM-8")
@pytest.mark.parametrize("kind", STORES)
@pytest.mark.parametrize("first", range(6))
def test_stop_is_obeyed_over_any_storage_and_says_if_it_is_not_kept(kind, first):
    trouble = Trouble()
    rig = running(STORES[kind](trouble))
    trouble.begin(first)
    reply = rig.do("STOP")
    made = len(rig.edges())
    rig.advance(HOUR_MS)
    assert rig.status()["state"] == "stopped" and len(rig.edges()) == made and "MEMORY_FAULT" in rig.alarms()
    restarted(rig).connect()
    assert (rig.status()["state"] == "stopped") == (reply.get("kept") != "no")


@pytest.mark.req("R-OVD-1")
def test_stop_is_kept_by_its_record_alone_where_no_copy_of_the_state_can_be_written():
    rig = running(Files(Trouble()))
    rig.store.replace = lambda name, data: (_ for _ in ()).throw(OSError(_EIO))
    assert "kept" not in rig.do("STOP")
    made = len(rig.edges())
    rig.cut_power(1000).connect()
    rig.advance(HOUR_MS)
    assert rig.status()["state"] == "stopped" and len(rig.edges()) == made


@pytest.mark.req("R-OVD-1")
def test_a_stop_that_was_not_kept_is_kept_within_a_minute_of_a_storage_that_takes_it():
    trouble = Trouble()
    rig = running(Files(trouble))
    trouble.begin(0)
    assert rig.do("STOP")["kept"] == "no"
    rig.advance(10 * MINUTE)
    assert rig.do("STOP")["kept"] == "no"
    trouble.heal()
    rig.advance(MINUTE + 1000)
    assert "kept" not in rig.do("STOP")
    assert restarted(rig).connect().status()["state"] == "stopped"


@pytest.mark.req("R-ALM-8", "R-ALM-11")
@pytest.mark.parametrize("end", [".a", ".b"])
def test_one_copy_that_cannot_be_written_keeps_nobody_from_committing_and_is_said(end):
    rig = running(Files(Trouble()))
    usual = rig.store.replace
    rig.store.replace = lambda name, data: usual(name, data) if not name.endswith(end) else (_ for _ in ()).throw(OSError(_EIO))
    digest = rig.commit(flat(130_000))["hash"]
    rig.advance(1000)
    assert "MEMORY_FAULT" in rig.alarms()
    rig.store.replace = usual
    assert rig.cut_power(1000).connect().ask("PROG?")["hash"] == digest
