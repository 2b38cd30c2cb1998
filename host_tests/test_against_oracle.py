"""The whole firmware beside the bench's oracle, a second reading of the requirements, through random histories.

Both get the same orders at the same elapsed times; decision and code must be equal. The campaign (campaign/) goes through very many
more, over a stub of motion and journal; here a few of its histories run on the whole firmware, which links the two.
"""

from datetime import date

import pytest
from campaign.events import history
from campaign.orders import Play
from hypothesis import given, settings
from hypothesis import strategies as st
from pump_rig import DAY_MS, HOUR_MS, START_UNIX, PumpRig, flat
from whole_firmware import WholePlay

from hil.errors import Refused
from hil.oracle.program import Program
from hil.oracle.record import Site
from hil.oracle.rules import Order
from hil.oracle.therapy import Therapy

CONC = 500
EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("commit"), st.sampled_from([50, 79, 80, 81, 85, 100, 105, 114, 115, 116, 120, 129, 130, 131, 140, 141, 200])),
        st.tuples(st.just("peak"), st.sampled_from([80, 100, 110, 115, 130])),
        st.tuples(st.just("evening"), st.sampled_from([80, 100, 110])),
        st.tuples(st.just("overdose"), st.sampled_from([30, 60, 79])),
        st.tuples(st.just("wait"), st.sampled_from([20, 359, 361, 700, 1439, 1440, 1441, 2000])),
        st.tuples(st.just("stop"), st.just(0)),
        st.tuples(st.just("run"), st.just(0)),
        st.tuples(st.just("cut"), st.sampled_from([5, 300, 400, 1500])),
        st.tuples(st.just("clock"), st.sampled_from([-25, -1, 1, 25])),
        st.tuples(st.just("phase"), st.just(0)),
        st.tuples(st.just("refill"), st.sampled_from([4_000_000, 5_000_000, 9_000_000])),
    ),
    min_size=4,
    max_size=14,
)


def peak(daily):
    """More in the first eight hours than in the other sixteen."""
    return [("all", "00:00", daily * 5 // 9), ("all", "08:00", daily - daily * 5 // 9)]


def evening(daily):
    """More in the last eight hours."""
    return [("all", "00:00", daily - daily * 4 // 9), ("all", "16:00", daily * 4 // 9)]


SHAPES = {"peak": peak, "evening": evening}


class Twins:
    """A pump and the oracle, taken over from the same therapy."""

    def __init__(self, population, phase, daily):
        self.rig = PumpRig().take_over(flat(daily), conc=CONC, phase=phase, population=population, ago_s=86_400, volume=9_000_000)
        self.oracle = Therapy(Site(residual_nl=500_000), unix_ms=START_UNIX * 1000, offset_ms=0, calibrated=True)
        program = Program.parse(["name=p", f"conc={CONC}", f"seg.all.00:00={daily}"])
        verdict = self.oracle.import_(
            self.now(), program, population=population, birth=date(1980, 5, 1), phase=phase, screen_ng=50_000, effect="short",
            increase_ago_s=86_400, volume_nl=9_000_000, conc=CONC, expiry=date(2029, 1, 1),
        )  # fmt: skip
        assert verdict.ok
        self.last = daily
        self.reason = ""  # of the commit that waits for RUN
        self.cut_at = -DAY_MS  # the last power cut

    def now(self):
        return self.rig.pump.clock.elapsed

    def both(self, firmware, verdict):
        assert firmware == verdict.code, f"firmware {firmware}, oracle {verdict}"
        return verdict.ok

    def commit(self, percent, reason="", shape=flat):
        daily = max(1000, self.last * percent // 100)
        segments = shape(daily)
        more = {"reason": reason} if reason else {}
        now = self.now()
        edges = len(self.rig.edges())
        firmware = self.rig.commit_code(segments, conc=CONC, **more)
        order = Order(reason=reason, confirmed=True)
        lines = ["name=p", f"conc={CONC}"] + [f"seg.{day}.{start}={ng}" for day, start, ng in segments]
        before = self.oracle.copy()
        verdict = self.oracle.commit(now, Program.parse(lines), order)
        if firmware == "STEP_CAP" and verdict.ok and now - self.cut_at < DAY_MS:
            self.oracle = before  # after a cut the upper bound counts in the window (R-DOSE-2); the oracle counts what was programmed
            return
        if self.both(firmware, verdict):
            raised = daily > self.last
            self.reason = reason
            self.last = daily
            self.settle(raised, edges)

    def settle(self, raised, edges):
        """Go on until the first step of what came into force, and tell the oracle of it (R-TIT-3)."""
        if not self.rig.pump.delivering:
            return
        start, offset_ms = self.rig.hal.us, self.rig.hal.us // 1000 - self.now()
        self.rig.advance(20 * 60_000)
        if raised:
            first = next(us for us in self.rig.edges()[edges:] if us > start)
            self.oracle.first_step(-(-first // 1000) - offset_ms)

    def do_run(self):
        if self.rig.pump.run:
            return
        edges, now = len(self.rig.edges()), self.now()
        increase = self.rig.pump.therapy.last_run.daily < self.rig.pump.basal.program.daily
        try:
            self.rig.run()
            code = "OK"
        except Refused as refusal:
            code = refusal.code
        if self.both(code, self.oracle.run(now, Order(confirmed=True, reason=self.reason))):
            self.settle(increase, edges)

    def do_stop(self):
        if self.rig.pump.run:
            now = self.now()
            self.rig.do("STOP")
            assert self.oracle.stop(now).ok

    def do_cut(self, minutes):
        now = self.now()
        self.rig.cut_power(minutes * 60_000)
        self.cut_at = self.now()
        after = self.oracle.power_loss(now, self.now() - now)
        assert after == self.now()
        self.rig.connect()

    def do_clock(self, hours):
        """Setting the clock moves no wait; the host's own clock stays right."""
        now = self.now()
        unix_s = int(self.rig.unix()) + hours * 3600
        self.rig.do("TIME", set=f"{unix_s}s", offset="0min")
        self.rig.skew_s += hours * 3600
        self.oracle.clock_set(now, unix_s)

    def do_phase(self):
        code = "OK"
        try:
            self.rig.do("THER:PHASE", phase="maintenance")
        except Refused as refusal:
            code = refusal.code
        self.both(code, self.oracle.set_phase(self.now(), "maintenance"))

    def do_refill(self, volume_nl):
        now, left = self.now(), int(self.rig.status()["res"][:-2])
        code = "OK"
        try:
            self.rig.do(
                "RES:REFILL", path="septum", fluid="drug", drug="baclofen", volume=f"{volume_nl}nl", conc=f"{CONC}mcg/ml", lot="L2",
                expiry="2029-01-01", withdrawn=f"{left}nl", stored="ok", attended="yes",
            )  # fmt: skip
        except Refused as refusal:
            code = refusal.code
        verdict = self.oracle.refill(now, volume_nl, CONC, expiry=date(2029, 1, 1), withdrawn_nl=left, expected_nl=left)
        self.both(code, verdict)

    def play(self, what, number):
        if what == "wait":
            self.rig.advance(number * 60_000)
        elif what in SHAPES:
            self.commit(number, shape=SHAPES[what])
        elif what in ("commit", "overdose"):
            self.commit(number, "OVERDOSE" if what == "overdose" else "")
        elif what in ("stop", "run", "phase"):
            getattr(self, "do_" + what)()
        else:
            getattr(self, "do_" + what)(number)


@pytest.mark.req("R-TIT-1", "R-TIT-2", "R-TIT-3", "R-TIT-4", "R-MNT-1", "R-MNT-2", "R-MNT-3", "R-INI-2", "R-TIM-1")
@given(st.sampled_from(["spinal", "cerebral"]), st.sampled_from(["titration", "maintenance"]), st.sampled_from([60_000, 100_003]), EVENTS)
@settings(max_examples=40)
def test_firmware_and_oracle_decide_alike_through_every_history(population, phase, daily, events):
    twins = Twins(population, phase, daily)
    twins.do_run()
    for what, number in events:
        twins.play(what, number)
    assert twins.rig.pump.therapy.last_run.daily.ceil() == twins.oracle.record.last_run.daily_ng


@pytest.mark.req("R-TIT-1", "R-TIT-3", "R-TIT-4")
@given(st.sampled_from(["spinal", "cerebral"]), EVENTS)
@settings(max_examples=40)
def test_no_history_raises_the_daily_dose_faster_than_one_step_in_24_hours(population, events):
    twins = Twins(population, "titration", 100_000)
    twins.do_run()
    most = 130 if population == "spinal" else 115
    raised = []  # (elapsed ms, daily before, daily after) as the pump ran them
    before = twins.rig.pump.therapy.last_run.daily.ceil()
    for what, number in events:
        if what in ("phase", "refill", "overdose"):
            continue
        twins.play(what, number)
        now, daily = twins.now(), twins.rig.pump.therapy.last_run.daily.ceil()
        if daily > before:
            raised.append((now, before, daily))
        before = daily
    for at, old, new in raised:
        assert 100 * new <= most * old
        assert [other for other, _, _ in raised if 0 < at - other < DAY_MS - HOUR_MS] == []


LONGEST_MS = 26 * HOUR_MS  # of a wait: whole days of motion take their time


def short_history(number, with_cuts):
    """A history of the campaign without waits of days, and with power cuts only where they leave nothing open that decides.

    A cut leaves the running time known to the last record, so no wait goes to the millisecond after it, and the basal of the last
    24 h known to a reservation, so programs are flat.
    """
    start, drawn = history(3, number, 30)
    if start.get("phase") in ("first", "screened"):
        start["phase"] = "titration"
    events, cut = [], False
    for kind, args in drawn:
        args = dict(args)
        if with_cuts:
            args.pop("shape", None)
        cut = cut or kind == "power"
        unsure = kind == "power" and (not with_cuts or args["outage_ms"] is None)
        if unsure or (kind == "until" and (args["ms"] > LONGEST_MS or (cut and with_cuts))):
            continue
        events.append([kind, {"ms": min(args["ms"], LONGEST_MS)} if kind == "wait" else args])
    return start, events


@pytest.mark.req("R-SCR-1", "R-SCR-3", "R-HOL-1", "R-WDR-1", "R-CON-3", "R-CON-4", "R-MNT-4", "R-BOL-2", "R-TIT-4", "R-FIL-2")
@pytest.mark.parametrize("with_cuts", [False, True], ids=["in_one_go", "with_power_cuts"])
@pytest.mark.parametrize("number", range(16))
def test_whole_firmware_and_oracle_decide_alike_through_histories_of_the_campaign(number, with_cuts):
    start, events = short_history(number, with_cuts)
    twins = WholePlay(start)
    for event in events:
        twins.play(event)


@pytest.mark.req("R-TIT-4", "R-TIM-1")
@pytest.mark.parametrize("number", range(4))
def test_the_campaign_and_the_whole_firmware_answer_alike(number):
    start, events = short_history(number, False)
    told = []
    for twins in (Play(start), WholePlay(start)):
        for event in events:
            twins.play(event)
        told.append(twins.seen)
    assert told[0] == told[1]
