"""Runs every scenario of a folder with `python -m hil run` and prints one line each and the totals.

Use: python tools/scenarios.py [--out DIR] [--target T] [--jobs N] [NAME ...] ; DIR/results.json says what ran, and on which tree.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tools.tree import tree_hash  # noqa: E402 - after the path is set

FOLDER = ROOT / "hil" / "scenarios"
VERDICTS = {0: "passed", 1: "FAILED", 2: "UNUSABLE"}
TIME_LIMIT_S = 900


@dataclass(frozen=True)
class Outcome:
    name: str
    verdict: str
    wall_s: float
    tail: str
    evidence: str  # SIMULATED, EMULATED or MEASURED; empty if the run left no result

    @property
    def passed(self) -> bool:
        return self.verdict == "passed"


def run(path: Path, out: Path, target: str) -> Outcome:
    """One scenario in a process of its own; what it printed is kept beside its report."""
    folder = out / path.stem
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "result.json").unlink(missing_ok=True)
    command = [sys.executable, "-m", "hil", "run", str(path), "--target", target, "--out", str(folder), "--quiet"]
    began = time.monotonic()
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=TIME_LIMIT_S)
        printed, verdict = done.stdout + done.stderr, VERDICTS.get(done.returncode, f"EXIT {done.returncode}")
    except subprocess.TimeoutExpired:
        printed, verdict = f"no end within {TIME_LIMIT_S} s", "TIMED OUT"
    (folder / "console.txt").write_text(printed, encoding="utf-8")
    return Outcome(path.stem, verdict, time.monotonic() - began, "\n".join(printed.splitlines()[-25:]), evidence_of(folder))


def evidence_of(folder: Path) -> str:
    """What stood behind the line, as the run's own result says."""
    try:
        return str(json.loads((folder / "result.json").read_text("utf-8"))["evidence"])
    except (OSError, ValueError, KeyError):
        return ""


def write_results(outcomes: list[Outcome], tree: str, out: Path) -> None:
    """For `make trace`; nothing is kept of a tree that changed meanwhile."""
    results = {outcome.name: {"verdict": outcome.verdict, "evidence": outcome.evidence} for outcome in outcomes}
    if tree_hash() == tree:
        (out / "results.json").write_text(json.dumps({"tree": tree, "results": results}, indent=1) + "\n", "utf-8")


def show(outcome: Outcome) -> None:
    print(f"{outcome.verdict:<10} {outcome.name:<32} {outcome.wall_s:7.1f} s", flush=True)
    if not outcome.passed:
        print("    " + outcome.tail.replace("\n", "\n    "), flush=True)


def chosen(names: list[str]) -> list[Path]:
    paths = sorted(FOLDER.glob("*.toml"))
    return [path for path in paths if not names or path.stem in names]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="scenarios to run (default: all)")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "scenarios")
    parser.add_argument("--target", default="unix", help="unix (default), or any pyserial URL")
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    out, tree, outcomes = options.out.resolve(), tree_hash(), []
    with ThreadPoolExecutor(options.jobs) as pool:
        for outcome in pool.map(lambda path: run(path, out, options.target), chosen(options.names)):
            show(outcome)
            outcomes.append(outcome)
    passed = sum(outcome.passed for outcome in outcomes)
    failed = len(outcomes) - passed
    if not options.names:  # a run of a few is no evidence for all
        write_results(outcomes, tree, out)
    print(f"{passed} passed, {failed} failed")
    return 0 if passed and not failed else 1


if __name__ == "__main__":
    sys.exit(main())
