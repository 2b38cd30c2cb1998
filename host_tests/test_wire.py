"""The wire: sessions, numbers taken at most once, STOP, and a loop that output never blocks."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wire_rig import Pump

from doseloop.units import Refusal
from hil.frames import Event, Reply, parse_line, seal


@pytest.fixture
def pump():
    return Pump()


@pytest.fixture
def opened(pump):
    pump.hello()
    return pump


@pytest.fixture
def operator(opened):
    assert opened.auth(1, "operator").ok
    return opened


# ---- sessions and numbers


def test_hello_always_opens_a_new_session_of_the_same_boot(pump):
    first, second = pump.hello(), pump.hello()
    assert first.fields["sess"] != second.fields["sess"] and first.fields["nonce"] != second.fields["nonce"]
    assert first.fields["boot"] == second.fields["boot"]
    assert list(first.fields) == ["boot", "sess", "proto", "fw", "board", "uid", "nonce"]
    assert [r.verb for r in pump.done] == ["HELLO", "HELLO"]
    assert pump.done[1].sess == second.fields["sess"]


def test_before_hello_only_hello_and_stop_are_taken(pump):
    assert pump.reply(">0001 STAT?").code == "SESSION"
    assert pump.reply(">0001 STOP").ok
    assert pump.verbs() == ["STOP"]


def test_hello_with_another_number_opens_nothing(opened):
    reply = opened.reply(">0001 HELLO")
    assert reply.code == "SEQ" and reply.fields["expected"] == "0000"
    assert opened.wire.sess == opened.sess


def test_a_refused_hello_leaves_the_session_in_force(opened):
    opened.refuse = Refusal("ARG", "no")
    refused = opened.reply(">0000 HELLO x=1")
    assert (refused.seq, refused.code) == (0, "ARG")
    assert opened.wire.sess == opened.sess


def test_the_same_number_and_bytes_get_the_kept_answer_and_do_nothing(operator):
    line = seal(operator.signed(">0002 RUN"))
    first = operator.feed(line)
    operator.answer = [("n", 2)]
    assert operator.feed(line) == first
    assert operator.verbs() == ["RUN"]


def test_a_refusal_is_kept_like_any_answer(operator):
    operator.refuse = Refusal("LOCKOUT", "too early", [("wait", "60s")])
    line = seal(operator.signed(">0002 RUN"))
    first = operator.feed(line)
    operator.refuse = None
    assert operator.feed(line) == first and b"LOCKOUT" in first and b"wait=60s" in first
    assert operator.verbs() == ["RUN"]
    assert operator.reply(operator.signed(">0003 RUN")).ok


@pytest.mark.parametrize("body", [">0001 *IDN?", ">0003 STAT?", ">0000 STAT?", ">9999 STAT?"])
def test_other_bytes_or_a_gap_is_err_seq_with_what_is_expected(opened, body):
    assert opened.reply(">0001 STAT?").ok
    reply = opened.reply(body)
    assert (reply.code, reply.seq, reply.fields) == ("SEQ", int(body[1:5]), {"expected": "0002"})
    assert opened.verbs() == ["STAT?"]
    assert opened.reply(">0002 STAT?").ok


def test_numbers_go_from_9999_to_0001(opened):
    for seq in range(1, 10_000):
        assert opened.feed(seal(f">{seq:04d} *IDN?")).startswith(b"<%04d OK" % seq)
    assert opened.reply(">0000 STAT?").fields == {"expected": "0001"}
    assert opened.reply(">0001 STAT?").ok
    assert len(opened.verbs()) == 10_000


def test_of_two_hosts_only_the_last_to_say_hello_can_act(operator):
    stale = operator.signed(">0002 RUN")
    operator.hello()
    assert operator.auth(1, "operator").ok
    assert operator.reply(stale).code == "SESSION"
    assert operator.reply(operator.signed(">0002 RUN")).ok, "the other host's line took no number"
    assert operator.verbs() == ["RUN"]


def test_a_changing_verb_without_its_session_is_refused_and_takes_no_number(operator):
    assert operator.reply(">0002 RUN").code == "SESSION"
    assert operator.verbs() == []
    assert operator.reply(operator.signed(">0002 RUN")).ok


def test_a_new_session_forgets_the_kept_answer_and_the_role(operator):
    line = operator.signed(">0002 RUN")
    assert operator.reply(line).ok
    operator.hello()
    assert operator.reply(line).code == "SESSION"
    assert operator.reply(operator.signed(">0001 RUN")).code == "ROLE"


def test_an_unknown_verb_is_err_verb_and_takes_its_number(opened):
    assert opened.reply(">0001 FLY").code == "VERB"
    assert opened.reply(">0002 STAT?").ok


actions = st.lists(st.sampled_from(["new", "again", "other", "gap", "damaged", "lost", "hello", "soup"]), max_size=25)


@given(actions)
@settings(max_examples=100, deadline=None)
def test_each_command_is_executed_at_most_once_however_lines_are_lost_repeated_or_damaged(steps):
    pump = Pump()
    pump.hello()
    pump.auth(1, "operator")
    seq, sent, line = 2, 0, None
    for step in steps:
        if step in ("new", "lost"):
            sent += 1
            line = seal(pump.signed(f">{seq:04d} RUN k={sent}"))
            pump.feed(line)  # "lost": the host does not read it, so it repeats
            if step == "lost":
                pump.feed(line)
            seq += 1
        elif step == "again" and line:
            pump.feed(line)
        elif step == "other":
            pump.feed(seal(pump.signed(f">{max(1, seq - 1):04d} RUN k=0")))
        elif step == "gap":
            pump.feed(seal(pump.signed(f">{seq + 1:04d} RUN k=0")))
        elif step == "damaged" and line:
            pump.feed(line.replace(b"RUN", b"RUM"))
        elif step == "hello":
            pump.hello()
            pump.auth(1, "operator")
            seq = 2
        elif step == "soup":
            pump.feed(b"\x00>>x\r\n*IDN?>00")
    assert [r.args["k"] for r in pump.done if r.verb == "RUN"] == [str(k) for k in range(1, sent + 1)]


# ---- STOP


@pytest.mark.req("R-OVD-1")
def test_stop_needs_no_role_no_session_and_no_mac(opened):
    assert opened.reply(">0001 STOP").ok
    assert opened.verbs() == ["STOP"]


@pytest.mark.req("R-OVD-1")
def test_stop_out_of_sequence_is_obeyed_and_then_answered_err_seq(opened):
    opened.answer = [("state", "stopped")]
    reply = opened.reply(">0077 STOP")
    assert opened.verbs() == ["STOP"]
    assert reply.code == "SEQ" and reply.text.startswith("stopped")
    assert reply.fields == {"expected": "0001", "state": "stopped"}
    assert opened.reply(">0001 STOP").ok


@pytest.mark.req("R-OVD-1")
@pytest.mark.parametrize("fields", ["x=1", "sess=00000000 sess=1", "sess=00000000 id=1"])
def test_stop_with_fields_it_does_not_know_is_obeyed_and_then_answered_err_arg(opened, fields):
    reply = opened.reply(f">0001 STOP {fields}")
    assert opened.verbs() == ["STOP"]
    assert reply.code == "ARG" and reply.text.startswith("stopped")


@pytest.mark.req("R-OVD-1")
def test_stop_of_another_session_is_obeyed_and_answered_ok(opened):
    assert opened.reply(">0001 STOP sess=00000000 mac=0000000000000000").ok


@pytest.mark.req("R-OVD-1")
def test_a_repeated_stop_gets_the_kept_answer(opened):
    assert opened.reply(">0001 STOP").ok and opened.reply(">0001 STOP").ok
    assert opened.verbs() == ["STOP"]


@pytest.mark.req("R-OVD-1")
def test_a_stop_that_could_not_be_obeyed_is_tried_again_when_repeated(opened):
    opened.refuse = Refusal("STATE", "the engine does not answer")
    assert opened.reply(">0001 STOP").code == "STATE"
    opened.refuse = None
    assert opened.reply(">0001 STOP").ok
    assert opened.verbs() == ["STOP", "STOP"]


@pytest.mark.req("R-OVD-1")
def test_stop_is_obeyed_while_nobody_takes_the_output(opened):
    opened.serial.room = 0
    opened.feed(b"STAT?\r" * 200)
    opened.feed(b"STOP\r")
    assert opened.verbs()[-1] == "STOP"
    assert opened.wire.waiting()


@pytest.mark.req("R-OVD-1")
def test_a_damaged_stop_is_not_obeyed_because_its_sender_repeats_it(opened):
    (reply,) = opened.replies(seal(">0001 STOP").replace(b"STOP", b"STOQ"))
    assert reply.code == "FRAME" and opened.verbs() == []


# ---- output and input


def test_a_turn_reads_at_most_256_bytes_and_does_at_most_one_line(pump):
    pump.serial.input = b"STAT?\n" * 60
    done = [0]
    while pump.wire.turn():
        done.append(len(pump.done))
    assert max(pump.serial.reads) == 256 and done[-1] == 60
    assert all(later - earlier <= 1 for earlier, later in zip(done, done[1:]))


def test_an_answer_leaves_piece_by_piece_and_whole(opened):
    opened.serial.input = seal(">0001 STAT?")
    opened.serial.output = b""
    for _ in range(200):
        opened.serial.room = 1
        opened.wire.turn()
    assert parse_line(opened.serial.output.strip()).ok and not opened.wire.waiting()


def test_events_come_between_lines_numbered_and_lost_ones_are_counted(opened):
    opened.wire.event("ALARM", [("code", "LATE"), ("text", "late")])
    (event,) = opened.replies(b"")
    assert event == Event(1, "ALARM", {"code": "LATE", "text": "late"})
    opened.serial.room = 0
    for _ in range(100):
        opened.wire.event("ALARM", [("text", "x" * 50)])
    opened.wire.turn()
    dropped = opened.wire.dropped
    assert 80 < dropped < 100
    opened.serial.input = seal(">0001 STAT?")
    opened.wire.turn(), opened.wire.turn()
    opened.serial.room = 1 << 20
    found = opened.replies(b"")
    assert found[-1] == Reply(1, "", "", {"n": "1"}), "an answer has room beside events"
    assert len(found) == 101 - dropped
    opened.wire.event("X", [])
    assert opened.replies(b"")[0].number == 102, "a gap in the numbers shows the loss"


def test_what_an_order_brings_about_is_told_before_its_answer(opened):
    usual = opened.wire._handle

    def handle(request):
        opened.wire.event("ALARM", [("text", "PUMP_STOPPED on")])
        return usual(request)

    opened.wire._handle = handle
    event, answer = opened.replies(seal(">0001 STAT?"))
    assert event == Event(1, "ALARM", {"text": "PUMP_STOPPED on"}) and answer == Reply(1, "", "", {"n": "1"})


def test_output_waiting_for_a_port_that_takes_nothing_lets_the_pump_sleep(opened):
    opened.serial.room = 0
    opened.feed(seal(">0001 STAT?"))
    assert opened.wire.turn() is False and opened.wire.waiting()


def test_answers_nobody_takes_are_dropped_and_can_be_asked_for_again(opened):
    opened.serial.room = 0
    line = seal(">0001 STAT?")
    opened.feed(line * 200)
    assert opened.wire.dropped_replies > 0 and opened.wire._queued <= 2048
    opened.serial.room = 1 << 20
    opened.feed(b"")
    assert opened.replies(line)[-1].ok and opened.verbs() == ["STAT?"]


def test_events_before_a_session_are_for_nobody(pump):
    pump.wire.event("BOOT", [])
    assert pump.feed(b"") == b"" and pump.wire.dropped == 0


def test_hello_over_and_over_keeps_nothing(pump):
    for _ in range(300):
        pump.hello()
    assert not pump.wire.waiting() and pump.wire._last_reply is None
