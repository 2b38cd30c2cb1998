"""Therapies for the oracle's tests: a pump at elapsed 0 on a Monday midnight, at each stage a test may begin with."""

from __future__ import annotations

from datetime import date
from functools import cache

from hil.oracle import Order, Program, Site, Therapy, flat_lines, taper_lines

MONDAY = 1809302400  # 2027-05-03 00:00
MCG = 1000
BORN = date(1980, 5, 1)
BORN_CHILD = date(2015, 1, 1)  # 12 in 2027
SITE = Site(capacity_nl=20_000_000, residual_nl=1_000_000, tube_nl=100_000, catheter_nl=20_000)
CONFIRMED = Order(confirmed=True)


@cache
def flat(mcg, conc=500, ng=0):
    return Program.parse(flat_lines("flat", conc, mcg * MCG + ng))


def with_bolus(mcg, volume_nl=10_000, lockout_s=3600, allowance_mcg=15, conc=500):
    keys = [f"bolus_volume={volume_nl}", "bolus_time=60", f"bolus_lockout={lockout_s}", f"bolus_allowance={allowance_mcg * MCG}"]
    return Program.parse(flat_lines("boluses", conc, mcg * MCG) + keys)


def taper(first_mcg=100, days=14, percent=80, conc=500):
    """A taper that falls by the same part each day; whole ng, rounded up so that none falls below it."""
    doses = [first_mcg * MCG]
    while len(doses) < days:
        doses.append(-(-doses[-1] * percent // 100))
    return Program.parse(taper_lines("holiday", conc, doses))


def born(population):
    return BORN_CHILD if population == "pediatric" else BORN


def empty():
    """An empty pump whose clock is set to a Monday midnight at elapsed 0."""
    therapy = Therapy(SITE)
    therapy.clock_set(0, MONDAY)
    therapy.inputs(calibrated=True)
    return therapy


def enrolled(population="spinal", conc=50):
    """A patient on record, and drug for the screening trial in the reservoir."""
    therapy = empty()
    assert therapy.enrol(0, population=population, birth=born(population)).ok
    assert refill(therapy, 0, 5_000_000, conc).ok
    return therapy


def screened(population="spinal", screen_mcg=50, effect="short", conc=500):
    """A positive trial taken over."""
    therapy = empty()
    verdict = therapy.import_(
        0,
        None,
        population=population,
        birth=born(population),
        phase="screened",
        screen_ng=screen_mcg * MCG,
        effect=effect,
        conc=conc,
        volume_nl=10_000_000,
    )
    assert verdict.ok, verdict
    return therapy


def taken_over(program, population="spinal", phase="titration", birth=None, run=True, **more):
    """A running therapy taken over, with a positive screening dose of 50 mcg unless told otherwise."""
    therapy = empty()
    more = {"screen_ng": 50 * MCG, "effect": "short", "volume_nl": 10_000_000, **more}
    verdict = therapy.import_(0, program, population=population, birth=birth or born(population), phase=phase, conc=program.conc, **more)
    assert verdict.ok, verdict
    if run:
        assert therapy.run(0).ok
    return therapy


def code(verdict):
    return verdict.code


def refill(therapy, at_ms, volume_nl=18_000_000, conc=500, expected_nl=0, withdrawn_nl=0, **more):
    return therapy.refill(at_ms, volume_nl, conc, expiry=date(2029, 1, 1), expected_nl=expected_nl, withdrawn_nl=withdrawn_nl, **more)


def screen(therapy, at_ms, mcg, outcome="DONE", minutes=1):
    """A screening dose and its end; gives the elapsed time of that."""
    verdict = therapy.screen(at_ms, mcg)
    assert verdict.ok, verdict
    therapy.screen_ended(at_ms + minutes * 60_000, outcome)
    return at_ms + minutes * 60_000
