"""Gives the private names of frozen modules short ones: each name costs flash for its letters and for its place in the table of names.

A name with one leading underscore belongs to the module it stands in. Nothing outside spells it, so an image may call it what it
likes: a traceback shows the short name, and names.json beside the image tells the source's. `tools/image.py --readable` builds an
image with the source's names and line numbers instead. Only tokens that are names change; the text of the firmware stays.
"""

from __future__ import annotations

import ast
import io
import keyword
import re
import tokenize
from collections.abc import Iterator, Mapping
from itertools import count, product
from pathlib import PurePosixPath
from string import ascii_letters, digits

_PRIVATE = re.compile(r"_[A-Za-z0-9]\w*")


class NamesError(Exception):
    """A private name is used where it cannot be changed; the message names the place."""


def is_private(name: str) -> bool:
    return bool(_PRIVATE.fullmatch(name))


def private_names(source: str) -> set[str]:
    return {token.string for token in _names(source) if is_private(token.string)}


def _names(source: str) -> Iterator[tokenize.TokenInfo]:
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.NAME and not keyword.iskeyword(token.string):
            yield token


def _scope(name: str) -> str:
    """Modules of one scope may share objects: a hal is built from classes of several of the top level's; elsewhere none inherits."""
    path = PurePosixPath(name)
    return name if path.parent.name else "top level"


def _check(name: str, source: str, private: set[str]) -> None:
    """No string spells a private name, and no class of a package has a base from another module."""
    tree = ast.parse(source, name)
    imported = {alias.asname or alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and node.value in private:
            raise NamesError(f"{name}, line {node.lineno}: the string {node.value!r} spells a private name; give one of them another name")
        if isinstance(node, ast.ClassDef) and _scope(name) == name:
            bases = sorted({base.id for base in node.bases if isinstance(base, ast.Name)} & imported)
            if bases:
                raise NamesError(f"{name}, line {node.lineno}: {node.name} inherits {bases[0]} of another module, whose names are others")


def _short_names() -> Iterator[str]:
    for length in count(1):
        for letters in product(ascii_letters + digits, repeat=length):
            yield "_" + "".join(letters)


def shorten(sources: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """The sources by module name, with short private names; and source's name -> short name.

    A short name serves for several private names where no scope has two of them.
    """
    names = {module: private_names(source) for module, source in sources.items()}
    private = set().union(*names.values())
    scopes: dict[str, set[str]] = {name: set() for name in private}
    for module, source in sources.items():
        _check(module, source, private)
        for name in names[module]:
            scopes[name].add(_scope(module))
    short = _assign(scopes)
    return {module: _renamed(source, short) for module, source in sources.items()}, short


def _assign(scopes: Mapping[str, set[str]]) -> dict[str, str]:
    """Names of many scopes first; each gets the first short name that is free in all of its scopes."""
    taken: dict[str, set[str]] = {}
    short: dict[str, str] = {}
    for name in sorted(scopes, key=lambda name: (-len(scopes[name]), name)):
        found = next(one for one in _short_names() if not taken.get(one, set()) & scopes[name])
        taken.setdefault(found, set()).update(scopes[name])
        short[name] = found
    return short


def _renamed(source: str, short: Mapping[str, str]) -> str:
    lines = source.splitlines(keepends=True)
    for token in reversed([token for token in _names(source) if token.string in short]):
        row, column = token.start
        line = lines[row - 1]
        lines[row - 1] = line[:column] + short[token.string] + line[column + len(token.string) :]
    return "".join(lines)
