"""A pump and a balance in the hands of whoever has acquired their place."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import attr
from labgrid.driver import Driver
from labgrid.factory import target_factory
from labgrid.step import step

from hil.bench import PORT, PRESSURE, Bench, BenchConfig, checked_build
from hil.errors import InputError
from hil.instruments import Balance, Identity, Reading, open_balance
from hil.keys import find_keys
from hil.labgrid.resources import TEXT, DosingPump, WeighingBalance, resolved, url_of
from hil.link import Session
from hil.pump import Pump
from hil.result import Result
from hil.runner import Options, run, why_skipped
from hil.scenario import find_scenario, load_scenario
from hil.tables import one_of

SERIAL_PORTS = {"SerialPort", "NetworkSerialPort"}


@target_factory.reg_driver
@attr.s(eq=False)
class DosingPumpDriver(Driver):
    """A session with a pump for as long as it is active. The build is asked before anything else.

    `pump` is hil's own, for all that has no method here. A line has one owner: a scenario takes it over and gives it back.
    """

    bindings = {"line": {"DosingPump", *SERIAL_PORTS}}  # noqa: RUF012 - as labgrid wants it

    key_file: str = attr.ib(default="", validator=TEXT)  # the pump's keys, told from the environment's folder
    firmware: str = attr.ib(default="", validator=TEXT)  # the hash that it must tell, or "checkout"; goes before the resource's
    reports: str = attr.ib(default="build/labgrid", validator=TEXT)  # serial.log, and a folder for each scenario

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        self._bench: Bench | None = None

    @property
    def config(self) -> BenchConfig:
        """What the resource and the environment say of this bench."""
        told = self.line if isinstance(self.line, DosingPump) else None
        has = [part.strip() for part in (told.has if told else "").split(",") if part.strip()]
        return BenchConfig(
            target=url_of(self.line),
            keys=find_keys(Path(resolved(self, self.key_file)) if self.key_file else None),
            firmware=self.firmware or (told.firmware if told else "") or None,
            has=frozenset(one_of(thing, (PORT, PRESSURE), "has") for thing in has),
        )

    def on_activate(self) -> None:
        checked_build(self.config)
        self._open()

    def on_deactivate(self) -> None:
        self._close()

    def _open(self) -> None:
        bench = Bench(self.config, Path(self.reports))
        bench.__enter__()  # closes what it has opened if it cannot
        self._bench = bench

    def _close(self) -> None:
        if self._bench is not None:
            self._bench.close()
            self._bench = None

    @property
    def bench(self) -> Bench:
        """The bench of hil that this driver holds open."""
        if self._bench is None:
            raise InputError("DosingPumpDriver", "is not active: get it by target.get_driver(), which activates it")
        return self._bench

    @property
    def pump(self) -> Pump:
        return self.bench.pump

    @property
    def evidence(self) -> str:
        """SIMULATED or MEASURED, by what the pump says it is."""
        return self.bench.evidence

    @Driver.check_active
    @step()
    def hello(self) -> Session:
        """A new session, after another host took the pump over."""
        return self.bench.link.hello()

    @Driver.check_active
    @step(result=True)
    def identity(self) -> dict[str, str]:
        return self.pump.identity()

    @Driver.check_active
    @step(args=["part"], result=True)
    def stat(self, part: str = "stat") -> dict[str, str]:
        return self.pump.stat(part)

    @Driver.check_active
    @step(result=True)
    def alarms(self) -> dict[str, dict[str, str]]:
        """The alarms that are on, by code."""
        return self.pump.alarms()

    @Driver.check_active
    @step(args=["verb", "fields"])
    def command(self, verb: str, fields: Mapping[str, str] | None = None) -> dict[str, str]:
        """Any verb of the wire; Refused says why not."""
        return self.bench.link.command(verb, fields)

    @Driver.check_active
    @step()
    def stop(self) -> None:
        self.bench.link.command("STOP")

    @Driver.check_active
    @step(args=["span"])
    def wait(self, span: str) -> None:
        """Let time pass: "90 s"."""
        self.bench.wait(span)

    @Driver.check_active
    @step(args=["scenario"])
    def run_scenario(self, scenario: str) -> Result:
        """A shipped scenario by its name, or a file, whole; its report is in a folder of its own. The session afterwards is a new one."""
        story = load_scenario(find_scenario(scenario))
        config = self.config
        options = Options(config.target, Path(self.reports) / story.name, keys=config.keys)
        if reason := why_skipped(story, options):
            raise InputError(story.name, reason)
        self._close()
        try:
            return run(story, options)
        finally:
            self._open()


@target_factory.reg_driver
@attr.s(eq=False)
class BalanceDriver(Driver):
    """A balance, open for as long as it is active. `protocol` and `settings` are for a bare serial port, whose speed is its resource's."""

    bindings = {"line": {"WeighingBalance", *SERIAL_PORTS}}  # noqa: RUF012 - as labgrid wants it

    protocol: str = attr.ib(default="mtsics", validator=attr.validators.in_(("mtsics", "sbi")))
    settings: str = attr.ib(default="", validator=TEXT)  # as in a balance's URL: "bits=7,parity=O"

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        self._balance: Balance | None = None

    @property
    def url(self) -> str:
        """What --balance would take."""
        if isinstance(self.line, WeighingBalance):
            return url_of(self.line)
        return f"{self.protocol}:{url_of(self.line)}#baud={self.line.speed}" + (f",{self.settings}" if self.settings else "")

    def on_activate(self) -> None:
        self._balance = open_balance(self.url)

    def on_deactivate(self) -> None:
        if self._balance is not None:
            self._balance.close()
            self._balance = None

    @property
    def balance(self) -> Balance:
        if self._balance is None:
            raise InputError("BalanceDriver", "is not active: get it by target.get_driver(), which activates it")
        return self._balance

    @Driver.check_active
    @step(result=True)
    def identify(self) -> Identity:
        return self.balance.identify()

    @Driver.check_active
    @step(args=["stable"], result=True)
    def read(self, stable: bool = False) -> Reading:
        return self.balance.read(stable)

    @Driver.check_active
    @step(result=True)
    def tare(self) -> float:
        return self.balance.tare()

    @Driver.check_active
    @step()
    def zero(self) -> None:
        self.balance.zero()
