"""Builds the image that is flashed on a board of the rp2 family: a genuine MicroPython with the firmware frozen in.

Use: python tools/image.py [--board pico] [--manifest FILE] ; prints the path of the UF2 and what it holds.
     python tools/image.py --check-tools ; only makes sure that compilers and sources are there (exit 2 and what is missing if not).
The same content is never built twice.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import hashlib
import json
import os
import runpy
import shutil
import struct
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tools import firmware_files  # noqa: E402 - after the path is set
from tools.firmware_files import FilesError  # noqa: E402
from tools.frozen_constants import inline_constants  # noqa: E402
from tools.frozen_names import NamesError, all_names, micropython_names, shorten  # noqa: E402
from tools.pico_source import ImageError, call, need_tools, source_tree  # noqa: E402

BUILD = ROOT / "build" / "pico"  # the sources of MicroPython are here for every board
MANIFEST = ROOT / "boards" / "pico" / "manifest.py"
FROZEN_BOOT = ROOT / "boards" / "pico" / "boot"  # runs before any module of ours, in an image only: no part of the content that is flashed
FLASH_BASE = 0x1000_0000
TRAILER_MARK = b"DLIMAGE1"  # then the image's length in 4 bytes and its SHA-256; firmware/hal_rp2.py reads it
UF2_PAYLOAD = 256


@dataclass(frozen=True)
class Chip:
    """What MicroPython calls a board, and which chip takes its UF2."""

    micropython: str
    uf2_family: int


CHIPS = {
    "pico": Chip("RPI_PICO", 0xE48B_FF56),  # RP2040
    "pico2": Chip("RPI_PICO2", 0xE48B_FF59),  # RP2350, Arm cores, secure
}


def trailer(image: bytes) -> bytes:
    """What the self-test compares the image with."""
    return TRAILER_MARK + struct.pack("<I", len(image)) + hashlib.sha256(image).digest()


def trailer_at(board: str) -> int:
    """Where it lies, by the board's data: in the flash block before the storage, outside what it speaks of."""
    place: int = runpy.run_path(str(firmware_files.manifest_of(board).with_name("board.py")))["BOARD"]["code_trailer"]
    return place


def uf2_blocks(pieces: Mapping[int, bytes], family: int = CHIPS["pico"].uf2_family) -> Iterator[bytes]:
    """What lies at these addresses as UF2 blocks of 512 bytes, 256 of them payload."""
    payloads = [(at + k, data[k : k + UF2_PAYLOAD]) for at, data in pieces.items() for k in range(0, len(data), UF2_PAYLOAD)]
    for number, (at, payload) in enumerate(payloads):
        head = struct.pack("<8I", 0x0A324655, 0x9E5D5157, 0x2000, at, UF2_PAYLOAD, number, len(payloads), family)
        yield head + payload.ljust(UF2_PAYLOAD, b"\0").ljust(476, b"\0") + struct.pack("<I", 0x0AB16F30)


def chip_of(board: str) -> Chip:
    if board not in CHIPS:
        firmware_files.manifest_of(board)
        flash = f"python tools/flash.py --board {board}"
        raise ImageError(f"images are built for {' and '.join(CHIPS)}; on {board} install over its own MicroPython: {flash}")
    return CHIPS[board]


def image_key(manifest: Path) -> str:
    """Names everything that makes an image what it is: content, commit, manifests, this recipe and the sources it is told to take."""
    digest = hashlib.sha256(firmware_files.build_id(firmware_files.modules(manifest)).encode())
    tools = [Path(__file__).with_name(f"{name}.py") for name in ("pico_source", "frozen_constants", "frozen_names")]
    recipe = [Path(__file__), *tools, *sorted(FROZEN_BOOT.glob("*.py"))]
    for path in [manifest, *sorted(manifest.parent.glob("manifest*.py")), *recipe]:
        digest.update(path.name.encode() + path.read_bytes())
    digest.update(os.environ.get("MICROPYTHON_DIR", "").encode())
    return digest.hexdigest()[:16]


def is_shortened(manifest: Path) -> bool:
    """The image that is flashed; a manifest of another name keeps names for a person at the prompt, or who reads a traceback."""
    return manifest.name == "manifest.py"


def _frozen_manifest(manifest: Path, out: Path, known: set[str]) -> Path:
    """A manifest of one fixed path that includes ours, and names the build: cmake remembers the path, and must freeze anew.

    `known`: the names that MicroPython knows.
    """
    out.mkdir(parents=True, exist_ok=True)
    fixed = out / "manifest.py"
    parts = firmware_files.modules(manifest)
    boot = manifest.with_name("manifest_boot.py")
    taken = [f'include("{boot}")', *_short_modules(parts, out, known)] if is_shortened(manifest) else [f'include("{manifest}")']
    fixed.write_text("\n".join([*taken, 'module("build_id.py")' if parts else "", ""]), encoding="utf-8")
    (out / "build_id.py").write_text(firmware_files.build_id(parts), encoding="utf-8")
    (out / "frozen_content.c").unlink(missing_ok=True)
    shutil.rmtree(out / "frozen_mpy", ignore_errors=True)
    return fixed


def _known_names(source: Path, manifest: Path) -> set[str]:
    """What MicroPython knows by name, and what is asked by name on a board besides our modules: its data, its start, the build."""
    return micropython_names(source, [*FROZEN_BOOT.glob("*.py"), manifest.with_name("board.py")]) | all_names(firmware_files.build_id([]))


def _short_modules(parts: list[firmware_files.Module], out: Path, known: set[str]) -> list[str]:
    """The manifest's lines for the modules, which lie under `out` with constants put in and short names: names.json tells them."""
    sources, short = shorten(inline_constants({part.name: part.source.read_text(encoding="utf-8") for part in parts}), known)
    folder = out / "short"
    shutil.rmtree(folder, ignore_errors=True)
    for name, text in sources.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    (out / "names.json").write_text(json.dumps(short, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return [f'module("{part.name}", base_path="{folder}", opt={part.opt})' for part in parts]


# What MicroPython lets a board choose. The collector's stack: where it overflows, the whole heap is gone through again for what did not
# fit. 64 entries are less than one module's functions: with them a collection of the running firmware takes twice as long.
BOARD_CHOICES = "#define MICROPY_ALLOC_GC_STACK_SIZE (512)\n"

# The list of frozen modules that picotool could show: 2 KB, and `*IDN?` names the content.
BOARD_CMAKE = """set_source_files_properties("${CMAKE_BINARY_DIR}/frozen_content.c" PROPERTIES COMPILE_DEFINITIONS PICO_NO_BINARY_INFO=1)
"""

# What MicroPython lets its compiler be built with: texts up to so many characters are kept once for all modules, 12 bytes less each.
CROSS_CHOICES = "-DMICROPY_ALLOC_PARSE_INTERN_STRING_LEN=200"


def _board_folder(original: Path, folder: Path) -> Path:
    """MicroPython's own description of the board, and our choices."""
    shutil.copytree(original, folder, dirs_exist_ok=True)
    for name, choices in (("mpconfigboard.h", BOARD_CHOICES), ("mpconfigboard.cmake", BOARD_CMAKE)):
        text = (original / name).read_text(encoding="utf-8")
        (folder / name).write_text(f"{text}\n{choices}", encoding="utf-8")
    return folder


def _start_anew(out: Path, recipe: str) -> None:
    """cmake keeps the first options it was given, and the place: a build folder of another recipe, or one that was copied here, goes."""
    kept = out / "recipe.txt"
    if not kept.exists() or kept.read_text(encoding="utf-8") != recipe:
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir(parents=True)
        kept.write_text(recipe, encoding="utf-8")


def _make(chip: Chip, source: Path, manifest: Path, out: Path, log: Path) -> Path:
    """Builds mpy-cross and the port; cmake keeps what did not change in `out`."""
    port, cross = source / "ports" / "rp2", out / "mpy-cross"
    _start_anew(out, f"{out}\n{source}\n{chip.micropython}\n{BOARD_CHOICES}{BOARD_CMAKE}{CROSS_CHOICES}\n")
    call(["make", "-C", str(source / "mpy-cross"), "-j2", f"BUILD={cross}", f"CFLAGS_EXTRA={CROSS_CHOICES}"], source, log)
    options = {
        "MICROPY_BOARD": chip.micropython,
        "MICROPY_BOARD_DIR": _board_folder(port / "boards" / chip.micropython, out / "board"),
        "MICROPY_FROZEN_MANIFEST": _frozen_manifest(manifest, out, _known_names(source, manifest)),
        "PICO_NO_PICOTOOL": 1,
        "PICO_CLIB": "newlib",
        "PICO_SDK_PATH": source / "lib" / "pico-sdk",
    }
    cmake = " ".join(f"-D{key}={value}" for key, value in options.items())
    settings = [f"BOARD={chip.micropython}", f"BUILD={out}", f"MICROPY_MPYCROSS={cross / 'mpy-cross'}", f"CMAKE_ARGS={cmake}"]
    call(["make", "-C", str(port), "-j2", *settings], port, log)
    if not (out / "frozen_content.c").exists():
        raise ImageError(f"the build froze nothing into the image, so it would be an older one's: delete {out} and try again")
    return out / "firmware.bin"


def frozen_bytes(out: Path) -> int:
    """Flash that the frozen modules take, MicroPython's own few start-up modules included: the sections of their object file."""
    found = [path for path in out.rglob("frozen_content.c.o*") if path.suffix in (".o", ".obj")]
    asked = subprocess.run(["arm-none-eabi-size", *map(str, found)], capture_output=True, text=True, check=False)
    lines = asked.stdout.splitlines()
    return int(lines[1].split()[0]) if asked.returncode == 0 and len(lines) == 2 else 0


def build(manifest: Path = MANIFEST) -> Path:
    """Path of the UF2 of this manifest, its board being the manifest's folder; builds it if it is not there yet."""
    board = manifest.parent.name
    chip, folder = chip_of(board), ROOT / "build" / board
    image = folder / f"image-{image_key(manifest)}.uf2"
    if image.exists():
        return image
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder):
        return image if image.exists() else _build(image, manifest, chip, folder)


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Two builds at once in one folder would make one image of parts of both: the second waits."""
    with (folder / "build.lock").open("w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _build(image: Path, manifest: Path, chip: Chip, folder: Path) -> Path:
    log = folder / "build.log"
    log.write_text("", encoding="utf-8")
    source = _sources(log)
    print("building the image (about two minutes the first time)", flush=True)
    began = time.monotonic()
    out = folder / f"cmake-{source.name}"
    binary = _make(chip, source, manifest, out, log)
    if is_shortened(manifest):
        shutil.copy(out / "names.json", image.with_suffix(".names.json"))
    _keep(image, binary, chip, about(manifest, out))
    print(f"image built in {time.monotonic() - began:.0f} s", flush=True)
    return image


def _sources(log: Path) -> Path:
    """The compilers are there, and so are the sources; ImageError says what is missing and how to get it."""
    log.parent.mkdir(parents=True, exist_ok=True)
    need_tools(log)
    return source_tree(BUILD, log)


def about(manifest: Path, out: Path) -> dict[str, Any]:
    parts = firmware_files.modules(manifest)
    return {
        "board": manifest.parent.name,
        "hash": firmware_files.content_hash(parts),
        "git": firmware_files.git_hash(parts),
        "frozen_bytes": frozen_bytes(out),
    }


def _keep(image: Path, binary: Path, chip: Chip, facts: dict[str, Any]) -> None:
    """The UF2 beside its raw binary and what is known of it; the UF2 comes last, so that a finished one is whole."""
    code, place = binary.read_bytes(), trailer_at(facts["board"])
    if FLASH_BASE + len(code) > place:
        raise ImageError(f"the image has {len(code)} bytes and would reach into the block with its hash at {place:#x}: freeze less into it")
    image.with_suffix(".bin").write_bytes(code.ljust(place - FLASH_BASE, b"\xff") + trailer(code))
    facts["image_bytes"] = len(code)
    image.with_suffix(".json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    _replace(image, b"".join(uf2_blocks({FLASH_BASE: code, place: trailer(code)}, chip.uf2_family)))


def _replace(path: Path, data: bytes) -> None:
    fresh = path.with_name(path.name + ".part")
    fresh.write_bytes(data)
    fresh.replace(path)


def show(image: Path, manifest: Path) -> None:
    """Tells a person what was built and where it is, under a name that stays the same."""
    facts = json.loads(image.with_suffix(".json").read_text(encoding="utf-8"))
    stable = image.with_name("firmware.uf2" if manifest.name == "manifest.py" else f"{manifest.stem}.uf2")
    _replace(stable, image.read_bytes())
    print(f"board {facts['board']}, hash {facts['hash']}, git {facts['git']}")
    if is_shortened(manifest):
        print(f"a traceback shows short names, this file the source's: {image.with_suffix('.names.json')}")
    print(f"{facts['image_bytes']} bytes of flash, of which {facts['frozen_bytes']} are frozen modules")
    print(f"hold BOOTSEL while plugging the board in, then copy this file to the drive that appears:\n{stable}")


def check_tools() -> None:
    print(f"compilers and sources are there: {_sources(BUILD / 'check.log')}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--board", default="pico", help=f"one of {', '.join(CHIPS)}")
    parser.add_argument("--manifest", type=Path, help="another manifest in the board's folder")
    parser.add_argument("--check-tools", action="store_true", help="build nothing: are compilers and sources there, or can they be had?")
    options = parser.parse_args()
    try:
        if options.check_tools:
            check_tools()
            return 0
        chip_of(options.board)
        manifest = (options.manifest or firmware_files.manifest_of(options.board)).resolve()
        show(build(manifest), manifest)
    except (ImageError, FilesError, NamesError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
