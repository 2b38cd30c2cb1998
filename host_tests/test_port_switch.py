"""The catheter access port: a switch believed closed only after a second, and every word that names a way through it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doseloop.port import Port, refuse_catheter_port, require_closed, require_path
from doseloop.units import Refusal

SETTLES_MS = 1_000
AT_REST_MS = 60_000


def code_of(check, *args):
    try:
        check(*args)
    except Refusal as refusal:
        assert refusal.text
        return refusal.code
    return "OK"


@pytest.mark.req("R-CAP-2")
def test_after_a_boot_the_port_counts_as_open_without_anybody_having_read_it():
    port = Port()
    assert port.open and not port.known
    assert port.due_in(0) == AT_REST_MS


@pytest.mark.req("R-CAP-2")
@pytest.mark.parametrize("start", [0, 5, 123_456_789])
def test_it_counts_as_closed_when_it_has_read_closed_for_one_second(start):
    port = Port()
    assert [port.check(start + ms, False) for ms in (0, 1, 999)] == [False, False, False]
    assert port.open and not port.known
    assert port.check(start + SETTLES_MS, False) and not port.open and port.known
    assert not port.check(start + SETTLES_MS + 1, False) and not port.open


@pytest.mark.req("R-CAP-2")
def test_one_open_reading_opens_it_at_once_and_the_second_of_waiting_begins_anew():
    port = Port()
    port.check(0, False)
    assert port.check(900, True) and port.open and port.known, "the first word about a switch is news"
    assert not port.check(901, True), "it was open before"
    assert not port.check(1000, False) and not port.check(1999, False)
    assert port.check(2000, False) and not port.open
    assert port.check(2001, True) and port.open


class Model:
    """Closed is what has read closed in each reading of the last second at least."""

    def __init__(self):
        self.closed_from = None
        self.open, self.known = True, False

    def read(self, now, reads_open):
        before = self.open, self.known
        self.closed_from = None if reads_open else now if self.closed_from is None else self.closed_from
        settled = self.closed_from is not None and now >= self.closed_from + SETTLES_MS
        self.open = not settled if self.open else reads_open
        self.known = self.known or reads_open or settled
        return (self.open, self.known) != before

    def due_in(self, now):
        if self.open and self.closed_from is not None:
            return max(1, self.closed_from + SETTLES_MS - now)
        return AT_REST_MS


@pytest.mark.req("R-CAP-2")
@given(st.integers(0, 10**9), st.lists(st.tuples(st.sampled_from([0, 1, 300, 500, 999, 1000, 1001]), st.booleans()), max_size=30))
def test_however_the_switch_bounces_the_verdict_is_that_of_the_last_second(now, readings):
    port, model = Port(), Model()
    for wait, reads_open in readings:
        now += wait
        assert port.check(now, reads_open) == model.read(now, reads_open)
        assert (port.open, port.known) == (model.open, model.known)
        assert port.due_in(now) == model.due_in(now)
        assert port.due_in(now + SETTLES_MS) == model.due_in(now + SETTLES_MS), "also when the loop comes late"


@pytest.mark.req("R-CAP-2")
def test_while_it_reads_open_nothing_may_start():
    port = Port()
    assert code_of(require_closed, port) == "PORT_OPEN"
    port.check(0, False)
    port.check(SETTLES_MS, False)
    assert code_of(require_closed, port) == "OK"


@pytest.mark.req("R-CAP-2")
def test_a_port_nobody_has_read_yet_says_ask_again_and_one_that_was_read_open_says_close_it():
    port = Port()
    with pytest.raises(Refusal) as unread:
        require_closed(port)
    assert unread.value.text.endswith("not read closed for a second yet; ask again")
    port.check(0, True)
    with pytest.raises(Refusal) as read:
        require_closed(port)
    assert read.value.text.endswith("reads open; close it, then ALAR:ACK id=PORT_OPEN")


@pytest.mark.req("R-CAP-1", "R-FIL-1")
@pytest.mark.parametrize("field", ["path", "route"])
@pytest.mark.parametrize(
    ("way", "code"),
    [(way, "CATHETER_PORT") for way in ("port", "PORT", "side-port", "Cap", "catheter", "catheter_access_port", "an access", "xCATHETERx")]
    + [(way, "OK") for way in ("pump", "septum", "intrathecal", "")],
)
def test_whatever_names_a_way_through_the_access_port_is_refused(field, way, code):
    assert code_of(refuse_catheter_port, {field: way, "lot": "port"}) == code


@pytest.mark.req("R-CAP-1")
def test_both_names_of_a_way_are_looked_at_and_a_command_without_one_names_none():
    assert code_of(refuse_catheter_port, {"path": "pump", "route": "cap"}) == "CATHETER_PORT"
    assert code_of(refuse_catheter_port, {"volume": "port"}) == "OK"


@pytest.mark.req("R-POP-2")
@pytest.mark.parametrize(("route", "code"), [("intrathecal", "OK"), ("intravenous", "ROUTE"), ("epidural", "ROUTE"), ("", "ROUTE")])
def test_the_way_is_the_one_that_is_allowed_and_no_other(route, code):
    assert code_of(require_path, {"route": route}, "route", "intrathecal") == code


@pytest.mark.req("R-POP-2", "R-UNIT-3")
def test_a_missing_way_is_refused_by_a_sentence_that_names_field_and_value():
    with pytest.raises(Refusal) as refusal:
        require_path({}, "route", "intrathecal")
    assert (refusal.value.code, refusal.value.text) == ("ROUTE", "route wants intrathecal, label 2.1 and 4")
