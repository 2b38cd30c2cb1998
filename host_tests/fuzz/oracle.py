"""What must hold for any bytes. check(data): the first byte chooses the target, the rest is what it gets; AssertionError where something
does not hold, and any other exception is a find too: nothing but the wire's own errors may leave a parser.
"""

import re

from authentic import Host
from wire_rig import Pump

from doseloop import frame
from doseloop.commands import VERBS, check_fields
from doseloop.frame import WireError
from doseloop.units import Refusal
from tools.hostile.due import LineReader, are_answered

MOST = 600
# A request as the design's chapter "The wire" has it.
_FRAME = re.compile(rb">(\d{4}) ([ -~]+)\*([0-9A-F]{8})")
_VERB = re.compile(r'([^ ="]+)(?: (.+))?')
_FIELD = re.compile(r'([a-z][a-z0-9_.]*)=(?:"([^"]*)"|([^ "=]+))( (?=.)|$)')
_VERBS = sorted(VERBS)


def check(data):
    if not data:
        return
    targets = (check_frame, check_fields_text, check_line, check_verb, check_signed)
    targets[data[0] % len(targets)](data[1:MOST])


# ---- parsers alone


def check_frame(body):
    """Accepted by both readings of the design or by neither; what is accepted is made of its parts and nothing else."""
    line = body + b"*" + frame.crc_text(body)
    want = _reference(line)
    try:
        seq, verb, pairs = frame.parse(line)
    except WireError:
        assert want is None, (line, want)
        return
    assert want == (seq, verb, pairs), (line, want, (seq, verb, pairs))
    assert _is_made_of(body.decode(), f">{seq:04d} {verb}", pairs), line
    for spoilt in (line[:-1], line[:-8] + line[-8:].lower().swapcase()[::-1], body):
        _refused_or_same(spoilt, line)


def _refused_or_same(spoilt, line):
    try:
        frame.parse(spoilt)
    except WireError:
        return
    assert spoilt == line or frame.crc_text(spoilt[:-9]) == spoilt[-8:], spoilt


def _reference(line):
    found = _FRAME.fullmatch(line)
    if not found or b">" in line[1:]:
        return None
    rest = _VERB.fullmatch(found[2].decode())
    if not rest:
        return None
    pairs = _reference_fields(rest[2] or "")
    return None if pairs is None else (int(found[1]), rest[1], pairs)


def _reference_fields(text):
    pairs, at = [], 0
    while at < len(text):
        found = _FIELD.match(text, at)
        if not found:
            return None
        pairs.append((found[1], found[3] if found[2] is None else found[2]))
        at = found.end()
    return pairs


def _is_made_of(body, head, pairs):
    if not body.startswith(head):
        return False
    at = len(head)
    for name, value in pairs:
        for text in (f' {name}="{value}"', f" {name}={value}"):
            if body.startswith(text, at):
                at += len(text)
                break
        else:
            return False
    return at == len(body)


def check_fields_text(data):
    text = "".join(chr(byte) if 32 <= byte <= 126 else "?" for byte in data)
    want = _reference_fields(text)
    try:
        assert frame.parse_fields(text) == want, text
    except WireError:
        assert want is None, (text, want)


# ---- the wire, and the whole firmware behind it


def check_line(data):
    """Any bytes on a wire: the answers that are due, and STOP obeyed if one was ordered."""
    pump = Pump()
    pump.hello()
    due = LineReader().feed(data)
    heard = "".join("F" if line.startswith(b"<") else "T" for line in pump.feed(data).split(b"\r\n")[:-1])
    assert are_answered(due.answers, heard), (due.answers, heard)
    assert due.stops == ("STOP" in pump.verbs())
    assert all(request.role is None for request in pump.done)


def check_verb(data):
    """A verb's fields against its table: parsed, or a Refusal that has a code and a sentence."""
    if len(data) < 2:
        return
    spec = VERBS[_VERBS[data[0] % len(_VERBS)]][1]
    args = {}
    for part in data[1:].split(b"\xff"):
        name, _, value = part.decode("latin-1").partition("=")
        names = sorted(spec)
        args[names[ord(name[0]) % len(names)].rstrip("?") if name[:1] and names else name] = value
    try:
        fields = check_fields(spec, args)
    except Refusal as refusal:
        assert refusal.code.isupper() and refusal.text
        return
    assert fields.keys() == args.keys()
    for name, value in fields.items():
        kind = spec.get(name) or spec[name + "?"]
        if kind[0] in "qn":
            low, high = kind[-2:]
            assert isinstance(value, int) and low <= value <= high and str(abs(value)) in args[name]
        elif kind[0] == "w":
            assert value in kind[1]
        elif kind[0] in "th":
            assert value == args[name] and len(value) <= kind[1]


_host = None


def check_signed(data):
    """The rightful host sends nonsense: a verb with any values, rightly signed. It is answered; the firmware goes on."""
    global _host
    if len(data) < 2:
        return
    _host = _host or Host()
    verb = _VERBS[data[0] % len(_VERBS)]
    if verb in ("MAINT", "KEY:SET", "HELLO", "AUTH"):
        return
    names = sorted(VERBS[verb][1])
    values = [part.decode("latin-1") for part in data[1:].split(b"\x00")]
    fields = {name.rstrip("?"): value for name, value in zip(names, values) if value and re.fullmatch(r'[ !#-=?-~]{1,40}', value)}
    _host.send(verb, fields)
    _host.count += 1
    if _host.count > 400:
        _host = None

