"""The whole bench on the unix target: short scenarios with the real firmware, and what happens when the line fails."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hil import cli
from hil.channel import open_serial

ROOT = Path(__file__).resolve().parents[1]
SHORT = """
title = "Half an hour"
story = "A short run."
program = { name = "short", conc = "500 mcg/mL", flat = "350 mcg/day" }
[history]
population = "spinal"
birth = "1980-05-01"
phase = "maintenance"
screen = "50 mcg"
increase_ago = "30 d"
[setup]
sample = "SAMPLE"
[expected]
alarms = []
[[timeline]]
advance = "SPAN"
[[timeline]]
check = { stat = { state = "running", alarms = 0 } }
"""


def written(tmp_path: Path, span: str, sample: str = "5 min", extra: str = "") -> str:
    path = tmp_path / "short.toml"
    path.write_text(SHORT.replace("SPAN", span).replace("SAMPLE", sample) + extra)
    return str(path)


def run(tmp_path: Path, *args: str) -> tuple[int, dict[str, Any]]:
    code = cli.main(["run", *args, "--out", str(tmp_path / "out"), "--quiet"])
    return code, json.loads((tmp_path / "out" / "result.json").read_text())


def test_half_an_hour_is_delivered_witnessed_weighed_and_passed(tmp_path: Path) -> None:
    code, found = run(tmp_path, written(tmp_path, "30 min"))
    assert (code, found["verdict"], found["evidence"], found["reason"]) == (0, "passed", "SIMULATED", "")
    assert found["virtual_s"] == 1800 and found["max_step_error"] <= 1
    assert found["expected_nl"] == pytest.approx(350_000 / 500 * 1000 / 48)
    assert {path.name for path in (tmp_path / "out").iterdir()} >= {"report.html", "junit.xml", "serial.log", "timeseries.csv"}


def test_the_same_seed_gives_the_same_run_bit_for_bit(tmp_path: Path) -> None:
    series = []
    for _ in range(2):
        run(tmp_path, written(tmp_path, "30 min"), "--seed", "7")
        series.append((tmp_path / "out" / "timeseries.csv").read_text())
    assert series[0] == series[1]


def test_a_promise_that_is_not_kept_fails_with_exit_1(tmp_path: Path) -> None:
    code, found = run(tmp_path, written(tmp_path, "5 min", extra='[[timeline]]\ncheck = { alarms_on = ["MOTOR_STALL"] }\n'))
    assert (code, found["verdict"]) == (1, "failed")
    assert "MOTOR_STALL is on" in found["reason"]


def test_an_alarm_that_the_story_did_not_promise_fails_the_run(tmp_path: Path) -> None:
    code, found = run(tmp_path, written(tmp_path, "5 min", extra='[[timeline]]\nport = "open"\n[[timeline]]\nadvance = "1 min"\n'))
    assert (code, found["reason"]) == (1, "expected.alarms: alarms are those promised: came: PORT_OPEN; promised: none")


def test_a_slip_that_nobody_told_the_oracle_of_is_seen_by_the_witness(tmp_path: Path) -> None:
    path = Path(written(tmp_path, "30 min"))
    path.write_text(
        path.read_text().replace("[[timeline]]", '[[timeline]]\nfault = "motor_slips"\nwith = { percent = 5 }\n[[timeline]]', 1)
    )
    code, found = run(tmp_path, str(path))
    failed = [m["name"] for m in found["measurements"] if m["verdict"] == "failed"]
    assert code == 1 and failed == ["motion witness against oracle"]


# ---- a serial line that fails


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A simulated pump in real time, as any client sees it."""
    link = tmp_path / "pump"
    command = [sys.executable, "-m", "hil", "serve", "--link", str(link)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and "simulated pump" in process.stdout.readline()
        yield str(link), process
        process.send_signal(signal.SIGTERM)


def test_a_serial_path_that_does_not_exist_is_exit_2_with_a_result(tmp_path: Path) -> None:
    code, found = run(tmp_path, written(tmp_path, "1 s"), "--target", "/dev/nothing-here")
    assert (code, found["verdict"], found["evidence"]) == (2, "unusable", "NOTHING MEASURED")
    assert "no such serial port" in found["reason"]


def test_a_busy_serial_path_is_exit_2(tmp_path: Path, served: tuple[str, Any]) -> None:
    other = open_serial(served[0])
    code, found = run(tmp_path, written(tmp_path, "1 s"), "--target", served[0])
    other.close()
    assert code == 2 and "busy" in found["reason"]


def test_any_serial_path_can_be_run_and_its_figures_are_called_what_stands_behind_it(tmp_path: Path, served: tuple[str, Any]) -> None:
    code, found = run(tmp_path, written(tmp_path, "3 s", "1 s"), "--target", served[0])
    assert (code, found["evidence"], found["balance_nl"], found["reason"]) == (0, "SIMULATED", None, "")


def test_a_line_that_goes_away_in_mid_run_is_exit_2_and_keeps_what_was_measured(tmp_path: Path, served: tuple[str, Any]) -> None:
    path, process = served
    threading.Thread(target=lambda: (time.sleep(3), os.kill(process.pid, signal.SIGKILL)), daemon=True).start()
    code, found = run(tmp_path, written(tmp_path, "60 s", "1 s"), "--target", path)
    assert (code, found["verdict"]) == (2, "unusable")
    assert found["expected_nl"] > 0 and len((tmp_path / "out" / "timeseries.csv").read_text().splitlines()) > 2
