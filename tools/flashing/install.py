"""The order in which a firmware comes onto a board, so that a cable pulled at any point leaves the old one or the new one.

1. What an interrupted flash left behind is removed; the folder that /main.py names is never touched.
2. The new folder is filled: what is there already stays, what the old folder has is copied on the board, the rest is sent.
3. Every file of it is hashed on the board.
4. /main.py is replaced by one rename. Before it the old firmware starts, after it the new one.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from tools.flashing import FlashError
from tools.flashing.device import Device
from tools.flashing.payload import Payload, sha
from tools.flashing.prompt import Gone

MARK = "tools/flash.py writes the folder here"  # in every launcher: a main.py without it is somebody else's
FOLDER = re.compile(r'^FOLDER = "(.*/fw-[0-9a-f]{16})"', re.MULTILINE)
FRESH = "main.py.new"
KEPT = "main-before-doseloop.py"
JOURNAL_BYTES = 200_000  # what the journal may come to: 29 files of records and two copies of the state, with their blocks
SPARE_BLOCKS = 8  # folders, and what the filesystem keeps of them


@dataclass
class Done:
    """What an installation did, for the person."""

    sent: list[str] = field(default_factory=list)
    copied: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    switched: bool = False


class Installer:
    """say: told what is being done, a line each."""

    def __init__(self, device: Device, payload: Payload, say: Callable[[str], None], replace_main: bool = False) -> None:
        self._device = device
        self._payload = payload
        self._say = say
        self._replace_main = replace_main
        self._main = f"{payload.root}/main.py"
        self._fresh = f"{payload.root}/{FRESH}"
        self._reached = "before the new firmware was complete: the board starts what it started before"
        self.done = Done()

    def run(self) -> Done:
        try:
            old = self._old_folder()
            self._sweep(old)
            self._fill(old)
            self._verify()
            self._switch()
        except Gone as gone:
            raise Gone(f"{gone}, {self._reached}.\nPlug it in and run the same command again: it goes on where it was.") from gone
        return self.done

    def _old_folder(self) -> str | None:
        """The folder of the firmware that starts now; None without one. A foreign main.py is not overwritten unasked."""
        if not self._device.has(self._main):
            return None
        text = self._device.read_text(self._main)
        found = FOLDER.search(text)
        if found and MARK in text:
            return found[1]
        if not self._replace_main:
            raise FlashError(
                f"this board has a main.py that is not doseloop's. Save it (mpremote cp :{self._main} .), then say --replace-main:"
                f" it stays on the board as {KEPT}"
            )
        return None

    def _sweep(self, old: str | None) -> None:
        """Folders that nothing names any more, from flashes that were broken off."""
        root = self._payload.root
        for name in self._device.names():
            path = f"{root}/{name}"
            if re.fullmatch(r"fw-[0-9a-f]{16}", name) and path not in (old, self._payload.folder):
                self._device.remove(path)
        self._device.remove(self._fresh)

    def _fill(self, old: str | None) -> None:
        wanted, folder = self._payload.hashes, self._payload.folder
        there = self._device.hashes(folder)
        for name in sorted(there.keys() - wanted.keys()):
            self._device.remove(f"{folder}/{name}")
        self.done.kept = sorted(name for name in wanted if there.get(name) == wanted[name])
        lacking = sorted(wanted.keys() - set(self.done.kept))
        self._need_space(lacking)
        in_old = self._device.hashes(old) if old and lacking else {}
        by_hash = {value: f"{old}/{name}" for name, value in in_old.items()}
        for name in lacking:
            self._bring(name, by_hash.get(wanted[name]))

    def _bring(self, name: str, source: str | None) -> None:
        target = f"{self._payload.folder}/{name}"
        if source:
            self._device.copy(source, target)
            self.done.copied.append(name)
        else:
            self._say(f"  {name}, {len(self._payload.files[name])} bytes")
            self._device.write(target, self._payload.files[name])
            self.done.sent.append(name)

    def _need_space(self, lacking: list[str]) -> None:
        """Whole blocks, and what the journal will want if it is not there yet."""
        block = self._device.block_bytes()
        need = sum(-(-len(self._payload.files[name]) // block) for name in lacking) + SPARE_BLOCKS
        wanted = need * block + (0 if self._device.has(f"{self._payload.root}/journal") else JOURNAL_BYTES)
        free = self._device.free_bytes()
        if lacking and free < wanted:
            raise FlashError(
                f"the board's filesystem has {free // 1024} KB free and the firmware needs {-(-wanted // 1024)} KB."
                " Remove what is not needed (mpremote fs ls, mpremote fs rm ...), then flash again. Nothing was changed"
            )

    def _verify(self) -> None:
        found = self._device.hashes(self._payload.folder)
        wrong = sorted(name for name in found.keys() | self._payload.hashes.keys() if found.get(name) != self._payload.hashes.get(name))
        if wrong:
            raise FlashError(
                f"{', '.join(wrong[:3])} came out wrong on the board: its flash may be worn. The board starts what it started before;"
                " flash again, and replace the board if it stays so"
            )

    def _switch(self) -> None:
        """The one step that counts."""
        launcher = self._payload.launcher
        if self._device.has(self._main) and self._device.sha(self._main) == sha(launcher):
            return
        if self._device.has(self._main) and not FOLDER.search(self._device.read_text(self._main)):
            self._device.copy(self._main, f"{self._payload.root}/{KEPT}")
        self._device.write(self._fresh, launcher)
        if self._device.sha(self._fresh) != sha(launcher):
            raise FlashError("main.py came out wrong on the board: flash again. The board starts what it started before")
        self._reached = "at the moment of the switch: the board starts the old firmware or the new one, whole"
        self._device.rename(self._fresh, self._main)
        self._reached = "after the switch: the board starts the new firmware"
        self.done.switched = True
