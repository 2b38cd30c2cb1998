"""The keys of the roles: given, replaced, kept over power cuts, never told; and what happens to a store that is damaged."""

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pump_rig import MemoryStore, PumpRig, flat

from doseloop import auth as firmware_auth
from doseloop.commands import VERBS
from doseloop.journal import Journal
from hil import auth, keys
from hil.errors import LinkError, Refused

OWN = {"operator": bytes(range(1, 33)), "service": bytes(range(101, 133))}
NEXT = {"operator": bytes(range(40, 72)), "service": bytes(range(160, 192))}


class PowerCut(BaseException):
    """No code of the firmware catches it."""


class CutStore(MemoryStore):
    """Its power goes at write number `left`: before the write, or, with `late`, right after it."""

    def __init__(self):
        super().__init__()
        self.left = None
        self.late = False
        self.fails = None  # name whose writes the flash refuses

    def _count(self):
        if self.left is None:
            return
        self.left -= 1
        if self.left < 0:
            raise PowerCut

    def _write(self, name, do):
        if self.fails and name.startswith(self.fails):
            raise OSError(5)
        if not self.late:
            self._count()
        do()
        if self.late:
            self._count()

    def append(self, name, data):
        self._write(name, lambda: MemoryStore.append(self, name, data))

    def replace(self, name, data):
        self._write(name, lambda: MemoryStore.replace(self, name, data))


def fresh():
    rig = PumpRig()
    rig.store = rig.hal.store = CutStore()
    return rig.cut_power()


def owned(rig=None):
    """A pump that was given OWN before anything else."""
    rig = rig or fresh()
    rig.link.hello()
    keys.provision(rig.link, OWN)
    return rig


def running():
    """A therapy in progress on OWN keys."""
    rig = owned()
    rig.take_over(flat(200_000)).run()
    rig.advance(600_000)
    return rig


def reboot(rig, with_keys=OWN):
    rig.cut_power(1000)
    rig.link.use_keys(with_keys)
    rig.link.hello()
    return rig


def code_of(call, *args):
    try:
        call(*args)
    except Refused as refused:
        return refused.code
    return "OK"


def opened_by(rig, some):
    rig.link.use_keys(some)
    return [role for role in auth.ROLES if code_of(_open, rig, role) == "OK"]


def _open(rig, role):
    rig.advance(300_000)  # whatever a wrong code before it made AUTH wait
    rig.link.hello()
    rig.link.open_role(role)


# ---- given and replaced


def test_a_pump_without_keys_says_default_in_status_and_at_auth():
    rig = fresh().connect()
    assert rig.status()["key"] == "default"
    reply = rig.link._numbered("AUTH", {"role": "operator", "sess": rig.link.session.sess, "mac": auth.opening_mac(
        auth.default_key("operator"), rig.link.session.nonce, "operator")})  # fmt: skip
    assert reply["key"] == "default"


def test_own_keys_are_in_force_at_once_and_after_a_power_cut_and_the_default_ones_open_nothing():
    rig = owned()
    assert rig.status()["key"] == "own"
    assert opened_by(rig, OWN) == list(auth.ROLES)
    assert opened_by(rig, auth.default_keys()) == []
    reboot(rig)
    assert rig.status()["key"] == "own"
    assert opened_by(rig, OWN) == list(auth.ROLES)
    assert opened_by(rig, auth.default_keys()) == []


def test_with_one_role_on_the_default_key_the_status_still_says_default():
    rig = fresh().connect()
    rig.link.set_key("operator", OWN["operator"])
    assert rig.status()["key"] == "default"
    reboot(rig, {**auth.default_keys(), "operator": OWN["operator"]})
    assert rig.status()["key"] == "default"
    rig.link.set_key("service", OWN["service"])
    assert rig.status()["key"] == "own"


def test_own_keys_are_replaced_with_the_old_service_key_while_the_pump_runs():
    rig = running()
    keys.provision(rig.link, NEXT)
    assert opened_by(rig, NEXT) == list(auth.ROLES) and opened_by(rig, OWN) == []
    assert rig.status()["state"] == "running"


def test_operator_may_not_replace_a_key():
    rig = owned()
    sess = rig.link.hello().sess
    masked, check = auth.masked_key(OWN["operator"], sess, "operator", NEXT["operator"])
    with pytest.raises(Refused) as refused:
        rig.link.command("KEY:SET", {"role": "operator", "key": masked, "check": check}, role="operator")
    assert refused.value.code == "ROLE" and opened_by(rig, OWN) == list(auth.ROLES)


def test_a_change_ends_the_session_so_that_no_role_of_an_old_key_stays_open():
    rig = owned()
    sess = rig.link.hello().sess
    masked, check = auth.masked_key(OWN["service"], sess, "operator", NEXT["operator"])
    rig.link.command("KEY:SET", {"role": "operator", "key": masked, "check": check})
    assert code_of(rig.link.command, "ALAR:MUTE") == "SESSION"
    assert code_of(rig.link.ask, "STAT?") == "SESSION"


def test_a_lost_answer_to_a_change_is_asked_for_again_and_nothing_is_done_twice():
    rig = owned()
    rig.link.lose_replies(3)
    keys.provision(rig.link, NEXT)
    assert opened_by(rig, NEXT) == list(auth.ROLES)
    assert [text for text in log_of(rig) if "KEY:SET" in text] == ["KEY:SET role=operator", "KEY:SET role=service"] * 2


def test_a_pump_that_ran_on_the_default_key_takes_its_keys_at_flashing_alone():
    rig = fresh()
    rig.take_over(flat(200_000)).run()
    rig.do("STOP")
    assert code_of(rig.link.set_key, "operator", OWN["operator"]) == "STATE"
    assert opened_by(rig, auth.default_keys()) == list(auth.ROLES)


def set_with(rig, role, key, mask=OWN["service"], check=None):
    sess = rig.link.hello().sess
    masked, right = auth.masked_key(mask, sess, role, key)
    rig.link.command("KEY:SET", {"role": role, "key": masked, "check": check or right})


@pytest.mark.parametrize(
    "role, key, mask, check",
    [
        ("operator", NEXT["operator"], NEXT["service"], None),  # masked with a key that is not in force
        ("operator", NEXT["operator"], OWN["service"], "0" * 16),
        ("operator", OWN["service"], OWN["service"], None),  # service's own
        ("service", OWN["operator"], OWN["service"], None),
        ("service", auth.default_key("service"), OWN["service"], None),
        ("service", auth.default_key("operator"), OWN["service"], None),
    ],
)
def test_a_key_wrongly_masked_or_published_or_the_other_roles_is_refused_and_the_session_ends(role, key, mask, check):
    rig = owned()
    assert code_of(set_with, rig, role, key, mask, check) == "ARG"
    assert code_of(rig.link.ask, "STAT?") == "SESSION", "a second key under the same keystream would tell their difference"
    assert opened_by(rig, OWN) == list(auth.ROLES)


def test_the_keystream_is_of_the_service_key_for_both_roles_so_that_a_stolen_operator_key_does_not_read_its_successor():
    rig = owned()
    assert code_of(set_with, rig, "operator", NEXT["operator"], OWN["operator"]) == "ARG"


def test_no_two_changes_share_a_keystream():
    rig, streams = owned(), []
    for role in auth.ROLES * 2:
        sess = rig.link.hello().sess
        masked, _ = auth.masked_key(OWN["service"], sess, role, bytes(32))
        streams.append(masked)
    assert len(set(streams)) == 4


# ---- power cuts and damage


@pytest.mark.parametrize("late", [False, True])
def test_a_power_cut_at_any_write_of_a_change_leaves_the_old_or_the_new_key_never_neither(late):
    seen = set()
    for at in range(20):
        rig = owned()
        rig.link.hello()
        rig.link.open_role("service")
        rig.store.left, rig.store.late = at, late
        try:
            rig.link.set_key("service", NEXT["service"])
            cut = False
        except PowerCut:
            cut = True
        rig.store.left = None
        reboot(rig)
        assert rig.status()["key"] == "own"
        new = {**OWN, "service": NEXT["service"]}
        found = [name for name, some in (("old", OWN), ("new", new)) if opened_by(rig, some) == list(auth.ROLES)]
        assert len(found) == 1
        seen.add((found[0], cut))
        if not cut:
            break
    assert seen == {("old", True), ("new", True), ("new", False)}


@pytest.mark.parametrize("late", [False, True])
def test_a_power_cut_at_any_write_of_the_first_keys_leaves_a_pump_that_can_be_given_them_again(late):
    for at in range(40):
        rig = fresh()
        rig.link.hello()
        rig.store.left, rig.store.late = at, late
        with contextlib.suppress(PowerCut):
            keys.provision(rig.link, OWN)
        rig.store.left = None
        ended = at >= 30
        reboot(rig)
        service = OWN if "service" in opened_by(rig, OWN) else auth.default_keys()
        rig.link.use_keys(service)
        rig.advance(300_000)
        keys.provision(rig.link, OWN)
        assert rig.status()["key"] == "own"
        if ended:
            break


def damage(rig, how):
    for end in (".a", ".b"):
        name = "keys" + end
        if how == "gone":
            rig.store.remove(name)
        else:
            data = bytearray(rig.store.files[name])
            data[20] ^= 4
            rig.store.files[name] = bytes(data)


@pytest.mark.parametrize("how", ["flipped", "gone"])
@pytest.mark.req("R-ALM-11", "R-OVD-1")
def test_a_damaged_key_store_opens_no_role_and_neither_basal_nor_stop_needs_one(how):
    rig = running()
    damage(rig, how)
    reboot(rig)
    rig.advance(60_000)
    assert rig.status()["key"] == "damaged" and rig.status()["state"] == "running"
    before = len(rig.edges())
    rig.advance(3_600_000)
    assert len(rig.edges()) > before, "basal goes on"
    for some in (OWN, auth.default_keys(), NEXT):
        rig.link.use_keys(some)
        for role in auth.ROLES:
            assert code_of(_open, rig, role) == "KEY_LOST"
    assert "key store damaged: no role opens" in log_of(rig)
    assert rig.do("STOP")["state"] == "stopped"
    assert code_of(rig.link.command, "RUN") == "KEY_LOST"
    reboot(rig)
    assert rig.status()["key"] == "damaged"


def test_one_damaged_copy_is_mended_from_the_other():
    rig = owned()
    rig.store.files["keys.a"] = b"rubbish"
    reboot(rig)
    assert rig.status()["key"] == "own" and opened_by(rig, OWN) == list(auth.ROLES)
    rig.store.files["keys.b"] = b"rubbish"
    reboot(rig)
    assert rig.status()["key"] == "own"


@pytest.mark.parametrize("size", [0, 32, 63, 65, 96])
def test_a_store_of_the_wrong_length_is_damaged(size):
    rig = owned()
    rig.pump.keeper.journal.save("keys", b"x" * size)
    reboot(rig)
    assert rig.status()["key"] == "damaged"


def test_keys_in_the_store_are_remembered_in_the_saved_state_however_whole_the_store_is():
    rig = fresh()
    assert not rig.pump.keys.kept and not firmware_auth.Keys().kept
    journal = Journal(rig.store)
    journal.save("keys", OWN["operator"] + OWN["service"])  # as flashing does it
    rig.store.files["keys.a"] = b"rubbish"
    reboot(rig)
    assert rig.pump.keys.kept and rig.status()["key"] == "own"
    damage(rig, "gone")
    reboot(rig)
    assert rig.status()["key"] == "damaged"


def test_a_flash_that_refuses_the_write_leaves_the_old_key_in_force_and_says_so():
    rig = owned()
    rig.store.fails = "keys"
    assert code_of(rig.link.set_key, "service", NEXT["service"]) == "STORAGE"
    rig.store.fails = None
    assert opened_by(rig, OWN) == list(auth.ROLES)
    reboot(rig)
    assert opened_by(rig, OWN) == list(auth.ROLES)


# ---- never told


def log_of(rig):
    return [entry["text"] for entry in rig.link.records("LOG?") if "text" in entry]


def questions(rig):
    """Every question with every field that the table lets it have, each record of those that have many; framed and typed."""
    for verb, (who, fields) in sorted(VERBS.items()):
        if who != "ask" or verb in ("HELLO", "AUTH"):
            continue
        variants = [{}]
        for name, kind in fields.items():
            if kind[0] == "w":
                variants += [{name.rstrip("?"): word} for word in kind[1]]
        for fields_of in variants:
            yield verb, fields_of


def replies_to_everything(rig):
    heard = []
    receive = rig.link.channel.receive

    def listening(timeout_s):
        data = receive(timeout_s)
        heard.append(data)
        return data

    rig.link.channel.receive = listening
    for verb, fields in questions(rig):
        code_of(rig.link.ask, verb, fields)
        if "from?" in VERBS[verb][1]:
            rig.link.records(verb)
    for verb, fields in questions(rig):
        rig.hal.to_pump += (f"{verb} " + " ".join(f"{n}={v}" for n, v in fields.items())).encode() + b"\r"
        heard.append(receive(1.0))
    rig.link.channel.receive = receive
    return b"".join(heard)


def traces(key):
    """What of a key would betray it: any eight hex digits in a row, upper or lower case, and any eight of its bytes."""
    text = key.hex()
    return {text[i : i + 8] for i in range(len(text) - 7)}, {key[i : i + 8] for i in range(len(key) - 7)}


def betrayed(heard, key):
    digits, raw = traces(key)
    low = heard.lower().decode("latin-1")
    return [piece for piece in digits if piece in low] + [piece for piece in raw if piece in heard]


def test_no_answer_to_any_question_has_eight_digits_or_bytes_of_a_key_in_a_row():
    rig = running()
    sent = []
    send = rig.link.channel.send
    rig.link.channel.send = lambda data: (sent.append(data), send(data))
    keys.provision(rig.link, NEXT)
    rig.link.hello()
    plain = {"role": "operator", "key": OWN["operator"].hex().upper(), "check": "0" * 16}  # a host that sends a key unmasked, badly
    assert code_of(rig.link.command, "KEY:SET", plain) == "ARG"
    reboot(rig, NEXT)
    rig.link.open_role("service")
    heard = replies_to_everything(rig)
    assert heard.count(b"<") > len(VERBS)
    for key in (*NEXT.values(), *OWN.values()):
        assert betrayed(heard, key) == []
    for key in NEXT.values():
        assert betrayed(b"".join(sent), key) == []
    log = b"".join(data for name, data in rig.store.files.items() if not name.startswith("keys"))
    for key in (*NEXT.values(), *OWN.values()):
        assert betrayed(log, key) == []


def test_the_search_for_a_key_finds_one():
    key = NEXT["service"]
    assert betrayed(b"..." + key.hex()[11:19].upper().encode() + b"...", key)
    assert betrayed(b"..." + key[9:17] + b"...", key)


def test_a_change_is_logged_without_the_key():
    rig = owned()
    texts = [text for text in log_of(rig) if text.startswith("KEY:SET")]
    assert texts == ["KEY:SET role=operator", "KEY:SET role=service"]


# ---- codes


class Touchy(bytes):
    """Bytes that cannot be compared as a whole: that would stop at the first difference."""

    __hash__ = bytes.__hash__

    def __eq__(self, other):
        raise AssertionError("a secret was compared by ==")

    __ne__ = __eq__


class TouchyText(str):
    __hash__ = str.__hash__

    def __eq__(self, other):
        raise AssertionError("a secret was compared by ==")

    __ne__ = __eq__

    def encode(self, *args):
        return Touchy(str.encode(self, *args))


def test_codes_and_keys_are_compared_in_constant_time_alone(monkeypatch):
    mac_text, hmac = firmware_auth.mac_text, firmware_auth.hmac_sha256
    monkeypatch.setattr(firmware_auth, "mac_text", lambda key, message: TouchyText(mac_text(key, message)))
    monkeypatch.setattr(firmware_auth, "hmac_sha256", lambda key, message: Touchy(hmac(key, message)))
    rig = owned()
    assert opened_by(rig, OWN) == list(auth.ROLES) and opened_by(rig, NEXT) == []
    rig.advance(300_000)
    rig.link.use_keys(OWN)
    rig.connect()
    assert code_of(rig.do, "ALAR:MUTE") == "OK"


@given(st.binary(max_size=40), st.binary(max_size=40))
def test_same_is_equality_and_looks_at_every_byte(a, b):
    assert firmware_auth.same(a, a) and firmware_auth.same(a, b) == (a == b)
    looked = []

    class Watched:
        def __init__(self, data):
            self.data = data

        def __len__(self):
            return len(self.data)

        def __getitem__(self, i):
            looked.append(i)
            return self.data[i]

    firmware_auth.same(Watched(a), bytes(len(a)))
    assert looked == list(range(len(a)))


def test_three_wrong_codes_on_lines_close_the_role_and_make_auth_wait():
    rig = owned()
    rig.link.open_role("operator")
    for _ in range(3):
        fields = {"sess": rig.link.session.sess, "mac": "0" * 16}
        assert code_of(rig.link._numbered, "ALAR:MUTE", fields) == "AUTH"
    assert code_of(rig.link._numbered, "ALAR:MUTE", {"sess": rig.link.session.sess, "mac": "0" * 16}) == "ROLE"
    with pytest.raises(Refused) as refused:
        rig.link.open_role("operator")
    assert refused.value.fields["wait"] == "2s"
    assert "wrong mac on ALAR:MUTE, 1" in log_of(rig)


def test_a_wait_outlasts_hello_and_ends_with_a_reset():
    rig = owned()
    rig.link.use_keys(NEXT)
    for _ in range(3):
        code_of(rig.link.open_role, "operator")
    rig.link.hello()
    rig.link.use_keys(OWN)
    assert code_of(rig.link.open_role, "operator") == "AUTH"
    reboot(rig)
    rig.link.open_role("operator")


@settings(max_examples=20)
@given(st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32))
def test_any_key_survives_the_mask(key, service):
    journal = Journal(MemoryStore())
    journal.save("keys", OWN["operator"] + service)
    held = firmware_auth.Keys()
    held.load(journal, True)
    masked, check = auth.masked_key(service, "0123abcd", "service", key)
    held.replace("service", "0123abcd", masked, check)
    assert held.key("service") == key and held.key("operator") == OWN["operator"]


# ---- lines of an earlier lap


def test_a_line_is_not_authentic_again_when_the_sessions_numbers_begin_anew():
    """9999 numbers later the same number is due in the same session: the line recorded then must not fit (a clock set back, say)."""
    rig = owned().connect("operator")
    recorded = []
    send = rig.link.channel.send
    rig.link.channel.send = lambda data: (recorded.append(data), send(data))
    rig.do("TIME", set=f"{int(rig.unix())}s", offset="0min")
    line, seq = recorded[-1], rig.link._seq
    rig.link.channel.send = send
    wire = rig.controller.wire
    wire._expected, rig.link._seq = 9999, 9998  # as after so many questions
    rig.ask("STAT?")
    assert rig.do("ALAR:MUTE") is not None, "the rightful host goes on over the end of the numbers"
    assert rig.link._seq == 1 and rig.link._lap == 1
    while rig.link._seq < seq - 1:
        rig.ask("*IDN?")
    rig.advance(600_000)
    clock = rig.pump.clock.unix_s()
    rig.hal.to_pump += line
    reply = rig.link.next_reply()
    assert reply.seq == seq and reply.code == "AUTH"
    assert abs(rig.pump.clock.unix_s() - clock) <= 1


def test_the_numbers_of_a_new_session_begin_with_the_first_lap():
    rig = owned().connect("operator")
    rig.controller.wire._expected, rig.link._seq = 9999, 9998
    rig.ask("STAT?")
    rig.ask("STAT?")
    rig.connect("operator")
    assert code_of(rig.do, "ALAR:MUTE") == "OK"



# ---- what a cable that forges may try


@pytest.mark.req("R-OVD-1")
def test_stop_said_again_and_again_neither_writes_flash_each_time_nor_fills_the_log():
    rig = owned()
    rig.link.ask("STOP")
    before = sum(len(data) for data in rig.store.files.values()), len(rig.link.records("LOG?"))
    writes = len(rig.hal.wrote)
    for _ in range(100):
        rig.link.ask("STOP")
    assert len(rig.link.records("LOG?")) - before[1] <= 7
    assert len(rig.hal.wrote) - writes <= 7
    assert rig.status()["state"] in ("stopped", "idle")


def test_the_code_of_a_role_is_never_the_code_of_a_line_whatever_nonce_the_cable_forges():
    key = bytes(range(32))
    forged = 'deadbeef>0003 CAL:SET spm=1000000 sess=deadbeef tube="x'
    assert auth.opening_mac(key, forged, "service") != auth.line_mac(key, "deadbeef", forged.removeprefix("deadbeef") + "service")


@pytest.mark.parametrize("nonce", ["", "0" * 15, "0" * 17, "g" * 16, "deadbeef>0003 RUN", "FEDCBA9876543210"])
def test_the_host_refuses_a_nonce_that_no_pump_gives(nonce):
    rig = owned()
    hello = rig.link._exchange

    def forged(*line):
        reply = hello(*line)
        reply.fields["nonce"] = nonce
        return reply

    rig.link._exchange = forged
    with pytest.raises(LinkError, match="forges"):
        rig.link.hello()


def test_two_keys_masked_in_one_session_share_no_keystream():
    service, one, two = bytes(32), bytes(range(32)), bytes(range(1, 33))
    a, b = (bytes.fromhex(auth.masked_key(service, "deadbeef", "operator", key)[0]) for key in (one, two))
    assert bytes(x ^ y for x, y in zip(a, b)) != bytes(x ^ y for x, y in zip(one, two))
