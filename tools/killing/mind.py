"""What a host that survives knows: what was acknowledged, what is in doubt; and what the oracle makes of it. Nothing here asks the pump."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date

from hil.oracle import force
from hil.oracle.program import Program as OracleProgram
from hil.oracle.rules import Order as Declared
from hil.oracle.therapy import Therapy
from hil.oracle.verdict import Verdict
from hil.prescription import Program
from hil.pump import leading_int
from tools.killing.world import CONC, FULL_NL, OFFSET_MIN, STEP_NL

KEPT_IDS = 10  # that are sent again; the pump keeps more
CONFIRMED = Declared(confirmed=True)


@dataclass
class Order:
    """One command that changes something, from the moment it is sent."""

    verb: str
    fields: dict[str, str]
    program: Program | None = None

    @property
    def id(self) -> str:
        return self.fields.get("id", "")

    @property
    def steps(self) -> int:
        """Of a delivery."""
        return leading_int(self.fields["volume"]) // STEP_NL if self.verb.startswith("DOSE:") else 0


class Mind:
    """Survives every kill of the pump. Times are virtual ms."""

    def __init__(self, program: Program, now_ms: int, unix_s: float, first_step: Callable[[int], int | None]) -> None:
        """first_step: ms of the first step that was made after that ms, if there is one."""
        self.program = program  # acknowledged
        self.run = False
        self.lot = "B-1187"
        self.pending: Order | None = None  # sent, and not answered
        self.moving: tuple[Order, int] | None = None  # the delivery under way and when it ends
        self.acked: list[Order] = []  # with an id, newest last
        self._first_step = first_step
        self._flows_ms = now_ms  # what is committed is delivered since then, if anything is
        self.therapy = Therapy(unix_ms=round(unix_s * 1000) - now_ms, offset_ms=OFFSET_MIN * 60_000, calibrated=True, steps_told=True)
        self.therapy.import_(
            now_ms, _parsed(program), population="spinal", birth=date(1980, 5, 1), phase="titration", screen_ng=50_000, effect="short",
            increase_ago_s=30 * 86_400, volume_nl=FULL_NL, conc=CONC, expiry=date(2028, 6, 30), order=CONFIRMED,
        )  # fmt: skip

    def verdict(self, order: Order, now_ms: int) -> Verdict | None:
        """What the requirements answer to it now; None: they leave it open."""
        self._pass_to(now_ms)
        return _told(self.therapy.copy(), order, now_ms)

    def done(self, order: Order, now_ms: int, reply: Mapping[str, str]) -> None:
        """The pump has carried it out now."""
        self._pass_to(now_ms)
        _told(self.therapy, order, now_ms)
        self.know(order)
        if order.verb in ("RUN", "PROG:COMMIT"):
            self._flows_ms = now_ms
        if order.steps:
            self.moving = order, now_ms + leading_int(reply.get("time", "0"))

    def know(self, order: Order) -> None:
        """It is in force, since now or before."""
        self.pending = None
        if order.id and order.verb != "ALAR:ACK":
            self.acked = [*self.acked[1 - KEPT_IDS :], order]
        if order.verb in ("RUN", "STOP"):
            self.run = order.verb == "RUN"
        if order.program is not None:
            self.program = order.program
        if order.verb == "RES:REFILL":
            self.lot = order.fields["lot"]

    def end_delivery(self, now_ms: int, outcome: str = "DONE", made_nl: int = 0) -> None:
        """The one under way has come to its end by itself; or was cut off, with another outcome."""
        if self.moving is None or (outcome == "DONE" and now_ms < self.moving[1]):
            return
        order, end_ms = self.moving
        self.moving = None
        at_ms = max(self.therapy.now_ms, min(now_ms, end_ms))
        if order.verb == "DOSE:BOLUS":
            self.therapy.bolus_ended(at_ms, outcome, made_nl)
        else:
            self.therapy.prime_ended(at_ms, leading_int(order.fields["volume"]) - made_nl if outcome == "PARTIAL" else 0)

    def killed(self, now_ms: int, boot_ms: int, after_ms: int) -> None:
        """It died then, boots since `boot_ms`, and is looked at now; what moved is uncertain. Basal flows from the boot on, unasked."""
        self._pass_to(now_ms)
        self.end_delivery(now_ms, "UNCERTAIN")
        self.therapy.power_loss(now_ms, after_ms - now_ms)
        self._flows_ms = boot_ms

    def _pass_to(self, now_ms: int) -> None:
        """What came about by itself: the first step of an increase, the end of a delivery."""
        if self.therapy.record.running and force.rising(self.therapy.record, now_ms):
            step_ms = self._first_step(self._flows_ms)
            if step_ms is not None and step_ms <= now_ms:
                self.therapy.first_step(max(step_ms, self.therapy.now_ms))
        self.end_delivery(now_ms)


def _told(therapy: Therapy, order: Order, now_ms: int) -> Verdict | None:
    if order.verb == "DOSE:BOLUS":
        return therapy.bolus(now_ms, leading_int(order.fields["volume"]))
    if order.verb == "DOSE:PRIME":
        return therapy.prime(now_ms, leading_int(order.fields["volume"]), CONFIRMED)
    if order.verb == "PROG:COMMIT" and order.program is not None:
        return therapy.commit(now_ms, _parsed(order.program), CONFIRMED)
    if order.verb == "LINE:NEW":
        return therapy.new_line(now_ms, order.fields["part"])
    if order.verb == "RUN":
        return therapy.run(now_ms)
    return therapy.stop(now_ms) if order.verb == "STOP" else None


def _parsed(program: Program) -> OracleProgram:
    return OracleProgram.parse(program.canonical_lines())
