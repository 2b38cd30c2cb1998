"""Gaps that a review proved, each closed: what was tried, and what the pump must answer (whole firmware)."""

import json

import pytest
from pump_rig import DAY_MS, HOUR_MS, PumpRig, flat
from test_holiday import at_the_zero, commit_taper, days_from, in_holiday
from therapy_rig import caps, code_of, fill, respond_code, screen_code
from tip_rig import new_part

from doseloop import snapshot

MINUTE_MS = 60_000
REFILL = dict(
    path="septum", fluid="drug", drug="baclofen", volume="18000000nl", conc="2000mcg/ml", lot="L1", expiry="2029-01-01", withdrawn="0nl",
    stored="ok", attended="yes",
)  # fmt: skip


def running(daily=100_000, hours=1, **more):
    rig = PumpRig().take_over(flat(daily), **more).run()
    rig.advance(hours * HOUR_MS)
    return rig


def new_trial(rig):
    """A new trial, its first dose positive with a short effect, and the reservoir ready for a program."""
    rig.do("STOP")
    rig.do("SCREEN:NEW")
    new_part(rig, "both")
    fill(rig, 50)
    rig.advance(2000)
    assert screen_code(rig, 50) == "OK"
    rig.advance(8 * HOUR_MS)
    assert respond_code(rig, result="positive", effect="short") == "OK"
    new_part(rig, "both")
    fill(rig, 2000)
    return rig


@pytest.mark.req("R-INI-1", "R-HOL-1", "R-SCR-4")
def test_after_a_holiday_and_a_new_trial_the_start_cap_is_the_new_trials():
    rig = running(800_000)
    assert commit_taper(rig, days_from(800_000)) == "OK"
    rig.cut_power(14 * DAY_MS)
    rig.connect().advance(HOUR_MS)
    new_trial(rig)
    assert caps(rig)["most"] == "100000ng"
    assert rig.commit_code(flat(100_001)) == "START_CAP"


@pytest.mark.req("R-TIT-4", "R-WDR-1")
def test_a_dose_too_small_for_a_step_in_two_days_is_still_what_the_next_step_is_measured_against():
    rig = running(hours=25)
    assert rig.commit_code(flat(1), reason="OVERDOSE") == "OK"
    rig.advance(48 * HOUR_MS)
    assert rig.status("therapy")["daily"] == "1ng"
    assert rig.commit_code(flat(100_001)) == "STEP_CAP"
    assert rig.commit_code(flat(100_000)) == "OK"  # the confirmed return, once


@pytest.mark.req("R-WDR-1", "R-INI-1", "R-ALM-7")
def test_a_pump_held_empty_for_more_than_14_days_waits_for_run_which_asks_for_a_first_programs_dose():
    rig = running(800_000)
    rig.do("EMPTY")
    rig.advance(2 * MINUTE_MS)
    assert rig.commit_code(flat(1_000_000)) == "STATE"  # held: STOP first, and RUN judges anew
    rig.cut_power(15 * DAY_MS)
    rig.connect().advance(2 * MINUTE_MS)
    rig.do("RES:REFILL", **REFILL)
    made = len(rig.edges())
    rig.advance(HOUR_MS)
    assert len(rig.edges()) == made
    assert rig.status()["state"] == "stopped"
    assert "PUMP_STOPPED" in rig.alarms()
    assert code_of(rig, "RUN") == "START_CAP"


@pytest.mark.req("R-ALM-2", "R-ALM-7", "R-HOL-1")
def test_a_restart_after_a_holiday_over_an_empty_reservoir_is_alarmed():
    rig = at_the_zero()
    rig.advance(HOUR_MS)
    rig.do("EMPTY")
    rig.advance(2 * MINUTE_MS)
    assert "RESERVOIR_EMPTY" not in rig.alarms()  # nothing is to be delivered
    assert rig.commit_code(flat(90_000)) == "OK"
    rig.advance(2 * MINUTE_MS)
    assert "RESERVOIR_EMPTY" in rig.alarms()


@pytest.mark.req("R-TIT-4", "R-SCR-5")
@pytest.mark.parametrize("how", ["new trial", "power cut"])
def test_a_program_that_made_one_step_before_stop_is_the_program_last_run(how):
    rig = running(200_000, hours=25)
    rig.advance(61_000 - rig.pump.clock.elapsed % 60_000)
    assert rig.commit_code(flat(260_000)) == "OK"
    made = len(rig.edges())
    while len(rig.edges()) == made:
        rig.advance(1000)
    rig.do("STOP")
    if how == "new trial":
        rig.do("SCREEN:NEW")
    else:
        rig.cut_power(1000)
        rig.connect()
    assert rig.status("therapy")["daily"] == "260000ng"
    assert rig.pump.therapy.last_increase is not None


@pytest.mark.req("R-MNT-1")
def test_maintenance_is_not_entered_while_an_increase_waits_for_its_first_step():
    rig = running(hours=25)
    assert rig.commit_code(flat(130_000)) == "OK"
    assert code_of(rig, "THER:PHASE", phase="maintenance") == "TOO_SOON"


@pytest.mark.req("R-MNT-2")
def test_the_high_dose_too_falls_by_at_most_20_percent():
    week = [("all", "00:00", 100_000), ("sat", "00:00", 50_000), ("sun", "00:00", 50_000)]
    rig = PumpRig().take_over(week).run()
    rig.advance(25 * HOUR_MS)
    assert rig.commit_code(flat(50_000), bolus=(10_000, 60, 3600, 50_000)) == "STEP_CAP"


@pytest.mark.req("R-PRF-4", "R-HOL-1")
def test_after_a_holiday_broken_off_the_clock_rule_goes_by_the_days_that_ran():
    def set_clock(rig, second_of_day):
        wanted = int(rig.unix()) // 86_400 * 86_400 + second_of_day
        rig.do("TIME", set=f"{wanted}s", offset="0min")
        rig.skew_s += wanted - rig.unix()

    rig = in_holiday()
    rig.cut_power(9 * DAY_MS)
    rig.connect().advance(20 * HOUR_MS)
    set_clock(rig, 60)
    before = days_from(100_000)[8]
    day = rig.pump.therapy.base(rig.pump.clock.elapsed).daily.floor()
    assert rig.commit_code([("all", "00:00", day * 7 // 10), ("all", "12:00", day - day * 7 // 10)]) == "OK"
    given = rig.pump.ledger.authorised_ng.total
    for _ in range(24):
        rig.advance(HOUR_MS - MINUTE_MS)
        set_clock(rig, 60)
        rig.advance(MINUTE_MS)
    assert rig.pump.ledger.authorised_ng.total - given <= before * 101 // 100 + 40


@pytest.mark.req("R-HOL-1", "R-ALM-7")
def test_a_holiday_broken_off_while_stopped_holds_its_days_dose_and_is_still_missed():
    days = days_from(100_000)
    rig = in_holiday(days)
    rig.advance(2 * DAY_MS + HOUR_MS)
    rig.do("STOP")
    assert rig.do("THER:PHASE", phase="titration")["phase"] == "titration"
    rig.cut_power(12 * DAY_MS)
    rig.connect().advance(2 * MINUTE_MS)
    assert "PUMP_STOPPED" in rig.alarms()
    assert rig.status("therapy")["daily"] == f"{days[2]}ng"
    assert code_of(rig, "RUN") == "OK"


@pytest.mark.req("R-INI-3", "R-INI-2", "R-HOL-1")
def test_the_first_24_hours_are_flat_after_a_new_trial_and_after_a_holiday():
    shape = [("all", "00:00", 22_000), ("all", "12:00", 28_000)]
    rig = new_trial(running(hours=25))
    assert rig.commit_code(shape) == "START_FLAT"
    assert rig.commit_code(flat(80_000)) == "OK"
    rig.run()
    rig.advance(20 * MINUTE_MS)
    assert rig.commit_code([("all", "00:00", 38_000), ("all", "12:00", 42_000)]) == "START_FLAT"
    restarted = at_the_zero()
    assert restarted.commit_code(flat(50_000)) == "OK"
    restarted.advance(HOUR_MS)
    assert restarted.commit_code(shape) == "START_FLAT"


@pytest.mark.req("R-ALM-7", "R-ALM-6")
def test_a_new_trial_does_not_silence_the_alarm_of_a_stopped_infusion_which_does_not_block_it():
    rig = running(800_000, hours=25)
    rig.do("STOP")
    rig.do("SCREEN:NEW")
    rig.cut_power(60 * HOUR_MS)
    rig.connect().advance(HOUR_MS)
    assert [(alarm.code, alarm.priority) for alarm in rig.pump.alarms.active() if alarm.code == "PUMP_STOPPED"] == [("PUMP_STOPPED", 3)]
    new_part(rig, "both")
    fill(rig, 50)
    rig.advance(2000)
    assert screen_code(rig, 50) == "OK"
    assert rig.status("trial")["outcome"] == "DONE"


@pytest.mark.req("R-ALM-6")
def test_an_outage_of_unknown_length_is_a_withdrawal_risk_also_while_stopped():
    rig = running()
    rig.do("STOP")
    rig.cut_power(10 * HOUR_MS, clock_kept=False)
    rig.advance(2 * MINUTE_MS)
    assert "WITHDRAWAL_RISK" in rig.alarms()


@pytest.mark.req("R-HOL-1", "R-ALM-6")
def test_a_reset_soon_after_a_tapers_start_raises_no_alarm():
    rig = in_holiday()
    rig.advance(5 * MINUTE_MS)
    rig.cut_power(1000)
    rig.connect()
    rig.advance(7 * HOUR_MS)
    assert not rig.alarms() & {"UNDER_DELIVERY", "WITHDRAWAL_RISK"}


@pytest.mark.req("R-ALM-6", "R-HOL-1")
def test_after_a_restart_and_a_reset_the_windows_do_not_reach_back_before_the_zero():
    rig = at_the_zero()
    rig.advance(6 * HOUR_MS)
    assert rig.commit_code(flat(90_000)) == "OK"
    rig.advance(HOUR_MS)
    rig.cut_power(1000)
    rig.connect()
    rig.advance(8 * HOUR_MS)
    assert not rig.alarms() & {"UNDER_DELIVERY", "WITHDRAWAL_RISK"}


@pytest.mark.req("R-ALM-11")
def test_the_saved_state_does_not_grow_with_commits():
    rig = running()
    for number in range(12):
        digest = rig.stage(flat(100_000), name=f"p{number}")
        rig.do("PROG:COMMIT", hash=digest, route="intrathecal")
        rig.advance(40_000)
        if number == 3:
            early = len(json.dumps(snapshot.dump(rig.pump)))
    assert len(json.dumps(snapshot.dump(rig.pump))) <= early + 900  # the 64 ids that are kept


@pytest.mark.req("R-CON-1", "R-POP-1")
def test_an_import_keeps_the_concentrations_of_the_label_and_its_confirmation_is_of_this_patient():
    rig = PumpRig().set_up()
    fields = dict(population="cerebral", birth="1980-05-01", phase="screened", screen="50mcg", effect="short", increase_ago="0s",
                  volume="18000000nl", conc="2000mcg/ml", lot="L1", expiry="2029-01-01", injury="2026-12-01")  # fmt: skip
    assert code_of(rig, "THER:IMPORT", **{**fields, "conc": "5000mcg/ml"}) == "CONCENTRATION"
    tokens = set()
    for birth in ("1980-05-01", "1981-05-01"):
        with pytest.raises(Exception) as refused:
            rig.do("THER:IMPORT", **{**fields, "birth": birth})
        assert refused.value.code == "CONFIRM_INJURY"
        tokens.add(refused.value.fields["confirm"])
    assert len(tokens) == 2


@pytest.mark.req("R-TIM-1")
def test_no_row_of_power_cuts_makes_elapsed_time_run_ahead():
    rig = running()
    began, elapsed = rig.hal.us, rig.pump.clock.elapsed
    for _ in range(20):
        rig.advance(700)
        rig.cut_power(1)
    assert rig.pump.clock.elapsed - elapsed <= (rig.hal.us - began) // 1000
