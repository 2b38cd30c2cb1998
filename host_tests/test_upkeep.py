"""What has to be kept up: calibration, the temperature of a filled reservoir, the observation timer (R-CAL-1, R-STO-1, R-FIL-4)."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pump_rig import DAY_MS, HOUR_MS, NIGHT_FLEX, PumpRig, flat
from therapy_rig import MINUTE_MS, code_of, fill, refusal_of

from hil.errors import Refused

BOLUS = (5_000, 60, 3600, 40_000)
CALIBRATION = dict(
    spm=100_000, points=5, spread_ppm=3000, tube="T1", tube_hours=1, date="2027-05-01",
    hours=20_000, volume="100000000ul", rate_min="0nl/h", rate_max="100000nl/h",
)  # fmt: skip


def running(**calibration):
    """A therapy that runs on a calibration with some figures of its own."""
    rig = PumpRig().take_over(NIGHT_FLEX, bolus=BOLUS)
    rig.do("CAL:SET", **{**CALIBRATION, **calibration})
    rig.run()
    rig.advance(10_000)
    return rig


# ---- calibration


@pytest.mark.req("R-CAL-1", "R-ALM-11")
@pytest.mark.parametrize("calibration", [{"hours": 1}, {"volume": "7ul"}])
def test_a_calibration_that_runs_out_while_running_stops_no_basal_and_every_bolus(calibration):
    rig = running(**calibration)
    assert "CAL_EXPIRED" not in rig.alarms()
    rig.advance(HOUR_MS + 2 * MINUTE_MS)
    assert rig.alarms() == {"CAL_EXPIRED"}
    assert rig.status()["state"] == "running"
    made = len(rig.edges())
    rig.advance(HOUR_MS)
    assert len(rig.edges()) == made + 700  # 14,000 ng/h at 2000 mcg/mL are 7 uL: nothing is withheld
    refusal = refusal_of(rig, "DOSE:BOLUS", volume="5000nl", path="pump")
    assert refusal.code == "UNCALIBRATED"
    assert "hil calibrate" in refusal.text
    rig.do("STOP")
    rig.do("CAL:SET", **CALIBRATION)
    rig.run()
    rig.advance(MINUTE_MS)
    assert "CAL_EXPIRED" not in rig.alarms()
    assert code_of(rig, "DOSE:BOLUS", volume="5000nl", path="pump") == "OK"


@pytest.mark.req("R-CAL-1")
def test_a_calibration_is_written_only_at_rest_and_by_the_service_role():
    rig = running()
    assert code_of(rig, "CAL:SET", **CALIBRATION) == "STATE"
    rig.do("STOP")
    with pytest.raises(Refused) as refused:
        rig.link.command("CAL:SET", {name: str(value) for name, value in CALIBRATION.items()}, role="operator")
    assert refused.value.code == "ROLE"
    assert code_of(rig, "CAL:SET", **CALIBRATION) == "OK"


@pytest.mark.req("R-CAL-1")
@given(st.one_of(st.integers(10_000, 1_000_000), st.integers(94_990, 95_010), st.integers(104_990, 105_010)))
@settings(max_examples=60)
def test_a_change_of_more_than_5_percent_in_steps_per_ml_has_to_be_confirmed(spm):
    rig = PumpRig().set_up()  # calibrated with 100,000 steps per mL
    asked = None
    try:
        rig.do("CAL:SET", **{**CALIBRATION, "spm": spm})
    except Refused as refusal:
        asked = refusal
    assert (asked is not None) == (not 95_000 <= spm <= 105_000)
    if asked:
        assert asked.code == "CONFIRM_CALIBRATION"
        assert rig.pump.ledger.steps_per_ml == 100_000
        rig.do("CAL:SET", confirm=asked.fields["confirm"], **{**CALIBRATION, "spm": spm})
    assert rig.pump.ledger.steps_per_ml == spm


# ---- storage

TENTHS = st.one_of(st.integers(-200, 900), st.sampled_from([9, 10, 11, 399, 400, 401]))


@pytest.mark.req("R-STO-1")
@given(TENTHS)
@settings(max_examples=40)
def test_a_filled_reservoir_above_40_or_below_1_degree_is_told_and_basal_goes_on(celsius):
    rig = running()
    rig.hal.celsius = celsius
    rig.advance(7 * MINUTE_MS)
    assert rig.alarms() == ({"TEMPERATURE"} if celsius > 400 or celsius < 10 else set())
    assert rig.status()["state"] == "running"
    rig.hal.celsius = 370  # the drug is stable at the body's own temperature
    rig.advance(2 * MINUTE_MS)
    assert rig.alarms() == set()


@pytest.mark.req("R-STO-1")
def test_a_warm_hand_on_the_sensor_or_an_empty_reservoir_or_no_sensor_is_no_alarm():
    rig = running()
    rig.hal.celsius = 410
    rig.advance(4 * MINUTE_MS)
    rig.hal.celsius = 250
    rig.advance(10 * MINUTE_MS)
    assert rig.alarms() == set()
    rig.hal.celsius = None
    rig.advance(10 * MINUTE_MS)
    assert rig.alarms() == set()
    empty = PumpRig().set_up()
    empty.hal.celsius = 900
    empty.advance(10 * MINUTE_MS)
    assert empty.alarms() == set()
    fill(empty, 500)
    empty.advance(7 * MINUTE_MS)
    assert empty.alarms() == {"TEMPERATURE"}


# ---- the observation timer


def observed_s(rig):
    return int(rig.status()["obs"][:-1])


@pytest.mark.req("R-FIL-4")
@pytest.mark.parametrize("hours", [1, 24, 72])
def test_a_refill_and_a_commit_observe_for_as_long_as_they_say_and_a_later_end_holds(hours):
    rig = running()
    left = int(rig.status()["res"][:-2])
    refill = dict(
        path="septum", fluid="drug", drug="baclofen", volume="9000000nl", conc="2000mcg/ml", lot="L2", expiry="2029-01-01",
        withdrawn=f"{left}nl", stored="ok", attended="yes",
    )  # fmt: skip
    rig.do("RES:REFILL", observe=f"{hours}h", **refill)
    assert observed_s(rig) == hours * 3600
    rig.commit(flat(350_000))  # 24 h, unless it says otherwise
    assert observed_s(rig) == max(hours, 24) * 3600
    rig.cut_power(60_000).connect()
    assert observed_s(rig) == max(hours, 24) * 3600 - 60
    rig.commit(flat(345_000), observe="72h")
    assert observed_s(rig) == 72 * 3600
    assert rig.status()["state"] == "running"
    rig.advance(DAY_MS)
    assert observed_s(rig) == 48 * 3600


@pytest.mark.req("R-FIL-4", "R-UNIT-2")
@pytest.mark.parametrize(("observe", "code"), [("0h", "ARG"), ("73h", "ARG"), ("24", "UNIT"), ("60min", "UNIT"), ("1h", "OK")])
def test_an_observation_lasts_1_to_72_hours(observe, code):
    assert running().commit_code(flat(350_000), observe=observe) == code
