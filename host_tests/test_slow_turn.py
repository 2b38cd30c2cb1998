"""A board's turn takes time, and so does its flash: what a delivery is late at its begin is not cut off at its end."""

import pytest
from pump_rig import PumpRig

SPAN_MS = 20_000
STEPS = 5_000


def rig_whose_processor_needs(store_ms, put_ms):
    """A pump with a bolus of 5000 steps in 20 s, on a board whose writes and whose first put take so long."""
    rig = PumpRig()
    rig.take_over([("all", "00:00", 900_000)], conc=500, bolus=(50_000, 20, 60, 75_000), phase="maintenance")
    rig.run()
    rig.advance(3_000)
    hal, append, put = rig.hal, rig.store.append, rig.hal.put

    def slow_append(name, data):
        hal.advance_to(hal.us + store_ms * 1000)
        append(name, data)

    def slow_put(*lease):
        if not hal.leases:
            hal.advance_to(hal.us + put_ms * 1000)
        put(*lease)

    rig.store.append, hal.put = slow_append, slow_put
    return rig


@pytest.mark.req("R-PRF-4", "R-BOL-3")
@pytest.mark.parametrize("store_ms, put_ms", [(0, 0), (45, 0), (0, 25), (45, 25)])
def test_a_bolus_on_a_slow_board_costs_the_basal_no_step(store_ms, put_ms):
    rig = rig_whose_processor_needs(store_ms, put_ms)
    before, began_us = len(rig.hal.edges), rig.hal.us
    rig.do("DOSE:BOLUS", volume="50000nl", path="pump")
    rig.advance(SPAN_MS + 5_000)
    made, span_s = len(rig.hal.edges) - before, (rig.hal.us - began_us) / 1e6
    assert rig.status()["outcome"] == "DONE" and rig.status("motion")["late_steps"] == "0"
    assert abs(made - STEPS - basal_of(span_s)) <= 2


def basal_of(span_s):
    """Steps of 900 mcg a day at 500 mcg/mL and 100,000 steps/mL in so many seconds."""
    return 900 / 500 * 100_000 * span_s / 86_400


def test_an_engine_that_never_gets_to_the_end_does_not_hold_up_the_booking():
    rig = rig_whose_processor_needs(0, 0)
    rig.do("DOSE:BOLUS", volume="50000nl", path="pump")
    rig.advance(10_000)
    rig.hal.stepped = lambda: 0
    rig.advance(SPAN_MS)
    assert rig.status()["outcome"] != "RUNNING"
