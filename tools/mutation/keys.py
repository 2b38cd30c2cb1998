"""What a mutant is called: by its module, function and changed line, so that the name outlives a move of the line."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Key:
    """What a mutant is, without line numbers: `occurrence` counts equal ones within the function."""

    module: str
    function: str  # Class.function, "" at the top of the module
    before: str
    after: str
    occurrence: int = 1

    @property
    def id(self) -> str:
        text = "\0".join((self.module, self.function, self.before, self.after, str(self.occurrence)))
        return hashlib.sha256(text.encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Mutant:
    key: Key
    operator: str
    start: tuple[int, int]  # (line, column) of what is changed
    lines: frozenset[int]  # of the function it stands in; empty outside of functions: every test reaches it
    source: str = field(repr=False)


def code_of(line: str) -> str:
    """A line without its comment."""
    return line.split("  # ")[0]


def squeezed(text: str) -> str:
    """White space squeezed, and without the stray blanks that Cosmic Ray leaves: `const( 2)`."""
    return re.sub(r"([(\[{]) ", r"\1", re.sub(r"[ \t]+", " ", text)).strip()
