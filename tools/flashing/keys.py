"""Puts the keys of the roles into a board's journal from its prompt, by the journal's own code: both copies, or the old ones."""

from __future__ import annotations

from hil import auth
from tools.flashing import FlashError
from tools.flashing.device import Device
from tools.flashing.payload import Payload

PUT, SAME, OTHER = "put", "same", "other"

# Runs on the board. Where the firmware is frozen in, `place` does not exist and the image's modules are taken.
SCRIPT = """
import sys, os
def _put_keys(place, data):
    sys.path.insert(0, place)
    try:
        from board import BOARD
        from doseloop.journal import Journal
        from doseloop.store import FileStore
    finally:
        sys.path.remove(place)
    if not _kind(BOARD['journal_folder']):
        os.mkdir(BOARD['journal_folder'])
    journal = Journal(FileStore(BOARD['journal_folder']))
    old = journal.load('keys')[0]
    if old:
        return 'same' if old == data else 'other'
    journal.save('keys', data)
    _sync()
    return 'put' if journal.load('keys')[0] == data else 'lost'
"""


def put_keys(device: Device, payload: Payload, keys: dict[str, bytes]) -> str:
    """PUT or SAME; FlashError if the board holds other keys, which are replaced with those alone that know them."""
    data = b"".join(keys[role] for role in auth.ROLES)
    device.do(SCRIPT)
    said = str(device.ask(f"_put_keys({payload.folder!r}, {data!r})"))
    if said == OTHER:
        raise FlashError(
            "the board has other keys than those of the key file. Replace them with the old ones: reset it, then"
            " python -m hil key set NEW.toml --key-file OLD.toml --target PORT"
        )
    if said not in (PUT, SAME):
        raise FlashError("the keys came out wrong on the board: its flash may be worn. Flash again, and replace the board if it stays so")
    return said
