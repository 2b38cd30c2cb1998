"""The self-test: each part, when it runs, what a failure forbids, and what alone withholds basal (R-BOL-3, R-ALM-8, R-ALM-11)."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pump_rig import HOUR_MS, NIGHT_FLEX, MemoryStore, PumpRig, flat

from hil.errors import Refused

BOLUS = (50_000, 60, 3600, 200_000)
MINUTE = 60_000
PARTS = ("storage", "program", "clock", "engine", "witness", "battery", "tone", "board", "port", "code")


def running(segments=NIGHT_FLEX, **more):
    rig = PumpRig().take_over(segments, bolus=BOLUS, **more).run()
    rig.advance(10 * MINUTE)
    return rig


def words(rig):
    return {name: rig.ask("SELF?")[name] for name in PARTS}


def ages_s(rig):
    found = rig.ask("SELF?")
    return {name: int(found[name + "_ago"].rstrip("s")) for name in PARTS}


def bolus_code(rig):
    try:
        rig.do("DOSE:BOLUS", volume="50000nl", path="pump")
    except Refused as refused:
        return refused.code
    return "OK"


def assert_basal_flows(rig):
    before = len(rig.edges())
    rig.advance(20 * MINUTE)
    assert rig.status()["state"] == "running" and len(rig.edges()) > before


def assert_withheld(rig):
    assert rig.status()["state"] == "fault"
    before = len(rig.edges())
    rig.advance(2 * HOUR_MS)
    assert len(rig.edges()) == before


class Flash(MemoryStore):
    """Storage that refuses writes, or loses what it holds, when told."""

    def __init__(self):
        super().__init__()
        self.full = False
        self.lost = ()  # ends of names that cannot be read

    def read(self, name):
        return b"" if self.lost and name.endswith(self.lost) else super().read(name)

    def append(self, name, data):
        self._refuse()
        super().append(name, data)

    def replace(self, name, data):
        self._refuse()
        super().replace(name, data)

    def _refuse(self):
        if self.full:
            raise OSError(28)


def on_flash():
    rig = running()
    flash = Flash()
    flash.files = rig.store.files
    rig.store = rig.hal.store = flash
    journal = rig.pump.keeper.journal
    journal._store = flash
    for stream in journal._streams.values():
        stream._store = flash
    return rig, flash


# ---- when


@pytest.mark.req("R-BOL-3")
def test_every_part_has_a_word_and_its_age_and_all_pass_on_a_sound_pump():
    rig = running()
    assert words(rig) == dict.fromkeys(PARTS, "pass")
    assert rig.status()["self"] == "pass"
    assert set(ages_s(rig).values()) <= set(range(597, 602))


@pytest.mark.req("R-BOL-3")
def test_every_part_is_looked_at_again_each_hour():
    rig = running()
    for _ in range(5):
        rig.advance(HOUR_MS + MINUTE)
        assert max(ages_s(rig).values()) <= 3660


@pytest.mark.req("R-BOL-3", "R-ALM-11")
def test_no_bolus_before_the_whole_test_has_passed_and_basal_all_the_while():
    rig = PumpRig().take_over(NIGHT_FLEX, bolus=BOLUS).run()
    rig.hal.code = [None] * 100_000 + ["pass"]
    rig.cut_power()
    rig.hal.code = [None] * 100_000 + ["pass"]
    rig.connect("service")
    rig.advance(10 * MINUTE)
    assert words(rig)["code"] == "wait" and rig.status()["self"] == "no"
    assert bolus_code(rig) == "ALARM_ACTIVE"
    assert_basal_flows(rig)


class Slices:
    """A look over the code that counts its slices."""

    def __init__(self, count):
        self.left = count
        self.taken = 0

    def __iter__(self):
        return self

    def __next__(self):
        self.taken += 1
        self.left -= 1
        return None if self.left else "pass"


@pytest.mark.req("R-ALM-9")
def test_the_code_is_looked_over_a_slice_a_turn_and_never_in_a_delivery():
    rig = running()
    slices = Slices(50)
    rig.hal.code_check = lambda: slices
    rig.pump.self_test._next = 0
    rig.do("DOSE:BOLUS", volume="50000nl", path="pump")
    rig.advance(30_000)
    assert slices.taken == 0
    rig.advance(31_000)
    taken = slices.taken
    while slices.left:
        rig.turn()
        assert slices.taken - taken <= 1, "one slice a turn"
        taken = slices.taken
        rig.hal.advance_to(rig.hal.us + 20_000)
    assert words(rig)["code"] == "pass"


# ---- what a failure does


@pytest.mark.req("R-ALM-11", "R-ALM-8")
def test_a_code_hash_that_fails_withholds_basal_and_says_so():
    rig = running()
    rig.hal.code = [None, "FAIL"]
    rig.advance(HOUR_MS)
    assert words(rig)["code"] == "FAIL" and "MEMORY_FAULT" in rig.alarms()
    assert bolus_code(rig) in ("ALARM_ACTIVE", "STATE")
    assert_withheld(rig)


@pytest.mark.req("R-ALM-11")
def test_an_image_without_a_hash_is_no_failure():
    rig = running()
    rig.hal.code = ["none"]
    rig.advance(HOUR_MS)
    assert words(rig)["code"] == "none" and rig.status()["self"] == "pass"
    assert bolus_code(rig) == "OK"


def spoil_battery(rig):
    rig.hal.works["converter"] = False


def spoil_buzzer(rig):
    rig.hal.works["buzzer"] = False


def spoil_voltage(rig):
    rig.hal.millivolts = 6600


def spoil_board(rig):
    rig.pump.board["threshold_nl"] ^= 1 << 20


def spoil_clock(rig):
    rig.hal.rtc_valid = False


@pytest.mark.req("R-ALM-11", "R-BOL-3")
@pytest.mark.parametrize(
    ("spoil", "part"),
    [(spoil_battery, "battery"), (spoil_voltage, "battery"), (spoil_buzzer, "tone"), (spoil_board, "board"), (spoil_clock, "clock")],
)
def test_any_other_part_that_fails_forbids_boluses_and_withholds_no_basal(spoil, part):
    rig = running()
    spoil(rig)
    rig.advance(HOUR_MS)
    assert words(rig)[part] == "FAIL" and rig.status()["self"] == "no"
    assert bolus_code(rig) == "ALARM_ACTIVE"
    assert_basal_flows(rig)


@pytest.mark.req("R-BOL-3")
def test_a_part_that_works_again_is_found_within_a_minute():
    rig = running()
    rig.hal.works["buzzer"] = False
    rig.advance(HOUR_MS)
    assert rig.status()["self"] == "no"
    rig.hal.works["buzzer"] = True
    rig.advance(MINUTE + 5000)
    assert rig.status()["self"] == "pass" and bolus_code(rig) == "OK"


@pytest.mark.req("R-ALM-4")
@pytest.mark.parametrize("spoil", [spoil_battery, spoil_voltage])
def test_a_battery_that_cannot_be_read_is_low_within_ten_readings_and_read_again_well(spoil):
    rig = running()
    spoil(rig)
    rig.advance(10 * 30_000 + 10_000)
    assert "BATTERY_LOW" in rig.alarms() and "BATTERY_DEPLETED" not in rig.alarms()
    rig.hal.works["converter"], rig.hal.millivolts = True, 3700
    rig.advance(60_000)
    assert "BATTERY_LOW" not in rig.alarms()


@pytest.mark.req("R-ALM-5")
def test_a_witness_that_moves_while_nothing_is_ordered_fails_the_test():
    rig = PumpRig().set_up()
    rig.advance(10 * MINUTE)
    rig.hal.rotor += 40  # steps: 51 counts, over the slack and below what OVER_DELIVERY takes
    found = set()
    for _ in range(60):
        rig.advance(MINUTE)
        found.add(words(rig)["witness"])
    assert "FAIL" in found


@pytest.mark.req("R-ALM-11", "R-ALM-5")
def test_a_step_engine_that_makes_no_step_withholds_basal_and_a_reset_tries_again():
    rig = running()
    rig.hal.put = lambda n, gap_us, period_us: None
    rig.advance(15 * MINUTE)
    assert "MOTOR_STALL" in rig.alarms() and "OVER_DELIVERY" not in rig.alarms() and rig.status()["state"] == "fault"
    rig.advance(HOUR_MS)
    assert words(rig)["engine"] == "FAIL"
    assert_withheld(rig)
    rig.cut_power().connect("service")
    assert_basal_flows(rig)


@pytest.mark.req("R-ALM-11")
def test_a_motor_that_stands_while_the_engine_steps_is_no_dead_engine():
    rig = running()
    rig.hal.follow = 0
    rig.advance(15 * MINUTE)
    assert "MOTOR_STALL" in rig.alarms()
    assert_basal_flows(rig)


# ---- memory


@pytest.mark.req("R-ALM-8")
@pytest.mark.parametrize("place", ["doses_ng", "starts_min", "day_sums", "_before"])
def test_a_program_that_changed_in_memory_is_read_back_within_the_hour_and_basal_goes_on(place):
    rig = running()
    row = getattr(rig.pump.basal.program, place)
    good = list(row)
    row[-1] += 1
    rig.advance(HOUR_MS)
    assert "MEMORY_FAULT" in rig.alarms()
    assert getattr(rig.pump.basal.program, place) == good
    assert bolus_code(rig) == "ALARM_ACTIVE"
    assert_basal_flows(rig)


@pytest.mark.req("R-ALM-8")
def test_a_damaged_program_is_never_saved_over_the_good_copy():
    rig = running()
    lines = list(rig.pump.basal.program.lines)
    rig.pump.basal.program.lines[1] = "seg.all.00:00=999999"
    rig.pump.save()
    state, verdict = rig.pump.keeper.load()
    assert verdict == "good" and state["program"] == lines == rig.pump.basal.program.lines


@pytest.mark.req("R-ALM-8", "R-TIT-4")
def test_the_program_read_back_is_the_one_that_ran_in_the_history_too():
    rig = running()
    rig.pump.basal.program.doses_ng[0] += 1
    rig.advance(HOUR_MS)
    assert rig.pump.therapy.last_run is rig.pump.basal.program


@pytest.mark.req("R-ALM-8", "R-ALM-11")
def test_without_a_good_copy_of_the_program_nothing_runs():
    rig, flash = on_flash()
    rig.pump.basal.program.doses_ng[0] += 1
    flash.lost, flash.full = (".a", ".b"), True
    rig.advance(HOUR_MS)
    assert "MEMORY_FAULT" in rig.alarms()
    assert_withheld(rig)


@pytest.mark.req("R-ALM-8")
@settings(max_examples=20, deadline=None)
@given(st.sampled_from(["start", "end", "basal_count", "remainder", "den", "rate_num", "planned", "extra_done"]), st.integers(0, 40))
def test_a_bit_that_flips_in_the_plan_never_stays_and_never_stops_basal(name, bit):
    rig = running(flat(350_000))
    anchor = rig.pump.dosing._anchors[-1]
    setattr(anchor, name, getattr(anchor, name) ^ 1 << bit)
    rig.advance(2 * MINUTE)
    assert "MEMORY_FAULT" in rig.alarms() and "OVER_DELIVERY" not in rig.alarms()
    before = len(rig.edges())
    rig.advance(HOUR_MS)
    assert abs((len(rig.edges()) - before) * 2000 * 24 - 350_000 * 100) <= 2 * 2000 * 24, "17,500 steps a day at 2000 mcg/mL"


# ---- storage


@pytest.mark.req("R-ALM-8", "R-ALM-11")
def test_a_full_flash_is_said_within_15_minutes_forbids_boluses_and_basal_goes_on():
    rig, flash = on_flash()
    flash.full = True
    rig.advance(15 * MINUTE + 10_000)
    assert "MEMORY_FAULT" in rig.alarms()
    assert bolus_code(rig) == "ALARM_ACTIVE"
    assert_basal_flows(rig)
    rig.advance(3 * HOUR_MS)
    assert words(rig)["storage"] != "pass"
    flash.full = False
    rig.advance(20 * MINUTE)
    rig.do("ALAR:ACK", id="MEMORY_FAULT")
    assert words(rig)["storage"] == "pass" and bolus_code(rig) == "OK"


@pytest.mark.req("R-ALM-11")
def test_a_start_with_a_full_flash_runs_the_basal_of_its_good_copy():
    rig, flash = on_flash()
    flash.full = True
    rig.cut_power()
    rig.connect("service")
    assert_basal_flows(rig)
    assert "MEMORY_FAULT" in rig.alarms()


@pytest.mark.req("R-BOL-3")
def test_a_bolus_whose_intent_cannot_be_written_does_not_begin():
    rig, flash = on_flash()
    flash.full = True
    before = len(rig.edges())
    assert bolus_code(rig) == "ALARM_ACTIVE"
    assert not rig.pump.deliveries.current and len(rig.edges()) == before
    assert_basal_flows(rig)


@pytest.mark.req("R-ALM-8", "R-ALM-11")
def test_a_storage_that_lost_both_copies_for_good_withholds_basal():
    rig, flash = on_flash()
    flash.lost, flash.full = (".a", ".b"), True
    rig.advance(HOUR_MS)
    assert words(rig)["storage"] == "FAIL"
    assert_withheld(rig)


@pytest.mark.req("R-ALM-8", "R-ALM-11")
def test_a_storage_that_lost_both_copies_and_can_be_written_gets_them_anew_and_basal_goes_on():
    rig, flash = on_flash()
    flash.files["state.a"] = flash.files["state.b"] = b"gone"
    rig.advance(HOUR_MS)
    assert json.loads(rig.pump.keeper.journal.load("state")[0])["program"] == rig.pump.basal.program.lines
    assert_basal_flows(rig)


# ---- clocks


@pytest.mark.req("R-ALM-8")
@pytest.mark.parametrize("off_s", [-3600, -60, 60, 3600])
def test_a_kept_clock_that_jumps_leaves_no_time_of_day_until_it_is_set(off_s):
    rig = running()
    rig.hal.rtc_offset += off_s * 1000
    rig.advance(2 * MINUTE)
    assert "CLOCK_LOST" in rig.alarms() and rig.status()["clock"] == "lost"
    rig.do("TIME", set=f"{int(rig.unix())}s", offset="0min")
    rig.advance(10 * MINUTE)
    assert "CLOCK_LOST" not in rig.alarms()


@pytest.mark.req("R-ALM-8", "R-TIM-1")
def test_a_kept_clock_that_shows_less_than_was_recorded_is_no_time_of_day_after_a_restart():
    rig = running()
    rig.hal.rtc_offset -= 3 * HOUR_MS
    rig.cut_power(MINUTE).connect()
    assert rig.status()["clock"] == "lost" and "CLOCK_LOST" in rig.alarms()


@pytest.mark.req("R-ALM-9", "R-PRF-4")
@pytest.mark.parametrize("back_ms", [20_000, 600_000, 3_600_000])
def test_ticks_that_go_back_are_a_named_fault_and_basal_goes_on(back_ms):
    rig = running(flat(1_500_000))
    elapsed = rig.pump.clock.elapsed
    rig.hal.ticks_start -= back_ms
    rig.advance(30_000)
    assert "LATE" in rig.alarms() and rig.pump.clock.elapsed >= elapsed
    assert_basal_flows(rig)


# ---- what the faults found


@pytest.mark.req("R-ALM-5")
@settings(max_examples=25, deadline=None)
@given(st.integers(0, 20_000), st.sampled_from([350_000, 1_400_000]))
def test_a_stall_at_any_instant_between_two_turns_is_found_within_15_minutes(after_ms, daily):
    rig = PumpRig().take_over(flat(daily)).run()
    rig.advance(HOUR_MS + after_ms)
    rig.hal.follow = 0
    rig.advance(15 * MINUTE)
    assert "MOTOR_STALL" in rig.alarms()


@pytest.mark.req("R-ALM-5")
@settings(max_examples=25, deadline=None)
@given(st.integers(5_000, 50_000))
def test_a_stall_at_any_instant_of_a_bolus_is_found_within_a_second(after_ms):
    rig = running()
    rig.do("DOSE:BOLUS", volume="50000nl", path="pump")
    rig.advance(after_ms)
    rig.hal.follow = 0
    rig.advance(1000)
    assert "MOTOR_STALL" in rig.alarms()
