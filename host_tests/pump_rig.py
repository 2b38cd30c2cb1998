"""The whole firmware in one process, over a board that keeps exact account and has real hardware's bad habits.

Its ticks wrap during most tests, its store is a dict that can lose power, its engine is a list of leases worked out
from the contract in hal.py. Commands go through the bench's own link, which shares no code with the firmware.
"""

from types import SimpleNamespace

from doseloop.controller import Controller
from hil.errors import Refused
from hil.link import Link

TICKS = 1 << 30
START_UNIX = 1_809_302_400  # 2027-05-03 00:00, a Monday
DAY_MS = 86_400_000
HOUR_MS = 3_600_000

BOARD = {
    "name": "fake",
    "steps_per_ml_nominal": 100_000,
    "steps_per_turn": 3200,
    "encoder_counts_per_turn": 4096,
    "witness_slack_counts": 32,
    "max_rate_nl_h": 150_000_000,
    "lease_basal_nl": 2_000,
    "reservation_nl": 10_000,
    "reservation_ms": 900_000,
    "reservoir_nl": 20_000_000,
    "threshold_nl": 2_000_000,
    "residual_nl": 500_000,
    "dead_volume_tubing_nl": 100_000,
    "dead_volume_catheter_nl": 140_000,
    "prime_nl_h": 6_000_000,
    "battery_low_mv": 3300,
    "battery_low_clear_mv": 3400,
    "battery_depleted_mv": 3000,
    "battery_depleted_clear_mv": 3150,
    "observation_h": 24,
}


class MemoryStore:
    """Files in memory; what was written stays over a power cut."""

    def __init__(self):
        self.files = {}

    def read(self, name):
        return self.files.get(name)

    def append(self, name, data):
        self.files[name] = self.files.get(name, b"") + bytes(data)

    def replace(self, name, data):
        self.files[name] = bytes(data)

    def remove(self, name):
        self.files.pop(name, None)

    def tidy(self):
        return False


class Resets(Exception):
    """The firmware asked for a reset."""


class FakeBoard:
    """hal.py's contract over exact virtual time in us."""

    def __init__(self, store, us=0, ticks_start=TICKS - 50_000, board=None):
        self.board = dict(BOARD, **(board or {}))
        self.store = store
        self.serial = self
        self.us = us
        self.boot_us = us
        self.ticks_start = ticks_start
        self.leases = []  # [start_us, n, gap, period, pulses made]
        self.edges = []  # us of every pulse since boot
        self.engine_end = us
        self.engine_late = 0  # steps the engine says it made too late
        self.rotor = 1000.0  # steps the head has turned, since long ago
        self.follow = 1.0  # how much of a step the rotor follows
        self.enabled_until = us
        self.guarded = False  # an open port would cut the motor off by interrupt
        self.reads_open = False
        self.millivolts = 3700
        self.celsius = 250
        self.rtc_offset = START_UNIX * 1000 - us // 1000
        self.rtc_valid = True
        self.boot_cause = 1
        self.to_pump = b""
        self.from_pump = b""
        self.tones = []
        self.randoms = 12345
        self.wrote = []  # us of each write to the store
        self.works = {"converter": True, "buzzer": True}
        self.code = [None, None, "pass"]  # what a look over the code gives, slice by slice

    # time

    def ticks_ms(self):
        return (self.ticks_start + (self.us - self.boot_us) // 1000) % TICKS

    def rtc(self):
        return (self.us // 1000 + self.rtc_offset) // 1000 if self.rtc_valid else None

    def rtc_set(self, unix_s):
        self.rtc_offset = unix_s * 1000 - self.us // 1000
        self.rtc_valid = True

    def advance_to(self, us):
        """Let pulses happen up to and including `us`."""
        while self.leases:
            start, n, gap, period, made = self.leases[0]
            end = start + gap + n * period
            done = n if end <= us else max(0, (us - start - gap) // period) if period else 0
            for k in range(made, done):
                self._pulse(start + gap + (k + 1) * period)
            self.leases[0][4] = done
            if end > us:
                break
            self.leases.pop(0)
        self.us = us

    def _pulse(self, us):
        self.edges.append(us)
        if us <= self.enabled_until:
            self.rotor += self.follow

    # engine

    def put(self, n, gap_us, period_us):
        start = max(self.engine_end, self.us)
        self.leases.append([start, n, gap_us, period_us, 0])
        self.engine_end = start + gap_us + n * period_us

    def room(self):
        return 64

    def revoke(self):
        self.leases = []
        self.engine_end = self.us
        return len(self.edges)

    def late(self):
        return self.engine_late

    def stepped(self):
        return len(self.edges)

    def witness(self):
        return int(self.rotor * 4096) // 3200 % TICKS

    def feed(self, ms):
        self.enabled_until = self.us + ms * 1000

    def guard_port(self, on):
        self.guarded = on

    # the rest

    def port_open(self):
        return self.reads_open

    def battery_mv(self):
        return self.millivolts

    def temperature(self):
        return self.celsius

    def probe(self, part):
        return self.works[part]

    def code_check(self):
        return iter(self.code)

    def tone(self, signal):
        self.tones.append((self.us // 1000, signal))

    def watchdog(self, ms):
        pass

    def idle(self, ms):
        """For the controller's own short waits; its long ones are the rig's."""
        self.advance_to(self.us + ms * 1000)

    def reset(self, cause):
        raise Resets(cause)

    def random32(self):
        self.randoms = self.randoms * 1103515245 + 12345 & 0xFFFFFFFF
        return self.randoms

    def uid(self):
        return "fake"

    def code_hash(self):
        return "0" * 16

    def read(self, buf):
        n = min(len(buf), len(self.to_pump))
        buf[:n] = self.to_pump[:n]
        self.to_pump = self.to_pump[n:]
        return n

    def write(self, data):
        self.from_pump += bytes(data)
        return len(data)


class PumpRig:
    """A pump that runs, a host that talks to it, and virtual time that a test moves."""

    def __init__(self, board=None, ticks_start=TICKS - 50_000):
        self.store = MemoryStore()
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
