"""The oracle's side: hil.oracle's Therapy, told what the pump's world says, and its figures by the names that the pump gives them."""

from dataclasses import replace

from campaign.stub_board import BOARD
from hil.oracle.program import DAY_MS, Program
from hil.oracle.record import Site
from hil.oracle.rules import Order
from hil.oracle.therapy import Therapy

_FIGURES = ("most", "least", "limit", "wait", "next", "want")
NOTES = {"LOW_DOSE": "below_label_range", "SMALL_STEP": "small_step"}


class Oracle:
    """therapy: hil.oracle's own."""

    def __init__(self, now, unix_ms):
        site = Site(
            capacity_nl=BOARD["reservoir_nl"],
            residual_nl=BOARD["residual_nl"],
            tube_nl=BOARD["dead_volume_tubing_nl"],
            catheter_nl=BOARD["dead_volume_catheter_nl"],
        )
        self.therapy = Therapy(site, unix_ms=unix_ms - now, steps_told=True)
        self.therapy.now_ms = now
        self._prime_nl = 0
        self._was_first = False

    def go_back(self, at):
        """What was between `at` and now nobody knows any more: the first 24 h may not be over after all."""
        self.therapy.now_ms = at
        record = self.therapy.record
        if self._was_first and record.phase == "titration" and record.running_for_ms(at) < DAY_MS:
            self.therapy.record = replace(record, phase="first")

    def note_first(self):
        """A delivery begins: remember whether the first 24 h were still on."""
        self._was_first = self.therapy.record.phase == "first"

    def prime(self, now, volume_nl, order):
        verdict = self.therapy.prime(now, volume_nl, order)
        if verdict.ok:
            self._prime_nl = volume_nl
        return verdict

    def ended(self, at, outcome, made_nl):
        """The delivery that moves has ended."""
        moving = self.therapy.record.boluses.moving
        if moving == "bolus":
            self.therapy.bolus_ended(at, outcome, made_nl)
        elif moving == "screen":
            self.therapy.screen_ended(at, outcome)
        elif moving == "prime":
            self.therapy.prime_ended(at, self._prime_nl - made_nl)


def order_of(spec, shown_s, way="pump"):
    """Order of what an order declares (orders.ORDER); shown_s: the pump's unix time. A way that is no port's is a wrong route."""
    words = spec["path"] + spec["route"]
    return Order(
        path="port" if "catheter" in words else way,
        route="intravenous" if "intravenous" in words else "intrathecal",
        attended=spec["attended"],
        confirmed=spec["confirm"] == "yes",
        reason=spec["reason"],
        at_unix_s=shown_s - spec["age_s"],
    )


def figures(verdict):
    """{name: number} of what a refusal says beside its code."""
    if verdict.ok:
        return {}
    return {name: figure for name, figure in verdict.detail.items() if name in _FIGURES and figure is not None}


def parse(lines):
    return Program.parse(lines)
