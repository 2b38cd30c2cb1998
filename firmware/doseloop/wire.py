"""The wire: sessions, sequence numbers, at-most-once, roles, events, and lines typed by hand.

What the verbs mean is not known here; `needs(verb)` says who may, `handle(request)` does it. Stop and wait:
- The number after the last one taken, 0001 to 9999 then 0001, is taken: done once, its answer kept.
- The last number again with the same bytes: the kept answer. Any other number: ERR SEQ expected=.
- A line that is no frame, another session's line or one without its session, and ERR SEQ take no number.
- STOP is obeyed before it is judged, whatever number, session or fields it carries (R-OVD-1); then the answer may
  still be an error, which begins with "stopped". Only its CRC must hold. One exception: its own repetition gets the
  kept answer, because nothing but a later number of the same session could have started the pump since.
"""

from doseloop import frame
from doseloop.auth import ROLES, Gate
from doseloop.units import Refusal, const

PROTO = const(1)

_LAST_SEQ = const(9999)
_READ_BYTES = const(256)  # of input a turn: four packets of USB, so that a frame of 200 bytes takes one turn (10 ms on a Pico)
_QUEUE_BYTES = const(2048)  # of output waiting; beyond it answers are dropped (the host asks again)
_EVENT_BYTES = const(1024)  # beyond it events are dropped: answers keep the rest


class Request:
    """One thing asked for: what `handle` gets."""

    def __init__(self, verb, args, seq=0, role=None, sess="", bare=False):
        self.verb = verb
        self.args = args  # {name: text}, without sess and mac
        self.seq = seq
        self.role = role  # the session's, None if none is open
        self.sess = sess  # "" if none
        self.bare = bare  # typed by hand


class Wire:
    """A serial line's pump end.

    serial.read(bytearray) -> bytes put in it; serial.write(bytes) -> bytes taken; neither blocks.
    handle(Request) -> [(name, value), ...] or Refusal; gets HELLO too, for its own fields (fw, board, uid).
    needs(verb) -> "ask", "operator", "service", "stop", or None for an unknown verb.
    rng() -> 32 random bits. keys: auth.Keys. now_ms() -> elapsed ms. log(text) is told of roles and wrong codes.
    """

    def __init__(self, serial, handle, needs, rng, keys, now_ms, log):
        self.boot = "%08x" % rng()
        self.sess = ""  # the session in force, "" before the first HELLO
        self.dropped = 0  # events lost because nobody took the output
        self.dropped_replies = 0
        self.frame_errors = 0
        self._serial = serial
        self._handle = handle
        self._needs = needs
        self._rng = rng
        self._gate = Gate(keys, now_ms, log)
        self._reader = frame.Reader()
        self._chunk = bytearray(_READ_BYTES)
        self._pos = self._end = 0  # what of the chunk is not yet taken
        self._queue = []  # lines to send; the first may be the rest of one
        self._queued = 0  # bytes in it
        self._news = []  # (name, pairs) of events that are no lines yet
        self._events = 0  # number of the last event, dropped or not
        self._expected = 1
        self._last_line = None  # the line that took the last number, and its answer
        self._last_reply = None

    # ---- a turn of the loop

    def turn(self):
        """Send; take at most 256 bytes, and do the line that ends among them. True if there may be more to do at once."""
        if self._news:
            self._tell()
        busy = self._flush() if self._queue else False
        if self._pos == self._end:
            self._pos = 0
            self._end = self._serial.read(self._chunk) or 0
            if not self._end:
                return busy
        self._pos = self._reader.feed(self._chunk, self._pos, self._end)
        if self._reader.ended:
            job = self._line(self._reader.take())
            if job:  # done here and not where it was judged: what a command calls needs most of a Pico's stack
                request, answer, given = job
                try:
                    own, refusal = self._handle(request) or (), None
                except Refusal as error:
                    own, refusal = (), error
                self._tell()
                self._send(answer(request, own, refusal, *given))
            self._flush()
        return True

    def waiting(self):
        """True while output waits for the port."""
        return bool(self._queue or self._news)

    def event(self, name, pairs):
        """Tell the host of the session, if one is open, unasked. A courtesy: dropped and counted when output is stuck.

        The line is made in turn(): what calls this is deep in the stack already.
        """
        if self.sess:
            self._news.append((name, pairs))

    def _tell(self):
        for name, pairs in self._news:
            self._events = _next_seq(self._events)
            line = frame.event_line(self._events, name, pairs)
            if self._queued + len(line) > _EVENT_BYTES:
                self.dropped += 1
            else:
                self._put(line)
        self._news.clear()

    def _flush(self):
        """Send what the port takes; True if it took anything."""
        took = False
        while self._queue:
            line = self._queue[0]
            sent = self._serial.write(line) or 0
            if not sent:
                break
            took = True
            self._queued -= sent
            if sent < len(line):
                self._queue[0] = line[sent:]
                break
            self._queue.pop(0)
        return took

    def _put(self, line):
        self._queue.append(line)
        self._queued += len(line)

    def _send(self, line):
        if self._queued + len(line) > _QUEUE_BYTES:
            self.dropped_replies += 1
        else:
            self._put(line)

    # ---- a line

    def _line(self, line):
        """Answers it, or returns what is to be done for it: (request, answer, given), see turn()."""
        if line is None:
            self._frame_error("a line of more than 512 bytes was dropped")
        elif line[:1] == b">":
            return self._frame(line)
        else:
            text = str(line, "ascii").strip()
            if text:
                return self._typed(text)
        return None

    def _frame_error(self, text):
        self.frame_errors += 1
        self._send(frame.reply_error(0, "FRAME", text))

    def _frame(self, line):
        try:
            seq, verb, pairs = frame.parse(line)
        except frame.WireError as error:
            self._frame_error(error.text)
            return None
        if line == self._last_line:
            self._send(self._last_reply)
            return None
        try:
            return self._judge(line, seq, verb, pairs)
        except Refusal as refusal:
            self._send(_reply(seq, (), refusal))
        return None

    def _judge(self, line, seq, verb, pairs):
        """What a good frame asks for. A Refusal raised here takes no number; what _admit refuses does."""
        if verb == "HELLO":
            return self._new_session(seq, pairs), self._greet, ()
        need = self._needs(verb)
        if need == "stop":
            return Request(verb, {}, seq=seq, role=self._gate.role, sess=self.sess), self._stopped, (line, pairs)
        self._check_session(_value(pairs, "sess"), verb == "AUTH" or need in ROLES)
        self._check_seq(seq, "")
        own, refusal = (), None
        try:
            args = _args(pairs)
            args.pop("sess", None)
            if verb != "AUTH":
                return self._admit(verb, need, line, pairs, args), self._taken, (line,)
            _only(args, ("role", "mac"), "")
            own = self._gate.open(args)
        except Refusal as error:
            refusal = error
        self._send(self._taken(Request(verb, {}, seq=seq), own, refusal, line))
        return None

    def _check_session(self, sess, must):
        if not self.sess:
            raise Refusal("SESSION", "no session is open: send 0000 HELLO")
        if sess is None and must:
            raise Refusal("SESSION", "sess= is missing")
        if sess is not None and sess != self.sess:
            raise Refusal("SESSION", "another session is in force: send 0000 HELLO")

    def _check_seq(self, seq, prefix, pairs=()):
        if seq != self._expected:
            expected = [("expected", "%04d" % self._expected)]
            raise Refusal("SEQ", prefix + "the number is out of sequence", expected + list(pairs))

    def _admit(self, verb, need, line, pairs, args):
        """The request of a verb that this session may use."""
        if need is None:
            raise Refusal("VERB", "there is no such verb: HELP and DICT? list them")
        if need in ROLES:
            self._gate.check(need, verb, line, pairs)
        args.pop("mac", None)
        return Request(verb, args, seq=self._expected, role=self._gate.role, sess=self.sess)

    def _taken(self, request, own, refusal, line):
        """The answer, kept with the line: from here on the number is used."""
        seq = request.seq
        self._last_reply = _reply(seq, own, refusal)
        self._last_line = line
        self._expected = _next_seq(seq)
        self._gate.lap += self._expected < seq
        return self._last_reply

    def _new_session(self, seq, pairs):
        if seq:
            raise Refusal("SEQ", "HELLO has the number 0000", [("expected", "0000")])
        sess = "%08x" % self._rng()
        if sess == self.sess:
            sess = "%08x" % (int(sess, 16) ^ 1)
        return Request("HELLO", _args(pairs), sess=sess)

    def _greet(self, request, own, refusal):
        """Always a new session; if the handler has refused, the old one stays."""
        if refusal:
            return _reply(0, (), refusal)
        nonce = "%08x%08x" % (self._rng(), self._rng())
        self.sess = request.sess
        self._gate.begin(self.sess, nonce)
        self._expected = 1
        self._last_line = self._last_reply = None
        return frame.reply_ok(0, [("boot", self.boot), ("sess", self.sess), ("proto", PROTO)] + list(own) + [("nonce", nonce)])

    def _stopped(self, request, own, refusal, line, pairs):
        """It was obeyed, now it is judged. If the handler itself has refused, no number is taken and the repetition tries again."""
        if refusal or not self.sess:
            return _reply(request.seq, own, refusal)
        try:
            self._check_seq(request.seq, "stopped, but ", own)
        except Refusal as error:
            return _reply(request.seq, (), error)
        try:
            _only(_args(pairs, "stopped, but "), ("sess", "mac"), "stopped, but ")  # sess and mac are not looked at
        except Refusal as error:
            refusal = error
        return self._taken(request, own, refusal, line)

    # ---- a line typed by hand

    def _typed(self, text):
        """It may ask or stop; the answer is plain text. STOP is obeyed whatever follows it on the line."""
        words = text.split()
        verb = words[0].upper()
        need = self._needs(verb)
        try:
            if need == "stop":
                words = words[:1]
            elif need != "ask" or not (verb == "HELP" or verb.endswith("?")):
                raise Refusal("VERB", "by hand only STOP, HELP and the questions in its list")
            args = _args(frame.parse_fields(" ".join(words[1:]).lower()))
            return Request(verb, args, bare=True), _plain, ()
        except (Refusal, frame.WireError) as error:
            self._send(frame.plain_error(error.code, error.text))
        return None


def _next_seq(seq):
    return 1 if seq >= _LAST_SEQ else seq + 1


def _reply(seq, own, refusal):
    if refusal:
        return frame.reply_error(seq, refusal.code, refusal.text, refusal.fields)
    return frame.reply_ok(seq, own)


def _plain(request, own, refusal):
    """The answer to a line typed by hand."""
    return frame.plain_error(refusal.code, refusal.text) if refusal else frame.plain_ok(own)


def _value(pairs, name):
    """The first value of that name, None without one."""
    for own, value in pairs:
        if own == name:
            return value
    return None


def _args(pairs, prefix=""):
    """{name: value}; Refusal ARG for a doubled name."""
    args = {}
    for name, value in pairs:
        if name in args:
            raise Refusal("ARG", "%s%s= stands there twice" % (prefix, name))
        args[name] = value
    return args


def _only(args, allowed, prefix):
    for name in args:
        if name not in allowed:
            raise Refusal("ARG", "%s%s= is unknown here" % (prefix, name))
