"""Questions as a person types them: they open no session, take no number and need no key.

Of two hosts only the last to say HELLO can act; one that only looks says none, and whoever commands the pump keeps its session. What it
pays for that: a typed line has no CRC. An answer that lacks its first or its last field is asked for again; a digit that flips on the
line is seen until the next look.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

from hil.channel import Channel
from hil.errors import LinkError, Refused
from hil.frames import FrameError, parse_fields

# A question -> the fields its answer begins with (one of them) and ends with: plain text has no frame that tells its end.
QUESTIONS: dict[str, tuple[tuple[str, ...], str]] = {
    "*IDN?": (("maker",), "git"),
    "STAT?": (("state",), "now"),
    "STAT? part=supplies": (("fluid",), "calibrated"),
    "STAT? part=therapy": (("population",), "bolus_given"),
    "STAT? part=caps": (("most",), "offset"),
    "ALAR?": (("id", "count"), "next"),
    "LOG?": (("n",), "next"),
    "PROG?": (("hash",), "next"),
}
REFUSAL = re.compile(r"([A-Z][A-Z0-9_]+): (.*)")
TRIES, WAIT_S = 3, 2.0
MOST_BYTES = 4096  # of an answer: whatever is on the line, it ends


class TypedLine:
    """Asks a pump by typed lines. What is no part of the answer (events, another host's frames, noise) is passed over."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._rest = b""

    def ask(self, question: str, fields: str = "") -> dict[str, str]:
        """The answer's fields; Refused if the pump refuses, LinkError if it does not answer."""
        firsts, last = QUESTIONS[question]
        for _ in range(TRIES):
            self._channel.send(f"{question} {fields}".strip().encode("ascii") + b"\r")
            if (answer := self._answer(question, firsts, last)) is not None:
                return answer
        raise LinkError(f"no answer to {question} in {TRIES} tries of {WAIT_S:g} s")

    def records(self, question: str, start: int = 0, most: int = 200) -> Iterator[dict[str, str]]:
        """Records one after the other, as far as `next` leads."""
        at = start
        for _ in range(most):
            record = self.ask(question, f"from={at}")
            yield record
            following = record.get("next", "0")
            if not following.isdecimal() or int(following) <= at:
                return
            at = int(following)

    def _answer(self, question: str, firsts: tuple[str, ...], last: str) -> dict[str, str] | None:
        text = ""
        for line in self._lines():
            if not text and (refusal := REFUSAL.fullmatch(line)):
                raise Refused(refusal[1], refusal[2], {}, question)
            if not text and not line.startswith(tuple(f"{first}=" for first in firsts)):
                continue
            text = f"{text} {line}".lstrip()
            fields = _fields(text)
            if fields is not None and last in fields:
                return fields
        return None

    def _lines(self) -> Iterator[str]:
        """Lines of plain text that come in time."""
        deadline, taken = time.monotonic() + WAIT_S, 0
        while taken < MOST_BYTES:
            line, end, rest = self._rest.partition(b"\n")
            if end:
                self._rest = rest
                text = line.decode("ascii", "replace").strip()
                if text and text[0] not in "!<>":
                    yield text
                continue
            left = deadline - time.monotonic()
            if left <= 0:
                return
            piece = self._channel.receive(min(left, 0.25))
            taken += len(piece)
            self._rest = (self._rest + piece)[-MOST_BYTES:]

    def forget(self) -> None:
        """What came meanwhile belonged to somebody else."""
        self._rest = b""


def _fields(text: str) -> dict[str, str] | None:
    """None where it is no list of fields."""
    try:
        return parse_fields(text)
    except FrameError:
        return None
