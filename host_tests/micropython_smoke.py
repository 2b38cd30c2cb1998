"""Run by test_micropython.py on a real MicroPython: wire, journal, alarms and battery do there what they do on CPython.

Prints one line a check; the last one is `all well`. argv: the firmware folder, a folder to write in.
"""

import gc
import os
import sys

import micropython

sys.path.insert(0, sys.argv[1])

from doseloop import auth, frame, undo
from doseloop.alarms import HIGH, NO_BOLUS, TABLE, Alarms
from doseloop.battery import Battery
from doseloop.journal import Journal
from doseloop.store import FileStore
from doseloop.units import Refusal
from doseloop.wire import Wire

NEEDS = {"STAT?": "ask", "STOP": "stop", "RUN": "operator"}


class Serial:
    def __init__(self):
        self.input = self.output = b""

    def read(self, buf):
        n = min(len(buf), len(self.input))
        if n:
            buf[:n] = self.input[:n]
            self.input = self.input[n:]
        return n

    def write(self, data):
        self.output += data
        return len(data)


class RamDisk:
    """A block device for a real littlefs."""

    def __init__(self, blocks, size=4096):
        self.size = size
        self.blocks = blocks
        self.data = bytearray(blocks * size)

    def readblocks(self, n, buf, off=0):
        at = n * self.size + off
        buf[:] = self.data[at : at + len(buf)]

    def writeblocks(self, n, buf, off=0):
        at = n * self.size + off
        self.data[at : at + len(buf)] = buf

    def ioctl(self, op, arg):
        return {4: self.blocks, 5: self.size}.get(op, 0)


def check(name, good):
    print(name, "ok" if good else "WRONG")
    if not good:
        sys.exit(1)


def sealed(body):
    return body + b"*" + frame.crc_text(body) + b"\n"


def exchange(wire, serial, data):
    serial.output, serial.input = b"", data
    while wire.turn():
        pass
    return serial.output


def run(request):
    if request.verb == "RUN":
        raise Refusal("UNCALIBRATED", "CAL:SET first", [("left", "5nl")])
    return [("verb", request.verb), ("text", "a b")]


def wire():
    serial = Serial()
    w = Wire(serial, run, lambda verb: NEEDS.get(verb), lambda: 0xFEDCBA98, auth.Keys(), lambda: 1 << 40, lambda text: None)
    check("typed stop", exchange(w, serial, b"st\x08\x08\x03\xffSTOP now\r\n") == b'verb=STOP text="a b"\r\n')
    answer = exchange(w, serial, b"x>" + sealed(b">0000 HELLO"))
    check("hello", answer.startswith(b'<0000 OK boot=fedcba98 sess=fedcba98 proto=1 verb=HELLO text="a b" nonce=fedcba98fedcba98*'))
    mac = auth.mac_text(auth.default_key("operator"), b"AUTH fedcba98fedcba98operator").encode()
    check("auth", b"OK role=operator key=default" in exchange(w, serial, sealed(b">0001 AUTH role=operator sess=fedcba98 mac=" + mac)))
    body = b'>0002 RUN lot="a*b" sess=fedcba98'
    line = sealed(body + b" mac=" + auth.mac_text(auth.default_key("operator"), b"fedcba98" + body).encode())
    answer = exchange(w, serial, line)
    check("refusal", answer.startswith(b'<0002 ERR UNCALIBRATED "CAL:SET first" left=5nl*'))
    check("kept answer", exchange(w, serial, line) == answer)
    check("gap", b"expected=0003" in exchange(w, serial, sealed(b">0009 STAT?")))
    check("flipped bit", b"<0000 ERR FRAME" in exchange(w, serial, line.replace(b"RUN", b"RUM")))
    check("too long", b"<0000 ERR FRAME" in exchange(w, serial, b">" + b"x" * 600 + b"\r\n"))
    check("umlaut", b"<0000 ERR FRAME" in exchange(w, serial, sealed(b">0003 STAT? part=\xc3\xa4")))
    w.event("ALARM", [("code", "LATE")])
    check("event", exchange(w, serial, b"").startswith(b"!0001 ALARM code=LATE*"))
    check("hello keeps nothing", hello_growth(w, serial) < 1000)
    check("an idle turn allocates nothing", frugal(w.turn))


def hello_growth(w, serial):
    gc.collect()
    before = gc.mem_alloc()
    for _ in range(200):
        exchange(w, serial, sealed(b">0000 HELLO"))
    gc.collect()
    return gc.mem_alloc() - before


def frugal(call):
    """True if calling it 20 times allocates nothing."""
    micropython.heap_lock()
    try:
        for _ in range(20):
            call()
        return True
    except MemoryError:
        return False
    finally:
        micropython.heap_unlock()


def journal(root, name):
    store = FileStore(root)
    j = Journal(store)
    check(name + " opens", j.open() == 0 and j.newest("log") is None)
    for i in range(70):
        j.append("log", 3, (1 << 40) + i, 4_000_000_000, b"payload")
    j.save("state", b"{}" * 300)
    store.append("log.01", b"torn")
    j = Journal(store)
    check(name + " tells a torn tail", j.open() == 1 and j.torn == [("log", 71)] and j.torn_tails == ["log"])
    check(name + " goes on after it", j.append("log", 3, 0, 0, b"") == 72)
    found = list(j.records("log"))
    check(name + " reads back", len(found) == 71 and found[69] == (70, 3, (1 << 40) + 69, 4_000_000_000, b"payload"))
    store.replace("state.b", b"rot")
    check(name + " repairs", j.load("state") == (b"{}" * 300, "one_bad") and j.load("state")[1] == "good" and j.load("x") == (None, "none"))


def alarms():
    a = Alarms(lambda text: None)
    a.set("LATE", True, 1 << 20)
    a.set("PUMP_STOPPED", True, 1 << 20)
    check("highest sounds", a.signal(1 << 20) == HIGH and a.action() == NO_BOLUS and a.top() == "LATE")

    def turn():
        a.set("LATE", True, 5)
        a.set("PORT_OPEN", False, 5)
        a.signal(5)
        a.due(5)
        a.action()
        a.high()

    check("alarms that stay allocate nothing", frugal(turn))
    b = Alarms(lambda text: None)
    b.load(a.dump())
    check("latched over a restart", b.is_on("LATE") and not b.is_on("PUMP_STOPPED"))


class Part:
    """In the place of a part of the pump."""

    def settle(self):
        pass

    flow = settle


def standing(alarms):
    return sorted([vars_of(row) for row in alarms.rows()]), [row.code for row in alarms.active()], alarms.action()


def vars_of(row):
    return sorted((name, repr(value)) for name, value in row.__dict__.items())


def undone():
    """A dict's copy has another order here: what is put back must come to its own alarm, twice over."""
    pump = Part()
    for name in ("clock", "therapy", "line", "reservoir", "deliveries", "basal", "ledger", "windows", "keeper"):
        setattr(pump, name, Part())
    pump.keeper.waiting = []
    for row in TABLE:
        a = pump.alarms = Alarms(lambda text: None)
        a.set(row[0], True, 5000, "first")
        a.set("TEMPERATURE", True, 5000)
        was = standing(a)
        for _ in range(2):
            before = undo._remember(pump)
            for other in TABLE:
                a.set(other[0], other[0] != row[0], 400_000, "then")
                if a.is_on(other[0]):
                    a.acknowledge(other[0])
            undo._undo(pump, before, 0)
            if standing(a) != was:
                check("what a command did to the alarms is undone, " + row[0], False)
        a.set(row[0], False, 6000)
        a.set("TEMPERATURE", False, 6000)
        for alarm in a.active():
            a.acknowledge(alarm.code)
        if a.count():
            check("after it they go as ever, " + row[0], False)
    check("what a command did to the alarms is undone", True)


def battery():
    board = {"battery_low_mv": 3300, "battery_low_clear_mv": 3400, "battery_depleted_mv": 3000, "battery_depleted_clear_mv": 3150}
    b = Battery(board)
    for i in range(100):
        b.sample(3900 - i, i * 8_640_000)
    check("forecast", b.days_left() is not None and b.low and not b.depleted and b.mv > 3700)


wire()
journal(sys.argv[2], "folder")
os.VfsLfs2.mkfs(RAM := RamDisk(40))
os.mount(os.VfsLfs2(RAM), "/ram")
journal("/ram", "littlefs")
alarms()
undone()
battery()
print("all well")
