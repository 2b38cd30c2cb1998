"""The first motion of a new rig: turns the head a little and compares what was ordered, what left the step pin and what the rotor did.

Use: python tools/turn_head.py PORT [--water-ml 10] [--turns 1] [--seconds 10] ; PORT is any pyserial URL, like /dev/ttyACM0.
--water-ml tells the pump first that its reservoir was filled with so much water, as test fluid: without any it moves nothing.
Exit: 0 the three agree, 1 they do not, 2 the pump could not be reached or refused.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from hil.channel import SerialChannel
from hil.errors import BenchError
from hil.key_commands import KEY_HELP
from hil.keys import find_keys
from hil.link import Link
from hil.pump import Pump, leading_int

NL_PER_ML = 1_000_000
MARGIN_S = 2.0  # the head comes to rest, and the pump's turn is over


def prepare(pump: Pump, water_ml: int) -> None:
    pump.open()
    pump.set_time(int(time.time()), 0)
    if water_ml:
        fields = {"path": "septum", "fluid": "test", "volume": f"{water_ml * NL_PER_ML}nl", "withdrawn": "0nl"}
        pump.link.command("RES:REFILL", fields)


def turn(pump: Pump, turns: int, seconds: int) -> list[str]:
    """Turns the head; what is wrong with it, in sentences."""
    board = pump.stat("motion")
    per_turn, slack = leading_int(board["counts_per_turn"]), leading_int(board["slack"])
    steps = turns * leading_int(board["steps_per_turn"])
    before = pump.counts()
    pump.link.command("CAL:MOVE", {"steps": str(steps), "rate": f"{max(1, steps // seconds)}/s"})
    time.sleep(steps / max(1, steps // seconds) + MARGIN_S)
    after = pump.counts()
    stepped, counted = after.stepped - before.stepped, after.witness - before.witness
    print(f"ordered {steps} steps; {stepped} left the step pin; the rotor moved {counted} counts, {turns * per_turn} expected")
    return findings(steps, stepped, counted, turns * per_turn, slack)


def findings(steps: int, stepped: int, counted: int, expected: int, slack: int) -> list[str]:
    """What the figures mean, and what to look at."""
    found = []
    if stepped != steps:
        found.append(f"{stepped} of {steps} steps left the pin: it was ended early, or the pulse counter sees another pin; see ALAR?")
    if abs(counted) <= slack:
        found.append("the rotor did not move: motor supply, driver enable, motor coils, encoder supply, coupling")
    elif abs(counted + expected) <= 2 * slack:
        found.append("the rotor moved backwards: exchange encoder channels A and B, or, if the head turned backwards, one coil's wires")
    elif abs(counted - expected) > 2 * slack:
        found.append("the rotor moved by another angle: microstep pins of the driver, motor current, lines of the encoder")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("port")
    parser.add_argument("--water-ml", type=int, default=0)
    parser.add_argument("--turns", type=int, default=1)
    parser.add_argument("--key-file", type=Path, help=KEY_HELP)
    parser.add_argument("--seconds", type=int, default=10)
    args = parser.parse_args()
    try:
        channel = SerialChannel(args.port)
        try:
            pump = Pump(Link(channel, keys=find_keys(args.key_file)), time.time)
            prepare(pump, args.water_ml)
            found = turn(pump, args.turns, args.seconds)
        finally:
            channel.close()
    except BenchError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for sentence in found:
        print(f"WRONG: {sentence}")
    if not found:
        print("all three agree")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
