"""The same answers on CPython and MicroPython: a fixed share of what `make equal` compares."""

import sys

import pytest

from hil.errors import TargetError
from hil.targets.process import find_micropython
from tools import equal

SHARE = 4  # percent


@pytest.fixture(autouse=True)
def unix_port():
    try:
        find_micropython()
    except TargetError as error:
        pytest.skip(f"NOT TESTED on MicroPython: {error}")


@pytest.mark.req("R-UNIT-1", "R-UNIT-3")
@pytest.mark.parametrize("section", equal.SECTIONS)
def test_cpython_and_micropython_answer_alike(section):
    count = equal.SECTIONS[section] * SHARE // 100
    here, there = equal.compare(section, count)
    assert here.count == there.count == count and here.digest == there.digest


def test_a_whole_run_holds_more_than_20000_answers():
    assert sum(equal.SECTIONS.values()) >= 20_000


def test_other_cases_have_another_digest():
    one, other = (equal.answers(equal.cpython(), equal.script("units", count)) for count in (150, 151))
    assert one.digest != other.digest


def test_the_first_answer_that_differs_is_shown(monkeypatch):
    """CPython is made to divide by another number, as a port with another integer might."""
    wrong = "import sys; exec(sys.argv[2].replace('draw.below(10_000_000)', 'draw.below(10_000_001)'))"
    monkeypatch.setattr(equal, "cpython", lambda: [sys.executable, "-c", wrong])
    with pytest.raises(equal.Unlike) as unlike:
        equal.compare("units", 250)
    lines = str(unlike.value).splitlines()
    assert lines[0] == "units: the first answer that differs" and lines[1].split()[:2] == ["CPython", "answer"]
    assert lines[1].split()[2] == lines[2].split()[2]


def test_the_emulated_pico_is_asked_some_of_every_section_by_default():
    share = equal.EMULATED_SHARE
    assert share.keys() == equal.SECTIONS.keys() and all(0 < count <= equal.SECTIONS[name] for name, count in share.items())
    assert sum(share.values()) >= 500


def test_another_interpreter_is_compared_the_same_way():
    """One that answers otherwise is found out, whichever it is."""

    def wrong(text):
        return equal.answers(equal.cpython(), text.replace("draw.below(10_000_000)", "draw.below(10_000_001)"))

    with pytest.raises(equal.Unlike, match="first answer that differs"):
        equal.compare("units", 250, wrong)
    assert equal.compare("units", 50, equal.ask_cpython)[0].count == 50


@pytest.mark.req("R-UNIT-1")
def test_small_ints_of_31_bits_and_single_floats_answer_alike():
    """Where `make equal BOARD=unix32` has built it."""
    built = sorted((equal.ROOT / "build" / "pico").glob("unix32-*/micropython"))
    if not built:
        pytest.skip("NOT TESTED with 31-bit ints: `make equal BOARD=unix32` builds the interpreter for it")
    ask = equal.interpreter("unix32")[0]
    asked = "import sys; print(sys.maxsize == 0x7FFFFFFF, 16777216.0 + 1.0 == 16777216.0)\nprint('equal x 0 x')"
    assert ask(asked).lines[0] == "True True", "small ints of 31 bits, single floats"
    for section in equal.SECTIONS:
        here, there = equal.compare(section, equal.SECTIONS[section] * SHARE // 100, ask)
        assert here.digest == there.digest
