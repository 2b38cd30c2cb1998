"""Runs the scenarios under hil/scenarios/emulated/ against the image that is flashed, on emulated Picos, and prints one line each.

Use: python tools/emulated.py [--long] [--jobs N] [--out DIR] [NAME ...] ; the image is built first if its content changed. `wiring` runs
before all others: if a wire is wrong, nothing else is worth its time. DIR/results.json says what ran, and on which tree (`make trace`).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from hil.errors import BenchError  # noqa: E402 - after the path is set
from hil.result import PASSED  # noqa: E402
from hil.runner import Options  # noqa: E402
from hil.scenario import Scenario, load_scenario  # noqa: E402
from hil.suite import SKIPPED, Verdict, run_together  # noqa: E402
from hil.targets.emulated import find_image  # noqa: E402
from tools.tree import tree_hash  # noqa: E402

FOLDER = ROOT / "hil" / "scenarios" / "emulated"
FIRST = "wiring"
LONG = frozenset({"basal-10min", "basal-worst-flash"})  # `make emulated-long`


def chosen(names: list[str], long: bool) -> list[Scenario]:
    """The ones named, or all short ones, or all long ones; the wiring check first."""
    paths = sorted(FOLDER.glob("*.toml"), key=lambda path: (path.stem != FIRST, path.stem))
    wanted = [path for path in paths if (path.stem in names if names else (path.stem in LONG) == long or path.stem == FIRST)]
    if missing := set(names) - {path.stem for path in wanted}:
        raise BenchError(f"there is no scenario {', '.join(sorted(missing))} in {FOLDER.relative_to(ROOT)}")
    return [load_scenario(path) for path in wanted]


def show(verdict: Verdict) -> None:
    print(f"{verdict.verdict:<10} {verdict.name:<24} {verdict.wall_s:7.1f} s  {verdict.reason}", flush=True)


def write_results(verdicts: list[Verdict], tree: str, out: Path) -> None:
    """For `make trace`; nothing is kept of a tree that changed meanwhile."""
    results = {each.name: {"verdict": each.verdict, "evidence": each.evidence} for each in verdicts}
    if tree_hash() == tree:
        (out / "results.json").write_text(json.dumps({"tree": tree, "results": results}, indent=1) + "\n", "utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="scenarios to run (default: all short ones)")
    parser.add_argument("--long", action="store_true", help="the long ones instead")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "emulated")
    given = parser.parse_args()
    tree, began = tree_hash(), time.monotonic()
    try:
        scenarios = chosen(given.names, given.long)
        print(f"EMULATED, {find_image().name}", flush=True)
        verdicts = run_together(scenarios, Options("emulated", given.out), given.jobs, show, first=FIRST)
    except BenchError as error:
        print(f"error: {error}\nEMULATED: NOT RUN", file=sys.stderr)
        return 2
    if not given.names:
        write_results(verdicts, tree, given.out)
    passed = sum(each.verdict == PASSED for each in verdicts)
    skipped = sum(each.verdict == SKIPPED for each in verdicts)
    print(f"EMULATED: {passed} passed, {len(verdicts) - passed - skipped} failed, {skipped} skipped; {time.monotonic() - began:.0f} s")
    return 0 if passed + skipped == len(verdicts) and passed else 1


if __name__ == "__main__":
    sys.exit(main())
