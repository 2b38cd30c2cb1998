"""Mutants made by hand: each breaks one rule, and a test that guards it is seen to fail (the tests can fail)."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPO = Path(__file__).parent.parent

# What is broken: file, text, what it becomes, and the test that must then fail.
MUTANTS = {
    "an off-by-one in the step cap": (
        "judge.py", "at_most(100 + percent, base.daily)", "at_most(101 + percent, base.daily)", "test_label_examples.py",
    ),
    "a wait one millisecond short": (
        "judge.py", "label.INCREASE_WAIT_MS - now)", "label.INCREASE_WAIT_MS - 1 - now)", "test_label_examples.py",
    ),
    "a lost remainder": ("dosing.py", "self._remainder = self._remainder * den // self._den", "self._remainder = 0", "test_dosing.py"),
    "a lease of a revoked chain": ("dosing.py", "(self._anchors and self._next_lease())", "self._next_lease()", "test_dosing.py"),
    "a sum beyond a small int": ("dosing.py", "ticks_add(self._chain_ms, end_us // 1000)",
        "(self._chain_ms + end_us // 1000) & TICKS_MASK", "test_tick.py"),
    "a CRC that is not checked": ("frame.py", "if line[star + 1 :] != crc_text(body):", "if False:", "test_frame.py"),
    "a window that counts what was delivered": (
        "bolus.py", "if allowance * 1000 < given + wanted:", "if allowance * 1000 < wanted:", "test_watch.py",
    ),
    "an access port that is let through": (
        "port.py", 'raise Refusal("CATHETER_PORT"', 'return Refusal("CATHETER_PORT"', "test_account.py",
    ),
    "a switch believed at its first closed reading": ("port.py", "_CLOSED_MS = const(1_000)", "_CLOSED_MS = const(0)", "test_watch.py"),
    "a stop that is forgotten over a power cut": ("snapshot.py", '"run": pump.run,', '"run": True,', "test_watch.py"),
    "a reservation that is not booked": ("boot.py", "ledger.book_uncertain(open_steps)", "pass", "test_account.py"),
    "a change of concentration without a bridge": (
        "line.py", 'self.until = count + _steps_over(self._parts_nl["both"], steps_per_ml)', "pass", "test_bridge.py",
    ),
    "a bridge that forgets what a power cut left open": ("line.py", "self.until += steps", "pass", "test_bridge.py"),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.req("R-TIT-1", "R-PRF-4", "R-CAP-1", "R-BOL-2", "R-OVD-1", "R-CON-3")
@pytest.mark.parametrize("name", MUTANTS)
def test_a_mutant_is_seen(name, tmp_path):
    file, old, new, guard = MUTANTS[name]
    shutil.copytree(REPO / "firmware", tmp_path / "firmware")
    path = tmp_path / "firmware" / "doseloop" / file
    text = path.read_text()
    assert text.count(old) == 1, f"{file} has changed: give the mutant its new place"
    path.write_text(text.replace(old, new))
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-o", f"pythonpath={tmp_path / 'firmware'} {REPO}"]
    done = subprocess.run(
        [*command, str(REPO / "host_tests" / guard)], cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False,
        env={**os.environ, "PYTHONPATH": "", "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    assert done.returncode == 1, f"nobody saw {name}:\n{done.stdout[-1500:]}{done.stderr[-500:]}"
