"""Which concentration is where, as what the pump accepted says: reservoir, line, and the bridge between two (R-CON-3)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Bridge:
    """Until so much is pumped, what leaves the catheter is of the old concentration."""

    old_mcg_ml: int
    volume_nl: int


class Fluids:
    """The bench's own account; None as a concentration: nothing, or no drug."""

    def __init__(self, dead_nl: int) -> None:
        self.dead_nl = dead_nl
        self.reservoir: int | None = None
        self.line: int | None = None
        self.bridging = False

    def moved(self) -> None:
        """Liquid goes from the reservoir into the line; a bridge is metered elsewhere."""
        if not self.bridging:
            self.line = self.reservoir

    def refilled(self, conc: int | None) -> Bridge | None:
        """The reservoir holds conc now; gives the bridge that begins with it."""
        self.reservoir = conc
        if self.bridging or self.line is None or conc is None or conc == self.line:
            return None
        self.bridging = True
        return Bridge(self.line, self.dead_nl)

    def through(self) -> None:
        """The dead volume is through."""
        self.bridging = False
        self.line = self.reservoir

    def new_line(self) -> None:
        """Tube and catheter are new: they hold nothing."""
        self.bridging = False
        self.line = None
