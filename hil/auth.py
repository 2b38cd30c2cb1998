"""Keys, roles and message codes of the wire, host side."""

from __future__ import annotations

import hashlib
import hmac

OPERATOR = "operator"
SERVICE = "service"
ROLES = (OPERATOR, SERVICE)
MAC_DIGITS = 16


def default_key(role: str) -> bytes:
    """The key in force while none was provisioned; every status says that it is."""
    return hashlib.sha256(f"doseloop default {role} key".encode()).digest()


def default_keys() -> dict[str, bytes]:
    return {role: default_key(role) for role in ROLES}


def mac(key: bytes, message: str) -> str:
    """First half of HMAC-SHA-256, upper-case hex."""
    return hmac.new(key, message.encode("ascii"), hashlib.sha256).hexdigest()[:MAC_DIGITS].upper()


def opening_mac(key: bytes, nonce: str, role: str) -> str:
    """What AUTH shows: that the host holds the role's key, for this HELLO's nonce."""
    return mac(key, nonce + role)


def line_mac(key: bytes, sess: str, line: str) -> str:
    """What each changing command carries: over the session and the line before ` mac=`."""
    return mac(key, sess + line)
