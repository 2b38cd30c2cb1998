"""Three operators beside Cosmic Ray's own: a statement left out, a sum turned around, another refusal code.

The firmware is state and codes: a forgotten `self._low_from = None` or a wrong "TOO_SOON" is what a slip looks like here,
and Cosmic Ray 8.7 changes neither statements, nor `+=`, nor texts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import cosmic_ray.plugins
from cosmic_ray.operators.operator import Operator

Place = tuple[tuple[int, int], tuple[int, int]]

_CODE = re.compile(r'"[A-Z][A-Z_0-9]{2,}"')
_REMOVABLE = ("expr_stmt", "atom_expr", "power", "raise_stmt")
_TURNED = {"+=": "-=", "-=": "+=", "|=": "&=", "&=": "|="}


class RemoveStatement(Operator):
    """`self.acked = False` or a bare call or `raise` in a function becomes `pass`."""

    def mutation_positions(self, node: Any) -> Iterator[Place]:
        if node.type == "simple_stmt" and node.children[0].type in _REMOVABLE and _in_function(node):
            yield node.start_pos, node.end_pos

    def mutate(self, node: Any, index: int) -> Any:
        node.children[0] = _leaf_like(_first_leaf(node), "pass")
        return node

    @classmethod
    def examples(cls) -> tuple[Any, ...]:
        return ()


class TurnAugmented(Operator):
    """`+=` becomes `-=`, and the other way round."""

    def mutation_positions(self, node: Any) -> Iterator[Place]:
        if getattr(node, "value", None) in _TURNED:
            yield node.start_pos, node.end_pos

    def mutate(self, node: Any, index: int) -> Any:
        node.value = _TURNED[node.value]
        return node

    @classmethod
    def examples(cls) -> tuple[Any, ...]:
        return ()


class ReplaceCode(Operator):
    """`"TOO_SOON"` becomes `"XTOO_SOON"`: codes are what a program on the other side reads."""

    def mutation_positions(self, node: Any) -> Iterator[Place]:
        if node.type == "string" and _CODE.fullmatch(node.value):
            yield node.start_pos, node.end_pos

    def mutate(self, node: Any, index: int) -> Any:
        node.value = '"X' + node.value[1:]
        return node

    @classmethod
    def examples(cls) -> tuple[Any, ...]:
        return ()


def _in_function(node: Any) -> bool:
    while node is not None and node.type != "funcdef":
        node = node.parent
    return node is not None


def _first_leaf(node: Any) -> Any:
    while hasattr(node, "children"):
        node = node.children[0]
    return node


def _leaf_like(leaf: Any, value: str) -> Any:
    """A leaf of its own, with the white space before it."""
    return type(leaf)(value, leaf.start_pos, leaf.prefix)


def register() -> None:
    """Make them known to Cosmic Ray as `doseloop/...`."""
    own = (RemoveStatement, TurnAugmented, ReplaceCode)
    cosmic_ray.plugins.OPERATOR_PROVIDERS["doseloop"] = {operator.__name__: operator for operator in own}
