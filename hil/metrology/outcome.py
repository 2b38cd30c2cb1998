"""All figures of a metrology run as one thing: rows for a report, metrology.json, and a verdict."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from hil.metrology.blank import Blank
from hil.metrology.bolus import BolusResult
from hil.metrology.figure import Figure, worst
from hil.metrology.flow import FlowResult
from hil.metrology.occlusion import OcclusionResult
from hil.metrology.volume import Conditions
from hil.result import NOT_MEASURED, PASSED, Measurement


@dataclass
class Outcome:
    """What a run, or a file of weights, gave. evidence: SIMULATED, MEASURED or FROM A FILE."""

    title: str
    evidence: str
    target: str
    conditions: Conditions
    blank: Blank | None = None
    flows: list[FlowResult] = field(default_factory=list)
    boluses: list[BolusResult] = field(default_factory=list)
    occlusions: list[OcclusionResult] = field(default_factory=list)
    others: list[Figure] = field(default_factory=list)  # back pressure, supply height
    notes: list[str] = field(default_factory=list)
    pictures: list[str] = field(default_factory=list)  # file names beside metrology.json
    setup: dict[str, str] = field(default_factory=dict)  # who, when, which plan, tube or file
    versions: dict[str, str] = field(default_factory=dict)
    broken_off: bool = False  # the run ended before its plan did

    @property
    def figures(self) -> list[Figure]:
        parts: list[FlowResult | BolusResult | OcclusionResult] = [*self.flows, *self.boluses, *self.occlusions]
        return [*(figure for part in parts for figure in part.figures), *self.others]

    @property
    def measurements(self) -> list[Measurement]:
        """Rows in the form of a run's result."""
        return [figure.measurement() for figure in self.figures]

    @property
    def verdict(self) -> str:
        """Nothing is passed by a run that was broken off, or that judged nothing."""
        found = worst(self.figures) if self.figures else NOT_MEASURED
        return NOT_MEASURED if self.broken_off and found == PASSED else found

    def as_json(self) -> dict[str, Any]:
        return {
            "title": self.title, "evidence": self.evidence, "target": self.target, "verdict": self.verdict, "notes": self.notes,
            "setup": self.setup, "versions": self.versions, "broken_off": self.broken_off,
            "conditions": {**asdict(self.conditions), "z_ul_mg": self.conditions.z, "u_z": self.conditions.u_z},
            "blank": asdict(self.blank) if self.blank else None, "pictures": self.pictures,
            "flows": [_flow(flow) for flow in self.flows],
            "boluses": [{**_plain(b.figures), "name": b.name, "setting_nl": b.setting_nl, "errors_percent": b.errors, "notes": b.notes}
                        for b in self.boluses],
            "occlusions": [{**_plain(o.figures), "name": o.name, "alarm": o.alarm, "notes": o.notes} for o in self.occlusions],
            "others": [figure.as_json() for figure in self.others],
            "measurements": [m.as_json() for m in self.measurements],
        }  # fmt: skip

    def write(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "metrology.json").write_text(json.dumps(self.as_json(), indent=1) + "\n", "utf-8")


def _plain(figures: list[Figure]) -> dict[str, Any]:
    return {"figures": [figure.as_json() for figure in figures]}


def _flow(flow: FlowResult) -> dict[str, Any]:
    return {
        "name": flow.name, "rate_nl_h": flow.rate_nl_h, "protocol": asdict(flow.protocol), "notes": flow.notes,
        "overall": flow.overall.as_json(), "startup": [{"min": t, "nl_h": q, "expanded_nl_h": u} for t, q, u in flow.startup],
        "startup_below_noise_floor": flow.startup_floor,
        "trumpet": [{"window_s": p.window_s, "max": p.high.as_json(), "min": p.low.as_json(), "windows": p.windows, "possible": p.possible,
                     "below_noise_floor": p.floor, "noise_percent": p.noise} for p in flow.trumpet],
    }  # fmt: skip


def lines(outcome: Outcome) -> list[str]:
    """For a terminal."""
    told = [f"{outcome.title}: {outcome.verdict.upper()} ({outcome.evidence})"]
    told += [f"  {note}" for note in outcome.notes]
    if outcome.blank:
        loss = f"{outcome.blank.loss_g_h * 1e3:.3g} +/- {2e3 * outcome.blank.u_loss_g_h:.2g} mg/h"
        told.append(f"  evaporation {loss}, a reading {outcome.blank.noise.reading_g * 1e3:.2g} mg, Z {outcome.conditions.z:.5f} uL/mg")
    for flow in outcome.flows:
        told.append(f"  {flow.name}: {'; '.join(flow.notes)}")
    return [*told, *(line(figure) for figure in outcome.figures)]


def line(figure: Figure) -> str:
    if figure.value is None or figure.interval is None:
        return f"  {figure.name:66s} not measured: {figure.missing}"
    low, high = figure.interval
    limits = "no limit" if figure.low is None and figure.high is None else f"{_limit(figure.low)} to {_limit(figure.high)}"
    return f"  {figure.name:66s} {figure.value:9.3f} {figure.unit:3s} [{low:8.3f} {high:8.3f}]  {limits:14s} {figure.verdict}"


def _limit(value: float | None) -> str:
    return "-" if value is None else f"{value:g}"
