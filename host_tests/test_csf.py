"""The model of the spinal fluid against what the label's figures imply, and against an integration that knows nothing of exponentials."""

from __future__ import annotations

from itertools import accumulate
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil import csf
from hil.measurements import spinal_fluid
from hil.result import Result, Sample
from hil.scenario import load_scenario

pytestmark = pytest.mark.req("R-PK-1")

RATES = st.lists(st.tuples(st.integers(1, 48), st.integers(0, 80_000)), min_size=1, max_size=8)  # (quarters of an hour, ng/h)


def samples(stretches: list[tuple[int, int]]) -> tuple[list[float], list[float]]:
    """Times and doses at the ends of the stretches."""
    times = list(accumulate((900.0 * quarters for quarters, _ in stretches), initial=0.0))
    doses = list(accumulate((rate * quarters / 4 for quarters, rate in stretches), initial=0.0))
    return times, doses


def integrated(stretches: list[tuple[int, int]], begin: float) -> float:
    """Small steps of the mass balance: in at the rate, out at clearance times concentration. Second order (midpoint)."""
    volume = 30.0 * 1.51 / 0.6931471805599453
    level, step_h = begin, 1 / 400
    for quarters, rate in stretches:
        for _ in range(quarters * 100):
            half = level + (rate - 30.0 * level) / volume * step_h / 2
            level += (rate - 30.0 * half) / volume * step_h
    return level


@given(RATES, st.floats(0, 3000))
def test_the_level_is_that_of_a_fine_integration_of_the_mass_balance(stretches: list[tuple[int, int]], begin: float) -> None:
    times, doses = samples(stretches)
    assert csf.levels(times, doses, begin)[-1] == pytest.approx(integrated(stretches, begin), rel=1e-5, abs=1e-6)


@given(RATES, st.integers(1, 5))
def test_cutting_a_stretch_in_pieces_changes_nothing(stretches: list[tuple[int, int]], pieces: int) -> None:
    times, doses = samples(stretches)
    fine_t = [a + (b - a) * k / pieces for a, b in zip(times, times[1:]) for k in range(pieces)] + times[-1:]
    fine_d = [a + (b - a) * k / pieces for a, b in zip(doses, doses[1:]) for k in range(pieces)] + doses[-1:]
    assert csf.levels(fine_t, fine_d)[-1] == pytest.approx(csf.levels(times, doses)[-1], rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("mcg_day", [12, 350, 2003])
def test_a_steady_infusion_comes_to_rest_at_the_rate_over_the_clearance_of_30_ml_an_hour(mcg_day: int) -> None:
    rate = mcg_day * 1000 / 24
    assert csf.levels([0.0, 48 * 3600.0], [0.0, 48 * rate])[-1] == pytest.approx(rate / 30, rel=1e-6)
    assert csf.levels([0.0, 3600.0], [0.0, rate], rate / 30)[-1] == pytest.approx(rate / 30, rel=1e-12)


def test_half_of_a_bolus_is_left_after_1_51_hours_and_it_filled_65_ml() -> None:
    """50 mcg at once, then nothing."""
    at_once, later = csf.levels([0.0, 0.0, 1.51 * 3600], [0.0, 50_000.0, 50_000.0])[1:]
    assert at_once == pytest.approx(50_000 / 65.354, rel=1e-4)
    assert later == pytest.approx(at_once / 2, rel=1e-9)


def test_the_cisternal_level_is_a_quarter_of_the_lumbar_one() -> None:
    curve = csf.curve([0.0, 3600.0], [0.0, 14_000.0], [0.0, 14_000.0], "the ledger", 0.0)
    assert curve.cisternal == [level / 4 for level in curve.lumbar] and curve.lumbar[-1] > 0


def test_onset_counts_from_where_delivery_begins_on_a_fluid_without_drug_and_not_from_a_short_pause() -> None:
    hours = [3600.0 * h for h in range(60)]
    flows = [0, 0] + [1] * 10 + [0] * 2 + [1] * 10 + [0] * 12 + [1] * 23  # two hours' pause: no start; twelve hours: a start
    doses = [14_000.0 * d for d in accumulate(flows, initial=0)]
    curve = csf.curve(hours, doses, doses, "the ledger", 0.0)
    assert curve.starts_s == [2 * 3600.0, 36 * 3600.0]


def test_a_screening_bolus_is_no_start_of_an_infusion() -> None:
    hours = [3600.0 * h for h in range(60)]
    doses = [50_000.0 if h >= 1 else 0.0 for h in range(30)] + [50_000.0 + 14_000.0 * h for h in range(30)]
    curve = csf.curve(hours, doses, doses, "the ledger", 0.0)
    assert curve.starts_s == [30 * 3600.0]


def test_a_therapy_taken_over_begins_at_its_level_and_has_no_start() -> None:
    doses = [14_000.0 * h for h in range(5)]
    curve = csf.curve([3600.0 * h for h in range(5)], doses, doses, "the ledger", 14_000.0)
    assert curve.lumbar == pytest.approx([14_000 / 30] * 5) and curve.starts_s == []


def test_onset_is_first_seen_after_6_to_8_h_and_full_after_24_to_48_h() -> None:
    assert (csf.SEEN_H, csf.FULL_H) == ((6, 8), (24, 48))


def a_day_at_rate(tip: bool) -> list[Sample]:
    """Hours of 350 mcg a day by the ledger; at the tip, where it is known, half of that came out."""
    rate = 350_000 / 24
    return [
        Sample(3600.0 * h, 0, 0, 0, None, None, None, 0, 3700, rate, 0, rate * h, rate * h / 2 if tip else None, rate * h)
        for h in range(25)
    ]  # fmt: skip


@pytest.mark.parametrize(("tip", "source", "part"), [(True, "left the catheter tip", 0.5), (False, "the pump's ledger", 1.0)])
def test_a_runs_curve_goes_by_the_catheter_tip_where_it_is_known_and_begins_at_the_therapys_own_level(
    tip: bool, source: str, part: float
) -> None:
    """350 mcg a day taken over at rest: 350,000 / 24 ng/h over 30 mL/h is 486 ng/mL."""
    found = Result("made-up", "", "", "unix", "SIMULATED", 1, samples=a_day_at_rate(tip))
    curve = spinal_fluid(found, load_scenario(Path(__file__).parents[1] / "hil/scenarios/night-flex-spinal.toml"))
    rest = 350_000 / 24 / 30
    assert source in curve.source and curve.lumbar[0] == pytest.approx(rest) and curve.programmed[-1] == pytest.approx(rest)
    assert curve.lumbar[-1] == pytest.approx(part * rest, rel=1e-3), "24 h are 16 half-lives"


def test_a_first_run_begins_with_none_of_it_in_the_fluid() -> None:
    found = Result("made-up", "", "", "unix", "SIMULATED", 1, samples=a_day_at_rate(True))
    assert spinal_fluid(found, load_scenario(Path(__file__).parents[1] / "hil/scenarios/whole-way-spinal.toml")).lumbar[0] == 0
