"""Several scenarios on emulated boards: those that begin alike share one boot and one set-up, and go on in processes forked from it.

An emulated second is dear. What is shared is only what each would do by itself, bit for bit: power on, self-test, clock, calibration,
therapy, first RUN. From there each has a copy of the whole board.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from hil.result import EXIT, PASSED, UNUSABLE, Result
from hil.runner import Options, Run, judged, make_target, why_skipped, write_all
from hil.scenario import Scenario
from hil.targets.emulated import EmulatedTarget

SKIPPED = "skipped"


@dataclass(frozen=True)
class Verdict:
    """What came of one scenario."""

    name: str
    verdict: str  # passed, failed, unusable, skipped
    reason: str
    wall_s: float
    evidence: str


class SharedBoard:
    """A board that was set up once, for all stories that begin like this one."""

    def __init__(self, scenario: Scenario, options: Options) -> None:
        self._options = options
        self._folder = options.out / f".setup-{scenario.name}"
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True)
        target = make_target(scenario, options, scenario.setup.seed)
        assert isinstance(target, EmulatedTarget)
        self._target = target
        self._found = Result(scenario.name, scenario.title, scenario.story, target.name, target.evidence, scenario.setup.seed)
        self._run = Run(scenario, options, target, self._found, lambda done, planned: None, self._folder / "serial.log")
        began = time.monotonic()
        judged(self._found, self._prepare, self._folder)
        self._took_s = time.monotonic() - began

    def _prepare(self) -> None:
        self._play, self._acts = self._run.prepare()

    def fork(self, scenario: Scenario) -> int:
        """Plays the scenario in a process of its own, that leaves nothing behind in this one; gives its id."""
        pid = os.fork()
        if pid:
            return pid
        code = EXIT[UNUSABLE]
        try:
            self._go_on(scenario)
            code = 0
        finally:
            os._exit(code)

    def _go_on(self, scenario: Scenario) -> None:
        """Be the run of this scenario from here on."""
        began, out, found = time.monotonic(), self._options.out / scenario.name, self._found
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir(parents=True)
        found.scenario, found.title, found.story = scenario.name, scenario.title, scenario.story
        if found.verdict != UNUSABLE:
            self._take_over(scenario, out)
            judged(found, lambda: self._run.tell(self._play, self._acts), out)
        self._run.close()
        found.wall_s = time.monotonic() - began + self._took_s
        write_all(found, out)

    def _take_over(self, scenario: Scenario, out: Path) -> None:
        self._run.scenario = self._play.scenario = scenario
        shutil.copy(self._folder / "serial.log", out)
        self._run.log.go_on(out / "serial.log")
        self._play.pump.link.channel = self._target.fresh_line()

    def close(self) -> None:
        self._run.close()
        shutil.rmtree(self._folder, ignore_errors=True)


class Boards:
    """Shared boards, made when they are first wanted and kept until `close`."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._boards: dict[str, SharedBoard] = {}

    def run(self, scenario: Scenario) -> Verdict:
        """One scenario, to its end."""
        pid = self.begin(scenario)
        os.waitpid(pid, 0)
        return verdict_of(scenario.name, self._options.out)

    def begin(self, scenario: Scenario) -> int:
        """Set a board up for it, or take the one that is; gives the id of the process that plays it."""
        key = beginning(scenario)
        if key not in self._boards:
            self._boards[key] = SharedBoard(scenario, self._options)
        return self._boards[key].fork(scenario)

    def close(self) -> None:
        for board in self._boards.values():
            board.close()
        self._boards = {}


def beginning(scenario: Scenario) -> str:
    """The same text for scenarios that do the same up to the first step of their timeline."""
    setup = replace(scenario.setup, sample_ms=0)
    history, program = scenario.history, scenario.program
    return repr((history, program, scenario.calibration, scenario.start_unix_s, scenario.offset_min, scenario.rig, setup))


def run_together(
    scenarios: Sequence[Scenario], options: Options, jobs: int, told: Callable[[Verdict], None], first: str = ""
) -> list[Verdict]:
    """All of them on emulated boards, each with its evidence in a folder of its own under options.out.

    The one called `first` runs alone before the others; if it does not pass they are not run: a wire is wrong.
    """
    found: list[Verdict] = []
    boards = Boards(options)
    for verdict in _in_order(scenarios, boards, options, jobs, first):
        told(verdict)
        found.append(verdict)
    boards.close()
    return found


def _in_order(scenarios: Sequence[Scenario], boards: Boards, options: Options, jobs: int, first: str) -> Iterator[Verdict]:
    skipped = {scenario.name: reason for scenario in scenarios if (reason := why_skipped(scenario, options))}
    yield from (Verdict(name, SKIPPED, reason, 0.0, "") for name, reason in skipped.items())
    left = [scenario for scenario in scenarios if scenario.name not in skipped]
    checks = [boards.run(scenario) for scenario in left if scenario.name == first]
    yield from checks
    others = [scenario for scenario in left if scenario.name != first]
    if all(check.verdict == PASSED for check in checks):
        yield from _side_by_side(others, boards, options, jobs)
    else:
        yield from (Verdict(scenario.name, UNUSABLE, f"not run: {first} did not pass", 0.0, "") for scenario in others)


def _side_by_side(scenarios: Sequence[Scenario], boards: Boards, options: Options, jobs: int) -> Iterator[Verdict]:
    """At most `jobs` at a time."""
    playing: dict[int, Scenario] = {}
    for scenario in scenarios:
        while len(playing) >= jobs:
            yield _next_end(playing, options)
        playing[boards.begin(scenario)] = scenario
    while playing:
        yield _next_end(playing, options)


def _next_end(playing: dict[int, Scenario], options: Options) -> Verdict:
    pid = 0
    while pid not in playing:
        pid, _ = os.wait()
    return verdict_of(playing.pop(pid).name, options.out)


def verdict_of(name: str, out: Path) -> Verdict:
    """What a run left in its folder."""
    try:
        content = json.loads((out / name / "result.json").read_text("utf-8"))
        return Verdict(name, content["verdict"], content["reason"], content["wall_s"], content["evidence"])
    except (OSError, ValueError, KeyError):
        return Verdict(name, UNUSABLE, "its process ended without a result", 0.0, "")
