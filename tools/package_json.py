"""Writes package.json, by which `mpremote mip install` copies the firmware as sources, for every board family.

Use: python tools/package_json.py ; a test fails while the file is not what this would write.
The board's data and the start are left to the person: see README, "On a board". tools/flash.py is the safe way: mip copies file by file.
"""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tools.firmware_files import board_names, manifest_of, modules  # noqa: E402 - after the path is set

PACKAGE = ROOT / "package.json"
# main.py is run by `import doseloop_start` of the board's own main.py; board.py is copied by hand.
RENAMED = {"main.py": "doseloop_start.py", "board.py": None}


def package() -> dict[str, object]:
    """The modules of all boards; addresses relative to package.json, which mip takes from wherever it found that file."""
    found: dict[str, str] = {}
    for board in board_names():
        for part in modules(manifest_of(board)):
            target = RENAMED.get(part.name, part.name)
            if target:
                found[target] = part.source.relative_to(ROOT).as_posix()
    return {"urls": sorted(map(list, found.items())), "deps": [], "version": version()}


def version() -> str:
    """The firmware's, as `*IDN?` tells it."""
    sys.path.insert(0, str(ROOT / "firmware"))
    return str(runpy.run_path(str(ROOT / "firmware" / "doseloop" / "status.py"))["VERSION"])


def text() -> str:
    return json.dumps(package(), indent=2) + "\n"


if __name__ == "__main__":
    PACKAGE.write_text(text(), encoding="utf-8")
    print(f"{PACKAGE.name}: {len(json.loads(text())['urls'])} files")
