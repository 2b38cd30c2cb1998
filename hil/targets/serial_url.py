"""A pump behind any pyserial URL: real time, real figures, no scripted faults."""

from __future__ import annotations

import time
from collections.abc import Mapping

from hil import evidence
from hil.channel import Channel, SerialChannel
from hil.targets.base import NO_EVIDENCE, Target


class SerialUrlTarget(Target):
    """`/dev/ttyACM0`, `rfc2217://bench7:4000`, `socket://...`: opened at start, closed at the end.

    What stands behind the line decides the word (hil/evidence.py); said: a person's, where the pump cannot tell.
    """

    evidence = NO_EVIDENCE
    virtual = False

    def __init__(self, url: str, baud: int = 115200, said: str = "") -> None:
        self.name = url
        self._said = said
        self._baud = baud
        self._zero = time.monotonic()
        self._channel: SerialChannel | None = None

    def start(self) -> None:
        self._channel = SerialChannel(self.name, self._baud)
        self._zero = time.monotonic()

    def channel(self) -> Channel:
        assert self._channel is not None, "start() first"
        return self._channel

    def told_identity(self, identity: Mapping[str, str]) -> None:
        self.evidence = evidence.word(self.name, identity, self._said)

    def now_ms(self) -> int:
        return int((time.monotonic() - self._zero) * 1000)

    def unix_s(self) -> float:
        return time.time()

    def advance_to(self, end_ms: int) -> None:
        time.sleep(max(0, end_ms - self.now_ms()) / 1000)

    def close(self) -> None:
        if self._channel is not None:
            self._channel.close()
            self._channel = None
