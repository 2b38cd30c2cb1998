"""`make metrology`: mass logs with known answers through the bench's metrology; recovered against true, within the stated uncertainty.

Use: python tools/metrology.py [--seeds N] [--out DIR]. Writes validation.json and pictures; exit 1 if a figure is not recovered.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import asdict
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # many small matrices: threads cost more than they bring
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from tqdm import tqdm

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from hil.metrology import flow, pictures, validation  # noqa: E402 - after the path is set
from hil.metrology.outcome import Outcome  # noqa: E402

PICTURED = ("pulsation 20 %", "noise 0.5 mg", "ambulatory, 1 mL a day")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=validation.SEEDS, help=f"logs for each case (default: {validation.SEEDS})")
    parser.add_argument("--out", type=Path, default=Path("build/metrology"), help="folder of table and pictures (default: build/metrology)")
    args = parser.parse_args()
    if args.seeds < 20:
        parser.error("--seeds: at least 20, or the count of held intervals says nothing")
    found: list[validation.Finding] = []
    with tqdm(total=len(validation.CASES) * args.seeds, desc="logs with known answers", leave=False) as bar:
        for case in validation.CASES:
            found += validation.run(case, args.seeds, step=bar.update)
    show(found, args.seeds)
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "validation.json").write_text(json.dumps([{**asdict(f), "ok": f.ok} for f in found], indent=1) + "\n", "utf-8")
    for name in PICTURED:
        picture(next(case for case in validation.CASES if case.name == name), args.out)
    print(f"pictures and validation.json: {args.out}")
    return 0 if all(f.ok for f in found) else 1


def show(found: list[validation.Finding], seeds: int) -> None:
    """Every figure, and how often the intervals of each kind held the truth."""
    print(f"{'case':30s} {'figure':20s} {'true':>9s} {'recovered':>10s} {'U (k=2)':>8s}   held of {seeds}  (at least)  error/u")
    case = ""
    for one in found:
        name, case = ("" if one.case == case else one.case), one.case
        figures = f"{one.truth:9.3f} {one.truth + one.bias:10.3f} {one.expanded:8.3f}   {one.held:4d}          {one.least:4d}"
        spread = f"{one.spread:9.2f}" if one.exact else "         "
        print(f"{name:30s} {one.figure:20s} {figures}   {spread} {'' if one.ok else ' NOT RECOVERED'}")
    means = [one for one in found if one.exact]
    extremes = [one for one in found if not one.exact and not one.figure.startswith("evaporation")]
    print(f"{sum(one.ok for one in found)} of {len(found)} figures recovered within their stated uncertainty; intervals that hold")
    print(f"the truth, stated about 95 %: of overall errors and means {_held(means)}, of extremes {_held(extremes)};")
    print("extremes take the standard's own value, which noise can only lift: their intervals reach further on that side")


def _held(found: list[validation.Finding]) -> str:
    held, count = sum(one.held for one in found), sum(one.seeds for one in found)
    return f"{held} of {count} ({100 * held / count:.1f} %)"


def picture(case: validation.Case, folder: Path) -> None:
    """Trumpet and start-up curve of one log of a case."""
    random = np.random.default_rng([0, len(case.name)])
    blank = validation.blank_of(case, random)
    judged = flow.Flow(case.name, validation.log_of(case, random), blank, case.climate, 0.0, case.pump.rate_nl_h)
    outcome = Outcome(case.name, "SYNTHETIC", "none", case.climate, blank, flows=[judged.result(validation.protocol_of(case))])
    pictures.write(outcome, folder)


if __name__ == "__main__":
    sys.exit(main())
