"""Which answers a pump owes to bytes on its line, and whether they order STOP: read from the design's chapter "The wire" alone."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from hil.frames import crc_text

MOST_BYTES = 511  # of a line without its end
_ENDS = re.compile(rb"[\r\n]")
_WORDS = re.compile(rb"[ -~]*")
FRAME, TYPED = "F", "T"


@dataclass
class Due:
    """answers: F for each frame, one line each; T for each typed line, some lines of text. stops: a STOP is among them."""

    answers: str = ""
    stops: bool = False


@dataclass
class LineReader:
    """What stands on the line before its next end."""

    kept: bytes = b""
    over: bool = field(default=False)  # typed, too long: all to its end is dropped, save a frame that begins in it

    def feed(self, data: bytes) -> Due:
        due = Due()
        *whole, rest = _ENDS.split(data)
        for part in whole:
            self._add(part)
            self._end(due)
        self._add(rest)
        return due

    def _add(self, part: bytes) -> None:
        _, start, after = part.rpartition(b">")
        if start:
            self.kept, self.over = b">" + after, False
        elif self.kept.startswith(b">"):
            self.kept += part
        elif not self.over:
            self._type(part)
        if self.kept.startswith(b">") and len(self.kept) > MOST_BYTES:
            self.kept = self.kept[: MOST_BYTES + 1]  # one byte too many is as good as many

    def _type(self, part: bytes) -> None:
        """A person types: backspace takes back, other control bytes and what is no ASCII vanish."""
        if _WORDS.fullmatch(part) and len(self.kept) + len(part) <= MOST_BYTES:
            self.kept += part
            return
        for byte in part:
            if byte in (8, 127):
                self.kept = self.kept[:-1]
            elif 32 <= byte <= 126:
                if len(self.kept) == MOST_BYTES:
                    self.over = True
                    return
                self.kept += bytes((byte,))

    def _end(self, due: Due) -> None:
        line, over = self.kept, self.over
        self.kept, self.over = b"", False
        if line.startswith(b">") or over:
            due.answers += FRAME
            due.stops |= not over and is_framed_stop(line)
        elif line.strip():
            due.answers += TYPED
            due.stops |= line.split()[0].upper() == b"STOP"


def is_framed_stop(line: bytes) -> bool:
    body, _, crc = line.rpartition(b"*")
    return body[6:10] == b"STOP" and crc == crc_text(body).encode()


_ANSWER = {FRAME: r"F", TYPED: r"T+"}


def are_answered(due: str, heard: str) -> bool:
    """heard: F for each framed line, T for each other one. Typed lines next to each other cannot be told apart: at least one line each."""
    return re.fullmatch("".join(_ANSWER[kind] for kind in due), heard) is not None
