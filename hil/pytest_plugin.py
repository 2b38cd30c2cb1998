"""Scenario files and your own tests on a bench: `pytest hil --target emulated`, or `pytest mine -p hil.pytest_plugin --bench bench.toml`.

Each `.toml` in a folder called scenarios (or below one) is one test; a test function takes the fixtures `bench`, `pump` and `balance`. What
the bench lacks (`@pytest.mark.needs("balance")`) is skipped with its reason. Before anything else the pump is asked which build it runs;
`wiring` (the scenario, and what is marked so) runs before all others, and if it does not pass they are skipped: a wire is wrong. Each test
has a folder under --reports; `--count N` runs each N times; JUnit and HTML are pytest's own (`--junitxml`, `--html` of pytest-html).
The stories of an emulated board that begin alike share one boot. `-n auto` (pytest-xdist) plays simulated pumps on all cores, and
`--count 100 --seed 1` makes a campaign of each scenario: repetition k has the rig of seed k.
"""

from __future__ import annotations

import os
import re
from collections.abc import Generator, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path

import pytest

from hil import evidence
from hil.bench import BALANCE, NEEDS, Bench, BenchConfig, checked_build, load_bench
from hil.errors import BenchError
from hil.instruments import Balance
from hil.keys import find_keys
from hil.places import about
from hil.pump import Pump
from hil.result import FAILED, PASSED
from hil.runner import Options, run, why_skipped
from hil.scenario import Scenario, load_scenario
from hil.suite import Boards, Verdict
from hil.targets.process import one_core

FIRST = "wiring"
FOLDER = "scenarios"
REPETITION = "hil_repetition"
UNUSABLE_EXIT = 2  # as the bench ends; pytest has it for interrupted
BOARDS = pytest.StashKey[dict[Path, Boards]]()
CONFIG = pytest.StashKey[BenchConfig]()
BUILD = pytest.StashKey[dict[str, str]]()
WIRING = pytest.StashKey[str]()  # what is wrong with it; absent: nothing known


class ScenarioFailed(Exception):
    """The pump did not do what the story promises, or the bench could not tell."""


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("hil", "scenarios and tests of the doseloop bench")
    group.addoption("--target", help="unix (default), emulated, or any pyserial URL like /dev/ttyACM0; goes before the bench file's")
    group.addoption("--bench", type=Path, help="a bench file: target, balance, key_file, firmware, has, evidence")
    group.addoption("--balance", help="a balance's URL; goes before the bench file's")
    group.addoption("--evidence", choices=evidence.SAYABLE, help=f"{evidence.HELP}; goes before the bench file's")
    group.addoption("--count", type=int, default=1, help="run each test so many times (default: 1)")
    group.addoption("--seed", type=int, help="of a scenario's simulated rig; one more in each repetition (default: its own)")
    group.addoption("--reports", type=Path, default=Path("build/pytest"), help="folder for the reports (default: build/pytest)")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", f"needs(thing, ...): what the bench must have, else it is skipped: {', '.join(NEEDS)}")
    config.addinivalue_line("markers", "wiring: runs first; if it does not pass nothing else is run")
    if config.getoption("--count") < 1:
        raise pytest.UsageError("--count: a whole number from 1")
    try:
        config.stash[CONFIG] = _bench_config(config)
    except BenchError as error:
        raise pytest.UsageError(str(error)) from None
    _check_shared(config, config.stash[CONFIG])


def _check_shared(config: pytest.Config, told: BenchConfig) -> None:
    """What only simulated pumps can do: be many at once, and be another one each time."""
    if not told.simulated and told.target != "emulated" and _is_shared(config):
        how = "leave -n out; several benches are several runs of pytest, each with its own --bench"
        raise pytest.UsageError(f"-n: {told.target} is one pump on one line, and each worker would want it: {how}")
    seed = config.getoption("--seed")
    if seed is not None and not (told.simulated and seed >= 0):
        raise pytest.UsageError("--seed: a whole number, not negative, for --target unix: other pumps have no simulated rig to choose")


def _is_shared(config: pytest.Config) -> bool:
    """pytest-xdist gives the tests to several workers."""
    return str(config.getoption("dist", "no")) != "no"


def _bench_config(config: pytest.Config) -> BenchConfig:
    """The bench file with the command line over it."""
    path = config.getoption("--bench")
    told = load_bench(path) if path else BenchConfig()
    named = {key: value for key in ("target", "balance", "evidence") if (value := config.getoption(f"--{key}"))}
    return replace(told, keys=told.keys or find_keys(None), **named)


# ---- what is run, in which order


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    if file_path.suffix == ".toml" and FOLDER in (file_path.parent.name, file_path.parent.parent.name):
        return ScenarioFile.from_parent(parent, path=file_path)
    return None


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """--count for test functions; scenarios count themselves."""
    count = metafunc.config.getoption("--count")
    if count > 1:
        metafunc.fixturenames.append(REPETITION)
        metafunc.parametrize(REPETITION, range(1, count + 1), ids=lambda n: f"{n}of{count}")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The wiring check first; those of an emulated board after the others, so that its boot is waited for once."""
    items.sort(key=lambda item: (not _is_wiring(item), item.path.parent.name == "emulated"))


def _is_wiring(item: pytest.Item) -> bool:
    return item.path.stem == FIRST if isinstance(item, ScenarioItem) else item.get_closest_marker("wiring") is not None


def _on_bench(item: pytest.Item) -> bool:
    return isinstance(item, ScenarioItem) or "bench" in getattr(item, "fixturenames", ())


@pytest.hookimpl(tryfirst=True)  # before those of pytest-xdist, after which no other is asked
def pytest_runtestloop(session: pytest.Session) -> None:
    """Before the first test: is the pump the one that is to be tested?"""
    config = session.config
    told = config.stash[CONFIG]
    wanted = any(map(_on_bench, session.items)) or _is_shared(config)  # who shares out knows no tests
    if config.option.collectonly or told.target == "emulated" or not wanted:
        return
    try:
        config.stash[BUILD] = checked_build(told)
    except BenchError as error:
        pytest.exit(f"nothing was run: {error}", UNUSABLE_EXIT)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    if not _on_bench(item):
        return
    if (wrong := item.config.stash.get(WIRING, None)) and not _is_wiring(item):
        pytest.skip(f"not run, the wiring check did not pass: {wrong}")
    told = item.config.stash[CONFIG]
    for marker in item.iter_markers("needs"):
        for need in marker.args:
            if reason := told.lacks(need):
                pytest.skip(reason)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test of the wiring that fails in any phase keeps all others from running."""
    report = yield
    if report.failed and _on_bench(item) and _is_wiring(item):
        item.config.stash.setdefault(WIRING, (report.longreprtext.strip() or "no reason").splitlines()[0][:200])
    return report


def pytest_unconfigure(config: pytest.Config) -> None:
    for boards in config.stash.get(BOARDS, {}).values():
        boards.close()


# ---- fixtures


@pytest.fixture
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    """The bench with a session on its pump, in a folder of this test alone; a simulated pump is fresh from the factory."""
    config = request.config
    told = config.stash[CONFIG]
    if told.target == "emulated":
        pytest.skip("an emulated board plays scenarios; for a test function use --target unix or a pump's URL")
    folder = config.getoption("--reports").resolve() / re.sub(r"[^\w.-]+", "-", request.node.nodeid.rpartition("/")[2]).strip("-")
    told_of = request.node.user_properties
    told_of += [("firmware", config.stash.get(BUILD, {}).get("hash", "?")), ("folder", str(folder))]
    with _in_a_sentence(), Bench(told, folder) as opened:
        told_of.append(("evidence", opened.evidence))
        yield opened


@contextmanager
def _in_a_sentence() -> Iterator[None]:
    """Not a traceback of the bench, where something of it cannot be had."""
    try:
        yield
    except (BenchError, OSError) as error:
        pytest.fail(about(error) if isinstance(error, OSError) else str(error), pytrace=False)


@pytest.fixture
def pump(bench: Bench) -> Pump:
    """A session with the pump."""
    return bench.pump


@pytest.fixture
def balance(bench: Bench) -> Balance:
    """The balance under its outlet; skipped where there is none."""
    if reason := bench.config.lacks(BALANCE):
        pytest.skip(reason)
    with _in_a_sentence():
        return bench.balance


# ---- scenarios


class ScenarioFile(pytest.File):
    """One file, one test (or as many as --count says)."""

    def collect(self) -> Iterator[pytest.Item]:
        count = self.config.getoption("--count")
        for n in range(1, count + 1):
            name = self.path.stem if count == 1 else f"{self.path.stem}[{n}of{count}]"
            item = ScenarioItem.from_parent(self, name=name)
            item.repetition = n
            yield item


def _worker() -> int | None:
    """Its number among the workers of pytest-xdist; None where there are none."""
    name = os.environ.get("PYTEST_XDIST_WORKER", "")
    return int(name.removeprefix("gw")) if name else None


class ScenarioItem(pytest.Item):
    """Runs a scenario on the target that was named."""

    repetition = 1

    def runtest(self) -> None:
        scenario = load_scenario(self.path)
        options = self._options()
        if reason := why_skipped(scenario, options):
            pytest.skip(f"{scenario.name} {reason}")
        self.user_properties.append(("folder", str(options.out / scenario.name)))
        verdict = self._run(scenario, options)
        self.user_properties.append(("evidence", verdict.evidence))
        if verdict.verdict == PASSED:
            return
        what = "" if verdict.verdict == FAILED else f"{verdict.verdict}: "
        raise ScenarioFailed(f"{what}{verdict.reason}\nreport: {options.out / scenario.name / 'report.html'}")

    def _options(self) -> Options:
        told, out = self.config.stash[CONFIG], self.config.getoption("--reports").resolve()
        if self.repetition > 1:
            out = out / f"repetition-{self.repetition}"
        seed = self.config.getoption("--seed")
        seed = None if seed is None else seed + self.repetition - 1
        return Options(told.target, out, seed, balance_url=told.balance, keys=told.keys, evidence=told.evidence)

    def _run(self, scenario: Scenario, options: Options) -> Verdict:
        if options.target == "emulated":
            every = self.config.stash.setdefault(BOARDS, {})
            return every.setdefault(options.out, Boards(options)).run(scenario)
        with one_core(_worker()) if options.target == "unix" else nullcontext():
            found = run(scenario, replace(options, out=options.out / scenario.name))
        return Verdict(scenario.name, found.verdict, found.reason, found.wall_s, found.evidence)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: object = None) -> str:
        """A sentence, not a traceback of the bench."""
        if excinfo.errisinstance((ScenarioFailed, BenchError)):
            return str(excinfo.value)
        return str(super().repr_failure(excinfo))

    def reportinfo(self) -> tuple[Path, int, str]:
        return self.path, 0, self.name
