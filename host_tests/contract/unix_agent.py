# ruff: noqa: PTH (MicroPython)
"""Runs on the unix port in place of firmware/main.py: takes a line with calls from the serial line, answers with a line."""

import sys

FOLDER = __file__.rsplit("/", 1)[0]
FIRMWARE = FOLDER + "/../../firmware"
sys.path.insert(0, FIRMWARE)
sys.path.insert(0, FOLDER)

import agent  # noqa: E402
import hal_unix  # noqa: E402


def say(hal, answer):
    while answer:
        answer = answer[hal.serial.write(answer) :]


def main():
    hal = hal_unix.UnixHal(hal_unix.load_board(FIRMWARE))
    line = b""
    buffer = bytearray(16)
    while True:
        count = hal.serial.read(buffer)
        line += bytes(buffer[:count])
        if line.endswith(b"\n"):
            say(hal, (repr(agent.run(hal, eval(line))) + "\n").encode())
            line = b""
        hal.idle(0 if count else 60_000)


main()
