"""What a run leaves behind: result.json, junit.xml, the CSV, and a page that stands alone."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from xml.etree import ElementTree

import pypdfium2
import pytest

from hil import csf, junit, result
from hil.chart import Chart, Look
from hil.paper import document
from hil.report import page
from hil.result import AlarmSpan, Measurement, Outcome, Result, Sample
from hil.tip import TipCurve

DESIGN_FIELDS = {
    "verdict", "target", "evidence", "scenario", "seed", "versions", "virtual_s", "wall_s", "expected_nl", "authorised_nl",
    "witnessed_nl", "balance_nl", "max_step_error", "measurements", "alarms", "refusals",
}  # fmt: skip


@pytest.fixture
def a_day() -> Result:
    """A made-up day: a flat program, a balance with noise, two alarms."""
    found = Result("made-up", "A made-up day", "Nothing ran.", "unix", "SIMULATED", 1)
    found.versions = {"firmware": "0.1.0"}
    found.virtual_s, found.wall_s, found.max_step_error = 86_400.0, 4.2, 0.984
    found.expected_nl = found.authorised_nl = found.witnessed_nl = 175_000.0
    found.balance_nl = 175_300.0
    for i in range(97):
        nl = 175_000 * i / 96
        weighed = nl * 1.0017 + 400 * math.sin(i * 1.7)
        found.samples.append(
            Sample(900.0 * i, nl, nl - 5 * (i % 2), nl - 8, weighed, 300 + 3 * i, nl, 18e6 - nl, 3700, 14_000 + 2800 * (i >= 76), 0)
        )
    found.step_errors = [(144.0 * i, 0.9 + 0.08 * abs(math.sin(i))) for i in range(600)]
    found.alarms = [AlarmSpan("PORT_OPEN", "HIGH", 3_600_000, 7_200_000), AlarmSpan("RESERVOIR_LOW", "LOW", 40_000_000, None)]
    found.measurements = [Measurement("largest step error", 0.984, "steps", 0.0, 1.0, "R-PRF-4"), Measurement("noise", 0.5, "%")]
    found.outcomes = [Outcome(0, "timeline[0]", "1 d pass", True), Outcome(86_400_000, "timeline[1]", 'stat: state = "<running>"', True)]
    found.judge()
    return found


def test_result_json_has_every_field_of_the_design(a_day: Result, tmp_path: Path) -> None:
    result.write_json(a_day, tmp_path / "result.json")
    written = json.loads((tmp_path / "result.json").read_text())
    assert written.keys() >= DESIGN_FIELDS
    assert written["measurements"][0].keys() >= {"name", "value", "unit", "low", "high", "verdict"}


def test_the_page_stands_alone_and_marks_every_figure_with_its_evidence(a_day: Result) -> None:
    html = page(a_day)
    assert not re.search(r'(?:src|href)="(?!#)|url\((?!#)|@import', html)
    assert html.count("<figure>") == 5 and html.count("<svg") == 10  # each for a wide window and for a narrow one
    assert html.count("SIMULATED") >= 3 and "Not a medical device" in html


def test_a_change_of_concentration_has_a_picture_of_the_dose_rate_at_the_tip(a_day: Result) -> None:
    hours = [3600.0 * i for i in range(24)]
    rates = [25_000.0] * 24
    a_day.tips = [
        TipCurve(500.0, 2000.0, 14_400.0, 31_680.0, 3600.0, hours, rates, rates, [6_250.0] * 24),
        TipCurve(0.0, 2000.0, 14_400.0, None, 3600.0, hours, rates, rates, []),
    ]
    html = page(a_day)
    assert html.count("<figure>") == 7
    assert (
        "Dose rate at the catheter tip, 500 to 2000 mcg/mL" in html and "Dose rate at the catheter tip, a new line to 2000 mcg/mL" in html
    )


@pytest.mark.req("R-CON-3")
def test_the_largest_deviation_of_the_tip_keeps_its_sign_and_leaves_out_where_the_pump_stood() -> None:
    curve = TipCurve(500.0, 2000.0, 0.0, None, 3600.0, [0.0] * 4, [100.0, 100.0, 100.0, 2.0], [90.0, 104.0, 100.0, 9.0], [400.0] * 4)
    assert (curve.largest_deviation(curve.at_tip), curve.largest_deviation(curve.unbridged)) == (-10.0, 300.0)


def test_what_people_wrote_is_escaped(a_day: Result) -> None:
    assert "&lt;running&gt;" in page(a_day)


def test_a_run_with_nothing_measured_still_has_a_page() -> None:
    found = Result("none", "Nothing", "Nothing.", "unix", "SIMULATED", 1, reason="the pump did not start")
    html = page(found)
    assert "the pump did not start" in text_of(found)
    assert "the pump did not start" in html and "not measured" in html


@pytest.mark.parametrize(
    ("value", "low", "high", "verdict"),
    [
        (1.0, 0.0, 1.0, "passed"),
        (1.0001, 0.0, 1.0, "failed"),
        (-0.1, 0.0, None, "failed"),
        (None, 0.0, 1.0, "failed"),
        (math.nan, 0.0, 1.0, "failed"),
        (5.0, None, None, "noted"),
    ],
)
def test_a_measurement_is_judged_by_its_limits(value: float | None, low: float | None, high: float | None, verdict: str) -> None:
    assert Measurement("x", value, "nL", low, high).verdict == verdict


def test_one_failed_step_fails_the_run_and_is_named(a_day: Result) -> None:
    a_day.outcomes.append(Outcome(0, "timeline[2]", "PORT_OPEN is on", False, "on: none"))
    a_day.judge()
    assert (a_day.verdict, a_day.exit_code) == ("failed", 1)
    assert a_day.reason == "timeline[2]: PORT_OPEN is on: on: none"


def test_junit_counts_failures_and_an_unusable_bench(a_day: Result, tmp_path: Path) -> None:
    a_day.outcomes.append(Outcome(0, "timeline[2]", "a step", False, "why"))
    a_day.verdict, a_day.reason = "unusable", "the line went away"
    junit.of_run(a_day, tmp_path / "junit.xml")
    suite = ElementTree.parse(tmp_path / "junit.xml").getroot()
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("6", "1", "1")


def junit_of(found: Result, path: Path) -> ElementTree.Element:
    junit.of_run(found, path)
    return ElementTree.parse(path).getroot()


def properties(element: ElementTree.Element) -> dict[str | None, str | None]:
    return {p.get("name"): p.get("value") for p in element.findall("properties/property")}


def test_junit_says_of_each_figure_what_the_page_says(a_day: Result, tmp_path: Path) -> None:
    a_day.measurements[0] = Measurement("largest step error", 0.984, "steps", 0.0, 1.0, "R-PRF-4", uncertainty=0.002)
    suite = junit_of(a_day, tmp_path / "junit.xml")
    assert properties(suite).items() >= {"verdict": "passed", "evidence": "SIMULATED", "firmware": "0.1.0", "seed": "1"}.items()
    case = suite.find("testcase[@name='largest step error']")
    assert case is not None
    said = properties(case)
    assert said.pop("margin", None) == repr(1.0 - 0.984)
    assert said == {
        "evidence": "SIMULATED", "value": "0.984", "low": "0.0", "high": "1.0",
        "uncertainty": "0.002", "unit": "steps", "verdict": "passed",
    }  # fmt: skip


def test_junit_stays_readable_whatever_the_pump_said(a_day: Result, tmp_path: Path) -> None:
    a_day.outcomes.append(Outcome(0, "timeline[2]", "a \x00\x1b <line>", False, "\x07 & \ufffe"))
    assert junit_of(a_day, tmp_path / "junit.xml").get("failures") == "1"


def test_the_margin_is_the_distance_to_the_nearer_limit_and_negative_beyond_it() -> None:
    margins = [Measurement("x", 3.0, "nL", *limits).margin for limits in ((0.0, 10.0), (None, 10.0), (5.0, 10.0), (None, None))]
    assert margins == [3.0, 7.0, -2.0, None]


def test_a_marginal_figure_one_that_is_missing_and_an_uneven_uncertainty_are_told_as_such(a_day: Result) -> None:
    a_day.measurements = [
        Measurement("close", 4.9, "%", -5.0, 5.0, "label", 0.3, uncertainty_down=0.125),
        Measurement("gone", None, "%", -5.0, 5.0, "label", missing="the balance was unplugged"),
    ]
    for text in (page(a_day), " ".join(text_of(a_day).split())):
        assert "marginal" in text and "+0.3 -0.125" in text and "the balance was unplugged" in text


def test_the_verdict_comes_before_the_measurements_and_these_before_the_pictures(a_day: Result) -> None:
    html = page(a_day)
    assert html.index('class="verdict passed"') < html.index("<h2>Measurements") < html.index("<svg")


def test_the_default_key_is_told_and_keys_of_ones_own_are_not(a_day: Result) -> None:
    a_day.key = "default"
    assert "default key is in force" in page(a_day) and "default key is in force" in text_of(a_day)
    a_day.key = "own"
    assert "default key" not in page(a_day)


@pytest.mark.req("R-PK-1")
def test_the_curve_of_the_spinal_fluid_is_marked_as_a_model_on_page_and_paper(a_day: Result) -> None:
    hours = [3600.0 * h for h in range(60)]
    a_day.csf = csf.curve(hours, *2 * [[14_000.0 * h for h in range(60)]], "the ledger", 0.0)
    for text in (page(a_day), text_of(a_day)):
        assert "a model, not a prediction for a person" in text and "first seen 6 to 8 h after its start" in " ".join(text.split())


def test_figures_of_another_part_stand_between_measurements_and_the_run_with_their_own_word(a_day: Result) -> None:
    drawn: list[Look] = []

    def draw(axes: object, look: Look) -> None:
        drawn.append(look)

    a_day.charts = [Chart("Trumpet curve", "Windows of the packet pump.", "MEASURED", 3.0, draw)]
    html = page(a_day)
    assert html.index("<h2>Measurements") < html.index("Trumpet curve") < html.index("Programmed and delivered")
    assert len({look.width_in for look in drawn}) == 2 and "Trumpet curve" in text_of(a_day)


def text_of(found: Result) -> str:
    """What can be read in the PDF."""
    return "\n".join(paper.get_textpage().get_text_range() for paper in pypdfium2.PdfDocument(document(found)))


def test_the_paper_says_verdict_word_of_evidence_figures_and_hashes_on_a4(a_day: Result) -> None:
    a_day.versions["code hash"] = "493fee4799929303"
    text = text_of(a_day)
    assert text.index("PASSED") < text.index("largest step error") < text.index("493fee4799929303")
    assert "SIMULATED" in text and "Not a medical device" in text and "175.300 µL" in text
    assert [round(side) for side in pypdfium2.PdfDocument(document(a_day))[0].get_size()] == [595, 842]


def test_the_csv_has_one_row_a_sample(a_day: Result, tmp_path: Path) -> None:
    result.write_csv(a_day, tmp_path / "t.csv")
    rows = (tmp_path / "t.csv").read_text().splitlines()
    assert len(rows) == 98 and rows[0].startswith("t_s,programmed_nl,authorised_nl")
