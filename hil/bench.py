"""A bench as a test sees it: which pump, which balance, what else stands around it (bench.toml), and a session with that pump."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any

from hil.channel import SerialChannel, SerialLog
from hil.errors import BenchError, BenchUnusable, InputError
from hil.evidence import SAYABLE
from hil.instruments import Balance, SimulatedBalance, open_balance
from hil.keys import load_keys
from hil.link import Link
from hil.live.typed import TypedLine
from hil.plant.config import RigConfig
from hil.plant.rig import Rig
from hil.program_send import HostClock
from hil.pump import Pump
from hil.quantity import whole
from hil.tables import as_list, as_text, load_toml, one_of, only_keys
from hil.targets.base import Target
from hil.targets.serial_url import SerialUrlTarget
from hil.targets.unix import UnixTarget

REPO = Path(__file__).resolve().parents[1]
BALANCE, PORT, PRESSURE, RIG = "balance", "port switch", "back pressure", "simulated rig"
NEEDS = {
    BALANCE: "--balance URL, or balance = in bench.toml",
    PORT: 'has = ["port switch"] in bench.toml, if somebody or something can open the access port',
    PRESSURE: 'has = ["back pressure"] in bench.toml, if the outlet can be put under pressure',
    RIG: "--target unix",
}
BOOT_MS = 2000
THIS_CHECKOUT = "checkout"


@dataclass(frozen=True)
class BenchConfig:
    """What bench.toml and the command line say. `firmware`: the hash that *IDN? must tell, or "checkout" for this one's."""

    target: str = "unix"
    balance: str | None = None
    keys: Mapping[str, bytes] | None = None
    firmware: str | None = None
    has: frozenset[str] = field(default_factory=frozenset)
    evidence: str = ""  # what a person says of the pump (hil/evidence.py)

    @property
    def simulated(self) -> bool:
        return self.target == "unix"

    def lacks(self, need: str) -> str:
        """Why a test with this need cannot run here; "" if it can."""
        if need not in NEEDS:
            raise InputError("needs", f"{need!r} is no need: {', '.join(NEEDS)}")
        there = self.has | ({BALANCE} if self.balance else set())
        return "" if self.simulated or need in there else f"this bench has no {need} (give it: {NEEDS[need]})"


def load_bench(path: Path) -> BenchConfig:
    """InputError names the key that is wrong; a key file's place is told from the bench file's folder."""
    table = load_toml(path)
    try:
        only_keys(table, ("target", "balance", "key_file", "firmware", "has", "evidence"), "bench file")
        told: dict[str, str] = {key: as_text(table[key], key) for key in ("target", "balance", "firmware") if key in table}
        has = frozenset(one_of(thing, (PORT, PRESSURE), "has") for thing in as_list(table.get("has", []), "has"))
        if "evidence" in table:
            told["evidence"] = one_of(table["evidence"], SAYABLE, "evidence")
        keys = load_keys(path.parent / as_text(table["key_file"], "key_file")) if "key_file" in table else None
    except InputError as error:
        raise error.in_file(path) from None
    return replace(BenchConfig(keys=keys, has=has), **told)  # type: ignore[arg-type]


# ---- the build, before anything else


def checked_build(config: BenchConfig) -> dict[str, str]:
    """What the pump says it is, by one typed question; BenchUnusable if it is not the build that is to be tested."""
    here = _checkout() if config.simulated or config.firmware == THIS_CHECKOUT else {}
    if config.simulated:
        identity = {"maker": "doseloop", "board": "unix", "hash": here.get("unix", "?")}
    else:
        identity = _asked(config.target)
    wanted = here.get(identity.get("board", ""), "?") if config.firmware == THIS_CHECKOUT else config.firmware
    if identity.get("maker") != "doseloop":
        raise BenchUnusable(f"{config.target}: answers as {identity.get('maker')!r}, not as a doseloop pump")
    if wanted and identity.get("hash") != wanted:
        flash = "" if config.simulated else f"flash it (make flash BOARD={identity.get('board')}), or "
        how = f"{flash}correct firmware = in bench.toml"
        raise BenchUnusable(f"{config.target}: runs firmware {identity.get('hash')}, and {wanted} is to be tested: {how}")
    return identity


def _asked(url: str) -> dict[str, str]:
    channel = SerialChannel(url)
    try:
        return TypedLine(channel).ask("*IDN?")
    finally:
        channel.close()


def _checkout() -> dict[str, str]:
    """Board -> hash of the firmware in this checkout."""
    command = [sys.executable, "-m", "tools.firmware_files"]
    done = subprocess.run(command, cwd=REPO, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode:
        raise BenchUnusable("the hash of this checkout's firmware cannot be worked out: run from a checkout, or name the hash itself")
    return dict(json.loads(done.stdout))


# ---- a session


class Bench:
    """A pump with an open session, and a balance where there is one. On `unix` each is fresh from the factory and its time is virtual."""

    def __init__(self, config: BenchConfig, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.config = config
        self.folder = folder  # of this test alone: serial.log, and whatever the test leaves there
        self.target: Target = SerialUrlTarget(config.target, said=config.evidence)
        if config.simulated:
            self.target = UnixTarget(Rig(RigConfig(), 1), seed=1, work=folder / "pump")
        self.rig = self.target.rig
        self._log = SerialLog(folder / "serial.log", lambda: self.target.now_ms() / 1000)
        self._simulated: SimulatedBalance | None = None
        self._balance: Balance | None = None

    def __enter__(self) -> Bench:
        try:
            self._open()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _open(self) -> None:
        self.target.start()
        clock = HostClock()
        wall = self.target.unix_s if self.target.virtual else clock
        keys = None if self.config.simulated else self.config.keys
        self.link = Link(self.target.channel(), log=self._log, wall=wall, keys=keys, clock=self.target.clock_s)
        self.pump = Pump(self.link, wall)
        self.target.told_identity(self.pump.open())
        if self.target.virtual:
            self.wait(BOOT_MS)
            self.pump.set_time(round(self.target.unix_s()), 0)
        else:
            clock.follow(self.link)

    @property
    def evidence(self) -> str:
        """The word for its figures."""
        return self.target.evidence

    @property
    def balance(self) -> Balance:
        """Opened when it is first wanted."""
        if self._balance is None:
            self._balance = open_balance(self._balance_url(), clock=lambda: self.target.now_ms() / 1000)
        return self._balance

    def _balance_url(self) -> str:
        if self.config.balance:
            return self.config.balance
        if self.rig is None:
            raise BenchError(f"there is no balance on this bench: {NEEDS[BALANCE]}")
        self._simulated = SimulatedBalance(self.rig.load)
        return self._simulated.path

    def wait(self, span: str | int) -> None:
        """Let time pass, the pump's own where it is simulated: "90 min", or whole ms."""
        ms = whole(span, "time (ms)", "wait") if isinstance(span, str) else span
        self.target.advance_to(self.target.now_ms() + ms)

    def close(self) -> None:
        things: tuple[Any, ...] = (self._balance, self._simulated, self.target, self._log)
        for thing in things:
            if thing is not None:
                thing.close()
