"""Campaign 2: the host is killed at every byte that it sends, in every kind of exchange.

A host does one job, from its HELLO on; its bytes stop after the kth, for every k there is. What it had sent beyond that may still lie
in a buffer and arrive late, after another host has said HELLO. That other host knows the id that the first wrote down before it sent
anything, asks STAT? what became of it, and does the job if it was not done. The job must be done once: whole, by the one host or by
the other.
"""

from __future__ import annotations

import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path

from hil.errors import BenchError, Refused
from hil.prescription import Program, compile_program
from hil.pump import Pump, leading_int
from hil.scenario import CALIBRATION
from hil.targets.process import FIRMWARE
from tools.killing.tally import Tally
from tools.killing.world import CONC, OFFSET_MIN, STEP_NL, KillTarget, SureChannel, begin, new_host

EARLY = "orders carried out before their last byte had come"
HALF = "states that were neither the old nor the new"
BLIND = "hosts that STAT? told something else than was"
TWICE = "jobs done twice, or not at all"
ODD = "answers that no rule explains"
ZEROS = (EARLY, HALF, BLIND, TWICE, ODD)
LOOKED = "hosts killed, and what they left looked at"

BOLUS_NL = 10_000
AFTER_MS = 600_000  # a bolus is over, and its lockout
SHARE_LAST = 3  # the last bytes of a job are in every share


class HostDied(Exception):
    """The host's process was killed."""


class Severed:
    """A host's line that takes so many bytes; with the next one the host dies. What it had sent beyond lies in `late`."""

    def __init__(self, line: SureChannel, most: int | None) -> None:
        self.sent = 0
        self.late = b""
        self._line = line
        self._most = most

    def send(self, data: bytes) -> None:
        room = len(data) if self._most is None else self._most - self.sent
        self.sent += min(len(data), room)
        if data[:room]:
            self._line.send(data[:room])
        if room <= len(data) and self._most is not None:
            self.late = data[room:]
            raise HostDied

    def receive(self, timeout_s: float) -> bytes:
        return self._line.receive(timeout_s)

    def close(self) -> None:
        self._line.close()


def program(name: str) -> Program:
    """Always the same doses: only its name and so its hash differ. Boluses may follow each other quickly."""
    bolus = {"volume": "10 uL", "time": "10 s", "lockout": "1 min", "allowance": "900 mcg"}
    return compile_program({"name": name, "conc": f"{CONC} mcg/mL", "flat": "240 mcg/day", "bolus": bolus})


class Job(ABC):
    """What a host is there to do. `id` is written down before anything is sent."""

    name = ""
    rests = False  # it wants a pump that is stopped

    def __init__(self) -> None:
        self.id = "00000000"

    @abstractmethod
    def do(self, pump: Pump, target: KillTarget) -> dict[str, str]:
        """All of it, from the session on; the last answer."""

    def done(self, pump: Pump) -> bool | None:
        """What STAT? says of it; None: it changes nothing that could be seen."""
        stat = pump.stat()
        return stat["last_id"] == self.id and stat["outcome"] != "REFUSED"

    def prepare(self, pump: Pump, target: KillTarget) -> None:  # noqa: B027 (most want nothing)
        """Before the host that dies comes."""


class Ask(Job):
    name = "questions"

    def do(self, pump: Pump, target: KillTarget) -> dict[str, str]:
        for verb in ("*IDN?", "STAT?", "SELF?", "SYST:ERR?"):
            pump.link.ask(verb)
        for verb in ("LOG?", "DICT?", "PROG?", "ALAR?"):
            pump.link.ask(verb, {"from": "0"})
        return pump.stat("account")

    def done(self, pump: Pump) -> bool | None:
        return None


class Bolus(Job):
    name = "DOSE:BOLUS"

    def do(self, pump: Pump, target: KillTarget) -> dict[str, str]:
        return pump.link.command("DOSE:BOLUS", {"volume": f"{BOLUS_NL}nl", "path": "pump", "id": self.id})


class Prime(Job):
    name = "DOSE:PRIME"
    rests = True

    def prepare(self, pump: Pump, target: KillTarget) -> None:
        pump.link.command("LINE:NEW", {"part": "tube"})

    def do(self, pump: Pump, target: KillTarget) -> dict[str, str]:
        fields = {"volume": "1000nl", "path": "pump", "connected": "no", "id": self.id}
        return pump.confirmed("DOSE:PRIME", fields, confirm=True)


class NewLine(Job):
    name = "LINE:NEW"
    rests = True

    def do(self, pump: Pump, target: KillTarget) -> dict[str, str]:
        return pump.link.command("LINE:NEW", {"part": "tube", "id": self.id})


class Commit(Job):
    name = "PROG:NEW to PROG:COMMIT"

    def do(self, pump: Pump, target: KillTarget) -> dict[str, str]:
        return pump.commit(program(f"p{self.id}"), confirm=True, fields={"id": self.id})

    def done(self, pump: Pump) -> bool | None:
        return pump.stat()["hash"] == program(f"p{self.id}").hash()


class Run(Job):
    name = "RUN"
    rests = True

    def do(self, pump: Pump, target: KillTarget) -> dict[str, str]:
        return pump.link.command("RUN", {"id": self.id})

    def done(self, pump: Pump) -> bool | None:
        return pump.stat()["state"] == "running"


class Stop(Job):
    name = "STOP"

    def do(self, pump: Pump, target: KillTarget) -> dict[str, str]:
        return pump.link.command("STOP")

    def done(self, pump: Pump) -> bool | None:
        return pump.stat()["state"] == "stopped"


class Refill(Job):
    name = "RES:REFILL"

    def do(self, pump: Pump, target: KillTarget) -> dict[str, str]:
        fields = {
            "path": "septum", "fluid": "drug", "drug": "baclofen", "volume": "17000000nl", "conc": f"{CONC}mcg/ml", "lot": f"L{self.id}",
            "expiry": "2028-06-30", "withdrawn": "17900000nl", "stored": "ok", "attended": "yes", "id": self.id,
        }  # fmt: skip
        return pump.link.command("RES:REFILL", fields)

    def done(self, pump: Pump) -> bool | None:
        return pump.stat("supplies")["lot"] == f"L{self.id}"


class SetTime(Job):
    name = "TIME"

    def do(self, pump: Pump, target: KillTarget) -> dict[str, str]:
        return pump.link.command("TIME", {"set": f"{int(target.unix_s())}s", "offset": f"{OFFSET_MIN}min"})

    def done(self, pump: Pump) -> bool | None:
        return None


class Calibrate(Job):
    name = "CAL:SET"
    rests = True

    def do(self, pump: Pump, target: KillTarget) -> dict[str, str]:
        pump.calibrate(CALIBRATION)
        return {}

    def done(self, pump: Pump) -> bool | None:
        return None


class Respond(Job):
    name = "THER:RESPONSE, ALAR:MUTE, ALAR:TEST"

    def do(self, pump: Pump, target: KillTarget) -> dict[str, str]:
        pump.link.command("ALAR:MUTE")
        pump.link.command("ALAR:TEST")
        return pump.link.command("THER:RESPONSE", {"result": "adequate", "id": self.id})


JOBS: tuple[type[Job], ...] = (Ask, Bolus, Prime, NewLine, Commit, Run, Stop, Refill, SetTime, Calibrate, Respond)


class Ward:
    """One pump, and one host after the other."""

    def __init__(self, work: Path, tally: Tally, script: Path = FIRMWARE) -> None:
        self.target = KillTarget(1, work, script)
        self.tally = tally
        self._hosts = 0
        begin(self.target, program("p0"), 1).run()
        self.line = SureChannel(self.target)

    def host(self, most: int | None = None) -> tuple[Pump, Severed]:
        self._hosts += 1
        severed = Severed(self.line, most)
        return new_host(self.target, self._hosts, severed), severed

    def length(self, kind: type[Job]) -> int:
        """Bytes that a host sends for it, HELLO and AUTH included."""
        job = self._fresh(kind)
        pump, severed = self.host()
        pump.open()
        job.do(pump, self.target)
        self._over()
        return severed.sent

    def case(self, kind: type[Job], k: int, whole: int, late: bool) -> None:
        """A host dies after k bytes of the job; another comes."""
        job = self._fresh(kind)
        where = f"{job.name}, {k} of {whole} bytes" + (", the rest late" if late else "")
        before = self._state()
        pump, severed = self.host(k)
        try:
            pump.open()
            job.do(pump, self.target)
        except HostDied:
            pass
        second, _ = self.host()
        second.open()
        if late and severed.late:
            self.line.send(severed.late)
        done = self._judge(job, second, k >= whole, before, where)
        self._finish(job, second, done, where)
        self._over()
        self._once(job, before, where)

    def _fresh(self, kind: type[Job]) -> Job:
        job = kind()
        self._hosts += 1
        job.id = f"{self._hosts:08x}"
        pump, _ = self.host()
        pump.open()
        stopped = pump.stat()["state"] != "running"
        if job.rests and not stopped:
            pump.link.command("STOP")
        elif stopped and not job.rests:
            pump.run()
        job.prepare(pump, self.target)
        return job

    def _judge(self, job: Job, pump: Pump, whole: bool, before: dict[str, str], where: str) -> bool | None:
        """What the second host finds, before it does anything."""
        done = job.done(pump)
        self.tally.count(LOOKED)
        if done is not None and done != whole:
            self.tally.wrong(EARLY if done else BLIND, f"{where}: STAT? says {'done' if done else 'not done'}")
        now = self._state(pump)
        if now["last_id"] == job.id and now["outcome"] == "REFUSED":  # a confirmation was asked for: told, and nothing done
            now.update({name: before[name] for name in ("last_id", "outcome")})
        changed = {name: (before[name], now[name]) for name in before if before[name] != now[name]}
        if not whole and changed:
            self.tally.wrong(HALF, f"{where}: {changed}")
        if isinstance(job, Commit) and not whole and self._has_stage(pump):
            self.tally.wrong(HALF, f"{where}: what the dead host had staged is still there")
        return done

    @staticmethod
    def _has_stage(pump: Pump) -> bool:
        try:
            pump.link.ask("PROG:CHECK?")
        except Refused:
            return False
        return True

    def _finish(self, job: Job, pump: Pump, done: bool | None, where: str) -> None:
        """The second host does it, under the first one's id; or hears that it is done."""
        try:
            if done and job.name in ("STOP", "PROG:NEW to PROG:COMMIT"):
                return
            reply = job.do(pump, self.target)
        except BenchError as error:
            self.tally.wrong(ODD, f"{where}: the second host hears {error}")
            return
        if done is not None and (reply.get("repeated") == "yes") != bool(done):
            self.tally.wrong(TWICE, f"{where}: the second host hears {reply}")

    def _over(self) -> None:
        self.target.advance_to(self.target.now_ms() + AFTER_MS)

    def _once(self, job: Job, before: dict[str, str], where: str) -> None:
        pump, _ = self.host()
        pump.open()
        now, turned = self._state(pump), self.target.rotor_steps
        wanted = {"bolus": BOLUS_NL // STEP_NL if isinstance(job, Bolus) else 0, "prime": 100 if isinstance(job, Prime) else 0}
        for name, steps in wanted.items():
            made = int(now[name]) - int(before[name])
            if made != steps:
                self.tally.wrong(TWICE, f"{where}: {made} steps of {name}, {steps} wanted")
        if abs(turned - leading_int(pump.stat("account")["authorised"])) > 1:
            self.tally.wrong(TWICE, f"{where}: {turned} steps turned, {pump.stat('account')['authorised']} booked")
        if job.done(pump) is False:
            self.tally.wrong(TWICE, f"{where}: not done in the end")
        self.tally.count("jobs that stood done once in the end")

    def _state(self, pump: Pump | None = None) -> dict[str, str]:
        """What an order may change and time does not."""
        if pump is None:
            pump, _ = self.host()
            pump.open()
        stat, supplies, account = pump.stat(), pump.stat("supplies"), pump.stat("account")
        shown = {name: stat[name] for name in ("state", "phase", "hash", "last_id", "outcome", "clock", "fluid")}
        return {**shown, **{name: supplies[name] for name in ("lot", "conc", "prime_left", "calibrated")}, **{
            name: account[name] for name in ("bolus", "prime", "moved", "test")
        }}  # fmt: skip


def cases(share: int, script: Path = FIRMWARE, kinds: tuple[type[Job], ...] = JOBS) -> Iterator[Tally]:
    """Every share-th byte of every job, and its last ones; one tally for each case, to be added up."""
    with tempfile.TemporaryDirectory(prefix="doseloop-kill-") as folder:
        ward = Ward(Path(folder), Tally("", ZEROS), script)
        try:
            for kind in kinds:
                whole = ward.length(kind)
                for k in [k for k in range(whole + 1) if k % share == 0 or k > whole - SHARE_LAST]:
                    ward.tally = Tally("the host killed at every byte" if share == 1 else f"the host killed at every {share}th byte", ZEROS)
                    ward.case(kind, k, whole, late=k % 2 == 1 and kind is not Stop)
                    yield ward.tally
        finally:
            ward.target.close()
