"""Builds the image that is flashed on a Pico: a genuine MicroPython with the firmware frozen in.

Use: python tools/image.py [--manifest FILE] ; prints the path of the UF2. The same content is never built twice.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import struct
import sys
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tools.pico_source import ImageError, call, need_tools, source_tree  # noqa: E402 - after the path is set

BUILD = ROOT / "build" / "pico"
MANIFEST = ROOT / "boards" / "pico" / "manifest.py"
FLASH_BASE = 0x1000_0000
UF2_FAMILY_RP2040 = 0xE48B_FF56
UF2_PAYLOAD = 256


def uf2_blocks(image: bytes) -> Iterator[bytes]:
    """The image as UF2 blocks of 512 bytes, 256 of them payload."""
    count = -(-len(image) // UF2_PAYLOAD)
    for number in range(count):
        payload = image[number * UF2_PAYLOAD : (number + 1) * UF2_PAYLOAD].ljust(UF2_PAYLOAD, b"\0")
        head = struct.pack(
            "<8I", 0x0A324655, 0x9E5D5157, 0x2000, FLASH_BASE + number * UF2_PAYLOAD, UF2_PAYLOAD, number, count, UF2_FAMILY_RP2040
        )
        yield head + payload.ljust(476, b"\0") + struct.pack("<I", 0x0AB16F30)


def content_hash(manifest: Path) -> str:
    """Names everything of ours that goes into an image."""
    digest = hashlib.sha256()
    files = [manifest, Path(__file__), *sorted(manifest.parent.glob("*.py")), *sorted((ROOT / "firmware").rglob("*.py"))]
    for path in files:
        digest.update(f"{path.name}\0".encode() + path.read_bytes())
    digest.update(os.environ.get("MICROPYTHON_SRC", "").encode())
    return digest.hexdigest()[:16]


def _frozen_manifest(manifest: Path, out: Path) -> Path:
    """A manifest of one fixed path that includes ours, and names the build: cmake remembers the path, and must freeze anew."""
    out.mkdir(parents=True, exist_ok=True)
    fixed = out / "manifest.py"
    fixed.write_text(f'include("{manifest}")\nmodule("build_id.py")\n', encoding="utf-8")
    (out / "build_id.py").write_text(f'HASH = "{content_hash(manifest)}"\n', encoding="utf-8")
    (out / "frozen_content.c").unlink(missing_ok=True)
    shutil.rmtree(out / "frozen_mpy", ignore_errors=True)
    return fixed


def _make(source: Path, manifest: Path, out: Path, log: Path) -> Path:
    """Builds mpy-cross and the port; cmake keeps what did not change in `out`."""
    port = source / "ports" / "rp2"
    sdk = source / "lib" / "pico-sdk"
    call(["make", "-C", str(source / "mpy-cross"), "-j2"], source, log)
    options = {
        "MICROPY_BOARD": "RPI_PICO",
        "MICROPY_BOARD_DIR": port / "boards" / "RPI_PICO",
        "MICROPY_FROZEN_MANIFEST": _frozen_manifest(manifest, out),
        "PICO_NO_PICOTOOL": 1,
        "PICO_CLIB": "newlib",
        "PICO_SDK_PATH": sdk,
    }
    cmake = " ".join(f"-D{key}={value}" for key, value in options.items())
    call(["make", "-C", str(port), "-j2", "BOARD=RPI_PICO", f"BUILD={out}", f"CMAKE_ARGS={cmake}"], port, log)
    return out / "firmware.bin"


def build(manifest: Path = MANIFEST) -> Path:
    """Path of the UF2 of this manifest and firmware; builds it if it is not there yet."""
    image = BUILD / f"image-{content_hash(manifest)}.uf2"
    if image.exists():
        return image
    BUILD.mkdir(parents=True, exist_ok=True)
    log = BUILD / "build.log"
    log.write_text("", encoding="utf-8")
    need_tools(log)
    source = source_tree(BUILD, log)
    print("building the image (about two minutes the first time)", flush=True)
    began = time.monotonic()
    binary = _make(source, manifest, BUILD / f"cmake-{source.name}", log)
    fresh = image.with_suffix(".part")
    fresh.write_bytes(b"".join(uf2_blocks(binary.read_bytes())))
    fresh.rename(image)
    shutil.copy(binary, image.with_suffix(".bin"))
    print(f"image of {binary.stat().st_size} bytes built in {time.monotonic() - began:.0f} s", flush=True)
    return image


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--manifest", type=Path, default=MANIFEST)
    try:
        print(build(parser.parse_args().manifest.resolve()))
    except ImageError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
