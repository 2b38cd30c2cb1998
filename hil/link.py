"""The host's side of the wire: sessions, roles, and commands that happen at most once.

A `Link` keeps one session with a pump. A lost or damaged reply is asked for again with the same number and the same
bytes, so nothing is done twice; after the last try it is a LinkError and the caller must look at STAT? before going on.
"""

from __future__ import annotations

import random
import re
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from hil import auth
from hil.channel import Channel, SerialLog
from hil.errors import LinkError, Refused
from hil.frames import Event, FrameError, Reply, next_seq, parse_line, request_body, seal

SERVICE_VERBS = frozenset({"THER:IMPORT", "CAL:SET", "CAL:MOVE", "TEST:FLOW", "TEST:BOLUS", "SCREEN:NEW", "LINE:NEW", "KEY:SET"})
FREE_VERBS = frozenset({"STOP", "HELLO", "HELP", "AUTH"})
DELIVERY_VERBS = frozenset(
    {"PROG:COMMIT", "RUN", "DOSE:BOLUS", "DOSE:PRIME", "DOSE:SCREEN", "RES:REFILL", "CAL:MOVE", "TEST:FLOW", "TEST:BOLUS"}
)
ID_VERBS = frozenset({"EMPTY", "SCREEN:RESPONSE", "SCREEN:NEW", "THER:RESPONSE", "LINE:NEW"})  # done once, but not dated
NOT_CONSUMED = frozenset({"SEQ", "SESSION"})  # refusals that leave the number free
KEPT_EVENTS = 10_000
HEX8, HEX16 = re.compile("[0-9a-f]{8}"), re.compile("[0-9a-f]{16}")  # of a session, of a nonce


@dataclass(frozen=True)
class Session:
    """What HELLO answered."""

    boot: str
    sess: str
    nonce: str
    fields: dict[str, str]


@dataclass(frozen=True)
class Patience:
    """How long a reply is waited for (real seconds) and how often the same bytes are sent."""

    reply_s: float = 2.0
    tries: int = 10  # a machine under load may let a simulated pump wait for seconds
    line_s: float = 2.0  # for the plain text answered to a typed line


class Restarted(LinkError):
    """The pump restarted in mid-exchange; whether the command was carried out is to be asked."""


class Link:
    """One host of one pump. Not for several threads."""

    def __init__(
        self,
        channel: Channel,
        *,
        log: SerialLog | None = None,
        wall: Callable[[], float] = time.time,
        seed: int | None = None,
        keys: Mapping[str, bytes] | None = None,
        patience: Patience | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.channel = channel
        self.session: Session | None = None
        self.role: str | None = None
        self.events: deque[Event] = deque(maxlen=KEPT_EVENTS)
        self.damaged = 0  # lines from the pump that were no frame
        self.resent = 0  # times the same bytes were sent again
        self._log = log or SerialLog(None, time.monotonic)
        self._wall = wall  # unix seconds of the host, for at=
        self._clock = clock  # seconds that answers are waited for by
        self.longest_s = 0.0  # any exchange took, from the first send to the answer
        self._ids = random.Random(seed)  # of delivery ids
        self._keys = dict(keys) if keys is not None else auth.default_keys()
        self._patience = patience or Patience()
        self._seq = 0  # of the last command the pump took
        self._lap = 0  # times the session's numbers began anew
        self._buffer = b""
        self._forgotten = False  # the pump restarted during the exchange under way
        self._lose = 0  # replies still to be lost on purpose

    # ---- sessions

    def hello(self) -> Session:
        """Open a new session; whatever another host had staged is dropped by the pump."""
        self.session, self.role = None, None
        resent = self.resent
        reply = self._exchange(seal(request_body(0, "HELLO", {})), 0, "HELLO")
        for _ in range(self.resent - resent):  # each HELLO opened a session: the last one is in force
            reply = self._await(0) or reply
        self._must_be_ok(reply, "HELLO")
        missing = {"boot", "sess", "nonce"} - reply.fields.keys()
        if missing:
            raise LinkError(f"HELLO was answered without {', '.join(sorted(missing))}: is this a doseloop pump?")
        if not (HEX8.fullmatch(reply.fields["sess"]) and HEX16.fullmatch(reply.fields["nonce"])):
            raise LinkError("HELLO was answered with a session or a nonce that no pump gives: somebody forges the line")
        self._seq = self._lap = 0
        self.session = Session(reply.fields["boot"], reply.fields["sess"], reply.fields["nonce"], reply.fields)
        return self.session

    def open_role(self, role: str) -> None:
        """AUTH for `operator` or `service`, with the HELLO nonce."""
        session = self._opened()
        proof = auth.opening_mac(self._keys[role], session.nonce, role)
        try:
            self._numbered("AUTH", {"role": role, "sess": session.sess, "mac": proof})
        except Refused as refused:
            raise self._which_key(refused) from None
        self.role = role

    def _which_key(self, refused: Refused) -> Refused:
        """A refused AUTH, with the way on for a person."""
        if refused.code != "AUTH":
            return refused
        if wait := refused.fields.get("wait"):
            return Refused(refused.code, f"{refused.text}: try again in {wait}", refused.fields, refused.verb)
        published = self._keys == auth.default_keys()
        own = "it has keys of its own: name their file by --key-file" if published else "these are not its keys"
        on_default = "the default keys are in force: leave --key-file out, or give it these by `python -m hil key set`"
        hint = on_default if self.ask("STAT?").get("key") == "default" and not published else own
        return Refused(refused.code, f"{refused.text} ({hint})", refused.fields, refused.verb)

    def use_keys(self, keys: Mapping[str, bytes]) -> None:
        """The keys that roles are opened by from now on."""
        self._keys = dict(keys)
        self.role = None

    def set_key(self, role: str, key: bytes) -> None:
        """KEY:SET in a session of its own, which the pump ends with it; then the new key is seen to open its role."""
        sess = self.hello().sess
        masked, check = auth.masked_key(self._keys[auth.SERVICE], sess, role, key)
        self.command("KEY:SET", {"role": role, "key": masked, "check": check})
        self._keys[role] = key
        self.hello()
        self.open_role(role)

    def forget(self) -> None:
        """The pump restarted: its session is gone, bytes in flight are worth nothing."""
        self.session, self.role = None, None
        self._buffer = b""
        self._forgotten = True

    # ---- commands

    def ask(self, verb: str, fields: Mapping[str, str] | None = None) -> dict[str, str]:
        """A question without side effects."""
        return self._numbered(verb, dict(fields or {}))

    def records(self, verb: str, start: int = 0, limit: int = 100_000) -> list[dict[str, str]]:
        """All records of LOG?, DICT?, PROG? or ALAR?, one exchange each."""
        found: list[dict[str, str]] = []
        at: str = str(start)
        while len(found) < limit:
            record = self.ask(verb, {"from": at})
            following = record.pop("next", "0")
            if record:
                found.append(record)
            if following == "0":
                break
            at = following
        return found

    def command(self, verb: str, fields: Mapping[str, str] | None = None, *, role: str | None = None, sign: bool = True) -> dict[str, str]:
        """A command that changes something: opens the role if need be, adds id/at/ttl, sess and mac."""
        given = dict(fields or {})
        if verb in FREE_VERBS:
            return self._numbered(verb, given)
        session = self._opened()
        wanted = role or (auth.SERVICE if verb in SERVICE_VERBS else self.role or auth.OPERATOR)
        if self.role != wanted:
            self.open_role(wanted)
        if verb in DELIVERY_VERBS or verb in ID_VERBS:
            given = {**self._delivery_fields(verb), **given}
        given.setdefault("sess", session.sess)
        return self._numbered(verb, given, key=self._keys[wanted] if sign else None)

    def _delivery_fields(self, verb: str) -> dict[str, str]:
        fields = {"id": self.new_id()}
        if verb in DELIVERY_VERBS:
            fields.update(at=f"{int(self._wall())}s", ttl="30s")
        return fields

    def unix_s(self) -> float:
        """What this host's commands are dated by."""
        return self._wall()

    def new_id(self) -> str:
        return f"{self._ids.getrandbits(32):08x}"

    def type_line(self, text: str) -> str:
        """A line as a person types it; returns the plain text answered to it."""
        self._send(text.encode("ascii", "replace") + b"\r")
        lines = self._plain_answer().splitlines()
        for line in lines:
            if line.startswith(b"!"):
                self._understood(line)
        return "\n".join(line.decode("ascii", "replace") for line in lines if not line.startswith(b"!"))

    def send_raw(self, data: bytes) -> None:
        """Bytes as they are, for tests of what a bad line does."""
        self._send(data)

    def next_reply(self) -> Reply | None:
        """The next reply line, whatever its number; None if none comes in time."""
        deadline = self._clock() + self._patience.reply_s
        while (line := self._line(deadline)) is not None:
            parsed = self._understood(line)
            if isinstance(parsed, Reply):
                return parsed
        return None

    def lose_replies(self, count: int) -> None:
        """From now on the first answer to each of the next `count` commands is thrown away (and asked for again)."""
        self._lose = count

    # ---- one exchange

    def _numbered(self, verb: str, fields: dict[str, str], key: bytes | None = None) -> dict[str, str]:
        self._opened()
        seq = next_seq(self._seq)
        body = request_body(seq, verb, fields)
        if key is not None:
            lap = self._lap + (seq < self._seq)
            body += f" mac={auth.line_mac(key, auth.session_tag(fields['sess'], lap), body)}"
        reply = self._exchange(seal(body), seq, verb)
        if reply.code not in NOT_CONSUMED:
            self._lap += seq < self._seq
            self._seq = seq
        self._must_be_ok(reply, verb)
        return reply.fields

    def _exchange(self, data: bytes, seq: int, verb: str) -> Reply:
        lose = self._lose > 0
        self._lose -= lose
        self._forgotten = False
        began = self._clock()
        for attempt in range(self._patience.tries):
            self.resent += attempt > 0
            self._send(data)
            reply = self._await(seq)
            if self._forgotten:
                raise Restarted(f"the pump restarted while it was asked {verb}: say HELLO and ask STAT? what became of it")
            if reply is not None and lose:
                self._log.note("--", b"that reply is lost on purpose")
                lose = False
            elif reply is not None:
                self.longest_s = max(self.longest_s, self._clock() - began)
                return reply
        raise LinkError(
            f"the pump did not answer {verb} in {self._patience.tries} tries of {self._patience.reply_s:g} s;"
            " it is unknown whether the command was carried out: ask STAT? before anything else"
        )

    def _await(self, seq: int) -> Reply | None:
        """The reply with that number; None if it does not come or our line arrived damaged."""
        deadline = self._clock() + self._patience.reply_s
        while not self._forgotten and (line := self._line(deadline)) is not None:
            parsed = self._understood(line)
            if not isinstance(parsed, Reply):
                continue
            if parsed.code == "FRAME" and parsed.seq == 0:
                return None
            if parsed.seq == seq:
                return parsed
        return None

    def _understood(self, line: bytes) -> Reply | Event | None:
        """The parsed line; events are put aside, damaged lines counted."""
        try:
            parsed = parse_line(line)
        except FrameError:
            self.damaged += 1
            return None
        if isinstance(parsed, Event):
            self.events.append(parsed)
        return parsed

    def _line(self, deadline: float) -> bytes | None:
        while b"\n" not in self._buffer:
            left = deadline - self._clock()
            if left <= 0 or self._forgotten:
                return None
            self._buffer += self.channel.receive(left)
        line, _, self._buffer = self._buffer.partition(b"\n")
        line = line.rstrip(b"\r")
        self._log.note("<-", line)
        return line

    def _plain_answer(self) -> bytes:
        """Text up to a pause: a typed line's answer has no frame that tells its end."""
        text = b""
        deadline = self._clock() + self._patience.line_s
        while self._clock() < deadline:
            piece = self.channel.receive(0.1 if b"\n" in text else 0.5)
            if not piece and b"\n" in text:
                break
            text += piece
        self._log.note("<-", text)
        return text

    def _send(self, data: bytes) -> None:
        self._log.note("->", data)
        self.channel.send(data)

    def _opened(self) -> Session:
        if self.session is None:
            raise LinkError("no session with the pump: say HELLO first")
        return self.session

    @staticmethod
    def _must_be_ok(reply: Reply, verb: str) -> None:
        if not reply.ok:
            raise Refused(reply.code, reply.text, reply.fields, verb)
