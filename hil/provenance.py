"""What a run came from: commit, content hashes and versions of everything on the host's side."""

from __future__ import annotations

import hashlib
import json
import platform
import subprocess
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

HIL = Path(__file__).resolve().parent
PACKAGES = ("doseloop", "pyserial", "numpy", "matplotlib", "jinja2", "fpdf2", "tqdm")
KINDS = (".py", ".toml", ".j2", ".js", ".css")
DIGITS = 16


def digest(data: bytes) -> str:
    """First half of SHA-256 in hex, as a program's hash on the wire."""
    return hashlib.sha256(data).hexdigest()[:DIGITS]


def of_board(data: Mapping[str, Any]) -> str:
    return digest(json.dumps(dict(data), sort_keys=True, default=str).encode())


@cache
def of_host() -> dict[str, str]:
    """The bench: commit, hash of its files, Python and packages."""
    found = {"host commit": _commit(), "host hash": _content(HIL), "python": platform.python_version()}
    return found | {"platform": f"{platform.system()} {platform.machine()}"} | _packages(PACKAGES)


def _packages(names: Iterable[str]) -> dict[str, str]:
    found = {}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed as a package"
    return found


def _content(folder: Path) -> str:
    files = sorted(path for path in folder.rglob("*") if path.suffix in KINDS)
    lines = (f"{path.relative_to(folder).as_posix()} {hashlib.sha256(path.read_bytes()).hexdigest()}\n" for path in files)
    return digest("".join(lines).encode())


def _commit() -> str:
    """Of the checkout this file is in, and whether it was changed since; "none" outside one."""
    commit = _git("rev-parse", "--short=12", "HEAD")
    if not commit:
        return "none"
    return commit + (" with changes" if _git("status", "--porcelain", "--untracked-files=no") else "")


def _git(*words: str) -> str:
    try:
        done = subprocess.run(["git", "-C", str(HIL), *words], capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
