"""Serial ports: who may open them, which of them is a pump, and, if a person agrees, which is a balance.

A pump is asked by one typed `*IDN?`: that opens no session and changes nothing. Other instruments are not written to unless asked for:
what is harmless to a balance need not be harmless to whatever else hangs on a port.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from hil.doctor.finding import NOTE, OK, WRONG, Finding
from hil.errors import BenchError

BALANCE_S = 1.0
KINDS = ("", "sbi:")  # MT-SICS, Sartorius
SIMULATED = "python -m hil serve   (a simulated pump to try the rest on)"


def listed() -> list[str]:
    """The machine's own serial ports."""
    from serial.tools import list_ports

    return sorted(port.device for port in list_ports.comports())


def ports(named: Sequence[str], balances: bool, here: Mapping[str, str], found: Callable[[], list[str]] = listed) -> Iterator[Finding]:
    """Each port that was named, or else each that the machine has."""
    urls = list(named) or found()
    if not urls:
        yield Finding(NOTE, "serial ports", "none", f"plug the pump in (a cable that carries data); or {SIMULATED}")
    for url in urls:
        yield one_port(url, url in named, balances, here)


def one_port(url: str, named: bool, balances: bool, here: Mapping[str, str]) -> Finding:
    """Who is on it. What a person named must answer; what was only found may be anything."""
    bad = WRONG if named else NOTE
    if remedy := why_not_permitted(url):
        return Finding(bad, url, "not permitted", remedy)
    try:
        identity = _identity(url)
    except BenchError as error:
        if "no answer" not in str(error):
            return Finding(bad, url, str(error).removeprefix(f"{url}: "))
        return _other(url, bad, balances)
    return _pump(url, identity, here)


def why_not_permitted(url: str) -> str:
    """What to do where the port is there and this user may not open it; "" if nothing."""
    path = Path(url)
    if not path.exists() or os.access(path, os.R_OK | os.W_OK):
        return ""
    try:
        group = path.group()
    except (KeyError, OSError, NotImplementedError):
        group = "dialout"
    return f"sudo usermod -aG {group} $USER, then log out and in again"


def _identity(url: str) -> dict[str, str]:
    from hil.channel import SerialChannel
    from hil.live.typed import TypedLine

    channel = SerialChannel(url)
    try:
        return TypedLine(channel).ask("*IDN?")
    finally:
        channel.close()


def _pump(url: str, identity: Mapping[str, str], here: Mapping[str, str]) -> Finding:
    if identity.get("maker") != "doseloop":
        return Finding(NOTE, url, f"answers *IDN? as {identity.get('maker')!r}: no doseloop pump")
    board, digest = identity.get("board", "?"), identity.get("hash", "?")
    seen = f"doseloop {identity.get('fw')} on {board}, hash {digest}, commit {identity.get('git')}"
    if board not in here:
        return Finding(NOTE, url, f"{seen}; this checkout has no firmware for {board!r} to compare with")
    if digest != here[board]:
        how = f"make flash BOARD={board} PORT={url}" if board != "unix" else "end `hil serve` and start it again from this checkout"
        return Finding(NOTE, url, f"{seen}; this checkout has {here[board]}", how)
    return Finding(OK, url, f"{seen}, of this checkout", f"python -m hil watch --target {url}")


def _other(url: str, bad: str, balances: bool) -> Finding:
    if not balances:
        how = "is it a balance? --probe-balances asks it who it is; else look at cable, power, and that the firmware is on the board"
        return Finding(bad, url, "no pump answers", how)
    for kind in KINDS:
        if who := _balance(kind + url):
            return Finding(OK, url, f"balance: {who}", f"python -m hil balance {kind}{url}")
    return Finding(bad, url, "neither a pump nor a balance (MT-SICS, SBI, 9600 baud) answers", "look at cable, power and baud rate")


def _balance(text: str) -> str:
    """Model and number, by questions that change nothing; "" if nobody answers as one."""
    from hil.instruments.opening import open_balance

    try:
        with open_balance(text, timeout_s=BALANCE_S, stable_timeout_s=BALANCE_S) as balance:
            who = balance.identify()
    except BenchError:
        return ""
    return " ".join(part for part in (who.model, who.serial_number, who.software) if part)
