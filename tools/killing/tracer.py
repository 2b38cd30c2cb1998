"""Kills the firmware at an instant that can be named: before its nth system call, or so many real microseconds from now.

A process that is killed has done to the world what its system calls did and nothing else, so "before call n", for every n, is every
instant there is; a seed then repeats a case. A timer kills where no number points, in the midst of computing: the same worlds, found in
another way. The first needs ptrace (Linux); elsewhere the timer does all.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time

_DETACH, _SYSCALL, _SEIZE, _INTERRUPT, _GET_SYSCALL_INFO = 17, 24, 0x4206, 0x4207, 0x420E
_TRACESYSGOOD = 1
_WALL = 0x40000000
_SYSCALL_STOP = signal.SIGTRAP | 0x80
_NONE, _ENTRY, _EXIT = 0, 1, 2
_INFO_BYTES = 96
HERE_S = 5.0  # until the firmware is under the tracer


class Tracer:
    """Counts the system calls of one process from the moment it is made; kills it before the one that was named."""

    def __init__(self, pid: int, before_call: int | None) -> None:
        self.calls = 0
        self.killed_before: int | None = None  # number of the system call that never came to be
        self._pid = pid
        self._before = before_call
        self._over = False
        self._attached = threading.Event()
        self._error = 0
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()
        if not self._attached.wait(HERE_S) or self._error:
            raise OSError(self._error, f"process {pid} cannot be traced: {os.strerror(self._error)}")

    def _follow(self) -> None:
        """All of ptrace belongs to the thread that attached."""
        libc = ctypes.CDLL(None, use_errno=True)
        libc.ptrace.argtypes = (ctypes.c_long, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
        if libc.ptrace(_SEIZE, self._pid, None, _TRACESYSGOOD) or libc.ptrace(_INTERRUPT, self._pid, None, None):
            self._error = ctypes.get_errno()
            self._attached.set()
            return
        info = ctypes.create_string_buffer(_INFO_BYTES)
        while self._waited():
            if self._over:
                libc.ptrace(_DETACH, self._pid, None, None)
                return
            stop = os.WSTOPSIG(self._status)
            if stop == _SYSCALL_STOP and libc.ptrace(_GET_SYSCALL_INFO, self._pid, _INFO_BYTES, info) > 0 and info.raw[0] == _ENTRY:
                if self._before is not None and self.calls >= self._before:
                    self.killed_before = int.from_bytes(info.raw[24:32], sys.byteorder)
                    os.kill(self._pid, signal.SIGKILL)
                    return  # who waits for the process reaps it
                self.calls += 1
            libc.ptrace(_SYSCALL, self._pid, None, None)
            self._attached.set()

    def let_go(self) -> None:
        """It lives on, untraced from its next system call."""
        self._over = True

    def _waited(self) -> bool:
        """Its next stop; False once it is gone."""
        try:
            _, self._status = os.waitpid(self._pid, _WALL)
        except ChildProcessError:
            return False
        return os.WIFSTOPPED(self._status)


class Fuse:
    """SIGKILL after so many real microseconds, whatever the process does then."""

    def __init__(self, pid: int, after_us: int) -> None:
        self._pid = pid
        self._after_s = after_us / 1e6
        self._thread = threading.Thread(target=self._burn, daemon=True)
        self._thread.start()

    def _burn(self) -> None:
        time.sleep(self._after_s)
        try:
            os.kill(self._pid, signal.SIGKILL)
        except ProcessLookupError:
            return

    def wait(self) -> None:
        self._thread.join()


def can_trace() -> bool:
    """Whether a child of this process may be traced here."""
    if not sys.platform.startswith("linux"):
        return False
    pid = os.posix_spawn("/bin/sleep", ["sleep", "5"], os.environ)
    try:
        Tracer(pid, 0)
        return True
    except OSError:
        return False
    finally:
        os.kill(pid, signal.SIGKILL)
        _reap(pid)


def _reap(pid: int) -> None:
    try:
        os.waitpid(pid, 0)
    except ChildProcessError:
        return
