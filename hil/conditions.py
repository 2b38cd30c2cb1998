"""What a scenario expects of a value: `"running"`, `"<= 100"`, `"100..120"`, `"not DONE"`, or a plain number."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from hil.errors import InputError, shown

_NUMBER = r"[+-]?\d+(?:\.\d+)?"
_COMPARE = re.compile(rf"(<=|>=|<|>)\s*({_NUMBER})\s*\S*")
_RANGE = re.compile(rf"({_NUMBER})\s*\.\.\s*({_NUMBER})\s*\S*")
_LEADING = re.compile(rf"({_NUMBER})(?:\D.*)?")


@dataclass(frozen=True)
class Condition:
    """One expectation, as written, and how it is tested."""

    text: str
    low: Fraction | None = None
    high: Fraction | None = None
    open_low: bool = False
    open_high: bool = False
    negated: bool = False

    @property
    def numeric(self) -> bool:
        return self.low is not None or self.high is not None

    @property
    def is_range(self) -> bool:
        """It reads as a comparison by itself."""
        return self.numeric and self.low != self.high

    def holds(self, value: str) -> bool:
        """Whether a value of the wire (its unit may follow the number) meets it."""
        if not self.numeric:
            return (value == self.text) != self.negated
        number = leading_number(value)
        return number is not None and self._in_range(number)

    def _in_range(self, number: Fraction) -> bool:
        if self.low is not None and (number < self.low or (self.open_low and number == self.low)):
            return False
        return self.high is None or not (number > self.high or (self.open_high and number == self.high))

    def __str__(self) -> str:
        return f"not {self.text}" if self.negated else self.text


def leading_number(value: str) -> Fraction | None:
    """The number a value of the wire begins with."""
    match = _LEADING.fullmatch(value)
    return Fraction(match[1]) if match else None


def condition(value: object, where: str) -> Condition:
    """The condition a person wrote."""
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise InputError(where, f'{shown(value)} is no condition: write a text, a whole number, "<= 100", ">= 5" or "100..120"')
    text = str(value).strip()
    if match := _COMPARE.fullmatch(text):
        return _comparison(text, match[1], Fraction(match[2]))
    if match := _RANGE.fullmatch(text):
        return Condition(text, Fraction(match[1]), Fraction(match[2]))
    if text.startswith("not "):
        return Condition(text[4:], negated=True)
    if isinstance(value, int):
        return Condition(text, Fraction(value), Fraction(value))
    return Condition(text)


def _comparison(text: str, sign: str, number: Fraction) -> Condition:
    if sign[0] == "<":
        return Condition(text, high=number, open_high=sign == "<")
    return Condition(text, low=number, open_low=sign == ">")
