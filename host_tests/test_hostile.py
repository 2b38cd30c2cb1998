"""The siege of tools/hostile: what it counts as due, that a small one passes, and that it finds bugs planted in a copy of the firmware."""

import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wire_rig import Pump

from doseloop.commands import VERBS
from hil.errors import BenchError, TargetError
from hil.frames import crc_text, seal
from hil.scenario import find_scenario, load_scenario
from hil.targets.process import find_micropython
from tools.hostile.due import LineReader, are_answered
from tools.hostile.lines import Heard, Lines, load_traffic, made_by_hypothesis
from tools.hostile.siege import BESIEGED, Siege

ROOT = Path(__file__).resolve().parents[1]
PIECES = (
    b"\r", b"\n", b"\r\n", b">", b"STAT?", b"stop", b" ", b"\x08", b"\x7f\x7f", b"\x03\x04\x01", b"A" * 300, b"\xff",
    seal(">0001 STAT?"), seal(">0003 STOP"),
)  # fmt: skip


@given(st.lists(st.one_of(st.sampled_from(PIECES), st.binary(max_size=20)), max_size=20))
def test_what_is_due_and_whether_it_stops_agrees_with_the_firmwares_wire(pieces):
    pump = Pump()
    data = b"".join(pieces)
    due = LineReader().feed(data)
    heard = "".join("F" if line.startswith(b"<") else "T" for line in pump.feed(data).split(b"\r\n")[:-1])
    assert are_answered(due.answers, heard)
    assert due.stops == ("STOP" in pump.verbs())


@given(st.lists(st.one_of(st.sampled_from(PIECES), st.binary(max_size=20)), max_size=12))
def test_it_is_the_same_however_the_bytes_are_cut(pieces):
    whole, cut = LineReader(), LineReader()
    parts = [cut.feed(piece) for piece in pieces]
    due = whole.feed(b"".join(pieces))
    assert due.answers == "".join(part.answers for part in parts) and due.stops == any(part.stops for part in parts)
    assert (whole.kept, whole.over) == (cut.kept, cut.over)


def test_the_recorded_traffic_has_every_verb_that_scenarios_use_and_none_that_is_gone():
    verbs = {line.split()[1].decode() for line in load_traffic()}
    assert verbs <= VERBS.keys()
    assert len(verbs) >= 25


def test_lines_come_again_with_their_seed_and_every_kind_comes():
    def some(seed):
        heard = Heard(authentic=[seal(">0002 ALAR:MUTE sess=0123abcd mac=0000000000000000")])
        lines = Lines(seed, heard, [("STAT?", ["part?"]), ("RUN", ["id", "at", "ttl"])], [b"x"])
        return [lines.next() for _ in range(500)], lines.made

    assert some(1) == some(1) and some(1)[0] != some(2)[0]
    assert min(some(1)[1].values()) > 0


# ---- whole firmware


@pytest.fixture(scope="module")
def pool():
    return made_by_hypothesis(400, 1)


def seal_bytes(body):
    return body + b"*" + crc_text(body).encode() + b"\n"


def besiege(count, pool, script=BESIEGED, seed=1, lines=None):
    try:
        find_micropython()
    except TargetError as error:
        pytest.skip(str(error))
    siege = Siege(load_scenario(find_scenario("night-flex-spinal")), seed, script)
    try:
        return siege.run(count, lines or Lines(seed, siege.heard, siege.verbs(), pool), lambda done: None)
    finally:
        siege.close()


@pytest.mark.slow
@pytest.mark.req("R-OVD-1")
def test_the_running_firmware_holds_out(pool):
    totals = besiege(1600, pool)
    assert (totals.lines, totals.rounds, totals.resets, totals.strange_steps) == (1600, 8, 0, 0)
    assert totals.answers == totals.due > 1000


HARD = (
    b"\x03", b"\x04", b"\x01", b"\x03\x04\x01" * 30, b"A" * 8192 + b"\n", b">" + b"B" * 8192 + b"\r", b"\x00" * 300 + b"\n", b"\r" * 3000,
    seal(">0001 STAT?") + seal(">0002 *IDN?"), seal(">0001 STAT?")[:-1] + seal(">0002 *IDN?"), "µg → é 漢字\n".encode(),
    seal_bytes(">0001 STAT? part=é".encode()), b"\xff\xfe\xfd\n", b">" * 2000 + b"\n", b">0001 STAT? part=\n",
    b'*IDN? x="\r', b"\n\r\n\r" * 200,
    b">9999 " + b"A" * 505 + b"\n", b"STAT?" + b"\x08" * 600 + b"\r", b'>0001 STAT? "' + b"=" * 400 + b"\n",
)  # fmt: skip


class Fixed:
    """Lines that are always the same."""

    def __init__(self, lines):
        self._lines, self._next = lines, 0

    def next(self):
        self._next += 1
        return self._lines[(self._next - 1) % len(self._lines)]


@pytest.mark.slow
def test_the_running_firmware_holds_out_what_lines_carry_at_their_worst():
    """And, as after every siege, a rightful frame that comes in pieces over a minute."""
    totals = besiege(20 * len(HARD), None, lines=Fixed(HARD))
    assert (totals.resets, totals.strange_steps) == (0, 0)
    assert totals.answers == totals.due > 10 * len(HARD)


PLANTED = {
    "a question that leaks a step": (
        "status.py", "def answer_error(pump, fields, request):\n", "    pump.hal.put(1, 0, 1000)\n", "steps were ordered"),
    "a damaged frame is kept for good": (
        "wire.py", "        self.frame_errors += 1\n", "        _kept.append(text * 2)\n", "heap"),
    "a parser that stumbles over an empty value": (
        "frame.py", '    """(value, position after it); a text in quotes comes without them."""\n', "    text[start]\n",
        "restarted|no answer"),
    "a code that is not looked at": (
        "auth.py", '        signed = line[: line.rfind(b" mac=")]\n', "        return\n", "state changed"),
    "a frame that gets no answer": (
        "wire.py", "        except frame.WireError as error:\n", "            if len(line) > 200:\n                return\n", "answers"),
    "a question that changes what is told": (
        "status.py", "def answer_self_test(pump, fields, request):\n", "    pump.ledger.uncertain_nl += 1\n", "state changed"),
    "a STOP that is written each time it is said": (
        "pump.py", "        news = self.run or self.delivering or cut\n", "        news = True\n", "files were written .* STOPs"),
    "a STOP that floods the log": (
        "commands.py", '        self._stops = self._stops + 1 if verb == "STOP" else 0\n', "        return True\n",
        "records .* by .* STOPs"),
    "a second STOP that makes a step": (
        "pump.py", "        cut = self.deliveries.current\n        now = self.settle()\n",
        "        if not self.run:\n            self.hal.put(1, 0, 1000)\n", "steps were ordered|made 1 steps"),  # as the second comes
    "noise that wears the flash": (
        "wire.py", "        self.frame_errors += 1\n", '        self._gate._log(text)\n', "flash"),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", PLANTED)
def test_the_siege_finds(name, tmp_path, pool):
    file, before, bug, words = PLANTED[name]
    for folder in ("firmware", "boards/unix", "tools/micropython"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    path = tmp_path / "firmware" / "doseloop" / file
    text = path.read_text("utf-8")
    assert before in text
    text = text.replace(before, before + bug, 1)
    path.write_text(text + "\n_kept = []\n", "utf-8")
    with pytest.raises(BenchError, match=words):
        besiege(4000, pool, tmp_path / "tools" / "micropython" / "besieged.py")
