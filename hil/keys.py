"""Key files: the keys of a pump's two roles, made here, kept private, read with errors a person can act on."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from hil import auth
from hil.errors import BenchError, InputError, LinkError, Refused
from hil.link import Link
from hil.tables import load_toml

ENVIRONMENT = "DOSELOOP_KEY_FILE"
FORM = 'a key file has two lines, operator = "..." and service = "...", each 64 hex digits: python -m hil key make FILE makes one'
HEAD = "# Keys of a doseloop pump. Whoever can read this file can change its dose.\n"


def make_key_file(path: Path) -> None:
    """Fresh keys in a new file that only its owner can read."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise BenchError(f"{path} exists already: keys are never overwritten; choose another name") from None
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(HEAD + "".join(f'{role} = "{secrets.token_hex(auth.KEY_BYTES)}"\n' for role in auth.ROLES))


def load_keys(path: Path) -> dict[str, bytes]:
    """Both keys of a file; InputError for what is none, and for one that others can read."""
    try:
        table = load_toml(path)
    except InputError as error:
        raise InputError("", f"{error.problem} ({FORM})", path) from None
    if table.keys() != set(auth.ROLES):
        raise InputError("", FORM, path)
    keys = {role: _key(table[role], role, path) for role in auth.ROLES}
    if keys[auth.OPERATOR] == keys[auth.SERVICE]:
        raise InputError("", "both roles have the same key, so that an operator could do what service may", path)
    if os.name == "posix" and path.stat().st_mode & 0o077:
        raise InputError("", f"others can read this key file: chmod 600 {path}", path)
    return keys


def _key(value: object, role: str, path: Path) -> bytes:
    with contextlib.suppress(ValueError):
        if isinstance(value, str) and len(value) == 2 * auth.KEY_BYTES:
            return bytes.fromhex(value)
    raise InputError(role, FORM, path)


def find_keys(named: Path | None) -> dict[str, bytes] | None:
    """Of the file that was named, else of the one in the environment; None: nobody named one."""
    path = named or (Path(os.environ[ENVIRONMENT]) if os.environ.get(ENVIRONMENT) else None)
    return load_keys(path) if path else None


def provision(link: Link, wanted: Mapping[str, bytes]) -> None:
    """Give a pump these keys, one role after the other; a session is open. Broken off in between, the same again ends it.

    Service last: until then the key that opens service is the one that the link began with.
    """
    for role in auth.ROLES:
        link.set_key(role, wanted[role])
    link.hello()  # no role stays open


def state_of(link: Link) -> str:
    """default, own or damaged, as the pump says."""
    return link.ask("STAT?").get("key", "unknown")


def opens(link: Link, keys: Mapping[str, bytes]) -> list[str]:
    """The roles that these keys open, each tried once, in a session of its own."""
    link.use_keys(keys)
    found = []
    for role in auth.ROLES:
        link.hello()
        try:
            link.open_role(role)
            found.append(role)
        except Refused as refused:
            if "wait" in refused.fields:
                raise LinkError(f"wrong codes were tried before: the pump takes the next one in {refused.fields['wait']}") from None
    return found
