"""The RP2040 behind hal.py. Pins and limits come from boards/<board>/board.py; motion is in rp2_motion.py.

Nothing touches a pin before Hal(board) is made. What the chip cannot do: its clock does not survive a power loss, its
watchdog waits 8388 ms at most and cannot be stopped, and a flash erase holds up the loop while the PIO goes on stepping.
"""

import os
import select
import sys
import time

import machine
from machine import ADC, PWM, WDT, Pin, Timer

from doseloop.alarms import SIGNALS, TEST
from doseloop.hal import BOOT_POWER, BOOT_SOFT, BOOT_WATCHDOG, TICKS_MASK
from doseloop.store import FileStore
from doseloop.units import const
from rp2_motion import Enable, Encoder, Engine

_WDT_MOST_MS = const(8388)
_IDLE_MOST_MS = const(4_000)  # then the loop turns and feeds the watchdog
_SCRATCH = const(0x4005800C)  # a watchdog register that a reset keeps and a power-on clears
_SCRATCH_MARK = const(0x0D05E000)  # the low bits hold the cause we reset for
_CAUSE_MASK = const(0xF)
_RTC_YEAR_SET = const(2025)  # an unset clock shows an earlier year
_EDGE_SLICE_MS = const(20)  # an edge of the port switch ends an idle within this
_REFILL_SLICE_MS = const(5)
_TONE_SLICE_MS = const(25)
_TONE_HZ = const(800)  # IEC 60601-1-8: 150 to 1000 Hz
_CHUNK = const(16)
_SLOW_WRITE_MS = const(5)


class Serial:
    """USB serial. Reads what is there; writes what fits.

    A write to a full USB queue that nobody reads blocks for 500 ms, once: after it bytes are offered singly, each only
    where there is room, until a hundred in a row went well.
    """

    def __init__(self):
        self._in = sys.stdin.buffer
        self._out = sys.stdout.buffer
        self._one = bytearray(1)
        self._readable = select.poll()
        self._readable.register(sys.stdin, select.POLLIN)
        self._writable = select.poll()
        self._writable.register(sys.stdout, select.POLLOUT)
        self._careful = 0  # bytes still to be sent singly

    def pending(self, ms=0):
        """True as soon as there is a byte to read, False after ms without one."""
        for _ in self._readable.ipoll(ms):
            return True
        return False

    def read(self, buf):
        """Fills buf with what has come, returns how many bytes."""
        count = 0
        while count < len(buf) and self.pending():
            self._in.readinto(self._one, 1)
            buf[count] = self._one[0]
            count += 1
        return count

    def write(self, data):
        """Takes as much of data as the port has room for, returns how many bytes."""
        done = 0
        while done < len(data) and self._room():
            size = 1 if self._careful else _CHUNK
            done += self._send(data[done : done + size])
        return done

    def _room(self):
        for _ in self._writable.ipoll(0):
            return True
        return False

    def _send(self, part):
        began = time.ticks_ms()
        sent = self._out.write(part)
        if sent is None:
            sent = 0
        if time.ticks_diff(time.ticks_ms(), began) > _SLOW_WRITE_MS or sent < len(part):
            self._careful = 100
        elif self._careful:
            self._careful -= 1
        return sent


class Hal:
    """See doseloop/hal.py for the contract."""

    def __init__(self, board):
        self.board = board
        self.boot_cause = _boot_cause()
        self.serial = Serial()
        self.store = FileStore(_folder("/journal"))
        self._engine = Engine(board["step_pin"])
        self._enable = Enable(board["enable_pin"])
        self._encoder = Encoder(board["encoder_pin"])
        Pin(board["direction_pin"], Pin.OUT, value=0)
        self._port = Pin(board["port_pin"], Pin.IN, Pin.PULL_UP)
        self._port_edge = False  # set by interrupt, taken by idle
        self._port.irq(self._on_port, Pin.IRQ_RISING | Pin.IRQ_FALLING)
        self._battery = ADC(Pin(board["battery_pin"]))
        self._full_scale_mv = board["battery_full_scale_mv"]
        self._strap = Pin(board["strap_pin"], Pin.IN, Pin.PULL_UP)
        self._signals = Signal(board)
        self._wdt = None  # made by the first feeding; nothing stops it after that
        self._last_us = time.ticks_us()
        self._ms = time.ticks_ms() & TICKS_MASK
        self._us = 0  # microseconds beyond _ms
        # The interface of motion, bound once.
        self.put = self._engine.put
        self.room = self._engine.room
        self.revoke = self._engine.revoke
        self.stepped = self._engine.stepped
        self.witness = self._encoder.count
        self.feed = self._enable.feed
        self.tone = self._signals.tone

    def _on_port(self, _pin):
        self._port_edge = True

    def ticks_ms(self):
        """Counted from the microseconds, so that no part of one is lost; asked at least every 8 min, as the watchdog makes sure."""
        now = time.ticks_us()
        us = self._us + time.ticks_diff(now, self._last_us)
        self._last_us = now
        self._ms = (self._ms + us // 1000) & TICKS_MASK
        self._us = us % 1000
        return self._ms

    def port_open(self):
        return self._port.value() == 1

    def service_strap(self):
        return self._strap.value() == 0

    def battery_mv(self):
        return self._battery.read_u16() * (self._full_scale_mv >> 1) >> 15

    def temperature(self):
        return None

    def rtc(self):
        if time.gmtime()[0] < _RTC_YEAR_SET:
            return None
        return time.time()

    def rtc_set(self, unix_s):
        year, month, day, hour, minute, second, weekday, _ = time.gmtime(unix_s)
        machine.RTC().datetime((year, month, day, weekday, hour, minute, second, 0))

    def watchdog(self, ms):
        if self._wdt is None:
            self._wdt = WDT(timeout=min(ms, _WDT_MOST_MS))
        self._wdt.feed()

    def idle(self, ms):
        """Sleeps ms, or until a byte or an edge of the port switch comes; leases that wait go on to the engine meanwhile."""
        end = time.ticks_add(time.ticks_ms(), min(ms, _IDLE_MOST_MS))
        while not self._port_edge:
            self._engine.refill()
            left = time.ticks_diff(end, time.ticks_ms())
            slice_ms = _REFILL_SLICE_MS if self._engine.waiting else _EDGE_SLICE_MS
            if self.serial.pending(max(0, min(left, slice_ms))) or left <= 0:
                return
        self._port_edge = False

    def reset(self, cause):
        machine.mem32[_SCRATCH] = _SCRATCH_MARK | cause
        machine.reset()

    def code_hash(self):
        """Names the content of the image; tools/image.py froze it in. An image built otherwise has none."""
        try:
            from build_id import HASH
        except ImportError:
            return "none"
        return HASH

    def random32(self):
        return int.from_bytes(os.urandom(4), "little")

    def uid(self):
        return "".join(["%02x" % byte for byte in machine.unique_id()])


def _folder(path):
    """Makes sure the folder is there."""
    try:
        os.mkdir(path)
    except OSError:
        pass
    return path


def _boot_cause():
    """Why we started: our own mark, else the watchdog, else power."""
    mark = machine.mem32[_SCRATCH]
    machine.mem32[_SCRATCH] = 0
    if mark & ~_CAUSE_MASK == _SCRATCH_MARK:
        return mark & _CAUSE_MASK or BOOT_SOFT
    if machine.reset_cause() == machine.WDT_RESET:
        return BOOT_WATCHDOG
    return BOOT_POWER


class Signal:
    """Buzzer and lamps: plays a row of alarms.SIGNALS again and again, stepped by a timer so that nothing waits for it."""

    def __init__(self, board):
        self._pwm = PWM(Pin(board["buzzer_pin"]), freq=_TONE_HZ, duty_u16=0)
        self._lamps = {"red": Pin(board["lamp_red_pin"], Pin.OUT, value=0), "yellow": Pin(board["lamp_yellow_pin"], Pin.OUT, value=0)}
        self._timer = Timer()
        self._step_bound = self._step
        self._signal = 0
        self._burst = _Cycle(self._sound)
        self._light = _Cycle(self._shine)
        self._lamp = None

    def tone(self, signal):
        """signal: row of SIGNALS, its TEST bit makes no difference here; 0 ends it."""
        if signal == self._signal:
            return
        self._timer.deinit()
        self._sound(0)
        self._shine(0)
        self._signal = signal
        light, on_ms, off_ms, burst = SIGNALS[signal & ~TEST]
        self._lamp = self._lamps.get(light)
        if burst:
            self._burst.begin(burst)
            self._light.begin((on_ms, off_ms))
            self._timer.init(period=_TONE_SLICE_MS, mode=Timer.PERIODIC, callback=self._step_bound)

    def _step(self, _timer):
        self._burst.step()
        self._light.step()

    def _sound(self, on):
        self._pwm.duty_u16(0x8000 if on else 0)

    def _shine(self, on):
        if self._lamp:
            self._lamp.value(on)


class _Cycle:
    """Switches something by a row of ms: on, off, on, off, ... and again. step() is called each slice and allocates nothing."""

    def __init__(self, switch):
        self._switch = switch
        self._row = ()
        self._place = 0
        self._left_ms = 0

    def begin(self, row):
        self._row = row
        self._place = 0
        self._left_ms = row[0]
        self._switch(1)

    def step(self):
        self._left_ms -= _TONE_SLICE_MS
        if self._left_ms > 0:
            return
        place = self._place
        while self._left_ms <= 0:
            place = (place + 1) % len(self._row)
            self._left_ms += self._row[place]
        if place & 1 != self._place & 1:
            self._switch(place & 1 ^ 1)
        self._place = place
