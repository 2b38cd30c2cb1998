"""What a host does with a pump, in whole tasks: set it up, take a therapy over, commit a program, read its account."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone

from hil.errors import BenchError, Refused
from hil.link import Link
from hil.prescription import Program
from hil.scenario import History


class ReadBackError(BenchError):
    """The pump holds another program than the one that was sent."""


@dataclass(frozen=True)
class Counts:
    """The pump's own totals since its journal began, in steps and witness counts."""

    authorised: int
    commanded: int
    stepped: int
    witness: int
    basal: int
    bolus: int
    prime: int
    uncertain: int  # nL


class Pump:
    """A session with one pump. `unix_s` is the host's wall clock."""

    def __init__(self, link: Link, unix_s: Callable[[], float]) -> None:
        self.link = link
        self._unix_s = unix_s
        self.offset_min = 0

    def open(self) -> dict[str, str]:
        """A session with a pump that has (re)started."""
        return self.link.hello().fields

    # ---- asking

    def stat(self, part: str = "stat") -> dict[str, str]:
        """STAT? or one of its parts."""
        return self.link.ask("STAT?", {} if part == "stat" else {"part": part})

    def identity(self) -> dict[str, str]:
        return self.link.ask("*IDN?")

    def counts(self) -> Counts:
        account = self.stat("account")
        return Counts(*(leading_int(account.get(name, "0")) for name in Counts.__dataclass_fields__))

    def alarms(self) -> dict[str, dict[str, str]]:
        """The alarms that are on, by code."""
        return {row["id"]: row for row in self.link.records("ALAR?") if "id" in row}

    # ---- setting up

    def set_time(self, unix_s: int, offset_min: int) -> None:
        self.offset_min = offset_min
        self.link.command("TIME", {"set": f"{unix_s}s", "offset": f"{offset_min}min"})

    def calibrate(self, fields: Mapping[str, str]) -> None:
        date = datetime.fromtimestamp(self._unix_s(), timezone.utc).strftime("%Y-%m-%d")
        self.link.command("CAL:SET", {"date": date, **fields})

    def stage(self, program: Program) -> str:
        """Stage the program and compare what the pump holds with it; gives the hash."""
        for verb, fields in program.commands():
            self.link.command(verb, fields)
        return program.hash()

    def read_back(self, program: Program) -> dict[str, str]:
        """PROG:CHECK?: the pump's hash must be ours."""
        checked = self.link.ask("PROG:CHECK?")
        if checked.get("hash") != program.hash():
            raise ReadBackError(f"the pump holds hash {checked.get('hash')} after staging {program.name}, the host {program.hash()}")
        return checked

    def take_over(self, history: History, program: Program | None, conc_mcg_ml: int | None) -> None:
        """THER:IMPORT; `program` is what ran before, None while only screened; the concentration is the reservoir's."""
        fields = {
            "population": history.population,
            "birth": history.birth,
            "phase": history.phase,
            "screen": f"{history.screen_mcg}mcg",
            "effect": history.effect,
            "increase_ago": f"{history.increase_ago_s}s",
            "volume": f"{history.volume_nl}nl",
            "lot": history.lot,
            "expiry": history.expiry,
        }
        if program is not None:
            self.stage(program)
            fields["hash"] = program.hash()
        if conc_mcg_ml is not None:
            fields["conc"] = f"{conc_mcg_ml}mcg/ml"
        self.confirmed("THER:IMPORT", fields, confirm=True)

    # ---- dosing

    def commit(self, program: Program, *, confirm: bool = False, fields: Mapping[str, str] | None = None) -> dict[str, str]:
        """Stage, read back, commit by hash; with `confirm` the pump's questions are answered with yes."""
        digest = self.stage(program)
        self.read_back(program)
        given = {"hash": digest, "attended": "yes", "route": "intrathecal", **(fields or {})}
        return self.confirmed("PROG:COMMIT", given, confirm=confirm)

    def confirmed(
        self, verb: str, fields: Mapping[str, str], *, confirm: bool, role: str | None = None, sign: bool = True
    ) -> dict[str, str]:
        """Send a command; with `confirm` a pump that asks for a person is answered with the token of its refusal."""
        given = dict(fields)
        for _ in range(4):
            try:
                return self.link.command(verb, given, role=role, sign=sign)
            except Refused as refused:
                if not (confirm and refused.code.startswith("CONFIRM_") and "confirm" in refused.fields):
                    raise
                given["confirm"] = refused.fields["confirm"]
        raise BenchError("the pump asks for one confirmation after the other")

    def run(self) -> None:
        self.link.command("RUN")


def leading_int(text: str) -> int:
    """The whole number a value of the wire begins with."""
    digits = ""
    for c in text:
        if not (c.isdigit() or (c == "-" and not digits)):
            break
        digits += c
    return int(digits) if digits not in ("", "-") else 0
