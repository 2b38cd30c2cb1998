"""Alarm causes found in time, and what the pump does: R-ALM-2 to R-ALM-9, R-CAP-2, R-OVD-1."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pump_rig import DAY_MS, HOUR_MS, NIGHT_FLEX, PumpRig, flat
from test_account import refill

BOLUS = (50_000, 60, 3600, 200_000)
MINUTE = 60_000


def until(rig, code, limit_ms, step=1000):
    """ms until the alarm is on; fails beyond the limit."""
    for ms in range(0, limit_ms + 1, step):
        if code in rig.alarms():
            return ms
        rig.advance(step)
    raise AssertionError(f"{code} not found in {limit_ms} ms; on: {rig.alarms()}")


@pytest.mark.req("R-ALM-5")
@pytest.mark.parametrize("daily", [350_000, 2_000_000])
def test_a_stalled_motor_is_found_within_15_minutes_and_basal_goes_on(daily):
    rig = PumpRig().take_over(flat(daily)).run()
    rig.advance(HOUR_MS)
    rig.hal.follow = 0
    until(rig, "MOTOR_STALL", 15 * MINUTE)
    assert rig.status()["state"] == "running"


@pytest.mark.req("R-ALM-5")
def test_at_a_slow_rate_a_stall_is_found_when_the_slack_of_32_counts_has_been_commanded():
    """12 mcg/day at 2000 mcg/mL is 600 steps or 768 counts a day: 32 counts take an hour."""
    rig = PumpRig().take_over(flat(12_000)).run()
    rig.advance(3 * HOUR_MS)
    rig.hal.follow = 0
    assert until(rig, "MOTOR_STALL", 63 * MINUTE, 10_000) > 50 * MINUTE


@pytest.mark.req("R-ALM-5", "R-BOL-3")
def test_a_stall_in_a_bolus_is_found_within_a_second_and_it_ends_uncertain():
    rig = PumpRig().take_over(NIGHT_FLEX, bolus=BOLUS).run()
    rig.advance(HOUR_MS)
    rig.do("DOSE:BOLUS", volume="50000nl", path="pump")
    rig.advance(10_000)
    rig.hal.follow = 0
    until(rig, "MOTOR_STALL", 1000, 50)
    assert rig.status()["outcome"] in ("UNCERTAIN", "PARTIAL")
    made = len(rig.edges())
    rig.advance(10_000)
    assert len(rig.edges()) - made <= 3


@pytest.mark.req("R-ALM-5")
@pytest.mark.parametrize(("slip", "outcome"), [(1.0, "DONE"), (0.99, "DONE"), (0.97, "UNCERTAIN"), (0.5, "UNCERTAIN")])
def test_a_bolus_short_at_the_witness_by_more_than_2_percent_is_uncertain(slip, outcome):
    rig = PumpRig().take_over(NIGHT_FLEX, bolus=BOLUS).run()
    rig.advance(HOUR_MS)
    rig.hal.follow = slip
    rig.do("DOSE:BOLUS", volume="50000nl", path="pump")
    rig.advance(61_000)
    assert rig.status()["outcome"] == outcome


@pytest.mark.req("R-ALM-5", "R-ALM-1")
def test_a_witness_ahead_of_the_command_stops_the_motor_within_one_lease_until_acknowledged():
    rig = PumpRig().take_over(flat(700_000)).run()
    rig.advance(HOUR_MS)
    rig.hal.rotor += 60
    until(rig, "OVER_DELIVERY", 10_000)
    assert rig.hal.enabled_until <= rig.hal.us
    made = len(rig.edges())
    rig.advance(HOUR_MS)
    assert len(rig.edges()) == made
    rig.do("ALAR:ACK", id="OVER_DELIVERY")
    rig.advance(MINUTE)
    assert rig.status()["state"] == "running"


@pytest.mark.req("R-ALM-5", "R-ALM-6")
@given(st.sampled_from([12_000, 100_000, 350_000, 2_003_000]), st.integers(0, 3))
@settings(max_examples=8)
def test_a_healthy_pump_raises_no_alarm_at_any_rate(daily, hours):
    rig = PumpRig().take_over(flat(daily)).run()
    rig.advance(4 * HOUR_MS)
    rig.cut_power(5000).connect()
    rig.advance(2 * HOUR_MS)
    rig.do("STOP")
    rig.advance(MINUTE)
    rig.run()
    rig.advance(hours * HOUR_MS)
    assert rig.alarms() == set()


@pytest.mark.req("R-ALM-6")
def test_a_rotor_that_slips_a_tenth_is_under_delivery_within_the_window():
    rig = PumpRig().take_over(flat(700_000)).run()
    rig.advance(HOUR_MS)
    rig.hal.follow = 0.89
    assert until(rig, "UNDER_DELIVERY", 17 * MINUTE, 10_000) >= 13 * MINUTE
    assert rig.status()["state"] == "running"


@pytest.mark.req("R-ALM-6", "R-ALM-7")
def test_a_stop_is_low_at_once_withdrawal_risk_when_half_of_6_hours_are_missing_and_high_after_48_hours():
    rig = PumpRig().take_over(flat(350_000)).run()
    rig.advance(7 * HOUR_MS)
    rig.do("STOP")
    rig.advance(MINUTE)
    assert "PUMP_STOPPED" in rig.alarms()
    assert until(rig, "WITHDRAWAL_RISK", 3 * HOUR_MS + 31 * MINUTE, MINUTE) >= 3 * HOUR_MS
    rig.advance(44 * HOUR_MS)
    priority = [row["priority"] for row in rig.link.records("ALAR?") if row["id"] == "PUMP_STOPPED"]
    assert priority == ["LOW"]
    rig.advance(2 * HOUR_MS)
    priority = [row["priority"] for row in rig.link.records("ALAR?") if row["id"] == "PUMP_STOPPED"]
    assert priority == ["HIGH"]


@pytest.mark.req("R-ALM-6", "R-TIM-1", "R-ALM-8")
def test_an_outage_of_unknown_length_is_a_withdrawal_risk_and_the_lowest_rate_runs_until_the_time_is_set():
    rig = PumpRig().take_over(NIGHT_FLEX).run()
    rig.advance(20 * HOUR_MS)
    rig.cut_power(HOUR_MS, clock_kept=False).connect()
    assert {"WITHDRAWAL_RISK", "CLOCK_LOST"} <= rig.alarms()
    assert rig.status()["rate"] == "14000ng/h"
    assert rig.refused("RUN") == "CLOCK_LOST"
    rig.advance(HOUR_MS)
    rig.do("TIME", set=f"{int(rig.unix())}s", offset="0min")
    assert "CLOCK_LOST" not in rig.alarms()
    assert rig.status()["rate"] == "16800ng/h"


@pytest.mark.req("R-ALM-2", "R-ALM-3")
def test_the_reservoir_is_low_at_72_hours_left_and_empty_at_the_last_usable_step():
    rig = PumpRig().take_over(flat(350_000), conc=500, volume=2_700_000).run()
    used = 2_700_000 - 500_000 - 2_100_000  # 72 h are 2.1 mL of the usable 2.2
    ms = until(rig, "RESERVOIR_LOW", 5 * HOUR_MS, MINUTE)
    assert ms == pytest.approx(used / 700_000 * DAY_MS, abs=2 * MINUTE)
    rig.advance(80 * HOUR_MS)
    assert "RESERVOIR_EMPTY" in rig.alarms()
    assert len(rig.edges()) == 220_000
    assert rig.status()["res"] == "500000nl"


@pytest.mark.req("R-ALM-3")
def test_over_delivery_that_only_the_witness_sees_empties_the_reservoir_count_and_is_a_flow_discrepancy():
    rig = PumpRig().take_over(flat(350_000), conc=500, volume=18_000_000).run()
    rig.hal.follow = 1.04
    rig.advance(12 * HOUR_MS)
    assert "FLOW_DISCREPANCY" in rig.alarms()
    used = 18_000_000 - int(rig.status()["res"][:-2])
    assert used == pytest.approx(350_000 * 1.04, rel=0.001)


@pytest.mark.req("R-CAP-2")
def test_a_port_opened_in_mid_bolus_ends_it_partial_at_once_and_basal_goes_on():
    rig = PumpRig().take_over(NIGHT_FLEX, bolus=BOLUS).run()
    rig.advance(HOUR_MS)
    rig.do("DOSE:BOLUS", volume="50000nl", path="pump")
    rig.advance(30_000)
    made = len(rig.edges())
    rig.open_port()
    rig.advance(1000)
    assert len(rig.edges()) - made <= 1
    status = rig.status()
    assert (status["outcome"], status["state"], status["top"]) == ("PARTIAL", "running", "PORT_OPEN")
    assert abs(int(status["steps"]) - (made - 705)) <= 1  # 700 steps of basal in the hour, 5 or 6 in the half minute
    rig.advance(HOUR_MS)
    assert len(rig.edges()) - made == pytest.approx(700, abs=1)


@pytest.mark.req("R-CAP-2")
@pytest.mark.parametrize("end", ["by itself", "STOP", "port"])
def test_the_ports_interrupt_guards_the_motor_while_a_bolus_moves_and_no_longer(end):
    rig = PumpRig().take_over(NIGHT_FLEX, bolus=BOLUS).run()
    rig.advance(HOUR_MS)
    assert not rig.hal.guarded, "basal is never cut"
    made = len(rig.edges())
    rig.do("DOSE:BOLUS", volume="50000nl", path="pump")
    assert rig.hal.guarded and len(rig.edges()) == made, "before its first step"
    rig.advance(30_000)
    assert rig.hal.guarded
    if end == "STOP":
        rig.do("STOP")
    elif end == "port":
        rig.open_port()
    rig.advance(1000 if end != "by itself" else HOUR_MS)
    assert not rig.hal.guarded
    assert (rig.hal.enabled_until > rig.hal.us) is (end != "STOP")


@pytest.mark.req("R-CAP-1", "R-CAP-2")
def test_port_open_clears_only_when_closed_without_a_bounce_and_acknowledged():
    rig = PumpRig().take_over(NIGHT_FLEX, bolus=BOLUS).run()
    rig.advance(HOUR_MS)
    rig.open_port()
    for _ in range(20):
        rig.open_port(False)
        rig.advance(300)
        assert rig.pump.port.open
        rig.open_port()
        rig.advance(100)
    assert rig.refused("DOSE:BOLUS", volume="50000nl", path="pump") == "PORT_OPEN"
    rig.open_port(False)
    rig.advance(2000)
    assert "PORT_OPEN" in rig.alarms()
    assert rig.refused("DOSE:BOLUS", volume="50000nl", path="pump") == "ALARM_ACTIVE"
    rig.do("ALAR:ACK", id="PORT_OPEN")
    assert rig.alarms() == set()
    assert rig.do("DOSE:BOLUS", volume="50000nl", path="pump")["outcome"] == "RUNNING"


@pytest.mark.req("R-ALM-4")
def test_the_battery_falls_slowly_low_then_depleted_then_the_motor_rests_until_it_can_drive_again():
    rig = PumpRig().take_over(NIGHT_FLEX).run()
    for mv in range(3600, 3290, -2):
        rig.hal.millivolts = mv
        rig.advance(MINUTE)
    rig.advance(6 * MINUTE)
    assert "BATTERY_LOW" in rig.alarms()
    rig.hal.millivolts = 2950
    until(rig, "BATTERY_DEPLETED", 6 * MINUTE, 10_000)
    made = len(rig.edges())
    rig.advance(HOUR_MS)
    assert len(rig.edges()) == made
    rig.hal.millivolts = 3700
    rig.advance(6 * MINUTE)
    assert rig.status()["state"] == "running"
    assert "BATTERY_DEPLETED" in rig.alarms()


@pytest.mark.req("R-OVD-1")
@given(st.integers(0, 100_000), st.booleans())
@settings(max_examples=12)
def test_stop_typed_by_hand_ends_all_motion_within_one_step_and_stays(ms, bolus):
    rig = PumpRig().take_over(flat(1_803_000), conc=500, bolus=BOLUS).run()
    rig.advance(HOUR_MS)
    if bolus:
        rig.do("DOSE:BOLUS", volume="50000nl", path="pump")
    rig.advance(ms)
    made = len(rig.edges())
    rig.link.type_line("stop")
    rig.advance(60_000)
    assert len(rig.edges()) - made <= 1
    rig.cut_power(1000).connect()
    rig.advance(60_000)
    assert len(rig.edges()) - made <= 1
    assert rig.status()["state"] == "stopped"


@pytest.mark.req("R-BOL-1", "R-BOL-2")
def test_a_stop_makes_no_room_in_the_bolus_window_and_lockout_runs_from_start_to_start():
    rig = PumpRig().take_over(NIGHT_FLEX, bolus=(5_000, 60, 3600, 25_000)).run()
    rig.advance(HOUR_MS)
    for _ in range(2):
        rig.do("DOSE:BOLUS", volume="5000nl", path="pump")
        rig.advance(3_599_000)
        assert rig.refused("DOSE:BOLUS", volume="5000nl", path="pump") == "LOCKOUT"
        rig.advance(2_000)
    assert rig.refused("DOSE:BOLUS", volume="5000nl", path="pump") == "WINDOW_MAX"
    rig.do("STOP")
    rig.advance(4 * HOUR_MS)
    rig.run()
    assert rig.refused("DOSE:BOLUS", volume="5000nl", path="pump") in ("WINDOW_MAX", "ALARM_ACTIVE")
    for code in list(rig.alarms()):
        rig.do("ALAR:ACK", id=code)
    rig.advance(6 * HOUR_MS)
    for code in list(rig.alarms()):
        rig.do("ALAR:ACK", id=code)
    assert rig.refused("DOSE:BOLUS", volume="5000nl", path="pump") == "WINDOW_MAX"


@pytest.mark.req("R-PRF-4", "R-TIM-1")
@given(st.lists(st.tuples(st.integers(1, 180), st.integers(-720, 720)), min_size=1, max_size=10))
@settings(max_examples=15)
def test_after_any_clock_corrections_no_24_hours_hold_more_than_the_high_dose_and_1_percent(corrections):
    rig = PumpRig().take_over([("all", "00:00", 100_000), ("all", "12:00", 180_000)]).run()
    rig.advance(DAY_MS)
    offset = 0
    for minutes, jump in corrections:
        rig.advance(minutes * MINUTE)
        offset += jump * 60
        rig.do("TIME", set=f"{int(rig.unix()) + offset}s", offset="0min")
    rig.advance(DAY_MS)
    edges = rig.edges()
    most, low = 0, 0
    for high in range(len(edges)):
        while edges[high] - edges[low] >= DAY_MS * 1000:
            low += 1
        most = max(most, high - low + 1)
    assert most <= 280_000 // 20 * 101 // 100 + 1


@pytest.mark.req("R-PRF-4")
def test_a_clock_set_back_every_hour_does_not_stay_at_the_peak():
    rig = PumpRig().take_over([("all", "00:00", 100_000), ("all", "12:00", 180_000)]).run()
    rig.advance(18 * HOUR_MS)
    for _ in range(30):
        rig.do("TIME", set=f"{1_809_302_400 + 18 * 3600}s", offset="0min")
        rig.advance(HOUR_MS)
    edges = [us for us in rig.edges() if us > rig.hal.us - DAY_MS * 1000]
    assert len(edges) <= 280_000 // 20 * 101 // 100 + 1


@pytest.mark.req("R-MNT-1", "R-FIL-2")
def test_a_refill_keeps_the_program_running_and_licenses_one_maintenance_increase():
    rig = PumpRig().take_over(flat(350_000), phase="maintenance").run()
    rig.advance(HOUR_MS)
    assert rig.commit_code(flat(480_000)) == "NO_REFILL"
    refill(rig, 6_000_000, withdrawn=17_000_000)
    assert rig.commit_code(flat(491_000)) == "STEP_CAP"
    assert rig.commit_code(flat(490_000)) == "OK"
    rig.advance(25 * HOUR_MS)
    assert rig.commit_code(flat(500_000)) == "NO_REFILL"
