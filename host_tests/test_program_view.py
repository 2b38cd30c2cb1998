"""`python -m hil program show|check|compile` on files: what a person sees, what a machine gets, what is refused."""

import hashlib
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from hil.cli import main
from hil.prescription import PROGRAMS, find_program, load_program
from hil.prescription_file import load_prescription
from hil.program_view import show

ROOT = Path(__file__).resolve().parents[1]
TODAY = date(2027, 5, 3)
PATIENT = '[patient]\npopulation = "spinal"\nbirth = "1980-05-01"\n'
SUPPLY = '[supply]\nfill = "18 mL"\nexpiry = "2027-12-31"\nfilled = "2027-05-03"\nstock = ["2000 mcg/mL"]\n'


def written(tmp_path, *tables, dose='flat = "100 mcg/day"', conc="500 mcg/mL"):
    path = tmp_path / "mine.toml"
    path.write_text(f'name = "mine"\nconc = "{conc}"\n{dose}\n' + "\n".join(tables))
    return path


def shown(path):
    return "\n".join(show(load_prescription(path), TODAY))


def run(*arguments):
    return main(["program", *map(str, arguments)])


# ---- show


@pytest.mark.req("R-PRF-2")
def test_a_day_is_shown_by_the_pumps_time_and_two_hours_later_by_its_effect():
    text = shown(find_program("night-flex-spinal"))
    assert "00:00 - 19:00   02:00 - 21:00          14,000 ng/h    96.0 %        266 mcg" in text
    assert "19:00 - 24:00   21:00 - 02:00+         16,800 ng/h   115.2 %         84 mcg" in text
    assert "daily dose 350 mcg; any 24 h: high 350, low 350 mcg" in text


@pytest.mark.req("R-PRF-1")
def test_each_differing_day_is_shown_once_with_its_weekdays():
    text = shown(find_program("week-flex"))
    assert "mon-fri: 240.007 mcg" in text and "sat, sun: 228.023 mcg" in text
    assert "daily dose 260.007 mcg (high dose and 20 mcg of boluses)" in text


@pytest.mark.req("R-FIL-3")
def test_the_refill_date_comes_from_the_supply_and_says_what_it_is(tmp_path):
    # 18 mL at 200 uL a day: 2 mL are reached after 80 days
    assert "refill by 2027-07-22 00:00 (RESERVOIR_LOW)" in shown(written(tmp_path, SUPPLY))
    soon = SUPPLY.replace("2027-12-31", "2027-06-01")
    assert "refill by 2027-06-02 00:00 (its expiry)" in shown(written(tmp_path, soon))


@pytest.mark.req("R-CON-2")
def test_the_supply_says_how_to_mix_the_programs_concentration(tmp_path):
    assert "stock 2000 mcg/mL: 4.5 mL of it + 13.5 mL preservative-free saline" in shown(written(tmp_path, SUPPLY))


@pytest.mark.req("R-INI-1", "R-TIT-1", "R-MNT-3")
def test_what_a_patients_caps_allow_is_shown(tmp_path):
    first = shown(written(tmp_path, PATIENT + 'screen = "50 mcg"\neffect = "short"\n'))
    assert "spinal, 47 years: at most 2,003 mcg/day" in first and "first program: at most 100 mcg/day (2 x" in first
    later = shown(written(tmp_path, PATIENT + 'running = "100 mcg/day"\nphase = "maintenance"\n'))
    assert "at most 140 (+40 %), at least 80 (-20 %)" in later and "within 24 h of a refill" in later


@pytest.mark.req("R-HOL-1")
def test_a_taper_is_shown_day_by_day_and_drawn(tmp_path, capsys):
    path = written(tmp_path, '[holiday]\nfrom = "200 mcg/day"\ndays = 14\n', dose="")
    assert run("show", path, "--plot", tmp_path / "away.png") == 0
    text = capsys.readouterr().out
    assert "drug holiday, 14 days" in text and "1    161.473 mcg" in text and "14         10 mcg" in text
    assert (tmp_path / "away.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("name", sorted(path.stem for path in PROGRAMS.glob("*.toml")))
def test_every_shipped_program_can_be_shown_drawn_and_compiled(name, tmp_path, capsys):
    assert run("show", name, "--plot", tmp_path / "p.png") == 0
    assert (tmp_path / "p.png").stat().st_size > 5000
    assert run("compile", name) == 0
    assert capsys.readouterr().out.endswith(f"hash={load_program(find_program(name)).hash()}\n")


# ---- compile


def test_compile_prints_lines_that_hash_to_the_hash_and_nothing_else(tmp_path):
    command = [sys.executable, "-m", "hil", "program", "compile", str(written(tmp_path, PATIENT, SUPPLY))]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    lines = "conc=500\nname=mine\nseg.all.00:00=100000"
    assert done.stdout == f"{lines}\nhash={hashlib.sha256(lines.encode()).hexdigest()[:16]}\n"


def test_patient_and_supply_are_no_part_of_the_program(tmp_path):
    bare = load_prescription(written(tmp_path)).program
    whole = load_prescription(written(tmp_path, PATIENT, SUPPLY)).program
    assert whole == bare == load_program(tmp_path / "mine.toml")


# ---- check, from the file alone


@pytest.mark.parametrize(
    ("tables", "dose", "words", "code"),
    [
        ("", 'flat = "100 mcg/day"', "OK: nothing in the file forbids it", 0),
        ("", 'flat = "2004 mcg/day"', "REFUSED: DAILY_MAX 2,004 over 2,003 mcg/day", 1),
        ("", 'flat = "1001 mcg/day"', "confirm: CONFIRM_OVER_1000", 0),
        ("", 'hourly = ["10 mcg/h"' + ', "10 mcg/h"' * 22 + ', "22 mcg/h"]', "REFUSED: HOUR_MAX", 1),
        ("", 'hourly = ["10 mcg/h"' + ', "10 mcg/h"' * 22 + ', "13 mcg/h"]', "confirm: CONFIRM_PROFILE", 0),
        (PATIENT + 'screen = "50 mcg"\neffect = "short"\n', 'flat = "100 mcg/day"', "OK", 0),
        (PATIENT + 'screen = "50 mcg"\neffect = "short"\n', 'flat = "101 mcg/day"', "REFUSED: START_CAP 101 over 100 mcg/day", 1),
        (PATIENT + 'screen = "50 mcg"\n', 'flat = "51 mcg/day"', "REFUSED: START_CAP 51 over 50", 1),
        (PATIENT, 'flat = "500 mcg/day"', "its start cap is not judged", 0),
        (PATIENT, 'base = "10 mcg/h"\n[[effect]]\nfrom = "21:00"\nto = "02:00"\nchange = "+10 %"', "REFUSED: START_FLAT", 1),
        (PATIENT.replace("1980", "2026"), 'flat = "100 mcg/day"', "REFUSED: AGE", 1),
        (PATIENT + 'running = "100 mcg/day"\nphase = "titration"\n', 'flat = "130 mcg/day"', "OK", 0),
        (PATIENT + 'running = "100 mcg/day"\nphase = "titration"\n', 'flat = "131 mcg/day"', "REFUSED: STEP_CAP 131", 1),
        (PATIENT + 'running = "100 mcg/day"\nphase = "maintenance"\n', 'flat = "140 mcg/day"', "OK", 0),
        (PATIENT + 'running = "100 mcg/day"\nphase = "titration"\n', 'flat = "79 mcg/day"', "REFUSED: STEP_CAP", 1),
    ],
)
@pytest.mark.req("R-INI-1", "R-INI-3", "R-POP-1", "R-PRF-3", "R-TIT-1", "R-MNT-1", "R-MNT-2", "R-MNT-3")
def test_a_file_is_judged_by_the_oracle_as_far_as_it_says_enough(tables, dose, words, code, tmp_path, capsys):
    assert run("check", written(tmp_path, tables, dose=dose)) == code
    assert words in capsys.readouterr().out


@pytest.mark.req("R-CON-1")
def test_a_screening_concentration_is_refused_for_a_program(tmp_path, capsys):
    assert run("check", written(tmp_path, conc="50 mcg/mL")) == 1
    assert "REFUSED: CONCENTRATION 50 mcg/mL is outside 51 to 2000" in capsys.readouterr().out


# ---- bad input


@pytest.mark.req("R-UNIT-2", "R-UNIT-3")
@pytest.mark.parametrize("action", ["show", "check", "compile"])
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[patient]\npopulation = "spinal"\n', "patient.birth: is missing"),
        ('[patient]\npopulation = "adult"\nbirth = "1980-05-01"\n', "patient.population: 'adult' is not one of"),
        ('[patient]\npopulation = "spinal"\nbirth = "1980-13-01"\n', "patient.birth: '1980-13-01' is no date"),
        ('[patient]\npopulation = "spinal"\nbirth = 1980\n', "patient.birth: '1980' is no date"),
        (PATIENT + 'screen = "60 mcg"\n', "patient.screen: '60 mcg' is no screening dose"),
        (PATIENT + "screen = 50\n", "patient.screen: 50 has no unit"),
        (PATIENT + 'running = "100 mcg/day"\n', "patient.phase: goes with running"),
        (PATIENT + 'running = "0 mcg/day"\nphase = "titration"\n', "patient.running: is nothing"),
        (PATIENT + 'weight = "70 kg"\n', "patient.weight: unknown key"),
        ('[supply]\nexpiry = "2027-12-31"\n', "supply.fill: is missing"),
        ('[supply]\nfill = "18"\n', "supply.fill: '18' has no unit"),
        ('[supply]\nfill = "0 mL"\n', "supply.fill: 0 mL is no fill volume"),
        ('[supply]\nfill = "18 mL"\nstock = "750 mcg/mL"\n', "supply.stock: 750 mcg/mL is not sold"),
        ('[supply]\nfill = "18 mL"\nexpiry = "soon"\n', "supply.expiry: 'soon' is no date"),
        ("[[supply]]\nfill = '18 mL'\n", "supply: must be a table"),
        ('[supply]\nfill = "18 mL"\nstock = "500 mcg/mL"\n', "supply.stock: 500 mcg/mL is weaker than the 600 mcg/mL wanted"),
    ],
)
def test_what_is_wrong_in_a_file_is_named_with_file_and_key_and_never_a_traceback(action, text, words, tmp_path, capsys):
    assert run(action, written(tmp_path, text, conc="600 mcg/mL")) == 2
    error = capsys.readouterr().err
    assert words in error and "mine.toml" in error and "Traceback" not in error


def test_a_pump_that_is_not_there_is_exit_two(tmp_path, capsys):
    assert run("check", written(tmp_path), "--target", "/dev/nothing-here", "--out", tmp_path) == 2
    assert "no such serial port" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["program"], ["program", "show"], ["program", "send", "x.toml"], ["dilute"]])
def test_a_command_without_what_it_needs_says_its_usage(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2 and "usage:" in capsys.readouterr().err
