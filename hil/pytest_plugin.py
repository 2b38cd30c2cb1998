"""Scenario files as tests: `pytest hil --target emulated`, or `pytest my/scenarios -p hil.pytest_plugin --target unix`.

Each `.toml` in a folder called scenarios (or below one) is one test; what cannot run on the target is skipped with its reason. `wiring`
runs before all others, and if it does not pass they are skipped: a wire is wrong. Reports go to a folder each under --reports; JUnit is
pytest's own (`--junitxml`). The stories of an emulated board that begin alike share one boot.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from hil.errors import BenchError
from hil.keys import find_keys
from hil.result import FAILED, PASSED
from hil.runner import Options, run, why_skipped
from hil.scenario import Scenario, load_scenario
from hil.suite import Boards, Verdict

FIRST = "wiring"
FOLDER = "scenarios"
BOARDS = pytest.StashKey[Boards]()
WIRING = pytest.StashKey[str]()  # what is wrong with it; absent: nothing known


class ScenarioFailed(Exception):
    """The pump did not do what the story promises, or the bench could not tell."""


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("hil", "scenarios of the doseloop bench")
    group.addoption("--target", default="unix", help="unix (default), emulated, or any pyserial URL like /dev/ttyACM0")
    group.addoption("--reports", type=Path, default=Path("build/pytest"), help="folder for the reports (default: build/pytest)")


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    if file_path.suffix == ".toml" and FOLDER in (file_path.parent.name, file_path.parent.parent.name):
        return ScenarioFile.from_parent(parent, path=file_path)
    return None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The wiring check first; those of an emulated board after the others, so that its boot is waited for once."""
    items.sort(key=lambda item: (item.name != FIRST, item.path.parent.name == "emulated"))


def pytest_unconfigure(config: pytest.Config) -> None:
    if (boards := config.stash.get(BOARDS, None)) is not None:
        boards.close()


class ScenarioFile(pytest.File):
    """One file, one test."""

    def collect(self) -> Iterator[pytest.Item]:
        yield ScenarioItem.from_parent(self, name=self.path.stem)


class ScenarioItem(pytest.Item):
    """Runs a scenario on the target that was named."""

    def runtest(self) -> None:
        scenario = load_scenario(self.path)
        options = Options(self.config.getoption("--target"), self.config.getoption("--reports").resolve(), keys=find_keys(None))
        if reason := why_skipped(scenario, options):
            pytest.skip(f"{scenario.name} {reason}")
        if wrong := self.config.stash.get(WIRING, None):
            pytest.skip(f"not run, the wiring check did not pass: {wrong}")
        verdict = self._run(scenario, options)
        if verdict.verdict == PASSED:
            return
        if scenario.name == FIRST:
            self.config.stash[WIRING] = verdict.reason
        what = "" if verdict.verdict == FAILED else f"{verdict.verdict}: "
        raise ScenarioFailed(f"{what}{verdict.reason}\nreport: {options.out / scenario.name / 'report.html'}")

    def _run(self, scenario: Scenario, options: Options) -> Verdict:
        if options.target == "emulated":
            return self.config.stash.setdefault(BOARDS, Boards(options)).run(scenario)
        found = run(scenario, replace(options, out=options.out / scenario.name))
        return Verdict(scenario.name, found.verdict, found.reason, found.wall_s, found.evidence)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: object = None) -> str:
        """A sentence, not a traceback of the bench."""
        if excinfo.errisinstance((ScenarioFailed, BenchError)):
            return str(excinfo.value)
        return str(super().repr_failure(excinfo))

    def reportinfo(self) -> tuple[Path, int, str]:
        return self.path, 0, self.name


