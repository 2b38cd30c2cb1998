"""One line of what the doctor found."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

OK = "ok"
NOTE = "note"  # something optional is not here, or somebody should look
WRONG = "WRONG"  # the bench cannot be used so


@dataclass(frozen=True)
class Finding:
    """What was looked at, what was seen, and the next step ("" where there is nothing to do)."""

    state: str
    what: str
    seen: str
    next: str = ""


def lines(findings: Iterable[Finding]) -> Iterator[str]:
    """For a person: a line each, the next step below it."""
    for found in findings:
        yield f"{found.state:5s} {found.what:22s} {found.seen}"
        if found.next:
            yield f"      next: {found.next}"
