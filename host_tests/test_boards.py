"""The boards' data: every board says the same things, and nothing in it is looser than the design allows."""

import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
BOARDS = {path.parent.name: runpy.run_path(str(path))["BOARD"] for path in sorted((ROOT / "boards").glob("*/board.py"))}
UL_NL = 1000


WIRED = ("_pin", "_timer", "_alternate", "_trigger")  # ends of keys that only a flashed board has
FLASHED = {"battery_full_scale_mv", "journal_folder"}
RAW = {"journal_blocks", "code_trailer"}  # of boards whose images have a region for the journal, and a hash of themselves


def limits(board):
    """A board's keys but those of its hardware."""
    return {key for key in board if not key.endswith(WIRED)} - FLASHED - RAW


def test_every_board_has_the_keys_of_the_reference_rig():
    assert {name: limits(board) for name, board in BOARDS.items()} == {name: limits(BOARDS["unix"]) for name in BOARDS}


@pytest.mark.parametrize("name", BOARDS)
def test_a_board_is_named_after_its_folder(name):
    assert BOARDS[name]["name"] == name


@pytest.mark.parametrize("name", BOARDS)
@pytest.mark.req("R-UNIT-1")
def test_all_quantities_of_a_board_are_integers(name):
    assert [key for key, value in BOARDS[name].items() if not isinstance(value, (int, str))] == []


@pytest.mark.parametrize("name", BOARDS)
def test_what_is_leased_stays_within_ten_seconds_two_microlitres_and_a_second_of_bolus(name):
    board = BOARDS[name]
    assert board["lease_basal_ms"] <= 10_000
    assert board["lease_basal_nl"] <= 2 * UL_NL
    assert board["lease_bolus_ms"] <= 1000


@pytest.mark.parametrize("name", BOARDS)
def test_a_reservation_covers_at_most_ten_microlitres_and_a_quarter_of_an_hour(name):
    assert BOARDS[name]["reservation_nl"] <= 10 * UL_NL
    assert BOARDS[name]["reservation_ms"] <= 900_000


@pytest.mark.parametrize("name", BOARDS)
@pytest.mark.req("R-SCR-2")
def test_the_top_rate_fits_the_largest_screening_bolus_and_the_step_engine(name):
    board = BOARDS[name]
    assert board["max_rate_nl_h"] >= 2_000 * UL_NL * 60  # 2 mL within one minute
    steps_per_hour = board["max_rate_nl_h"] * board["steps_per_ml_nominal"] // 1_000_000
    assert 3_600_000_000 // steps_per_hour >= board["min_pulse_period_us"]


@pytest.mark.parametrize("name", BOARDS)
def test_a_turn_of_the_head_is_the_same_volume_on_every_board(name):
    board = BOARDS[name]
    assert board["steps_per_turn"] * 1_000_000 == 32 * UL_NL * board["steps_per_ml_nominal"]


@pytest.mark.parametrize("name", BOARDS)
@pytest.mark.req("R-ALM-4")
def test_the_battery_thresholds_have_hysteresis_and_low_comes_before_depleted(name):
    board = BOARDS[name]
    rising = [board[f"battery_{level}_mv"] for level in ("depleted", "depleted_clear", "low", "low_clear")]
    assert rising == sorted(set(rising))


@pytest.mark.parametrize("name", BOARDS)
@pytest.mark.req("R-ALM-2")
def test_the_low_threshold_lies_between_one_and_four_millilitres(name):
    assert 1_000_000 <= BOARDS[name]["threshold_nl"] <= 4_000_000


def pins(board):
    """Every pin in use; one encoder key means that channel B is on the next pin."""
    found = [value for key, value in board.items() if key.endswith("_pin")]
    return found + ([board["encoder_pin"] + 1] if "encoder_pin" in board else [])


@pytest.mark.parametrize("name", [name for name in BOARDS if name != "unix"])
def test_a_flashed_board_says_where_its_journal_is_and_no_two_parts_share_a_pin_or_a_timer(name):
    board = BOARDS[name]
    assert set(board) >= FLASHED
    assert len(pins(board)) == len(set(pins(board))) >= 10
    timers = [value for key, value in board.items() if key.endswith("_timer")]
    assert len(timers) == len(set(timers))


@pytest.mark.parametrize("name", BOARDS)
def test_the_witness_of_a_board_resolves_a_step_and_its_slack_covers_a_full_step_of_the_motor(name):
    board = BOARDS[name]
    full_steps_per_turn = 200
    assert board["encoder_counts_per_turn"] >= board["steps_per_turn"]
    assert board["witness_slack_counts"] * full_steps_per_turn >= board["encoder_counts_per_turn"]
