"""The self-test at start: what must be seen to work before a bolus is allowed (R-BOL-3). It never withholds basal (R-ALM-11)."""

from doseloop import records, snapshot
from doseloop.taper import make_program

_PLAUSIBLE_MV = (1500, 6000)


def at_start(pump):
    """Run every check; the results are what SELF? shows, and `tested` is true if all passed."""
    pump.self_test_results = [(name, "pass" if check(pump) else "FAIL") for name, check in _CHECKS]
    failed = [name for name, verdict in pump.self_test_results if verdict != "pass"]
    pump.tested = not failed
    if failed:
        pump.keeper.log(records.CHANGE, "self-test failed: " + " ".join(failed))


def _program_copy(pump):
    """The program in memory still hashes to what was saved."""
    state, _ = pump.keeper.load()
    program = pump.basal.program
    if program is None:
        return state is None or state["program"] is None
    return state is not None and make_program(state["program"]).hash == program.hash


def _storage(pump):
    """What is written can be read back."""
    pump.keeper.save(snapshot.dump(pump))
    return pump.keeper.load()[1] == "good"


def _battery(pump):
    return _PLAUSIBLE_MV[0] <= pump.hal.battery_mv() <= _PLAUSIBLE_MV[1]


def _witness_rests(pump):
    """The witness has not moved while nothing was commanded."""
    return pump.motion_counts() == 0


_CHECKS = (("storage", _storage), ("program", _program_copy), ("battery", _battery), ("witness", _witness_rests))
