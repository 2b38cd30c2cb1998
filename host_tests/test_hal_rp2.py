"""The rp2 hal over fakes: the timer that keeps watchdog and enable alive while a report counts, and the port's interrupt.

What its state machines do is in test_pio_cycles.py, cycle by cycle; the whole of it runs on an emulated Pico in contract/.
"""

import runpy
import sys
from pathlib import Path

import pytest
from fakes.rp2 import PINS_LOW, Rp2

sys.path.insert(0, str(Path(__file__).with_name("contract")))

from rigs import load

BOARD = runpy.run_path(str(Path(__file__).parents[1] / "boards" / "pico" / "board.py"))["BOARD"]
FILES = ("hal_common", "rp2_motion", "hal_rp2")
STEPPER, ENABLE = 0, 2
SECOND = 1_000_000
LATE = 20_000  # a soft interrupt may be


class Rig:
    def __init__(self, tmp_path):
        self.chip = Rp2(dict(BOARD, journal_folder=str(tmp_path / "journal")))
        self.chip.inputs[BOARD["port_pin"]] = 0
        self.module = load(FILES, self.chip)
        self.hal = self.module.Hal(self.chip.board, 1)
        self.zero = self.chip.us
        self.chip.told.clear()

    def hang_to(self, seconds):
        """Time passes, and the loop does nothing."""
        self.chip.run_to(self.zero + int(seconds * SECOND))

    def port(self, level):
        self.chip.apply(BOARD["port_pin"], level)
        self.chip.run_to(self.chip.us + 100)


@pytest.fixture
def rig(tmp_path):
    return Rig(tmp_path)


def test_the_watchdog_is_fed_by_a_timer_while_the_loops_report_counts_and_no_longer(rig):
    rig.hal.watchdog(12_000)
    rig.hang_to(11.9)
    timeout_ms, fed = rig.chip.wdt
    assert timeout_ms == BOARD["watchdog_ms"] and 11.3 * SECOND <= fed - rig.zero <= 11.9 * SECOND
    rig.hang_to(12 + timeout_ms / 1000 - 0.7)
    assert rig.chip.wdt[1] - rig.zero <= 12 * SECOND + LATE
    rig.hang_to(12 + timeout_ms / 1000 + 0.1)
    assert rig.chip.dead, "the watchdog has bitten"


def test_without_a_report_there_is_no_watchdog(rig):
    rig.hang_to(30)
    assert rig.chip.wdt is None and not rig.chip.dead


@pytest.mark.req("R-ALM-5")
def test_the_enable_gets_two_seconds_at_a_time_and_ends_with_the_report(rig):
    rig.hal.feed(12_000)
    rig.hang_to(20)
    puts = [(us - rig.zero, ms) for us, ms in rig.chip.puts(ENABLE)]
    assert max(ms for _, ms in puts) <= 2000
    assert all(later - at < 1.1 * SECOND for (at, _), (later, _) in zip(puts, puts[1:])), "renewed long before it would fall"
    assert 11.9 * SECOND <= max(at + ms * 1000 for at, ms in puts) <= 12 * SECOND + LATE


@pytest.mark.req("R-CAP-2")
def test_an_open_port_drops_the_enable_and_halts_the_stepper_by_a_hard_interrupt(rig):
    rig.hal.feed(12_000)
    rig.hal.guard_port(True)
    rig.hang_to(1)
    assert rig.chip.pin_handlers[BOARD["port_pin"]][2], "a hard one"
    rig.port(1)
    assert PINS_LOW in rig.chip.done(ENABLE, "exec") and rig.chip.done(STEPPER, "active")[-1] == 0
    rig.chip.told.clear()
    rig.port(0)
    rig.hang_to(4)
    rig.hal.feed(5000)
    assert not rig.chip.puts(ENABLE) and rig.hal.port_open(), "it stays cut until the guard is lifted"
    rig.hal.guard_port(False)
    rig.hal.feed(5000)
    assert rig.chip.puts(ENABLE) and not rig.hal.port_open()


@pytest.mark.req("R-CAP-2")
def test_the_interrupt_wins_wherever_it_comes_between(rig):
    """Between the timer's look and its feeding; between the loop's."""
    hal = rig.hal
    hal.guard_port(True)
    for feed in (lambda: hal._keep(None), lambda: hal.feed(5000)):
        rig.chip.inputs[BOARD["port_pin"]] = 0
        hal.guard_port(True)
        hal._enable._until.renew(5000)

        def interrupted():
            rig.chip.inputs[BOARD["port_pin"]] = 1
            hal._on_port(hal._port)
            hal._enable._machine.put(2000)  # what was left had been read before

        hal._enable.keep = interrupted
        rig.chip.told.clear()
        feed()
        after = [what for _, number, what, _ in rig.chip.told if number == ENABLE]
        assert after.count("put") == 1 and after[-2:] == ["exec", "restart"], "the last thing is that it drops"


CHIPS = [("Raspberry Pi Pico with RP2040", 0x4005800C), ("Raspberry Pi Pico 2 with RP2350", 0x400D800C)]


@pytest.mark.parametrize(("machine", "register"), CHIPS)
def test_why_it_resets_is_kept_where_each_chip_has_its_scratch_register(rig, monkeypatch, machine, register):
    class Uname:
        pass

    Uname.machine = machine
    monkeypatch.setattr(rig.module.os, "uname", lambda: Uname)
    memory = rig.module.machine.mem32
    rig.module.mark_cause(4)
    assert set(memory) == {register}
    assert rig.module.take_boot_cause() == 4 and rig.module.take_boot_cause() == 1
