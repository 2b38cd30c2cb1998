"""The simulated rig on the pins of a Pico: step, enable and buzzer watched; encoder, battery and port switch driven.

Which pin is which is data, `boards/pico/board.py`. Instants are the chip's own nanoseconds plus `outage_ns`.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from typing import Any

from hil.plant.pins import PinRig
from hil.targets.rp2040 import NS_PER_CYCLE

ROTOR_NS = 180_000  # a count stays this long at least: less than at the head's top rate (195 us), more than a look of the decoder (140)
# The rotor's two channels, B before A when it turns forward, as a decoder counts them up.
QUADRATURE = ((False, False), (False, True), (True, True), (True, False))
DECODER_BLOCK = 1  # of PIO
ADC_TOP = 4095
FIRST_ADC_PIN = 26
TEMPERATURE_CHANNEL = 4  # the chip's own sensor: 706 mV at 27 C (RP2040 datasheet 4.9.5), of 3300 in 12 bits
ROOM_CODE = 706 * 4095 // 3300
TONE_GAP_NS = 5_000_000  # a longer silence parts two sounds; the tone itself changes each 0.6 ms
LOOK_NS = 1_000_000  # how often a rotor that turns by itself is looked at


class _Channels(list[int]):
    """What the converter reads: the battery is asked at the instant of the conversion."""

    def __init__(self, values: list[int], place: int, wiring: RigWiring) -> None:
        super().__init__(values)
        self[TEMPERATURE_CHANNEL] = ROOM_CODE
        self._place, self._wiring = place, wiring

    def __getitem__(self, index: Any) -> Any:
        return self._wiring.battery_code() if index == self._place else super().__getitem__(index)


class RigWiring:
    """An external device for the emulator. `enable`: (ns, level) of each change; `sounds`: (first, last) edge of each, ns."""

    def __init__(self, rig: PinRig, board: Mapping[str, Any]) -> None:
        self.rig = rig
        self.board = board
        self.edges_ns = array("q")  # of each rising step edge
        self.enable: list[tuple[int, bool]] = []
        self.sounds: list[list[int]] = []
        self.pulses_since_boot = 0
        self.outage_ns = 0  # time that passed while the chip had no power
        self._shown = 0  # the rotor's place on its two channels
        self._shown_ns = 0.0  # chip time since when
        self._mcu: Any = None
        self._rotor: Any = None
        self._bounce: Any = None

    # ---- the emulator's side

    def attach(self, mcu: Any) -> None:
        board, self._mcu = self.board, mcu
        for key, listener in (("step_pin", self._on_step), ("enable_pin", self._on_enable), ("buzzer_pin", self._on_buzzer)):
            mcu.gpio[board[key]].add_listener(listener)
        place = board["battery_pin"] - FIRST_ADC_PIN
        mcu.adc.channel_values = _Channels(mcu.adc.channel_values, place, self)
        self._rotor = mcu.clock.create_alarm(self._turn_rotor)
        self._bounce = mcu.clock.create_alarm(self.look)
        self._shown = self.rig.rotor.witness()
        self._show_rotor()
        self.look()

    def now_ns(self) -> int:
        return int(self._mcu.clock.nanos) + self.outage_ns

    def _edge_ns(self) -> int:
        """The instant of an edge that the stepper's block makes."""
        return int(self._mcu.pio[0].now_ns) + self.outage_ns

    def look(self) -> None:
        """Something at the rig changed by hand: show it on the pins."""
        port, now_us = self.rig.port, self.now_ns() // 1000
        self._mcu.gpio[self.board["port_pin"]].set_input_value(port.reads_open(now_us))
        if port.bounce_us:
            self._bounce.schedule(port.bounce_us * 1000)
        self._follow_rotor()

    def restarted(self) -> None:
        """The chip let go of its pins: the pull-down holds the driver off, the step line is low."""
        self._drive(False)
        self._mcu.gpio[self.board["step_pin"]].set_input_value(False)
        self.rig.boot()
        self.pulses_since_boot = 0

    def catch_up(self) -> None:
        """Bring the rig to now."""
        self.rig.advance_to(max(self.rig.now_us, self.now_ns() // 1000))

    # ---- step, enable

    def _on_step(self, new: Any, old: Any) -> None:
        high = int(new) == 1
        self._mcu.gpio[self.board["step_pin"]].set_input_value(high)
        if high:
            at_ns = self._edge_ns()
            self.edges_ns.append(at_ns)
            self.pulses_since_boot += 1
            self.rig.pulse(at_ns // 1000)
            self._follow_rotor()

    def _on_enable(self, new: Any, old: Any) -> None:
        self._drive(int(new) == 1)

    def _drive(self, on: bool) -> None:
        if on == bool(self.enable and self.enable[-1][1]):
            return
        self._mcu.gpio[self.board["enable_pin"]].set_input_value(on)
        at_ns = self._edge_ns()
        self.enable.append((at_ns, on))
        self.rig.drive(on, at_ns // 1000)

    # ---- rotor

    def _follow_rotor(self) -> None:
        """One count after the other, as far as the rotor has turned; a rotor that turns by itself is looked at again and again."""
        if self._shown != self.rig.rotor.witness():
            self._rotor.schedule(max(NS_PER_CYCLE, self._shown_ns + ROTOR_NS - self._mcu.clock.nanos))
        elif self.rig.rotor.runaway_steps_s:
            self._rotor.schedule(LOOK_NS)

    def _turn_rotor(self) -> None:
        if self.rig.rotor.runaway_steps_s:
            self.catch_up()
        if self._shown != self.rig.rotor.witness():
            self._shown += 1
            self._show_rotor()
        self._follow_rotor()

    def _show_rotor(self) -> None:
        channel_b, channel_a = QUADRATURE[-self._shown % 4]
        pin = self.board["encoder_pin"]
        self._mcu.pio[DECODER_BLOCK].catch_up()  # what it looked at before is past
        self._mcu.gpio[pin].set_input_value(channel_a)
        self._mcu.gpio[pin + 1].set_input_value(channel_b)
        self._shown_ns = self._mcu.clock.nanos

    # ---- battery, buzzer

    def battery_code(self) -> int:
        self.catch_up()
        return min(ADC_TOP, self.rig.battery_mv() * ADC_TOP // int(self.board["battery_full_scale_mv"]))

    def _on_buzzer(self, new: Any, old: Any) -> None:
        at_ns = self.now_ns()
        if self.sounds and at_ns - self.sounds[-1][1] <= TONE_GAP_NS:
            self.sounds[-1][1] = at_ns
        elif int(new) == 1:
            self.sounds.append([at_ns, at_ns])
