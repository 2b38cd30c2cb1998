"""host_tests/requirements.toml: every requirement in our words, where it comes from and where the code enforces it.

["R-TIT-3"]
text = "..."                          one or two sentences
section = "2.5"                       of the label; or "GIP 1.5.1", "PCA", "seed 1", "project"
kind = "label"                        label, GIP, PCA, seed or project
enforced = ["therapy.py:Therapy.check", "label.py:STEP"]   functions, methods and tables of firmware/doseloop, or hil/...py:name
open = "reason"                       only while nothing holds it yet: it shows as a GAP and fails nothing
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from hil.errors import InputError
from hil.tables import Table, as_list, as_table, as_text, inside, load_toml, need, one_of, only_keys

REQUIREMENTS = Path("host_tests", "requirements.toml")
FIRMWARE = Path("firmware", "doseloop")
KEYS = ("text", "section", "kind", "enforced", "open")
KINDS = ("label", "GIP", "PCA", "seed", "project")
ID = re.compile(r"R-[A-Z]+-[1-9][0-9]*")
FUNCTION, TABLE = "function", "table"


@dataclass(frozen=True)
class Place:
    """A function, a method or a table that enforces a requirement."""

    text: str  # as the file says it
    path: Path  # from the root of the repository
    name: str

    @property
    def watched(self) -> str:
        """What the watch calls it: the module as it is imported."""
        return f"{self.path.as_posix().removeprefix('firmware/')}:{self.name}"


@dataclass(frozen=True)
class Requirement:
    id: str
    text: str
    section: str
    kind: str
    enforced: tuple[Place, ...]
    open: str  # why nothing holds it yet; empty if it is held

    @property
    def area(self) -> str:
        """R-TIT-3 belongs to TIT."""
        return self.id.split("-")[1]


def load_requirements(root: Path) -> list[Requirement]:
    """All requirements in the order of the file; InputError with file and key for what makes no sense."""
    path = root / REQUIREMENTS
    try:
        return [_requirement(id, as_table(value, id)) for id, value in load_toml(path).items()]
    except InputError as error:
        raise error.in_file(path) from None


def _requirement(id: str, table: Table) -> Requirement:
    if not ID.fullmatch(id):
        raise InputError(id, "is no requirement's id, such as R-TIT-3")
    only_keys(table, KEYS, id)
    enforced = tuple(_place(place, inside(id, "enforced")) for place in as_list(need(table, "enforced", id), inside(id, "enforced")))
    reason = as_text(table["open"], inside(id, "open")) if "open" in table else ""
    if not enforced and not reason:
        raise InputError(inside(id, "enforced"), "names no place, and no reason stands under 'open'")
    return Requirement(
        id,
        " ".join(as_text(need(table, "text", id), inside(id, "text")).split()),
        as_text(need(table, "section", id), inside(id, "section")),
        one_of(need(table, "kind", id), KINDS, inside(id, "kind")),
        enforced,
        reason,
    )


def _place(value: object, where: str) -> Place:
    text = as_text(value, where)
    file, colon, name = text.partition(":")
    if not colon or not file.endswith(".py") or not name:
        raise InputError(where, f"{text!r} is no place: write module.py:function, module.py:Class.method or module.py:TABLE")
    return Place(text, Path(file) if "/" in file else FIRMWARE / file, name)


def find(place: Place, root: Path) -> tuple[str, int] | None:
    """What a place is (function or table) and its line; None if it does not exist."""
    path = root / place.path
    return names_of(path).get(place.name) if path.is_file() else None


@cache
def names_of(path: Path) -> dict[str, tuple[str, int]]:
    """Every function, method and table of a module, by its name."""
    found: dict[str, tuple[str, int]] = {}
    for node in ast.parse(path.read_text("utf-8")).body:
        for name in _assigned(node):
            found[name] = (TABLE, node.lineno)
        if isinstance(node, ast.FunctionDef):
            found[node.name] = (FUNCTION, node.lineno)
        elif isinstance(node, ast.ClassDef):
            found |= {f"{node.name}.{inner.name}": (FUNCTION, inner.lineno) for inner in node.body if isinstance(inner, ast.FunctionDef)}
    return found


def _assigned(node: ast.stmt) -> list[str]:
    """The names that a statement of a module gives a value."""
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return [name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)]
