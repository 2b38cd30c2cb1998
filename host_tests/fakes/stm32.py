"""The STM32F405's timers by their registers, as pyb.Timer and stm.mem32 show them, over a chip of chip.py.

A timer made by pyb.Timer runs freely at once; a channel made on it drives its pin as soon as the pin is given to it. What
is written to the prescaler, and to the top while ARPE is on, counts only from the next update. Counters have 16 bits.
"""

from types import SimpleNamespace

from fakes.chip import Chip, bound, common_modules

HZ = 84_000_000
# Where a timer's channel comes out: (pin, alternate function) -> (timer, channel). STM32F405 data sheet, table 9.
OUTPUTS = {("X9", 2): (4, 1), ("Y7", 9): (12, 1), ("X7", 9): (13, 1), ("Y1", 3): (8, 1), ("Y2", 3): (8, 2)}
TRIGGERS = {2: {0: 1, 1: 8, 2: 3, 3: 4}}  # counting timer -> trigger -> the timer that gives it
CEN, URS, OPM, ARPE = 1, 4, 8, 128
REGISTERS = {0: "CR1", 4: "CR2", 8: "SMCR", 20: "EGR", 36: "CNT", 40: "PSC", 44: "ARR"}
BASE = {number: 0x4000_0000 + 0x400 * number for number in range(1, 15)}
RTC_BASE, BKP0R = 0x4000_2800 + 0x10_0000, 80


class Stm32(Chip):
    """backup: the register that a reset keeps."""

    platform = "pyboard"

    def __init__(self, board, kept=0, cause=1, clock_s=0, **more):
        super().__init__(board, **more)
        self.soft_latency_us = (40, 5_000)
        self.backup = kept
        self.cause = cause
        self.clock_zero_s = clock_s
        self.rtc = SimpleNamespace(datetime=self._set_clock)
        self.timers = {}
        self.tones = []
        self.given = {}  # pin -> (timer, channel)

    def clock_s(self):
        return self.clock_zero_s + self.us // 1_000_000

    def _set_clock(self, fields):
        import calendar

        year, month, day, weekday, hour, minute, second, _ = fields
        assert 1 <= weekday <= 7
        self.clock_zero_s = calendar.timegm((year, month, day, hour, minute, second)) - 946_684_800 - self.us // 1_000_000

    def reset(self):
        super().reset()
        for timer in self.timers.values():
            timer.turn += 1
        self.given.clear()

    def alternate(self, pin, number):
        self.given.pop(pin.name, None)
        if number is None:
            return
        timer, channel = OUTPUTS.get((pin.name, number), (None, None))
        self.given[pin.name] = (timer, channel)
        if timer in self.timers:
            self.timers[timer].give_pin(pin.name, channel)

    def register(self, address):
        number, offset = next(((n, address - base) for n, base in BASE.items() if 0 <= address - base < 0x400), (None, 0))
        return self.timers[number], REGISTERS[offset]

    def modules(self):
        found = common_modules(self)
        found["machine"].Timer = bound(SoftTimer, self)
        stm = SimpleNamespace(mem32=Memory(self), RTC=RTC_BASE, RTC_BKP0R=BKP0R)
        for offset, name in REGISTERS.items():
            setattr(stm, "TIM_" + name, offset)
        for number, base in BASE.items():
            setattr(stm, f"TIM{number}", base)
        found["stm"] = stm
        found["pyb"] = SimpleNamespace(Timer=bound(Timer, self), Pin=found["machine"].Pin)
        return found


class Memory:
    def __init__(self, chip):
        self.chip = chip

    def __getitem__(self, address):
        if address == RTC_BASE + BKP0R:
            return self.chip.backup
        timer, name = self.chip.register(address)
        return timer.read(name)

    def __setitem__(self, address, value):
        if address == RTC_BASE + BKP0R:
            self.chip.backup = value
            return
        timer, name = self.chip.register(address)
        timer.write(name, value)


class Timer:
    """pyb.Timer. Time is kept as the instant at which the counter would have been 0."""

    PWM, PWM_INVERTED, ENC_AB = 0, 1, 11
    chip = None

    def __init__(self, number, *, prescaler=None, period=None, freq=None):
        assert number in BASE and number not in (5, 6)
        self.number = number
        self.handler = None
        self.turn = 0
        self.pins = {}  # channel -> pin name
        self.pwm = None  # channel of an output that is high from count 1 on
        self.encoder = False
        self.slaves = []
        self.cr1 = self.cr2 = self.smcr = 0
        self.psc = self.psc_next = prescaler or 0
        self.arr = self.arr_next = period or 0xFFFF
        self.zero_us = 0.0
        self.stood = 0  # count while it stands
        self.sounding = 0
        self.chip.timers[number] = self
        self.write("CR1", CEN | ARPE)

    # pyb.Timer

    def source_freq(self):
        return HZ

    def prescaler(self, value):
        self.psc_next = value

    def channel(self, number, mode, *, pin=None, pulse_width=0, pulse_width_percent=0):
        if mode == self.PWM_INVERTED:
            assert pulse_width == 1
            self.pwm = number
        elif mode == self.ENC_AB:
            self.encoder = True
            self.stood = 0
            self.turn += 1  # it follows its inputs now, no clock
            for name, (timer, channel) in self.chip.given.items():
                if timer == self.number:
                    self._follow(name, channel)
        if pin is not None:
            assert (pin.name, 9) in OUTPUTS
        return SimpleNamespace(pulse_width_percent=lambda percent: self.chip.tones.append((self.chip.us, percent)))

    def callback(self, handler):
        self.handler = handler

    def counter(self, value=None):
        if value is None:
            return self.read("CNT")
        return self.write("CNT", value)

    # Registers.

    def running(self):
        return bool(self.cr1 & CEN)

    def us_per_count(self):
        return (self.psc + 1) * 1_000_000 / HZ

    def read(self, name):
        if name == "CNT":
            if self.encoder or self.smcr or not self.running():
                return self.stood & 0xFFFF
            return int((self.chip.us - self.zero_us) / self.us_per_count()) & 0xFFFF
        return {"CR1": self.cr1, "ARR": self.arr_next, "PSC": self.psc_next, "SMCR": self.smcr, "CR2": self.cr2}[name]

    def write(self, name, value):
        if name == "CR1":
            self._control(value)
        elif name == "CNT":
            self.stood = value & 0xFFFF
            if self.running():
                self._run()
        elif name == "ARR":
            self.arr_next = value & 0xFFFF
            if not self.cr1 & ARPE:
                self.arr = self.arr_next
        elif name == "PSC":
            self.psc_next = value
        elif name == "EGR":
            self._update(interrupts=not self.cr1 & URS)
        elif name == "CR2":
            self.cr2 = value
        elif name == "SMCR":
            self.smcr = value
            self.turn += 1
            source = TRIGGERS[self.number][value >> 4 & 7] if value & 7 == 7 else None
            self.source = source

    def _control(self, value):
        before, count = self.running(), self.read("CNT")
        self.cr1 = value
        if self.running() and not before:
            self._run()
        elif before and not self.running():
            self.stood = count
            self.turn += 1
        self._show()

    def _run(self):
        """On from the count it stands at."""
        self.turn += 1
        self.zero_us = self.chip.us - self.stood * self.us_per_count()
        if self.encoder or self.smcr:
            return
        turn = self.turn
        if self.pwm is not None and self.stood < 1:
            self._drive(0)
            self.chip.after(max(1, round(self.us_per_count())), lambda: self._rise(turn))
        elif self.pwm is not None:
            self._drive(1)
        left = (self.arr + 1 - self.stood) * self.us_per_count()
        self.chip.after(max(1, round(left)), lambda: self._end(turn))

    def _rise(self, turn):
        if turn == self.turn:
            self._drive(1)

    def _end(self, turn):
        if turn != self.turn:
            return
        if self.cr1 & OPM:
            self.cr1 &= ~CEN
            self.turn += 1
        self._update(interrupts=True)
        if self.running() and (self.pins or self.handler):
            self._run()

    def _update(self, interrupts):
        self.psc, self.arr = self.psc_next, self.arr_next
        self.stood = 0
        self.zero_us = self.chip.us
        self._show()
        if interrupts and self.handler is not None:
            self.chip.interrupt(lambda: self.handler(self))

    # Outputs and inputs.

    def give_pin(self, name, channel):
        if self.encoder:
            self._follow(name, channel)
        elif channel == self.pwm:
            self.pins[channel] = name
            self._show()
            if self.running():
                self._run()

    def _show(self):
        if self.pwm is not None:
            self._drive(1 if self.read("CNT") >= 1 else 0)

    def _drive(self, level):
        if level and not self.sounding and self.cr2 == 4 << 4:
            for other in self.chip.timers.values():
                if other.smcr and other.source == self.number and other.running():
                    other.stood = (other.stood + 1) & 0xFFFF
        self.sounding = level
        for name in self.pins.values():
            self.chip.drive(name, level)

    def _follow(self, name, channel):
        self.pins[channel] = name
        self.chip.watch(name, lambda level: self._quadrature(channel, level))

    def _quadrature(self, channel, level):
        """Input 1 ahead of input 2 counts up."""
        if len(self.pins) < 2 or not self.running():
            return
        other = self.chip.level(self.pins[3 - channel])
        up = (level != other) if channel == 1 else (level == other)
        self.stood = (self.stood + (1 if up else -1)) & 0xFFFF


class SoftTimer:
    """machine.Timer: only the virtual one, with soft callbacks."""

    ONE_SHOT, PERIODIC = 0, 1
    chip = None

    def __init__(self, number):
        assert number == -1, "machine.Timer of this port is virtual only"
        self.turn = 0

    def init(self, *, mode=1, period=1, callback=None):
        self.turn += 1
        turn = self.turn
        self.chip.after(period * 1000, lambda: self._end(turn, period, callback))

    def deinit(self):
        self.turn += 1

    def _end(self, turn, period, callback):
        if turn == self.turn:
            self.chip.soft(lambda: callback(self))
            self.chip.after(period * 1000, lambda: self._end(turn, period, callback))
