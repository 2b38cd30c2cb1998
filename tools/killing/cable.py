"""Campaign 4: the serial device vanishes, and comes back under another name.

Between the pump and the host sits an adapter, as a USB-serial cable is one: the host sees a device of its own, which is gone when the
cable is pulled, at rest or in the midst of an exchange, and comes back with another name. On the pump's side nobody holds the line
then. The pump must go on, no faster and no slower than before; the host must be told in plain words, and know what became of its order
once it is back.
"""

from __future__ import annotations

import os
import pty
import select
import tempfile
import tty
from collections.abc import Iterator
from pathlib import Path
from random import Random

from hil.channel import SerialChannel
from hil.errors import LinkError, TargetError
from hil.link import Link, Patience
from hil.pump import Pump, leading_int
from hil.targets.process import FIRMWARE
from hil.targets.unix import UnixTarget
from tools.killing.host import BOLUS_NL, program
from tools.killing.tally import Tally
from tools.killing.world import STEP_NL, KillTarget, begin

RESTARTED = "times the pump restarted, or its process ended"
STOOD = "times the pump stood still, ran away or spun with nobody on the line"
SPEECHLESS = "losses of the line that the host was not told in plain words"
TWICE = "orders done twice, or not at all"
ZEROS = (RESTARTED, STOOD, SPEECHLESS, TWICE)
PULLED = "times the cable was pulled"
MOST_ROUNDS = 20  # with one pump

HOUR_MS = 3_600_000
WAKE_MS = 10_000  # the pump wakes at least so often; it may wake twice as often
TURNS = 200  # of cable and pump while the host reads once
READS = 12  # the cable may be pulled before any of the first reads of an exchange


class Adapter:
    """A cable with a device of its own on the host's side."""

    def __init__(self, target: UnixTarget) -> None:
        self.target = target
        self.path = ""
        self.plugged = False
        self.pull_in: int | None = None  # it is pulled at the read of that number
        self._inner = self._outer = self._kept = -1
        self._taken: list[int] = []  # keeps the old names from being given again
        self._names: set[str] = set()  # under which it was there
        self.plug()

    def plug(self) -> None:
        self.target.pty.plug_in()
        self._inner = os.open(self.target.serial_path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        self._outer, self._kept = pty.openpty()
        while os.ttyname(self._kept) in self._names:  # an old one, which the host has let go of by now
            self._taken += (self._outer, self._kept)
            self._outer, self._kept = pty.openpty()
        tty.setraw(self._kept)
        self.path = os.ttyname(self._kept)
        self._names.add(self.path)
        self.plugged = True

    def pull(self) -> None:
        """The device is gone, and nobody is on the pump's line."""
        if not self.plugged:
            return
        self.plugged = False
        self.pull_in = None
        for fd in (self._inner, self._outer, self._kept):
            os.close(fd)
        self._taken += pty.openpty()
        self.target.pty.hang_up()

    def close(self) -> None:
        self.pull()
        for fd in self._taken:
            os.close(fd)
        self._taken = []

    def turn(self) -> None:
        """Carry what waits on either side; the pump takes its turn at it."""
        if self.pull_in is not None:
            self.pull_in -= 1
            if self.pull_in < 0:
                self.pull()
        for _ in range(TURNS):
            moved = self.plugged and [self._carry(self._outer, self._inner), self._wait_for_pump(), self._carry(self._inner, self._outer)]
            if not moved or not any(moved):
                return

    def _wait_for_pump(self) -> bool:
        busy = self.target.input_waits() or self.target.lockstep.busy
        if busy:
            self.target.take_input(50)
        return busy

    @staticmethod
    def _carry(one: int, other: int) -> bool:
        if not select.select([one], [], [], 0)[0]:
            return False
        data = os.read(one, 4096)
        os.write(other, data)
        return bool(data)


class CableChannel(SerialChannel):
    """The host's own channel; while it reads, the bench lets cable and pump have their turn."""

    READ_S = 0.002

    def __init__(self, adapter: Adapter) -> None:
        self._adapter = adapter
        super().__init__(adapter.path)

    def send(self, data: bytes) -> None:
        super().send(data)
        self._adapter.target.lockstep.nudge()

    def _read_now(self) -> bytes:
        self._adapter.turn()
        return super()._read_now()


class Cable:
    """One pump, whose cable is pulled again and again."""

    def __init__(self, seed: int, work: Path, script: Path = FIRMWARE) -> None:
        self.tally = Tally("the serial device vanishing and coming back", ZEROS)
        self._random = Random(seed)
        self._seed = seed
        self.target = KillTarget(seed, work, script)
        begin(self.target, program("p0"), seed).run()
        self.target.release_line()
        self._adapter = Adapter(self.target)
        self._wakes = 0
        self._names: list[str] = []
        inputs = self.target.plant.inputs

        def counted():  # type: ignore[no-untyped-def]
            self._wakes += 1
            return inputs()

        self.target.plant.inputs = counted  # type: ignore[method-assign]

    def close(self) -> None:
        self._adapter.close()
        self.target.pty.plug_in()
        self.target.close()

    def run(self, rounds: int) -> Tally:
        try:
            for number in range(1, rounds + 1):
                self._round(number)
        except TargetError as error:
            self.tally.wrong(RESTARTED, str(error).splitlines()[0])
        self.tally.count("names that the device came back under", len(set(self._names)))
        if len(self.target.lockstep.boots) > 1:
            self.tally.wrong(RESTARTED, f"{len(self.target.lockstep.boots) - 1} restarts: {self.target.lockstep.boots[1:]}")
        return self.tally

    def _round(self, number: int) -> None:
        channel, pump = self._host()
        pump.open()
        id, before = f"{number:08x}", leading_int(pump.stat("account")["bolus"])
        told = self._order_and_pull(pump, id)
        channel.close()
        self._adapter.pull()
        if "serial line went away" not in told:
            self.tally.wrong(SPEECHLESS, f"round {number}: {told!r}")
        self._go_on_alone(number)
        self._adapter.plug()
        self._come_back(number, id, before)

    def _host(self) -> tuple[CableChannel, Pump]:
        self._names.append(self._adapter.path)
        channel = CableChannel(self._adapter)
        link = Link(channel, wall=self.target.unix_s, seed=self._seed + len(self._names), patience=Patience(reply_s=1.0, tries=3))
        return channel, Pump(link, self.target.unix_s)

    def _order_and_pull(self, pump: Pump, id: str) -> str:
        """A bolus is asked for, and at some point of it, or after it, the cable is pulled; what the host is told."""
        self._adapter.pull_in = self._random.randrange(READS)
        self.tally.count(PULLED)
        try:
            pump.link.command("DOSE:BOLUS", {"volume": f"{BOLUS_NL}nl", "path": "pump", "id": id})
            for _ in range(READS):
                pump.stat()
        except LinkError as error:
            return str(error)
        return "nothing"

    def _go_on_alone(self, number: int) -> None:
        """Hours with nobody on the line, alarms that want to be told, and the rotor turns as the program says."""
        hours = self._random.choice((1, 3, 6))
        turned, wakes = self.target.rotor_steps, self._wakes
        for fault in (self.target.plant.fault, self.target.plant.clear):
            fault("port_open")
            self.target.rig_changed(port=True)
            self.target.advance_to(self.target.now_ms() + hours * HOUR_MS // 2)
        made = self.target.rotor_steps - turned
        basal = hours * 240_000 // 24 * 1000 // 500 // STEP_NL  # ng/h over mcg/mL is uL/h
        self.tally.count("hours that the pump ran alone", hours)
        if not basal - 2 <= made <= basal + 2 + BOLUS_NL // STEP_NL:
            self.tally.wrong(STOOD, f"round {number}: {made} steps in {hours} h, {basal} are its basal")
        if self._wakes - wakes > 2 * hours * HOUR_MS // WAKE_MS + 2000:
            self.tally.wrong(STOOD, f"round {number}: woke {self._wakes - wakes} times in {hours} h")

    def _come_back(self, number: int, id: str, before: int) -> None:
        """The host finds the device under its new name, and asks what became of its order; it is done once in the end."""
        channel, pump = self._host()
        pump.open()
        stat = pump.stat()
        if stat["last_id"] != id:
            for code in pump.alarms():
                pump.link.command("ALAR:ACK", {"id": code})
            pump.link.command("DOSE:BOLUS", {"volume": f"{BOLUS_NL}nl", "path": "pump", "id": id})
            self.tally.count("orders that had not arrived, and were sent again")
        else:
            self.tally.count("orders that had arrived, and were found in STAT?")
        self.target.advance_to(self.target.now_ms() + 120_000)
        made = leading_int(pump.stat("account")["bolus"]) - before
        cut = stat["outcome"] == "PARTIAL"  # the port was opened while it moved
        if made != BOLUS_NL // STEP_NL and not cut:
            self.tally.wrong(TWICE, f"round {number}: {made} steps of the bolus, found {stat}")
        for code in pump.alarms():
            pump.link.command("ALAR:ACK", {"id": code})
        self.target.advance_to(self.target.now_ms() + 120_000)
        channel.close()


def rounds(count: int, seed: int, script: Path = FIRMWARE) -> Iterator[Tally]:
    """One pump after the other, each through some rounds."""
    while count > 0:
        with tempfile.TemporaryDirectory(prefix="doseloop-kill-") as folder:
            cable = Cable(seed, Path(folder), script)
            try:
                yield cable.run(min(count, MOST_ROUNDS))
            finally:
                cable.close()
        count -= MOST_ROUNDS
        seed += 1
