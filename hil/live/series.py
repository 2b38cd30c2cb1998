"""The curves of a watched pump: what its program orders and what it says it delivered, since it is watched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hil.oracle.program import DAY_MS, EPOCH_WEEKDAY_MS, Program
from hil.pump import leading_int

MOST_POINTS = 2400  # then every second one goes
BACK_S = 60  # a clock that goes back further than this tells another story


@dataclass(frozen=True)
class Point:
    """One look. Doses in ng since the first, None where nobody knows."""

    t_s: float  # the pump's own clock, unix
    programmed_ng: float | None
    delivered_ng: float
    witnessed_ng: float
    rate_ng_h: int


@dataclass
class Series:
    """Grows by a point a look; `generation` changes when points that were told are no longer those that are kept."""

    points: list[Point] = field(default_factory=list)
    generation: int = 0
    program: Program | None = None
    holiday: str = "none"  # as STAT? part=therapy says it
    offset_s: int | None = None  # local time minus UTC; None: not known
    _programmed_ng: float | None = 0.0
    _last: dict[str, int] = field(default_factory=dict)
    _host_s: float = 0.0
    _sums: dict[str, float] = field(default_factory=lambda: {"refill": 0.0, "refill_wit": 0.0})

    def add(self, stat: Mapping[str, str], host_s: float) -> None:
        """One STAT?, at the host's time: the axis goes on by that while the pump's clock is lost."""
        clock_set = stat.get("clock") == "set"
        now_s = leading_int(stat.get("now", "0")) if clock_set else self._guess(host_s)
        if "now" in self._last and now_s < self._last["now"] - BACK_S:
            self.begin_again()
        knows = clock_set and self.program is not None and self.offset_s is not None
        if knows and self._programmed_ng is None:
            self.begin_again()
        for name in self._sums:
            self._count(name, leading_int(stat.get(name, "0")))
        if stat.get("state") != "idle":
            self._order(now_s, knows)
        self._last["now"], self._host_s = now_s, host_s
        self._keep(Point(now_s, self._programmed_ng, self._sums["refill"], self._sums["refill_wit"], leading_int(stat.get("rate", "0"))))

    def _guess(self, host_s: float) -> int:
        return self._last["now"] + round(host_s - self._host_s) if "now" in self._last else round(host_s)

    def _keep(self, point: Point) -> None:
        if self.points and self.points[-1].t_s >= point.t_s:
            return
        self.points.append(point)
        if len(self.points) > MOST_POINTS:
            self.points = [*self.points[:-1:2], self.points[-1]]
            self.generation += 1

    def begin_again(self) -> None:
        """Another pump, or another time: nothing of before belongs to it."""
        self.points, self._programmed_ng, self._last = [], 0.0, {}
        self._sums = dict.fromkeys(self._sums, 0.0)
        self.generation += 1

    def _count(self, name: str, now_ng: int) -> None:
        """The pump counts anew from each refill; the witness may dither back by a little, which is none."""
        last = self._last.get(name, now_ng)
        self._sums[name] += now_ng if now_ng < last / 2 else now_ng - last
        self._last[name] = now_ng

    def _order(self, now_s: int, knows: bool) -> None:
        """What the committed program orders up to now, also while the pump stands (R-ALM-6)."""
        last_s = self._last.get("now", now_s)
        if not knows:
            self._programmed_ng = None
        elif self._programmed_ng is not None and now_s > last_s and self.program is not None and self.offset_s is not None:
            self._programmed_ng += self._due(self.program, last_s + self.offset_s, now_s + self.offset_s)

    def _due(self, program: Program, from_s: int, to_s: int) -> float:
        if program.taper:
            day, _, _ = self.holiday.partition("/")
            dose = program.taper[int(day) - 1] if day.isdecimal() and 0 < int(day) <= len(program.taper) else 0
            return dose * (to_s - from_s) * 1000 / DAY_MS
        return float(program.dose(from_s * 1000 + EPOCH_WEEKDAY_MS, to_s * 1000 + EPOCH_WEEKDAY_MS))
