"""`python -m hil serve`: a running simulated pump, and a balance under it if asked for, for any client, here or over the network."""

from __future__ import annotations

import argparse
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from hil import key_commands, keys, runner
from hil.errors import BenchError
from hil.instruments import SimulatedBalance
from hil.link import Link
from hil.places import place, tcp_port
from hil.plant.config import RigConfig
from hil.plant.rig import Load, Rig
from hil.scenario import find_scenario, load_scenario
from hil.targets.process import one_core
from hil.targets.unix import UnixTarget
from hil.tcp_line import LOOPBACK, TcpLine


def add(commands: Any) -> None:
    """Put it under `python -m hil`."""
    _arguments(commands.add_parser("serve", help="a running simulated pump for any serial client").add_argument)
    commands.choices["serve"].set_defaults(do=_serve)


def _arguments(add: Callable[..., object]) -> None:
    add("--target", default="unix", choices=["unix"], help="what to serve (default: unix)")
    add("--speed", type=_speed, default=1.0, help="virtual seconds per second (default: 1)")
    add("--link", type=place, help="also make this symbolic link to the serial path")
    add("--tcp", type=tcp_port, metavar="PORT", help="offer the line on this TCP port too, as RFC 2217 (0: any free one)")
    add("--balance", action="store_true", help="put a simulated balance (MT-SICS) under the outlet; its serial path is printed")
    add("--balance-tcp", type=tcp_port, metavar="PORT", help="the same, and offer its line on this TCP port as RFC 2217 (0: any free one)")
    add("--host", default=LOOPBACK, help="address to offer TCP ports on (default: 127.0.0.1, this machine alone)")
    add("--scenario", help="begin where this scenario's story begins, with its therapy running (default: a pump fresh from the factory)")
    add("--key-file", type=place, help=f"{key_commands.KEY_HELP}; the served pump is given these keys")
    add("--seed", type=int, default=1, help="of the simulated rig (default: 1)")
    add("--out", type=place, help="keep the pump's flash and messages here")


def _speed(text: str) -> float:
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 0 < speed <= 100_000:
        raise argparse.ArgumentTypeError(f"{text!r} is no speed: give a number above 0, up to 100000")
    return speed


def _serve(args: argparse.Namespace) -> int:
    with one_core():
        return _serve_here(args)


def _serve_here(args: argparse.Namespace) -> int:
    own = keys.find_keys(args.key_file)
    scenario = load_scenario(find_scenario(args.scenario)) if args.scenario is not None else None
    target = UnixTarget(Rig(scenario.rig if scenario else RigConfig(), args.seed), seed=args.seed, work=args.out)
    try:
        target.start()
        if scenario:
            runner.begin_therapy(scenario, target, own)
        elif own:
            link = Link(target.channel(), wall=target.unix_s)
            keys.provision(link, own)
            target.release_line()
        with _offered(target, args) as lines:
            print("\n".join(lines), flush=True)
            target.serve(args.speed, _until_signal())
    except KeyboardInterrupt:
        pass
    finally:
        target.close()
    print("stopped")
    return 0


@contextmanager
def _offered(target: UnixTarget, args: argparse.Namespace) -> Iterator[list[str]]:
    """Every way to the pump and to its balance; gives what is told of them."""
    with ExitStack() as ways:
        path = ways.enter_context(_linked(target.serial_path, args.link)) if args.link else target.serial_path
        lines = [
            f"a simulated pump (not a medical device) is on {path}, {args.speed:g} virtual seconds per second",
            f"  try: python -m serial.tools.miniterm --eol LF {path}   then type STAT? or STOP; Ctrl-C here ends it",
        ]
        if args.tcp is not None:
            lines.append(f"  pump: {ways.enter_context(TcpLine(target.serial_path, args.host, args.tcp)).url}")
        if args.balance or args.balance_tcp is not None:
            balance = ways.enter_context(SimulatedBalance(_load(target), seed=args.seed))
            lines.append(f"  balance: {balance.path}")
            if args.balance_tcp is not None:
                lines.append(f"  balance: {ways.enter_context(TcpLine(balance.path, args.host, args.balance_tcp)).url}")
        yield lines


def _load(target: UnixTarget) -> Callable[[], Load]:
    """What lies on the balance, asked from its thread while the pump runs in ours."""

    def load() -> Load:
        with target.moving:
            return target.rig.load()

    return load


@contextmanager
def _linked(serial_path: str, link: Path) -> Iterator[Path]:
    if link.is_symlink():
        link.unlink()
    if link.exists():
        raise BenchError(f"{link} exists and is no symbolic link: choose another path for --link")
    link.symlink_to(serial_path)
    try:
        yield link
    finally:
        if link.is_symlink():
            link.unlink()


def _until_signal() -> Callable[[], bool]:
    """True until SIGTERM (Ctrl-C is an exception)."""
    ended: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: ended.append(number))
    return lambda: not ended
