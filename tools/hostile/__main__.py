"""Hostile lines against the running firmware on the unix port; prints the totals. Exit 0: all held, 1: something did not, 2: could not run.

Use: python -m tools.hostile -n 1000000 [--seed 1]. A failure is found again by the same seed; the last lines before it are in the folder.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from tqdm import tqdm

from hil.errors import BenchError
from hil.scenario import find_scenario, load_scenario
from hil.targets.process import one_core
from tools.hostile.lines import Lines, made_by_hypothesis
from tools.hostile.siege import BESIEGED, Broken, Siege, Totals

SCENARIO = "night-flex-spinal"
POOL = 4000


def besiege(count: int, seed: int, out: Path, quiet: bool = False, script: Path = BESIEGED) -> int:
    """The exit code."""
    began = time.monotonic()
    pool = made_by_hypothesis(min(POOL, count), seed)
    with one_core():
        siege = Siege(load_scenario(find_scenario(SCENARIO)), seed, script)
        try:
            lines = Lines(seed, siege.heard, siege.verbs(), pool)
            with tqdm(total=count, unit=" lines", unit_scale=True, disable=quiet, file=sys.stderr) as bar:
                siege.run(count, lines, bar.update)
        except BenchError as error:
            out.mkdir(parents=True, exist_ok=True)
            (out / "last-lines.txt").write_text("\n".join(repr(chunk) for chunk in siege.chunks) + "\n", "utf-8")
            print(f"DID NOT HOLD after {siege.totals.lines} lines, seed {seed}: {error}\n  the last lines: {out / 'last-lines.txt'}")
            return 1 if isinstance(error, Broken) or siege.totals.lines else 2
        finally:
            siege.close()
    show(siege.totals, lines, time.monotonic() - began)
    return 0


def show(totals: Totals, lines: Lines, took_s: float) -> None:
    """The totals, for people and for the README."""
    hours = totals.virtual_s / 3600
    print(f"hostile lines: {totals.lines:,} ({totals.bytes:,} bytes) in {took_s:.0f} s, {hours:.1f} h of virtual time (SIMULATED)")
    print("  " + ", ".join(f"{name} {made:,}" for name, made in lines.made.items()))
    print(f"  left out, because they order STOP and are to be obeyed: {totals.left_out:,}")
    print(f"  resets: {totals.resets}; steps that no program has: {totals.strange_steps} (of {totals.steps:,} made)")
    print(f"  answers due and given: {totals.due:,} and {totals.answers:,}, each at the (virtual) instant of its line")
    print(f"  longest real time for a kilobyte of lines, all answered: {totals.longest_s * 1000:.0f} ms of this machine")
    print(f"  every status as before and a rightful session obeyed: {totals.rounds:,} of {totals.rounds:,} times")
    heap, more = totals.heap, totals.more_heap
    print(f"  heap held once garbage is gone (a hook tells it: tools/micropython/besieged.py): first {heap[0]:,}, last {heap[-1]:,} bytes,")
    twins = f"{heap[0] - more[0]:,} and {heap[-1] - more[-1]:,}"
    print(f"    of a twin without hostile lines {twins}: grown by {more[-1] - more[0]:,} for the lines")
    records, files = totals.records, totals.files
    print(f"  written to the flash by 200 lines that nobody signed: at most {records} records, {files} files (the log of wrong codes)")
    records, files = totals.stop_written
    print(f"  STOPs among hostile lines at the end: {totals.stops:,}, all obeyed, no step after the first until RUN;")
    print(f"    written by some 40 of them in a row: at most {records} records, {files} files")


def main() -> int:
    shape = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="python -m tools.hostile", description=__doc__, formatter_class=shape)
    parser.add_argument("-n", type=int, default=20_000, help="lines (default: 20000)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("build/hostile"))
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    args = parser.parse_args()
    try:
        return besiege(args.n, args.seed, args.out, args.quiet)
    except BenchError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
