"""The state of a run in progress: time, the pump's clock, and the oracle kept in step with what happens."""

from __future__ import annotations

from collections.abc import Callable

from hil.errors import TargetError
from hil.expectation import Expectation
from hil.fluids import Fluids
from hil.link import Restarted
from hil.pin_figures import Hang
from hil.plant.rig import Rig
from hil.prescription import Program
from hil.pump import Pump, leading_int
from hil.recorder import Recorder
from hil.result import Outcome
from hil.scenario import Scenario
from hil.targets.base import Target

DAY_MS = 86_400_000
RESTARTS_TOLD = 10
STOPPING = {"RESERVOIR_EMPTY", "BATTERY_DEPLETED", "OVER_DELIVERY", "MEMORY_FAULT"}  # R-ALM-1
ENDED_EARLY = ("PARTIAL", "UNCERTAIN")  # a delivery that something cut short
RESERVATION_NL = 10_000  # what a power cut leaves in doubt at most
STEP_NL = 10  # of the reference rig
SELF_TEST_MS = 20_000  # at most: 3 s where an image is hashed
ALIVE_MS = 2000  # how often a real pump is asked whether it is still there


class Play:
    """What the steps act on."""

    def __init__(
        self, scenario: Scenario, target: Target, pump: Pump, recorder: Recorder, progress: Callable[[int, int], None], planned_ms: int
    ) -> None:
        self.scenario = scenario
        self.target = target
        self.pump = pump
        self.recorder = recorder
        self.expectation: Expectation | None = None  # from the first RUN on
        self.program: Program | None = None  # the one committed last
        self.fluids = Fluids(scenario.dead_volume_nl)
        self.clock_shift_ms = 0  # the pump's clock against the host's
        self.clock_kept = True
        self.expected_restarts = 0  # that the story brings about
        self.unexpected_restarts = 0
        self.note = ""  # of the step in hand, for its first outcome
        self.ordered_run = False  # a person wants it to run (RUN, no STOP since)
        self.hangs: list[Hang] = []
        self._progress = progress
        self._planned_ms = planned_ms
        self._begun_ms = 0
        self._halted_ms = 0  # when an alarm was seen to have stopped the basal
        self._next_sample_ms = 0
        self._old_mcg_ml = 0  # of the bridge that is on
        self._waiting_bridge: tuple[int, int] | None = None  # one that began before the curve

    # ---- time

    @property
    def now_us(self) -> int:
        return self.target.now_ms() * 1000

    def local_unix_ms(self) -> int:
        """What the pump's clock shows, local, as ms."""
        return round(self.target.unix_s() * 1000) + self.clock_shift_ms + self.scenario.offset_min * 60_000

    def advance(self, span_ms: int) -> None:
        """Let time pass, with a sample at each of the scenario's intervals."""
        end_ms = self.target.now_ms() + span_ms
        while self.target.now_ms() < end_ms:
            sampling = self.recorder.zero_ms is not None
            self._pass_to(min(end_ms, max(self._next_sample_ms, self.target.now_ms() + 1)) if sampling else end_ms)
            if sampling and self.target.now_ms() >= self._next_sample_ms:
                self.follow(self.recorder.sample())
                self._next_sample_ms += self.scenario.setup.sample_ms
        self.reopen()

    def _pass_to(self, end_ms: int) -> None:
        while self.target.now_ms() < end_ms:
            self.target.advance_to(end_ms if self.target.virtual else min(end_ms, self.target.now_ms() + ALIVE_MS))
            self.reopen()
            if not self.target.virtual:
                self.pump.stat()  # a line that went away is noticed now
            self._show_progress()

    def _show_progress(self) -> None:
        done_ms = self.target.now_ms() - self._begun_ms
        self._planned_ms = max(self._planned_ms, done_ms)
        self._progress(done_ms, self._planned_ms)

    # ---- restarts

    def restarted(self, watchdog: bool) -> None:
        """Called at the instant of a restart, before the firmware runs again."""
        self.recorder.disturbed()
        if self.expectation is not None and self.target.rig is not None:
            clock_kept = self.target.keeps_clock and (self.clock_kept or watchdog)
            self.expectation.restarted(self.now_us, self.target.rig.engine.total, clock_kept)
        if self.expected_restarts:
            self.expected_restarts -= 1
        elif self.unexpected_restarts < RESTARTS_TOLD:
            self.unexpected_restarts += 1
            self.outcome("pump", "it restarted by itself", False, "watchdog or reset; see pump/firmware.log")

    def reopen(self) -> None:
        """A new session, if the pump restarted meanwhile."""
        for _ in range(5):
            if self.pump.link.session is not None:
                return
            try:
                self.pump.open()
                if self.expectation is not None:
                    self.recorder.base_pins()
                self._bridge_again()
            except Restarted:
                continue
        raise TargetError("the pump restarts again and again; see pump/firmware.log beside the report")

    # ---- setting up

    def set_up(self) -> None:
        """Clock, calibration, and the therapy that is taken over."""
        scenario = self.scenario
        self.clock_shift_ms = round(scenario.start_unix_s * 1000 - self.target.unix_s() * 1000)
        self.pump.set_time(scenario.start_unix_s, scenario.offset_min)
        if scenario.calibration:
            self.pump.calibrate(scenario.calibration)
        if scenario.history is None:
            return
        before = scenario.history.program or scenario.program
        self.pump.take_over(
            scenario.history, None if scenario.history.phase == "screened" else before, before.conc_mcg_ml if before else None
        )
        self.program = None if scenario.history.phase == "screened" else before
        self.fluids.reservoir = before.conc_mcg_ml if before else None

    def await_self_test(self) -> None:
        """No bolus is given before the pump's self-test is over (R-BOL-3); what it found is the pump's to say, and the story's to meet."""
        end_ms = self.target.now_ms() + SELF_TEST_MS
        while self.pump.stat().get("self", "pass") != "pass" and self.target.now_ms() < end_ms:
            if "wait" not in self.pump.link.ask("SELF?").values():
                return
            self.target.advance_to(self.target.now_ms() + 250)

    def begin(self, by: str) -> None:
        """The first RUN (or the screening dose before it) was accepted now."""
        self.recorder.result.since = f"first {by}"
        self._begun_ms = self.target.now_ms()
        self._next_sample_ms = self._begun_ms + self.scenario.setup.sample_ms
        spm = int(self.scenario.calibration.get("spm", 100_000))
        self.expectation = expectation = Expectation(self.now_us, spm)
        expectation.clock(self.now_us, *divmod(self.local_unix_ms(), 1000))
        if self.program is not None:
            expectation.commit(self.now_us, self.program)
        self.pump.link.longest_s = 0.0  # what was exchanged before moved nothing
        self.recorder.begin(expectation)
        if self._waiting_bridge is not None:
            self.bridge(*self._waiting_bridge)

    # ---- the oracle in step with the pump

    def expectation_now(self) -> Expectation:
        assert self.expectation is not None, "begin() first"
        return self.expectation

    def bridge(self, old_mcg_ml: int, volume_nl: int) -> None:
        """So much of the old concentration is still to come out of the catheter from now on; none: no bridge is on."""
        if self.expectation is None:
            self._waiting_bridge = (old_mcg_ml, volume_nl)
            return
        self._old_mcg_ml = old_mcg_ml
        pulses = self.target.rig.engine.total if self.target.rig is not None else None
        self.expectation.bridge(self.now_us, old_mcg_ml, volume_nl, pulses)

    def _bridge_again(self) -> None:
        """After a restart the pump meters on from what it wrote down, which never lets the dose at the tip rise (R-CON-3)."""
        expectation, rig = self.expectation, self.target.rig
        if expectation is None or rig is None or not expectation.bridging(self.now_us):
            return
        left_nl = leading_int(self.pump.stat("supplies").get("bridge", "0"))
        true_nl = expectation.bridge_left_nl(self.now_us, rig.engine.total)
        stronger = (self.fluids.reservoir or 0) > self._old_mcg_ml
        ahead_nl = true_nl - left_nl if stronger else left_nl - true_nl
        ok = -STEP_NL <= ahead_nl <= RESERVATION_NL + STEP_NL
        text = f"the pump has {left_nl} nL left, {true_nl:.0f} nL are; the bound that never raises the dose counts"
        self.outcome("pump", "the bridge goes on after the restart", ok, text)
        self.bridge(self._old_mcg_ml, left_nl)

    def follow(self, stat: dict[str, str]) -> None:
        """An alarm that stops the pump may have come on, or gone, since the last look. A stop without one is no reason."""
        expectation = self.expectation
        rig = self.target.rig
        if expectation is not None and expectation.pushing(self.now_us) and stat.get("outcome") in ENDED_EARLY:
            expectation.push_ended(self.now_us, leading_int(stat.get("steps", "0")))
        if expectation is None or not self.ordered_run or rig is None:
            return
        flows = leading_int(stat.get("rate", "0")) > 0
        if not flows and expectation.running and self.recorder.note_alarms(stat) & STOPPING:
            self._halted_ms = self.target.now_ms()
            self.recorder.disturbed()
            expectation.halt_at(self.now_us, rig.engine.total)
        elif flows and not expectation.running:
            self._resume(expectation, rig)

    def _resume(self, expectation: Expectation, rig: Rig) -> None:
        """The basal goes on since the engine's first lease after the halt."""
        self.recorder.disturbed()
        since_us = max(self._halted_ms, self.target.flow_since_ms()) * 1000
        made = int((rig.edges_us() > since_us).sum())
        expectation.resume_at(since_us, rig.engine.total - made)

    def look(self) -> None:
        """After a step that may have changed what flows or what is on."""
        if self.pump.link.session is not None and self.recorder.zero_ms is not None:
            stat = self.pump.stat()
            self.recorder.note_alarms(stat)
            self.follow(stat)

    # ---- the record of the story

    def outcome(self, where: str, what: str, ok: bool, detail: str = "") -> None:
        self.recorder.result.outcomes.append(Outcome(self.recorder.since_ms(), where, what, ok, detail, self.note))
        self.note = ""
