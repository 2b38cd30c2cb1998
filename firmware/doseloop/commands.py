"""The verb table: every verb, who may, its fields with units and limits. DICT? and the checks below read it.

dispatch() is the one way in: fields are checked against the table first, then what every dated command must show, then
the handler decides. A refusal has changed nothing.
"""

from doseloop import records
from doseloop.auth import ROLES
from doseloop.label import (
    CLOCK_LEAD_S,
    HOLIDAY_DAYS_MOST,
    OBSERVE_LEAST_H,
    OBSERVE_MOST_H,
    POPULATIONS,
    SCREEN_TIME_MOST_S,
    SCREEN_TIME_S,
    TTL_MAX_S,
)
from doseloop.line import PARTS
from doseloop.port import refuse_catheter_port
from doseloop.undo import keep
from doseloop.units import Refusal, collect_garbage, parse_date, parse_integer, parse_quantity, printable

# Field kinds: ("q", unit, least, most) quantity; ("n", least, most) count; ("w", words) one of; ("t", most) text;
# ("d",) date; ("h", digits) hex. A name ending in "?" may be left out.
_VOLUME = ("q", "nl", 1, 100_000_000)
_ID = ("h", 8)
_FLUID_DATE = {"expiry?": ("d",)}
_DATED = {"id": _ID, "at": ("q", "s", 0, 99_999_999_999), "ttl": ("q", "s", 0, TTL_MAX_S)}
_DAY_WORDS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun", "all")
_FROM = {"from?": ("n", 0, 9_999_999)}
_YES = ("w", ("yes", "no"))
_OBSERVE = {"observe?": ("q", "h", OBSERVE_LEAST_H, OBSERVE_MOST_H)}


def _with(*tables):
    merged = {}
    for table in tables:
        merged.update(table)
    return merged


# verb -> (who, fields). who: ask (anybody), stop, operator, service.
VERBS = {
    "HELLO": ("ask", {}),
    "*IDN?": ("ask", {}),
    "HELP": ("ask", {}),
    "DICT?": ("ask", _FROM),
    "STAT?": ("ask", {"part?": ("w", ("therapy", "caps", "trial", "supplies", "account", "motion"))}),
    "ALAR?": ("ask", _FROM),
    "PROG?": ("ask", _FROM),
    "LOG?": ("ask", _FROM),
    "SELF?": ("ask", {}),
    "SYST:ERR?": ("ask", {}),
    "AUTH": ("ask", {}),
    "STOP": ("stop", {}),
    "TIME": ("operator", {"set": ("q", "s", 1_577_836_800, 4_102_444_800), "offset": ("q", "min", -840, 840)}),
    "PROG:NEW": ("operator", {"name": ("t", 32)}),
    "PROG:SET": (
        "operator",
        {
            "conc?": ("t", 24),
            "bolus_volume?": ("t", 24),
            "bolus_time?": ("t", 24),
            "bolus_lockout?": ("t", 24),
            "bolus_allowance?": ("t", 24),
        },
    ),
    "PROG:SEG": ("operator", {"day": ("w", _DAY_WORDS), "from": ("t", 5), "dose": ("t", 24)}),
    "PROG:TAPER": ("operator", {"day": ("n", 1, HOLIDAY_DAYS_MOST), "dose": ("t", 24)}),
    "PROG:CHECK?": ("ask", {"reason?": ("w", ("OVERDOSE",))}),
    "PROG:COMMIT": (
        "operator",
        _with(
            {"hash": ("h", 16), "confirm?": ("h", 8), "reason?": ("w", ("OVERDOSE",)), "attended?": _YES, "route?": ("t", 24)},
            _OBSERVE,
            _DATED,
        ),
    ),
    "RUN": ("operator", _DATED),
    "EMPTY": ("operator", {"id": _ID}),
    "DOSE:BOLUS": ("operator", _with({"volume": _VOLUME, "path": ("t", 24)}, _DATED)),
    "DOSE:SCREEN": (
        "operator",
        _with(
            {"dose": ("q", "mcg", 1, 1000), "path": ("t", 24), "time?": ("q", "s", SCREEN_TIME_S, SCREEN_TIME_MOST_S)},
            {"attended?": _YES, "route?": ("t", 24)},
            _DATED,
        ),
    ),
    "DOSE:PRIME": ("operator", _with({"volume": _VOLUME, "path": ("t", 24), "connected": _YES, "confirm?": ("h", 8)}, _DATED)),
    "RES:REFILL": (
        "operator",
        _with(
            {
                "path": ("t", 24),
                "fluid": ("w", ("drug", "test")),
                "drug?": ("t", 24),
                "volume": _VOLUME,
                "conc?": ("q", "mcg/ml", 0, 10_000),
                "lot?": ("t", 24),
                "withdrawn": ("q", "nl", 0, 100_000_000),
                "stored?": ("w", ("ok", "no")),
                "attended?": _YES,
            },
            _FLUID_DATE,
            _OBSERVE,
            _DATED,
        ),
    ),
    "CAL:SET": (
        "service",
        {
            "spm": ("n", 10_000, 1_000_000),
            "points": ("n", 2, 99),
            "spread_ppm": ("n", 0, 200_000),
            "tube": ("t", 24),
            "tube_hours": ("n", 0, 100_000),
            "date": ("d",),
            "hours": ("n", 1, 100_000),
            "volume": ("q", "ul", 1, 100_000_000),
            "rate_min": ("q", "nl/h", 0, 150_000_000),
            "rate_max": ("q", "nl/h", 1, 150_000_000),
            "confirm?": ("h", 8),
        },
    ),
    "LINE:NEW": ("service", {"part": ("w", PARTS), "id": _ID}),
    "CAL:MOVE": ("service", _with({"steps": ("n", 1, 1_000_000), "rate": ("q", "/s", 1, 4000)}, _DATED)),
    "ALAR:ACK": ("operator", {"id": ("t", 24)}),
    "ALAR:MUTE": ("operator", {}),
    "ALAR:TEST": ("operator", {}),
    "SCREEN:RESPONSE": ("operator", {"result?": ("w", ("positive", "inadequate")), "effect?": ("w", ("short", "long")), "id": _ID}),
    "SCREEN:NEW": ("service", {"id": _ID}),
    "THER:RECORD": (
        "operator",
        {"population": ("w", POPULATIONS), "birth": ("d",), "injury": ("t", 10), "confirm?": ("h", 8)},
    ),
    "THER:RESPONSE": ("operator", {"result": ("w", ("adequate", "inadequate")), "id": _ID}),
    "THER:IMPORT": (
        "service",
        {
            "population": ("w", POPULATIONS),
            "birth": ("d",),
            "injury?": ("t", 10),
            "phase": ("w", ("screened", "first", "titration", "maintenance")),
            "hash?": ("h", 16),
            "screen": ("q", "mcg", 25, 100),
            "effect": ("w", ("short", "long", "unknown")),
            "increase_ago": ("q", "s", 0, 999_999_999),
            "volume": ("q", "nl", 0, 100_000_000),
            "conc": ("q", "mcg/ml", 1, 10_000),
            "lot": ("t", 24),
            "expiry": ("d",),
            "confirm?": ("h", 8),
        },
    ),
    "THER:PHASE": ("operator", {"phase": ("w", ("maintenance", "titration"))}),
    "TEST:FLOW": ("service", _with({"volume": _VOLUME, "rate": ("q", "nl/h", 1000, 150_000_000)}, _DATED)),
    "TEST:BOLUS": ("service", _with({"volume": _VOLUME, "time": ("q", "s", 1, 86_400)}, _DATED)),
    "KEY:SET": ("service", {"role": ("w", ROLES), "key": ("h", 64), "check": ("h", 16)}),
    "MAINT": ("service", {}),
}

# Verbs that a reservoir of test fluid forbids (R-CAL-2).
_THERAPY_VERBS = ("PROG:COMMIT", "RUN", "DOSE:BOLUS", "DOSE:PRIME", "DOSE:SCREEN", "THER:IMPORT", "THER:PHASE")

# Verbs that change what is kept: done and saved, or refused (undo.py). TIME and EMPTY have something to do before or after it; STOP is
# obeyed whatever becomes of the record; a delivery's record is its intent.
_KEPT = (
    "PROG:COMMIT",
    "RUN",
    "RES:REFILL",
    "CAL:SET",
    "LINE:NEW",
    "ALAR:ACK",
    "SCREEN:RESPONSE",
    "SCREEN:NEW",
    "THER:RECORD",
    "THER:RESPONSE",
    "THER:IMPORT",
    "THER:PHASE",
)


def needs(verb):
    """Who may use this verb, for wire.py; None if there is none."""
    return VERBS[verb][0] if verb in VERBS else None


class Commands:
    """handlers: {verb: function(pump, fields, request) -> [(name, value)]}."""

    def __init__(self, pump, handlers):
        self._pump = pump
        self._handlers = handlers
        self._stops = 0  # STOPs since the last other order

    def dispatch(self, request):
        """What wire.py calls; logs every command and refusal (R-MON-2)."""
        asks = VERBS[request.verb][0] == "ask"
        try:
            fields = check_fields(VERBS[request.verb][1], request.args)
            known = self._already_done(request.verb, fields)
            if known:
                return known
            self._check_common(request.verb, fields)
            reply = self._act(request, fields)
        except Refusal as refusal:
            self._pump.last_error = (refusal.code, refusal.text)
            if not asks:
                if "id" in request.args:
                    self._pump.last_command = (request.verb, request.args["id"][:8], "REFUSED")
                self._pump.keeper.log(records.REFUSED, "%s %s %s" % (request.verb, refusal.code, refusal.text))
            raise
        if not asks and self._is_news(request.verb):
            self._pump.keeper.log(records.COMMAND, _log_text(request))
        return reply

    def _act(self, request, fields):
        act, given, kept = self._handlers[request.verb], (self._pump, fields, request), request.verb in _KEPT
        try:
            return keep(self._pump, act, *given) if kept else act(*given)
        except MemoryError:
            if not kept and not request.verb.startswith("PROG:") and VERBS[request.verb][0] != "ask":
                raise  # nobody knows how far it came: a reset does, from the record
        self._pump.stage = None
        collect_garbage()
        raise Refusal("MEMORY", "no room for that now, nothing is changed; what was staged is dropped, begin again with PROG:NEW")

    def _is_news(self, verb):
        """STOP needs no key: of one said again and again the log takes the 1st, 2nd, 4th, 8th, ... so that it pushes nothing out."""
        self._stops = self._stops + 1 if verb == "STOP" else 0
        return self._stops & (self._stops - 1) == 0

    def _already_done(self, verb, fields):
        """A delivery verb whose id was executed before: its outcome, and nothing is done twice."""
        if VERBS[verb][1].get("id") != _ID:
            return None
        entry = self._pump.deliveries.seen(int(fields["id"], 16))
        if entry is None:
            return None
        if entry[1] != verb:
            raise Refusal("ARG", "id %s was used for %s; choose another" % (fields["id"], entry[1]))
        return [("outcome", entry[2]), ("repeated", "yes")]

    def _check_common(self, verb, fields):
        """CATHETER_PORT, CLOCK_LOST, STALE, TEST_FLUID, in the order of REQUIREMENTS.md."""
        refuse_catheter_port(fields)
        if "at" in fields:
            self._check_fresh(fields["at"], fields["ttl"])
        if self._pump.reservoir.fluid == "test" and (verb in _THERAPY_VERBS or fields.get("fluid") == "drug"):
            self._check_test_fluid(fields)

    def _check_test_fluid(self, fields):
        if fields.get("fluid") == "drug" and self._pump.reservoir.emptied:
            return
        raise Refusal("TEST_FLUID", "the reservoir holds test fluid; EMPTY it and refill with drug")

    def _check_fresh(self, at_s, ttl_s):
        clock = self._pump.clock
        if not clock.is_set():
            raise Refusal("CLOCK_LOST", "the time of day is unset; TIME set=..s offset=..min first")
        age_s = clock.unix_s() - at_s
        if not -CLOCK_LEAD_S <= age_s <= ttl_s:
            raise Refusal("STALE", "sent %d s ago, ttl %d s; send it again with the time now" % (age_s, ttl_s))


def check_fields(spec, args):
    """The fields of a request by its verb's table, parsed. Refusal ARG (unknown), MISSING, UNIT or ARG (value)."""
    for name in args:
        if name not in spec and name + "?" not in spec:
            raise Refusal("ARG", "unknown field %s; known: %s" % (printable(name), _known(spec)))
    for name in spec:
        if not name.endswith("?") and name not in args:
            raise Refusal("MISSING", "%s is missing; fields: %s" % (name, _known(spec)))
    fields = {}
    for name, text in args.items():
        kind = spec.get(name) or spec[name + "?"]
        fields[name] = _PARSE[kind[0]](name, text, kind)
    return fields


def _known(spec):
    return " ".join(sorted(spec)) or "none"


def _parse_quantity(name, text, kind):
    return _in_range(name, parse_quantity(text, kind[1], name, kind[2] < 0), kind[2], kind[3], kind[1])


def _parse_count(name, text, kind):
    return _in_range(name, parse_integer(text, name), kind[1], kind[2], "")


def _in_range(name, value, least, most, unit):
    if not least <= value <= most:
        raise Refusal("ARG", "%s %d%s is outside %d to %d" % (name, value, unit, least, most))
    return value


def _parse_word(name, text, kind):
    if text not in kind[1]:
        raise Refusal("ARG", "%s wants one of %s, not %s" % (name, " ".join(kind[1]), printable(text)))
    return text


def _parse_text(name, text, kind):
    if not 0 < len(text) <= kind[1]:
        raise Refusal("ARG", "%s wants 1 to %d characters" % (name, kind[1]))
    return text


def _parse_date(name, text, kind):
    return parse_date(text, name)


def _parse_hex(name, text, kind):
    if len(text) != kind[1] or [c for c in text if c not in "0123456789abcdef"]:
        raise Refusal("ARG", "%s wants %d digits of 0-9a-f" % (name, kind[1]))  # what came may be a key: it is not said again
    return text


_PARSE = {"q": _parse_quantity, "n": _parse_count, "w": _parse_word, "t": _parse_text, "d": _parse_date, "h": _parse_hex}

def _log_text(request):
    shown = ["%s=%s" % item for item in request.args.items() if item[0] not in ("id", "at", "ttl", "key", "check")]
    return " ".join([request.verb] + shown)


def describe(index):
    """One record of DICT?: the verb, who may, its fields with units and limits."""
    verb = sorted(VERBS)[index]
    who, fields = VERBS[verb]
    texts = ["%s:%s" % (name, _kind_text(fields[name])) for name in sorted(fields)]
    return [("verb", verb), ("who", who), ("text", " ".join(texts))]


def _kind_text(kind):
    if kind[0] == "q":
        return "%d..%d%s" % (kind[2], kind[3], kind[1])
    if kind[0] == "n":
        return "%d..%d" % (kind[1], kind[2])
    if kind[0] == "w":
        return "|".join(kind[1])
    return {"t": "text", "d": "date", "h": "hex"}[kind[0]] + (str(kind[1]) if len(kind) > 1 else "")
