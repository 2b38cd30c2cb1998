"""A Pico's C stack holds 8 KB: what a command calls must fit into it, also where a file is begun and flash has to be erased first.

On CPython the calls are counted; hil/pin_figures.py has what they cost on an emulated Pico (R-ALM-11: no reset but by a fault).
"""

import inspect
import sys
from contextlib import contextmanager
from pathlib import Path

from fakes.flash import NorFlash
from pump_rig import PumpRig

from doseloop import journal
from doseloop.region import MIN_BLOCKS, RegionStore

FIRMWARE = str(Path(sys.modules["doseloop"].__path__[0]))
# From Controller.turn on. EMULATED, with 20 there is always a kilobyte that nobody used (`C stack that was never used` of `make emulated`).
DEEPEST = 20
STUB = inspect.CO_VARARGS | inspect.CO_VARKEYWORDS  # what stands in for a function while `make test` watches (tools/tracing/watch.py)


class Depth:
    """Calls of the firmware that are in progress, and the longest row of them that was seen."""

    def __init__(self):
        self.deepest = []
        self._calls = []

    def note(self, frame, event, _arg):
        code = frame.f_code
        if not code.co_filename.startswith(FIRMWARE) or code.co_flags & STUB == STUB:
            return
        if event == "call":
            self._calls.append(f"{Path(code.co_filename).stem}.{code.co_name}")
            if self._calls[0] == "controller.turn" and len(self._calls) > len(self.deepest):
                self.deepest = list(self._calls)
        elif event == "return" and self._calls:
            self._calls.pop()


@contextmanager
def counted():
    depth, before = Depth(), sys.getprofile()
    sys.setprofile(depth.note)
    try:
        yield depth
    finally:
        sys.setprofile(before)


def rig_on_flash():
    flash = NorFlash(MIN_BLOCKS)
    store = RegionStore(flash, flash.blocks)
    while store.tidy():
        pass
    return PumpRig(store=store)


def live(rig):
    """From a new board through every kind of command that keeps something; alarms come and go, a stall and a port among them."""
    rig.take_over([("all", "00:00", 300_000)], bolus=(25_000, 60, 3600, 600_000))
    rig.do("RUN")
    rig.advance(20_000)
    rig.do("DOSE:BOLUS", volume="25000nl", path="pump")
    rig.advance(5_000)
    rig.open_port()
    rig.advance(2_000)
    rig.open_port(False)
    rig.advance(2_000)
    rig.do("ALAR:ACK", id="PORT_OPEN")
    rig.do("RES:REFILL", path="septum", fluid="drug", drug="baclofen", conc="2000mcg/ml", lot="L2", expiry="2029-01-01",
           volume="1000000nl", withdrawn="17900000nl", stored="ok", attended="yes")  # fmt: skip
    rig.advance(2_000)
    rig.do("THER:PHASE", phase="maintenance")
    rig.do("STOP")
    rig.do("RUN")
    rig.do("STOP")
    rig.do("EMPTY")


def test_what_a_command_calls_fits_the_stack_of_a_pico():
    rig = rig_on_flash()
    with counted() as depth:
        live(rig)
    assert len(depth.deepest) <= DEEPEST, " ".join(depth.deepest)


def test_so_does_it_where_a_file_is_begun_and_a_block_must_be_erased_first(monkeypatch):
    usual, erases = RegionStore._take, []

    def take(store):
        """No block was erased at a quiet moment: all have to be now."""
        erases.append(len(store._clean))
        store._dirty += store._clean
        store._clean.clear()
        return usual(store)

    monkeypatch.setattr(RegionStore, "_take", take)
    monkeypatch.setattr(journal, "_PER_FILE", 1)
    monkeypatch.setattr(journal, "_FILE_BYTES", journal.RECORD_BYTES)
    rig = rig_on_flash()
    with counted() as depth:
        live(rig)
    assert len(erases) > 50
    assert len(depth.deepest) <= DEEPEST, " ".join(depth.deepest)
