"""Log lines wait for a place where the stack has room to write them, and none goes without a trace (R-MON-2)."""

import errno
from types import SimpleNamespace

import pytest
from fakes.board import MemoryStore
from pump_rig import PumpRig

from doseloop import records
from doseloop.keeper import Keeper

WAIT = 64  # lines


@pytest.fixture
def keeper():
    found = Keeper(MemoryStore(), SimpleNamespace(elapsed=1000, unix_s=lambda: 0))
    found.journal.open()
    return found


def lines(keeper):
    return [(elapsed, payload.decode()) for _, _, elapsed, _, payload in keeper.journal.records("log")]


def test_a_line_is_written_with_the_time_at_which_it_arose(keeper):
    keeper.log(records.CHANGE, "one")
    assert lines(keeper) == []
    keeper._clock.elapsed = 2000
    keeper.write_log()
    keeper.write_log()
    assert lines(keeper) == [(1000, "one")]


def test_none_is_written_while_a_delivery_moves_and_all_after_it_in_their_order(keeper):
    keeper.holding = True
    for number in range(WAIT):
        keeper.log(records.CHANGE, str(number))
    keeper.write_log()
    assert lines(keeper) == []
    keeper.holding = False
    keeper.write_log()
    assert [text for _, text in lines(keeper)] == [str(number) for number in range(WAIT)]


@pytest.mark.parametrize(("count", "lost"), [(WAIT, []), (WAIT + 1, ["1 log lines lost"]), (WAIT + 9, ["9 log lines lost"])])
def test_lines_beyond_64_are_counted_and_told_once(keeper, count, lost):
    for number in range(count):
        keeper.log(records.CHANGE, str(number))
    keeper.write_log()
    assert [text for _, text in lines(keeper)] == [str(number) for number in range(WAIT)] + lost
    keeper.log(records.CHANGE, "next")
    keeper.write_log()
    assert lines(keeper)[-1][1] == "next"


def test_a_line_that_the_storage_does_not_take_is_a_failure_that_is_told(keeper, monkeypatch):
    def fail(*_given):
        raise OSError(errno.EIO)

    monkeypatch.setattr(keeper.journal, "append", fail)
    keeper.log(records.CHANGE, "one")
    assert not keeper.failed
    keeper.write_log()
    assert keeper.failed and keeper.failing


def test_what_an_order_has_to_tell_is_on_record_when_it_is_answered():
    rig = PumpRig().take_over([("all", "00:00", 300_000)]).run()
    seen, usual = [], rig.hal.serial.write

    def write(data):
        if bytes(data).startswith(b"<"):
            seen.append([payload for _, _, _, _, payload in rig.pump.keeper.journal.records("log")][-1])
        return usual(data)

    rig.hal.serial.write = write
    rig.do("STOP")
    assert seen == [b"STOP"]


def test_what_a_turn_has_to_tell_is_on_record_at_its_end():
    rig = PumpRig().take_over([("all", "00:00", 300_000)]).run()
    rig.open_port()
    rig.advance(200)
    assert not rig.pump.keeper.waiting
    assert b"PORT_OPEN on" in [payload for _, _, _, _, payload in rig.pump.keeper.journal.records("log")]
