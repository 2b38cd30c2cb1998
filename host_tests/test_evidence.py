"""The word on a figure follows what is known of the pump behind a line; MEASURED is never said of a program."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from hil import cli
from hil.bench import load_bench
from hil.errors import InputError
from hil.evidence import EMULATOR_UIDS, SAYABLE, UNKNOWN, word
from hil.live.watcher import Watcher
from hil.report import ABOUT
from hil.targets.serial_url import SerialUrlTarget

BOARD = {"board": "pico", "uid": "e6614103e7452d2f"}
UNIX = {"board": "unix", "uid": "unix-1"}
EMULATED = {"board": "pico", "uid": b"EMULATED".hex().upper()}


@pytest.fixture
def pty_path() -> Iterator[str]:
    master, slave = os.openpty()
    yield os.ttyname(slave)
    os.close(master)
    os.close(slave)


@pytest.mark.parametrize(
    ("url", "identity", "said", "expected"),
    [
        ("/dev/ttyACM0", BOARD, "", "MEASURED"),
        ("rfc2217://bench7:4000", BOARD, "", "MEASURED"),
        ("rfc2217://bench7:4000", BOARD, "emulated", "EMULATED"),
        ("/dev/ttyACM0", UNIX, "", "SIMULATED"),
        ("socket://bench7:4000", UNIX, "emulated", "SIMULATED"),
        ("socket://bench7:4000", EMULATED, "", "EMULATED"),
        ("socket://bench7:4000", EMULATED, "simulated", "EMULATED"),
        *(("/dev/ttyACM0", {"board": "pico", "uid": uid}, "", "EMULATED") for uid in EMULATOR_UIDS),
        ("/dev/ttyACM0", {}, "", "NOTHING MEASURED"),
        ("/dev/ttyACM0", {}, "emulated", "NOTHING MEASURED"),
    ],
)
def test_what_the_pump_says_goes_before_what_a_person_says_and_that_before_the_line(
    url: str, identity: dict[str, str], said: str, expected: str
) -> None:
    assert word(url, identity, said) == expected


@pytest.mark.parametrize("link", [False, True])
def test_a_pseudo_terminal_is_never_measured_by_its_path_or_a_link_to_it(pty_path: str, tmp_path: Path, link: bool) -> None:
    url = pty_path
    if link:
        (tmp_path / "pump").symlink_to(pty_path)
        url = str(tmp_path / "pump")
    assert [word(url, BOARD), word(url, BOARD, "emulated"), word(url, EMULATED)] == [UNKNOWN, "EMULATED", "EMULATED"]
    target = SerialUrlTarget(url)
    assert target.evidence == "NOTHING MEASURED"
    target.told_identity(BOARD)
    assert target.evidence == UNKNOWN in ABOUT


def test_nobody_can_say_that_a_pump_was_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "measured" not in SAYABLE
    for command in (["run", "bolus-50", "--target", "x"], ["watch", "--target", "x"], ["metrology"], ["calibrate"]):
        with pytest.raises(SystemExit):
            cli.main([*command, "--evidence", "measured"])
        assert "--evidence: invalid choice: 'measured'" in capsys.readouterr().err
    path = tmp_path / "bench.toml"
    path.write_text('target = "/dev/ttyACM0"\nevidence = "measured"\n')
    with pytest.raises(InputError, match="evidence: 'measured' is not one of simulated, emulated"):
        load_bench(path)
    path.write_text('target = "/dev/ttyACM0"\nevidence = "emulated"\n')
    assert load_bench(path).evidence == "emulated"


def test_a_watched_pump_has_no_word_before_it_answered_and_then_the_one_that_is_known() -> None:
    watcher = Watcher("socket://bench7:4000", None, said="emulated")
    assert watcher.evidence == ""
    watcher._identity = dict(BOARD)
    assert watcher.evidence == watcher.snapshot()["evidence"] == "EMULATED"
    watcher._identity = dict(UNIX)
    assert watcher.evidence == "SIMULATED"
