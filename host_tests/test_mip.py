"""package.json as mip reads it: served over HTTP, installed by mpremote's own code, run by a real MicroPython from where it was put."""

import functools
import http.server
import importlib.util
import json
import shutil
import threading
from pathlib import Path

import pytest

if importlib.util.find_spec("mpremote") is None:
    pytest.skip("NOT TESTED: mpremote is not installed: `make contract` installs it", allow_module_level=True)

from mpremote import mip

from hil.errors import TargetError
from hil.link import Link
from hil.pump import Pump
from hil.targets.process import find_micropython
from hil.targets.unix import UnixTarget
from tools import equal

ROOT = Path(__file__).resolve().parents[1]
SHARE = 50  # one in so many of a section's cases


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


class Folder:
    """In a board's place: what mip asks of it, done in a folder."""

    def __init__(self, root):
        self.root = root

    def fs_exists(self, path):
        return (self.root / path.lstrip("/")).exists()

    def fs_mkdir(self, path):
        (self.root / path.lstrip("/")).mkdir()

    def fs_writefile(self, path, data, progress_callback=None):
        (self.root / path.lstrip("/")).write_bytes(data)


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """/lib of a board onto which `mpremote mip install http://.../package.json` has installed."""
    root = tmp_path_factory.mktemp("board")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(ROOT))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_address[1]}/package.json"
        mip._install_package(Folder(root), address, mip._PACKAGE_INDEX, "/lib", None, True)
        server.shutdown()
    return root / "lib"


def test_every_file_of_the_list_arrives_and_nothing_else(installed):
    listed = dict(json.loads((ROOT / "package.json").read_text("utf-8"))["urls"])
    arrived = {path.relative_to(installed).as_posix(): path.read_bytes() for path in installed.rglob("*") if path.is_file()}
    assert arrived == {target: (ROOT / source).read_bytes() for target, source in listed.items()}


@pytest.mark.parametrize("section", ["wire", "account", "deliveries"])
def test_what_was_installed_answers_as_the_source_does(installed, section):
    text = equal.script(section, equal.SECTIONS[section] // SHARE)
    here, there = equal.ask_cpython(text), equal.answers(micropython(), text, installed)
    assert (here.count, here.digest) == (there.count, there.digest)


def test_what_was_installed_starts_by_its_one_line_and_is_the_pump(installed, tmp_path):
    """As the README says: the board's data is copied by hand, and main.py imports doseloop_start. Here the board is the unix port."""
    micropython()
    lib, main = tmp_path / "lib", tmp_path / "main.py"
    shutil.copytree(installed, lib)
    shutil.copy(ROOT / "firmware" / "hal_unix.py", lib)
    shutil.copytree(ROOT / "boards" / "unix", tmp_path / "boards" / "unix")
    main.write_text(f"import sys\nsys.path.insert(0, {str(lib)!r})\nimport doseloop_start\n", "utf-8")
    target = UnixTarget(work=tmp_path / "work", script=main)
    target.start()
    try:
        pump = Pump(Link(target.channel(), wall=target.unix_s, clock=target.clock_s), target.unix_s)
        pump.open()
        assert pump.link.ask("*IDN?")["maker"] == "doseloop"
        assert pump.link.ask("STAT?")["state"] == "idle"
    finally:
        target.close()


def micropython():
    try:
        find_micropython()
    except TargetError as error:
        pytest.skip(f"NOT TESTED on MicroPython: {error}")
    return equal.micropython()
