"""The account: every step and count is booked once, in the category and concentration in force, and nothing is rounded away."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doseloop.ledger import CATEGORIES, DOSE, MOVED, PRIME, TEST, Ledger, Tally, reservation
from doseloop.line import Line

BOARD = {
    "steps_per_turn": 3200, "encoder_counts_per_turn": 4096, "steps_per_ml_nominal": 100_000,
    "dead_volume_tubing_nl": 0, "dead_volume_catheter_nl": 0, "reservation_nl": 10_000, "reservation_ms": 900_000,
}  # fmt: skip
DEAD = {**BOARD, "dead_volume_tubing_nl": 1_000, "dead_volume_catheter_nl": 1_400}  # 240 steps
TICKS = 1 << 30
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
QUARTER_MS = 900_000


def ledger(conc=500, category=DOSE, board=BOARD):
    """An account over a line that is filled with drug of `conc`."""
    found = Ledger(board, Line(board))
    found.feed(conc)
    found.category = category
    return found


def nanolitres(found):
    return found.authorised_nl.total, found.witnessed_nl.total


def nanograms(found):
    return found.authorised_ng.total, found.witnessed_ng.total


# ---- tallies


@pytest.mark.req("R-UNIT-1", "R-ALM-3")
@given(st.integers(0, 1000), st.lists(st.integers(-50, 10**9)), st.integers(1, 10**9))
def test_a_tally_is_the_floor_of_the_exact_sum(start, numbers, den):
    tally = Tally(start)
    for num in numbers:
        tally.add(num, den)
    assert tally.total == start + sum(numbers) // den


@pytest.mark.req("R-UNIT-1", "R-ALM-3")
@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(1, 10**4)), max_size=60))
def test_a_change_of_denominator_loses_less_than_one_part_of_the_new_one(pieces):
    tally, exact, lost, den_before = Tally(), Fraction(0), Fraction(0), 1
    for num, den in pieces:
        tally.add(num, den)
        exact += Fraction(num, den)
        lost += Fraction(1, den) if den != den_before else 0
        den_before = den
        assert exact - lost - 1 < tally.total <= exact


def test_a_third_and_two_thirds_are_one_also_in_sixths():
    tally = Tally()
    tally.add(1, 3)
    tally.add(3, 6)
    assert tally.total == 0
    tally.add(1, 6)
    assert tally.total == 1


# ---- steps and counts


@pytest.mark.req("R-ALM-3")
@pytest.mark.parametrize(("steps", "counts"), [(0, 0), (1, 1), (3, 3), (4, 5), (25, 32), (3199, 4094), (3200, 4096), (3203, 4099)])
def test_counts_of_steps_are_rounded_down(steps, counts):
    assert ledger().counts_of_steps(steps) == counts


@pytest.mark.parametrize(("counts", "steps"), [(0, 0), (1, 0), (2, 1), (4, 3), (5, 3), (32, 25), (4095, 3199), (4096, 3200), (4100, 3203)])
def test_steps_of_counts_are_rounded_down(counts, steps):
    assert ledger().steps_of_counts(counts) == steps


@pytest.mark.req("R-ALM-3", "R-CAL-2")
@pytest.mark.parametrize("category", CATEGORIES)
def test_what_is_moved_is_booked_in_its_category_and_only_dose_is_a_dose(category):
    found = ledger(500, category)
    found.advance(0, 0)
    found.advance(3200, 4096)
    assert found.steps == {**dict.fromkeys(CATEGORIES, 0), category: 3200}
    assert found.total_steps() == 3200 and found.counts == 4096
    assert nanolitres(found) == (32_000, 32_000)
    assert nanograms(found) == ((16_000, 16_000) if category == DOSE else (0, 0))


def test_the_categories_are_these_in_the_order_that_the_saved_state_keeps():
    assert CATEGORIES == (DOSE, PRIME, TEST, MOVED) == ("dose", "prime", "test", "moved")


@pytest.mark.req("R-ALM-3")
def test_the_first_reading_of_the_witness_is_where_it_begins_to_count():
    found = ledger()
    found.advance(0, 777)
    assert found.counts == 0
    found.advance(0, 780)
    assert found.counts == 3
    found.advance(0, 779)
    assert found.counts == 2, "a rotor that turns back is counted back"


@pytest.mark.req("R-ALM-3")
def test_a_witness_that_wraps_goes_on_counting():
    found = ledger()
    found.advance(0, TICKS - 2)
    found.advance(0, 3)
    assert found.counts == 5


@pytest.mark.req("R-ALM-3")
def test_nothing_is_booked_twice():
    found = ledger()
    for _ in range(3):
        found.advance(100, 50)
    found.advance(101, 51)
    assert (found.total_steps(), found.counts) == (101, 1)
    found.advance(99, 51)
    assert found.total_steps() == 99, "what was taken back is taken back"


@pytest.mark.req("R-ALM-3", "R-CAL-1")
def test_a_calibration_that_nothing_was_moved_with_leaves_no_trace():
    found = ledger()
    found.steps_per_ml = 99_999
    found.advance(1, 0)
    found.steps_per_ml = 1
    found.advance(1, 0)
    found.steps_per_ml = 99_999
    found.advance(99_999, 0)
    assert nanolitres(found)[0] == 1_000_000, "the rest of the first step is still there"


moves = st.tuples(
    st.integers(0, 5000), st.integers(0, 6000), st.sampled_from(CATEGORIES), st.sampled_from([500, 2000, 777]), st.integers(90_000, 110_000)
)


@pytest.mark.req("R-ALM-3", "R-UNIT-1")
@given(st.lists(moves, max_size=30))
def test_a_change_of_calibration_or_concentration_rewrites_nothing_that_was_booked(story):
    found, due, raw, steps = ledger(), 0, 0, 0
    exact = dict.fromkeys(("authorised_nl", "witnessed_nl", "authorised_ng", "witnessed_ng"), Fraction(0))
    found.advance(0, 0)
    for new_steps, counts, category, conc, per_ml in story:
        found.feed(conc)
        found.category, found.steps_per_ml = category, per_ml
        due, raw, steps = due + new_steps, raw + counts, steps + new_steps
        found.advance(due, raw)
        millilitres = {"authorised": Fraction(new_steps, per_ml), "witnessed": Fraction(counts * 3200, 4096 * per_ml)}
        for name, volume in millilitres.items():
            exact[name + "_nl"] += volume * 10**6
            exact[name + "_ng"] += volume * conc * 1000 if category == DOSE else 0
    assert found.total_steps() == steps
    for name, value in exact.items():
        assert value - 1 - Fraction(len(story), 90_000) < getattr(found, name).total <= value


@pytest.mark.req("R-ALM-3", "R-ALM-11")
def test_what_a_power_cut_left_open_is_booked_whole_and_called_uncertain():
    found = ledger()
    found.book_uncertain(101)
    assert found.steps[DOSE] == 101 and found.counts == 129
    assert (nanolitres(found)[0], found.uncertain_nl) == (1010, 1010)
    found.book_uncertain(3)
    assert found.uncertain_nl == 1040
    found.book(50)
    assert (found.steps[DOSE], found.uncertain_nl) == (154, 1040), "what the journal tells is not uncertain"


# ---- since refill, today, in 24 h


@pytest.mark.req("R-ALM-3", "R-MON-1")
def test_since_refill_counts_from_the_mark_and_the_larger_of_both_volumes_is_used():
    found = ledger()
    found.advance(0, 0)
    found.advance(3200, 4096)
    assert found.since_refill() == (32_000, 32_000, 16_000, 16_000)
    found.mark_refill()
    assert found.since_refill() == (0, 0, 0, 0) and found.used_nl() == 0
    found.advance(3300, 4096)
    assert found.since_refill() == (1000, 0, 500, 0) and found.used_nl() == 1000
    found.advance(3300, 4096 + 4096)
    assert found.since_refill() == (1000, 32_000, 500, 16_000) and found.used_nl() == 32_000


@pytest.mark.req("R-MON-1")
def test_today_begins_at_midnight_and_only_once():
    found = ledger()
    found.advance(1000, 0)
    found.note_day(20_000)
    assert found.today_ng() == 0
    found.advance(1500, 0)
    found.note_day(20_000)
    assert found.today_ng() == 2500
    found.note_day(20_001)
    assert found.today_ng() == 0
    found.advance(1600, 0)
    found.note_day(20_000)
    assert found.today_ng() == 0, "a clock that is set back begins a day too"


def marked(*marks):
    """A ledger with marks of what it had authorised and witnessed, ng, at these times."""
    found = ledger()
    for at, authorised, witnessed in marks:
        found.restore_mark(at, authorised, witnessed)
    found.authorised_ng.total, found.witnessed_ng.total = 100_000, 90_000
    return found


@pytest.mark.req("R-MON-1")
@pytest.mark.parametrize(
    ("now", "dose"),
    [
        (DAY_MS, (99_000, 89_500)),  # not yet 24 h since the first mark: since then
        (DAY_MS + 10, (99_000, 89_500)),  # exactly 24 h after it
        (DAY_MS + QUARTER_MS + 9, (99_000, 89_500)),
        (DAY_MS + QUARTER_MS + 10, (98_000, 88_500)),
        (3 * DAY_MS, (97_000, 87_500)),  # the newest that is old enough
    ],
)
def test_the_dose_of_24_hours_is_counted_from_the_newest_mark_that_is_as_old(now, dose):
    found = marked((10, 1_000, 500), (10 + QUARTER_MS, 2_000, 1_500), (10 + 2 * QUARTER_MS, 3_000, 2_500))
    assert found.day_ng(now) == dose


@pytest.mark.req("R-MON-1")
def test_without_a_mark_all_there_is_counts():
    assert marked().day_ng(5 * DAY_MS) == (100_000, 90_000)


@pytest.mark.req("R-MON-1")
def test_marks_are_kept_as_long_as_24_hours_need_them_and_no_longer():
    found = ledger()
    for quarter in range(500):
        found.advance(quarter * 10, 0)
        found.mark_quarter(quarter * QUARTER_MS)
        assert len(found._marks) <= DAY_MS // QUARTER_MS + 1
        assert found.day_ng(quarter * QUARTER_MS)[0] == min(quarter, 96) * 50
    found = marked((0, 1, 1), (7, 2, 2), (DAY_MS + 6, 3, 3))
    assert [mark[0] for mark in found._marks] == [0, 7, DAY_MS + 6]
    found.restore_mark(DAY_MS + 7, 4, 4)
    assert [mark[0] for mark in found._marks] == [7, DAY_MS + 6, DAY_MS + 7], "one mark that is 24 h old suffices"
    found.restore_mark(5 * DAY_MS, 5, 5)
    assert [mark[0] for mark in found._marks] == [DAY_MS + 7, 5 * DAY_MS], "also after days without power"


@pytest.mark.req("R-MON-1")
def test_marks_of_hours_in_which_nothing_was_authorised_or_nothing_was_witnessed_are_marks_too():
    found = marked((10, 0, 0), (20, 0, 5), (30, 7, 0))
    found.witnessed_ng.total, found.authorised_ng.total = 100, 200
    assert [found.day_ng(DAY_MS + at) for at in (10, 20, 30)] == [(200, 100), (200, 95), (193, 100)]


# ---- the journal's copy


@pytest.mark.req("R-MON-2")
def test_a_restart_knows_what_was_booked():
    found = ledger()
    found.advance(0, 0)
    for number, category in enumerate(CATEGORIES, 1):
        found.category = category
        found.advance(found._due + 100 * number, found._raw + 90 * number)
    found.note_day(20_000)
    found.category = DOSE
    found.advance(found._due + 1000, found._raw + 1300)
    found.mark_refill()
    found.book_uncertain(77)
    found.bolus_steps = 55
    fresh = ledger()
    fresh.load(found.dump())
    assert fresh.dump() == found.dump()
    for known in (fresh, found):
        assert known.steps == {"dose": 1177, "prime": 200, "test": 300, "moved": 400}
        assert known.since_refill() == (770, 766, 385, 383), "17187.5 nl and 5429.7 ng were witnessed before"
        assert (known.uncertain_nl, known.bolus_steps, known.today_ng(), known.day) == (770, 55, 5385, 20_000)


def test_a_new_account_is_empty():
    found = Ledger(BOARD, Line(BOARD))
    assert found.dump() == {
        "steps": [0, 0, 0, 0], "counts": 0, "tally": [0, 0, 0, 0], "uncertain": 0, "refill": [0, 0, 0, 0], "bolus": 0, "day": [None, 0],
    }  # fmt: skip
    assert (found.tip_conc(), found.bridge_left(), found.category, found.steps_per_ml) == (0, 0, DOSE, 100_000)
    assert found.since_refill() == (0, 0, 0, 0)


# ---- a bridge: the old drug leaves the tip first


def bridging(old=500, new=2000, made=0):
    """240 steps of the old drug are in the line, the reservoir feeds the new one; `made` steps since."""
    found = ledger(old, board=DEAD)
    found.advance(0, 0)
    found.advance(100, 128)
    found.feed(new)
    found.mark_refill()
    if made:
        found.advance(100 + made, 128 + made * 4096 // 3200)
    return found


@pytest.mark.req("R-CON-3", "R-ALM-3")
@pytest.mark.parametrize(
    ("made", "left", "conc", "authorised", "witnessed"),
    [
        (0, 240, 500, 0, 0),
        (200, 40, 500, 1000, 1000),
        (225, 15, 500, 1125, 1125),
        (240, 0, 2000, 1200, 1199),  # 307 counts are 239.8 steps
        (250, 0, 2000, 1400, 1402),  # so the witness is through 0.2 steps before
        (400, 0, 2000, 4400, 4402),
    ],
)
def test_in_a_bridge_the_old_concentration_is_booked_until_the_dead_volume_is_through(made, left, conc, authorised, witnessed):
    found = bridging(made=made)
    assert (found.bridge_left(), found.tip_conc()) == (left, conc)
    assert found.since_refill()[2:] == (authorised, witnessed)


@pytest.mark.req("R-CON-3", "R-ALM-3")
@given(st.lists(st.integers(1, 130), max_size=6), st.sampled_from([(500, 2000), (2000, 500)]))
def test_how_a_bridge_is_cut_into_turns_changes_nothing_that_was_authorised(turns, concs):
    found, due = bridging(*concs), 100
    for steps in turns:
        due += steps
        found.advance(due, 128 + (due - 100) * 4096 // 3200)
    made = due - 100
    exact = min(made, 240) * 10 * concs[0] + max(0, made - 240) * 10 * concs[1]
    assert found.since_refill()[2] == exact // 1000
    assert abs(found.since_refill()[3] * 1000 - exact) <= 2 * 10 * max(concs), "a count more or less, on either side of the change"
    found.advance(100, found._raw)
    assert found.since_refill()[2] == 0, "what was taken back is taken back at the concentration it had"


@pytest.mark.req("R-CON-3", "R-ALM-11")
@pytest.mark.parametrize(("old", "new", "left"), [(500, 2000, 140), (2000, 500, 240)])
def test_what_a_power_cut_left_open_never_raises_the_dose_at_the_tip(old, new, left):
    found = bridging(old, new)
    found.book_uncertain(100)
    assert found.bridge_left() == left
    assert found.since_refill()[2:] == (old, old), "booked at what is at the tip, whole"


@pytest.mark.req("R-CON-3")
def test_prime_moves_drug_into_the_line_and_test_fluid_does_not():
    for category, conc in ((PRIME, 500), (TEST, None), (MOVED, None), (DOSE, 500)):
        found = ledger(500, category, DEAD)
        found.advance(1, 0)
        assert found.line.conc == conc


# ---- how much one record covers


@pytest.mark.req("R-ALM-11", "R-CON-3")
@pytest.mark.parametrize(
    ("rate", "made", "covered", "steps"),
    [
        (0, 250, 0, 1),  # at least one
        (10_000, 250, 0, 126),  # 15 min of 10 mcg/h at 2000 mcg/mL: 125 steps, rounded up
        (10_000, 0, 0, 240),  # at 500: 501, but the bridge ends first
        (10_000, 0, 40, 200),  # 40 of them are covered already
        (10_000, 0, 239, 1),
        (10_000, 0, 240, 1),  # all of the bridge is covered, and with it more than 15 min at the new concentration
        (60_000, 0, 240, 511),  # 15 min at the new concentration are 751
        (79_000, 250, 0, 988),
        (4_000, 0, 0, 201),  # 15 min of 4 mcg/h at 500 mcg/mL
        (10**9, 250, 0, 1000),  # 10 uL
        (10**9, 0, 0, 240),
    ],
)
def test_a_reservation_is_10_microlitres_or_15_minutes_or_what_is_left_of_a_bridge(rate, made, covered, steps):
    assert reservation(DEAD, bridging(made=made), rate, covered) == steps


def test_a_head_whose_step_is_more_than_a_reservation_makes_one_at_a_time():
    assert reservation({**BOARD, "reservation_nl": 5}, ledger(), 10_000, 0) == 1


@pytest.mark.req("R-ALM-3", "R-CAL-2")
def test_without_drug_in_the_reservoir_nothing_that_moves_is_a_dose():
    found = ledger(0)
    found.advance(0, 0)
    for turn in range(1, 1000):
        found.advance(turn, turn)
    assert nanograms(found) == (0, 0) and found.total_steps() == found.counts == 999
