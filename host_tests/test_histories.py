"""A fixed share of `python -m campaign`: pump and oracle through whole therapies at random, every answer and figure alike."""

import pytest
from campaign.events import history
from campaign.run import play

SEED = 20270503
BLOCK, BLOCKS = 10, 16
EVENTS = 60


@pytest.mark.req("R-TIT-4", "R-UNIT-3", "R-MON-1")
@pytest.mark.parametrize("block", range(BLOCKS))
def test_pump_and_oracle_answer_alike_through_histories_at_random(block):
    for number in range(block * BLOCK, (block + 1) * BLOCK):
        start, events = history(SEED, number, EVENTS)
        played, told = play(start, events)
        assert told is None, f"python -m campaign --seed {SEED} --first {number} -n 1: event {played}: {told[1]}"
