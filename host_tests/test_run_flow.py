"""Start-up and trumpet curves of a run: known flows are found, what was done to the pump is left out, and what cannot be told is said."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pypdfium2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hil import cli, compare, junit, result, run_flow, run_folder
from hil.chart import NARROW, WIDE
from hil.instruments import Reading
from hil.metrology.pictures import GREY
from hil.metrology.volume import Conditions
from hil.paper import document
from hil.plant.config import RigConfig
from hil.recorder import Seen
from hil.report import page
from hil.result import Measurement, Result
from hil.scenario import Scenario, load_scenario
from hil.weighing import Weighing

RATE_NL_H = 8000.0  # a roller passage of 4 uL in half an hour
SAMPLE_S = 900.0
EXACT = Conditions()
NL_PER_G = EXACT.nl_per_g
STEADY = "By the balance, over the 1 d 00:00:00 from the first RUN, in which nothing but time passed."


@pytest.fixture(scope="module")
def scenario(tmp_path_factory: pytest.TempPathFactory) -> Scenario:
    path = tmp_path_factory.mktemp("story") / "flat.toml"
    path.write_text(
        'title = "flat"\nstory = "flat"\n'
        'program = { name = "f", conc = "500 mcg/mL", flat = "96 mcg/day" }\n[[timeline]]\nadvance = "1 d"\n'
    )
    return load_scenario(path)


class Blank(Weighing):
    """A balance that was weighed with nothing on it: so much noise, and no evaporation."""

    def __init__(self, noise_g: float) -> None:
        self._noise_g = noise_g

    def blank_log(self):  # type: ignore[no-untyped-def]
        from hil.metrology.masslog import MassLog

        signs = [1, -1, -1, 1, 1, -1, 1, -1, -1, 1, 1]
        return MassLog.of([Reading(self._noise_g * s, True, 3600.0 * i) for i, s in enumerate(signs)], 1e-5)


class Told:
    """What a recorder kept."""

    def __init__(self, seen: list[Seen]) -> None:
        self.seen = seen


def flow(error: float = 0.0, count: int = 97, weighed: bool = True, **more: object) -> list[Seen]:
    found = []
    for i in range(count):
        nl = RATE_NL_H * SAMPLE_S * i / 3600
        given = nl * (1 + error)
        found.append(Seen(SAMPLE_S * i, nl, given, given / NL_PER_G if weighed else None, 0, True))
    return [replace(row, **more) for row in found]  # type: ignore[arg-type]


def taken(seen: list[Seen], scenario: Scenario, noise_g: float | None = 1e-6) -> Result:
    found = Result("flat", "flat", "flat", "unix", "SIMULATED", 1)
    weighing = None if noise_g is None else Blank(noise_g)
    run_flow.take(found, scenario, Told(seen), weighing)  # type: ignore[arg-type]
    return found


def values(found: Result) -> dict[str, float]:
    return {m.name.removeprefix("flow by the balance: "): m.value for m in found.measurements if m.value is not None}


@settings(max_examples=25, deadline=None)
@given(st.floats(-0.3, 0.3))
def test_a_constant_error_of_the_flow_is_found_in_every_figure(scenario: Scenario, error: float) -> None:
    found = taken(flow(error), scenario)
    told = values(found)
    assert set(told) >= {"overall error A, S = 30 min", "30 min windows, S = 30 min, Ep(max)", "930 min windows, S = 30 min, Ep(min)"}
    assert all(value == pytest.approx(100 * error, abs=0.01) for value in told.values())
    assert found.flow_note == STEADY


def test_both_curves_stand_on_page_and_paper_with_s_the_word_of_evidence_and_uneven_uncertainty(scenario: Scenario, tmp_path: Path) -> None:
    seen = flow()
    noisy = [replace(row, mass_g=(row.mass_g or 0) + 5e-5 * math.sin(7.0 * i)) for i, row in enumerate(seen)]
    found = taken(noisy, scenario, 3e-5)
    assert [(c.title, c.evidence) for c in found.charts] == [
        ("Start-up curve, 8 µL/h, S = 30 min", "SIMULATED"),
        ("Trumpet curve, 8 µL/h, S = 30 min", "SIMULATED"),
    ]
    uneven = next(m for m in found.measurements if m.name.endswith("30 min windows, S = 30 min, Ep(max)"))
    assert uneven.uncertainty is not None and uneven.uncertainty_down is not None and uneven.uncertainty_down > uneven.uncertainty
    shown = f"+{result.shown(uneven.uncertainty)} -{result.shown(uneven.uncertainty_down)}"
    paper = " ".join(" ".join(p.get_textpage().get_text_range() for p in pypdfium2.PdfDocument(document(found))).split())
    for text in (page(found), paper):
        assert "Start-up curve, 8 µL/h, S = 30 min" in text and "Trumpet curve, 8 µL/h, S = 30 min" in text
        assert shown in text and STEADY in text
    junit.of_run(found, tmp_path / "junit.xml")
    assert f'name="uncertainty_down" value="{uneven.uncertainty_down!r}"' in (tmp_path / "junit.xml").read_text()


def test_both_extremes_of_a_window_stand_in_one_row_and_not_also_among_the_measurements(scenario: Scenario, tmp_path: Path) -> None:
    found = taken(flow(), scenario)
    assert [row.window_s / 60 for row in found.windows] == [30, 60, 150, 330, 570, 930]
    assert page(found).count("30 min windows") == 0 and page(found).count("overall error A, S = 30 min") == 1
    result.write_json(found, tmp_path / "result.json")
    assert (tmp_path / "result.json").read_text().count("Ep(max)") == 6  # programs read them there, each with its limits


def test_points_below_the_balances_noise_floor_are_grey_and_not_judged(scenario: Scenario) -> None:
    quiet, noisy = taken(flow(), scenario), taken(flow(), scenario, 5e-4)
    for chart in noisy.charts:
        assert GREY in chart.svg(WIDE)
    assert GREY not in "".join(chart.svg(WIDE) for chart in quiet.charts)
    first = next(m for m in noisy.measurements if "30 min windows" in m.name)
    assert (first.low, first.high, first.verdict) == (None, None, "noted") and "below the noise floor" in first.why
    assert "below the noise floor" in page(noisy) and 'class="grey"' in page(noisy) and 'class="grey"' not in page(quiet)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 20), st.sampled_from(["stretch", "steady", "mass_g"]))
def test_what_was_done_to_the_pump_or_is_wrong_with_the_rig_or_was_not_weighed_is_left_out(
    scenario: Scenario, spoiled: int, how: str
) -> None:
    """After `spoiled` samples the flow is quite another one; the long rest before or after is judged alone."""
    good, bad = flow(), flow(0.5)
    wrong = {"stretch": {"stretch": 1}, "steady": {"steady": False}, "mass_g": {"mass_g": None}}[how]
    tail = [replace(row, t_s=row.t_s + good[-1].t_s + SAMPLE_S, **wrong) for row in bad[:spoiled]]
    found = taken(good + tail, scenario)
    assert values(found)["overall error A, S = 30 min"] == pytest.approx(0.0, abs=0.01)
    assert found.flow_note == STEADY


def test_where_the_programmed_rate_leaves_a_factor_of_two_another_flow_begins(scenario: Scenario) -> None:
    """A taper's end, a bolus: a share of nearly nothing is no error of the flow."""
    good = flow()
    last = good[-1]
    slow = [
        replace(row, t_s=last.t_s + row.t_s, programmed_nl=last.programmed_nl + 0.01 * row.programmed_nl, mass_g=last.mass_g)
        for row in flow()[1:]
    ]
    found = taken(good + slow, scenario)
    assert values(found)["overall error A, S = 30 min"] == pytest.approx(0.0, abs=0.01) and found.flow_note == STEADY


def test_a_flow_that_began_in_mid_story_has_a_trumpet_and_says_why_there_is_no_startup_curve(scenario: Scenario) -> None:
    seen = [replace(row, t_s=row.t_s + 3600.0) for row in flow()]
    found = taken(seen, scenario)
    assert [c.title.split(",")[0] for c in found.charts] == ["Trumpet curve"]
    assert "from 01:00:00 after the first RUN" in found.flow_note and "No start-up curve: something was done" in found.flow_note


@pytest.mark.parametrize(
    ("seen", "noise_g", "words"),
    [
        (flow(count=12), 1e-6, "the longest steady flow of 02:45:00 is shorter than 10 intervals of S = 00:30:00"),
        (flow(steady=False), 1e-6, "nowhere to deliver for two samples on end"),
        (flow(weighed=False, count=5), None, "the longest steady flow of 01:00:00"),
        ([], 1e-6, "nowhere to deliver"),
    ],
)
def test_what_cannot_be_told_is_left_out_with_a_sentence(scenario: Scenario, seen: list[Seen], noise_g: float | None, words: str) -> None:
    found = taken(seen, scenario, noise_g)
    assert not found.charts and not found.measurements
    assert words in found.flow_note and words in page(found) and found.flow_note.startswith("No flow accuracy:")


def test_without_a_balance_the_motion_witness_says_it_and_its_count_is_the_noise(scenario: Scenario) -> None:
    found = taken(flow(0.02, weighed=False), scenario, None)
    overall = next(m for m in found.measurements if "overall" in m.name)
    assert overall.value == pytest.approx(2.0, abs=1e-3) and (overall.low, overall.high) == (-1.0, 1.0) and overall.verdict == "failed"
    count_nl = RigConfig().steps_per_turn / RigConfig().encoder_counts_per_turn * 10
    two_counts, clock = math.sqrt(2 / 12) * count_nl / (RATE_NL_H * 24), EXACT.u_clock * 1.02
    assert overall.uncertainty == pytest.approx(2 * 100 * math.hypot(two_counts, clock), rel=0.03)
    assert "by the motion witness" in found.charts[0].caption and "By the motion witness" in found.flow_note


def test_a_balance_that_was_gone_at_once_leaves_the_word_to_the_motion_witness(scenario: Scenario) -> None:
    gone = [replace(row, mass_g=row.mass_g if i < 3 else None) for i, row in enumerate(flow(0.001))]
    found = taken(gone, scenario)
    assert found.flow_note.startswith("By the motion witness, over the 1 d 00:00:00")


def test_a_witness_of_too_few_counts_is_left_out_with_the_reason(scenario: Scenario) -> None:
    coarse = replace(scenario, rig=replace(scenario.rig, encoder_counts_per_turn=4, rollers=3200))
    found = taken(flow(weighed=False), coarse, None)
    assert "one count of it is more than a third of every limit" in found.flow_note and not found.charts


def test_a_hatch_of_one_width_does_not_lean_on_the_picture_of_the_other(scenario: Scenario) -> None:
    """The other stands hidden on the same page, and a browser does not draw what a hidden picture defines."""
    chart = taken(flow(), scenario).charts[1]
    ids = [{part.split('"')[0] for part in chart.svg(look).split('<pattern id="')[1:]} for look in (WIDE, NARROW)]
    assert all(ids) and not ids[0] & ids[1]


def test_a_difference_is_held_against_the_uncertainties_of_the_sides_that_face_each_other() -> None:
    low = Measurement("x", 1.0, "%", uncertainty=0.1, uncertainty_down=3.0)
    high = Measurement("x", 2.0, "%", uncertainty=3.0, uncertainty_down=0.1)
    a, b = (Result("s", "s", "s", "unix", "SIMULATED", 1, measurements=[m]) for m in (low, high))
    for pair in ((a, b), (b, a)):
        assert any("beyond uncertainty" in row.change for row in compare.of_results(*pair).rows)
    b.measurements = [replace(high, uncertainty_down=1.5)]
    assert any("within uncertainty" in row.change for row in compare.of_results(a, b).rows)


STORY = """
title = "Two hours and then trouble"
story = "What is done to the pump is no flow of its own."
program = { name = "f", conc = "500 mcg/mL", flat = "350 mcg/day" }
setup = { sample = "1 min" }
[limits]
witness_percent = 90.0
balance_percent = 90.0
[history]
population = "spinal"
birth = "1980-05-01"
phase = "maintenance"
screen = "50 mcg"
increase_ago = "30 d"
[[timeline]]
advance = "2 h"
[[timeline]]
check = { stat = { state = "running" } }
TROUBLE
"""


@pytest.mark.parametrize(
    "trouble",
    [
        '[[timeline]]\nfault = "motor_slips"\nwith = { percent = 50 }\n[[timeline]]\nadvance = "3 h"\n',
        '[[timeline]]\ncommand = "STOP"\n[[timeline]]\nadvance = "3 h"\n',
        '[[timeline]]\ncommand = "STOP"\n[[timeline]]\ncommand = "RUN"\n[[timeline]]\nadvance = "100 min"\n',
        '[[timeline]]\npower_cut = { outage = "1 min", clock = "kept" }\n[[timeline]]\nadvance = "100 min"\n',
    ],
)
def test_a_run_tells_the_flow_of_the_stretch_in_which_nothing_was_done_to_the_pump(tmp_path: Path, trouble: str) -> None:
    path = tmp_path / "trouble.toml"
    path.write_text(STORY.replace("TROUBLE", trouble))
    cli.main(["run", str(path), "--out", str(tmp_path / "out"), "--quiet"])
    found = run_folder.read(tmp_path / "out")
    assert found.flow_note == "By the balance, over the 02:00:00 from the first RUN, in which nothing but time passed."
    overall = next(m for m in found.measurements if "overall error A, S = 8 min" in m.name)
    assert overall.value is not None and overall.uncertainty is not None and abs(overall.value) < overall.uncertainty + 0.2


def test_what_is_only_asked_or_is_refused_is_nothing_done_to_the_pump(tmp_path: Path) -> None:
    path = tmp_path / "asked.toml"
    refused = '[[timeline]]\ncommand = "DOSE:BOLUS"\nfields = { volume = "10000nl", path = "cap" }\nexpect = "CATHETER_PORT"\n'
    path.write_text(STORY.replace("TROUBLE", f'[[timeline]]\ncommand = "SELF?"\n{refused}[[timeline]]\nadvance = "1 h"\n'))
    cli.main(["run", str(path), "--out", str(tmp_path / "out"), "--quiet"])
    assert run_folder.read(tmp_path / "out").flow_note.startswith("By the balance, over the 03:00:00 from the first RUN")
