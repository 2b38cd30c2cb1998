"""Mutants that no test can see, each with the reason, from host_tests/equivalent_mutants.toml.

    [[mutant]]
    module = "schedule"
    function = "Piece.plan"                     # Class.function; left out: top of the module
    why = "one reason for all of these"
    changes = [["the line as it is", "the line as mutated"], ...]   # blanks squeezed, comments left out
                                                # a third entry, a number: the how manieth equal change in the function
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from .keys import Key

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_NEEDED = {"module", "changes", "why"}
_KNOWN = _NEEDED | {"function"}


def read_toml(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = tomllib.loads(path.read_text("utf-8"))
    return content


def explanations(path: Path) -> dict[Key, str]:
    """{mutant: why}; SystemExit for an entry that is not understood or given twice."""
    found: dict[Key, str] = {}
    for number, entry in enumerate(read_toml(path).get("mutant", []), 1):
        for key in _keys(entry, f"{path.name}, mutant {number}"):
            if key in found:
                raise SystemExit(f"{path.name}, mutant {number}: {key} is explained twice")
            found[key] = entry["why"]
    return found


def _keys(entry: dict[str, Any], place: str) -> list[Key]:
    if not _NEEDED <= set(entry) <= _KNOWN:
        raise SystemExit(f"{place}: needs {sorted(_NEEDED)}, may have {sorted(_KNOWN - _NEEDED)}, has {sorted(entry)}")
    if len(entry["why"]) < 20:
        raise SystemExit(f"{place}: say why no test can see it")
    return [Key(entry["module"], entry.get("function", ""), *change) for change in entry["changes"]]
