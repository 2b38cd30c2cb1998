"""Arguments of `python -m hil doctor`, and its exit code."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from typing import Any

from hil import teaching
from hil.doctor.finding import WRONG, Finding, lines

USABLE, UNUSABLE = 0, 2
HELP = "what is here, what is missing, which ports have a pump, and what to do next"


def add(commands: Any) -> None:
    _arguments(commands.add_parser("doctor", help=HELP))


def main(argv: Sequence[str]) -> int:
    """Without the rest of the bench, which may not be importable yet."""
    parser = _arguments(argparse.ArgumentParser(prog="python -m hil doctor"))
    teaching.teach(parser, "doctor")
    return _doctor(parser.parse_args(argv))


def _arguments(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser.description = (
        "Looks at Python, packages, MicroPython, emulator, image and serial ports. Each port is asked one typed *IDN?, which opens no"
        " session and changes nothing. Exit 0: usable; 2: something that is needed is missing."
    )
    parser.add_argument("--port", action="append", default=[], metavar="URL", help="ask only this port (a pyserial URL); may be repeated")
    parser.add_argument("--no-ports", action="store_true", help="open no port at all")
    parser.add_argument(
        "--probe-balances", action="store_true", help="also ask who is there in MT-SICS and SBI: I agree that this is written to every port"
    )
    parser.set_defaults(do=_doctor)
    return parser


def _doctor(args: argparse.Namespace) -> int:
    found = []
    for finding in _findings(args):
        found.append(finding)
        print("\n".join(lines([finding])), flush=True)
    wrong = [finding.what for finding in found if finding.state == WRONG]
    print(f"NOT USABLE yet: {', '.join(wrong)}" if wrong else "usable; next: make bench, then look at build/bench/report.html")
    return UNUSABLE if wrong else USABLE


def _findings(args: argparse.Namespace) -> Iterator[Finding]:
    from hil.doctor import software

    yield from software.software()
    if args.no_ports:
        return
    try:
        from hil.doctor import ports
        from hil.live import typed  # noqa: F401 - what ports need
    except ImportError as error:
        yield Finding(WRONG, "serial ports", f"{error.name} is not installed", "pip install -e '.[bench]'")
        return
    yield from ports.ports(args.port, args.probe_balances, software.checkout())
