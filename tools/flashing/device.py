"""A board's files and facts, by small scripts at its prompt. Nothing here decides anything."""

from __future__ import annotations

import ast
import base64
from dataclasses import dataclass
from typing import Any

from tools.flashing import FlashError
from tools.flashing.prompt import Prompt

CHUNK = 1024  # bytes a line

# What the board is taught once.
SUPPORT = """
import os, hashlib
from binascii import a2b_base64, hexlify
def _kind(p):
    try:
        return os.stat(p)[0] & 0xF000
    except OSError:
        return 0
def _sha(p):
    h = hashlib.sha256()
    b = bytearray(1024)
    with open(p, 'rb') as f:
        while True:
            n = f.readinto(b)
            if not n:
                return hexlify(h.digest()).decode()
            h.update(b if n == 1024 else b[:n])
def _walk(p, inside=''):
    for e in os.ilistdir(p):
        n = p + '/' + e[0]
        if e[1] == 0x4000:
            for x in _walk(n, inside + e[0] + '/'):
                yield x
        else:
            yield inside + e[0]
def _rm(p):
    if _kind(p) == 0x4000:
        for e in list(os.ilistdir(p)):
            _rm(p + '/' + e[0])
        os.rmdir(p)
    elif _kind(p):
        os.remove(p)
def _dirs(p):
    at = p.find('/', 1)
    while at > 0:
        if not _kind(p[:at]):
            os.mkdir(p[:at])
        at = p.find('/', at + 1)
def _copy(a, c):
    _dirs(c)
    b = bytearray(1024)
    with open(a, 'rb') as f:
        with open(c, 'wb') as g:
            while True:
                n = f.readinto(b)
                if not n:
                    break
                g.write(b[:n])
def _sync():
    if hasattr(os, 'sync'):
        os.sync()
"""

FACTS = """
import sys, os, gc
def _frozen():
    kept = sys.path[:]
    sys.path[:] = ['.frozen']
    sys.modules.pop('build_id', None)
    try:
        from build_id import HASH
        return HASH
    except ImportError:
        return ''
    finally:
        sys.path[:] = kept
        sys.modules.pop('build_id', None)
i = sys.implementation
heap = gc.mem_alloc() + gc.mem_free()
print(repr((i.name, tuple(i.version[:3]), sys.platform, getattr(i, '_machine', ''), getattr(i, '_mpy', 0), _frozen(), heap)))
"""


@dataclass(frozen=True)
class Facts:
    """What a board says of its MicroPython. frozen: content hash of a doseloop in its image, "" without one. heap: bytes, used or not."""

    name: str
    version: tuple[int, ...]
    platform: str
    machine: str
    mpy: int
    frozen: str
    heap: int


FORM = (str, tuple, str, str, int, str, int)


def value_of(text: str) -> Any:
    """What the board printed as a value; FlashError if it is none."""
    try:
        return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        shown = "".join(char if char.isprintable() else "?" for char in text.strip())[:60]
        raise FlashError(f"the board answered {shown!r}, which is no answer: is another program on this port, or a bad cable?") from None


class Device:
    """root: where the board's files lie ("" or "/flash")."""

    def __init__(self, prompt: Prompt, root: str = "") -> None:
        self.prompt = prompt
        self.root = root
        self._taught = False

    def facts(self) -> Facts:
        found = value_of(self.prompt.run(FACTS))
        if not (isinstance(found, tuple) and [type(each) for each in found] == list(FORM) and all(type(part) is int for part in found[1])):
            raise FlashError(f"the board says of itself {str(found)[:100]!r}: this is no MicroPython that can be flashed")
        return Facts(*found)

    def ask(self, expression: str) -> Any:
        """The value of an expression on the board."""
        self._teach()
        return value_of(self.prompt.run(f"print(repr({expression}))"))

    def do(self, code: str) -> None:
        self._teach()
        self.prompt.run(code)

    def _teach(self) -> None:
        if not self._taught:
            self.prompt.run(SUPPORT)
            self._taught = True

    def block_bytes(self) -> int:
        return int(self.ask(f"os.statvfs({self.root or '/'!r})[0]"))

    def free_bytes(self) -> int:
        return int(self.ask(f"(lambda s: s[0] * s[3])(os.statvfs({self.root or '/'!r}))"))

    def names(self) -> list[str]:
        """What lies in the root."""
        return [str(name) for name in self.ask(f"sorted([e[0] for e in os.ilistdir({self.root or '/'!r})])")]

    def has(self, path: str) -> bool:
        return bool(self.ask(f"_kind({path!r})"))

    def read_text(self, path: str, most: int = 4096) -> str:
        return str(self.ask(f"open({path!r}).read({most})"))

    def hashes(self, folder: str) -> dict[str, str]:
        """Path in the folder -> SHA-256 of every file that lies in it; empty if there is no such folder."""
        names = self.ask(f"list(_walk({folder!r}))") if self.has(folder) else []
        return {str(name): self.sha(f"{folder}/{name}") for name in names}

    def sha(self, path: str) -> str:
        return str(self.ask(f"_sha({path!r})"))

    def write(self, path: str, data: bytes) -> None:
        """The whole file; durable once closed."""
        self.do(f"_dirs({path!r})\n_f = open({path!r}, 'wb')")
        for at in range(0, len(data), CHUNK):
            self.do(f"_f.write(a2b_base64({base64.b64encode(data[at : at + CHUNK])!r}))")
        self.do("_f.close()\n_sync()")

    def copy(self, source: str, target: str) -> None:
        self.do(f"_copy({source!r}, {target!r})")

    def remove(self, path: str) -> None:
        """A file or a whole folder, if it is there."""
        self.do(f"_rm({path!r})")

    def rename(self, source: str, target: str) -> None:
        """In one step, over what was there."""
        self.do(f"os.rename({source!r}, {target!r})\n_sync()")
