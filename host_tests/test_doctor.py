"""The doctor: what is here, what is missing, who is on a port, and the next step for each."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import threading
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hil.doctor import command, ports, software
from hil.doctor.finding import NOTE, OK, WRONG, lines
from hil.instruments import SimulatedBalance
from hil.plant import Rig, RigConfig

ROOT = Path(__file__).resolve().parents[1]
IDENTITY = "maker=doseloop fw=0.1.0 board=pico uid=e660 hash={hash} git=0123456789ab"
HERE = {"pico": "00112233aabbccdd"}


@contextmanager
def pty_fake(answer: Callable[[bytes], bytes]) -> Iterator[tuple[str, bytearray]]:
    """A port on which somebody answers lines; what was written to it is kept."""
    master, slave = pty.openpty()
    tty.setraw(slave)
    heard = bytearray()

    def talk() -> None:
        rest = b""
        while True:
            try:
                piece = os.read(master, 4096)
            except OSError:
                return
            heard.extend(piece)
            *whole, rest = (rest + piece).split(b"\r")
            for line in whole:
                os.write(master, answer(line.strip()))

    threading.Thread(target=talk, daemon=True).start()
    try:
        yield os.ttyname(slave), heard
    finally:
        os.close(slave)
        os.close(master)


def pump(digest: str) -> Callable[[bytes], bytes]:
    return lambda line: IDENTITY.format(hash=digest).encode() + b"\r\n" if line == b"*IDN?" else b"VERB: no such verb\r\n"


def silent(line: bytes) -> bytes:
    return b""


@pytest.fixture(autouse=True)
def short_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """What nobody will answer need not be waited for."""
    monkeypatch.setattr(ports, "BALANCE_S", 0.3)


def test_a_pump_of_this_checkout_is_found_by_one_typed_question_that_opens_no_session() -> None:
    with pty_fake(pump(HERE["pico"])) as (path, heard):
        found = ports.one_port(path, False, True, HERE)
        assert (found.state, found.next) == (OK, f"python -m hil watch --target {path}")
        assert "doseloop 0.1.0 on pico" in found.seen and "of this checkout" in found.seen
        assert bytes(heard).replace(b"*IDN?\r", b"") == b""


def test_a_pump_with_another_firmware_is_told_how_to_get_this_one() -> None:
    with pty_fake(pump("ffff000011112222")) as (path, _):
        found = ports.one_port(path, False, False, HERE)
    assert found.state == NOTE and found.next == f"make flash BOARD=pico PORT={path}" and HERE["pico"] in found.seen


def test_nothing_but_the_question_for_a_pump_is_written_without_consent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hil.live.typed.WAIT_S", 0.2)
    with pty_fake(silent) as (path, heard):
        found = ports.one_port(path, False, False, HERE)
        assert found.state == NOTE and "--probe-balances" in found.next
        assert set(bytes(heard).split(b"\r")) == {b"*IDN?", b""}


def test_a_balance_is_found_when_a_person_agreed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hil.live.typed.WAIT_S", 0.2)
    monkeypatch.setattr(ports, "BALANCE_S", 30.0)
    with SimulatedBalance(Rig(RigConfig()).load) as balance:
        found = ports.one_port(balance.path, True, True, HERE)
        assert found.state == OK and "SIM220" in found.seen and found.next == f"python -m hil balance {balance.path}"


def test_a_port_that_a_person_named_must_answer_and_one_that_was_found_need_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hil.live.typed.WAIT_S", 0.1)
    with pty_fake(silent) as (path, _):
        named, found = ports.ports([path], True, HERE), ports.ports([], True, HERE, lambda: [path])
        assert [next(named).state, next(found).state] == [WRONG, NOTE]
    assert next(ports.ports(["/dev/not-there"], False, HERE)).state == WRONG


def test_a_port_that_this_user_may_not_open_is_told_the_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    port = tmp_path / "ttyACM0"
    port.touch()
    monkeypatch.setattr(os, "access", lambda *_: False)
    found = ports.one_port(str(port), False, False, HERE)
    assert found.seen == "not permitted" and found.next.startswith(f"sudo usermod -aG {port.group()} ")


def test_no_port_at_all_leads_to_the_simulated_pump() -> None:
    found = next(ports.ports([], False, HERE, list))
    assert found.state == NOTE and "hil serve" in found.next


# ---- software


def project(folder: Path, bench: str) -> Path:
    path = folder / "pyproject.toml"
    others = "\n".join(f"{extra} = []" for extra in software.EXTRAS if extra != "bench")
    path.write_text(f'[project]\ndependencies = ["pyserial==3.5"]\n[project.optional-dependencies]\nbench = [{bench}]\n{others}\n')
    return path


def state_of_bench(path: Path) -> tuple[str, str, str]:
    found = next(found for found in software.packages(path) if found.what == "packages [bench]")
    return found.state, found.seen, found.next


def test_a_package_that_the_bench_needs_and_lacks_is_named_with_the_command(tmp_path: Path) -> None:
    state, seen, remedy = state_of_bench(project(tmp_path, '"no-such-package==1.0"'))
    assert state == WRONG and "no-such-package" in seen and remedy == f"{sys.executable} -m pip install -e '.[bench]'"


def test_a_version_that_was_not_tried_is_noted_and_no_fault(tmp_path: Path) -> None:
    state, seen, _ = state_of_bench(project(tmp_path, '"pyserial==9.9"'))
    assert state == NOTE and "pyserial 3.5 (tried: 9.9)" in seen


def test_a_package_for_another_machine_is_not_asked_for(tmp_path: Path) -> None:
    assert state_of_bench(project(tmp_path, "\"no-such-package==1.0; sys_platform == 'amiga'\""))[0] == OK


def test_an_old_python_and_a_missing_micropython_are_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    assert software.python((3, 9, 1)).state == WRONG and software.python((3, 10, 0)).state == OK
    monkeypatch.setenv("MICROPYTHON", "/no/such/micropython")
    assert software.micropython().state == WRONG


def test_the_hash_of_this_checkouts_unix_firmware_is_what_the_unix_port_says_of_itself() -> None:
    from hil.targets.process import find_micropython

    code = "import hal_unix\nfor h in hal_unix._hash_folder(hal_unix._FOLDER): pass\nprint(h)"
    path = {"MICROPYPATH": str(ROOT / "firmware")}
    done = subprocess.run([find_micropython(), "-c", code], env=path, capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout.strip() == software.checkout()["unix"], done.stderr


def test_an_image_is_of_this_checkout_or_says_that_it_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(software, "REPO", tmp_path)
    assert software.image("pico", HERE).seen == "not built"
    folder = tmp_path / "build" / "pico"
    folder.mkdir(parents=True)
    for name, digest, content in (("image-a", HERE["pico"], b"new"), ("image-b", "old", b"old")):
        (folder / f"{name}.uf2").write_bytes(content)
        (folder / f"{name}.json").write_text(f'{{"hash": "{digest}"}}')
    (folder / "firmware.uf2").write_bytes(b"new")
    assert software.image("pico", HERE).state == OK
    (folder / "firmware.uf2").write_bytes(b"old")
    found = software.image("pico", HERE)
    assert found.state == NOTE and "make image BOARD=pico" in found.next


# ---- the command


def run(*words: str) -> subprocess.CompletedProcess[str]:
    command_line = [sys.executable, "-m", "hil", "doctor", *words]
    return subprocess.run(command_line, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)


def test_the_command_ends_with_0_on_a_usable_bench_and_with_2_when_a_named_port_does_not_answer() -> None:
    done = run("--no-ports")
    assert done.returncode == 0 and done.stdout.splitlines()[-1].startswith("usable; next: make bench"), done.stdout + done.stderr
    done = run("--port", "/dev/not-there")
    assert done.returncode == 2 and done.stdout.splitlines()[-1] == "NOT USABLE yet: /dev/not-there" and not done.stderr


def test_it_runs_where_the_benchs_packages_are_missing() -> None:
    code = (
        "import sys\nfor name in ('tqdm', 'numpy', 'serial', 'matplotlib', 'jinja2'): sys.modules[name] = None\n"
        "sys.argv = ['hil', 'doctor']\nfrom hil.__main__ import main\nsys.exit(main())"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 2 and "serial is not installed" in done.stdout and "Traceback" not in done.stderr


def test_every_line_that_is_not_ok_carries_its_next_step() -> None:
    text = list(lines([ports.one_port("/dev/not-there", True, False, HERE)]))
    assert text[0].startswith(WRONG) and command.UNUSABLE == 2
