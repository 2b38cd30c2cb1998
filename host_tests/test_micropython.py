"""The firmware's wire, journal, alarms and battery on a real MicroPython: the same checks, a real littlefs, no allocation."""

import subprocess
from pathlib import Path

import pytest

from hil.errors import TargetError
from hil.targets.process import find_micropython

HERE = Path(__file__).parent


@pytest.mark.req("R-OVD-1", "R-ALM-10", "R-MON-2")
def test_wire_journal_alarms_and_battery_do_on_micropython_what_they_do_on_cpython(tmp_path):
    try:
        micropython = find_micropython()
    except TargetError as error:
        pytest.skip(f"NOT TESTED on MicroPython: {error}")
    command = [micropython, "-X", "heapsize=474k", str(HERE / "micropython_smoke.py"), str(HERE.parent / "firmware"), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.endswith("all well\n"), done.stdout + done.stderr
