"""An installation broken off at any point leaves the old firmware or the new one: on a real littlefs that loses its power or its cable."""

import shutil

import pytest
from flash_rig import LfsBoard, boot, firmware, formatted, install, micropython

from tools.flashing import FlashError
from tools.flashing.prompt import Gone

OLD, NEW = "BOOTED 1 1 1", "BOOTED 2 2 2"
STARTS = {"nothing yet": "PROMPT", "an old firmware": OLD}


@pytest.fixture(scope="module", autouse=True)
def _needs_micropython():
    micropython()


@pytest.fixture(scope="module", params=STARTS)
def board(request, tmp_path_factory):
    """A flash as it was before, and what it starts."""
    flash = formatted(tmp_path_factory.mktemp("flash") / "before.img")
    if STARTS[request.param] == OLD:
        with LfsBoard(flash) as prompt:
            install(prompt, firmware(1))
    assert boot(flash) == STARTS[request.param]
    return flash, STARTS[request.param]


def broken_off(board, tmp_path, **cut):
    """Installs on a copy until it breaks off; True if it did. What starts then is told by boot()."""
    flash = shutil.copy(board[0], tmp_path / "flash.img")
    with LfsBoard(flash, **cut) as prompt:
        try:
            install(prompt, firmware(2))
        except Gone as gone:
            assert "run the same command again" in str(gone)
            return flash, True
    return flash, False


def every(board, tmp_path, **fixed):
    """Breaks off at the 1st, 2nd, 3rd, ... point until the installation gets through; what starts after each, and after another try."""
    name = "cable" if "lost" in fixed else "cut"
    found = []
    while True:
        flash, broke = broken_off(board, tmp_path, **{name: len(found)}, **fixed)
        if not broke:
            assert boot(flash) == NEW
            return found
        found.append(boot(flash))
        with LfsBoard(flash) as prompt:
            install(prompt, firmware(2))
        assert boot(flash) == NEW, f"after point {len(found) - 1} the same command again did not finish it"


@pytest.mark.req("R-ALM-11")
@pytest.mark.exhaustive("every flash operation of an installation, the power going in the midst of it", part_of=["R-ALM-11"])
def test_a_power_cut_at_any_flash_operation_leaves_the_old_or_the_new_firmware(board, tmp_path):
    found = every(board, tmp_path)
    assert len(found) > 40
    assert set(found) <= {board[1], NEW}
    assert found[0] == board[1]


@pytest.mark.req("R-ALM-11")
@pytest.mark.exhaustive("every exchange of an installation, the cable pulled before it or before its answer", part_of=["R-ALM-11"])
@pytest.mark.parametrize("lost", [False, True], ids=["before the request", "before the answer"])
def test_a_cable_pulled_at_any_exchange_leaves_the_old_or_the_new_firmware(board, tmp_path, lost):
    found = every(board, tmp_path, lost=lost)
    assert len(found) > 30
    assert set(found) <= {board[1], NEW}
    switch = found.index(NEW) if NEW in found else len(found)
    assert set(found[switch:]) <= {NEW}, "once the new firmware starts it goes on starting"


def test_a_second_installation_goes_on_where_the_first_was_broken_off(board, tmp_path):
    with LfsBoard(shutil.copy(board[0], tmp_path / "whole.img")) as prompt:
        install(prompt, firmware(2))
        runs = prompt.runs
    flash = shutil.copy(board[0], tmp_path / "flash.img")
    with LfsBoard(flash, cable=runs - 8) as prompt, pytest.raises(FlashError):
        install(prompt, firmware(2))
    with LfsBoard(flash) as prompt:
        done = install(prompt, firmware(2))
    assert done.switched and not done.sent and len(done.kept) == 6
