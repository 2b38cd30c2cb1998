"""The screening trial on the whole firmware (R-SCR-1 to R-SCR-5, R-POP-1, R-POP-2, label 2.2, 2.3)."""

import pytest
from pump_rig import DAY_MS, HOUR_MS, PumpRig, flat
from therapy_rig import caps, code_of, fill, new_patient, refusal_of, respond_code, screen_code, screened

from hil.errors import Refused


def test_rig_patient_has_no_phase_yet():
    assert new_patient().status("trial")["phase"] == "none"


@pytest.mark.req("R-SCR-1", "R-SCR-3")
def test_the_doses_come_in_the_order_of_the_label_each_after_an_inadequate_response_and_24_hours():
    rig = new_patient()
    for mcg, others in ((50, (25, 75, 100)), (75, (25, 50, 100)), (100, (25, 50, 75))):
        for other in others:
            assert screen_code(rig, other) == "SCREEN_DOSE"
        assert screen_code(rig, mcg) == "OK"
        assert screen_code(rig, 100) == "SCREEN_DOSE"  # the response is not on record
        rig.advance(4 * HOUR_MS)
        assert respond_code(rig, result="inadequate") == "OK"
        rig.advance(20 * HOUR_MS)
    assert rig.status("trial")["phase"] == "not_candidate"


@pytest.mark.req("R-SCR-1")
def test_a_pediatric_trial_may_begin_with_25_mcg_or_with_50():
    rig = new_patient("pediatric", birth="2019-05-01")
    assert rig.status("trial")["next"] == "25mcg+50mcg"
    assert screen_code(rig, 25) == "OK"
    rig.advance(DAY_MS)
    assert respond_code(rig, result="inadequate") == "OK"
    assert screen_code(rig, 25) == "SCREEN_DOSE"
    assert screen_code(rig, 50) == "OK"
    assert screen_code(new_patient("pediatric", birth="2019-05-01"), 50) == "OK"


@pytest.mark.req("R-SCR-1", "R-SCR-2")
def test_50_mcg_are_1_ml_pushed_evenly_over_at_least_a_minute():
    rig = new_patient()
    assert refusal_of(rig, "DOSE:SCREEN", dose="50mcg", path="pump", attended="yes", time="59s").code == "ARG"
    assert screen_code(rig, 50) == "OK"
    edges = rig.hal.edges
    assert len(edges) == 100_000  # 1 mL
    assert 59_900_000 <= edges[-1] - edges[0] <= 60_000_000
    gaps = [b - a for a, b in zip(edges, edges[1:])]
    assert max(gaps) <= 2 * min(gaps)
    assert rig.status()["outcome"] == "DONE"


@pytest.mark.req("R-SCR-1", "R-CON-1")
def test_screening_wants_exactly_50_mcg_per_ml_and_no_program_takes_that():
    rig = new_patient(conc=500)
    refusal = refusal_of(rig, "DOSE:SCREEN", dose="50mcg", path="pump", attended="yes")
    assert (refusal.code, refusal.fields["want"]) == ("CONCENTRATION", "50mcg/ml")
    ready = screened()
    assert code_of(ready, "RES:REFILL", path="septum", fluid="drug", drug="baclofen", volume="1000000nl", conc="50mcg/ml", lot="L",
                   expiry="2029-01-01", withdrawn="18000000nl", stored="ok", attended="yes") == "CONCENTRATION"  # fmt: skip
    early = new_patient()
    assert early.commit_code(flat(50_000), conc=50) in ("NOT_SCREENED", "CONCENTRATION")


@pytest.mark.req("R-SCR-3", "R-TIM-1")
def test_the_next_dose_waits_24_hours_to_the_millisecond_from_the_start_of_the_last_and_a_clock_set_earns_nothing():
    rig = new_patient()
    assert screen_code(rig, 50) == "OK"
    rig.advance(4 * HOUR_MS)
    assert respond_code(rig, result="inadequate") == "OK"
    rig.do("TIME", set=f"{int(rig.unix()) + 30 * 3600}s", offset="0min")
    rig.skew_s += 30 * 3600
    started = rig.pump.therapy.trial.started
    refusal = refusal_of(rig, "DOSE:SCREEN", dose="75mcg", path="pump", attended="yes")
    assert refusal.code == "TOO_SOON"
    assert int(refusal.fields["wait"][:-2]) == started + DAY_MS - rig.pump.clock.elapsed
    rig.advance(started + DAY_MS - rig.pump.clock.elapsed - 1)
    assert screen_code(rig, 75) == "TOO_SOON"
    rig.advance(1)
    assert screen_code(rig, 75) == "OK"


@pytest.mark.req("R-SCR-3", "R-SCR-4")
def test_inadequate_can_be_recorded_4_hours_after_the_end_a_positive_response_at_any_time_after_it():
    rig = new_patient()
    assert respond_code(rig, result="positive") == "STATE"
    assert screen_code(rig, 50) == "OK"
    ended = rig.pump.therapy.trial.ended
    rig.advance(ended + 4 * HOUR_MS - rig.pump.clock.elapsed - 1)
    assert respond_code(rig, result="inadequate") == "TOO_SOON"
    rig.advance(1)
    assert respond_code(rig, result="inadequate") == "OK"
    assert respond_code(rig, result="positive") == "STATE"  # it is on record
    other = new_patient()
    assert screen_code(other, 50) == "OK"
    assert respond_code(other, result="positive") == "OK"
    assert other.status("trial")["phase"] == "screened"
    assert screen_code(other, 75) == "STATE"


@pytest.mark.req("R-SCR-4", "R-INI-1")
def test_until_the_effect_is_on_record_the_first_program_is_capped_at_the_screening_dose_and_8_hours_must_have_passed():
    rig = new_patient()
    assert screen_code(rig, 50) == "OK"
    assert respond_code(rig, result="positive") == "OK"
    assert caps(rig)["most"] == "50000ng"
    ended = rig.pump.therapy.trial.ended
    rig.advance(ended + 8 * HOUR_MS - rig.pump.clock.elapsed - 1)
    assert respond_code(rig, effect="short") == "TOO_SOON"
    rig.advance(1)
    assert respond_code(rig, effect="short") == "OK"
    assert respond_code(rig, effect="long") == "STATE"
    assert caps(rig)["most"] == "100000ng"


@pytest.mark.req("R-INI-1", "R-INI-3")
@pytest.mark.parametrize(("effect", "most"), [("short", 100_000), ("long", 50_000)])
def test_the_first_program_is_flat_and_at_most_twice_the_positive_dose_or_once_if_its_effect_lasted(effect, most):
    rig = screened(effect=effect)
    assert rig.commit_code(flat(most + 1)) == "START_CAP"
    assert rig.commit_code([("all", "00:00", most // 2), ("all", "08:00", most // 2)]) == "START_FLAT"
    assert rig.commit_code(flat(most)) == "OK"
    rig.run()
    assert rig.status()["phase"] == "first"


@pytest.mark.req("R-SCR-2")
def test_a_dose_cut_short_starts_the_24_hours_takes_no_response_and_is_repeated():
    rig = new_patient()
    rig.do("DOSE:SCREEN", dose="50mcg", path="pump", attended="yes")
    rig.advance(20_000)
    rig.do("STOP")
    assert rig.status("trial")["outcome"] == "PARTIAL"
    assert respond_code(rig, result="positive") == "STATE"
    assert screen_code(rig, 75) == "SCREEN_DOSE"
    assert screen_code(rig, 50) == "TOO_SOON"
    rig.advance(DAY_MS)
    assert screen_code(rig, 50) == "OK"


@pytest.mark.req("R-SCR-2", "R-CAP-2")
def test_an_open_port_ends_a_screening_dose_at_once():
    rig = new_patient()
    rig.do("DOSE:SCREEN", dose="50mcg", path="pump", attended="yes")
    rig.advance(20_000)
    rig.open_port()
    made = len(rig.hal.edges)
    rig.advance(60_000)
    assert len(rig.hal.edges) <= made + 1
    assert rig.status("trial")["outcome"] == "PARTIAL"
    assert screen_code(rig, 50) == "PORT_OPEN"


@pytest.mark.req("R-SCR-2", "R-SCR-3")
@pytest.mark.parametrize("outage_ms", [0, 3 * HOUR_MS])
def test_a_dose_cut_off_by_a_power_loss_is_uncertain_starts_the_24_hours_and_is_repeated(outage_ms):
    rig = new_patient()
    rig.do("DOSE:SCREEN", dose="50mcg", path="pump", attended="yes")
    started = rig.pump.clock.elapsed
    rig.advance(20_000)
    rig.cut_power(outage_ms)
    rig.connect().advance(2000)
    trial = rig.status("trial")
    assert (trial["phase"], trial["last"], trial["outcome"], trial["next"]) == ("screening", "50mcg", "UNCERTAIN", "50mcg")
    assert respond_code(rig, result="positive") == "STATE"
    assert screen_code(rig, 50) == "TOO_SOON"
    rig.advance(started + DAY_MS - rig.pump.clock.elapsed + 1000)
    assert screen_code(rig, 50) == "OK"


@pytest.mark.req("R-SCR-2")
def test_the_trial_survives_a_power_loss_after_the_dose():
    rig = new_patient()
    assert screen_code(rig, 50) == "OK"
    rig.cut_power(5 * HOUR_MS)
    rig.connect().advance(2000)
    assert rig.status("trial")["outcome"] == "DONE"
    assert respond_code(rig, result="inadequate") == "OK"
    rig.cut_power(DAY_MS)
    rig.connect().advance(2000)
    assert screen_code(rig, 75) == "OK"


@pytest.mark.req("R-SCR-5")
def test_without_a_positive_response_no_chronic_program_is_taken_and_a_new_trial_needs_the_service_role():
    rig = new_patient()
    for mcg in (50, 75, 100):
        assert screen_code(rig, mcg) == "OK"
        rig.advance(DAY_MS)
        assert respond_code(rig, result="inadequate") == "OK"
    fill(rig, 2000)
    assert rig.commit_code(flat(25_000)) == "NOT_SCREENED"
    assert screen_code(rig, 50) == "STATE"
    with pytest.raises(Refused) as refused:
        rig.link.command("SCREEN:NEW", {}, role="operator")
    assert refused.value.code == "ROLE"
    assert code_of(rig, "SCREEN:NEW") == "OK"
    rig.do("LINE:NEW", part="both")
    fill(rig, 50)
    assert screen_code(rig, 100) == "SCREEN_DOSE"  # from the beginning
    assert screen_code(rig, 50) == "OK"


@pytest.mark.req("R-SCR-3", "R-SCR-5")
def test_a_new_trial_does_not_shorten_the_24_hours():
    rig = new_patient()
    assert screen_code(rig, 50) == "OK"
    assert code_of(rig, "SCREEN:NEW") == "OK"
    assert screen_code(rig, 50) == "TOO_SOON"


@pytest.mark.req("R-SCR-5", "R-TIT-4", "R-INI-1")
def test_a_new_trial_after_a_therapy_frees_neither_the_step_nor_the_start_cap():
    rig = PumpRig().take_over(flat(100_000), screen="50mcg").run()
    rig.advance(HOUR_MS)
    rig.do("STOP")
    assert code_of(rig, "SCREEN:NEW") == "OK"
    assert refusal_of(rig, "RUN").code == "NOT_SCREENED"
    assert rig.commit_code(flat(100_000)) == "NOT_SCREENED"
    fill(rig, 50)
    rig.do("LINE:NEW", part="both")
    assert screen_code(rig, 50) == "OK"
    rig.advance(8 * HOUR_MS)
    assert respond_code(rig, result="positive", effect="short") == "OK"
    fill(rig, 2000)
    assert rig.commit_code(flat(100_001)) == "START_CAP"
    assert rig.commit_code(flat(79_999)) == "STEP_CAP"  # what ran until the trial was in force within 24 h
    assert rig.commit_code(flat(100_000)) == "OK"


@pytest.mark.req("R-POP-1")
@pytest.mark.parametrize(
    ("population", "birth", "code"),
    [
        ("pediatric", "2023-05-04", "AGE"),  # under 4 by a day
        ("pediatric", "2023-05-03", "OK"),
        ("pediatric", "2009-05-03", "AGE"),  # 18 today
        ("pediatric", "2009-05-04", "OK"),
        ("spinal", "2009-05-04", "AGE"),  # an adult's caps are not for a child
        ("cerebral", "2009-05-03", "OK"),
    ],
)
def test_the_record_refuses_an_age_that_is_too_low_or_does_not_fit_the_population(population, birth, code):
    rig = PumpRig().set_up()
    assert code_of(rig, "THER:RECORD", population=population, birth=birth, injury="none") == code


@pytest.mark.req("R-POP-1")
def test_a_brain_injury_of_less_than_a_year_needs_confirmation():
    rig = PumpRig().set_up()
    fields = dict(population="cerebral", birth="1980-05-01")
    refusal = refusal_of(rig, "THER:RECORD", injury="2026-05-04", **fields)
    assert refusal.code == "CONFIRM_INJURY"
    assert rig.status("therapy")["population"] == "none"
    assert code_of(rig, "THER:RECORD", injury="2026-05-05", confirm=refusal.fields["confirm"], **fields) == "CONFIRM_INJURY"
    assert code_of(rig, "THER:RECORD", injury="2026-05-04", confirm=refusal.fields["confirm"], **fields) == "OK"
    assert code_of(rig, "THER:RECORD", injury="2026-05-03", **fields) == "OK"  # a year ago today
    assert code_of(rig, "THER:RECORD", injury="2027-05-04", **fields) == "ARG"
    assert code_of(rig, "THER:RECORD", injury="last year", **fields) == "ARG"


@pytest.mark.req("R-POP-1", "R-SCR-1")
def test_the_record_stands_from_the_first_screening_dose_on():
    rig = new_patient("pediatric", birth="2019-05-01")
    assert code_of(rig, "THER:RECORD", population="spinal", birth="1980-05-01", injury="none") == "OK"
    assert screen_code(rig, 50) == "OK"
    assert code_of(rig, "THER:RECORD", population="pediatric", birth="2019-05-01", injury="none") == "STATE"
    assert screen_code(PumpRig().set_up(), 50) == "STATE"  # no record at all


@pytest.mark.req("R-POP-2", "R-CAP-1")
@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"attended": "no"}, "UNATTENDED"),
        ({"path": "catheter-access-port"}, "CATHETER_PORT"),
        ({"route": "intravenous"}, "ROUTE"),
        ({"path": "oral"}, "ROUTE"),
        ({"dose": "50ng"}, "UNIT"),
        ({"dose": "50"}, "UNIT"),
    ],
)
def test_a_screening_dose_declares_staff_way_and_unit_and_not_one_step_leaves_otherwise(fields, code):
    rig = new_patient()
    sent = dict(dose="50mcg", path="pump", attended="yes")
    sent.update(fields)
    assert refusal_of(rig, "DOSE:SCREEN", **sent).code == code
    rig.advance(60_000)
    assert rig.hal.edges == []
