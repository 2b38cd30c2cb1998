"""Short names for the private names of a frozen image: nothing but names changes, and no two names become one."""

import ast

import pytest

from tools import firmware_files
from tools.frozen_names import NamesError, is_private, private_names, shorten

SOURCES = {part.name: part.source.read_text("utf-8") for part in firmware_files.modules(firmware_files.manifest_of("pico"))}
SHORT_SOURCES, SHORT = shorten(SOURCES)


class Renamed(ast.NodeTransformer):
    """Every identifier of a tree by the table."""

    def generic_visit(self, node):
        for field, value in ast.iter_fields(node):
            if isinstance(value, str) and not isinstance(node, ast.Constant):
                setattr(node, field, SHORT.get(value, value))
        return super().generic_visit(node)


@pytest.mark.parametrize("module", sorted(SOURCES))
def test_a_short_module_is_the_source_with_other_names_and_nothing_else(module):
    expected = Renamed().visit(ast.parse(SOURCES[module]))
    assert ast.dump(ast.parse(SHORT_SOURCES[module])) == ast.dump(expected)


@pytest.mark.parametrize("module", sorted(SOURCES))
def test_no_two_names_of_a_module_become_one(module):
    names = private_names(SOURCES[module])
    assert len({SHORT[name] for name in names}) == len(names)


def test_the_modules_of_one_hal_are_one_scope():
    names = set().union(*(private_names(source) for module, source in SOURCES.items() if "/" not in module))
    assert len({SHORT[name] for name in names}) == len(names)


def test_what_everybody_may_use_keeps_its_name():
    assert not any(is_private(name) for name in ("units", "__init__", "_", "__name__", "a_b"))
    assert all(is_private(name) for name in ("_a", "_TABLE", "_0"))


def test_a_string_that_spells_a_private_name_is_refused():
    with pytest.raises(NamesError, match=r"one\.py, line 2: the string '_turn' spells a private name"):
        shorten({"one.py": "_turn = 1\nx = getattr(y, '_turn')\n"})


def test_a_class_of_a_package_that_inherits_from_another_module_is_refused():
    sources = {"pack/a.py": "class A:\n    _x = 1\n", "pack/b.py": "from pack.a import A\n\n\nclass B(A):\n    _y = 2\n"}
    with pytest.raises(NamesError, match="B inherits A of another module"):
        shorten(sources)


def test_a_name_that_two_modules_share_is_one_name_in_both():
    sources = {"p/a.py": "_both = 1\n_one = 2\n", "p/b.py": "_both = 1\n_two = 2\n"}
    short_sources, short = shorten(sources)
    assert short["_one"] == short["_two"] != short["_both"]
    assert short_sources["p/b.py"] == f"{short['_both']} = 1\n{short['_two']} = 2\n"
