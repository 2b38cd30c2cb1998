"""The interlock of the catheter access port (R-CAP-1, R-CAP-2; label 5.1, 5.4).

The switch counts as open at the first reading that says so, or that cannot be had, and as closed only after it has read
closed without a break for a while: a broken or bouncing switch reads as open.
"""

from doseloop.units import Refusal, const

_CLOSED_MS = const(1_000)
_IDLE_MS = const(60_000)  # the board wakes the loop at an edge


class Port:
    """open: the interlock's verdict. Call check each turn."""

    def __init__(self):
        self.open = True
        self.known = False  # right after a boot it counts as open, but is no alarm before it was read open or closed
        self._closed_since = None

    def check(self, now, reads_open):
        """Take one reading; returns True if the verdict changed."""
        if reads_open:
            self._closed_since = None
            changed = not self.open or not self.known
            self.open = self.known = True
            return changed
        if not self.open:
            return False
        if self._closed_since is None:
            self._closed_since = now
        if now - self._closed_since < _CLOSED_MS:
            return False
        self.open = False
        self.known = True
        return True

    def due_in(self, now):
        """ms until the next reading is wanted: soon while it settles closed, else at the next turn or edge."""
        return _IDLE_MS if self._closed_since is None or not self.open else max(1, self._closed_since + _CLOSED_MS - now)


_PORT_WORDS = ("port", "cap", "catheter", "access")


def refuse_catheter_port(fields):
    """Refusal CATHETER_PORT if any field names a way through the access port, however it is spelt (R-CAP-1, R-FIL-1)."""
    for name in ("path", "route"):
        way = fields.get(name, "").lower()
        for word in _PORT_WORDS:
            if word in way:
                raise Refusal("CATHETER_PORT", "nothing is given through the catheter access port, label 5.1 and 5.4")


def require_path(fields, name, allowed):
    """Refusal ROUTE if a field that names the way is missing or is not `allowed` (R-POP-2)."""
    if fields.get(name) != allowed:
        raise Refusal("ROUTE", "%s wants %s, label 2.1 and 4" % (name, allowed))


def require_closed(port):
    """Refusal PORT_OPEN while the switch reads open or is unreadable (R-CAP-2)."""
    if port.open:
        if port.known:
            raise Refusal("PORT_OPEN", "the catheter access port reads open; close it, then ALAR:ACK id=PORT_OPEN")
        raise Refusal("PORT_OPEN", "the catheter access port has not read closed for a second yet; ask again")
