"""`make kill`: the four campaigns and their table; `--share`: a fixed part, for CI. Exit 0: every zero is one; 1: something was found."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator

from tqdm import tqdm

from hil.errors import BenchError
from tools.killing import cable, firmware, host, noise
from tools.killing.tally import Tally
from tools.killing.tracer import can_trace

CAMPAIGNS = ("firmware", "host", "line", "cable")
UNUSABLE = 2


def main() -> int:
    options = _options()
    traced = can_trace()
    if not traced:
        print("NOTE: no process can be traced here (ptrace): every kill is a timer's, and no case can be brought back by its number")
    began = time.monotonic()
    try:
        found = [tally for name in options.only for tally in _campaign(name, options, traced)]
    except BenchError as error:
        print(f"error: {error}", file=sys.stderr)
        return UNUSABLE
    print(f"\nThe kill campaign (SIMULATED; seed {options.seed}; {time.monotonic() - began:.0f} s)\n")
    for tally in found:
        print("\n".join(tally.lines()), end="\n\n")
    wrong = sum(sum(tally.found.values()) for tally in found)
    print(f"in all: {wrong} findings" if wrong else "in all: every zero is zero")
    return 1 if wrong else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tools.killing", description=__doc__)
    parser.add_argument("--kills", type=int, default=1000, help="of the pump's process (default: 1000)")
    parser.add_argument("--every", type=int, default=1, help="the host is killed at every byte of that count (default: 1)")
    parser.add_argument("--days", type=int, default=5, help="of therapy over each of the noisy lines (default: 5)")
    parser.add_argument("--rounds", type=int, default=100, help="times that the serial device vanishes (default: 100)")
    parser.add_argument("--seed", type=int, default=1, help="the first one (default: 1)")
    parser.add_argument("--only", nargs="+", choices=CAMPAIGNS, default=list(CAMPAIGNS), help="these campaigns alone")
    parser.add_argument("--share", action="store_true", help="the fixed share for CI: 100 kills, every 16th byte, a day, 10 rounds")
    options = parser.parse_args()
    if options.share:
        options.kills, options.every, options.days, options.rounds = 100, 16, 1, 10
    return options


def _campaign(name: str, options: argparse.Namespace, traced: bool) -> list[Tally]:
    if name == "firmware":
        return [_summed(firmware.histories(options.kills, options.seed, traced), name, options.kills, firmware.KILLS)]
    if name == "host":
        return [_summed(host.cases(options.every), name, None, host.LOOKED)]
    if name == "cable":
        return [_summed(cable.rounds(options.rounds, options.seed), name, options.rounds, cable.PULLED)]
    return [_summed(noise.days(rate, options.days, options.seed), f"{name} {rate:g}", options.days, noise.DAYS) for rate in noise.RATES]


def _summed(parts: Iterator[Tally], name: str, total: int | None, unit: str) -> Tally:
    """The parts added up, with a bar that counts `unit`."""
    whole: Tally | None = None
    with tqdm(desc=f"kill: {name}", total=total, unit="", file=sys.stderr) as bar:
        for part in parts:
            bar.update(part.done[unit])
            for text in part.told:
                bar.write(f"! {text}", file=sys.stderr)
            if whole is None:
                whole = part
            else:
                whole.add(part)
            bar.set_postfix_str(f"{sum(whole.found.values())} findings", refresh=False)
    assert whole is not None
    return whole


if __name__ == "__main__":
    sys.exit(main())
