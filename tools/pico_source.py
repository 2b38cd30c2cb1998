"""Lays out the sources of a genuine MicroPython for the RP2040, from Debian's own packages.

MicroPython, the Pico SDK, TinyUSB and Mbed TLS come as Debian source packages of release `RELEASE`, through a private list,
state and cache, so the machine's own package lists stay as they are. The archive is the one the machine already uses.
A checkout of your own, with its submodules, is taken instead by MICROPYTHON_DIR=/path.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

RELEASE = "trixie"
SOURCES = ("micropython", "mbedtls")
DEBS = ("pico-sdk-source", "tinyusb-source")
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
TOOLS = {
    "arm-none-eabi-gcc": "gcc-arm-none-eabi libnewlib-arm-none-eabi libstdc++-arm-none-eabi-newlib",
    "cmake": "cmake",
    "gcc": "build-essential",
    "make": "make",
}
# The variables of the make that called us (BOARD=pico among them) are none of the builds' business.
ENV = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKEOVERRIDES", "MAKELEVEL", "MFLAGS", "BOARD")}


class ImageError(Exception):
    """The image cannot be built; the message says what to do."""


def call(command: list[str], cwd: Path, log: Path) -> None:
    """Runs a command with its output in `log`; names the log if it fails."""
    with log.open("a", encoding="utf-8") as sink:
        sink.write(f"\n$ {' '.join(command)}\n")
        sink.flush()
        code = subprocess.run(command, cwd=cwd, stdout=sink, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, env=ENV).returncode
    if code:
        tail = "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-15:])
        raise ImageError(f"{command[0]} failed with {code}; the whole log is {log}\n{tail}")


def need_tools(log: Path) -> None:
    """The cross compiler and friends: installed by apt where we may, else named."""
    missing = " ".join(packages for tool, packages in TOOLS.items() if not shutil.which(tool))
    if not missing:
        return
    if os.geteuid() or not shutil.which("apt-get"):
        raise ImageError(f"the image needs a cross compiler; on Debian or Ubuntu: apt-get install {missing}")
    print(f"installing {missing}", flush=True)
    call(["apt-get", "update", "-qq"], Path("/"), log)
    call(["apt-get", "install", "-y", "-qq", *missing.split()], Path("/"), log)


def _archive() -> str:
    """The address of the Debian archive this machine already uses."""
    ask = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"]
    try:
        found = subprocess.run(ask, capture_output=True, text=True, check=True).stdout.split()
    except (OSError, subprocess.CalledProcessError):
        found = []
    archives = sorted(uri for uri in set(found) if "security" not in uri)
    if not archives or not KEYRING.exists():
        raise ImageError("no Debian archive is set up on this machine; use MICROPYTHON_DIR=/path/to/a/micropython/checkout")
    return archives[0]


def _apt(work: Path) -> list[str]:
    """apt-get with lists, state and cache of its own under `work`."""
    for folder in ("lists/partial", "cache/archives/partial"):
        (work / folder).mkdir(parents=True, exist_ok=True)
    archive = _archive()
    source = f"[signed-by={KEYRING}] {archive} {RELEASE} main\n"
    (work / "sources.list").write_text(f"deb {source}deb-src {source}", encoding="utf-8")
    settings = {
        "Dir::State::Lists": work / "lists",
        "Dir::Etc::SourceList": work / "sources.list",
        "Dir::Etc::SourceParts": "/dev/null",
        "Dir::Cache": work / "cache",
        "APT::Sandbox::User": "root",
    }
    return ["apt-get", "-q", *(part for key, value in settings.items() for part in ("-o", f"{key}={value}"))]


def _download(work: Path, log: Path) -> None:
    apt = _apt(work)
    call([*apt, "update"], work, log)
    call([*apt, "source", "--download-only", *SOURCES], work, log)
    call([*apt, "download", *DEBS], work, log)


def _unpack(work: Path, log: Path) -> None:
    for archive in sorted(work.glob("*.orig.tar.*")):
        call(["tar", "xf", archive.name], work, log)
    for package in sorted(work.glob("*.deb")):
        call(["dpkg-deb", "-x", package.name, "debs"], work, log)


def _only(work: Path, pattern: str) -> Path:
    found = [path for path in work.glob(pattern) if path.is_dir()]
    if len(found) != 1:
        raise ImageError(f"expected one {pattern} in {work}, found {len(found)}; delete {work} and try again")
    return found[0]


def _replace(link: Path, target: Path) -> None:
    if link.is_symlink() or not link.is_dir():
        link.unlink(missing_ok=True)
    else:
        shutil.rmtree(link)
    link.symlink_to(os.path.relpath(target, link.parent))  # so that a moved or copied checkout stays within itself


def _arrange(work: Path) -> Path:
    """Puts the libraries where an upstream checkout has its submodules."""
    source, debs = _only(work, "micropython-*"), work / "debs" / "usr" / "src"
    library = source / "lib"
    shutil.rmtree(library / "pico-sdk")
    shutil.copytree(debs / "pico-sdk", library / "pico-sdk", symlinks=True)
    _replace(library / "mbedtls", _only(work, "mbedtls-*"))
    _replace(library / "tinyusb", debs / "tinyusb")
    _replace(library / "pico-sdk" / "lib" / "tinyusb", debs / "tinyusb")
    for name in ("pico-sdk", "micropython-lib"):
        (library / name).mkdir(exist_ok=True)
        (library / name / "README.md").touch()
    return source


# What a checkout holds once its submodules are there, and how to get what is not.
CHECKOUT = {
    "ports/rp2/Makefile": "is no MicroPython checkout: set MICROPYTHON_DIR to the folder that holds ports/ and py/",
    "py/mpconfig.h": "is no MicroPython checkout: set MICROPYTHON_DIR to the folder that holds ports/ and py/",
    "lib/pico-sdk/pico_sdk_init.cmake": "lacks the Pico SDK: make -C {folder}/ports/rp2 BOARD=RPI_PICO submodules",
    "lib/tinyusb/src/tusb.h": "lacks TinyUSB: make -C {folder}/ports/rp2 BOARD=RPI_PICO submodules",
}


LEAST = (1, 25)  # what the firmware needs
_VERSION_PART = r"^#define MICROPY_VERSION_{} (\d+)"


def _checkout(folder: Path) -> Path:
    """A person's own MicroPython, with its submodules."""
    for place, lack in CHECKOUT.items():
        if not (folder / place).exists():
            raise ImageError(f"MICROPYTHON_DIR={folder} {lack.format(folder=folder)}")
    found = _version(folder)
    if found < LEAST:
        words = [".".join(map(str, version)) for version in (found, LEAST)]
        raise ImageError(f"MICROPYTHON_DIR={folder} is MicroPython {words[0]}; the firmware needs {words[1]} or newer: take a later tag")
    return folder


def _version(folder: Path) -> tuple[int, ...]:
    """(major, minor), as py/mpconfig.h says."""
    text = (folder / "py" / "mpconfig.h").read_text(encoding="utf-8")
    parts = [re.search(_VERSION_PART.format(part), text, re.MULTILINE) for part in ("MAJOR", "MINOR")]
    if not all(parts):
        raise ImageError(f"{folder}/py/mpconfig.h names no version: is MICROPYTHON_DIR a MicroPython checkout?")
    return tuple(int(part[1]) for part in parts if part)


def source_tree(build: Path, log: Path) -> Path:
    """The MicroPython source tree to build from; downloaded once, then kept under `build`."""
    own = os.environ.get("MICROPYTHON_DIR")
    if own:
        return _checkout(Path(own).resolve())
    work, done = build / f"source-{RELEASE}", build / f"source-{RELEASE}.ready"
    if done.exists():
        return work / Path(done.read_text(encoding="utf-8")).name
    print("fetching the sources of MicroPython, the Pico SDK, TinyUSB and Mbed TLS", flush=True)
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    _download(work, log)
    _unpack(work, log)
    source = _arrange(work)
    done.write_text(source.name, encoding="utf-8")
    return source
