"""How fast the journal wears the flash: the firmware delivers in virtual time over a flash that counts its erases (SIMULATED).

Use: python tools/wear.py ; both stores, at 1 mL/h and at 1 mL a day. Years are those of all blocks together, as both stores spread
their erases over all they have; the most erased block of the run stands beside it. Below: what each thing that comes from outside takes,
and how often it may come before the flash is worn out.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from hil.errors import TargetError  # noqa: E402 - after the path is set
from hil.targets.process import find_micropython  # noqa: E402

SCRIPT = ROOT / "host_tests" / "powercut" / "wear.py"
HEAP = "64m"
NAMES = {"region": "bare blocks", "files": "littlefs"}
RATES = {"1 mL/h": (24, 12), "1 mL/day": (1, 360)}  # mL a day, hours of the run (a reservoir holds 20 mL)
CYCLES = (100_000, 10_000)
DAYS_A_YEAR = 365
ACTS = {"boot_again": "a restart", "stop_and_run": "STOP and RUN", "refused": "a refused order", "stop": "STOP said again"}


@dataclass(frozen=True)
class Wear:
    store: str
    rate: str
    hours: int
    erases: int
    worst: int  # of the most erased block
    pages: int
    records: int
    saves: int
    blocks: int

    def a_day(self, count: int) -> float:
        return count * 24 / self.hours

    def years(self, cycles: int) -> float:
        return cycles * self.blocks / self.a_day(self.erases) / DAYS_A_YEAR if self.erases else float("inf")


def play(store: str, ml: int, hours: int) -> list[list[str]]:
    """The words of each line that the firmware's run prints."""
    command = [find_micropython(), "-X", f"heapsize={HEAP}", str(SCRIPT), store, str(ml), str(hours)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode or not done.stdout:
        raise TargetError(f"the firmware did not run over {NAMES[store]}:\n{done.stderr[-1500:]}")
    return [line.split() for line in done.stdout.splitlines()]


def measure(store: str, rate: str) -> Wear:
    ml, hours = RATES[rate]
    return Wear(store, rate, hours, *map(int, play(store, ml, hours)[0][1:]))


def show_acts(acts: dict[str, list[list[str]]], blocks: dict[str, int]) -> None:
    print(f"\n{'':<29}{'erases each':>12}{'pages each':>11}", end="")
    print("".join(f"{f'times at {cycles // 1000}k':>16}" for cycles in CYCLES))
    for store, lines in acts.items():
        for _, name, *figures in lines:
            times, erases, pages = map(int, figures)
            print(f"{NAMES[store]:<13}{ACTS[name]:<16}{erases / times:>12.1f}{pages / times:>11.0f}", end="")
            print("".join(f"{cycles * blocks[store] * times // max(1, erases):>16,}" for cycles in CYCLES))


def main() -> int:
    try:
        found = [measure(store, rate) for store in NAMES for rate in RATES]
        acts = {store: play(store, 1, 0) for store in NAMES}
    except TargetError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{'':<24}{'erases/day':>11}{'worst block':>12}{'pages/day':>11}{'records/day':>12}{'saves/day':>10}", end="")
    print("".join(f"{f'years at {cycles // 1000}k':>15}" for cycles in CYCLES))
    for each in found:
        print(f"{NAMES[each.store]:<13}{each.rate:<11}{each.a_day(each.erases):>11.1f}{each.a_day(each.worst):>12.1f}", end="")
        print(f"{each.a_day(each.pages):>11.0f}{each.a_day(each.records):>12.0f}{each.a_day(each.saves):>10.0f}", end="")
        print("".join(f"{each.years(cycles):>15,.0f}" for cycles in CYCLES))
    show_acts(acts, {each.store: each.blocks for each in found})
    return 0


if __name__ == "__main__":
    sys.exit(main())
