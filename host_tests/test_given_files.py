"""Files that people give, wrong in every way: a sentence that names what is wrong and what to do, exit 2, and nothing written elsewhere.

`make fuzz-files N=..` gives each of the fuzzed tests so many files (DOSELOOP_FUZZ); by themselves they take a few dozen.
"""

from __future__ import annotations

import contextlib
import copy
import json
import math
import os
import re
from datetime import date, datetime, time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hil import bench, cli, compare, keys, program_view, run_folder, runner
from hil.bench import load_bench
from hil.calibration import points, record
from hil.errors import BenchError, InputError
from hil.metrology import plan, weights_file
from hil.prescription import PROGRAMS, compile_program, load_program
from hil.prescription_file import load_prescription
from hil.program_check import judge
from hil.scenario import SCENARIOS, load_scenario
from hil.tables import MOST_TOML, load_toml
from tools.flashing import FlashError
from tools.flashing import pump as flashing

FUZZED = int(os.getenv("DOSELOOP_FUZZ", "60"))
many = settings(max_examples=FUZZED, suppress_health_check=list(HealthCheck))

PROGRAM = 'name = "a"\nconc = "500 mcg/mL"\nflat = "240 mcg/day"\n'
SCENARIO = 'title = "t"\nstory = "s"\nprogram = "night-flex-spinal"\n[[timeline]]\nadvance = "1 min"\n'
DAY = date(2027, 5, 3)


# ---- every reader of TOML there is, and every command that takes a file


def flash_keys(path: Path) -> object:
    return flashing.read_keys(path)


def calibration_run(path: Path) -> object:
    """Its reader takes the folder."""
    folder = path.parent / "run"
    folder.mkdir(exist_ok=True)
    copied(path, folder / points.FILE)
    return points.load(folder)


def run_of_bench(path: Path) -> object:
    """Its reader takes the folder."""
    folder = path.parent / "done"
    folder.mkdir(exist_ok=True)
    copied(path, folder / run_folder.RESULT)
    return run_folder.read(folder)


def copied(path: Path, to: Path) -> None:
    """The same thing under the name a reader looks for; a link, so that what is no file stays none."""
    with contextlib.suppress(FileNotFoundError):
        to.unlink()
    if "\0" in str(path) or len(path.name) > 255:
        raise InputError("", "no such name")
    to.symlink_to(path)


READERS = {
    "scenario": load_scenario, "program": load_program, "prescription": load_prescription, "keys of flash": flash_keys,
    "keys": keys.load_keys, "plan of metrology": plan.load, "weights": weights_file.load, "calibration": record.load,
    "run of a calibration": calibration_run, "result of a run": run_of_bench, "bench": load_bench,
}  # fmt: skip
COMMANDS = {
    "run": ("run", "FILE", "--quiet", "--out", "OUT"),
    "program show": ("program", "show", "FILE", "--no-plot"),
    "program check": ("program", "check", "FILE"),
    "program compile": ("program", "compile", "FILE"),
    "program send": ("program", "send", "FILE", "--target", "/nowhere", "--out", "OUT"),
    "serve --scenario": ("serve", "--scenario", "FILE", "--out", "OUT"),
    "analyse": ("analyse", "FILE", "--rate", "20 uL/h", "--out", "OUT"),
    "analyse --blank": ("analyse", "FILE", "--blank", "FILE", "--rate", "20 uL/h", "--out", "OUT"),
    "metrology --plan": ("metrology", "--plan", "FILE", "--out", "OUT"),
    "compare": ("compare", "FILE", "FILE", "--out", "OUT"),
    "watch --key-file": ("watch", "--target", "/dev/null", "--key-file", "FILE"),
}


def test_every_reader_of_files_in_the_bench_is_fuzzed_here() -> None:
    """A new one must be added to READERS, or reach load_toml by one that is."""
    root = Path(cli.__file__).parents[1]
    users = {path.name for path in (root / "hil").rglob("*.py") if "load_toml(" in path.read_text("utf-8")}
    known = {"tables.py", "scenario.py", "prescription.py", "prescription_file.py", "keys.py", "plan.py", "bench.py"}
    known |= {"software.py"}  # doctor, which reads the pyproject.toml of its own checkout
    assert users == known, "add the new one to READERS, and here"
    loose = [path for path in (root / "hil").rglob("*.py") if re.search(r"\btomllib\.|\btomli\.", path.read_text("utf-8"))]
    assert [path.name for path in loose] == ["tables.py"], "read it by load_toml"
    of_json = {path.name for path in (root / "hil").rglob("*.py") if re.search(r"json\.loads?\(", path.read_text("utf-8"))}
    assert of_json == {"tables.py", "suite.py", "server.py", "bench.py", "software.py"}, "a new reader of JSON: add it"


def complaint(argv: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> str:
    """What the command line says of it: exit 2 and one sentence."""
    try:
        code = cli.main(argv)
    except SystemExit as left:  # argparse
        code = left.code
    said = capsys.readouterr().err
    assert code == 2, (argv, code, said)
    assert "Traceback" not in said and "the bench itself failed" not in said, said
    return said


# ---- things that are no such file


def oddities(folder: Path) -> dict[str, str]:
    """Name of what is wrong: a path to it."""
    made = {
        "a folder": folder / "folder.toml",
        "a pipe": folder / "pipe.toml",
        "a link to itself": folder / "loop.toml",
        "a link to nothing": folder / "dangling.toml",
        "empty bytes": folder / "nul.toml",
        "UTF-16": folder / "utf16.toml",
        "Latin 1": folder / "latin.toml",
        "deep lists": folder / "deep.toml",
        "deep tables": folder / "tables.toml",
        "a long number": folder / "number.toml",
        "too long": folder / "long.toml",
        "noise": folder / "noise.toml",
    }
    made["a folder"].mkdir()
    os.mkfifo(made["a pipe"])
    made["a link to itself"].symlink_to(made["a link to itself"])
    made["a link to nothing"].symlink_to(folder / "nothing")
    made["empty bytes"].write_bytes(bytes(300))
    made["UTF-16"].write_bytes(SCENARIO.encode("utf-16"))
    made["Latin 1"].write_bytes('name = "é"'.encode("latin-1"))
    made["deep lists"].write_text("title = " + "[" * 20_000 + "]" * 20_000)
    made["deep tables"].write_text("title = " + "{a = " * 20_000 + "1" + "}" * 20_000)
    made["a long number"].write_text("days = " + "9" * 6000)
    made["too long"].write_text("# " + "x" * MOST_TOML)
    made["noise"].write_bytes(bytes(range(256)) * 20)
    wrong = {name: str(path) for name, path in made.items()}
    named = {"no name": "", "a long name": "a" * 5000, "a name with NUL": "a\0b", "a device": "/dev/zero", "nothing": "/nowhere/x.toml"}
    return {**wrong, **named}


@pytest.mark.parametrize("command", COMMANDS)
def test_what_is_no_such_file_is_named_in_a_sentence(command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for what, path in oddities(tmp_path).items():
        argv = tuple({"FILE": path, "OUT": str(tmp_path / "out")}.get(word, word) for word in COMMANDS[command])
        said = complaint(argv, capsys)
        assert "error: " in said and len(said) < 1500, f"{what}: {said}"


@pytest.mark.parametrize("name", READERS)
def test_every_reader_refuses_what_is_no_such_file_with_its_own_error(name: str, tmp_path: Path) -> None:
    for what, path in oddities(tmp_path).items():
        if path == "" or path.startswith("/nowhere"):
            continue
        with pytest.raises((BenchError, FlashError)):
            READERS[name](Path(path))
            pytest.fail(f"{name} took {what}")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything: an unreadable file cannot be made")
def test_a_file_that_may_not_be_read_is_named(tmp_path: Path) -> None:
    path = tmp_path / "secret.toml"
    path.write_text(PROGRAM)
    path.chmod(0)
    with pytest.raises(InputError, match="cannot be read"):
        load_toml(path)


def test_a_byte_order_mark_of_utf_8_is_no_matter(tmp_path: Path) -> None:
    path = tmp_path / "marked.toml"
    path.write_bytes(b"\xef\xbb\xbf" + PROGRAM.encode())
    assert load_program(path).name == "a"


# ---- places to write to


def places(folder: Path) -> dict[str, str]:
    (folder / "file").write_text("kept")
    (folder / "loop").symlink_to(folder / "loop")
    return {
        "a file": str(folder / "file"),
        "below a file": str(folder / "file" / "x"),
        "a device": "/dev/null",
        "a place that cannot be": "/proc/nowhere",
        "too long a name": str(folder / ("x" * 300)),
        "a circle": str(folder / "loop" / "x"),
        "a name with NUL": "a\0b",
    }


@pytest.mark.parametrize("command", [c for c, words in COMMANDS.items() if "OUT" in words])
def test_an_out_that_is_no_folder_is_named_with_what_to_do(command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "given.toml"
    if command in ("compare", "watch --key-file") or command.startswith(("analyse", "metrology")):
        pytest.skip("what they read comes before where they write: see test_what_is_measured_goes_nowhere_else")
    source.write_text(PROGRAM if "program" in command else SCENARIO)
    for what, out in places(tmp_path).items():
        argv = tuple({"FILE": str(source), "OUT": out}.get(word, word) for word in COMMANDS[command])
        said = complaint(argv, capsys)
        assert "error: " in said and ("name another" in said or "too long" in said or "circle" in said or "no name" in said), what
    assert (tmp_path / "file").read_text() == "kept"


@pytest.mark.parametrize("plot", ["/proc/x.png", "file/x.png", "folder", "a\0b.png"])
def test_a_picture_that_cannot_be_written_is_named(plot: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("kept")
    (tmp_path / "folder").mkdir()
    (tmp_path / "p.toml").write_text(PROGRAM)
    where = plot if plot.startswith("/") else str(tmp_path / plot)
    assert "error: " in complaint(("program", "show", str(tmp_path / "p.toml"), "--plot", where), capsys)


TARGETS = ["", "/nowhere", "/dev/null", "/dev/full", ".", "socket://", "socket://:x", "rfc2217://x:y", "nope://x", "é", "a\0b", "x" * 5000, "hwgrep://("]


@pytest.mark.parametrize("target", TARGETS, ids=range(len(TARGETS)))
def test_a_target_that_is_no_pump_is_named(target: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "p.toml").write_text(PROGRAM)
    (tmp_path / "s.toml").write_text(SCENARIO)
    said = complaint(("program", "check", str(tmp_path / "p.toml"), "--target", target, "--out", str(tmp_path / "o")), capsys)
    assert said.startswith("error: ")
    with contextlib.suppress(BenchError):
        found = runner.run(load_scenario(tmp_path / "s.toml"), runner.Options(target, tmp_path / "run"))
        assert found.exit_code == 2 and found.reason and "itself failed" not in found.reason, found.reason


WEIGHTS = "t_s,mass_g\n" + "".join(f"{60 * n},{n * 0.0004:.4f}\n" for n in range(200))


@pytest.mark.parametrize("command", ["analyse", "compare", "metrology --plan"])
def test_what_is_measured_goes_nowhere_else(command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "given.csv"
    source.write_text(WEIGHTS)
    done = tmp_path / "done"
    if command == "compare":
        (tmp_path / "s.toml").write_text(SCENARIO)
        runner.run(load_scenario(tmp_path / "s.toml"), runner.Options("unix", done))
    named = {"analyse": str(source), "compare": str(done), "metrology --plan": "quick"}[command]
    for what, out in places(tmp_path).items():
        argv = tuple({"FILE": named, "OUT": out}.get(word, word) for word in COMMANDS[command])
        if (command, what) in (("compare", "a file"), ("compare", "a device")):
            continue  # it writes one file, and may replace one
        assert "error: " in complaint(argv, capsys), what
    assert (tmp_path / "file").read_text() == "kept"


# ---- names in files that become names of files


BAD_NAMES = ["../x", "/x", "..", ".", ".hidden", "a/b", "a\\b", "", " ", "a b", "-rf", "a\0b", "x" * 33, "é", "a\nb", "C:x", 7, ["a"], DAY]


@pytest.mark.parametrize("name", BAD_NAMES, ids=range(len(BAD_NAMES)))
def test_a_program_whose_name_would_lead_elsewhere_is_refused(name: object, tmp_path: Path) -> None:
    path = tmp_path / "p.toml"
    path.write_text(toml({"name": name, "conc": "500 mcg/mL", "flat": "240 mcg/day"}))
    with pytest.raises(InputError, match="name"):
        load_program(path)


@many
@given(st.text(max_size=40) | st.text("./\\-_ab", max_size=40))
def test_a_picture_always_lands_in_its_folder(name: str) -> None:
    with contextlib.suppress(InputError):
        program = compile_program({"name": name, "conc": "500 mcg/mL", "flat": "240 mcg/day"})
        folder = Path("build/programs")
        assert (folder / f"{program.name}.png").resolve().parent == folder.resolve()


# ---- every file that is shipped, with something in it made wrong


HOSTILE = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 3), st.sampled_from([10**6, -(10**6), 2**31, 2**63, 2**64, 10**30, -(10**30), 10**4000]),
    st.sampled_from([math.nan, math.inf, -math.inf, 1e308, -0.0, 1e-320]), st.text(max_size=12),
    st.sampled_from(["", " ", "\0", "../x", "/etc/passwd", "~", "nan h", "inf mL", "1e9 mL", "-1 h", "0 h", "99999999999999999999 mL",
                     "1/0 h", "0.1 ns", "٣ h", "1_0 h", "2027-02-30", "9999-12-31", "24:00", "25:61", "1 mg", "100000000 mcg/day"]),
    st.sampled_from([DAY, datetime(9999, 12, 31, 23, 59), datetime(1, 1, 1), time(12, 30), []]), st.just({}),
    st.lists(st.integers(0, 3), max_size=3), st.dictionaries(st.sampled_from(["a", "name", "from", "x" * 300]), st.integers(), max_size=2),
)  # fmt: skip


def spots(value: object, path: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
    """Every place in a table, its own included."""
    if isinstance(value, dict):
        inner = [spot for key, entry in value.items() for spot in spots(entry, (*path, key))]
    elif isinstance(value, list):
        inner = [spot for index, entry in enumerate(value) for spot in spots(entry, (*path, index))]
    else:
        inner = []
    return [path, *inner] if path else inner


@st.composite
def damaged(draw, tables):  # type: ignore[no-untyped-def]
    """One of the tables with one to three values replaced, left out, or put under a key of its own."""
    table = copy.deepcopy(draw(st.sampled_from(tables)))
    for _ in range(draw(st.integers(1, 3))):
        spot = draw(st.sampled_from(spots(table) or [("title",)]))
        place = table
        with contextlib.suppress(LookupError, TypeError):
            for key in spot[:-1]:
                place = place[key]
            how = draw(st.sampled_from(("replace", "replace", "replace", "drop", "add")))
            if how == "drop":
                del place[spot[-1]]
            elif how == "add" and isinstance(place, dict):
                place[draw(st.sampled_from(["x", "", "..", "name", "effect", "days"]))] = draw(HOSTILE)
            else:
                place[spot[-1]] = draw(HOSTILE)
    return table


def shipped(folder: Path) -> list[dict[str, object]]:
    return [load_toml(path) for path in sorted(folder.glob("*.toml"))]


PATIENTS = [
    {"name": "a", "conc": "500 mcg/mL", "total": "240 mcg/day", "effect": [{"from": "22:00", "to": "06:00", "change": "+20 %"}],
     "bolus": {"volume": "10 uL", "time": "2 min", "lockout": "1 h", "allowance": "15 mcg"},
     "days": {"sat": {"flat": "240 mcg/day"}},
     "patient": {"population": "spinal", "birth": "1980-05-01", "screen": "50 mcg", "running": "200 mcg/day", "phase": "titration"},
     "supply": {"fill": "18 mL", "expiry": "2028-06-30", "filled": "2027-05-03", "stock": ["500 mcg/mL"]}},
]  # fmt: skip


def toml(value: object) -> str:
    """As a file would have it; what TOML has no word for is left to be no TOML."""
    if isinstance(value, dict) and value is not None:
        return "\n".join(f"{key_text(key)} = {inline(entry)}" for key, entry in value.items()) + "\n"
    raise TypeError


def key_text(key: object) -> str:
    return inline(str(key))


def inline(value: object) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key_text(key)} = {inline(entry)}" for key, entry in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(inline(entry) for entry in value) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return '"' + "".join(c if c.isprintable() and c not in '"\\' else f"\\U{ord(c):08X}" for c in value) + '"'
    if isinstance(value, int) and abs(value) >= 10**3999:
        return "0x" + "f" * 20_000
    return value.isoformat() if isinstance(value, (date, time)) else str(value)


def taken(reader, table: dict[str, object], folder: Path):  # type: ignore[no-untyped-def]
    """What the reader makes of the file; None if it is refused in words."""
    path = folder / "fuzzed.toml"
    path.write_text(toml(table), "utf-8", errors="surrogatepass")
    try:
        return reader(path)
    except BenchError as error:
        text = str(error)
        named = tuple(f"{value}: " for value in table.values() if isinstance(value, str) and value)  # another file: its program, its keys
        assert str(folder) in text or "program" in text or text.startswith(named), f"which file is it? {text}"
        assert len(text) < 1500, f"{len(text)} characters of words"
        return None


@many
@given(table=damaged(shipped(PROGRAMS) + PATIENTS))
def test_a_program_file_made_wrong_is_refused_in_words_or_can_be_worked_with(table, tmp_path_factory) -> None:  # type: ignore[no-untyped-def]
    prescription = taken(load_prescription, table, tmp_path_factory.getbasetemp())
    if prescription is not None:
        with contextlib.suppress(BenchError):
            list(program_view.show(prescription, DAY))
        with contextlib.suppress(BenchError):
            judge(prescription, DAY)
        assert len(prescription.program.hash()) == 16 and list(prescription.program.commands())


@many
@given(table=damaged(shipped(SCENARIOS)))
def test_a_scenario_file_made_wrong_is_refused_in_words_or_can_be_planned(table, tmp_path_factory) -> None:  # type: ignore[no-untyped-def]
    scenario = taken(load_scenario, table, tmp_path_factory.getbasetemp())
    if scenario is not None:
        assert runner.planned_ms(scenario) >= 1
        assert scenario.dead_volume_nl >= 0
        assert scenario.needs_virtual is None or scenario.needs_virtual


SHORT = [
    {"title": "t", "story": "s", "program": "night-flex-spinal", "days": 1,
     "clock": {"start": "2027-05-03 00:00", "offset": "+2 h"},
     "history": {"population": "spinal", "birth": "1980-05-01", "phase": "maintenance", "screen": "50 mcg", "increase_ago": "30 d"},
     "rig": {"liquid_nl": 18_000_000, "pulsation": [0.1, 0.02], "rtc_drift_ppm": 10, "battery_mah": 1000.0, "steps_per_turn": 3200,
             "encoder_counts_per_turn": 4096, "rollers": 8, "wear_per_1000_turns": 0.001, "salt_g_l": 9.0, "steps_per_ml": 100_000},
     "board": {"reservoir_nl": 20_000_000, "lease_basal_nl": 2000, "steps_per_turn": 3200, "max_rate_nl_h": 150_000_000},
     "balance": {}, "calibration": {"spm": 100_000, "tube": "T"}, "setup": {"seed": 2, "sample": "1 min", "ticks_start": 5},
     "limits": {"max_step_error": 1.0}, "expected": {"alarms": []},
     "timeline": [{"advance": "2 min"}, {"fault": "motor_slips", "percent": 10.0}, {"check": {"stat": {"state": "running"}}}]},
]  # fmt: skip


@settings(max_examples=max(8, FUZZED // 10), suppress_health_check=list(HealthCheck))
@given(table=damaged(SHORT))
def test_a_scenario_that_was_taken_runs_to_a_verdict_and_writes_into_its_folder_alone(table, tmp_path_factory) -> None:  # type: ignore[no-untyped-def]
    folder = tmp_path_factory.mktemp("runs")
    scenario = taken(load_scenario, table, folder)
    if scenario is None or runner.planned_ms(scenario) > 3_600_000:
        return
    before = set(folder.parent.iterdir())
    with contextlib.suppress(BenchError):
        found = runner.run(scenario, runner.Options("unix", folder / "out"))
        assert "itself failed" not in found.reason, f"{table}: {found.reason}"
    assert set(folder.parent.iterdir()) == before
    assert {path.name for path in folder.iterdir()} <= {"out", "fuzzed.toml"}


KEPT = {
    "calibration": (record.load, {
        "pump": "unix-1", "date": "2027-05-03", "tube": "T", "tube_hours": 0, "steps_per_ml": 100_000, "expanded_percent": 0.5,
        "intercept_nl": 1.0, "spread_ppm": 100, "points": 5, "rate_min_nl_h": 100, "rate_max_nl_h": 20_000_000, "expires_hours": 2000,
        "expires_ul": 60_000, "evidence": "SIMULATED", "details": {"a": 1}}),
    "run of a calibration": (calibration_run, {
        "version": points.VERSION, "pump": "unix-1", "tube": "T", "conditions": {"temperature_c": 20.0},
        "wanted": [{"steps": 4000, "rate_hz": 20}], "done": [{"steps": 4000, "rate_hz": 20, "mass_g": 0.04, "span_s": 200.0}],
        "blank": {"loss_g_h": 0.0005, "u_loss_g_h": 0.0001, "noise": {"reading_g": 0.0001, "walk_g_sqrt_h": 0.0001}, "readings": 60,
                  "span_s": 3600.0}, "evidence": "SIMULATED", "balance": "b"}),
    "result of a run": (run_of_bench, {
        "scenario": "s", "title": "t", "story": "s", "target": "unix", "evidence": "SIMULATED", "seed": 1, "verdict": "passed",
        "versions": {"firmware": "1"}, "virtual_s": 60.0, "wall_s": 1.0, "expected_nl": 5.0, "reason": "", "since": "first RUN",
        "measurements": [{"name": "m", "value": 1.0, "unit": "nL", "low": None, "high": 2.0}],
        "alarms": [{"code": "LATE", "priority": "HIGH", "on_ms": 5, "off_ms": None}],
        "outcomes": [{"t_ms": 1, "where": "w", "what": "x", "ok": True}], "refusals": [{"code": "STATE"}]}),
}  # fmt: skip


@many
@given(data=st.data())
@pytest.mark.parametrize("name", KEPT)
def test_what_a_program_kept_and_somebody_changed_is_refused_in_words_or_can_be_worked_with(name, data, tmp_path_factory) -> None:  # type: ignore[no-untyped-def]
    reader, table = KEPT[name]
    path = tmp_path_factory.getbasetemp() / "kept.json"
    path.write_text(json.dumps(data.draw(damaged([table])), default=str), "utf-8")
    try:
        found = reader(path)
    except BenchError as error:
        assert len(str(error)) < 1500
        return
    if name == "calibration":
        assert found.fields()
        saved = found.save(tmp_path_factory.getbasetemp() / "calibrations")
        assert saved.resolve().parent == (tmp_path_factory.getbasetemp() / "calibrations").resolve()
    elif name == "result of a run":
        assert compare.text(compare.of_results(found, found)) is not None
    else:
        assert found.complete in (True, False)


@many
@given(table=damaged([load_toml(path) for path in sorted(plan.SHIPPED.glob("*.toml"))]))
def test_a_plan_made_wrong_is_refused_in_words_or_can_be_timed(table, tmp_path_factory) -> None:  # type: ignore[no-untyped-def]
    found = taken(plan.load, table, tmp_path_factory.getbasetemp())
    if found is not None:
        assert 0 < found.span_s < 10 * 366 * 86_400


BENCH = {"target": "unix", "balance": "/dev/null", "key_file": "keys.toml", "firmware": "checkout", "has": ["port switch"]}


@many
@given(table=damaged([BENCH]))
def test_a_bench_file_made_wrong_is_refused_in_words_or_names_a_bench(table, tmp_path_factory) -> None:  # type: ignore[no-untyped-def]
    folder = tmp_path_factory.getbasetemp()
    with contextlib.suppress(BenchError):
        keys.make_key_file(folder / "keys.toml")
    found = taken(bench.load_bench, table, folder)
    if found is not None:
        assert isinstance(found.target, str) and found.lacks(bench.PORT) is not None


CELLS = st.sampled_from(["0", "1", "60", "nan", "inf", "1e400", "-1", "", " ", "0.0004 g", "5 kg", "\0", "é", '"', "9" * 5000,
                         "2027-05-03T08:00", "24:00", "08:00", "0x10", "1_0", "1,5", "t_s", "mass_g", ";", "#", "٣"])  # fmt: skip


@many
@given(rows=st.lists(st.lists(CELLS, min_size=1, max_size=3), max_size=14), headed=st.booleans())
def test_weights_made_wrong_are_refused_in_words_or_can_be_read(rows, headed, tmp_path_factory) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path_factory.getbasetemp() / "weights.csv"
    text = ("t_s,mass_g\n" if headed else "") + "\n".join(",".join(row) for row in rows)
    path.write_text(text, "utf-8")
    with contextlib.suppress(BenchError):
        log = weights_file.load(path).log
        assert math.isfinite(float(log.t_s[-1])) and all(math.isfinite(float(mass)) for mass in log.mass_g)


@many
@given(data=st.binary(max_size=300) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass")))
@pytest.mark.parametrize("name", READERS)
def test_any_bytes_at_all_are_refused_in_words(name: str, data: bytes, tmp_path_factory) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path_factory.getbasetemp() / "any.toml"
    path.write_bytes(data)
    try:
        READERS[name](path)
    except (BenchError, FlashError):
        return
