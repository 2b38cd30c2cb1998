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

from hil.result import EXIT, UNUSABLE, Result
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


def run_together(scenarios: Sequence[Scenario], options: Options, jobs: int, told: Callable[[Verdict], None]) -> list[Verdict]:
    """All of them on emulated boards, each with its evidence in a folder of its own under options.out."""
    found = []
    for group in _alike(scenarios):
        for verdict in _run_group(group, options, jobs):
            told(verdict)
            found.append(verdict)
    return found


def _alike(scenarios: Sequence[Scenario]) -> list[list[Scenario]]:
    """Groups of those that begin alike."""
    groups: dict[str, list[Scenario]] = {}
    for scenario in scenarios:
        begins = (scenario.history, scenario.program, scenario.calibration, scenario.start_unix_s, scenario.offset_min, scenario.rig)
        groups.setdefault(repr((*begins, replace(scenario.setup, sample_ms=0))), []).append(scenario)
    return list(groups.values())


def _run_group(group: list[Scenario], options: Options, jobs: int) -> Iterator[Verdict]:
    """One boot, then a fork for each story, at most `jobs` at a time."""
    for scenario in group:
        if reason := why_skipped(scenario, options):
            yield Verdict(scenario.name, SKIPPED, reason, 0.0, "")
    group = [scenario for scenario in group if not why_skipped(scenario, options)]
    if not group:
        return
    shared = _Shared(group[0], options)
    children: dict[int, Scenario] = {}
    for scenario in group:
        while len(children) >= jobs:
            yield _ended(children, options)
        children[_forked(lambda scenario=scenario: shared.go_on(scenario))] = scenario  # type: ignore[misc]
    while children:
        yield _ended(children, options)
    shared.close()


def _forked(work: Callable[[], None]) -> int:
    """The work in a process of its own, that leaves nothing behind in this one."""
    pid = os.fork()
    if pid:
        return pid
    code = EXIT[UNUSABLE]
    try:
        work()
        code = 0
    finally:
        os._exit(code)


def _ended(children: dict[int, Scenario], options: Options) -> Verdict:
    """Waits for the next of them."""
    pid = 0
    while pid not in children:
        pid, _ = os.wait()
    return verdict_of(children.pop(pid).name, options.out)


def verdict_of(name: str, out: Path) -> Verdict:
    """What a run left in its folder."""
    try:
        content = json.loads((out / name / "result.json").read_text("utf-8"))
        return Verdict(name, content["verdict"], content["reason"], content["wall_s"], content["evidence"])
    except (OSError, ValueError, KeyError):
        return Verdict(name, UNUSABLE, "its process ended without a result", 0.0, "")


class _Shared:
    """A board that was set up once."""

    def __init__(self, scenario: Scenario, options: Options) -> None:
        self._options = options
        self._folder = options.out / ".setup"
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

    def go_on(self, scenario: Scenario) -> None:
        """In a fork: be the run of this scenario from here on."""
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

