"""Two runs side by side: what differs comes first, and what is no run folder is refused with a sentence."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from hil import cli, compare, result, run_folder
from hil.errors import InputError
from hil.result import AlarmSpan, Measurement, Outcome, Result, Sample


def a_run(verdict: str = "passed", off_nl: float = 0.0) -> Result:
    found = Result("made-up", "A made-up hour", "Nothing ran.", "unix", "SIMULATED", 1, verdict, versions={"firmware": "0.1.0"})
    found.virtual_s, found.expected_nl, found.authorised_nl, found.witnessed_nl = 3600.0, 7000.0, 7000.0, 7000.0 + off_nl
    for i in range(7):
        nl = 1166.0 * i
        found.samples.append(Sample(600.0 * i, nl, nl, nl + off_nl, None, None, None, 18e6, 3700, 14_000, 0))
    found.measurements = [Measurement("witness against oracle", off_nl / 70, "%", -1.0, 1.0, "R-ALM-3", 0.05)]
    found.outcomes = [Outcome(0, "setup", "RUN", True)]
    return found


def folder_of(found: Result, folder: Path) -> Path:
    folder.mkdir()
    result.write_json(found, folder / "result.json")
    result.write_csv(found, folder / "timeseries.csv")
    return folder


def test_a_run_against_itself_differs_in_nothing(tmp_path: Path) -> None:
    folder = folder_of(a_run(), tmp_path / "a")
    found = compare.compare(folder, folder)
    assert found.differences == [] and len(found.same) > 10 and "nothing differs" in compare.text(found)


def test_what_is_read_back_is_what_was_written(tmp_path: Path) -> None:
    wrote = a_run(off_nl=20.0)
    wrote.alarms = [AlarmSpan("PORT_OPEN", "HIGH", 1000, None)]
    wrote.key = "default"
    assert run_folder.read(folder_of(wrote, tmp_path / "a")) == wrote


def test_differences_stand_before_what_is_the_same_in_text_and_page() -> None:
    found = compare.of_results(a_run(), replace(a_run(off_nl=30.0), seed=2))
    assert {row.what for row in found.differences} == {"seed", "motion witness", "witness against oracle"}
    html = compare.page(found)
    assert html.index("What differs") < html.index("witness against oracle") < html.index("What is the same") < html.index("firmware")
    text = compare.text(found)
    assert "witness against oracle" in text and "firmware" not in text and text.endswith(f"3 differ, {len(found.same)} are the same")


@pytest.mark.parametrize(("off_nl", "words"), [(2.0, "within uncertainty"), (30.0, "beyond uncertainty")])
def test_a_difference_smaller_than_both_uncertainties_together_is_told_as_such(off_nl: float, words: str) -> None:
    found = compare.of_results(a_run(), a_run(off_nl=off_nl))
    assert words in next(row.change for row in found.differences if row.what == "witness against oracle")


def test_an_alarm_and_a_refusal_of_one_run_alone_are_differences() -> None:
    other = a_run()
    other.alarms = [AlarmSpan("PORT_OPEN", "HIGH", 60_000, 120_000), AlarmSpan("PORT_OPEN", "HIGH", 180_000, None)]
    other.refusals = [{"t_s": 1.0, "verb": "DOSE:BOLUS", "code": "PORT_OPEN", "text": "it is open"}]
    rows = {row.what: (row.a, row.b) for row in compare.of_results(a_run(), other).differences}
    assert rows["PORT_OPEN"] == ("did not come on", "2 x, first at 00:01:00, on for 00:58:00")
    assert rows["DOSE:BOLUS PORT_OPEN"] == ("0 x", "1 x")


def test_the_page_stands_alone_shows_both_verdicts_and_escapes_what_the_runs_say() -> None:
    other = replace(a_run("failed"), title="<script>alert(1)</script>", reason="<b>")
    html = compare.page(compare.of_results(a_run(), other, ("runs/<i>", "b")))
    assert not re.search(r'(?:src|href)="(?!#)|url\((?!#)|@import', html)
    assert 'class="verdict passed"' in html and 'class="verdict failed"' in html
    assert "<script>" not in html and "<b>" not in html and "<i>" not in html and "&lt;script&gt;" in html


def test_runs_of_different_length_share_one_axis_and_a_run_without_series_has_no_pictures() -> None:
    short, long = a_run(), a_run()
    short.samples = short.samples[:3]
    assert compare.page(compare.of_results(short, long)).count("<figure>") == 5
    short.samples = []
    assert compare.page(compare.of_results(short, long)).count("<figure>") == 0


BAD = {
    "no JSON": "{",
    "not a table": "[1]",
    "no verdict": json.dumps({**a_run().as_json(), "verdict": None}),
    "a verdict of its own": json.dumps({**a_run().as_json(), "verdict": "fine"}),
    "a figure that is text": json.dumps({**a_run().as_json(), "expected_nl": "much"}),
    "a time without end": json.dumps({**a_run().as_json(), "virtual_s": float("inf")}),
    "a figure that is none": json.dumps({**a_run().as_json(), "expected_nl": float("nan")}),
    "a measurement without a name": json.dumps({**a_run().as_json(), "measurements": [{"value": 1}]}),
    "alarms that are no list": json.dumps({**a_run().as_json(), "alarms": 3}),
    "nested without end": "[" * 100_000,
    "not text": b"\xff\xfe\x00",
}


@pytest.mark.parametrize("content", BAD.values(), ids=BAD.keys())
def test_what_is_no_result_is_refused_with_exit_2_and_the_name_of_the_file(
    content: str | bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good, bad = folder_of(a_run(), tmp_path / "good"), tmp_path / "bad"
    bad.mkdir()
    (bad / "result.json").write_bytes(content.encode() if isinstance(content, str) else content)
    assert cli.main(["compare", str(good), str(bad), "--out", str(tmp_path / "c.html")]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ") and str(bad / "result.json") in said and "Traceback" not in said and "bench itself" not in said


@pytest.mark.parametrize("name", ["nowhere", "empty", "file"])
def test_what_is_no_run_folder_is_refused_and_told_what_to_give(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    assert cli.main(["compare", str(tmp_path / name), str(tmp_path / name)]) == 2
    assert "give the --out folder of `python -m hil run`" in capsys.readouterr().err


@pytest.mark.parametrize("row", ["1,x", "1", "1,nan,1,1", "inf,1,1,1"])
def test_a_damaged_series_is_refused(row: str, tmp_path: Path) -> None:
    folder = folder_of(a_run(), tmp_path / "a")
    (folder / "timeseries.csv").write_text(f"t_s,programmed_nl,authorised_nl,witnessed_nl\n{row}\n")
    with pytest.raises(InputError, match=r"timeseries\.csv"):
        run_folder.read(folder)


def test_the_command_writes_the_page_and_prints_the_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a, b = folder_of(a_run(), tmp_path / "a"), folder_of(a_run(off_nl=5.0), tmp_path / "b")
    assert cli.main(["compare", str(a), str(b), "--out", str(tmp_path / "deep" / "c.html")]) == 0
    assert "motion witness" in capsys.readouterr().out
    assert "What differs" in (tmp_path / "deep" / "c.html").read_text()
