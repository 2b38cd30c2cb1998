"""What a run left in its folder, read back; InputError for what is no run folder."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hil.errors import InputError
from hil.result import FAILED, PASSED, UNUSABLE, AlarmSpan, Measurement, Outcome, Result, Sample
from hil.tables import as_int, as_list, as_number, as_table, as_text, built, need, one_of, read_json

RESULT, SERIES = "result.json", "timeseries.csv"
TEXTS = ("scenario", "title", "story", "target", "evidence")
MUST = ("t_s", "programmed_nl", "authorised_nl", "witnessed_nl")  # of a row of the series


def read(folder: Path) -> Result:
    """The result with its time series (empty if that is not there)."""
    if not (folder / RESULT).exists():
        why = f"no run folder, it has no {RESULT}" if folder.is_dir() else "is no folder" if folder.exists() else "no such folder"
        raise InputError("", f"{why}: give the --out folder of `python -m hil run`", folder)
    try:
        found = _result(as_table(read_json(folder / RESULT), ""))
    except InputError as error:
        raise error.in_file(folder / RESULT) from None
    except (TypeError, ValueError) as error:
        raise InputError("", f"is no result of a run: {error}", folder / RESULT) from None
    if (folder / SERIES).exists():
        found.samples = _series(folder / SERIES)
    return found


def _result(table: Mapping[str, Any]) -> Result:
    scenario, title, story, target, evidence = (as_text(need(table, name, ""), name) for name in TEXTS)
    found = Result(scenario, title, story, target, evidence, as_int(need(table, "seed", ""), "seed"))
    found.verdict = one_of(need(table, "verdict", ""), (PASSED, FAILED, UNUSABLE), "verdict")
    found.versions = {str(name): str(text) for name, text in as_table(table.get("versions", {}), "versions").items()}
    for name in ("virtual_s", "wall_s", "expected_nl", "authorised_nl", "witnessed_nl", "balance_nl", "uncertain_nl", "max_step_error"):
        setattr(found, name, None if table.get(name) is None else as_number(table[name], name))
    found.virtual_s, found.wall_s = found.virtual_s or 0.0, found.wall_s or 0.0
    for name in ("reason", "since", "key", "flow_note"):
        setattr(found, name, str(table.get(name, "")))
    found.measurements = [built(Measurement, row, "measurements") for row in as_list(table.get("measurements", []), "measurements")]
    found.alarms = [built(AlarmSpan, row, "alarms") for row in as_list(table.get("alarms", []), "alarms")]
    found.outcomes = [built(Outcome, row, "outcomes") for row in as_list(table.get("outcomes", []), "outcomes")]
    found.warnings = [as_text(text, "warnings") for text in as_list(table.get("warnings", []), "warnings")]
    found.refusals = [dict(as_table(row, "refusals")) for row in as_list(table.get("refusals", []), "refusals")]
    return found


def _series(path: Path) -> list[Sample]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return [_sample(row) for row in csv.DictReader(file)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError("", f"cannot be read ({error})", path) from None
    except (InputError, KeyError, TypeError, ValueError) as error:
        raise InputError("", f"is no time series of a run: {error}", path) from None


def _sample(row: Mapping[str, str]) -> Sample:
    if missing := [name for name in MUST if not row.get(name)]:
        raise ValueError(f"{', '.join(missing)} missing")
    given = {name: as_number(float(row[name]), name) if row.get(name) else None for name in Sample.__dataclass_fields__ if name in row}
    blank: dict[str, float | None] = dict.fromkeys(("reservoir_nl", "battery_mv", "rate_ng_h", "alarms"), 0.0)
    blank |= dict.fromkeys(("balance_nl", "balance_noise_nl", "true_nl"), None)
    return Sample(**{**blank, **given})  # type: ignore[arg-type]
