"""What was given in the last 24 h, summed in one pass: equal to summing each stretch by itself (R-DOSE-2, R-PRF-4)."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doseloop.basal import Basal

SPANS = st.lists(st.tuples(st.integers(0, 50_000), st.integers(1, 90) | st.sampled_from([60_000, 900_000])), min_size=1, max_size=12)


def filled(spans):
    """Stretches one after the other: (ng, ms) each, all read back from the journal."""
    basal, at = Basal(None), 0
    for ng, ms in spans:
        basal.restore_given(at, at + ms, ng)
        at += ms
    return basal, at


@pytest.mark.req("R-DOSE-2", "R-PRF-4")
@given(SPANS, st.lists(st.integers(-100, 3_000_000), min_size=1, max_size=8), st.integers(0, 100))
def test_one_pass_gives_for_each_start_what_its_stretches_hold_at_most_a_ng_a_cut_more(spans, starts, before_end):
    basal, end = filled(spans)
    now = end - before_end
    starts = sorted(starts)
    for start, found in zip(starts, basal.given_since(starts, now)):
        at, exact = 0, Fraction(0)
        for ng, ms in spans:
            exact += Fraction(ng * max(0, min(at + ms, now) - max(at, start)), ms)
            at += ms
        assert exact <= Fraction(found.num, found.den) <= exact + 2
