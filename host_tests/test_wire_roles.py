"""Who may act on the wire: roles, codes, and lines typed by hand."""

import hashlib
import hmac as std_hmac

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wire_rig import Pump

from doseloop import auth
from doseloop.units import Refusal
from hil.auth import default_key, line_mac, session_tag


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


# ---- roles


@given(st.binary(max_size=64), st.binary(max_size=200))
@settings(max_examples=60, deadline=None)
def test_the_mac_is_the_hmac_of_the_standard(key, message):
    assert auth.hmac_sha256(key, message) == std_hmac.new(key, message, hashlib.sha256).digest()


def test_without_a_role_what_changes_something_is_refused(opened):
    assert opened.reply(opened.signed(">0001 RUN")).code == "ROLE"
    assert opened.verbs() == []


def test_operator_may_not_do_what_needs_service_and_service_may_do_both(operator):
    assert operator.reply(operator.signed(">0002 CAL:MOVE")).code == "ROLE"
    assert operator.auth(3, "service").fields == {"role": "service", "key": "default"}
    assert operator.reply(operator.signed(">0004 CAL:MOVE", "service")).ok
    assert operator.reply(operator.signed(">0005 RUN", "service")).ok
    assert operator.reply(operator.signed(">0006 RUN", "operator")).code == "AUTH", "the role opened last is the session's"
    assert [r.role for r in operator.done if r.verb == "RUN"] == ["service"]


@pytest.mark.parametrize("spoil", [lambda m: m[::-1], lambda m: "", lambda m: m.lower(), lambda m: m + "0", lambda m: "0" * 16])
def test_a_line_with_a_wrong_mac_is_refused_counted_and_logged(operator, spoil):
    body, _, mac = operator.signed(">0002 RUN").rpartition(" mac=")
    assert operator.reply(f'{body} mac="{spoil(mac)}"').code == "AUTH"
    assert operator.verbs() == [] and operator.log[-1] == "wrong mac on RUN, 1"


def test_the_mac_is_the_last_field(operator):
    reply = operator.reply(operator.signed(">0002 RUN") + " x=1")
    assert reply.code == "AUTH" and "last" in reply.text and operator.log[-1] == "role operator opened"


def test_the_mac_covers_the_whole_line_even_where_a_text_looks_like_a_mac(operator):
    assert operator.reply(operator.signed('>0002 RUN lot="x mac=0"')).ok
    assert operator.done[-1].args == {"lot": "x mac=0"}


def test_the_handler_never_sees_sess_and_mac(operator):
    assert operator.reply(operator.signed(">0002 RUN id=00000001")).ok
    assert operator.done[-1].args == {"id": "00000001"}


def test_three_wrong_codes_make_auth_wait_longer_each_time_and_a_right_one_clears_it(opened):
    waits = []
    for seq in range(1, 9):
        assert opened.auth(seq * 2 - 1, "operator", b"wrong").code == "AUTH"
        held = opened.auth(seq * 2, "operator", b"wrong")
        waits.append(held.fields.get("wait"))
        opened.now += 300_000
    assert waits == [None, "2s", "4s", "8s", "16s", "32s", "64s", "128s"]
    assert opened.auth(17, "operator").ok
    assert [opened.auth(seq, "operator", b"wrong").fields for seq in (18, 19, 20)] == [{}, {}, {}]


def test_no_wait_is_longer_than_256_s_and_it_ends_on_the_millisecond(opened):
    for _ in range(14):
        opened.hello()
        opened.auth(1, "operator", b"wrong")
        opened.now += 256_000
    opened.hello()
    assert opened.auth(1, "operator", b"wrong").fields == {}
    assert opened.auth(2, "operator").fields == {"wait": "256s"}
    opened.now += 255_000
    assert opened.auth(3, "operator").fields == {"wait": "1s"}
    opened.now += 999
    assert opened.auth(4, "operator").fields == {"wait": "1s"}
    opened.now += 1
    assert opened.auth(5, "operator").ok


def test_the_first_wait_is_told_in_whole_seconds_that_are_not_too_short(opened):
    for seq in (1, 2, 3):
        opened.auth(seq, "operator", b"wrong")
    opened.now += 999
    assert opened.auth(4, "operator").fields == {"wait": "2s"}
    opened.now += 1
    assert opened.auth(5, "operator").fields == {"wait": "1s"}


def test_wrong_codes_are_logged_with_their_verb_at_1_2_4_and_8(opened):
    for _ in range(9):
        opened.hello()
        opened.auth(1, "operator", b"wrong")
        opened.now += 300_000
    assert opened.log == [f"wrong mac on AUTH, {number}" for number in (1, 2, 4, 8)]


def test_a_role_ends_with_its_session(operator):
    operator.hello()
    assert operator.reply(operator.signed(">0001 RUN")).code == "ROLE"


def test_a_code_under_another_name_is_none(operator):
    body, _, code = operator.signed(">0002 RUN").rpartition(" mac=")
    for name in ("aaa", "zzz"):
        refused = operator.reply(f"{body} {name}={code}")
        assert (refused.code, "last" in refused.text) == ("AUTH", True)
        body = body.replace(">0002", ">0003")


def test_the_right_key_too_waits_after_wrong_ones_and_a_new_session_does_not_help(opened):
    for seq in (1, 2, 3):
        opened.auth(seq, "operator", b"wrong")
    opened.hello()
    assert opened.auth(1, "operator").fields == {"wait": "2s"}
    opened.now += 2000
    assert opened.auth(2, "operator").ok


@pytest.mark.parametrize(
    "fields, code", [("role=king mac=1", "ARG"), ("mac=1", "MISSING"), ("role=service", "MISSING"), ("role=service mac=1 x=1", "ARG")]
)
def test_auth_says_what_is_wrong_with_its_fields(opened, fields, code):
    assert opened.reply(f">0001 AUTH sess={opened.sess} {fields}").code == code


def test_auth_belongs_to_its_session(opened):
    assert opened.reply(">0001 AUTH role=operator mac=0").code == "SESSION"
    assert opened.reply(">0001 AUTH role=operator sess=00000000 mac=0").code == "SESSION"


@pytest.mark.parametrize("laps", [1, 2])
def test_a_code_counts_how_often_the_numbers_of_its_session_began_anew(operator, laps):
    recorded = operator.signed(">0002 RUN")
    assert operator.reply(recorded).ok
    for _ in range(laps):
        operator.wire._expected = 9999  # as after so many questions
        assert operator.reply(">9999 STAT?").ok
        assert operator.reply(">0001 STAT?").ok
    assert operator.reply(recorded).code == "AUTH"
    body = f">0003 RUN sess={operator.sess}"
    assert operator.reply(f"{body} mac={line_mac(default_key('operator'), session_tag(operator.sess, laps), body)}").ok
    operator.hello()
    assert operator.auth(1, "operator").ok
    assert operator.reply(operator.signed(">0002 RUN")).ok


# ---- typed lines


@pytest.mark.parametrize(
    "line", [b"stat?", b"STAT?", b"  Stat?  ", b"star\x08t?", b"\x03STAT?\x04", b"\xfeSTAT?", b"xx\x7f\x7f\x7f\x7fSTAT?"]
)
def test_a_typed_question_is_answered_in_plain_text(pump, line):
    assert pump.feed(line + b"\r\n") == b"n=1\r\n"
    assert pump.done[0].bare and pump.done[0].role is None


def test_a_typed_question_takes_fields_in_any_case(pump):
    pump.feed(b"stat?  PART=Therapy\r")
    assert pump.done[0].args == {"part": "therapy"}


@pytest.mark.parametrize(
    "line", [b"RUN", b"HELLO", b"AUTH role=operator", b"CAL:MOVE steps=1", b"FLY", b"FLY?", b"0001 STAT?", b"STA", b"STAT ?", b"STOPP"]
)
def test_a_typed_line_may_only_ask_or_stop(pump, line):
    assert pump.feed(line + b"\r").startswith(b"VERB: ")
    assert pump.done == []


@pytest.mark.req("R-OVD-1")
@pytest.mark.parametrize("line", [b"STOP", b"stop", b" sToP ", b"STOP now", b"STOQ\x08P", b"\x00STOP"])
def test_a_typed_stop_is_obeyed(pump, line):
    pump.feed(line + b"\r")
    assert pump.verbs() == ["STOP"]


def test_a_typed_line_takes_no_number(opened):
    opened.feed(b"STAT?\rSTOP\r")
    assert opened.reply(">0001 STAT?").ok


def test_a_refusal_of_a_typed_line_is_a_sentence(pump):
    pump.refuse = Refusal("ARG", 'part "x" > is unknown')
    assert pump.feed(b"STAT? part=x\r") == b"ARG: part 'x' ? is unknown\r\n"
    assert pump.feed(b"STAT? part\r").startswith(b"FRAME: ")


def test_an_answer_in_plain_text_is_wrapped_to_the_screen(pump):
    pump.answer = [(f"key{i}", "v" * 20) for i in range(12)]
    lines = pump.feed(b"STAT?\r").decode().splitlines()
    assert len(lines) == 5 and max(map(len, lines)) < 80
    assert " ".join(lines) == " ".join(f"{name}={value}" for name, value in pump.answer)
