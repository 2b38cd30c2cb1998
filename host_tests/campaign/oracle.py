"""The oracle's side: hil.oracle's Therapy with the campaign's set-up, and its verdicts in the shape of the pump's answers."""

from fractions import Fraction

from hil.oracle.program import Program
from hil.oracle.record import Site
from hil.oracle.rules import Order
from hil.oracle.therapy import Therapy

from campaign.stub_board import BOARD

_WAITS = ("FIRST_24H", "TOO_SOON", "LOCKOUT")


def site():
    return Site(capacity_nl=BOARD["reservoir_nl"], residual_nl=BOARD["residual_nl"])


def new_therapy(now_ms, unix_ms):
    therapy = Therapy(site(), unix_ms=unix_ms - now_ms, offset_ms=0, calibrated=True)
    therapy.now_ms = now_ms
    return therapy


def order_of(spec, shown_s):
    """Order of an order's spec (pair.ORDER); shown_s: the pump's unix time."""
    return Order(
        path=spec["path"],
        route=spec["route"],
        attended=spec["attended"],
        confirmed=spec["confirm"] == "yes",
        reason=spec["reason"],
        at_unix_s=shown_s - spec["age_s"],
    )


def parse(lines):
    return Program.parse(lines)


def figures(verdict):
    """{field of the pump's refusal: number} that the verdict's limit stands for; only what both sides know how to say."""
    limit = verdict.detail
    if verdict.ok or limit is None:
        return {}
    if verdict.code in _WAITS:
        return {"wait": limit}
    if verdict.code in ("START_CAP", "DAILY_MAX", "STEP_CAP"):
        return {"most": int(Fraction(limit) // 1), "least": -int(-Fraction(limit) // 1), "limit": int(Fraction(limit) // 1)}
    return {}
