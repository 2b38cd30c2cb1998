"""Questions that take nobody's session: what an answer is, what is passed over, and when there is none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from live_rig import SUPPLIES, stat_line

from hil.errors import LinkError, Refused
from hil.link import Link
from hil.live import typed
from hil.live.typed import QUESTIONS, TypedLine
from hil.live.watcher import newest_entry
from hil.targets.unix import UnixTarget

STAT = stat_line().replace(" res=", "\r\nres=").encode() + b"\r\n"  # wrapped, as the pump wraps it


class Line:
    """A channel that gives pieces of bytes for each line sent, and remembers what was sent."""

    def __init__(self, answer: Callable[[bytes], list[bytes]]) -> None:
        self.sent: list[bytes] = []
        self._answer = answer
        self._waiting: list[bytes] = []

    def send(self, data: bytes) -> None:
        self.sent.append(data)
        self._waiting += self._answer(data)

    def receive(self, timeout_s: float) -> bytes:
        return self._waiting.pop(0) if self._waiting else b""

    def close(self) -> None: ...


@pytest.fixture(autouse=True)
def in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(typed, "WAIT_S", 0.05)
    yield


def test_an_answer_over_several_lines_is_read_to_its_last_field() -> None:
    line = Line(lambda sent: [STAT])
    fields = TypedLine(line).ask("STAT?")
    assert (fields["state"], fields["res"], fields["now"]) == ("running", "17000000nl", "1809302400s")
    assert line.sent == [b"STAT?\r"]


@given(st.lists(st.integers(1, 40), min_size=1, max_size=30))
def test_it_does_not_matter_in_what_pieces_an_answer_comes(sizes: list[int]) -> None:
    data = SUPPLIES.encode() + b"\r\n"
    pieces, at = [], 0
    for size in sizes:
        pieces.append(data[at : at + size])
        at += size
    fields = TypedLine(Line(lambda sent: [piece for piece in [*pieces, data[at:]] if piece])).ask("STAT? part=supplies")
    assert fields["lot"] == "B-1" and fields["calibrated"] == "yes"


def test_events_frames_of_another_host_and_noise_are_passed_over() -> None:
    noise = b"!0003 ALARM id=PORT_OPEN*00000000\r\n<0007 OK state=stopped now=1s*00000000\r\n\xff\xfe\r\nUnasked: line\r\n"
    middle = STAT.replace(b"\r\nres=", b"\r\n!0004 ALARM id=LATE*0\r\nres=")
    assert TypedLine(Line(lambda sent: [noise, middle])).ask("STAT?")["state"] == "running"


@given(st.lists(st.binary(max_size=200), max_size=6))
def test_whatever_is_on_the_line_ends_in_an_answer_a_refusal_or_a_link_error(pieces: list[bytes]) -> None:
    try:
        TypedLine(Line(lambda sent: [piece for piece in pieces if piece])).ask("ALAR?", "from=0")
    except (LinkError, Refused):
        return
    raise AssertionError("random bytes were taken for an answer")


def test_a_refusal_is_told_and_an_answer_cut_short_is_asked_again() -> None:
    with pytest.raises(Refused, match="CLOCK_LOST"):
        TypedLine(Line(lambda sent: [b"CLOCK_LOST: the time of day is unset\r\n"])).ask("STAT? part=caps")
    answers = [[STAT[:60] + b"\r\n"], [STAT]]
    line = Line(lambda sent: answers.pop(0))
    assert TypedLine(line).ask("STAT?")["state"] == "running" and len(line.sent) == 2


def test_a_pump_that_says_nothing_is_asked_three_times() -> None:
    line = Line(lambda sent: [])
    with pytest.raises(LinkError, match="no answer to STAT"):
        TypedLine(line).ask("STAT?")
    assert line.sent == [b"STAT?\r"] * 3


@pytest.mark.parametrize(("oldest", "newest"), [(0, 0), (1, 1), (1, 2), (1, 1000), (777, 778), (501, 1500)])
def test_the_newest_entry_of_the_log_is_found_without_reading_all(oldest: int, newest: int) -> None:
    def answer(sent: bytes) -> list[bytes]:
        wanted = max(oldest, int(sent.split(b"from=")[1]))
        if not newest or wanted > newest:
            return [b"n=0 next=0\r\n"]
        return [b"n=%d t=0ms wall=0s what=command text=x next=%d\r\n" % (wanted, wanted + 1 if wanted < newest else 0)]

    line = Line(answer)
    assert newest_entry(TypedLine(line)) == newest and len(line.sent) <= 24


@pytest.fixture
def pump(tmp_path: Path) -> Iterator[UnixTarget]:
    target = UnixTarget(work=tmp_path)
    target.start()
    target.advance_to(2000)
    yield target
    target.close()


@pytest.mark.req("R-MON-1", "R-MON-2")
def test_the_real_firmware_answers_all_these_questions_and_the_session_of_the_bench_goes_on(
    pump: UnixTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The host that commands keeps its session, its number and its role while another looks."""
    monkeypatch.setattr(typed, "WAIT_S", 5.0)
    link, looking = Link(pump.channel()), TypedLine(pump.channel())
    sess = link.hello().sess
    link.command("TIME", {"set": "1809302400s", "offset": "60min"})
    for question in QUESTIONS:
        try:
            answer = looking.ask(question, "from=0" if question in ("LOG?", "ALAR?", "PROG?") else "")
        except Refused as refused:
            assert (question, refused.code) == ("PROG?", "STATE")  # nothing is committed yet
        else:
            assert QUESTIONS[question][1] in answer
    link.command("TIME", {"set": "1809302500s", "offset": "60min"})
    assert link.session is not None and link.session.sess == sess and link.resent == 0
