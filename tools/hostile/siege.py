"""The running firmware under hostile lines, and what must hold meanwhile.

At one virtual instant, in the session of the rightful host and with its role open, two hundred lines come, a few at a time: no reset,
nothing put into the step engine, the answers that are due and no others, and after them every status reads as before. Then minutes pass:
the rotor has turned as that of a twin that heard no hostile line, no more heap is held than by that twin, and the rightful host opens a
session, its role, and is obeyed.

Lines that order STOP are left out of that, for they are to be obeyed. They come at the end, among hostile lines: the pump stops with the
first and makes no step after it, whatever else comes, until the rightful host says RUN; and said again and again they wear no flash.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random

from hil import auth
from hil.errors import BenchError
from hil.frames import next_seq
from hil.link import Link
from hil.plant.rig import Rig
from hil.result import Result
from hil.runner import Options, Run
from hil.scenario import Scenario
from hil.targets.unix import UnixTarget
from tools.hostile.due import FRAME, TYPED, LineReader, are_answered
from tools.hostile.lines import Heard, Lines, sealed

ROOT = Path(__file__).resolve().parents[2]
BESIEGED = ROOT / "tools" / "micropython" / "besieged.py"
HEAP_MARK, RECORDS_MARK, FILES_MARK = 1, 2, 3  # of besieged.py
KEYS = {role: hashlib.sha256(f"besieged {role}".encode()).digest() for role in auth.ROLES}
AT_ONCE = 4  # answers that the pump keeps for a host that reads slowly
ROUND = 200  # lines at one instant: the role that is open at first is closed by the third wrong code, or by a HELLO
REST_MS = 300_000  # then so much time passes: longer than wrong codes make AUTH wait
PIECES = 7
PIECE_MS = 10_000  # between the pieces of the host's slow frame
HEAP_SLACK = 6_000  # bytes: what the last lines left
RECORDS_SLACK, FILES_SLACK = 12, 0  # written a round: the log of wrong codes, at 1, 2, 4, 8, ...
STOP_ROUNDS, STOP_SHARE = 3, 5  # each fifth line or so is a STOP
STOP_RECORDS, STOP_FILES = 20, 4  # that round: the log of STOPs at 1, 2, 4, 8, ...; what stopping itself saves, in two copies each
STOPS = ("STOP", "stop", "Stop now x=1", ">%04d STOP", ">%04d STOP sess=%s", ">%04d STOP sess=%s mac=0123456789ABCDEF", ">0000 STOP y=2")
KEPT_CHUNKS = 50
WRITE_BYTES = 1024
PATIENCE = 60  # receives
RECEIVE_S = 1.0
PARTS = ("", "therapy", "caps", "trial", "supplies", "account", "motion")
COUNTERS = ("frame_errors", "dropped_events", "dropped_replies")  # of the line itself


class Broken(BenchError):
    """Something did not hold."""


@dataclass
class Totals:
    """What the siege came to."""

    lines: int = 0
    bytes: int = 0
    due: int = 0
    answers: int = 0
    left_out: int = 0  # lines that were orders to STOP: those are obeyed
    stops: int = 0  # orders to STOP among hostile lines, at the end
    stop_written: tuple[int, int] = (0, 0)  # records and files, at most, in a round of those
    rounds: int = 0  # after each: every status as before, and a rightful session obeyed
    resets: int = 0
    strange_steps: int = 0
    steps: int = 0
    heap: list[int] = field(default_factory=list)  # bytes held
    more_heap: list[int] = field(default_factory=list)  # than the twin holds
    virtual_s: float = 0.0
    longest_s: float = 0.0
    records: int = 0  # written by a round, at most
    files: int = 0


class Siege:
    """One pump on own keys in the middle of a scenario's therapy, and its twin."""

    def __init__(self, scenario: Scenario, seed: int, script: Path = BESIEGED) -> None:
        self.totals = Totals()
        self.heard = Heard()
        self.chunks: deque[bytes] = deque(maxlen=KEPT_CHUNKS)
        self.target, self._link = _begin(scenario, seed, script)
        self._twin, _ = _begin(scenario, seed, script)
        self._channel = self.target.channel()
        self._send = self._channel.send
        self._channel.send = self._listened  # type: ignore[method-assign]
        self._slow = False
        self._reader = LineReader()
        self._boots = len(self.target.lockstep.boots)
        self._began_ms = self.target.now_ms()
        self._text = b""  # gathered, not yet sent
        self._due = ""  # answers that it wants
        self._asked = 0
        self._seen: dict[str, str] = {}
        self._queued = 0
        self._heap = (0, 0)  # told last, the twin's too
        self._written = (0, 0)  # records and files, since its start
        self._heaps: list[int] = []  # told since they were looked at
        self._stopping = False
        self._random = Random(seed)

    def verbs(self) -> list[tuple[str, list[str]]]:
        """Verb and names of its fields, `?` for those that may be left out, as the pump tells them."""
        records = self._link.records("DICT?")
        return [(found["verb"], [text.partition(":")[0] for text in found["text"].split() if ":" in text]) for found in records]

    def run(self, count: int, lines: Lines, told: Callable[[int], object]) -> Totals:
        """Hold out `count` lines; Broken says what did not hold."""
        self._authentic(False)
        while self.totals.lines < count:
            before = self.totals.lines
            self._round(min(ROUND, count - before), lines)
            told(self.totals.lines - before)
        self._authentic(True)
        for _ in range(STOP_ROUNDS):
            self._stop_round(lines)
        if not self.totals.heap:
            raise Broken("the firmware never told its heap: too few lines")
        return self.totals

    def close(self) -> None:
        for target in (self.target, self._twin):
            target.close()

    # ---- a round

    def _round(self, count: int, lines: Lines) -> None:
        self._seen = self._fingerprint()
        self._link.open_role(auth.ROLES[self.totals.rounds % 2])
        self._note_session()
        engine = self.target.rig.engine
        self._queued, written = engine.queued, self._flash()
        for _ in range(count):
            self._line(lines.next())
        self._chunk()
        now = self._fingerprint()
        changed = {name: (self._seen[name], now.get(name)) for name in self._seen if self._seen[name] != now.get(name)}
        if changed:
            raise Broken(f"the pump's state changed: {changed}")
        records, files = self._wear(written, RECORDS_SLACK, FILES_SLACK, f"{count} lines that nobody signed")
        self.totals.records, self.totals.files = max(self.totals.records, records), max(self.totals.files, files)
        self.totals.rounds += 1
        self._look_at_heap()
        self._authentic(self.totals.rounds % 50 == 0)

    def _stop_round(self, lines: Lines) -> None:
        """STOPs among hostile lines; then time passes, and the rightful host says RUN."""
        self._link.hello()
        self._link.open_role(auth.OPERATOR)
        self._note_session()
        engine, written, stops = self.target.rig.engine, self._flash(), 0
        self._stopping, self._queued = True, -1
        for number in range(ROUND):
            is_stop = self._random.randrange(STOP_SHARE) == 0 or number == ROUND // STOP_SHARE
            stops += is_stop
            self._line(self._stop_line() if is_stop else lines.next())
            if is_stop and self._queued < 0:
                self._chunk()
                self._queued = engine.queued
        self._chunk()
        self._stopping = False
        made = engine.total
        self.target.advance_to(self.target.now_ms() + REST_MS)
        self._link.hello()
        state = self._link.ask("STAT?")["state"]
        if state != "stopped" or engine.total != made:
            raise Broken(f"after {stops} STOPs among hostile lines it is {state}, and made {engine.total - made} steps")
        most = self._wear(written, STOP_RECORDS, STOP_FILES, f"{stops} STOPs among {ROUND - stops} hostile lines")
        self.totals.stops += stops
        self.totals.stop_written = max(self.totals.stop_written, most)
        self._link.open_role(auth.OPERATOR)
        self._link.command("RUN")
        self.target.advance_to(self.target.now_ms() + REST_MS)
        if engine.total == made:
            raise Broken("the rightful host said RUN, and no step was made")

    def _stop_line(self) -> bytes:
        form = self._random.choice(STOPS)
        text = form % (self._free_number(), self.heard.sess)[: form.count("%")] if "%" in form else form
        return sealed(text.encode()) if text.startswith(">") else text.encode() + b"\n"

    def _wear(self, before: tuple[int, int], most_records: int, most_files: int, by: str) -> tuple[int, int]:
        """Records and files that were written since."""
        now = self._flash()
        records, files = now[0] - before[0], now[1] - before[1]
        if records > most_records or files > most_files:
            raise Broken(f"{records} records and {files} files were written to the flash by {by}")
        return records, files

    def _line(self, data: bytes) -> None:
        trial = replace(self._reader)
        due = trial.feed(data)
        self.totals.lines += not self._stopping
        if due.stops and not self._stopping:
            self.totals.left_out += 1
            return
        if len(self._due) + len(due.answers) > AT_ONCE and not self._reader.kept:
            self._chunk()
            trial = replace(self._reader)
            trial.feed(data)
        self._reader = trial
        self._text += data
        self._due += due.answers
        self.totals.bytes += len(data)
        if len(self._text) > WRITE_BYTES or (len(self._due) >= AT_ONCE and not trial.kept):
            self._chunk()

    def _chunk(self) -> None:
        """Send what is gathered with a question behind it, whose answer says that all before it is done; look at what came back."""
        if not self._text:
            return
        number = self._free_number()
        question = sealed(b">%04d STAT?" % number)
        due, data = self._due + self._reader.feed(question).answers, self._text + question
        self._text, self._due = b"", ""
        self.chunks.append(data)
        began = time.monotonic()
        heard = self._exchange(data, b"<%04d " % number)
        self.totals.longest_s = max(self.totals.longest_s, time.monotonic() - began)
        events = b"!" if self._stopping else b"\n"  # that it stops is told as one
        kinds = "".join(self._kind(line) for line in heard.splitlines() if line and not line.startswith(events))
        self.totals.due += len(due)
        self.totals.answers += kinds.count(FRAME) + min(due.count(TYPED), kinds.count(TYPED))
        lockstep = self.target.lockstep
        if len(lockstep.boots) != self._boots:
            self.totals.resets += 1
            console = (self.target.work / "firmware.log").read_text("utf-8", "replace")
            raise Broken(f"the pump restarted; its console says:\n{console[-1500:]}")
        if self._queued >= 0 and self.target.rig.engine.queued != self._queued:
            self.totals.strange_steps += abs(self.target.rig.engine.queued - self._queued)
            raise Broken(f"{self.target.rig.engine.queued - self._queued} steps were ordered that no program has")
        if len(due) <= AT_ONCE + 1 and not are_answered(due, kinds):  # more at once than it keeps for a slow host may be dropped
            raise Broken(f"answers {kinds} to what wants {due} (F framed, T text): {heard!r}")

    def _free_number(self) -> int:
        """For a question whose answer cannot be mistaken: no line before it has this number, and it is not the one that is due."""
        while True:
            self._asked = self._asked % 4000 + 1
            number = 5000 + self._asked
            if number != self.heard.due and b">%04d" % number not in self._text:
                return number

    def _exchange(self, data: bytes, last: bytes) -> bytes:
        """What came up to the line that begins with `last`; no time passes for the pump, however long this machine takes."""
        heard = b""
        for at in range(0, len(data), WRITE_BYTES):
            self._send(data[at : at + WRITE_BYTES])
            heard += self._channel.receive(0.0)
        for _ in range(PATIENCE):
            begun = heard.rfind(last)
            if begun >= 0 and heard.find(b"\n", begun) >= 0:
                return heard
            heard += self._channel.receive(RECEIVE_S)
        raise Broken(f"no answer to the question behind these lines; heard: {heard[-500:]!r}")

    def _kind(self, line: bytes) -> str:
        if not re.match(rb"<\d{4} ", line):
            return TYPED
        self.heard.note(line)
        return FRAME

    # ---- what must hold

    def _fingerprint(self) -> dict[str, str]:
        """Every status, the program and the alarms, at this instant."""
        self._link.hello()
        found: dict[str, str] = {}
        for part in PARTS:
            told = self._link.ask("STAT?", {"part": part} if part else {})
            found.update({f"{part}.{name}": value for name, value in told.items() if name not in COUNTERS})
        for verb in ("PROG?", "ALAR?"):
            found[verb] = repr(self._link.records(verb))
        self._note_session()
        return found

    def _authentic(self, slow: bool) -> None:
        """Time passes, the twin's too; then the rightful host is obeyed, sometimes byte by byte over a minute."""
        self._pass(REST_MS)
        self._channel.receive(0.0)
        self._link.hello()
        self._link.open_role(auth.OPERATOR)
        self._slow = slow
        self._link.command("ALAR:MUTE")
        self._slow = False
        self._note_session()
        ours, twins = self.target.rig.engine.total, self._twin.rig.engine.total
        self.totals.steps, self.totals.virtual_s = ours, (self.target.now_ms() - self._began_ms) / 1000
        if abs(ours - twins) > 1:
            self.totals.strange_steps += abs(ours - twins)
            raise Broken(f"the rotor made {ours} steps, that of a pump without hostile lines {twins}")

    def _pass(self, ms: int) -> None:
        for target in (self.target, self._twin):
            target.advance_to(target.now_ms() + ms)

    def _listened(self, data: bytes) -> None:
        """The rightful host's line: the enemy keeps it."""
        self.heard.authentic = [*self.heard.authentic[-30:], data]
        self.heard.due = next_seq(int(data[1:5]))  # it will be taken; where it is not, the pump says what it expects
        if not self._slow:
            self._send(data)
            return
        size = -(-len(data) // PIECES)
        for at in range(0, len(data), size):
            if at:
                self._pass(PIECE_MS)
            self._send(data[at : at + size])

    def _note_session(self) -> None:
        session = self._link.session
        assert session is not None
        self.heard.sess = session.sess
        self._reader = LineReader()

    def _look_at_heap(self) -> None:
        """What is held grows with the hours that the pump remembers, so it is compared with the twin's."""
        self._read_marks()
        ours, twins = min(self._heaps, default=self._heap[0]), _least_mark(self._twin) or self._heap[1]
        self._heaps, self._heap = [], (ours, twins)
        if not (ours and twins):
            return
        totals = self.totals
        totals.heap.append(ours)
        totals.more_heap.append(ours - twins)
        if totals.more_heap[-1] > totals.more_heap[0] + HEAP_SLACK:
            raise Broken(
                f"the heap held grew from {totals.heap[0]} to {ours} bytes in {totals.lines} lines,"
                f" from {totals.more_heap[0]} to {totals.more_heap[-1]} more than that of a pump without them"
            )

    def _flash(self) -> tuple[int, int]:
        """Records and files written since its start, as it tells before it sleeps."""
        self._read_marks()
        return self._written

    def _read_marks(self) -> None:
        marks = _marks_of(self.target)
        self._heaps += [value for mark, value in marks if mark == HEAP_MARK]
        records, files = ([value for mark, value in marks if mark == number] for number in (RECORDS_MARK, FILES_MARK))
        self._written = max([self._written[0], *records]), max([self._written[1], *files])


def _marks_of(target: UnixTarget) -> list[tuple[int, int]]:
    """(number, value) of what was told since this was asked last."""
    marks = [(mark[1], mark[2]) for mark in target.lockstep.marks]
    target.lockstep.marks.clear()
    return marks


def _least_mark(target: UnixTarget) -> int:
    """The least heap that it told since this was asked last, 0 if it told none."""
    return min((value for mark, value in _marks_of(target) if mark == HEAP_MARK), default=0)


def _begin(scenario: Scenario, seed: int, script: Path) -> tuple[UnixTarget, Link]:
    """A pump with keys of its own in the middle of its therapy."""
    rig = Rig(replace(scenario.rig, rtc_unix_s=scenario.start_unix_s), seed)
    target = UnixTarget(rig, seed=seed, board=scenario.board, script=script)
    target.start()
    nobody = Result(scenario.name, scenario.title, scenario.story, target.name, target.evidence, seed)
    play, _ = Run(scenario, Options(keys=KEYS), target, nobody, lambda done, planned: None).begin()
    return target, play.pump.link
