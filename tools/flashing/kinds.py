"""The boards that can be flashed, as data: what their MicroPython says of itself, and what their USB looks like."""

from __future__ import annotations

from dataclasses import dataclass

from tools.firmware_files import board_names
from tools.flashing import FlashError

RASPBERRY_PI = 0x2E8A
ESPRESSIF = 0x303A
# Makers of USB serial chips on boards that have none of their own: Silicon Labs, WCH, FTDI.
SERIAL_CHIPS = (0x10C4, 0x1A86, 0x0403)
MICROPYTHON_STM32 = 0xF055


@dataclass(frozen=True)
class Kind:
    """platform: sys.platform. chip: how the machine's name ends, after "with ". usb: makers of its port. root: where its files lie.

    first: how a bare board gets MicroPython. least: the oldest that has what the hal needs. heap: bytes that it must have to load the
    firmware from files.
    """

    platform: str
    chip: str
    usb: tuple[int, ...]
    root: str
    first: str
    least: tuple[int, int, int] = (1, 25, 0)  # MicroPython
    heap: int = 210 * 1024  # some 190 KB of an emulated Pico's 239 are taken while it runs, and a command wants room


BOOTSEL = "hold BOOTSEL while plugging it in, then copy a UF2 to the drive that appears; make image BOARD={board} makes one"
ESPTOOL = "install MicroPython 1.26 or newer by esptool, as its download page for the ESP32 tells"
DFU = "install MicroPython 1.25 or newer by DFU, as its download page for the pyboard tells"

KINDS = {
    "pico": Kind("rp2", "RP2040", (RASPBERRY_PI,), "", BOOTSEL),
    "pico2": Kind("rp2", "RP2350", (RASPBERRY_PI,), "", BOOTSEL),
    "esp32": Kind("esp32", "ESP32", (ESPRESSIF, *SERIAL_CHIPS), "", ESPTOOL, (1, 26, 0), 0),  # esp32.PCNT; its heap grows as it is used
    "pyboard": Kind("pyboard", "STM32F405RG", (MICROPYTHON_STM32,), "/flash", DFU),
}


def kind_of(board: str) -> Kind:
    if board not in KINDS or board not in board_names():
        known = ", ".join(name for name in KINDS if name in board_names())
        raise FlashError(f"{board!r} is no board that can be flashed: choose one of {known}")
    return KINDS[board]


def first_step(board: str) -> str:
    """How this board gets a MicroPython at all."""
    return KINDS[board].first.format(board=board)
