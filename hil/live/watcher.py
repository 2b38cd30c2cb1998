"""One pump watched in a thread of its own: it asks, keeps what was answered, and comes back when the pump does."""

from __future__ import annotations

import re
import threading
import time
from collections import deque
from collections.abc import Mapping
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from hil import evidence
from hil.auth import OPERATOR
from hil.channel import SerialChannel
from hil.errors import BenchError, LinkError, Refused
from hil.link import Link, Patience
from hil.live.series import Series
from hil.live.typed import TypedLine
from hil.oracle.program import Program, ProgramError
from hil.pump import leading_int

LOOK_S = 1.0  # between two looks
RARE_S = 15.0  # what changes seldom
BACK_OFF_S = 2.0  # before a line that went away is tried again
LOG_LINES = 60
ACT_WAIT_S = 15.0
CODE = re.compile(r"[A-Z][A-Z0-9_]{0,23}")  # of an alarm
CONNECTING, ANSWERING, SILENT, GONE = "connecting", "answering", "silent", "gone"


class Bad(BenchError):
    """Something was asked of a pump that cannot be asked."""


@dataclass
class Order:
    """An acknowledgement or a mute, and what became of it."""

    verb: str
    fields: dict[str, str]
    done: Future[str] = field(default_factory=Future)


class Watcher:
    """Looks at one pump until it is stopped. `snapshot` may be called from any thread."""

    def __init__(self, url: str, keys: Mapping[str, bytes] | None, look_s: float = LOOK_S, said: str = "") -> None:
        self.url = url
        self._said = said  # what a person says of the pump (hil/evidence.py)
        self.version = 0  # grows with everything new
        self.series = Series()
        self._keys = keys
        self._look_s = look_s
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._wake = threading.Event()
        self._orders: deque[Order] = deque()
        self._thread = threading.Thread(target=self._run, name=f"watch {url}", daemon=True)
        self._state, self._why = CONNECTING, ""
        self._answered_s: float | None = None
        self._identity: dict[str, str] = {}
        self._stat: dict[str, str] = {}
        self._supplies: dict[str, str] = {}
        self._alarms: list[dict[str, str]] = []
        self._log: deque[dict[str, str]] = deque(maxlen=LOG_LINES)
        self._log_next = 0  # the number of the next entry; 0: nothing is known of the log yet
        self._rare_s = 0.0

    @property
    def can_act(self) -> bool:
        return self._keys is not None

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(5)

    # ---- for the page

    def acknowledge(self, code: str) -> Future[str]:
        with self._lock:
            known = {alarm.get("id") for alarm in self._alarms}
        if not CODE.fullmatch(code) or code not in known:
            raise Bad("that alarm is not on")
        return self._order(Order("ALAR:ACK", {"id": code}))

    def mute(self) -> Future[str]:
        return self._order(Order("ALAR:MUTE", {}))

    def _order(self, order: Order) -> Future[str]:
        if self._keys is None:
            raise Bad("this page is read-only: start it with --key-file or --default-key")
        if self._state != ANSWERING:
            raise Bad("the pump does not answer at the moment")
        self._orders.append(order)
        self._wake.set()
        return order.done

    def snapshot(self) -> dict[str, Any]:
        """Everything but the curves, ready for JSON."""
        with self._lock:
            stat = dict(self._stat)
            offset_s = self.series.offset_s or 0
            return {
                "url": self.url, "connection": self._state, "why": self._why,
                "age_s": None if self._answered_s is None else round(time.monotonic() - self._answered_s, 1),
                "evidence": self.evidence, "identity": dict(self._identity), "stat": stat, "supplies": dict(self._supplies),
                "now": local_text(leading_int(stat.get("now", "0")), offset_s) if stat.get("clock") == "set" else "",
                "refill_by": local_text(leading_int(stat.get("refill_by", "0")), offset_s),
                "alarms": [{**alarm, "since": local_text(leading_int(alarm.get("since", "0")), offset_s)} for alarm in self._alarms],
                "log": [{**entry, "wall": local_text(leading_int(entry.get("wall", "0")), offset_s)} for entry in self._log],
                "offset_s": offset_s, "can_act": self.can_act,
            }  # fmt: skip

    @property
    def evidence(self) -> str:
        """What stands behind the line, as far as is known."""
        return evidence.word(self.url, self._identity, self._said) if self._identity else ""

    def points(self, since: int = 0) -> tuple[int, list[list[float | None]]]:
        """The curves' generation, and their points from an index on."""
        with self._lock:
            rows: list[list[float | None]] = [
                [p.t_s, p.programmed_ng, p.delivered_ng, p.witnessed_ng, p.rate_ng_h] for p in self.series.points[since:]
            ]
            return self.series.generation, rows

    # ---- the thread

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._watch()
            except LinkError as error:
                self._away(GONE, str(error))
            except Exception as error:  # whatever a pump says, the page goes on and tells
                self._away(GONE, f"the watch itself failed: {type(error).__name__}: {error}")
            self._refuse_orders()
            self._stop.wait(BACK_OFF_S)

    def _watch(self) -> None:
        """From an opened line until it is gone."""
        channel = SerialChannel(self.url)
        try:
            typed = TypedLine(channel)
            fresh = True
            while not self._stop.is_set():
                try:
                    if fresh:
                        self._greet(typed)
                        fresh = False
                    self._look(typed)
                    while self._orders:
                        self._act(self._orders.popleft(), channel, typed)
                        self._look(typed)
                except LinkError as error:
                    if not str(error).startswith("no answer"):
                        raise
                    self._away(SILENT, str(error))
                    self._refuse_orders()
                    fresh = True
                self._wake.wait(self._look_s)
                self._wake.clear()
        finally:
            channel.close()

    def _away(self, state: str, why: str) -> None:
        with self._lock:
            self._state, self._why = state, why
            self.version += 1

    def _refuse_orders(self) -> None:
        while self._orders:
            _end(self._orders.popleft().done, "not sent: the pump does not answer")

    def _greet(self, typed: TypedLine) -> None:
        """Who is there? Another pump than before starts anew."""
        typed.forget()
        identity = typed.ask("*IDN?")
        with self._lock:
            if self._identity.get("uid", identity.get("uid")) != identity.get("uid"):
                self.series.begin_again()
            self._identity = identity
            self._log_next, self._rare_s = 0, 0.0
            self.series.program = None

    def _look(self, typed: TypedLine) -> None:
        stat = typed.ask("STAT?")
        if time.monotonic() - self._rare_s > RARE_S or self._stat.get("hash") != stat.get("hash"):
            self._look_rarely(typed, stat)
        alarms = [row for row in typed.records("ALAR?") if "id" in row] if leading_int(stat.get("alarms", "0")) else []
        news = self._new_log(typed)
        with self._lock:
            self._stat, self._alarms = stat, alarms
            self._log.extend(news)
            self.series.add(stat, time.time())
            self._state, self._why, self._answered_s = ANSWERING, "", time.monotonic()
            self.version += 1

    def _look_rarely(self, typed: TypedLine, stat: Mapping[str, str]) -> None:
        supplies, holiday = typed.ask("STAT? part=supplies"), typed.ask("STAT? part=therapy").get("holiday", "none")
        program, offset_s = self._program(typed, stat), self._offset_s(typed)
        with self._lock:
            self._supplies, self._rare_s = supplies, time.monotonic()
            self.series.program, self.series.holiday = program, holiday
            self.series.offset_s = self.series.offset_s if offset_s is None else offset_s

    def _program(self, typed: TypedLine, stat: Mapping[str, str]) -> Program | None:
        known = self.series.program
        if known is not None and known.hash == stat.get("hash"):
            return known
        if stat.get("hash", "none") == "none":
            return None
        try:
            return Program.parse([row["line"] for row in typed.records("PROG?") if "line" in row])
        except (Refused, ProgramError):
            return None

    def _offset_s(self, typed: TypedLine) -> int | None:
        try:
            return 60 * leading_int(typed.ask("STAT? part=caps").get("offset", "0"))
        except Refused:  # the clock is lost
            return None

    def _new_log(self, typed: TypedLine) -> list[dict[str, str]]:
        """Entries since the last look; at first the newest few, found by halving: the pump gives them by number alone."""
        if self._log_next == 0:
            newest = newest_entry(typed)
            if newest == 0:
                return []
            with self._lock:
                self._log.clear()
            self._log_next = max(1, newest - LOG_LINES + 1)
        found = [entry for entry in typed.records("LOG?", self._log_next) if leading_int(entry.get("n", "0")) >= self._log_next]
        if found:
            self._log_next = leading_int(found[-1]["n"]) + 1
        return found

    # ---- acting

    def _act(self, order: Order, channel: SerialChannel, typed: TypedLine) -> None:
        """With a session of its own, which ends that of another host: only when a person presses a button."""
        try:
            link = Link(channel, keys=self._keys, patience=Patience(tries=3))
            link.hello()
            link.command(order.verb, order.fields, role=OPERATOR)
            said = "done"
        except Refused as refused:
            said = f"refused: {refused.code} {refused.text}"
        except LinkError as error:
            said = f"not known whether it was done: {error}"
        typed.forget()
        _end(order.done, said)


def _end(done: Future[str], said: str) -> None:
    try:
        done.set_result(said)
    except InvalidStateError:  # nobody waits for it any more
        return


def newest_entry(typed: TypedLine) -> int:
    """The number of the log's newest entry, 0 for an empty log."""
    low = leading_int(typed.ask("LOG?", "from=0").get("n", "0"))
    if low == 0:
        return 0
    step = 1
    while _there(typed, low + step):
        low, step = low + step, 2 * step
    high = low + step  # is not there
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _there(typed, middle) else (low, middle)
    return low


def _there(typed: TypedLine, number: int) -> bool:
    return leading_int(typed.ask("LOG?", f"from={number}").get("n", "0")) >= number


def local_text(unix_s: int, offset_s: int) -> str:
    """A time of the pump as it shows it; empty where it has none."""
    if not 0 < unix_s < 1 << 34:
        return ""
    return datetime.fromtimestamp(unix_s + offset_s, timezone.utc).strftime("%Y-%m-%d %H:%M:%S")
