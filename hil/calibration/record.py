"""The calibration that is kept: a JSON file for each, what goes to the pump, when it expires, and how it drifted against the last."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hil.errors import InputError
from hil.tables import built, read_json

DRIFT_PERCENT = 2.0  # more than this and than its doubt is told: a tube wears, or something is wrong
CONFIRM_PERCENT = 5.0  # R-CAL-1


@dataclass(frozen=True)
class Record:
    """One calibration as it is kept."""

    pump: str
    date: str
    tube: str
    tube_hours: int
    steps_per_ml: int
    expanded_percent: float
    intercept_nl: float
    spread_ppm: int
    points: int
    rate_min_nl_h: int
    rate_max_nl_h: int
    expires_hours: int
    expires_ul: int
    evidence: str
    details: dict[str, Any]  # conditions, blank, every point, every rate, the budget

    def fields(self) -> dict[str, str]:
        """What CAL:SET takes."""
        return {
            "spm": str(self.steps_per_ml), "points": str(self.points), "spread_ppm": str(min(self.spread_ppm, 200_000)), "tube": self.tube,
            "tube_hours": str(self.tube_hours), "date": self.date, "hours": str(self.expires_hours), "volume": f"{self.expires_ul}ul",
            "rate_min": f"{self.rate_min_nl_h}nl/h", "rate_max": f"{self.rate_max_nl_h}nl/h",
        }  # fmt: skip

    def save(self, folder: Path) -> Path:
        """calibration-DATE-TUBE.json, numbered if there is one already; never over another."""
        folder.mkdir(parents=True, exist_ok=True)
        name = "".join(c if c.isalnum() else "-" for c in f"{self.date}-{self.tube}")
        path, number = folder / f"calibration-{name}.json", 1
        while path.exists():
            number += 1
            path = folder / f"calibration-{name}-{number}.json"
        path.write_text(json.dumps(self.__dict__, indent=1) + "\n", "utf-8")
        return path


def load(path: Path) -> Record:
    try:
        return built(Record, read_json(path), "")
    except InputError as error:
        raise InputError(error.where, f"{error.problem}; this is no kept calibration: take it out of the folder", path) from None


def last_of(folder: Path, pump: str) -> Record | None:
    """The pump's newest kept calibration; None: this is its first."""
    paths = sorted(folder.glob("calibration-*.json"), key=lambda path: path.stat().st_mtime) if folder.is_dir() else []
    mine = [record for record in map(load, paths) if record.pump == pump]
    return mine[-1] if mine else None


@dataclass(frozen=True)
class Drift:
    """A calibration against the one before it."""

    percent: float  # of volume per step
    expanded_percent: float
    same_tube: bool

    @property
    def suspicious(self) -> bool:
        return abs(self.percent) > max(DRIFT_PERCENT, self.expanded_percent)

    @property
    def text(self) -> str:
        what = f"{self.percent:+.2f} % +/- {self.expanded_percent:.2g} % (k = 2) volume per step against the last calibration"
        tube = "the same tube" if self.same_tube else "another tube"
        if not self.suspicious:
            return f"{what}, {tube}"
        advice = "worn or slipping tube: consider a new one" if self.same_tube else "look whether the tube is of the right kind and seated"
        return f"{what}, {tube}: MORE THAN EXPECTED; {advice}"


def drift(new: Record, old: Record) -> Drift:
    doubt = (new.expanded_percent**2 + old.expanded_percent**2) ** 0.5
    return Drift(100 * (old.steps_per_ml / new.steps_per_ml - 1), doubt, new.tube == old.tube)
