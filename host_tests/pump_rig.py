"""The whole firmware in one process, over a board that keeps exact account and has real hardware's bad habits.

Its ticks wrap during most tests, its store is a dict that can lose power, its engine is a list of leases worked out
from the contract in hal.py. Commands go through the bench's own link, which shares no code with the firmware.
"""

from types import SimpleNamespace

from fakes.board import BOARD, DAY_MS, HOUR_MS, START_UNIX, TICKS, FakeBoard, MemoryStore, Resets  # noqa: F401 - for the tests

from doseloop.controller import Controller
from hil.errors import Refused
from hil.link import Link


class PumpRig:
    """A pump that runs, a host that talks to it, and virtual time that a test moves."""

    def __init__(self, board=None, ticks_start=TICKS - 50_000, store=None):
        self.store = store or MemoryStore()
        self._board = board
        self.hal = FakeBoard(self.store, ticks_start=ticks_start, board=board)
        self.edges_before = []
        self.skew_s = 0
        self.boots = 0
        self.link = None
        self._boot()

    def _boot(self):
        self.boots += 1
        self.controller = Controller(self.hal)
        self.pump = self.controller.pump
        self._wake = self.hal.us
        self.link = Link(SimpleNamespace(send=self._send, receive=self._receive, close=lambda: None), wall=self.unix, seed=self.boots)
        self.role = None

    def unix(self):
        """The host's clock; it follows the pump's where a test set that wrong on purpose."""
        return self.hal.us / 1e6 + START_UNIX + self.skew_s

    def connect(self, role="service"):
        self.link.hello()
        self.link.open_role(role)
        return self

    # time

    def turn(self):
        self._wake = self.hal.us + self.controller.turn() * 1000

    def advance(self, ms):
        """Move virtual time, waking the firmware when it asked for it."""
        end = self.hal.us + ms * 1000
        while self._wake < end:
            self.hal.advance_to(max(self._wake, self.hal.us))
            self.turn()
        self.hal.advance_to(end)
        self.turn()

    def open_port(self, is_open=True):
        """The switch changes; the board wakes the loop at the edge."""
        self.hal.reads_open = is_open
        self.hal.see_port()
        self.turn()

    # the line

    def _send(self, data):
        self.hal.to_pump += data

    def _receive(self, timeout_s):
        for _ in range(400):
            self.turn()
            if self.hal.from_pump and not self.hal.to_pump:
                break
        data, self.hal.from_pump = self.hal.from_pump, b""
        return data

    def ask(self, verb, **fields):
        return self.link.ask(verb, {k: str(v) for k, v in fields.items()})

    def do(self, verb, **fields):
        """Send a command; its reply. `from_` stands for `from`."""
        return self.link.command(verb, {k.rstrip("_"): str(v) for k, v in fields.items()})

    def refused(self, verb, **fields):
        """Send a command that must be refused; its code."""
        try:
            reply = self.do(verb, **fields)
        except Refused as refusal:
            return refusal.code
        raise AssertionError(f"{verb} was not refused: {reply}")

    # power

    def cut_power(self, outage_ms=0, clock_kept=True, cause=1):
        """The processor dies now; leases in the engine die with it. Then it boots again."""
        self.edges_before += self.hal.edges
        old = self.hal
        self.hal = FakeBoard(self.store, us=old.us + outage_ms * 1000, ticks_start=777, board=self._board)
        self.hal.rotor, self.hal.follow, self.hal.reads_open = old.rotor, old.follow, old.reads_open
        self.hal.rtc_offset, self.hal.rtc_valid = old.rtc_offset, clock_kept and old.rtc_valid
        self.hal.boot_cause = cause
        self._boot()
        return self

    def edges(self):
        return self.edges_before + self.hal.edges

    # stories

    def set_up(self, fluid_nl=18_000_000):
        """Clock and calibration."""
        self.connect()
        self.do("TIME", set=f"{int(self.unix())}s", offset="0min")
        self.do(
            "CAL:SET", spm=100_000, points=5, spread_ppm=3000, tube="T1", tube_hours=1, date="2027-05-01",
            hours=20_000, volume="100000000ul", rate_min="0nl/h", rate_max="100000nl/h",
        )  # fmt: skip
        return self

    def stage(self, segments, conc=2000, bolus=None, name="p"):
        """segments: [(day, from, ng)]; bolus: (nl, s, lockout s, ng). Returns the hash the pump read back."""
        self.do("PROG:NEW", name=name)
        self.do("PROG:SET", conc=f"{conc}mcg/ml")
        if bolus:
            for key, value, unit in zip(("volume", "time", "lockout", "allowance"), bolus, ("nl", "s", "s", "ng")):
                self.do("PROG:SET", **{"bolus_" + key: f"{value}{unit}"})
        for day, start, ng in segments:
            self.do("PROG:SEG", day=day, from_=start, dose=f"{ng}ng")
        return self.ask("PROG:CHECK?")["hash"]

    def take_over(self, segments, conc=2000, bolus=None, phase="titration", population="spinal", ago_s=100_000, volume=18_000_000, **more):
        """A therapy in progress, imported and not yet running."""
        self.set_up()
        digest = self.stage(segments, conc, bolus)
        fields = dict(
            population=population, birth="1980-05-01", phase=phase, hash=digest, screen="50mcg", effect="short",
            increase_ago=f"{ago_s}s", volume=f"{volume}nl", conc=f"{conc}mcg/ml", lot="L1", expiry="2029-01-01",
        )  # fmt: skip
        fields.update(more)
        try:
            self.do("THER:IMPORT", **fields)
        except Refused as refusal:
            if not refusal.code.startswith("CONFIRM_"):
                raise
            self.do("THER:IMPORT", confirm=refusal.fields["confirm"], **fields)
        return self

    def run(self):
        self.do("RUN")
        return self

    def commit(self, segments, conc=2000, bolus=None, **more):
        """Stage, read back, commit (with confirmation where asked); the reply, or Refused."""
        digest = self.stage(segments, conc, bolus)
        fields = {"hash": digest, "attended": "yes", "route": "intrathecal", **more}
        try:
            return self.do("PROG:COMMIT", **fields)
        except Refused as refusal:
            if not refusal.code.startswith("CONFIRM_"):
                raise
            return self.do("PROG:COMMIT", confirm=refusal.fields["confirm"], **fields)

    def commit_code(self, segments, **more):
        """OK or the refusal's code."""
        try:
            self.commit(segments, **more)
        except Refused as refusal:
            return refusal.code
        return "OK"

    def status(self, part=None):
        return self.ask("STAT?", part=part) if part else self.ask("STAT?")

    def alarms(self):
        return {alarm.code for alarm in self.pump.alarms.active()}


def flat(day_ng):
    """One segment a day."""
    return [("all", "00:00", day_ng)]


NIGHT_FLEX = [("all", "00:00", 266_000), ("all", "19:00", 84_000)]
