"""python -m campaign -n 20000: histories shared out over worker processes, what disagreed, what was covered, a result file."""

import argparse
import json
import multiprocessing
import platform
import sys
import time
from collections import Counter

from campaign.coverage import missing, shown, table
from campaign.run import examine
from campaign.stub_board import ROOT
from tools.tree import tree_hash

_CHUNK = 20
_SHOWN = 10


def _options(words):
    parser = argparse.ArgumentParser(prog="campaign", description=__doc__)
    parser.add_argument("-n", "--histories", type=int, default=1000)
    parser.add_argument("--events", type=int, default=60, help="events of a history")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="number of the first history")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--out", default=str(ROOT / "build/campaign/result.json"))
    parser.add_argument("--most", type=int, default=_SHOWN, help="stop after so many disagreements")
    return parser.parse_args(words)


def _chunk(job):
    """Play some histories in a worker; (events, counts, reports)."""
    seed, numbers, length = job
    seen, events, reports = Counter(), 0, []
    for number in numbers:
        played, report = examine(seed, number, length, seen)
        events += played
        if report:
            reports.append(report)
    return len(numbers), events, seen, reports


def _jobs(options):
    end = options.first + options.histories
    for first in range(options.first, end, _CHUNK):
        yield options.seed, range(first, min(end, first + _CHUNK)), options.events


def play_all(options, progress=None):
    """{"histories", "events", "seen": Counter, "reports"}; ends early when enough has disagreed."""
    total = {"histories": 0, "events": 0, "seen": Counter(), "reports": []}
    with multiprocessing.Pool(options.jobs) if options.jobs > 1 else _Here() as pool:
        for histories, events, seen, reports in pool.imap_unordered(_chunk, _jobs(options)):
            total["histories"] += histories
            total["events"] += events
            total["seen"].update(seen)
            total["reports"] += reports
            if progress:
                progress(total)
            if len(total["reports"]) >= options.most:
                break
    return total


class _Here:
    """A pool of no processes."""

    def __enter__(self):
        return self

    def __exit__(self, *trouble):
        pass

    imap_unordered = staticmethod(map)


def _progress(options, started):
    def show(total):
        done, seconds = total["histories"], time.monotonic() - started
        if sys.stderr.isatty() or done % 2000 < _CHUNK:
            left = seconds / done * (options.histories - done)
            sys.stderr.write(f"{done} of {options.histories} histories, {len(total['reports'])} disagree, {left:.0f} s left\n")

    return show


def _result(options, total, seconds):
    return {
        "histories": total["histories"],
        "events": total["events"],
        "seed": options.seed,
        "disagreements": len(total["reports"]),
        "seconds": round(seconds, 1),
        "us_per_event": round(seconds * options.jobs / max(1, total["events"]) * 1e6),
        "jobs": options.jobs,
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "seen": dict(sorted(total["seen"].items())),
        "missing": missing(total["seen"]),
        "requirements": shown(total["seen"]),
        "tree": tree_hash(),
        "reports": total["reports"],
    }


def _show(report):
    print("\nhistory {index} of seed {seed} disagrees: {told}".format(**report))
    print("  replay: make campaign N=1 FIRST={index} SEED={seed} EVENTS={length} JOBS=1".format(**report))
    print(f"  shortest: {len(report['shortest'])} events: {report['told_shortest']}")
    print("  start {}".format(json.dumps(report["start"])))
    for event in report["shortest"]:
        print(f"  {json.dumps(event)}")


def main(words=None):
    options = _options(words)
    started = time.monotonic()
    total = play_all(options, _progress(options, started))
    result = _result(options, total, time.monotonic() - started)
    out = ROOT / options.out
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(result, indent=1) + "\n")
    print(table(total["seen"]))
    for report in total["reports"][: options.most]:
        _show(report)
    keys = ("histories", "events", "disagreements", "seconds", "us_per_event", "python")
    print(", ".join([f"{key} {result[key]}" for key in keys]))
    return 1 if total["reports"] else 0


if __name__ == "__main__":
    sys.exit(main())
