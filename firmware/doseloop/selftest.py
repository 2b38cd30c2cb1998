"""The self-test: what must be seen to work before a bolus is allowed (R-BOL-3), at start and again each hour.

One part a turn, the code a slice a turn, so that the loop is never late. SELF? shows each part's last word and how long ago:
pass; wait; none (this board has no way to tell); all else is a failure and allows no bolus. What alone withholds basal (R-ALM-11):
storage without a good copy, a program of which no copy is good, a code hash that fails (all three MEMORY_FAULT) and a dead step engine.
"""

from doseloop import records, snapshot
from doseloop.battery import is_possible
from doseloop.dosing import seal
from doseloop.taper import make_program
from doseloop.units import HOUR_MS, MINUTE_MS, SECOND_MS, const

PASS, FAIL, WAIT, NONE = "pass", "FAIL", "wait", "none"
_UNKEPT = "unkept"  # sound, but not in the storage: no bolus
_GOOD = (PASS, NONE)
_LEAST_MV = const(1500)  # project: no motor turns on less
_TURN_MS = 10  # between two parts, or two slices of the code, while a test is on: 3 s for an image
_DELIVERY_MS = SECOND_MS  # a delivery moves: the test waits


class SelfTest:
    """start() once, turn() each turn of the loop; due_in() says when it wants the next."""

    def __init__(self, pump):
        self._pump = pump
        self.found = {}  # part: (word, elapsed ms)
        self.passed = False  # a whole test was passed and nothing has failed since
        self._next = 0  # elapsed ms of the next part
        self._part = 0
        self._slices = None  # of the code, while it is looked over
        self._failed = ""  # what failed in the last test, as it was logged
        self._pieces = -1  # of the dosing plan, when memory was looked at last
        self._sealed = (None, 0, "")  # the program, its seal, its hash
        self._board = seal(sorted(pump.board.items()))
        self._rest = (0, pump.motion_counts())  # steps commanded and counts witnessed, when last looked at

    def start(self):
        """After boot.restore: all at once but the port switch, which has to settle, and the code; they follow in the first seconds."""
        now = self._pump.clock.elapsed
        self._write()
        for name, look in _PARTS[:-2]:
            self._note(name, look(self, now), now)
        self._part = len(_PARTS) - 2

    def due_in(self, now):
        return max(0, self._next - now)

    def turn(self, now):
        pump = self._pump
        if pump.dosing.pieces != self._pieces:  # what a new piece is made of is looked at before much of it is made
            if self.memory(now) == FAIL:
                self._note("program", FAIL, now)
        if now < self._next:
            return
        if pump.deliveries.current:
            self._next = now + _DELIVERY_MS
            return
        self._next = now + _TURN_MS
        name, look = _PARTS[self._part]
        word = look(self, now)
        if word:
            self._note(name, word, now)
            self._part = (self._part + 1) % len(_PARTS)
            if not self._part:
                self._end(now)

    def words(self):
        """[(part, word, seconds ago)] for SELF?."""
        now = self._pump.clock.elapsed
        found = [(name, self.found.get(name, (WAIT, now))) for name, _ in _PARTS]
        return [(name, word, (now - at) // SECOND_MS) for name, (word, at) in found]

    def _note(self, name, word, now):
        self.found[name] = (word, now)
        if word not in _GOOD:
            self.passed = False
        pump = self._pump
        broken = [part for part in _WITHHOLD if part in self.found and self.found[part][0] == FAIL]
        pump.alarms.set("MEMORY_FAULT", bool(broken), now, "no good copy: " + " ".join(broken))

    def _end(self, now):
        """A whole test is over: a failed one is tried again in a minute."""
        failed = " ".join([name for name, word, _ in self.words() if word not in _GOOD])
        self.passed = not failed
        self._next = now + (MINUTE_MS if failed else HOUR_MS)
        if failed != self._failed:
            self._failed = failed
            self._pump.keeper.log(records.CHANGE, "self-test " + ("failed: " + failed if failed else "passed"))

    # Memory: the program, and the plan that is carried out.

    def memory(self, now):
        """The program and the plan in memory are what they were, else the stored copy runs (R-ALM-8); the word for SELF?."""
        pump = self._pump
        self._pieces = pump.dosing.pieces
        program = pump.basal.program
        if program is not self._sealed[0]:
            self._take(program)
        elif _seal_of(program) != self._sealed[1]:
            return self._read_back(now)
        if not pump.deliveries.current and not pump.dosing.is_sealed():
            pump.dosing.drop_plan()
            pump.restart_motion(now)
            self._say(now, "plan in memory made anew")
        return PASS

    def is_sound(self):
        """The program in memory is one to be saved."""
        return self.memory(self._pump.clock.elapsed) == PASS

    def _take(self, program):
        self._sealed = (program, _seal_of(program), program and program.hash)

    def _read_back(self, now):
        pump = self._pump
        state, _ = pump.keeper.load()
        lines = state and state["program"]
        fresh = make_program(lines) if lines else None
        if fresh is None or fresh.hash != self._sealed[2]:
            return FAIL
        if fresh.is_taper:
            fresh.start = state["taper_from"]
        self._take(fresh)
        pump.exchange_program(fresh)
        self._say(now, "program in memory read back")
        return PASS

    def _say(self, now, text):
        """A fault of memory with a good copy: it latches, basal goes on."""
        pump = self._pump
        pump.flow()
        if not pump.alarms.is_on("MEMORY_FAULT"):
            pump.alarms.raise_("MEMORY_FAULT", now, text)

    # Parts.

    def _memory(self, now):
        if self.memory(now) == FAIL:
            return FAIL
        keeper, program = self._pump.keeper, self._pump.basal.program
        data = keeper.journal.load("state")[0]
        if program is None or (data and snapshot.holds(data, program)):
            return PASS
        keeper.dirty = True  # the one in memory is sound and runs on (R-ALM-11); it is to be kept again
        return _UNKEPT

    def _write(self):
        keeper = self._pump.keeper
        keeper.save(snapshot.dump(self._pump))

    def _storage(self, now):
        """Both copies of the state can be read, or written anew and then read."""
        keeper = self._pump.keeper
        verdict = keeper.load()[1]
        if verdict in ("bad", "none"):
            self._write()
            verdict = keeper.load()[1]
        if verdict in ("bad", "none"):
            return FAIL
        if verdict == "one_bad":
            self._say(now, "one copy of the state damaged")
        return PASS if verdict == "good" and not keeper.failing else "damaged"

    def _clock(self, now):
        """It goes on (the loop would not turn without), and the kept clock, once set, is there."""
        clock = self._pump.clock
        return FAIL if clock.is_set() and not clock.keeps() else PASS

    def _engine(self, now):
        """It takes orders: at rest its two counts of its steps are one."""
        pump = self._pump
        dead = pump.engine_dead or (pump.dosing.is_empty() and pump.hal.revoke() != pump.hal.stepped())
        return FAIL if dead else PASS

    def _witness(self, now):
        """It moves with the motor, and rests with it."""
        pump = self._pump
        commanded, counts = self._rest
        self._rest = (pump.dosing.commanded, pump.motion_counts())
        crept = commanded == self._rest[0] and abs(self._rest[1] - counts) >= pump.board["witness_slack_counts"]
        return FAIL if crept or pump.motion.stalled else PASS

    def _port(self, now):
        """Its switch has been read open, or closed for long enough."""
        return PASS if self._pump.port.known else None

    def _battery(self, now):
        pump = self._pump
        mv = pump.hal.battery_mv()
        return PASS if pump.hal.probe("converter") is not False and (mv is None or (mv > _LEAST_MV and is_possible(mv))) else FAIL

    def _tone(self, now):
        """A board that cannot hear itself leaves it to a person: ALAR:TEST."""
        return {True: PASS, False: FAIL, None: NONE}[self._pump.hal.probe("buzzer")]

    def _data(self, now):
        return PASS if seal(sorted(self._pump.board.items())) == self._board else FAIL

    def _code(self, now):
        """The next slice of the code that runs; the word once it is through."""
        if self._slices is None:
            self._slices = self._pump.hal.code_check()
        word = next(self._slices)
        if word:
            self._slices = None
        return word


def _seal_of(program):
    if program is None:
        return 0
    if program.is_taper:
        return seal((program.lines, program.hash, program.days_ng, program.conc))
    return seal((program.lines, program.hash, program.starts_min, program.doses_ng, program.sums(), program.conc, program.bolus))


_WITHHOLD = ("storage", "program", "code")
_PARTS = (
    ("storage", SelfTest._storage),
    ("program", SelfTest._memory),
    ("clock", SelfTest._clock),
    ("engine", SelfTest._engine),
    ("witness", SelfTest._witness),
    ("battery", SelfTest._battery),
    ("tone", SelfTest._tone),
    ("board", SelfTest._data),
    ("port", SelfTest._port),
    ("code", SelfTest._code),
)
