"""Volume per step: the slope method against known answers, the procedure on the simulated rig, and what is kept, written and refused."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hil import calibration_command as command
from hil import cli
from hil.calibration import points, record
from hil.calibration.fit import fit
from hil.calibration.points import Point, Run, Wanted
from hil.errors import BenchError, InputError, Refused
from hil.metrology.blank import Blank, Noise
from hil.metrology.volume import Conditions
from hil.plant import Rig, RigConfig
from hil.wetbench import Place, WetBench

HERE = Conditions()
BLANK = Blank(0.005, 0.00001, Noise(0.00008, 0.00002), 61, 3600.0)
WANTED = [Wanted(size, rate) for rate in (20, 200, 2000) for size in (4000, 40_000)]


def weighed(nl_per_step, intercept_nl, random, wanted=WANTED, bend=0.0):
    """Points as a balance would have given them; bend: a rate's volume per step grows by that share a decade."""
    u_z = random.normal(0, HERE.u_z)
    found = []
    for one in wanted:
        span_s = one.steps / one.rate_hz + 20
        volume = intercept_nl + one.steps * nl_per_step * (1 + bend * np.log10(one.rate_hz / 200))
        mass = volume / (HERE.nl_per_g * (1 + u_z)) - BLANK.lost_g(span_s) + random.normal(0, BLANK.noise.difference_g(span_s))
        found.append(Point(one.steps, one.rate_hz, float(mass), span_s))
    return found


# the slope


@settings(max_examples=60)
@given(st.floats(2.0, 80.0), st.floats(-3000, 3000), st.integers(0, 10_000))
def test_slope_and_intercept_are_recovered_within_their_stated_doubt(nl_per_step, intercept_nl, seed):
    found = fit(weighed(nl_per_step, intercept_nl, np.random.default_rng(seed)), BLANK, HERE)
    assert abs(found.nl_per_step - nl_per_step) <= 4.5 * found.u_nl_per_step
    assert abs(found.intercept_nl - intercept_nl) <= 4.5 * found.u_intercept_nl + 1e-3 * abs(intercept_nl)
    assert found.steps_per_ml == round(1e6 / found.nl_per_step)


def test_k_2_intervals_of_the_slope_hold_the_truth_about_as_often_as_stated():
    held = 0
    for seed in range(200):
        found = fit(weighed(10.0, -200.0, np.random.default_rng(seed)), BLANK, HERE)
        held += abs(found.nl_per_step - 10.0) <= 2 * found.u_nl_per_step
        assert found.expanded_percent < 0.25  # an uncorrected evaporation would hide in the points' spread
    assert held >= 178  # a binomial of 0.95 falls below that once in ten thousand


def test_a_rate_that_is_off_the_slope_is_outside_the_valid_range():
    wanted = [Wanted(size, rate) for rate in (20, 200, 2000, 4000) for size in (4000, 40_000)]
    good = weighed(10.0, 0.0, np.random.default_rng(1), wanted)
    slipping = [replace(p, mass_g=p.mass_g * 0.8) if p.rate_hz == 4000 else p for p in good]
    found = fit(slipping, replace(BLANK, noise=Noise(0.00008, 0.0)), HERE)
    assert not found.rates[-1].inside or found.rates[-1].off_percent < -2
    assert found.spread_ppm > 10_000  # and the points' own spread is in the doubt
    assert found.expanded_percent > 10 * fit(good, BLANK, HERE).expanded_percent


def test_too_few_points_one_size_and_no_growth_are_refused():
    good = weighed(10.0, 0.0, np.random.default_rng(1))
    for bad, words in ((good[:2], "2 points"), (good[::2], "of 1 sizes"), ([replace(p, mass_g=-p.mass_g) for p in good], "did not grow")):
        with pytest.raises(BenchError, match=words):
            fit(bad, BLANK, HERE)
    with pytest.raises(BenchError, match="outside what a pump takes"):
        fit([replace(p, mass_g=p.mass_g * 50) for p in good], BLANK, HERE)


# what is kept


def some_record(**other):
    kept = dict(pump="U1", date="2027-05-03", tube="T-1", tube_hours=5, steps_per_ml=100_000, expanded_percent=0.1, evidence="SIMULATED")
    more = dict(intercept_nl=1.0, spread_ppm=500, points=6, rate_min_nl_h=1000, rate_max_nl_h=10**7, expires_hours=2000, expires_ul=60_000)
    return record.Record(**{**kept, **more, "details": {}, **other})


def test_a_kept_calibration_is_never_written_over_and_the_last_of_a_pump_is_found(tmp_path):
    paths = [some_record(steps_per_ml=spm, pump=pump).save(tmp_path) for spm, pump in ((100_000, "U1"), (101_000, "U1"), (1_000, "U2"))]
    assert len(set(paths)) == 3
    for i, path in enumerate(paths):
        os.utime(path, (1000 + i, 1000 + i))
    found = record.last_of(tmp_path, "U1")
    assert found is not None and found.steps_per_ml == 101_000
    assert record.last_of(tmp_path, "U3") is None and record.last_of(tmp_path / "none", "U1") is None


@pytest.mark.parametrize(("percent", "told"), [(0.5, "the same tube"), (3.0, "MORE THAN EXPECTED; worn")])
def test_drift_against_the_last_is_told_when_it_is_more_than_wear(percent, told):
    old, new = some_record(), some_record(steps_per_ml=round(100_000 * (1 + percent / 100)))
    found = record.drift(new, old)
    assert found.percent == pytest.approx(-percent, abs=0.1) and told in found.text  # more steps a mL: less volume a step


def test_an_interrupted_run_comes_back_as_it_was_and_a_point_can_be_redone(tmp_path):
    run = Run("U1", "T-1", HERE, list(WANTED), [Point(4000, 20, 0.04, 220.0)], BLANK, "SIMULATED", "SIM220")
    run.save(tmp_path)
    again = points.load(tmp_path)
    assert again == run and not again.complete
    again.redo(1)
    assert again.points == []
    with pytest.raises(InputError, match="no point 7"):
        again.redo(7)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"version": 0}', '{"version": 1, "blank": 3}', "nonsense"])
def test_a_damaged_run_is_named(tmp_path, text):
    (tmp_path / points.FILE).write_text(text)
    with pytest.raises(InputError):
        points.load(tmp_path)


# on the simulated rig


def arguments(tmp_path, *more):
    parser = argparse.ArgumentParser()
    command.add(parser.add_subparsers())
    given = ["calibrate", "--tube", "T-1", "--out", str(tmp_path / "out"), "--keep", str(tmp_path / "keep"), "--rates", "100,1000", *more]
    return parser.parse_args(given)


def calibrated(tmp_path, config, *more, run=None, asked=None):
    args, told = arguments(tmp_path, *more), []
    rig = Rig(config, 3)
    with WetBench(Place(out=args.out, rig=rig, seed=3, go_on=args.go_on), told.append) as bench:
        run = run or Run("", "T-1", HERE, command._wanted(args))
        began_nl, began_steps = None, None
        deliver = bench.deliver

        def watched(verb, **fields):
            nonlocal began_nl, began_steps
            if began_nl is None:
                began_nl, began_steps = rig.delivered_nl, rig.rotor.steps
            return deliver(verb, **fields)

        bench.deliver = watched
        code = command.calibrate(bench, args, run, told.append, asked)
        truth = (rig.delivered_nl - began_nl) / (rig.rotor.steps - began_steps)
        return code, told, truth, bench.pump.stat("motion").get("spm"), bench.pump.stat("supplies").get("calibrated")


def last(tmp_path):
    path = sorted((tmp_path / "keep").iterdir(), key=lambda p: p.stat().st_mtime)[-1]
    return json.loads(path.read_text())


@pytest.mark.req("R-CAL-1", "R-CAL-2")
@pytest.mark.parametrize("error_ppm", [0.0, 30_000.0, -40_000.0])
def test_the_true_volume_per_step_of_the_rig_is_recovered_within_the_stated_uncertainty(tmp_path, error_ppm):
    config = RigConfig(head_error_ppm=error_ppm, run_in_share=0.0, wear_per_1000_turns=0.0)
    code, _, truth, spm, calibrated_word = calibrated(tmp_path, config)
    kept = last(tmp_path)
    assert truth == pytest.approx(10 * (1 + error_ppm * 1e-6), rel=1e-6)
    got = kept["details"]["fit"]["nl_per_step"]
    assert abs(got / truth - 1) * 100 <= kept["expanded_percent"] < 0.3
    assert (code, calibrated_word, int(spm)) == (0, "yes", kept["steps_per_ml"])
    assert kept["tube"] == "T-1" and kept["rate_min_nl_h"] < kept["rate_max_nl_h"] and kept["evidence"] == "SIMULATED"
    assert kept["details"]["run"]["conditions"]["temperature_c"] == 20.0


@pytest.mark.req("R-CAL-1")
def test_a_change_of_more_than_5_percent_is_written_only_with_a_persons_word(tmp_path):
    config = RigConfig(head_error_ppm=80_000.0)
    code, told, _, spm, word = calibrated(tmp_path, config)
    assert (code, spm, word) == (1, "100000", "no") and any("NOT written" in line for line in told)
    asked = []
    code, told, _, spm, word = calibrated(tmp_path, config, asked=lambda words: asked.append(words) or True)
    assert (code, word) == (0, "yes") and int(spm) < 95_000 and "more than 5 %" in asked[0]
    assert any(line.startswith("drift: ") for line in told)  # against the first, which was kept though not written


def test_interrupted_it_keeps_its_points_goes_on_and_redoes_one(tmp_path, monkeypatch):
    config = RigConfig(run_in_share=0.0, wear_per_1000_turns=0.0)
    weigh = WetBench.weigh_surely
    seen = []

    def unplugged(bench, what):
        seen.append(what)
        if what == "4000 steps at 1000/s":
            bench.simulated.unplug()
        return weigh(bench, what)

    with monkeypatch.context() as patch, pytest.raises(BenchError, match=r"went away.*2 of 4 points are kept.*--continue"):
        patch.setattr(WetBench, "weigh_surely", unplugged)
        calibrated(tmp_path, config)
    run = points.load(tmp_path / "out")
    assert len(run.points) == 2 and run.blank is not None
    first = run.points[0]
    before = {name: (tmp_path / "out" / name).read_bytes() for name in ("weights.csv", "serial.log")}
    code, told, _, _, _ = calibrated(tmp_path, config, "--continue", "--redo", "2", run=run)
    assert before == {name: (tmp_path / "out" / name).read_bytes() for name in before}
    assert b"blank" in before["weights.csv"] and "blank" not in (tmp_path / "out" / "weights-2.csv").read_text("utf-8")
    assert (tmp_path / "out" / "serial-2.log").is_file()
    assert code == 0 and run.complete and run.points[0] == first
    assert [line for line in told if line.startswith("point ")] == [
        f"point {i} of 4: {text}" for i, text in ((2, "40000 steps at 100/s"), (3, "4000 steps at 1000/s"), (4, "40000 steps at 1000/s"))
    ]


def test_a_run_does_not_go_on_with_the_blank_of_another_balance(tmp_path):
    calibrated(tmp_path, RigConfig(), "--no-write")
    run = points.load(tmp_path / "out")
    run.balance = "XS204 B000000002"
    with pytest.raises(InputError, match=r"blank is of balance 'XS204 B000000002', this is 'SIM220"):
        calibrated(tmp_path, RigConfig(), "--continue", run=run)


@pytest.mark.parametrize(("option", "fits"), [("--temperature=25", False), ("--pressure=950", False), ("--salt=9", False), ("", True)])
def test_a_run_does_not_go_on_under_other_conditions_than_it_was_begun_under(tmp_path, option, fits):
    calibrated(tmp_path, RigConfig(), "--no-write")
    run = points.load(tmp_path / "out")
    with contextlib.nullcontext() if fits else pytest.raises(InputError, match=r"begun at .* °C, .* hPa, .* g/L salt"):
        calibrated(tmp_path, RigConfig(), "--continue", *filter(None, [option]), run=run)


def test_ctrl_c_stops_the_pump_and_keeps_what_was_measured(tmp_path, monkeypatch):
    def interrupted(bench, verb, **fields):
        bench.begin(verb, **fields)
        raise KeyboardInterrupt

    stopped = []
    monkeypatch.setattr(WetBench, "deliver", interrupted)
    monkeypatch.setattr(WetBench, "stop", lambda bench: stopped.append(bench.link.command("STOP")))
    assert cli.main(["calibrate", "--tube", "T-1", "--out", str(tmp_path / "out"), "--keep", str(tmp_path / "keep")]) == 2
    assert stopped and points.load(tmp_path / "out").blank is not None


@pytest.mark.parametrize("fault", [("occlusion", {"compliance_nl": 0.0}), ("air_in_tube", {"percent": 60}), ("driver_dead", {})])
def test_a_tracer_run_that_gives_nothing_or_too_little_ends_it_with_what_to_look_at(tmp_path, fault):
    rig = Rig(RigConfig(), 1)
    rig.fault(fault[0], **fault[1])
    args = arguments(tmp_path)
    with (
        WetBench(Place(out=args.out, rig=rig), lambda line: None) as bench,
        pytest.raises(BenchError, match=r"air|MOTOR_STALL|UNCERTAIN"),
    ):
        command.calibrate(bench, args, Run("", "T-1", HERE, command._wanted(args)), lambda line: None)


@pytest.mark.req("R-CAL-1")
def test_every_refusal_for_want_of_calibration_names_this_command(tmp_path):
    """DOSE:BOLUS, RUN, PRIME and screening go through one guard; the text of the one that can be had at once is read."""
    with WetBench(Place(out=tmp_path), lambda line: None) as bench:
        bench.link.command("SCREEN:NEW", {})
        bench.link.command("RES:REFILL", {
            "path": "septum", "fluid": "drug", "drug": "baclofen", "volume": "18000000nl", "withdrawn": "0nl", "conc": "50mcg/ml",
            "lot": "A", "expiry": "2029-01-01", "stored": "ok", "attended": "yes",
        })  # fmt: skip
        with pytest.raises(Refused) as refused:
            bench.link.command("DOSE:PRIME", {"volume": "1000nl", "path": "pump", "connected": "no"})
        assert refused.value.code == "UNCALIBRATED" and "python -m hil calibrate" in refused.value.text


@pytest.mark.parametrize(
    "args",
    [
        [], ["--tube", ""], ["--tube", "x" * 30], ["--tube", "a b"], ["--tube", "T", "--rates", "0"], ["--tube", "T", "--rates", "fast"],
        ["--tube", "T", "--sizes", "4000"], ["--tube", "T", "--expires-volume", "60"], ["--tube", "T", "--blank-cycle", "1 s"],
        ["--tube", "T", "--redo", "1"], ["--tube", "T", "--continue"], ["--tube", "T", "--expires-hours", "0"],
        ["--tube", "T", "--salt", "99"],
        ["--tube", "T", "--fill", "18"],
        ["--tube", "T", "--balance", "/dev/none"], ["--tube", "T", "--balance", "sbi:x#z=1"], ["--tube", "T", "--target", "/dev/none"],
        ["--tube", "T", "--target", "emulated"],
    ],
)  # fmt: skip
def test_bad_arguments_end_with_2_and_one_sentence(tmp_path, capsys, args):
    assert cli.main(["calibrate", *args, "--out", str(tmp_path / "out"), "--keep", str(tmp_path / "keep")]) == 2
    told = capsys.readouterr().err
    assert told.startswith("error: ") and len(told.splitlines()) == 1 and "itself failed" not in told
