"""Every case of over_fakes.py on both families, and what a reset leaves behind."""

import pytest
from fakes.chip import Resets
from over_fakes import CASES_OVER_FAKES
from rigs import Esp32Rig, Stm32Rig

BOTH = [Esp32Rig, Stm32Rig]
POWER, WATCHDOG, SOFT, MAINT = 1, 2, 3, 4


@pytest.mark.parametrize("rig", BOTH, ids=lambda rig: rig.family)
@pytest.mark.parametrize("case", CASES_OVER_FAKES)
def test_over_fakes(rig, case, tmp_path):
    CASES_OVER_FAKES[case](rig(tmp_path))


def kept(chip):
    return chip.kept if hasattr(chip, "kept") else chip.backup


@pytest.mark.parametrize("cause", [WATCHDOG, SOFT, MAINT])
@pytest.mark.parametrize("rig", BOTH, ids=lambda rig: rig.family)
def test_a_reset_tells_its_cause_to_the_next_boot_and_to_no_other(rig, cause, tmp_path):
    first = rig(tmp_path)
    with pytest.raises(Resets):
        first.run(("reset", cause))
    second = rig(tmp_path, kept=kept(first.chip), cause=2)
    assert second.hal.boot_cause == cause
    third = rig(tmp_path, kept=kept(second.chip), cause=1)
    assert third.hal.boot_cause == POWER


@pytest.mark.parametrize("rig", BOTH, ids=lambda rig: rig.family)
def test_a_watchdogs_reset_is_told_as_such(rig, tmp_path):
    assert rig(tmp_path, cause=3).hal.boot_cause == WATCHDOG


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("rig", BOTH, ids=lambda rig: rig.family)
def test_whatever_the_interrupts_do_the_count_is_the_pins_and_no_two_steps_crowd(rig, seed, tmp_path):
    """Puts, waits, revokes and hangs at random; the soft interrupts come at random too."""
    rig = rig(tmp_path, seed=seed)
    choose = rig.chip.random
    for _ in range(25):
        period = choose.choice([5_000, 40_000, 250_000])
        rig.run(("put", choose.randrange(6), choose.choice([0, 0, 30_000]), period), ("wait", choose.randrange(120)))
        if choose.random() < 0.2:
            rig.hang(choose.randrange(200))
        if choose.random() < 0.3:
            made = rig.revoke()
            rig.hang(1)  # a pulse in progress ends by itself
            assert made == len(rig.edges())
    rig.wait(10_000)
    assert rig.revoke() == rig.stepped() == len(rig.edges())
    gaps = [later - earlier for earlier, later in zip(rig.edges(), rig.edges()[1:])]
    assert min(gaps) >= rig.board["min_pulse_period_us"] - 10
