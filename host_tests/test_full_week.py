"""A week of 24 segments a day, the largest program there is, over another such week: it is taken, or refused as MEMORY; nothing restarts.

SIMULATED: MicroPython on the unix port, in the heap that stands for a Pico's, and in one that is too small for it.
"""

import pytest
from pump_rig import HOUR_MS, PumpRig, flat

from doseloop import commands, program, snapshot
from hil.bench import Bench, BenchConfig
from hil.errors import Refused
from hil.prescription import Program
from hil.scenario import CALIBRATION, History
from hil.targets import process

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
FLAT = Program("flat", 500, {"all": ((0, 350_000),)}, None)


def week(number):
    """Some 320 mcg a day, each hour's dose another; less in each following week, so that no cap is in the way."""
    hours = {day: [(60 * h, 13_300 - 150 * number + (7 * h + 3 * d) % 100) for h in range(24)] for d, day in enumerate(DAYS)}
    return Program(f"week-{number}", 500, {day: tuple(segments) for day, segments in hours.items()}, None)


def begin(bench):
    bench.pump.calibrate(CALIBRATION)
    taken = History("spinal", "1980-05-01", "maintenance", FLAT, 50, "short", 86_400 * 400, 18_000_000, "L1", "2029-01-01")
    bench.pump.take_over(taken, FLAT, 500)
    bench.wait("10 s")
    bench.pump.link.command("RUN")
    bench.wait("1 h")


def restarts(target):
    seen = []
    target.on_restart(seen.append)
    return seen


@pytest.mark.req("R-DOSE-1", "R-PRF-1")
def test_one_full_week_after_another_is_committed_while_it_runs(tmp_path):
    with Bench(BenchConfig(), tmp_path) as bench:
        seen = restarts(bench.target)
        begin(bench)
        for number in range(4):
            bench.pump.commit(week(number), confirm=True)
            bench.wait("1 h")
            assert bench.pump.stat()["hash"] == week(number).hash()
        assert seen == []


@pytest.mark.req("R-ALM-8", "R-UNIT-3")
def test_what_finds_no_room_is_refused_and_what_ran_runs_on(tmp_path, monkeypatch):
    """400 KB of 64-bit heap hold the pump and no second table of a week."""
    monkeypatch.setattr(process, "HEAP", "400k")
    with Bench(BenchConfig(), tmp_path) as bench:
        seen = restarts(bench.target)
        begin(bench)
        with pytest.raises(Refused) as refused:
            for number in range(4):
                bench.pump.commit(week(number), confirm=True)
        assert refused.value.code == "MEMORY" and "PROG:NEW" in refused.value.text
        assert bench.pump.stat()["state"] == "running" and seen == []
        smaller = Program("smaller", 500, {"all": ((0, 300_000),)}, None)
        bench.pump.commit(smaller, confirm=True)
        assert bench.pump.stat()["hash"] == smaller.hash()


@pytest.mark.req("R-ALM-8", "R-PRF-1")
def test_where_little_room_is_left_a_day_of_24_segments_is_taken_again_and_again(tmp_path, monkeypatch):
    """As on a Pico that loads its modules from files: what is let go is collected early, or small pieces would be all that is left."""
    monkeypatch.setattr(process, "HEAP", "380k")
    with Bench(BenchConfig(), tmp_path) as bench:
        seen = restarts(bench.target)
        begin(bench)
        for number in range(12):
            hours = tuple((60 * h, 14_500 - 20 * number + 7 * h % 20) for h in range(24))
            program = Program(f"day-{number}", 500, {"all": hours}, None)
            bench.pump.commit(program, confirm=True)
            assert bench.pump.stat()["hash"] == program.hash()
        assert seen == []


def no_room(*anything, **named):
    raise MemoryError


@pytest.mark.req("R-ALM-8")
@pytest.mark.parametrize(("module", "name"), [(snapshot, "dump"), (program.Program, "_extremes")])
def test_a_commit_that_finds_no_room_on_its_way_leaves_all_as_it_was(monkeypatch, module, name):
    rig = PumpRig().take_over(flat(100_000)).run()
    rig.advance(HOUR_MS)
    before = rig.pump.basal.program.hash, rig.pump.keeper.load()[0]["program"]
    digest = rig.stage(flat(90_000))
    with monkeypatch.context() as patched, pytest.raises(Refused) as refused:
        patched.setattr(module, name, no_room)
        rig.do("PROG:COMMIT", hash=digest, attended="yes", route="intrathecal")
    assert refused.value.code == "MEMORY" and rig.pump.stage is None
    assert (rig.pump.basal.program.hash, rig.pump.keeper.load()[0]["program"]) == before and not rig.pump.keeper.holding
    rig.advance(HOUR_MS)
    assert rig.pump.basal.program.hash == before[0] and rig.pump.delivering


def test_a_delivery_that_finds_no_room_is_left_to_the_record():
    """Nobody knows how far it came: the board resets, and the next start books its upper bound."""
    rig = PumpRig().take_over(flat(100_000)).run()
    handlers = {"DOSE:BOLUS": no_room}
    order = type("Request", (), {"verb": "DOSE:BOLUS", "args": {}})
    assert "DOSE:BOLUS" in commands.VERBS
    with pytest.raises(MemoryError):
        commands.Commands(rig.pump, handlers)._act(order, {})
