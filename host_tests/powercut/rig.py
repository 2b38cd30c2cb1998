"""The whole firmware over such a flash, in exact virtual time, and a host that talks to it."""

import binascii

import vfs
from fakes.board import START_UNIX, FakeBoard

from doseloop import auth, boot, controller, keeper
from doseloop.commands import VERBS
from doseloop.region import RegionStore
from doseloop.store import FileStore

STORES = {"region": 64, "files": 96}  # blocks
_MOUNT = "/powercut"

for _module in (boot, controller, keeper):
    _module.collect_garbage = lambda: None  # this heap is large: MicroPython collects when it must


def open_store(kind, flash):
    """As a board that has just started."""
    if kind == "region":
        return RegionStore(flash, flash.blocks)
    try:
        vfs.umount(_MOUNT)
    except OSError:
        pass
    vfs.mount(vfs.VfsLfs2(flash, progsize=256), _MOUNT)
    return FileStore(_MOUNT)


def prepare(kind, flash):
    if kind == "files":
        vfs.VfsLfs2.mkfs(flash, progsize=256)
    else:
        store = RegionStore(flash, flash.blocks)
        while store.tidy():
            pass


class Board(FakeBoard):
    """heard: callable(line), told when a whole line has left for the host."""

    def __init__(self, store, **more):
        super().__init__(store, **more)
        self.wake = self.us
        self.heard = lambda line: None
        self._line = b""

    def idle(self, ms):
        self.wake = self.us + ms * 1000

    def write(self, data):
        self._line += bytes(data)
        while b"\n" in self._line:
            line, _, self._line = self._line.partition(b"\n")
            self.heard(line)
        return super().write(data)


class Rig:
    service_key = auth.default_key("service")  # what the host holds

    def __init__(self, kind, flash, us=0, ticks_start=777, cause=1):
        self.kind = kind
        self.flash = flash
        self.hal = Board(open_store(kind, flash), us=us, ticks_start=ticks_start)
        self.hal.boot_cause = cause
        self.turned = lambda: None
        self._seq = 0
        self._ids = 0x1000
        self.session = None
        self._spm = None  # steps per mL in force
        self._made = (0, 0)  # steps, and their nl, when that began

    def boot(self):
        self.controller = controller.Controller(self.hal)
        self.pump = self.controller.pump
        self.hal.wake = self.hal.us
        return self

    # time

    def turn(self):
        self.controller.rest(self.controller.turn())
        self.turned()

    def advance(self, ms):
        end = self.hal.us + ms * 1000
        while self.hal.wake < end:
            self.hal.advance_to(max(self.hal.wake, self.hal.us))
            self.turn()
        self.hal.advance_to(end)
        self.turn()

    # what left the pump

    def calibrated(self, spm):
        """From now on a mL has so many steps."""
        self._made = (len(self.hal.edges), self.made_nl())
        self._spm = spm

    def made_nl(self):
        """Of all steps on the pin, each by the calibration that it was made under."""
        steps, nl = self._made
        return nl + (len(self.hal.edges) - steps) * 1_000_000 // self._spm if self._spm else nl

    def unix(self):
        return self.hal.us // 1_000_000 + START_UNIX

    # the line

    def connect(self):
        fields = self._reply(b">0000 HELLO")[1]
        self._seq, self.session, nonce = 0, fields["sess"], fields["nonce"]
        proof = auth.mac_text(self.service_key, ("AUTH " + nonce + "service").encode())
        self.do("AUTH", role="service", mac=proof)
        return self

    def ask(self, verb, **fields):
        self._seq += 1
        words = [b">%04d %s" % (self._seq, verb.encode())] + [("%s=%s" % pair).encode() for pair in fields.items()]
        return self._reply(b" ".join(words))

    def send(self, verb, **fields):
        """(word OK or the refusal's code, fields of the reply)"""
        spec = VERBS[verb][1] if verb in VERBS else {}
        if ("id" in spec or "id?" in spec) and "id" not in fields:
            self._ids += 1
            fields["id"] = "%08x" % self._ids
        if "at" in spec:
            fields["at"], fields["ttl"] = "%ds" % self.unix(), "30s"
        pairs = [(name.rstrip("_"), value) for name, value in fields.items() if name != "mac"] + [("sess", self.session)]
        self._seq += 1
        body = (">%04d %s " % (self._seq, verb) + " ".join(["%s=%s" % pair for pair in pairs])).encode()
        mac = fields.get("mac") or auth.mac_text(self.service_key, self.session.encode() + body)
        return self._reply(body + b" mac=" + mac.encode())

    def do(self, verb, **fields):
        """The reply's fields; a confirmation that is asked for is given, and what an error of the flash has raised is acknowledged."""
        word, reply = self.send(verb, **fields)
        if word == "ALARM_ACTIVE" and self.flash.errors:
            self.do("ALAR:ACK", id="MEMORY_FAULT")
            word, reply = self.send(verb, **fields)
        if word.startswith("CONFIRM_"):
            word, reply = self.send(verb, **dict(fields, confirm=reply["confirm"]))
        if word != "OK":
            raise ValueError("%s: %s %s" % (verb, word, self.hal.from_pump))
        return reply

    def _reply(self, body):
        hal = self.hal
        hal.from_pump = b""
        hal.to_pump += body + b"*%08X\n" % (binascii.crc32(body) & 0xFFFFFFFF)
        for _ in range(400):
            self.turn()
            for line in hal.from_pump.split(b"\n")[:-1]:
                if line.startswith(b"<"):
                    return parse(line)
        raise ValueError("no reply to %s" % body)


def parse(line):
    """(OK or the refusal's code, {field: value}) of a reply."""
    words = line[: line.rfind(b"*")].decode().split(" ")
    word = words[1] if words[1] == "OK" else words[2]
    return word, dict([pair.split("=", 1) for pair in words[2:] if "=" in pair])


