"""The curves of the live page against the oracle's own sums."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.live import series
from hil.live.series import Series
from hil.oracle.program import Program, flat_lines, taper_lines

MONDAY = 1_809_302_400  # 2027-05-03 00:00 UTC
NIGHT = Program.parse(["name=night", "conc=2000", "seg.all.00:00=266000", "seg.all.19:00=84000"])


def stat(now_s: int, refill: int = 0, witnessed: int = 0, **changes: str) -> dict[str, str]:
    said = {"state": "running", "clock": "set", "now": f"{now_s}s", "rate": "1ng/h"}
    return {**said, "refill": f"{refill}ng", "refill_wit": f"{witnessed}ng", **changes}


def watching(program: Program | None = NIGHT, offset_s: int | None = 0) -> Series:
    return Series(program=program, offset_s=offset_s)


@given(st.lists(st.integers(1, 200_000), min_size=1, max_size=20), st.integers(-14, 14))
def test_programmed_is_the_oracles_sum_over_the_pumps_local_time_however_often_it_is_looked(spans: list[int], hours: int) -> None:
    kept, now_s = watching(offset_s=hours * 3600), MONDAY
    kept.add(stat(now_s), 0.0)
    for span_s in spans:
        now_s += span_s
        kept.add(stat(now_s), 0.0)
    whole_days, rest_s = divmod(sum(spans), 86_400)
    local_ms = hours * 3_600_000 % 86_400_000
    wanted = whole_days * 350_000 + float(NIGHT.dose(local_ms, local_ms + rest_s * 1000))
    assert kept.points[-1].programmed_ng == pytest.approx(wanted, rel=1e-9)


def test_programmed_goes_on_while_the_pump_stands_but_not_before_the_first_run() -> None:
    kept = watching()
    for hour, state in enumerate(["idle", "idle", "running", "stopped"]):
        kept.add(stat(MONDAY + 3600 * hour, state=state), 0.0)
    assert [p.programmed_ng for p in kept.points] == [0, 0, 14_000, 28_000]


def test_delivered_goes_on_over_a_refill_and_a_witness_that_dithers_back_is_no_refill() -> None:
    kept = watching()
    for hour, (refill, witnessed) in enumerate([(9000, 9000), (23_000, 23_010), (23_000, 23_000), (500, 400), (1000, 900)]):
        kept.add(stat(MONDAY + 3600 * hour, refill, witnessed), 0.0)
    assert [p.delivered_ng for p in kept.points] == [0, 14_000, 14_000, 14_500, 15_000]
    assert [p.witnessed_ng for p in kept.points] == [0, 14_010, 14_000, 14_400, 14_900]


def test_a_taper_orders_the_dose_of_the_day_it_is_in_and_nothing_when_it_is_over() -> None:
    kept = watching(Program.parse(taper_lines("away", 500, [240_000, *[200_000] * 13])))
    kept.holiday = "1/14"
    kept.add(stat(MONDAY), 0.0)
    kept.add(stat(MONDAY + 3600), 0.0)
    kept.holiday = "over"
    kept.add(stat(MONDAY + 7200), 0.0)
    assert [p.programmed_ng for p in kept.points] == [0, pytest.approx(10_000), pytest.approx(10_000)]


def test_while_the_clock_is_lost_nobody_knows_what_is_due_and_the_axis_goes_by_the_host() -> None:
    kept = watching()
    kept.add(stat(MONDAY, 1000), 50.0)
    kept.add(stat(0, 2000, clock="lost"), 60.0)
    kept.add(stat(0, 3000, clock="lost"), 70.0)
    seen = [(p.t_s - MONDAY, p.programmed_ng, p.delivered_ng) for p in kept.points]
    assert seen == [(0, 0, 0), (10, None, 1000), (20, None, 2000)]
    kept.add(stat(MONDAY + 3600, 4000), 80.0)  # it is known again: a new beginning
    assert [(p.programmed_ng, p.delivered_ng) for p in kept.points] == [(0, 0)] and kept.generation == 1


def test_a_clock_that_goes_back_begins_the_curves_again() -> None:
    kept = watching()
    for now_s in (MONDAY, MONDAY + 3600, MONDAY - 3600):
        kept.add(stat(now_s, 5000), 0.0)
    assert len(kept.points) == 1 and kept.points[0].delivered_ng == 0 and kept.generation == 1


def test_without_a_program_nothing_is_due() -> None:
    kept = watching(None)
    for hour in range(3):
        kept.add(stat(MONDAY + 3600 * hour), 0.0)
    assert [p.programmed_ng for p in kept.points] == [None, None, None]


def test_a_long_watch_keeps_its_first_and_last_point_and_forgets_every_second() -> None:
    kept = watching(Program.parse(flat_lines("flat", 500, 24_000)))
    for i in range(3 * series.MOST_POINTS):
        kept.add(stat(MONDAY + i), 0.0)
        assert len(kept.points) <= series.MOST_POINTS and kept.points[-1].t_s == MONDAY + i
    assert kept.points[0].t_s == MONDAY and kept.generation > 0
    assert kept.points[-1].programmed_ng == pytest.approx((3 * series.MOST_POINTS - 1) / 3.6, rel=1e-9)
