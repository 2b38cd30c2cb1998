"""What goes on a board: the modules that its manifest names, what names their content, and the commit they come from.

An image, a flashed board and package.json are made from the same list, so all of them report the same hash.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
BOARDS = ROOT / "boards"
HASH_DIGITS = 16
GIT_DIGITS = 12


class FilesError(Exception):
    """There is no such board, or its manifest cannot be read; the message says what to do."""


@dataclass(frozen=True, order=True)
class Module:
    """One module of the firmware: `name` is where it is imported from, such as doseloop/units.py; `opt` the compiler's optimisation."""

    name: str
    source: Path
    opt: int = 0


def board_names() -> list[str]:
    """The boards that can be flashed."""
    return sorted(path.parent.name for path in BOARDS.glob("*/manifest.py"))


def manifest_of(board: str) -> Path:
    manifest = BOARDS / board / "manifest.py"
    if not manifest.exists():
        raise FilesError(f"there is no board {board!r} to flash: choose one of {', '.join(board_names())}")
    return manifest


def modules(manifest: Path) -> list[Module]:
    """Our modules of a manifest, in order of name; what it takes from MicroPython itself ($(PORT_DIR) and the like) is left out."""
    found: dict[str, Module] = {}
    _read(manifest.resolve(), found)
    return sorted(found.values())


def _read(manifest: Path, found: dict[str, Module]) -> None:
    folder = manifest.parent

    def include(path: str) -> None:
        if "$(" not in path:
            _read((folder / path).resolve(), found)

    def module(name: str, base_path: str = ".", opt: int = 0) -> None:
        found[name] = Module(name, (folder / base_path / name).resolve(), opt)

    def package(name: str, base_path: str = ".", opt: int = 0) -> None:
        base = (folder / base_path).resolve()
        for path in (base / name).rglob("*.py"):
            module(path.relative_to(base).as_posix(), str(base), opt)

    verbs: dict[str, Callable[..., Any]] = {"include": include, "module": module, "package": package, "freeze": lambda *_, **__: None}
    exec(compile(manifest.read_text("utf-8"), str(manifest), "exec"), dict(verbs))


def content_hash(parts: list[Module]) -> str:
    """Names the content: what `*IDN?` reports as hash=, of an image and of files alike."""
    digest = hashlib.sha256()
    for part in sorted(parts):
        digest.update(f"{part.name}\n".encode() + hashlib.sha256(part.source.read_bytes()).digest())
    return digest.hexdigest()[:HASH_DIGITS]


def git_hash(parts: list[Module]) -> str:
    """The last commit that changed any of them, `+dirty` if they are not as committed; `none` outside a git checkout."""
    paths = [str(part.source) for part in parts]
    commit = _git("log", "-1", f"--abbrev={GIT_DIGITS}", "--format=%h", "--", *paths) if paths else ""
    if not commit:
        return "none"
    return commit + ("+dirty" if _git("status", "--porcelain", "--", *paths) else "")


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.strip()


def build_id(parts: list[Module]) -> str:
    """The source of build_id.py, which goes with them."""
    return f'HASH = "{content_hash(parts)}"\nGIT = "{git_hash(parts)}"\n'


def unix_hash() -> str:
    """What the unix port reports: it runs the sources of one folder as they are."""
    sources = sorted((ROOT / "firmware" / "doseloop").glob("*.py"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:HASH_DIGITS]


def main() -> None:
    """Prints board and hash of every firmware in this checkout, for `python -m hil doctor`."""
    boards = {board: content_hash(modules(manifest_of(board))) for board in board_names()}
    print(json.dumps({**boards, "unix": unix_hash()}))


if __name__ == "__main__":
    main()
