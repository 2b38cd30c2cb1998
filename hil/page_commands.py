"""`python -m hil compare` and `watch`: what people look at."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hil import auth, compare, evidence
from hil.channel import SerialChannel
from hil.errors import BenchError, InputError
from hil.keys import load_keys
from hil.places import place, tcp_port
from hil.tcp_line import listen

APPEAR_S = 8.0  # a served pump is there


def add(commands: Any) -> None:
    """Put both under `python -m hil`."""
    _add_compare(commands.add_parser("compare", help="two run folders side by side, differences first").add_argument)
    commands.choices["compare"].set_defaults(do=_compare)
    _add_watch(commands.add_parser("watch", help="one or several pumps in a browser, as it happens").add_argument)
    commands.choices["watch"].set_defaults(do=_watch)


def _add_compare(add: Callable[..., object]) -> None:
    add("a", type=place, help="the --out folder of a run")
    add("b", type=place, help="that of another")
    add("--out", type=place, default=Path("build/compare.html"), help="the page to write (default: build/compare.html)")


def _compare(args: argparse.Namespace) -> int:
    found = compare.compare(args.a, args.b)
    compare.write(found, args.out)
    print(compare.text(found))
    print(f"page: {args.out}")
    return 0


# ---- watch


def _add_watch(add: Callable[..., object]) -> None:
    add("--target", action="append", required=True, metavar="URL", help="a pyserial URL like /dev/ttyACM0; once for each pump")
    evidence.add_option(add)
    add("--port", type=tcp_port, default=8787, help="of the page (default: 8787; 0: any free one)")
    add("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1, this machine alone); buttons work only from it")
    add("--key-file", type=place, help="the pump's keys: with them alarms can be acknowledged and muted")
    add("--default-key", action="store_true", help="the same, on a pump that has no keys of its own")


def _watch(args: argparse.Namespace) -> int:
    try:
        from hil.live import server
        from hil.live.watcher import Watcher
    except ImportError as error:
        raise BenchError(f"{error.name} is not installed: pip install -e '.[bench]'") from None
    keys = _keys(args)
    for url in args.target:
        _check_target(url, args.target)
    bound = listen(args.host, args.port, "--port or --host")
    print(f"watching {', '.join(args.target)} ({'alarms can be acknowledged' if keys else 'read-only'})")
    print(f"  page: http://{args.host}:{bound.getsockname()[1]}/   Ctrl-C ends it", flush=True)
    server.run([Watcher(url, keys, said=args.evidence) for url in args.target], args.host, bound)
    print("stopped")
    return 0


def _keys(args: argparse.Namespace) -> dict[str, bytes] | None:
    if args.key_file and args.default_key:
        raise InputError("--default-key", "a pump has its own keys or the default ones: give one of both options")
    if args.key_file:
        return load_keys(args.key_file)
    return auth.default_keys() if args.default_key else None


def _check_target(url: str, all_targets: Sequence[str]) -> None:
    """It is there now; later it may go and come."""
    if url in ("unix", "emulated"):
        how = "start a pump with `python -m hil serve --link pump`, then watch --target pump"
        raise InputError("--target", f"{url} is no line to look at: {how}")
    if all_targets.count(url) > 1:
        raise InputError("--target", f"{url} is named twice")
    _await(url)
    SerialChannel(url).close()


def _await(url: str) -> None:
    """`hil serve --link pump &` and this in one breath: its path comes with the pump."""
    end_s = time.monotonic() + APPEAR_S
    if "://" not in url and not Path(url).exists():
        print(f"waiting for {url} to appear", file=sys.stderr, flush=True)
        while not Path(url).exists() and time.monotonic() < end_s:
            time.sleep(0.1)
