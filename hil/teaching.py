"""What `--help` shows besides arguments, an example for every command, and shell completion made from the same parser."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

from hil.errors import BenchError

TITLE = "examples:"
PREFIX = "python -m hil"
SHELLS = ("bash", "zsh")
START = "hil/scenarios/motor-stalls.toml"

# Command -> lines that work as they stand, the plainest first; host_tests/test_help.py parses each of them.
EXAMPLES: dict[str, tuple[str, ...]] = {
    "": ("doctor", "run night-flex-spinal --out build/bench", "serve --scenario night-flex-spinal --link pump"),
    "doctor": ("doctor", "doctor --port /dev/ttyACM0", "doctor --port /dev/ttyUSB0 --probe-balances"),
    "run": (
        "run night-flex-spinal --out build/bench",
        f"run {START} --out build/stall",
        "run bolus-50 --target /dev/ttyACM0 --balance /dev/ttyUSB0 --key-file mine.toml",
    ),
    "serve": ("serve", "serve --scenario night-flex-spinal --link pump --speed 60", "serve --tcp 4000 --balance-tcp 4001"),
    "list": ("list",),
    "watch": ("watch --target pump", "watch --target /dev/ttyACM0 --target rfc2217://bench7:4000 --key-file mine.toml"),
    "compare": ("compare build/bench build/stall",),
    "program": ("program show night-flex-spinal", "program check step-refused"),
    "program show": ("program show night-flex-spinal", "program show mine.toml --no-plot"),
    "program check": ("program check step-refused", "program check mine.toml --target /dev/ttyACM0"),
    "program compile": ("program compile night-flex-spinal",),
    "program send": ("program send mine.toml --target /dev/ttyACM0 --key-file mine-keys.toml",),
    "dilute": ('dilute --want 350 --fill "18 mL"',),
    "key": ("key make mine.toml", "key set mine.toml --target /dev/ttyACM0"),
    "key make": ("key make mine.toml",),
    "key set": ("key set mine.toml --target /dev/ttyACM0", "key set next.toml --key-file mine.toml --target /dev/ttyACM0"),
    "key check": ("key check mine.toml --target /dev/ttyACM0",),
    "metrology": ("metrology --plan quick", 'metrology --plan full --target /dev/ttyACM0 --balance /dev/ttyUSB0 --fill "18 mL"'),
    "analyse": ('analyse weights.csv --rate "1 mL/h"', "analyse weights.csv --program night-flex-spinal"),
    "balance": ("balance /dev/ttyUSB0", "balance sbi:/dev/ttyUSB1#baud=1200,bits=7,parity=O"),
    "calibrate": ("calibrate --tube T-0427", 'calibrate --tube T-0427 --target /dev/ttyACM0 --balance /dev/ttyUSB0 --fill "18 mL"'),
    "completion": ("completion bash > ~/.local/share/bash-completion/completions/hil", "completion zsh > ~/.zfunc/_hil"),
}


class _Formatter(argparse.HelpFormatter):
    """Prose is wrapped, examples stay as they are: they are to be copied."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return text if text.startswith(TITLE) else super()._fill_text(text, width, indent)


def teach(parser: argparse.ArgumentParser, named: str = "") -> None:
    """Give it and all its commands their examples."""
    for name, command in commands_of(parser, named):
        command.formatter_class = _Formatter
        command.epilog = "\n".join([TITLE, *(f"  {PREFIX} {line}" for line in EXAMPLES.get(name, ()))])


def commands_of(parser: argparse.ArgumentParser, name: str = "") -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Itself and every command below it, by what is typed."""
    yield name, parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for word, below in action.choices.items():
                yield from commands_of(below, f"{name} {word}".lstrip())


# ---- completion


def add_completion(commands: Any, whole: argparse.ArgumentParser) -> None:
    """The script completes the program `hil`: `python -m hil` is two words that no shell completes."""
    parser = commands.add_parser("completion", help="a script that completes commands and options in bash or zsh")
    parser.description = "Prints the script. It completes the command hil, which `pip install -e .` puts beside python."
    parser.add_argument("shell", choices=SHELLS, help="which shell")
    parser.set_defaults(do=lambda args: _completion(whole, args.shell))


def _completion(whole: argparse.ArgumentParser, shell: str) -> int:
    try:
        import shtab
    except ImportError:
        raise BenchError("shtab is not installed: pip install -e '.[bench]'") from None
    whole.prog = "hil"
    print(shtab.complete(whole, shell))
    return 0
