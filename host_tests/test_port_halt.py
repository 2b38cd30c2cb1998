"""The port opens at the worst instants of a delivery: whatever the interrupt halted, basal goes on at once (R-CAP-2)."""

import pytest
from pump_rig import PumpRig

MINUTE_MS = 60_000
DAILY_NG = 200_000
STEPS_A_MINUTE = DAILY_NG * 100_000 / (2000 * 1000) / 1440  # of 100,000 steps per mL, 2000 mcg/mL


def running():
    rig = PumpRig()
    rig.take_over([("all", "00:00", DAILY_NG)], conc=2000, bolus=(10_000, 600, 3600, 100_000), volume=18_000_000)
    rig.run()
    rig.advance(MINUTE_MS)
    return rig


def ask_bolus(rig):
    return rig.do("DOSE:BOLUS", volume="10000nl", path="pump", id="0000beef", at=f"{int(rig.unix())}s", ttl="60s")


def assert_basal_goes_on(rig):
    """Half a minute of a bolus's end, then whole minutes to within a step."""
    for _ in range(5):
        before = len(rig.hal.edges)
        rig.advance(MINUTE_MS)
        assert abs(len(rig.hal.edges) - before - STEPS_A_MINUTE) <= 1
    assert rig.status()["state"] == "running"
    assert "PORT_OPEN" in rig.alarms() and "LATE" not in rig.alarms()


@pytest.mark.req("R-CAP-2")
def test_the_port_opens_while_the_intent_of_a_bolus_is_written():
    rig = running()
    intent = rig.pump.keeper.intent

    def slowly(delivery):
        rig.hal.reads_open = True
        rig.hal.see_port()
        return intent(delivery)

    rig.pump.keeper.intent = slowly
    before = len(rig.hal.edges)
    ask_bolus(rig)
    rig.turn()
    assert len(rig.hal.edges) - before <= 1, "not one step of the bolus"
    assert_basal_goes_on(rig)


@pytest.mark.req("R-CAP-2")
def test_the_switch_bounces_once_more_right_after_the_engine_was_revoked():
    rig = running()
    ask_bolus(rig)
    rig.advance(30_000)
    revoke = rig.hal.revoke

    def revoke_and_bounce():
        made = revoke()
        rig.hal.see_port()
        return made

    rig.hal.revoke = revoke_and_bounce
    rig.open_port()
    rig.hal.revoke = revoke
    assert rig.status()["outcome"] == "PARTIAL"
    assert_basal_goes_on(rig)
