"""The table of faults and its campaign: what it holds, that a sound pump passes, and that a pump broken on purpose is seen."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hil.plant import FAULTS
from tools.faults.rate import HIGHEST, LOWEST, USUAL
from tools.faults.table import BOLUS, NO_BOLUS, ON, PAIRS, SINGLE, STOPS, TABLE, WITHHELD, Fault
from tools.faults.table import LOWEST as LOWEST_RATE

ROOT = Path(__file__).resolve().parents[1]
STOPPING = {"RESERVOIR_EMPTY", "BATTERY_DEPLETED", "OVER_DELIVERY"}  # R-ALM-1; MEMORY_FAULT without a good copy
WITHHOLDING = {"step engine dead", "flash loses both copies", "code changed", "program in RAM changed + no copy left"}  # R-ALM-11
# Of the list, each with a word of the rows that stand for it.
LISTED = (
    "driver dead",
    "slips 10 %",
    "over-delivery",
    "tube worn",
    "witness dead",
    "switch broken",
    "switch bounces",
    "ADC stuck",
    "ADC saturated",
    "battery sags",
    "flash full",
    "flash full, a commit",
    "flash full, STOP",
    "journal unreadable",
    "account unreadable",
    "flash loses",
    "program in RAM changed",
    "clock lost",
    "clock stands",
    "clock jumps",
    "loop late",
    "task frozen",
    "buzzer dead",
)


def run(out: Path, *words: str, firmware: Path | None = None) -> tuple[int, str, list[dict[str, object]]]:
    environment = {"PATH": str(Path(sys.executable).parent)}
    if firmware:
        environment["DOSELOOP_FIRMWARE"] = str(firmware)
    command = [sys.executable, "-m", "tools.faults", "--jobs", "1", "--out", str(out), *words]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False)
    found = json.loads((out / "faults.json").read_text("utf-8"))["findings"] if (out / "faults.json").exists() else []
    return done.returncode, done.stdout + done.stderr, found


@pytest.mark.req("R-ALM-11", "R-BOL-3")
@pytest.mark.parametrize("fault", TABLE, ids=lambda fault: fault.name)
def test_a_row_says_what_the_requirements_say_of_its_alarm(fault: Fault) -> None:
    assert (fault.action == STOPS) == (fault.alarm in STOPPING)
    assert (fault.action == WITHHELD) == (fault.name in WITHHOLDING), "nothing else withholds basal"
    assert fault.action in (ON, LOWEST_RATE, STOPS, WITHHELD) and fault.bolus in (BOLUS, NO_BOLUS)
    if fault.priority == "HIGH" or fault.part:
        assert fault.bolus == NO_BOLUS
    assert bool(fault.alarm) + bool(fault.part) + (fault.allowed == "no harm") == 1
    assert all(fault.limit(rate) > 0 for rate in (LOWEST, USUAL, HIGHEST))


def test_the_table_has_every_fault_that_was_asked_for_and_ten_pairs_with_a_reason() -> None:
    names = [fault.name for fault in SINGLE]
    assert [listed for listed in LISTED if not any(listed in name for name in names)] == []
    assert len(PAIRS) == 10 and all(fault.why for fault in PAIRS)
    assert len({fault.name for fault in TABLE}) == len(TABLE)


@pytest.mark.req("R-ALM-5")
def test_times_at_a_rate_follow_from_the_program_alone() -> None:
    assert LOWEST.steps(0, 86_400_000) == pytest.approx(4100)  # 41 uL of 10 nL
    assert LOWEST.ms_of_steps(41) == pytest.approx(86_400_000 / 100, rel=0.05)
    assert USUAL.lowest_steps(3_600_000) == pytest.approx(266_000 / 19 / 5, rel=1e-6)


def test_all_faults_of_the_rig_are_known_to_it() -> None:
    assert {"engine_dead", "tube_worn", "battery_sags", "converter_stuck", "buzzer_dead", "clock_stands"} <= FAULTS.keys()


@pytest.mark.req("R-ALM-5", "R-ALM-11")
def test_a_sound_pump_passes_and_leaves_table_and_page(tmp_path: Path) -> None:
    code, said, found = run(tmp_path, "witness dead", "code changed", "--rate", "usual")
    assert code == 0, said
    assert [finding["wrong"] for finding in found] == [[], [], []]
    assert "0 not found in time, 0 answered wrongly" in said
    assert "code changed" in (tmp_path / "faults.html").read_text("utf-8")


# (what is broken, file, text there once, what stands there instead, fault, words that the campaign must say)
PLANTED = (
    (
        "a stall is never told",
        "watch.py",
        'alarms.set("MOTOR_STALL", pump.motion.stalled or pump.engine_dead, now)',
        "pass",
        "witness dead",
        "not found",
    ),
    (
        "a stall is told a minute late",
        "watch.py",
        "_PATIENCE_MS = label.STALL_MS - 20",
        "_PATIENCE_MS = label.STALL_MS + 60",
        "witness dead",
        "allowed are",
    ),
    (
        "over-delivery does not stop",
        "alarms.py",
        '("OVER_DELIVERY", HIGH, STOP,',
        '("OVER_DELIVERY", HIGH, NO_BOLUS,',
        "over-delivery",
        "it moved on",
    ),
    (
        "a full flash stops the basal",
        "watch.py",
        'pump.alarms.raise_("MEMORY_FAULT"',
        'pump.alarms.set("MEMORY_FAULT", True',
        "flash full",
        "basal is not",
    ),
    (
        "a failed self-test allows boluses",
        "deliver.py",
        '(None if pump.self_test.passed else "self-test")',
        "None",
        "buzzer dead",
        "a bolus was answered OK",
    ),
    (
        "a commit that is not kept is answered OK",
        "undo.py",
        "if not kept:",
        "if kept is None:",
        "flash full, a commit",
        "the commit was answered OK",
    ),
    (
        "a file that cannot be read is not read again",
        "store.py",
        "for _ in range(2):",
        "for _ in range(1 if 'acct' in name else 2):",
        "unreadable once",
        "nl are uncertain",
    ),
    (
        "an account that is lost is begun anew",
        "boot.py",
        "replay.take(mark[1], mark[2], mark[4])",
        "pass",
        "account unreadable",
        "were made",
    ),
)


@pytest.mark.parametrize("planted", PLANTED, ids=lambda planted: planted[0])
def test_a_bug_that_is_planted_is_found(planted: tuple[str, ...], tmp_path: Path) -> None:
    _, name, text, other, fault, words = planted
    firmware = tmp_path / "firmware"
    shutil.copytree(ROOT / "firmware", firmware)
    shutil.copytree(ROOT / "boards" / "unix", tmp_path / "boards" / "unix")
    path = firmware / "doseloop" / name
    source = path.read_text("utf-8")
    assert source.count(text) == 1
    path.write_text(source.replace(text, other), "utf-8")
    code, said, found = run(tmp_path / "out", fault, "--rate", "usual", firmware=firmware)
    assert code == 1, said
    assert words in said and any(words in str(finding["wrong"]) for finding in found)


def test_a_fault_nobody_knows_is_told_with_those_there_are(tmp_path: Path) -> None:
    code, said, _ = run(tmp_path, "no such thing")
    assert code == 2 and "driver dead" in said
