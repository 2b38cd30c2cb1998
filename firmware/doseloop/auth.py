"""Who may act: keys, the message code of a line, and the roles of a session (operator, service).

AUTH opens a role by a code over the nonce of HELLO; then every line that changes something carries a code over the
session and the line. Wrong codes are counted, logged, and make further AUTH wait. The waits outlast a session, not a
reset: one takes hands at the board, and whoever has those has the keys too.
"""

import binascii
import hashlib

from doseloop.units import Refusal, const

ROLES = ("operator", "service")  # in rising order: service may do all that operator may
MAC_CHARS = const(16)

_BLOCK = const(64)  # of SHA-256
_KEY_BYTES = const(32)
_STORED = "keys"  # in the journal: both roles' keys, one after the other
_FREE_TRIES = const(3)
_FIRST_WAIT_MS = const(2000)
_MOST_DOUBLINGS = const(7)  # 256 s at most


def hmac_sha256(key, message):
    """HMAC-SHA-256 of bytes (RFC 2104), under a key of at most 64 bytes: ours have 32."""
    key = key + bytes(_BLOCK - len(key))
    inner = _sha256(bytes([b ^ 0x36 for b in key]) + message)
    return _sha256(bytes([b ^ 0x5C for b in key]) + inner)


def _sha256(data):
    return hashlib.sha256(data).digest()


def mac_text(key, message):
    """First half of the HMAC of bytes as 16 upper-case hex digits."""
    return binascii.hexlify(hmac_sha256(key, message)).decode().upper()[:MAC_CHARS]


def same(a, b):
    """Equal bytes? Takes as long whether the first or the last one differs."""
    if len(a) != len(b):
        return False
    unlike = 0
    for i in range(len(a)):
        unlike |= a[i] ^ b[i]
    return unlike == 0


def has_mac(text, key, message):
    """Is `text` the code of bytes under this key?"""
    return same(text.encode(), mac_text(key, message).encode())


def default_key(role):
    return _sha256(("doseloop default %s key" % role).encode())


class Keys:
    """The keys of the roles: those that KEY:SET or tools/flash.py put into the journal, else the published default.

    state: "default"  a role's key is the published one
           "own"      none is
           "damaged"  keys were kept and cannot be read: no role opens. The default in their place would let in whoever can
                      spoil a file, and neither STOP nor basal needs a role (R-ALM-11, R-OVD-1)
    """

    def __init__(self):
        self.state = "default"
        self.kept = False  # keys were put into the journal once
        self._journal = None
        self._keys = {role: default_key(role) for role in ROLES}

    def load(self, journal, kept):
        """At start. kept: the saved state remembers that there were keys, so that a store that is gone is a damaged one."""
        self._journal = journal
        data, verdict = journal.load(_STORED)
        self.kept = kept or verdict != "none"
        if data and len(data) == _KEY_BYTES * len(ROLES):
            self._take(data)
        elif self.kept:
            self.state = "damaged"
            self._keys = {}

    def _take(self, data):
        self._keys = {ROLES[i]: data[_KEY_BYTES * i : _KEY_BYTES * (i + 1)] for i in range(len(ROLES))}
        published = [role for role in ROLES if same(self._keys[role], default_key(role))]
        self.state = "default" if published else "own"

    def key(self, role):
        if not self._keys:
            raise Refusal("KEY_LOST", "the key store is damaged: no role opens; STOP and basal go on. tools/flash.py --key-file mends it")
        return self._keys[role]

    def replace(self, role, sess, masked, check):
        """KEY:SET. masked: hex of the new key XOR a keystream of the service key over session and check: no two keys share one."""
        stream = hmac_sha256(self.key("service"), ("KEY " + sess + role + check).encode())
        key = bytes([a ^ b for a, b in zip(binascii.unhexlify(masked), stream)])
        if not has_mac(check.upper(), key, (sess + "check " + role).encode()):
            raise Refusal("ARG", "check= does not fit the key: it was masked with another; nothing is changed")
        others = [default_key(any_role) for any_role in ROLES] + [self._keys[other] for other in ROLES if other != role]
        if [other for other in others if same(key, other)]:
            raise Refusal("ARG", "a published key, or the other role's; make another: python -m hil key make")
        self._keep(b"".join([key if any_role == role else self._keys[any_role] for any_role in ROLES]))

    def _keep(self, data):
        """What is in the journal after it is in force, whatever became of the write."""
        self._journal.save(_STORED, data)
        self.load(self._journal, self.kept)
        if not self._keys or not same(b"".join([self._keys[role] for role in ROLES]), data):
            raise Refusal("STORAGE", "the key could not be kept; the one before it is in force")


class Gate:
    """The role of the session and the proof that a line comes from who opened it."""

    def __init__(self, keys, now_ms, log):
        self.role = None  # opened last in this session, None before the first AUTH
        self.wrong = 0  # wrong codes since the last right AUTH; a new session does not clear them
        self.lap = 0  # times the session's numbers began anew: without it a line of the lap before could be replayed
        self._keys = keys
        self._now_ms = now_ms  # elapsed ms
        self._log = log  # takes a text
        self._sess = ""
        self._nonce = ""
        self._free_at = 0  # elapsed ms from which AUTH is tried again

    def begin(self, sess, nonce):
        """A new session: no role is open."""
        self.role = None
        self.lap = 0
        self._sess = sess
        self._nonce = nonce

    def open(self, args):
        """AUTH: opens args["role"], or Refusal. Returns what to answer."""
        for name in ("role", "mac"):
            if name not in args:
                raise Refusal("MISSING", "AUTH needs %s=" % name)
        role = args["role"]
        if role not in ROLES:
            raise Refusal("ARG", "role= is operator or service")
        self._check_wait()
        if not has_mac(args["mac"], self._keys.key(role), ("AUTH " + self._nonce + role).encode()):
            self._wrong("AUTH")
        self.role = role
        self.wrong = self._free_at = 0
        self._log("role %s opened" % role)
        return [("role", role), ("key", self._keys.state)]

    def check(self, need, verb, line, pairs):
        """Refusal unless the session's role reaches `need` and the line's last field is its right mac."""
        if self.role is None or ROLES.index(self.role) < ROLES.index(need):
            raise Refusal("ROLE", "%s needs the role %s: open it by AUTH" % (verb, need))
        if not pairs or pairs[-1][0] != "mac":
            raise Refusal("AUTH", "mac= is missing or not the last field")
        signed = line[: line.rfind(b" mac=")]
        tag = self._sess + "%d" % self.lap if self.lap else self._sess
        if not has_mac(pairs[-1][1], self._keys.key(self.role), tag.encode() + signed):
            self._wrong(verb)

    def _check_wait(self):
        wait_ms = self._free_at - self._now_ms()
        if wait_ms > 0:
            raise Refusal("AUTH", "after wrong codes AUTH waits", [("wait", "%ds" % -(-wait_ms // 1000))])

    def _wrong(self, verb):
        self.wrong += 1
        if self.wrong & (self.wrong - 1) == 0:  # 1, 2, 4, 8, ...: guessing must not wear the log out
            self._log("wrong mac on %s, %d" % (verb, self.wrong))
        if self.wrong >= _FREE_TRIES:
            self.role = None  # guesses on lines wait like those on AUTH
            self._free_at = self._now_ms() + (_FIRST_WAIT_MS << min(self.wrong - _FREE_TRIES, _MOST_DOUBLINGS))
        raise Refusal("AUTH", "the mac is wrong")
