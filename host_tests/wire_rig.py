"""A wire with a fake serial port and a controller that only remembers; the host's side is the bench's own codec."""

from doseloop import auth
from doseloop.wire import Wire
from hil.auth import default_key, line_mac, opening_mac
from hil.frames import parse_line, seal

NEEDS = {"STAT?": "ask", "*IDN?": "ask", "HELP": "ask", "HELLO": "ask", "STOP": "stop", "RUN": "operator", "CAL:MOVE": "service"}


class FakeSerial:
    """A port that gives what came in and takes as much as it has room for."""

    def __init__(self):
        self.input = b""
        self.output = b""
        self.room = 1 << 30
        self.reads = []

    def read(self, buf):
        n = min(len(buf), len(self.input))
        buf[:n] = self.input[:n]
        self.input = self.input[n:]
        self.reads.append(len(buf))
        return n

    def write(self, data):
        n = min(len(data), self.room)
        self.room -= n
        self.output += data[:n]
        return n


class Pump:
    """A wire with a controller that only remembers what it was told."""

    def __init__(self):
        self.serial = FakeSerial()
        self.done = []
        self.log = []
        self.now = 0
        self.refuse = None
        self.answer = [("n", 1)]
        self._random = 0x9E3779B9
        self.wire = Wire(self.serial, self.handle, NEEDS.get, self.rng, auth.Keys(), lambda: self.now, self.log.append)
        self.sess = self.nonce = None

    def rng(self):
        self._random = self._random * 1103515245 + 12345 & 0xFFFFFFFF
        return self._random

    def handle(self, request):
        self.done.append(request)
        if self.refuse:
            raise self.refuse
        if request.verb == "HELLO":
            return [("fw", "0.1.0"), ("board", "unix"), ("uid", "00ff")]
        return self.answer

    def verbs(self):
        return [r.verb for r in self.done if r.verb != "HELLO"]

    def feed(self, data):
        """Send bytes, run until idle, return what came back."""
        self.serial.input += data
        self.serial.output = b""
        for _ in range(20_000):
            if not self.wire.turn():
                return self.serial.output
        raise AssertionError("the wire never comes to rest")

    def replies(self, data):
        return [parse_line(line) for line in self.feed(data).split(b"\r\n")[:-1]]

    def reply(self, body):
        found = self.replies(seal(body))
        assert len(found) == 1
        return found[0]

    def hello(self):
        reply = self.reply(">0000 HELLO")
        self.sess, self.nonce = reply.fields["sess"], reply.fields["nonce"]
        return reply

    def auth(self, seq, role, key=None):
        mac = opening_mac(key or default_key(role), self.nonce, role)
        return self.reply(f">{seq:04d} AUTH role={role} sess={self.sess} mac={mac}")

    def signed(self, body, role="operator"):
        body = f"{body} sess={self.sess}"
        return f"{body} mac={line_mac(default_key(role), self.sess, body)}"
