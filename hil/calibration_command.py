"""`python -m hil calibrate`: its arguments, the person's word, and what is written to pump and disk."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from hil import evidence
from hil.calibration import points, record
from hil.calibration.fit import Fit, fit
from hil.calibration.points import Run, Wanted
from hil.calibration.procedure import Procedure
from hil.errors import BenchError, InputError, Refused
from hil.instruments.opening import HELP
from hil.key_commands import KEY_HELP
from hil.keys import find_keys
from hil.metrology_commands import add_conditions, conditions_of
from hil.places import place
from hil.quantity import quantity, whole_units
from hil.targets.process import one_core
from hil.wetbench import Place, WetBench

DONE, DECLINED = 0, 1
RATES = "20,200,2000"
SIZES = "4000,40000"
MOST_POINTS = 99  # what CAL:SET counts


def add(commands: Any) -> None:
    parser = commands.add_parser("calibrate", help="volume per step by weight, written to the pump and kept as a file")
    parser.description = (
        "Prime, tracer run, points over the range, slope method; then CAL:SET (service role) with a person's word where the change is over"
        " 5 %. The reservoir is declared to hold test fluid. Exit 0: written; 1: measured, not written; 2: unusable."
    )
    parser.add_argument("--target", default="unix", help="unix (simulated rig, virtual time; default) or a pyserial URL of a pump")
    parser.add_argument("--balance", metavar="URL", help=HELP)
    parser.add_argument("--tube", metavar="LOT", help="lot of the tube in the head, up to 24 characters")
    parser.add_argument("--tube-hours", type=int, default=0, help="hours it ran before (default: 0)")
    parser.add_argument("--rates", default=RATES, help=f"steps a second, smallest first (default: {RATES})")
    parser.add_argument("--sizes", default=SIZES, help=f"steps of the points at each rate (default: {SIZES})")
    parser.add_argument("--blank-cycle", default="6 min", metavar="SPAN", help='of ten (default: "6 min")')
    parser.add_argument("--expires-hours", type=int, default=2000, help="the calibration holds so long (default: 2000)")
    parser.add_argument("--expires-volume", default="60 mL", metavar="VOLUME", help='and for so much delivered (default: "60 mL")')
    parser.add_argument("--continue", dest="go_on", action="store_true", help="go on with the run kept in --out")
    parser.add_argument("--redo", type=int, action="append", default=[], metavar="N", help="with --continue: measure point N again")
    parser.add_argument(
        "--fill", metavar="VOLUME", help='I declare: the reservoir was emptied and filled with so much test fluid, like "18 mL"'
    )
    parser.add_argument("--yes", action="store_true", help="I confirm a change of more than 5 %%")
    parser.add_argument("--no-write", action="store_true", help="measure and keep the file, leave the pump as it is")
    parser.add_argument(
        "--out", type=place, default=Path("build/calibrate"), help="folder of the run and its logs (default: build/calibrate)"
    )
    parser.add_argument(
        "--keep", type=place, default=Path("calibrations"), help="folder the calibrations are kept in (default: calibrations)"
    )
    parser.add_argument("--seed", type=int, default=1, help="of the simulated rig (default: 1)")
    parser.add_argument("--key-file", type=Path, help=KEY_HELP)
    evidence.add_option(parser.add_argument)
    add_conditions(parser)
    parser.set_defaults(do=_calibrate)


def _calibrate(args: argparse.Namespace) -> int:
    kept = points.load(args.out) if args.go_on else None
    if args.redo and kept is None:
        raise InputError("--redo", "goes with --continue: there is no run yet")
    wanted = _wanted(args) if kept is None else kept.wanted
    _check(args)
    place = Place(args.target, args.balance, args.out, args.seed, keys=find_keys(args.key_file), evidence=args.evidence, go_on=args.go_on)
    with one_core(), WetBench(place) as bench:
        return calibrate(bench, args, kept or Run("", _tube(args.tube), conditions_of(args), wanted), asked=_ask)


def calibrate(
    bench: WetBench, args: argparse.Namespace, run: Run, told: Callable[[str], None] = print, asked: Callable[[str], bool] | None = None
) -> int:
    """On an open bench: measure what is missing, work it out, keep it, write it."""
    _belongs(bench, run, args)
    for number in args.redo:
        run.redo(number)
    try:
        bench.prepare_test_fluid(None if args.fill is None else whole_units(args.fill, "volume (nL)", 1, "nL", "--fill"))
        Procedure(bench, run, args.out, told).play(_span_s(args.blank_cycle))
    except (KeyboardInterrupt, BenchError) as error:
        run.save(args.out)
        with contextlib.suppress(BenchError):
            bench.stop()
        done = f"{len(run.points)} of {len(run.wanted)} points are kept in {args.out}; go on with the same command and --continue"
        raise BenchError(f"{'interrupted by hand' if isinstance(error, KeyboardInterrupt) else error}. {done}") from None
    assert run.blank is not None
    found = fit(run.points, run.blank, run.conditions)
    new = _record(found, run, args, bench)
    old = record.last_of(args.keep, run.pump)
    show(found, run, told)
    if old is not None:
        told(f"drift: {record.drift(new, old).text}")
    told(f"kept: {new.save(args.keep)}")
    return DONE if args.no_write else _write(bench, new, args.yes, told, asked)


def show(found: Fit, run: Run, told: Callable[[str], None]) -> None:
    """The result, every point and every rate."""
    volume, doubt = found.nl_per_step, found.expanded_percent
    told(f"volume per step {volume:.5f} nL +/- {doubt:.2g} % (k = 2): {found.steps_per_ml} steps per mL ({run.evidence})")
    told(
        f"  intercept {found.intercept_nl:+.0f} +/- {2 * found.u_intercept_nl:.0f} nL, spread {found.spread_ppm} ppm, {found.points} points"
    )
    for i, (wanted, point) in enumerate(zip(run.wanted, run.done, strict=True), start=1):
        told(f"  {i}: {wanted.text:24s} {point.mass_g * 1e3:10.3f} mg" if point else f"  {i}: {wanted.text:24s} missing")
    for rate in found.rates:
        off = f"{rate.off_percent:+.3f} % +/- {rate.expanded_percent:.2g} %"
        told(f"  at {rate.rate_hz}/s {off} off the slope{'' if rate.inside else ': OUTSIDE, not in the valid range'}")
    low, high = found.range_nl_h
    told(f"  valid from {low / 1000:g} to {high / 1000:g} uL/h")
    for part in found.budget:
        told(f"    {part.name:26s} u = {part.u:.4f} %  {part.source}")


def _belongs(bench: WetBench, run: Run, args: argparse.Namespace) -> None:
    simulated = f"simulated rig, seed {bench.place.seed}"  # its pump is a new one with every start
    uid = simulated if bench.rig is not None else bench.pump.identity().get("uid", "unknown")
    if run.pump and run.pump != uid:
        raise InputError("--continue", f"the kept run is of pump {run.pump}, this is {uid}: begin anew without --continue")
    if args.go_on and args.tube and args.tube != run.tube:
        raise InputError("--tube", f"the kept run is of tube {run.tube!r}: another tube begins anew")
    if args.go_on and conditions_of(args, run.conditions) != run.conditions:
        kept = run.conditions
        problem = f"the kept run was begun at {kept.temperature_c:g} °C, {kept.pressure_hpa:g} hPa, {kept.salt_g_l:g} g/L salt"
        raise InputError("--continue", f"{problem}: leave --temperature, --pressure and --salt out, or begin anew without --continue")
    balance = bench.identity.get("balance", "")
    if run.blank is not None and run.balance != balance:
        raise InputError("--continue", f"the kept blank is of balance {run.balance!r}, this is {balance!r}: begin anew without --continue")
    run.pump, run.evidence, run.balance = uid, bench.target.evidence, balance


def _record(found: Fit, run: Run, args: argparse.Namespace, bench: WetBench) -> record.Record:
    low, high = found.range_nl_h
    date = datetime.fromtimestamp(bench.link.unix_s(), timezone.utc).strftime("%Y-%m-%d")
    details = {"run": asdict(run), "fit": found.as_json(), "versions": bench.identity, "z_ul_mg": run.conditions.z}
    return record.Record(
        pump=run.pump, date=date, tube=run.tube, tube_hours=args.tube_hours, steps_per_ml=found.steps_per_ml,
        expanded_percent=found.expanded_percent, intercept_nl=found.intercept_nl, spread_ppm=found.spread_ppm, points=found.points,
        rate_min_nl_h=low, rate_max_nl_h=high, expires_hours=args.expires_hours, expires_ul=_expires_ul(args), evidence=run.evidence,
        details=details,
    )  # fmt: skip


def _write(bench: WetBench, new: record.Record, yes: bool, told: Callable[[str], None], asked: Callable[[str], bool] | None) -> int:
    """CAL:SET; a change over 5 % is confirmed by a person, never by the program (R-CAL-1)."""
    given = new.fields()
    try:
        bench.link.command("CAL:SET", given)
    except Refused as refused:
        if refused.code != "CONFIRM_CALIBRATION" or "confirm" not in refused.fields:
            raise
        before = bench.pump.stat("motion").get("spm", "?")
        words = f"steps per mL change from {before} to {new.steps_per_ml}, by more than 5 %"
        if not (yes or (asked is not None and asked(words))):
            told(f"NOT written: {words}; a person confirms it with --yes (R-CAL-1)")
            return DECLINED
        bench.link.command("CAL:SET", {**given, "confirm": refused.fields["confirm"]})
    told(f"written to the pump; it expires after {new.expires_hours} h or {new.expires_ul / 1000:g} mL")
    return DONE


def _ask(words: str) -> bool:
    if not sys.stdin.isatty():
        return False
    print(f"{words}. Write it? Type yes: ", end="", flush=True)
    return input().strip().lower() == "yes"


# ---- arguments


def _wanted(args: argparse.Namespace) -> list[Wanted]:
    rates = sorted(_numbers(args.rates, "--rates", 1, 4000))
    sizes = _numbers(args.sizes, "--sizes", 100, 1_000_000)
    wanted = [Wanted(size, rate) for rate in rates for size in sizes]
    if len(set(sizes)) < 2 or not 3 <= len(wanted) <= MOST_POINTS:
        raise InputError(
            "--sizes", f"the slope wants two sizes and 3 to {MOST_POINTS} points: these are {len(set(sizes))} and {len(wanted)}"
        )
    return wanted


def _numbers(text: str, where: str, low: int, high: int) -> list[int]:
    cells = [cell.strip() for cell in text.split(",")]
    for cell in cells:
        if not (cell.isdecimal() and cell.isascii() and len(cell) < 9 and low <= int(cell) <= high):
            raise InputError(where, f"{cell!r} is no whole number from {low} to {high}; write them like 20,200,2000")
    return [int(cell) for cell in cells]


def _check(args: argparse.Namespace) -> None:
    """What is only needed at the end is looked at before anything moves."""
    _span_s(args.blank_cycle)
    for where, value, low in (("--expires-hours", args.expires_hours, 1), ("--tube-hours", args.tube_hours, 0)):
        if not low <= value <= 100_000:
            raise InputError(where, f"{value} is not from {low} to 100000")
    if not 1 <= _expires_ul(args) <= 100_000_000:
        raise InputError("--expires-volume", f"{args.expires_volume!r} is not from 1 uL to 100 L")


def _expires_ul(args: argparse.Namespace) -> int:
    return whole_units(args.expires_volume, "volume (nL)", 1000, "uL", "--expires-volume")


def _tube(lot: str | None) -> str:
    if not lot:
        raise InputError("--tube", "name the tube's lot: a calibration belongs to one tube, like --tube T-0427")
    if len(lot) > 24 or not all(c.isascii() and (c.isalnum() or c in "-_.") for c in lot):
        raise InputError("--tube", f"{lot!r} is no lot: up to 24 letters, digits, - _ .")
    return lot


def _span_s(text: str) -> float:
    seconds = float(quantity(text, "time (ms)", "--blank-cycle")) / 1000
    if not 10 <= seconds <= 86_400:
        raise InputError("--blank-cycle", f"{text!r} is not from 10 s to a day")
    return seconds
