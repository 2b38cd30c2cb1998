"""Recorded weights from a file: every way of writing them, errors that name the line, and the figures without any instrument."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hil import cli
from hil.errors import InputError
from hil.metrology import validation
from hil.metrology.analysis import Asked, needs_clock
from hil.metrology.synthetic import Balance, Pump
from hil.metrology.weights_file import load, load_blank
from hil.prescription import find_program, load_program

WEIGHTS = [(0.0, 35.1), (60.0, 35.1012), (120.0, 35.1025), (180.5, 35.1037)]


def kept(tmp_path, text):
    path = tmp_path / "weights.csv"
    path.write_text(text, "utf-8")
    return path


def iso(seconds):
    return (datetime(2027, 5, 3, 23, 58) + timedelta(seconds=seconds)).isoformat()


@pytest.mark.parametrize(
    ("head", "line"),
    [
        ("t_s,mass_g", lambda t, m: f"{t},{m}"),
        ("time (min),weight (mg)", lambda t, m: f"{t / 60!r},{m * 1000!r}"),
        ("stable;mass [kg];t_h", lambda t, m: f"1;{m / 1000!r};{t / 3600!r}".replace(".", ",")),
        ("t\tnet", lambda t, m: f"{t}\t{m} g"),
        ("time,mass_g", lambda t, m: f"{iso(t)},{m}"),
        ("timestamp,mass_g", lambda t, m: f"{iso(t).replace('T', ' ')}Z,{m}"),
        ("date;weight_g", lambda t, m: f"{iso(t)}+02:00;{m}"),
        ("time,mass_g", lambda t, m: f"{iso(t)[11:]},{m}"),  # a clock time that runs over midnight
        ("# a note\n\nelapsed (s),value (g)", lambda t, m: f"{t + 5000},{m}\n# another"),
    ],
)
def test_each_way_of_writing_them_gives_the_same_seconds_and_grams(tmp_path, head, line):
    found = load(kept(tmp_path, "\n".join([head, *(line(t, m) for t, m in WEIGHTS)]) + "\n")).log
    assert found.t_s.tolist() == pytest.approx([t for t, _ in WEIGHTS], abs=1e-6)
    assert found.mass_g.tolist() == pytest.approx([m for _, m in WEIGHTS], abs=1e-9)
    assert found.resolution_g == 0.0001


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty: the first line names the columns"),
        ("a,b\n1,2\n", "line 1: names no column of time"),
        ("t_s,b\n1,2\n", "line 1: names no column of mass"),
        ("t_s,mass_g\n0,1\n1,x\n", "line 3: 'x' is no weight"),
        ("t_s,mass_g\n0,1\nlate,1\n", "line 3: 'late' is no time"),
        ("t_s,mass_g\n0,1\n5,1\n5,1\n", "line 4: its time is not after"),
        ("t_s,mass_g\n0,1\n5\n", "line 3: has 1 columns"),
        ("t_s,mass\n0,1\n", "line 2: '1' has no unit"),
        ("t_s,mass_g\n0,1 lb\n", "line 2: '1 lb' is in 'lb'"),
        ("t_s,mass_g\n0,1\n1,2\n", "holds 2 weights"),
        ("t_s,mass_g\n0,nan\n", "line 2: 'nan' is no weight"),
        ("t_s,mass_g\n0,1e999\n1,1\n2,1\n3,1\n", "line 2: '1e999' is no weight"),
        ("time,mass_g\n2027-13-45T00:00,1\n", "line 2: '2027-13-45T00:00' is no time"),
    ],
)
def test_what_is_wrong_is_said_with_its_line_and_the_command_ends_with_2(tmp_path, capsys, text, words):
    path = kept(tmp_path, text)
    assert cli.main(["analyse", str(path), "--rate", "1 mL/h", "--out", str(tmp_path / "out")]) == 2
    told = capsys.readouterr().err
    assert words in told and "Traceback" not in told and "itself failed" not in told


@settings(max_examples=150)
@given(st.binary(max_size=200))
def test_no_file_whatever_makes_it_fall(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("any") / "weights.csv"
    path.write_bytes(data)
    try:
        load(path)
    except InputError:
        return
    except Exception as error:
        assert type(error).__name__ == "BenchError", error


def test_a_folder_and_a_missing_file_are_named(tmp_path, capsys):
    for path in (tmp_path, tmp_path / "none.csv"):
        assert cli.main(["analyse", str(path), "--rate", "1 mL/h"]) == 2
        assert path.name in capsys.readouterr().err


def recorded(tmp_path, name, volume_nl, span_s, every_s, seed=1):
    """A file as a logger would have written it, of a pump whose answer is known."""
    case = validation.Case("file", balance=Balance(resolution_g=0.0001, reading_g=0.0001))
    t_s = np.arange(0, span_s + 1, every_s)
    log = case.balance.read(volume_nl, t_s, case.climate, np.random.default_rng(seed))
    path = tmp_path / f"{name}.csv"
    path.write_text("t_s,mass_g\n" + "".join(f"{t},{m:.4f}\n" for t, m in zip(log.t_s, log.mass_g)))
    return str(path)


def figures(tmp_path):
    return {one["name"]: one for one in json.loads((tmp_path / "out" / "metrology.json").read_text())["measurements"]}


def test_a_flow_of_known_error_is_recovered_from_files_with_its_blank(tmp_path):
    flow = recorded(tmp_path, "flow", Pump(1e6, error=0.03).volume_nl, 6000, 28.8)
    blank = recorded(tmp_path, "blank", np.zeros_like, 36_000, 600, seed=2)
    args = ["analyse", flow, "--rate", "1 mL/h", "--blank", blank, "--protocol", "packets", "--out", str(tmp_path / "out")]
    assert cli.main(args) == 0
    overall = figures(tmp_path)["flow: overall error A, S = 0.48 min"]
    assert abs(overall["value"] - 3.0) <= overall["uncertainty"] < 0.2
    assert (tmp_path / "out" / "trumpet-flow.png").exists()


def test_a_pump_that_is_off_by_more_than_its_limit_ends_with_1(tmp_path):
    flow = recorded(tmp_path, "flow", Pump(1e6, error=0.08).volume_nl, 6000, 28.8)
    assert cli.main(["analyse", flow, "--rate", "1 mL/h", "--protocol", "packets", "--out", str(tmp_path / "out")]) == 1


def test_a_program_that_changes_over_the_day_is_judged_by_the_clock(tmp_path, capsys):
    program = load_program(find_program("night-flex-spinal"))
    assert needs_clock(program)
    rate, asked = Asked("x", program=program, began=datetime(2027, 5, 3, 18, 0)).programmed(86_400)
    assert asked is not None and rate > 0
    flow = recorded(tmp_path, "flow", lambda t: 1.02 * asked(t), 86_400, 600)
    assert cli.main(["analyse", flow, "--program", "night-flex-spinal", "--out", str(tmp_path / "out")]) == 2
    assert "--began" in capsys.readouterr().err
    blank = recorded(tmp_path, "blank", np.zeros_like, 36_000, 600, seed=2)
    args = ["analyse", flow, "--program", "night-flex-spinal", "--began", "2027-05-03T18:00", "--sample", "20 min", "--blank", blank]
    assert cli.main([*args, "--out", str(tmp_path / "out")]) == 0
    overall = next(one for name, one in figures(tmp_path).items() if "overall" in name)
    assert abs(overall["value"] - 2.0) <= overall["uncertainty"] < 1.0


@pytest.mark.parametrize(
    "args",
    [
        ["--rate", "5"], ["--rate", "0 mL/h"], ["--rate", "1 mL/h", "--sample", "1 s"], ["--program", "nonsense"],
        ["--rate", "1 mL/h", "--protocol", "ambulatory"], ["--rate", "1 mL/h", "--start-after", "9 d"],
        ["--rate", "1 mL/h", "--temperature", "90"],
        ["--rate", "1 mL/h", "--packet", "0 nL", "--protocol", "packets"], ["--program", "night-flex-spinal", "--began", "noon"],
    ],
)  # fmt: skip
def test_arguments_that_make_no_sense_end_with_2_and_a_sentence(tmp_path, capsys, args):
    flow = recorded(tmp_path, "flow", Pump(1e6).volume_nl, 3000, 30)
    assert cli.main(["analyse", flow, *args, "--out", str(tmp_path / "out")]) == 2
    told = capsys.readouterr().err
    assert told.startswith("error: ") and "itself failed" not in told and len(told.splitlines()) == 1


FLOW = '120,5.0,1,"flow, slow"\n180,5.1,1,"flow, slow"\n240,5.3,1,"flow, slow"\n'
PARTS = f"t_s,mass_g,stable,what\n0,1.0,1,blank\n60,1.1,1,blank\n120,1.2,1,blank\n{FLOW}"


def test_of_a_file_with_several_parts_the_named_one_is_read(tmp_path):
    path = kept(tmp_path, PARTS)
    assert load(path, "flow, slow").log.mass_g.tolist() == [5.0, 5.1, 5.3]
    assert load_blank(path).log.mass_g.tolist() == [1.0, 1.1, 1.2]


def test_a_blank_of_its_own_needs_no_name(tmp_path):
    assert len(load_blank(kept(tmp_path, "t_s,mass_g\n0,1\n60,2\n120,3\n")).log.t_s) == 3


def test_several_parts_are_never_taken_for_one_flow_even_if_their_times_go_on(tmp_path):
    path = kept(tmp_path, PARTS.replace('120,5.0,1,"flow', '121,5.0,1,"flow'))
    with pytest.raises(InputError, match=r"several parts, 'blank', 'flow, slow': name one with --part"):
        load(path)


@pytest.mark.parametrize(
    ("text", "says"), [(PARTS, "it holds 'blank', 'flow, slow'"), ("t_s,mass_g\n0,1\n60,2\n120,3\n", "no column 'what'")]
)
def test_a_part_that_is_not_there_is_told_with_those_that_are(tmp_path, text, says):
    with pytest.raises(InputError, match=says):
        load(kept(tmp_path, text), "nope")
