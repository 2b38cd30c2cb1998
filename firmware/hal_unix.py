"""The unix port as a board: a simulated rig in lock-step virtual time behind two pipes, serial on a pty.

Everything the firmware does to the rig is a cell of four 32-bit words; cells are collected and sent when the loop
sleeps. Only IDLE, REVOKE and HELLO are answered, with the time granted and every input (see hil/targets/lockstep.py).
Time moves only while the loop sleeps. Needs the environment DOSELOOP_TX, DOSELOOP_RX (pipes) and DOSELOOP_STORE (folder).
"""

import binascii
import hashlib
import json
import os
import select
import sys
from array import array

from doseloop.store import FileStore

_LEASE, _FEED, _TONE, _RTC_SET, _REVOKE, _IDLE, _RESET, _WATCHDOG, _HELLO, _MARK = range(1, 11)
_CELLS = 64
_VERSION = 1

# Words of an answer.
_TICKS, _US, _STEPPED, _WITNESS, _FLAGS, _BATTERY, _TEMPERATURE, _RTC_S, _RTC_MS, _RANDOM, _CAUSE, _QUEUED = range(12)
_PORT_OPEN, _SERIAL_PENDING, _RTC_VALID = 1, 2, 4
_CONVERTER_DEAD, _BUZZER_DEAD = 32, 64  # the reference rig reads a known voltage, and has a microphone at its buzzer
_SLICE = 4096
_FOLDER = __file__.rsplit("/", 1)[0] + "/doseloop"

_WRITE_BYTES = 128  # a pty that polls writable takes this much without blocking
_EXIT_RESET = 3


class _Serial:
    """stdin and stdout, the master end of a pty; neither call blocks."""

    def __init__(self, hal):
        self._hal = hal
        self._in = open(0, "rb")
        self._out = open(1, "wb")
        self._readable = select.poll()
        self._readable.register(sys.stdin, select.POLLIN)
        self._writable = select.poll()
        self._writable.register(sys.stdout, select.POLLOUT)

    def read(self, buffer):
        if not self._hal.serial_pending():
            return 0
        count = 0
        while count < len(buffer) and self._readable.poll(0):
            byte = self._byte()
            if not byte:
                break
            buffer[count] = byte[0]
            count += 1
        return count

    def _byte(self):
        try:
            return self._in.read(1)
        except OSError:  # EIO: nobody holds the other end, as with a cable that was pulled
            return b""

    def write(self, data):
        if not self._writable.poll(0):
            return 0
        try:
            return self._out.write(data[:_WRITE_BYTES]) or 0
        except OSError:
            return 0  # the cable is out: nothing taken


class _Store(FileStore):
    """What the rig was told lies with the rig before anything is written, as on a board: a kill in between finds the true order."""

    def __init__(self, root, tell):
        super().__init__(root)
        self._tell = tell

    def append(self, name, data):
        self._tell()
        super().append(name, data)

    def replace(self, name, data):
        self._tell()
        super().replace(name, data)


class UnixHal:
    """See doseloop/hal.py for the contract."""

    def __init__(self, board):
        self.board = board
        self._cells = array("I", [0] * (4 * _CELLS))
        self._used = 0
        self._input = array("I", [0] * 12)
        self._tx = open(int(os.getenv("DOSELOOP_TX")), "wb")
        self._rx = open(int(os.getenv("DOSELOOP_RX")), "rb")
        self.store = _Store(os.getenv("DOSELOOP_STORE"), self._tell)
        self.serial = _Serial(self)
        self._guarded = False  # a bolus or prime moves: an open port cuts the motor off
        self._cut = False  # it has
        self._code_hash = None
        self._randoms = 0
        self._exchange(_HELLO, _VERSION, 0)
        self.boot_cause = self._input[_CAUSE]

    # The pipe.

    def _cell(self, tag, a, b, c):
        cells = self._cells
        at = self._used
        cells[at] = tag
        cells[at + 1] = a
        cells[at + 2] = b
        cells[at + 3] = c
        self._used = at + 4
        if self._used == 4 * _CELLS:
            self._send()

    def _tell(self):
        if self._used:
            self._send()

    def _send(self):
        self._tx.write(memoryview(self._cells)[: self._used])
        self._used = 0

    def _exchange(self, tag, a, b):
        self._cell(tag, a, b, 0)
        self._tell()
        if self._rx.readinto(self._input) != 48:
            sys.exit(0)  # the bench is gone

    # Time.

    def ticks_ms(self):
        return self._input[_TICKS]

    def idle(self, wait_ms):
        """The bench ends it at an edge of the port switch."""
        self._exchange(_IDLE, wait_ms, 0)
        if self._guarded:
            self._judge_port()

    def rtc(self):
        return self._input[_RTC_S] if self._input[_FLAGS] & _RTC_VALID else None

    def rtc_set(self, unix_s):
        self._cell(_RTC_SET, unix_s, 0, 0)

    def watchdog(self, timeout_ms):
        self._cell(_WATCHDOG, timeout_ms, 0, 0)

    def reset(self, cause):
        self._cell(_RESET, cause, 0, 0)
        self._tell()
        sys.exit(_EXIT_RESET)

    # Motion.

    def put(self, pulses, gap_us, period_us):
        self._cell(_LEASE, pulses, gap_us, period_us)

    def room(self):
        return _CELLS

    def revoke(self):
        self._exchange(_REVOKE, 0, 0)
        return self._input[_STEPPED]

    def late(self):
        return 0  # virtual time stands still while the loop works

    def stepped(self):
        return self._input[_STEPPED]

    def witness(self):
        return self._input[_WITNESS]

    def feed(self, enable_ms):
        self._cell(_FEED, 0 if self._cut else enable_ms, 0, 0)

    def guard_port(self, on):
        self._guarded = on
        self._cut = False
        if on:
            self._judge_port()

    def _judge_port(self):
        """What a board does by interrupt."""
        if self.port_open() and not self._cut:
            self._cut = True
            self.feed(0)

    # Inputs and outputs.

    def port_open(self):
        return self._cut or self._input[_FLAGS] & _PORT_OPEN != 0

    def serial_pending(self):
        return self._input[_FLAGS] & _SERIAL_PENDING != 0

    def battery_mv(self):
        return self._input[_BATTERY]

    def temperature(self):
        tenths = self._input[_TEMPERATURE]
        return tenths - 1000 if tenths else None

    def tone(self, signal):
        self._cell(_TONE, signal, 0, 0)

    def random32(self):
        """From the bench's seed, so that a run repeats; mixed, because an answer brings only one word."""
        self._randoms += 1
        seed = "%d %d %d" % (self._input[_RANDOM], self._randoms, self._input[_TICKS])
        digest = hashlib.sha256(seed.encode()).digest()
        return int.from_bytes(digest[:4], "big")

    def uid(self):
        """Drawn once per rig and kept in its store, as a chip's number stays with the chip."""
        kept = self.store.read("uid")
        if not kept:
            kept = ("unix-%08x" % self.random32()).encode()
            self.store.replace("uid", kept)
        return kept.decode()

    def probe(self, part):
        return not self._input[_FLAGS] & (_CONVERTER_DEAD if part == "converter" else _BUZZER_DEAD)

    def code_hash(self):
        """First 16 hex digits of the SHA-256 over the firmware's files in order of name."""
        if self._code_hash is None:
            for self._code_hash in _hash_folder(_FOLDER):
                pass
        return self._code_hash

    def code_check(self):
        """Its sources against the code_hash that the environment names as DOSELOOP_CODE, if it does."""
        want = os.getenv("DOSELOOP_CODE")
        if want:
            for found in _hash_folder(_FOLDER):
                if found is None:
                    yield None
            yield "pass" if found == want else "FAIL"
        yield "none"

    def mark(self, code, x):
        """For benchmarks: the bench reads it, the firmware never does."""
        self._cell(_MARK, code, x, 0)


def _hash_folder(folder):
    """None for each slice, at last the hash."""
    whole = hashlib.sha256()
    for name in sorted(os.listdir(folder)):
        if name.endswith(".py"):
            with open(folder + "/" + name, "rb") as file:
                while True:
                    part = file.read(_SLICE)
                    if not part:
                        break
                    whole.update(part)
                    yield None
    yield binascii.hexlify(whole.digest())[:16].decode()


def load_board(folder):
    """boards/unix/board.py, with the overrides of the JSON file that DOSELOOP_BOARD names."""
    scope = {}
    with open(folder + "/../boards/unix/board.py") as file:
        exec(file.read(), scope)
    board = scope["BOARD"]
    overrides = os.getenv("DOSELOOP_BOARD")
    if overrides:
        with open(overrides) as file:
            board.update(json.load(file))
    return board
