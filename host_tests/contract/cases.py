"""The cases, each a function of one rig of rigs.py that raises AssertionError: test_contract.py gives them every family.

Where software starts the steps an edge may be up to the board's jitter after its place; unit_ms is longer than that.
"""

from rigs import intervals

MS = 1000
TICKS = 1 << 30
CODE_SLICE_MS = 8  # some 5 ms of SHA-256, and what else the loop does meanwhile
SLOW_DEADLINE_MS = 300  # an enable held by software is looked at this often at least


def assert_in_place(rig, edges, gaps_us):
    """Every edge at its place, counted from the first: no error adds up."""
    assert len(edges) == len(gaps_us) + 1, f"{len(edges)} edges, not {len(gaps_us) + 1}"
    place = edges[0]
    for edge, gap in zip(edges[1:], gaps_us):
        place += gap
        slack_us = rig.slack_us + (place - edges[0]) * rig.drift_ppm // 1_000_000
        assert abs(edge - place) <= slack_us, f"an edge {edge - place} us off its place"


def assert_no_burst(rig, edges, period_us):
    shortest = min(intervals(edges))
    assert shortest >= period_us * 3 // 4 - 2, f"two steps are {shortest} us apart, of a period of {period_us}"


def a_lease_ends_by_itself(rig):
    t = rig.unit_ms
    rig.run(("put", 5, 0, t * MS), ("wait", 6 * t))
    assert len(rig.edges()) == 5
    rig.wait(25 * t)
    assert len(rig.edges()) == 5
    assert rig.stepped() == 5
    assert_in_place(rig, rig.edges(), [t * MS] * 4)


def a_hung_processor_makes_no_step_beyond_what_is_leased(rig):
    t = rig.unit_ms
    rig.run(("put", 2, 0, t * MS), ("put", 2, 0, t * MS))
    before = len(rig.edges())
    rig.hang(30 * t)
    made = len(rig.edges())
    if rig.timed_by_hardware:
        assert made == 4
    else:
        assert made - before <= 1, "software starts each step: a hung processor starts none"
        assert made < 4


def revoke_stops_within_one_step_and_tells_the_exact_count(rig):
    t = rig.unit_ms
    count = rig.run(("put", 50, 0, t * MS), ("put", 50, 0, t * MS), ("wait", 10 * t), ("revoke",))[-1]
    at_once = len(rig.edges())
    rig.wait(12 * t)
    assert len(rig.edges()) == at_once, "steps after revoke"
    assert count == at_once == rig.stepped()
    assert 8 <= count <= 10


def the_count_survives_a_stop(rig):
    t = rig.unit_ms
    first = rig.run(("put", 100, 0, t * MS), ("wait", 7 * t), ("revoke",))[-1]
    second, stepped = rig.run(("put", 3, 0, t * MS), ("wait", 7 * t), ("revoke",), ("stepped",))[-2:]
    assert second == stepped == first + 3 == len(rig.edges())
    assert rig.revoke() == second, "with nothing to end, the same"


def a_revoked_chain_leaves_nothing_behind(rig):
    t = rig.unit_ms
    rig.run(("put", 0, 100 * t * MS, 0), ("put", 9, 0, t * MS), ("wait", t), ("revoke",))
    rig.run(("put", 3, 0, t * MS), ("wait", 5 * t))
    assert len(rig.edges()) == 3
    assert_in_place(rig, rig.edges(), [t * MS] * 2)


def chained_leases_tile_time_exactly(rig):
    t = rig.unit_ms
    us = t * MS
    half = us // 2 + 777
    rig.run(("put", 3, 0, us), ("put", 0, 2 * us, 0), ("put", 2, us, 3 * us), ("put", 4, 0, half), ("wait", 17 * t))
    assert_in_place(rig, rig.edges(), [us, us, 6 * us, 3 * us, half, half, half, half])
    assert rig.run(("late",)) == [0]


def a_long_chain_does_not_drift(rig):
    t = rig.unit_ms // 4
    rig.run(*[("put", 1, 0, t * MS)] * 60, ("wait", 40 * t), *[("put", 3, 0, t * MS)] * 10, ("wait", 55 * t + 50))
    assert_in_place(rig, rig.edges(), [t * MS] * 89)
    assert_no_burst(rig, rig.edges(), t * MS)


def a_lease_without_pulses_only_waits(rig):
    t = rig.unit_ms
    rig.run(("put", 1, 0, t * MS), ("put", 0, 8 * t * MS, 0), ("wait", 8 * t))
    assert len(rig.edges()) == 1
    rig.run(("put", 1, 0, 30 * t * MS), ("wait", 34 * t))
    assert len(rig.edges()) == 2
    rig.run(("put", 1, 0, t * MS), ("put", 0, 3 * t * MS, 0), ("put", 1, 0, 2 * t * MS), ("wait", 9 * t))
    assert_in_place(rig, rig.edges()[2:], [5 * t * MS])


def a_chain_that_ran_dry_starts_anew_without_a_burst(rig):
    t = rig.unit_ms
    rig.run(("put", 3, 0, t * MS), ("wait", 10 * t), ("put", 3, 0, t * MS), ("wait", 5 * t))
    edges = rig.edges()
    assert len(edges) == 6
    assert_in_place(rig, edges[:3], [t * MS] * 2)
    assert_in_place(rig, edges[3:], [t * MS] * 2)
    assert edges[3] - edges[2] >= 7 * t * MS, "what was missed is not made up"


def late_is_told_and_never_caught_up_by_a_burst(rig):
    t = rig.unit_ms
    rig.run(("put", 20, 0, t * MS), ("wait", 2 * t))
    rig.hang(7 * t)
    late = rig.run(("wait", 30 * t), ("late",))[-1]
    edges = rig.edges()
    assert len(edges) == 20
    assert_no_burst(rig, edges, t * MS)
    if rig.timed_by_hardware:
        assert_in_place(rig, edges, [t * MS] * 19)
        assert late == 0
    else:
        assert late == 1, "one hang, one step that was late"
        assert max(intervals(edges)) > 5 * t * MS


def ticks_wrap(rig):
    t = rig.unit_ms // 4
    answers = rig.run(("ticks_ms",), ("put", 10, 0, t * MS), ("wait", 20 * t), ("ticks_ms",), ("revoke",))
    before, after, made = answers[0], answers[3], answers[4]
    assert after < before < TICKS, "the ticks have wrapped"
    assert 20 * t <= (after - before) % TICKS < 30 * t
    assert made == 10
    assert_in_place(rig, rig.edges(), [t * MS] * 9)


def a_busy_loop_does_not_hold_up_the_steps(rig):
    t = rig.unit_ms
    rig.run(("put", 8, 0, t * MS), ("busy", 10 * t))
    assert_in_place(rig, rig.edges(), [t * MS] * 7)
    assert rig.run(("late",)) == [0]


def a_put_with_room_does_not_block(rig):
    before, _, after, made = rig.run(("ticks_ms",), ("fill", 1, 0, 400 * MS, 66), ("ticks_ms",), ("revoke",))
    assert (after - before) % TICKS < 200, "room was told, and there was none"
    assert made == 0


def a_put_without_room_waits_and_loses_nothing(rig):
    t = rig.unit_ms // 4
    periods = [t * MS + 200 * k for k in range(75)]
    rig.run(*[("put", 1, 0, period) for period in periods], ("wait", sum(periods) // MS + 60))
    assert_in_place(rig, rig.edges(), periods[1:])


def room_never_lies(rig):
    t = rig.unit_ms // 4
    count = rig.run(("fill", 1, 0, t * MS, 80), ("wait", 82 * t + 50))[0]
    assert count >= 8, "room for a turn of the loop"
    assert len(rig.edges()) == count
    assert_in_place(rig, rig.edges(), [t * MS] * (count - 1))
    assert rig.run(("room",))[0] >= 8, "and again when all is done"


def enable_drops_unless_fed(rig):
    assert not rig.enabled(), "off until it is first fed"
    rig.run(("feed", 1500), ("wait", 100))
    assert rig.enabled()
    rig.run(("feed", 1500), ("wait", 1000), ("feed", 1500), ("wait", 1000))
    assert rig.enabled(), "renewed in time"
    rig.wait(500 + SLOW_DEADLINE_MS)
    assert not rig.enabled()


def feeding_zero_drops_the_enable_at_once(rig):
    rig.run(("feed", 5000), ("wait", 50))
    assert rig.enabled()
    rig.run(("feed", 0), ("wait", 5))
    assert not rig.enabled()


def the_witness_follows_what_the_driver_moves(rig):
    steps = rig.board["steps_per_turn"] // 16
    counts = rig.board["encoder_counts_per_turn"] // 16
    before, *_, after = rig.run(("witness",), ("feed", 3000), ("put", steps, 0, 3 * MS), ("wait", steps * 3 + 100), ("witness",))
    assert len(rig.edges()) == steps
    assert abs((after - before) % TICKS - counts) <= rig.board["witness_slack_counts"]
    rig.run(("feed", 0), ("put", 20, 0, 3 * MS), ("wait", 100))
    assert rig.witness() == after, "without enable nothing turns"


def a_broken_wire_of_the_port_switch_reads_open(rig):
    rig.set_port(closed=True)
    rig.break_port_wire()
    assert rig.run(("wait", 60), ("port_open",))[-1] is True
    assert False not in rig.run(*[("port_open",)] * 10)


def the_port_switch_is_read(rig):
    rig.set_port(closed=True)
    assert rig.run(("wait", 60), ("port_open",))[-1] is False
    rig.set_port(closed=False)
    assert rig.run(("wait", 60), ("port_open",))[-1] is True


def an_open_port_cuts_a_guarded_motor_off_until_the_guard_is_lifted(rig):
    rig.set_port(closed=True)
    rig.run(("wait", 60), ("feed", 5000), ("put", 30, 0, rig.unit_ms * MS), ("guard_port", True), ("wait", 200))
    assert rig.enabled(), "a closed port cuts nothing"
    rig.set_port(closed=False)
    rig.run(("wait", 30))
    assert not rig.enabled(), "nobody asked for the port or fed 0"
    rig.set_port(closed=True)
    opened, *_ = rig.run(("port_open",), ("feed", 1000), ("wait", 30))
    assert opened, "that it was open is still told"
    assert not rig.enabled(), "and no feeding helps"
    opened = rig.run(("revoke",), ("guard_port", False), ("feed", 1000), ("wait", 30), ("port_open",))[-1]
    assert not opened
    assert rig.enabled()
    assert rig.run(("stepped",))[0] == len(rig.edges())


def a_full_queue_that_the_port_halted_holds_nobody_up(rig):
    """The interrupt may come while the loop fills the queue: no lease leaves it any more, so put() must not wait for a place."""
    rig.set_port(closed=True)
    rig.run(("wait", 60), ("feed", 5000), ("guard_port", True))
    rig.set_port(closed=False)
    before, *_, after = rig.run(("wait", 60), ("ticks_ms",), *[("put", 1, 0, 400 * MS)] * 75, ("ticks_ms",))[1:]
    assert (after - before) % TICKS < 2000
    rig.set_port(closed=True)
    made, *_ = rig.run(("revoke",), ("guard_port", False), ("feed", 2000), ("put", 2, 0, rig.unit_ms * MS), ("wait", 3 * rig.unit_ms + 60))
    assert rig.run(("stepped",))[0] == made + 2, "and it goes on after it"


def without_a_guard_an_open_port_cuts_nothing(rig):
    rig.set_port(closed=True)
    rig.run(("wait", 60), ("feed", 5000))
    rig.set_port(closed=False)
    rig.run(("wait", 60))
    assert rig.enabled(), "basal goes on"
    rig.run(("guard_port", True), ("wait", 5))
    assert not rig.enabled(), "a port that is open already cuts at once"


def the_code_that_runs_is_compared_with_what_was_built_in_short_slices(rig):
    rig.prepare_code()
    word, longest_ms = rig.look_at_code()
    assert word == "pass"
    assert longest_ms <= CODE_SLICE_MS
    rig.spoil_code()
    assert rig.look_at_code()[0] == "FAIL"


def a_converter_that_stands_is_told_where_the_board_can_tell(rig):
    sound, heard = rig.run(("probe", "converter"), ("probe", "buzzer"))
    assert sound in (True, None) and heard in (True, None)
    rig.stick_converter()
    rig.wait(1)
    assert rig.run(("probe", "converter")) == [None if sound is None else False]


CASES = {
    case.__name__: case
    for case in (
        a_lease_ends_by_itself,
        a_hung_processor_makes_no_step_beyond_what_is_leased,
        revoke_stops_within_one_step_and_tells_the_exact_count,
        the_count_survives_a_stop,
        a_revoked_chain_leaves_nothing_behind,
        chained_leases_tile_time_exactly,
        a_long_chain_does_not_drift,
        a_lease_without_pulses_only_waits,
        a_chain_that_ran_dry_starts_anew_without_a_burst,
        late_is_told_and_never_caught_up_by_a_burst,
        a_busy_loop_does_not_hold_up_the_steps,
        ticks_wrap,
        a_put_with_room_does_not_block,
        a_put_without_room_waits_and_loses_nothing,
        room_never_lies,
        enable_drops_unless_fed,
        feeding_zero_drops_the_enable_at_once,
        the_witness_follows_what_the_driver_moves,
        the_port_switch_is_read,
        a_broken_wire_of_the_port_switch_reads_open,
        an_open_port_cuts_a_guarded_motor_off_until_the_guard_is_lifted,
        a_full_queue_that_the_port_halted_holds_nobody_up,
        without_a_guard_an_open_port_cuts_nothing,
        the_code_that_runs_is_compared_with_what_was_built_in_short_slices,
        a_converter_that_stands_is_told_where_the_board_can_tell,
    )
}
NEAR_WRAP = {"ticks_wrap"}  # cases that begin shortly before the ticks wrap
