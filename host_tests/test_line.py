"""What the line holds, what is refused while a bridge is on, what may be primed, and the refill date over a bridge."""

import pytest
from pump_rig import BOARD, DAY_MS, HOUR_MS, PumpRig, flat
from tip_rig import SMALL, Tip, calibrate, new_part, prime, refill_with

from doseloop.line import Fill
from hil.errors import Refused

MINUTE = 60_000
BOLUS = (500, 60, 3600, 20_000)


def supplies(rig):
    found = rig.status("supplies")
    return found["line"], found["bridge"], found["prime_left"]


def bridging(old=500, new=2000, **more):
    """A program runs while the old drug is in the line."""
    tip = Tip(**more).take_over([(0, 70_000)], old).run()
    tip.rig.advance(HOUR_MS)
    tip.change(new)
    tip.rig.advance(MINUTE)
    return tip.rig


def fresh():
    """Calibrated, without a therapy, and the port's switch has been closed for long enough."""
    rig = PumpRig().set_up()
    rig.advance(2_000)
    return rig


def code_of(action, *args, **more):
    with pytest.raises(Refused) as refused:
        action(*args, **more)
    return refused.value.code


def kept(rig):
    pump = rig.pump
    pump.advance(pump.clock.update())
    return pump.line.dump(), pump.ledger.dump(), pump.reservoir.dump(), pump.calibration


@pytest.mark.req("R-CON-3", "R-UNIT-3")
@pytest.mark.parametrize(
    ("what", "code"),
    [
        (lambda rig: rig.do("DOSE:BOLUS", volume="500nl", path="pump"), "BRIDGING"),
        (lambda rig: prime(rig, 1_000), "BRIDGING"),
        (lambda rig: refill_with(rig, 1000, empty=False, withdrawn="18000000nl"), "BRIDGING"),
        (lambda rig: refill_with(rig, 500, empty=False, withdrawn="18000000nl"), "BRIDGING"),
        (lambda rig: refill_with(rig, 1000, 30_000_000, empty=False, withdrawn="18000000nl"), "CAPACITY"),
        (lambda rig: refill_with(rig, 0, empty=False, withdrawn="18000000nl", fluid="test"), "BRIDGING"),
        (lambda rig: new_part(rig, "tube"), "BRIDGING"),
        (lambda rig: new_part(rig, "catheter"), "BRIDGING"),
        (lambda rig: calibrate(rig, tube="T2"), "BRIDGING"),
    ],
)
def test_what_would_push_another_drug_is_refused_in_a_bridge_and_changes_nothing(what, code):
    rig = bridging()
    if code_of(what, rig) == "STATE":
        rig.do("STOP")
    before = kept(rig)
    try:
        found = code_of(what, rig)
        if found == "CONCENTRATION":
            rig.do("STOP")
            before = kept(rig)
            found = code_of(what, rig)
        assert found == code
    finally:
        assert kept(rig) == before


@pytest.mark.req("R-CON-3", "R-CAL-2")
def test_moving_steps_to_calibrate_is_refused_while_the_line_holds_an_old_drug():
    rig = fresh()
    refill_with(rig, 2000, empty=False)
    prime(rig, 1_000)
    refill_with(rig, 500)
    rig.do("EMPTY")
    assert rig.refused("CAL:MOVE", steps=100, rate="50/s") == "BRIDGING"
    new_part(rig, "both")
    refill_with(rig, 0, fluid="test")
    assert rig.do("CAL:MOVE", steps=100, rate="50/s")["outcome"] == "RUNNING"


@pytest.mark.req("R-CON-3", "R-BOL-1")
def test_a_bolus_is_refused_until_the_bridge_is_through():
    tip = Tip().take_over([(0, 70_000)], 500, bolus=BOLUS).run()
    tip.rig.advance(HOUR_MS)
    tip.stop()
    refill_with(tip.rig, 2000)
    tip.rig.commit(flat(70_000), conc=2000, bolus=BOLUS)
    tip.rig.do("RUN")
    rig = tip.rig
    rig.advance(10 * MINUTE)
    while supplies(rig)[1] != "0nl":
        assert rig.refused("DOSE:BOLUS", volume="500nl", path="pump") == "BRIDGING"
        rig.advance(MINUTE)
    assert rig.do("DOSE:BOLUS", volume="500nl", path="pump")["outcome"] == "RUNNING"


@pytest.mark.req("R-CON-3")
def test_a_refill_of_the_reservoirs_own_concentration_leaves_the_bridge_alone():
    rig = bridging()
    rig.advance(5 * MINUTE)
    before = supplies(rig)
    refill_with(rig, 2000, 18_000_000, empty=False, withdrawn="18000000nl")
    assert supplies(rig) == before
    assert before[0] == "500mcg/ml"
    assert 0 < int(before[1][:-2]) < 2400


@pytest.mark.req("R-CON-3")
def test_the_bridge_is_kept_over_a_restart_and_metered_by_volume_alone():
    rig = bridging()
    rig.do("STOP")
    left = supplies(rig)
    rig.advance(DAY_MS)
    assert supplies(rig) == left
    rig.cut_power(DAY_MS).connect()
    assert supplies(rig) == left


@pytest.mark.req("R-CON-3")
def test_the_line_holds_what_moved_through_it_and_nothing_before_the_first_step():
    rig = fresh()
    assert supplies(rig) == ("none", "0nl", "240000nl")
    refill_with(rig, 500, empty=False)
    assert supplies(rig) == ("none", "0nl", "240000nl")
    refill_with(rig, 2000)  # nothing moved: no bridge
    prime(rig, 100_000)
    assert supplies(rig) == ("2000mcg/ml", "0nl", "140000nl")
    refill_with(rig, 500)
    assert supplies(rig) == ("2000mcg/ml", "240000nl", "140000nl")
    new_part(rig, "both")
    assert supplies(rig) == ("none", "0nl", "240000nl")


@pytest.mark.req("R-CON-4", "R-CAL-2")
@pytest.mark.parametrize("verb", ["TEST:FLOW", "TEST:BOLUS", "CAL:MOVE"])
def test_nothing_but_dose_moves_a_line_that_holds_drug(verb):
    fields = {"TEST:FLOW": {"volume": "1000nl", "rate": "1000000nl/h"}, "TEST:BOLUS": {"volume": "1000nl", "time": "6s"}}
    sent = fields.get(verb, {"steps": 100, "rate": "50/s"})
    rig = fresh()
    refill_with(rig, 2000, empty=False)
    prime(rig, 1_000)
    refill_with(rig, 0, fluid="test")
    made = len(rig.edges())
    assert rig.refused(verb, **sent) == "STATE"
    rig.advance(MINUTE)
    assert len(rig.edges()) == made
    new_part(rig, "both")
    rig.do(verb, **sent)
    rig.advance(MINUTE)
    assert len(rig.edges()) == made + 100


@pytest.mark.req("R-CON-3", "R-CAL-1")
def test_a_new_calibration_keeps_the_volume_of_the_bridge():
    rig = fresh()
    refill_with(rig, 2000, empty=False)
    prime(rig, 1_000)
    refill_with(rig, 500)
    calibrate(rig, spm=103_457)
    assert rig.pump.ledger.bridge_left() == 24_830  # 240 uL are 24829.68 steps: through with the whole step
    assert supplies(rig)[0] == "2000mcg/ml"


@pytest.mark.req("R-CON-4")
@pytest.mark.parametrize(
    ("part", "most"), [("tube", BOARD["dead_volume_tubing_nl"]), ("catheter", BOARD["dead_volume_catheter_nl"]), ("both", 240_000)]
)
def test_each_new_part_may_be_primed_once_to_its_dead_volume(part, most):
    rig = fresh()
    refill_with(rig, 2000, empty=False)
    prime(rig, 240_000)
    assert code_of(prime, rig, 10) == "PRIME_DONE"
    for _ in range(2):  # not added up
        new_part(rig, part)
    assert code_of(prime, rig, most + 1) == "PRIME_DONE"
    prime(rig, most)
    assert code_of(prime, rig, 10) == "PRIME_DONE"
    rig.cut_power(1000).connect()
    assert supplies(rig)[2] == "0nl"


@pytest.mark.req("R-CON-4")
def test_the_first_calibration_is_of_a_new_line_and_another_tube_of_a_new_tube():
    rig = fresh()
    assert supplies(rig)[2] == "240000nl"
    calibrate(rig, tube="T1")
    assert supplies(rig)[2] == "240000nl"
    calibrate(rig, tube="T2")
    assert supplies(rig)[2] == "100000nl"


@pytest.mark.req("R-CON-4")
@pytest.mark.parametrize(("role", "run", "code"), [("operator", False, "ROLE"), ("service", True, "STATE")])
def test_a_new_part_is_recorded_by_service_while_stopped(role, run, code):
    rig = PumpRig().take_over(flat(70_000))
    if run:
        rig.run()
    assert code_of(rig.link.command, "LINE:NEW", {"part": "both", "id": rig.link.new_id()}, role=role) == code


@pytest.mark.req("R-CON-3", "R-PRF-3")
def test_a_program_that_the_board_cannot_give_with_the_old_weak_drug_is_refused():
    board = dict(SMALL, max_rate_nl_h=60_000)  # 70 mcg a day at 51 mcg/mL are 57,190 nL/h
    tip = Tip(board).take_over([(0, 70_000)], 51).run()
    tip.rig.advance(HOUR_MS)
    tip.stop()
    refill_with(tip.rig, 2000)
    assert tip.rig.commit_code(flat(73_500), conc=2000) == "HOUR_MAX"
    assert tip.rig.commit_code(flat(70_000), conc=2000) == "OK"
    new_part(tip.rig, "both")
    assert tip.rig.commit_code(flat(73_500), conc=2000) == "OK"


@pytest.mark.req("R-CON-3", "R-PRF-3")
def test_a_program_that_ran_before_is_judged_again_at_run_if_the_line_holds_a_weak_drug_now():
    tip = Tip(dict(SMALL, max_rate_nl_h=60_000)).take_over([(0, 80_000)], 2000).run()
    rig = tip.rig
    rig.advance(HOUR_MS)
    rig.do("STOP")
    new_part(rig, "both")
    refill_with(rig, 51)
    prime(rig, 1_000)
    refill_with(rig, 2000)
    assert rig.refused("RUN") == "HOUR_MAX"


@pytest.mark.req("R-CON-3", "R-FIL-3")
@pytest.mark.parametrize(("old", "new", "volume"), [(2000, 51, 3_000_000), (500, 2000, 3_000_000), (51, 2000, 2_300_000)])
def test_the_refill_date_over_a_bridge_is_when_the_alarm_comes_to_three_minutes(old, new, volume):
    tip = Tip(BOARD).take_over([(0, 70_000)], old).run()
    tip.rig.advance(HOUR_MS)
    tip.change(new, volume=volume)
    rig = tip.rig
    promised_s = int(rig.status()["refill_by"][:-1])
    assert "RESERVOIR_LOW" not in rig.alarms()
    rig.advance((promised_s - int(rig.unix())) * 1000 - 3 * MINUTE)
    assert "RESERVOIR_LOW" not in rig.alarms()
    rig.advance(6 * MINUTE)
    assert "RESERVOIR_LOW" in rig.alarms()


@pytest.mark.req("R-CON-3", "R-FIL-3")
@pytest.mark.parametrize("fill", [Fill(500), Fill(2000, 240_000, 51), Fill(51, 240_000, 2000)])
def test_dose_and_volume_of_a_fill_are_each_others_inverse(fill):
    for volume in [1, 1000, 239_999, 240_000, 240_001, 5_000_000]:
        dose = fill.ng_in(volume)
        assert fill.nl_for(dose) <= volume < fill.nl_for(dose + 2)
    assert fill.nl_for(0) == 0


@pytest.mark.req("R-CON-3", "R-SCR-1")
def test_from_the_screening_dilution_to_the_first_program_the_tip_gives_the_program_at_once():
    tip = Tip()
    rig = tip.rig.set_up()
    rig.advance(2_000)
    refill_with(rig, 50, empty=False)
    tip.fills.append((0, 50))
    rig.do("THER:RECORD", population="spinal", birth="1980-05-01", injury="none")
    rig.do("DOSE:SCREEN", dose="50mcg", path="pump", attended="yes", **dated(rig))
    rig.advance(5 * MINUTE)
    rig.do("SCREEN:RESPONSE", result="positive", id=rig.link.new_id())
    tip.change(500, day=[(0, 50_000)])
    assert supplies(rig)[:2] == ("50mcg/ml", "2400nl")
    rig.advance(3 * HOUR_MS)
    tip.assert_no_step()
    assert supplies(rig)[0] == "500mcg/ml"


@pytest.mark.req("R-CON-3", "R-SCR-1")
def test_no_screening_dose_goes_through_a_line_that_holds_another_drug():
    rig = fresh()
    refill_with(rig, 2000, empty=False)
    prime(rig, 1_000)
    refill_with(rig, 50)
    rig.do("THER:RECORD", population="spinal", birth="1980-05-01", injury="none")
    dose = dict(dose="50mcg", path="pump", attended="yes")
    with pytest.raises(Refused) as refused:
        rig.do("DOSE:SCREEN", **dose, **dated(rig))
    assert refused.value.code == "BRIDGING"
    new_part(rig, "both")
    assert rig.do("DOSE:SCREEN", **dose, **dated(rig))["outcome"] == "RUNNING"


def dated(rig):
    return {"id": rig.link.new_id(), "at": f"{int(rig.unix())}s", "ttl": "60s"}
