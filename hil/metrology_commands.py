"""`python -m hil metrology`, `analyse` and `balance`: their arguments, and nothing else."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from datetime import datetime, timezone
from fractions import Fraction
from pathlib import Path
from typing import Any

from tqdm import tqdm

from hil import evidence, junit, metrology_page, metrology_paper, provenance
from hil.errors import BenchError, InputError
from hil.instruments.diagnostics import diagnose
from hil.instruments.opening import HELP, open_balance
from hil.key_commands import KEY_HELP
from hil.keys import find_keys
from hil.metrology import analysis, flow, pictures
from hil.metrology import plan as plans
from hil.metrology.figure import worst
from hil.metrology.outcome import Outcome, lines
from hil.metrology.volume import Conditions
from hil.metrology.weights_file import load as load_weights
from hil.metrology.weights_file import load_blank
from hil.metrology_run import Runner, person, write_logs
from hil.places import place
from hil.prescription import find_program, load_program
from hil.quantity import quantity, whole
from hil.result import FAILED
from hil.tables import as_number
from hil.targets.process import one_core
from hil.wetbench import Place, WetBench

PASSED_EXIT, FAILED_EXIT = 0, 1
NOT_NAMED = "not named"


def add(commands: Any) -> None:
    """Hang the commands into the bench's own."""
    _add_metrology(commands.add_parser("metrology", help="flow accuracy by weight: start-up, trumpet, boluses, pressure, occlusion"))
    _add_analyse(commands.add_parser("analyse", help="the same figures from a file of recorded weights, without any instrument"))
    _add_balance(commands.add_parser("balance", help="is the balance fit for a run? samples a second, noise, drift, stability"))


def add_conditions(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--temperature", type=float, metavar="C", help="of the liquid (default: 20)")
    parser.add_argument("--pressure", type=float, metavar="HPA", help="of the air, at the station (default: 1013.25)")
    parser.add_argument("--salt", type=float, metavar="G_L", help="dissolved: 0 for water (default), 9 for saline")


def conditions_of(args: argparse.Namespace, given: Conditions | None = None) -> Conditions:
    for option in ("temperature", "pressure", "salt"):
        as_number(getattr(args, option) or 0.0, f"--{option}", -50.0)
    named = {"temperature_c": args.temperature, "pressure_hpa": args.pressure, "salt_g_l": args.salt}
    return replace(given or Conditions(), **{key: value for key, value in named.items() if value is not None})


def _add_metrology(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Plays a plan of test flows and boluses on test fluid (R-CAL-2) and judges them by IEC 60601-2-24. Leaves report.html,"
        " report.pdf, metrology.json, junit.xml, figures.csv, weights.csv (for `analyse`). Exit 0: nothing failed; 1: a figure failed;"
        " 2: the bench is unusable."
    )
    parser.add_argument("--target", default="unix", help="unix (simulated rig, virtual time; default) or a pyserial URL of a pump")
    parser.add_argument("--balance", metavar="URL", help=f"{HELP}; none: the simulated one of the simulated rig")
    parser.add_argument("--plan", default="quick", help=f"a plan file or a shipped one: {', '.join(plans.shipped())} (default: quick)")
    parser.add_argument(
        "--out", type=place, default=Path("build/metrology-run"), help="folder for what it leaves (default: build/metrology-run)"
    )
    parser.add_argument("--seed", type=int, default=1, help="of the simulated rig (default: 1)")
    parser.add_argument(
        "--fill", metavar="VOLUME", help='I declare: the reservoir was emptied and filled with so much test fluid, like "18 mL"'
    )
    parser.add_argument("--key-file", type=Path, help=KEY_HELP)
    parser.add_argument("--operator", metavar="NAME", help="who stands at the bench, for the report")
    parser.add_argument("--tube", metavar="LOT", help="tube lot and hours, for the report")
    evidence.add_option(parser.add_argument)
    add_conditions(parser)
    parser.set_defaults(do=_metrology)


def _metrology(args: argparse.Namespace) -> int:
    path = plans.find(args.plan)
    plan = plans.load(path)
    plan = replace(plan, conditions=conditions_of(args, plan.conditions))
    fill_nl = whole(args.fill, "volume (nL)", "--fill") if args.fill else None
    place = Place(args.target, args.balance, args.out, args.seed, keys=find_keys(args.key_file), evidence=args.evidence)
    bar = tqdm(total=round(plan.span_s), desc=plan.title, unit="s", disable=not sys.stderr.isatty())
    with one_core(), WetBench(place, tqdm.write) as bench, bar:
        runner = Runner(bench, plan, lambda seconds: _moved(bar, seconds), person, fill_nl)
        named = {"operator": args.operator or NOT_NAMED, "tube": args.tube or NOT_NAMED}
        runner.outcome.setup |= {"plan": _file_and_hash(path), **named, "begun": _now()}
        try:
            runner.play()
        except (KeyboardInterrupt, BenchError) as error:
            runner.outcome.broken_off = True
            runner.outcome.notes.append(f"broken off, what was measured before is kept: {str(error) or 'interrupted by hand'}")
            _leave(runner.outcome, args.out)
            raise
    return _leave(runner.outcome, args.out)


def _file_and_hash(path: Path) -> str:
    return f"{path.name} {provenance.digest(path.read_bytes())}"


def _now() -> str:
    """By the host's clock."""
    return datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")


def _moved(bar: Any, seconds: float) -> None:
    bar.n = min(bar.total, bar.n + round(seconds))
    bar.refresh()


def _leave(outcome: Outcome, out: Path) -> int:
    pictures.write(outcome, out)
    outcome.write(out)
    write_logs(outcome, out)
    junit.of_metrology(outcome, out / "junit.xml")
    metrology_paper.write(outcome, out / "report.pdf")
    metrology_page.write(outcome, out / "report.html")
    print("\n".join(lines(outcome)))
    print(f"  report.pdf, metrology.json, figures.csv, junit.xml, pictures beside the report: {out / 'report.html'}")
    return FAILED_EXIT if worst(outcome.figures) == FAILED else PASSED_EXIT


# ---- analyse


def _add_analyse(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Columns: t_s (or min, h, or clock times) and mass_g (or mg, kg); see hil/metrology/README.md. Exit 0: nothing failed; 1: a figure"
        " failed; 2: the file cannot be used."
    )
    parser.add_argument("weights", type=place, help="CSV of recorded weights, nothing but the flow in it")
    asked = parser.add_mutually_exclusive_group(required=True)
    asked.add_argument("--program", help="the program that ran: a file, or the name of a shipped one")
    asked.add_argument("--rate", help='the flat rate that was programmed, like "41.67 uL/h"')
    parser.add_argument("--part", metavar="NAME", help="of a weights.csv that `metrology` left: the flow to look at, by its name")
    parser.add_argument(
        "--blank", type=place, metavar="CSV",
        help="weights of at least ten blank cycles, nothing delivered, on the same balance; of a metrology run's weights.csv its blank",
    )  # fmt: skip
    parser.add_argument(
        "--began", metavar="CLOCK", help="local clock time of the first weight, like 2027-05-03T08:00, if the file has none"
    )
    parser.add_argument(
        "--start-after", default="0 s", metavar="SPAN", help='the flow began so long after the first weight (default: "0 s")'
    )
    parser.add_argument("--protocol", choices=["packets", *flow.PROTOCOLS], help="windows of the standard (default: S from the record)")
    parser.add_argument("--packet", default="4 uL", metavar="VOLUME", help='of a packet pump: one roller passage (default: "4 uL")')
    parser.add_argument("--sample", metavar="SPAN", help='sample interval S, like "15 min", instead')
    parser.add_argument("--out", type=place, default=Path("build/analyse"), help="folder for figures and pictures (default: build/analyse)")
    add_conditions(parser)
    parser.set_defaults(do=_analyse)


def _analyse(args: argparse.Namespace) -> int:
    weights = load_weights(args.weights, args.part)
    asked = _asked(args, weights.began)
    start_s = _span_s(args.start_after, "--start-after", least=0.0)
    packet_nl = float(whole(args.packet, "volume (nL)", "--packet"))
    outcome = analysis.analyse(
        args.part or args.weights.stem, weights, asked, conditions_of(args), blank=load_blank(args.blank).log if args.blank else None,
        protocol=_protocol(args, packet_nl, asked, float(weights.log.t_s[-1]) - start_s), start_s=start_s,
    )  # fmt: skip
    outcome.setup = {"weights": _file_and_hash(args.weights), "programmed": asked.name, "analysed": _now()}
    outcome.setup |= {"blank": _file_and_hash(args.blank)} if args.blank else {}
    outcome.versions = provenance.of_host()
    return _leave(outcome, args.out)


def _asked(args: argparse.Namespace, began: datetime | None) -> analysis.Asked:
    if args.rate is not None:
        rate = quantity(args.rate, "flow (nL/h)", "--rate")
        if rate <= 0:
            raise InputError("--rate", "a rate of nothing cannot be compared with")
        return analysis.Asked(args.rate, float(rate))
    program = load_program(find_program(args.program))
    if args.began is not None:
        try:
            began = datetime.fromisoformat(args.began)
        except ValueError:
            raise InputError("--began", f"{args.began!r} is no clock time: write it like 2027-05-03T08:00") from None
    if began is None and analysis.needs_clock(program):
        problem = f"{program.name} changes its rate over the day, and the file has no clock times"
        raise InputError("--program", f"{problem}: give the first weight's, --began 2027-05-03T08:00")
    return analysis.Asked(program.name, program=program, began=began)


def _protocol(args: argparse.Namespace, packet_nl: float, asked: analysis.Asked, span_s: float) -> flow.Protocol | None:
    if args.sample is not None:
        return flow.Protocol("S as asked", _span_s(args.sample, "--sample", least=30.0), (1, 2, 5, 11, 19, 31), 0.0, 100)
    if args.protocol == "packets":
        if packet_nl <= 0:
            raise InputError("--packet", "a packet of nothing")
        return flow.packets(asked.programmed(max(span_s, 1.0))[0], packet_nl)
    return flow.PROTOCOLS[args.protocol]() if args.protocol else None


def _span_s(text: str, where: str, least: float) -> float:
    seconds = quantity(text, "time (ms)", where) / Fraction(1000)
    if not least <= seconds <= 366 * 86_400:
        raise InputError(where, f"{text!r} is not a span from {least:g} s to a year")
    return float(seconds)


# ---- balance


def _add_balance(parser: argparse.ArgumentParser) -> None:
    parser.description = "Reads a balance that nobody touches for a minute. Exit 0: fit for a run; 1: not fit; 2: it does not answer."
    parser.add_argument("balance", metavar="URL", help=HELP)
    parser.add_argument("--readings", type=int, default=60, help="one a second (default: 60)")
    parser.set_defaults(do=_balance)


def _balance(args: argparse.Namespace) -> int:
    if not 10 <= args.readings <= 100_000:
        raise InputError("--readings", f"{args.readings} is not from 10 to 100000")
    with open_balance(args.balance) as balance:
        found = diagnose(balance, readings=args.readings)
    print("\n".join(found.lines()))
    return PASSED_EXIT if found.fit else FAILED_EXIT
