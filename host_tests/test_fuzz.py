"""The fuzzer's corpus, replayed without the fuzzer: every input that once reached something new (make fuzz adds to it)."""

from pathlib import Path

import pytest
from fuzz import oracle
from hypothesis import given
from hypothesis import strategies as st

from doseloop import alarms, commands, frame

CORPUS = sorted((Path(__file__).parent / "fuzz" / "corpus").iterdir())


def replay():
    for path in CORPUS:
        oracle.check(path.read_bytes())


def test_nothing_but_the_wires_own_errors_leaves_a_parser_and_what_is_accepted_is_made_of_its_parts():
    assert len(CORPUS) > 100
    replay()


@given(st.binary(max_size=120))
def test_it_holds_for_any_bytes(data):
    oracle.check(data)


def test_the_corpus_reaches_every_target():
    assert {path.read_bytes()[0] % 5 for path in CORPUS if path.read_bytes()} == set(range(5))


def stumbles(text, start, value_at=frame._value_at):
    return value_at(text, start) if text[start] else None


PLANTED = {
    "a value read beyond the end": (frame, "_value_at", stumbles),
    "any name will do": (frame, "_is_name", lambda name: True),
    "a quantity of any size": (commands, "_in_range", lambda name, value, least, most, unit: value),
    "a verb that stumbles over a word it does not know": (alarms.Alarms, "acknowledge", lambda self, code: {}[code]),
    "every CRC is right": (frame, "_checked", lambda line: str(line[: line.rfind(b"*")], "ascii")),
}


@pytest.mark.parametrize("name", PLANTED)
def test_the_corpus_finds(name, monkeypatch):
    where, what, bug = PLANTED[name]
    monkeypatch.setattr(oracle, "_host", None)
    monkeypatch.setattr(where, what, bug)
    with pytest.raises((AssertionError, IndexError, KeyError, ValueError)):
        replay()
