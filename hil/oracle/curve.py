"""The ideal curve: how many steps the pump should have made at any instant, exactly (R-PRF-4).

Built from what happened, in order of time; between events it follows the program by the clock time shown. Instants are
virtual microseconds, values are Fractions.

Readings:
- R-PRF-4 and the design's rule on remainders: a change of concentration or of steps per mL keeps the fraction of a step
  already due. The pump floors it to its new denominator, which is above 10^9, so the two agree to 1e-9 of a step.
- A bolus adds to the basal curve, evenly over its time; one that ends early counts, from then on, the steps it made.
- R-CON-3: a bridge ends with the step that brings what was pumped to the dead volume; a part of a step counts as one.
- R-HOL-1: a taper follows elapsed time from its start, day by day, and is zero after its last; no clock moves it.
- After a reset the curve starts anew at the steps really made (`anchor`).
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil, floor

import numpy as np
from numpy.typing import NDArray

from .program import DAY_MS, EPOCH_WEEKDAY_MS, WEEK_MS, Program

US_PER_MS = 1000
DAY_US = DAY_MS * US_PER_MS


def week_ms(local_unix_s: int) -> int:
    """Ms since Monday 00:00 of a local time given as seconds since 1970."""
    return (local_unix_s * 1000 + EPOCH_WEEKDAY_MS) % WEEK_MS


def whole_steps(volume_nl: int, steps_per_ml: int) -> int:
    """Steps of a volume to be pushed. Reading: what does not make a whole step is not pushed."""
    return volume_nl * steps_per_ml // 1_000_000


@dataclass(frozen=True)
class _Sum:
    """Running totals at one instant, or their growth per us."""

    steps: Fraction = Fraction(0)
    volume_nl: Fraction = Fraction(0)
    basal_ng: Fraction = Fraction(0)
    dose_ng: Fraction = Fraction(0)  # basal and what pushes bring

    def plus(self, rate: _Sum, span_us: int) -> _Sum:
        """The totals after span_us at a rate."""
        return _Sum(
            self.steps + rate.steps * span_us,
            self.volume_nl + rate.volume_nl * span_us,
            self.basal_ng + rate.basal_ng * span_us,
            self.dose_ng + rate.dose_ng * span_us,
        )


@dataclass(frozen=True)
class _Knot:
    """From t_us on: these totals, growing at this rate."""

    t_us: int
    total: _Sum
    rate: _Sum


@dataclass(frozen=True)
class _Push:
    """A bolus (or prime, or test bolus) under way."""

    start_us: int
    end_us: int
    steps: int
    ng: int = 0  # what it brings; 0 = no dose

    def done(self, t_us: int) -> Fraction:
        """Share of its time that is over."""
        return Fraction(t_us - self.start_us, self.end_us - self.start_us)


@dataclass(frozen=True)
class _Taper:
    """A drug holiday under way: a dose for each 24 h from its start, nothing after them."""

    start_us: int
    conc: int
    days_ng: tuple[int, ...]

    def rate(self, t_us: int) -> Fraction:
        """ng per ms at an instant."""
        day = (t_us - self.start_us) // DAY_US
        return Fraction(self.days_ng[day], DAY_MS) if 0 <= day < len(self.days_ng) else Fraction(0)

    def next_break_us(self, t_us: int) -> int | None:
        """The next midnight of its own days; None after the last."""
        day = (t_us - self.start_us) // DAY_US + 1
        return self.start_us + day * DAY_US if day <= len(self.days_ng) else None


@dataclass(frozen=True)
class _Mode:
    """What the pump does between two events."""

    program: Program | None = None
    conc: int | None = None  # None = the program's
    running: bool = False
    lowest: bool = False  # no clock: the lowest rate of the week
    local_us: int = 0  # local time minus virtual time, local 0 = a Monday
    push: _Push | None = None
    steps_per_ml: int = 100_000
    taper: _Taper | None = None  # instead of the program
    bridge_to: int | None = None  # the bridge ends with this step

    def basal_rate(self, t_us: int) -> Fraction:
        """ng per ms at an instant."""
        if not self.running:
            return Fraction(0)
        if self.taper:
            return self.taper.rate(t_us)
        if self.program is None:
            return Fraction(0)
        return self.program.lowest_rate if self.lowest else self.program.rate_at((t_us + self.local_us) // US_PER_MS)

    def rate(self, t_us: int) -> _Sum:
        """Growth per us at an instant."""
        basal_ng = self.basal_rate(t_us) / US_PER_MS
        volume_nl, dose_ng = basal_ng * 1000 / self.conc_now, basal_ng  # mcg/mL = ng/uL
        if self.push:
            span_us = self.push.end_us - self.push.start_us
            volume_nl += Fraction(self.push.steps, span_us) * 1_000_000 / self.steps_per_ml
            dose_ng += Fraction(self.push.ng, span_us)
        return _Sum(volume_nl * self.steps_per_ml / 1_000_000, volume_nl, basal_ng, dose_ng)

    @property
    def conc_now(self) -> int:
        """What volumes are worked out with."""
        named = self.taper or self.program
        return self.conc or (named.conc if named else 1)

    def next_break_us(self, knot: _Knot) -> int | None:
        """When the rate changes next by itself."""
        breaks = [self.push.end_us] if self.push else []
        if self.bridge_to is not None and knot.rate.steps:
            breaks.append(max(knot.t_us + 1, knot.t_us + ceil((self.bridge_to - knot.total.steps) / knot.rate.steps)))
        if self.running and self.taper:
            midnight_us = self.taper.next_break_us(knot.t_us)
            breaks += [] if midnight_us is None else [midnight_us]
        elif self.running and self.program and not self.lowest:
            breaks.append(self._segment_end_us(self.program, knot.t_us))
        return min(breaks, default=None)

    def _segment_end_us(self, program: Program, t_us: int) -> int:
        local_us = t_us + self.local_us
        starts = program.starts_ms
        index = program.segment_at(local_us // US_PER_MS) + 1
        within = starts[index] if index < len(starts) else WEEK_MS
        return t_us + within * US_PER_MS - local_us % (WEEK_MS * US_PER_MS)

    def after_break(self, t_us: int, total: _Sum) -> _Mode:
        """What holds from a break on: a push or a bridge may have ended with it."""
        push = None if self.push and self.push.end_us <= t_us else self.push
        if self.bridge_to is not None and total.steps >= self.bridge_to:
            return replace(self, push=push, bridge_to=None, conc=None)
        return replace(self, push=push)


class IdealCurve:
    """Ideal steps over virtual time, as a function of what was ordered and what happened."""

    def __init__(self, t_us: int = 0, steps_per_ml: int = 100_000) -> None:
        self._mode = _Mode(steps_per_ml=steps_per_ml)
        self._event_us = t_us
        self._knots = [_Knot(t_us, _Sum(), _Sum())]
        self._modes = [self._mode]  # in force from the knot of the same index

    # events, in order of time

    def run(self, t_us: int) -> None:
        """The basal starts or resumes."""
        self._change(t_us, running=True)

    def stop(self, t_us: int) -> None:
        """The basal stops; a push under way must be ended by itself. The fraction of a step is kept."""
        self._change(t_us, running=False)

    def set_program(self, t_us: int, program: Program) -> None:
        """Another program is in force from here."""
        self._change(t_us, program=program, taper=None)

    def set_taper(self, t_us: int, conc: int, days_ng: tuple[int, ...], start_us: int | None = None) -> None:
        """A taper is in force from here, its first day from start_us (None: here; another one after an outage nobody timed)."""
        self._change(t_us, taper=_Taper(t_us if start_us is None else start_us, conc, days_ng))

    def bridge(self, t_us: int, old_conc: int, volume_nl: int, steps_made: int | None = None) -> None:
        """Until so much was pumped what leaves the catheter is of the old concentration; nothing left: it has ended."""
        self._go_to(t_us)
        steps = -(-volume_nl * self._mode.steps_per_ml // 1_000_000)
        made = floor(self._total(t_us).steps) if steps_made is None else steps_made
        if steps <= 0:
            self._change(t_us, conc=None, bridge_to=None)
        else:
            self._change(t_us, conc=old_conc, bridge_to=made + steps)

    def set_clock(self, t_us: int, local_unix_s: int, sub_ms: int = 0) -> None:
        """The clock shows a local time from here (unix + offset); the program follows it."""
        shown_us = (week_ms(local_unix_s) + sub_ms) * US_PER_MS
        self._change(t_us, local_us=shown_us - t_us, lowest=False)

    def lowest(self, t_us: int, on: bool = True) -> None:
        """The lowest rate of the week, as without a clock; off: by the clock again."""
        self._change(t_us, lowest=on)

    def set_concentration(self, t_us: int, conc: int | None) -> None:
        """What is at the head has that concentration; None: the program's."""
        self._change(t_us, conc=conc)

    def set_steps_per_ml(self, t_us: int, steps_per_ml: int) -> None:
        """Another calibration holds."""
        self._change(t_us, steps_per_ml=steps_per_ml)

    def push(self, t_us: int, steps: int, duration_ms: int, ng: int = 0) -> None:
        """A bolus of so many steps (and ng, if it is dose) starts, evenly over its time."""
        self._change(t_us, push=_Push(t_us, t_us + duration_ms * US_PER_MS, steps, ng))

    def push_ended(self, t_us: int, steps_made: int) -> None:
        """A bolus ended early, after so many steps."""
        self._go_to(t_us)
        push = self._mode.push
        if push is None:
            return
        lost = steps_made - push.steps * push.done(t_us)
        self._change(t_us, jump=lost, jump_ng=lost * push.ng / push.steps if push.steps else 0, push=None)

    def anchor(self, t_us: int, steps: int) -> None:
        """After a reset: the curve goes on from the steps really made; a push does not."""
        self._go_to(t_us)
        self._change(t_us, jump=steps - self.ideal(t_us), push=None)

    # questions

    def ideal(self, t_us: int) -> Fraction:
        """Ideal steps at an instant."""
        return self._total(t_us).steps

    def steps_due(self, t_us: int) -> int:
        """Whole steps due at an instant."""
        return floor(self.ideal(t_us))

    def volume_nl(self, from_us: int, to_us: int) -> Fraction:
        """Expected volume between two instants, basal and boluses."""
        return self._total(to_us).volume_nl - self._total(from_us).volume_nl

    def basal_ng(self, from_us: int, to_us: int) -> Fraction:
        """Ideal basal dose between two instants."""
        return self._total(to_us).basal_ng - self._total(from_us).basal_ng

    def dose_ng(self, from_us: int, to_us: int) -> Fraction:
        """Ideal dose between two instants, basal and pushes."""
        return self._total(to_us).dose_ng - self._total(from_us).dose_ng

    def rate_ng_h(self, t_us: int) -> Fraction:
        """Basal rate in force at an instant."""
        return self._at(t_us).rate.basal_ng * 3_600_000_000

    def bridging(self, t_us: int) -> bool:
        """Whether the old concentration is still in the line at an instant."""
        return self.bridge_left_steps(t_us) > 0

    def bridge_left_steps(self, t_us: int, steps_made: int | None = None) -> Fraction:
        """Steps until the new concentration is at the tip, from the ideal place or from those made; 0 = no bridge."""
        goal = self._mode_at(t_us).bridge_to
        return Fraction(0) if goal is None else Fraction(goal) - (self.ideal(t_us) if steps_made is None else steps_made)

    def stretches(self, until_us: int) -> list[tuple[int, int, Fraction]]:
        """Every stretch of constant rate so far: (from, to, steps a us)."""
        self._extend(until_us)
        ends = [*(knot.t_us for knot in self._knots[1:]), until_us]
        return [(knot.t_us, min(end, until_us), knot.rate.steps) for knot, end in zip(self._knots, ends) if knot.t_us < until_us]

    def largest_24h_ng(self, until_us: int) -> Fraction:
        """Most basal dose in any 24 h up to an instant: what R-PRF-4 limits after clock corrections."""
        self._extend(until_us)
        day_us = DAY_MS * US_PER_MS
        first, ends = self._knots[0].t_us, {until_us}
        for knot in self._knots:
            ends |= {end for end in (knot.t_us, knot.t_us + day_us) if end <= until_us}
        return max(self.basal_ng(max(first, end - day_us), end) for end in ends)

    def ideal_at(self, times_us: NDArray[np.int64]) -> NDArray[np.float64]:
        """Ideal steps at many instants as floats, good to 1e-9 of a step over months."""
        if not len(times_us):
            return np.zeros(0)
        self._extend(int(times_us.max()))
        knots = np.array([knot.t_us for knot in self._knots], dtype=np.int64)
        base = np.array([float(knot.total.steps) for knot in self._knots])
        slope = np.array([float(knot.rate.steps) for knot in self._knots])
        index = np.searchsorted(knots, times_us, side="right") - 1
        return np.asarray(base[index] + slope[index] * (times_us - knots[index]))

    def errors(self, edges_us: NDArray[np.int64]) -> NDArray[np.float64]:
        """For each step edge, the larger of |k - ideal| (after it) and |k - 1 - ideal| (before it)."""
        ideal = self.ideal_at(edges_us)
        k = np.arange(1, len(edges_us) + 1)
        return np.maximum(np.abs(k - ideal), np.abs(k - 1 - ideal))

    def step_error(self, edges_us: NDArray[np.int64], until_us: int | None = None) -> float:
        """The largest of errors(); until_us: also the error at that instant, should an edge be missing at the end."""
        last = abs(len(edges_us) - float(self.ideal(until_us))) if until_us is not None else 0.0
        return round(max(last, float(self.errors(edges_us).max(initial=0.0))), 9)  # as good as the floats are

    # how it is kept

    def _change(self, t_us: int, jump: Fraction | int = 0, jump_ng: Fraction | int = 0, **fields: object) -> None:
        """An event: mode fields change at t_us, and the total jumps by so many steps and so much dose."""
        self._go_to(t_us)
        self._event_us = t_us
        total = self._total(t_us)
        jump_nl = Fraction(jump) * 1_000_000 / self._mode.steps_per_ml
        total = replace(total, steps=total.steps + jump, volume_nl=total.volume_nl + jump_nl, dose_ng=total.dose_ng + jump_ng)
        self._mode = replace(self._mode, **fields)  # type: ignore[arg-type]
        self._add(_Knot(t_us, total, self._mode.rate(t_us)))

    def _go_to(self, t_us: int) -> None:
        """Make t_us the end of what is spelled out, so that an event can be put there."""
        if t_us < self._event_us:
            raise ValueError(f"events come in order of time: one at {self._event_us} us is known, this is at {t_us} us")
        while self._knots[-1].t_us > t_us:
            self._knots.pop()
            self._modes.pop()
        self._mode = self._modes[-1]
        self._extend(t_us)

    def _extend(self, t_us: int) -> None:
        """Spell the curve out up to t_us, without a new event."""
        while (at := self._mode.next_break_us(self._knots[-1])) is not None and at <= t_us:
            last = self._knots[-1]
            total = last.total.plus(last.rate, at - last.t_us)
            self._mode = self._mode.after_break(at, total)
            self._add(_Knot(at, total, self._mode.rate(at)))

    def _add(self, knot: _Knot) -> None:
        if self._knots[-1].t_us == knot.t_us:
            self._knots[-1], self._modes[-1] = knot, self._mode
        else:
            self._knots.append(knot)
            self._modes.append(self._mode)

    def _at(self, t_us: int) -> _Knot:
        return self._knots[self._index(t_us)]

    def _mode_at(self, t_us: int) -> _Mode:
        return self._modes[self._index(t_us)]

    def _index(self, t_us: int) -> int:
        """Of the knot that an instant follows."""
        self._extend(t_us)
        index = bisect_right(self._knots, t_us, key=lambda knot: knot.t_us) - 1
        if index < 0:
            raise ValueError(f"the curve begins at {self._knots[0].t_us} us, asked for {t_us} us")
        return index

    def _total(self, t_us: int) -> _Sum:
        knot = self._at(t_us)
        return knot.total.plus(knot.rate, t_us - knot.t_us)
