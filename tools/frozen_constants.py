"""Puts the firmware's constants where they are used, in the modules that are frozen into an image.

MicroPython's compiler folds a private constant of the same module and forgets its name: no place in a table of names, no entry in the
module's dictionary, no import. So `LIMIT = const(3)`, imported elsewhere, becomes `__units_LIMIT__ = const(3)` in each module that uses it.
Only whole numbers of a Pico's small ints and texts are put so; a constant that anything else might reach by its name stays.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

SMALL_INT = 1 << 30
_FOLDED = "const"  # MicroPython's compiler knows the word without an import

Value = int | str


@dataclass
class _Unit:
    """One module: its tree, its text as bytes (an offset of ast is in bytes), and the edits to come: (first, end, text)."""

    name: str  # as it is imported
    tree: ast.Module
    lines: list[bytes]
    constants: dict[str, Value] = field(default_factory=dict)  # its own
    assigned: dict[str, ast.Assign] = field(default_factory=dict)  # where
    imported: dict[str, tuple[str, str]] = field(default_factory=dict)  # name here -> (module, name there)
    modules: dict[str, str] = field(default_factory=dict)  # name here -> module
    edits: list[tuple[int, int, str]] = field(default_factory=list)

    def offset(self, row: int, column: int) -> int:
        return sum(map(len, self.lines[: row - 1])) + column

    def replace(self, node: ast.expr | ast.stmt, text: str) -> None:
        assert node.end_lineno is not None and node.end_col_offset is not None
        first, end = self.offset(node.lineno, node.col_offset), self.offset(node.end_lineno, node.end_col_offset)
        self.edits.append((first, end, text))

    def text(self) -> str:
        whole = b"".join(self.lines)
        for first, end, text in sorted(self.edits, reverse=True):
            whole = whole[:first] + text.encode() + whole[end:]
        return whole.decode()


def import_name(module: str) -> str:
    """doseloop/units.py -> doseloop.units"""
    path = PurePosixPath(module).with_suffix("")
    return ".".join(path.parts[:-1] if path.name == "__init__" else path.parts)


def inline_constants(sources: Mapping[str, str]) -> dict[str, str]:
    """The sources by module name, each constant in place of its import."""
    units = {import_name(module): _unit(module, source) for module, source in sources.items()}
    for unit in units.values():
        _read_imports(unit, units)
    while sum(_read_constants(unit, units) for unit in units.values()):
        pass  # a constant may be made of others
    _drop_unsafe(units)
    for unit in units.values():
        _rewrite(unit, units)
    return {module: units[import_name(module)].text() for module in sources}


def _unit(module: str, source: str) -> _Unit:
    return _Unit(import_name(module), ast.parse(source, module), source.encode().splitlines(keepends=True))


def _read_imports(unit: _Unit, units: Mapping[str, _Unit]) -> None:
    for node in unit.tree.body:
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                here, whole = alias.asname or alias.name, f"{node.module}.{alias.name}"
                if whole in units:
                    unit.modules[here] = whole
                elif node.module in units:
                    unit.imported[here] = (node.module, alias.name)


# ---- what is a constant


def _read_constants(unit: _Unit, units: Mapping[str, _Unit]) -> bool:
    """Is there a new one?"""
    before = len(unit.constants)
    for node in unit.tree.body:
        if isinstance(node, ast.Assign) and len(node.targets) == 1:
            pairs = list(_pairs(node))
            values = [_value(value, unit, units) for _, value in pairs]
            if pairs and all(name and not name.startswith("__") for name, _ in pairs) and None not in values:
                if pairs[0][0].startswith("_") and str in map(type, values):
                    continue  # long texts of its own would stand in more than one table
                for (name, _), value in zip(pairs, values, strict=True):
                    unit.assigned[name] = node
                    unit.constants[name] = value  # type: ignore[assignment] # none of them is None
    return len(unit.constants) > before


def _pairs(node: ast.Assign) -> Iterator[tuple[str, ast.expr]]:
    """(name, value) of `a = 1` and of `a, b = 1, 2`; the name is empty where it is none."""
    target, value = node.targets[0], node.value
    if isinstance(target, ast.Name):
        yield target.id, value
    elif isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple) and len(target.elts) == len(value.elts):
        for each, one in zip(target.elts, value.elts, strict=True):
            yield each.id if isinstance(each, ast.Name) else "", one


def _value(node: ast.expr, unit: _Unit, units: Mapping[str, _Unit]) -> Value | None:
    """What the compiler would fold it to, if it is a small whole number or a text."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == _FOLDED and len(node.args) == 1:
        return _value(node.args[0], unit, units)
    found = _constant_of(node, unit, units)
    if found is not None:
        return found
    try:
        value = eval(ast.unparse(_Resolved(unit, units).visit(_copy(node))), {"__builtins__": {}})
    except Exception:  # whatever it is made of, it is no constant
        return None
    small = type(value) is int and -SMALL_INT <= value < SMALL_INT
    return value if small or type(value) is str else None


def _copy(node: ast.expr) -> ast.expr:
    return ast.parse(ast.unparse(node), mode="eval").body


class _Resolved(ast.NodeTransformer):
    """An expression with the constants' values."""

    def __init__(self, unit: _Unit, units: Mapping[str, _Unit]) -> None:
        self._unit, self._units = unit, units

    def visit(self, node: ast.AST) -> ast.AST:
        if isinstance(node, ast.Name | ast.Attribute):
            value = _constant_of(node, self._unit, self._units)
            if value is not None:
                return ast.copy_location(ast.Constant(value), node)
        return self.generic_visit(node)


def _origin(node: ast.AST, unit: _Unit) -> tuple[str, str] | None:
    """(module, name there) of what an expression names: `LIMIT` or `label.LIMIT`."""
    if isinstance(node, ast.Name):
        return unit.imported.get(node.id) or ((unit.name, node.id) if node.id in unit.constants else None)
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in unit.modules:
        return unit.modules[node.value.id], node.attr
    return None


def _constant_of(node: ast.AST, unit: _Unit, units: Mapping[str, _Unit]) -> Value | None:
    origin = _origin(node, unit)
    return units[origin[0]].constants.get(origin[1]) if origin and origin[0] in units else None


# ---- what must stay as it is


def _drop_unsafe(units: Mapping[str, _Unit]) -> None:
    """Constants that something else goes by the name of, or that are reached in another way than by a plain import."""
    for unit in units.values():
        for name in _rebound(unit):
            unit.constants.pop(name, None)
            module, there = unit.imported.get(name, ("", ""))
            if module:
                units[module].constants.pop(there, None)
        for module in _handed_on(unit):
            units[module].constants.clear()
        for module, name in _imported_inside(unit):
            if module in units:
                units[module].constants.pop(name, None)
    for unit in units.values():  # of `a, b = 1, 2` both or none
        for name in [name for name in unit.constants if not all(one in unit.constants for one, _ in _pairs(unit.assigned[name]))]:
            del unit.constants[name]


def _rebound(unit: _Unit) -> Iterator[str]:
    """Names bound more than once, or elsewhere than at the module's top."""
    top: set[str] = set()
    once = {id(each) for node in unit.assigned.values() for each in ast.walk(node.targets[0])}
    for node in ast.walk(unit.tree):
        if isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            if id(node) not in once or node.id in top:
                yield node.id
            top.add(node.id)
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Global):
            yield from node.names
        elif isinstance(node, ast.ExceptHandler) and node.name:
            yield node.name


def _handed_on(unit: _Unit) -> Iterator[str]:
    """Modules that are used as objects, not only asked for their names."""
    asked = {id(node.value) for node in ast.walk(unit.tree) if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load)}
    for node in ast.walk(unit.tree):
        if isinstance(node, ast.Name) and node.id in unit.modules and id(node) not in asked:
            yield unit.modules[node.id]


def _imported_inside(unit: _Unit) -> Iterator[tuple[str, str]]:
    """What a function imports for itself, or under `if`: (module, name), and every name that it asks such a module for."""
    top = {id(node) for node in unit.tree.body}
    within = [node for node in ast.walk(unit.tree) if isinstance(node, ast.Import | ast.ImportFrom) and id(node) not in top]
    within += [node for node in unit.tree.body if isinstance(node, ast.Import)]
    for node in within:
        for alias in node.names:
            if isinstance(node, ast.ImportFrom):
                yield node.module or "", alias.name
            for asked in ast.walk(unit.tree):
                if isinstance(asked, ast.Attribute):
                    yield (alias.name if isinstance(node, ast.Import) else f"{node.module}.{alias.name}"), asked.attr


# ---- the module without them


def _rewrite(unit: _Unit, units: Mapping[str, _Unit]) -> None:
    used: dict[str, Value] = {}
    for node in ast.walk(unit.tree):
        if isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Load):
            value, origin = _constant_of(node, unit, units), _origin(node, unit)
            if value is not None and origin is not None:
                used[_private(origin)] = value
                unit.replace(node, _private(origin))
    for node in {id(unit.assigned[name]): unit.assigned[name] for name in unit.constants}.values():
        unit.edits = [edit for edit in unit.edits if not _within(edit, unit, node)]
        unit.replace(node, "; ".join(f"{_private((unit.name, name))} = const({unit.constants[name]!r})" for name, _ in _pairs(node)))
        for name, _ in _pairs(node):
            used.pop(_private((unit.name, name)), None)
    _rewrite_imports(unit, units, used)


def _private(origin: tuple[str, str]) -> str:
    if origin[1].startswith("_"):
        return origin[1]
    return f"__{origin[0].rpartition('.')[2]}_{origin[1]}__"  # with the ends, CPython does not mangle it in a class


def _within(edit: tuple[int, int, str], unit: _Unit, node: ast.stmt) -> bool:
    return unit.offset(node.lineno, node.col_offset) <= edit[0] < unit.offset(node.end_lineno or 0, node.end_col_offset or 0)


def _rewrite_imports(unit: _Unit, units: Mapping[str, _Unit], used: dict[str, Value]) -> None:
    """Imports without the constants; in place of the first of them, what is used of other modules."""
    constants = "; ".join(f"{name} = const({value!r})" for name, value in sorted(used.items()))
    asked = _modules_asked(unit, units)
    for node in unit.tree.body:
        if isinstance(node, ast.ImportFrom) and (node.module in units or _whole(node) & units.keys()):
            kept = [alias for alias in node.names if not _is_spared(node, alias, unit, units, asked)]
            line = f"from {node.module} import {', '.join(map(ast.unparse, kept))}" if kept else ""
            unit.replace(node, "; ".join(filter(None, (constants, line))) or "pass")
            constants = ""
    if constants:
        raise AssertionError(f"{unit.name} uses constants of others and imports nothing")


def _whole(node: ast.ImportFrom) -> set[str]:
    return {f"{node.module}.{alias.name}" for alias in node.names}


def _modules_asked(unit: _Unit, units: Mapping[str, _Unit]) -> set[str]:
    """Modules that are still needed under their names: asked for more than constants."""
    nodes = list(ast.walk(unit.tree))
    replaced = {id(node.value) for node in nodes if isinstance(node, ast.Attribute) and _constant_of(node, unit, units) is not None}
    return {node.id for node in nodes if isinstance(node, ast.Name) and node.id in unit.modules and id(node) not in replaced}


def _is_spared(node: ast.ImportFrom, alias: ast.alias, unit: _Unit, units: Mapping[str, _Unit], asked: set[str]) -> bool:
    here = alias.asname or alias.name
    if here in unit.modules:
        return here not in asked
    if alias.name == _FOLDED:
        return not _calls_const(unit)
    return node.module is not None and node.module in units and alias.name in units[node.module].constants


def _calls_const(unit: _Unit) -> bool:
    """Is there a call that the compiler does not fold: anything but `NAME = const(...)`?"""
    made = {id(node) for name in unit.constants for node in ast.walk(unit.assigned[name])}
    for node in ast.walk(unit.tree):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and isinstance(node.value, ast.Call):
            made.add(id(node.value.func))
    return any(isinstance(node, ast.Name) and node.id == _FOLDED and id(node) not in made for node in ast.walk(unit.tree))
