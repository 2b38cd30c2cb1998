"""The unix pump with points at which the bench spoils what its simulated rig cannot reach. Runs in place of firmware/main.py.

Use: as the `script` of hil.targets.unix.UnixTarget; each bit of LockStep.injected below is one fault, on while it is set (memory: once).
DOSELOOP_FIRMWARE names another folder of firmware, one that was broken on purpose.
"""

import os
import sys

FIRMWARE = os.getenv("DOSELOOP_FIRMWARE") or __file__.rsplit("/", 1)[0] + "/../../firmware"
sys.path.insert(0, FIRMWARE)

import hal_unix  # noqa: E402 - after the path is set
from doseloop import store  # noqa: E402
from doseloop.controller import Controller  # noqa: E402
from doseloop.hal import BOOT_WATCHDOG  # noqa: E402
from doseloop.store import FileStore  # noqa: E402

FLASH_FULL, FLASH_ONE_COPY, FLASH_DEAD, RAM_PROGRAM, RAM_PLAN, RAM_BOARD, CODE, READ_ONCE, ACCOUNT = [
    1 << bit for bit in range(8, 17)
]
_FLAGS = 4  # word of an answer
_ENOSPC, _EIO = 28, 5
_WHOLE = 4096  # what store.py takes for a file that it cannot read


class FaultyStore(FileStore):
    """A flash that is full, or loses what it holds."""

    def __init__(self, root, hal):
        super().__init__(root)
        self._hal = hal
        self._unread = set()  # files whose first reading has failed since the start

    def read(self, name):
        if self._hal.has(READ_ONCE) and name not in self._unread:
            self._unread.add(name)
            store.open = fails_once
        if self._hal.has(ACCOUNT) and name.startswith("acct"):
            return bytes(_WHOLE)
        data = super().read(name)
        if data and (self._hal.has(FLASH_DEAD) or (self._hal.has(FLASH_ONE_COPY) and name.endswith(".a"))):
            return b""
        return data

    def _refuse(self, name):
        if self._hal.has(FLASH_FULL):
            raise OSError(_ENOSPC)
        if self._hal.has(FLASH_DEAD) or (self._hal.has(FLASH_ONE_COPY) and name.endswith(".a")):
            raise OSError(_EIO)

    def append(self, name, data):
        self._refuse(name)
        super().append(name, data)

    def replace(self, name, data):
        self._refuse(name)
        super().replace(name, data)


def fails_once(path, mode):
    """In the place of open() in store.py: an error of the device, and from then on all is well."""
    store.open = open
    raise OSError(_EIO)


class FaultyHal(hal_unix.UnixHal):
    def __init__(self, board):
        super().__init__(board)
        self.store = FaultyStore(os.getenv("DOSELOOP_STORE"), self)
        self.pump = None
        self._done = 0  # bits that are set and done

    def has(self, bit):
        return self._input[_FLAGS] & bit != 0

    def code_check(self):
        yield None
        yield "FAIL" if self.has(CODE) else "pass"

    def idle(self, wait_ms):
        super().idle(wait_ms)
        for bit, spoil in ((RAM_PROGRAM, spoil_program), (RAM_PLAN, spoil_plan), (RAM_BOARD, spoil_board)):
            if self.has(bit) and not self._done & bit:
                spoil(self.pump)
        self._done = self._input[_FLAGS]


def spoil_program(pump):
    """A bit of each dose in memory flips: a quarter more or less."""
    doses = pump.basal.program.doses_ng
    for k in range(len(doses)):
        doses[k] ^= 1 << max(1, len(bin(doses[k])) - 4)


def spoil_plan(pump):
    """A bit in what the present piece is laid out by: an eighth more or less falls due."""
    anchor = pump.dosing._anchors[-1]
    anchor.rate_num ^= 1 << max(1, len(bin(anchor.rate_num)) - 5)


def spoil_board(pump):
    pump.board["witness_slack_counts"] ^= 1 << 9


def main():
    hal = FaultyHal(hal_unix.load_board(FIRMWARE))
    controller = Controller(hal)
    hal.pump = controller.pump
    try:
        controller.run()
    except Exception as error:  # as main.py does
        sys.print_exception(error, sys.stderr)
        hal.reset(BOOT_WATCHDOG)


main()
