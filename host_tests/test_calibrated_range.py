"""The range a calibration was measured over: the pump keeps and tells it, the host warns outside it, and nothing stops for it (R-CAL-1)."""

from __future__ import annotations

import json
from pathlib import Path

import pypdfium2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pump_rig import HOUR_MS, PumpRig, flat

from hil import cli
from hil.calibrated import Range, rates_nl_h, told_range
from hil.prescription import compile_program
from hil.program_send import Declared, check

CAL = dict(spm=100_000, points=5, spread_ppm=200_000, tube="T" * 24, tube_hours=100_000, date="2027-05-01", hours=100_000)  # fmt: skip
STORY = """
title = "A calibration over other rates"
story = "The pump was calibrated between RANGE."
program = { name = "slow", conc = "500 mcg/mL", flat = "350 mcg/day" }
calibration = { rate_min = "LOW", rate_max = "HIGH" }
[history]
population = "spinal"
birth = "1980-05-01"
phase = "maintenance"
screen = "50 mcg"
increase_ago = "30 d"
[[timeline]]
advance = "20 min"
"""


@given(st.integers(0, 10**8), st.integers(0, 10**8), st.lists(st.integers(0, 10**8), max_size=5))
def test_a_warning_is_due_exactly_when_a_rate_that_flows_is_outside(a: int, b: int, rates: list[int]) -> None:
    valid = Range(min(a, b), max(a, b))
    outside = [rate for rate in rates if rate and not valid.low <= rate <= valid.high]
    warning = valid.warning(rates)
    assert bool(warning) == bool(outside)
    assert not outside or valid.text in warning


def test_the_rates_of_a_program_are_those_of_its_segments_its_taper_and_its_bolus() -> None:
    day = {"name": "p", "conc": "2000 mcg/mL", "hourly": ["24 mcg/h"] * 23 + ["12 mcg/h"]}
    bolus = {"volume": "50 uL", "time": "60 s", "lockout": "4 h", "allowance": "100 mcg"}
    rates = rates_nl_h(compile_program({**day, "bolus": bolus}))
    assert {round(rate) for rate in rates} == {12_000, 6_000, 3_000_000}
    taper = compile_program({"name": "h", "conc": "500 mcg/mL", "holiday": {"from": "240 mcg/day", "days": 14}})
    assert len(rates_nl_h(taper)) == 14 and max(rates_nl_h(taper)) <= 20_000 and min(rates_nl_h(taper)) >= 0


@pytest.mark.parametrize("supplies", [{}, {"calibrated": "no", "rate_min": "0nl/h", "rate_max": "0nl/h"}, {"calibrated": "yes"}])
def test_without_a_calibration_or_from_a_firmware_that_does_not_tell_there_is_no_range(supplies: dict[str, str]) -> None:
    assert told_range(supplies) is None


@pytest.mark.req("R-CAL-1", "R-MON-1")
def test_the_pump_tells_the_range_it_was_given_and_keeps_it_over_a_power_cut() -> None:
    rig = PumpRig()
    rig.connect()
    rig.do("TIME", set=f"{int(rig.unix())}s", offset="0min")
    assert told_range(rig.status("supplies")) is None
    rig.do("CAL:SET", **CAL, volume="100000000ul", rate_min="720000nl/h", rate_max="150000000nl/h")
    assert told_range(rig.status("supplies")) == Range(720_000, 150_000_000)
    rig.cut_power(1000).connect()
    assert told_range(rig.status("supplies")) == Range(720_000, 150_000_000)


@pytest.mark.req("R-CAL-1", "R-ALM-11")
def test_a_program_outside_the_range_is_told_before_it_is_sent_and_refused_by_nobody(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rig = PumpRig().take_over(flat(300_000)).run()
    rig.advance(25 * HOUR_MS)
    rig.connect("operator")
    inside = compile_program({"name": "p", "conc": "2000 mcg/mL", "flat": "350 mcg/day"})
    assert check(rig.link, inside, Declared(), tmp_path) == 0
    assert "WARNING" not in capsys.readouterr().out
    bolus = {"volume": "50 uL", "time": "60 s", "lockout": "4 h", "allowance": "20 mcg"}
    fast = compile_program({"name": "p", "conc": "2000 mcg/mL", "flat": "350 mcg/day", "bolus": bolus})
    assert check(rig.link, fast, Declared(), tmp_path) == 0
    shown = capsys.readouterr().out
    assert "WARNING: the calibration is valid from 0 uL/h to 100 uL/h, and 3 mL/h is outside" in shown and "opinions: pump OK" in shown


def test_the_longest_answer_with_the_range_in_it_fits_a_line_of_the_wire() -> None:
    rig = PumpRig().take_over(flat(300_000))
    answer = rig.status("supplies")
    longest = {
        "lot": '"' + "L" * 24 + '"',
        "refill_by": "9999999999s",
        "days": "100000",
        "rate_min": "150000000nl/h",
        "rate_max": "150000000nl/h",
    }
    longest |= dict.fromkeys(("res", "usable", "capacity", "threshold", "bridge", "prime_left"), f"{20000000}nl")
    line = "<9999 OK " + " ".join(f"{name}={value}" for name, value in {**answer, **longest}.items()) + "*12345678\r\n"
    assert set(longest) <= set(answer) and len(line) <= 512


@pytest.mark.parametrize(("low", "high", "warned"), [("720000nl/h", "72000000nl/h", True), ("29000nl/h", "30000nl/h", False)])
def test_a_run_outside_the_range_passes_and_says_so_on_terminal_page_and_paper(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], low: str, high: str, warned: bool
) -> None:
    path = tmp_path / "slow.toml"
    path.write_text(STORY.replace("LOW", low).replace("HIGH", high))
    assert cli.main(["run", str(path), "--out", str(tmp_path / "out"), "--quiet"]) == 0
    found = json.loads((tmp_path / "out" / "result.json").read_text())
    words = "the calibration is valid from 720 uL/h to 72 mL/h, and 29.17 uL/h is outside"
    assert [words in warning for warning in found["warnings"]] == [True] * warned and found["verdict"] == "passed"
    paper = " ".join(" ".join(p.get_textpage().get_text_range() for p in pypdfium2.PdfDocument(tmp_path / "out" / "report.pdf")).split())
    for text in (capsys.readouterr().out, (tmp_path / "out" / "report.html").read_text(), paper):
        assert (words in text) == warned
