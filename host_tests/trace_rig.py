"""A repository of a few lines whose tests really run, for the tests of `make trace`."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tools.tracing.__main__ import trace
from tools.tracing.evidence import CAMPAIGN_FILE, EMULATED_FILE, SCENARIOS_FILE, SMOKE_FILE
from tools.tracing.plugin import RESULT
from tools.tree import tree_hash

ROOT = Path(__file__).resolve().parents[1]

PYPROJECT = f"""
[tool.pytest.ini_options]
testpaths = ["host_tests"]
pythonpath = ["firmware", "host_tests", {str(ROOT)!r}]
addopts = "-p no:cacheprovider"
markers = ["req(id, ...): x", "exhaustive(domain, part_of): x", "campaign: x", "emulated: x"]
"""
RULE = """
LIMIT = 30


def may_step(old, new):
    return 100 * new <= (100 + LIMIT) * old


def may_stop():
    return True


class Pump:
    rate = 0

    def stop(self):
        return may_stop()
"""
TESTS = """
import pytest
from doseloop.rule import Pump, may_step
from hypothesis import given, strategies as st


@pytest.mark.req("R-STEP-1")
@pytest.mark.parametrize("new", [100, 130])
def test_a_step_within_the_limit_passes(new):
    assert may_step(100, new)


@pytest.mark.req("R-STEP-1")
@given(st.integers(1, 1000))
def test_no_step_is_always_allowed(old):
    assert may_step(old, old)


@pytest.mark.req("R-STEP-1", "R-PART-1")
@pytest.mark.exhaustive("every step from 100", part_of=["R-PART-1"])
def test_a_step_above_the_limit_is_refused():
    assert not [new for new in range(131, 200) if may_step(100, new)]


@pytest.mark.req("R-STOP-1")
def test_a_stop_is_obeyed():
    assert Pump().stop()


@pytest.mark.req("R-FAIL-1")
def test_that_fails():
    assert not may_step(100, 120)


@pytest.mark.req("R-SKIP-1")
def test_that_is_skipped():
    pytest.skip("no board here")


@pytest.mark.req("R-NOSUCH-1")
def test_that_bears_an_id_nobody_knows():
    pass
"""


def entry(*places, **more):
    """One requirement of requirements.toml."""
    keys = {"text": "It holds.", "section": "project", "kind": "project", "enforced": list(places), **more}
    return "\n".join(f"{key} = {json.dumps(value)}" for key, value in keys.items())


class TraceRig:
    """root: a repository made of the texts above, with results of scenarios and of a campaign for its very tree."""

    def __init__(self, root):
        self.root = root
        self.write("pyproject.toml", PYPROJECT)
        self.write("firmware/doseloop/__init__.py", "")
        self.write("firmware/doseloop/rule.py", RULE)
        self.write("host_tests/conftest.py", 'pytest_plugins = ["tools.tracing.plugin"]\n')
        self.write("host_tests/test_rule.py", TESTS)
        self.write("hil/scenarios/story.toml", 'title = "A stop"\nrequirements = ["R-STOP-1"]\n')
        self.write("hil/scenarios/emulated/on-the-board.toml", 'title = "A stop"\nrequirements = ["R-STOP-1"]\n')
        self.results()

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")

    def results(self, scenarios=None, campaign=None, smoke=None, emulated=None):
        """What tools/scenarios.py, the campaign and the emulated Pico would leave; each by default with nothing to say."""
        tree = tree_hash(self.root)
        nothing = {"histories": 0, "events": 0, "seed": 1, "disagreements": 0, "requirements": []}
        self.write(str(SCENARIOS_FILE), json.dumps({"tree": tree, "results": scenarios or {}}))
        self.write(str(CAMPAIGN_FILE), json.dumps({"tree": tree, **nothing, **(campaign or {})}))
        (self.root / SMOKE_FILE).unlink(missing_ok=True)
        (self.root / EMULATED_FILE).unlink(missing_ok=True)
        if emulated:
            self.write(str(EMULATED_FILE), json.dumps({"tree": tree, "results": emulated}))
        if smoke:
            self.write(str(SMOKE_FILE), json.dumps({"tree": tree, **smoke}))

    def pytest(self, *words):
        """Run the repository's own tests in a process of their own."""
        command = [sys.executable, "-m", "pytest", "-q", *(words or ("host_tests",))]
        plain = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
        done = subprocess.run(command, cwd=self.root, env=plain, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode in (0, 1), done.stdout + done.stderr
        return done.stdout

    def ran(self):
        """What the last whole run left, by test; None if it left nothing."""
        path = self.root / RESULT
        if not path.exists():
            return None
        content = json.loads(path.read_text("utf-8"))
        for test in content["tests"]:
            test["entered"] = {content["places"][index] for index in test["entered"]}
        return {test["test"].split("::")[1]: test for test in content["tests"]}

    def trace(self, **requirements):
        """The matrix for these requirements: R_STEP_1=entry("rule.py:may_step")."""
        text = "\n\n".join(f'["{name.replace("_", "-")}"]\n{body}' for name, body in requirements.items())
        self.write("host_tests/requirements.toml", text)
        return trace(self.root)
