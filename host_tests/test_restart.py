"""What must not be lost, gained or forgotten at a power cut: each of these was found by somebody who tried."""

import contextlib
from bisect import bisect_right
from types import SimpleNamespace

import pytest
from pump_rig import DAY_MS, HOUR_MS, PumpRig, flat
from test_account import refill

from doseloop import records
from doseloop.alarms import STOP
from hil.errors import Refused

MINUTE = 60_000
BOLUS = (50_000, 60, 3600, 300_000)


def running(**more):
    rig = PumpRig().take_over(flat(100_000), **{"bolus": BOLUS, **more}).run()
    rig.advance(20 * MINUTE)
    return rig


def prime(rig, volume=100_000):
    fields = dict(volume=f"{volume}nl", path="pump", connected="no")
    try:
        rig.do("DOSE:PRIME", **fields)
    except Refused as refusal:
        rig.do("DOSE:PRIME", confirm=refusal.fields["confirm"], **fields)


def authorised(rig):
    return int(rig.status("account")["authorised"])


@pytest.mark.req("R-BOL-2", "R-ALM-3")
@pytest.mark.parametrize("wait", [0, 1, 61_000])
def test_a_bolus_that_ended_stays_in_the_account(wait):
    rig = running()
    rig.do("DOSE:BOLUS", volume="50000nl", path="pump")
    rig.advance(60_000 + wait)
    rig.cut_power(1000).connect()
    assert authorised(rig) >= len(rig.edges())
    assert int(rig.status()["res"][:-2]) <= 18_000_000 - len(rig.edges()) * 10


@pytest.mark.req("R-CON-4", "R-ALM-3")
def test_a_prime_cut_off_is_booked_whole_and_stays_booked_over_a_second_cut():
    rig = running()
    rig.do("STOP")
    before = int(rig.status()["res"][:-2])
    prime(rig)
    rig.advance(20_000)
    for _ in range(2):
        rig.cut_power(1000).connect()
        assert int(rig.status()["res"][:-2]) <= before - 100_000
    assert rig.status("supplies")["prime_left"] == "140000nl"


@pytest.mark.req("R-BOL-2", "R-ALM-3")
@pytest.mark.parametrize("ms", [0, 1, 30_000, 59_999])
def test_a_bolus_cut_off_stays_booked_whole_over_a_second_cut(ms):
    rig = running()
    rig.do("DOSE:BOLUS", volume="50000nl", path="pump")
    rig.advance(ms)
    for _ in range(2):
        rig.cut_power(1000)
        assert rig.pump.ledger.total_steps() >= 69 + 5000


@pytest.mark.req("R-CON-4")
def test_a_prime_fills_at_most_the_dead_volume_once_and_is_not_dose():
    rig = running()
    rig.do("STOP")
    day = rig.status()["day"]
    prime(rig, 240_000)
    rig.advance(3 * MINUTE)
    assert rig.status()["day"] == day
    assert rig.status("account")["prime"] == "24000"
    assert rig.refused("DOSE:PRIME", volume="1000nl", path="pump", connected="no") == "PRIME_DONE"


@pytest.mark.req("R-TIM-1", "R-TIT-3")
def test_setting_the_clock_after_a_bolus_and_then_a_cut_adds_no_elapsed_time():
    rig = running()
    rig.do("DOSE:BOLUS", volume="50000nl", path="pump")
    rig.advance(10_000)
    assert rig.refused("TIME", set=f"{int(rig.unix())}s", offset="0min") == "BUSY"
    rig.advance(50_000)
    rig.do("TIME", set=f"{int(rig.unix()) + 30 * 3600}s", offset="0min")
    rig.skew_s += 30 * 3600
    rig.advance(20_000)
    before = rig.pump.clock.elapsed
    rig.cut_power(1000)
    assert before <= rig.pump.clock.elapsed <= before + 2000


class Cut(Exception):
    """The power goes at a write."""


def cutting(rig, writes):
    """Let so many writes to the store pass, then cut each; `.restore()` ends it."""
    left = [writes]
    whole = (rig.store.replace, rig.store.append)

    def cut_at(write):
        def attempt(name, data):
            if not left[0]:
                raise Cut
            left[0] -= 1
            write(name, data)

        return attempt

    def restore():
        rig.store.replace, rig.store.append = whole

    rig.store.replace, rig.store.append = cut_at(whole[0]), cut_at(whole[1])
    return SimpleNamespace(restore=restore)


@pytest.mark.req("R-TIM-1", "R-TIT-3")
@pytest.mark.parametrize("writes", range(8))
def test_a_cut_at_any_write_of_a_clock_set_adds_no_elapsed_time(writes):
    rig = running()
    before = rig.pump.clock.elapsed
    store = cutting(rig, writes)
    with contextlib.suppress(Cut):
        rig.do("TIME", set=f"{int(rig.unix()) + 30 * 3600}s", offset="0min")
    store.restore()
    rig.cut_power(1000)
    assert rig.pump.clock.elapsed <= before + 2000


def told_of_primes(rig):
    """(primed steps, nl that have left the reservoir, nl that may still be primed)"""
    rig.connect()
    used_nl = 18_000_000 - int(rig.status()["res"][:-2])
    return int(rig.status("account")["prime"]), used_nl, int(rig.status("supplies")["prime_left"][:-2])


@pytest.mark.req("R-CON-4", "R-ALM-3")
@pytest.mark.parametrize("writes", range(10))
def test_a_prime_that_ended_is_booked_once_whichever_of_its_writes_is_cut(writes):
    rig = running()
    rig.do("STOP")
    _, before_nl, _ = told_of_primes(rig)
    prime(rig)
    rig.advance(1000)
    store = cutting(rig, writes)
    with contextlib.suppress(Cut):
        rig.advance(3 * MINUTE)
    store.restore()
    rig.cut_power(1000)
    primed, used_nl, left_nl = told_of_primes(rig)
    assert (primed, left_nl) == (10_000, 140_000)
    assert used_nl == pytest.approx(before_nl + 100_000, abs=1)


@pytest.mark.req("R-CON-4", "R-ALM-3")
@pytest.mark.parametrize("writes", range(12))
def test_a_prime_cut_off_after_another_is_booked_once_and_so_is_the_other_whichever_write_of_the_restart_is_cut(writes):
    rig = running()
    rig.do("STOP")
    _, before_nl, _ = told_of_primes(rig)
    prime(rig)
    rig.advance(3 * MINUTE)
    prime(rig, 50_000)
    rig.advance(1000)
    store = cutting(rig, writes)
    with contextlib.suppress(Cut):
        rig.cut_power(1000)
    store.restore()
    rig.cut_power(1000)
    primed, used_nl, left_nl = told_of_primes(rig)
    assert (primed, left_nl) == (15_000, 90_000)
    assert used_nl == pytest.approx(before_nl + 150_000, abs=1)


@pytest.mark.req("R-BOL-2", "R-MON-1")
@pytest.mark.parametrize("writes", range(8))
def test_a_bolus_that_ended_is_told_as_one_and_not_as_basal_whichever_of_its_writes_is_cut(writes):
    rig = running()
    rig.do("DOSE:BOLUS", volume="50000nl", path="pump")
    rig.advance(30_000)
    store = cutting(rig, writes)
    with contextlib.suppress(Cut):
        rig.advance(40_000)
    store.restore()
    rig.cut_power(1000).connect()
    account = rig.status("account")
    assert int(account["bolus"]) == 5000 and int(account["basal"]) < 200


@pytest.mark.req("R-MNT-3", "R-COM-1")
@pytest.mark.parametrize(("daily", "code"), [(2_003_001, "DAILY_MAX"), (5_000_000, "DAILY_MAX")])
def test_a_therapy_over_the_daily_maximum_is_not_taken_over(daily, code):
    with pytest.raises(Refused) as refused:
        PumpRig().take_over(flat(daily))
    assert refused.value.code == code


@pytest.mark.req("R-UNIT-3", "R-FIL-2")
def test_a_refused_refill_leaves_a_bolus_in_progress_alone():
    rig = running()
    rig.do("DOSE:BOLUS", volume="50000nl", path="pump")
    rig.advance(10_000)
    with pytest.raises(Refused):
        refill(rig, 19_000_000, 0)
    rig.advance(51_000)
    assert rig.pump.deliveries.last.outcome == "DONE"


@pytest.mark.req("R-TIT-3", "R-TIT-4")
def test_a_commit_that_was_never_run_is_not_stepped_from_whatever_else_moved_meanwhile():
    rig = running()
    rig.advance(25 * HOUR_MS)
    rig.do("STOP")
    assert rig.commit_code(flat(130_000), bolus=BOLUS) == "OK"
    prime(rig, 1000)
    rig.advance(3 * MINUTE)
    assert rig.status("therapy")["daily"] == "400000ng"  # 100 mcg and its allowance of 300


@pytest.mark.req("R-CON-1", "R-CAL-2")
@pytest.mark.parametrize(("more", "code"), [({"conc": 500}, "CONCENTRATION"), ({"fluid": "test"}, "STATE")])
def test_another_concentration_or_fluid_is_filled_only_while_stopped(more, code):
    rig = running(conc=2000)
    with pytest.raises(Refused) as refused:
        refill(rig, 10_000_000, 17_999_000, **more)
    assert refused.value.code == code
    assert rig.status()["state"] == "running"


@pytest.mark.req("R-OVD-1", "R-ALM-2")
def test_emptying_while_running_lets_at_most_one_more_step_leave():
    rig = PumpRig().take_over(flat(1_000_000)).run()
    rig.advance(11 * MINUTE + 5000)
    made = len(rig.edges())
    rig.do("EMPTY", id="0000000a")
    rig.advance(5 * MINUTE)
    assert len(rig.edges()) - made <= 1
    assert "RESERVOIR_EMPTY" in rig.alarms()


@pytest.mark.req("R-UNIT-3")
def test_a_question_typed_by_hand_leaves_what_is_staged():
    rig = running()
    rig.stage(flat(110_000))
    rig.link.type_line("PROG:CHECK?")
    assert rig.ask("PROG:CHECK?")["verdict"] in ("OK", "STEP_CAP")


@pytest.mark.req("R-ALM-11", "R-ALM-3")
def test_a_witness_that_dithered_back_a_count_empties_no_reservoir_at_a_restart():
    rig = PumpRig().take_over(flat(12_000))
    rig.hal.rotor -= 1.5
    rig.advance(61_000)
    rig.run()
    rig.advance(2 * MINUTE)
    rig.cut_power(1000)
    rig.advance(2 * MINUTE)
    rig.connect()
    assert (rig.status()["state"], rig.alarms()) == ("running", set())


@pytest.mark.req("R-CAP-2", "R-ALM-1")
def test_an_alarm_nobody_acknowledged_is_on_again_after_a_cut_seconds_later():
    rig = running()
    rig.open_port()
    rig.advance(5000)
    rig.open_port(False)
    rig.advance(5000)
    rig.cut_power(1000)
    rig.advance(5000)
    rig.connect()
    assert "PORT_OPEN" in rig.alarms()
    assert rig.refused("DOSE:BOLUS", volume="50000nl", path="pump") == "ALARM_ACTIVE"


@pytest.mark.req("R-BOL-3", "R-ALM-5")
def test_an_uncertain_bolus_is_still_uncertain_after_a_cut_seconds_later():
    rig = running()
    rig.do("DOSE:BOLUS", volume="50000nl", path="pump")
    rig.advance(10_000)
    rig.hal.follow = 0
    rig.advance(3000)
    rig.hal.follow = 1
    rig.cut_power(1000).connect()
    assert rig.pump.deliveries.uncertain
    assert "MOTOR_STALL" in rig.alarms()


@pytest.mark.req("R-BOL-1", "R-BOL-2")
def test_no_number_of_records_makes_the_bolus_window_forget_over_a_cut():
    rig = running(bolus=(50_000, 60, 20 * 3600, 300_000))
    rig.do("DOSE:BOLUS", volume="50000nl", path="pump")
    rig.advance(61_000)
    for _ in range(380):
        rig.do("STOP")
        rig.advance(1000)
        rig.do("RUN")
        rig.advance(1000)
    rig.cut_power(1000).connect()
    rig.advance(2000)
    assert rig.pump.deliveries.given_ng(rig.pump.clock.elapsed) == 100_000
    assert rig.refused("DOSE:BOLUS", volume="50000nl", path="pump") == "LOCKOUT"


@pytest.mark.req("R-BOL-2")
def test_boluses_keep_the_dose_they_were_given_at_when_the_concentration_changes():
    rig = running()
    rig.do("DOSE:BOLUS", volume="50000nl", path="pump")
    rig.advance(61_000)
    rig.do("STOP")
    rig.do("EMPTY", id="0000000a")
    refill(rig, 10_000_000, 0, conc=500)
    rig.commit(flat(100_000), conc=500, bolus=(200_000, 60, 3600, 300_000))
    rig.run()
    for _ in range(2):
        assert rig.pump.deliveries.given_ng(rig.pump.clock.elapsed) == 100_000
        rig.cut_power(1000).connect()


@pytest.mark.req("R-ALM-6")
@pytest.mark.parametrize(("hours", "on"), [(2, False), (5, True), (10, True)])
def test_an_outage_of_known_length_counts_in_the_six_hours(hours, on):
    rig = PumpRig().take_over(flat(100_000)).run()
    rig.advance(10 * HOUR_MS)
    rig.cut_power(hours * HOUR_MS)
    rig.advance(31 * MINUTE)
    assert ("WITHDRAWAL_RISK" in rig.alarms()) is on


@pytest.mark.req("R-ALM-6")
def test_withdrawal_risk_lasts_three_hours_after_a_long_outage_and_then_only_until_acknowledged():
    rig = PumpRig().take_over(flat(100_000)).run()
    rig.advance(10 * HOUR_MS)
    rig.cut_power(10 * HOUR_MS)
    rig.advance(3 * HOUR_MS + 31 * MINUTE)
    rig.connect()
    rig.do("ALAR:ACK", id="WITHDRAWAL_RISK")
    assert "WITHDRAWAL_RISK" not in rig.alarms()


@pytest.mark.req("R-PRF-3", "R-TIT-4")
def test_a_day_without_dose_is_no_program():
    rig = running()
    assert rig.commit_code(flat(0), reason="OVERDOSE") == "HOUR_MIN"


@pytest.mark.req("R-CON-4", "R-CAL-2")
def test_a_calibration_move_never_pushes_drug():
    rig = PumpRig().take_over(flat(100_000))
    assert rig.refused("CAL:MOVE", steps="100", rate="10/s") == "STATE"


@pytest.mark.req("R-INI-2", "R-TIM-1")
def test_running_time_is_kept_over_a_cut_to_its_last_record_and_grows_by_running_only():
    rig = running()
    rig.advance(DAY_MS)
    before = rig.pump.therapy.run_ms
    rig.cut_power(HOUR_MS)
    rig.advance(MINUTE)
    assert before - 15 * MINUTE <= rig.pump.therapy.run_ms <= before + 2 * MINUTE


@pytest.mark.req("R-ALM-9", "R-ALM-5")
@pytest.mark.parametrize(("late_at", "gap"), [(10_000, 2), (10_000, 8), (50_000, 18)])
def test_a_loop_held_up_in_a_bolus_is_late_and_the_bolus_is_booked_as_far_as_it_came(late_at, gap):
    rig = running()
    before = len(rig.edges())
    rig.do("DOSE:BOLUS", volume="50000nl", path="pump")
    rig.advance(late_at)
    rig.hal.advance_to(rig.hal.us + gap * 1_000_000)
    rig.turn()
    rig.advance(70_000)
    assert rig.alarms() == {"LATE"}
    last = rig.pump.deliveries.last
    assert last.outcome == "PARTIAL"
    assert abs(last.made - (len(rig.edges()) - before)) <= 8  # 208 steps of basal an hour beside it
    assert rig.status()["state"] == "running"


@pytest.mark.req("R-BOL-3", "R-ALM-11")
def test_no_record_is_written_while_a_bolus_moves():
    rig = PumpRig().take_over(flat(700_000), conc=1000, bolus=(20_000, 900, 3600, 25_000)).run()
    rig.advance(20 * MINUTE)
    rig.do("DOSE:BOLUS", volume="20000nl", path="pump")
    files = dict(rig.store.files)
    rig.advance(800_000)
    assert rig.store.files == files
    rig.cut_power(1000).connect()
    assert len(rig.edges()) <= authorised(rig) <= len(rig.edges()) + 1400


@pytest.mark.req("R-BOL-3")
def test_a_bolus_too_long_for_its_basal_to_be_covered_beforehand_is_no_program():
    rig = running()
    assert rig.commit_code(flat(120_000), bolus=(1_000, 900, 3600, 200_000)) == "OK"
    assert rig.commit_code([("all", "00:00", 2_000), ("all", "12:00", 118_000)], bolus=(1_000, 900, 3600, 2_000), conc=2000) != "OK"


@pytest.mark.req("R-FIL-2", "R-ALM-2")
@pytest.mark.parametrize("writes", range(7))
def test_a_refill_cut_at_any_write_is_there_whole_with_its_id_or_not_at_all(writes):
    rig = PumpRig().take_over(flat(1_000_000), conc=500).run()
    rig.advance(20 * HOUR_MS)
    left = int(rig.status()["res"][:-2])
    store = cutting(rig, writes)
    fields = {"id": "00000abc", "withdrawn": 0, "conc": 500}
    with contextlib.suppress(Cut):
        refill(rig, 2_000_000, **fields)
    store.restore()
    rig.cut_power(1000).connect()
    rig.advance(1000)
    now = int(rig.status()["res"][:-2])
    done = now > left
    assert abs(now - left - 2_000_000 * done) <= 20_000
    again = refill(rig, 2_000_000, **fields)
    assert ("repeated" in again) is done
    assert abs(int(rig.status()["res"][:-2]) - left - 2_000_000) <= 20_000


@pytest.mark.req("R-PRF-4")
def test_clock_corrections_before_a_day_is_full_leave_no_window_over_the_limit():
    peak = [("all", "00:00", 200_000), ("all", "08:00", 100_000)]
    rig = PumpRig().take_over(peak).run()
    for _ in range(8):
        rig.advance(8 * HOUR_MS - MINUTE)
        rig.skew_s = 60 - rig.hal.us / 1e6
        rig.do("TIME", set=f"{int(rig.unix())}s", offset="0min")
    edges = rig.edges()
    most = max(bisect_right(edges, us) - bisect_right(edges, us - DAY_MS * 1000) for us in edges)
    assert most <= 300_000 // 20 * 101 // 100 + 1


@pytest.mark.req("R-ALM-11")
def test_no_step_in_the_engine_is_without_a_reservation_at_any_millisecond():
    rig = PumpRig().take_over(flat(50_000)).run()
    for _ in range(400):
        rig.advance(4_673)
        samples = [payload for _, kind, _, _, payload in rig.pump.keeper.journal.records("acct") if kind == records.SAMPLE_RUNNING]
        covered = records.unpack_sample(samples[-1]) if samples else [0] * 4
        assert rig.pump.dosing.commanded <= covered[0] + covered[3]


@pytest.mark.req("R-CON-1", "R-FIL-2")
def test_another_concentration_while_stopped_needs_the_reservoir_down_to_its_residual_and_a_program_for_it():
    rig = running()
    rig.do("STOP")
    with pytest.raises(Refused) as refused:
        refill(rig, 10_000_000, 0, conc=500)
    assert refused.value.code == "RESIDUAL"
    refill(rig, 10_000_000, 17_600_000, conc=500)
    assert rig.refused("RUN") == "CONCENTRATION"


@pytest.mark.req("R-ALM-3", "R-ALM-11")
@pytest.mark.parametrize("half_minutes", [0, 1])
def test_a_pump_that_an_alarm_stopped_a_moment_before_the_power_went_has_all_its_steps_in_the_account(half_minutes):
    """The alarm's state is saved with the account of the last minute; the record that ends the running is of the same millisecond."""
    rig = PumpRig().take_over(flat(900_000), conc=500).run()
    rig.advance(5 * MINUTE + half_minutes * 30_000)
    rest = rig.pump._rest

    def rest_and_cut(now):
        rest(now)
        raise Cut

    rig.pump._rest = rest_and_cut
    rig.hal.millivolts = 2900
    with pytest.raises(Cut):
        rig.advance(20 * MINUTE)
    assert rig.pump.alarms.action() == STOP
    rig.cut_power(1000).connect()
    assert len(rig.edges()) <= rig.pump.ledger.total_steps()


@pytest.mark.req("R-MON-1", "R-PRF-4", "R-ALM-6")
def test_at_a_high_rate_a_restart_forgets_nothing_of_the_last_24_hours():
    """At 1 mL/h a reservation is used up every 36 s, and the account's records go back 7 h; the marks go back further."""
    rig = PumpRig().take_over(flat(1_224_000), conc=51, volume=20_000_000).run()
    rig.advance(12 * HOUR_MS)
    before = rig.pump.ledger.day_ng(rig.pump.clock.elapsed)
    rig.cut_power(1000)
    now = rig.pump.clock.elapsed
    given = rig.pump.basal.given_since([now - DAY_MS], now)[0]
    assert all(new >= old for new, old in zip(rig.pump.ledger.day_ng(now), before))
    assert given.num >= before[0] * given.den
    assert rig.pump.windows._quarters.count >= 47


@pytest.mark.req("R-ALM-8", "R-ALM-3")
@pytest.mark.parametrize("newest_only", [False, True])
@pytest.mark.parametrize("day_ng", [100_000, 1_500_000])
def test_an_account_whose_newest_records_are_damaged_still_covers_what_was_made_and_says_so(day_ng, newest_only):
    rig = PumpRig().take_over(flat(day_ng)).run()
    rig.advance(20 * HOUR_MS)
    files = sorted(name for name in rig.store.files if name.startswith("acct"))
    for name in files[-1:] if newest_only else files:
        rig.store.files[name] = bytes(len(rig.store.files[name]))
    rig.cut_power(1000).connect()
    assert authorised(rig) >= len(rig.edges())
    assert int(rig.status()["res"][:-2]) <= 18_000_000 - len(rig.edges()) * 10
    assert "MEMORY_FAULT" in rig.alarms() and rig.status()["state"] == "running"
