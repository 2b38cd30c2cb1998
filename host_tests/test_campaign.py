"""The campaign itself: it is the same for the same seed, finds what is planted, shrinks it, and every old disagreement stays settled."""

import json

import pytest
from campaign import __main__ as command_line
from campaign import coverage
from campaign.events import history
from campaign.found import FOUND
from campaign.run import examine, play, shrink

from doseloop import judge, label, therapy
from doseloop.bolus import Deliveries
from hil.oracle import label as oracle_label


def marked(found):
    what, requirements, start, events = found
    return pytest.param(start, events, id=what.replace(" ", "_"), marks=pytest.mark.req(*requirements))


@pytest.mark.parametrize(("start", "events"), [marked(one) for one in FOUND])
def test_pump_and_oracle_agree_where_they_once_did_not(start, events):
    assert play(start, events) == (len(events), None)


def found_within(histories, length=60):
    """The first disagreement among so many histories, or None."""
    for number in range(histories):
        _, report = examine(1, number, length, None)
        if report:
            return report
    return None


def test_a_history_hangs_on_seed_and_number_alone():
    assert history(7, 3, 60) == history(7, 3, 60) != history(7, 4, 60)
    assert len(history(7, 3, 60)[1]) == 60
    assert json.loads(json.dumps(history(7, 3, 60)[1])) == history(7, 3, 60)[1]


def test_forty_histories_of_sixty_events_agree():
    assert found_within(40) is None


def no_licence_used(self, old, at):
    self.last_increase, self.before_increase, self.return_to = at, old, None


def right_not_used_up(self, old, at):
    self.last_increase, self.before_increase = at, old
    if self.pending_refill is not None and self.pending != therapy.RETURN:
        self.licensed_at = self.pending_refill


PLANTED = [
    ("one percent more in a step", ("R-TIT-1",), lambda patch: patch.setitem(label.TITRATION_PERCENT, "spinal", (31, 10))),
    ("a wait that is 1 ms short", ("R-TIT-3",), lambda patch: patch.setattr(label, "INCREASE_WAIT_MS", 86_399_999)),
    ("the first day of running 1 ms short", ("R-INI-2",), lambda patch: patch.setattr(label, "STEADY_STATE_MS", 86_399_999)),
    ("an interruption from 6 h on", ("R-INI-2",), lambda patch: patch.setattr(label, "INTERRUPTION_MS", 6 * 3_600_000 - 1)),
    (
        "a right to return that is never used up",
        ("R-WDR-1",),
        lambda patch: patch.setattr(therapy.Therapy, "_note_increase", right_not_used_up),
    ),
    ("a licence that is never used", ("R-MNT-1",), lambda patch: patch.setattr(therapy.Therapy, "_note_increase", no_licence_used)),
    ("a decrease to 79 %", ("R-MNT-2",), lambda patch: patch.setattr(label, "DECREASE_KEEPS_PERCENT", 79)),
    ("a screening gap 1 ms short", ("R-SCR-3",), lambda patch: patch.setattr(label, "SCREEN_GAP_MS", 86_399_999)),
    ("no window across a change", ("R-DOSE-2",), lambda patch: patch.setattr(judge, "_check_across", lambda *case: None)),
    ("a lockout that is never asked", ("R-BOL-1",), lambda patch: patch.setattr(Deliveries, "_check_lockout", lambda *case: None)),
    ("an oracle that allows 1 ng a day more", ("R-MNT-3",), lambda patch: patch.setattr(oracle_label, "CONFIRM_ABOVE_NG", 1_000_001)),
]


@pytest.mark.parametrize("plant", [pytest.param(one[2], id=one[0].replace(" ", "_"), marks=pytest.mark.req(*one[1])) for one in PLANTED])
def test_what_is_planted_is_found_within_400_histories(plant, monkeypatch):
    plant(monkeypatch)
    report = found_within(400)
    assert report
    assert len(report["shortest"]) <= 20
    assert play(report["start"], report["shortest"])[1] is not None


def test_a_crash_is_a_disagreement_and_is_shrunk(monkeypatch):
    monkeypatch.setattr(therapy.Therapy, "note_stop", lambda self, now: 1 // 0)
    start, events = history(1, 1, 60)
    events = [["wait", {"ms": 1}], *events[:20], ["stop", {}]]
    what = play(start, events)[1][0]
    assert what == "ZeroDivisionError"
    assert [kind for kind, _ in shrink(start, events, what)][-1] == "stop"


def test_every_answer_that_is_expected_is_counted_as_missing_until_it_came():
    assert "commit STEP_CAP" in coverage.missing({})
    assert "commit STEP_CAP" not in coverage.missing({"commit STEP_CAP": 1})
    assert "never reached: none" not in coverage.table({"commit STEP_CAP": 1})


def test_the_command_writes_its_result_and_fails_on_a_disagreement(tmp_path, monkeypatch, capsys):
    out = tmp_path / "result.json"
    assert command_line.main(["-n", "3", "--events", "20", "--jobs", "1", "--out", str(out)]) == 0
    result = json.loads(out.read_text())
    assert (result["histories"], result["disagreements"], result["seed"]) == (3, 0, 1)
    assert result["seen"]["import OK"] + result["seen"].get("record OK", 0) >= 1
    monkeypatch.setitem(label.TITRATION_PERCENT, "spinal", (31, 10))
    assert command_line.main(["-n", "400", "--jobs", "1", "--most", "1", "--out", str(out)]) == 1
    assert "replay: make campaign" in capsys.readouterr().out
