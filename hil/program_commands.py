"""`python -m hil program show|check|compile|send` and `python -m hil dilute`: their arguments, and nothing else."""

from __future__ import annotations

import argparse
from datetime import date
from pathlib import Path
from typing import Any

from hil import dilution, program_plot, program_view
from hil.errors import BenchError
from hil.key_commands import KEY_HELP, URL_HELP
from hil.keys import find_keys
from hil.places import place
from hil.prescription import find_program
from hil.prescription_file import Prescription, load_prescription
from hil.program_check import judge
from hil.program_send import ACCEPTED, REFUSED, Declared, check, opened, send
from hil.quantity import whole

PLOTS = Path("build/programs")
FILE_HELP = "a program file (TOML), or the name of a shipped one"


def add(commands: Any) -> None:
    """Hang both commands into the bench's own."""
    program = commands.add_parser("program", help="work with program files: show, check, compile, send")
    actions = program.add_subparsers(required=True, metavar="ACTION")
    _add_show(actions.add_parser("show", help="the days as tables and as a picture, sums, refill date, caps"))
    _add_check(actions.add_parser("check", help="may it start? judged from the file, or on a pump where it stays uncommitted"))
    _add_compile(actions.add_parser("compile", help="the canonical lines and the hash, for machines"))
    _add_send(actions.add_parser("send", help="stage, read back, judge twice, and commit with a person's word"))
    _add_dilute(commands.add_parser("dilute", help="how to mix a concentration: stock, saline, vials, what is discarded"))


def _add_show(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", help=FILE_HELP)
    parser.add_argument("--plot", type=place, help=f"where the picture goes (default: {PLOTS}/NAME.png)")
    parser.add_argument("--no-plot", action="store_true", help="tables only")
    parser.set_defaults(do=_show)


def _add_check(parser: argparse.ArgumentParser) -> None:
    parser.description = "Exit 0: it may start. Exit 1: refused, or pump and oracle disagree (DEFECT). Nothing is ever committed."
    parser.add_argument("file", help=FILE_HELP)
    parser.add_argument("--target", metavar="URL", help=f"{URL_HELP}; without it, the file alone is judged")
    parser.add_argument("--reason", choices=["OVERDOSE"], help="judge a reduction as one for an overdose (label 2.5)")
    parser.add_argument("--key-file", type=place, help=KEY_HELP)
    parser.add_argument("--out", type=place, default=PLOTS, help=f"folder of the serial log and of a DEFECT's record (default: {PLOTS})")
    parser.set_defaults(do=_check)


def _add_compile(parser: argparse.ArgumentParser) -> None:
    parser.description = "Prints the sorted key=value lines, then hash=..; the hash is the first half of SHA-256 over the lines before it."
    parser.add_argument("file", help=FILE_HELP)
    parser.set_defaults(do=_compile)


def _add_send(parser: argparse.ArgumentParser) -> None:
    parser.description = "Commits only if pump and oracle agree and a person types the hash's first digits, or gives it whole with --yes."
    parser.add_argument("file", help=FILE_HELP)
    parser.add_argument("--target", metavar="URL", required=True, help=URL_HELP)
    present = "I declare: trained staff and resuscitation are present (an increase needs it)"
    parser.add_argument("--attended", action="store_true", help=present)
    parser.add_argument("--reason", choices=["OVERDOSE"], help="I declare: the reduction is for an overdose (label 2.5)")
    parser.add_argument("--yes", metavar="HASH", default="", help="commit this hash (all 16 digits) without typing it")
    parser.add_argument("--key-file", type=place, help=KEY_HELP)
    parser.add_argument("--out", type=place, default=PLOTS, help=f"folder of the serial log and of a DEFECT's record (default: {PLOTS})")
    parser.set_defaults(do=_send)


def _add_dilute(parser: argparse.ArgumentParser) -> None:
    parser.description = "Exact volumes from single-use vials of 20 mL, filled up with preservative-free saline."
    parser.add_argument("--want", required=True, help="the concentration in mcg/mL: a whole number from 51 to 2000, or 50 for screening")
    parser.add_argument("--fill", required=True, help='the volume to be filled, with its unit, like "18 mL"')
    parser.add_argument("--stock", action="append", default=[], help="500, 1000 or 2000 mcg/mL, may be given again (default: all that fit)")
    parser.set_defaults(do=_dilute)


# ---- doing it


def _load(args: argparse.Namespace) -> Prescription:
    return load_prescription(find_program(args.file))


def _show(args: argparse.Namespace) -> int:
    prescription = _load(args)
    for line in program_view.show(prescription, date.today()):
        print(line)
    if not args.no_plot:
        path = args.plot or PLOTS / f"{prescription.program.name}.png"
        program_plot.draw(prescription.program, path)
        print(f"picture: {path}")
    return ACCEPTED


def _compile(args: argparse.Namespace) -> int:
    program = _load(args).program
    print(*program.canonical_lines(), f"hash={program.hash()}", sep="\n")
    return ACCEPTED


def _check(args: argparse.Namespace) -> int:
    prescription = _load(args)
    if args.target is None:
        if args.reason:
            raise BenchError("--reason goes with --target: without a pump no history is known that it could excuse")
        return _check_file(prescription)
    log = args.out / f"{prescription.program.name}.serial.log"
    with opened(args.target, log, find_keys(args.key_file)) as (link, _):
        return check(link, prescription.program, Declared(reason=args.reason or ""), args.out, log)


def _check_file(prescription: Prescription) -> int:
    program, judged = prescription.program, judge(prescription, date.today())
    print(f"{program.name}: {program.conc_mcg_ml} mcg/mL, hash {program.hash()}")
    print(f"judged: {judged.given}")
    print(f"confirm: {' and '.join(judged.confirm) or 'nothing beyond the hash'}")
    if judged.notes:
        print(f"noted: {', '.join(judged.notes)}")
    print(f"REFUSED: {judged.code} {judged.sentence}" if judged.code != "OK" else "OK: nothing in the file forbids it")
    return ACCEPTED if judged.code == "OK" else REFUSED


def _send(args: argparse.Namespace) -> int:
    program = _load(args).program
    log = args.out / f"{program.name}.serial.log"
    with opened(args.target, log, find_keys(args.key_file)) as (link, clock):
        return send(link, clock, program, Declared(args.attended, args.reason or "", args.yes), args.out, log)


def _dilute(args: argparse.Namespace) -> int:
    want = dilution.parse_conc(args.want, "--want")
    stocks = [dilution.parse_conc(stock, "--stock") for stock in args.stock]
    fill_nl = whole(args.fill, "volume (nL)", "--fill")
    for line in dilution.lines(want, fill_nl, stocks):
        print(line)
    return ACCEPTED
