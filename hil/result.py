"""What a run leaves behind for programs: result.json and the time series."""

from __future__ import annotations

import csv
import json
from dataclasses import asdict, dataclass, field
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hil.csf import CsfCurve
from hil.tip import TipCurve

if TYPE_CHECKING:
    from hil.chart import Chart

PASSED = "passed"
FAILED = "failed"
MARGINAL = "marginal"  # the limit lies within the uncertainty
NOT_MEASURED = "not measured"
UNUSABLE = "unusable"
EXIT = {PASSED: 0, FAILED: 1, UNUSABLE: 2}
LEFT_OUT = ("samples", "measurements", "step_errors", "tips", "csf", "charts", "windows")  # of result.json; the samples are in the CSV


@dataclass(frozen=True)
class Measurement:
    """A figure with its limits; None as a limit is none.

    With an uncertainty (k = 2) the verdict is on the interval in which the truth lies: passed, if all of it is inside the limits; failed,
    if all of it is outside; else marginal. missing: why there is no value; that is no failure of the pump.
    """

    name: str
    value: float | None
    unit: str
    low: float | None = None
    high: float | None = None
    why: str = ""  # the requirement or the source of the limits
    uncertainty: float | None = None  # expanded, k = 2, in the figure's unit; None: none was worked out
    missing: str = ""  # why there is no value
    uncertainty_down: float | None = None  # where it is not the same downwards

    @property
    def downwards(self) -> float:
        """The uncertainty below the value."""
        return (self.uncertainty or 0.0) if self.uncertainty_down is None else self.uncertainty_down

    @property
    def margin(self) -> float | None:
        """How far the nearer limit is; negative beyond it."""
        if self.value is None:
            return None
        ends = (None if self.low is None else self.value - self.low, None if self.high is None else self.high - self.value)
        return min((end for end in ends if end is not None), default=None)

    @property
    def verdict(self) -> str:
        if self.missing:
            return NOT_MEASURED
        if self.low is None and self.high is None:
            return "noted"
        if self.value is None or self.value != self.value:
            return FAILED
        up = self.uncertainty or 0.0
        down = self.downwards
        low = -inf if self.low is None else self.low
        high = inf if self.high is None else self.high
        if low <= self.value - down and self.value + up <= high:
            return PASSED
        return FAILED if self.value - down > high or self.value + up < low or not (up or down) else MARGINAL

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "margin": self.margin, "verdict": self.verdict}


@dataclass(frozen=True)
class WindowRow:
    """One length of window of a trumpet curve; a report shows both extremes in one row."""

    window_s: float
    high: Measurement
    low: Measurement


@dataclass(frozen=True)
class Outcome:
    """One step of the story and whether it went as promised."""

    t_ms: int  # since the first RUN (negative: before)
    where: str
    what: str
    ok: bool
    detail: str = ""
    note: str = ""  # of the story


@dataclass(frozen=True)
class AlarmSpan:
    """An alarm from on to off (None: still on at the end), in ms since the first RUN."""

    code: str
    priority: str
    on_ms: int
    off_ms: int | None


@dataclass
class Sample:
    """One row of the time series; volumes in nL since the first RUN, None where nothing measured it."""

    t_s: float
    programmed_nl: float
    authorised_nl: float
    witnessed_nl: float
    balance_nl: float | None
    balance_noise_nl: float | None
    true_nl: float | None
    reservoir_nl: float
    battery_mv: int
    rate_ng_h: float
    alarms: int
    programmed_ng: float = 0.0
    tip_ng: float | None = None  # what left the catheter tip; only the simulated rig knows
    ledger_ng: float = 0.0  # the pump's own account of the dose


@dataclass
class Result:
    """Everything about one run."""

    scenario: str
    title: str
    story: str
    target: str
    evidence: str
    seed: int
    verdict: str = UNUSABLE
    reason: str = ""  # why it is unusable, or what failed first
    key: str = "unknown"  # default, own or damaged, as the pump's status says it
    versions: dict[str, str] = field(default_factory=dict)
    virtual_s: float = 0.0
    wall_s: float = 0.0
    expected_nl: float | None = None
    authorised_nl: float | None = None
    witnessed_nl: float | None = None
    balance_nl: float | None = None
    uncertain_nl: float = 0.0  # what power cuts left in doubt; it is in the ledger and in its witness
    evaporation_mg_h: float | None = None  # by the blank before the run
    balance_lost: str = ""  # it went away in mid-run: what it said when
    max_step_error: float | None = None
    since: str = "first RUN"  # what all times count from
    tip_ng: int | None = None  # dose that left the catheter tip
    measurements: list[Measurement] = field(default_factory=list)
    alarms: list[AlarmSpan] = field(default_factory=list)
    refusals: list[dict[str, Any]] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    step_errors: list[tuple[float, float]] = field(default_factory=list)  # (s since the first RUN, largest in that stretch)
    tips: list[TipCurve] = field(default_factory=list)  # one for each change of concentration
    csf: CsfCurve | None = None  # the model of the spinal fluid
    warnings: list[str] = field(default_factory=list)  # what the verdict does not rest on and a reader must know
    windows: list[WindowRow] = field(default_factory=list)  # of the trumpet; its figures are measurements like any other
    flow_note: str = ""  # over which time, and by whom, or why there is none
    charts: list[Chart] = field(default_factory=list)  # figures of other parts (flow accuracy), shown after the measurements

    def judge(self) -> None:
        """Passed, if every step went as promised and every figure is within its limits."""
        bad = [f"{o.where}: {o.what}: {o.detail}".rstrip(": ") for o in self.outcomes if not o.ok]
        bad += [f"{m.name} is {shown(m.value)} {m.unit}, allowed {limits_text(m)}" for m in self.measurements if m.verdict == FAILED]
        self.verdict = FAILED if bad else PASSED
        self.reason = bad[0] if bad else ""

    @property
    def exit_code(self) -> int:
        return EXIT[self.verdict]

    def as_json(self) -> dict[str, Any]:
        plain = {name: _plain(getattr(self, name)) for name in self.__dataclass_fields__ if name not in LEFT_OUT}
        plain["measurements"] = [m.as_json() for m in self.measurements]
        return plain


def shown(value: float | None) -> str:
    """A figure with as many digits as it deserves."""
    if value is None:
        return "not measured"
    if value == int(value) and abs(value) < 1e12:
        return f"{int(value):,}"
    return f"{value:,.1f}" if abs(value) >= 1000 else f"{value:.4g}"


def limits_text(m: Measurement) -> str:
    if m.low is None and m.high is None:
        return "no limit"
    if m.low is None:
        return f"at most {shown(m.high)}"
    if m.high is None:
        return f"at least {shown(m.low)}"
    return f"{shown(m.low)} to {shown(m.high)}"


def write_json(result: Result, path: Path) -> None:
    path.write_text(json.dumps(result.as_json(), indent=2) + "\n", "utf-8")


def write_csv(result: Result, path: Path) -> None:
    names = list(Sample.__dataclass_fields__)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(names)
        for sample in result.samples:
            row = asdict(sample)
            writer.writerow(["" if row[name] is None else _rounded(row[name]) for name in names])


def _rounded(value: float) -> float:
    return round(value, 3)


def _plain(value: Any) -> Any:
    """A list of records as a list of tables."""
    return [asdict(item) if hasattr(item, "__dataclass_fields__") else item for item in value] if isinstance(value, list) else value
