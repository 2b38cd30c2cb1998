"""`make trace`: requirement, where it is enforced, how many tests, how strong; exit 1 with a sentence for each hole.

Use: python -m tools.tracing [--reuse] [--out build/trace] ; what has not run on this very tree is run first, unless --reuse.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

from hil.errors import InputError
from tools.tracing import page
from tools.tracing.evidence import CAMPAIGN_FILE, SCENARIOS_FILE, TESTS_FILE, gather, missing
from tools.tracing.matrix import Matrix, build
from tools.tracing.requirements import load_requirements
from tools.tree import ROOT, tree_hash

# What makes each result file. A failure in it is not the end: the trace names what fails.
MAKERS: dict[Path, tuple[str, ...]] = {
    TESTS_FILE: ("-m", "pytest", "-q", "-n", "2", "host_tests"),
    SCENARIOS_FILE: ("tools/scenarios.py",),
    CAMPAIGN_FILE: ("-m", "campaign", "-n", "2000"),
}


IMPORTED = os.pathsep.join(("firmware", "host_tests", "."))


def run_missing(root: Path, tree: str) -> None:
    for path in missing(root, tree):
        print(f"{path} is missing or of another tree: running {' '.join(MAKERS[path])}", flush=True)
        subprocess.run([sys.executable, *MAKERS[path]], cwd=root, env={**os.environ, "PYTHONPATH": IMPORTED}, check=False)


def trace(root: Path) -> Matrix:
    """The matrix of a tree from the result files that are there."""
    tree = tree_hash(root)
    absent = tuple(f"{path} is missing or of another tree: `make trace` runs what it needs" for path in missing(root, tree))
    matrix = build(load_requirements(root), gather(root, tree), root, tree)
    return Matrix(matrix.rows, absent or matrix.problems, tree)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.tracing", description=__doc__)
    parser.add_argument("--reuse", action="store_true", help="run nothing: judge by the result files that are there")
    parser.add_argument("--root", type=Path, default=ROOT, help="the repository (default: this one)")
    parser.add_argument("--out", type=Path, default=Path("build", "trace"), help="folder for trace.md, trace.html and trace.json")
    options = parser.parse_args()
    root = options.root.resolve()
    try:
        if not options.reuse:
            run_missing(root, tree_hash(root))
        matrix = trace(root)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    page.write(matrix, root, root / options.out)
    print("\n".join(page.console(matrix)))
    for problem in matrix.problems:
        print(problem)
    print(f"trace: {len(matrix.problems) or 'no'} problems; {options.out / 'trace.html'}")
    return 1 if matrix.problems else 0


if __name__ == "__main__":
    sys.exit(main())
