"""The line by itself: what it holds, count by count, what a bridge is through with, and what a dose takes from the reservoir."""

from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from doseloop.ledger import DOSE, MOVED, PRIME, TEST
from doseloop.line import PARTS, Fill, Line, fill_of
from doseloop.units import Refusal

BOARD = {"dead_volume_tubing_nl": 1_000, "dead_volume_catheter_nl": 1_401}
PER_ML = 100_000  # a step is 10 nl
DEAD = 241  # steps with the last of which 2401 nl are through


def filled(old=500, new=None, count=0):
    """A line that holds `old`; the reservoir feeds `new` from `count` on."""
    line = Line(BOARD)
    line.refill(old, 0, PER_ML)
    line.drug_moved()
    if new is not None:
        line.refill(new, count, PER_ML)
    return line


def code(do, *args):
    try:
        do(*args)
    except Refusal as refusal:
        return refusal.code
    return "OK"


# ---- what it holds


@pytest.mark.req("R-CON-3")
def test_a_new_line_holds_nothing_and_feeds_nothing():
    line = Line(BOARD)
    assert line.dump() == [0, None, 0, 0]
    assert (line.left(0), line.tip(0), line.holds(0), line.mass(0, 10)) == (0, 0, None, 0)


@pytest.mark.req("R-CON-3")
def test_the_first_drug_is_in_the_line_as_soon_as_a_step_of_it_was_made():
    line = Line(BOARD)
    line.refill(500, 0, PER_ML)
    assert (line.tip(0), line.holds(0), line.left(0)) == (500, None, 0)
    line.drug_moved()
    assert (line.tip(1), line.holds(1), line.left(1)) == (500, 500, 0)
    line.refill(0, 1, PER_ML)
    assert (line.tip(1), line.holds(1), line.left(1)) == (0, 500, 0), "test fluid bridges nothing"
    line.drug_moved()
    assert line.holds(1) is None


@pytest.mark.req("R-CON-3")
@pytest.mark.parametrize("count", [0, 1000])
def test_another_drug_leaves_the_tip_when_the_dead_volume_is_through(count):
    line = filled(500, 2000, count)
    for made, left in ((0, DEAD), (1, DEAD - 1), (DEAD - 1, 1), (DEAD, 0), (DEAD + 1, 0)):
        at = count + made
        assert (line.left(at), line.tip(at), line.holds(at)) == (left, 500 if left else 2000, 500 if left else 2000)
    line.drug_moved()
    assert line.left(count + 5) == DEAD - 5, "its own steps do not end it"


@pytest.mark.req("R-CON-3")
@pytest.mark.parametrize(
    ("per_ml", "steps"), [(100_000, 241), (1_000_000, 2401), (416, 1), (832, 2), (833, 3), (416_500, 1001), (757_601, 1820)]
)
def test_the_dead_volume_is_rounded_up_to_whole_steps(per_ml, steps):
    line = filled()
    line.refill(2000, 0, per_ml)
    assert line.left(0) == steps


@pytest.mark.req("R-CON-3")
def test_the_same_drug_begins_no_bridge_and_a_bridge_takes_no_third_one():
    line = filled(500, 500)
    assert line.left(0) == 0 and line.tip(0) == 500
    line = filled(500, 2000)
    line.refill(1000, 10, PER_ML)
    assert (line.left(10), line.feed, line.conc) == (DEAD - 10, 2000, 500)
    line.refill(500, DEAD, PER_ML)
    assert (line.left(DEAD), line.tip(DEAD), line.tip(2 * DEAD)) == (DEAD, 2000, 500), "when it is through, the next may follow"


@pytest.mark.req("R-CON-3", "R-ALM-3")
@given(st.integers(0, 3 * DEAD), st.integers(0, 3 * DEAD), st.sampled_from([(500, 2000), (2000, 500)]))
def test_the_mass_between_two_counts_is_the_sum_of_what_each_step_gives_at_the_tip(a, b, concs):
    line = filled(*concs, count=100)
    exact = sum(line.tip(count) for count in range(min(a, b), max(a, b)))
    assert line.mass(min(a, b), max(a, b)) == exact
    assert line.mass(max(a, b), min(a, b)) == -exact, "and what is taken back is the same"


# ---- what happens to it


@pytest.mark.req("R-CON-4")
@pytest.mark.parametrize(("part", "allowance"), [("tube", 1_000), ("catheter", 1_401), ("both", 2_401)])
def test_a_new_part_may_be_primed_with_its_dead_volume_once(part, allowance):
    line = filled(500, 2000)
    line.replace(part)
    assert line.prime_left_nl == allowance
    line.delivered(PRIME, 30, PER_ML)
    assert line.prime_left_nl == allowance - 300
    line.delivered(DOSE, 30, PER_ML)
    assert line.prime_left_nl == allowance - 300, "a dose is no prime"
    line.delivered(PRIME, 1_000, PER_ML)
    assert line.prime_left_nl == 0
    assert (line.conc, line.until) == ((None, 0) if part == "both" else (500, DEAD))


@pytest.mark.req("R-CON-3", "R-CAL-2")
@pytest.mark.parametrize("category", [TEST, MOVED, DOSE])
def test_what_is_no_prime_leaves_line_and_allowance_alone(category):
    line = filled(500, 2000)
    line.replace("tube")
    line.delivered(category, 5_000, PER_ML)
    assert (line.conc, line.until, line.prime_left_nl) == (500, DEAD, 1_000)


@pytest.mark.req("R-CON-3", "R-ALM-11")
@pytest.mark.parametrize(
    ("concs", "count", "steps", "until"),
    [
        ((500, 2000), 100, 100, DEAD),  # a stronger drug follows: all of them were made
        ((2000, 500), 100, 100, DEAD + 100),  # a weaker one: none
        ((2000, 500), DEAD + 50, 100, DEAD + 100),  # also where they reach beyond the end
        ((2000, 500), DEAD + 100, 100, DEAD),  # all of them were made after it
        ((2000, 500), DEAD + 99, 100, DEAD + 100),
        ((2000, 500), DEAD + 500, 100, DEAD),
        ((500, 500), 100, 100, 0),
    ],
)
def test_what_a_cut_left_open_counts_by_the_bound_that_never_raises_the_dose(concs, count, steps, until):
    line = filled(*concs)
    line.leave_open(count, steps)
    assert line.until == until


@pytest.mark.req("R-CON-3")
def test_without_drug_a_cut_leaves_nothing_open():
    line = Line(BOARD)
    line.leave_open(100, 100)
    assert line.until == 0


@pytest.mark.req("R-CON-3", "R-CAL-1")
@pytest.mark.parametrize(
    ("count", "old", "new", "left"),
    [(0, 100_000, 100_000, 241), (41, 100_000, 110_000, 220), (40, 100_000, 99_999, 201), (241, 100_000, 110_000, 0)],
)
def test_the_volume_of_a_bridge_outlives_another_calibration(count, old, new, left):
    line = filled(500, 2000)
    line.recalibrate(count, old, new)
    assert line.left(count) == left
    assert left or line.until == DEAD


# ---- refusals


@pytest.mark.req("R-CON-3", "R-UNIT-3")
def test_in_a_bridge_a_third_drug_and_one_new_part_are_refused():
    line = filled(500, 2000)
    assert [code(line.check_refill, conc, 0) for conc in (2000, 500, 1000, 0)] == ["OK", "BRIDGING", "BRIDGING", "BRIDGING"]
    assert [code(line.check_replace, part, 0) for part in ("tube", "catheter", "both")] == ["BRIDGING", "BRIDGING", "OK"]
    assert code(line.require_no_bridge, DEAD - 1) == "BRIDGING" and code(line.require_no_bridge, DEAD) == "OK"
    assert [code(line.check_refill, conc, DEAD) for conc in (2000, 500, 0)] == ["OK"] * 3
    assert code(filled(500, 1000).check_refill, 2000, 0) == "BRIDGING", "also a stronger third one"
    assert set(PARTS) == {"tube", "catheter", "both"}
    with pytest.raises(Refusal) as refusal:
        line.check_refill(1000, 0)
    assert refusal.value.text == "the line still holds 500 under 2000 mcg/ml; refill with 2000, or wait for the bridge"
    with pytest.raises(Refusal) as refusal:
        line.require_no_bridge(1)
    assert refusal.value.text == "240 steps of the old 500 mcg/ml are in the line; wait, or LINE:NEW part=both"


# ---- what a dose takes


fills = st.builds(
    lambda conc, bridge: (conc, *bridge),
    st.sampled_from([51, 500, 777, 2000]),
    st.one_of(st.just((0, 0)), st.tuples(st.integers(1, 10_000), st.sampled_from([51, 500, 2000]))),
)


def exact_ng(fill, volume):
    """Dose of a volume, exactly: first what is left of the old drug."""
    conc, left, old = fill
    first = min(volume, left)
    return Fraction(first * old + (volume - first) * conc, 1000)


@pytest.mark.req("R-FIL-3", "R-CON-3")
@given(fills, st.integers(0, 100_000))
def test_the_dose_of_a_volume_is_rounded_down(fill, volume):
    assert Fill(*fill).ng_in(volume) == exact_ng(fill, volume) // 1


@pytest.mark.req("R-FIL-3", "R-CON-3")
@given(fills, st.integers(0, 10**8))
def test_the_volume_for_a_dose_is_the_least_that_holds_it(fill, dose):
    volume = Fill(*fill).nl_for(dose)
    assert exact_ng(fill, volume) >= dose
    assert volume == 0 or exact_ng(fill, volume - 1) < dose


@pytest.mark.req("R-FIL-3")
@pytest.mark.parametrize(("dose", "volume"), [(0, 0), (1, 2), (500, 1000), (501, 1001), (502, 1001), (503, 1002), (2500, 2000)])
def test_the_old_drug_is_drawn_first(dose, volume):
    """1000 nl at 500, then 2000 mcg/mL."""
    assert Fill(2000, 1000, 500).nl_for(dose) == volume


@pytest.mark.req("R-FIL-3")
def test_less_than_nothing_holds_less_than_no_dose():
    assert Fill(500).ng_in(-10) == -5 and Fill(500, 100, 2000).ng_in(-10) == -5


@pytest.mark.req("R-FIL-3", "R-CON-3")
def test_what_is_filled_tells_of_a_bridge_as_far_as_it_has_come():
    line = filled(500, 2000)
    assert [fill_of(line, count, PER_ML, 2000).nl_for(1_000_000) for count in (0, 100, DEAD)] == [501_808, 501_058, 500_000]
    assert fill_of(line, DEAD, PER_ML, 777).ng_in(1000) == 777


@pytest.mark.req("R-MON-2")
def test_a_restart_knows_the_line():
    line = filled(500, 2000)
    line.replace("tube")
    fresh = Line(BOARD)
    fresh.load(line.dump())
    assert fresh.dump() == line.dump() == [2000, 500, DEAD, 1_000]
    assert fresh.left(1) == DEAD - 1


@pytest.mark.req("R-CON-3")
@example(2_000, 0, 1, 0)
@example(500, 0, 1, 1)
@given(st.integers(1, 4_000), st.integers(0, 30), st.integers(1, 4_000), st.integers(-2, 60))
def test_the_dose_for_a_volume_is_the_least_that_takes_it(conc, left_nl, old, volume_nl):
    fill = Fill(conc, left_nl, old)
    dose_ng = fill.ng_for(volume_nl)
    if volume_nl <= 0:
        assert dose_ng == 0
    else:
        assert fill.nl_for(dose_ng) >= volume_nl > fill.nl_for(dose_ng - 1)
