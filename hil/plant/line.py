"""The drug on its way from the reservoir to the catheter tip: slugs in plug flow through tubing and catheter."""

from __future__ import annotations

from array import array
from collections import deque
from dataclasses import dataclass

from .config import RigConfig

NL_PER_UL = 1000  # mcg/mL = ng/uL
SAME = 1e-9  # two concentrations closer than this share are one: mixing equal ones leaves no more than rounding


@dataclass(frozen=True)
class Front:
    """The concentration changed here, when so much had passed; mcg/mL."""

    passed_nl: float
    before: float
    after: float


class Tube:
    """A length that is always full: what is pushed in at one end presses as much out at the other."""

    def __init__(self, dead_nl: float, conc: float) -> None:
        self.dead_nl = dead_nl
        self._slugs: deque[tuple[float, float]] = deque([(conc, dead_nl)] if dead_nl else [])  # (mcg/mL, nL), the far end first

    @property
    def drug_ng(self) -> float:
        """What it holds."""
        return sum(conc * nl for conc, nl in self._slugs) / NL_PER_UL

    @property
    def slugs(self) -> list[tuple[float, float]]:
        """(mcg/mL, nL) from the far end to the near one."""
        return list(self._slugs)

    def fit_new(self) -> None:
        """A new one, filled with saline: nothing of the drug."""
        self._slugs = deque([(0.0, self.dead_nl)] if self.dead_nl else [])

    def push(self, conc: float, volume_nl: float) -> list[tuple[float, float]]:
        """Press a volume in; gives the slugs that come out, in order."""
        if volume_nl <= 0:
            return []
        self._enter(conc, volume_nl)
        out: list[tuple[float, float]] = []
        while volume_nl > 0:
            first, held_nl = self._slugs.popleft()
            taken_nl = min(held_nl, volume_nl)
            if not self._slugs:
                taken_nl = volume_nl  # rounding must not leave the tube empty-handed
            if held_nl > taken_nl:
                self._slugs.appendleft((first, held_nl - taken_nl))
            out.append((first, taken_nl))
            volume_nl -= taken_nl
        return out

    def _enter(self, conc: float, volume_nl: float) -> None:
        if self._slugs and alike(self._slugs[-1][0], conc):
            last, held_nl = self._slugs.pop()
            self._slugs.append((last, held_nl + volume_nl))
        else:
            self._slugs.append((conc, volume_nl))


def alike(one: float, other: float) -> bool:
    return abs(one - other) <= SAME * max(one, other)


class Line:
    """Tubing and catheter in a row, and the account of what left the tip."""

    def __init__(self, config: RigConfig) -> None:
        self.tubing = Tube(config.dead_volume_tubing_nl, config.conc_mcg_ml)
        self.catheter = Tube(config.dead_volume_catheter_nl, config.conc_mcg_ml)
        self.joined = True  # else the tubing drips beside the catheter, as while it is primed
        self.passed_nl = 0.0  # through the tip
        self.tip_ng = 0.0  # out of the tip
        self.waste_ng = 0.0  # out of the open end of the tubing
        self.fronts: list[Front] = []  # as they passed the tip
        self.entries: list[Front] = []  # as they entered the tubing
        self._entering = self._leaving = float(config.conc_mcg_ml)

    @property
    def dead_nl(self) -> float:
        return self.tubing.dead_nl + self.catheter.dead_nl

    def new_tubing(self) -> None:
        self.tubing.fit_new()
        self._entering = 0.0

    def new_catheter(self) -> None:
        self.catheter.fit_new()

    def push(self, conc: float, volume_nl: float) -> None:
        """Liquid out of the pump."""
        if volume_nl <= 0:
            return
        if not alike(conc, self._entering):
            self.entries.append(Front(self.passed_nl, self._entering, conc))
            self._entering = conc
        for slug_conc, slug_nl in self.tubing.push(conc, volume_nl):
            if not self.joined:
                self.waste_ng += slug_conc * slug_nl / NL_PER_UL
                continue
            for out_conc, out_nl in self.catheter.push(slug_conc, slug_nl):
                self._leave(out_conc, out_nl)

    def _leave(self, conc: float, volume_nl: float) -> None:
        if not alike(conc, self._leaving):
            self.fronts.append(Front(self.passed_nl, self._leaving, conc))
            self._leaving = conc
        self.passed_nl += volume_nl
        self.tip_ng += conc * volume_nl / NL_PER_UL


class TipLog:
    """What had left the tip at each look: time, volume, dose."""

    def __init__(self) -> None:
        self.t_us = array("q")
        self.passed_nl = array("d")
        self.tip_ng = array("d")

    def note(self, t_us: int, line: Line) -> None:
        """Keep the state; a second look at one instant replaces the first."""
        if self.t_us and self.t_us[-1] == t_us:
            self.passed_nl[-1], self.tip_ng[-1] = line.passed_nl, line.tip_ng
            return
        self.t_us.append(t_us)
        self.passed_nl.append(line.passed_nl)
        self.tip_ng.append(line.tip_ng)
