"""Prints, in one run, how fast the simulated pump is, how exact, and what its loop costs; the goals beside the figures.

Use: python tools/benchmark.py [--quick] ; --quick leaves out the 28 days. A goal that is missed is marked, never asserted.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from hil.channel import open_serial  # noqa: E402 - after the path is set
from hil.frames import Reply, next_seq, parse_line, request_body, seal  # noqa: E402
from hil.targets.process import HEAP, find_micropython  # noqa: E402

OUT = ROOT / "build" / "benchmark"
SCENARIO = ROOT / "hil" / "scenarios" / "night-flex-spinal.toml"
ROUND_TRIPS = 2000
LEAST_HISTORIES = 8


@dataclass(frozen=True)
class Row:
    """One line of the table; `met` is None where no goal was set."""

    name: str
    value: str
    goal: str = ""
    met: bool | None = None


def show(row: Row) -> None:
    mark = {None: "", True: "met", False: "MISSED"}[row.met]
    print(f"{row.name:<52} {row.value:>24}   {row.goal:<14} {mark}", flush=True)


# ---- whole runs


def whole_run(days: int) -> tuple[float, dict[str, Any]]:
    """Wall seconds of `python -m hil run` from start to exit, and its result."""
    out = OUT / f"days-{days}"
    command = [sys.executable, "-m", "hil", "run", str(SCENARIO), "--target", "unix", "--days", str(days), "--out", str(out), "--quiet"]
    began = time.monotonic()
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    wall_s = time.monotonic() - began
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return wall_s, json.loads((out / "result.json").read_text("utf-8"))


def run_rows(days: int, goal_s: int) -> Iterator[Row]:
    wall_s, result = whole_run(days)
    hours = f"{days * 24} h" if days == 1 else f"{days} days"
    yield Row(f"{hours} of {SCENARIO.stem}, all told", f"{wall_s:.1f} s", f"<= {goal_s} s", wall_s <= goal_s)
    yield Row(f"{hours}: virtual seconds per wall second", f"{result['virtual_s'] / wall_s:,.0f}")
    error = float(result["max_step_error"])
    yield Row(f"{hours}: largest step error", f"{error:.4f} steps", "<= 1", error <= 1)


# ---- the loop, on MicroPython alone


def figures(script: str) -> dict[str, int]:
    """What a script of tools/micropython prints, as name -> value."""
    command = [find_micropython(), "-X", f"heapsize={HEAP}", str(ROOT / "tools" / "micropython" / script)]
    env = dict(os.environ, MICROPYPATH=f"{ROOT / 'firmware'}:{ROOT / 'boards' / 'unix'}:.frozen")
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{script} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return {name: int(value) for name, value in re.findall(r"^(\w+) (-?\d+)", done.stdout, re.MULTILINE)}


def tick_rows() -> Iterator[Row]:
    found = figures("measure_tick.py")
    yield Row("dosing tick", f"{found['tick'] / 1000:.2f} us")
    yield Row("bytes allocated by a dosing tick", f"{found['tick_bytes']} B", "0 B", found["tick_bytes"] == 0)


def turn_rows() -> Iterator[Row]:
    found = figures("measure_turn.py")
    median = found["turn_median"]
    yield Row("turn of the loop, median", f"{median} us", "<= 150 us", median <= 150)
    yield Row("turn of the loop, worst (writes the journal)", f"{found['turn_worst']} us")
    held, free = found["firmware_heap"], found["free_heap"]
    yield Row("heap the running firmware holds", f"{held:,} B", f"of {HEAP}")
    yield Row("heap free", f"{free:,} B")


# ---- round trips in real time


@contextmanager
def served() -> Iterator[str]:
    """A simulated pump in real time; gives the path of its serial line."""
    command = [sys.executable, "-m", "hil", "serve", "--target", "unix"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield _printed_path(process)
        finally:
            process.terminate()


def _printed_path(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    for line in process.stdout:
        found = re.search(r"/dev/[\w./-]*\w", line)
        if found:
            return found.group()
    raise SystemExit(f"hil serve named no serial path: {process.stderr.read() if process.stderr else ''}")


def _exchange(port: Any, body: str) -> Reply:
    port.write(seal(body))
    heard = b""
    while True:
        chunk = port.read(port.in_waiting or 1)  # readline would take each byte by itself
        if not chunk:
            raise SystemExit(f"no answer to {body!r} within {port.timeout} s")
        heard += chunk
        line, end, rest = heard.partition(b"\n")
        if not end:
            continue
        heard, answer = rest, parse_line(line.strip())
        if isinstance(answer, Reply):
            return answer


def round_trips_ms() -> list[float]:
    """How long STAT? takes from the first byte sent to the whole reply read."""
    with served() as path:
        port = open_serial(path)
        port.timeout = 5
        _exchange(port, request_body(0, "HELLO", {}))
        found, seq = [], 0
        for _ in range(ROUND_TRIPS):
            seq = next_seq(seq)
            began = time.perf_counter()
            reply = _exchange(port, request_body(seq, "STAT?", {}))
            found.append((time.perf_counter() - began) * 1000)
            if not reply.ok:
                raise SystemExit(f"STAT? was answered {reply}")
        port.close()
    return found


def round_trip_rows() -> Iterator[Row]:
    times = sorted(round_trips_ms())
    p99 = times[len(times) * 99 // 100]
    yield Row("round trip of STAT? in real time, median", f"{statistics.median(times):.3f} ms")
    yield Row("round trip of STAT? in real time, p99", f"{p99:.3f} ms", "<= 2 ms", p99 <= 2)


# ---- a campaign over the cores


def cores() -> int:
    """Those that we may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def campaign_s(workers: int, histories: int) -> float:
    """Wall seconds, all told, of so many histories of the scenario, each with a rig of its own and its report."""
    words = ["-p", "hil.pytest_plugin", "-p", "no:cacheprovider", "--target", "unix", "--seed", "1", "--count", str(histories), "-q"]
    command = [sys.executable, "-m", "pytest", str(SCENARIO), *words, "-n", str(workers), "--reports", str(OUT / "campaign")]
    began = time.monotonic()
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    took_s = time.monotonic() - began
    if done.returncode or f"{histories} passed" not in done.stdout:
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return took_s


def campaign_rows() -> Iterator[Row]:
    """By 1, 2, 4, ... workers and one on each core."""
    there, alone_s = cores(), 0.0
    histories = max(LEAST_HISTORIES, 2 * there)
    for workers in sorted({*(2**n for n in range(there.bit_length())), there}):
        took_s = campaign_s(workers, histories)
        alone_s = alone_s or took_s
        name = f"campaign over {workers} of {there} cores, a day a history"
        yield Row(name, f"{histories / took_s:.2f} histories/s", f"{alone_s / took_s:.2f} x one")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="leave out the 28 days")
    quick = parser.parse_args().quick
    OUT.mkdir(parents=True, exist_ok=True)
    print(f"SIMULATED, on the MicroPython unix port, {os.cpu_count()} cores\n")
    parts: list[Callable[[], Iterator[Row]]] = [lambda: run_rows(1, 5)]
    parts += [] if quick else [lambda: run_rows(28, 60)]
    parts += [tick_rows, turn_rows, round_trip_rows, campaign_rows]
    for part in parts:
        for row in part():
            show(row)
    return 0


if __name__ == "__main__":
    sys.exit(main())
