"""Builds the MicroPython unix port for 32 bits, from the image's own sources: small ints of 31 bits, single floats, as a Pico has.

It answers as a Pico does wherever numbers and heap decide, some hundred times faster than an emulated one; it is no Pico.
Use: python tools/unix32.py ; prints the path of the program.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tools.image import BUILD  # noqa: E402 - after the path is set
from tools.pico_source import ImageError, call, need_tools, source_tree  # noqa: E402

OPTIONS = {
    "VARIANT": "standard",
    "MICROPY_FORCE_32BIT": "1",
    "MICROPY_PY_SSL": "0",
    "MICROPY_PY_BTREE": "0",
    "MICROPY_PY_FFI": "0",
    "MICROPY_PY_THREAD": "0",
    "FROZEN_MANIFEST": "",
    "CWARN": "",
    "CFLAGS_EXTRA": "-DMICROPY_FLOAT_IMPL=MICROPY_FLOAT_IMPL_FLOAT",
}
HEAP = "240k"  # what a Pico has at its prompt


def _can_build() -> bool:
    """The machine's compiler makes programs of 32 bits."""
    gcc = shutil.which("gcc")
    if not gcc:
        return False
    link = [gcc, "-m32", "-x", "c", "-", "-o", os.devnull]
    return subprocess.run(link, input=b"#include <stdio.h>\nint main(void) { return 0; }", capture_output=True, check=False).returncode == 0


def _need_compiler(log: Path) -> None:
    if _can_build():
        return
    if os.geteuid() or not shutil.which("apt-get"):
        raise ImageError("a compiler for 32 bits is missing; on Debian or Ubuntu: apt-get install gcc-multilib")
    print("installing gcc-multilib", flush=True)
    call(["apt-get", "update", "-qq"], Path("/"), log)
    call(["apt-get", "install", "-y", "-qq", "gcc-multilib"], Path("/"), log)


def build_unix32() -> Path:
    """Path of the program; built if it is not there yet."""
    BUILD.mkdir(parents=True, exist_ok=True)
    log = BUILD / "unix32.log"
    log.write_text("", encoding="utf-8")
    need_tools(log)
    source = source_tree(BUILD, log)
    out = BUILD / f"unix32-{source.name}"
    program = out / "micropython"
    if not program.exists():
        _need_compiler(log)
        print("building the unix port for 32 bits (about a minute)", flush=True)
        options = [f"{name}={value}" for name, value in OPTIONS.items()]
        call(["make", "-C", str(source / "ports" / "unix"), "-j2", f"BUILD={out}", *options], source, log)
    return program


if __name__ == "__main__":
    try:
        print(build_unix32())
    except ImageError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
