"""What the tests of the live page stand on: a pump of our own words on a TCP port, a served one, and the watch as a process."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from hil.oracle.program import flat_lines

ROOT = Path(__file__).resolve().parents[1]
PATIENCE_S = 300.0  # on a machine that has much else to do

SUPPLIES = (
    "fluid=drug res=17000000nl usable=16500000nl capacity=20000000nl\r\nthreshold=2000000nl conc=2000mcg/ml lot=\"B-1\" expiry=2028-06-30"
    " refill_by=1817203379s\r\nbattery=3720mv days=400 line=2000mcg/ml bridge=0nl prime_left=0nl calibrated=yes"
)
THERAPY = "population=spinal birth=1980-05-01 phase=maintenance holiday=none\r\nrunning_for=100s bolus_given=0ng"
CAPS = "most=350000ng least=280000ng offset=120min"


def stat_line(**changes: str) -> str:
    """A STAT? in the pump's own form."""
    fields = {
        "state": "running", "phase": "maintenance", "prog": "flat", "hash": "0" * 16, "rate": "14000ng/h", "today": "0ng", "day": "5000ng",
        "day_wit": "4990ng", "refill": "5000ng", "refill_wit": "4990ng", "res": "17000000nl", "refill_by": "1817203379s",
        "battery": "3720mv", "alarms": "0", "top": "none", "obs": "0s", "clock": "set", "fluid": "drug", "key": "own", "now": "1809302400s",
    }  # fmt: skip
    return " ".join(f"{name}={value}" for name, value in {**fields, **changes}.items())


class FakePump:
    """Answers typed lines from a table, for every client of its port. `seen` holds all that was sent to it."""

    def __init__(self) -> None:
        self.answers: dict[str, str] = {
            "*IDN?": "maker=doseloop fw=0.1.0 board=unix uid=unix-1 hash=00 git=none",
            "STAT?": stat_line(),
            "STAT? part=supplies": SUPPLIES,
            "STAT? part=therapy": THERAPY,
            "STAT? part=caps": CAPS,
            "ALAR? from=0": "count=0 next=0",
        }
        self.log: list[str] = []
        self.program = flat_lines("flat", 2000, 336_000)
        self.alarms: list[str] = []
        self.seen = b""
        self._server = socket.create_server(("127.0.0.1", 0))
        self.url = f"socket://127.0.0.1:{self._server.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def answer(self, line: str) -> str:
        verb, _, number = line.partition(" from=")
        if verb == "LOG?":
            return self._record(int(number), self.log, 'n={n} t={n}000ms wall=1809302400s what=command text="{text}" next={following}', 1)
        if verb == "PROG?":
            return self._record(int(number), self.program, 'hash=0000000000000000 line="{text}" next={following}', 0)
        if verb == "ALAR?" and self.alarms:
            return self._record(int(number), self.alarms, "{text} next={following}", 0)
        return self.answers.get(line, "VERB: no such verb")

    def _record(self, number: int, kept: list[str], form: str, first: int) -> str:
        index = max(number, first) - first
        if index >= len(kept):
            return "n=0 next=0"
        following = index + first + 1 if index + 1 < len(kept) else 0
        return form.format(n=index + first, text=kept[index], following=following)

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=(client,), daemon=True).start()

    def _talk(self, client: socket.socket) -> None:
        rest = b""
        while piece := client.recv(4096):
            self.seen += piece
            *lines, rest = (rest + piece).split(b"\r")
            for line in lines:
                client.sendall(self.answer(line.decode("ascii", "replace").strip()).encode("latin-1") + b"\r\n")

    def close(self) -> None:
        self._server.close()


@contextmanager
def process(*words: str, until: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`python -m hil ...` running, and the line that told it is ready."""
    command = [sys.executable, "-m", "hil", *words]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as running:
        try:
            said: list[str] = []
            assert running.stdout is not None
            for line in running.stdout:
                said.append(line)
                if found := re.search(until, line):
                    break
            else:
                raise AssertionError(f"{' '.join(words)} ended: {''.join(said)}")
            yield running, found[0]
        finally:
            running.terminate()
            running.communicate()


def served(link: Path, *words: str) -> AbstractContextManager[tuple[subprocess.Popen[str], str]]:
    """A simulated pump on a path that stays the same when it is started again."""
    return process("serve", "--link", str(link), *words, until=r"is on \S+")


def watched(*words: str) -> object:
    """The watch; what it is with gives the address of its page."""
    return process("watch", *words, until=r"http://\S+/")


def wait_for(true: Callable[[], object], what: str) -> None:
    """Until it is so; a limit that only a hang reaches."""
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline, f"{what}: not within {PATIENCE_S:g} s"
        time.sleep(0.05)
