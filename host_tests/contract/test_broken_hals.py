# ruff: noqa: E501 - tables of damages read best with one a line
"""The suite can fail: each hal broken on purpose, one place at a time, and the case that is named must see it."""

from pathlib import Path

import pytest
from cases import (
    NEAR_WRAP,
    a_broken_wire_of_the_port_switch_reads_open,
    a_busy_loop_does_not_hold_up_the_steps,
    a_lease_ends_by_itself,
    a_lease_without_pulses_only_waits,
    a_long_chain_does_not_drift,
    a_put_with_room_does_not_block,
    a_put_without_room_waits_and_loses_nothing,
    a_revoked_chain_leaves_nothing_behind,
    an_open_port_cuts_a_guarded_motor_off_until_the_guard_is_lifted,
    chained_leases_tile_time_exactly,
    enable_drops_unless_fed,
    feeding_zero_drops_the_enable_at_once,
    late_is_told_and_never_caught_up_by_a_burst,
    revoke_stops_within_one_step_and_tells_the_exact_count,
    the_port_switch_is_read,
    the_witness_follows_what_the_driver_moves,
    ticks_wrap,
)
from over_fakes import (
    no_pulse_leaves_while_the_hal_is_made,
    the_pulse_is_one_shot_and_a_few_microseconds_long,
    the_watchdog_is_fed_while_the_controllers_report_counts_and_no_longer,
    the_witness_goes_on_over_the_counters_16_bits_both_ways,
)
from rigs import FIRMWARE, Esp32Rig, Stm32Rig, UnixRig

# (name of the damage, the case that must see it, file, text there once, what stands there instead)
SHARED = (
    ("a revoked ring is kept", a_revoked_chain_leaves_nothing_behind, "software_leases", "        self._waiting = 0\n        self._busy = False\n        self._wake_in(-1)", "        self._busy = False\n        self._wake_in(-1)"),
    ("revoke does not end the lease under way", revoke_stops_within_one_step_and_tells_the_exact_count, "software_leases", "        self._playing = False\n        self._halted = False", "        self._halted = False"),
    ("late steps are caught up", late_is_told_and_never_caught_up_by_a_burst, "software_leases", "            self._place_us = now\n            behind_us = 0\n", ""),
    ("late steps are not told", late_is_told_and_never_caught_up_by_a_burst, "software_leases", "            self.late += 1\n", ""),
    ("every lateness moves what follows", late_is_told_and_never_caught_up_by_a_burst, "software_leases", "        if behind_us > self._jitter_us:\n            self.late += 1\n", "        if behind_us > 0:\n"),
    ("a lease ends a period late", chained_leases_tile_time_exactly, "software_leases", "        if self._left:\n            self._aim(self._period_us)\n        else:", "        if self._left >= 0:\n            self._aim(self._period_us)\n        else:"),
    ("a gap is forgotten", chained_leases_tile_time_exactly, "software_leases", "self._aim(gap_us + period_us if n else gap_us)", "self._aim(period_us if n else gap_us)"),
    ("room is always told", a_put_with_room_does_not_block, "software_leases", "        return _RING - self._waiting\n", "        return _RING - self._waiting + 1\n        \n"),
    ("a full ring writes over its oldest", a_put_without_room_waits_and_loses_nothing, "software_leases", "            if self._halted:\n                return\n            self.play()\n", "            break\n"),
    ("places wrap at another width than the clock", a_long_chain_does_not_drift, "software_leases", "self._place_us = ticks_add(self._place_us, wait_us)", "self._place_us = self._place_us + wait_us & 0x1FFFFFFF"),
    ("an empty lease makes a step", a_lease_without_pulses_only_waits, "software_leases", "            if self._left:\n                self._step(now)\n                return\n            self._next()", "            self._step(now)\n            return"),
    ("a wrapping counter is not unwrapped", the_witness_goes_on_over_the_counters_16_bits_both_ways, "software_leases", "            moved += self._modulus\n", "            pass\n"),
    ("the watchdog is fed without a report", the_watchdog_is_fed_while_the_controllers_report_counts_and_no_longer, "hal_common", "self._wdt is not None and self._report.left()", "self._wdt is not None"),
    ("the watchdog is fed by reports alone", the_watchdog_is_fed_while_the_controllers_report_counts_and_no_longer, "hal_common", "        self._keep_alive()\n        return self._engine.attend()", "        return self._engine.attend()"),
    ("ticks do not wrap", ticks_wrap, "hal_common", "        self._ms = (self._ms + us // 1000) & TICKS_MASK", "        self._ms = self._ms + us // 1000"),
    ("the port switch has no pull", a_broken_wire_of_the_port_switch_reads_open, "hal_common", 'Pin(board["port_pin"], Pin.IN, Pin.PULL_UP)', 'Pin(board["port_pin"], Pin.IN)'),
    ("a closed port reads open", the_port_switch_is_read, "hal_common", "self._port.value() == 1", "self._port.value() == 0"),
    ("a guard cuts nothing", an_open_port_cuts_a_guarded_motor_off_until_the_guard_is_lifted, "hal_common", "            self.cut_motor()\n", ""),
    ("the deadline of the enable never ends", enable_drops_unless_fed, "hal_common", "        self._set = left > 0\n        return left if self._set else 0", "        return 1000"),
)  # fmt: skip
ESP32 = (
    ("the pulse stays high", the_pulse_is_one_shot_and_a_few_microseconds_long, "esp32_motion", "idle_level=False", "idle_level=True"),
    ("two pulses a step", a_lease_ends_by_itself, "esp32_motion", "self._durations = (_PULSE_US, 1)", "self._durations = (_PULSE_US, 20, _PULSE_US, 1)"),
    ("no look at the enable", enable_drops_unless_fed, "esp32_motion", "        if not self._deadline.left():\n            self._pin.value(0)", "        pass"),
    ("enable waits for its timer to drop", feeding_zero_drops_the_enable_at_once, "esp32_motion", "self._pin.value(1 if ms > 0 else 0)", "self._pin.value(1)"),
    ("the encoder counts backwards", the_witness_follows_what_the_driver_moves, "esp32_motion", "unit.init(channel=0, pin=a, rising=PCNT.INCREMENT, falling=PCNT.DECREMENT", "unit.init(channel=0, pin=a, rising=PCNT.DECREMENT, falling=PCNT.INCREMENT"),
    ("half of the encoder's edges are lost", the_witness_follows_what_the_driver_moves, "esp32_motion", "rising=PCNT.DECREMENT, falling=PCNT.INCREMENT, mode_pin=a", "mode_pin=a"),
    ("pulses are counted on both edges", a_lease_ends_by_itself, "esp32_motion", "Pin.PULL_DOWN), rising=PCNT.INCREMENT)", "Pin.PULL_DOWN), rising=PCNT.INCREMENT, falling=PCNT.INCREMENT)"),
    ("timers tick in ms", a_busy_loop_does_not_hold_up_the_steps, "esp32_motion", "tick_hz=1_000_000", "tick_hz=1000"),
)  # fmt: skip
STM32 = (
    ("the step timer runs on", the_pulse_is_one_shot_and_a_few_microseconds_long, "stm32_motion", "        stm.mem32[self._control] = _OPM | _URS | _ON\n\n    def again(self):\n        \"\"\"The same once more.\"\"\"\n        stm.mem32[self._control] = _OPM | _URS | _ON", "        stm.mem32[self._control] = _OPM | _URS | _ON\n\n    def again(self):\n        \"\"\"The same once more.\"\"\"\n        stm.mem32[self._control] = _URS | _ON"),
    ("the pin is given to a timer that runs", no_pulse_leaves_while_the_hal_is_made, "stm32_motion", "        self.stop()\n        stm.mem32[base + stm.TIM_EGR] = _UG\n        self.stop()", "        pass"),
    ("the top is still buffered", the_pulse_is_one_shot_and_a_few_microseconds_long, "stm32_motion", "_OPM | _URS\n        stm.mem32[self._count] = 0", "_OPM | _URS | 128\n        stm.mem32[self._count] = 0"),
    ("the enable is never started again", enable_drops_unless_fed, "stm32_motion", "            self._shot.start(min(left_ms, _ENABLE_MOST_MS) * (_ENABLE_HZ // 1000), 1)\n            if not self._given:", "            if not self._given:\n                self._shot.start(min(left_ms, 1000) * (_ENABLE_HZ // 1000), 1)"),
    ("the enable keeps its pin", feeding_zero_drops_the_enable_at_once, "stm32_motion", "            self._given = False\n            self._pin.init(Pin.OUT, value=0)", "            self._given = False"),
    ("another timer's trigger is counted", a_lease_ends_by_itself, "stm32_motion", "trigger << _TRIGGER_SHIFT | _COUNT_TRIGGER", "(trigger - 1) << _TRIGGER_SHIFT | _COUNT_TRIGGER"),
    ("the encoder's inputs are swapped", the_witness_follows_what_the_driver_moves, "hal_stm32", 'Encoder(board["encoder_a_pin"], board["encoder_b_pin"], board["encoder_timer"], board["encoder_alternate"])', 'Encoder(board["encoder_a_pin"], board["encoder_b_pin"], board["encoder_timer"], board["enable_alternate"])'),
    ("the player is woken in ms", a_busy_loop_does_not_hold_up_the_steps, "stm32_motion", 'OneShot(board["wake_timer"], _STEP_HZ)', 'OneShot(board["wake_timer"], 10_000)'),
)  # fmt: skip
OVER_FAKES = [(Esp32Rig, mutant) for mutant in SHARED + ESP32] + [(Stm32Rig, mutant) for mutant in SHARED + STM32]
UNIX = (
    ("gaps are lost", chained_leases_tile_time_exactly, "self._cell(_LEASE, pulses, gap_us, period_us)", "self._cell(_LEASE, pulses, 0, period_us)"),
    ("revoke takes nothing back", revoke_stops_within_one_step_and_tells_the_exact_count, "self._exchange(_REVOKE, 0, 0)", "pass"),
    ("the enable is always fed", enable_drops_unless_fed, "self._cell(_FEED, 0 if self._cut else enable_ms, 0, 0)", "self._cell(_FEED, 60000, 0, 0)"),
    ("the port reads closed", the_port_switch_is_read, "return self._cut or self._input[_FLAGS] & _PORT_OPEN != 0", "return False"),
)


def is_seen(case, make):
    """True if the case fails. (A chip of chip.py that is reset ends a case by an exception of its own.)"""
    rig = make(case.__name__ in NEAR_WRAP)
    try:
        case(rig)
    except Exception:
        return True
    finally:
        rig.close()
    return False


@pytest.mark.parametrize("rig, mutant", OVER_FAKES, ids=[f"{rig.family}: {mutant[0]}" for rig, mutant in OVER_FAKES])
def test_a_hal_that_is_broken_is_seen_over_its_fakes(rig, mutant, tmp_path):
    assert is_seen(mutant[1], lambda near_wrap: rig(tmp_path, near_wrap, mutate=mutant[2:]))


@pytest.mark.parametrize("mutant", UNIX, ids=[mutant[0] for mutant in UNIX])
def test_a_unix_hal_that_is_broken_is_seen(mutant, tmp_path):
    script = broken_unix(tmp_path, *mutant[2:])
    assert is_seen(mutant[1], lambda near_wrap: UnixRig(tmp_path / "rig", near_wrap, script=script))


def broken_unix(tmp_path, text, other):
    """The agent over a hal with one place changed."""
    here = Path(__file__).parent
    copy = tmp_path / "firmware"
    copy.mkdir()
    source = (FIRMWARE / "hal_unix.py").read_text("utf-8")
    assert source.count(text) == 1
    (copy / "hal_unix.py").write_text(source.replace(text, other), "utf-8")
    script = tmp_path / "unix_agent.py"
    agent = (here / "unix_agent.py").read_text("utf-8")
    start = f"FOLDER = {str(here)!r}\nFIRMWARE = FOLDER + '/../../firmware'\nsys.path.insert(0, FIRMWARE)\nsys.path.insert(0, {str(copy)!r})\n"
    head, tail = agent.index("FOLDER ="), agent.index("sys.path.insert(0, FOLDER)")
    script.write_text(agent[:head] + start + agent[tail:], "utf-8")
    return script
