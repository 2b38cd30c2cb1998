"""Campaign 3: a line that loses, doubles, flips and delays bytes, both ways; a host drives a day of therapy over it.

The host is the real one (hil.link, hil.pump) with patience in the pump's own time, so that a lost answer costs no real second. It
follows the rule of the wire: no answer is no knowledge; it asks STAT? what became of an id, and sends that id again until it knows.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

from hil.channel import Channel
from hil.errors import LinkError, Refused
from hil.link import Link, Patience
from hil.pump import Pump, leading_int
from hil.targets.process import FIRMWARE
from tools.killing.host import program
from tools.killing.tally import Tally
from tools.killing.world import STEP_NL, KillTarget, SureChannel, begin, new_host

TWICE = "boluses given twice, or more than was acknowledged"
MISSING = "boluses acknowledged and not given"
IGNORANT = "times the host ended with wrong knowledge"
ODD = "answers that no rule explains"
LOST = "jobs the host had to give up"
ZEROS = (TWICE, MISSING, IGNORANT, ODD, LOST)
DAYS = "days of therapy"

RATES = (1e-4, 1e-3, 1e-2)  # of a byte, each way, all four kinds together
BOLUS_NL = 10_000
BOLUSES = 24  # a day, one an hour
HOUR_MS = 3_600_000
LATE_MS = 400  # a delayed byte holds back what is behind it for at most so long
REPLY_MS = 1000
TRIES = 10  # as the host does by itself
SESSIONS = 2000


class Noise:
    """What happens to bytes on one way of the line. A serial line never puts a byte before another: what is late holds up the rest."""

    def __init__(self, rate: float, random: Random, now_ms: Callable[[], int]) -> None:
        self.bad = 0
        self._rate = rate
        self._random = random
        self._now_ms = now_ms
        self._waiting = b""
        self._free_ms = 0  # what waits may pass from then on

    def take(self, data: bytes) -> None:
        for byte in data:
            self._waiting += self._through(byte)

    def _through(self, byte: int) -> bytes:
        draw = self._random
        if draw.random() >= self._rate:
            return bytes([byte])
        self.bad += 1
        kind = draw.randrange(4)
        if kind == 3:
            self._free_ms = max(self._free_ms, self._now_ms() + draw.randrange(1, LATE_MS))
        return (b"", bytes([byte, byte]), bytes([byte ^ 1 << draw.randrange(8)]), bytes([byte]))[kind]

    def give(self) -> bytes:
        """What has come through by now."""
        if self._now_ms() < self._free_ms:
            return b""
        data, self._waiting = self._waiting, b""
        return data

    @property
    def held_ms(self) -> int:
        return max(0, self._free_ms - self._now_ms()) if self._waiting else 0


class NoisyLine:
    """Both ways of it. While the host waits, the pump's time passes."""

    def __init__(self, target: KillTarget, line: Channel, rate: float, seed: int) -> None:
        self._target = target
        self._line = line
        self.out = Noise(rate, Random(2 * seed), target.now_ms)
        self.back = Noise(rate, Random(2 * seed + 1), target.now_ms)

    def send(self, data: bytes) -> None:
        self.out.take(data)
        self._forward()

    def _forward(self) -> None:
        if data := self.out.give():
            self._line.send(data)

    def receive(self, timeout_s: float) -> bytes:
        end_ms = self._target.now_ms() + max(1, round(timeout_s * 1000))
        while True:
            self._forward()
            self.back.take(self._line.receive(0.0))
            if data := self.back.give():
                return data
            now_ms = self._target.now_ms()
            if now_ms >= end_ms:
                return b""
            held = [ms for ms in (self.out.held_ms, self.back.held_ms) if ms]
            self._target.advance_to(min([end_ms, *(now_ms + ms for ms in held)]))

    def close(self) -> None:
        self._line.close()


class Day:
    """A day of therapy at one rate of noise."""

    def __init__(self, rate: float, seed: int, work: Path, script: Path = FIRMWARE) -> None:
        self.tally = Tally(f"a line that harms {rate:g} of its bytes each way: loses, doubles, flips, delays", ZEROS)
        self.target = KillTarget(seed, work, script)
        begin(self.target, program("p0"), seed).run()
        self._quiet = SureChannel(self.target)
        self._line = NoisyLine(self.target, self._quiet, rate, seed)
        self._link = Link(
            self._line, wall=self.target.unix_s, seed=seed, patience=Patience(reply_s=REPLY_MS / 1000, tries=TRIES),
            clock=lambda: self.target.now_ms() / 1000,
        )  # fmt: skip
        self._pump = Pump(self._link, self.target.unix_s)
        self._known = 0  # boluses that the host knows were given
        self._ids = 0

    def run(self, boluses: int = BOLUSES) -> Tally:
        self._host(self._pump.open)
        for hour in range(boluses):
            self._hour(hour)
        self._judge()
        self.tally.count(DAYS)
        self.tally.count("bytes harmed", self._line.out.bad + self._line.back.bad)
        self.tally.count("lines sent again", self._link.resent)
        self.tally.count("damaged lines that the host saw", self._link.damaged)
        return self.tally

    def _hour(self, hour: int) -> None:
        end_ms = self.target.now_ms() + HOUR_MS
        self._bolus()
        if hour % 6 == 3:
            self._commit(f"p{hour}")
        if hour % 8 == 5:
            self._stop_and_run()
        self._host(self._pump.alarms)
        self._host(lambda: self._link.records("LOG?", limit=5))
        self.target.advance_to(max(self.target.now_ms(), end_ms))

    def _host(self, work: Callable[[], object]) -> None:
        """Until it is done, in a new session where the old one is no more."""
        for _ in range(SESSIONS):
            try:
                work()
                return
            except LinkError:
                self.tally.count("times that the host gave up a command and began a session anew")
            except Refused as refused:
                if not self._mend(refused):
                    return
            self._again()
        self.tally.wrong(LOST, f"not done in {SESSIONS} sessions")

    def _mend(self, refused: Refused) -> bool:
        """What a host does about a refusal that the noise has brought about."""
        if refused.code == "ALARM_ACTIVE":  # a stop took so long to be ended over this line that it became an alarm
            self.tally.count("boluses that waited for an alarm of a stop that took too long to end")
            self._host(self._acknowledge)
        elif refused.code in ("SESSION", "SEQ", "AUTH"):
            self.tally.count("sessions begun anew after a mix-up of numbers")
        else:
            self.tally.wrong(ODD, str(refused))
            return False
        return True

    def _acknowledge(self) -> None:
        for code in self._pump.alarms():
            self._link.command("ALAR:ACK", {"id": code})

    def _again(self) -> None:
        try:
            self._pump.open()
        except LinkError:
            return
        except Refused as refused:
            self._mend(refused)

    def _with_id(self, verb: str, fields: dict[str, str], known: Callable[[], bool]) -> None:
        """Once, whatever the line does: its id is asked for, and sent again, until the host knows."""
        self._ids += 1
        named = {**fields, "id": f"{self._ids:08x}"}

        def work() -> None:
            if not known():
                reply = self._link.command(verb, {key: value for key, value in named.items() if value})
                self.tally.count("orders that were heard of as done before" if reply.get("repeated") == "yes" else "orders answered")

        self._host(work)

    def _bolus(self) -> None:
        before = self._ids + 1
        self._with_id("DOSE:BOLUS", {"volume": f"{BOLUS_NL}nl", "path": "pump"}, lambda: self._has_begun(before))
        self._known += 1
        self.target.advance_to(self.target.now_ms() + 20_000)
        self._host(lambda: self._check_last(before))

    def _has_begun(self, number: int) -> bool:
        stat = self._pump.stat()
        return stat["last_id"] == f"{number:08x}" and stat["outcome"] != "REFUSED"

    def _check_last(self, number: int) -> None:
        stat = self._pump.stat()
        if (stat["last_id"], stat["outcome"], stat["steps"]) != (f"{number:08x}", "DONE", str(BOLUS_NL // STEP_NL)):
            self.tally.wrong(IGNORANT, f"bolus {number:08x}: STAT? says {stat['last_id']} {stat['outcome']} {stat['steps']} steps")

    def _commit(self, name: str) -> None:
        self._ids += 1
        wanted, fields = program(name), {"id": f"{self._ids:08x}"}

        def work() -> None:
            if self._pump.stat()["hash"] != wanted.hash():
                self._pump.commit(wanted, confirm=True, fields=fields)

        self._host(work)
        self._host(lambda: self._held("hash", wanted.hash()))

    def _stop_and_run(self) -> None:
        self._host(lambda: self._link.command("STOP"))
        self._host(lambda: self._held("state", "stopped"))
        self._with_id("RUN", {}, lambda: self._pump.stat()["state"] == "running")
        self._host(lambda: self._held("state", "running"))

    def _held(self, name: str, value: str) -> None:
        found = self._pump.stat()[name]
        self.tally.count("states that the host looked for and found")
        if found != value:
            self.tally.wrong(IGNORANT, f"{name} is {found}, the host believes {value}")

    def _judge(self) -> None:
        """The noise ends; the rotor decides."""
        pump = new_host(self.target, 99)
        pump.open()
        account = pump.stat("account")
        given = int(account["bolus"]) // (BOLUS_NL // STEP_NL)
        self.tally.count("boluses that the host knows were given", self._known)
        self.tally.count("boluses that the rotor turned", given)
        if int(account["bolus"]) > self._known * BOLUS_NL // STEP_NL:
            self.tally.wrong(TWICE, f"{account['bolus']} steps of boluses, {self._known} known")
        if int(account["bolus"]) < self._known * BOLUS_NL // STEP_NL:
            self.tally.wrong(MISSING, f"{account['bolus']} steps of boluses, {self._known} known")
        if abs(self.target.rotor_steps - leading_int(account["authorised"])) > 1:
            self.tally.wrong(TWICE, f"{self.target.rotor_steps} steps turned, {account['authorised']} booked")


def days(rate: float, count: int, seed: int, boluses: int = BOLUSES, script: Path = FIRMWARE) -> Iterator[Tally]:
    """So many days, each over another noise."""
    for number in range(seed, seed + count):
        with tempfile.TemporaryDirectory(prefix="doseloop-kill-") as folder:
            day = Day(rate, number, Path(folder), script)
            try:
                yield day.run(boluses)
            finally:
                day.target.close()
