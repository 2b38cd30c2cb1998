"""What an order gets for an answer: OK and its notes, or the refusal that is named when several apply."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple

from .label import RANK

if TYPE_CHECKING:
    from .program import Ng

# A code, and the figures that a pump gives with it by their names: most, least, wait, limit, next, want (ng, nL, ms, mcg, mcg/mL).
Refusal = tuple[str, dict[str, Any]]


class Verdict(NamedTuple):
    """OK and its notes, or a refusal's code and its figures."""

    code: str
    detail: Any = ()

    @property
    def ok(self) -> bool:
        """Whether it was accepted."""
        return self.code == "OK"


def first(*found: Iterable[Refusal]) -> Refusal | None:
    """The refusal that is named when several apply."""
    every = [refusal for rule in found for refusal in rule]
    return min(every, key=lambda refusal: RANK[refusal[0]], default=None)


def floor_ng(dose: Ng) -> int:
    """The most: whole ng, never above the limit."""
    return dose if isinstance(dose, int) else dose.numerator // dose.denominator


def ceil_ng(dose: Ng) -> int:
    """The least: whole ng, never below the limit."""
    return dose if isinstance(dose, int) else -(-dose.numerator // dose.denominator)


def percent_of(percent: int, dose: Ng) -> Ng:
    """So many hundredths of a dose, exactly."""
    return Fraction(percent * dose, 100)
