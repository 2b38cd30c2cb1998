"""What `make mutation` says: names that outlive a move, reasons that go stale, and what fails the run."""

from types import SimpleNamespace

import pytest

from tools.mutation.explained import explanations
from tools.mutation.keys import Key, Mutant, code_of, squeezed
from tools.mutation.report import Report
from tools.mutation.session import HOST_TESTS, SOURCES, Verdict

REASONS = HOST_TESTS / "equivalent_mutants.toml"
ENTRY = '[[mutant]]\nmodule = "m"\nfunction = "f"\nwhy = "a reason that is long enough"\n'


def mutant(after, line=1):
    return Mutant(Key("m", "f", "a", after), "Op", (line, 0), frozenset(), "")


def reported(lived, killed, reasons):
    """The Report over one module with these mutants."""
    verdicts = {each.key.id: Verdict(each.key.id, "", 3) for each in lived} | {each.key.id: Verdict(each.key.id, "t", 3) for each in killed}
    report = Report({Key("m", "f", "a", after): "why" for after in reasons})
    report.add(SimpleNamespace(module="m", mutants=[*lived, *killed], verdicts=verdicts))
    return report


# ---- what fails the run


def test_all_killed_or_explained_passes():
    report = reported([mutant("b")], [mutant("c")], ["b"])
    assert report.problems == [] and report.rows == [("m", 2, 2, 1, 0, 1, 1, 0)]
    assert "why: why" in report.text()


def test_one_that_lives_unexplained_fails_and_is_shown_with_its_change():
    report = reported([mutant("b", 7)], [], [])
    assert len(report.problems) == 1 and "m: 1 live unexplained" in report.problems[0]
    assert report.lines == ["m.py:7 f (Op, 3 tests reach it)", "  - a", "  + b", "  NOT EXPLAINED"]


def test_a_reason_for_one_that_a_test_sees_is_stale():
    assert reported([], [mutant("b")], ["b"]).problems == ["stale, a test sees it: m f #1: a -> b"]


def test_a_reason_for_one_that_is_no_more_is_stale():
    assert reported([], [mutant("b")], ["c"]).problems == ["stale, no such mutant: m f #1: a -> c"]


# ---- reasons


def test_one_reason_may_stand_for_several_changes(tmp_path):
    path = tmp_path / "reasons.toml"
    path.write_text(ENTRY + 'changes = [["a", "b"], ["a", "b", 2]]\n')
    assert set(explanations(path)) == {Key("m", "f", "a", "b", 1), Key("m", "f", "a", "b", 2)}


@pytest.mark.parametrize(
    "text",
    [
        ENTRY,
        ENTRY.replace("a reason that is long enough", "because") + 'changes = [["a", "b"]]\n',
        ENTRY + 'changes = [["a", "b"], ["a", "b", 1]]\n',
        ENTRY + 'changes = [["a", "b"]]\nline = 7\n',
    ],
)
def test_a_reason_that_is_incomplete_or_given_twice_is_refused(tmp_path, text):
    path = tmp_path / "reasons.toml"
    path.write_text(text)
    with pytest.raises(SystemExit):
        explanations(path)


def test_each_reason_of_the_project_speaks_of_a_line_that_is_there():
    for key in explanations(REASONS):
        lines = (SOURCES / f"{key.module}.py").read_text("utf-8").split("\n")
        assert key.before in [squeezed(code_of(line)) for line in lines], key


# ---- the mutants themselves

SOURCE = '''
class A:
    def f(self, x):
        if x < 1:  # a comment
            self.n += 1
            raise ValueError("TOO_SOON")
        return x < 1
'''


def keys(tmp_path, source):
    pytest.importorskip("cosmic_ray", reason="NOT TESTED: make mutation installs it")
    from tools.mutation import mutants, operators

    operators.register()
    path = tmp_path / "m.py"
    path.write_text(source)
    return [each.key for each in mutants.mutants_of(path, [".*_(Is|IsNot)"])]


def test_a_mutant_is_named_by_function_and_line_before_and_after(tmp_path):
    found = keys(tmp_path, SOURCE)
    assert {
        Key("m", "A.f", "if x < 1:", "if x <= 1:"),
        Key("m", "A.f", "if x < 1:", "if x < 2:"),
        Key("m", "A.f", "return x < 1", "return x <= 1"),
        Key("m", "A.f", "self.n += 1", "pass"),
        Key("m", "A.f", "self.n += 1", "self.n -= 1"),
        Key("m", "A.f", 'raise ValueError("TOO_SOON")', 'raise ValueError("XTOO_SOON")'),
    } <= set(found)
    assert len(found) == len(set(found))


def test_a_name_outlives_a_move_of_its_line_and_a_change_of_its_comment(tmp_path):
    moved = "# more\n\nLIMIT = None\n" + SOURCE.replace("a comment", "another")
    assert set(keys(tmp_path, SOURCE)) == set(keys(tmp_path, moved))


def test_equal_changes_of_equal_lines_are_told_apart_by_their_number(tmp_path):
    twice = SOURCE.replace("        return x < 1\n", "        if x < 1:\n            return 0\n")
    found = [key for key in keys(tmp_path, twice) if key.after == "if x <= 1:"]
    assert [key.occurrence for key in found] == [1, 2] and len({key.id for key in found}) == 2
