"""At which rate a fault is looked for: a program of two rates a day, and how long its motion takes at the lower one."""

from __future__ import annotations

from dataclasses import dataclass

from hil.prescription import Bolus, Program

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
CONC = 500
SPM = 100_000
STEPS_PER_TURN, COUNTS_PER_TURN = 3200, 4096
NIGHT_MIN = 19 * 60  # from here to midnight 20 % more: the example of the label, 2.4
BOLUS_NL = 40_000
START_MIN = 20 * 60  # when a run begins: at the higher rate, so that the lowest is another


@dataclass(frozen=True)
class Rate:
    """ng of a day, given as 19 equal hours and 5 of 20 % more."""

    name: str
    day_ng: int

    @property
    def parts_ng(self) -> tuple[int, int]:
        """Dose before and after 19:00: 19 hours to 5 x 1.2."""
        night = self.day_ng * 6 // 25
        return self.day_ng - night, night

    @property
    def program(self) -> Program:
        day, night = self.parts_ng
        return Program(self.name, CONC, {"all": ((0, day), (NIGHT_MIN, night))}, Bolus(BOLUS_NL, 60, 60, 20_000))

    def steps(self, from_ms: int, to_ms: int) -> float:
        """What the program asks for between two times since midnight before the start."""
        return self._to(to_ms) - self._to(from_ms)

    def _to(self, ms: int) -> float:
        day, night = self.parts_ng
        days, inside = divmod(ms, DAY_MS)
        noon = NIGHT_MIN * 60_000
        ng = day * min(inside, noon) / noon + night * max(0, inside - noon) / (DAY_MS - noon)
        return (days * self.day_ng + ng) * SPM / (CONC * 1000)

    def lowest_steps(self, span_ms: int) -> float:
        """The same at the lowest rate of the week."""
        return self.parts_ng[0] * span_ms / (NIGHT_MIN * 60_000) * SPM / (CONC * 1000)

    def ms_of_steps(self, steps: float) -> int:
        """How long so many steps take at most: at the lowest rate."""
        return int(steps / self.lowest_steps(HOUR_MS) * HOUR_MS) + 1

    def ms_of_counts(self, counts: float) -> int:
        """How long the program takes to ask for so many counts of the witness."""
        return self.ms_of_steps(counts * STEPS_PER_TURN / COUNTS_PER_TURN)


LOWEST = Rate("lowest", 20_500)  # 41 uL a day
USUAL = Rate("usual", 350_000)
HIGHEST = Rate("highest", 1_983_000)  # with its boluses 2003 mcg a day, the label's most: 2.6
