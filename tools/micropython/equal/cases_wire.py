"""The wire: frames good and damaged, typed lines, sessions, roles, numbers, STOP; every byte that comes back."""

import binascii

from doseloop import auth, frame
from doseloop.units import Refusal
from doseloop.wire import Wire

NEEDS = {"STAT?": "ask", "*IDN?": "ask", "HELP": "ask", "STOP": "stop", "RUN": "operator", "CAL:MOVE": "service"}
WORDS = ("a", "lot", "text", "x.y", "path", "id", "0", "A", "tube", "sess")
SIGNS = "abzAZ019 .,:;-_=\"'>*<~!\x7f\t"
PIECES = (b"\r", b"\n", b"\r\n", b">", b"STAT?", b"stop", b">0001 RUN", b"*", b"\x03\x04", b"\x08", b"A" * 520, b"STAT? part=x\r")


class Line:
    """A serial port that takes all or, for a while, nothing; and the pump behind it, which answers and refuses."""

    def __init__(self, draw):
        self.draw = draw
        self.input = self.output = b""
        self.room = 1 << 20
        self.now = 0
        self.wire = Wire(self, self.run, NEEDS.get, self.random, auth.Keys(), lambda: self.now, lambda text: None)
        self.seq = 1
        self.nonce = ""

    def read(self, buf):
        n = min(len(buf), len(self.input))
        buf[:n] = self.input[:n]
        self.input = self.input[n:]
        return n

    def write(self, data):
        n = min(len(data), self.room)
        self.room -= n
        self.output += data[:n]
        return n

    def random(self):
        return (self.draw.bits() << 2 | self.draw.below(4)) & 0xFFFFFFFF

    def run(self, request):
        if self.draw.one_in(5):
            raise Refusal("LOCKOUT", "next bolus in %d s" % self.draw.below(100), [("wait", "%dms" % self.draw.below(9999))])
        return [("verb", request.verb), ("args", len(request.args)), ("role", request.role), ("text", "a b")]

    def exchange(self, data):
        self.input, self.output = data, b""
        while self.wire.turn():
            pass
        return self.output

    def sealed(self, body):
        return body + b"*" + frame.crc_text(body) + b"\n"

    def hello(self):
        answer = self.exchange(self.sealed(b">0000 HELLO"))
        if b" OK " in answer:
            self.nonce = str(answer[answer.rfind(b"nonce=") + 6 : answer.rfind(b"*")], "ascii")
            self.seq = 1
        return answer

    def auth(self, role):
        mac = auth.mac_text(auth.default_key(role), ("AUTH " + self.nonce + role).encode())
        return self.numbered("AUTH role=%s sess=%s mac=%s" % (role, self.wire.sess, mac if self.draw.below(5) else mac.lower()))

    def signed(self, verb):
        body = "%s lot=\"%d\" sess=%s" % (verb, self.draw.below(99), self.wire.sess)
        role = self.draw.pick(auth.ROLES)
        signed = self.wire.sess + ">%04d %s" % (self.seq, body)
        return self.numbered(body + " mac=" + auth.mac_text(auth.default_key(role), signed.encode()))

    def numbered(self, text):
        """A frame with the next number, now and then another; sent twice now and then."""
        seq = self.seq if self.draw.below(8) else self.draw.below(10_000)
        line = self.sealed(b">%04d " % seq + text.encode())
        answer = self.exchange(line)
        self.seq = self.wire._expected
        return answer + self.exchange(line) if self.draw.one_in(6) else answer


def soup(draw, most):
    return "".join([draw.pick(SIGNS) for _ in range(draw.below(most + 1))])


def pairs(draw):
    return [(draw.pick(WORDS), soup(draw, draw.pick((3, 20, 120)))) for _ in range(draw.below(9))]


def parsed(line):
    try:
        return frame.parse(line)
    except frame.WireError as error:
        return error.code, error.text


def damaged(draw, line):
    data = bytearray(line)
    for _ in range(draw.pick((0, 0, 1, 2))):
        data[draw.below(len(data))] ^= 1 << draw.below(7)
    return bytes(data)


def formats(draw):
    fields, number = pairs(draw), draw.below(10_000)
    body = (">%04d STAT? " % number + " ".join([frame.field(name, value) for name, value in fields])).encode()
    line = damaged(draw, body + b"*" + frame.crc_text(body))
    yield binascii.crc32(line) & 0xFFFFFFFF, parsed(line)
    yield frame.reply_ok(number, fields), frame.reply_error(number, "ARG", soup(draw, 300), fields), frame.event_line(number, "X", fields)
    yield frame.plain_ok(fields), frame.plain_error("ARG", soup(draw, 300)), frame.clean(soup(draw, 40))


def session(draw, line):
    kind = draw.below(10)
    line.now += draw.pick((0, 0, 500, 3000))
    line.room = draw.pick((1 << 20, 1 << 20, 1 << 20, 0, 7))
    if kind == 0:
        return line.hello()
    if kind == 1:
        return line.auth(draw.pick(auth.ROLES))
    if kind < 5:
        return line.signed(draw.pick(("RUN", "CAL:MOVE")))
    if kind < 7:
        return line.numbered(draw.pick(("STAT?", "STAT? part=a", "STOP", "STOP x=1", "FLY", "*IDN?", "STAT? a=1 a=2", "RUN", "AUTH mac=1")))
    if kind == 7:
        line.wire.event("ALARM", pairs(draw))
    return line.exchange(b"".join([draw.pick(PIECES) for _ in range(draw.below(8))]))


def cases(draw, tried):
    while True:
        line = Line(draw)
        for _ in range(25):
            yield session(draw, line), line.wire._expected, line.wire.dropped, line.wire.frame_errors
        for _ in range(5):
            yield from formats(draw)
