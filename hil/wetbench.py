"""A pump on test fluid with a balance under its outlet: what metrology and calibration both need.

Time passes by the target (virtual for a simulated rig). A balance that goes away is no end: what was weighed is kept, each later weighing
tries it again, and what could not be weighed is missing. Every weight is also written to weights.csv as it comes.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TextIO

from hil.channel import SerialLog
from hil.errors import BenchError, BenchUnusable
from hil.instruments import BalanceError, BalanceGone, BalanceModel, Reading, SimulatedBalance, open_balance
from hil.instruments.balance import Balance
from hil.instruments.gravimetry import mean_of
from hil.link import Link
from hil.plant.config import RigConfig
from hil.plant.rig import Rig
from hil.program_send import HostClock
from hil.pump import Pump, leading_int
from hil.targets.base import Target
from hil.targets.serial_url import SerialUrlTarget
from hil.targets.unix import UnixTarget

REPEATS = 5  # readings a weight: repeated weighing takes the noise down
BOOT_MS = 2000
FOLLOW_MS = 1000  # a delivery that should be over is looked at so often
PATIENCE = 30
RUNNING = "RUNNING"


class BalanceLost(BenchUnusable):
    """A weight that the caller cannot do without could not be taken."""


@dataclass(frozen=True)
class Place:
    """Which pump, which balance, where the files go; a simulated rig may be given whole."""

    target: str = "unix"
    balance: str | None = None
    out: Path = Path("build/metrology")
    seed: int = 1
    rig: Rig | None = None
    model: BalanceModel = field(default_factory=BalanceModel)
    keys: Mapping[str, bytes] | None = None  # of the pump's roles; None: the default ones
    evidence: str = ""  # what a person says of a pump behind a URL (hil/evidence.py)
    go_on: bool = False  # a run that goes on: what was weighed and said before is evidence, and stays

    def log(self, name: str) -> Path:
        """Where a log goes: weights.csv, and weights-2.csv of a run that goes on."""
        path, number = self.out / name, 1
        while self.go_on and path.exists():
            number += 1
            path = self.out / f"{Path(name).stem}-{number}{Path(name).suffix}"
        return path


class WetBench:
    """Open pump and balance; deliver, wait, weigh. Use as a context manager."""

    def __init__(self, place: Place, told: Callable[[str], None] = print) -> None:
        if place.target == "emulated":
            raise BenchError("an emulated board has no hours for a balance: use --target unix, or a real pump's URL")
        place.out.mkdir(parents=True, exist_ok=True)
        self.place = place
        self.lost: list[str] = []  # every time the balance went away, in words
        self._lost_s: list[float] = []  # and when
        self._away = False
        self.identity: dict[str, str] = {}
        self._told = told
        self.target = self._make_target(place)
        self.rig = self.target.rig
        self.simulated: SimulatedBalance | None = None
        self._balance: Balance | None = None
        self._log = SerialLog(place.log("serial.log"), lambda: self.target.now_ms() / 1000)
        self._weights: TextIO | None = None

    @staticmethod
    def _make_target(place: Place) -> Target:
        if place.target != "unix":
            return SerialUrlTarget(place.target, said=place.evidence)
        return UnixTarget(place.rig or Rig(RigConfig(), place.seed), seed=place.seed, work=place.out / "pump")

    def __enter__(self) -> WetBench:
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
        self._clock = HostClock()
        wall = self.target.unix_s if self.target.virtual else self._clock
        self.link = Link(
            self.target.channel(), log=self._log, wall=wall, seed=self.place.seed, keys=self.place.keys, clock=self.target.clock_s
        )
        self.pump = Pump(self.link, wall)
        told = self.pump.open()
        self.target.told_identity(told)
        if self.target.virtual:
            self.wait(BOOT_MS)
            self.pump.set_time(round(self.target.unix_s()), 0)
        else:
            self._clock.follow(self.link)
        identity = self.pump.identity()
        self.identity = {"firmware": told.get("fw", "?"), "code hash": identity.get("hash", "?"), "board": told.get("board", "?")}
        self._open_balance()

    def _open_balance(self) -> None:
        url = self.place.balance
        if url is None and self.rig is not None:
            self.simulated = SimulatedBalance(self.rig.load, self.place.model, self.place.seed)
            url = self.simulated.path
        if url is None:
            raise BenchError("there is no balance: name one with --balance, like /dev/ttyUSB0, socket://scale:8001 or sbi:/dev/ttyUSB1")
        self._url = url
        self._balance = open_balance(url, clock=self.now_s)
        self.identity["balance"] = f"{self._balance.identify().model} {self._balance.identify().serial_number}".strip()

    @property
    def balance(self) -> Balance:
        if self._balance is None:
            raise BalanceLost("the balance went away; plug it in again")
        return self._balance

    def close(self) -> None:
        for thing in (self._balance, self.simulated, self.target, self._log, self._weights):
            if thing is not None:
                thing.close()

    # ---- time

    def now_s(self) -> float:
        return self.target.now_ms() / 1000

    def wait(self, ms: int) -> None:
        self.target.advance_to(self.target.now_ms() + max(0, ms))

    def wait_until(self, at_s: float) -> None:
        self.target.advance_to(max(self.target.now_ms(), round(at_s * 1000)))

    # ---- weighing

    def weigh(self, what: str = "") -> Reading | None:
        """A mean of some readings; None and a word to the person if the balance gives none."""
        try:
            self._balance = self._balance or self._reopened()
            found = mean_of([self._balance.read() for _ in range(REPEATS)])
        except BalanceError as error:
            self._lose(error)
            return None
        if self._away:
            self._told("the balance is back")
            self._away = False
        self._write(found, what)
        return found

    def _reopened(self) -> Balance:
        if self.simulated is not None and not self.simulated.plugged:
            raise BalanceGone(f"balance on {self._url}: it is still unplugged")
        return open_balance(self._url, clock=self.now_s)

    def weigh_surely(self, what: str) -> Reading:
        """The same where nothing can go on without it."""
        found = self.weigh(what)
        if found is None:
            raise BalanceLost(f"{what}: {self.lost[-1]}")
        return found

    def _lose(self, error: BalanceError) -> None:
        if not self._away:
            self._told(f"{error} (the run goes on; what is not weighed will be marked so)")
            self.lost.append(str(error))
        if self._balance is not None:
            self._balance.close()
        self._away = True
        self._lost_s.append(self.now_s())
        self._balance = None

    def unbroken(self, from_s: float, to_s: float) -> bool:
        """The balance was there all the time between two weights, so its zero is the same."""
        return not any(from_s <= at <= to_s for at in self._lost_s)

    def _write(self, reading: Reading, what: str) -> None:
        if self._weights is None:
            self._weights = self.place.log("weights.csv").open("w", encoding="utf-8", newline="")
            csv.writer(self._weights).writerow(["t_s", "mass_g", "stable", "what"])
        csv.writer(self._weights).writerow([f"{reading.t:.3f}", f"{reading.mass_g:.6f}", int(reading.stable), what])
        self._weights.flush()

    # ---- the pump

    def prepare_test_fluid(self, fill_nl: int | None = None) -> None:
        """Test flows want a reservoir declared to hold test fluid (R-CAL-2); a simulated one is filled and declared here."""
        supplies = self.pump.stat("supplies")
        if self.rig is not None:
            fill_nl = fill_nl or int(self.rig.reservoir.capacity_nl * 0.9)
            self.rig.withdraw()
            self.rig.refill(fill_nl)
        elif fill_nl is None and supplies.get("fluid") == "test":
            return
        elif fill_nl is None:
            fluid = supplies.get("fluid", "?")
            raise BenchError(
                f'the reservoir is declared to hold {fluid}: empty it, fill it with water, and declare that with --fill "18 mL"'
            )
        if supplies.get("fluid") != "none":
            self._command("EMPTY", {})
        given = {"path": "septum", "fluid": "test", "volume": f"{fill_nl}nl", "withdrawn": supplies.get("res", "0nl")}
        self._command("RES:REFILL", given)

    def left_nl(self) -> int:
        return leading_int(self.pump.stat("supplies").get("res", "0"))

    def begin(self, verb: str, **fields: str) -> int:
        """Begin a delivery; gives the ms it will take."""
        return leading_int(self._command(verb, fields).get("time", "0"))

    def _command(self, verb: str, fields: dict[str, str]) -> dict[str, str]:
        """Dated by the pump's clock where that is a simulated one, which may run fast."""
        if not self.target.virtual:
            self._clock.follow(self.link)
        return self.link.command(verb, fields)

    def deliver(self, verb: str, **fields: str) -> int:
        """A delivery to its end; gives the steps it made. BenchError if it did not end whole."""
        self.wait(self.begin(verb, **fields))
        return self.finish()

    def finish(self) -> int:
        """Wait for the end of the delivery in progress; gives its steps."""
        for _ in range(PATIENCE):
            stat = self.pump.stat()
            if stat.get("outcome") != RUNNING:
                break
            self.wait(FOLLOW_MS)
        if stat.get("outcome") != "DONE":
            alarms = ", ".join(self.pump.alarms()) or "none"
            raise BenchError(f"the pump ended {stat.get('last')} {stat.get('outcome')}, {stat.get('steps')} steps; alarms: {alarms}")
        return leading_int(stat.get("steps", "0"))

    def stop(self) -> None:
        self.link.command("STOP")
