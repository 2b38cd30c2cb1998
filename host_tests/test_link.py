"""The bench's side of the wire and its lock-step server, against a pump that is only a script."""

from __future__ import annotations

import binascii
import hashlib
import hmac
from collections.abc import Iterator
from pathlib import Path

import pytest

from hil import auth
from hil.channel import SerialLog, open_serial
from hil.errors import LinkError, Refused, TargetError
from hil.frames import FrameError, Reply, next_seq, parse_line, request_body, seal
from hil.link import Link, Patience, Restarted
from hil.targets.process import find_micropython
from hil.targets.unix import UnixTarget

FAKE = Path(__file__).parent / "fakes" / "pump.py"


@pytest.fixture
def pump(tmp_path: Path) -> Iterator[UnixTarget]:
    target = UnixTarget(work=tmp_path, script=FAKE)
    target.start()
    yield target
    target.close()


@pytest.fixture
def link(pump: UnixTarget) -> Link:
    link = Link(pump.channel(), patience=Patience(reply_s=0.3))
    pump.on_restart(lambda cause: link.forget())
    link.hello()
    return link


def sealed(body: bytes) -> bytes:
    return body + b"*%08X" % binascii.crc32(body)


# ---- frames


def test_a_frame_ends_with_the_crc_of_all_before_the_star() -> None:
    assert seal(">0001 STAT?") == b">0001 STAT?*%08X\n" % binascii.crc32(b">0001 STAT?")


def test_texts_are_quoted_and_names_are_not() -> None:
    assert request_body(7, "RES:REFILL", {"volume": "20000000nl", "lot": "A1"}) == '>0007 RES:REFILL volume=20000000nl lot="A1"'


@pytest.mark.parametrize("text", ['a"b', "a>b", "a\nb", "naïve"])
def test_a_text_that_the_wire_cannot_carry_is_an_error_before_it_is_sent(text: str) -> None:
    with pytest.raises(FrameError, match="cannot be sent"):
        request_body(1, "PROG:NEW", {"name": text})


def test_a_line_over_512_bytes_is_not_sent() -> None:
    with pytest.raises(FrameError, match="512"):
        seal(">0001 " + "A" * 512)


def test_an_error_reply_is_taken_apart() -> None:
    reply = parse_line(sealed(b'<0012 ERR LOCKOUT "wait 3 h" left=10800s by="R-BOL-1"'))
    assert reply == Reply(12, "LOCKOUT", "wait 3 h", {"left": "10800s", "by": "R-BOL-1"})


@pytest.mark.parametrize("bit", range(8))
def test_any_flipped_bit_is_seen(bit: int) -> None:
    line = bytearray(sealed(b"<0001 OK a=1"))
    line[8] ^= 1 << bit
    with pytest.raises(FrameError):
        parse_line(bytes(line))


@pytest.mark.parametrize("body", [b"<0001 OK a=1 a=2", b"<0001 OK a", b"<001 OK", b"0001 OK", b"<0001 ERR", b'<0001 OK a="x'])
def test_a_right_crc_does_not_make_a_wrong_line_right(body: bytes) -> None:
    with pytest.raises(FrameError):
        parse_line(sealed(body))


def test_numbers_go_from_9999_to_1() -> None:
    assert [next_seq(0), next_seq(9998), next_seq(9999)] == [1, 9999, 1]


def test_macs_are_the_first_half_of_the_hmac_over_session_and_line() -> None:
    key = hashlib.sha256(b"doseloop default operator key").digest()
    assert auth.default_key("operator") == key
    assert auth.line_mac(key, "0000beef", ">0001 RUN") == hmac.new(key, b"0000beef>0001 RUN", "sha256").hexdigest()[:16].upper()


# ---- exchanges


def test_a_command_carries_its_session_and_ends_with_its_mac(link: Link, tmp_path: Path) -> None:
    log = SerialLog(tmp_path / "line.log", lambda: 0.0)
    link._log = log
    link.command("TIME", {"set": "1s", "offset": "0min"})
    log.close()
    sent = [row.split("-> ")[1] for row in (tmp_path / "line.log").read_text().splitlines() if "-> " in row]
    body, _, mac = sent[-1].rpartition("*")[0].rpartition(" mac=")
    assert body == ">0002 TIME set=1s offset=0min sess=0000beef"
    assert mac == auth.line_mac(auth.default_key("operator"), "0000beef", body)


def test_a_lost_reply_is_asked_for_again_with_the_same_bytes(link: Link) -> None:
    link.ask("SLOW")
    assert link.resent == 1


def test_a_reply_lost_on_purpose_is_asked_for_at_once(link: Link) -> None:
    before = int(link.ask("STAT?")["seen"])
    link.lose_replies(1)
    assert int(link.ask("STAT?")["seen"]) == before + 2


def test_a_refusal_is_an_exception_with_code_text_and_fields(link: Link) -> None:
    with pytest.raises(Refused, match="LOCKOUT wait 3 h") as caught:
        link.ask("NO")
    assert (caught.value.code, caught.value.fields) == ("LOCKOUT", {"left": "3"})


def test_events_are_kept_apart_from_replies(link: Link) -> None:
    link.ask("EVENT")
    assert [(event.number, event.name) for event in link.events] == [(7, "ALARM")]


def test_a_restart_in_mid_command_is_told_as_such(link: Link) -> None:
    with pytest.raises(Restarted, match="STAT"):
        link.ask("RESET")
    assert link.hello().boot and link.ask("STAT?")["cause"] == "3"


def test_without_a_session_nothing_is_sent(pump: UnixTarget) -> None:
    with pytest.raises(LinkError, match="HELLO first"):
        Link(pump.channel()).ask("STAT?")


def test_a_pump_that_died_is_told_with_its_last_words(link: Link) -> None:
    with pytest.raises(TargetError, match="crashed as told"):
        link.ask("CRASH")


# ---- virtual time


def test_time_stands_still_during_an_exchange(link: Link, pump: UnixTarget) -> None:
    pump.advance_to(5_000)
    assert [link.ask("STAT?")["ticks"] for _ in range(3)] == ["5000"] * 3
    assert pump.now_ms() == 5_000


def test_time_stops_at_the_exact_millisecond_asked_for(link: Link, pump: UnixTarget) -> None:
    link.ask("BEAT")  # ten pulses, the first 600 ms from now
    seen = []
    for end_ms in (599, 600, 699, 700, 1500):
        pump.advance_to(end_ms)
        seen.append(pump.rig.count)
    assert seen == [0, 1, 1, 2, 10]


def test_ticks_wrap_at_two_to_the_thirty(link: Link, pump: UnixTarget) -> None:
    pump.lockstep.ticks_start = (1 << 30) - 2_000
    pump.advance_to(5_000)
    assert link.ask("STAT?")["ticks"] == "3000"


def test_a_hung_processor_is_restarted_by_its_watchdog(link: Link, pump: UnixTarget) -> None:
    pump.hang()
    pump.advance_to(20_000)
    assert pump.lockstep.boots == [(0, 1), (8_000, 2)]


def test_a_power_cut_starts_the_engine_anew_and_leaves_the_rotor(link: Link, pump: UnixTarget) -> None:
    link.ask("BEAT")
    pump.advance_to(1_000)
    turned = pump.rig.rotor.steps
    pump.power_cut(60_000)
    link.hello()
    assert (link.ask("STAT?")["count"], pump.rig.rotor.steps, pump.now_ms()) == ("0", turned, 61_000)


# ---- bad surroundings


def test_a_serial_path_that_does_not_exist_says_so() -> None:
    with pytest.raises(LinkError, match="no such serial port"):
        open_serial("/dev/nothing-here")


def test_a_busy_serial_path_says_so(link: Link, pump: UnixTarget) -> None:
    with pytest.raises(LinkError, match="busy"):
        open_serial(pump.serial_path)


def test_a_missing_micropython_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MICROPYTHON", "/nothing/here")
    with pytest.raises(TargetError, match="MICROPYTHON"):
        find_micropython()
