"""Which word stands on a figure of a pump behind a serial line: what the pump says of itself, then what its line is.

The unix port says so in `board=`. A board's own line is no pseudo-terminal, and its flash chip has an id; an emulated Pico of ours has
"EMULATED" for one (hil/targets/rp2040.py), an emulator that has none answers with all bits alike. Whoever serves another emulator says it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

from hil.targets.base import EMULATED, MEASURED, NO_EVIDENCE, SIMULATED

UNKNOWN = "UNKNOWN ORIGIN"  # a program stands at the other end of the line, and nobody said of which pump
EMULATOR_UIDS = (b"EMULATED".hex(), "ff" * 8, "00" * 8)
PSEUDO_TERMINALS = ("/dev/pts/", "/dev/ttys")  # of Linux, of macOS
SAYABLE = (SIMULATED.lower(), EMULATED.lower())  # nobody can say of a pump that it was measured
HELP = "what the pump is, where it cannot tell itself: simulated, or emulated by something else than this bench"


def word(url: str, identity: Mapping[str, str], said: str = "") -> str:
    """identity: as *IDN? and HELLO tell it; said: by a person, one of SAYABLE or nothing."""
    board = identity.get("board", "")
    if not board:
        return NO_EVIDENCE
    if board == "unix":
        return SIMULATED
    if identity.get("uid", "").lower() in EMULATOR_UIDS:
        return EMULATED
    return said.upper() or (UNKNOWN if _is_pseudo_terminal(url) else MEASURED)


def _is_pseudo_terminal(url: str) -> bool:
    return "://" not in url and os.path.realpath(url).startswith(PSEUDO_TERMINALS)


def add_option(add: Callable[..., object]) -> None:
    """--evidence of a command that goes to a pump by its URL."""
    add("--evidence", choices=SAYABLE, default="", help=HELP)
