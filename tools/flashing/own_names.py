"""Names that nobody but our modules spells: tools/flash.py may give them short ones, without MicroPython's sources at hand.

A board that loads its modules from files keeps every name in its heap: short ones leave a Pico some 11 KB more. An image learns the
same of the sources that it is built from; here the list lies beside this file, for all boards at once. A name that is not in it stays,
and so does every name that no module of ours binds, for a board may have a newer MicroPython than the sources (1.25).
Use: python -m tools.flashing.own_names ; makes the list anew (it fetches the sources, as make image does); a test says when it is stale.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from tools.firmware_files import BOARDS, board_names, build_id, manifest_of, modules
from tools.flashing.keys import SCRIPT
from tools.flashing.payload import LAUNCHER, OWN_NAMES
from tools.frozen_names import all_names, micropython_names, renamable

PORTS = ("ports/rp2", "ports/esp32", "ports/stm32")


def sources() -> dict[str, str]:
    """The modules of all boards."""
    return {part.name: part.source.read_text("utf-8") for board in board_names() for part in modules(manifest_of(board))}


def spelled() -> set[str]:
    return set().union(*map(all_names, sources().values()))


def find(source_tree: Path) -> set[str]:
    """Of the names that our modules bind those that neither MicroPython knows nor anybody asks for by name on a board."""
    asked = all_names(SCRIPT) | all_names(LAUNCHER.read_text("utf-8")) | all_names(build_id([]))
    known = micropython_names(source_tree, BOARDS.glob("*/board.py"), PORTS)
    return renamable(sources(), known | asked) - not_ours()


def not_ours() -> set[str]:
    """Names that our modules ask of others, or use and never bind."""
    trees = {name: ast.parse(source, name) for name, source in sources().items()}
    asked = set().union(*(foreign(tree, trees) for tree in trees.values()))
    return asked | (spelled() - set().union(*map(bound, trees.values())))


def bound(tree: ast.Module) -> set[str]:
    """Names that a module gives to something: what it only uses may be MicroPython's, of a version that the sources are not."""
    found = {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            found.add(node.id)
        if isinstance(node, ast.Attribute) and not isinstance(node.ctx, ast.Load):
            found.add(node.attr)
    return found


def foreign(tree: ast.Module, ours: Iterable[str]) -> set[str]:
    """Names that a module asks of modules that are not ours: what it imports of them, their attributes, and keywords of their calls."""
    own = {PurePosixPath(name).parts[0].removesuffix(".py") for name in ours}
    found: set[str] = set()
    roots: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            roots |= {alias.asname or alias.name for alias in node.names if alias.name.split(".")[0] not in own}
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] not in own:
            found |= {alias.name for alias in node.names}
            roots |= {alias.asname or alias.name for alias in node.names}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and _root(node) in roots:
            found.add(node.attr)
        if isinstance(node, ast.Call) and _root(node.func) in roots:
            found |= {keyword.arg for keyword in node.keywords if keyword.arg}
    return found


def _root(node: ast.AST) -> str:
    """The name that a chain of attributes and calls begins with."""
    while isinstance(node, ast.Attribute | ast.Call):
        node = node.value if isinstance(node, ast.Attribute) else node.func
    return node.id if isinstance(node, ast.Name) else ""


def main() -> int:
    from tools.image import BUILD
    from tools.pico_source import source_tree

    BUILD.mkdir(parents=True, exist_ok=True)
    found = sorted(find(source_tree(BUILD, BUILD / "build.log")))
    OWN_NAMES.write_text("".join(f"{name}\n" for name in found), "utf-8")
    print(f"{len(found)} names in {OWN_NAMES.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
