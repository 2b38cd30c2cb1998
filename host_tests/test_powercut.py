"""A small share of the power-cut campaign, and bugs put in on purpose that it must find. The whole of it is `make powercut`."""

import pytest

from hil.errors import TargetError
from hil.targets.process import find_micropython
from tools import powercut


def campaign(store, first, count, stride, again=0, plant=None, errors=False):
    try:
        find_micropython()
    except TargetError as error:
        pytest.skip(str(error))
    with powercut.tqdm(disable=True) as bar:
        found = powercut.Campaign(bar)
        found.run(powercut.Part(store, first, count, stride, again, plant, errors))
    return found.totals[store]


@pytest.mark.req("R-ALM-8", "R-ALM-11", "R-MON-2")
@pytest.mark.parametrize("store, stride", [("region", 90), ("files", 190)])
def test_a_cut_at_any_flash_operation_loses_nothing_and_does_nothing_twice(store, stride):
    totals = campaign(store, 5, 2000, stride, 1)
    assert totals.told == []
    assert totals.cuts >= 2 * powercut.WAYS * 7 and totals.faults == 0


@pytest.mark.req("R-ALM-8", "R-MON-2")
@pytest.mark.parametrize("store, stride", [("region", 110), ("files", 400)])
def test_a_cut_some_time_after_an_error_of_the_flash_loses_nothing_either(store, stride):
    totals = campaign(store, 30, 2000, stride, errors=True)
    assert totals.told == [] and totals.after_errors == totals.cuts >= 3 * powercut.CUTS_AFTER_ERROR


def test_an_error_of_the_flash_that_is_passed_over_is_found():
    totals = campaign("region", 0, 20, 4, 0, "error_is_none", errors=True)
    assert totals.faults and any("is lost" in text for text in totals.told), totals.told


# bug: where the campaign meets it (store, first operation, operations, stride), and what it says
PLANTED = {
    "reply_first": ("region", 40, 60, 20, "acknowledged was"),
    "old_goes_first": ("region", 112, 15, 3, "state copy one_bad"),
    "torn_is_used_again": ("region", 84, 28, 4, "is lost"),
    "sample_after": ("region", 0, 4, 1, "may have been made"),
    "counted_with_its_sample": ("files", 1340, 20, 10, "but only"),
    "unsynced": ("files", 250, 24, 6, "is lost"),
}


@pytest.mark.parametrize("plant", PLANTED)
def test_the_campaign_finds_a_bug_that_was_put_in(plant):
    store, first, count, stride, says = PLANTED[plant]
    totals = campaign(store, first, count, stride, 0, plant)
    assert totals.faults and any(says in text for text in totals.told), totals.told


def test_the_parts_of_a_store_cut_at_every_operation_once():
    for count, stride in ((633, 1), (1337, 1), (633, 60), (7, 3)):
        cut = [n for part in powercut.parts_of("region", count, stride, 0, None)
               for n in range(part.first, min(part.first + part.count, count), part.stride)]  # fmt: skip
        assert cut == list(range(0, count, stride))
