"""Gives the names of frozen modules short ones: each name costs flash for its letters and for its place in the table of names.

A name with one leading underscore belongs to the module it stands in. A public one is renamed as well, in all modules alike, where nobody
but our modules spells it: MicroPython does not know it (`known`), no string of ours is it, and it is no module's. An image may call
these what it likes: a traceback shows the short name, and names.json beside the image tells the source's. The manifest
manifest_readable.py builds an image with the source's names and line numbers instead. Only tokens that are names change.
"""

from __future__ import annotations

import ast
import builtins
import io
import keyword
import re
import tokenize
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import count, product
from pathlib import Path, PurePosixPath
from string import ascii_letters, digits

_PRIVATE = re.compile(r"_[A-Za-z0-9]\w*")
_FOLDED = re.compile(r"^(_\w+) = const\(", re.MULTILINE)  # the compiler forgets its name: any name will do
_EVERYWHERE = "everywhere"
# Where MicroPython's C sources name what Python code may call, beside a port's own folder.
_C_FOLDERS = ("py", "extmod", "shared", "drivers", "lib/micropython-lib")
RP2 = ("ports/rp2",)


class NamesError(Exception):
    """A name is used where it cannot be changed; the message names the place."""


def is_private(name: str) -> bool:
    return bool(_PRIVATE.fullmatch(name))


def private_names(source: str) -> set[str]:
    return {token.string for token in _names(source) if is_private(token.string)}


def all_names(source: str) -> set[str]:
    return {token.string for token in _names(source)}


def _names(source: str) -> Iterator[tokenize.TokenInfo]:
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.NAME and not keyword.iskeyword(token.string):
            yield token


# ---- what MicroPython knows


def micropython_names(source_tree: Path, python: Iterable[Path] = (), ports: Sequence[str] = RP2) -> set[str]:
    """Every name that its C sources give to Python code, on whatever board of these ports; and every word of the Python modules."""
    known: set[str] = set()
    for folder in (*_C_FOLDERS, *ports):
        for path in (source_tree / folder).rglob("*.[ch]"):
            known.update(re.findall(r"MP_QSTR_(\w+)", path.read_text("utf-8", "replace")))
    if "append" not in known:
        raise NamesError(f"{source_tree} names nothing that Python code may call: is it a MicroPython checkout?")
    for path in [*(path for port in ports for path in (source_tree / port / "modules").rglob("*.py")), *python]:
        known.update(re.findall(r"[A-Za-z_]\w*", path.read_text("utf-8")))
    return known


# ---- what may be renamed


def _scope(name: str) -> str:
    """Modules of one scope may share objects: a hal is built from classes of several of the top level's; elsewhere none inherits."""
    path = PurePosixPath(name)
    return name if path.parent.name else "top level"


def _check(name: str, tree: ast.Module, private: set[str]) -> None:
    """No string spells a private name, and no class has a base from a module of another scope."""
    imported = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and _scope(f"{(node.module or '').replace('.', '/')}.py") != _scope(name)
        for alias in node.names
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and node.value in private:
            raise NamesError(f"{name}, line {node.lineno}: the string {node.value!r} spells a private name; give one of them another name")
        if isinstance(node, ast.ClassDef):
            bases = sorted({base.id for base in node.bases if isinstance(base, ast.Name)} & imported)
            if bases:
                raise NamesError(f"{name}, line {node.lineno}: {node.name} inherits {bases[0]} of another module, whose names are others")
        if isinstance(node, ast.JoinedStr):
            raise NamesError(f"{name}, line {node.lineno}: an f-string holds names that would stay as they are; use %")


def _fixed(trees: Mapping[str, ast.Module]) -> set[str]:
    """What our own modules reach as text or as a module's name."""
    found = {part for name in trees for part in PurePosixPath(name).with_suffix("").parts}
    for tree in trees.values():
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.add(node.value)
            if isinstance(node, ast.Import):
                found.update(part for alias in node.names for part in alias.name.split("."))
            if isinstance(node, ast.ImportFrom):
                found.update((node.module or "").split("."))
    return found


def _given_to_others(tree: ast.Module) -> set[str]:
    """Attributes that a module sets on what is not its own `self`: they lie beside names of another module."""
    return {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and not isinstance(node.ctx, ast.Load)
        and not (isinstance(node.value, ast.Name) and node.value.id == "self")
    }


# ---- the short names


def _short_names(first: str) -> Iterator[str]:
    for length in count(1):
        for letters in product(ascii_letters + digits, repeat=length):
            name = first + "".join(letters)
            if name.isidentifier() and not keyword.iskeyword(name):
                yield name


def shorten(sources: Mapping[str, str], known: set[str] | None = None) -> tuple[dict[str, str], dict[str, str]]:
    """The sources by module name, with short names; and source's name -> short name. Without `known` only private ones.

    A short name serves for several names where no scope has two of them.
    """
    trees = {module: ast.parse(source, module) for module, source in sources.items()}
    names = {module: all_names(source) for module, source in sources.items()}
    everything = set().union(*names.values())
    private = {name for name in everything if is_private(name)}
    for module, tree in trees.items():
        _check(module, tree, private)
    public = set() if known is None else _renamable(everything - private, known | _fixed(trees))
    scopes = _scopes(names, private | public, set().union(*map(_given_to_others, trees.values())))
    folded = set().union(*(_FOLDED.findall(source) for source in sources.values()))
    taken = everything - private - public | set(dir(builtins)) | {name for name in known or () if len(name) > 1}
    short = _assign({name: scopes[name] for name in private}, "_", folded, set())
    short |= _assign({name: scopes[name] for name in public}, "", set(), taken)
    return {module: renamed(source, short) for module, source in sources.items()}, short


def renamable(sources: Mapping[str, str], known: set[str]) -> set[str]:
    """The public names that shorten() may give short ones."""
    names = set().union(*map(all_names, sources.values()))
    return _renamable(names, known | _fixed({module: ast.parse(source, module) for module, source in sources.items()}))


def _renamable(names: set[str], kept: set[str]) -> set[str]:
    return {name for name in names if name not in kept and not name.startswith("_") and name not in dir(builtins) and len(name) > 1}


def _scopes(names: Mapping[str, set[str]], wanted: set[str], given: set[str]) -> dict[str, set[str]]:
    scopes: dict[str, set[str]] = {name: set() for name in wanted}
    for module, found in names.items():
        for name in found & wanted:
            scopes[name].add(_scope(module))
    whole = {_scope(module) for module in names}
    return {name: whole if name in given else found for name, found in scopes.items()}


def _assign(scopes: Mapping[str, set[str]], first: str, last: set[str], taken: set[str]) -> dict[str, str]:
    """Names of many scopes first, `last` ones last; each gets the first short name that is free in all of its scopes."""
    used: dict[str, set[str]] = {}
    short: dict[str, str] = {}
    for name in sorted(scopes, key=lambda name: (name in last, -len(scopes[name]), name)):
        found = next(one for one in _short_names(first) if one not in taken and not used.get(one, set()) & scopes[name])
        used.setdefault(found, set()).update(scopes[name])
        short[name] = found
    return short


def renamed(source: str, short: Mapping[str, str]) -> str:
    """The source with these names in place of its own."""
    lines = source.splitlines(keepends=True)
    for token in reversed([token for token in _names(source) if token.string in short]):
        row, column = token.start
        line = lines[row - 1]
        lines[row - 1] = line[:column] + short[token.string] + line[column + len(token.string) :]
    return "".join(lines)
