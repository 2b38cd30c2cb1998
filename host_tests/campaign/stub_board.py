"""What stands in for the board, the journal and the motion, so that a month passes in a jump.

`JumpDosing` is the real dosing.Dosing without leases: pieces, remainders, extras and first steps are its own; only what a
step engine would do is left out, and it lays out pieces as far as it is asked, not as far as a chain of leases reaches.
"""

import json
import runpy
from collections import deque
from pathlib import Path

from doseloop import records
from doseloop.basal import Basal
from doseloop.dosing import Dosing
from doseloop.hal import TICKS_MASK
from doseloop.units import DAY_MS

ROOT = Path(__file__).resolve().parents[2]
BOARD = runpy.run_path(str(ROOT / "boards/unix/board.py"))["BOARD"]
START_UNIX = 1_809_302_400  # 2027-05-03 00:00, a Monday
LOOK_BACK_MS = DAY_MS + 3_600_000  # the 24 h that a boot reads back from the account, and some more
_KEPT_MS = 7 * DAY_MS  # of the account


class JumpBoard:
    """hal.py's contract, as far as rules need it; time is moved by whoever owns it."""

    board = BOARD
    store = None
    boot_cause = 1

    def __init__(self):
        self.ms = 0  # true time since the campaign's history began
        self.reads_open = False
        self.unix_at_zero = START_UNIX * 1000  # the kept clock minus true time, ms
        self.clock_kept = True
        self.made = 0  # steps since boot
        self._steps_before = 0

    def boot(self, outage_ms, kept):
        """Dark for a while; then the processor counts its steps from zero and the rotor goes on."""
        self.ms += outage_ms
        self.clock_kept = self.clock_kept and kept
        self._steps_before += self.made
        self.made = 0

    def ticks_ms(self):
        return (self.ms + 77) & TICKS_MASK

    def rtc(self):
        return (self.ms + self.unix_at_zero) // 1000 if self.clock_kept else None

    def rtc_set(self, unix_s):
        self.unix_at_zero = unix_s * 1000 - self.ms
        self.clock_kept = True

    def witness(self):
        return (self._steps_before + self.made) * BOARD["encoder_counts_per_turn"] // BOARD["steps_per_turn"] & TICKS_MASK

    def revoke(self):
        return self.made

    def feed(self, ms):
        pass

    def guard_port(self, on):
        self.guarded = on

    def port_open(self):
        return self.reads_open

    def battery_mv(self):
        return 3700

    def probe(self, part):
        return True


class JumpBasal(Basal):
    """Without the account of what was programmed: it is for alarms, and alarms are inputs."""

    def __init__(self, clock):
        super().__init__(clock)
        self._holds = [(0, False)]  # (elapsed, held_low) as laid out; the first one was told

    def rate_at(self, elapsed):
        rate = super().rate_at(elapsed)
        self._holds = self._holds[:1] + [hold for hold in self._holds[1:] if hold[0] < elapsed]
        if self._holds[-1][1] != self.held_low:
            self._holds.append((elapsed, self.held_low))
        return rate

    def take_holds(self, now):
        """Those until now; what was laid out beyond may be taken back yet."""
        told = [hold for hold in self._holds[1:] if hold[0] <= now]
        if told:
            self._holds = [told[-1]] + [hold for hold in self._holds[1:] if hold[0] > now]
        return told

    def given_until(self, now):
        """What was laid out until now, to hand over a boot."""
        self.cut_given(now)
        return self._given

    def told_hold(self):
        return self._holds[0][1]

    def know_exactly(self, given, since, was_held):
        """After a boot at `since`: what the account gave back is replaced by what really was. Returns by how many ng it was off."""
        now = self._clock.elapsed
        self._holds = [(since, was_held)] + ([(since, False)] if was_held else []) + self._holds[1:]
        start = max([now - DAY_MS] + [piece[0] for piece in self._given[:1]])
        told = self.given_since([start], now)[0]
        self._given = given + [[max(piece[0], since), *piece[1:]] for piece in self._given if piece[1] > since]
        self._uncertain = []
        exact = self.given_since([start], now)[0]
        return abs(told.num * exact.den - exact.num * told.den) // (told.den * exact.den)

    def advance_programmed(self, *what):
        pass

    def is_even(self):
        """The program has one rate all week, which is then the lowest as well."""
        return len(self.program.starts_min) == 7 and len(set(self.program.doses_ng)) == 1

    def _is_guarded(self, elapsed):
        """After a clock correction the rate is judged every 5 min; where no other rate can come of it that is passed over."""
        return super()._is_guarded(elapsed) and not self.is_even()


class _NoLeases:
    """In the place of schedule.Piece: only whether a step falls due in a piece is of interest."""

    pulses = 0

    def legs(self):
        return ()

    def plan(self, span_ms, num, den, remainder, most_pulses, lease_us):
        self.pulses = (remainder + num) // den if num else 0


class JumpDosing(Dosing):
    """clock: the pump's; `begin` takes its elapsed time as the start of what flows from now on."""

    reserved = property(lambda self: 0, lambda self, steps: None)  # nothing is put ahead, so nothing is covered ahead

    def __init__(self, hal, rate_at, clock):
        super().__init__(hal, rate_at, None)
        self._piece = _NoLeases()
        self._clock = clock
        self._from = 0

    def begin(self):
        if not self.running:
            self._from = self._clock.elapsed
        super().begin()

    def start_extra(self, steps, span_ms, now):
        self._from = now
        return super().start_extra(steps, span_ms, now)

    def lay_out_to(self, now):
        """Pieces as far as `now`, at least the first one."""
        if self.running and not self._anchors:
            self._begin_piece(self._from, 0)
        while self.running and self._anchors[-1].end <= now:
            self._next_piece()

    def _next_piece(self):
        end = self._anchors[-1].end
        self.commanded = super().due(end)
        self._begin_piece(end, 0)

    def _run_out(self, now):
        self.running = False

    def due(self, now):
        self.lay_out_to(now)
        self._hal.made = made = super().due(now)
        return made

    def settle(self, now):
        self.commanded = self.due(now)
        super().settle(now)

    def outstanding(self, now):
        return 0

    def next_change(self):
        """Elapsed time up to which the present rate is laid out."""
        self.lay_out_to(self._clock.elapsed)
        return self._anchors[-1].end

    def first_step_in_sight(self):
        """Elapsed time of the first step since the last change of program; None while nothing flows."""
        self.lay_out_to(self._clock.elapsed)
        end = self._clock.elapsed + 8 * DAY_MS
        while self.running and self.first_step_at is None and self._anchors[-1].end < end:
            self._next_piece()
        return self.first_step_at


class JumpKeeper:
    """keeper.Keeper and its journal in memory. A saved state is kept as it is and goes through JSON when power is lost."""

    def __init__(self):
        self.journal = self
        self.clock = None
        self.holding = False
        self.dirty = False
        self.saved_at = 0
        self.waiting = []
        self.lost_lines = 0
        self.failed = self.unkept = False
        self._state = None
        self._account = deque()
        self._numbers = 0

    # keeper.Keeper

    def sample(self, ledger, programmed, reserved, kind):
        self._append(kind, records.pack_sample(ledger, programmed, reserved))

    def intent(self, delivery):
        span_s = delivery.span_ms // 1000
        volume, conc = delivery.volume_nl, delivery.conc
        self._append(records.INTENT, records.pack_intent(delivery.number, delivery.verb, delivery.steps, span_s, volume, conc))
        return True

    def result(self, delivery):
        self._append(records.RESULT, records.pack_result(delivery.number, delivery.outcome, delivery.made, delivery.made_nl))

    def log(self, kind, text):
        pass

    def write_log(self):
        pass

    def save(self, state):
        self._state = state
        self.dirty = False
        self.saved_at = self.clock.elapsed
        return True

    def load(self, name=None):
        return (None, "none") if name or self._state is None else (json.loads(json.dumps(self._state)), "good")

    def says_running(self):
        return bool(self._account) and self._account[-1][1] == records.SAMPLE_RUNNING

    # journal.Journal

    def open(self):
        self.holding = self.dirty = False
        return 0

    def newest(self, stream):
        return self._account[-1] if stream == "acct" and self._account else None

    def tail(self, stream):
        return 0

    def records(self, stream, from_seq=0):
        return list(self._account) if stream == "acct" else []

    def _append(self, kind, payload):
        now = self.clock.elapsed
        kept = self._account
        while kept and kept[0][2] < now - _KEPT_MS:
            kept.popleft()
        self._numbers += 1
        kept.append((self._numbers, kind, now, self.clock.unix_s(), payload))
