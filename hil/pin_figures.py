"""What a listener on the step pin saw, against the firmware's own count and against the oracle's curve; what a hang left running."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hil.expectation import Expectation
from hil.result import Measurement

INTERVAL_US = 1.0  # a pulse's distance from the one before, off the program
RATE_PPM = 50.0
FEWEST = 20  # intervals that a rate is worked out from
RATE_SPAN_US = 2_500_000  # a lease has whole microseconds for its period and is at most 0.6 s of a bolus: a rate is that of several
MARGIN_S = 0.5  # around a change of rate: it came somewhere in the exchange that ordered it, and is found at the next turn
LEASE_BOLUS_MS = 1_000  # DESIGN: what all outstanding leases hold at most
LEASE_BASAL_MS = 10_000
STACK_B = 1024.0  # MicroPython keeps 256 for itself; the rest is for the interrupt that comes at the deepest call
ENABLE_MS = 2_100  # a state machine drops it unless it was fed within 2 s

Edges = NDArray[np.int64]


@dataclass(frozen=True)
class Hang:
    """The processor was stopped on purpose."""

    at_ns: int
    in_bolus: bool


@dataclass(frozen=True)
class Pins:
    """What was seen at the pins in a whole run."""

    edges_ns: Edges
    enable: Sequence[tuple[int, bool]]
    lost_cycles: int  # by the emulator: figures are worth nothing if there are any
    sounds: int
    resets_ns: Sequence[int] = ()
    stack_left: int | None = None  # bytes that were never used

    def after(self, from_ns: int, to_ns: int) -> Edges:
        return self.edges_ns[(self.edges_ns > from_ns) & (self.edges_ns <= to_ns)]


def of_pulses(pins: Pins, expectation: Expectation, until_us: int, longest_s: float) -> list[Measurement]:
    """Interval and rate over every stretch of constant rate, and whether the emulator kept time."""
    return [
        *_of_stretches(list(_errors(pins.edges_ns, expectation, until_us, longest_s + MARGIN_S))),
        Measurement("PIO steps lost by the emulator", float(pins.lost_cycles), "", 0.0, 0.0, "else its times are worth nothing"),
        *_of_stack(pins),
        Measurement("sounds heard at the buzzer", float(pins.sounds), "", None, None, "edges of its pin"),
    ]


def _of_stack(pins: Pins) -> list[Measurement]:
    if pins.stack_left is None:
        return []
    return [Measurement("C stack that was never used", float(pins.stack_left), "B", STACK_B, None, "interrupts need it too")]


def _of_stretches(errors: list[tuple[float, float, int]]) -> list[Measurement]:
    """The worst of all stretches; nothing where the story has none long enough."""
    if not errors:
        return []
    why = f"{sum(each[2] for each in errors)} intervals in {len(errors)} stretches of constant rate"
    return [
        Measurement("largest pulse interval off the program", max(each[0] for each in errors), "us", 0.0, INTERVAL_US, why),
        Measurement("largest pulse rate off the program", max(each[1] for each in errors), "ppm", 0.0, RATE_PPM, why),
    ]


def _errors(edges_ns: Edges, expectation: Expectation, until_us: int, margin_s: float) -> Iterator[tuple[float, float, int]]:
    """(largest interval error in us, rate error in ppm, intervals) of each stretch in which enough pulses are due."""
    margin_us = int(margin_s * 1e6)
    for from_us, to_us, steps_per_us in expectation.stretches(until_us):
        if float(steps_per_us) * (to_us - from_us - 2 * margin_us) > FEWEST + 1:
            inside = edges_ns[(edges_ns >= (from_us + margin_us) * 1000) & (edges_ns <= (to_us - margin_us) * 1000)]
            yield _error(inside, 1 / float(steps_per_us), to_us - from_us)


def _error(edges_ns: Edges, period_us: float, stretch_us: float) -> tuple[float, float, int]:
    if len(edges_ns) <= FEWEST:  # they are due, and did not come: one gap as long as the stretch, and all of the rate missing
        return stretch_us - period_us, 1e6, max(0, len(edges_ns) - 1)
    gaps_us = np.diff(edges_ns) / 1000
    span_us = (edges_ns[-1] - edges_ns[0]) / 1000
    off_ppm = abs(span_us / len(gaps_us) / period_us - 1) * 1e6 if span_us >= RATE_SPAN_US else 0.0
    return float(np.abs(gaps_us - period_us).max()), float(off_ppm), len(gaps_us)


def of_count(difference: int | None) -> list[Measurement]:
    """The firmware's count of its pulses, against the pin's."""
    value = None if difference is None else float(difference)
    return [Measurement("pulses on the pin minus the firmware's count", value, "", 0.0, 0.0, "since the last boot or RUN")]


def of_hangs(pins: Pins, hangs: Sequence[Hang], until_ns: int) -> list[Measurement]:
    """How long the pulses went on after the processor stopped, and when the motor's enable fell."""
    return [figure for hang in hangs for figure in _of_hang(pins, hang, until_ns)]


def _of_hang(pins: Pins, hang: Hang, until_ns: int) -> list[Measurement]:
    falls = [at_ns for at_ns, level in pins.enable if not level and at_ns > hang.at_ns]
    fell_ns = falls[0] if falls else None
    reset_ns = next((at_ns for at_ns in pins.resets_ns if at_ns > hang.at_ns), until_ns)
    pulses = pins.after(hang.at_ns, reset_ns)
    last_ms = (pulses[-1] - hang.at_ns) / 1e6 if len(pulses) else 0.0
    lease_ms = LEASE_BOLUS_MS if hang.in_bolus else LEASE_BASAL_MS
    why = "a bolus: one lease" if hang.in_bolus else "basal: one lease"
    fell_ms = None if fell_ns is None else (fell_ns - hang.at_ns) / 1e6
    off = "motor enable off after the processor hung"
    return [
        Measurement("last pulse after the processor hung", last_ms, "ms", 0.0, float(lease_ms), why),
        Measurement("pulses after the processor hung", float(len(pulses)), "steps", None, None, why),
        Measurement(off, fell_ms, "ms", 0.0, float(ENABLE_MS), "not fed any more"),
    ]
