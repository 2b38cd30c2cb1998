"""The drug front: what leaves the catheter tip, slug by slug, and what a bridge is good for."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil import tip
from hil.plant import Rig, RigConfig
from hil.plant.line import Line, Tube

SMOOTH = RigConfig(pulsation=(), run_in_share=0.0, wear_per_1000_turns=0.0, evaporation_mg_h=0.0, conc_mcg_ml=500.0)
DEAD_NL = SMOOTH.dead_volume_tubing_nl + SMOOTH.dead_volume_catheter_nl
HOUR_US = 3_600_000_000
STEP_NL = 10
DOSE_NG_H = 25_000

slugs = st.lists(st.tuples(st.sampled_from([0.0, 50.0, 500.0, 2000.0]), st.floats(0.1, 400_000)), max_size=30)


# ---- plug flow


@given(st.integers(0, 300_000), slugs)
def test_a_tube_gives_back_in_order_what_was_pressed_in_and_stays_full(dead_nl, pushes):
    tube = Tube(dead_nl, 500.0)
    out = [slug for conc, nl in pushes for slug in tube.push(conc, nl)]
    held = tube.slugs
    assert sum(nl for _, nl in held) == pytest.approx(dead_nl, abs=1e-3)
    assert runs(out + held) == pytest.approx(runs([(500.0, float(dead_nl)), *pushes]), rel=1e-6, abs=1e-3)


def runs(slugs):
    """(conc, nl) pairs as one flat list, neighbours of one concentration put together."""
    merged = []
    for conc, nl in slugs:
        if merged and merged[-1][0] == conc:
            merged[-1][1] += nl
        elif nl > 1e-3:
            merged.append([conc, nl])
    return [value for pair in merged for value in pair]


@given(slugs)
def test_no_drug_is_lost_or_made_in_the_line(pushes):
    line = Line(SMOOTH)
    before = line.tubing.drug_ng + line.catheter.drug_ng
    for conc, nl in pushes:
        line.push(conc, nl)
    given_ng = sum(conc * nl / 1000 for conc, nl in pushes)
    held_ng = line.tubing.drug_ng + line.catheter.drug_ng
    assert line.tip_ng + held_ng == pytest.approx(before + given_ng, rel=1e-9)


@pytest.mark.req("R-CON-3")
def test_another_concentration_is_at_the_tip_after_exactly_the_dead_volume_of_tubing_and_catheter():
    line = Line(SMOOTH)
    for _ in range(30_000):
        line.push(2000.0, STEP_NL)
    (front,) = line.fronts
    assert (front.before, front.after, front.passed_nl) == (500.0, 2000.0, DEAD_NL)
    assert line.tip_ng == pytest.approx((DEAD_NL * 500 + (300_000 - DEAD_NL) * 2000) / 1000)


@pytest.mark.req("R-CON-4")
def test_priming_a_new_line_with_its_dead_volume_brings_the_drug_to_the_tip_and_not_a_nanogram_out_of_it():
    rig = Rig(SMOOTH)
    rig.new_tube()
    rig.new_catheter()
    pump(rig, DEAD_NL, 60_000_000)
    assert rig.tip_ng == 0.0
    pump(rig, 1000, 60_000_000)
    assert rig.tip_ng == pytest.approx(500.0, rel=1e-6)


def test_what_drips_out_of_a_tubing_that_is_off_the_catheter_is_no_dose():
    rig = Rig(SMOOTH)
    rig.join(False)
    pump(rig, 300_000, 60_000_000)
    rig.join(True)
    assert rig.tip_ng == 0.0 and rig.line.waste_ng == pytest.approx(150_000, rel=1e-6)
    assert rig.delivered_nl == pytest.approx(300_000, rel=1e-6)


def test_a_refill_mixes_with_what_the_syringe_left():
    rig = Rig(replace(SMOOTH, liquid_nl=6_000_000))
    assert rig.withdraw(400_000.0) == 5_600_000
    rig.refill(18_000_000, 2000.0)
    assert rig.reservoir.conc == pytest.approx((0.4 * 500 + 18 * 2000) / 18.4)


def test_a_refill_that_names_no_concentration_is_of_the_same():
    rig = Rig(SMOOTH)
    rig.withdraw()
    rig.refill(18_000_000)
    assert rig.reservoir.conc == 500.0


# ---- one plant, two volume programmes


def pump(rig, volume_nl, span_us):
    """So much, evenly, by one lease."""
    steps = round(volume_nl / STEP_NL)
    rig.feed(span_us // 1000 + 1000)
    rig.put(steps, 0, span_us // steps)
    end_us = rig.now_us + span_us
    while rig.now_us < end_us:
        rig.advance_to(min(end_us, rig.now_us + 60_000_000))


def changed(old, new, stretches):
    """A rig on DOSE_NG_H through a change of concentration, and the curve of its tip; (nL, us) from the refill on."""
    rig = Rig(replace(SMOOTH, conc_mcg_ml=float(old), liquid_nl=6_000_000))
    rig.settle()
    pump(rig, 4 * DOSE_NG_H * 1000 / old, 4 * HOUR_US)
    rig.withdraw()
    rig.refill(18_000_000, float(new))
    for volume_nl, span_us in stretches:
        pump(rig, volume_nl, span_us)
    (curve,) = tip.curves(rig, lambda us: DOSE_NG_H * us / HOUR_US, 0)
    return curve


def at_once(new):
    """30 h with volumes of the new concentration from the start."""
    return [(30 * DOSE_NG_H * 1000 / new, 30 * HOUR_US)]


def bridged(old, new):
    """30 h: the volumes of the old concentration until the line is through, then those of the new one."""
    through_us = DEAD_NL * old * HOUR_US // (1000 * DOSE_NG_H)
    left_us = 30 * HOUR_US - through_us
    return [(DEAD_NL, through_us), (DOSE_NG_H * left_us / HOUR_US * 1000 / new, left_us)]


@pytest.mark.req("R-CON-3")
@pytest.mark.parametrize(("old", "new", "jump"), [(500, 2000, -75.0), (2000, 500, 300.0), (50, 500, -90.0)])
def test_without_a_bridge_the_dose_rate_at_the_tip_jumps_and_with_it_it_does_not(old, new, jump):
    without, with_bridge = changed(old, new, at_once(new)), changed(old, new, bridged(old, new))
    assert without.largest_deviation(without.at_tip) == pytest.approx(jump, abs=2)
    assert abs(with_bridge.largest_deviation(with_bridge.at_tip)) < 2.5


@pytest.mark.req("R-CON-3")
@pytest.mark.parametrize(("old", "new"), [(500, 2000), (2000, 500)])
def test_the_dashed_line_of_the_report_is_what_a_pump_without_a_bridge_would_have_done(old, new):
    done = changed(old, new, at_once(new))
    reckoned = changed(old, new, bridged(old, new))
    at = dict(zip(reckoned.t_s, reckoned.unbridged, strict=True))
    off = [abs(rate - at[t]) / DOSE_NG_H for t, rate in zip(done.t_s, done.at_tip, strict=True) if t in at]
    assert len(off) > 100 and max(off) < 0.1


def test_a_change_shows_when_the_drug_went_in_and_when_it_came_through():
    curve = changed(500, 2000, bridged(500, 2000))
    assert (curve.before_mcg_ml, curve.after_mcg_ml, curve.window_s) == (500.0, 2000.0, 3600.0)
    assert curve.entered_s == pytest.approx(4 * 3600, abs=600)
    assert curve.through_s == pytest.approx(4 * 3600 + DEAD_NL / 50_000 * 3600, abs=600)


def test_a_new_line_has_a_curve_of_its_own_and_nothing_to_compare_it_with():
    rig = Rig(SMOOTH)
    pump(rig, 50_000, HOUR_US)
    rig.new_tube()
    rig.new_catheter()
    pump(rig, DEAD_NL, 60_000_000)
    pump(rig, 50_000, HOUR_US)
    (curve,) = tip.curves(rig, lambda us: DOSE_NG_H * us / HOUR_US, 0)
    assert curve.before_mcg_ml == 0.0 and not curve.unbridged and curve.largest_deviation(curve.unbridged) is None


def test_the_pump_reckons_with_the_declared_concentration_and_the_tip_gives_what_was_mixed():
    rig = Rig(replace(SMOOTH, conc_mcg_ml=2000.0, liquid_nl=6_000_000))
    rig.settle()
    pump(rig, 50_000, 4 * HOUR_US)
    rig.withdraw(400_000.0)
    rig.refill(18_000_000, 500.0)
    for volume_nl, span_us in bridged(2000, 500):
        pump(rig, volume_nl, span_us)
    (curve,) = tip.curves(rig, lambda us: DOSE_NG_H * us / HOUR_US, 0, [(0, 2000), (4 * HOUR_US, 500)])
    assert curve.declared_mcg_ml == 500.0 and curve.after_mcg_ml == pytest.approx(532.6, abs=0.1)
    assert curve.largest_deviation(curve.unbridged) == pytest.approx(300.0)
    assert curve.at_tip[-1] / DOSE_NG_H == pytest.approx(532.6 / 500, abs=0.001)
