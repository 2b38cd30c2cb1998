"""The oracle under random histories of every order: its caps are what its commits obey, and nothing opens a way around them."""

from __future__ import annotations

from functools import cache
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle_rig import CONFIRMED, MCG, MONDAY, code, empty, flat, refill, taken_over, taper

from hil.oracle import Order, Program, flat_lines
from hil.oracle.program import DAY_MS, HOUR_MS
from hil.oracle.rules import UNTREATED

OVERDOSE = Order(confirmed=True, reason="OVERDOSE")
CAPPED = {"NOT_SCREENED", "DAILY_MAX", "START_CAP", "FIRST_24H", "TOO_SOON", "NO_REFILL", "STEP_CAP"}
WAITS = [1, HOUR_MS, 5 * HOUR_MS, 7 * HOUR_MS, DAY_MS - 1, DAY_MS, DAY_MS + 1, 3 * DAY_MS, 14 * DAY_MS + 1]
DOSES = [10, 50, 80, 90, 100, 104, 115, 130, 150]
KINDS = [
    "commit", "commit", "commit", "overdose", "run", "run", "stop", "loss", "unknown", "clock", "maintain", "break", "refill", "taper",
    "trial", "screen", "positive", "most", "least",
]  # fmt: skip

moves = st.lists(st.tuples(st.sampled_from(KINDS), st.sampled_from(WAITS), st.sampled_from(DOSES)), max_size=30)


@cache
def flat_ng(ng, conc):
    return Program.parse(flat_lines("flat", conc, ng))


def conc_of(therapy):
    return therapy.record.supplies.conc or 500


def trial(therapy, at_ms):
    """A new trial with a positive response and a short effect, with drug for it and for what follows."""
    therapy.stop(at_ms)
    therapy.new_trial(at_ms)
    therapy.new_line(at_ms, "both")
    refill(therapy, at_ms, 5_000_000, 50)
    if therapy.screen(at_ms, 50).ok:
        at_ms += 60_000
        therapy.screen_ended(at_ms, "DONE")
        therapy.respond(at_ms, "positive")
    refill(therapy, at_ms, 5_000_000, 500)
    return at_ms


def move(therapy, at_ms, kind, mcg):
    """One order or mishap; gives the elapsed time after it."""
    conc = conc_of(therapy)
    orders = {
        "commit": lambda: therapy.commit(at_ms, flat(mcg, conc), CONFIRMED),
        "overdose": lambda: therapy.commit(at_ms, flat(mcg, conc), OVERDOSE),
        "most": lambda: therapy.commit(at_ms, flat_ng(therapy.caps(at_ms).most_ng, conc), CONFIRMED),
        "least": lambda: therapy.commit(at_ms, flat_ng(max(1, therapy.caps(at_ms).least_ng), conc), CONFIRMED),
        "taper": lambda: therapy.commit(at_ms, taper(mcg, percent=90, conc=conc), CONFIRMED),
        "run": lambda: therapy.run(at_ms),
        "stop": lambda: therapy.stop(at_ms),
        "clock": lambda: therapy.clock_set(at_ms, MONDAY + at_ms // 1000 + mcg * 60),
        "maintain": lambda: therapy.set_phase(at_ms, "maintenance"),
        "break": lambda: therapy.set_phase(at_ms, "titration"),
        "refill": lambda: refill(therapy, at_ms, mcg * 100_000, conc),
        "screen": lambda: therapy.screen(at_ms, 50),
        "positive": lambda: therapy.respond(at_ms, "positive"),
    }
    if kind in orders:
        orders[kind]()
    elif kind == "loss":
        return therapy.power_loss(at_ms, mcg * 300_000)
    elif kind == "unknown":
        at_ms = therapy.power_loss(at_ms, None)
        therapy.clock_set(at_ms, MONDAY + at_ms // 1000)
    elif kind == "trial":
        return trial(therapy, at_ms)
    return at_ms


def played(population, phase, sequence):
    """A therapy of 100 mcg after these moves; gives it, the elapsed time, and (elapsed, daily dose, phase) at each change of dose."""
    therapy, at_ms, seen = taken_over(flat(100), population, phase=phase), 0, [(-DAY_MS, 100 * MCG, phase)]
    for kind, wait_ms, mcg in sequence:
        at_ms = move(therapy, at_ms + wait_ms, kind, mcg)
        doses = therapy.record.doses(at_ms)
        if therapy.record.running and doses.daily != seen[-1][1]:
            seen.append((at_ms, doses.daily, therapy.record.phase))
    return therapy, at_ms, seen


@pytest.mark.req("R-TIT-1", "R-TIT-3", "R-MNT-1", "R-MNT-2", "R-INI-1", "R-INI-2", "R-HOL-1", "R-WDR-1")
@settings(max_examples=400, deadline=None)
@given(st.sampled_from(["spinal", "cerebral", "pediatric"]), st.sampled_from(["titration", "maintenance"]), moves)
def test_the_caps_shown_are_to_the_ng_what_a_commit_may_have(population, phase, sequence):
    therapy, at_ms, _ = played(population, phase, sequence)
    caps, conc = therapy.caps(at_ms), conc_of(therapy)

    def answer(ng):
        return code(therapy.copy().commit(at_ms, flat_ng(ng, conc), CONFIRMED)) if ng > 0 else None

    if caps.most_ng >= caps.least_ng:
        assert answer(caps.most_ng) in (None, "OK")
    assert answer(caps.most_ng + 1) in CAPPED
    if caps.least_ng <= caps.most_ng and therapy.record.phase not in UNTREATED:
        assert answer(caps.least_ng) in (None, "OK")
        assert answer(caps.least_ng - 1) in (None, "STEP_CAP")
    last = therapy.record.doses(at_ms)
    more = (last.daily if last else 0) + 1
    if caps.return_ng < more:
        assert (caps.why == "none") == (caps.most_ng >= more)
        assert caps.why in ("none", answer(more))


@pytest.mark.req("R-TIT-3", "R-TIT-4")
@settings(max_examples=400, deadline=None)
@given(st.sampled_from(["titration", "maintenance"]), moves)
def test_no_history_holds_two_increases_in_24_h_save_one_return_after_an_overdose_or_an_interruption(phase, sequence):
    without_returns = [move for move in sequence if move[0] not in ("overdose", "most")]
    _, _, seen = played("spinal", phase, without_returns)
    rises = [after[0] for before, after in pairwise(seen) if after[1] > before[1]]
    assert all(later - earlier >= DAY_MS for earlier, later in pairwise(rises))


@pytest.mark.req("R-HOL-1", "R-SCR-5")
@settings(max_examples=300, deadline=None)
@given(st.sampled_from(["titration", "maintenance"]), moves)
def test_nothing_is_delivered_in_a_trial_and_every_phase_is_a_known_one(phase, sequence):
    therapy, at_ms = taken_over(flat(100), phase=phase), 0
    for kind, wait_ms, mcg in sequence:
        at_ms = move(therapy, at_ms + wait_ms, kind, mcg)
        assert not (therapy.record.running and therapy.record.phase in (*UNTREATED, "screened"))
        assert (therapy.holiday(at_ms) == "none") == (therapy.record.phase != "holiday")
        assert bool(therapy.record.last_run and therapy.record.last_run.taper) == (therapy.record.phase == "holiday")


def test_the_oracle_imports_without_numpy():
    import subprocess
    import sys

    done = subprocess.run([sys.executable, "-c", "import sys, hil.oracle.therapy; sys.exit('numpy' in sys.modules)"], check=False)
    assert done.returncode == 0
    assert empty().record.phase == "none"
