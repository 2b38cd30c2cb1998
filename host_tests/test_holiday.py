"""Drug holidays and their end, returns after interruptions and overdoses, on the whole firmware (R-HOL-1, R-WDR-1, label 2.6, 5.5)."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pump_rig import DAY_MS, HOUR_MS, PumpRig, flat
from therapy_rig import caps, code_of, refusal_of

from hil.errors import Refused

MINUTE_MS = 60_000
START_NG = 100_000


def days_from(dose, count=14, keep=80):
    """A geometric taper whose first day is `keep` percent of `dose`."""
    found = []
    for _ in range(count):
        dose = -(-dose * keep // 100)
        found.append(dose)
    return found


def stage_taper(rig, days, conc=2000):
    rig.do("PROG:NEW", name="taper")
    rig.do("PROG:SET", conc=f"{conc}mcg/ml")
    for number, dose in enumerate(days, 1):
        rig.do("PROG:TAPER", day=number, dose=f"{dose}ng")
    return rig.ask("PROG:CHECK?")["hash"]


def commit_taper(rig, days, confirm=True):
    """OK or the refusal's code."""
    try:
        digest = stage_taper(rig, days)
        rig.do("PROG:COMMIT", hash=digest, route="intrathecal")
    except Refused as refusal:
        if refusal.code != "CONFIRM_HOLIDAY" or not confirm:
            return refusal.code
        return code_of(rig, "PROG:COMMIT", hash=digest, route="intrathecal", confirm=refusal.fields["confirm"])
    return "OK"


def running(daily=START_NG, **more):
    rig = PumpRig().take_over(flat(daily), **more).run()
    rig.advance(HOUR_MS)
    return rig


def in_holiday(days=None, **more):
    rig = running(**more)
    assert commit_taper(rig, days or days_from(START_NG)) == "OK"
    return rig


def at_the_zero(days=None):
    """A holiday just over; time is jumped with the power off, which counts as the clock was kept."""
    rig = in_holiday(days)
    rig.cut_power(14 * DAY_MS)
    return rig.connect()


@pytest.mark.req("R-HOL-1")
def test_a_taper_runs_each_day_of_24_hours_from_its_start_to_the_nanogram_and_then_nothing():
    days = days_from(START_NG)
    rig = in_holiday(days)
    assert rig.status()["phase"] == "holiday"
    start = rig.pump.basal.program.start
    at_start = rig.pump.ledger.authorised_ng.total
    rig.advance(start + DAY_MS - rig.pump.clock.elapsed)
    rig.pump.advance(rig.pump.clock.update())
    step_ng = 2000 * 1000 // 100_000
    assert abs(rig.pump.ledger.authorised_ng.total - at_start - days[0]) <= step_ng
    rig.cut_power(12 * DAY_MS)
    rig.connect()
    assert rig.status("therapy")["holiday"] == "14/14"
    rig.advance(start + 14 * DAY_MS - rig.pump.clock.elapsed)
    given = len(rig.edges())
    rig.advance(12 * HOUR_MS)
    assert len(rig.edges()) - given <= 1
    assert rig.status("therapy")["holiday"] == "over"


@pytest.mark.req("R-HOL-1")
@pytest.mark.parametrize(
    ("days", "code"),
    [
        (days_from(START_NG, 13), "HOLIDAY"),  # 2.6: two to four weeks
        (days_from(START_NG, 28), "OK"),
        ([80_000, *days_from(80_000, 12), 1], "OK"),  # the last may fall further
        ([80_000, 63_999, *days_from(64_000, 12)], "HOLIDAY"),  # 79.99 % of the day before
        ([80_000, 64_000, *days_from(64_000, 12)], "OK"),
        ([80_000, 80_000, 80_001, *days_from(80_000, 11)], "HOLIDAY"),  # it only falls
        ([79_999, *days_from(79_999, 13)], "STEP_CAP"),  # day 1 against what runs
        ([100_001, *days_from(100_001, 13)], "STEP_CAP"),
        ([0] * 14, "HOLIDAY"),
    ],
)
def test_a_plan_falls_by_at_most_20_percent_a_day_over_14_to_28_days(days, code):
    rig = running()
    attended = {"attended": "yes"} if days[0] > START_NG else {}
    if attended:
        digest = stage_taper(rig, days)
        assert refusal_of(rig, "PROG:COMMIT", hash=digest, route="intrathecal", **attended).code == code
    else:
        assert commit_taper(rig, days) == code
    if code != "OK":
        assert rig.status()["prog"] == "p"


@pytest.mark.req("R-HOL-1")
def test_a_plan_with_a_hole_or_with_segments_is_no_taper():
    rig = running()
    rig.do("PROG:NEW", name="taper")
    rig.do("PROG:SET", conc="2000mcg/ml")
    rig.do("PROG:TAPER", day=2, dose="80000ng")
    with pytest.raises(Refused) as refused:
        rig.ask("PROG:CHECK?")
    assert refused.value.code == "MISSING"
    rig.do("PROG:TAPER", day=1, dose="80000ng")
    rig.do("PROG:SEG", day="all", from_="00:00", dose="80000ng")
    with pytest.raises(Refused) as refused:
        rig.ask("PROG:CHECK?")
    assert refused.value.code == "ARG"
    assert refusal_of(rig, "PROG:TAPER", day=29, dose="1000ng").code == "ARG"
    assert refusal_of(rig, "PROG:TAPER", day=3, dose="1mg").code == "UNIT"


@pytest.mark.req("R-HOL-1", "R-INI-2")
def test_a_holiday_begins_in_titration_or_maintenance_alone_and_is_confirmed():
    assert commit_taper(running(phase="first", ago_s=0), days_from(START_NG)) == "STATE"
    assert commit_taper(running(), days_from(START_NG), confirm=False) == "CONFIRM_HOLIDAY"
    rig = in_holiday(phase="maintenance")
    assert commit_taper(rig, days_from(80_000)) == "STATE"  # not a second one within it


@pytest.mark.req("R-HOL-1", "R-ALM-7", "R-ALM-6")
def test_after_the_zero_no_alarm_calls_the_silence_a_fault_and_stop_or_power_loss_change_nothing():
    rig = at_the_zero()
    rig.advance(8 * HOUR_MS)
    assert not rig.alarms() & {"PUMP_STOPPED", "WITHDRAWAL_RISK", "UNDER_DELIVERY", "MOTOR_STALL"}
    rig.do("STOP")
    rig.advance(HOUR_MS)
    assert "PUMP_STOPPED" not in rig.alarms()
    assert refusal_of(rig, "RUN").code == "STATE"


@pytest.mark.req("R-HOL-1", "R-INI-1", "R-INI-3")
def test_after_a_holiday_a_restart_is_flat_at_most_the_initial_dose_and_goes_to_titration():
    rig = at_the_zero()
    assert (caps(rig)["most"], caps(rig)["least"]) == ("100000ng", "0ng")
    assert rig.commit_code(flat(START_NG + 1)) == "START_CAP"
    assert rig.commit_code([("all", "00:00", 40_000), ("all", "08:00", 60_000)]) == "START_FLAT"
    assert refusal_of(rig, "PROG:COMMIT", hash=rig.stage(flat(90_000)), route="intrathecal").code == "UNATTENDED"
    assert rig.commit_code(flat(90_000)) == "OK"
    rig.advance(20 * MINUTE_MS)
    assert rig.status()["phase"] == "titration"
    assert rig.commit_code(flat(90_001)) == "FIRST_24H"
    rig.do("STOP")
    assert "PUMP_STOPPED" in rig.alarms()


@pytest.mark.req("R-HOL-1", "R-WDR-1")
def test_the_initial_dose_is_that_of_the_first_program_not_of_the_last():
    rig = running(daily=START_NG)
    assert rig.commit_code(flat(130_000)) == "OK"
    rig.advance(HOUR_MS)
    assert commit_taper(rig, days_from(130_000)) == "OK"
    rig.cut_power(14 * DAY_MS)
    rig.connect()
    assert rig.commit_code(flat(100_001)) == "START_CAP"
    assert rig.commit_code(flat(100_000)) == "OK"


@pytest.mark.req("R-HOL-1", "R-TIT-4")
def test_a_holiday_broken_off_holds_the_dose_of_that_day_and_steps_are_measured_from_it():
    days = days_from(START_NG)
    rig = in_holiday(days)
    rig.cut_power(2 * DAY_MS + HOUR_MS)
    rig.connect()
    assert code_of(rig, "THER:PHASE", phase="titration") == "OK"
    rig.advance(2 * HOUR_MS)
    assert rig.status()["phase"] == "titration"
    assert rig.status("therapy")["daily"] == f"{days[2]}ng"
    assert code_of(rig, "THER:PHASE", phase="titration") == "STATE"
    rig.advance(DAY_MS)
    most = days[2] * 130 // 100
    assert rig.commit_code(flat(most + 1)) == "STEP_CAP"
    assert rig.commit_code(flat(most)) == "OK"


@pytest.mark.req("R-HOL-1", "R-TIT-1", "R-MNT-2")
def test_a_commit_in_a_holiday_breaks_it_off_and_is_measured_against_the_day():
    days = days_from(START_NG)
    rig = in_holiday(days)
    rig.advance(DAY_MS + HOUR_MS)
    assert rig.commit_code(flat(days[1] * 130 // 100 + 1)) == "STEP_CAP"
    assert rig.commit_code(flat(days[0] * 80 // 100 - 1)) == "STEP_CAP"  # the day before was in force within 24 h
    assert rig.commit_code(flat(days[1] * 130 // 100)) == "OK"
    rig.advance(HOUR_MS)
    assert rig.status()["phase"] == "titration"


@pytest.mark.req("R-HOL-1", "R-TIM-1", "R-ALM-8")
def test_a_clock_set_or_lost_moves_no_day_of_a_taper():
    days = days_from(START_NG)
    rig = in_holiday(days)
    rig.do("TIME", set=f"{int(rig.unix()) + 40 * 3600}s", offset="0min")
    rig.skew_s += 40 * 3600
    rig.advance(HOUR_MS)
    assert rig.status("therapy")["daily"] == f"{days[0]}ng"
    rate = rig.status()["rate"]
    rig.cut_power(HOUR_MS, clock_kept=False)
    rig.connect()
    assert rig.status()["rate"] == rate


@pytest.mark.req("R-WDR-1", "R-MNT-2")
def test_after_an_overdose_decrease_one_confirmed_commit_returns_to_the_dose_before_and_then_no_other():
    rig = running()
    assert rig.commit_code(flat(130_000)) == "OK"
    rig.advance(HOUR_MS)
    assert rig.commit_code(flat(40_000), reason="OVERDOSE") == "OK"
    rig.advance(HOUR_MS)
    assert caps(rig)["return"] == "130000ng"
    assert rig.commit_code(flat(130_001)) == "TOO_SOON"
    digest = rig.stage(flat(110_000))
    refusal = refusal_of(rig, "PROG:COMMIT", hash=digest, route="intrathecal", attended="yes")
    assert refusal.code == "CONFIRM_RETURN"
    assert code_of(rig, "PROG:COMMIT", hash=digest, route="intrathecal", attended="yes", confirm="00000000") == "CONFIRM_RETURN"
    assert code_of(rig, "PROG:COMMIT", hash=digest, route="intrathecal", attended="yes", confirm=refusal.fields["confirm"]) == "OK"
    rig.advance(HOUR_MS)
    assert rig.commit_code(flat(130_000)) == "TOO_SOON"  # it was one commit
    rig.advance(DAY_MS)
    assert rig.commit_code(flat(143_001)) == "STEP_CAP"
    assert rig.commit_code(flat(143_000)) == "OK"


@pytest.mark.req("R-WDR-1", "R-MNT-1")
def test_a_return_in_maintenance_needs_no_refill_and_uses_none():
    rig = running(phase="maintenance")
    assert rig.commit_code(flat(50_000), reason="OVERDOSE") == "OK"
    rig.advance(HOUR_MS)
    left = rig.status()["res"]
    rig.do("RES:REFILL", path="septum", fluid="drug", drug="baclofen", volume="10000000nl", conc="2000mcg/ml", lot="L2",
           expiry="2029-01-01", withdrawn=left, stored="ok", attended="yes")  # fmt: skip
    assert rig.commit_code(flat(100_000)) == "OK"
    rig.advance(HOUR_MS)
    assert rig.pump.therapy.licensed_at is None
    assert rig.commit_code(flat(110_000)) == "TOO_SOON"


@pytest.mark.req("R-WDR-1", "R-INI-2")
def test_after_an_interruption_a_lower_dose_may_return_once_but_not_in_the_first_24_hours():
    rig = running()
    rig.do("STOP")
    rig.advance(6 * HOUR_MS + 1000)
    assert rig.commit_code(flat(60_000), reason="OVERDOSE") == "OK"
    rig.run()
    rig.advance(HOUR_MS)
    assert rig.commit_code(flat(100_000)) == "FIRST_24H"
    rig.advance(23 * HOUR_MS)
    assert rig.commit_code(flat(100_001)) == "STEP_CAP"
    assert rig.commit_code(flat(100_000)) == "OK"


@pytest.mark.req("R-WDR-1", "R-INI-1")
def test_after_more_than_14_days_without_delivery_only_the_dose_of_a_first_program_runs():
    rig = running(daily=150_000, screen="50mcg")
    rig.do("STOP")
    rig.cut_power(14 * DAY_MS)
    rig.connect()
    left = 14 * DAY_MS - (rig.pump.clock.elapsed - rig.pump.therapy.ran_at)
    rig.advance(left)
    assert caps(rig)["most"] == "150000ng"
    rig.advance(1)
    assert caps(rig)["most"] == "100000ng"
    assert refusal_of(rig, "RUN").code == "START_CAP"
    assert rig.commit_code(flat(100_001)) == "START_CAP"
    assert rig.commit_code(flat(60_000)) == "OK"  # no rule of decreases: nothing was delivered
    rig.run()
    rig.advance(HOUR_MS)
    assert caps(rig)["return"] == "0ng"


@pytest.mark.req("R-WDR-1", "R-ALM-11")
def test_a_pump_that_lost_power_for_longer_than_14_days_resumes_its_basal_by_itself():
    rig = running(daily=150_000, screen="50mcg")
    rig.cut_power(20 * DAY_MS)
    rig.connect()
    rig.advance(HOUR_MS)
    assert rig.status()["state"] == "running"


@pytest.mark.req("R-HOL-1", "R-DOSE-2")
@given(st.integers(14, 28), st.integers(0, 27), st.integers(0, DAY_MS - 1), st.integers(1, 40 * 24))
@settings(max_examples=60)
def test_a_taper_gives_in_any_span_the_exact_share_of_its_days(count, day, inside, span_h):
    from doseloop.taper import Taper

    days = days_from(START_NG, count)
    taper = Taper(["name=t", "conc=2000"] + [f"taper.{i:02d}={dose}" for i, dose in enumerate(days, 1)])
    start, end = day * DAY_MS + inside, day * DAY_MS + inside + span_h * HOUR_MS
    wanted = sum(
        dose * max(0, min(end, (i + 1) * DAY_MS) - max(start, i * DAY_MS)) for i, dose in enumerate(days)
    )  # ng x DAY_MS
    got = taper.dose_between(start, end - start)
    assert got.num * DAY_MS == wanted * got.den
