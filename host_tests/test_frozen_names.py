"""Short names for the names of a frozen image: nothing but names changes, and no two names become one."""

import ast

import pytest

from tools import firmware_files
from tools.flashing import own_names
from tools.flashing.payload import OWN_NAMES
from tools.frozen_names import NamesError, all_names, is_private, micropython_names, shorten

SOURCES = {part.name: part.source.read_text("utf-8") for part in firmware_files.modules(firmware_files.manifest_of("pico"))}
# In MicroPython's place: every name that is asked of something else than a module of ours would be here, and more.
KNOWN = set().union(*map(dir, (str, bytes, bytearray, int, list, dict, set, tuple, OSError))) | {"const", "Pin", "irq", "hard"}
SHORT_SOURCES, SHORT = shorten(SOURCES, KNOWN)


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
    names = all_names(SOURCES[module])
    assert len({SHORT.get(name, name) for name in names}) == len(names)


def test_the_modules_of_one_hal_are_one_scope():
    names = set().union(*(all_names(source) for module, source in SOURCES.items() if "/" not in module))
    assert len({SHORT.get(name, name) for name in names}) == len(names)


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


def test_a_public_name_is_short_in_every_module_unless_something_else_spells_it():
    sources = {
        "p/a.py": "import gc\n\n\nclass Pump:\n    def begin(self, volume, kept):\n        self.begun, self.kept = gc.collect(), 'kept'\n",
        "p/b.py": "from p.a import Pump\n\npump = Pump()\npump.begin(volume=3, kept=1)\n",
    }
    short_sources, short = shorten(sources, {"collect", "gc", "self"})
    assert set(short) == {"Pump", "begin", "volume", "begun", "pump"}  # a module, a text and what MicroPython knows stay
    for name in short:
        assert not any(name in text.replace("'", " ").split() for text in short_sources.values())
    assert short_sources["p/b.py"] == "from p.a import {Pump}\n\n{pump} = {Pump}()\n{pump}.{begin}({volume}=3, kept=1)\n".format(**short)


def test_public_names_stay_where_nobody_says_what_micropython_knows():
    assert shorten({"a.py": "volume = 1\n"}) == ({"a.py": "volume = 1\n"}, {})


def test_an_attribute_given_to_an_object_of_another_module_shares_its_short_name_with_nobody():
    sources = {"p/a.py": "class A:\n    def __init__(self):\n        self.mine = 1\n", "p/b.py": "def f(one):\n    one.given = 2\n"}
    _, short = shorten(sources, {"self"})
    assert short["given"] != short["mine"]


def test_a_short_name_is_none_that_stands_in_the_firmware_or_that_micropython_knows():
    kept = set().union(*map(all_names, SOURCES.values())) - SHORT.keys()
    assert not kept & set(SHORT.values())
    assert not {name for name in KNOWN if len(name) > 1} & set(SHORT.values())


def test_an_f_string_is_refused_as_its_names_would_stay():
    with pytest.raises(NamesError, match="line 1: an f-string"):
        shorten({"a.py": "x = f'{volume}'\n"}, set())


def test_what_micropython_knows_is_read_from_its_sources(tmp_path):
    with pytest.raises(NamesError, match="is it a MicroPython checkout"):
        micropython_names(tmp_path)
    texts = {"py/a.c": "MP_QSTR_append, MP_QSTR_freq", "ports/rp2/modules/rp2.py": "def asm_pio(x_dec):\n  return 'noblock'\n"}
    for place, text in texts.items():
        (tmp_path / place).parent.mkdir(parents=True)
        (tmp_path / place).write_text(text, "utf-8")
    own = tmp_path / "board.py"
    own.write_text("BOARD = {}\n", "utf-8")
    assert {"append", "freq", "asm_pio", "x_dec", "noblock", "BOARD"} <= micropython_names(tmp_path, [own])


# ---- names that flashing over a board's own MicroPython makes short


def test_a_name_asked_of_a_module_that_is_not_ours_is_told_with_its_attributes_and_keywords():
    source = "import machine as m\nfrom esp32 import PCNT\nfrom doseloop.port import Port\nm.Pin(1).irq(hard=1)\nPort(far=PCNT(near=1).up)"
    tree = ast.parse(source)
    assert own_names.foreign(tree, ["doseloop/port.py", "hal_esp32.py"]) == {"PCNT", "Pin", "irq", "hard", "near", "up"}


def test_a_name_is_ours_if_a_module_of_ours_binds_it():
    tree = ast.parse("class A:\n    def f(self, given):\n        self.kept = given.asked\nplain = other")
    assert own_names.bound(tree) == {"A", "f", "self", "given", "kept", "plain"}


def test_no_name_that_flashing_shortens_is_asked_of_a_module_that_is_not_ours_or_bound_nowhere():
    """A board may have a newer MicroPython than the sources that the list was made of: esp32.PCNT came with 1.26."""
    listed = set(OWN_NAMES.read_text("utf-8").split())
    assert not listed & own_names.not_ours(), "make the list anew: python -m tools.flashing.own_names"
    assert {"PCNT", "TIM_CNT", "RTC_BKP0R", "mode_pin"} <= own_names.not_ours()
