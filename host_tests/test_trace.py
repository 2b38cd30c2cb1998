"""`make trace`: what it says is made from what ran, and every kind of hole is named."""

import subprocess
import sys
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trace_rig import ROOT, TraceRig, entry

from hil.errors import InputError
from tools.tracing.watch import Watch, functions_of
from tools.tree import tree_hash

STEP = entry("rule.py:may_step", "rule.py:LIMIT")


@pytest.fixture(scope="module")
def rig(tmp_path_factory):
    """A small repository after one whole run of its tests."""
    made = TraceRig(tmp_path_factory.mktemp("trace"))
    made.pytest()
    return made


@pytest.fixture
def fresh(tmp_path):
    return TraceRig(tmp_path)


def problems(matrix, id):
    return [problem for problem in matrix.problems if problem.startswith(id)]


def row(matrix, id):
    return next(row for row in matrix.rows if row.requirement.id == id)


def test_a_requirement_that_is_held_has_no_problem_and_shows_its_strengths(rig):
    matrix = rig.trace(R_STEP_1=STEP)
    assert problems(matrix, "R-STEP-1") == []
    held = row(matrix, "R-STEP-1")
    assert held.strengths == {"PROVEN": 1, "PROPERTY": 1, "EXAMPLE": 2}
    assert (held.strength, held.stories, len(held.passed)) == ("PROVEN", 3, 4)


def test_a_domain_that_is_only_a_part_of_a_requirement_proves_nothing_of_it(rig):
    assert row(rig.trace(R_PART_1=STEP), "R-PART-1").strengths == {"EXAMPLE": 1}


def test_a_marker_with_an_unknown_id_is_a_problem(rig):
    found = problems(rig.trace(R_STEP_1=STEP), "R-NOSUCH-1")
    assert len(found) == 1
    assert "unknown id" in found[0]
    assert "test_that_bears_an_id_nobody_knows" in found[0]


def test_an_id_that_nothing_bears_is_an_orphan(rig):
    assert problems(rig.trace(R_LONE_1=STEP), "R-LONE-1") == ["R-LONE-1: orphan: no test, scenario or campaign bears the id"]


def test_an_id_whose_only_test_was_skipped_is_uncovered(rig):
    matrix = rig.trace(R_SKIP_1=STEP)
    assert problems(matrix, "R-SKIP-1") == ["R-SKIP-1: uncovered: nothing that bears the id passed"]
    assert row(matrix, "R-SKIP-1").strength == "GAP"


def test_a_failing_test_behind_an_id_is_a_problem_and_no_evidence(rig):
    matrix = rig.trace(R_FAIL_1=STEP)
    assert "R-FAIL-1: test host_tests/test_rule.py::test_that_fails failed" in problems(matrix, "R-FAIL-1")
    assert row(matrix, "R-FAIL-1").passed == ()


@pytest.mark.parametrize("place", ["rule.py:gone", "rule.py:Pump.gone", "gone.py:may_step", "hil/gone.py:may_step", "rule.py:Pump"])
def test_a_place_that_does_not_exist_is_a_problem(rig, place):
    assert problems(rig.trace(R_STEP_1=entry(place)), "R-STEP-1") == [f"R-STEP-1: enforced place {place} does not exist"]


@pytest.mark.parametrize("place", ["rule.py:may_stop", "rule.py:Pump.stop"])
def test_a_function_that_no_test_of_the_id_entered_is_not_exercised(rig, place):
    assert problems(rig.trace(R_STOP_1=entry(place)), "R-STOP-1") == []
    assert problems(rig.trace(R_STEP_1=entry(place)), "R-STEP-1") == [
        f"R-STEP-1: {place} is not exercised: no passing test that bears the id entered it"
    ]


def test_a_test_that_entered_no_place_of_its_requirement_is_no_evidence(rig):
    held = row(rig.trace(R_STEP_1=entry("rule.py:may_stop")), "R-STEP-1")
    assert (len(held.passed), held.stories, held.strength) == (4, 0, "GAP")


def test_an_open_requirement_is_a_gap_and_no_problem(rig):
    matrix = rig.trace(R_LATER_1=entry(open="no board has a sensor"))
    assert problems(matrix, "R-LATER-1") == []
    assert row(matrix, "R-LATER-1").strength == "GAP"


def test_an_open_requirement_that_something_holds_is_a_problem(rig):
    assert "is said to be open" in problems(rig.trace(R_STOP_1=entry(open="later")), "R-STOP-1")[0]


@pytest.mark.parametrize(
    ("body", "key"),
    [
        (entry(), "enforced"),
        (entry("may_step"), "enforced"),
        (entry("rule.py:may_step", kind="hearsay"), "kind"),
        (entry("rule.py:may_step", test="x"), "test"),
        (entry("rule.py:may_step", text=" "), "text"),
    ],
)
def test_an_entry_that_makes_no_sense_is_named_with_its_key(rig, body, key):
    with pytest.raises(InputError) as error:
        rig.trace(R_STEP_1=body)
    assert f"R-STEP-1.{key}" in str(error.value)


def test_results_of_another_tree_are_refused(fresh):
    fresh.pytest()
    before = fresh.trace(R_STEP_1=STEP)
    fresh.write("firmware/doseloop/rule.py", (fresh.root / "firmware/doseloop/rule.py").read_text() + "# changed\n")
    after = fresh.trace(R_STEP_1=STEP)
    assert row(before, "R-STEP-1").strength == "PROVEN"
    assert row(after, "R-STEP-1").strength == "GAP"
    assert [problem.split(" is missing")[0] for problem in after.problems] == [
        "build/trace/tests.json", "build/scenarios/results.json", "build/campaign/result.json"
    ]  # fmt: skip


@pytest.mark.parametrize("words", [("host_tests", "-k", "stop"), ("host_tests/test_rule.py",), ("host_tests", "-x")])
def test_a_run_of_a_few_tests_leaves_no_evidence(fresh, words):
    fresh.pytest(*words)
    assert fresh.ran() is None


def test_a_tree_that_changed_while_its_tests_ran_leaves_no_evidence_and_says_so(fresh):
    fresh.write("host_tests/test_change.py", "def test_change():\n    open('firmware/doseloop/new.py', 'w').close()\n")
    assert "the tree changed while the tests ran" in fresh.pytest()
    assert fresh.ran() is None


def test_a_run_on_two_workers_leaves_the_same_evidence(rig, fresh):
    fresh.pytest("-n", "2", "host_tests")
    assert fresh.ran() == rig.ran()
    assert fresh.ran()["test_a_stop_is_obeyed"]["entered"] == {"doseloop/rule.py:Pump.stop", "doseloop/rule.py:may_stop"}


def test_the_tree_is_its_content_and_not_its_requirements(fresh):
    before = tree_hash(fresh.root)
    fresh.write("host_tests/requirements.toml", "# only traced")
    fresh.write("build/anything.py", "# only built")
    assert tree_hash(fresh.root) == before
    fresh.write("host_tests/test_rule.py", "# tested")
    assert tree_hash(fresh.root) != before


def test_a_campaign_is_evidence_unless_it_disagreed_once(rig):
    rig.results(campaign={"requirements": ["R-STEP-1"], "histories": 100, "events": 6000})
    assert row(rig.trace(R_STEP_1=STEP), "R-STEP-1").strengths["CAMPAIGN"] == 1
    rig.results(campaign={"requirements": ["R-STEP-1"], "disagreements": 1})
    assert "R-STEP-1: the campaign failed" in problems(rig.trace(R_STEP_1=STEP), "R-STEP-1")
    rig.results()


def test_the_emulated_image_is_evidence_if_it_passed_on_this_tree(rig):
    rig.results(smoke={"verdict": "passed", "requirements": ["R-STOP-1"]})
    assert row(rig.trace(R_STOP_1=entry("rule.py:may_stop")), "R-STOP-1").strengths == {"EXAMPLE": 1, "EMULATED": 1}


@pytest.mark.parametrize(
    ("verdict", "strengths", "said"),
    [
        ("passed", {"EXAMPLE": 1, "EMULATED": 1}, []),
        ("failed", {"EXAMPLE": 1}, ["R-STOP-1: scenario on-the-board failed"]),
        ("skipped", {"EXAMPLE": 1}, []),
    ],
)
def test_a_story_of_emulated_boards_is_evidence_if_it_passed_on_this_tree(rig, verdict, strengths, said):
    rig.results(emulated={"on-the-board": {"verdict": verdict, "evidence": "EMULATED"}})
    matrix = rig.trace(R_STOP_1=entry("rule.py:may_stop"))
    assert row(matrix, "R-STOP-1").strengths == strengths
    assert [problem for problem in matrix.problems if "R-STOP-1" in problem] == said


@pytest.mark.parametrize(
    ("results", "strengths", "said"),
    [
        ({"story": {"verdict": "passed", "evidence": "SIMULATED"}}, {"EXAMPLE": 2}, []),
        ({"story": {"verdict": "passed", "evidence": "MEASURED"}}, {"EXAMPLE": 1, "MEASURED": 1}, []),
        ({"story": {"verdict": "FAILED", "evidence": "SIMULATED"}}, {"EXAMPLE": 1}, ["R-STOP-1: scenario story failed"]),
        ({}, {"EXAMPLE": 1}, []),
    ],
)
def test_a_scenario_that_names_requirements_is_evidence_if_it_passed(rig, results, strengths, said):
    rig.results(scenarios=results)
    matrix = rig.trace(R_STOP_1=entry("rule.py:may_stop"))
    assert row(matrix, "R-STOP-1").strengths == strengths
    assert problems(matrix, "R-STOP-1") == said
    rig.results()


def test_the_command_says_every_hole_in_a_sentence_and_exits_1(rig):
    rig.trace(R_STEP_1=STEP, R_LONE_1=STEP)
    command = [sys.executable, "-m", "tools.tracing", "--reuse", "--root", str(rig.root)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "R-LONE-1: orphan" in done.stdout
    assert "R-NOSUCH-1: unknown id" in done.stdout
    page = (rig.root / "build/trace/trace.html").read_text("utf-8")
    assert "R-LONE-1: orphan" in page
    assert "rule.py:may_step" in page
    assert "| R-STEP-1 |" in (rig.root / "build/trace/trace.md").read_text("utf-8")


def sample(first, second=2, *rest, third=3, **named):
    return first, second, rest, third, named


class Sample:
    def __init__(self, value):
        self.value = value

    @property
    def double(self):
        return 2 * self.value

    @classmethod
    def make(cls, value):
        return cls(value)

    @staticmethod
    def plain(value):
        return value

    def count_down(self):
        yield self.value
        if self.value:
            yield from Sample(self.value - 1).count_down()


def watched():
    watch = Watch(())
    for place, function in functions_of(SimpleNamespace(__name__=__name__, sample=sample, Sample=Sample)):
        watch.take_in(place, function)
    return watch


@given(st.lists(st.integers(), min_size=1), st.dictionaries(st.sampled_from("abc"), st.integers()))
def test_a_watched_function_does_what_it_did(given, named):
    expected = sample(*given, **named)
    watch = watched()
    watch.start()
    assert (sample(*given, **named), sample(*given, **named)) == (expected, expected)
    assert watch.stop() == ["test_trace.py:sample"]
    assert sample(*given, **named) == expected


def test_methods_properties_and_generators_are_watched_and_only_since_the_start():
    watch = watched()
    watch.start()
    made = Sample.make(3)
    assert (made.double, Sample.plain(4), list(made.count_down())) == (6, 4, [3, 2, 1, 0])
    names = ["__init__", "count_down", "double", "make", "plain"]
    assert watch.stop() == [f"test_trace.py:Sample.{name}" for name in names]
    watch.start()
    assert made.double == 6
    assert watch.stop() == ["test_trace.py:Sample.double"]
