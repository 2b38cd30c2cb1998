"""The motor's enable lives on the controller's reports: as long as leases last and a little longer, never longer than one lease.

What feeds the enable goes on while Python hangs; so the last report alone says for how long the motor is then driven.
"""

import contextlib

import pytest
from hypothesis import event, given
from hypothesis import strategies as st
from pump_rig import NIGHT_FLEX, PumpRig, flat

from hil.errors import Refused

LEASE_MS = 10_000  # DESIGN: all outstanding leases together
LEASE_BOLUS_MS = 1_000
HOLD_MS = 1_000
BOLUS_S = 25
BOLUS = (5_000, BOLUS_S, 3600, 60_000)
ORDERS = (("DOSE:BOLUS", ("volume", "5000nl"), ("path", "pump")), ("STOP",), ("RUN",))


def order(rig, verb, *fields):
    """Obeyed or not."""
    with contextlib.suppress(Refused):
        rig.do(verb, **dict(fields))


class Reports:
    """Each feed: (us, ms, whether a bolus moves for longer than a lease of it)."""

    def __init__(self, rig):
        self.rig, self.fed = rig, []
        self._feed = rig.hal.feed
        rig.hal.feed = self._told

    def _told(self, ms):
        self.fed.append((self.rig.hal.us, ms, self._in_bolus()))
        self._feed(ms)

    def _in_bolus(self):
        current = self.rig.pump.deliveries.current
        return current is not None and self.rig.pump.clock.elapsed - current.started < BOLUS_S * 1000 - LEASE_BOLUS_MS

    def every_step_was_driven(self):
        """Each step lies within a report that came before it and was not taken back."""
        place, until = 0, 0
        for edge in self.rig.hal.edges:
            while place < len(self.fed) and self.fed[place][0] < edge:
                until = self.fed[place][0] + self.fed[place][1] * 1000
                place += 1
            if edge > until:
                return False
        return True


@pytest.mark.req("R-ALM-9", "R-ALM-11")
@given(
    st.sampled_from([NIGHT_FLEX, flat(350_000), flat(1_000_000), flat(2_000)]),
    st.lists(st.one_of(st.integers(1, 900_000), st.sampled_from(ORDERS)), min_size=2, max_size=8),
)
def test_the_motor_is_driven_at_every_step_and_never_longer_than_one_lease_after_a_report(segments, story):
    rig = PumpRig().take_over(segments, bolus=BOLUS)
    reports = Reports(rig)
    rig.run()
    for act in story:
        if isinstance(act, int):
            rig.advance(act)
        else:
            order(rig, *act)
    rig.advance(20_000)
    assert reports.every_step_was_driven()
    assert max(ms for _, ms, _ in reports.fed) <= LEASE_MS
    event(f"steps {'in' if any(in_bolus for _, _, in_bolus in reports.fed) else 'without'} a bolus")
    assert all(ms <= LEASE_BOLUS_MS + HOLD_MS for _, ms, in_bolus in reports.fed if in_bolus)
