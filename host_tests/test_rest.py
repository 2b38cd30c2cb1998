"""Between two turns: the loop sleeps, and collects garbage only where nobody waits."""

import pytest
from pump_rig import PumpRig

from doseloop import controller as module


@pytest.fixture
def resting(monkeypatch):
    """A controller, and what it did: `collect`, or the ms it slept."""
    done = []
    monkeypatch.setattr(module, "collect_garbage", lambda: done.append("collect"))
    rig = PumpRig()
    rig.hal.idle = done.append
    return rig.controller, done


def test_garbage_is_collected_before_every_sixtieth_sleep_and_never_after_it(resting):
    controller, done = resting
    for _ in range(120):
        controller.rest(1000)
    assert [place for place, what in enumerate(done) if what == "collect"] == [59, 120]
    assert done[60] == done[121] == 1000


def test_a_short_sleep_waits_for_no_collection_and_the_next_long_one_makes_up_for_it(resting):
    controller, done = resting
    for _ in range(500):
        controller.rest(499)
    assert "collect" not in done
    controller.rest(500)
    assert done[-2:] == ["collect", 500]
