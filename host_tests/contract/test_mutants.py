"""The suite can fail: each hal broken on purpose, one place at a time, and some case must see it."""

from pathlib import Path

import pytest
from cases import CASES, NEAR_WRAP
from over_fakes import CASES_OVER_FAKES
from rigs import FIRMWARE, Esp32Rig, Stm32Rig, UnixRig

# (name of the damage, file, text there once, what stands there instead)
SHARED = (
    ("a revoked ring is kept", "software_leases", "        self._waiting = 0\n        self._busy = False\n        self._wake_in(-1)", "        self._busy = False\n        self._wake_in(-1)"),
    ("revoke does not end the lease under way", "software_leases", "        self._busy = True\n        self._playing = False\n        self._waiting = 0", "        self._busy = True\n        self._waiting = 0"),
    ("late steps are caught up", "software_leases", "            self._place_us = now\n            behind_us = 0\n", ""),
    ("late steps are not told", "software_leases", "            self.late += 1\n", ""),
    ("every lateness moves what follows", "software_leases", "        if behind_us > self._jitter_us:\n            self.late += 1\n", "        if behind_us > 0:\n"),
    ("a step too many in a lease", "software_leases", "        if self._left:\n            self._aim(self._period_us)\n        else:", "        if self._left >= 0:\n            self._aim(self._period_us)\n        else:"),
    ("a gap is forgotten", "software_leases", "self._aim(gap_us + period_us if n else gap_us)", "self._aim(period_us if n else gap_us)"),
    ("room is always told", "software_leases", "        return _RING - self._waiting\n", "        return _RING - self._waiting + 1\n        \n"),
    ("a full ring writes over its oldest", "software_leases", "        while self._waiting == _RING:\n            self.play()\n", ""),
    ("the clock of the player does not wrap", "software_leases", "ticks_diff(now, self._place_us) >= self._hold_us", "now - self._place_us >= self._hold_us"),
    ("an empty lease makes a step", "software_leases", "            if self._left:\n                self._step(now)\n                return\n            self._next()", "            self._step(now)\n            return"),
    ("a wrapping counter is not unwrapped", "software_leases", "            moved += self._modulus\n", "            pass\n"),
    ("ticks do not wrap", "hal_common", "        self._ms = (self._ms + us // 1000) & TICKS_MASK", "        self._ms = self._ms + us // 1000"),
    ("the port switch has no pull", "hal_common", 'Pin(board["port_pin"], Pin.IN, Pin.PULL_UP)', 'Pin(board["port_pin"], Pin.IN)'),
    ("a closed port reads open", "hal_common", "return self._port.value() == 1", "return self._port.value() == 0"),
    ("the deadline of the enable never ends", "hal_common", "        self._set = left > 0\n        return left if self._set else 0", "        return 1000"),
)  # fmt: skip
ESP32 = (
    ("the pulse stays high", "esp32_motion", "idle_level=False", "idle_level=True"),
    ("two pulses a step", "esp32_motion", "self._durations = (_PULSE_US, 1)", "self._durations = (_PULSE_US, 20, _PULSE_US, 1)"),
    ("no look at the enable", "esp32_motion", "        if not self._deadline.left():\n            self._pin.value(0)", "        pass"),
    ("enable waits for its timer to drop", "esp32_motion", "self._pin.value(1 if ms > 0 else 0)", "self._pin.value(1)"),
    ("the encoder counts backwards", "esp32_motion", "unit.init(channel=0, pin=a, rising=PCNT.INCREMENT, falling=PCNT.DECREMENT", "unit.init(channel=0, pin=a, rising=PCNT.DECREMENT, falling=PCNT.INCREMENT"),
    ("half of the encoder's edges are lost", "esp32_motion", "rising=PCNT.DECREMENT, falling=PCNT.INCREMENT, mode_pin=a", "mode_pin=a"),
    ("pulses are counted on both edges", "esp32_motion", "Pin.PULL_DOWN), rising=PCNT.INCREMENT)", "Pin.PULL_DOWN), rising=PCNT.INCREMENT, falling=PCNT.INCREMENT)"),
    ("timers tick in ms", "esp32_motion", "tick_hz=1_000_000", "tick_hz=1000"),
)  # fmt: skip
STM32 = (
    ("the step timer runs on", "stm32_motion", "        stm.mem32[self._control] = _OPM | _URS | _ON\n\n    def again(self):\n        \"\"\"The same once more.\"\"\"\n        stm.mem32[self._control] = _OPM | _URS | _ON", "        stm.mem32[self._control] = _OPM | _URS | _ON\n\n    def again(self):\n        \"\"\"The same once more.\"\"\"\n        stm.mem32[self._control] = _URS | _ON"),
    ("the pin is given to a timer that runs", "stm32_motion", "        self.stop()\n        stm.mem32[base + stm.TIM_EGR] = _UG\n        self.stop()", "        pass"),
    ("the top is still buffered", "stm32_motion", "_OPM | _URS\n        stm.mem32[self._count] = 0", "_OPM | _URS | 128\n        stm.mem32[self._count] = 0"),
    ("the enable is never started again", "stm32_motion", "            self._shot.start(min(left_ms, _ENABLE_MOST_MS) * (_ENABLE_HZ // 1000), 1)\n            if not self._given:", "            if not self._given:\n                self._shot.start(min(left_ms, 1000) * (_ENABLE_HZ // 1000), 1)"),
    ("the enable keeps its pin", "stm32_motion", "            self._given = False\n            self._pin.init(Pin.OUT, value=0)", "            self._given = False"),
    ("another timer's trigger is counted", "stm32_motion", "trigger << _TRIGGER_SHIFT | _COUNT_TRIGGER", "(trigger - 1) << _TRIGGER_SHIFT | _COUNT_TRIGGER"),
    ("the encoder's inputs are swapped", "hal_stm32", 'Encoder(board["encoder_a_pin"], board["encoder_b_pin"], board["encoder_timer"], board["encoder_alternate"])', 'Encoder(board["encoder_a_pin"], board["encoder_b_pin"], board["encoder_timer"], board["enable_alternate"])'),
    ("the player is woken in ms", "stm32_motion", 'OneShot(board["wake_timer"], _STEP_HZ)', 'OneShot(board["wake_timer"], 10_000)'),
)  # fmt: skip
OVER_FAKES = [(Esp32Rig, mutant) for mutant in SHARED + ESP32] + [(Stm32Rig, mutant) for mutant in SHARED + STM32]
UNIX = (
    ("gaps are lost", "self._cell(_LEASE, pulses, gap_us, period_us)", "self._cell(_LEASE, pulses, 0, period_us)"),
    ("revoke takes nothing back", "self._exchange(_REVOKE, 0, 0)", "pass"),
    ("the enable is always fed", "self._cell(_FEED, enable_ms, 0, 0)", "self._cell(_FEED, 60000, 0, 0)"),
    ("the port reads closed", "return self._input[_FLAGS] & _PORT_OPEN != 0", "return False"),
)


def is_seen(make, tmp_path, cases=CASES):
    """True as soon as one case fails."""
    for name, case in cases.items():
        try:
            rig = make(tmp_path, name in NEAR_WRAP)
            try:
                case(rig)
            finally:
                rig.close()
        except Exception:
            return True
    return False


@pytest.mark.parametrize("rig, mutant", OVER_FAKES, ids=[f"{rig.family}: {mutant[0]}" for rig, mutant in OVER_FAKES])
def test_a_hal_that_is_broken_is_seen_over_its_fakes(rig, mutant, tmp_path):
    assert is_seen(lambda tmp, near_wrap: rig(tmp, near_wrap, mutate=mutant[1:]), tmp_path, {**CASES, **CASES_OVER_FAKES})


@pytest.mark.parametrize("mutant", UNIX, ids=[mutant[0] for mutant in UNIX])
def test_a_unix_hal_that_is_broken_is_seen(mutant, tmp_path):
    script = broken_unix(tmp_path, mutant)
    assert is_seen(lambda tmp, near_wrap: UnixRig(tmp / "rig", near_wrap, script=script), tmp_path)


def broken_unix(tmp_path, mutant):
    """The agent over a copy of the firmware with one place changed."""
    _, text, other = mutant
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
