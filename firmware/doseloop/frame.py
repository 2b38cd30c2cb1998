"""The wire's lines as bytes: taking them in, checking them, writing them. No session, no meaning.

In:  >SSSS VERB name=value ...*CCCCCCCC     Out: <SSSS OK ...*C   <SSSS ERR CODE "text" ...*C   !NNNN NAME ...*C
"""

import binascii

from doseloop.units import const

LINE_BYTES = const(512)  # of any line, in or out, with its end
END = b"\r\n"
PLAIN_BYTES = const(1024)  # of the whole plain-text answer to a typed line

_START = const(0x3E)  # ">"
_MARKS = (b"\r", b"\n", b">")
_CRC_CHARS = const(9)  # "*" and eight digits
_BODY_ROOM = const(494)  # LINE_BYTES less the end, the CRC and a last " cut=99"
_TEXT_CHARS = const(240)
_PLAIN_WIDTH = const(78)
# strip() takes these off at both ends, so that nothing is left where there is nothing else: one call, where a loop took 15 us a character.
_DIGITS = "0123456789"
_NAME_CHARS = "0123456789_.abcdefghijklmnopqrstuvwxyz"  # in the order in which they are searched
_WORD_CHARS = _NAME_CHARS + "ABCDEFGHIJKLMNOPQRSTUVWXYZ!#$%&'()*+,-/:;<?@[\\]^`{|}~"
_TEXT_SIGNS = "= " + _WORD_CHARS
_QUOTED_SIGNS = (b'"', b">", b"\r", b"\n", b"= ")
_ALWAYS_TEXT = ("text", "line", "lot", "tube")  # quoted even where one word


class WireError(Exception):
    """A line that is no good frame; nothing of it is used."""

    def __init__(self, code, text):
        super().__init__(code)
        self.code = code
        self.text = text


class Reader:
    """Bytes in, whole lines out. CR, LF or both end a line: an empty line is no line, so CRLF is one end.

    `>` throws away what stood before it, without a word, and starts a frame: there is one answer for each line's end.
    A line over the limit is dropped to its end and comes out as None. Outside a frame a person types: backspace works,
    other control bytes vanish.
    """

    def __init__(self):
        self.ended = False  # a line is complete: take() it before feeding on
        self._line = bytearray(LINE_BYTES - 1)
        self._n = 0  # bytes of it in use
        self._over = False  # this line is too long and is being dropped

    def feed(self, data, pos, end):
        """Take data[pos:end] up to the end of a line; returns the position of the first byte not taken."""
        while pos < end and not self.ended:
            if self._n and self._line[0] == _START:
                stop = _plain_end(data, pos, end)
                if stop > pos:
                    self._copy(data, pos, stop)
                    pos = stop
                    continue
            byte = data[pos]
            pos += 1
            if byte == 10 or byte == 13:
                self.ended = self._n > 0
            elif byte == _START or not self._over:
                self._take_in(byte)
        return pos

    def _copy(self, data, pos, stop):
        """Bytes inside a frame, all at once: one by one a frame of 200 bytes took a Pico 15 ms."""
        count = min(stop - pos, LINE_BYTES - 1 - self._n)
        self._line[self._n : self._n + count] = data[pos : pos + count]
        self._n += count
        self._over = self._over or count < stop - pos

    def _take_in(self, byte):
        if byte == _START:
            self._n = 0
            self._over = False
        elif not self._n or self._line[0] != _START:
            if byte == 8 or byte == 127:
                self._n -= self._n > 0
                return
            if not 32 <= byte <= 126:
                return
        self._store(byte)

    def _store(self, byte):
        if self._n == LINE_BYTES - 1:
            self._over = True
        else:
            self._line[self._n] = byte
            self._n += 1

    def take(self):
        """The finished line without its end, or None for one that was too long; starts the next."""
        line = None if self._over else bytes(self._line[: self._n])
        self._n = 0
        self._over = self.ended = False
        return line


def _plain_end(data, pos, end):
    """Where the bytes end that neither end a line nor begin a frame."""
    for mark in _MARKS:
        found = data.find(mark, pos, end)
        if found >= 0:
            end = found
    return end


def parse(line):
    """(seq, verb, [(name, value), ...]) of a frame without its end, or WireError. Doubled names are left to the caller."""
    body = _checked(line)
    if not _digits(body[1:5]) or body[5:6] != " ":
        raise WireError("FRAME", "four digits and a space follow the sign")
    verb, space, fields = body[6:].partition(" ")
    if not verb or "=" in verb or '"' in verb or (space and not fields):
        raise WireError("FRAME", "a verb follows the number, then fields")
    return int(body[1:5]), verb, parse_fields(fields)


def _checked(line):
    """The text before the last `*`, its CRC and its characters found right."""
    star = len(line) - _CRC_CHARS
    if star < 1 or line.rfind(b"*") != star or line[0] != _START:
        raise WireError("FRAME", "the line ends in * and eight digits of CRC")
    body = line[:star]
    if line[star + 1 :] != crc_text(body):
        raise WireError("FRAME", "the CRC is wrong")
    if max(body) > 126 or min(body) < 32 or body.find(b">", 1) >= 0:
        raise WireError("FRAME", "printable ASCII only")
    return str(body, "ascii")


def _digits(text):
    return len(text) == 4 and not text.strip(_DIGITS)


def parse_fields(text):
    """[(name, value), ...] of `name=value name="a text"`, or WireError."""
    pairs = []
    pos = 0
    while pos < len(text):
        equals = text.find("=", pos)
        name = text[pos:equals]
        if equals < 0 or not _is_name(name):
            raise WireError("FRAME", "a field is name=value")
        value, pos = _value_at(text, equals + 1)
        pairs.append((name, value))
        if text[pos : pos + 1] == " " and pos + 1 < len(text):
            pos += 1
        elif pos < len(text):
            raise WireError("FRAME", "one space stands between fields")
    return pairs


def _value_at(text, start):
    """(value, position after it); a text in quotes comes without them."""
    if text[start : start + 1] == '"':
        end = text.find('"', start + 1)
        if end < 0:
            raise WireError("FRAME", "a quote is not closed")
        return text[start + 1 : end], end + 1
    end = text.find(" ", start)
    if end < 0:
        end = len(text)
    value = text[start:end]
    if not value or '"' in value or "=" in value:
        raise WireError("FRAME", "a value is one word or a text in quotes")
    return value, end


def _is_name(name):
    return name[:1].isalpha() and not name.strip(_NAME_CHARS)


def crc_text(data):
    """CRC-32 of bytes as eight upper-case hex digits, in bytes."""
    return ("%08X" % binascii.crc32(data)).encode()


def frame(body):
    """The line of a body in bytes: its CRC and its end added."""
    return b"".join((body, b"*", crc_text(body), END))  # one copy; `+` made three


def reply_ok(seq, pairs):
    return frame(_with_fields("<%04d OK" % seq, pairs))


def reply_error(seq, code, text, pairs=()):
    return frame(_with_fields('<%04d ERR %s "%s"' % (seq, code, clean(text)[:_TEXT_CHARS]), pairs))


def event_line(number, name, pairs):
    return frame(_with_fields("!%04d %s" % (number, name), pairs))


def _with_fields(head, pairs):
    """The body of a line, in bytes."""
    parts = [head]
    add = parts.append
    for pair in pairs:
        if pair[0] in _ALWAYS_TEXT:
            return _with_texts(head, pairs)
        add("%s=%s" % pair)
    text = " ".join(parts)
    body = text.encode()
    if len(body) == len(text) and _is_plain(body, head.count(" ") + len(pairs), len(pairs)):
        return body
    return _with_texts(head, pairs)


def _is_plain(body, spaces, count):
    """No value of the `count` wants quotes, and the line is not too long. Other control characters cannot be in a value: no line
    that comes in may hold one. All are looked at together: one by one a Pico took 5 ms for those of STAT?.
    """
    for sign in _QUOTED_SIGNS:
        if sign in body:
            return False
    return len(body) <= _BODY_ROOM and body.count(b" ") == spaces and body.count(b"=") == count and body[-1:] != b"="


def _with_texts(head, pairs):
    """The same with quotes where they are wanted. What passes the limit is left out and `cut=` tells how many fields."""
    parts = [head]
    room = _BODY_ROOM - len(head)
    for name, value in pairs:
        part = field(name, value)
        room -= len(part) + 1
        if room < 0:
            parts.append("cut=%d" % (len(pairs) + 1 - len(parts)))
            break
        parts.append(part)
    return " ".join(parts).encode()


def field(name, value):
    """`name=value`; in quotes what is a text or is not one plain word."""
    text = value if isinstance(value, str) else str(value)
    if name not in _ALWAYS_TEXT and _is_word(text):
        return name + "=" + text
    return '%s="%s"' % (name, clean(text))


def _is_word(text):
    return len(text) > 0 and not text.strip(_WORD_CHARS)


def clean(text):
    """`text` with every character that may not stand in quotes replaced."""
    if not text.strip(_TEXT_SIGNS):
        return text
    return "".join([_clean_char(c) for c in text])


def _clean_char(c):
    if c == '"':
        return "'"
    return c if " " <= c <= "~" and c != ">" else "?"


def plain_ok(pairs):
    """The answer to a typed line: fields wrapped to a screen's width, or OK."""
    lines = [""]
    for name, value in pairs:
        part = field(name, value)
        if lines[-1] and len(lines[-1]) + len(part) >= _PLAIN_WIDTH:
            lines.append("")
        lines[-1] += (" " if lines[-1] else "") + part
    return _plain("\r\n".join(lines) or "OK")


def plain_error(code, text):
    return _plain("%s: %s" % (code, clean(text)[:_TEXT_CHARS]))


def _plain(text):
    return text[: PLAIN_BYTES - len(END)].encode() + END
