"""The wire's edges: what a handler is told, how much may wait, which session is whose, what is counted."""

import pytest
from wire_rig import Pump

from doseloop import frame
from hil.frames import parse_line, seal

QUEUE, EVENTS = 2048, 1024


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


def randomly(*values):
    """A pump whose random numbers are these, the last one again and again."""
    pump, left = Pump(), list(values)
    pump.wire._rng = lambda: left.pop(0) if len(left) > 1 else left[0]
    return pump


# ---- what the handler is told


@pytest.mark.req("R-MON-2")
def test_a_request_carries_number_role_and_session(operator):
    for seq in range(2, 1234):
        operator.feed(seal(f">{seq:04d} *IDN?"))
    assert operator.reply(operator.signed(">1234 RUN k=1")).ok
    told = operator.done[-1]
    assert (told.verb, told.args, told.seq, told.role, told.sess, told.bare) == ("RUN", {"k": "1"}, 1234, "operator", operator.sess, False)


def test_a_typed_request_has_no_number_no_role_and_no_session(operator):
    operator.feed(b"STAT?\r")
    told = operator.done[-1]
    assert (told.verb, told.args, told.seq, told.role, told.sess, told.bare) == ("STAT?", {}, 0, None, "", True)


def test_hello_is_told_of_the_session_that_it_would_open(pump):
    assert pump.feed(seal(">0000 HELLO x=1")).startswith(b"<0000 OK boot=")
    told = pump.done[-1]
    assert (told.verb, told.args, told.seq, told.role, told.sess, told.bare) == ("HELLO", {"x": "1"}, 0, None, pump.wire.sess, False)
    assert pump.hello().fields["proto"] == "1"


@pytest.mark.req("R-OVD-1")
def test_a_stop_is_told_with_its_number_and_the_role_of_the_session(operator):
    operator.reply(">0002 STOP")
    told = operator.done[-1]
    assert (told.verb, told.args, told.seq, told.role, told.sess) == ("STOP", {}, 2, "operator", operator.sess)


# ---- sessions


@pytest.mark.parametrize("number", [0x12345670, 0x1234567F, 0xFFFFFFFF, 0])
def test_a_new_session_is_another_one_even_if_the_random_number_is_the_same(number):
    pump = randomly(number)
    names = [pump.hello().fields["sess"] for _ in range(3)]
    assert names == [f"{number:08x}", f"{number ^ 1:08x}", f"{number:08x}"]


def test_a_session_and_its_nonce_are_the_random_numbers():
    pump = randomly(5, 1, 2, 7, 3, 4, 6, 8, 9)
    for sess, nonce in (("00000005", "0000000100000002"), ("00000007", "0000000300000004"), ("00000006", "0000000800000009")):
        fields = pump.hello().fields
        assert (fields["sess"], fields["nonce"]) == (sess, nonce)


@pytest.mark.parametrize("sess", ["00000000", "ffffffff"])
def test_a_line_of_another_session_is_refused_whichever_it_is(opened, sess):
    assert opened.reply(f">0001 STAT? sess={sess}").code == "SESSION"
    assert opened.verbs() == []


def test_the_session_is_found_among_other_fields(opened):
    assert opened.reply(f">0001 STAT? a=1 x=2 sess={opened.sess} z=3").ok
    assert opened.done[-1].args == {"a": "1", "x": "2", "z": "3"}


# ---- typed lines


def test_help_is_the_only_typed_question_without_a_question_mark(pump):
    pump.wire._needs = {"HELP": "ask", "HELLO": "ask", "ZEBRA": "ask", "ZEBRA?": "ask"}.get
    assert [pump.feed(line).startswith(b"n=1") for line in (b"HELP\r", b"help\r", b"HELLO\r", b"ZEBRA\r", b"ZEBRA?\r")] == [
        True, True, False, False, True,
    ]  # fmt: skip


# ---- what waits


def test_a_line_is_answered_and_sent_in_the_turn_of_its_end(pump):
    pump.serial.input = b"STAT?\r"
    assert pump.wire.turn() is True
    assert pump.serial.output == b"n=1\r\n" and not pump.wire.waiting()
    assert pump.wire.turn() is False


def test_a_turn_is_busy_while_the_port_takes_something(opened):
    opened.serial.room = 0
    opened.wire.event("A", [])
    assert opened.wire.turn() is False, "nothing came and nothing went"
    opened.serial.room = 3
    assert opened.wire.turn() is True
    assert opened.wire.turn() is False and opened.wire.waiting()


def test_lines_leave_in_their_order_and_whole_however_little_the_port_takes(opened):
    events = [frame.event_line(number, "A", [("text", "x" * number)]) for number in (1, 2, 3)]
    opened.serial.room, opened.serial.output = 0, b""
    for number in (1, 2, 3):
        opened.wire.event("A", [("text", "x" * number)])
    for sent in range(len(b"".join(events))):
        assert opened.wire.waiting() and opened.serial.output == b"".join(events)[:sent]
        opened.serial.room = 1
        opened.wire.turn()
    assert opened.serial.output == b"".join(events) and not opened.wire.waiting()


def test_a_port_that_took_a_part_is_not_asked_again_in_the_same_turn(opened):
    asked = []
    opened.serial.write = lambda line: asked.append(len(line)) or 4
    opened.wire.event("A", [])
    opened.wire.event("B", [])
    opened.wire.turn()
    assert len(asked) == 1


def event_of(length):
    """Pairs of an event whose line has this many bytes."""
    return [("text", "x" * (length - len(frame.event_line(1, "A", [("text", "")]))))]


@pytest.mark.parametrize(("last", "dropped"), [(423, 0), (424, 0), (425, 1)])
def test_events_wait_in_1024_bytes_to_the_last_one(opened, last, dropped):
    opened.serial.room = 0
    for length in (300, 300, last):
        opened.wire.event("A", event_of(length))
    opened.wire.turn()
    assert opened.wire.dropped == dropped
    assert opened.wire._queued == sum(map(len, opened.wire._queue)) == 600 + last * (not dropped)
    assert EVENTS == 600 + 424


def answer_of(length):
    """Pairs of a typed answer of this many bytes."""
    return [("text", "x" * (length - len(frame.plain_ok([("text", "")]))))]


@pytest.mark.parametrize(("last", "dropped"), [(447, 0), (448, 0), (449, 1)])
def test_answers_wait_in_2048_bytes_to_the_last_one(pump, last, dropped):
    pump.serial.room = 0
    for length in (800, 800, last):
        pump.answer = answer_of(length)
        pump.feed(b"STAT?\r")
    assert pump.wire.dropped_replies == dropped
    assert pump.wire._queued == sum(map(len, pump.wire._queue)) == 1600 + last * (not dropped)
    assert QUEUE == 1600 + 448
    pump.feed(b"STAT?\r" * 3)
    assert pump.wire.dropped_replies == dropped + 3


# ---- counts


def test_lines_that_are_no_frames_are_counted_and_answered_one_by_one(opened):
    assert opened.wire.frame_errors == 0 and opened.wire.dropped == 0 and opened.wire.dropped_replies == 0
    for count, line in enumerate([b">0001 STAT?*00000000\n", b">x\n", b"A" * 600 + b"\n", seal(">0001 STAT").replace(b"T", b"U")], 1):
        (reply,) = [parse_line(part) for part in opened.feed(line).split(b"\r\n")[:-1]]
        assert reply.code == "FRAME" and reply.seq == 0
        assert opened.wire.frame_errors == count
    opened.reply(">0001 STAT?")
    opened.reply(">0009 STAT?")
    assert opened.wire.frame_errors == 4, "a good frame in the wrong place is none of them"
