"""The points of a calibration, kept on disk after each one, so that an interrupted run can go on."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from hil.errors import InputError
from hil.metrology.blank import Blank, Noise
from hil.metrology.volume import Conditions
from hil.tables import built, read_json

FILE = "calibration-run.json"
VERSION = 1


@dataclass(frozen=True)
class Point:
    """So many steps at a rate, and what they weighed (as read, without correction)."""

    steps: int
    rate_hz: int
    mass_g: float
    span_s: float  # from one weight to the other, for evaporation


@dataclass(frozen=True)
class Wanted:
    """A point to be measured."""

    steps: int
    rate_hz: int

    @property
    def text(self) -> str:
        return f"{self.steps} steps at {self.rate_hz}/s"


@dataclass
class Run:
    """What was asked for and what is done. done[i] belongs to wanted[i]; None: still to do."""

    pump: str  # its uid, and the tube's lot: another one cannot be continued
    tube: str
    conditions: Conditions
    wanted: list[Wanted]
    done: list[Point | None] = field(default_factory=list)
    blank: Blank | None = None
    evidence: str = ""
    balance: str = ""

    def __post_init__(self) -> None:
        self.done += [None] * (len(self.wanted) - len(self.done))

    @property
    def complete(self) -> bool:
        return all(point is not None for point in self.done)

    @property
    def points(self) -> list[Point]:
        return [point for point in self.done if point is not None]

    def redo(self, number: int) -> None:
        """Point `number` (1 is the first) is to be measured again."""
        if not 1 <= number <= len(self.wanted):
            raise InputError("--redo", f"there is no point {number}: 1 to {len(self.wanted)}")
        self.done[number - 1] = None

    def save(self, folder: Path) -> None:
        """Whole or not at all: over a new file and a rename."""
        folder.mkdir(parents=True, exist_ok=True)
        new = folder / f"{FILE}.new"
        new.write_text(json.dumps({"version": VERSION, **asdict(self)}, indent=1) + "\n", "utf-8")
        new.replace(folder / FILE)


def load(folder: Path) -> Run:
    """The interrupted run of a folder."""
    path = folder / FILE
    if not path.exists():
        raise InputError("", f"holds no interrupted calibration ({FILE}): begin one without --continue", folder)
    try:
        found: dict[str, Any] = read_json(path)
        if found.pop("version") != VERSION:
            raise InputError("", "is of another version of this program: measure anew", path)
        blank = found.pop("blank")
        return Run(
            pump=str(found["pump"]), tube=str(found["tube"]), conditions=built(Conditions, found["conditions"], "conditions"),
            wanted=[built(Wanted, one, "wanted") for one in found["wanted"]],
            done=[None if one is None else built(Point, one, "done") for one in found["done"]],
            blank=None if blank is None else built(Blank, {**blank, "noise": built(Noise, blank["noise"], "blank.noise")}, "blank"),
            evidence=str(found["evidence"]), balance=str(found["balance"]),
        )  # fmt: skip
    except InputError as error:
        raise error.in_file(path) from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError("", f"is no kept calibration run ({error}): measure anew", path) from None
