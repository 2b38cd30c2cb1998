"""MAINT: the way to a board's prompt, granted only to the service role and only while nothing is delivered."""

import pytest
from pump_rig import NIGHT_FLEX, PumpRig, Resets

from doseloop.hal import BOOT_MAINT
from hil.errors import Refused


def stopped():
    return PumpRig().take_over(NIGHT_FLEX)


@pytest.mark.req("R-ALM-11")
def test_maint_is_refused_while_the_pump_runs_and_it_goes_on_running():
    rig = stopped().run()
    assert rig.refused("MAINT") == "STATE"
    made = len(rig.edges())
    rig.advance(3_600_000)
    assert rig.pump.delivering and len(rig.edges()) > made


@pytest.mark.req("R-ALM-11")
def test_maint_is_refused_while_steps_are_moved():
    rig = PumpRig().set_up()
    rig.do("RES:REFILL", path="septum", fluid="test", volume="5000000nl", withdrawn="0nl")
    rig.do("CAL:MOVE", steps=4000, rate="100/s")
    rig.advance(1000)
    assert rig.refused("MAINT") == "BUSY"


def test_maint_wants_the_service_role():
    rig = stopped()
    rig.link.open_role("operator")
    with pytest.raises(Refused, match="ROLE"):
        rig.link.command("MAINT", role="operator")
    rig.advance(60_000)


def test_maint_is_answered_before_the_board_resets_for_it():
    rig = stopped()
    assert rig.do("MAINT") == {"next": "REPL"}
    with pytest.raises(Resets) as reset:
        rig.advance(20_000)
    assert reset.value.args == (BOOT_MAINT,)
