"""Runs every scenario of a folder with `python -m hil run` and prints one line each and the totals.

Use: python tools/scenarios.py [--out DIR] [--jobs N] [NAME ...]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "hil" / "scenarios"
VERDICTS = {0: "passed", 1: "FAILED", 2: "UNUSABLE"}
TIME_LIMIT_S = 900


@dataclass(frozen=True)
class Outcome:
    name: str
    verdict: str
    wall_s: float
    tail: str

    @property
    def passed(self) -> bool:
        return self.verdict == "passed"


def run(path: Path, out: Path) -> Outcome:
    """One scenario in a process of its own; what it printed is kept beside its report."""
    folder = out / path.stem
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "hil", "run", str(path), "--target", "unix", "--out", str(folder), "--quiet"]
    began = time.monotonic()
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=TIME_LIMIT_S)
        printed, verdict = done.stdout + done.stderr, VERDICTS.get(done.returncode, f"EXIT {done.returncode}")
    except subprocess.TimeoutExpired:
        printed, verdict = f"no end within {TIME_LIMIT_S} s", "TIMED OUT"
    (folder / "console.txt").write_text(printed, encoding="utf-8")
    return Outcome(path.stem, verdict, time.monotonic() - began, "\n".join(printed.splitlines()[-25:]))


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
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    passed = failed = 0
    with ThreadPoolExecutor(options.jobs) as pool:
        for outcome in pool.map(lambda path: run(path, options.out.resolve()), chosen(options.names)):
            show(outcome)
            passed += outcome.passed
            failed += not outcome.passed
    print(f"{passed} passed, {failed} failed")
    return 0 if passed and not failed else 1


if __name__ == "__main__":
    sys.exit(main())
