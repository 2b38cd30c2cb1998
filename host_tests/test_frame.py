"""The wire's lines: form, CRC, length, line ends, and what damage does."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from wire_rig import Pump

from doseloop import frame
from hil.frames import FrameError, Reply, parse_line, seal


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


soup = st.lists(
    st.one_of(
        st.binary(max_size=40),
        st.sampled_from(
            [b"\r", b"\n", b"\r\n", b">", b"STAT?", b">0001 RUN", b"*", b"\x03\x04", b"\x08" * 3, b"A" * 520, seal(">0001 STAT?")]
        ),
    ),
    max_size=12,
).map(b"".join)


@given(soup)
@settings(max_examples=150, deadline=None)
@pytest.mark.req("R-OVD-1")
def test_any_byte_soup_leaves_the_wire_able_to_take_the_next_frame(junk):
    pump = Pump()
    pump.hello()
    pump.feed(junk)
    assert pump.hello().ok
    assert pump.reply(">0001 STAT?") == Reply(1, "", "", {"n": "1"})


@given(soup)
@settings(max_examples=100, deadline=None)
@pytest.mark.req("R-OVD-1")
def test_a_typed_stop_is_obeyed_after_any_byte_soup_that_ended(junk):
    pump = Pump()
    pump.feed(junk + b"\r\n")
    before = pump.verbs().count("STOP")
    pump.feed(b"stop\r")
    assert pump.verbs().count("STOP") == before + 1


@given(st.binary(max_size=300), st.lists(st.integers(0, 40), max_size=6))
@settings(max_examples=100, deadline=None)
def test_how_bytes_are_cut_into_reads_changes_nothing(data, cuts):
    whole, pieces = Pump(), Pump()
    expected = whole.feed(data)
    got = b""
    for cut in cuts:
        got += pieces.feed(data[:cut])
        data = data[cut:]
    assert got + pieces.feed(data) == expected


GOOD = seal('>0001 RUN sess=12345678 lot="a lot" mac=0123456789ABCDEF')


@given(st.integers(0, (len(GOOD) - 1) * 8 - 1))
@settings(max_examples=200, deadline=None)
def test_a_frame_with_a_flipped_bit_never_passes(bit):
    line = bytearray(GOOD[:-1])
    line[bit // 8] ^= 1 << bit % 8
    with pytest.raises(frame.WireError):
        frame.parse(bytes(line))


@given(st.integers(0, (len(GOOD) - 1) * 8 - 1))
@settings(max_examples=150, deadline=None)
def test_a_flipped_bit_on_the_line_executes_nothing(bit):
    pump = Pump()
    pump.hello()
    line = bytearray(GOOD)
    line[bit // 8] ^= 1 << bit % 8
    pump.feed(bytes(line))
    assert pump.verbs() == []


words = st.text(alphabet=[chr(c) for c in range(33, 127) if chr(c) not in '">='], min_size=1, max_size=20)
texts = st.text(alphabet=[chr(c) for c in range(32, 127) if chr(c) not in '">'], max_size=40)
names = st.from_regex(r"[a-z][a-z0-9_.]{0,8}", fullmatch=True)


@given(st.integers(0, 9999), st.lists(st.tuples(names, st.one_of(words, texts)), max_size=5))
@settings(max_examples=150, deadline=None)
def test_what_is_framed_is_read_back(seq, pairs):
    line = frame.frame(" ".join([f">{seq:04d} X"] + [frame.field(n, v) for n, v in pairs]).encode())
    assert frame.parse(line[:-2]) == (seq, "X", pairs)


@given(st.lists(st.tuples(names, st.one_of(st.integers(), st.text(max_size=300))), max_size=40), st.text(max_size=600))
@settings(max_examples=100, deadline=None)
def test_every_answer_is_one_line_of_at_most_512_bytes_the_host_can_read(pairs, text):
    for line in (frame.reply_ok(1, pairs), frame.reply_error(1, "ARG", text, pairs), frame.event_line(1, "ALARM", pairs)):
        assert len(line) <= 512 and line.endswith(b"\r\n") and line.count(b"\n") == 1
        assert b">" not in line
        try:
            parse_line(line[:-2])
        except FrameError as error:  # the same name twice is the handler's mistake, and the host says so
            assert "fields" in str(error) and len({n for n, _ in pairs} | {"cut"}) < len(pairs) + 1


values = st.one_of(st.integers(), words, st.sampled_from(["", " ", "a b", "a=b", "=", 'say "x"', "a>b", "line\nend", "a\rb", "é", "none"]))


@given(st.lists(st.tuples(st.one_of(names, st.sampled_from(["text", "lot"])), values), max_size=6))
@example([("a", "b=c")])
@example([("a", "b c")])
@example([("a", ""), ("b", 1)])
@example([("a", "x>y")])
@example([("a", 'x"y')])
@settings(max_examples=300, deadline=None)
def test_fields_looked_at_together_are_written_as_one_by_one(pairs):
    one_by_one = " ".join(["<0001 OK"] + [frame.field(name, value) for name, value in pairs])
    assert frame.reply_ok(1, pairs) == frame.frame(one_by_one.encode())


def test_fields_that_do_not_fit_are_left_out_and_counted():
    reply = parse_line(frame.reply_ok(1, [(f"f{i}", "x" * 90) for i in range(8)])[:-2])
    assert reply.fields["cut"] == "3" and len(reply.fields) == 6


def test_an_answer_stays_within_512_bytes_at_every_length_near_the_limit():
    for n in range(420, 500):
        line = frame.reply_ok(1, [("a", "x" * n)] + [(f"b{i}", 1) for i in range(25)])
        assert len(line) <= 512 and "cut" in parse_line(line[:-2]).fields


BAD_BODIES = [
    "0001 STAT?",
    ">001 STAT?",
    ">00001 STAT?",
    ">0001STAT?",
    ">0001  STAT?",
    ">0001 STAT? ",
    ">0001 STAT? part",
    ">0001 STAT? part=",
    ">0001 STAT? =x",
    ">0001 STAT? a=1  b=2",
    '>0001 STAT? a="open',
    '>0001 STAT? a="x"b=1',
    '>0001 STAT? a=x"y"',
    ">0001 STAT? A=1",
    ">0001 STAT? 1a=1",
    ">0001 STAT? a=b=c",
    ">-001 STAT?",
    ">0001",
    ">0001 ",
    ">0001 a=1",
    ">0001 STAT?\x03",
    ">0001 STAT? a=\x7f",
    '>0001 STAT? a="\t"',
]


@pytest.mark.parametrize("body", BAD_BODIES)
def test_a_frame_of_wrong_form_is_answered_once_with_number_0000_and_takes_no_number(opened, body):
    data = body.encode("latin-1")
    line = data + b"*" + frame.crc_text(data) + b"\n"
    if not body.startswith(">"):
        line = b">" + line
    (reply,) = opened.replies(line)
    assert (reply.seq, reply.code) == (0, "FRAME")
    assert opened.reply(">0001 STAT?").ok


def test_a_crc_in_lower_case_is_no_crc(opened):
    body, _, crc = seal(">0001 STAT?").strip().rpartition(b"*")
    assert crc.lower() != crc
    (reply,) = opened.replies(body + b"*" + crc.lower() + b"\n")
    assert reply.code == "FRAME"


def test_a_star_in_a_text_belongs_to_the_text(opened):
    assert opened.reply('>0001 STAT? part="a*b*01234567"').ok
    assert opened.done[-1].args == {"part": "a*b*01234567"}


@pytest.mark.parametrize("end", [b"\r", b"\n", b"\r\n"])
def test_cr_lf_and_crlf_each_end_a_line_once(opened, end):
    line = seal(">0001 STAT?").strip()
    assert [r.ok for r in opened.replies(line + end)] == [True]
    assert opened.feed(end * 5) == b""


def test_a_sign_starts_a_frame_wherever_it_comes(opened):
    assert [r.seq for r in opened.replies(b"sto>0001 ST>>0001 S" + seal(">0001 STAT?"))] == [1]
    assert opened.verbs() == ["STAT?"]


def padded(total, end=b"\n"):
    """A good frame of exactly `total` bytes with its end."""
    body = '>0001 STAT? part="'
    body += "x" * (total - len(body) - 1 - 9 - len(end)) + '"'
    data = body.encode()
    return data + b"*" + frame.crc_text(data) + end


def test_a_line_of_512_bytes_passes_and_one_of_513_is_one_error(opened):
    assert len(padded(512)) == 512
    assert [r.ok for r in opened.replies(padded(512))] == [True]
    assert [r.code for r in opened.replies(padded(513))] == ["FRAME"]
    assert [r.code for r in opened.replies(padded(600))] == ["FRAME"]
    assert opened.reply(">0002 STAT?").ok


def test_a_sign_ends_a_line_that_is_being_dropped_so_one_line_end_gets_one_answer(opened):
    found = opened.replies(b">" + b"x" * 700 + seal(">0001 STAT?"))
    assert [(r.seq, r.code) for r in found] == [(1, "")]


@pytest.mark.parametrize("control", [0x00, 0x01, 0x03, 0x04, 0x7F, 0x80, 0xFF])
def test_a_control_byte_inside_a_frame_spoils_only_that_frame(opened, control):
    line = seal(">0001 STAT?")
    assert [r.code for r in opened.replies(line[:6] + bytes([control]) + line[6:])] == ["FRAME"]
    assert [r.code for r in opened.replies(bytes([control]) + line)] == [""]


def test_a_doubled_field_is_err_arg(operator):
    reply = operator.reply(operator.signed(">0002 RUN a=1 a=1"))
    assert reply.code == "ARG" and operator.verbs() == []
