"""The rig driven by pins: the same head, supplies and faults as by leases, only the pulses come from outside."""

from __future__ import annotations

import pytest

from hil.plant import LeaseError, Rig, RigConfig
from hil.plant.pins import PinRig

PERIOD_US = 4000


def pulsed(rig: PinRig, count: int, from_us: int = 1_000_000) -> int:
    """So many pulses; gives the instant of the last."""
    for number in range(count):
        rig.pulse(from_us + number * PERIOD_US)
    return from_us + (count - 1) * PERIOD_US


def driven(count: int, **faults: dict[str, object]) -> PinRig:
    rig = PinRig()
    rig.drive(True, 500_000)
    for name, params in faults.items():
        rig.fault(name, **params)
    pulsed(rig, count)
    return rig


def test_a_pulse_turns_the_rotor_only_while_the_driver_is_enabled() -> None:
    rig = PinRig()
    pulsed(rig, 100)
    assert (rig.engine.total, rig.rotor.steps) == (100, 0)
    rig.drive(True, 2_000_000)
    pulsed(rig, 100, 2_100_000)
    rig.drive(False, 3_000_000)
    pulsed(rig, 100, 3_100_000)
    assert (rig.engine.total, rig.rotor.steps, rig.enabled) == (300, 100, False)


def test_pins_and_leases_move_the_same_liquid() -> None:
    by_pins, by_leases = driven(3200), Rig()
    by_leases.feed(60_000)
    by_leases.put(3200, 0, PERIOD_US)
    by_leases.advance_to(20_000_000)
    assert by_pins.delivered_nl == pytest.approx(by_leases.delivered_nl)
    assert by_pins.rotor.witness() == by_leases.rotor.witness() == 4096


@pytest.mark.parametrize(
    "fault, params",
    [("motor_stalled", {}), ("motor_slips", {"percent": 15.0}), ("driver_dead", {}), ("witness_dead", {}), ("occlusion", {})],
)
def test_a_fault_acts_the_same_on_pins_and_on_leases(fault: str, params: dict[str, object]) -> None:
    by_pins, by_leases = driven(1000, **{fault: params}), Rig()
    by_leases.fault(fault, **params)
    by_leases.feed(60_000)
    by_leases.put(1000, 0, PERIOD_US)
    by_leases.advance_to(20_000_000)
    assert by_pins.rotor.witness() == by_leases.rotor.witness()
    assert by_pins.delivered_nl == pytest.approx(by_leases.delivered_nl)


def test_a_battery_too_weak_to_drive_moves_nothing_whatever_the_pin_says() -> None:
    rig = driven(0, battery_curve={"points": [[0, 2000]]})
    pulsed(rig, 100)
    assert (rig.engine.total, rig.rotor.steps, rig.enabled) == (100, 0, False)


def test_an_edge_that_is_told_late_keeps_its_own_instant() -> None:
    rig = PinRig()
    rig.drive(True, 0)
    rig.advance_to(1_000_500)
    rig.pulse(1_000_000)
    assert (list(rig.edges_us()), rig.now_us, rig.rotor.steps) == ([1_000_000], 1_000_500, 1)


def test_a_restart_counts_anew_and_leaves_rotor_and_log() -> None:
    rig = driven(50)
    rig.boot()
    assert (rig.count, rig.engine.total, rig.rotor.steps, rig.enabled) == (0, 50, 50, False)
    rig.drive(True, 2_000_000)
    pulsed(rig, 5, 2_100_000)
    assert (rig.count, rig.engine.total) == (5, 55)


def test_the_flow_is_that_of_the_last_two_pulses_and_ends_when_none_come() -> None:
    rig = PinRig(RigConfig(pulsation=()))
    rig.drive(True, 0)
    last_us = pulsed(rig, 10)
    assert rig.flow_nl_h() == pytest.approx(1e6 / PERIOD_US * 10 * 3600, rel=0.01)
    rig.advance_to(last_us + 11_000_000)
    assert rig.flow_nl_h() == 0


def test_a_rig_on_pins_takes_no_leases() -> None:
    with pytest.raises(LeaseError, match="pins"):
        PinRig().put(1, 0, 1000)
