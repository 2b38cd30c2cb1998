"""A program and a pump: two opinions, a person's word, and a difference that is reported as a DEFECT and commits nothing.

The pump is the real firmware, in this process, behind the bench's own link.
"""

from pathlib import Path

import pytest
from pump_rig import HOUR_MS, PumpRig, flat

from hil import program_send
from hil.errors import BenchError
from hil.prescription import compile_program
from hil.program_send import Declared, HostClock, check, examine, send
from hil.pump_record import listen

DAY_MS = 24 * HOUR_MS


def program(daily, conc=2000, name="p", **keys):
    return compile_program({"name": name, "conc": f"{conc} mcg/mL", "flat": f"{daily} ng/day", **keys})


def running(daily=300_000, **keys):
    """A pump in titration that has run for more than a day."""
    rig = PumpRig().take_over(flat(daily), **keys).run()
    rig.advance(DAY_MS + HOUR_MS)
    return rig.connect("operator")


class Liar:
    """The link of a pump whose answers are changed on their way: a firmware with a planted defect."""

    def __init__(self, link, verb, **lies):
        self._link, self._verb, self._lies = link, verb, lies

    def __getattr__(self, name):
        return getattr(self._link, name)

    def ask(self, verb, fields=None):
        return {**self._link.ask(verb, fields), **(self._lies if verb == self._verb else {})}


def never(prompt):
    raise AssertionError(f"nobody is to be asked: {prompt}")


def send_it(rig, wanted, tmp_path, link=None, typed=None, **declared):
    typed = typed or (lambda prompt: wanted.hash()[:6])
    return send(link or rig.link, HostClock(), wanted, Declared(**declared), tmp_path, None, typed)


def in_force(rig):
    return rig.status()["hash"]


# ---- check


@pytest.mark.req("R-TIT-1", "R-MON-1")
def test_a_check_shows_the_change_the_caps_and_what_is_to_be_declared_and_commits_nothing(tmp_path, capsys):
    rig = running()
    before = in_force(rig)
    assert check(rig.link, program(350_000), Declared(), tmp_path) == 0
    shown = capsys.readouterr().out
    assert "change: +16.7 % (300 mcg/day last run, 350 wanted)" in shown
    assert "caps now: at most 390 mcg/day, at least 240 mcg/day" in shown
    assert "--attended" in shown and "opinions: pump OK, oracle OK" in shown
    assert in_force(rig) == before


@pytest.mark.req("R-TIT-1")
def test_a_step_too_large_is_refused_by_both_with_exit_one(tmp_path, capsys):
    rig = running()
    assert check(rig.link, program(391_000), Declared(), tmp_path) == 1
    shown = capsys.readouterr().out
    assert "opinions: pump STEP_CAP, oracle STEP_CAP" in shown
    assert "REFUSED: STEP_CAP 391 over 390 mcg/day" in shown and "DEFECT" not in shown


@pytest.mark.parametrize("phase", ["titration", "maintenance"])
@pytest.mark.parametrize("population", ["spinal", "cerebral"])
def test_pump_and_oracle_are_of_one_mind_around_every_limit(phase, population, tmp_path):
    rig = running(100_000, phase=phase, population=population)
    if phase == "maintenance":
        rig.advance(HOUR_MS)
    for daily in (79_999, 80_000, 99_999, 100_000, 100_001, 115_000, 115_001, 120_001, 130_000, 130_001, 140_001, 2_003_001):
        found = examine(rig.link, program(daily), Declared()).opinions
        assert found.differ == (), (daily, found)


@pytest.mark.parametrize("daily", [80_000, 100_000, 104_000, 104_001, 130_000, 130_001, 169_000])
def test_pump_and_oracle_are_of_one_mind_soon_after_an_increase(daily, tmp_path):
    rig = running(100_000)
    rig.commit(flat(130_000))
    rig.advance(2 * HOUR_MS)
    assert examine(rig.link, program(daily), Declared()).opinions.differ == ()


@pytest.mark.parametrize("stopped_h", [1, 5, 7, 30])
@pytest.mark.parametrize("daily", [79_000, 80_000, 101_000])
def test_pump_and_oracle_are_of_one_mind_while_stopped(stopped_h, daily):
    rig = running(100_000)
    rig.do("STOP")
    rig.advance(stopped_h * HOUR_MS)
    assert examine(rig.link, program(daily), Declared()).opinions.differ == ()


def test_the_first_program_of_a_screened_person_is_judged_by_both():
    rig = PumpRig().set_up()
    assert examine(rig.link, program(100_000), Declared()).opinions.pump.verdict == "NOT_SCREENED"
    rig.do(
        "THER:IMPORT", population="spinal", birth="1980-05-01", phase="screened", screen="50mcg", effect="short",
        increase_ago="0s", volume="18000000nl", conc="2000mcg/ml", lot="L1", expiry="2029-01-01",
    )  # fmt: skip
    for daily, verdict in ((100_000, "OK"), (100_001, "START_CAP")):
        found = examine(rig.link, program(daily), Declared()).opinions
        assert found.pump.verdict == verdict and found.differ == ()


@pytest.mark.req("R-MNT-2")
def test_an_overdose_is_a_reason_only_if_the_person_gives_it():
    rig = running()
    assert examine(rig.link, program(100_000), Declared()).opinions.pump.verdict == "STEP_CAP"
    found = examine(rig.link, program(100_000), Declared(reason="OVERDOSE")).opinions
    assert found.pump.verdict == "OK" and found.differ == ()


@pytest.mark.req("R-DOSE-2")
def test_both_judge_the_24_hours_across_a_change_where_one_program_ran_all_day(tmp_path, capsys):
    rig = PumpRig().take_over([("all", "00:00", 150_000), ("all", "12:00", 100_000)]).run()
    rig.advance(DAY_MS + 12 * HOUR_MS)
    late = compile_program({"name": "p", "conc": "2000 mcg/mL", "hourly": ["8.3 mcg/h"] * 12 + ["12.5 mcg/h"] * 12})
    rig.connect("operator")
    assert check(rig.link, late, Declared(), tmp_path) == 1  # 12 h of the higher rate after 12 h of the higher rate
    shown = capsys.readouterr().out
    assert "REFUSED: STEP_CAP 24 h across the change" in shown and "known to the pump alone" not in shown and "DEFECT" not in shown


# ---- a planted disagreement


@pytest.mark.parametrize(
    "lies",
    [
        {"verdict": "OK", "text": "none"},
        {"verdict": "START_CAP"},
        {"hash": "0123456789abcdef"},
        {"daily": "391001ng"},
        {"high": "390999ng"},
        {"low": "1ng"},
        {"confirm": "CONFIRM_PROFILE"},
    ],
    ids=lambda lies: "-".join(lies),
)
def test_a_planted_disagreement_is_a_defect_loudly_with_both_answers_saved_and_nothing_committed(lies, tmp_path, capsys):
    rig, wanted = running(), program(391_000)
    before = in_force(rig)
    link = Liar(rig.link, "PROG:CHECK?", **lies)
    code = send(link, HostClock(), wanted, Declared(attended=True, yes=wanted.hash()), tmp_path, None, never)
    shown = capsys.readouterr().out
    assert code == 1 and in_force(rig) == before
    assert "#" * 80 in shown and "DEFECT: the pump and the oracle do not agree. NOTHING WAS COMMITTED." in shown
    assert next(iter(lies)) in shown and "<- differs" in shown
    saved = next(tmp_path.glob("defect-p-*.json"))
    assert str(saved) in shown and "391000" in saved.read_text()


def test_a_history_that_contradicts_the_pumps_own_verdict_is_a_defect(tmp_path, capsys):
    rig = running()
    link = Liar(rig.link, "STAT?", daily="200000ng", last_run="0" * 16, high="200000ng", low="200000ng")
    assert check(link, program(350_000), Declared(), tmp_path) == 1
    assert "DEFECT" in capsys.readouterr().out


# ---- send


@pytest.mark.req("R-POP-2", "R-TIT-1")
def test_an_increase_is_sent_with_the_hash_typed_and_staff_declared(tmp_path, capsys):
    rig, wanted = running(), program(350_000)
    assert send_it(rig, wanted, tmp_path, attended=True) == 0
    assert in_force(rig) == wanted.hash()
    assert "it runs now" in capsys.readouterr().out


@pytest.mark.req("R-POP-2")
def test_attendance_is_never_assumed(tmp_path, capsys):
    rig, wanted = running(), program(350_000)
    assert send_it(rig, wanted, tmp_path, typed=never) == 1
    assert "UNATTENDED" in capsys.readouterr().out and in_force(rig) != wanted.hash()


@pytest.mark.parametrize("typed", ["", "y", "yes", "000000", "{five}"])
def test_anything_but_the_hash_leaves_all_as_it_is(typed, tmp_path, capsys):
    rig, wanted = running(), program(350_000)
    answer = typed.format(five=wanted.hash()[:5])
    assert send_it(rig, wanted, tmp_path, typed=lambda prompt: answer, attended=True) == 1
    assert in_force(rig) != wanted.hash() and "nothing was committed" in capsys.readouterr().out


def test_without_a_terminal_nobody_has_agreed(tmp_path, capsys):
    def gone(prompt):
        raise EOFError

    rig, wanted = running(), program(350_000)
    assert send_it(rig, wanted, tmp_path, typed=gone, attended=True) == 1
    assert in_force(rig) != wanted.hash() and "--yes HASH" in capsys.readouterr().err


def test_yes_wants_the_whole_hash(tmp_path):
    rig, wanted = running(), program(350_000)
    assert send_it(rig, wanted, tmp_path, typed=never, attended=True, yes=wanted.hash()[:8]) == 1
    assert send_it(rig, wanted, tmp_path, typed=never, attended=True, yes=wanted.hash()) == 0


@pytest.mark.req("R-MNT-3")
def test_what_the_pump_asks_to_confirm_is_shown_before_and_confirmed_with_its_token(tmp_path, capsys):
    rig, wanted = running(900_000), program(1_100_000)
    assert send_it(rig, wanted, tmp_path, attended=True) == 0
    shown = capsys.readouterr().out
    assert "confirm: CONFIRM_OVER_1000" in shown and "and confirms CONFIRM_OVER_1000." in shown
    assert "the pump: CONFIRM_OVER_1000 a person must confirm" in shown and in_force(rig) == wanted.hash()


def test_a_confirmation_that_was_not_announced_is_not_given(tmp_path, capsys, monkeypatch):
    rig, wanted = running(900_000), program(1_100_000)
    monkeypatch.setattr(program_send, "compare", unannounced(program_send.compare))
    assert send_it(rig, wanted, tmp_path, attended=True) == 1
    assert "was not announced" in capsys.readouterr().out and in_force(rig) != wanted.hash()


def unannounced(compare):
    from dataclasses import replace

    def silent(*given):
        found = compare(*given)
        return replace(found, pump=replace(found.pump, confirm=()))

    return silent


def test_a_pump_that_does_not_tell_its_caps_is_checked_but_never_sent_to(tmp_path, capsys):
    rig, wanted = running(), program(310_000)

    class Old(Liar):
        def ask(self, verb, fields=None):
            found = self._link.ask(verb, fields)
            return {} if (fields or {}).get("part") == "caps" else found

    link = Old(rig.link, "none")
    assert check(link, wanted, Declared(), tmp_path) == 0
    assert "cannot judge" in capsys.readouterr().out
    with pytest.raises(BenchError, match="caps"):
        send(link, HostClock(), wanted, Declared(attended=True), Path(tmp_path), None, never)


def test_another_hash_in_force_after_the_commit_is_a_defect(tmp_path, capsys):
    rig, wanted = running(), program(350_000)

    class Forgetful(Liar):
        committed = False

        def command(self, verb, fields=None):
            self.committed = self.committed or verb == "PROG:COMMIT"
            return self._link.command(verb, fields)

        def ask(self, verb, fields=None):
            found = self._link.ask(verb, fields)
            return {**found, "hash": "f" * 16} if self.committed and verb == "STAT?" else found

    assert send_it(rig, wanted, tmp_path, link=Forgetful(rig.link, "none"), attended=True) == 1
    assert "DEFECT" in capsys.readouterr().out


def test_listening_changes_nothing(tmp_path):
    rig = running()
    before = rig.pump.therapy.dump(rig.pump.basal.program)
    says = listen(rig.link)
    assert says.knows_history and says.last_run is says.program
    assert rig.pump.therapy.dump(rig.pump.basal.program) == before
