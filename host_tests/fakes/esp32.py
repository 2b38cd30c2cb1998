"""The ESP32's peripherals as MicroPython shows them: RMT, PCNT, Timer, PWM, RTC memory, over a chip of chip.py."""

from types import SimpleNamespace

from fakes.chip import Chip, bound, common_modules

RMT_MOST = 32_767  # of one duration
RMT_ITEMS = 64  # of one transmission that one memory block holds
INT16 = 1 << 16


class Esp32(Chip):
    """kept: what the RTC's memory holds over a reset."""

    platform = "esp32"

    def __init__(self, board, kept=b"", cause=1, clock_s=0, **more):
        super().__init__(board, **more)
        self.kept = kept
        self.cause = cause
        self.clock_zero_s = clock_s  # seconds since 2000 at power-on
        self.rtc = SimpleNamespace(memory=self._memory, datetime=self._set_clock)
        self.tones = []

    def _memory(self, data=None):
        if data is None:
            return self.kept
        self.kept = bytes(data)
        return None

    def clock_s(self):
        return self.clock_zero_s + self.us // 1_000_000

    def _set_clock(self, fields):
        import calendar

        year, month, day, _, hour, minute, second, _ = fields
        self.clock_zero_s = calendar.timegm((year, month, day, hour, minute, second)) - 946_684_800 - self.us // 1_000_000

    def alternate(self, pin, number):
        """A pin is given back to its output register."""

    def modules(self):
        found = common_modules(self)
        found["machine"].Timer = bound(Timer, self)
        found["machine"].PWM = bound(PWM, self)
        found["esp32"] = SimpleNamespace(RMT=bound(RMT, self), PCNT=bound(PCNT, self), Partition=Partition)
        return found


class Partition:
    """Of the port's default table: none is the journal's."""

    TYPE_DATA = 1
    found = []

    @classmethod
    def find(cls, kind, label=None):
        return cls.found


class RMT:
    """One transmission at a time; the next one waits for it."""

    chip = None

    def __init__(self, channel, *, pin, clock_div=8, idle_level=False):
        self.pin, self.clock_div, self.idle = pin.name, clock_div, int(idle_level)
        self.busy_until = 0
        self.chip.drive(self.pin, self.idle)

    def write_pulses(self, durations, data=True):
        assert 0 < len(durations) <= 2 * RMT_ITEMS
        assert all(0 < duration <= RMT_MOST for duration in durations)
        chip = self.chip
        chip.us = max(chip.us, self.busy_until)  # it blocks
        level, at = int(data), 0
        for duration in durations:
            chip.after(at, lambda level=level: chip.drive(self.pin, level))
            level, at = 1 - level, at + duration * self.clock_div // 80
        chip.after(at, lambda: chip.drive(self.pin, self.idle))
        self.busy_until = chip.us + at


class PCNT:
    """16 bits. It falls to 0 at a limit that may interrupt; without, it runs through 16 bits."""

    INCREMENT, DECREMENT, IGNORE = 1, 2, 0
    NORMAL, REVERSE, HOLD = 0, 1, 2
    IRQ_MIN, IRQ_MAX = 16, 32
    chip = None
    SIGN = (0, 1, -1)

    def __init__(self, number, *, min=0, max=0):
        self.least, self.most, self.trigger = min, max, 0
        self.channels = {}
        self.now = 0
        self.running = False
        self.filter = 0

    def irq(self, handler, trigger):
        self.trigger = trigger

    def init(self, *, channel=0, pin=None, rising=0, falling=0, mode_pin=None, mode_low=0, mode_high=0, value=None, filter=None):
        if pin is not None:
            self.channels[channel] = (rising, falling, mode_pin, mode_low, mode_high)
            self.chip.watch(pin.name, lambda level: self._edge(channel, level))
        if filter is not None:
            assert 0 <= filter <= 1023
            self.filter = filter
        if value is not None:
            assert value == 0
            self.now = 0

    def start(self):
        self.running = True

    def _edge(self, channel, level):
        rising, falling, mode_pin, low, high = self.channels[channel]
        sign = self.SIGN[rising if level else falling]
        mode = low if mode_pin is not None and not self.chip.level(mode_pin.name) else high
        if self.running and mode != self.HOLD:
            self._count(-sign if mode == self.REVERSE else sign)

    def _count(self, sign):
        self.now += sign
        if (self.trigger & self.IRQ_MAX and self.now >= self.most) or (self.trigger & self.IRQ_MIN and self.now <= self.least):
            self.now = 0
        self.now = (self.now + INT16 // 2) % INT16 - INT16 // 2

    def value(self):
        return self.now


class Timer:
    """machine.Timer: its callback is a soft interrupt."""

    ONE_SHOT, PERIODIC = 0, 1
    chip = None
    runs = {}

    def __init__(self, number):
        assert 0 <= number <= 3, "the ESP32 has four timers, and no virtual one"
        self.turn = 0

    def init(self, *, mode=1, period=1, tick_hz=1000, callback=None):
        self.turn += 1
        us = period * 1_000_000 // tick_hz
        assert us > 0
        self.chip.after(us, lambda turn=self.turn: self._end(turn, us, mode, callback))

    def deinit(self):
        self.turn += 1

    def _end(self, turn, us, mode, callback):
        if turn != self.turn:
            return
        self.chip.soft(lambda: callback(self))
        if mode == self.PERIODIC:
            self.chip.after(us, lambda: self._end(turn, us, mode, callback))


class PWM:
    chip = None

    def __init__(self, pin, *, freq, duty_u16):
        assert 150 <= freq <= 1000

    def duty_u16(self, duty):
        self.chip.tones.append((self.chip.us, duty))
