"""More cases for the two families that run over fakes alone: what is not in the common contract, or needs a chip that can be cut off."""

from contextlib import suppress

from cases import MS
from fakes.chip import Resets
from rigs import FakeRig

T = 40 * MS
UNIX_2027 = 1_809_302_400
WATCHDOG_MS = 8000
REPORT_MS = 10_000


def no_pulse_leaves_while_the_hal_is_made(rig: FakeRig):
    rig.chip.run_to(rig.chip.us + 3_000_000)
    assert rig.edges() == []
    assert not rig.enabled()
    assert rig.stepped() == 0


def the_pulse_is_one_shot_and_a_few_microseconds_long(rig):
    changes = []
    rig.chip.watch(rig.board["step_pin"], lambda level: changes.append((rig.chip.us, level)))
    rig.run(("put", 4, 0, T), ("wait", 300))
    assert [level for _, level in changes] == [1, 0] * 4
    widths = [changes[k + 1][0] - changes[k][0] for k in range(0, 8, 2)]
    assert all(3 <= width <= 20 for width in widths)


def steps_are_never_closer_than_the_board_allows(rig):
    shortest = rig.board["min_pulse_period_us"]
    rig.run(("put", 200, 0, shortest // 2), ("wait", 1500))
    edges = rig.edges()
    assert len(edges) == 200
    assert min(later - earlier for earlier, later in zip(edges, edges[1:])) >= shortest - 10


def at_the_boards_top_rate_every_step_is_made_and_none_lies_far_off(rig):
    period = rig.board["min_pulse_period_us"]
    rig.run(("put", 400, 0, period), ("wait", 400 * period // MS + 100))
    edges = rig.edges()
    assert len(edges) == 400
    assert abs(edges[-1] - edges[0] - 399 * period) <= rig.slack_us


def the_witness_goes_on_over_the_counters_16_bits_both_ways(rig):
    before = rig.witness()
    for _ in range(70_000 // 500):
        rig.chip.spin(500)
        rig.wait(1)
    assert rig.witness() - before == 70_000
    for _ in range(140_000 // 500):
        rig.chip.spin(-500)
        rig.wait(1)
    assert (rig.witness() - before + 70_000) % (1 << 30) == 0


def a_renewed_enable_never_blinks(rig):
    for _ in range(40):
        rig.run(("feed", REPORT_MS), ("wait", 250))
    changes = [level for _, level in rig.chip.enable_log]
    assert changes == [1]


def a_hung_processor_loses_the_enable(rig):
    rig.run(("watchdog", REPORT_MS), ("feed", REPORT_MS), ("wait", 3000))
    assert rig.enabled()
    rig.chip.masked = True
    rig.chip.run_to(rig.chip.us + WATCHDOG_MS * MS)
    assert not rig.enabled()
    assert rig.edges() == []


def the_watchdog_is_fed_while_the_controllers_report_counts_and_no_longer(rig):
    rig.run(("watchdog", REPORT_MS), ("wait", REPORT_MS - 100))
    assert not rig.chip.dead
    rig.run(("watchdog", REPORT_MS), ("wait", REPORT_MS - 100))
    assert not rig.chip.dead
    with suppress(Resets):
        rig.wait(100 + WATCHDOG_MS + 100)
    assert rig.chip.dead


def a_loop_that_never_idles_is_reset(rig):
    rig.run(("watchdog", REPORT_MS), ("busy", WATCHDOG_MS - 1000))
    assert not rig.chip.dead
    rig.run(("busy", 1200))
    assert rig.chip.dead


def the_battery_is_read_through_its_divider(rig):
    assert abs(rig.run(("battery_mv",))[0] - 3700) <= 10


def edges_of_the_port_switch_that_never_were_only_end_an_idle(rig):
    rig.set_port(closed=True)
    assert rig.run(*[("idle", 50), ("port_open",)] * 20)[1::2] == [False] * 20


def an_idle_ends_with_a_byte(rig):
    before = rig.chip.us
    rig.chip.after(3 * MS, lambda: setattr(rig.chip, "typed", b"x"))
    for _ in range(3):  # edges that never were may end one too early
        rig.run(("idle", 1000))
    assert rig.chip.us - before < 30 * MS
    assert rig.hal.serial.read(bytearray(4)) == 1


def a_signal_sounds_in_bursts_and_silence_ends_it(rig):
    rig.run(("tone", 3), ("wait", 3000))
    on = [level for _, level in rig.chip.tones if level]
    assert len(on) >= 10, "HIGH is ten pulses in a burst"
    rig.run(("tone", 0), ("wait", 100))
    assert rig.chip.tones[-1][1] == 0
    count = len(rig.chip.tones)
    rig.wait(3000)
    assert len(rig.chip.tones) == count


def the_clock_is_none_until_it_is_set(rig):
    assert rig.run(("rtc",)) == [None]
    rig.run(("rtc_set", UNIX_2027), ("wait", 5000))
    assert 4 <= rig.run(("rtc",))[0] - UNIX_2027 <= 6


CASES_OVER_FAKES = {
    case.__name__: case
    for case in (
        no_pulse_leaves_while_the_hal_is_made,
        the_pulse_is_one_shot_and_a_few_microseconds_long,
        steps_are_never_closer_than_the_board_allows,
        at_the_boards_top_rate_every_step_is_made_and_none_lies_far_off,
        the_witness_goes_on_over_the_counters_16_bits_both_ways,
        a_renewed_enable_never_blinks,
        a_hung_processor_loses_the_enable,
        the_watchdog_is_fed_while_the_controllers_report_counts_and_no_longer,
        a_loop_that_never_idles_is_reset,
        the_battery_is_read_through_its_divider,
        edges_of_the_port_switch_that_never_were_only_end_an_idle,
        an_idle_ends_with_a_byte,
        a_signal_sounds_in_bursts_and_silence_ends_it,
        the_clock_is_none_until_it_is_set,
    )
}
