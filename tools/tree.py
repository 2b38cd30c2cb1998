"""The content of everything that a test, a scenario or a campaign can depend on, as one hash.

Whoever writes results under build/ puts `tree` into them; whoever reads them refuses those of another tree.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PARTS = ("firmware", "boards", "hil", "host_tests", "tools", "pyproject.toml")
KINDS = (".py", ".toml", ".j2", ".css", ".html", ".js")
# What is traced, not what is tested: no test's outcome depends on it.
LEFT_OUT = ("host_tests/requirements.toml",)


def tree_hash(root: Path = ROOT) -> str:
    """Sixteen hex digits; the same for the same content, whatever git or the clock says."""
    digest = hashlib.sha256()
    for path in sorted(files(root)):
        digest.update(f"{path.relative_to(root).as_posix()}\n".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


def files(root: Path) -> Iterator[Path]:
    for part in PARTS:
        found = (root / part).rglob("*") if (root / part).is_dir() else [root / part]
        for path in found:
            if path.suffix in KINDS and path.is_file() and path.relative_to(root).as_posix() not in LEFT_OUT:
                yield path
