"""hal.py's contract over exact virtual time: a board with exact account and real hardware's bad habits. Runs on MicroPython too."""

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

    torn = 0

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
        self.guarded = False  # an open port cuts the motor off by interrupt
        self.halted = False  # it has: the engine stands until revoke()
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
        if self.halted:
            for lease in self.leases:
                lease[0] += us - self.us
            self.engine_end += us - self.us if self.leases else 0
            self.us = us
            return
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
        self.halted = False
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
        self.enabled_until = self.us + (0 if self.halted else ms * 1000)

    def guard_port(self, on):
        self.guarded = on
        if on:
            self.see_port()

    def see_port(self):
        """An edge of the switch: what a board does by interrupt."""
        if self.guarded and self.reads_open:
            self.halted = True
            self.enabled_until = self.us

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
