"""A chip in virtual time for the hals of families that cannot be run here: the processor, its pins and the rig on them.

Its bad habits: ticks that wrap soon, soft interrupts that come up to tens of ms late and now and then not at all, code that
takes time, an interrupt between any two looks at the clock, edges of the port switch that never were. Hardware (pulses,
counters, the watchdog) goes on whatever the processor does. The peripherals are in esp32.py and stm32.py beside this.
"""

import heapq
from contextlib import contextmanager
from random import Random
from types import SimpleNamespace

TICKS = 1 << 30
SOFT_QUEUE = 8
LOOK_US = 3  # what a look at the clock costs
NOISE_US = 7_000  # between two edges of the port switch that never were
COUNT_US = 30  # the rotor follows a step by one count in this time
QUADRATURE = ((0, 0), (0, 1), (1, 1), (1, 0))  # (A, B), forward: B leads A


class Resets(Exception):
    """The chip was reset: nothing of the program goes on."""


class Chip:
    """Time, interrupts, pins. us: true time since power-on."""

    def __init__(self, board, ticks_start=TICKS - 400_000, ms_start=0, seed=1):
        self.board = board
        self.us = 0
        self.ticks_start = ticks_start  # of ticks_us: it wraps in the middle of most tests
        self.ms_start = ms_start
        self.random = Random(seed)
        self.soft_latency_us = (40, 15_000)  # usual, worst
        self.masked = False  # the processor takes no interrupt
        self.in_interrupt = False
        self.dead = False
        self.levels = {}  # output pin -> level
        self.inputs = {}  # input pin -> level from outside; absent: nothing is connected
        self.pulls = {}  # input pin -> 1, 0 or None
        self.watchers = {}  # pin -> [call(level)]
        self.pin_handlers = {}  # input pin -> handler(pin object)
        self.edges = []  # us of each rising edge of the step pin
        self.enable_log = []  # (us, level)
        self.counts = 0  # of the rotor
        self.target = 0.0
        self.wdt = None  # (timeout ms, us when fed)
        self.typed = b""
        self.sent = b""
        self.softs = 0
        self._events = []
        self._order = 0
        self._pending = []  # interrupts that wait
        self.watch(board["step_pin"], self._on_step)
        self.watch(board["enable_pin"], lambda level: self.enable_log.append((self.us, level)))
        self._show_rotor()
        self.after(NOISE_US, self._noise)

    # Time and interrupts.

    def after(self, us, call):
        """Hardware: it happens at its time, whatever the processor does."""
        self._order += 1
        heapq.heappush(self._events, (self.us + us, self._order, call))

    def run_to(self, us):
        """Time passes; what comes due in it happens."""
        while self._events and self._events[0][0] <= us:
            at, _, call = heapq.heappop(self._events)
            self.us = max(self.us, at)
            call()
            self._serve()
            us = max(us, self.us)
        self.us = us
        self._serve()

    def look(self):
        """The program looks at the clock: that takes time, and an interrupt may come here."""
        if self.in_interrupt:
            self.us += LOOK_US
        else:
            self.run_to(self.us + LOOK_US)
        return (self.ticks_start + self.us) % TICKS

    def interrupt(self, call):
        """A hard interrupt: at once, unless the processor takes none."""
        self._pending.append(call)

    def soft(self, call):
        """A soft interrupt: late, and lost if the queue is full. Each fiftieth is lost here in any case."""
        self.softs += 1
        if self.softs % 50 == 0 or len(self._pending) >= SOFT_QUEUE:
            return
        usual, worst = self.soft_latency_us
        late = self.random.randrange(usual, worst) if self.random.random() < 0.1 else self.random.randrange(usual, 4 * usual)
        self.after(late, lambda: self._pending.append(call))

    def _serve(self):
        while self._pending and not self.masked and not self.in_interrupt:
            call = self._pending.pop(0)
            self.in_interrupt = True
            try:
                call()
            finally:
                self.in_interrupt = False

    def hang(self, us):
        """The processor does nothing for so long; its hardware goes on."""
        self.masked = True
        self.run_to(self.us + us)
        self.masked = False
        self._serve()

    # Pins.

    def drive(self, pin, level):
        """An output changes."""
        if self.levels.get(pin, 0) != level:
            self.levels[pin] = level
            for call in self.watchers.get(pin, ()):
                call(level)

    def watch(self, pin, call):
        self.watchers.setdefault(pin, []).append(call)

    def level(self, pin):
        """What an input reads: what is connected, else its pull, else noise."""
        if pin in self.inputs:
            return self.inputs[pin]
        pull = self.pulls.get(pin)
        return self.random.randrange(2) if pull is None else pull

    def apply(self, pin, level):
        """From outside. None: the wire breaks."""
        before = self.level(pin)
        if level is None:
            self.inputs.pop(pin, None)
        else:
            self.inputs[pin] = level
        if self.level(pin) != before:
            for call in self.watchers.get(pin, ()):
                call(self.level(pin))
            self._pin_interrupt(pin)

    def _pin_interrupt(self, pin):
        if pin in self.pin_handlers:
            handler, this, hard = self.pin_handlers[pin]
            (self.interrupt if hard else self.soft)(lambda: handler(this))

    def _noise(self):
        self._pin_interrupt(self.board["port_pin"])
        self.after(NOISE_US, self._noise)

    # The rig.

    def enabled(self):
        return self.levels.get(self.board["enable_pin"], 0) == 1

    def _on_step(self, level):
        if "step_count_pin" in self.board:
            self.apply(self.board["step_count_pin"], level)
        if not level:
            return
        self.edges.append(self.us)
        if self.enabled():
            self.target += self.board["encoder_counts_per_turn"] / self.board["steps_per_turn"]
            self._turn_rotor()

    def _turn_rotor(self):
        for k in range(int(self.target) - self.counts):
            self.after(COUNT_US * (k + 1), self._count_once)

    def _count_once(self):
        if self.counts < int(self.target):
            self.counts += 1
            self._show_rotor()

    def spin(self, counts):
        """Somebody turns the head by hand."""
        for _ in range(abs(counts)):
            self.counts += 1 if counts > 0 else -1
            self._show_rotor()
        self.target = self.counts

    def _show_rotor(self):
        a, b = QUADRATURE[self.counts % 4]
        self.apply(self.board["encoder_a_pin"], a)
        self.apply(self.board["encoder_b_pin"], b)

    # Reset and watchdog.

    def arm_watchdog(self, timeout_ms):
        self.wdt = (timeout_ms, self.us)
        self.after(timeout_ms * 1000, self._bark)

    def feed_watchdog(self):
        timeout_ms, _ = self.wdt
        self.wdt = (timeout_ms, self.us)
        self.after(timeout_ms * 1000, self._bark)

    def _bark(self):
        timeout_ms, fed_us = self.wdt or (0, self.us)
        if self.wdt and self.us - fed_us >= timeout_ms * 1000:
            self.reset()

    def reset(self):
        """Every pin floats, no interrupt is left; resistors outside hold what they hold."""
        self.dead = True
        self.wdt = None
        self._events.clear()
        self._pending.clear()
        for pin in list(self.levels):
            self.drive(pin, 0)


class Pin:
    """machine.Pin, made for one chip by modules()."""

    IN, OUT, ALT = 0, 1, 2
    PULL_UP, PULL_DOWN = 1, 2
    IRQ_RISING, IRQ_FALLING = 1, 2
    chip = None

    def __init__(self, name, mode=-1, pull=None, value=None, alt=-1):
        self.name = name
        self.init(mode, pull, value, alt)

    def init(self, mode=-1, pull=None, value=None, alt=-1):
        name, chip = self.name, self.chip
        if mode == self.IN:
            chip.pulls[name] = {None: None, self.PULL_UP: 1, self.PULL_DOWN: 0}[pull]
        elif mode == self.OUT:
            chip.alternate(self, None)
            chip.drive(name, value or 0)
        elif mode == self.ALT:
            chip.alternate(self, alt)

    def value(self, level=None):
        if level is None:
            return self.chip.level(self.name)
        return self.chip.drive(self.name, level)

    def irq(self, handler, trigger, hard=False):
        self.chip.pin_handlers[self.name] = (handler, self, hard)


class ADC:
    """machine.ADC: the battery, 3700 mV through the board's divider."""

    ATTN_11DB = 3
    chip = None

    def __init__(self, pin, atten=None):
        self.pin = pin

    def read_u16(self):
        return 3700 * 65535 // self.chip.board["battery_full_scale_mv"]

    def read_uv(self):
        return 3700 * 3_300_000 // self.chip.board["battery_full_scale_mv"]


class WDT:
    """machine.WDT: made once, never stopped."""

    chip = None

    def __init__(self, timeout):
        self.chip.arm_watchdog(timeout)

    def feed(self):
        self.chip.feed_watchdog()


class Line:
    """stdin and stdout with their buffers."""

    def __init__(self, chip):
        self.chip = chip
        self.buffer = self

    def readinto(self, buf, count):
        buf[:count] = self.chip.typed[:count]
        self.chip.typed = self.chip.typed[count:]
        return count

    def write(self, data):
        self.chip.sent += bytes(data)
        return len(data)


class Poll:
    """select.poll: waiting is where the chip's time passes."""

    def __init__(self, chip):
        self.chip = chip
        self.streams = []

    def register(self, stream, mask):
        self.streams.append((stream, mask))

    def ipoll(self, ms):
        self.chip.look()
        end = self.chip.us + ms * 1000
        while any(mask == 1 for _, mask in self.streams) and not self.chip.typed and self.chip.us < end:
            self.chip.run_to(min(end, self.chip.us + 1000))
        if self.chip.dead:
            raise Resets
        return [pair for pair in self.streams if pair[1] == 4 or self.chip.typed]


def gmtime(seconds=None):
    """Since 2000-01-01, as both ports count."""
    import time as true_time

    found = true_time.gmtime((seconds if seconds is not None else 0) + 946_684_800)
    return (*found[:6], found[6], found[7])


def bound(kind, chip):
    """The class for this chip alone."""
    return type(kind.__name__, (kind,), {"chip": chip})


def common_modules(chip):
    """time, select, sys and what every port's machine has."""

    def ticks_diff(later, earlier):
        return (later - earlier + TICKS // 2) % TICKS - TICKS // 2

    time = SimpleNamespace(
        ticks_us=chip.look,
        ticks_ms=lambda: (chip.look(), (chip.ms_start + chip.us // 1000) % TICKS)[1],
        ticks_diff=ticks_diff,
        ticks_add=lambda ticks, step: (ticks + step) % TICKS,
        gmtime=lambda seconds=None: gmtime(chip.clock_s() if seconds is None else seconds),
        time=chip.clock_s,
    )
    machine = SimpleNamespace(
        Pin=bound(Pin, chip), ADC=bound(ADC, chip), WDT=bound(WDT, chip), RTC=lambda: chip.rtc, reset=lambda: stop(chip),
        reset_cause=lambda: chip.cause, WDT_RESET=3, PWRON_RESET=1, unique_id=lambda: b"\x01\x02\x03\x04",
    )  # fmt: skip
    line = Line(chip)
    select = SimpleNamespace(poll=lambda: Poll(chip), POLLIN=1, POLLOUT=4)
    return {"time": time, "machine": machine, "select": select, "sys": SimpleNamespace(stdin=line, stdout=line, platform=chip.platform)}


def stop(chip):
    chip.reset()
    raise Resets


@contextmanager
def no_interrupts(chip):
    chip.masked = True
    yield
    chip.masked = False
