"""Every verb that changes anything, on the whole firmware in the middle of a therapy: a line that the rightful host did not send for this
place in this session does nothing. Only STOP is obeyed from anybody.
"""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pump_rig import PumpRig, flat

from doseloop import snapshot
from doseloop.auth import ROLES
from doseloop.commands import VERBS
from doseloop.frame import crc_text
from hil import auth
from hil.frames import Reply, parse_line, request_body, seal

CHANGING = sorted(verb for verb, (who, _) in VERBS.items() if who in ROLES)
STRANGER = bytes(range(7, 39))
REFUSED = {"AUTH", "ROLE", "SESSION", "SEQ", "FRAME", "ARG", "VERB"}
PLAIN = {"q": lambda kind: f"{kind[2]}{kind[1]}", "n": lambda kind: str(kind[1]), "w": lambda kind: kind[1][0], "t": lambda kind: "x",
         "d": lambda kind: "2027-05-03", "h": lambda kind: "0" * kind[1]}  # fmt: skip


def test_every_verb_of_the_table_is_asked_is_stop_or_wants_a_role():
    assert {who for who, _ in VERBS.values()} == {"ask", "stop", *ROLES}
    assert [verb for verb, (who, _) in VERBS.items() if who == "stop"] == ["STOP"]
    free = {verb for verb, (who, _) in VERBS.items() if who == "ask"}
    assert {verb for verb in free if not verb.endswith("?")} == {"HELLO", "HELP", "AUTH"}


class Enemy:
    """A running pump with the rightful host's service role open, and somebody else on its line."""

    def __init__(self):
        self.rig = PumpRig().take_over(flat(200_000), bolus=(10_000, 60, 3600, 40_000)).run()
        self.rig.advance(3_600_000)

    def session(self, role="service"):
        """A fresh session with a role open, and no wait left from wrong codes."""
        self.rig.advance(300_000)
        self.rig.link.hello()
        self.rig.link.open_role(role)
        self.sess, self.number = self.rig.link.session.sess, self.rig.link._seq + 1
        return self

    def fields(self, verb):
        """Of the right form, and as near to being accepted as the table alone can make them."""
        found = {name.rstrip("?"): PLAIN[kind[0]](kind) for name, kind in VERBS[verb][1].items() if not name.endswith("?")}
        if "id" in found and VERBS[verb][1]["id"] == ("h", 8):
            found["id"] = self.rig.link.new_id()
        if "at" in found:
            found.update(at=f"{int(self.rig.unix())}s", ttl="30s")
        return found

    def body(self, verb, number=None, sess=None):
        return request_body(number or self.number, verb, {**self.fields(verb), "sess": sess or self.sess})

    def signed(self, body, key=None, sess=None):
        return f"{body} mac={auth.line_mac(key or auth.default_key('service'), sess or self.sess, body)}"

    def state(self):
        """All that the pump keeps, what is staged, what the step engine was given and what is on."""
        pump = self.rig.pump
        stage = pump.stage and (pump.stage.sess, vars(pump.stage.staging))
        engine = (len(self.rig.hal.edges), self.rig.hal.leases and self.rig.hal.leases[-1], self.rig.hal.engine_end)
        rest = (stage, engine, self.rig.store.files.get("keys.a"), pump.reset_to_maint, pump.alarms.active(), pump.clock.unix_s())
        return json.dumps(snapshot.dump(pump), sort_keys=True) + repr(rest)

    def inject(self, data):
        """Bytes of the enemy's; the replies."""
        self.rig.hal.to_pump += data
        heard = self.rig._receive(1.0)
        return [parse_line(line) for line in heard.split(b"\r\n") if line.startswith(b"<")]

    def does_nothing(self, data, codes=REFUSED):
        before = self.state()
        replies = self.inject(data)
        assert self.state() == before
        assert all(isinstance(reply, Reply) and reply.code in codes for reply in replies), replies
        return replies


@pytest.fixture(scope="module")
def enemy():
    return Enemy()


verbs = pytest.mark.parametrize("verb", CHANGING)


@verbs
def test_the_rightful_line_of_the_same_form_gets_past_the_codes(enemy, verb):
    """Else the tests below would show nothing."""
    enemy = Enemy() if verb in ("MAINT", "KEY:SET", "PROG:NEW", "TIME") else enemy
    enemy.session()
    reply = enemy.inject(seal(enemy.signed(enemy.body(verb))))[0]
    assert reply.code not in {"AUTH", "ROLE", "SESSION", "SEQ", "FRAME"}, reply


@verbs
def test_a_line_without_a_code_or_with_a_strangers_does_nothing(enemy, verb):
    enemy.session()
    body = enemy.body(verb)
    enemy.does_nothing(seal(body), {"AUTH"})
    enemy.number += 1
    body = enemy.body(verb)
    enemy.does_nothing(seal(enemy.signed(body, STRANGER)), {"AUTH"})


@verbs
def test_a_line_signed_for_another_session_does_nothing(enemy, verb):
    old = enemy.session().sess
    line = seal(enemy.signed(enemy.body(verb)))
    enemy.session()
    enemy.does_nothing(line, {"SESSION"})
    moved = line.rpartition(b"*")[0].replace(old.encode(), enemy.sess.encode()).decode()
    enemy.does_nothing(seal(moved), {"AUTH"})


@verbs
def test_a_line_with_no_role_open_does_nothing_however_it_is_signed(enemy, verb):
    enemy.rig.advance(300_000)
    enemy.rig.link.hello()
    enemy.sess, enemy.number = enemy.rig.link.session.sess, 1
    enemy.does_nothing(seal(enemy.signed(enemy.body(verb))), {"ROLE"})


@pytest.mark.parametrize("verb", [verb for verb in CHANGING if VERBS[verb][0] == "service"])
def test_what_service_may_an_operator_may_not(enemy, verb):
    enemy.session("operator")
    for key in ("operator", "service"):
        enemy.does_nothing(seal(enemy.signed(enemy.body(verb), auth.default_key(key))), {"ROLE"})
        enemy.number += 1


@verbs
def test_a_rightful_line_sent_again_does_nothing_twice_as_it_was_re_numbered_or_in_a_later_session(enemy, verb):
    enemy = Enemy() if verb in ("MAINT", "KEY:SET") else enemy
    enemy.session()
    body = enemy.signed(enemy.body(verb))
    first = enemy.inject(seal(body))
    before = enemy.state()
    assert enemy.inject(seal(body)) == first, "the kept answer"
    assert enemy.state() == before
    for number in (enemy.number + 1, enemy.number - 1, 9999, 1):
        enemy.does_nothing(seal(f">{number:04d}{body[5:]}"), {"AUTH", "SEQ", "SESSION"})
    if verb not in ("MAINT", "KEY:SET"):
        enemy.session()
        enemy.does_nothing(seal(body), {"SESSION"})


@settings(max_examples=12)
@given(data=st.data())
@verbs
def test_a_rightful_line_with_any_bit_flipped_and_its_crc_made_good_does_nothing(enemy, verb, data):
    enemy.session()
    line = bytearray(enemy.signed(enemy.body(verb)).encode())
    at, bit = data.draw(st.integers(0, len(line) - 1)), data.draw(st.integers(0, 6))
    line[at] ^= 1 << bit
    if b"STOP" in line or bytes(line[6:]).startswith((b"STAT?", b"HELLO")):
        return
    enemy.does_nothing(seal_bytes(bytes(line)))


@settings(max_examples=12)
@given(data=st.data())
@verbs
def test_a_rightful_line_with_a_field_changed_added_or_left_out_does_nothing(enemy, verb, data):
    enemy.session()
    rightful = enemy.signed(enemy.body(verb))
    head, *fields = rightful.split(" ")
    name, fields = fields[0], fields[1:]
    at = data.draw(st.integers(0, len(fields) - 1))
    how = data.draw(st.sampled_from(["out", "twice", "value", "more", "verb"]))
    if how == "out":
        fields.pop(at)
    elif how == "twice":
        fields.insert(at, fields[at])
    elif how == "value":
        fields[at] = fields[at].partition("=")[0] + "=" + data.draw(st.text("0123456789abcdefnlsg", min_size=1, max_size=16))
    elif how == "more":
        fields.insert(at, data.draw(st.sampled_from(["confirm=00000000", "reason=OVERDOSE", "x=1", "attended=yes"])))
    else:
        name = data.draw(st.sampled_from([other for other in CHANGING if other != name]))
    changed = " ".join([head, name, *fields])
    if changed == rightful:
        return
    enemy.does_nothing(seal(changed), REFUSED)


def seal_bytes(body):
    return body + b"*" + crc_text(body) + b"\n"


@pytest.mark.parametrize("verb", sorted(verb for verb, (who, _) in VERBS.items() if who == "ask" and verb not in ("HELLO", "AUTH")))
def test_a_question_changes_nothing(enemy, verb):
    enemy.session()
    enemy.does_nothing(seal(request_body(enemy.number, verb, {})), {"", "STATE", "ARG"})


@pytest.mark.req("R-OVD-1")
@pytest.mark.parametrize("line", [seal(">0000 STOP"), seal(">4711 STOP mac=0"), b"stop\r"])
def test_stop_is_obeyed_from_anybody(line):
    enemy = Enemy().session()
    enemy.inject(line)
    assert enemy.rig.status()["state"] == "stopped"
