"""The account: what was authorised, stepped and witnessed, through power cuts, refills and restarts."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pump_rig import DAY_MS, HOUR_MS, NIGHT_FLEX, PumpRig, flat

from doseloop import snapshot
from doseloop.line import Fill
from doseloop.program import Program
from doseloop.supplies import dose_ahead_ng, time_until_used_ms
from doseloop.taper import Taper
from doseloop.units import MINUTE_MS
from hil.errors import Refused

BOLUS = (5_000, 60, 3600, 40_000)


def counts(rig):
    return {name: int(value) for name, value in rig.status("account").items() if value.isdigit()}


@pytest.mark.req("R-ALM-3", "R-MON-1")
@given(st.integers(1, 40_000_000))
@settings(max_examples=15)
def test_authorised_stepped_and_witnessed_agree_at_every_moment_of_a_healthy_day(ms):
    rig = PumpRig().take_over(NIGHT_FLEX).run()
    rig.advance(ms)
    found = counts(rig)
    assert found["authorised"] == found["stepped"] == len(rig.edges())
    assert abs(found["witness"] - len(rig.edges()) * 4096 // 3200) <= 1


@pytest.mark.req("R-DOSE-1", "R-PRF-4")
def test_a_day_of_the_labels_night_example_is_exactly_175_microlitres():
    rig = PumpRig().take_over(NIGHT_FLEX).run()
    rig.advance(DAY_MS)
    assert len(rig.edges()) == 17_500
    assert rig.status("account")["auth"] == "175000nl"
    assert rig.status()["day"] == "350000ng"


@pytest.mark.req("R-ALM-11", "R-TIM-1")
@given(st.integers(1, 20 * 60_000), st.sampled_from([0, 1000, 600_000]))
@settings(max_examples=25)
def test_a_power_cut_is_uncertain_by_at_most_the_reservation_and_the_upper_bound_counts(ms, outage):
    rig = PumpRig().take_over(flat(700_000), conc=500).run()
    rig.advance(ms)
    rig.cut_power(outage).connect()
    made = len(rig.edges())
    found = counts(rig)
    assert made <= found["authorised"] <= made + 1_000 + 1
    assert rig.status()["state"] == "running"


@pytest.mark.req("R-ALM-11")
def test_basal_resumes_by_itself_from_now_and_nothing_is_made_up():
    rig = PumpRig().take_over(flat(350_000)).run()
    rig.advance(HOUR_MS)
    rig.cut_power(6 * HOUR_MS)
    before = len(rig.edges())
    rig.advance(HOUR_MS)
    assert len(rig.edges()) - before == pytest.approx(350_000 / 24 / 2000 * 100, abs=1)


@pytest.mark.req("R-BOL-2", "R-ALM-11")
@given(st.integers(0, 59_000))
@settings(max_examples=15)
def test_a_bolus_cut_off_by_a_power_loss_is_uncertain_whole_and_never_given_again(ms):
    rig = PumpRig().take_over(NIGHT_FLEX, bolus=BOLUS).run()
    rig.advance(HOUR_MS)
    given_id = "0badcafe"
    at = int(rig.unix())
    rig.do("DOSE:BOLUS", volume="5000nl", path="pump", id=given_id, at=f"{at}s", ttl="60s")
    rig.advance(ms)
    rig.cut_power(1000).connect()
    made = len(rig.edges())
    status = rig.status()
    assert (status["last_id"], status["outcome"]) == (given_id, "UNCERTAIN")
    assert rig.do("DOSE:BOLUS", volume="5000nl", path="pump", id=given_id, at=f"{int(rig.unix())}s", ttl="60s")["outcome"] == "UNCERTAIN"
    rig.advance(120_000)
    assert len(rig.edges()) - made <= 24  # 700 an hour of basal
    assert rig.pump.deliveries.given_ng(rig.pump.clock.elapsed) == 10_000
    rig.advance(HOUR_MS)
    assert rig.refused("DOSE:BOLUS", volume="5000nl", path="pump") == "UNCERTAIN"
    rig.do("ALAR:ACK", id="UNCERTAIN")
    assert rig.do("DOSE:BOLUS", volume="5000nl", path="pump")["outcome"] == "RUNNING"


@pytest.mark.req("R-MON-2")
def test_the_log_keeps_commands_refusals_alarms_and_resets_over_a_power_cut():
    rig = PumpRig().take_over(NIGHT_FLEX).run()
    rig.refused("DOSE:BOLUS", volume="5000nl", path="port")
    rig.open_port()
    rig.cut_power(2000).connect()
    log = rig.link.records("LOG?")
    kinds = {entry["what"] for entry in log}
    assert {"command", "refusal", "alarm", "reset"} <= kinds
    assert any("CATHETER_PORT" in entry["text"] for entry in log)
    numbers = [int(entry["n"]) for entry in log]
    assert numbers == sorted(numbers)


@pytest.mark.req("R-UNIT-3", "R-MON-1")
@pytest.mark.parametrize(
    ("verb", "fields", "code"),
    [
        ("DOSE:BOLUS", {"volume": "5000nl", "path": "cap"}, "CATHETER_PORT"),
        ("DOSE:BOLUS", {"volume": "5mg", "path": "pump"}, "UNIT"),
        ("DOSE:BOLUS", {"volume": "4000nl", "path": "pump"}, "BOLUS_OFF"),
        ("DOSE:PRIME", {"volume": "5000nl", "path": "pump", "connected": "no"}, "STATE"),
        ("THER:PHASE", {"phase": "maintenance", "when": "now"}, "ARG"),
        ("RUN", {}, "SESSION"),
        ("CAL:SET", {"spm": "100000"}, "MISSING"),
        ("TEST:FLOW", {"volume": "5000nl", "rate": "1000nl/h"}, "STATE"),
        ("CAL:MOVE", {"steps": "100", "rate": "10/s"}, "STATE"),
        ("RES:REFILL", {"path": "septum", "fluid": "drug", "volume": "1nl", "withdrawn": "0nl"}, "MISSING"),
    ],
)
def test_a_refusal_changes_nothing(verb, fields, code):
    rig = PumpRig().take_over(NIGHT_FLEX, bolus=BOLUS).run()
    rig.advance(10_000)
    rig.pump.advance(rig.pump.clock.elapsed)
    before = snapshot.dump(rig.pump)
    if code == "SESSION":
        rig.link.session = type(rig.link.session)(rig.link.session.boot, "00000000", rig.link.session.nonce, {})
    assert rig.refused(verb, **fields) == code
    assert snapshot.dump(rig.pump) == before


@pytest.mark.req("R-CAL-2")
def test_test_fluid_is_booked_apart_and_refuses_every_therapy_verb():
    rig = PumpRig().set_up()
    fill = dict(path="septum", withdrawn="0nl", volume="5000000nl")
    rig.do("RES:REFILL", fluid="test", **fill)
    rig.do("TEST:BOLUS", volume="20000nl", time="20s")
    rig.advance(21_000)
    found = counts(rig)
    assert (found["test"], found["authorised"], rig.status()["day"]) == (2000, 2000, "0ng")
    assert rig.refused("DOSE:BOLUS", volume="5000nl", path="pump") == "TEST_FLUID"
    assert rig.refused("RUN") == "TEST_FLUID"
    drug = dict(fluid="drug", drug="baclofen", conc="500mcg/ml", lot="L", expiry="2029-01-01", stored="ok", attended="yes")
    assert rig.refused("RES:REFILL", **fill, **drug) == "TEST_FLUID"
    rig.do("EMPTY", id="00000001")
    rig.do("RES:REFILL", **fill, **drug)
    assert rig.status()["fluid"] == "drug"


@pytest.mark.req("R-CAL-2")
def test_moving_steps_to_calibrate_needs_no_calibration_and_is_booked_as_moved():
    rig = PumpRig().connect()
    rig.do("TIME", set=f"{int(rig.unix())}s", offset="0min")
    rig.do("RES:REFILL", path="septum", fluid="test", volume="5000000nl", withdrawn="0nl")
    rig.do("CAL:MOVE", steps="3200", rate="800/s")
    rig.advance(5_000)
    assert counts(rig)["moved"] == 3200 == len(rig.edges())


@pytest.mark.req("R-CAL-1")
def test_without_calibration_no_first_run_and_the_refusal_names_the_command():
    rig = PumpRig().connect()
    rig.do("TIME", set=f"{int(rig.unix())}s", offset="0min")
    digest = rig.stage(NIGHT_FLEX)
    rig.do(
        "THER:IMPORT", population="spinal", birth="1980-05-01", phase="titration", hash=digest, screen="50mcg", effect="short",
        increase_ago="100000s", volume="18000000nl", conc="2000mcg/ml", lot="L1", expiry="2029-01-01",
    )  # fmt: skip
    assert rig.refused("RUN") == "UNCALIBRATED"
    assert "hil calibrate" in rig.pump.last_error[1]


@pytest.mark.req("R-COM-1")
def test_a_therapy_is_taken_over_once_by_service_on_an_empty_journal_and_shown_as_imported():
    rig = PumpRig().take_over(NIGHT_FLEX)
    assert rig.status()["origin"] == "imported"
    fields = dict(
        population="spinal", birth="1980-05-01", phase="screened", screen="50mcg", effect="short", increase_ago="0s",
        volume="0nl", conc="2000mcg/ml", lot="L1", expiry="2029-01-01",
    )  # fmt: skip
    assert rig.refused("THER:IMPORT", **fields) == "STATE"
    other = PumpRig().connect("operator")
    other.do("TIME", set=f"{int(other.unix())}s", offset="0min")
    with pytest.raises(Refused) as refused:
        other.link.command("THER:IMPORT", fields, role="operator")
    assert refused.value.code == "ROLE"


@pytest.mark.req("R-OVD-1", "R-FIL-2")
def test_empty_makes_the_volume_zero_and_a_refill_is_the_new_count():
    rig = PumpRig().take_over(NIGHT_FLEX).run()
    rig.advance(HOUR_MS)
    rig.do("EMPTY", id="00000002")
    assert rig.status()["res"] == "0nl"
    rig.advance(60_000)
    assert "RESERVOIR_EMPTY" in rig.alarms()
    made = len(rig.edges())
    rig.advance(HOUR_MS)
    assert len(rig.edges()) == made
    refill(rig, 10_000_000, withdrawn=0)
    assert rig.status()["res"] == "10000000nl"
    rig.advance(HOUR_MS)
    assert len(rig.edges()) - made == 700


def refill(rig, volume, withdrawn, conc=2000, **more):
    fields = dict(
        path="septum", fluid="drug", drug="baclofen", volume=f"{volume}nl", conc=f"{conc}mcg/ml", lot="L2", expiry="2029-01-01",
        withdrawn=f"{withdrawn}nl", stored="ok", attended="yes",
    )  # fmt: skip
    fields.update(more)
    return rig.do("RES:REFILL", **fields)


@pytest.mark.req("R-FIL-1", "R-FIL-2", "R-CON-1", "R-POP-2")
@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"path": "port"}, "CATHETER_PORT"),
        ({"path": "catheter_access_port"}, "CATHETER_PORT"),
        ({"path": "syringe"}, "ROUTE"),
        ({"drug": "morphine"}, "COMPOUNDED"),
        ({"attended": "no"}, "UNATTENDED"),
        ({"conc": "50mcg/ml"}, "CONCENTRATION"),
        ({"conc": "2001mcg/ml"}, "CONCENTRATION"),
        ({"expiry": "2027-05-02"}, "EXPIRED"),
        ({"conc": "500mcg/ml"}, "CONCENTRATION"),
        ({"volume": "20000000nl"}, "CAPACITY"),
        ({"expiry": "2027-05-02", "volume": "20000000nl"}, "EXPIRED"),
    ],
)
def test_a_refill_is_refused_by_the_first_rule_that_forbids_it(more, code):
    rig = PumpRig().take_over(NIGHT_FLEX).run()
    fields = dict(
        path="septum", fluid="drug", drug="baclofen", volume="1000000nl", conc="2000mcg/ml", lot="L2", expiry="2029-01-01",
        withdrawn="0nl", stored="ok", attended="yes",
    )  # fmt: skip
    assert rig.refused("RES:REFILL", **{**fields, **more}) == code
    assert rig.status()["res"] == "18000000nl"


@pytest.mark.req("R-FIL-2")
@pytest.mark.parametrize(("withdrawn", "on"), [(17_500_000, False), (17_499_999 - 25_375, True)])
def test_a_withdrawn_volume_far_from_the_expected_one_raises_refill_discrepancy(withdrawn, on):
    """175 uL delivered: 14.5 % of it is far less than 0.5 mL, so 0.5 mL decides."""
    rig = PumpRig().take_over(NIGHT_FLEX, volume=18_175_000).run()
    rig.advance(DAY_MS)
    refill(rig, 1_000_000, withdrawn)
    assert ("REFILL_DISCREPANCY" in rig.alarms()) is on


@pytest.mark.req("R-FIL-3")
def test_the_refill_date_is_when_reservoir_low_comes_on_to_three_minutes():
    rig = PumpRig().take_over(NIGHT_FLEX, volume=2_300_000).run()
    forecast = int(rig.status()["refill_by"][:-1])
    rig.advance(DAY_MS)
    again = int(rig.status()["refill_by"][:-1])
    assert abs(again - forecast) <= 180
    while "RESERVOIR_LOW" not in rig.alarms():
        rig.advance(30_000)
        assert rig.unix() < forecast + 400
    assert abs(rig.unix() - forecast) <= 180


@pytest.mark.req("R-FIL-4")
def test_a_refill_or_a_change_of_program_starts_the_observation_timer_and_blocks_nothing():
    rig = PumpRig().take_over(NIGHT_FLEX).run()
    assert rig.status()["obs"] == "0s"
    rig.commit([("all", "00:00", 253_000), ("all", "19:00", 80_000)])
    assert rig.status()["obs"] == "86400s"
    rig.advance(HOUR_MS)
    assert rig.status()["obs"] == "82800s"
    assert rig.status()["state"] == "running"


@pytest.mark.req("R-FIL-3")
@given(st.integers(20_000, 2_000_000), st.integers(2_000_001, 19_000_000), st.integers(0, 604_799_999))
def test_the_forecast_is_the_first_minute_at_which_the_volume_is_used(daily, volume, week_ms):
    program = Program(["name=p", "conc=500", f"seg.all.00:00={daily // 3}", f"seg.all.16:00={daily}", f"seg.sun.00:00={daily // 5}"])
    found = time_until_used_ms(program, week_ms, volume, Fill(500), 3650 * DAY_MS)
    used = [dose_ahead_ng(program, week_ms, ms) * 2 for ms in (found - MINUTE_MS, found)]  # nl of 500 mcg/ml
    assert used[0] < volume <= used[1]


def _is_first_minute(program, course_ms, volume, fill):
    found = time_until_used_ms(program, course_ms, volume, fill, 3650 * DAY_MS)
    before, then = (fill.nl_for(dose_ahead_ng(program, course_ms, ms)) for ms in (max(0, found - MINUTE_MS), found))
    return then >= volume and (before < volume or not found)


@pytest.mark.req("R-FIL-3")
@given(st.integers(0, 99_000), st.integers(1, 400_000), st.integers(0, 604_799_999), st.integers(1, 240_000))
def test_the_forecast_knows_allowance_and_bridge_to_the_minute(allowance, volume, week_ms, left_nl):
    bolus = ["bolus_volume=1000", "bolus_time=60", "bolus_lockout=60", f"bolus_allowance={allowance}"] if allowance else []
    program = Program(["name=p", "conc=500", "seg.all.00:00=70000", "seg.all.19:30=20000", "seg.tue.00:00=0", *bolus])
    assert _is_first_minute(program, week_ms, volume, Fill(2000, left_nl, 500))


@pytest.mark.req("R-FIL-3", "R-HOL-1")
@given(st.integers(1, 4_000_000), st.integers(0, 40 * DAY_MS))
def test_the_forecast_of_a_holiday_is_its_first_minute_or_never(volume, course_ms):
    taper = Taper(["name=p", "conc=500", *(f"taper.{day:02d}={400_000 - 20_000 * day}" for day in range(1, 15))])
    ahead = Fill(500).nl_for(dose_ahead_ng(taper, course_ms, 40 * DAY_MS))
    if ahead < volume:
        assert time_until_used_ms(taper, course_ms, volume, Fill(500), 3650 * DAY_MS) == 3650 * DAY_MS
    else:
        assert _is_first_minute(taper, course_ms, volume, Fill(500))
