"""The bench's one exception family. Every message is a sentence for a person and names the next step."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

SHOWN = 60  # characters of what somebody wrote
LONGEST_NAME = 300  # characters of a file's name with its folders


def shown(value: object) -> str:
    """A value of a file as a sentence can hold it: its beginning, if it is long."""
    try:
        text = repr(value)
    except ValueError:  # more digits than Python will write out
        return "a number of thousands of digits"
    return text if len(text) <= SHOWN else text[:SHOWN] + "..."


class BenchError(Exception):
    """Base of all errors the bench raises on purpose; the command line prints it and never a traceback."""


class InputError(BenchError):
    """A file a person wrote (scenario or program) is wrong: names the file, the key and what is allowed."""

    def __init__(self, where: str, problem: str, source: Path | str | None = None) -> None:
        self.where = where
        self.problem = problem
        self.source = source
        super().__init__(": ".join(part for part in (str(source or "")[:LONGEST_NAME], where, problem) if part))

    def in_file(self, source: Path | str) -> InputError:
        """The same error with the file's name in front, unless it has one already."""
        return type(self)(self.where, self.problem, self.source or source)


class BenchUnusable(BenchError):
    """The bench itself cannot go on (exit 2): nothing is said about the pump's dose."""


class TargetError(BenchUnusable):
    """The pump under test cannot be started, or died, or does not answer in real time."""


class LinkError(BenchUnusable):
    """The serial line is absent, busy, gone, or carries something that is not the protocol."""


class Refused(BenchError):
    """The pump refused a command: a stable code, its sentence, and its fields."""

    def __init__(self, code: str, text: str, fields: Mapping[str, str], verb: str = "") -> None:
        self.code = code
        self.text = text
        self.fields = dict(fields)
        self.verb = verb
        super().__init__(f"{verb or 'the command'} was refused: {code} {text}".rstrip())
