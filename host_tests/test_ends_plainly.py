"""However a command ends (Ctrl-C, a reader that goes away, an output that is closed): a word and a code, never a traceback."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from live_rig import PATIENCE_S

from hil import __main__, cli, metrology_commands, page_commands
from hil.errors import BenchError, InputError
from hil.metrology.outcome import Outcome
from hil.metrology.volume import Conditions
from hil.metrology_run import Runner
from hil.quantity import quantity
from hil.scenario import sample_span

ROOT = Path(__file__).resolve().parents[1]


def ended(command: str, *, after: str = "") -> subprocess.CompletedProcess[str]:
    """`python -m hil COMMAND` in a shell, with what stands behind it there."""
    line = f"{sys.executable} -m hil {command}"
    return subprocess.run(["bash", "-c", f"{line} {after}"], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.parametrize("command", ["list", "completion bash"])
def test_a_reader_that_goes_away_ends_it_without_a_word(command: str) -> None:
    done = ended(command, after="| true; echo ${PIPESTATUS[0]}")
    assert done.stderr == "" and done.stdout.strip() in ("0", "141")  # 0: it had written all of it before


@pytest.mark.parametrize(("command", "closed"), [("list", ">&- 2>&-"), ("run {} --out {}", "2>&-")])
def test_an_output_that_is_closed_is_one_that_nobody_reads(tmp_path: Path, command: str, closed: str) -> None:
    story = tmp_path / "short.toml"
    story.write_text('title = "s"\nstory = "s"\n[setup]\nrun = false\n[[timeline]]\nadvance = "1 s"\n')
    done = ended(command.format(story, tmp_path / "out"), after=closed)
    assert done.returncode == 0 and "error" not in done.stdout + done.stderr


def test_an_output_without_room_is_said() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full here")
    done = ended("list", after="> /dev/full")
    assert done.returncode == 2 and done.stderr == "error: no room is left where this is written\n"


@pytest.mark.parametrize("words", [["doctor"], ["list"]])
def test_an_interrupt_at_any_time_is_a_word_and_exit_2(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_given: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(sys, "argv", ["hil", *words])
    monkeypatch.setattr(__main__, "_command", interrupted)
    assert __main__.main() == 2
    assert capsys.readouterr().err == "interrupted\n"


def heed_interrupts() -> None:
    """What a shell runs in the background is born deaf to them."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_an_interrupt_while_its_packages_are_read_is_no_traceback() -> None:
    """The signal comes wherever it comes: in an import, in the parsing, at work."""
    for wait_s in (0.05, 0.3, 0.9):
        with subprocess.Popen(
            [sys.executable, "-X", "importtime", "-m", "hil", "serve"],
            cwd=ROOT, stderr=subprocess.PIPE, text=True, preexec_fn=heed_interrupts,
        ) as hil:  # fmt: skip
            assert hil.stderr is not None
            while "hil" not in hil.stderr.readline():  # Python has begun with ours: before, it is Python's own to end
                pass
            drained = threading.Thread(target=(said := []).extend, args=(hil.stderr,))
            drained.start()
            time.sleep(wait_s)
            hil.send_signal(signal.SIGINT)
            try:
                hil.wait(PATIENCE_S)
            finally:
                hil.kill()
            drained.join()
        assert hil.returncode in (0, 2) and "Traceback" not in "".join(said)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), BenchError("the line went away")])
def test_a_metrology_run_that_was_broken_off_has_passed_nothing(
    error: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(_runner: Runner) -> Outcome:
        raise error

    monkeypatch.setattr(metrology_commands.Runner, "play", broken)
    assert cli.main(["metrology", "--out", str(tmp_path)]) == 2
    said = capsys.readouterr().out
    assert "NOT MEASURED" in said and "PASSED" not in said and (str(error) or "interrupted by hand") in said
    assert (tmp_path / "metrology.json").exists()


def test_an_outcome_that_judged_nothing_has_passed_nothing() -> None:
    assert Outcome("nothing", "SIMULATED", "unix", Conditions()).verdict == "not measured"


def test_a_blank_that_grows_heavier_is_no_blank(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = "".join(f"{60 * i},{1 + 0.0166 * i:.4f}\n" for i in range(200))
    (tmp_path / "flow.csv").write_text("t_s,mass_g\n" + rows)
    given = ["analyse", str(tmp_path / "flow.csv"), "--rate", "1 mL/h", "--out", str(tmp_path / "out")]
    assert cli.main([*given, "--blank", str(tmp_path / "flow.csv")]) == 2
    assert "--blank: gains 996 mg/h: that is no blank" in capsys.readouterr().err
    assert cli.main(given) == 0


@pytest.mark.parametrize("text", ["१८ mL", "18٫5 mL", "１８ mL"])
def test_a_quantity_is_written_in_the_figures_that_all_of_us_read(text: str) -> None:
    with pytest.raises(InputError, match=r"fill: .* write it with its unit"):
        quantity(text, "volume (nL)", "fill")


@pytest.mark.parametrize("text", ["999 ms", "31 d", "99999999999999999999999 d"])
def test_the_witnesses_are_read_from_once_a_second_to_once_in_30_days(text: str) -> None:
    with pytest.raises(InputError, match="--sample"):
        sample_span(text, "--sample")


def test_a_pump_that_is_just_being_started_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    link, opened = tmp_path / "pump", []
    master, slave = os.openpty()
    monkeypatch.setattr(page_commands, "APPEAR_S", 60.0)
    monkeypatch.setattr(page_commands, "SerialChannel", lambda url: opened.append(url) or os.fdopen(os.dup(slave)))
    later = threading.Timer(0.3, lambda: link.symlink_to(os.ttyname(slave)))
    later.start()
    page_commands._check_target(str(link), [str(link)])
    assert opened == [str(link)] and link.is_symlink()
    os.close(master)
    os.close(slave)
