"""A pump that can be killed: the unix port on a store that stays, a rig whose volume is exact, a host that is sure its bytes arrived."""

from __future__ import annotations

import os
import signal
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from hil.channel import Channel
from hil.link import Link, Patience
from hil.plant.config import RigConfig
from hil.plant.rig import Rig
from hil.plant.rotor import UNITS
from hil.prescription import Program, compile_program
from hil.pump import Pump
from hil.scenario import CALIBRATION, History
from hil.targets.process import FIRMWARE, FirmwareKilled, FirmwareProcess
from hil.targets.unix import UnixTarget
from tools.killing.tracer import Fuse, Tracer

CONC = 500
STEP_NL = 10
FULL_NL = 18_000_000
OFFSET_MIN = 120
ARRIVES_S = 2.0  # a byte through a pty
WATCHDOG_MS = 13_000  # the pump's own watchdog, and a second
BOLUS = {"volume": "10 uL", "time": "2 min", "lockout": "1 h", "allowance": "15 mcg"}
BOLUS_NL, BOLUS_NG, LOCKOUT_MS, ALLOWANCE_NG = 10_000, 5_000, 3_600_000, 15_000

# A head whose every step is its ten nanolitres, so that volumes are told from steps; a clock whose first setting is no correction.
EXACT = RigConfig(
    pulsation=(0.0, 0.0), run_in_share=0.0, wear_per_1000_turns=0.0, evaporation_mg_h=0.0, liquid_nl=FULL_NL, conc_mcg_ml=float(CONC),
    rtc_valid=False,
)  # fmt: skip


def plan(daily_mcg: int, name: str = "", flat: bool = False) -> Program:
    """A day, flat or with a higher night, and boluses."""
    night = {"from": "00:00", "to": "06:00", "change": "+20 %"}
    day = {"flat": f"{daily_mcg} mcg/day"} if flat else {"total": f"{daily_mcg} mcg/day", "effect": [night]}
    return compile_program({"name": name or f"p{daily_mcg}", "conc": f"{CONC} mcg/mL", "bolus": BOLUS, **day})


class KillTarget(UnixTarget):
    """The unix port, with an end in sight: `fuse` or `trace` arm it now, `trace_boot` arms the next boot."""

    def __init__(self, seed: int, work: Path, script: Path = FIRMWARE, rig: RigConfig = EXACT) -> None:
        self.tracer: Tracer | None = None
        self.burning: Fuse | None = None
        self.trace_boot: int | None = None
        self._firmware: FirmwareProcess | None = None
        super().__init__(Rig(rig, seed), seed=seed, work=work, script=script)

    @property
    def plant(self) -> Rig:
        return self.rig

    def _boot(self) -> FirmwareProcess:
        self._firmware = super()._boot()
        before, self.trace_boot = self.trace_boot, None
        if before is not None:
            self.tracer = Tracer(self._firmware.pid, before)
        return self._firmware

    def _pid(self) -> int:
        assert self._firmware is not None
        return self._firmware.pid

    def trace(self, before_call: int) -> None:
        """It dies before its system call of that number, counted from now."""
        self.tracer = Tracer(self._pid(), before_call)

    def fuse(self, after_us: int) -> None:
        self.burning = Fuse(self._pid(), after_us)

    def kill(self) -> None:
        """It dies now, asleep."""
        os.kill(self._pid(), signal.SIGKILL)

    def bury(self, power: bool, outage_ms: int) -> None:
        """What follows its death until the next boot: the power went with it, or the engine runs on until the watchdog.

        FirmwareKilled, if the next boot is killed as well.
        """
        if self.burning is not None:
            self.burning.wait()
        self.tracer = self.burning = None
        boots = len(self.lockstep.boots)
        if not power:
            self.hang()
            self.advance_to(self.now_ms() + WATCHDOG_MS)
        if len(self.lockstep.boots) == boots:  # the power went, or it died before it had its watchdog
            self.power_cut(outage_ms)

    def fall(self) -> None:
        """Whatever state a killed boot left the bench in: nothing runs."""
        self.lockstep.hung = False

    @property
    def rotor_steps(self) -> int:
        """Steps the head has really turned, over every boot: the bench's own witness."""
        return self.plant.rotor.position // UNITS

    def local_ms(self) -> int:
        """What the pump's clock shows, local."""
        seconds, ms = self.plant.clock.read(self.plant.now_us)
        return (seconds + OFFSET_MIN * 60) * 1000 + ms


class SureChannel:
    """The lock-step line, which waits until its bytes have reached the pump's end: a case repeats to the byte."""

    def __init__(self, target: UnixTarget) -> None:
        self._target = target
        self._line: Channel = target.channel()

    def send(self, data: bytes) -> None:
        wanted = self._target.pty.pending_in() + len(data)
        self._line.send(data)
        deadline = time.monotonic() + ARRIVES_S
        while self._target.pty.pending_in() < wanted and time.monotonic() < deadline:
            time.sleep(0)

    def receive(self, timeout_s: float) -> bytes:
        return self._line.receive(timeout_s)

    def close(self) -> None:
        """The target keeps its line."""


def new_host(target: KillTarget, seed: int, channel: Channel | None = None, **more: Any) -> Pump:
    """A host that was just started: it knows nothing of what another did before. What lay unread on the line is not for it."""
    line = channel or SureChannel(target)
    while line.receive(0.0):
        pass
    link = Link(line, wall=target.unix_s, seed=seed, patience=Patience(reply_s=5.0, tries=3), **more)
    return Pump(link, target.unix_s)


def begin(target: KillTarget, program: Program, seed: int) -> Pump:
    """From an erased pump to a therapy that was taken over, calibrated and not yet running."""
    target.start()
    pump = new_host(target, seed)
    pump.open()
    target.advance_to(target.now_ms() + 2000)
    pump.set_time(int(target.unix_s()), OFFSET_MIN)
    pump.calibrate(CALIBRATION)
    history = History("spinal", "1980-05-01", "titration", program, 50, "short", 30 * 86_400, FULL_NL, "B-1187", "2028-06-30")
    pump.take_over(history, program, CONC)
    return pump


def today(target: KillTarget) -> str:
    return datetime.fromtimestamp(target.unix_s(), timezone.utc).strftime("%Y-%m-%d")


__all__ = ["FirmwareKilled"]
