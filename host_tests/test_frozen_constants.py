"""Constants put where they are used in a frozen image: every value is the module's own, and nothing else changes."""

import ast
import hashlib
import importlib
import subprocess
import sys

import pytest

from tools import equal, firmware_files
from tools.frozen_constants import import_name, inline_constants
from tools.frozen_names import shorten

SOURCES = {part.name: part.source.read_text("utf-8") for part in firmware_files.modules(firmware_files.manifest_of("pico"))}
INLINED = inline_constants(SOURCES)
ON_CPYTHON = [name for name in SOURCES if name.startswith("doseloop/")]


def run_time_value(module, name):
    """What CPython holds under the name `_NAME`, or `__module_NAME__`, asked of the module itself."""
    if not name.startswith("__"):
        return vars(importlib.import_module(import_name(module)))[name]
    origins = [one for one in map(import_name, SOURCES) if name.startswith(f"__{one.rpartition('.')[2]}_")]
    for one in sorted(origins, key=len, reverse=True):
        found = vars(importlib.import_module(one))
        constant = name[len(f"__{one.rpartition('.')[2]}_") : -2]
        if constant in found:
            return found[constant]
    raise AssertionError(f"{module}: {name} comes from nowhere")


def is_put_in(name, value):
    """Small whole numbers, and texts that more than one module may use."""
    small = type(value) is int and -(1 << 30) <= value < 1 << 30
    return small or (type(value) is str and (name.startswith("__") or not name.startswith("_")))


def is_const(node):
    return isinstance(node, ast.Call) and ast.unparse(node.func) == "const" and isinstance(node.args[0], ast.Constant | ast.UnaryOp)


def put_in(tree):
    """{name: value} of a module's folded constants."""
    made = [node for node in ast.walk(tree) if isinstance(node, ast.Assign) and is_const(node.value)]
    found = {ast.unparse(node.targets[0]): ast.literal_eval(node.value.args[0]) for node in made}
    return {name: value for name, value in found.items() if name.startswith("_") and is_put_in(name, value)}


@pytest.mark.parametrize("module", ON_CPYTHON)
def test_each_constant_has_the_value_of_the_module_it_comes_from(module):
    for name, value in put_in(ast.parse(INLINED[module])).items():
        assert type(run_time_value(module, name)) is type(value)
        assert run_time_value(module, name) == value


class WithValues(ast.NodeTransformer):
    """A module as it runs: constants by their values, without what makes or imports them."""

    def __init__(self, names):
        self.names = names

    def visit_Name(self, node):
        return ast.Constant(self.names[node.id]) if isinstance(node.ctx, ast.Load) and node.id in self.names else node

    def visit_Attribute(self, node):
        whole = ast.unparse(node)
        return ast.Constant(self.names[whole]) if whole in self.names else self.generic_visit(node)

    def visit_ImportFrom(self, node):
        return node if not (node.module or "").startswith("doseloop") else None

    def visit_Pass(self, node):
        return None if node.col_offset == 0 else node


def own_constants(module):
    """{how the source spells it: value} of every public text and small whole number that it makes, imports or asks a module for."""
    tree, found = ast.parse(SOURCES[module]), {}
    held = vars(importlib.import_module(import_name(module)))

    def take(spelt, value):
        if is_put_in(spelt, value):
            found[spelt] = value

    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and not node.id.startswith("__") and node.id.isupper():
            take(node.id, held.get(node.id))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.attr.isupper():
            take(ast.unparse(node), getattr(held.get(node.value.id), node.attr, None))
    return found


def is_made(node, names):
    """Does a statement make constants, and nothing else?"""
    targets = [each.id for target in getattr(node, "targets", []) for each in ast.walk(target) if isinstance(each, ast.Name)]
    return isinstance(node, ast.Assign) and bool(targets) and all(name in names for name in targets)


@pytest.mark.parametrize("module", ON_CPYTHON)
def test_a_module_differs_by_its_constants_and_its_imports_alone(module):
    before, after = ast.parse(SOURCES[module]), ast.parse(INLINED[module])
    here, there = own_constants(module), put_in(after)
    before.body = [node for node in before.body if not is_made(node, here)]
    after.body = [node for node in after.body if not is_made(node, there)]
    assert ast.dump(WithValues(here).visit(before)) == ast.dump(WithValues(there).visit(after))


def test_an_image_s_modules_name_nothing_that_is_not_there(tmp_path):
    for name, text in INLINED.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, "utf-8")
    ruff = [sys.executable, "-m", "ruff", "check", "--isolated", "--no-cache", "--select", "F821,F822,F811", "--output-format", "concise"]
    done = subprocess.run([*ruff, str(tmp_path)], capture_output=True, text=True, check=False)
    found = [line for line in done.stdout.splitlines() if ": F8" in line and "`const`" not in line]
    assert not [line for line in found if "rp2_motion.py" not in line]  # its programs name what rp2 knows
    assert found


def is_folded(node):
    return isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name)


@pytest.mark.parametrize("text", [*INLINED.values(), "from doseloop.units import const\n_A, f = const(1), const(print)\n"])
def test_const_is_imported_where_the_compiler_does_not_fold_it(text):
    tree = ast.parse(inline_constants({"doseloop/units.py": "const = 1\n", "a.py": text})["a.py"])
    folded = {id(node.value.func) for node in ast.walk(tree) if is_folded(node) and isinstance(node.value, ast.Call)}
    called = [node for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id == "const" and id(node) not in folded]
    imported = any(alias.name == "const" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names)
    assert imported or not called


def test_a_constant_that_is_bound_twice_or_reached_by_its_module_stays():
    sources = {
        "p/a.py": "ONE = 1\nTWO = 2\nTHREE = 3\nFOUR = 4\n",
        "p/b.py": "from p.a import ONE, TWO\nfrom p import a\n\n\ndef f(ONE):\n    return ONE + TWO + a.THREE\n",
        "p/c.py": "from p import c2\nprint(c2)\n",
        "p/c2.py": "FIVE = 5\n",
        "p/d.py": "def g():\n    from p.a import FOUR\n    return FOUR\n",
    }
    found = inline_constants(sources)
    assert found["p/a.py"] == "ONE = 1\n__a_TWO__ = const(2)\n__a_THREE__ = const(3)\nFOUR = 4\n"
    assert found["p/b.py"].startswith("__a_THREE__ = const(3); __a_TWO__ = const(2); from p.a import ONE\npass\n")
    assert found["p/b.py"].endswith("return ONE + __a_TWO__ + __a_THREE__\n")
    assert [found[name] for name in ("p/c.py", "p/c2.py", "p/d.py")] == [sources[name] for name in ("p/c.py", "p/c2.py", "p/d.py")]


def test_a_number_beyond_a_small_int_and_a_table_stay():
    source = "BIG = const(1 << 30)\nLEAST = -1 << 30\nTABLE = (1, 2)\nHALF = BIG / 2\n"
    assert inline_constants({"a.py": source})["a.py"] == source.replace("LEAST = -1 << 30", "__a_LEAST__ = const(-1073741824)")


def known_to_cpython():
    """What plays MicroPython's part here: every name of the modules and types that the firmware uses without a hal."""
    names = ("binascii", "gc", "hashlib", "json", "os", "struct", "sys", "time", "random", "re")
    types = [str, bytes, bytearray, int, list, dict, set, tuple, Exception, OSError, memoryview, hashlib.sha256()]
    return set().union(*map(dir, map(importlib.import_module, names)), *map(dir, types)) | {"const", "micropython"}


@pytest.mark.parametrize("section", ["programs", "therapy", "account", "deliveries", "wire", "alarms", "schedules", "units"])
def test_a_shortened_firmware_gives_the_same_answers(section, tmp_path):
    """Constants put in and every name short, run by MicroPython's unix port, beside the source run by CPython."""
    count = equal.SECTIONS[section] // 20
    text = equal.script(section, count)
    sources = {name: SOURCES[name] for name in SOURCES if name.startswith("doseloop/")}
    short_sources, short = shorten(inline_constants({**sources, "asked.py": text}), known_to_cpython())
    assert len(short) > 1000
    for name, source in short_sources.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(source, "utf-8")
    here = equal.ask_cpython(text)
    there = equal.answers(equal.micropython(), short_sources["asked.py"], tmp_path)
    assert (here.count, here.digest) == (there.count, there.digest)
