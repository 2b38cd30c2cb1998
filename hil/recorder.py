"""Keeps what a run shows: the time series, the alarms from on to off, the refusals."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from hil.errors import Refused
from hil.expectation import Expectation
from hil.instruments import BalanceError
from hil.pump import Counts, Pump, leading_int
from hil.result import AlarmSpan, Result, Sample
from hil.targets.base import Target
from hil.weighing import Weighed, Weighing

NL_PER_ML = 1_000_000
PIN_TRIES = 20


@dataclass(frozen=True)
class Seen:
    """What flow accuracy needs of a sample: the weight as read, and whether anything but time passed since the one before."""

    t_s: float
    programmed_nl: float
    witnessed_nl: float
    mass_g: float | None
    stretch: int  # grows with whatever is done to the pump
    steady: bool  # nothing is wrong with the rig


class Recorder:
    """Samples one run into its Result; nothing is kept before `begin`."""

    def __init__(self, result: Result, target: Target, pump: Pump, weighing: Weighing | None, *, turn: tuple[int, int]) -> None:
        self.result = result
        self.zero_ms: int | None = None  # of the first RUN
        self.expectation: Expectation | None = None
        self._target = target
        self._pump = pump
        self._weighing = weighing
        self._steps_per_turn, self._counts_per_turn = turn
        self._first: Counts | None = None
        self._true_zero_nl = 0.0
        self._tip_zero_ng = 0.0
        self._ledger_ng: float | None = None  # dose since the refill, as the pump said last
        self._dose_ng = 0.0  # since zero, refills and all
        self.seen: list[Seen] = []  # one for each sample
        self._stretch = 0
        self.refills: list[tuple[int, int]] = []  # (virtual us, mcg/mL as declared)
        self._open: dict[str, AlarmSpan] = {}
        self._pin_base: tuple[int, int] | None = None
        self.pins_off: int | None = None  # pin_difference at the end

    def begin(self, expectation: Expectation) -> None:
        """The first RUN was accepted now."""
        self.zero_ms = self._target.now_ms()
        self.expectation = expectation
        self._first = self._pump.counts()
        if self._target.rig is not None:
            self._true_zero_nl = self._target.rig.delivered_nl
            self._tip_zero_ng = self._target.rig.tip_ng
            expectation.base(self._target.rig.engine.total)
        if self._weighing:
            self._weighing.begin()
        self.base_pins()
        self.sample()

    def disturbed(self) -> None:
        """Something was done to the pump or came over it: what flows from here on is another flow."""
        self._stretch += 1

    # ---- the step pin's own listener

    def base_pins(self) -> None:
        """From here on pulses on the pin and the firmware's count are compared: after RUN, after each restart."""
        self._pin_base = self._pin_counts()

    def pin_difference(self) -> int | None:
        """Pulses on the pin minus what the firmware counted; None: nobody listens at the pin."""
        now = self._pin_counts()
        if now is None or self._pin_base is None:
            return None
        return (now[0] - self._pin_base[0]) - (now[1] - self._pin_base[1])

    def _pin_counts(self) -> tuple[int, int] | None:
        """Both counts of one instant: none came while the firmware was asked."""
        for _ in range(PIN_TRIES):
            before = self._target.pin_pulses()
            if before is None:
                return None
            stepped = self._pump.counts().stepped
            if before == self._target.pin_pulses():
                return before, stepped
        return None

    def since_ms(self) -> int:
        """Ms since the first RUN; 0 before it."""
        return self._target.now_ms() - self.zero_ms if self.zero_ms is not None else 0

    # ---- volumes since the first RUN

    def authorised_nl(self, counts: Counts) -> float:
        return self.authorised_in_all_nl(counts) - self.authorised_in_all_nl(self._zero())

    def witnessed_nl(self, counts: Counts) -> float:
        return self.witnessed_in_all_nl(counts) - self.witnessed_in_all_nl(self._zero())

    def authorised_in_all_nl(self, counts: Counts) -> float:
        """Since the pump's journal began."""
        return counts.authorised * NL_PER_ML / self._spm()

    def witnessed_in_all_nl(self, counts: Counts) -> float:
        """Since the pump's journal began."""
        return counts.witness * self._steps_per_turn * NL_PER_ML / (self._counts_per_turn * self._spm())

    def _zero(self) -> Counts:
        return self._first or Counts(0, 0, 0, 0, 0, 0, 0, 0)

    def _spm(self) -> int:
        return self.expectation.steps_per_ml if self.expectation else 100_000

    def balance(self) -> Weighed | None:
        """None without one. Once it went away it stays so: back again, it may have another zero. The run goes on without it."""
        if self._weighing is None or self.zero_ms is None or self.result.balance_lost:
            return None
        try:
            return self._weighing.delivered()
        except BalanceError as error:
            self.result.balance_lost = f"{error} (at {self.since_ms() / 3_600_000:.2f} h)"
            return None

    # ---- the time series

    def sample(self) -> dict[str, str]:
        """One row; gives the pump's status."""
        stat = self._pump.stat()
        self.note_alarms(stat)
        if self.expectation is None or self.zero_ms is None:
            return stat
        counts, weighed = self._pump.counts(), self.balance()
        self._follow_dose(leading_int(stat.get("refill", "0")))
        self.result.uncertain_nl = float(counts.uncertain - self._zero().uncertain)
        now_us = self._target.now_ms() * 1000
        self.result.samples.append(
            Sample(
                t_s=self.since_ms() / 1000,
                programmed_nl=self.expectation.volume_nl(self.zero_ms * 1000, now_us),
                authorised_nl=self.authorised_nl(counts),
                witnessed_nl=self.witnessed_nl(counts),
                balance_nl=weighed.volume_nl if weighed else None,
                balance_noise_nl=weighed.noise_nl if weighed else None,
                true_nl=self._true_nl(),
                reservoir_nl=leading_int(stat.get("res", "0")),
                battery_mv=leading_int(stat.get("battery", "0")),
                rate_ng_h=leading_int(stat.get("rate", "0")),
                alarms=leading_int(stat.get("alarms", "0")),
                programmed_ng=self.expectation.dose_ng(now_us),
                tip_ng=self.tip_ng(),
                ledger_ng=self._dose_ng,
            )
        )
        self._note_flow(weighed)
        return stat

    def _note_flow(self, weighed: Weighed | None) -> None:
        last, rig = self.result.samples[-1], self._target.rig
        mass_g = weighed.mass_g if weighed else None
        self.seen.append(
            Seen(last.t_s, last.programmed_nl, last.witnessed_nl, mass_g, self._stretch, not (rig is not None and rig.active_faults))
        )

    def _follow_dose(self, since_refill_ng: int) -> None:
        """The pump counts anew from each refill."""
        last = since_refill_ng if self._ledger_ng is None else self._ledger_ng
        self._dose_ng += since_refill_ng - last if since_refill_ng >= last else since_refill_ng
        self._ledger_ng = since_refill_ng

    def _true_nl(self) -> float | None:
        """What the simulated rig really gave; nobody knows that of a real one."""
        return self._target.rig.delivered_nl - self._true_zero_nl if self._target.rig is not None else None

    def tip_ng(self) -> float | None:
        """What left the catheter tip; the simulated rig follows each slug of drug through the line."""
        return self._target.rig.tip_ng - self._tip_zero_ng if self._target.rig is not None else None

    # ---- alarms and refusals

    def note_alarms(self, stat: dict[str, str]) -> set[str]:
        """Keep what came on and went; gives what is on."""
        if leading_int(stat.get("alarms", "0")) == 0 and not self._open:
            return set()
        rows = self._pump.alarms()
        for code, row in rows.items():
            if code not in self._open:
                self._open[code] = AlarmSpan(code, row.get("priority", ""), self._on_ms(row, stat), None)
        for code in set(self._open) - set(rows):
            self.result.alarms.append(replace(self._open.pop(code), off_ms=self.since_ms()))
        return set(rows)

    def _on_ms(self, row: dict[str, str], stat: dict[str, str]) -> int:
        """When it came on, by the pump's own word where its clock says it, else when it was seen."""
        now, since = leading_int(stat.get("now", "0")), leading_int(row.get("since", "0"))
        age_ms = (now - since) * 1000 if stat.get("clock") == "set" and 0 < since <= now else 0
        return self.since_ms() - age_ms

    def end_alarms(self) -> None:
        self.result.alarms += self._open.values()
        self.result.alarms.sort(key=lambda span: span.on_ms)
        self._open = {}

    def refusal(self, refused: Refused) -> None:
        entry: dict[str, Any] = {"t_s": self.since_ms() / 1000, "verb": refused.verb, "code": refused.code, "text": refused.text}
        self.result.refusals.append(entry)
