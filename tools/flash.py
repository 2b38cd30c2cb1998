"""Installs the firmware on a board that already runs MicroPython, over its USB serial port.

Use: python tools/flash.py --board pico [--port /dev/ttyACM0] [--key-file keys.toml]

Only what changed is sent; every file is hashed on the board; one rename switches to the new firmware. A cable pulled at any point
leaves the old firmware or the new one. A doseloop that runs there is asked for its prompt by MAINT, which it grants while stopped.
Exit 0: installed and its self-test passed. Exit 2: not; what to do is said.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from datetime import datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

try:
    from hil.auth import default_keys
    from hil.errors import BenchError
    from tools import firmware_files
    from tools.flashing import FlashError, pump
    from tools.flashing.check import check_board
    from tools.flashing.device import Device
    from tools.flashing.install import Done, Installer
    from tools.flashing.keys import FAMILIES, PUT, put_keys
    from tools.flashing.kinds import KINDS, first_step, kind_of
    from tools.flashing.payload import Payload, compile_board, mpy_cross
    from tools.flashing.ports import attached, find_port
    from tools.flashing.prompt import Gone, Prompt
except ImportError as error:
    print(f"error: {error.name} is missing: run it by `make flash`, or pip install -e '.[bench,pico]' first", file=sys.stderr)
    sys.exit(2)


MOST_PATIENCE_S = 86_400
NAMES = ROOT / "build" / "flash"


def say(text: str) -> None:
    print(text, flush=True)


def flash(options: argparse.Namespace) -> None:
    """The whole way, from the port to the self-test."""
    kind_of(options.board)
    mpy_cross()
    keys = pump.read_keys(options.key_file)
    port = find_port(options.board, options.port, attached())
    prompt = enter(options, port, keys)
    try:
        payload = install(options, prompt, keys)
    except Gone:
        raise
    except Exception:
        prompt.reset()  # whatever it ran before, it runs again
        raise
    finally:
        prompt.close()
    finish(port, keys, payload, options.patience)


def enter(options: argparse.Namespace, port: str, keys: dict[str, bytes]) -> Prompt:
    """The prompt of whatever is on the port: a doseloop is asked for it, anything else is interrupted."""
    board = options.board
    heard = pump.listen(port, options.patience)
    if heard.fields:
        here = heard.fields.get("board")
        say(f"{port}: doseloop {heard.fields.get('fw')} on {here}, hash {heard.fields.get('hash')}")
        if here != board:
            raise FlashError(f"this is a doseloop on {here!r}, not on {board}: say --board {here} if that is meant. Nothing was changed")
        pump.ask_for_prompt(port, keys, options.patience)
    try:
        return pump.open_prompt(port, options.patience if heard.fields else 0)
    except Gone as gone:
        words = f" (it said: {heard.words})" if heard.words else ""
        text = f"nothing on {port} answers as a MicroPython prompt{words}: is it another device? A board without MicroPython: "
        raise FlashError(f"{text}{first_step(board)}\n({gone})") from None


def install(options: argparse.Namespace, prompt: Prompt, keys: dict[str, bytes]) -> Payload:
    kind = KINDS[options.board]
    device = Device(prompt, kind.root)
    facts = device.facts()
    check_board(options.board, facts)
    payload = compile_board(options.board, facts.mpy, kind.root)
    say(f"MicroPython {'.'.join(map(str, facts.version))}, {facts.machine}; firmware hash {payload.content}")
    if facts.frozen:
        frozen_in(options.board, facts.frozen, payload.content)
    else:
        report(Installer(device, payload, say, options.replace_main).run())
        keep_names(options.board, payload)
    if keys != default_keys():
        new = put_keys(device, payload, keys, FAMILIES[kind.platform]) == PUT
        say("the keys of the key file are in the board's journal" if new else "the board has these keys already")
    prompt.reset()
    return payload


def keep_names(board: str, payload: Payload) -> None:
    """For whoever must read a traceback of the board: its names are short ones."""
    path = NAMES / f"{board}-{payload.content}-{payload.folder[-16:]}.names.json"
    try:
        NAMES.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(payload.names, indent=1, sort_keys=True) + "\n", "utf-8")
    except OSError as error:
        say(f"{path.relative_to(ROOT)} could not be written ({error.strerror}): the board's tracebacks will show short names")
        return
    say(f"its tracebacks show short names: {path.relative_to(ROOT)} tells the source's")


def frozen_in(board: str, frozen: str, content: str) -> None:
    """An image with doseloop in it goes before any file: it can only be told apart, not replaced from here."""
    if frozen != content:
        raise FlashError(
            f"a doseloop is frozen into this board's image (hash {frozen}), which goes before any file. Make a new image"
            f" (make image BOARD={board}), hold BOOTSEL while plugging in, and copy it. Nothing was changed"
        )
    say("this very firmware is in the board's image already")


def report(done: Done) -> None:
    word = "the board now starts the new firmware" if done.switched else "it started this firmware already"
    say(f"{len(done.sent)} files sent, {len(done.copied)} copied on the board, {len(done.kept)} there already; every hash checked; {word}")


def finish(port: str, keys: dict[str, bytes], payload: Payload, patience_s: float) -> None:
    """Clock, self-test, and what comes next."""
    link = pump.greet(port, keys, patience_s)
    try:
        offset_min = int((datetime.now().astimezone().utcoffset() or datetime.min - datetime.min).total_seconds() // 60)
        greeting = pump.check_started(link, payload.content, int(time.time()), offset_min, patience_s)
    finally:
        link.channel.close()
    say("*IDN? " + " ".join(f"{name}={value}" for name, value in greeting.identity.items()))
    say("clock set; self-test " + " ".join(f"{name}={value}" for name, value in greeting.self_test.items()))
    if greeting.key == "default":
        say("the DEFAULT key is in force: it is published, and opens every role. Before the first RUN: python -m hil key make mine.toml,")
        say("then flash again with --key-file mine.toml, or python -m hil key set mine.toml --target " + port)
    say(f"next: wire it by boards/{greeting.identity['board']}/README.md; then python -m serial.tools.miniterm --eol LF {port}: type STAT?")


def seconds(text: str) -> float:
    value = float(text)
    if not 1 <= value <= MOST_PATIENCE_S:
        raise ValueError(text)
    return value


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    known = ", ".join(name for name in KINDS if name in firmware_files.board_names())
    parser.add_argument("--board", required=True, help=f"one of {known}")
    parser.add_argument("--port", help="serial port or pyserial URL; needed only if several boards could be meant")
    parser.add_argument("--key-file", type=Path, help="keys the board has, or is to be given (python -m hil key make makes them)")
    parser.add_argument("--replace-main", action="store_true", help="replace another's main.py (it is kept under another name)")
    back = "seconds until a board is back from a reset (%(default).0f)"
    parser.add_argument("--patience", type=seconds, default=pump.BACK_S, metavar="S", help=back)
    try:
        flash(parser.parse_args())
    except (FlashError, BenchError, firmware_files.FilesError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("broken off: run the same command again, it goes on where it was; no board is left with half a firmware", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
