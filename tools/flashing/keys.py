"""Puts the keys of the roles into a board's journal from its prompt, by the firmware's own code: both copies, or the old ones."""

from __future__ import annotations

from hil import auth
from tools.flashing import FlashError
from tools.flashing.device import Device
from tools.flashing.payload import Payload

PUT, SAME, OTHER = "put", "same", "other"

FAMILIES = {"rp2": "hal_rp2", "esp32": "hal_esp32", "pyboard": "hal_stm32"}  # by sys.platform, as in firmware/main.py

# Runs on the board. Where the firmware is frozen in, `place` does not exist and the image's modules are taken. A hal without its
# __init__ touches no pin; it knows where the journal lies: in files, or in flash blocks of its own.
SCRIPT = """
import sys, os
def _put_keys(place, family, data):
    sys.path.insert(0, place)
    try:
        from board import BOARD
        from doseloop.journal import Journal
        Hal = __import__(family).Hal
    finally:
        sys.path.remove(place)
    class Bare(Hal):
        def __init__(self):
            self.board = BOARD
    journal = Journal(Bare().open_store())
    old = journal.load('keys')[0]
    if old:
        return 'same' if old == data else 'other'
    journal.save('keys', data)
    _sync()
    return 'put' if journal.load('keys')[0] == data else 'lost'
"""


def put_keys(device: Device, payload: Payload, keys: dict[str, bytes], family: str) -> str:
    """PUT or SAME; FlashError if the board holds other keys, which are replaced with those alone that know them."""
    data = b"".join(keys[role] for role in auth.ROLES)
    device.do(SCRIPT)
    said = str(device.ask(f"_put_keys({payload.folder!r}, {family!r}, {data!r})"))
    if said == OTHER:
        raise FlashError(
            "the board has other keys than those of the key file. Replace them with the old ones: reset it, then"
            " python -m hil key set NEW.toml --key-file OLD.toml --target PORT"
        )
    if said not in (PUT, SAME):
        raise FlashError("the keys came out wrong on the board: its flash may be worn. Flash again, and replace the board if it stays so")
    return said
