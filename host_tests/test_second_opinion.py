"""Pump and oracle over the histories that only the newer rules know: holidays, returns, long idle times, refills, going back.

The pump is the real firmware in this process; the oracle judges over what the pump tells of itself (STAT? and its parts).
"""

import pytest
from pump_rig import HOUR_MS, PumpRig, flat

from hil.prescription import compile_program
from hil.program_send import Declared, HostClock, examine, send
from hil.pump_record import listen

DAY_MS = 24 * HOUR_MS
AWAY = compile_program({"name": "away", "conc": "2000 mcg/mL", "holiday": {"from": "300 mcg/day", "days": 14}})
# a Saturday with less, and changes at odd minutes: sums of 24 h that are no whole ng
ODD = {
    "name": "odd",
    "conc": "2000 mcg/mL",
    "total": "300002 ng/day",
    "effect": [{"from": "04:07", "to": "19:31", "change": "-7 %"}],
    "days": {"sat": {"flat": "299003 ng/day"}},
}


def program(daily):
    return compile_program({"name": "p", "conc": "2000 mcg/mL", "flat": f"{daily} ng/day"})


def running(daily=300_000, **keys):
    rig = PumpRig().take_over(flat(daily), **keys).run()
    rig.advance(DAY_MS + HOUR_MS)
    return rig.connect("operator")


def agree(rig, wanted, verdict=None, reason="", confirm=None):
    """Both sides answer the same; and, where it is given, that."""
    found = examine(rig.link, wanted, Declared(reason=reason)).opinions
    assert found.differ == (), found
    if verdict:
        assert found.pump.verdict == verdict, found
    if confirm is not None:
        assert found.pump.confirm == confirm


def send_it(rig, wanted, tmp_path, **declared):
    return send(rig.link, HostClock(), wanted, Declared(yes=wanted.hash(), **declared), tmp_path)


@pytest.fixture
def on_holiday(tmp_path):
    rig = running()
    assert send_it(rig, AWAY, tmp_path) == 0
    return rig


@pytest.mark.req("R-HOL-1")
def test_a_holiday_is_sent_with_its_confirmation_and_begins_at_once(on_holiday, capsys):
    assert on_holiday.status("therapy")["holiday"] == "1/14"
    assert on_holiday.status()["hash"] == AWAY.hash()


@pytest.mark.req("R-HOL-1")
@pytest.mark.parametrize("phase", ["titration", "maintenance"])
def test_a_holiday_is_judged_by_both_before_it_begins(phase):
    rig = running(phase=phase)
    agree(rig, AWAY, "OK", confirm=("CONFIRM_HOLIDAY",))
    steep = compile_program({"name": "away", "conc": "2000 mcg/mL", "holiday": {"from": "290 mcg/day", "days": 14}})
    agree(rig, steep, "STEP_CAP")  # its first day is below 80 % of what runs


@pytest.mark.req("R-HOL-1")
def test_a_holiday_never_begins_with_more_than_what_runs():
    high = compile_program({"name": "away", "conc": "2000 mcg/mL", "holiday": {"from": "400 mcg/day", "days": 14}})
    agree(running(), high, "STEP_CAP")


@pytest.mark.req("R-HOL-1")
@pytest.mark.parametrize("days", [0, 3, 13])
def test_a_holiday_broken_off_is_measured_from_its_day_by_both(on_holiday, days):
    on_holiday.advance(days * DAY_MS + HOUR_MS)
    today, before = AWAY.taper[days], AWAY.taper[days - 1] if days else 300_000
    for daily in (today * 130 // 100 + 1, today, today - 1, -(-before * 8 // 10), -(-before * 8 // 10) - 1):
        agree(on_holiday, program(daily))
    agree(on_holiday, AWAY, "STATE")


@pytest.mark.req("R-HOL-1")
def test_the_restart_after_a_holidays_zero_is_judged_by_both(on_holiday):
    on_holiday.advance(14 * DAY_MS + HOUR_MS)
    assert on_holiday.status("therapy")["holiday"] == "over"
    agree(on_holiday, program(300_000), "OK")
    agree(on_holiday, program(300_001), "START_CAP")
    agree(on_holiday, program(10_000), "OK")


@pytest.mark.req("R-WDR-1")
def test_a_return_after_an_overdose_decrease_is_announced_confirmed_and_sent(tmp_path, capsys):
    rig = running()
    assert send_it(rig, program(100_000), tmp_path, reason="OVERDOSE") == 0
    rig.advance(HOUR_MS)
    agree(rig, program(300_001), "STEP_CAP")
    agree(rig, program(300_000), "OK", confirm=("CONFIRM_RETURN",))
    agree(rig, program(130_000), "OK", confirm=())
    assert send_it(rig, program(300_000), tmp_path, attended=True) == 0
    assert "one return to at most 300 mcg/day may be confirmed" in capsys.readouterr().out


@pytest.mark.req("R-WDR-1")
@pytest.mark.parametrize("days", [13, 15])
def test_after_a_long_time_without_delivery_both_ask_for_the_start_cap(days):
    rig = running(200_000)
    rig.do("STOP")
    rig.advance(days * DAY_MS)
    for daily in (60_000, 100_000, 100_001, 160_000, 200_000, 210_000):
        agree(rig, program(daily))


@pytest.mark.req("R-MNT-1")
def test_a_refill_licenses_an_increase_for_both_and_for_a_day_alone():
    rig = running(phase="maintenance")
    agree(rig, program(310_000), "NO_REFILL")
    refill = dict(
        path="septum", fluid="drug", drug="baclofen", volume="6000000nl", conc="2000mcg/ml", lot="L2", expiry="2029-01-01",
        withdrawn="17000000nl", stored="ok", attended="yes",
    )  # fmt: skip
    rig.do("RES:REFILL", **refill)
    rig.connect("operator")
    for hours, verdict in ((0, "OK"), (23, "OK"), (2, "NO_REFILL")):
        rig.advance(hours * HOUR_MS)
        agree(rig, program(310_000), verdict)


@pytest.mark.req("R-MNT-2", "R-DOSE-2")
def test_the_way_back_after_an_increase_is_free_for_both_also_where_the_sums_are_no_whole_ng():
    old = compile_program(ODD)
    segments = [(day, f"{start // 60:02d}:{start % 60:02d}", dose) for day, of_day in old.days.items() for start, dose in of_day]
    rig = PumpRig().take_over(segments).run()
    rig.advance(DAY_MS + HOUR_MS)
    rig.connect("operator")
    last = listen(rig.link).last_run
    assert last.high_ng.denominator > 1 and last.low_ng.denominator > 1
    rig.commit(flat(380_000))
    rig.advance(HOUR_MS)
    rig.connect("operator")
    agree(rig, old, "OK")
    for daily in (int(last.low_ng), int(last.high_ng), int(last.high_ng) + 1, 303_999, 304_000, 380_001):
        agree(rig, program(daily))


@pytest.mark.req("R-SCR-5")
@pytest.mark.parametrize("wanted", [program(100_000), AWAY], ids=["flat", "taper"])
def test_without_a_record_both_say_so(wanted):
    agree(PumpRig().set_up(), wanted)


def test_a_clock_that_is_lost_is_named_by_both():
    rig = running()
    rig.cut_power(1000, clock_kept=False).connect("operator")
    agree(rig, program(300_000), "CLOCK_LOST")
