"""python -m fuzz.keep FROM TO: copies the inputs that reach a pair of lines, so and so often, that no smaller one reaches.

libFuzzer's own merge keeps nothing under atheris.
"""

import hashlib
import sys
from collections import Counter
from pathlib import Path

from fuzz import oracle

FIRMWARE = str(Path(__file__).resolve().parents[2] / "firmware" / "doseloop")


def reached(data):
    """Pairs of lines of the firmware that one input runs through within a function, each with how often: once, twice, 4, 8, ... times."""
    found = Counter()

    def trace(frame, event, _):
        if event != "call" or not frame.f_code.co_filename.startswith(FIRMWARE):
            return None
        last = [frame.f_lineno]

        def line(inner, event, _):
            if event == "line":
                found[inner.f_code.co_filename, last[0], inner.f_lineno] += 1
                last[0] = inner.f_lineno
            return line

        return line

    sys.settrace(trace)
    try:
        oracle.check(data)
    finally:
        sys.settrace(None)
    return {(*pair, count.bit_length()) for pair, count in found.items()}


def main(source, target):
    target.mkdir(parents=True, exist_ok=True)
    files = [path.read_bytes() for folder in (target, source) for path in folder.iterdir()]
    known, kept = set(), 0
    for data in sorted(set(files), key=lambda data: (len(data), data)):
        found = (data[0] % 5, reached(data)) if data else (0, set())
        new = {(found[0], *pair) for pair in found[1]} - known
        path = target / hashlib.sha1(data).hexdigest()
        if new:
            known |= new
            kept += 1
            path.write_bytes(data)
        else:
            path.unlink(missing_ok=True)
    print(f"{kept} of {len(files)} inputs kept, {len(known)} pairs of lines and counts reached")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
