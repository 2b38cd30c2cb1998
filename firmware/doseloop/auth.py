"""Who may act: keys, the message code of a line, and the roles of a session (operator, service).

AUTH opens a role by a code over the nonce of HELLO; then every line that changes something carries a code over the
session and the line. Wrong codes are counted, logged, and make further AUTH wait.
"""

import binascii
import hashlib

from doseloop.units import Refusal, const

ROLES = ("operator", "service")  # in rising order: service may do all that operator may
MAC_CHARS = const(16)

_BLOCK = const(64)  # of SHA-256
_FREE_TRIES = const(3)
_FIRST_WAIT_MS = const(2000)
_MOST_DOUBLINGS = const(7)  # 256 s at most


def hmac_sha256(key, message):
    """HMAC-SHA-256 of bytes (RFC 2104)."""
    if len(key) > _BLOCK:
        key = _sha256(key)
    key = key + bytes(_BLOCK - len(key))
    inner = _sha256(bytes([b ^ 0x36 for b in key]) + message)
    return _sha256(bytes([b ^ 0x5C for b in key]) + inner)


def _sha256(data):
    return hashlib.sha256(data).digest()


def mac_text(key, message):
    """First half of the HMAC of bytes as 16 upper-case hex digits."""
    return binascii.hexlify(hmac_sha256(key, message)).decode().upper()[:MAC_CHARS]


def same(a, b):
    """Equal texts? Takes as long whether the first or the last character differs."""
    if len(a) != len(b):
        return False
    unlike = 0
    for i in range(len(a)):
        unlike |= ord(a[i]) ^ ord(b[i])
    return unlike == 0


def default_key(role):
    return _sha256(("doseloop default %s key" % role).encode())


class Keys:
    """The keys of the roles: provisioned ones ({role: bytes}, both), or the published default."""

    def __init__(self, own=None):
        self._own = own
        self._keys = own or {role: default_key(role) for role in ROLES}

    def key(self, role):
        return self._keys[role]

    def is_default(self):
        return not self._own


class Gate:
    """The role of the session and the proof that a line comes from who opened it."""

    def __init__(self, keys, now_ms, log):
        self.role = None  # opened last in this session, None before the first AUTH
        self.wrong = 0  # wrong codes since the last right AUTH; a new session does not clear them
        self._keys = keys
        self._now_ms = now_ms  # elapsed ms
        self._log = log  # takes a text
        self._sess = ""
        self._nonce = ""
        self._free_at = 0  # elapsed ms from which AUTH is tried again

    def begin(self, sess, nonce):
        """A new session: no role is open."""
        self.role = None
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
        if not same(args["mac"], mac_text(self._keys.key(role), (self._nonce + role).encode())):
            self._wrong("AUTH")
        self.role = role
        self.wrong = self._free_at = 0
        self._log("role %s opened" % role)
        return [("role", role), ("key", "default" if self._keys.is_default() else "own")]

    def check(self, need, verb, line, pairs):
        """Refusal unless the session's role reaches `need` and the line's last field is its right mac."""
        if self.role is None or ROLES.index(self.role) < ROLES.index(need):
            raise Refusal("ROLE", "%s needs the role %s: open it by AUTH" % (verb, need))
        if not pairs or pairs[-1][0] != "mac":
            raise Refusal("AUTH", "mac= is missing or not the last field")
        signed = line[: line.rfind(b" mac=")]
        if not same(pairs[-1][1], mac_text(self._keys.key(self.role), self._sess.encode() + signed)):
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
            self._free_at = self._now_ms() + (_FIRST_WAIT_MS << min(self.wrong - _FREE_TRIES, _MOST_DOUBLINGS))
        raise Refusal("AUTH", "the mac is wrong")
