"""A bench that labgrid lends out: coordinator and exporter on this machine, a place acquired, a suite run on it, released. SIMULATED.

Runs by `make labgrid-tests`, which makes the environment that labgrid wants for itself; DOSELOOP_LABGRID names the folder of its commands.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import pytest
from live_rig import PATIENCE_S, ROOT, process, wait_for

BIN = Path(os.environ.get("DOSELOOP_LABGRID", "") or "nowhere").absolute()
EXAMPLE = ROOT / "examples" / "labgrid"
TRIES = 5  # ports that were free may be taken a moment later

pytestmark = pytest.mark.skipif(
    not (BIN / "labgrid-client").exists(), reason="LABGRID: NOT RUN (make labgrid-tests installs labgrid in an environment of its own)"
)


@dataclass
class Lab:
    """A coordinator with an exporter, and people who come to it."""

    env: dict[str, str]

    def asked(self, user: str, *words: str) -> subprocess.CompletedProcess[str]:
        """A command of labgrid's environment, by one of them."""
        env = {**self.env, "LG_USERNAME": user, "LG_HOSTNAME": "lab"}
        command = [str(BIN / words[0]), *words[1:]]
        return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=PATIENCE_S, check=False)

    def client(self, user: str, *words: str) -> str:
        done = self.asked(user, "labgrid-client", "-p", "bench7", *words)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def suite(self, user: str, where: Path, env: Path, *words: str) -> subprocess.CompletedProcess[str]:
        return self.asked(user, "python", "-m", "pytest", str(where), "--lg-env", str(env), "-p", "no:cacheprovider", *words)


@contextmanager
def running(log: Path, until: str, *command: str, env: dict[str, str], cwd: Path) -> Iterator[bool]:
    """A process of labgrid's environment, once it has said that it is ready; False if it ended instead."""
    words = [str(BIN / command[0]), *command[1:]]
    with log.open("wb") as said, subprocess.Popen(words, cwd=cwd, env=env, stdout=said, stderr=said) as started:
        try:
            wait_for(lambda: started.poll() is not None or until in log.read_text("utf-8", "replace"), f"{command[0]}: {until}")
            yield started.poll() is None
        finally:
            started.terminate()


@contextmanager
def lab(folder: Path, exporter: Path, **given: str) -> Iterator[Lab]:
    """Loopback only, on ports that are free."""
    with ExitStack() as things:
        folder = folder / "coordinator"  # it keeps its places there
        folder.mkdir()
        for _ in range(TRIES):
            address = f"127.0.0.1:{_free_port()}"
            env = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", "LG_COORDINATOR": address, **given}
            started = running(folder / "coordinator.log", "listening on", "labgrid-coordinator", "-l", address, env=env, cwd=folder)
            if things.enter_context(started):
                break
        words = ("labgrid-exporter", "--name", "shelf", "--hostname", "127.0.0.1", str(exporter))
        log = folder / "exporter.log"
        assert things.enter_context(running(log, "Exporter ready", *words, env=env, cwd=folder)), log.read_text("utf-8")
        made = Lab(env)
        wait_for(lambda: made.client("anna", "resources").count("bench7") >= 2, "both resources are known")
        made.client("anna", "create")
        yield made


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@contextmanager
def served(folder: Path) -> Iterator[dict[str, str]]:
    """A simulated bench, by every way to it."""
    words = ("serve", "--tcp", "0", "--balance-tcp", "0", "--out", str(folder / "pump"))
    with process(*words, until=r"is on [^\s,]+") as (running, path):
        text = "".join(running.stdout.readline() for _ in range(4))
        urls = dict(re.findall(r"(pump|balance): (rfc2217://\S+)", text))
        balance = re.search(r"balance: (/dev/\S+)", text)[1]
        yield {"PUMP_URL": urls["pump"], "BALANCE_URL": urls["balance"], "PUMP": path.removeprefix("is on "), "BALANCE": balance}


def passed(junit: Path) -> int:
    suites = ElementTree.parse(junit).getroot().iter("testsuite")
    return sum(int(one.get("tests")) - sum(int(one.get(kind)) for kind in ("failures", "errors", "skipped")) for one in suites)


def environment(name: str, folder: Path) -> Path:
    """One of the example's, with the reports in a folder of this test."""
    text = (EXAMPLE / name).read_text("utf-8")
    given = text.replace("DosingPumpDriver: {}", "DosingPumpDriver:").replace(
        "DosingPumpDriver:", f"DosingPumpDriver:\n        reports: {folder / 'reports'}"
    )
    assert given.count("reports:") == 1 + text.count("reports:")
    path = folder / name
    path.write_text(given)
    return path


def of_scenario(folder: Path) -> tuple[str, str]:
    found = json.loads((folder / "reports" / "five-seconds" / "result.json").read_text("utf-8"))
    return found["verdict"], found["evidence"]


def test_a_place_is_acquired_a_suite_runs_on_it_and_it_is_released(tmp_path: Path) -> None:
    junit = tmp_path / "suite.xml"
    with served(tmp_path) as urls, lab(tmp_path, EXAMPLE / "exporter.yaml", **urls) as place:
        env = environment("env.yaml", tmp_path)
        place.client("anna", "add-match", "*/bench7/*")
        early = place.suite("anna", EXAMPLE, env)
        assert early.returncode and "place bench7 is not acquired" in early.stdout + early.stderr
        place.client("anna", "acquire")
        other = place.asked("ben", "labgrid-client", "-p", "bench7", "acquire")
        assert other.returncode and "already acquired by lab/anna" in other.stdout + other.stderr
        done = place.suite("anna", EXAMPLE, env, "--junitxml", str(junit))
        assert done.returncode == 0, done.stdout + done.stderr
        assert passed(junit) == 3 and of_scenario(tmp_path) == ("passed", "SIMULATED")
        place.client("anna", "release")
        place.client("ben", "acquire")
        assert "acquired: lab/ben" in place.client("anna", "show")


EXPORTED_PORTS = """
bench7:
  pump:
    cls: RawSerialPort
    port: "{{ env['PUMP'] }}"
  balance:
    cls: RawSerialPort
    port: "{{ env['BALANCE'] }}"
    speed: 9600
"""


@pytest.mark.skipif(
    not (shutil.which("ser2net") or Path("/usr/sbin/ser2net").exists()),
    reason="LABGRID OVER SER2NET: NOT RUN, there is no ser2net (apt-get install ser2net)",
)
def test_serial_ports_that_labgrid_exports_itself_serve_as_well(tmp_path: Path) -> None:
    exporter = tmp_path / "exporter.yaml"
    exporter.write_text(EXPORTED_PORTS)
    junit = tmp_path / "suite.xml"
    with served(tmp_path) as paths, lab(tmp_path, exporter, **paths) as place:
        for name in ("pump", "balance"):
            place.client("anna", "add-named-match", f"shelf/bench7/NetworkSerialPort/{name}", name)
        place.client("anna", "acquire")
        done = place.suite("anna", EXAMPLE, environment("env-serial.yaml", tmp_path), "--junitxml", str(junit))
        assert done.returncode == 0, done.stdout + done.stderr
        assert passed(junit) == 3 and of_scenario(tmp_path) == ("passed", "SIMULATED")


DRIVERS = """
import pytest
from hil.channel import open_serial
from hil.errors import BenchError, LinkError, Refused
from labgrid.binding import StateError


@pytest.fixture
def pump(target):
    return target.get_driver("DosingPumpDriver", activate=False)


def test_the_session_is_ours_until_another_host_says_hello_and_again_after_ours(target, pump):
    target.activate(pump)
    assert pump.evidence == "SIMULATED" and pump.identity()["maker"] == "doseloop"
    first = pump.bench.link.session.sess
    assert pump.hello().sess != first
    pump.command("TIME", {"set": f"{int(pump.bench.link.unix_s())}s", "offset": "60min"})
    with pytest.raises(Refused, match="PROG:COMMIT"):
        pump.command("PROG:COMMIT", {"hash": "0" * 16})


def test_a_driver_that_is_not_active_says_so_and_its_line_is_free(target, pump):
    target.activate(pump)
    with pytest.raises(LinkError, match="close the program that has this line"):
        open_serial(pump.config.target)
    target.deactivate(pump)
    with pytest.raises(StateError, match="has not been activated"):
        pump.stat()
    open_serial(pump.config.target).close()
    target.activate(pump)
    assert pump.stat()["state"] == "idle" and pump.stat("supplies")["fluid"]


def test_a_story_that_needs_virtual_time_is_refused_and_the_session_is_kept(target, pump):
    target.activate(pump)
    session = pump.bench.link.session
    with pytest.raises(BenchError, match="motor-stalls.*virtual time"):
        pump.run_scenario("motor-stalls")
    assert pump.bench.link.session is session and pump.stat()


def test_another_build_than_the_one_to_be_tested_is_refused(target, pump):
    target.deactivate(pump)
    pump.firmware = "0" * 16
    with pytest.raises(BenchError, match="runs firmware .* and 0000000000000000 is to be tested"):
        target.activate(pump)


def test_the_balance_is_asked_tared_and_zeroed(target):
    balance = target.get_driver("BalanceDriver")
    assert balance.identify().serial_number == "D000000001"
    balance.zero()
    assert abs(balance.tare()) < 0.01 and abs(balance.read(stable=True).mass_g) < 0.01
"""


def test_the_drivers_keep_their_word(tmp_path: Path) -> None:
    (tmp_path / "test_drivers.py").write_text(DRIVERS)
    with served(tmp_path) as urls, lab(tmp_path, EXAMPLE / "exporter.yaml", **urls) as place:
        env = environment("env.yaml", tmp_path)
        place.client("anna", "add-match", "*/bench7/*")
        place.client("anna", "acquire")
        done = place.suite("anna", tmp_path / "test_drivers.py", env, "-c", str(ROOT / "pyproject.toml"))
        assert done.returncode == 0, done.stdout + done.stderr


def test_a_pump_that_is_not_there_is_a_sentence_and_the_place_can_be_given_back(tmp_path: Path) -> None:
    urls = {"PUMP_URL": f"rfc2217://127.0.0.1:{_free_port()}", "BALANCE_URL": "rfc2217://127.0.0.1"}
    with lab(tmp_path, EXAMPLE / "exporter.yaml", **urls) as place:
        env = environment("env.yaml", tmp_path)
        place.client("anna", "add-match", "*/bench7/*")
        place.client("anna", "acquire")
        done = place.suite("anna", EXAMPLE, env)
        assert done.returncode == 1 and "nobody listens there: start what serves the line" in done.stdout
        place.client("anna", "release")
