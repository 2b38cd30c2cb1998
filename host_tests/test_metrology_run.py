"""A plan of test flows and boluses on the simulated rig: the figures hold the rig's truth, a lost balance loses only its own figures."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import replace
from html import escape
from xml.etree import ElementTree

import pypdfium2
import pytest

from hil import cli, junit, metrology_page, metrology_paper, report
from hil.errors import BenchError, InputError
from hil.instruments import BalanceModel, MtSicsBalance, SimulatedBalance
from hil.instruments.diagnostics import diagnose, last_digit
from hil.metrology import plan as plans
from hil.metrology.figure import Contribution, Figure, not_measured
from hil.metrology.outcome import Outcome
from hil.metrology.volume import Conditions
from hil.metrology_run import Runner
from hil.plant import Rig, RigConfig
from hil.result import limits_text, shown
from hil.wetbench import Place, WetBench

SHORT = replace(plans.Plan("short"), blank_points=3)
FLOW = plans.FlowPlan("flow", 1_000_000, plans.packets(1e6, 4000))


def played(tmp_path, plan, config=None, during=None, **model):
    rig = Rig(config or RigConfig(), 5)
    told = []
    with WetBench(Place(out=tmp_path / "out", rig=rig, seed=5, model=BalanceModel(**model)), told.append) as bench:
        runner = Runner(bench, plan)
        if during:
            during(bench, runner)
        return runner.play(), rig, told


def by_name(outcome, part):
    return next(figure for figure in outcome.figures if part in figure.name)


@pytest.mark.req("R-CAL-2")
@pytest.mark.parametrize("error_ppm", [0.0, 40_000.0, -70_000.0])
def test_the_rigs_true_error_is_in_the_stated_interval(tmp_path, error_ppm):
    config = RigConfig(head_error_ppm=error_ppm, run_in_share=0.0, wear_per_1000_turns=0.0)
    outcome, _, _ = played(tmp_path, replace(SHORT, flows=(FLOW,), boluses=(plans.BolusPlan("bolus", 40_000, 40, 10),)), config)
    assert outcome.evidence == "SIMULATED" and outcome.blank.loss_g_h == pytest.approx(0.0005, abs=5e-5)
    for figure in outcome.figures:
        low, high = figure.interval
        wider = 0.75 * figure.expanded + 0.1  # k = 3.5, for there are 30 of them; 0.1 %: windows that are not quite whole packets
        assert low - wider <= error_ppm / 1e4 <= high + wider, figure.name
    assert by_name(outcome, "overall").verdict == ("failed" if error_ppm < -60_000 else "passed")


def test_back_pressure_and_supply_height_change_the_flow_as_the_head_does(tmp_path):
    pressures = tuple(plans.PressurePlan(f"{mmhg:+} mmHg", 2_000_000, mmhg, 1200.0, "") for mmhg in (100.0, -100.0, 0.5 * plans.MMHG_PER_M))
    outcome, rig, _ = played(tmp_path, replace(SHORT, pressures=pressures), RigConfig(pressure_loss_per_mmhg=0.0003))
    for figure, mmhg in zip(outcome.others, (100, -100, 36.7)):
        assert figure.value == pytest.approx(-0.03 * mmhg, abs=figure.expanded + 0.02)
    assert rig.head.back_pressure_mmhg == 0


def test_an_occlusion_is_timed_and_what_it_held_back_is_weighed(tmp_path):
    stalls = plans.OcclusionPlan("stalls", 1_000_000, 1200.0, True, 30_000.0)
    outcome, rig, _ = played(tmp_path, replace(SHORT, occlusions=(stalls, replace(stalls, name="slips", stalls=False))))
    time, bolus = by_name(outcome, "stalls: time"), by_name(outcome, "stalls: bolus")
    assert "MOTOR_STALL" in time.name and 30_000 / 1e6 * 60 <= time.value <= 15  # not before the tube is full
    assert bolus.value == pytest.approx(30.0, abs=bolus.expanded)
    assert by_name(outcome, "slips: time").verdict == "noted" and "cannot know" in by_name(outcome, "slips: time").why
    assert not rig.outlet.closed


def unplugged_after(seconds, back_after=None):
    def during(bench, runner):
        weigh = bench.weigh
        state = {}

        def watched(what=""):
            if what == "flow":
                state.setdefault("began", bench.now_s())
            since = bench.now_s() - state.get("began", bench.now_s())
            if since > seconds and "gone" not in state:
                state["gone"] = True
                bench.simulated.unplug()
            if back_after is not None and since > back_after and "back" not in state:
                state["back"] = bench.simulated = SimulatedBalance(bench.rig.load, bench.place.model, 9)
                bench._url = bench.simulated.path
            return weigh(what)

        bench.weigh = watched

    return during


def test_a_balance_unplugged_in_mid_run_loses_only_what_it_did_not_weigh(tmp_path):
    plan = replace(SHORT, flows=(FLOW, replace(FLOW, name="second")))
    outcome, _, told = played(tmp_path, plan, during=unplugged_after(2400))
    assert by_name(outcome, "flow: overall").verdict == "passed"  # 83 of 100 intervals
    assert by_name(outcome, "second").verdict == "not measured"
    assert sum("went away" in line for line in told) == 1 and any("went away" in note for note in outcome.notes)


def test_a_balance_that_comes_back_has_another_zero_so_the_longest_stretch_counts(tmp_path):
    outcome, _, told = played(tmp_path, replace(SHORT, flows=(FLOW,)), during=unplugged_after(2200, back_after=2300))
    overall = by_name(outcome, "overall")
    assert abs(overall.value) < 0.3 and any("stretches" in note for note in outcome.notes) and "the balance is back" in told


def test_every_weight_is_on_disk_as_it_came(tmp_path):
    played(tmp_path, replace(SHORT, flows=(FLOW,)))
    rows = (tmp_path / "out" / "weights.csv").read_text().splitlines()
    assert rows[0] == "t_s,mass_g,stable,what" and sum(row.endswith("blank") for row in rows) == 31


def test_the_command_leaves_figures_pictures_and_json_marked_simulated(tmp_path, capsys):
    path = tmp_path / "plan.toml"
    path.write_text('[blank]\npoints = 2\n[[bolus]]\nvolume = "50 uL"\ntime = "30 s"\ncount = 4\n')
    out, named = tmp_path / "out", ["--operator", "R. <Weber>", "--tube", "T-7, 20 h"]
    assert cli.main(["metrology", "--plan", str(path), "--out", str(out), *named]) == 0
    told = capsys.readouterr().out
    found = json.loads((tmp_path / "out" / "metrology.json").read_text())
    assert "SIMULATED" in told and found["evidence"] == "SIMULATED" and found["verdict"] == "passed"
    assert {"metrology.json", "figures.csv", "weights.csv", *found["pictures"]} <= {p.name for p in (tmp_path / "out").iterdir()}
    assert "report.html" in told
    page, paper = (out / "report.html").read_text("utf-8"), text_of((out / "report.pdf").read_bytes())
    suite = ElementTree.parse(out / "junit.xml").getroot()
    for said in ("R. <Weber>", "T-7, 20 h", f"plan.toml {hashlib.sha256(path.read_bytes()).hexdigest()[:16]}", "SIMULATED"):
        assert said in found["setup"].values() or said == found["evidence"]
        assert escape(said, quote=False) in page and said in paper
        assert said in [each.get("value") for each in suite.findall("properties/property")]
    assert suite.get("tests") == str(len(found["measurements"])) and suite.get("failures") == "0"


def text_of(document):
    return "\n".join(paper.get_textpage().get_text_range() for paper in pypdfium2.PdfDocument(document))


def test_the_document_has_every_figure_of_the_page_with_its_budget_and_each_bolus(tmp_path):
    outcome, _, _ = played(tmp_path, replace(SHORT, flows=(FLOW,), boluses=(plans.BolusPlan("bolus", 50_000, 30, 4),)))
    text = " ".join(text_of(metrology_paper.document(outcome)).split())
    for figure in outcome.figures:
        assert shown(figure.value) in text and shown(figure.expanded) in text
        assert all(part.source in text for part in figure.budget[:1])
    assert "; ".join(f"{error:+.3f}" for error in outcome.boluses[0].errors) in text
    for once in (metrology_page.METHOD, metrology_page.READING, "Trumpet curve", "Uncertainty budget", "host commit"):
        assert once in text


def test_what_has_not_passed_is_no_passed_case_for_the_machine_that_reads_it(tmp_path):
    doubt = (Contribution("noise", 0.5, "a balance"),)
    outcome = Outcome("a\x00run", "SIMULATED", "unix", Conditions(), broken_off=True, notes=["the power went"])
    outcome.others = [
        Figure("good", 0.0, "%", doubt, -5, 5), Figure("bad", 9.0, "%", doubt, -5, 5), Figure("in doubt", 5.0, "%", doubt, -5, 5),
        Figure("in the noise", 0.0, "%", doubt, -5, 5, floor=True), not_measured("lost", "%", "the balance went away"),
    ]  # fmt: skip
    junit.of_metrology(outcome, tmp_path / "junit.xml")
    suite = ElementTree.parse(tmp_path / "junit.xml").getroot()
    ends = {case.get("name"): [end.tag for end in case if end.tag != "properties"] for case in suite.findall("testcase")}
    skipped = {key: ["skipped"] for key in ("in doubt", "in the noise", "lost")}
    assert ends == {"good": [], "bad": ["failure"], **skipped, "bench": ["error"]}
    assert [suite.get(name) for name in ("tests", "failures", "skipped", "errors")] == ["6", "1", "3", "1"]


def test_the_page_has_verdict_limits_margin_doubt_and_budget_of_each_figure_and_stands_alone(tmp_path):
    bolus = plans.BolusPlan("<small>", 50_000, 30, 4)
    outcome, _, _ = played(tmp_path, replace(SHORT, flows=(FLOW,), boluses=(bolus,)))
    page = metrology_page.page(outcome)
    assert page.index("SIMULATED") < page.index("overall error A") and "&lt;small&gt;" in page and "<small>" not in page
    budgets = metrology_page.budgets(outcome.figures)
    assert [f.name for b in budgets for f, _ in b.rows] == [f.name for f in outcome.figures if f.budget] and len(outcome.figures) > 13
    for figure in outcome.figures:
        row = page[page.index(f">{escape(figure.name, quote=False)}</td>") :].split("</tr>", 1)[0]
        m = figure.measurement()
        for said in (shown(m.value), f">{figure.unit}<", report.uncertainty_text(m), limits_text(m), shown(m.margin), m.verdict):
            assert said in row
    assert page.count('<div class="wide"><svg') == 3 and not re.search(r"""(src|href)=["'](?!#|data:)""", page.replace("xlink:", ""))


def test_a_run_that_measured_nothing_and_one_whose_noise_hides_all_say_so_on_their_page():
    outcome = Outcome("nothing", "FROM A FILE", "a file", Conditions(), notes=["the balance went away: <unplugged>"])
    outcome.others = [not_measured("lost", "%", "the balance gave 0 weights")]
    page = metrology_page.page(outcome)
    assert "lost</td>" in page and "the balance gave 0 weights" in page and "away: &lt;unplugged&gt;" in page
    assert page.index('class="verdict not measured">not measured') < page.index("FROM A FILE") < page.index("lost</td>")
    outcome.others = [Figure("loud", 3.0, "%", (Contribution("noise", 9.0, "a lorry"),), -5.0, 5.0, floor=True)]
    assert '<tr class="grey"><td class="head">loud' in metrology_page.page(outcome) and "below the noise floor" in metrology_page.page(
        outcome
    )
    outcome.others = []
    assert "None was measured" in metrology_page.page(outcome)


# plans


def test_the_shipped_plans_are_what_the_standard_wants():
    full = plans.load(plans.find("full"))
    assert {flow.protocol.name for flow in full.flows} == {"packet pump", "ambulatory, continuous"}
    assert [bolus.count for bolus in full.boluses] == [25, 25] and full.blank_cycles >= 10
    assert [round(p.mmhg, 1) for p in full.pressures] == [100, -100, 36.7]
    assert full.occlusions and plans.load(plans.find("quick")).span_s < full.span_s / 3


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "measures nothing"),
        ("[[flow]]\n", "has no unit"),
        ('[[flow]]\nrate = "1 mL"\n', "no unit of flow"),
        ('[[flow]]\nrate = "1 nL/h"\n', "outside what a pump takes"),
        ('[[flow]]\nrate = "1 mL/h"\nprotocol = "quick"\n', "none of packets"),
        ('[[flow]]\nrat = "1 mL/h"\n', "did you mean 'rate'"),
        ('flow = 3\n[[bolus]]\nvolume = "1 uL"\n', "flow"),
        ('flow = [3]\n', "write \\[\\[flow\\]\\]"),
        ('[[bolus]]\nvolume = "1 uL"\ncount = 1\n', "from 2 to 1000"),
        ("[[pressure]]\nmmhg = 100\nheight_m = 1\n", "either mmhg"),
        ("[[pressure]]\nmmhg = 5000\n", "from -500 to 500"),
        ('[[occlusion]]\nstalls = "yes"\n', "neither true nor false"),
        ('[conditions]\ntemperature_c = 99\n[[pressure]]\nmmhg = 1\n', "5 to 40 C"),
        ('[blank]\ncycles = 3\n[[pressure]]\nmmhg = 1\n', "from 10"),
        ("[[flow", "no valid TOML"),
    ],
)  # fmt: skip
def test_a_plan_that_is_wrong_says_where(tmp_path, text, words):
    path = tmp_path / "plan.toml"
    path.write_text(text)
    with pytest.raises(BenchError, match=words):
        plans.load(path)


def test_a_plan_that_does_not_exist_names_those_that_do(capsys):
    with pytest.raises(InputError, match="full, quick"):
        plans.find("nonsense")
    assert cli.main(["metrology", "--plan", "nonsense"]) == 2
    assert cli.main(["metrology", "--target", "/dev/none"]) == 2
    assert "no such serial port" in capsys.readouterr().err


# the balance beforehand


@pytest.mark.parametrize(
    ("model", "config", "words"),
    [
        ({}, RigConfig(), ""),
        ({"noise_g": 0.002}, RigConfig(), "noise"),
        ({}, RigConfig(evaporation_mg_h=500.0), "drift"),
    ],
)  # fmt: skip
def test_a_balance_is_looked_at_before_a_run(model, config, words):
    rig = Rig(config, 1)
    with (
        SimulatedBalance(rig.load, BalanceModel(**model), 1) as simulated,
        MtSicsBalance(simulated.path, clock=lambda: rig.now_us / 1e6) as driver,
    ):
        found = diagnose(driver, lambda s: rig.advance_to(rig.now_us + round(s * 1e6)))
        assert found.fit == (not words) and words in " ".join(found.findings)
        assert (found.readings, found.resolution_g, found.stable_share) == (60, 0.0001, 1.0) and found.rate_hz > 0
        if not words:
            assert found.noise_g == pytest.approx(0.00015, rel=0.35)
            least_squares = 0.00015 / (60 * (60**2 - 1) / 12) ** 0.5 * 3600  # g/h: 60 readings, one a second
            assert found.u_drift_g_h == pytest.approx(least_squares, rel=0.35) and "mg/h (k = 2)" in "".join(found.lines())
            assert abs(found.drift_g_h + 0.0005) < 3.5 * found.u_drift_g_h  # 0.5 mg/h evaporate
        simulated.faults.add("unstable")
        assert any("at rest" in finding for finding in diagnose(driver, lambda s: rig.advance_to(rig.now_us + 10**6)).findings)


def test_a_slow_balance_is_not_fit():
    rig = Rig(RigConfig(), 1)
    clock = iter(range(0, 10_000, 3))
    with SimulatedBalance(rig.load) as simulated, MtSicsBalance(simulated.path) as driver:
        found = diagnose(driver, lambda s: None, readings=10, wall=lambda: float(next(clock)))
    assert not found.fit and "0.33 samples a second" in found.findings[0]


def test_the_last_digit_is_what_all_readings_are_multiples_of():
    assert [last_digit(x) for x in ([0.1, 0.3], [0.001, 0.0123], [35.00001, 0.2], [0.123456])] == [0.1, 0.0001, 0.00001, 1e-6]


def test_the_balance_command_tells_fit_from_not_and_absent(capsys):
    rig = Rig(RigConfig(), 1)
    with SimulatedBalance(rig.load) as simulated:
        assert cli.main(["balance", simulated.path, "--readings", "5"]) == 2
        assert "10 to" in capsys.readouterr().err
    assert cli.main(["balance", "/dev/none"]) == 2
    assert "cannot be opened" in capsys.readouterr().err
