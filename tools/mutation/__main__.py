"""Mutation testing of the firmware. Use: python -m tools.mutation [MODULE ...] [--ci] [--again] [--jobs N]

Exit 1 if a mutant lives that host_tests/equivalent_mutants.toml does not explain, or if an explanation has gone stale.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
import time
from pathlib import Path
from typing import Any

from . import operators
from .explained import explanations, read_toml
from .keys import Mutant
from .mutants import mutants_of
from .report import Report
from .session import FIRMWARE, FOLDER, HOST_TESTS, ROOT, SOURCES, Session

CONFIG = Path(__file__).with_name("mutation.toml")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tools.mutation", description=__doc__)
    parser.add_argument("modules", nargs="*", metavar="MODULE", help="of firmware/doseloop; all of mutation.toml if left out")
    parser.add_argument("--ci", action="store_true", help="the share of mutation.toml's [ci]")
    parser.add_argument("--again", action="store_true", help="keep every kill on record, run only what lived or is new")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    return parser.parse_args()


def sessions(config: dict[str, Any], names: list[str]) -> list[Session]:
    unknown = sorted(set(names) - set(config["tests"]))
    if unknown:
        raise SystemExit(f"no such module in {CONFIG.name}: {', '.join(unknown)}; known: {', '.join(config['tests'])}")
    found = []
    for name in names or config["tests"]:
        mutants = mutants_of(SOURCES / f"{name}.py", config["exclude"])
        found.append(Session(name, config["tests"][name], mutants))
    return found


def share(config: dict[str, Any], found: list[Session]) -> set[str]:
    """Ids of the mutants of [ci]: some modules whole, and those of the others whose ids come first: a sample that stays."""
    whole = set(config["ci"]["whole"])
    ids = sorted(mutant.key.id for session in found if session.module not in whole for mutant in session.mutants)
    chosen = set(ids[: config["ci"]["sample"]])
    return chosen | {mutant.key.id for session in found if session.module in whole for mutant in session.mutants}


def prepare() -> None:
    """What every fork inherits: the working folder, the import path, pytest without stray plugins."""
    os.chdir(ROOT)
    sys.path[:0] = [str(FIRMWARE), str(HOST_TESTS)]
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    sys.dont_write_bytecode = False
    operators.register()


def main() -> int:
    options = parse()
    prepare()
    config = read_toml(CONFIG)
    found = sessions(config, options.modules)
    ids = share(config, found) if options.ci else None
    report = Report(explanations(HOST_TESTS / "equivalent_mutants.toml"))
    began = time.monotonic()
    for session in found:
        session.load(options.again)
        chosen: list[Mutant] = [mutant for mutant in session.mutants if ids is None or mutant.key.id in ids]
        gc.freeze()
        session.run(chosen, options.jobs, lambda text: print(f"{time.monotonic() - began:6.0f} s  {text}", flush=True))
        report.add(session)
    text = report.text()
    (FOLDER / "report.txt").write_text(text + "\n", "utf-8")
    print(text)
    print(f"{time.monotonic() - began:.0f} s; {'FAILED' if report.problems else 'passed'}; this is kept in {FOLDER / 'report.txt'}")
    return 1 if report.problems else 0


if __name__ == "__main__":
    sys.exit(main())
