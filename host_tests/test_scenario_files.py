"""Scenario files people write: what is shipped is sound, what is wrong is named by file and key, before anything runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hil import cli
from hil.actions import Advance, Check, Command, Person, Repeat
from hil.conditions import condition
from hil.errors import BenchError, InputError
from hil.runner import planned_ms
from hil.scenario import load_scenario, shipped_scenarios

HEAD = 'title = "t"\nstory = "s"\nprogram = "night-flex-spinal"\n'
STEP = HEAD + "[[timeline]]\n"
OF_THE_ISSUE = {
    "first-day-spinal", "night-flex-spinal", "pediatric-274", "max-dose-2003", "titration-caps", "reservoir-runs-low", "battery-fades",
    "port-bolus-refused", "motor-stalls", "bolus-lockout", "lost-reply", "week-through-everything",
}  # fmt: skip
OF_THE_THERAPY = {
    "whole-way-spinal", "whole-way-cerebral", "whole-way-child", "screening-fails", "effect-over-8-hours", "drug-holiday",
    "holiday-broken-off", "overdose", "refill-discrepancy", "expired-vial", "concentration-change", "bridge-power-cut",
}  # fmt: skip


def scenario(tmp_path: Path, text: str):  # type: ignore[no-untyped-def]
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return load_scenario(path)


# ---- what is shipped


def test_all_scenarios_of_the_first_landing_are_shipped() -> None:
    assert {path.stem for path in shipped_scenarios()} >= OF_THE_ISSUE


def test_the_whole_way_of_a_therapy_is_shipped() -> None:
    assert {path.stem for path in shipped_scenarios()} >= OF_THE_THERAPY


@pytest.mark.parametrize("name", sorted(OF_THE_THERAPY))
def test_a_story_of_days_says_how_much_virtual_time_it_takes(name: str) -> None:
    loaded = load_scenario(next(path for path in shipped_scenarios() if path.stem == name))
    assert "virtual" in loaded.story and planned_ms(loaded) < 40 * 86_400_000


@pytest.mark.parametrize("path", shipped_scenarios(), ids=lambda path: path.stem)
def test_a_shipped_scenario_loads_and_tells_a_story(path: Path) -> None:
    loaded = load_scenario(path)
    assert len(loaded.story.split()) > 30 and loaded.timeline
    assert loaded.requirements, "make trace: what is a passed run evidence of?"


def test_night_flex_is_what_the_issue_says() -> None:
    loaded = load_scenario(next(path for path in shipped_scenarios() if path.stem == "night-flex-spinal"))
    assert loaded.program is not None
    assert (loaded.program.day_ng("mon"), loaded.program.conc_mcg_ml, loaded.expected.volume_nl) == (350_000, 2000, 175_000)
    assert loaded.timeline[0].action == Advance(None)


def test_list_names_every_scenario(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["list"]) == 0
    assert set(re.findall(r"^(\S+)", capsys.readouterr().out, re.M)) >= OF_THE_ISSUE


# ---- what people may write


def test_both_toml_forms_of_a_timeline_are_the_same(tmp_path: Path) -> None:
    tables = scenario(tmp_path, STEP + 'advance = "1 h"\n[[timeline]]\ncommand = "RUN"\n').timeline
    inline = scenario(tmp_path, HEAD + 'timeline = [{ advance = "1 h" }, { command = "RUN" }]\n').timeline
    assert tables == inline


def test_steps_can_be_repeated(tmp_path: Path) -> None:
    action = scenario(tmp_path, STEP + 'repeat = 7\nsteps = [{ advance = "1 d" }, { command = "STAT?" }]\n').timeline[0].action
    assert isinstance(action, Repeat) and action.times == 7 and isinstance(action.steps[1].action, Command)


def test_a_program_file_is_found_beside_the_scenario(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text('name = "own"\nconc = "500 mcg/mL"\nflat = "90 mcg/day"\n')
    loaded = scenario(tmp_path, 'title = "t"\nstory = "s"\nprogram = "own.toml"\ntimeline = [{ advance = "1 h" }]\n')
    assert loaded.program is not None and loaded.program.name == "own"


def test_a_scenario_that_touches_the_rig_says_why_it_needs_the_simulated_one(tmp_path: Path) -> None:
    assert scenario(tmp_path, STEP + 'advance = "1 h"\n').needs_virtual is None
    assert "timeline[0]" in (scenario(tmp_path, STEP + 'fault = "motor_stalled"\n').needs_virtual or "")


def test_the_line_of_the_rig_is_as_the_board_and_the_history_say(tmp_path: Path) -> None:
    history = '[history]\npopulation = "spinal"\nbirth = "1980-05-01"\nphase = "maintenance"\nscreen = "50 mcg"\n'
    loaded = scenario(tmp_path, HEAD + "[board]\ndead_volume_catheter_nl = 80000\n" + history + '[[timeline]]\nadvance = "1 h"\n')
    assert (loaded.dead_volume_nl, loaded.rig.dead_volume_catheter_nl, loaded.rig.conc_mcg_ml) == (180_000, 80_000, 2000.0)


def test_a_rig_can_be_other_than_its_board_says(tmp_path: Path) -> None:
    loaded = scenario(tmp_path, HEAD + '[rig]\ndead_volume_tubing_nl = 150000\n[[timeline]]\nadvance = "1 h"\n')
    assert (loaded.dead_volume_nl, loaded.rig.dead_volume_tubing_nl, loaded.rig.conc_mcg_ml) == (240_000, 150_000, 0.0)


def test_a_person_fills_another_concentration_and_leaves_a_rest(tmp_path: Path) -> None:
    steps = 'timeline = [{ person = "withdraw", leave = "0.4 mL" }, { person = "fill", volume = "18 mL", conc = "2000 mcg/mL" }]\n'
    withdraw, fill = (step.action for step in scenario(tmp_path, HEAD + steps).timeline)
    assert (withdraw, fill) == (Person("withdraw", 400_000), Person("fill", 18_000_000, 2000))


def test_caps_and_the_trial_can_be_checked(tmp_path: Path) -> None:
    action = scenario(tmp_path, STEP + 'check = { caps = { most = "150000ng" }, trial = { next = "75mcg" } }\n').timeline[0].action
    assert isinstance(action, Check) and action.parts.keys() == {"caps", "trial"}


@pytest.mark.parametrize(
    ("written", "yes", "no"),
    [
        ("running", "running", "stopped"),
        ("not DONE", "PARTIAL", "DONE"),
        ("<= 100", "100nl", "101nl"),
        ("< 100", "99", "100"),
        (">= 5", "5ng/h", "4ng/h"),
        ("490..510", "500", "511"),
        (1000, "1000", "999"),
        ("14000ng/h", "14000ng/h", "14000ng"),
    ],
)
def test_conditions_on_values_of_the_wire(written: object, yes: str, no: str) -> None:
    wanted = condition(written, "x")
    assert wanted.holds(yes) and not wanted.holds(no)


# ---- what is refused


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("title = \n", "line 1"),
        ('story = "s"\ntimeline = []\n', "title: is missing"),
        (HEAD + 'tmeline = []\n', "tmeline: unknown key; did you mean 'timeline'"),
        (HEAD + "timeline = 3\n", "timeline: must be a list"),
        (STEP + 'advnce = "1 h"\n', "timeline[0]: a step has exactly one action, this one has advnce"),
        (STEP + 'advance = "1 h"\ncommand = "RUN"\n', "timeline[0]: a step has exactly one action, this one has advance, command"),
        (STEP + "advance = 3600\n", "timeline[0].advance: 3600 has no unit"),
        (STEP + 'advance = "0 h"\n', "longer than nothing"),
        (STEP + 'advance_to = "25:00"\n', "no time of day"),
        (STEP + 'advance_until = { alarm = "X" }\n', "timeline[0].advance_until.within: is missing"),
        (STEP + 'advance_until = { within = "1 h" }\n', "one of the two"),
        (STEP + 'command = "RUN"\nexpct = "OK"\n', "timeline[0].expct: unknown key; did you mean 'expect'"),
        (STEP + 'command = "RUN"\nfields = { volume = 1.5 }\n', "timeline[0].fields.volume: 1.5 cannot be sent"),
        (STEP + 'fault = "motor_stops"\n', "no fault is called 'motor_stops'"),
        (STEP + 'fault = "motor_slips"\n', "timeline[0].fault: fault motor_slips"),
        (STEP + 'person = "fill"\n', "timeline[0].volume"),
        (STEP + 'person = "withdraw"\nconc = "500 mcg/mL"\n', "timeline[0].conc: goes with person = fill"),
        (STEP + 'person = "connect"\nleave = "1 mL"\n', "timeline[0].leave: goes with person = withdraw"),
        (STEP + 'set_clock = "tomorrow"\n', "no date and time"),
        (STEP + 'power_cut = { outage = "1 min", clock = "broken" }\n', "not one of kept, lost"),
        (STEP + 'measure = "m"\nof = "weight"\nsince = "x"\n', "'weight' is not one of authorised_nl"),
        (STEP + "repeat = 2\nsteps = [{ advance = 1 }]\n", "timeline[0].steps[0].advance"),
        (HEAD + 'timeline = []\n[rig]\nseed = "x"\n', "rig.seed: unknown key"),
        (HEAD + 'timeline = []\n[rig]\nsteps_per_ml = "many"\n', "rig.steps_per_ml: must be a whole number"),
        (HEAD + 'timeline = []\n[limits]\nbalance_percent = nan\n', "limits.balance_percent: must be a number"),
        (HEAD + 'timeline = []\n[clock]\nstart = "2027-13-01 00:00"\n', "clock.start"),
        (HEAD + 'timeline = []\n[history]\npopulation = "adult"\n', "history.phase: is missing"),
        ('title = "t"\nstory = "s"\nprogram = "nowhere"\ntimeline = []\n', "no shipped program of that name"),
        ('title = "t"\nstory = "s"\ntimeline = []\n[program]\nname = "p"\nconc = "500 mcg/mL"\nflat = 5\n', "program.flat: 5 has no unit"),
    ],
)  # fmt: skip
def test_a_wrong_scenario_is_refused_with_file_and_key(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(InputError) as caught:
        scenario(tmp_path, text)
    assert "mine.toml" in str(caught.value) and words in str(caught.value)


def test_the_command_line_turns_a_wrong_file_into_a_sentence_and_exit_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.toml").write_text(STEP + "advance = 3600\n")
    assert cli.main(["run", str(tmp_path / "mine.toml"), "--out", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err.startswith("error: ")


def test_an_unknown_scenario_names_those_that_are_shipped(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["run", "nigt-flex"]) == 2
    assert "night-flex-spinal" in capsys.readouterr().err


def test_a_scenario_for_the_simulated_rig_is_skipped_aloud_on_a_real_pump(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["run", "motor-stalls", "--target", "/dev/ttyACM99", "--out", str(tmp_path)]) == 0
    assert "skipped: motor-stalls needs virtual time" in capsys.readouterr().out


def test_days_can_only_lengthen_a_scenario_that_says_days(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["run", "motor-stalls", "--days", "3", "--out", str(tmp_path)]) == 2
    assert 'no step advance = "days"' in capsys.readouterr().err


NONSENSE = {
    "board.foo": "[board]\nfoo = 1",
    "board.reservoir_nl": "[board]\nreservoir_nl = 2027-05-03T00:00:00",
    "rig.steps_per_turn": "[rig]\nsteps_per_turn = 0",
    "limits.witness_percent": "[limits]\nwitness_percent = inf",
    "setup.sample": '[setup]\nsample = "0 s"',
    "days": "days = 999999999999999999999",
    "expected.alarms": '[expected]\nalarms = ["MOTOR_STAL"]',
    "timeline[0].send": '[[timeline]]\nsend = "\\u20ac"',
    "timeline[0].fault": '[[timeline]]\nfault = "motor_slips"\nwith = { percent = "lots" }',
    "timeline[0].advance": '[[timeline]]\nadvance = "99999999999 d"',
}


@pytest.mark.parametrize("key", NONSENSE)
def test_nonsense_in_a_scenario_is_named_with_its_key_before_anything_runs(tmp_path, key):
    text = NONSENSE[key]
    head = 'title = "t"\nstory = "s"\n'
    steps = "" if "[[timeline]]" in text else '\n[[timeline]]\nadvance = "1 min"\n'
    path = tmp_path / "s.toml"
    path.write_text(head + text + steps)
    with pytest.raises(BenchError) as error:
        load_scenario(path)
    assert key.split(".")[0] in str(error.value)


def test_a_story_without_steps_is_none(tmp_path):
    path = tmp_path / "s.toml"
    path.write_text('title = "t"\nstory = "s"\ntimeline = []\n')
    with pytest.raises(InputError):
        load_scenario(path)
