"""Is this the board that was asked for, with a MicroPython that can run the firmware?"""

from __future__ import annotations

from tools.flashing import FlashError
from tools.flashing.device import Facts
from tools.flashing.kinds import KINDS, Kind, first_step


def check_board(board: str, facts: Facts) -> None:
    """FlashError that says what it is instead, and what to do; nothing was changed by then."""
    kind = KINDS[board]
    what = f"{facts.machine or 'a board of unknown name'} ({facts.platform})"
    if facts.name != "micropython":
        raise FlashError(f"this board runs {facts.name}, not MicroPython: {first_step(board)}")
    if facts.platform != kind.platform or facts.machine.rpartition(" with ")[2] != kind.chip:
        raise FlashError(f"this is {what}, not a {board} ({kind.chip}){_other(facts)}. Nothing was changed")
    if facts.version < kind.least:
        least = ".".join(map(str, kind.least))
        raise FlashError(f"MicroPython {'.'.join(map(str, facts.version))} is too old, {least} or newer is needed: {first_step(board)}")
    if facts.heap < kind.heap and not facts.frozen:
        raise FlashError(
            f"this board has {facts.heap // 1024} KB of memory for Python, and from files the firmware needs {kind.heap // 1024}:"
            f" build a MicroPython with boards/{board}/manifest.py frozen in and install that. Nothing was changed"
        )


def _other(facts: Facts) -> str:
    """The board that it may be."""
    fitting = [name for name, kind in KINDS.items() if _fits(kind, facts)]
    return f": say --board {fitting[0]} if that is meant" if fitting else ""


def _fits(kind: Kind, facts: Facts) -> bool:
    return facts.platform == kind.platform and facts.machine.endswith(f" with {kind.chip}")
