"""The pump as a process: MicroPython's unix port on a pty, in lock-step virtual time with the simulated rig."""

from __future__ import annotations

import json
import select
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random
from typing import Any

from hil.channel import Channel, open_serial
from hil.plant.config import RigConfig
from hil.plant.rig import Rig
from hil.targets.base import SIMULATED, Target
from hil.targets.lockstep import POWER, LockStep
from hil.targets.process import FIRMWARE, FirmwareProcess, PtyPair, find_micropython

GRANULE_S = 0.2  # real time `serve` sleeps at most before it looks again


class LockStepChannel:
    """The pump's line as a host sees it, through pyserial; while it waits, the firmware runs and time stands still."""

    def __init__(self, target: UnixTarget) -> None:
        self._target = target
        self._port = open_serial(target.serial_path)
        self._kept = b""
        self._poll = select.poll()
        self._poll.register(self._port.fileno(), select.POLLIN)

    def send(self, data: bytes) -> None:
        self._port.write(data)
        self._target.lockstep.nudge()

    def receive(self, timeout_s: float) -> bytes:
        deadline = time.monotonic() + timeout_s
        while True:
            self.drain()
            if self._kept:
                data, self._kept = self._kept, b""
                return data
            if self._target.input_waits() or self._target.lockstep.busy:
                self._target.lockstep.turn()
            elif not self._wait(deadline):
                return b""

    def _wait(self, deadline: float) -> bool:
        """The firmware sleeps: bytes are on their way through the pty, or nothing comes."""
        left_ms = (deadline - time.monotonic()) * 1000
        if left_ms <= 0:
            return False
        self._poll.poll(min(left_ms, 1.0))
        return True

    def drain(self) -> None:
        """Take what came, so that the firmware's output never dams up."""
        while self._poll.poll(0) and (waiting := self._port.in_waiting):
            self._kept += self._port.read(waiting)

    def close(self) -> None:
        self._port.close()


class UnixTarget(Target):
    """Starts, feeds, kills and restarts the firmware. The folder `work` keeps its flash and what it said."""

    name = "unix"
    evidence = SIMULATED
    virtual = True
    instant = True

    def __init__(
        self,
        rig: Rig | None = None,
        *,
        seed: int = 0,
        work: Path | None = None,
        board: Mapping[str, Any] | None = None,
        script: Path = FIRMWARE,
    ) -> None:
        self.rig: Rig = rig or Rig(RigConfig(), seed)
        self._scratch = None if work else tempfile.TemporaryDirectory(prefix="doseloop-")
        self.work = Path(work or self._scratch.name)  # type: ignore[union-attr]
        self._script = script
        self._store = _fresh(self.work / "flash")
        (self.work / "firmware.log").unlink(missing_ok=True)
        self._board = self._write_board(board)
        self.pty = PtyPair()
        self.serial_path = self.pty.path
        self.lockstep = LockStep(self.rig, self._boot, _words(seed))
        self.lockstep.serial_pending = self.pty.pending_in
        self.moving = threading.Lock()  # held by `serve` while the rig moves: who looks at it from another thread takes it
        self._unix_zero = float(self.rig.config.rtc_unix_s)
        self._channel: LockStepChannel | None = None

    # ---- the contract

    def start(self) -> None:
        self.lockstep.power_on(POWER)

    def channel(self) -> Channel:
        if self._channel is None:
            self._channel = LockStepChannel(self)
            self.lockstep.attend_output = self._channel.drain
        return self._channel

    def now_ms(self) -> int:
        return self.lockstep.now_ms

    def unix_s(self) -> float:
        return self._unix_zero + self.lockstep.now_ms / 1000

    def advance_to(self, end_ms: int) -> None:
        self.take_input()
        self.lockstep.advance_to(end_ms)

    def on_restart(self, told: Callable[[int], None]) -> None:
        self.lockstep.told_restart = told

    def versions(self) -> dict[str, str]:
        asked = subprocess.run(
            [find_micropython(), "-c", "import sys; print(sys.version)"], capture_output=True, text=True, timeout=10, check=False
        )
        return {"micropython": asked.stdout.strip() or "unknown"}

    def release_line(self) -> None:
        """Let go of the serial line, so that any client can open it."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None
        self.lockstep.attend_output = None

    def close(self) -> None:
        self.release_line()
        if self.lockstep.powered:
            self.lockstep.power_off()
        if self.serial_path:
            self.pty.close()
            self.serial_path = ""
        if self._scratch is not None:
            self._scratch.cleanup()

    # ---- what only a simulated pump can do

    def power_cut(self, outage_ms: int, clock_kept: bool = True) -> None:
        """SIGKILL now, nothing for `outage_ms`, then a boot that finds its flash as it was."""
        self.lockstep.power_off()
        if not clock_kept:
            self.rig.clock.lose(self.rig.now_us)
        self.lockstep.advance_to(self.lockstep.now_ms + outage_ms)
        self.lockstep.told_restart(POWER)
        self.lockstep.power_on(POWER)

    def hang(self) -> None:
        """The processor stops computing, until its watchdog restarts it."""
        self.lockstep.hung = True

    def rig_changed(self, port: bool) -> None:
        """An edge of the port switch: the firmware looks at once. All else it reads when it looks."""
        if port:
            self.lockstep.nudge()
            self.take_input()

    def sounds(self) -> int:
        """Signals that were switched on; their bursts are not played here."""
        return sum(1 for _, signal in self.lockstep.tones if signal)

    def flow_since_ms(self) -> int:
        """The engine's first lease after it was idle."""
        return self.lockstep.chain_start_ms

    def input_waits(self) -> bool:
        """Bytes are on their way to the firmware."""
        return not self.lockstep.hung and self.pty.pending_in() > 0

    def take_input(self, turns: int = 10_000) -> None:
        """Let the firmware read what was sent, at the present instant."""
        while turns and self.lockstep.powered and (self.input_waits() or self.lockstep.busy):
            self.lockstep.turn()
            turns -= 1

    def serve(self, speed: float, go_on: Callable[[], bool]) -> None:
        """Run paced by the wall clock, `speed` virtual seconds a second, for any client of `serial_path`."""
        zero_wall, zero_ms = time.monotonic(), self.lockstep.now_ms
        poll = select.poll()
        poll.register(self.pty.master, select.POLLIN)
        while go_on():
            with self.moving:
                self.take_input(100)
                reached_ms = zero_ms + int((time.monotonic() - zero_wall) * 1000 * speed)
                self.lockstep.advance_to(max(self.lockstep.now_ms, reached_ms))
            pause_s = min(self.lockstep.sleep_ms / 1000 / speed, GRANULE_S)
            poll.poll(max(1.0, pause_s * 1000))

    # ---- below

    def _boot(self) -> FirmwareProcess:
        return FirmwareProcess(self.pty, self._store, self._board, self.work / "firmware.log", self._script)

    def _write_board(self, board: Mapping[str, Any] | None) -> Path | None:
        if not board:
            return None
        path = self.work / "board.json"
        path.write_text(json.dumps(dict(board)), "utf-8")
        return path.resolve()


def _fresh(folder: Path) -> Path:
    """An empty folder: a run starts with an erased flash."""
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    return folder.resolve()


def _words(seed: int) -> Callable[[], int]:
    source = Random(seed)
    return lambda: source.getrandbits(32)
