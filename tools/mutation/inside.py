"""What a fork does: put the mutated text in place of the module and run pytest on chosen tests, each within its budget."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

import pytest

IMPORT_S = 20.0
LEAST_TEST_S = 1.0
SLACK = 6  # a test may take this many times the processor time that it takes traced and without a mutant

_OPTIONS = ("-q", "-x", "-p", "no:cacheprovider", "-p", "no:faulthandler", "-p", "_hypothesis_pytestplugin")


class Loader(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Gives one module another text."""

    def __init__(self, name: str, path: Path, source: str) -> None:
        self._name, self._path, self._source = name, path, source

    def find_spec(self, fullname: str, path: Any = None, target: ModuleType | None = None) -> importlib.machinery.ModuleSpec | None:
        return importlib.machinery.ModuleSpec(fullname, self, origin=str(self._path)) if fullname == self._name else None

    def exec_module(self, module: ModuleType) -> None:
        module.__file__ = str(self._path)
        exec(compile(self._source, str(self._path), "exec"), module.__dict__)


class Watch:
    """The pytest plugin of a fork: which tests run in which order, how long each may take, who failed first."""

    def __init__(self, order: list[str] | None = None, seconds: dict[str, float] | None = None) -> None:
        self.order = order
        self.allowed = seconds or {}
        self.failed = ""
        self.seconds: dict[str, float] = {}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Keep and order what was asked for; all, if the mutant has changed the names of the tests themselves."""
        by_id = {item.nodeid: item for item in items}
        if self.order is not None and all(name in by_id for name in self.order):
            items[:] = [by_id[name] for name in self.order]

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed and not self.failed:
            self.failed = "import"

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and not self.failed:
            self.failed = report.nodeid

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        signal.setitimer(signal.ITIMER_PROF, max(LEAST_TEST_S, SLACK * self.allowed.get(item.nodeid, IMPORT_S)))
        began = time.process_time()
        yield
        self.seconds[item.nodeid] = time.process_time() - began


class Trace(Watch):
    """Which lines of one file each test reaches."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.reached: dict[str, list[int]] = {}
        self._file = str(path)
        self._lines: set[int] = set()

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        signal.setitimer(signal.ITIMER_PROF, 0)
        self._lines = set()
        began = time.process_time()
        sys.settrace(self._call)
        yield
        sys.settrace(None)
        self.seconds[item.nodeid] = time.process_time() - began
        self.reached[item.nodeid] = sorted(self._lines)

    def _call(self, frame: FrameType, event: str, arg: object) -> Callable[..., Any] | None:
        return self._line if frame.f_code.co_filename == self._file else None

    def _line(self, frame: FrameType, event: str, arg: object) -> Callable[..., Any]:
        self._lines.add(frame.f_lineno)
        return self._line


def run(watch: Watch, files: list[str], loader: Loader | None = None) -> str:
    """Run the tests; "" if all passed, else who failed first."""
    signal.setitimer(signal.ITIMER_PROF, IMPORT_S)
    if loader:
        sys.meta_path.insert(0, loader)
    status = pytest.main([*_OPTIONS, "--hypothesis-profile=mutation", *files], plugins=[watch])
    return watch.failed or ("" if status == pytest.ExitCode.OK else f"pytest ended with {status!r}")
