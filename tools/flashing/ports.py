"""Which serial port the board is on: the one asked for, or the only one whose USB maker fits."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from serial.tools import list_ports

from tools.flashing import FlashError
from tools.flashing.kinds import KINDS, first_step


@dataclass(frozen=True)
class Port:
    device: str
    maker: int | None  # USB vendor id, None for a port that is not on USB
    what: str


def attached() -> list[Port]:
    return [Port(port.device, port.vid, port.description or "") for port in list_ports.comports()]


def find_port(board: str, asked: str | None, ports: Iterable[Port]) -> str:
    """The device to open; FlashError if there is none or more than one."""
    if asked:
        return asked
    fitting = [port for port in ports if port.maker in KINDS[board].usb]
    if len(fitting) == 1:
        return fitting[0].device
    if not fitting:
        raise FlashError(
            f"no {board} is on USB: plug it in with a cable that carries data, or name its port by --port.\n"
            f"A board without MicroPython shows no port: {first_step(board)}"
        )
    listed = "\n".join(f"  --port {port.device}   {port.what}" for port in fitting)
    raise FlashError(f"{len(fitting)} boards could be the {board}; say which:\n{listed}")
