"""What the host and a person at the line may ask (R-MON-1, R-MON-2). Nothing here changes anything."""

from doseloop import caps, commands, judge, label, records
from doseloop.ledger import DOSE
from doseloop.staging import staged_program
from doseloop.units import DAY_MS, Refusal, mcg_text, nl_of_steps

VERSION = "0.1.0"


def answer_hello(pump, fields, request):
    return [("fw", VERSION), ("board", pump.board["name"]), ("uid", pump.hal.uid())]


def answer_identity(pump, fields, request):
    """Version, content hash and commit of what runs: what tools/image.py and tools/flash.py put on the board."""
    return [("maker", "doseloop")] + answer_hello(pump, fields, request) + [("hash", pump.hal.code_hash()), ("git", _commit())]


def _commit():
    """The commit named in build_id.py, which image and flash make; "none" where neither was at work."""
    try:
        from build_id import GIT
    except ImportError:
        return "none"
    return GIT


def answer_help(pump, fields, request):
    asks = [verb for verb in sorted(commands.VERBS) if verb.endswith("?")]
    return [("text", "bench rig, no medical device; by hand: STOP HELP " + " ".join(asks))]


def answer_dictionary(pump, fields, request):
    index = fields.get("from", 0)
    count = len(commands.VERBS)
    if index >= count:
        raise Refusal("ARG", "from wants 0 to %d" % (count - 1))
    return commands.describe(index) + [("next", index + 1 if index + 1 < count else 0)]


def answer_status(pump, fields, request):
    pump.watch.settle_force(pump.clock.elapsed)
    return _PARTS[fields.get("part", "")](pump)


def _compact(pump):
    now = pump.clock.elapsed
    ledger, therapy, program = pump.ledger, pump.therapy, pump.basal.program
    top = pump.alarms.top()
    return (
        [
            ("state", state_word(pump)),
            ("phase", therapy.phase),
            ("prog", program.name if program else "none"),
            ("hash", program.hash if program else "none"),
            ("rate", "%dng/h" % (pump.basal.rate_ng_h(now) if pump.delivering else 0)),
            ("today", "%dng" % ledger.today_ng()),
        ]
        + _doses(pump)
        + [
            ("res", "%dnl" % pump.reservoir.remaining_nl()),
            ("refill_by", "%ds" % refill_by_s(pump)),
            ("battery", "%dmv" % (pump.battery.mv or pump.hal.battery_mv())),
            ("alarms", pump.alarms.count()),
            ("top", top or "none"),
            ("obs", "%ds" % (max(0, pump.observe_until - now) // 1000)),
        ]
        + _last(pump)
        + [
            ("clock", "set" if pump.clock.is_set() else "lost"),
            ("self", "pass" if pump.self_test.passed else "no"),
            ("fluid", pump.reservoir.fluid),
            ("origin", therapy.origin),
            ("key", pump.keys.state),
            ("now", "%ds" % pump.clock.unix_s()),
        ]
    )


def _doses(pump):
    authorised, witnessed = pump.ledger.day_ng(pump.clock.elapsed)
    since = pump.ledger.since_refill()
    return [
        ("day", "%dng" % authorised),
        ("day_wit", "%dng" % witnessed),
        ("refill", "%dng" % since[2]),
        ("refill_wit", "%dng" % since[3]),
    ]


def _last(pump):
    last = pump.deliveries.last
    command = pump.last_command or ("none", "00000000", "none")
    if last and (pump.last_command is None or command[1] == "%08x" % last.number):
        command = (last.verb, "%08x" % last.number, last.outcome)
    pairs = [("last", command[0]), ("last_id", command[1]), ("outcome", command[2])]
    if last is None:
        return pairs + [("steps", 0), ("volume", "0nl")]
    made = last.made if last.ended is not None else 0
    return pairs + [("steps", made), ("volume", "%dnl" % last.made_nl)]


def state_word(pump):
    """idle, running, stopped, empty or fault."""
    if pump.delivering:
        return "running"
    if pump.run:
        return "empty" if pump.alarms.is_on("RESERVOIR_EMPTY") else "fault"
    return "stopped" if pump.therapy.first_run is not None else "idle"


def refill_by_s(pump):
    """Unix seconds of the refill date: RESERVOIR_LOW's coming on or the expiry, the earlier (R-FIL-3); 0 if unknown."""
    due = pump.watch.fresh_forecast(pump.clock.elapsed)
    by = pump.clock.unix_s_at(due) if due is not None else 0
    expiry = pump.expiry_s()
    return min(by, expiry) if by and expiry else by or expiry


def _account(pump):
    ledger = pump.ledger
    now = pump.clock.elapsed
    since = ledger.since_refill()
    outstanding = pump.dosing.outstanding(now)
    total = ledger.total_steps()
    extra = sum([ledger.steps[name] for name in ("prime", "test", "moved")])
    return [
        ("authorised", total),
        ("commanded", total + outstanding),
        ("stepped", pump.steps_before_boot + pump.hal.stepped()),
        ("witness", ledger.counts),
        ("auth", "%dnl" % since[0]),
        ("wit", "%dnl" % since[1]),
        ("total", "%dnl" % ledger.authorised_nl.total),
        ("total_wit", "%dnl" % ledger.witnessed_nl.total),
        ("basal", total - extra - ledger.bolus_steps),
        ("bolus", ledger.bolus_steps),
        ("prime", ledger.steps["prime"]),
        ("test", ledger.steps["test"]),
        ("moved", ledger.steps["moved"]),
        ("uncertain", "%dnl" % ledger.uncertain_nl),
        ("late", pump.dosing.late),
        ("reserved", pump.dosing.reserved),
    ]


def _motion(pump):
    dosing = pump.dosing
    return [
        ("spm", pump.ledger.steps_per_ml),
        ("lead", "%dms" % max(0, dosing.chain_left_ms(pump.clock.ticks))),
        ("outstanding", dosing.outstanding(pump.clock.elapsed)),
        ("late", dosing.late),
        ("late_steps", dosing.late_steps),
        ("enable", "on" if pump.delivering or pump.deliveries.current else "off"),
        ("slack", pump.board["witness_slack_counts"]),
        ("counts_per_turn", pump.board["encoder_counts_per_turn"]),
        ("steps_per_turn", pump.board["steps_per_turn"]),
        ("dropped_events", pump.wire.dropped),
        ("frame_errors", pump.wire.frame_errors),
    ]


def _supplies(pump):
    reservoir, cal = pump.reservoir, pump.calibration
    days = pump.battery.days_left()
    line_conc = pump.line.holds(pump.ledger.steps[DOSE])
    return [
        ("fluid", reservoir.fluid),
        ("res", "%dnl" % reservoir.remaining_nl()),
        ("usable", "%dnl" % reservoir.usable_nl()),
        ("capacity", "%dnl" % reservoir.capacity_nl),
        ("threshold", "%dnl" % reservoir.threshold_nl),
        ("conc", "%dmcg/ml" % reservoir.conc),
        ("lot", reservoir.lot or "none"),
        ("expiry", _date_text(reservoir.expiry)),
        ("refill_by", "%ds" % refill_by_s(pump)),
        ("battery", "%dmv" % (pump.battery.mv or pump.hal.battery_mv())),
        ("days", "unknown" if days is None else days),
        ("line", "none" if line_conc is None else "%dmcg/ml" % line_conc),
        ("bridge", "%dnl" % nl_of_steps(pump.ledger.bridge_left(), pump.ledger.steps_per_ml)),
        ("prime_left", "%dnl" % pump.line.prime_left_nl),
        ("rate_min", "%dnl/h" % (cal["rate_min"] if cal else 0)),  # what the calibration was measured over: the host warns outside it
        ("rate_max", "%dnl/h" % (cal["rate_max"] if cal else 0)),
        ("calibrated", "yes" if cal else "no"),
    ]


def _therapy(pump):
    therapy = pump.therapy
    now = pump.clock.elapsed
    program, base = therapy.last_run, therapy.base(now)
    since = "never" if therapy.last_increase is None else "%ds" % ((now - therapy.last_increase) // 1000)
    return [
        ("population", therapy.population or "none"),
        ("birth", _date_text(therapy.birth)),
        ("injury", _date_text(therapy.injury)),
        ("phase", therapy.phase),
        ("origin", therapy.origin),
        ("screen", "%dng" % therapy.screen_ng),
        ("effect", therapy.effect),
        ("last_run", program.hash if program else "none"),
        ("daily", "%dng" % (base.daily.ceil() if base else 0)),
        ("high", "%dng" % (base.high.ceil() if base else 0)),
        ("low", "%dng" % (base.low.floor() if base else 0)),
        ("holiday", _holiday_text(program, now)),
        ("last_increase", since),
        ("running_for", "%ds" % (therapy.running_for(now) // 1000)),
        ("bolus_given", "%dng" % pump.deliveries.given_ng(now)),
    ]


def _date_text(date):
    return "%d-%02d-%02d" % date if date else "none"


def _holiday_text(program, now):
    """`3/14`: the third of fourteen days; `over` after its zero."""
    if program is None or not program.is_taper or program.start is None:
        return "none"
    day, days = (now - program.start) // DAY_MS + 1, len(program.days_ng)
    return "%d/%d" % (day, days) if day <= days else "over"


def _caps(pump):
    now = pump.clock.elapsed
    if not pump.clock.is_set() and pump.therapy.birth:
        raise Refusal("CLOCK_LOST", "the time of day is unset, and caps need the age; TIME set=..s offset=..min first")
    today = pump.clock.today() if pump.clock.is_set() else None
    offset = [("offset", "%dmin" % pump.clock.offset_min)]
    return caps.find_caps(pump.therapy, today, now) + caps.history(pump.therapy, now, pump.delivering) + offset


def _trial(pump):
    therapy, trial, now = pump.therapy, pump.therapy.trial, pump.clock.elapsed
    coming = therapy.trial.next_doses(therapy.population) if therapy.phase in (label.NONE, label.SCREENING) else ()
    return [
        ("phase", therapy.phase),
        ("last", "%smcg" % mcg_text(trial.dose_ng)),
        ("since", "never" if trial.started is None else "%ds" % ((now - trial.started) // 1000)),
        ("ended", "never" if trial.ended is None else "%ds" % ((now - trial.ended) // 1000)),
        ("outcome", trial.outcome),
        ("response", trial.response),
        ("effect", therapy.effect),
        ("next", "+".join(["%smcg" % mcg_text(dose) for dose in coming]) or "none"),
    ]


_PARTS = {
    "": _compact,
    "account": _account,
    "caps": _caps,
    "motion": _motion,
    "supplies": _supplies,
    "therapy": _therapy,
    "trial": _trial,
}


def answer_program(pump, fields, request):
    program = pump.basal.program
    if program is None:
        raise Refusal("STATE", "no program is committed; PROG:NEW name=..")
    index = fields.get("from", 0)
    if index >= len(program.lines):
        raise Refusal("ARG", "from wants 0 to %d" % (len(program.lines) - 1))
    following = index + 1 if index + 1 < len(program.lines) else 0
    return [("hash", program.hash), ("line", program.lines[index]), ("next", following)]


def answer_check(pump, fields, request):
    """PROG:CHECK?: the staged program read back, and what an attended commit would say now."""
    program = staged_program(pump, request.sess)
    pump.watch.settle_force(pump.clock.elapsed)
    verdict, confirm = "OK", judge.confirmations(program)
    try:
        finding = judge.check(pump.therapy, program, case_of(pump, {"attended": "yes", "reason": fields.get("reason")}))
        text, confirm = "+".join(finding.notes), finding.confirm
    except Refusal as refusal:
        verdict, text = refusal.code, refusal.text
    return [
        ("hash", program.hash),
        ("daily", "%dng" % program.daily.ceil()),
        ("high", "%dng" % program.high.ceil()),
        ("low", "%dng" % program.low.floor()),
        ("confirm", "+".join(confirm) or "none"),
        ("verdict", verdict),
        ("text", text or "none"),
    ]


def case_of(pump, fields):
    """What is true around a request to start a program."""
    clock = pump.clock
    if not clock.is_set():
        raise Refusal("CLOCK_LOST", "the time of day is unset; TIME set=..s offset=..min first")
    return judge.Case(
        clock.elapsed,
        clock.today(),
        clock.week_ms(clock.elapsed),
        pump.reservoir.conc,
        pump.board,
        pump.basal,
        fields.get("attended") == "yes",
        fields.get("reason"),
        old_conc=pump.line.conc if pump.ledger.bridge_left() else 0,
    )


def answer_alarms(pump, fields, request):
    active = pump.alarms.active()
    index = fields.get("from", 0)
    if index >= len(active):
        return [("count", len(active)), ("next", 0)]
    row = active[index]
    return [
        ("id", row.code),
        ("priority", ("NONE", "LOW", "MEDIUM", "HIGH")[row.priority]),
        ("cause", "on" if row.cause else "off"),
        ("acked", "yes" if row.acked else "no"),
        ("since", "%ds" % pump.clock.unix_s_at(row.since)),
        ("text", row.detail or row.text),
        ("count", len(active)),
        ("next", index + 1 if index + 1 < len(active) else 0),
    ]


def answer_log(pump, fields, request):
    """One entry from number `from` on, oldest first; from=0 is the oldest kept."""
    for seq, kind, elapsed, wall_s, payload in pump.keeper.journal.records("log", fields.get("from", 0)):
        newest = pump.keeper.journal.newest("log")[0]
        return [
            ("n", seq),
            ("t", "%dms" % elapsed),
            ("wall", "%ds" % wall_s),
            ("what", records.LOG_KINDS.get(kind, "other")),
            ("text", payload.decode()),
            ("next", seq + 1 if seq < newest else 0),
        ]
    return [("n", 0), ("next", 0)]


def answer_self_test(pump, fields, request):
    """The last word on each part, and how many seconds ago it was looked at."""
    found = pump.self_test.words()
    return [(name, word) for name, word, _ in found] + [(name + "_ago", "%ds" % ago_s) for name, _, ago_s in found]


def answer_error(pump, fields, request):
    """The last refusal, for a person who missed it."""
    code, text = pump.last_error
    return [("code", code), ("text", text or "no error")]


ASK = {
    "HELLO": answer_hello,
    "*IDN?": answer_identity,
    "HELP": answer_help,
    "DICT?": answer_dictionary,
    "STAT?": answer_status,
    "PROG?": answer_program,
    "PROG:CHECK?": answer_check,
    "ALAR?": answer_alarms,
    "LOG?": answer_log,
    "SELF?": answer_self_test,
    "SYST:ERR?": answer_error,
}
