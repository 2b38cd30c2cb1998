"""A user's own suite on a bench: options, fixtures, needs, the wiring and the build first, evidence in a folder a test."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from live_rig import FakePump, served

from hil.bench import NEEDS, BenchConfig, load_bench
from hil.errors import InputError
from hil.targets.process import one_core

ROOT = Path(__file__).resolve().parents[1]
SUITE = ROOT / "docs" / "suite" / "test_mine.py"


def run_suite(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    plain = ("-p", "hil.pytest_plugin", "-p", "no:cacheprovider", "--rootdir", str(folder), "--reports", str(folder / "out"), "-rs")
    command = [sys.executable, "-m", "pytest", str(folder), *plain, *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)


def write(folder: Path, text: str) -> Path:
    path = folder / "test_it.py"
    path.write_text(f"import pytest\n{text}")
    return path


def test_the_suite_of_the_readme_runs_twice_with_junit_html_and_a_folder_for_each(tmp_path: Path) -> None:
    assert SUITE.read_text() in (ROOT / "README.md").read_text()
    (tmp_path / "test_mine.py").write_text(SUITE.read_text())
    junit, html = tmp_path / "j.xml", tmp_path / "r.html"
    done = run_suite(tmp_path, "--count", "2", "--junitxml", str(junit), "--html", str(html), "--self-contained-html")
    assert done.returncode == 0 and "4 passed" in done.stdout, done.stdout + done.stderr
    cases = list(ElementTree.parse(junit).iter("testcase"))
    assert [case.get("name", "").partition("[")[0] for case in cases] == ["test_the_access_port_is_closed"] * 2 + [
        "test_nothing_drips_from_a_stopped_pump"
    ] * 2
    told = [{field.get("name"): field.get("value") for field in case.iter("property")} for case in cases]
    assert {one["evidence"] for one in told} == {"SIMULATED"} and len({one["firmware"] for one in told}) == 1
    folders = {str(one["folder"]) for one in told}
    assert len(folders) == 4 and all((Path(folder) / "serial.log").stat().st_size for folder in folders)
    assert "test_nothing_drips" in html.read_text()


def test_what_fails_at_the_wiring_keeps_the_rest_from_running(tmp_path: Path) -> None:
    others = "def test_a(pump): pass\ndef test_without_the_bench(): pass\n"
    write(tmp_path, others + "@pytest.mark.wiring\ndef test_z(pump): assert pump.alarms() == 'none'\n")
    done = run_suite(tmp_path)
    assert "1 failed, 1 passed, 1 skipped" in done.stdout and "the wiring check did not pass" in done.stdout, done.stdout


def test_another_build_than_the_one_to_be_tested_ends_it_before_anything_was_sent_but_the_question(tmp_path: Path) -> None:
    pump = FakePump()
    (tmp_path / "bench.toml").write_text(f'target = "{pump.url}"\nfirmware = "1234567812345678"\n')
    write(tmp_path, "def test_it(pump): pass\n")
    done = run_suite(tmp_path, "--bench", str(tmp_path / "bench.toml"))
    pump.close()
    assert done.returncode == 2 and "runs firmware 00, and 1234567812345678 is to be tested" in done.stdout + done.stderr
    assert pump.seen == b"*IDN?\r"


def test_a_simulated_pump_is_held_against_the_named_build_too(tmp_path: Path) -> None:
    write(tmp_path, "def test_it(pump): assert pump.identity()['maker'] == 'doseloop'\n")
    (tmp_path / "bench.toml").write_text('firmware = "1234567812345678"\n')
    assert run_suite(tmp_path, "--bench", str(tmp_path / "bench.toml")).returncode == 2
    (tmp_path / "bench.toml").write_text('firmware = "checkout"\n')
    assert run_suite(tmp_path, "--bench", str(tmp_path / "bench.toml")).returncode == 0


def test_what_the_bench_lacks_is_skipped_with_how_to_give_it(tmp_path: Path) -> None:
    pump = FakePump()
    write(tmp_path, "".join(f"@pytest.mark.needs({need!r})\ndef test_{n}(bench): assert False\n" for n, need in enumerate(NEEDS)))
    done = run_suite(tmp_path, "--target", pump.url)
    pump.close()
    assert "4 skipped" in done.stdout and all(f"this bench has no {need}" in done.stdout for need in NEEDS), done.stdout


def test_a_simulated_bench_has_all_and_a_real_one_what_its_file_says(tmp_path: Path) -> None:
    assert not any(BenchConfig().lacks(need) for need in NEEDS)
    path = tmp_path / "bench.toml"
    path.write_text('target = "/dev/ttyACM0"\nbalance = "sbi:/dev/ttyUSB0"\nhas = ["back pressure"]\n')
    told = load_bench(path)
    assert [need for need in NEEDS if told.lacks(need)] == ["port switch", "simulated rig"]


@pytest.mark.parametrize("line", ['taget = "unix"', 'has = ["tea"]', "target = 5", 'key_file = "none.toml"', "target ="])
def test_a_wrong_bench_file_is_told_by_its_name_and_key(tmp_path: Path, line: str) -> None:
    path = tmp_path / "bench.toml"
    path.write_text(line + "\n")
    with pytest.raises(InputError):
        load_bench(path)
    done = run_suite(tmp_path, "--bench", str(path))
    assert done.returncode == 4 and "Traceback" not in done.stdout + done.stderr


def test_a_need_that_nobody_knows_is_an_error_and_no_skip(tmp_path: Path) -> None:
    write(tmp_path, "@pytest.mark.needs('balanse')\ndef test_it(bench): pass\n")
    done = run_suite(tmp_path)
    assert done.returncode == 1 and "'balanse' is no need" in done.stdout


SHORT = """
title = "{name}"
story = "Ten minutes."
program = {{ name = "short", conc = "500 mcg/mL", flat = "350 mcg/day" }}
[history]
population = "spinal"
birth = "1980-05-01"
phase = "maintenance"
screen = "50 mcg"
increase_ago = "30 d"
[[timeline]]
{step}
"""
PASSES, FAILS = 'advance = "10 min"', 'check = { alarms_on = ["MOTOR_STALL"] }'


def stories(folder: Path, **steps: str) -> Path:
    """Scenario files in a folder of their own; which gives the suite's folder."""
    (folder / "scenarios").mkdir()
    for name, step in steps.items():
        (folder / "scenarios" / f"{name}.toml").write_text(SHORT.format(name=name, step=step))
    return folder


def test_a_story_counted_runs_as_often_each_with_a_folder_and_its_evidence_in_junit(tmp_path: Path) -> None:
    junit = tmp_path / "j.xml"
    done = run_suite(stories(tmp_path, calm=PASSES), "--count", "3", "--target", "unix", "--junitxml", str(junit))
    assert done.returncode == 0 and "3 passed" in done.stdout and "Warning" not in done.stdout, done.stdout + done.stderr
    cases = list(ElementTree.parse(junit).iter("testcase"))
    assert [case.get("name") for case in cases] == ["calm[1of3]", "calm[2of3]", "calm[3of3]"]
    told = [{field.get("name"): field.get("value") for field in case.iter("property")} for case in cases]
    assert [one["evidence"] for one in told] == ["SIMULATED"] * 3
    folders = {Path(str(one["folder"])) for one in told}
    assert len(folders) == 3 and all((folder / "report.html").stat().st_size and (folder / "serial.log").exists() for folder in folders)


def test_a_counted_wiring_story_runs_whole_before_all_else_and_its_first_failure_stops_the_rest(tmp_path: Path) -> None:
    done = run_suite(stories(tmp_path, alpha=PASSES, wiring=FAILS), "--count", "2", "-v")
    assert "2 failed, 2 skipped" in done.stdout and "the wiring check did not pass: timeline[0]: MOTOR_STALL is on" in done.stdout, (
        done.stdout
    )
    assert "Traceback" not in done.stdout


def test_stories_and_tests_on_a_bench_file_use_its_pump_and_say_what_cannot_run_there(tmp_path: Path) -> None:
    """A served pump stands for one elsewhere: its line is opened for each test, its build asked first, its balance missing."""
    stories(tmp_path, calm=PASSES, skipped='fault = "motor_slips"\nwith = { percent = 2 }')
    write(tmp_path, "def test_it(bench): assert bench.evidence == 'SIMULATED'\ndef test_b(balance): pass\n")
    link = tmp_path / "pump"
    with served(link):
        (tmp_path / "bench.toml").write_text(f'target = "{link}"\nfirmware = "checkout"\n')
        calm = (tmp_path / "scenarios" / "calm.toml").read_text()
        (tmp_path / "scenarios" / "calm.toml").write_text(calm.replace("10 min", "2 s"))
        junit = tmp_path / "j.xml"
        done = run_suite(tmp_path, "--bench", str(tmp_path / "bench.toml"), "--junitxml", str(junit))
    assert "2 passed, 2 skipped" in done.stdout, done.stdout + done.stderr
    assert "needs virtual time and scripted faults" in done.stdout and "this bench has no balance" in done.stdout
    told = {
        case.get("name"): {f.get("name"): f.get("value") for f in case.iter("property")}
        for case in ElementTree.parse(junit).iter("testcase")
    }
    assert told["calm"]["evidence"] == told["test_it"]["evidence"] == "SIMULATED"


@pytest.mark.parametrize(
    ("words", "said"), [(("--reports", "/dev/null"), "folder"), (("--balance", "/dev/null"), "the line cannot be opened")]
)
def test_a_bench_that_cannot_be_had_is_a_sentence_and_no_traceback(tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    write(tmp_path, "def test_it(balance): pass\n")
    done = run_suite(tmp_path, "--target", "unix", *words)
    assert done.returncode == 1 and said in done.stdout and "hil/" not in done.stdout.replace("hil/pytest", ""), done.stdout


# ---- over all cores

TINY = """
title = "A minute"
story = "One minute of a flat day."
program = { name = "tiny", conc = "500 mcg/mL", flat = "350 mcg/day" }
[history]
population = "spinal"
birth = "1980-05-01"
phase = "maintenance"
screen = "50 mcg"
increase_ago = "30 d"
[[timeline]]
advance = "1 min"
"""


def results(folder: Path) -> list[dict[str, object]]:
    return [json.loads(path.read_text()) for path in sorted(folder.rglob("result.json"))]


def test_a_campaign_over_workers_has_another_rig_in_each_repetition_and_the_same_for_the_same_seed(tmp_path: Path) -> None:
    stories = tmp_path / "scenarios"
    stories.mkdir()
    (stories / "tiny.toml").write_text(TINY)
    write(tmp_path, "def test_own(pump): pump.alarms()\n")
    junit = tmp_path / "j.xml"
    shared = run_suite(tmp_path, "-n", "2", "--count", "2", "--seed", "7", "--junitxml", str(junit))
    assert shared.returncode == 0 and "4 passed" in shared.stdout, shared.stdout + shared.stderr
    first = {one["seed"]: one["balance_nl"] for one in results(tmp_path / "out")}
    assert set(first) == {7, 8} and first[7] != first[8]
    folders = [field.get("value", "") for field in ElementTree.parse(junit).iter("property") if field.get("name") == "folder"]
    assert len(folders) == 4 and all(Path(folder).is_dir() for folder in folders)
    shutil.rmtree(tmp_path / "out")
    alone = run_suite(tmp_path, "--seed", "8", "-k", "tiny")
    assert alone.returncode == 0 and [one["balance_nl"] for one in results(tmp_path / "out")] == [first[8]]


def test_another_build_ends_a_shared_suite_as_plainly(tmp_path: Path) -> None:
    write(tmp_path, "def test_it(pump): pass\n")
    (tmp_path / "bench.toml").write_text('firmware = "1234567812345678"\n')
    done = run_suite(tmp_path, "--bench", str(tmp_path / "bench.toml"), "-n", "2")
    said = done.stdout + done.stderr
    assert done.returncode == 2 and "1234567812345678 is to be tested" in said and "INTERNALERROR" not in said, said
    assert "correct firmware = in bench.toml" in said and "make flash" not in said  # a simulated pump is not flashed


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--target", "/dev/ttyACM0", "-n", "2"], "is one pump on one line"),
        (["--target", "rfc2217://bench7:4000", "-n", "2"], "is one pump on one line"),
        (["--target", "/dev/ttyACM0", "--seed", "1"], "no simulated rig"),
        (["--seed", "-1"], "not negative"),
    ],
)
def test_what_only_simulated_pumps_can_do_is_refused_for_others(tmp_path: Path, words: list[str], said: str) -> None:
    write(tmp_path, "def test_it(pump): pass\n")
    done = run_suite(tmp_path, *words)
    assert done.returncode == 4 and said in done.stderr, done.stdout + done.stderr


def test_each_of_several_workers_takes_a_core_of_its_own() -> None:
    before = os.sched_getaffinity(0)
    for worker in range(2 * len(before)):
        with one_core(worker):
            assert os.sched_getaffinity(0) == {sorted(before)[worker % len(before)]}
    assert os.sched_getaffinity(0) == before
