"""A pytest plugin: after a whole run of the tests, build/trace/tests.json says what each test showed.

For each test: outcome, the requirements it bears, how strong it is, and which functions it entered. Only a run of every test leaves
the file; a run of a few leaves the file of before, which is refused as soon as the tree has changed.
"""

from __future__ import annotations

import json
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from tools.tracing.watch import Watch
from tools.tree import tree_hash

PACKAGES = ("doseloop", "hil", "tools")
RESULT = Path("build", "trace", "tests.json")
MARKED_KINDS = ("exhaustive", "campaign", "emulated")
NARROWING = ("keyword", "markexpr", "lf", "deselect", "ignore", "ignore_glob", "collectonly", "stepwise", "usepdb")
COMPLETE = (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)


def pytest_configure(config: pytest.Config) -> None:
    if is_whole(config):
        config.pluginmanager.register(Runner(), "trace-runner")
        if not hasattr(config, "workerinput"):
            config.pluginmanager.register(Writer(config), "trace-writer")


def is_whole(config: pytest.Config) -> bool:
    """True if every test is asked for."""
    wanted = {config.rootpath / path for path in config.getini("testpaths")}
    asked = {config.invocation_params.dir / arg for arg in config.args}
    return asked == wanted and not any(config.getoption(name, None) for name in NARROWING)


def requirements_of(item: pytest.Item) -> list[str]:
    return sorted({str(id) for marker in item.iter_markers("req") for id in marker.args})


def kind_of(item: pytest.Item) -> str:
    """How strong the evidence is: as marked, else a property if hypothesis drives it, else an example."""
    for kind in MARKED_KINDS:
        if item.get_closest_marker(kind):
            return kind
    return "property" if getattr(getattr(item, "obj", None), "is_hypothesis_test", False) else "example"


def domain_of(item: pytest.Item) -> str:
    """What an exhaustive test goes through whole."""
    marker = item.get_closest_marker("exhaustive")
    return str(marker.args[0]) if marker and marker.args else ""


def part_of(item: pytest.Item) -> list[str]:
    """The requirements of which that domain is only a part: for them it is an example."""
    marker = item.get_closest_marker("exhaustive")
    return sorted(marker.kwargs.get("part_of", ())) if marker else []


class Runner:
    """Where the tests run: one in each xdist worker, or the only one."""

    def __init__(self) -> None:
        self.watch = Watch(PACKAGES)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        self.watch.find()
        self.watch.start()
        try:
            return (yield)
        finally:
            self.watch.stop()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        if report.when == "teardown":
            entered = sorted(self.watch.entered)
            report.trace = {  # type: ignore[attr-defined]  # xdist carries a report's own attributes over
                "requirements": requirements_of(item),
                "kind": kind_of(item),
                "domain": domain_of(item),
                "part_of": part_of(item),
                "entered": entered if requirements_of(item) else [],
            }
        return report


class Writer:
    """Where the reports arrive; it writes the file at the end of the run."""

    def __init__(self, config: pytest.Config) -> None:
        self.root = config.rootpath
        self.path = self.root / RESULT
        self.tree = tree_hash(self.root)
        self.tests: dict[str, dict[str, Any]] = {}
        self.changed = False  # the tree, while the tests ran: nobody knows what they tested
        self.path.unlink(missing_ok=True)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        test = self.tests.setdefault(report.nodeid, {"outcome": "passed"})
        if report.failed or (report.skipped and test["outcome"] == "passed"):
            test["outcome"] = report.outcome
        test.update(getattr(report, "trace", {}))

    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        if exitstatus not in COMPLETE or session.shouldstop or session.shouldfail:
            return
        self.changed = tree_hash(self.root) != self.tree
        if not self.changed:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.write_text(json.dumps(self.as_json(), indent=1) + "\n", "utf-8")

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.changed:
            terminalreporter.write_line(f"the tree changed while the tests ran: {RESULT} was not written, `make trace` will run them again")

    def as_json(self) -> dict[str, Any]:
        """Places are named once; a test holds their numbers."""
        places = sorted({place for test in self.tests.values() for place in test.get("entered", ())})
        number = {place: index for index, place in enumerate(places)}
        rows = [
            {"test": name, **test, "entered": [number[place] for place in test.get("entered", ())]}
            for name, test in sorted(self.tests.items())
        ]
        return {"tree": self.tree, "places": places, "tests": rows}
