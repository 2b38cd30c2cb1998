"""Keys, roles and message codes of the wire, host side."""

from __future__ import annotations

import hashlib
import hmac

OPERATOR = "operator"
SERVICE = "service"
ROLES = (OPERATOR, SERVICE)
MAC_DIGITS = 16
KEY_BYTES = 32


def default_key(role: str) -> bytes:
    """The key in force while none was provisioned; every status says that it is."""
    return hashlib.sha256(f"doseloop default {role} key".encode()).digest()


def default_keys() -> dict[str, bytes]:
    return {role: default_key(role) for role in ROLES}


def mac(key: bytes, message: str) -> str:
    """First half of HMAC-SHA-256, upper-case hex."""
    return hmac.new(key, message.encode("ascii"), hashlib.sha256).hexdigest()[:MAC_DIGITS].upper()


def opening_mac(key: bytes, nonce: str, role: str) -> str:
    """What AUTH shows: that the host holds the role's key, for this HELLO's nonce.

    It begins as no line code does: a forged nonce must not make it the code of a line.
    """
    return mac(key, f"AUTH {nonce}{role}")


def line_mac(key: bytes, sess: str, line: str) -> str:
    """What each changing command carries: over the session and the line before ` mac=`."""
    return mac(key, sess + line)


def session_tag(sess: str, lap: int) -> str:
    """The session as a code covers it: once its numbers began anew, with how often they did, so that no old line fits again."""
    return f"{sess}{lap}" if lap else sess


def masked_key(service_key: bytes, sess: str, role: str, key: bytes) -> tuple[str, str]:
    """`key=` and `check=` of KEY:SET: the new key under a keystream of the service key in force, and a code that shows it arrived."""
    check = mac(key, f"{sess}check {role}").lower()
    stream = hmac.new(service_key, f"KEY {sess}{role}{check}".encode("ascii"), hashlib.sha256).digest()
    return bytes(a ^ b for a, b in zip(key, stream, strict=True)).hex(), check
