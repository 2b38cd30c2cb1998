"""Where the journal lies on a board: on bare blocks that the mounted filesystem leaves free, else in files; never over a filesystem."""

import runpy
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from fakes.esp32 import Esp32
from fakes.flash import BLOCK, NorFlash
from fakes.rp2 import Rp2
from test_hal_rp2 import BOARD, FILES, load

from doseloop.region import MIN_BLOCKS, RegionStore
from doseloop.units import Refusal

BOOT = Path(__file__).resolve().parents[1] / "boards" / "pico" / "boot" / "_boot.py"
WHOLE, REGION = 352, 64


class Storage:
    """rp2, vfs and board as _boot.py meets them. lies: blocks of the filesystem that is there, 0 for none."""

    def __init__(self, lies):
        self.lies = lies
        self.made = []
        self.mounted = None
        self.vfs = SimpleNamespace(VfsLfs2=self, mount=self._mount)
        self.rp2 = SimpleNamespace(Flash=self._flash)

    def _flash(self, start=0, len=WHOLE * BLOCK):
        if not 0 < len <= WHOLE * BLOCK:
            raise ValueError
        return SimpleNamespace(blocks=len // BLOCK, ioctl=lambda op, arg: len // BLOCK)

    def __call__(self, device, progsize):
        """VfsLfs2 refuses a device of another size than its superblock says."""
        if device.blocks != self.lies:
            raise OSError(22)
        return device

    def mkfs(self, device, progsize):
        self.made.append(device.blocks)
        self.lies = device.blocks

    def _mount(self, filesystem, place):
        self.mounted = filesystem.blocks


def boot(monkeypatch, lies, board):
    storage = Storage(lies)
    monkeypatch.setitem(sys.modules, "rp2", storage.rp2)
    monkeypatch.setitem(sys.modules, "vfs", storage.vfs)
    monkeypatch.setitem(sys.modules, "machine", SimpleNamespace())
    monkeypatch.setitem(sys.modules, "board", board and SimpleNamespace(BOARD=board))
    runpy.run_path(str(BOOT))
    return storage


@pytest.mark.parametrize(
    "lies, board, mounted, made",
    [
        (0, {"journal_blocks": REGION}, WHOLE - REGION, [WHOLE - REGION]),  # a new board
        (WHOLE - REGION, {"journal_blocks": REGION}, WHOLE - REGION, []),
        (WHOLE, {"journal_blocks": REGION}, WHOLE, []),  # it ran upstream's image: its files stay
        (0, {"journal_blocks": 0}, WHOLE, [WHOLE]),
        (WHOLE, {"journal_blocks": 0}, WHOLE, []),
        (0, None, WHOLE, [WHOLE]),  # data that is missing or wrong is told by board_check
        (WHOLE, {}, WHOLE, []),
        (0, {"journal_blocks": 9999}, WHOLE, [WHOLE]),
    ],
)
def test_the_filesystem_that_is_there_is_mounted_and_a_new_one_leaves_the_region_free(monkeypatch, lies, board, mounted, made):
    storage = boot(monkeypatch, lies, board)
    assert (storage.mounted, storage.made) == (mounted, made)


def opened(monkeypatch, tmp_path, mounted_blocks, journal_blocks):
    """The kind of store that hal_rp2 opens over such a filesystem, and where its device begins."""
    asked = [0]

    def flash(start=0, len=WHOLE * BLOCK):
        asked.append(start)
        return NorFlash(len // BLOCK)

    chip = Rp2(dict(BOARD, journal_folder=str(tmp_path / "journal"), journal_blocks=journal_blocks))
    chip.inputs[BOARD["port_pin"]] = 0
    module = load(FILES, chip)
    module.rp2.Flash = flash
    module.os = SimpleNamespace(statvfs=lambda path: (BLOCK, BLOCK, mounted_blocks), listdir=lambda path: [])
    return type(module.Hal(chip.board, 1).store).__name__, asked[-1]


@pytest.mark.parametrize(
    "mounted, blocks, store",
    [
        (WHOLE - REGION, REGION, "RegionStore"),
        (WHOLE - REGION + 1, REGION, "FileStore"),
        (WHOLE, REGION, "FileStore"),
        (WHOLE, 0, "FileStore"),
    ],
)
def test_the_region_is_used_only_where_the_mounted_filesystem_leaves_it_free(monkeypatch, tmp_path, mounted, blocks, store):
    kind, start = opened(monkeypatch, tmp_path, mounted, blocks)
    assert kind == store
    assert kind == "FileStore" or start == (WHOLE - REGION) * BLOCK


@pytest.mark.parametrize("in_files, begins", [([], False), (["log0"], True)])
def test_a_journal_under_another_filesystem_is_told_by_name_and_none_is_begun_instead(tmp_path, in_files, begins):
    """Upstream's MicroPython was put over an image: its filesystem covers the journal's blocks, which it has not written yet."""
    flash = NorFlash(REGION)
    RegionStore(flash, REGION).append("log", bytes(64))
    folder = tmp_path / "journal"
    chip = Rp2(dict(BOARD, journal_folder=str(folder), journal_blocks=REGION))
    chip.inputs[BOARD["port_pin"]] = 0
    module = load(FILES, chip)
    module.rp2.Flash = lambda start=None, len=0: SimpleNamespace(ioctl=lambda *_: WHOLE) if start is None else flash
    module.os = SimpleNamespace(statvfs=lambda path: (BLOCK, BLOCK, WHOLE), listdir=lambda path: in_files)
    before = bytes(flash.data)
    if begins:
        assert type(module.Hal(chip.board, 1).store).__name__ == "FileStore"
        return
    with pytest.raises(Refusal) as refused:
        module.Hal(chip.board, 1)
    assert refused.value.text.startswith("DOSELOOP DOES NOT START: a pump's journal lies in the last 64 blocks of the flash")
    assert bytes(flash.data) == before and not chip.machines


@pytest.mark.parametrize("blocks, store", [(None, "FileStore"), (MIN_BLOCKS - 1, "FileStore"), (MIN_BLOCKS, "RegionStore")])
def test_an_esp32_keeps_its_journal_on_a_partition_of_that_name_if_it_is_large_enough(tmp_path, blocks, store):
    board = runpy.run_path(str(BOOT.parents[2] / "esp32" / "board.py"))["BOARD"]
    chip = Esp32(dict(board, journal_folder=str(tmp_path / "journal")))
    module = load(("hal_common", "software_leases", "esp32_motion", "hal_esp32"), chip)
    module.Partition = SimpleNamespace(TYPE_DATA=1, find=lambda kind, label: [NorFlash(blocks)] if blocks and label == "doseloop" else [])
    assert type(module.Hal(chip.board, 1).store).__name__ == store
