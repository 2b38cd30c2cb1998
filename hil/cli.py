"""Commands of `python -m hil`. Exit: 0 passed, 1 failed, 2 the bench (or what it was given) is unusable."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path

from tqdm import tqdm

from hil import (
    calibration_command,
    evidence,
    key_commands,
    keys,
    metrology_commands,
    page_commands,
    program_commands,
    result,
    runner,
    serve_command,
    teaching,
)
from hil.doctor import command as doctor_command
from hil.errors import BenchError
from hil.places import about, place
from hil.quantity import span_text
from hil.scenario import find_scenario, load_scenario, sample_span, shipped_scenarios
from hil.targets.process import one_core

UNUSABLE = result.EXIT[result.UNUSABLE]
KEY_HELP = key_commands.KEY_HELP


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, run, and turn every error of ours into a sentence and an exit code."""
    args = _parser().parse_args(argv)
    try:
        code: int = args.do(args)
        return code
    except BenchError as error:
        print(f"error: {error}", file=sys.stderr)
        return UNUSABLE
    except BrokenPipeError:
        raise
    except OSError as error:
        print(f"error: {about(error)}", file=sys.stderr)
        return UNUSABLE
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return UNUSABLE
    except Exception as error:  # never a traceback for a user, never exit 1, which means that the pump failed
        print(f"error: the bench itself failed: {type(error).__name__}: {error}", file=sys.stderr)
        return UNUSABLE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m hil", description="A bench for the doseloop pump. Not a medical device.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    doctor_command.add(commands)
    _add_run(commands.add_parser("run", help="run a scenario and judge it").add_argument)
    serve_command.add(commands)
    listing = commands.add_parser("list", help="the scenarios that are shipped")
    listing.set_defaults(do=_list)
    program_commands.add(commands)
    key_commands.add(commands)
    metrology_commands.add(commands)
    calibration_command.add(commands)
    page_commands.add(commands)
    teaching.add_completion(commands, parser)
    commands.choices["run"].set_defaults(do=_run)
    teaching.teach(parser)
    return parser


def _add_run(add: Callable[..., object]) -> None:
    add("scenario", help="a scenario file, or the name of a shipped one")
    add("--target", default="unix", help="unix (virtual time; default), emulated (the flashed image), or a pyserial URL like /dev/ttyACM0")
    add("--out", type=place, default=Path("build/bench"), help="folder for report, result and logs (default: build/bench)")
    add("--seed", type=_seed, help="of the simulated rig, instead of the scenario's")
    add("--days", type=_positive, help='how long `advance = "days"` is, instead of the scenario\'s days')
    add("--balance", help="under a real pump: a pyserial URL (MT-SICS), or sbi:URL (Sartorius)")
    add("--key-file", type=place, help=KEY_HELP)
    add("--sample", help='how often the three witnesses are read, like "15 min"')
    evidence.add_option(add)
    add("--quiet", action="store_true", help="no progress bar")


def _seed(text: str) -> int:
    if not text.isdecimal() or not text.isascii() or len(text) > 12:
        raise argparse.ArgumentTypeError(f"{text!r} is no seed: a whole number, not negative")
    return int(text)


def _positive(text: str) -> int:
    if not text.isdecimal() or not text.isascii() or not 1 <= int(text) <= 3650:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1 to 3650")
    return int(text)


# ---- run


def _run(args: argparse.Namespace) -> int:
    scenario = load_scenario(find_scenario(args.scenario))
    sample_ms = sample_span(args.sample, "--sample") if args.sample is not None else None
    own = keys.find_keys(args.key_file)
    options = runner.Options(args.target, args.out, args.seed, args.days, args.balance, sample_ms, own, args.evidence)
    if reason := runner.why_skipped(scenario, options):
        print(f"skipped: {scenario.name} {reason}")
        return 0
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ended by a timeout: keep what was measured, as after Ctrl-C
    with one_core() if args.target == "unix" else nullcontext():  # an emulated board, and the build of its image, want them all
        found = _with_bar(scenario.name, args.quiet, lambda progress: runner.run(scenario, options, progress))
    _print_verdict(found, args.out)
    return found.exit_code


def _with_bar(name: str, quiet: bool, work: Callable[[runner.Progress], result.Result]) -> result.Result:
    shape = "{desc} {percentage:3.0f}% |{bar}| {postfix}[{elapsed}<{remaining}]"
    with tqdm(desc=name, total=1.0, disable=quiet, bar_format=shape, file=sys.stderr) as bar:

        def progress(done_ms: int, planned_ms: int) -> None:
            bar.total = planned_ms
            bar.n = done_ms
            bar.set_postfix_str(f"{span_text(done_ms - done_ms % 60_000)} ", refresh=False)
            bar.update(0)

        return work(progress)


def _print_verdict(found: result.Result, out: Path) -> None:
    print(f"{found.scenario}: {found.verdict.upper()} ({found.evidence}, {found.virtual_s:,.0f} s since RUN in {found.wall_s:.1f} s)")
    if found.reason:
        print(f"  {found.reason}")
    if found.key == "default":
        print("  the DEFAULT key is in force: it is published, and opens every role")
    for warning in found.warnings:
        print(f"  WARNING: {warning}")
    volumes = (("programmed (oracle)", found.expected_nl), ("ledger", found.authorised_nl), ("motion witness", found.witnessed_nl))
    for name, value in (*volumes, ("balance", found.balance_nl)):
        print(f"  {name:20s} {'not measured' if value is None else f'{value / 1000:12,.3f} uL'}")
    if found.max_step_error is not None:
        print(f"  {'largest step error':20s} {found.max_step_error:12.3f} steps")
    print(f"  report: {out / 'report.html'}")


# ---- list


def _list(args: argparse.Namespace) -> int:
    for path in shipped_scenarios():
        scenario = load_scenario(path)
        where = " ".join(scenario.targets) or ("unix, emulated" if scenario.needs_virtual else "any target")
        print(f"{scenario.name:26s} {where:11s} {scenario.title}")
    return 0
