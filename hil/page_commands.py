"""`python -m hil compare` and `watch`: what people look at."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hil import compare


def add(commands: Any) -> None:
    """Put both under `python -m hil`."""
    _add_compare(commands.add_parser("compare", help="two run folders side by side, differences first").add_argument)
    commands.choices["compare"].set_defaults(do=_compare)


def _add_compare(add: Callable[..., object]) -> None:
    add("a", type=Path, help="the --out folder of a run")
    add("b", type=Path, help="that of another")
    add("--out", type=Path, default=Path("build/compare.html"), help="the page to write (default: build/compare.html)")


def _compare(args: argparse.Namespace) -> int:
    found = compare.compare(args.a, args.b)
    compare.write(found, args.out)
    print(compare.text(found))
    print(f"page: {args.out}")
    return 0
