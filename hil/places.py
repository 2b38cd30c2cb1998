"""Places in the file system that people name on the command line, and what to do about one that will not do."""

from __future__ import annotations

import argparse
import errno
from pathlib import Path

WHAT_TO_DO = {
    errno.EEXIST: "there is a file where a folder is wanted; name another place",
    errno.ENOTDIR: "a part of it is a file and no folder; name another place",
    errno.EISDIR: "it is a folder; name a file",
    errno.ENOENT: "there is no such place; make its folder first, or name another",
    errno.EACCES: "not permitted; name a place that you may write",
    errno.EPERM: "not permitted; name a place that you may write",
    errno.EROFS: "that is read-only; name a place that you may write",
    errno.ENOSPC: "no room is left where this is written",
    errno.ENAMETOOLONG: "that name is too long",
    errno.ELOOP: "its links lead in a circle",
}
SHOWN = 200  # characters of a name


def place(text: str) -> Path:
    """The value of an argument that names a file or a folder."""
    if not text or "\0" in text:
        raise argparse.ArgumentTypeError(f"{text!r} is no name of a file or folder")
    return Path(text)


def about(error: OSError) -> str:
    """The place, and what to do about it."""
    name = "" if error.filename is None else f"{str(error.filename)[:SHOWN]}: "
    return name + WHAT_TO_DO.get(error.errno or 0, error.strerror or str(error))


def tcp_port(text: str) -> int:
    """An argument that is a TCP port; 0 asks for any free one."""
    if not text.isdecimal() or not text.isascii() or int(text) > 65_535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port: a whole number from 0 to 65535")
    return int(text)
