"""The tools that judge or build: what they let through, and what they make."""

import ast
import hashlib
import re
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from hil.errors import TargetError
from hil.targets.process import HEAP, find_micropython
from tools import turn_head
from tools.check_integers import offence, offences
from tools.image import FLASH_BASE, trailer, uf2_blocks

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.req("R-UNIT-1")
@pytest.mark.parametrize("line", ["x = 1.5", "x = 1e3", "x = a / b", "x /= 2", "x = float(a)", "x = 2j"])
def test_a_float_in_the_firmware_is_found(line):
    assert any(offence(node) for node in ast.walk(ast.parse(line)))


@pytest.mark.req("R-UNIT-1")
@pytest.mark.parametrize("line", ["x = 15", "x = a // b", "x //= 2", "x = '1.5 / 2'", "x = int(a)"])
def test_integers_and_words_pass_the_float_check(line):
    assert not any(offence(node) for node in ast.walk(ast.parse(line)))


@pytest.mark.req("R-UNIT-1")
@pytest.mark.exhaustive("every line of the firmware, and of the boards' parts of it")
def test_no_float_takes_part_in_the_firmware():
    assert [line for path in (ROOT / "firmware").rglob("*.py") for line in offences(path)] == []


def test_an_image_comes_back_whole_from_its_uf2_blocks():
    image = bytes(range(256)) * 5 + b"end"
    blocks = list(uf2_blocks({FLASH_BASE: image, FLASH_BASE + 0x9_F000: trailer(image)}))
    heads = [struct.unpack("<8I", block[:32]) for block in blocks]
    assert {len(block) for block in blocks} == {512}
    assert b"".join(block[32 : 32 + head[4]] for block, head in zip(blocks, heads, strict=True))[: len(image)] == image
    assert [head[3] for head in heads] == [FLASH_BASE + 256 * number for number in range(6)] + [FLASH_BASE + 0x9_F000]
    assert {head[6] for head in heads} == {7}
    assert blocks[6][32:76] == b"DLIMAGE1" + struct.pack("<I", len(image)) + hashlib.sha256(image).digest()


def run_on_micropython(script):
    try:
        micropython = find_micropython()
    except TargetError as error:
        pytest.skip(str(error))
    path = f"{ROOT / 'firmware'}:{ROOT / 'boards' / 'unix'}:.frozen"
    command = [micropython, "-X", f"heapsize={HEAP}", str(ROOT / "tools" / "micropython" / script)]
    done = subprocess.run(command, cwd=ROOT, env={"MICROPYPATH": path}, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return {name: int(value) for name, value in re.findall(r"^(\w+) (-?\d+)", done.stdout, re.MULTILINE)}


def test_a_dosing_tick_allocates_nothing():
    assert run_on_micropython("measure_tick.py")["tick_bytes"] == 0


def test_the_running_firmware_leaves_a_third_of_its_heap_free():
    found = run_on_micropython("measure_turn.py")
    assert found["free_heap"] * 3 >= found["free_heap"] + found["firmware_heap"]


def test_the_totals_of_the_scenarios_are_the_last_line_and_decide_the_exit(tmp_path):
    command = [sys.executable, str(ROOT / "tools" / "scenarios.py"), "--out", str(tmp_path), "no-such-scenario"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.splitlines()[-1] == "0 passed, 0 failed"
    assert done.returncode == 1


def test_the_import_contracts_name_the_chain_of_the_design():
    tomllib = pytest.importorskip("tomllib")
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]
    chains = [contract["layers"] for contract in settings["contracts"] if contract["type"] == "layers"]
    design = ["doseloop." + name for name in ("therapy", "program", "label", "units")]
    assert design in [[layer for layer in chain if layer in design] for chain in chains]
    assert ["doseloop." + name for name in ("dosing", "schedule", "units")] in chains
    assert ["hil.oracle"] in [contract.get("source_modules") for contract in settings["contracts"]]


@pytest.mark.parametrize(
    ("stepped", "counted", "word"),
    [
        (3200, 4096, None),
        (3200, 4040, None),
        (1000, 1280, "left the pin"),
        (3200, 3, "did not move"),
        (3200, -4090, "backwards"),
        (3200, 2048, "angle"),
    ],
)
def test_the_first_turn_of_a_rig_names_what_is_wrong_with_it(stepped, counted, word):
    found = " ".join(turn_head.findings(3200, stepped, counted, 4096, 32))
    assert found == "" if word is None else word in found
