"""Every verb through the whole pump: what may be asked, who may act, how fresh, and that nothing is done twice."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pump_rig import HOUR_MS, NIGHT_FLEX, PumpRig, flat

from doseloop import commands, snapshot
from hil.errors import Refused
from hil.frames import seal
from hil.link import Link

BOLUS = (5_000, 60, 3600, 40_000)
ASKS = sorted(verb for verb in commands.VERBS if verb.endswith("?"))


def running():
    rig = PumpRig().take_over(NIGHT_FLEX, bolus=BOLUS).run()
    rig.advance(HOUR_MS)
    return rig


@pytest.mark.req("R-MON-1", "R-MON-2")
@pytest.mark.parametrize("verb", ASKS)
def test_every_question_is_answered_in_one_line_and_changes_nothing(verb):
    rig = running()
    rig.stage(NIGHT_FLEX)
    rig.pump.advance(rig.pump.clock.elapsed)
    before = snapshot.dump(rig.pump)
    assert isinstance(rig.ask(verb), dict)
    assert snapshot.dump(rig.pump) == before


@pytest.mark.req("R-MON-1")
def test_one_status_shows_all_that_the_host_must_see():
    rig = running()
    rig.do("DOSE:BOLUS", volume="5000nl", path="pump")
    rig.advance(61_000)
    status = rig.status()
    assert (status["state"], status["phase"], status["prog"]) == ("running", "titration", "p")
    assert status["hash"] == rig.pump.basal.program.hash
    assert int(status["today"][:-2]) == pytest.approx(14_000 + 10_000, abs=300)
    assert status["day"] == status["refill"]
    assert (status["rate"], status["battery"], status["alarms"], status["top"]) == ("14000ng/h", "3700mv", "0", "none")
    assert (status["last"], status["outcome"], status["steps"], status["volume"]) == ("DOSE:BOLUS", "DONE", "500", "5000nl")
    assert (status["clock"], status["fluid"], status["origin"], status["key"]) == ("set", "drug", "imported", "default")
    assert int(status["refill_by"][:-1]) > rig.unix()


@pytest.mark.req("R-MON-1")
def test_the_dictionary_lists_every_verb_with_its_fields_and_units():
    rig = PumpRig().connect()
    rows = rig.link.records("DICT?")
    assert sorted(row["verb"] for row in rows) == sorted(commands.VERBS)
    bolus = next(row for row in rows if row["verb"] == "DOSE:BOLUS")
    assert "volume:1..100000000nl" in bolus["text"]


@pytest.mark.req("R-TIM-1")
@pytest.mark.parametrize(("age", "code"), [(-5, "OK"), (-6, "STALE"), (0, "OK"), (30, "OK"), (31, "STALE")])
def test_a_command_is_fresh_from_five_seconds_early_to_its_ttl(age, code):
    rig = running()
    fields = dict(volume="5000nl", path="pump", at=f"{int(rig.unix()) - age}s", ttl="30s")
    try:
        rig.do("DOSE:BOLUS", **fields)
        seen = "OK"
    except Refused as refusal:
        seen = refusal.code
    assert seen == code


@pytest.mark.req("R-TIM-1")
def test_a_ttl_beyond_60_seconds_is_refused():
    rig = running()
    assert rig.refused("DOSE:BOLUS", volume="5000nl", path="pump", at=f"{int(rig.unix())}s", ttl="61s") == "ARG"


@pytest.mark.req("R-BOL-1")
def test_an_id_is_executed_once_over_sessions_and_reboots():
    rig = running()
    rig.do("DOSE:BOLUS", volume="5000nl", path="pump", id="00c0ffee")
    rig.advance(3 * HOUR_MS)
    made = rig.pump.ledger.bolus_steps
    rig.connect()
    assert rig.do("DOSE:BOLUS", volume="5000nl", path="pump", id="00c0ffee") == {"outcome": "DONE", "repeated": "yes"}
    rig.cut_power(1000).connect()
    assert rig.do("DOSE:BOLUS", volume="5000nl", path="pump", id="00c0ffee") == {"outcome": "DONE", "repeated": "yes"}
    assert rig.refused("RUN", id="00c0ffee") == "ARG"
    rig.advance(HOUR_MS)
    assert rig.pump.ledger.bolus_steps == made == 500


@pytest.mark.req("R-TIT-4")
def test_of_two_hosts_only_the_last_to_say_hello_can_act_and_what_the_other_staged_is_gone():
    rig = running()
    rig.stage(flat(360_000))
    other = Link(rig.link.channel, wall=rig.unix, seed=99)
    other.hello()
    assert rig.refused("PROG:NEW", name="q") == "SESSION"
    other.open_role("operator")
    with pytest.raises(Refused) as refused:
        other.command("PROG:SEG", {"day": "all", "from": "00:00", "dose": "1ng"})
    assert refused.value.code == "STATE"
    assert rig.pump.basal.program.name == "p"


@pytest.mark.req("R-DOSE-1", "R-TIT-4")
def test_what_runs_is_exactly_what_was_read_back_or_the_old_program_untouched():
    rig = running()
    old = rig.pump.basal.program.hash
    staged = rig.stage([("all", "00:00", 253_000), ("all", "19:00", 80_000)])
    assert rig.refused("PROG:COMMIT", hash="0" * 16, attended="yes", route="intrathecal") == "ARG"
    assert rig.pump.basal.program.hash == old
    assert rig.do("PROG:COMMIT", hash=staged, attended="yes", route="intrathecal")["hash"] == staged
    lines = [row["line"] for row in rig.link.records("PROG?")]
    assert lines == rig.pump.basal.program.lines
    assert rig.pump.basal.program.hash == staged


@pytest.mark.req("R-POP-2")
@pytest.mark.parametrize("route", ["epidural", "subcutaneous", None])
def test_every_delivery_is_intrathecal(route):
    rig = running()
    staged = rig.stage(NIGHT_FLEX)
    fields = {"hash": staged, "attended": "yes", **({"route": route} if route else {})}
    assert rig.refused("PROG:COMMIT", **fields) == "ROUTE"


@pytest.mark.req("R-TIT-4")
def test_a_staged_program_dies_after_five_minutes():
    rig = running()
    staged = rig.stage(NIGHT_FLEX)
    rig.advance(301_000)
    assert rig.refused("PROG:COMMIT", hash=staged, attended="yes", route="intrathecal") == "STATE"


@pytest.mark.req("R-MNT-3")
def test_more_than_1000_mcg_a_day_needs_the_token_of_the_refusal():
    rig = PumpRig().take_over(flat(1_000_000), ago_s=200_000).run()
    rig.advance(60_000)
    staged = rig.stage(flat(1_100_000))
    fields = {"hash": staged, "attended": "yes", "route": "intrathecal"}
    with pytest.raises(Refused) as refused:
        rig.do("PROG:COMMIT", **fields)
    assert refused.value.code == "CONFIRM_OVER_1000"
    assert rig.refused("PROG:COMMIT", confirm="00000000", **fields) == "CONFIRM_OVER_1000"
    assert rig.do("PROG:COMMIT", confirm=refused.value.fields["confirm"], **fields)["runs"] == "now"


@pytest.mark.req("R-ALM-10")
def test_a_mute_lasts_two_minutes_and_an_alarm_test_plays_each_signal():
    rig = running()
    rig.do("ALAR:TEST")
    rig.advance(7_000)
    assert [signal & 255 for _, signal in rig.hal.tones if signal & 256] == [1, 2, 3]
    rig.open_port()
    rig.advance(1_000)
    assert rig.hal.tones[-1][1] == 3
    rig.do("ALAR:MUTE")
    rig.advance(1_000)
    assert rig.hal.tones[-1][1] == 0
    rig.advance(120_000)
    assert rig.hal.tones[-1][1] == 3


@pytest.mark.req("R-ALM-8", "R-ALM-11")
@pytest.mark.parametrize(("damaged", "state"), [("a", "running"), ("b", "running"), ("ab", "idle")])
def test_a_damaged_copy_is_a_memory_fault_the_good_one_runs_and_none_good_stops(damaged, state):
    rig = running()
    for copy in damaged:
        data = bytearray(rig.store.files["state." + copy])
        data[len(data) // 2] ^= 1
        rig.store.files["state." + copy] = bytes(data)
    rig.cut_power(1000).connect()
    assert "MEMORY_FAULT" in rig.alarms()
    assert rig.status()["state"] == state
    made = len(rig.edges())
    rig.advance(HOUR_MS)
    assert (len(rig.edges()) > made) is (state == "running")


@pytest.mark.req("R-ALM-9")
def test_a_watchdog_reset_is_told_and_a_late_loop_is_a_named_fault():
    rig = running()
    rig.cut_power(0, cause=2).connect()
    assert "WATCHDOG_RESET" in rig.alarms()
    rig.hal.advance_to(rig.hal.us + 60_000_000)
    rig.turn()
    assert "LATE" in rig.alarms()
    assert rig.status("motion")["late"] == "1"
    assert rig.status()["state"] == "running"


@pytest.mark.req("R-ALM-9")
def test_a_step_that_the_engine_tells_to_be_late_is_the_same_fault_once():
    rig = running()
    rig.advance(60_000)
    rig.hal.engine_late = 3
    rig.advance(60_000)
    assert "LATE" in rig.alarms()
    assert rig.status("motion")["late"] == "1"
    rig.advance(HOUR_MS)
    assert rig.status("motion")["late"] == "1"
    assert rig.status()["state"] == "running"


_TIMES = ["00:00", "2029-02-30", "4294967296s"]
_WORDS = ["nan", "all", "pump", "port", "yes", "deadbeef", "0" * 16, "x" * 60, ""]
WORDS = st.sampled_from(["0", "-1", "5000nl", "5000", "1e3nl", *_TIMES, *_WORDS])


@pytest.mark.req("R-UNIT-2", "R-UNIT-3")
@given(st.lists(st.tuples(st.sampled_from(sorted(commands.VERBS)), st.data()), min_size=1, max_size=1), st.data())
@settings(max_examples=120)
def test_odd_but_well_formed_fields_are_refused_or_obeyed_and_never_crash_the_loop(verbs, data):
    rig = running_once()
    verb = data.draw(st.sampled_from(sorted(set(commands.VERBS) - {"HELLO", "AUTH", "STOP", "MAINT"})))
    names = [name.rstrip("?") for name in commands.VERBS[verb][1]]
    few = st.sets(st.sampled_from([*names, "odd"]), max_size=5)  # more would not fit a line
    fields = {name: data.draw(WORDS) for name in data.draw(few)}
    fields = {name: value for name, value in fields.items() if value}
    try:
        rig.link.command(verb, fields) if commands.VERBS[verb][0] != "ask" else rig.link.ask(verb, fields)
    except Refused as refusal:
        assert refusal.text
    rig.advance(1000)


_RUNNING = []


def running_once():
    """One pump for all examples: what one of them did must not crash the next either."""
    if not _RUNNING:
        _RUNNING.append(running())
    return _RUNNING[0]


@pytest.mark.req("R-OVD-1")
@pytest.mark.parametrize("noise", [b"", b"\x03\x04\x01", b"x" * 600, b">0005 RUN garb", b"\r\n\r\n"])
def test_a_typed_stop_is_obeyed_after_any_noise_on_the_line(noise):
    rig = running()
    rig.hal.to_pump += noise + b"\r\nSTOP\r\n"
    for _ in range(100):
        rig.turn()
    assert not rig.pump.delivering


@pytest.mark.req("R-OVD-1")
@pytest.mark.parametrize("line", ["RUN", "DOSE:BOLUS volume=5000nl path=pump", "PROG:NEW name=q", "EMPTY", "MAINT", "CAL:MOVE steps=100"])
def test_a_typed_line_may_only_ask_or_stop(line):
    rig = running()
    before = snapshot.dump(rig.pump)
    assert "VERB" in rig.link.type_line(line)
    assert snapshot.dump(rig.pump)["program"] == before["program"]
    assert rig.pump.delivering


@pytest.mark.req("R-CAP-1", "R-OVD-1")
def test_a_flipped_bit_or_a_missing_mac_moves_no_step():
    rig = running()
    rig.do("STOP")
    made = len(rig.edges())
    good = seal(f">0099 RUN id=00000001 at={int(rig.unix())}s ttl=30s sess={rig.link.session.sess}")  # no mac
    for at in range(0, len(good) - 2, 3):
        rig.hal.to_pump += good[:at] + bytes([good[at] ^ 4]) + good[at + 1 :]
    rig.advance(60_000)
    rig.hal.from_pump = b""
    assert len(rig.edges()) == made
    assert rig.status()["state"] == "stopped"
