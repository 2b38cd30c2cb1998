"""The wire's lines as the host makes and reads them: fields, quoting, CRC.

Written from the design's chapter "The wire" alone; the firmware has its own codec, so each checks the other.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from hil.errors import LinkError

MAX_BYTES = 512  # of a line with its end
LAST_SEQ = 9999
ALWAYS_QUOTED = frozenset({"lot", "tube", "text", "line"})

_PLAIN = re.compile(r"[A-Za-z0-9_.:+/%*?-]+")
_TEXT = re.compile(r"[\x20\x21\x23-\x3d\x3f-\x7e]*")  # 0x20 to 0x7E without " and >
_FIELD = re.compile(r'([A-Za-z0-9_.]+)=("[^">]*"|[^ ">]+)(?: +|$)')
_REPLY = re.compile(r"<(\d{4}) (OK|ERR)(?: (.*))?")
_ERROR = re.compile(r'([A-Z0-9_]+)(?: "([^"]*)")?(?: (.*))?')
_EVENT = re.compile(r"!(\d{4}) ([A-Z0-9_:]+)(?: (.*))?")


class FrameError(LinkError):
    """A line that is no valid frame: wrong form or wrong CRC."""


@dataclass(frozen=True)
class Reply:
    """One answer of the pump. `code` is empty for OK."""

    seq: int
    code: str
    text: str
    fields: dict[str, str] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        return not self.code


@dataclass(frozen=True)
class Event:
    """One `!` line: what the pump says unasked."""

    number: int
    name: str
    fields: dict[str, str]


def crc_text(body: bytes) -> str:
    """CRC-32 as eight upper-case hex digits."""
    return f"{binascii.crc32(body):08X}"


def seal(body: str) -> bytes:
    """`body` with its CRC and line end, ready to send."""
    data = body.encode("ascii")
    line = data + b"*" + crc_text(data).encode() + b"\n"
    if len(line) > MAX_BYTES:
        raise FrameError(f"a line of {len(line)} bytes does not fit the {MAX_BYTES} of a frame: shorten its texts")
    return line


def request_body(seq: int, verb: str, fields: Mapping[str, str]) -> str:
    """`>SSSS VERB name=value ...` without CRC."""
    parts = [f">{seq:04d}", verb]
    parts += [f"{name}={quoted(name, value)}" for name, value in fields.items()]
    return " ".join(parts)


def quoted(name: str, value: str) -> str:
    """The value as it stands on the wire: in quotes where it is text."""
    if name not in ALWAYS_QUOTED and _PLAIN.fullmatch(value):
        return value
    if not _TEXT.fullmatch(value):
        raise FrameError(f'{name}={value!r} cannot be sent: text is printable ASCII without " and >')
    return f'"{value}"'


def next_seq(seq: int) -> int:
    return 1 if seq >= LAST_SEQ else seq + 1


def parse_line(line: bytes) -> Reply | Event:
    """A line of the pump without its end, CRC checked; FrameError says what is wrong with it."""
    body = _checked_body(line)
    if body.startswith("<"):
        return _parse_reply(body)
    if body.startswith("!"):
        return _parse_event(body)
    raise FrameError(f"neither a reply nor an event: {body[:60]!r}")


def _checked_body(line: bytes) -> str:
    data, star, crc = line.rpartition(b"*")
    if not star or crc.decode("ascii", "replace") != crc_text(data):
        raise FrameError(f"CRC does not match: {line[:80]!r}")
    try:
        return data.decode("ascii")
    except UnicodeDecodeError:
        raise FrameError(f"bytes that are not ASCII: {line[:80]!r}") from None


def _parse_reply(body: str) -> Reply:
    match = _REPLY.fullmatch(body)
    if not match:
        raise FrameError(f"not a reply: {body[:80]!r}")
    seq, kind, rest = int(match[1]), match[2], match[3] or ""
    if kind == "OK":
        return Reply(seq, "", "", parse_fields(rest))
    error = _ERROR.fullmatch(rest)
    if not error:
        raise FrameError(f"an error reply without a code: {body[:80]!r}")
    return Reply(seq, error[1], error[2] or "", parse_fields(error[3] or ""))


def _parse_event(body: str) -> Event:
    match = _EVENT.fullmatch(body)
    if not match:
        raise FrameError(f"not an event: {body[:80]!r}")
    return Event(int(match[1]), match[2], parse_fields(match[3] or ""))


def parse_fields(text: str) -> dict[str, str]:
    """`name=value name="a text"` as a dict; a doubled name or anything else between them is a FrameError."""
    fields: dict[str, str] = {}
    at = 0
    while at < len(text):
        match = _FIELD.match(text, at)
        if not match or match[1] in fields:
            raise FrameError(f"fields cannot be read at {text[at : at + 40]!r}")
        fields[match[1]] = match[2].strip('"')
        at = match.end()
    return fields
