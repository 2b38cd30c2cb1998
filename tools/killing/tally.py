"""What a campaign counts: how often it did something, and what it found wrong, each with the words that bring the case back."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

SHOWN = 20  # findings spelled out


@dataclass
class Tally:
    """Totals of one campaign. Each thing that must not happen is named beforehand, so that a zero is a count and not a silence."""

    name: str
    zeros: tuple[str, ...]
    done: Counter[str] = field(default_factory=Counter)
    found: Counter[str] = field(default_factory=Counter)
    told: list[str] = field(default_factory=list)

    def count(self, what: str, times: int = 1) -> None:
        self.done[what] += times

    def wrong(self, zero: str, text: str) -> None:
        assert zero in self.zeros, zero
        self.found[zero] += 1
        self.told.append(f"{zero}: {text}")

    @property
    def clean(self) -> bool:
        return not self.found

    def add(self, other: Tally) -> None:
        self.done.update(other.done)
        self.found.update(other.found)
        self.told += other.told

    def lines(self) -> list[str]:
        """The campaign's part of the table."""
        rows = [f"{self.name}: {'held' if self.clean else 'BROKEN'}"]
        rows += [f"  {count:9,d}  {what}" for what, count in self.done.items()]
        rows += [f"  {self.found[zero]:9,d}  {zero}" for zero in self.zeros]
        rows += [f"  ! {text}" for text in self.told[:SHOWN]]
        if len(self.told) > SHOWN:
            rows.append(f"  ! and {len(self.told) - SHOWN} more")
        return rows
