"""The mutants of a module: Cosmic Ray's operators applied one at a time, each with a name that outlives a move of its line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cosmic_ray.plugins
from cosmic_ray.ast import ast_nodes, get_ast

from .keys import Key, Mutant, code_of, squeezed


def operators(exclude: list[str]) -> dict[str, Any]:
    """Operators without arguments whose name (without the provider) matches none of the patterns."""
    found = {}
    for name in cosmic_ray.plugins.operator_names():
        kind = cosmic_ray.plugins.get_operator(name)
        short = name.split("/")[1]
        if not kind.arguments() and not any(re.fullmatch(pattern, short) for pattern in exclude):
            found[short] = kind()
    return found


def mutants_of(path: Path, exclude: list[str]) -> list[Mutant]:
    """All mutants of a module in the order of their places; equal changes of a line by two operators are one mutant."""
    source = path.read_text("utf-8")
    tree = get_ast(source)
    seen = {squeezed(source)}
    found = []
    for name, operator in operators(exclude).items():
        for node, index, start in _positions(tree, operator):
            text = _mutated(tree, node, operator, index)
            if text is None or squeezed(text) in seen:
                continue
            seen.add(squeezed(text))
            before, after = _changed(source, text)
            function, lines = _function_of(node)
            found.append(Mutant(Key(path.stem, function, before, after), name, start, lines, text))
    found.sort(key=lambda mutant: (mutant.start, mutant.operator, mutant.key.after))
    return _numbered(found)


def _numbered(mutants: list[Mutant]) -> list[Mutant]:
    """Equal changes of equal lines in one function get their numbers from the top."""
    counts: dict[Key, int] = {}
    found = []
    for mutant in mutants:
        counts[mutant.key] = counts.get(mutant.key, 0) + 1
        found.append(replace(mutant, key=replace(mutant.key, occurrence=counts[mutant.key])))
    return found


def _positions(tree: Any, operator: Any) -> list[tuple[Any, int, tuple[int, int]]]:
    return [(node, index, place[0]) for node in ast_nodes(tree) for index, place in enumerate(operator.mutation_positions(node))]


def _mutated(tree: Any, node: Any, operator: Any, index: int) -> str | None:
    """The module's text with this one change; the tree is left as it was (parsing it anew costs ten times as long).

    None where Cosmic Ray's operator cannot do it: 8.7.0 fails at a dotted name in `except (A, b.C)`.
    """
    siblings = node.parent.children
    place = siblings.index(node)
    children = list(getattr(node, "children", ()))
    values = [(leaf, leaf.value) for leaf in ast_nodes(node) if hasattr(leaf, "value")]
    try:
        siblings[place] = operator.mutate(node, index)
        text = str(tree.get_code())
    except AttributeError:
        text = None
    siblings[place] = node
    if children:
        node.children[:] = children
    for leaf, value in values:
        leaf.value = value
    return text


def _changed(source: str, text: str) -> tuple[str, str]:
    """The changed lines before and after, white space squeezed, comments left out."""
    old, new = source.split("\n"), text.split("\n")
    while old and new and old[0] == new[0]:
        old, new = old[1:], new[1:]
    while old and new and old[-1] == new[-1]:
        old, new = old[:-1], new[:-1]
    return squeezed(" ".join(map(code_of, old))), squeezed(" ".join(map(code_of, new)))


def _function_of(node: Any) -> tuple[str, frozenset[int]]:
    """(Class.function, its lines) that hold this node."""
    names: list[str] = []
    lines: frozenset[int] = frozenset()
    for above in _above(node):
        if above.type in ("funcdef", "classdef"):
            names.insert(0, above.name.value)
        if above.type == "funcdef" and not lines:
            lines = frozenset(range(above.start_pos[0] + 1, above.end_pos[0] + 1))
    return ".".join(names), lines


def _above(node: Any) -> Iterator[Any]:
    while node is not None:
        yield node
        node = node.parent
