"""Prints how the firmware runs on an emulated Pico: the loop, memory, start, round trips, pulses; the goals beside the figures.

Use: python tools/benchmark_emulated.py ; about five minutes on an idle machine. Every time is the emulated chip's own (EMULATED:
the image is the one that is flashed, the RP2040 is a program, one core at 125 MHz). A goal that is missed is marked, never asserted.
"""

from __future__ import annotations

import json
import re
import statistics
import sys
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from hil.errors import BenchError  # noqa: E402 - after the path is set
from hil.frames import next_seq, request_body, seal  # noqa: E402
from hil.link import Link  # noqa: E402
from hil.pin_figures import STACK_B  # noqa: E402
from hil.pump import Pump  # noqa: E402
from hil.scenario import find_scenario, load_scenario  # noqa: E402
from tools.benchmark import Row, show  # noqa: E402
from tools.image import MANIFEST, build  # noqa: E402
from tools.pico_bench import PicoBench  # noqa: E402
from tools.pico_source import ImageError  # noqa: E402

OUT = ROOT / "build" / "benchmark"
SCRIPTS = ROOT / "tools" / "micropython"
KB = 1024
HELLO_EVERY_NS = 250_000_000
QUIET_MS = 300
ROUND_TRIPS = 100  # of each kind
PAUSE_MS = 100  # of a host that looks now and then, as a live page does
MIDNIGHT = 1_809_302_400  # unix seconds of 2027-05-03 00:00
SCENARIO = "night-flex-spinal"  # what the pump delivers while it is asked

# What is asked: name, verb, fields. The third is a frame of 200 bytes that is read, checked and refused.
KINDS: list[tuple[str, str, dict[str, str]]] = [
    ("*IDN?", "*IDN?", {}),
    ("STAT?", "STAT?", {}),
    ("a frame of 200 bytes", "STAT?", {"part": "motion", "x": ""}),
]
FRAME_BYTES = 200


def parts_image() -> Path:
    return build(MANIFEST.with_name("manifest_parts.py"))


def figures(script: str) -> tuple[dict[str, int], str, PicoBench]:
    """What a script prints at the prompt, name -> value, and whole; and the Pico it ran on."""
    pico = PicoBench(parts_image())
    pico.start()
    text = pico.execute((SCRIPTS / script).read_text("utf-8"))
    return {name: int(value) for name, value in re.findall(r"^(\w+) (-?\d+) \w+\s*$", text, re.MULTILINE)}, text, pico


# ---- the loop


def tick_rows() -> Iterator[Row]:
    found, _, _ = figures("measure_tick.py")
    yield Row("dosing tick, median", f"{found['tick_median'] / 1000:.2f} ms")
    yield Row("dosing tick, p99", f"{found['tick_p99'] / 1000:.2f} ms", "<= 2 ms", found["tick_p99"] <= 2000)
    yield Row("bytes allocated by a dosing tick", f"{found['tick_bytes']} B", "0 B", found["tick_bytes"] == 0)


def turn_rows() -> Iterator[Row]:
    found, _, _ = figures("measure_turn.py")
    yield Row("turn of the loop, median", f"{found['turn_median'] / 1000:.2f} ms")
    yield Row("turn of the loop, p99", f"{found['turn_p99'] / 1000:.2f} ms", "<= 10 ms", found["turn_p99"] <= 10_000)
    yield Row("turn of the loop, worst (writes the journal)", f"{found['turn_worst'] / 1000:.2f} ms")
    yield Row("longest pause under garbage and a flood of lines", f"{found['loaded_turn_worst'] / 1000:.2f} ms")
    yield Row("  of it: one collection", f"{found['collection'] / 1000:.2f} ms")
    free = found["free_heap"]
    yield Row("heap free after start", f"{free / KB:.1f} KB", ">= 120 KB", free >= 120 * KB)
    yield Row("heap the running firmware holds", f"{found['firmware_heap'] / KB:.1f} KB")


def size_rows() -> Iterator[Row]:
    """What the firmware adds to an image without it."""
    both = [build(manifest).with_suffix(".json") for manifest in (MANIFEST, MANIFEST.with_name("manifest_bare.py"))]
    sizes = [json.loads(path.read_text("utf-8"))["image_bytes"] for path in both]
    frozen = sizes[0] - sizes[1]
    yield Row("frozen size, the firmware's own", f"{frozen / KB:.1f} KB", "<= 120 KB", frozen <= 120 * KB)
    yield Row("image", f"{sizes[0] / KB:.1f} KB")


def store_rows() -> Iterator[Row]:
    """What a write of the journal takes: in an image of ours it lies on bare blocks, over upstream's MicroPython in files."""
    found, _, _ = figures("measure_store.py")
    for store, name in (("region", "bare blocks"), ("files", "files on littlefs")):
        for what, label in (("record", "a record"), ("save", "a save of 4 KB of state, both copies")):
            times = [found[f"{store}_{what}_{which}"] / 1000 for which in ("median", "worst")]
            yield Row(f"{label}, {name}: median, worst", f"{times[0]:.1f}, {times[1]:.1f} ms")
    yield Row("an erase made beforehand, at a quiet moment", f"{found['region_tidy_median'] / 1000:.1f} ms")


# ---- start and round trips


def wire_rows() -> Iterator[Row]:
    pico = PicoBench(build(MANIFEST))
    status_ms = first_status_ms(pico)
    yield Row("reset to first status", f"{status_ms:.0f} ms", "<= 1000 ms", status_ms <= 1000)
    deliver(pico)
    times = {}
    for name, verb, fields in KINDS:
        times[name] = round_trips_ms(pico, verb, fields)
        yield trip_row(f"{name}, {pico.answer_bytes} bytes back", times[name])
    yield trip_row("all of them", [each for found in times.values() for each in found])
    yield trip_row(f"STAT? each {PAUSE_MS} ms", round_trips_ms(pico, "STAT?", {}, PAUSE_MS))
    left = pico.chip.stack_left
    yield Row("C stack that was never used, of 8 KB", f"{left} B", f">= {STACK_B:.0f} B", left >= STACK_B)


def first_status_ms(pico: PicoBench) -> float:
    """From power on until STAT? is answered; the host says HELLO as soon as USB has come up, and again if nobody answers."""
    pico.start()
    hello, asked_ns = seal(request_body(0, "HELLO", {})), -HELLO_EVERY_NS
    while b"<0000 OK" not in pico.heard or not pico.heard.endswith(b"\n"):
        if pico.chip.now_ns - asked_ns >= HELLO_EVERY_NS:
            pico.chip.send(hello)
            asked_ns = pico.chip.now_ns
        pico.run_ms(1)
    pico.heard = b""
    pico.chip.send(seal(request_body(1, "STAT?", {})))
    while b"<0001 OK" not in pico.heard or not pico.heard.endswith(b"\n"):
        pico.run_ms(1)
    now_ms = pico.chip.now_ns / 1e6
    pico.run_ms(QUIET_MS)  # a HELLO that was said twice is answered twice
    pico.heard = b""
    return now_ms


def deliver(pico: PicoBench) -> None:
    """The pump in the middle of a therapy, its program running: what it mostly does when it is asked."""
    scenario = load_scenario(find_scenario(SCENARIO))
    if scenario.history is None or scenario.program is None:
        raise BenchError(f"{SCENARIO} has no therapy to take over")

    def unix_s() -> float:
        return MIDNIGHT + pico.chip.now_ns / 1e9

    pump = Pump(Link(pico, wall=unix_s, clock=lambda: pico.chip.now_ns / 1e9), unix_s)
    pump.open()
    pump.set_time(round(unix_s()), 0)
    pump.calibrate(scenario.calibration)
    pump.take_over(scenario.history, scenario.program, scenario.program.conc_mcg_ml)
    pump.run()
    pico.run_ms(QUIET_MS)
    pico.heard = b""


def round_trips_ms(pico: PicoBench, verb: str, fields: dict[str, str], pause_ms: int = 0) -> list[float]:
    """One after the other, at once or after a pause; a session of their own. At once, a collection falls into every tenth."""
    pico.exchange(0, "HELLO")
    found, seq = [], 0
    for _ in range(ROUND_TRIPS):
        seq = next_seq(seq)
        pico.run_ms(pause_ms)
        if "x" in fields:
            fields = {**fields, "x": ""}
            fields["x"] = "x" * (FRAME_BYTES - len(seal(request_body(seq, verb, {**fields, "x": "x"}))) + 1)
        found.append(pico.exchange(seq, verb, **fields)[1])
    return found


def percentile(values: list[float], percent: int) -> float:
    return sorted(values)[len(values) * percent // 100]


def trip_row(name: str, times_ms: list[float]) -> Row:
    p99 = percentile(times_ms, 99)
    return Row(f"round trip, {name}: p50, p99", f"{statistics.median(times_ms):.1f}, {p99:.1f} ms", "p99 <= 20 ms", p99 <= 20)


# ---- pulses


def ideal_us(text: str) -> list[float]:
    """When each pulse of the leases that a script printed belongs, from the first one's place."""
    at, found = 0, []
    for n, gap, period in (tuple(map(int, lease)) for lease in re.findall(r"^lease (\d+) (\d+) (\d+)\s*$", text, re.MULTILINE)):
        at += gap
        for _ in range(n):
            at += period
            found.append(float(at))
    return found


def pulse_rows() -> Iterator[Row]:
    counts, text, pico = figures("measure_pulses.py")
    asked = [later - earlier for earlier, later in pairwise(ideal_us(text))]
    made = [later - earlier for earlier, later in pairwise(pico.edges_us())]
    load = ", ".join(f"{counts[name]} {name}" for name in ("collections", "writes", "lines"))
    if len(made) != len(asked):
        yield Row("pulses under load", f"{len(made) + 1} of {len(asked) + 1}", "all", False)
        return
    errors = [one - other for one, other in zip(made, asked, strict=True)]
    worst = max(abs(error) for error in errors)
    yield Row(f"pulses under load ({load})", f"{len(made) + 1} pulses", "all counted", counts["stepped"] == len(made) + 1)
    yield Row("pulse interval, shortest and longest", f"{min(made):.3f}, {max(made):.3f} us")
    yield Row("pulse interval off the lease's, least and most", f"{min(errors):+.3f}, {max(errors):+.3f} us", "within 1 us", worst <= 1)
    if pico.chip.lost_cycles:
        yield Row("emulator lost PIO time", str(pico.chip.lost_cycles), "0", False)
    yield Row("histogram of these", str(draw_histogram(errors).relative_to(ROOT)))


def draw_histogram(errors_us: list[float]) -> Path:
    """How far each interval is off what its lease asks."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 3.2), layout="constrained")
    axes = figure.subplots()
    axes.hist(errors_us, bins=[step / 20 for step in range(-30, 31)], color="#0072B2")
    axes.set_yscale("log")
    axes.set(xlabel="interval between two pulses, off the lease's, us (EMULATED)", ylabel=f"of {len(errors_us)} intervals")
    for limit in (-1.0, 1.0):
        axes.axvline(limit, color="#D55E00", linestyle="--")
    OUT.mkdir(parents=True, exist_ok=True)
    path = OUT / "pulse-intervals.svg"
    figure.savefig(path)
    return path


PARTS: dict[str, Callable[[], Iterator[Row]]] = {
    "size": size_rows,
    "tick": tick_rows,
    "turn": turn_rows,
    "store": store_rows,
    "wire": wire_rows,
    "pulses": pulse_rows,
}


def main() -> int:
    wanted = sys.argv[1:] or list(PARTS)
    unknown = [name for name in wanted if name not in PARTS]
    if unknown:
        print(f"error: no part {unknown[0]!r}; parts: {', '.join(PARTS)}", file=sys.stderr)
        return 2
    print("EMULATED, the Pico's image on an emulated RP2040 at 125 MHz; times are its own\n")
    try:
        for name in wanted:
            for row in PARTS[name]():
                show(row)
    except (ImageError, BenchError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
