"""What the flashed boards share: serial line, signals, ticks, port switch, watchdog, idling. The rest is the family's hal_*.py.

Nothing touches a pin before a hal is made.
"""

import binascii
import hashlib
import os
import select
import sys
import time

import machine
from machine import WDT, Pin

from doseloop.alarms import SIGNALS, TEST
from doseloop.hal import TICKS_MASK, ticks_add, ticks_diff
from doseloop.store import FileStore
from doseloop.units import collect_garbage, const

_IDLE_MOST_MS = const(4_000)  # then the loop turns
_EDGE_SLICE_MS = const(20)  # an edge of the port switch ends an idle within this
_RTC_YEAR_SET = const(2025)  # an unset clock shows an earlier year
_EPOCH_2000 = const(946_684_800)  # unix seconds of 2000-01-01, where some ports begin to count
_TONE_SLICE_MS = const(25)
_QUIET_MS = const(20)  # a host that asks without a pause asks sooner
_CHUNK = const(64)  # a packet of USB
_SLOW_WRITE_MS = const(5)
CODE_SLICE = const(2048)  # bytes hashed at a time: 2.5 ms on an RP2040
TONE_HZ = const(800)  # IEC 60601-1-8: 150 to 1000 Hz


class Serial:
    """The prompt's serial line. Reads what is there; writes what fits.

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
        self.heard = False  # a line came since tidy() last collected its garbage

    def pending(self, ms=0):
        """True as soon as there is a byte to read, False after ms without one."""
        for _ in self._readable.ipoll(ms):
            return True
        return False

    def read(self, buf):
        """Fills buf with what has come, returns how many bytes."""
        if not self.pending():
            return 0
        self.heard = True
        ask, take, one = self._readable.ipoll, self._in.readinto, self._one
        for count in range(len(buf)):
            for _ in ask(0):
                break
            else:
                return count
            take(one, 1)
            buf[count] = one[0]
        return len(buf)

    def write(self, data):
        """Takes as much of data as the port has room for, returns how many bytes."""
        done, view = 0, memoryview(data)
        while done < len(data) and self._room():
            size = 1 if self._careful else _CHUNK
            done += self._send(view[done : done + size])
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


class Deadline:
    """Renewed for so many ms from now; once over it stays over, however far the ticks wrap. left() may come by interrupt."""

    def __init__(self):
        self._end = 0
        self._set = False

    def renew(self, ms):
        self._end = ticks_add(time.ticks_ms(), ms)
        self._set = ms > 0

    def left(self):
        """ms that are left, 0 once it is over. Ask at least every 6 days."""
        if not self._set:
            return 0
        left = ticks_diff(self._end, time.ticks_ms())
        self._set = left > 0
        return left if self._set else 0


class BoardHal:
    """See doseloop/hal.py for the contract.

    A family makes its parts and gives them to begin(): engine (put, room, revoke, stepped, late, attend), enable (feed),
    encoder (count) and signals (tone). It adds battery_mv, temperature, reset and the cause of the boot.
    """

    def __init__(self, board, boot_cause):
        self.board = board
        self.boot_cause = boot_cause
        self.serial = Serial()
        self.store = self.open_store()
        Pin(board["direction_pin"], Pin.OUT, value=0)
        self._port = Pin(board["port_pin"], Pin.IN, Pin.PULL_UP)  # closed pulls low: a broken wire reads open
        self._port_edge = False  # set by interrupt, taken by idle
        self._guarded = False  # a bolus or prime moves: an open port cuts the motor off
        self._cut = False  # it has
        self.begin_port_irq(self._on_port)
        self._wdt = None  # made by the first report; nothing stops it after that
        self._last_us = time.ticks_us()
        self._ms = time.ticks_ms() & TICKS_MASK  # type: ignore[operator] # the stubs hide that ticks are a number
        self._us = 0  # microseconds beyond _ms
        self._report = Deadline()  # until when the controller's report counts

    def open_store(self):
        """Where the journal lies: files; a family that has bare flash blocks for it looks there first."""
        return FileStore(make_folder(self.board["journal_folder"]))

    def begin(self, engine, enable, encoder, signals):
        """The interface of motion, bound once."""
        self._engine = engine
        self.put = engine.put
        self.room = engine.room
        self.revoke = engine.revoke
        self.stepped = engine.stepped
        self.late = engine.late
        self.witness = encoder.count
        self._enable = enable
        self.tone = signals.tone

    def begin_port_irq(self, handler):
        """Where the port has hard interrupts, its family asks for one: the handler allocates nothing."""
        self._port.irq(handler, Pin.IRQ_RISING | Pin.IRQ_FALLING)

    def _on_port(self, pin):
        self._port_edge = True
        if self._guarded and pin.value():
            self._cut = True
            self.cut_motor()

    def cut_motor(self):
        """By interrupt; allocates nothing."""
        self._enable.feed(0)

    def guard_port(self, on):
        self._guarded = False  # first: an interrupt between the two lines must not leave a cut that nobody lifts
        self._cut = False
        if on:
            self._guarded = True
            self._on_port(self._port)

    def feed(self, ms):
        self._enable.feed(0 if self._cut else ms)
        if self._cut:  # the interrupt came between
            self._enable.feed(0)

    def ticks_ms(self):
        """Counted from the microseconds, so that no part of one is lost; asked at least every 8 min, as the watchdog makes sure."""
        now = time.ticks_us()
        us = self._us + time.ticks_diff(now, self._last_us)
        self._last_us = now
        self._ms = (self._ms + us // 1000) & TICKS_MASK
        self._us = us % 1000
        return self._ms

    def port_open(self):
        return self._cut or self._port.value() == 1

    def rtc(self):
        if time.gmtime()[0] < _RTC_YEAR_SET:
            return None
        return time.time() + _epoch_s()

    def rtc_set(self, unix_s):
        year, month, day, hour, minute, second, weekday, _ = time.gmtime(unix_s - _epoch_s())
        machine.RTC().datetime((year, month, day, self.first_weekday + weekday, hour, minute, second, 0))

    first_weekday = 0  # the number the chip's clock gives to Monday

    def watchdog(self, ms):
        """The controller has reported in."""
        self._report.renew(ms)
        if self._wdt is None:
            self._wdt = WDT(timeout=self.board["watchdog_ms"])
        self._keep_alive()

    def _keep_alive(self):
        """The one place that feeds the hardware watchdog: only while the controller's report counts."""
        if self._wdt is not None and self._report.left():
            self._wdt.feed()

    def attend(self):
        """What wants doing now and then while the loop sleeps; returns ms until it wants it again."""
        self._keep_alive()
        return self._engine.attend()

    def idle(self, ms):
        """Sleeps ms, or until a byte or an edge of the port switch comes."""
        now = time.ticks_ms()
        end, quiet = time.ticks_add(now, min(ms, _IDLE_MOST_MS)), time.ticks_add(now, _QUIET_MS)
        while not self._port_edge:
            slice_ms = min(self.attend(), _EDGE_SLICE_MS)
            left = time.ticks_diff(end, time.ticks_ms())
            if self.serial.pending(max(0, min(left, slice_ms))) or left <= 0:
                return
            if self.serial.heard and time.ticks_diff(quiet, time.ticks_ms()) < 0:
                self._tidy()
        self._port_edge = False

    def _tidy(self):
        """What the last lines left behind goes while nobody waits for an answer: a collection takes a Pico some 8 ms."""
        self.serial.heard = False
        collect_garbage()

    def code_hash(self):
        """Names the content of the image; tools/image.py froze it in. An image built otherwise has none."""
        try:
            from build_id import HASH  # type: ignore[import-not-found]
        except ImportError:
            return "none"
        return HASH

    code_folder = __file__.rpartition("/")[0]  # of files; "" in an image

    def code_check(self):
        """Files against the list that tools/flash.py left beside them, an image against what tools/image.py left behind it."""
        return _check_files(self.code_folder) if self.code_folder else self.image_check()

    def image_check(self):
        yield "none"

    def probe(self, part):
        return None

    def random32(self):
        return int.from_bytes(os.urandom(4), "little")

    def uid(self):
        return "".join(["%02x" % byte for byte in machine.unique_id()])


def _check_files(folder):
    """The folder's name ends with the hash of its list, the list has the hash of each file."""
    if "/fw-" not in folder:
        yield "none"
        return
    path = folder + "/files.txt"
    try:
        same = (yield from _hash_file(path))[:16] == folder[-16:]
        with open(path) as lines:
            for line in lines:
                want, name = line.split()
                same = (yield from _hash_file(folder + "/" + name)) == want and same
    except (OSError, ValueError):
        same = False
    yield "pass" if same else "FAIL"


def _hash_file(path):
    """SHA-256 in hex, a slice at a time."""
    whole = hashlib.sha256()
    part = bytearray(CODE_SLICE)
    with open(path, "rb") as file:
        while True:
            count = file.readinto(part)
            if not count:
                return binascii.hexlify(whole.digest()).decode()
            whole.update(part if count == len(part) else part[:count])
            yield None


def _epoch_s():
    """Unix seconds of the port's second 0: 1970 on some, 2000 on others."""
    return _EPOCH_2000 if time.gmtime(0)[0] == 2000 else 0


def make_folder(path):
    """Makes sure the folder is there."""
    try:
        os.mkdir(path)
    except OSError:
        pass
    return path


class Signal:
    """Buzzer and lamps: plays a row of alarms.SIGNALS again and again, stepped by a timer so that nothing waits for it.

    sound(on) switches the tone; timer is a machine.Timer.
    """

    def __init__(self, sound, lamp_red_pin, lamp_yellow_pin, timer):
        self._sound = sound
        self._lamps = {"red": Pin(lamp_red_pin, Pin.OUT, value=0), "yellow": Pin(lamp_yellow_pin, Pin.OUT, value=0)}
        self._timer = timer
        self._step_bound = self._step
        self._signal = 0
        self._burst = _Cycle(sound)
        self._light = _Cycle(self._shine)
        self._lamp = None

    def tone(self, signal):
        """signal: row of SIGNALS, its TEST bit makes no difference here; 0 ends it."""
        if signal == self._signal:
            return
        self._signal = 0  # first: a step that waits to be run must not sound after the timer's end
        self._timer.deinit()
        self._sound(0)
        self._shine(0)
        self._signal = signal
        light, on_ms, off_ms, burst = SIGNALS[signal & ~TEST]
        self._lamp = self._lamps.get(light)
        if burst:
            self._burst.begin(burst)
            self._light.begin((on_ms, off_ms))
            self._timer.init(period=_TONE_SLICE_MS, mode=machine.Timer.PERIODIC, callback=self._step_bound)

    def _step(self, _timer):
        if not self._signal:
            return
        self._burst.step()
        self._light.step()

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
