"""Joins requirements and evidence, and names every hole in a sentence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tools.tracing.evidence import FAILED, GAP, PASSED, STRENGTHS, TEST, Evidence
from tools.tracing.requirements import FUNCTION, REQUIREMENTS, Place, Requirement, find


@dataclass(frozen=True)
class Row:
    """A requirement with all that bears its id."""

    requirement: Requirement
    evidence: tuple[Evidence, ...]

    @property
    def passed(self) -> tuple[Evidence, ...]:
        return tuple(each for each in self.evidence if each.outcome == PASSED)

    @property
    def holding(self) -> tuple[Evidence, ...]:
        """What passed and reached the code: a test counts if it entered a place that enforces the requirement.

        So the tests of the oracle, which read the same requirements, are no evidence for the firmware.
        """
        places = {place.watched for place in self.requirement.enforced}
        return tuple(each for each in self.passed if each.source != TEST or places & each.entered)

    @property
    def strengths(self) -> dict[str, int]:
        """How much holds of each strength, strongest first."""
        counts = Counter(each.strength for each in self.holding)
        return {strength: counts[strength] for strength in STRENGTHS if counts[strength]}

    @property
    def strength(self) -> str:
        return next(iter(self.strengths), GAP)

    @property
    def stories(self) -> int:
        """Tests, scenarios and campaigns that hold it; the cases of one parametrized test are one."""
        return len({(each.source, each.story) for each in self.holding})

    def exercised_by(self, place: Place) -> tuple[Evidence, ...]:
        """The passing tests with this id that entered a function."""
        return tuple(each for each in self.passed if place.watched in each.entered)


@dataclass(frozen=True)
class Matrix:
    rows: tuple[Row, ...]
    problems: tuple[str, ...]
    tree: str


def build(requirements: Iterable[Requirement], evidence: Iterable[Evidence], root: Path, tree: str) -> Matrix:
    found = list(evidence)
    rows = tuple(Row(each, tuple(e for e in found if each.id in e.requirements)) for each in requirements)
    problems = [*_unknown(rows, found), *_failures(found), *(problem for row in rows for problem in problems_of(row, root))]
    return Matrix(rows, tuple(problems), tree)


def _unknown(rows: tuple[Row, ...], evidence: list[Evidence]) -> Iterator[str]:
    """Ids that something bears and the file does not know."""
    known = {row.requirement.id for row in rows}
    bearers: dict[str, set[str]] = {}
    for each in evidence:
        for id in set(each.requirements) - known:
            bearers.setdefault(id, set()).add(each.story)
    for id, names in sorted(bearers.items()):
        yield f"{id}: unknown id, borne by {listed(names)}; {REQUIREMENTS} has no such requirement"


def _failures(evidence: list[Evidence]) -> Iterator[str]:
    """What failed, and the ids that rest on it."""
    for each in evidence:
        if each.outcome == FAILED and each.requirements:
            yield f"{listed(each.requirements)}: {each.source} {each.name} failed".replace("campaign campaign", "the campaign")


def problems_of(row: Row, root: Path) -> Iterator[str]:
    """What keeps a requirement from being held, a sentence each."""
    id = row.requirement.id
    for place in row.requirement.enforced:
        kind = find(place, root)
        if kind is None:
            yield f"{id}: enforced place {place.text} does not exist"
        elif kind[0] == FUNCTION and row.passed and not row.exercised_by(place):
            yield f"{id}: {place.text} is not exercised: no passing test that bears the id entered it"
    if row.requirement.open:
        if row.passed:
            yield f"{id}: is said to be open, but {listed({each.story for each in row.passed})} holds it"
    elif not row.evidence:
        yield f"{id}: orphan: no test, scenario or campaign bears the id"
    elif not row.passed:
        yield f"{id}: uncovered: nothing that bears the id passed"


def listed(names: Iterable[str], most: int = 3) -> str:
    """A few names, and how many more."""
    some = sorted(names)
    rest = f" and {len(some) - most} more" if len(some) > most else ""
    return ", ".join(some[:most]) + rest
