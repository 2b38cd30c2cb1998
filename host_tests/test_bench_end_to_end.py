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
from hil.weighing import Weighed, Weighing

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


# ---- the drug on its way to the tip

REFILL = (
    'path = "septum", fluid = "drug", drug = "baclofen", volume = "18000000nl", conc = "2000mcg/ml", lot = "B-1",'
    ' expiry = "2028-06-30", withdrawn = "18000000nl", stored = "ok", attended = "yes"'
)
STRONGER = f"""
[[timeline]]
command = "STOP"
[[timeline]]
person = "withdraw"
[[timeline]]
person = "fill"
volume = "18 mL"
conc = "2000 mcg/mL"
[[timeline]]
command = "RES:REFILL"
fields = {{ {REFILL} }}
[[timeline]]
commit = {{ name = "stronger", conc = "2000 mcg/mL", flat = "1000 mcg/day" }}
[[timeline]]
command = "RUN"
[[timeline]]
advance = "20 h"
[[timeline]]
check = {{ supplies = {{ line = "2000mcg/ml", bridge = "0nl" }} }}
"""


@pytest.mark.req("R-CON-3")
def test_a_change_of_concentration_is_followed_to_the_tip_and_the_dose_rate_has_no_step(tmp_path: Path) -> None:
    path = Path(written(tmp_path, "7 h", extra=STRONGER))
    text = path.read_text().replace('flat = "350 mcg/day"', 'flat = "1000 mcg/day"').replace("alarms = []\n", "")
    path.write_text(text)
    code, found = run(tmp_path, str(path))
    assert (code, found["reason"]) == (0, "")
    assert isinstance(found["tip_ng"], int) and found["tip_ng"] == pytest.approx(1_000_000 * 27 / 24, rel=0.01)
    figures = {m["name"]: m["value"] for m in found["measurements"]}
    assert abs(figures["tip rate off the program, 500 to 2000 mcg/mL, 1 h windows"]) < 4
    assert figures["the same, had the pump not bridged"] == pytest.approx(-75, abs=1)
    assert "Dose rate at the catheter tip" in (tmp_path / "out" / "report.html").read_text()


TRIAL = """
title = "A screening dose"
story = "One dose, and the pump's questions are answered."
[setup]
run = false
[expected]
alarms = []
[[timeline]]
command = "THER:RECORD"
fields = { population = "cerebral", birth = "1980-05-01", injury = "2027-01-01" }
expect = "CONFIRM_INJURY"
[[timeline]]
command = "THER:RECORD"
fields = { population = "cerebral", birth = "1980-05-01", injury = "2027-01-01" }
confirm = true
[[timeline]]
person = "withdraw"
[[timeline]]
person = "fill"
volume = "10 mL"
conc = "50 mcg/mL"
[[timeline]]
command = "RES:REFILL"
fields = { FIELDS }
[[timeline]]
command = "DOSE:PRIME"
fields = { volume = "240000nl", path = "pump", connected = "no" }
confirm = true
[[timeline]]
advance = "4 min"
[[timeline]]
command = "DOSE:SCREEN"
fields = { dose = "50mcg", path = "pump", attended = "yes" }
[[timeline]]
advance_until = { stat = { outcome = "DONE" }, within = "61 s", every = "1 s" }
[[timeline]]
check = { trial = { last = "50mcg", outcome = "DONE" }, counts = { authorised_nl = 1000000 } }
"""


@pytest.mark.req("R-SCR-2", "R-CON-4", "R-POP-1")
def test_a_screening_dose_begins_the_account_and_all_of_it_leaves_the_tip(tmp_path: Path) -> None:
    refill = REFILL.replace("2000mcg/ml", "50mcg/ml").replace("18000000nl", "10000000nl", 1)
    (tmp_path / "trial.toml").write_text(TRIAL.replace("FIELDS", refill))
    code, found = run(tmp_path, str(tmp_path / "trial.toml"))
    assert (code, found["reason"], found["since"]) == (0, "", "first screening dose")
    assert found["expected_nl"] == 1_000_000 and found["tip_ng"] == pytest.approx(50_000, rel=0.01)


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


def test_a_balance_unplugged_in_mid_run_is_marked_and_the_run_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    delivered = Weighing.delivered
    asked: list[int] = []

    def unplugged(weighing: Weighing) -> Weighed:
        asked.append(1)
        if len(asked) == 4:
            weighing._balance.close()
        return delivered(weighing)

    monkeypatch.setattr(Weighing, "delivered", unplugged)
    code, found = run(tmp_path, written(tmp_path, "60 min"))
    row = next(m for m in found["measurements"] if m["name"] == "balance against motion witness")
    assert (code, found["verdict"], row["verdict"], row["value"]) == (0, "passed", "not measured", None)
    assert "went away" in row["missing"] and found["balance_lost"] == row["missing"] and len(asked) == 4
    series = (tmp_path / "out" / "timeseries.csv").read_text().splitlines()
    column = series[0].split(",").index("balance_nl")
    weighed = [line.split(",")[column] != "" for line in series[1:]]
    assert weighed[:3] == [True] * 3 and not any(weighed[3:])  # what was measured is kept
