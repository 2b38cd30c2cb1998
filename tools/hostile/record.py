"""Records what real hosts send: plays scenarios and keeps one frame of each shape (verb and names of fields) in traffic.txt.

Use: python -m tools.hostile.record. To be done again when verbs or fields were added.
"""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path

from hil.runner import Options, run
from hil.scenario import find_scenario, load_scenario
from tools.hostile.lines import TRAFFIC

SCENARIOS = (
    "bolus-lockout", "concentration-change", "holiday-broken-off", "overdose", "refill-discrepancy", "screening-fails", "titration-caps",
    "whole-way-spinal", "port-bolus-refused",
)  # fmt: skip
HEAD = "Frames that the bench sent in these scenarios, one of each shape, without CRC: made by python -m tools.hostile.record"


def shape(body: str) -> str:
    """The verb and the names of its fields."""
    return re.sub(r'=("[^"]*"|\S+)', "", body[6:])


def main() -> int:
    found: dict[str, str] = {}
    for name in SCENARIOS:
        with tempfile.TemporaryDirectory(prefix="doseloop-") as folder:
            run(load_scenario(find_scenario(name)), Options(out=Path(folder)))
            sent = re.findall(r" -> (>.*)\*[0-9A-F]{8}$", Path(folder, "serial.log").read_text("ascii"), re.MULTILINE)
        for body in sent:
            found.setdefault(shape(body), body)
        print(f"{name}: {len(sent)} frames, {len(found)} shapes so far")
    TRAFFIC.write_text("\n".join((HEAD, *(found[key] for key in sorted(found)))) + "\n", "ascii")
    return 0


if __name__ == "__main__":
    sys.exit(main())
