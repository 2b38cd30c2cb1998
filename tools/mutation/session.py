"""The run over one module: what is known is kept in build/mutation, so that an interrupted run goes on."""

from __future__ import annotations

import hashlib
import importlib
import json
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from . import forks, inside
from .keys import Mutant

ROOT = Path(__file__).resolve().parents[2]
FIRMWARE = ROOT / "firmware"
SOURCES = FIRMWARE / "doseloop"
HOST_TESTS = ROOT / "host_tests"
FOLDER = ROOT / "build" / "mutation"


@dataclass(frozen=True)
class Verdict:
    """by: the test that failed, `import`, `timeout` or `crash`; "" where all passed. tests: how many reach the mutant."""

    id: str
    by: str
    tests: int

    @property
    def killed(self) -> bool:
        return bool(self.by)


class Session:
    """One module, its tests, its mutants and their verdicts."""

    def __init__(self, module: str, tests: list[str], mutants: list[Mutant]) -> None:
        self.module = module
        self.mutants = mutants
        self.verdicts: dict[str, Verdict] = {}
        self._path = SOURCES / f"{module}.py"
        self._tests = [f"host_tests/{name}" for name in tests]
        self._results = FOLDER / f"{module}.jsonl"
        self._kills: Counter[str] = Counter()
        self._seconds: dict[str, float] = {}
        self._reached: dict[str, frozenset[int]] = {}

    # ---- what is kept

    def load(self, again: bool) -> None:
        """Take up the verdicts of an earlier run over the same files; again: its kills alone, whatever has changed since."""
        lines = self._results.read_text("utf-8").splitlines() if self._results.exists() else []
        kept = [Verdict(**json.loads(line)) for line in lines[1:] if line.endswith("}")]
        known = {mutant.key.id for mutant in self.mutants}
        if again:
            kept = [verdict for verdict in kept if verdict.killed]
        elif not lines or lines[0] != self._fingerprint():
            kept = []
        self.verdicts = {verdict.id: verdict for verdict in kept if verdict.id in known}
        self._write()

    def _write(self) -> None:
        FOLDER.mkdir(parents=True, exist_ok=True)
        lines = [self._fingerprint(), *(json.dumps(asdict(verdict)) for verdict in self.verdicts.values())]
        self._results.write_text("".join(line + "\n" for line in lines), "utf-8")

    def _note(self, verdict: Verdict) -> None:
        self.verdicts[verdict.id] = verdict
        with self._results.open("a", encoding="utf-8") as results:
            results.write(json.dumps(asdict(verdict)) + "\n")

    def _fingerprint(self) -> str:
        """Of the firmware, the tests chosen and what they lean on, the oracle above all: any change of these begins anew."""
        helpers = [path for folder in (HOST_TESTS, ROOT / "hil") for path in folder.rglob("*.py") if not path.name.startswith("test_")]
        digest = hashlib.sha256(repr(sorted(self._tests)).encode())
        for path in sorted({*SOURCES.glob("*.py"), *helpers, *(ROOT / test for test in self._tests)}):
            digest.update(str(path.relative_to(ROOT)).encode() + path.read_bytes())
        return digest.hexdigest()

    # ---- the run

    def run(self, chosen: list[Mutant], workers: int, show: Callable[[str], None]) -> None:
        """Give each chosen mutant that has none a verdict."""
        pending = [mutant for mutant in chosen if mutant.key.id not in self.verdicts]
        if not pending:
            return
        self._measure()
        reached = [mutant for mutant in pending if self._reaching(mutant)]
        for mutant in pending:
            if not self._reaching(mutant):
                self._note(Verdict(mutant.key.id, "", 0))
        for done, (mutant, ended) in enumerate(forks.each(reached, self._work, workers, FOLDER), 1):
            self._note(Verdict(mutant.key.id, self._by(ended), len(self._reaching(mutant))))
            if done % 25 == 0 or done == len(reached):
                show(f"{self.module}: {done} of {len(reached)}")

    def _measure(self) -> None:
        """All its tests without a mutant: they must pass; how long each takes, and what it reaches."""
        found = self._kept_baseline() or forks.ask(self._trace, FOLDER / "baseline.txt")
        if found["failed"]:
            raise SystemExit(f"{self.module}: without a mutant {found['failed']} fails; see {FOLDER / 'baseline.txt'}")
        (FOLDER / f"{self.module}.baseline.json").write_text(json.dumps({**found, "fingerprint": self._fingerprint()}), "utf-8")
        self._seconds = found["seconds"]
        self._reached = {test: frozenset(lines) for test, lines in found["reached"].items()}
        _import_ahead(found["imports"])

    def _kept_baseline(self) -> Any:
        path = FOLDER / f"{self.module}.baseline.json"
        found = json.loads(path.read_text("utf-8")) if path.exists() else {}
        return found if found.get("fingerprint") == self._fingerprint() else None

    def _trace(self) -> object:
        trace = inside.Trace(self._path)
        failed = inside.run(trace, self._tests)
        imports = [name for name, module in sys.modules.items() if _may_be_ahead(name, getattr(module, "__file__", None))]
        return {"failed": failed, "seconds": trace.seconds, "reached": trace.reached, "imports": imports}

    def _reaching(self, mutant: Mutant) -> list[str]:
        """Tests that run the function; all for what stands outside of functions."""
        return [test for test, lines in self._reached.items() if not mutant.lines or mutant.lines & lines]

    def _work(self, mutant: Mutant) -> Callable[[], object]:
        order = sorted(self._reaching(mutant), key=lambda test: (-self._kills[test], self._seconds[test]))
        files = [name for name in self._tests if any(test.startswith(name + "::") for test in order)]
        loader = inside.Loader(f"doseloop.{self.module}", self._path, mutant.source)
        return lambda: inside.run(inside.Watch(order, self._seconds), files, loader)

    def _by(self, ended: forks.Ended) -> str:
        if ended.said is None:
            return "timeout" if ended.signal in forks.OUT_OF_TIME else "crash"
        self._kills[ended.said] += 1
        return str(ended.said)


def _may_be_ahead(name: str, file: str | None) -> bool:
    """Neither the firmware, which is what is mutated, nor the tests, which import it."""
    return not (file and file.startswith((str(FIRMWARE), str(HOST_TESTS)))) and name != "__main__"


def _import_ahead(names: list[str]) -> None:
    for name in names:
        if name not in sys.modules:
            try:
                importlib.import_module(name)
            except Exception:  # a name that is no module of its own, made at run time
                continue
