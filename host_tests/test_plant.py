"""The plant: leases to pulses, pulses to turns, turns to grams."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hil.plant import FAULTS, FaultError, LeaseError, Rig, RigConfig, buoyancy, water_density

DAY_US = 86_400_000_000
SMOOTH = RigConfig(pulsation=(), run_in_share=0.0, wear_per_1000_turns=0.0, evaporation_mg_h=0.0)

leases = st.tuples(st.integers(0, 40), st.integers(0, 5_000), st.integers(1, 3_000))


def edges_by_hand(chain, until_us):
    """The definition of a lease, one pulse at a time."""
    at, edges = 0, []
    for n, gap, period in chain:
        at += gap
        for _ in range(n):
            at += period
            edges.append(at)
    return [edge for edge in edges if edge <= until_us]


@given(st.lists(leases, max_size=12), st.lists(st.integers(0, 9_000), max_size=12))
def test_pulses_stand_where_the_leases_put_them_whatever_the_wake_ups(chain, waits):
    rig = Rig()
    for lease in chain:
        rig.put(*lease)
    for wait in waits:
        rig.advance_to(rig.now_us + wait)
        expected = edges_by_hand(chain, rig.now_us)
        assert rig.edges_us().tolist() == expected
        assert rig.count == len(expected)
        assert rig.pending == sum(n for n, _, _ in chain) - len(expected)


def test_a_pulse_exactly_at_the_current_instant_counts_as_made():
    rig = Rig()
    rig.put(3, 100, 50)
    rig.advance_to(149)
    assert rig.count == 0
    rig.advance_to(150)
    assert rig.count == 1


def test_a_lease_put_on_an_idle_engine_starts_at_the_current_instant():
    rig = Rig()
    rig.advance_to(1_000)
    rig.put(1, 0, 10)
    rig.advance_to(2_000)
    assert rig.edges_us().tolist() == [1_010]


@given(st.lists(leases, min_size=1, max_size=6), st.integers(0, 200_000))
def test_after_a_revoke_not_one_pulse_more_is_made(chain, at):
    rig = Rig()
    for lease in chain:
        rig.put(*lease)
    rig.advance_to(at)
    count = rig.revoke()
    rig.advance_to(at + DAY_US)
    assert rig.count == count == len(edges_by_hand(chain, at))
    assert rig.edges_us().tolist() == edges_by_hand(chain, at)
    assert rig.pending == 0


def test_a_boot_starts_the_count_anew_and_the_witness_goes_on():
    rig = Rig()
    rig.feed(10_000)
    rig.put(3200, 0, 1_000)
    rig.advance_to(3_200_000)
    assert rig.inputs().witness == 4096
    rig.boot()
    assert (rig.count, rig.pending, rig.inputs().witness) == (0, 0, 4096)
    assert len(rig.edges_us()) == 3200


@pytest.mark.parametrize("lease", [(-1, 0, 5), (1, -1, 5), (2, 0, 0)])
def test_a_lease_no_engine_can_run_is_an_error(lease):
    with pytest.raises(LeaseError):
        Rig().put(*lease)


def test_a_pulse_that_is_owed_comes_at_once_and_those_after_it_in_their_time():
    rig = Rig()
    rig.feed(10_000)
    rig.put(1, 0, 0)
    rig.put(2, 0, 1000)
    rig.advance_to(5000)
    assert list(rig.edges_us()) == [0, 1000, 2000]


def test_time_never_runs_backward():
    rig = Rig()
    rig.advance_to(10)
    with pytest.raises(ValueError, match="forward only"):
        rig.advance_to(9)


@given(st.integers(1, 500), st.integers(1, 400))
def test_pulses_move_the_rotor_only_until_the_enable_deadline(fed_ms, pulses):
    rig = Rig()
    rig.feed(fed_ms)
    rig.put(pulses, 0, 1_000)
    rig.advance_to(1_000_000)
    assert rig.count == pulses
    assert rig.rotor.steps == min(fed_ms, pulses)


@given(st.lists(st.integers(1, 3_000), min_size=1, max_size=20))
def test_the_volume_does_not_depend_on_how_often_one_looks(spans):
    looked, unseen = Rig(), Rig()
    for rig in (looked, unseen):
        rig.feed(10**9)
        rig.put(100_000, 0, 700)
    for span in spans:
        looked.advance_to(looked.now_us + span * 1_000)
        looked.sample()
    unseen.advance_to(looked.now_us)
    assert looked.delivered_nl == pytest.approx(unseen.delivered_nl, rel=1e-12)
    assert looked.weight_g() == pytest.approx(unseen.weight_g(), rel=1e-9)


@given(st.integers(1, 40))
def test_each_roller_passage_gives_the_same_volume(passages):
    rig = Rig(RigConfig(run_in_share=0.0, wear_per_1000_turns=0.0))
    assert rig.head.volume_nl(passages * 400) == pytest.approx(passages * 4_000)


@given(st.floats(0, 1e6))
def test_the_closed_form_is_the_integral_of_a_pulsating_flow(position):
    head = Rig().head
    flow = (head.volume_nl(position + 0.01) - head.volume_nl(position)) / 0.01
    phase = math.tau * position / 400
    tube = 1 + 0.001 * math.exp(-position / 160_000) - 0.001 * position / 3_200_000
    assert flow == pytest.approx(10 * (tube + 0.15 * math.sin(phase) + 0.05 * math.sin(2 * phase)), abs=5e-3)


def driven(config=SMOOTH, **fault):
    """A rig after 1000 pulses of 1 ms, with the faults given."""
    rig = Rig(config, seed=7)
    rig.feed(10_000)
    for name, params in fault.items():
        rig.fault(name, **params)
    rig.put(1000, 0, 1_000)
    rig.advance_to(1_000_000)
    return rig


def test_a_thousand_steps_of_a_smooth_head_are_ten_microlitres():
    rig = driven()
    assert rig.delivered_nl == pytest.approx(10_000)
    assert rig.weight_g() == pytest.approx(0.01 * 0.998207 * buoyancy(0.998207), rel=1e-5)
    assert rig.inputs().witness == 1280


@pytest.mark.parametrize(
    ("fault", "steps"),
    [
        ({"motor_stalled": {}}, 0),
        ({"driver_dead": {}}, 0),
        ({"motor_slips": {"percent": 2.5}}, 975),
        ({"motor_oversteps": {"percent": 10}}, 1100),
        ({"runaway": {"steps_per_s": 50}}, 1050),
    ],
)
def test_a_fault_of_the_motion_shows_at_the_witness_and_in_the_beaker(fault, steps):
    rig = driven(**fault)
    assert rig.count == 1000
    assert rig.inputs().witness == steps * 4096 // 3200
    assert rig.delivered_nl == pytest.approx(10 * steps)


def test_a_runaway_ends_with_the_enable_unless_told_otherwise():
    for undriven, steps in ((False, 500), (True, 5_000)):
        rig = Rig(SMOOTH)
        rig.feed(1_000)
        rig.fault("runaway", steps_per_s=500, undriven=undriven)
        rig.advance_to(10_000_000)
        assert rig.rotor.steps == steps


def test_a_dead_witness_keeps_its_count_and_goes_on_from_it():
    rig = driven(witness_dead={})
    assert rig.inputs().witness == 0
    assert rig.delivered_nl == pytest.approx(10_000)
    rig.clear("witness_dead")
    rig.put(1000, 0, 1_000)
    rig.advance_to(2_000_000)
    assert rig.inputs().witness == 1280


def test_an_occluded_tube_holds_its_swelling_and_gives_it_at_once():
    rig = driven(occlusion={"compliance_nl": 4_000})
    assert rig.delivered_nl == 0
    assert rig.reservoir.volume_nl == pytest.approx(20_000_000 - 4_000)
    rig.clear("occlusion")
    assert rig.delivered_nl == pytest.approx(4_000)


def test_free_flow_is_seen_by_the_balance_alone():
    rig = driven(free_flow={"nl_per_h": 3_600_000})
    assert rig.inputs().witness == 1280
    assert rig.delivered_nl == pytest.approx(11_000)


def test_an_empty_reservoir_gives_no_liquid_and_a_refill_gives_it_again():
    rig = driven(RigConfig(liquid_nl=3_000, pulsation=()))
    assert rig.delivered_nl == pytest.approx(3_000)
    rig.refill(5_000_000)
    rig.put(100, 0, 1_000)
    rig.advance_to(2_000_000)
    assert rig.delivered_nl == pytest.approx(4_000, rel=1e-3)
    assert rig.withdraw() == pytest.approx(4_999_000, rel=1e-5)


def test_the_motor_stands_while_the_battery_cannot_drive_it():
    rig = driven(battery_curve={"points": [[0, 2600]]})
    assert (rig.count, rig.rotor.steps, rig.enabled) == (1000, 0, False)
    rig.new_battery()
    assert rig.enabled


def test_a_scripted_battery_falls_in_a_straight_line():
    rig = Rig()
    rig.fault("battery_curve", points=[[0, 3700], [10, 2700]])
    rig.advance_to(5 * 3_600_000_000)
    assert rig.battery_mv() == 3200


def test_a_spike_is_read_and_does_not_stop_the_motor():
    rig = Rig()
    rig.fault("battery_spike", mv=900, readings=1)
    rig.feed(100)
    assert [rig.battery_mv(), rig.battery_mv()] == [900, 3720]
    assert rig.enabled


def test_the_battery_falls_with_the_charge_used():
    rig = Rig(RigConfig(battery_mah=10, idle_ua=100))
    seen = []
    for day in range(1, 6):
        rig.advance_to(day * DAY_US)
        seen.append(rig.battery_mv())
    assert seen == sorted(seen, reverse=True)
    assert seen[-1] == 2400


def test_a_broken_port_switch_reads_open_and_a_bouncing_one_both():
    rig = Rig(seed=3)
    assert not rig.inputs().port_open
    rig.fault("port_unreadable")
    assert rig.inputs().port_open
    rig.clear("port_unreadable")
    rig.fault("port_bounces", period_ms=5)
    seen = set()
    for ms in range(100):
        rig.advance_to(ms * 1_000)
        seen.add(rig.inputs().port_open)
    assert seen == {True, False}


def test_the_kept_clock_shows_what_was_set_and_drifts_from_there():
    rig = Rig()
    rig.fault("clock_lost")
    assert not rig.inputs().rtc_valid
    rig.rtc_set(1_000_000_000)
    rig.fault("clock_drifts", ppm=100)
    rig.advance_to(10_000 * 1_000_000)
    seen = rig.inputs()
    assert (seen.rtc_valid, seen.rtc_s, seen.rtc_ms) == (True, 1_000_010_001, 0)


def test_density_and_buoyancy_give_the_z_factors_of_the_tables():
    for celsius, z in ((20.0, 1.0029), (25.0, 1.0040)):
        density = water_density(celsius)
        assert 1 / (density * buoyancy(density)) == pytest.approx(z, abs=1e-4)


def test_every_fault_begins_and_ends_and_has_words_for_a_person():
    given_params = {
        "percent": 5,
        "steps_per_s": 3,
        "mmhg": 100,
        "nl_per_h": 9,
        "volume_nl": 10,
        "points": [[0, 3000]],
        "mv": 1,
        "celsius": 41,
        "ppm": 3,
        "seconds": 60,
    }
    for name, fault in FAULTS.items():
        rig = Rig()
        rig.fault(name, **{key: given_params[key] for key in fault.params if key in given_params})
        assert name in rig.active_faults
        rig.clear(name)
        assert not rig.active_faults
        assert fault.doc.endswith(".")


def test_an_unknown_fault_or_parameter_is_told_what_would_do():
    with pytest.raises(FaultError, match="motor_stalled"):
        Rig().fault("motor_stuck")
    with pytest.raises(FaultError, match="percent: float"):
        Rig().fault("motor_slips", share=3)


@settings(max_examples=20)
@given(st.integers(0, 2**31))
def test_the_same_seed_gives_the_same_rig(seed):
    seen = []
    for _ in range(2):
        rig = Rig(seed=seed)
        rig.fault("port_bounces")
        rig.advance_to(123_456)
        seen.append((rig.inputs(), rig.sample()))
    assert seen[0] == seen[1]


def test_a_day_of_leases_costs_the_plant_well_under_a_second():
    """28 days of night-flex are 240,000 leases of 10 s and 490,000 steps; here a day of them."""
    rig = Rig()
    began = time.perf_counter()
    for turn in range(8_640):
        rig.feed(12_000)
        rig.put(2, 100, 4_000_000)
        rig.advance_to((turn + 1) * 10_000_000)
        rig.inputs()
    took = time.perf_counter() - began
    edges = rig.edges_us()
    assert len(edges) == rig.count > 17_000
    assert (np.diff(edges) > 0).all()
    assert took < 1.5
