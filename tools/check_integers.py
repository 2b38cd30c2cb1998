"""Holds R-UNIT-1 in the source: no float literal, no true division and no float() anywhere in the firmware.

Use: python tools/check_integers.py firmware
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path


def offence(node: ast.AST) -> str | None:
    """What a syntax node does that integers-only code must not, or None."""
    if isinstance(node, ast.Constant) and isinstance(node.value, (float, complex)):
        return f"float literal {node.value!r}"
    if isinstance(node, (ast.BinOp, ast.AugAssign)) and isinstance(node.op, ast.Div):
        return "true division (use //)"
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "float":
        return "float()"
    return None


def offences(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        what = offence(node)
        if what:
            yield f"{path}:{getattr(node, 'lineno', 0)}: {what}"


def main(folders: list[str]) -> int:
    files = [path for folder in folders for path in sorted(Path(folder).rglob("*.py"))]
    found = [line for path in files for line in offences(path)]
    for line in found:
        print(line)
    print(f"integers only: {len(files)} files, {len(found)} offences")
    return 1 if found or not files else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or ["firmware"]))
