"""Key files, `python -m hil key`, and the keys of a pump as people meet them: on the command line, in a report, at flashing."""

from __future__ import annotations

import json
import re
import stat
import subprocess
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from flash_rig import LfsBoard, formatted
from pump_rig import PumpRig, flat
from test_bench_end_to_end import ROOT, written

from hil import auth, cli, keys
from hil.errors import BenchError, InputError, Refused, TargetError
from hil.report import page
from hil.result import Result
from hil.targets.process import find_micropython
from tools import flash
from tools.flashing import FlashError
from tools.flashing.device import Device
from tools.flashing.keys import FAMILIES, PUT, SAME, put_keys
from tools.flashing.kinds import KINDS
from tools.flashing.payload import pack

A, B = "a" * 64, "b" * 64


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(keys.ENVIRONMENT, raising=False)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "mine.toml"
    keys.make_key_file(path)
    return path


# ---- files


def test_a_key_file_is_made_for_its_owner_alone_and_never_over_another(file: Path) -> None:
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    made = keys.load_keys(file)
    assert made.keys() == set(auth.ROLES) and {len(key) for key in made.values()} == {32} and len(set(made.values())) == 2
    before = file.read_bytes()
    with pytest.raises(BenchError, match="never overwritten"):
        keys.make_key_file(file)
    assert file.read_bytes() == before


def test_no_two_files_have_the_same_keys(tmp_path: Path) -> None:
    for number in range(3):
        keys.make_key_file(tmp_path / f"{number}.toml")
    assert len({key for number in range(3) for key in keys.load_keys(tmp_path / f"{number}.toml").values()}) == 6


def test_a_key_file_that_others_can_read_is_refused_with_the_command_that_mends_it(file: Path) -> None:
    file.chmod(0o644)
    with pytest.raises(InputError, match="chmod 600"):
        keys.load_keys(file)


@pytest.mark.parametrize(
    "text, words",
    [
        ('operator = "00"\nservice = "11"', "64 hex digits"),
        (f'operator = 7\nservice = "{A}"', "64 hex digits"),
        (f'operator = "{A}"', "two lines"),
        (f'operator = "{A}"\nservice = "{B}"\nking = "x"', "two lines"),
        (f'operator = "{A}"\nservice = "{A.upper()}"', "the same key"),
        (f'operator = "{"a " * 32}"\nservice = "{B}"', "64 hex digits"),
        ("no toml", "two lines"),
    ],
)
def test_what_is_no_key_file_is_named_with_its_form_and_never_with_what_it_holds(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "keys.toml"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(InputError, match=words) as error:
        keys.load_keys(path)
    assert "aaaaaaaa" not in str(error.value)


def test_the_environment_names_the_file_where_no_option_does(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert keys.find_keys(None) is None
    monkeypatch.setenv(keys.ENVIRONMENT, str(file))
    assert keys.find_keys(None) == keys.load_keys(file)
    other = tmp_path / "other.toml"
    keys.make_key_file(other)
    assert keys.find_keys(other) == keys.load_keys(other)
    monkeypatch.setenv(keys.ENVIRONMENT, str(tmp_path / "gone.toml"))
    with pytest.raises(InputError, match="no such file"):
        keys.find_keys(None)


# ---- a pump's answers to a wrong key, with the way on


def refusal(rig: PumpRig, some: dict[str, bytes]) -> str:
    rig.link.use_keys(some)
    rig.link.hello()
    with pytest.raises(Refused) as refused:
        rig.link.open_role("operator")
    return str(refused.value)


def test_a_wrong_key_is_refused_with_the_way_on(file: Path) -> None:
    own = keys.load_keys(file)
    rig = PumpRig()
    assert "the default keys are in force" in refusal(rig, own)
    rig.link.use_keys(auth.default_keys())
    rig.link.hello()
    keys.provision(rig.link, own)
    assert "--key-file" in refusal(rig, auth.default_keys())
    assert "these are not its keys" in refusal(rig, {role: bytes(32) for role in auth.ROLES})


# ---- the command line, on a served pump


def needs_micropython() -> None:
    try:
        find_micropython()
    except TargetError as error:
        pytest.skip(str(error))


@pytest.fixture
def served(request: pytest.FixtureRequest) -> Iterator[str]:
    """The serial path of `hil serve`, with the options of the test."""
    needs_micropython()
    more = getattr(request, "param", [])
    command = [sys.executable, "-m", "hil", "serve", *more]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            assert process.stdout is not None
            said = ""
            for line in process.stdout:
                said += line
                if found := re.search(r"/dev/[\w./-]*\w", line):
                    yield found.group()
                    break
            else:
                raise AssertionError(said)
        finally:
            process.terminate()


@dataclass
class Said:
    """What a command of `python -m hil` printed, and its exit code."""

    code: int
    out: str
    err: str


@pytest.fixture
def hil(capsys: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    def run(*args: str | Path) -> Said:
        code = cli.main([str(arg) for arg in args])
        return Said(code, *capsys.readouterr())

    return run


@pytest.mark.slow
def test_keys_are_made_given_checked_and_replaced_from_the_command_line(
    served: str, tmp_path: Path, hil: Callable[..., Said]
) -> None:
    mine, next_ = tmp_path / "mine.toml", tmp_path / "next.toml"
    for path in (mine, next_):
        made = hil("key", "make", path)
        assert made.code == 0 and "keep a copy" in made.out
        assert not re.search(r"[0-9a-f]{8}", made.out.replace(str(path), ""))
    before = hil("key", "check", mine, "--target", served)
    assert (before.code, "key=default" in before.out, "opens no role" in before.out) == (1, True, True)
    given = hil("key", "set", mine, "--target", served)
    assert given.code == 0, given
    assert hil("key", "check", mine, "--target", served).code == 0
    wrong = hil("key", "set", next_, "--target", served)
    assert wrong.code == 2 and "--key-file" in wrong.err
    assert hil("key", "set", next_, "--key-file", mine, "--target", served).code == 0
    after = hil("key", "check", next_, "--target", served)
    assert after.code == 0 and "key=own" in after.out and "operator and service" in after.out
    assert hil("key", "check", mine, "--target", served).code == 1
    assert hil("key", "check", next_, "--target", served).code == 0, "a right code forgets the wrong ones"
    shut = hil("program", "send", "night-flex-spinal", "--target", served, "--out", tmp_path)
    assert shut.code == 2 and "--key-file" in shut.err
    sent = hil("program", "check", "night-flex-spinal", "--target", served, "--key-file", next_, "--out", tmp_path)
    assert sent.code in (0, 1) and "program:" in sent.out and "default key" not in sent.out
    kept = (tmp_path / "night-flex-spinal.serial.log").read_text()
    assert not any(key.hex()[at : at + 8] in kept.lower() for key in keys.load_keys(next_).values() for at in range(57))


@pytest.mark.slow
def test_a_run_says_which_key_was_in_force(tmp_path: Path, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    needs_micropython()
    story = written(tmp_path, "30 min")
    for number, (more, word) in enumerate((([], "default"), (["--key-file", str(file)], "own"))):
        out = tmp_path / str(number)
        assert cli.main(["run", story, "--out", str(out), "--quiet", *more]) == 0
        assert json.loads((out / "result.json").read_text())["key"] == word
        assert ("Default key." in (out / "report.html").read_text()) == (word == "default")
        assert ("DEFAULT key" in capsys.readouterr().out) == (word == "default")
    log = (tmp_path / "1" / "serial.log").read_text().lower()
    assert "key:set" in log
    assert not any(key.hex()[at : at + 8] in log for key in keys.load_keys(file).values() for at in range(57))


def test_the_report_of_a_pump_with_the_default_key_says_so() -> None:
    found = Result("x", "x", "x", "unix", "SIMULATED", 1)
    found.key = "default"
    assert "Default key." in page(found)
    found.key = "own"
    assert "Default key." not in page(found)


# ---- at flashing


HAL = b"""
import os
from doseloop.store import FileStore

class Hal:
    def __init__(self):
        raise SystemExit("a pin was touched")

    def open_store(self):
        try:
            os.mkdir(self.board["journal_folder"])
        except OSError:
            pass
        return FileStore(self.board["journal_folder"])
"""


class Sources:
    """The firmware as it lies here, as files of a board whose prompt is the unix port on a littlefs."""

    def __init__(self) -> None:
        board = (ROOT / "boards" / "pico" / "board.py").read_bytes()
        names = ("__init__", "journal", "store", "units")
        files = {f"doseloop/{name}.py": (ROOT / "firmware" / "doseloop" / f"{name}.py").read_bytes() for name in names}
        self.payload = pack({"board.py": board, "hal_fake.py": HAL, **files}, "0" * 16)


@pytest.fixture
def board(tmp_path: Path) -> Iterator[tuple[Device, Sources, Path]]:
    needs_micropython()
    image = formatted(tmp_path / "flash.img")
    with LfsBoard(image) as prompt:
        device, sources = Device(prompt), Sources()
        for name, data in sources.payload.files.items():
            device.write(f"{sources.payload.folder}/{name}", data)
        yield device, sources, image


def test_keys_are_put_into_the_journal_at_flashing_and_never_over_others(board: tuple[Device, Sources, Path], file: Path) -> None:
    device, sources, _ = board
    own = keys.load_keys(file)
    assert put_keys(device, sources.payload, own, "hal_fake") == PUT
    assert put_keys(device, sources.payload, own, "hal_fake") == SAME
    with pytest.raises(FlashError, match=r"other keys.*\n?.*key set"):
        put_keys(device, sources.payload, {role: bytes(32) for role in auth.ROLES}, "hal_fake")
    stored = device.ask("open('/journal/keys.a', 'rb').read()")
    assert own["operator"] + own["service"] in stored


def test_the_firmware_takes_the_keys_that_flashing_put(board: tuple[Device, Sources, Path], file: Path) -> None:
    device, sources, _ = board
    own = keys.load_keys(file)
    put_keys(device, sources.payload, own, "hal_fake")
    rig = PumpRig()
    for end in ("a", "b"):
        rig.store.files[f"keys.{end}"] = device.ask(f"open('/journal/keys.{end}', 'rb').read()")
    rig.cut_power()
    rig.link.use_keys(own)
    rig.take_over(flat(200_000)).run()
    assert rig.status()["key"] == "own"


def test_flashing_puts_the_keys_of_its_key_file_and_none_without_one(monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
    given: list[dict[str, bytes]] = []
    monkeypatch.setattr(flash, "Device", lambda prompt, root: Namespace(facts=lambda: Namespace(
        mpy=0, version=(1, 28), machine="x", frozen="ab", name="micropython")))  # fmt: skip
    monkeypatch.setattr(flash, "check_board", lambda *_: None)
    monkeypatch.setattr(flash, "compile_board", lambda *_: Namespace(content="ab", folder="/fw-0"))
    monkeypatch.setattr(flash, "put_keys", lambda device, payload, some, family: given.append(some) or PUT)
    prompt = Namespace(reset=lambda: None)
    flash.install(Namespace(board="pico", replace_main=False), prompt, keys.load_keys(file))  # type: ignore[arg-type]
    assert given == [keys.load_keys(file)]
    flash.install(Namespace(board="pico", replace_main=False), prompt, auth.default_keys())  # type: ignore[arg-type]
    assert len(given) == 1


def test_every_kind_of_board_that_can_be_flashed_has_a_hal_that_knows_where_its_journal_lies() -> None:
    for kind in KINDS.values():
        source = (ROOT / "firmware" / f"{FAMILIES[kind.platform]}.py").read_text("utf-8")
        assert "class Hal(BoardHal):" in source
    assert "def open_store(self):" in (ROOT / "firmware" / "hal_common.py").read_text("utf-8")
