"""The saved state: what pump.py's parts keep over a power cut, all in one dict, in both copies of the journal."""

import json

from doseloop.taper import make_program


def dump(pump):
    """Everything that must survive, as a plain dict."""
    return {
        "run": pump.run,
        "program": pump.basal.program.lines if pump.basal.program else None,
        "taper_from": pump.basal.program.start if pump.basal.program and pump.basal.program.is_taper else None,
        "offset": pump.clock.offset_min,
        "zero": pump.clock.zero_ms(),
        "observe": pump.observe_until,
        "calibration": pump.calibration,
        "windows": pump.windows.begun,
        "line": pump.line.dump(),
        "imported": pump.imported,
        "deliveries": pump.deliveries.dump(),
        "at": pump.clock.elapsed,
        "clock_moving": pump.clock_moving,
        "therapy": pump.therapy.dump(pump.basal.program),
        "ledger": pump.ledger.dump(),
        "reservoir": pump.reservoir.dump(),
        "basal": pump.basal.dump(),
        "alarms": list(pump.alarms.dump()),
        "battery": pump.battery.dump(),
        "keys": pump.keys.kept,
    }


def holds(data, program):
    """The saved state (as bytes) has exactly this program's lines."""
    return json.dumps(program.lines).encode() in data


def load(pump, state):
    """The inverse of dump."""
    pump.run = state["run"]
    lines = state["program"]
    pump.basal.program = make_program(lines) if lines else None
    if lines and pump.basal.program.is_taper:
        pump.basal.program.start = state["taper_from"]
    pump.observe_until = state["observe"]
    pump.calibration = state["calibration"]
    pump.windows.begun = state["windows"]
    pump.line.load(state["line"])
    pump.imported = state["imported"]
    pump.deliveries.load(state["deliveries"])
    pump.therapy.load(state["therapy"], make_program, pump.basal.program)
    pump.ledger.load(state["ledger"])
    pump.reservoir.load(state["reservoir"])
    pump.basal.load(state["basal"])
    pump.alarms.load(bytes(state["alarms"]))
    pump.battery.load(state["battery"])
    if pump.calibration:
        pump.ledger.steps_per_ml = pump.calibration["spm"]
