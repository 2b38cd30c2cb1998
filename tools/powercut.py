"""The power-cut campaign: the firmware on MicroPython, its flash losing power at every operation of a story, on both kinds of store.

Use: python tools/powercut.py [--stride N] [--again N] [--jobs N] [--plant NAME] [--board emulated [--cuts N]]
Each operation of the story is cut three ways: before it, in the midst of it, and with one bit of it wrong; and each start that follows is
cut again `--again` times, at operations of its own. In further plays of the story an operation fails once, with an error, and the power
goes some operations later. What is held is in host_tests/powercut/judge.py, the planted bugs in plants.py.
SIMULATED: the littlefs is the real one, the flash is a program. Exit 1 if anything was lost, gained or hidden.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tqdm import tqdm

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from hil.errors import BenchError, TargetError  # noqa: E402 - after the path is set
from hil.targets.process import find_micropython  # noqa: E402

SCRIPT = ROOT / "host_tests" / "powercut" / "run.py"
STORES = ("region", "files")
NAMES = {"region": "bare flash blocks", "files": "files on littlefs"}
HEAP, ERRORS_HEAP = "48m", "128m"
PARTS = 6  # of a store's operations: each is a process, which plays the story first
WAYS = 3
ERRORS_STRIDE = 20  # times the stride: each error wants the story played again
CUTS_AFTER_ERROR = 4


class CampaignError(BenchError):
    """The campaign could not be run."""


@dataclass
class Totals:
    operations: int = 0
    cuts: int = 0
    after_errors: int = 0  # of these cuts
    torn: int = 0  # starts that reported a torn record
    faults: int = 0
    told: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Part:
    """Cuts at every `stride`th of `count` operations from `first` on."""

    store: str
    first: int
    count: int
    stride: int
    again: int
    plant: str | None = None
    errors: bool = False  # instead: an error at each of them, and cuts later

    def command(self) -> list[str]:
        numbers = [*(str(number) for number in (self.first, self.count, self.stride)), "errors" if self.errors else str(self.again)]
        heap = ERRORS_HEAP if self.errors else HEAP
        return [find_micropython(), "-X", f"heapsize={heap}", str(SCRIPT), self.store, *numbers, *([self.plant] if self.plant else [])]


class Campaign:
    def __init__(self, bar: tqdm[Any]) -> None:
        self.totals = {store: Totals() for store in STORES}
        self._bar = bar
        self._lock = threading.Lock()

    def run(self, part: Part) -> None:
        """One process; its lines are counted as they come."""
        process = subprocess.Popen(part.command(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1)
        assert process.stdout is not None and process.stderr is not None
        errors: list[str] = []
        drain = threading.Thread(target=lambda stream=process.stderr: errors.extend(stream))
        drain.start()
        cuts, ended = 0, False
        for line in process.stdout:
            cuts, ended = self._take(part, line.split(maxsplit=1), cuts, ended)
        process.wait()
        drain.join()
        if not ended:
            raise CampaignError(f"the campaign on {NAMES[part.store]} broke off:\n{''.join(errors[-15:])}")

    def _take(self, part: Part, words: list[str], cuts: int, ended: bool) -> tuple[int, bool]:
        totals = self.totals[part.store]
        with self._lock:
            if words[0] == "ops":
                totals.operations = int(words[1])
            elif words[0] == "cuts":
                self._bar.update(int(words[1]) - cuts)
                cuts = int(words[1])
            elif words[0] == "FAULT":
                totals.told.append(words[1].strip())
            elif words[0] == "end":
                done, faults, torn = map(int, words[1].split())
                totals.cuts, totals.faults, totals.torn, ended = totals.cuts + done, totals.faults + faults, totals.torn + torn, True
                totals.after_errors += done if part.errors else 0
        return cuts, ended


def operations(store: str, plant: str | None) -> int:
    """Of the story on this store."""
    asked = subprocess.run(Part(store, 0, 0, 1, 0, plant).command(), capture_output=True, text=True, check=False)
    words = asked.stdout.split()
    if asked.returncode or words[:1] != ["ops"]:
        raise CampaignError(f"the story cannot be played on {NAMES[store]}:\n{asked.stderr[-1500:]}")
    return int(words[1])


def parts_of(store: str, count: int, stride: int, again: int, plant: str | None) -> list[Part]:
    size = -(-count // PARTS // stride) * stride
    return [Part(store, first, size, stride, again, plant) for first in range(0, count, size)]


def run(stores: list[str], stride: int, again: int, jobs: int, plant: str | None = None) -> dict[str, Totals]:
    counts = {store: operations(store, plant) for store in stores}
    parts = [part for store in stores for part in parts_of(store, counts[store], stride, again, plant)]
    parts += [Part(store, stride // 2, counts[store], stride * ERRORS_STRIDE, again, plant, True) for store in stores]
    expected = sum(-(-count // stride) for count in counts.values()) * WAYS * (1 + again)
    expected += sum(-(-count // (stride * ERRORS_STRIDE)) for count in counts.values()) * CUTS_AFTER_ERROR
    with tqdm(total=expected, unit=" cuts", desc="SIMULATED", mininterval=1, disable=not sys.stderr.isatty()) as bar:
        campaign = Campaign(bar)
        with ThreadPoolExecutor(jobs) as pool:
            for done in [pool.submit(campaign.run, part) for part in parts]:
                done.result()
    return {store: campaign.totals[store] for store in stores}


def show(found: dict[str, Totals], seconds: float) -> int:
    for store, totals in found.items():
        print(f"{NAMES[store]:<20} {totals.operations:>5} operations {totals.cuts:>6} cuts", end="")
        print(f", {totals.after_errors:>4} of them after an error, {totals.torn:>5} told of a torn record", end="")
        print(f", {totals.faults} faults")
        for text in totals.told[:20]:
            print(f"  {text}")
    cuts, faults = sum(each.cuts for each in found.values()), sum(each.faults for each in found.values())
    print(f"SIMULATED: {cuts} cuts, {faults} with anything lost, done twice or hidden; {seconds:.0f} s")
    return 1 if faults or not cuts else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", choices=STORES, action="append", help="only this one (default: both)")
    parser.add_argument("--stride", type=int, default=1, help="cut at every Nth operation")
    parser.add_argument("--again", type=int, default=3, help="further cuts in each start after a cut")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--plant", help="put in a bug, to see it found (host_tests/powercut/plants.py)")
    parser.add_argument("--board", choices=("unix", "emulated"), default="unix")
    parser.add_argument("--cuts", type=int, default=300, help="of an emulated Pico")
    given = parser.parse_args()
    began = time.monotonic()
    try:
        if given.board == "emulated":
            from tools.powercut_emulated import campaign

            return campaign(given.cuts, given.jobs)
        found = run(given.store or list(STORES), given.stride, given.again, given.jobs, given.plant)
    except (CampaignError, TargetError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return show(found, time.monotonic() - began)


if __name__ == "__main__":
    sys.exit(main())
