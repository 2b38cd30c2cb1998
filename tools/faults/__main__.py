"""Faults of the device on the simulated pump, in virtual time: is each found in time, and does the pump do what it must?

Use: python -m tools.faults [NAME ...] [--rate usual] [--jobs N] [--out DIR] ; NAME: words a fault's name has. Exit 1: one was not found
in time, or what the pump did was wrong. DIR gets faults.json and faults.html. SIMULATED: the unix port, the bench's own rig.
"""

from __future__ import annotations

import argparse
import html
import json
import os
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tqdm import tqdm

from hil.errors import BenchError
from hil.plant.engine import LeaseError
from tools.faults.rate import HIGHEST, LOWEST, USUAL, Rate
from tools.faults.table import SINGLE, TABLE, Fault
from tools.faults.trial import Finding, run

ROOT = Path(__file__).resolve().parents[2]
RATES = ((USUAL, 1), (LOWEST, 2), (HIGHEST, 3))  # each at a seed of its own
NOT_TOLD = (
    "Not told: a dead buzzer on a board without a microphone (all but the simulated one; SELF? says tone=none: a person listens"
    " to ALAR:TEST); a kept clock that jumps while the power is out; a tube that gives less, before its hours end or a refill is weighed."
)


def of_ms(ms: int | None) -> str:
    if ms is None:
        return "never"
    for unit, size in (("h", 3_600_000), ("min", 60_000), ("s", 1000)):
        if ms >= 2 * size:
            return f"{ms / size:.1f} {unit}"
    return f"{ms} ms"


def attempt(fault: Fault, rate: Rate, seed: int) -> Finding:
    with tempfile.TemporaryDirectory(prefix="doseloop-fault-") as work:
        try:
            return run(fault, rate, seed, Path(work))
        except (BenchError, LeaseError) as error:
            console = Path(work, "firmware.log")
            said = console.read_text("utf-8", "replace")[-1000:].strip() if console.exists() else ""
            text = f"the bench could not go on: {error}" + (f"\n  the pump's console: {said}" if said else "")
            return Finding(fault.name, rate.name, seed, fault.limit(rate), wrong=[text])


def wanted(words: list[str], rates: list[str]) -> list[tuple[Fault, Rate, int]]:
    faults = [fault for fault in TABLE if not words or any(word in fault.name for word in words)]
    return [(fault, rate, seed) for fault in faults for rate, seed in RATES if rate.name in rates and rate.name in fault.rates]


def line(fault: Fault, findings: list[Finding]) -> list[str]:
    seen = " / ".join(of_ms(found.seen_ms) for found in findings)
    allowed = " / ".join(of_ms(found.allowed_ms) for found in findings)
    does = fault.action + (", no bolus" if fault.bolus else "")
    verdict = "ok" if all(found.passed for found in findings) else "FAILED"
    told = fault.alarm or (f"SELF? {fault.part}=FAIL" if fault.part else "none")
    return [fault.name, fault.req, told, does, allowed, seen, verdict]


HEAD = ["fault", "requirement", "alarm", "pump", "allowed (by rate)", "seen (by rate)", ""]


def show(rows: list[list[str]]) -> None:
    widths = [max(len(row[k]) for row in [HEAD, *rows]) for k in range(len(HEAD))]
    for row in [HEAD, *rows]:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def write(out: Path, rows: list[list[str]], findings: list[Finding]) -> None:
    out.mkdir(parents=True, exist_ok=True)
    facts = {"evidence": "SIMULATED", "passed": all(found.passed for found in findings), "findings": [vars(found) for found in findings]}
    (out / "faults.json").write_text(json.dumps(facts, indent=1) + "\n", "utf-8")
    cells = [f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in row)}</tr>" for row in rows]
    head = "".join(f"<th>{name}</th>" for name in HEAD)
    why = "".join(f"<li>{html.escape(fault.name)}: {html.escape(fault.why)}</li>" for fault in TABLE if fault.why)
    style = "body{font:14px sans-serif;margin:2em}td,th{padding:.2em .6em;text-align:left;border-bottom:1px solid #ccc}"
    (out / "faults.html").write_text(
        f"<!doctype html><meta charset=utf-8><title>Faults</title><style>{style}</style><h1>Faults of the device (SIMULATED)</h1>"
        f"<table><tr>{head}</tr>{''.join(cells)}</table><h2>Why these pairs</h2><ul>{why}</ul><p>{html.escape(NOT_TOLD)}</p>\n",
        "utf-8",
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", nargs="*", help="only faults whose name has one of these words")
    parser.add_argument("--rate", action="append", choices=[rate.name for rate, _ in RATES], help="only at this rate")
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "faults")
    options = parser.parse_args()
    trials = wanted(options.name, options.rate or [rate.name for rate, _ in RATES])
    if not trials:
        print("error: no fault has such a name; there are: " + "; ".join(fault.name for fault in TABLE), file=sys.stderr)
        return 2
    began = time.monotonic()
    with ThreadPoolExecutor(options.jobs) as pool:
        findings = list(tqdm(pool.map(lambda trial: attempt(*trial), trials), total=len(trials), disable=not sys.stderr.isatty()))
    order = dict.fromkeys(fault.name for fault, _, _ in trials)
    rows = [line(fault, [found for found in findings if found.fault == fault.name]) for fault in TABLE if fault.name in order]
    show(rows)
    write(options.out, rows, findings)
    bad = [found for found in findings if not found.passed]
    for found in bad:
        print(f"FAILED {found.fault} at the {found.rate} rate, seed {found.seed}: {'; '.join(found.wrong)}")
    pairs = len([fault for fault in TABLE if fault.name in order and fault not in SINGLE])
    missed = sum(1 for found in findings if found.seen_ms is None or found.seen_ms > found.allowed_ms)
    print(
        f"SIMULATED: {len(order)} faults ({pairs} of them two at once), {len(findings)} runs, {missed} not found in time,"
        f" {len(bad) - missed} answered wrongly; {time.monotonic() - began:.0f} s; {options.out / 'faults.html'}"
    )
    print(NOT_TOLD)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
