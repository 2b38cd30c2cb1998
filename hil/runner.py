"""Runs one scenario on one target: sets the pump up, plays the timeline, judges, and leaves the evidence in a folder."""

from __future__ import annotations

import dataclasses
import time
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from hil import calibrated, junit, keys, measurements, paper, pin_figures, provenance, report, result, run_flow
from hil.actions import Advance, AdvanceTo, AdvanceUntil, Repeat, Step
from hil.acts import Acts
from hil.channel import SerialLog
from hil.errors import BenchError, BenchUnusable, InputError, Refused
from hil.instruments import SimulatedBalance, open_balance
from hil.link import Link
from hil.plant.pins import PinRig
from hil.plant.rig import Rig
from hil.play import Play
from hil.pump import Pump
from hil.quantity import span_text
from hil.recorder import NL_PER_ML, Recorder
from hil.result import Outcome, Result
from hil.scenario import Scenario, board_data
from hil.targets.base import Target
from hil.targets.emulated import EmulatedTarget
from hil.targets.lockstep import CAUSES, POWER
from hil.targets.serial_url import SerialUrlTarget
from hil.targets.unix import UnixTarget
from hil.weighing import BLANK_CYCLE_MS, BLANK_CYCLES, Weighing

DAY_MS = 86_400_000
US_PER_H = 3_600_000_000
EMULATED_MOST_MS = 1_200_000
BOOT_MS = 2000  # from power on until switches are trusted and people begin
LEAD_S = (BLANK_CYCLES * BLANK_CYCLE_MS + BOOT_MS) // 1000  # before the story's start
Progress = Callable[[int, int], None]  # (virtual ms played, ms planned)


@dataclass(frozen=True)
class Options:
    """How to run: all of it from the command line."""

    target: str = "unix"
    out: Path = Path("build/bench")
    seed: int | None = None
    days: int | None = None
    balance_url: str | None = None
    sample_ms: int | None = None
    keys: Mapping[str, bytes] | None = None  # of the roles; a simulated pump is given them first
    evidence: str = ""  # what a person says of a pump behind a URL (hil/evidence.py)


def run(scenario: Scenario, options: Options, progress: Progress = lambda done, planned: None) -> Result:
    """The whole run; what went wrong with the bench is in the result too, never an exception of BenchError."""
    options.out.mkdir(parents=True, exist_ok=True)
    scenario = _adjusted(scenario, options)
    seed = scenario.setup.seed
    target = make_target(scenario, options, seed)
    found = Result(scenario.name, scenario.title, scenario.story, target.name, target.evidence, seed)
    started = time.monotonic()
    run_of = Run(scenario, options, target, found, progress, options.out / "serial.log")
    judged(found, run_of.play, options.out)
    run_of.close()
    found.wall_s = time.monotonic() - started
    write_all(found, options.out)
    return found


def judged(found: Result, play: Callable[[], None], out: Path) -> None:
    """Play and judge; whatever goes wrong with the bench becomes its verdict."""
    try:
        play()
        found.judge()
    except BenchError as error:  # unusable, or refused where no step of the story asked
        found.verdict, found.reason = result.UNUSABLE, str(error)
    except KeyboardInterrupt:
        found.verdict, found.reason = result.UNUSABLE, "interrupted by hand"
    except Exception as error:  # a defect of the bench is no verdict on the pump
        (out / "traceback.txt").write_text(traceback.format_exc(), "utf-8")
        found.verdict, found.reason = result.UNUSABLE, f"the bench itself failed ({type(error).__name__}: {error}); see traceback.txt"


def _adjusted(scenario: Scenario, options: Options) -> Scenario:
    setup = scenario.setup
    if options.days is not None and Advance(None) not in [step.action for step in scenario.timeline]:
        raise InputError("--days", f'{scenario.name} has no step advance = "days" that it could lengthen')
    days = options.days or scenario.days
    sample_ms = options.sample_ms or max(setup.sample_ms, days * DAY_MS // 400 if days > scenario.days else 0)
    seed = setup.seed if options.seed is None else options.seed
    return dataclasses.replace(scenario, days=days, setup=dataclasses.replace(setup, seed=seed, sample_ms=sample_ms))


def make_target(scenario: Scenario, options: Options, seed: int) -> Target:
    """The pump to test. A simulated one begins earlier, by the blank of its balance."""
    if options.target == "emulated":
        return EmulatedTarget(PinRig(dataclasses.replace(scenario.rig, rtc_unix_s=scenario.start_unix_s), seed), flash=scenario.setup.flash)
    if options.target != "unix":
        return SerialUrlTarget(options.target, said=options.evidence)
    rig = Rig(dataclasses.replace(scenario.rig, rtc_unix_s=scenario.start_unix_s - LEAD_S), seed)
    target = UnixTarget(rig, seed=seed, work=options.out / "pump", board=scenario.board)
    target.lockstep.ticks_start = scenario.setup.ticks_start
    return target


def write_all(found: Result, out: Path) -> None:
    result.write_json(found, out / "result.json")
    result.write_csv(found, out / "timeseries.csv")
    junit.of_run(found, out / "junit.xml")
    report.write(found, out / "report.html")
    paper.write(found, out / "report.pdf")


class Run:
    """One run, from the erased pump to the last figure."""

    def __init__(
        self, scenario: Scenario, options: Options, target: Target, found: Result, progress: Progress, log: Path | None = None
    ) -> None:
        self.scenario = scenario
        self.options = options
        self.target = target
        self.result = found
        self.log = SerialLog(log, lambda: target.now_ms() / 1000)
        self._progress = progress
        self._simulated: SimulatedBalance | None = None
        self._weighing: Weighing | None = None
        self._play: Play | None = None
        self._started_ms = 0
        self._valid: calibrated.Range | None = None  # of the pump's calibration

    def play(self) -> None:
        """Everything; BenchUnusable where the bench cannot go on, with what was measured kept."""
        play, acts = self.prepare()
        self.tell(play, acts)

    def prepare(self) -> tuple[Play, Acts]:
        """From the erased pump to where the story begins."""
        self._weighing = self._find_balance()
        self._started_ms = self.target.now_ms()
        self.target.start()
        return self.begin()

    def tell(self, play: Play, acts: Acts) -> None:
        """The story, and its figures."""
        try:
            for step in self.scenario.timeline:
                acts.do(step)
            play.recorder.sample()
            play.recorder.pins_off = play.recorder.pin_difference()
        finally:
            self._take_figures(play)

    def begin(self) -> tuple[Play, Acts]:
        """From a pump that was started to where the story begins."""
        given = self.options.keys if self.target.rig is None else None  # a simulated pump begins with the default ones
        channel, clock = self.target.channel(), self.target.clock_s
        link = Link(channel, log=self.log, wall=self._host_unix_s, seed=self.scenario.setup.seed, keys=given, clock=clock)
        pump = Pump(link, self._host_unix_s)
        rig = self.scenario.rig
        recorder = Recorder(self.result, self.target, pump, self._weighing, turn=(rig.steps_per_turn, rig.encoder_counts_per_turn))
        self._play = play = Play(self.scenario, self.target, pump, recorder, self._progress, planned_ms(self.scenario))
        acts = Acts(play)
        self._watch_restarts(link, play)
        self._set_up(pump, play, acts)
        return play, acts

    def _set_up(self, pump: Pump, play: Play, acts: Acts) -> None:
        """Bring the pump to where the story begins. A refusal here ends the run: there is nothing to measure then."""
        try:
            fields = pump.open()
            self.target.told_identity(fields)
            self.result.evidence = self.target.evidence
            if self.target.virtual:
                self.target.advance_to(max(self.target.now_ms(), self._started_ms + BOOT_MS))
            if self.options.keys and self.target.rig is not None:
                keys.provision(pump.link, self.options.keys)
            self.result.key = keys.state_of(pump.link)
            self.result.versions = {**self._versions(fields, pump.identity()), **self.target.versions(), **self.result.versions}
            play.set_up()
            self._valid = calibrated.told_range(pump.stat("supplies"))
            play.await_self_test()
            if self.scenario.setup.run:
                acts.first_run()
        except Refused as refused:
            raise BenchUnusable(f"the pump could not be set up for this scenario: {refused}") from None
        except BenchUnusable:
            raise
        except BenchError as error:
            raise BenchUnusable(f"the pump could not be set up for this scenario: {error}") from None

    def _versions(self, hello: Mapping[str, str], identity: Mapping[str, str]) -> dict[str, str]:
        """What the pump says of itself, what it was given, and the bench."""
        found = {"firmware": hello.get("fw", "?"), "code hash": identity.get("hash", "?"), "firmware commit": identity.get("git", "?")}
        found["board"] = hello.get("board", "?")
        if self.target.rig is not None:  # a real board's data is in its own files
            found["board data"] = provenance.of_board({**board_data(), **self.scenario.board})
        found["scenario hash"] = self.scenario.digest
        return found | provenance.of_host()

    def _host_unix_s(self) -> float:
        """The host's clock, which is as wrong as what the story sets the pump's to."""
        return self.target.unix_s() + (self._play.clock_shift_ms / 1000 if self._play else 0.0)

    def _watch_restarts(self, link: Link, play: Play) -> None:
        def told(cause: int) -> None:
            link.forget()
            self.log.note("--", f"the pump restarts: {CAUSES.get(cause, cause)}".encode())
            play.restarted(watchdog=cause != POWER)

        self.target.on_restart(told)

    def _take_figures(self, play: Play) -> None:
        recorder = play.recorder
        recorder.end_alarms()
        if play.program is not None:
            self.result.versions |= {"program": play.program.name, "program hash": play.program.hash()}
        self._check_alarms(recorder)
        measurements.take_all(self.result, self.scenario, self.target, recorder, play.pump.link.longest_s)
        if recorder.expectation is not None:
            self._check_calibration(recorder.expectation.stretches(play.now_us), recorder.expectation.steps_per_ml)
            run_flow.take(self.result, self.scenario, recorder, self._weighing)
        if (pins := self.target.pins()) is not None and recorder.expectation is not None:
            now_us = play.now_us
            self.result.measurements += [
                *pin_figures.of_count(recorder.pins_off),
                *pin_figures.of_pulses(pins, recorder.expectation, now_us, play.pump.link.longest_s),
                *pin_figures.of_hangs(pins, play.hangs, now_us * 1000),
            ]

    def _check_calibration(self, stretches: Iterable[tuple[int, int, Fraction]], steps_per_ml: int) -> None:
        """Every rate that was to flow against the range that the pump's calibration was measured over."""
        rates_nl_h = [float(rate) * US_PER_H * NL_PER_ML / steps_per_ml for _, _, rate in stretches]
        if self._valid is not None and (warning := self._valid.warning(rates_nl_h)):
            self.result.warnings.append(warning)

    def _check_alarms(self, recorder: Recorder) -> None:
        """The alarms that came on are those that the story promised, no more and no fewer."""
        wanted = self.scenario.expected.alarms
        if wanted is None:
            return
        came = sorted({span.code for span in self.result.alarms})
        detail = f"came: {', '.join(came) or 'none'}; promised: {', '.join(wanted) or 'none'}"
        self.result.outcomes.append(
            Outcome(recorder.since_ms(), "expected.alarms", "alarms are those promised", came == list(wanted), detail)
        )

    # ---- the balance

    def _find_balance(self) -> Weighing | None:
        """The simulated balance of the simulated rig, or the one named; blank first, the pump still off."""
        url = self.options.balance_url
        if url is None and self.target.rig is not None and self.target.hours:  # a blank takes ten
            self._simulated = SimulatedBalance(self.target.rig.load, self.scenario.balance, self.scenario.setup.seed)
            url = self._simulated.path
        if url is None:
            return None
        balance = open_balance(url, clock=lambda: self.target.now_ms() / 1000)
        self.result.versions["balance"] = balance.identify().model
        weighing = Weighing(balance, self.scenario.rig.temperature_c)
        weighing.blank(lambda ms: self.target.advance_to(self.target.now_ms() + ms))
        self.result.evaporation_mg_h = 1000 * weighing.evaporation_g_h
        return weighing

    def close(self) -> None:
        for thing in (self._weighing, self._simulated, self.target, self.log):
            if thing is not None:
                thing.close()


def planned_ms(scenario: Scenario) -> int:
    """How much virtual time the timeline takes, as far as it can be told before."""
    return sum(_span_ms(step, scenario.days) for step in scenario.timeline) or 1


def _span_ms(step: Step, days: int) -> int:
    action = step.action
    if isinstance(action, Advance):
        return days * DAY_MS if action.span_ms is None else action.span_ms
    if isinstance(action, AdvanceTo):
        return DAY_MS // 2
    if isinstance(action, AdvanceUntil):
        return action.within_ms // 2
    if isinstance(action, Repeat):
        return action.times * sum(_span_ms(inner, days) for inner in action.steps)
    return 0


def begin_therapy(scenario: Scenario, target: UnixTarget, own: Mapping[str, bytes] | None = None) -> None:
    """Bring a pump that was just started to where a scenario's story begins, with its own keys, and let go of its line."""
    nobody = Result(scenario.name, scenario.title, scenario.story, target.name, target.evidence, scenario.setup.seed)
    Run(scenario, Options(keys=own), target, nobody, lambda done, planned: None).begin()
    target.release_line()


def why_skipped(scenario: Scenario, options: Options) -> str | None:
    """Why this scenario cannot run on this target; None if it can."""
    kind = options.target if options.target in ("unix", "emulated") else "serial"
    if scenario.targets and kind not in scenario.targets:
        return f"is for {' and '.join(scenario.targets)} alone, not for {options.target}"
    if kind == "serial" and scenario.needs_virtual:
        return f"needs virtual time and scripted faults, which {options.target} has not ({scenario.needs_virtual})"
    return _too_much_for_an_image(scenario) if kind == "emulated" else None


def _too_much_for_an_image(scenario: Scenario) -> str | None:
    """An emulated board takes seconds for a second, and its data is frozen into the image."""
    span_ms = planned_ms(scenario)
    if span_ms > EMULATED_MOST_MS:
        return f"needs {span_text(span_ms)} of virtual time, more than the {span_text(EMULATED_MOST_MS)} an emulated board can have"
    if scenario.board or scenario.setup.ticks_start:
        return "changes the board's data or its tick count, which are fixed in an image"
    return None
