"""What a run found: a table, every mutant that lived with its change and the reason, and what is wrong with the reasons."""

from __future__ import annotations

from dataclasses import dataclass, field

from .keys import Key, Mutant
from .session import Session


@dataclass
class Report:
    """problems: why the run fails; empty if it passes."""

    explained: dict[Key, str]
    lines: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    rows: list[tuple[object, ...]] = field(default_factory=list)

    def add(self, session: Session) -> None:
        """One module. Reasons are held against its verdicts as far as there are any."""
        judged = [(mutant, session.verdicts[mutant.key.id]) for mutant in session.mutants if mutant.key.id in session.verdicts]
        lived = [mutant for mutant, verdict in judged if not verdict.killed]
        unexplained = [mutant for mutant in lived if mutant.key not in self.explained]
        timeouts = sum(verdict.by == "timeout" for _, verdict in judged)
        killed = len(judged) - len(lived)
        explained = len(lived) - len(unexplained)
        self.rows.append((session.module, len(session.mutants), len(judged), killed, timeouts, len(lived), explained, len(unexplained)))
        for mutant in lived:
            self._show(mutant, session.verdicts[mutant.key.id].tests)
        if unexplained:
            self.problems.append(f"{session.module}: {len(unexplained)} live unexplained: write a test, or say why none can see it")
        dead = {mutant.key for mutant, verdict in judged if verdict.killed}
        known = {mutant.key for mutant in session.mutants}
        for key in self.explained:
            if key.module == session.module and key not in known:
                self.problems.append(f"stale, no such mutant: {_text(key)}")
            elif key in dead:
                self.problems.append(f"stale, a test sees it: {_text(key)}")

    def _show(self, mutant: Mutant, tests: int) -> None:
        why = self.explained.get(mutant.key)
        self.lines += [
            f"{_place(mutant)} ({mutant.operator}, {tests} tests reach it)",
            f"  - {mutant.key.before}",
            f"  + {mutant.key.after}",
            f"  {'why: ' + why if why else 'NOT EXPLAINED'}",
        ]

    def text(self) -> str:
        heads = ("module", "mutants", "run", "killed", "timeouts", "lived", "explained", "unexplained")
        total = ("all", *(sum(int(str(row[i])) for row in self.rows) for i in range(1, len(heads))))
        table = ["".join(f"{cell!s:>13}" for cell in row) for row in (heads, *self.rows, total)]
        return "\n".join([*self.lines, "", *table, *self.problems])


def _place(mutant: Mutant) -> str:
    number = f" #{mutant.key.occurrence}" if mutant.key.occurrence > 1 else ""
    return f"{mutant.key.module}.py:{mutant.start[0]} {mutant.key.function}{number}"


def _text(key: Key) -> str:
    return f"{key.module} {key.function} #{key.occurrence}: {key.before} -> {key.after}"
