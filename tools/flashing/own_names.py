"""Names that nobody but our modules spells: tools/flash.py may give them short ones, without MicroPython's sources at hand.

A board that loads its modules from files keeps every name in its heap: short ones leave a Pico some 11 KB more. An image learns the
same of the sources that it is built from; here the list lies beside this file, for all boards at once. A name that is not in it stays.
Use: python -m tools.flashing.own_names ; makes the list anew (it fetches the sources, as make image does); a test says when it is stale.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tools.firmware_files import BOARDS, board_names, build_id, manifest_of, modules
from tools.flashing.keys import SCRIPT
from tools.flashing.payload import LAUNCHER, OWN_NAMES
from tools.frozen_names import all_names, micropython_names, renamable

PORTS = ("ports/rp2", "ports/esp32", "ports/stm32")


def find(source_tree: Path) -> set[str]:
    """Of all names in the modules of all boards those that neither MicroPython knows nor anybody asks for by name on a board."""
    sources = {part.name: part.source.read_text("utf-8") for board in board_names() for part in modules(manifest_of(board))}
    asked = all_names(SCRIPT) | all_names(LAUNCHER.read_text("utf-8")) | all_names(build_id([]))
    known = micropython_names(source_tree, BOARDS.glob("*/board.py"), PORTS)
    return renamable(sources, known | asked)


def main() -> int:
    from tools.image import BUILD
    from tools.pico_source import source_tree

    BUILD.mkdir(parents=True, exist_ok=True)
    found = sorted(find(source_tree(BUILD, BUILD / "build.log")))
    OWN_NAMES.write_text("".join(f"{name}\n" for name in found), "utf-8")
    print(f"{len(found)} names in {OWN_NAMES.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
