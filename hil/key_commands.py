"""`python -m hil key make|set|check`: their arguments, and what they say."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hil import auth, keys
from hil.channel import SerialChannel
from hil.errors import BenchError, LinkError, Refused
from hil.link import Link
from hil.places import place

FITS, DIFFERS = 0, 1
KEY_HELP = f"file of the pump's keys (default: the one that {keys.ENVIRONMENT} names; without it the published default keys)"
URL_HELP = "the pump: any pyserial URL, like /dev/ttyACM0 or rfc2217://bench7:4000"


def add(commands: Any) -> None:
    """Hang the command into the bench's own."""
    actions = commands.add_parser("key", help="a pump's keys: make, set, check").add_subparsers(required=True, metavar="ACTION")
    _add(actions.add_parser("make", help="fresh keys in a new file that only you can read"), _make)
    setting = actions.add_parser("set", help="give a pump the keys of a file; it must hold none yet, or --key-file names those it has")
    _add(setting, _set)
    checking = actions.add_parser("check", help="does this file open the pump's roles? exit 0: both, 1: not")
    _add(checking, _check)
    for parser in (setting, checking):
        parser.add_argument("--target", metavar="URL", required=True, help=URL_HELP)
    setting.add_argument("--key-file", type=place, metavar="OLD", help=KEY_HELP)


def _add(parser: argparse.ArgumentParser, do: Callable[[argparse.Namespace], int]) -> None:
    parser.add_argument("file", type=place, help="the key file")
    parser.set_defaults(do=do)


def _make(args: argparse.Namespace) -> int:
    keys.make_key_file(args.file)
    print(f"{args.file}: two new keys, readable by you alone. Without them the pump's dose cannot be changed: keep a copy in a safe place")
    print(f"next: make flash KEY_FILE={args.file}, or python -m hil key set {args.file} --target URL before the pump's first RUN")
    return FITS


@contextmanager
def _link(url: str) -> Iterator[Link]:
    channel = SerialChannel(url)
    try:
        link = Link(channel, wall=time.time)
        link.hello()
        yield link
    finally:
        channel.close()


def _set(args: argparse.Namespace) -> int:
    wanted, old = keys.load_keys(args.file), keys.find_keys(args.key_file) or auth.default_keys()
    with _link(args.target) as link:
        link.use_keys(old)
        try:
            keys.provision(link, wanted)
        except Refused as refused:
            raise BenchError(f"{refused}. {_now(link, args.file)}") from None
        except LinkError as error:
            raise LinkError(f"{error}. Old or new key, one of them is in force: python -m hil key check {args.file} tells") from None
    print(f"{args.target}: the keys of {args.file} are in force; seen to open operator and service")
    return FITS


def _now(link: Link, file: Path) -> str:
    link.hello()
    state = keys.state_of(link)
    return f"The pump says key={state}. The roles of which {file} holds the key: python -m hil key check {file}"


def _check(args: argparse.Namespace) -> int:
    wanted = keys.load_keys(args.file)
    with _link(args.target) as link:
        state = keys.state_of(link)
        opened = keys.opens(link, wanted)
    print(f"{args.target}: key={state}; {args.file} opens {' and '.join(opened) or 'no role'}")
    return FITS if opened == list(auth.ROLES) else DIFFERS
