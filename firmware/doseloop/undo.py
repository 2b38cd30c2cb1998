"""All or nothing: what a command changes is in the storage before it is answered OK, or it is undone and refused."""

from doseloop.alarms import Alarm
from doseloop.ledger import Tally
from doseloop.screening import Trial
from doseloop.taper import Taper
from doseloop.units import Refusal, collect_garbage
from doseloop.windows import Ring

_INNER = (Tally, Trial, Taper, Ring)


def keep(pump, act, *given):
    """Do act(*given) and save; Refusal STORAGE if neither copy takes it: then memory and storage are as before, as after MemoryError.

    Meanwhile nothing else is written: a log line or a record of the account must not tell of what is undone.
    """
    keeper = pump.keeper
    if keeper.holding:  # an acknowledgement in a delivery: written after it; lost before that, the alarm comes again
        reply = act(*given)
        pump.save()
        return reply
    pump.watch.settle_force(pump.clock.elapsed)
    before, told = _remember(pump), len(keeper.waiting)
    keeper.holding = True
    try:
        reply = act(*given)
        keeper.holding = False
        kept = pump.save()
    except Refusal:
        keeper.holding = False
        raise
    except MemoryError:
        keeper.holding = False
        _undo(pump, before, told)
        raise
    if not kept:
        _undo(pump, before, told)
        raise Refusal("STORAGE", "the storage takes no write, nothing is changed; try again, and if SELF? says so too, replace the pump")
    pump.write_sample()
    return reply


def _remember(pump):
    """([(part, names of its attributes, their values)], the alarms, their changing values one after the other): all that a command may
    change; by name, and the alarms as they lay, as a dict keeps no order when it grows or is copied.

    What was stepped meanwhile is the engine's, and is booked anew. First the garbage goes: this lies where it was, not amid it.
    """
    collect_garbage()
    parts = [pump, pump.clock, pump.therapy, pump.line, pump.reservoir, pump.deliveries, pump.basal, pump.ledger, pump.windows]
    parts += [inner for part in parts for inner in part.__dict__.values() if isinstance(inner, _INNER)]
    parts.append(pump.alarms)
    before = [(part, list(part.__dict__), [_copy(value) for value in part.__dict__.values()]) for part in parts]
    rows = pump.alarms.rows()
    return before, rows, [getattr(row, name) for row in rows for name in Alarm.CHANGES]


def _copy(value):
    return type(value)(value) if type(value) in (list, dict) else value


def _undo(pump, before, told):
    parts, rows, values_of_rows = before
    for part, names, values in parts:
        for name, value in zip(names, values):
            setattr(part, name, value)
    values = iter(values_of_rows)
    for row in rows:
        for name in Alarm.CHANGES:
            setattr(row, name, next(values))
    del pump.keeper.waiting[told:]  # lines that tell of what is undone
    pump.settle()
    pump.flow()
