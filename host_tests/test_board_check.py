"""The check of a board's data at start: every shipped board passes, and every kind of mistake is named with what to do."""

import runpy
from pathlib import Path

import pytest

from doseloop import board_check
from doseloop.board_check import FAMILY_OF_PLATFORM, NUMBERS, RISING, faults, refusal, rules_of
from doseloop.region import MIN_BLOCKS
from hil.errors import TargetError
from hil.scenario import load_scenario
from hil.targets.process import find_micropython
from hil.targets.unix import UnixTarget

ROOT = Path(__file__).resolve().parents[1]
BOARDS = {path.parent.name: runpy.run_path(str(path))["BOARD"] for path in sorted((ROOT / "boards").glob("*/board.py"))}
FLASHED = sorted(set(BOARDS) - {"unix"})
MISTAKES = ("text", 1.5, None, True, [1], 7)


def family(name):
    if name == "unix":
        return "unix"
    if "step_timer" in BOARDS[name]:
        return "stm32"
    return "esp32" if "step_count_pin" in BOARDS[name] else "rp2"


def wrong(name, /, **changes):
    return faults({**BOARDS[name], **changes}, family(name))


def pins(name):
    return rules_of(family(name))["pins"]


def test_every_family_has_rules_and_every_platform_a_family():
    families = set(FAMILY_OF_PLATFORM.values())
    assert {path.stem.removeprefix("pins_") for path in (ROOT / "firmware").glob("pins_*.py")} | {"unix"} == families
    assert {family(name) for name in BOARDS} == families and len({tuple(rules_of(each)) for each in families}) == 1


@pytest.mark.parametrize("name", BOARDS)
def test_a_shipped_board_starts(name):
    assert refusal(BOARDS[name], family(name)) is None


@pytest.mark.parametrize("name", BOARDS)
def test_each_key_that_is_missing_is_named(name):
    for key in BOARDS[name]:
        board = {other: value for other, value in BOARDS[name].items() if other != key}
        assert [fault.split()[0] for fault in faults(board, family(name))] == [key]


@pytest.mark.parametrize("name", BOARDS)
def test_a_key_nobody_reads_is_named(name):
    assert wrong(name, stepp_pin=3) == ["stepp_pin is no key of this board: is it misspelt?"]


@pytest.mark.parametrize("name", BOARDS)
def test_each_key_refuses_a_value_of_another_type(name):
    for key, value in BOARDS[name].items():
        for other in MISTAKES:
            if type(other) is not type(value):
                assert [fault.split()[0] for fault in wrong(name, **{key: other})] == [key], (key, other)


@pytest.mark.parametrize("name", BOARDS)
def test_each_number_is_refused_one_beyond_its_range_and_named_with_its_limits(name):
    numbers = {**NUMBERS, **rules_of(family(name))["numbers"]}
    for key, (least, most) in numbers.items():
        for value in (least - 1, most + 1):
            assert wrong(name, **{key: value}) == [f"{key} is {value}; it must be from {least} to {most}"]


@pytest.mark.parametrize("name", FLASHED)
def test_each_pin_that_the_board_does_not_have_is_named_with_those_it_has(name):
    for key in pins(name):
        value = "Q9" if family(name) == "stm32" else 99
        (fault,) = wrong(name, **{key: value})
        assert fault.startswith(f"{key} is {value}, which cannot be used for it; choose of ")


@pytest.mark.parametrize("name", FLASHED)
def test_each_two_parts_on_one_pin_are_named_both(name):
    allowed = rules_of(family(name))
    for first in pins(name):
        for second in pins(name):
            pin = BOARDS[name][second]
            choice = allowed["battery"] if first == "battery_pin" else allowed["allowed"]
            if first != second and pin in choice:
                found = [fault for fault in wrong(name, **{first: pin}) if "are both on pin" in fault]
                assert any(first in fault and second in fault for fault in found), (first, second)


@pytest.mark.parametrize("name", [name for name in FLASHED if family(name) == "rp2"])
def test_the_pin_beside_the_encoder_is_taken_too(name):
    board = BOARDS[name]
    (fault,) = wrong(name, buzzer_pin=board["encoder_pin"] + 1)
    assert fault == f"buzzer_pin and the second channel of encoder_pin are both on pin {board['encoder_pin'] + 1}: give each its own"
    assert wrong(name, encoder_pin=22) == ["encoder_pin is 22, but its second channel cannot be on the next GPIO: move it"]


@pytest.mark.parametrize("name", [name for name in FLASHED if family(name) == "stm32"])
def test_two_parts_on_one_timer_are_named_both(name):
    (fault,) = wrong(name, buzzer_timer=BOARDS[name]["step_timer"])
    assert fault.startswith("step_timer and buzzer_timer both use timer")


@pytest.mark.parametrize("name", BOARDS)
@pytest.mark.parametrize("lower, upper", RISING)
def test_figures_that_must_rise_are_refused_where_they_do_not(name, lower, upper):
    common = max(NUMBERS[lower][0], NUMBERS[upper][0])
    found = wrong(name, **{lower: common, upper: common})
    assert any(fault.startswith(f"{lower} is {common}; it must be below {upper}") for fault in found)


@pytest.mark.parametrize("name", BOARDS)
def test_a_top_rate_beyond_the_step_engine_is_refused(name):
    (fault,) = wrong(name, min_pulse_period_us=100_000)
    assert fault.startswith("max_rate_nl_h ")


@pytest.mark.parametrize("name", FLASHED)
def test_the_refusal_says_that_nothing_moves_and_what_to_do(name):
    text = refusal({**BOARDS[name], "step_pin": BOARDS[name]["enable_pin"]}, family(name))
    first, fault, last = text.split("\n")
    assert first == f"DOSELOOP DOES NOT START: boards/{name}/board.py is wrong. Nothing moves."
    assert "step_pin and enable_pin" in fault
    assert last == f"Correct it, then install again: python tools/flash.py --board {name}"


def test_an_empty_board_is_refused_key_by_key_and_not_by_a_traceback():
    assert len(refusal({}, "rp2").splitlines()) == 2 + len(BOARDS["pico"])


def test_every_board_that_a_scenario_changes_still_starts():
    changed = [load_scenario(path).board for path in sorted((ROOT / "hil" / "scenarios").rglob("*.toml"))]
    assert [found for board in changed if board and (found := wrong("unix", **board))] == []


def test_the_firmware_refuses_a_wrong_board_at_start_and_says_why():
    try:
        find_micropython()
    except TargetError as error:
        pytest.skip(str(error))
    target = UnixTarget(board={"threshold_nl": 1})
    try:
        with pytest.raises(TargetError) as caught:
            target.start()
            target.advance_to(1000)
    finally:
        target.close()
    assert "threshold_nl is 1; it must be from 1000000 to 4000000" in str(caught.value)
    assert "Traceback" not in str(caught.value)


@pytest.mark.parametrize("name", [name for name in FLASHED if family(name) == "rp2"])
@pytest.mark.parametrize("blocks, fits", [(0, True), (1, False), (51, False), (52, True), (288, True), (289, False), (4096, False)])
def test_the_journals_region_has_room_for_the_journal_and_leaves_room_for_the_filesystem(name, blocks, fits):
    found = faults(dict(BOARDS[name], journal_blocks=blocks, flash_blocks=352), "rp2")
    assert (found == []) == fits
    assert fits or found == [f"journal_blocks is {blocks}; it must be 0 (the journal is kept in files) or from 52 to 288"]


def test_the_least_region_of_the_check_is_that_of_the_region():
    assert board_check._LEAST_REGION == MIN_BLOCKS
