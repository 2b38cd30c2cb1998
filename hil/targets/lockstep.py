"""The lock-step loop: the firmware says until when it sleeps, the bench grants the time and says what the pins read.

Cells from the firmware are 16 bytes (tag, a, b, c); the last of a write asks for an answer of twelve words. Virtual
time moves only while the firmware sleeps in IDLE, and only when the bench is told to let it pass.
"""

from __future__ import annotations

import os
import select
from collections.abc import Callable
from struct import Struct, iter_unpack

from hil.errors import TargetError
from hil.plant.rig import Rig
from hil.targets.process import FirmwareProcess

LEASE, FEED, TONE, RTC_SET, REVOKE, IDLE, RESET, WDT, HELLO, MARK = range(1, 11)
PORT_OPEN, SERIAL_PENDING, RTC_VALID, ENGINE_IDLE, CONVERTER_DEAD, BUZZER_DEAD = 1, 2, 4, 8, 32, 64
OUTPUT_WAITING = 1
POWER, WATCHDOG, SOFT, MAINT = 1, 2, 3, 4
CAUSES = {POWER: "power", WATCHDOG: "watchdog", SOFT: "soft reset", MAINT: "MAINT"}

PROTOCOL = 1
WRAP_MASK = (1 << 30) - 1
WORD_MASK = (1 << 32) - 1
NEVER = 1 << 62
ANSWER_LIMIT_MS = 20_000  # real time the firmware may compute without a pause
STARVED_LIMIT = 10  # times that limit, on a machine that gives it no time to compute
RESET_LIMIT = 20  # resets in a row without ever sleeping
SPIN_LIMIT = 20_000  # turns in a row without a pause, before we call it a livelock

Cell = tuple[int, int, int, int]


class LockStep:
    """One firmware process after another, bound to one rig."""

    def __init__(self, rig: Rig, boot: Callable[[], FirmwareProcess], random32: Callable[[], int]) -> None:
        self.rig = rig
        self.now_ms = 0
        self.ticks_start = 0  # what ticks_ms reads at a boot
        self.injected = 0  # more flags, for a firmware with injection points (tools/micropython/faulty_pump.py)
        self.hung = False  # the processor computes no more; only the watchdog gets it back
        self.chain_start_ms = 0  # when a lease was last put into an idle engine
        self.tones: list[tuple[int, int]] = []  # (virtual ms, signal)
        self.boots: list[tuple[int, int]] = []  # (virtual ms, cause)
        self.marks: list[Cell] = []
        self.attend_output: Callable[[], None] | None = None  # takes output away, so that it never dams up
        self.serial_pending: Callable[[], int] = lambda: 0
        self.told_restart: Callable[[int], None] = lambda cause: None
        self._boot = boot
        self._random32 = random32
        self._process: FirmwareProcess | None = None
        self._cause = POWER
        self._boot_ms = 0
        self._wake_ms = 0  # the firmware sleeps until then
        self._dog_ms = NEVER
        self._output_waits = False
        self._reset_cause: int | None = None  # it reset itself and is to be booted
        self._nudged = False  # something happened that ends its sleep
        self._spins = 0
        self._rest = b""
        self._pack = Struct("<12I").pack
        self._poll = select.poll()

    # ---- power

    def power_on(self, cause: int = POWER) -> None:
        """Boot the firmware and let it run to its first sleep."""
        self._boot_once(cause)
        self._follow_resets()

    def _boot_once(self, cause: int) -> None:
        self._cause, self._boot_ms = cause, self.now_ms
        self._dog_ms, self._rest, self.hung = NEVER, b"", False
        self.rig.boot()
        self._process = self._boot()
        self._poll = select.poll()
        self._poll.register(self._process.rx, select.POLLIN)
        self.boots.append((self.now_ms, cause))
        self._listen()

    def power_off(self) -> None:
        """Cut the power: SIGKILL, engine and driver dead."""
        if self._process is not None:
            self._process.close()
            self._process = None
        self.rig.boot()

    def _restart(self, cause: int) -> None:
        self.power_off()
        self.told_restart(cause)
        self._boot_once(cause)

    def _follow_resets(self) -> None:
        """Boot again as often as the firmware resets itself before it sleeps."""
        for _ in range(RESET_LIMIT):
            if self._reset_cause is None:
                return
            cause, self._reset_cause = self._reset_cause, None
            self._restart(cause)
        words = self._process.last_words() if self._process else "    nothing"
        raise TargetError(f"the firmware resets itself again and again at virtual {self.now_ms} ms; it said last:\n{words}")

    @property
    def powered(self) -> bool:
        return self._process is not None

    # ---- time

    def advance_to(self, end_ms: int) -> None:
        """Let virtual time pass up to `end_ms`; the firmware wakes when it asked to, at a nudge, or at its watchdog."""
        if end_ms < self.now_ms:
            raise ValueError(f"time runs forward only: at {self.now_ms} ms, asked for {end_ms} ms")
        if self._process is None:
            self._move_to(end_ms)
        while self._process is not None:
            due_ms = self._due_ms()
            if due_ms > end_ms:
                self._move_to(end_ms)
                return
            self._move_to(due_ms)
            self._wake()

    def _due_ms(self) -> int:
        """When the firmware is to run next."""
        if self.hung:
            return self._dog_ms
        if self._nudged or (self._output_waits and self.attend_output is not None):
            return self.now_ms
        return min(self._wake_ms, self._dog_ms)

    def _move_to(self, ms: int) -> None:
        self.now_ms = ms
        self.rig.advance_to(ms * 1000)

    def _wake(self) -> None:
        """Give the firmware its turn now, or the watchdog its prey."""
        if self.now_ms >= self._dog_ms and (self.hung or self._wake_ms > self.now_ms):
            self._restart(WATCHDOG)
        else:
            self._give_turn()
        self._follow_resets()

    def _give_turn(self) -> None:
        if self._output_waits and self.attend_output is not None:
            self.attend_output()
        self._nudged = False
        self._answer()
        self._listen()

    def turn(self) -> None:
        """Let the firmware run once at the present instant."""
        if self._process is not None and not self.hung:
            self._wake()

    def nudge(self) -> None:
        """A byte was sent or an input changed: the firmware wakes at once."""
        self._nudged = True

    @property
    def dog_left_ms(self) -> int:
        """How long the firmware may still compute before its watchdog restarts it."""
        return self._dog_ms - self.now_ms

    @property
    def busy(self) -> bool:
        """The firmware has something to do without time passing."""
        return not self.hung and (self._nudged or self._wake_ms <= self.now_ms)

    @property
    def sleep_ms(self) -> int:
        """How long the firmware sleeps from now, if nothing wakes it."""
        return max(0, self._due_ms() - self.now_ms)

    # ---- the pipes

    def _listen(self) -> None:
        """Take cells until the firmware sleeps."""
        while not self._take(self._read()):
            pass

    def _take(self, data: bytes) -> bool:
        """Do what the cells say; True once the firmware sleeps."""
        rig = self.rig
        for tag, a, b, c in iter_unpack("<4I", data):
            if tag == LEASE:
                if rig.engine.idle:
                    self.chain_start_ms = self.now_ms
                rig.put(a, b, c)
            elif tag == WDT:
                self._dog_ms = self.now_ms + a
            elif tag == FEED:
                rig.feed(a)
            elif tag == IDLE:
                return self._sleeps(a, b)
            elif self._take_rare((tag, a, b, c)):
                return True
        return False

    def _sleeps(self, wait_ms: int, flags: int) -> bool:
        self._wake_ms = self.now_ms + wait_ms
        self._output_waits = bool(flags & OUTPUT_WAITING)
        self._spins = 0 if wait_ms else self._spins + 1
        if self._spins > SPIN_LIMIT:
            raise TargetError(f"the firmware took {SPIN_LIMIT} turns at {self.now_ms} ms without ever pausing")
        return True

    def _take_rare(self, cell: Cell) -> bool:
        """The same for the cells that seldom come; True if no more come because it resets itself."""
        tag, a = cell[0], cell[1]
        if tag == REVOKE:
            self.rig.revoke()
            self._answer()
        elif tag == TONE:
            self.tones.append((self.now_ms, a))
        elif tag == RTC_SET:
            self.rig.rtc_set(a)
        elif tag == RESET:
            self._reset(a)
        elif tag == HELLO:
            self._greet(a)
        elif tag == MARK:
            self.marks.append(cell)
        else:
            raise TargetError(f"the firmware sent a cell of unknown kind {tag}")
        return tag == RESET

    def _greet(self, version: int) -> None:
        if version != PROTOCOL:
            raise TargetError(f"this firmware speaks lock-step version {version}, this bench version {PROTOCOL}: update one of them")
        self._answer()

    def _reset(self, cause: int) -> None:
        assert self._process is not None
        self._process.wait_gone()
        self._reset_cause = cause

    def _read(self) -> bytes:
        process = self._process
        assert process is not None
        if not self._poll.poll(ANSWER_LIMIT_MS):
            self._wait_longer(process)
        data = os.read(process.rx, 65536)
        if not data:
            raise process.died()
        if self._rest or len(data) % 16:
            data = self._rest + data
            whole = len(data) - len(data) % 16
            data, self._rest = data[:whole], data[whole:]
        return data

    def _wait_longer(self, process: FirmwareProcess) -> None:
        """A machine under load lets it wait, and that is no fault of it: the time that it computes counts, or a long silence."""
        began_ms = process.cpu_ms()
        for _ in range(STARVED_LIMIT):
            if self._poll.poll(ANSWER_LIMIT_MS):
                return
            if process.cpu_ms() - began_ms >= ANSWER_LIMIT_MS // 2:
                break
        raise TargetError(
            f"the firmware has computed for {ANSWER_LIMIT_MS // 1000} s or more without a pause at virtual {self.now_ms} ms;"
            f" it said last:\n{process.last_words()}"
        )

    def _answer(self) -> None:
        process = self._process
        assert process is not None
        rig = self.rig
        stepped, witness, port_open, idle, pending, battery, temperature, rtc_valid, rtc_s, rtc_ms = rig.inputs()
        flags = (
            (PORT_OPEN if port_open else 0)
            | (SERIAL_PENDING if self.serial_pending() else 0)
            | (RTC_VALID if rtc_valid else 0)
            | (ENGINE_IDLE if idle else 0)
            | (0 if rig.converter_sound else CONVERTER_DEAD)
            | (BUZZER_DEAD if rig.buzzer_dead else 0)
            | self.injected
        )
        ticks = (self.ticks_start + self.now_ms - self._boot_ms) & WRAP_MASK
        try:
            os.write(
                process.tx,
                self._pack(
                    ticks, 0, stepped, witness, flags, battery, temperature, rtc_s & WORD_MASK, rtc_ms,
                    self._random32(), self._cause, pending,
                ),
            )  # fmt: skip
        except BrokenPipeError:
            raise process.died() from None
