"""Makes hostile lines: real traffic mutated, verbs with fields that are nearly right, replays, what a person mistypes, and plain noise.

The enemy listens: it knows the session, the number that is due and every line the rightful host sent. It does not know the key.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from hil.frames import crc_text, next_seq

TRAFFIC = Path(__file__).with_name("traffic.txt")
PIECES = (
    b"\x03", b"\x04", b"\x01", b"\x00", b"\x08", b"\x7f", b"\x1b[A", b"\r", b"\n", b">", b"*", b'"', b"=", b" ", b"  ", "µg→é".encode(),
    b"\xff\xfe", b"\xc3(", b"nan", b"-1", b"0x10", b"1e9", b"99999999999999999999", b"mac=", b"sess=", b"!0001 ALARM", b"<0001 OK",
)  # fmt: skip
CONTROLS = (b"\x03", b"\x04", b"\x01", b"\x02", b"\x05", b"\x1b", b"\x03\x03\x04")
NUMBERS = (0, 1, -1, 2**30 - 1, 2**30, 2**31, 2**32, 2**63, 10**15, 10**16)
UNITS = ("nl", "ng", "s", "min", "mcg", "mcg/ml", "h", "nl/h", "/s", "mg", "ml", "")
WORDS = ("yes", "no", "pump", "cap", "septum", "drug", "test", "mon", "all", "baclofen", "intrathecal", "OVERDOSE", "2027-05-03", "19:30")


@dataclass
class Heard:
    """What a listener on the line knows."""

    sess: str = "00000000"
    due: int = 1  # number
    authentic: list[bytes] = field(default_factory=list)  # lines of the rightful host

    def note(self, reply: bytes) -> None:
        """A framed answer."""
        if found := re.search(rb"\bsess=([0-9a-f]{8})", reply):
            self.sess, self.due = found[1].decode(), 1
        elif found := re.search(rb"expected=(\d{4})", reply):
            self.due = int(found[1])
        elif (number := int(reply[1:5])) and b" ERR SESSION " not in reply:
            self.due = next_seq(number)


def load_traffic() -> list[bytes]:
    """Bodies of recorded frames, without code and CRC."""
    return [line.encode() for line in TRAFFIC.read_text("ascii").splitlines() if line.startswith(">")]


def sealed(body: bytes) -> bytes:
    return body + b"*" + crc_text(body).encode() + b"\n"


class Lines:
    """next() gives the bytes of one hostile line (some are several, some have no end)."""

    def __init__(self, seed: int, heard: Heard, verbs: Sequence[tuple[str, Sequence[str]]], pool: Sequence[bytes]) -> None:
        self._random = Random(seed)
        self._heard = heard
        self._verbs = verbs  # (verb, names of its fields), as the pump's dictionary tells them
        self._pool = pool  # raw material made by hypothesis
        self._traffic = load_traffic()
        self._kinds: list[tuple[str, int, Callable[[], bytes]]] = [
            ("traffic, mutated", 26, self._mutated),
            ("verbs with likely fields", 26, self._likely),
            ("replays of the host's lines", 12, self._replayed),
            ("typed lines", 14, self._typed),
            ("of hypothesis", 12, self._noise),
            ("noise", 8, self._special),
            ("two at once", 2, self._two),
        ]
        self.made = {name: 0 for name, _, _ in self._kinds}
        self._weights = [weight for _, weight, _ in self._kinds]

    def next(self) -> bytes:
        name, _, make = self._random.choices(self._kinds, self._weights)[0]
        self.made[name] += 1
        return make()

    # ---- frames

    def _mutated(self) -> bytes:
        body = self._fresh(self._random.choice(self._traffic))
        if body.endswith(b"HELLO") and self._random.random() < 0.8:
            return self._mutated()
        for _ in range(self._random.choice((0, 1, 1, 1, 2, 4))):
            body = self._mutate(body)
        return self._sealed(body)

    def _likely(self) -> bytes:
        verb, names = self._random.choice(self._verbs)
        if verb == "HELLO" and self._random.random() < 0.8:  # each ends the rightful session, and what may be tried in it
            return self._likely()
        chosen = [name.rstrip("?") for name in names if not name.endswith("?") or self._random.random() < 0.4]
        if self._random.random() < 0.15:
            chosen.append(self._random.choice(("x", "mac", "sess", "id", *chosen)))
        if chosen and self._random.random() < 0.1:
            chosen.pop(self._random.randrange(len(chosen)))
        body = f">{self._number():04d} {verb}" + "".join(f" {name}={self._value()}" for name in chosen)
        if self._random.random() < 0.9:
            body += f" sess={self._heard.sess}"
        if self._random.random() < 0.8:
            body += f" mac={self._random.getrandbits(64):016X}"
        return self._sealed(body.encode())

    def _replayed(self) -> bytes:
        """As it was; with the number now due; in the session now in force; with another field or code."""
        if not self._heard.authentic:
            return self._likely()
        line = self._random.choice(self._heard.authentic)
        chance = self._random.random()
        if chance < 0.3:
            return line
        body = line.rpartition(b"*")[0]
        body = b">%04d" % self._heard.due + body[5:] if chance < 0.6 else self._fresh(body)
        if chance > 0.8:
            body = self._mutate(body)
        return sealed(body)

    def _fresh(self, body: bytes) -> bytes:
        """With the number that is due and the session in force, most of the time."""
        if self._random.random() < 0.8:
            body = b">%04d" % self._number() + body[5:]
        if self._random.random() < 0.9:
            body = re.sub(rb"sess=[0-9a-f]{8}", b"sess=" + self._heard.sess.encode(), body)
        return body

    def _number(self) -> int:
        return self._heard.due if self._random.random() < 0.85 else self._random.choice((0, 1, 9999, self._random.randrange(10_000)))

    def _value(self) -> str:
        kind = self._random.randrange(-1, 6)
        if kind < 0:
            return self._random.choice(("", '"', "=", '""'))
        if kind < 3:
            small = self._random.randrange(100_000)
            return f"{self._random.choice((small, *NUMBERS))}{self._random.choice(UNITS)}"
        if kind == 3:
            return self._random.choice(WORDS)
        if kind == 4:
            return f"{self._random.getrandbits(32):08x}" * self._random.choice((1, 1, 2, 8))
        return '"' + "".join(chr(self._random.randrange(32, 127)) for _ in range(self._random.randrange(30))).replace('"', "'") + '"'

    def _mutate(self, body: bytes) -> bytes:
        at = self._random.randrange(len(body) + 1)
        kind = self._random.randrange(8)
        if kind == 7:  # right after a sign of the grammar
            return body[: body.find(self._random.choice((b"=", b" ", b'"')), at) + 1] or body[:at]
        if kind == 0 and at < len(body):
            return body[:at] + bytes((body[at] ^ 1 << self._random.randrange(8),)) + body[at + 1 :]
        if kind == 1:
            return body[:at] + self._random.choice(PIECES) + body[at:]
        if kind == 2:
            return body[:at]
        if kind == 3:
            return body[:at] + body[at + self._random.randrange(1, 6) :]
        if kind == 4:
            return body[:at] + body[max(0, at - self._random.randrange(1, 40)) :]
        if kind == 5:
            other = self._random.choice(self._traffic)
            return body[:at] + other[self._random.randrange(len(other)) :]
        return re.sub(rb"\d+", lambda found: str(self._random.choice(NUMBERS)).encode(), body[:at]) + body[at:]

    def _sealed(self, body: bytes) -> bytes:
        chance = self._random.random()
        if chance < 0.85:
            return sealed(body)
        if chance < 0.95:
            return body + b"*%08X\n" % self._random.getrandbits(32)
        return body + b"\n"

    # ---- the rest

    def _typed(self) -> bytes:
        verb, names = self._random.choice(self._verbs)
        text = verb + "".join(f" {name.rstrip('?')}={self._value()}" for name in names if self._random.random() < 0.3)
        data = (text.lower() if self._random.random() < 0.5 else text).encode()
        if self._random.random() < 0.4:
            data = self._mutate(data)
        return data.replace(b">", b"") + self._random.choice((b"\r", b"\n", b"\r\n"))

    def _noise(self) -> bytes:
        data = self._random.choice(self._pool)
        return data + (b"\n" if self._random.random() < 0.9 else b"")

    def _special(self) -> bytes:
        kind = self._random.randrange(8)
        size = self._random.choice((1, 10, 60, 600))
        if kind == 0:
            return b"A" * size + (b"\n" if self._random.random() < 0.5 else b"")
        if kind == 1:
            return b"\r" * size
        if kind == 2:
            return b"\x00" * size + b"\n"
        if kind == 3:
            return b">" * size + b"\n"
        if kind == 4:
            return bytes(self._random.randrange(256) for _ in range(size))
        if kind == 5:
            return self._random.choice(CONTROLS) * self._random.randrange(1, 20)
        if kind == 6:
            return ("µ→ü" * (size // 3)).encode() + b"\n"
        return b">0001 STAT? part=" + b'"' * size + b"\n" if size < 60 or self._random.random() < 0.9 else b"z" * 8192 + b"\n"

    def _two(self) -> bytes:
        """Two in one write, the first sometimes without its end."""
        first = self._likely()
        return (first[:-1] if self._random.random() < 0.3 else first) + self._mutated()


def made_by_hypothesis(count: int, seed: int) -> list[bytes]:
    """Texts and bytes of the kinds that break parsers."""
    import hypothesis
    from hypothesis import strategies as st

    found: list[bytes] = []
    framed = st.builds(
        lambda number, verb, rest: sealed(f">{number:04d} {verb} {rest}".encode("utf-8", "replace"))[:-1],
        st.integers(0, 10_000), st.text("ABDEIOPRSTU:*?", max_size=12), st.text(max_size=60),
    )  # fmt: skip
    lines = st.lists(st.one_of(st.binary(max_size=80), st.text(max_size=60).map(lambda text: text.encode("utf-8", "replace")), framed))

    @hypothesis.seed(seed)
    @hypothesis.settings(max_examples=count // 4, database=None, deadline=None, phases=[hypothesis.Phase.generate],
                         suppress_health_check=list(hypothesis.HealthCheck))  # fmt: skip
    @hypothesis.given(lines)
    def gather(some: list[bytes]) -> None:
        found.extend(some)

    gather()
    return found or [b"?"]
