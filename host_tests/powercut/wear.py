"""Use: micropython wear.py STORE ML_A_DAY HOURS: the firmware delivers for so long over a flash that counts.

Prints erases, the most erased block's, pages, records, saves of the state, and blocks; with 0 HOURS instead, for each of ACTS, how many
erases and pages TIMES of it take.
"""

import sys

HERE = __file__.rsplit("/", 2)[0]
sys.path[:0] = [HERE + "/../firmware", HERE]

from powercut import story
from powercut.flash import Flash
from powercut.rig import Rig, prepare
from powercut.told import Told, listen

BLOCKS = {"region": 64, "files": 352}
CONC = 51  # mcg/mL, the thinnest dilution: 24 mL a day stay within the label's daily maximum


class Counting(Flash):
    def __init__(self, blocks):
        super().__init__(bytearray(b"\xff" * (blocks * 4096)))
        self.writing_down = False
        self.counting = False
        self.erased = [0] * blocks
        self.pages = 0

    def put(self, at, new):
        super().put(at, new)
        if self.counting and len(new) == 4096:
            self.erased[at // 4096] += 1
        elif self.counting:
            self.pages += 1


TIMES = 20
QUIET_MS = 90_000  # after each: what is erased at a quiet moment is erased


def boot_again(rig):
    again = Rig(rig.kind, rig.flash, us=rig.hal.us + 1_000_000)
    again.hal.rtc_offset, again.hal.rotor, again.hal.edges = rig.hal.rtc_offset, rig.hal.rotor, Count()
    return again.boot().connect()


def stop_and_run(rig):
    rig.do("STOP")
    rig.advance(QUIET_MS)
    rig.do("RUN")
    return rig


def stop(rig):
    rig.send("STOP")
    return rig


def refused(rig):
    rig.send("DOSE:BOLUS", volume="1nl", path="port")
    return rig


ACTS = (boot_again, stop_and_run, refused, stop)  # the last: after it the pump stands, and each is only said again


def act(kind):
    rig = begin(kind, 1)
    flash = rig.flash
    for call in ACTS:
        if call is stop:
            rig.do("STOP")
        flash.counting = False
        rig.advance(QUIET_MS)
        before = sum(flash.erased), flash.pages
        flash.counting = True
        for _ in range(TIMES):
            rig = call(rig)
            rig.advance(QUIET_MS)
        print("act", call.__name__, TIMES, sum(flash.erased) - before[0], flash.pages - before[1])


class Count:
    """In place of the list of all edges."""

    def __init__(self):
        self.count = 0

    def append(self, us):
        self.count += 1

    def __len__(self):
        return self.count


def begin(kind, ml_a_day):
    """A pump that delivers."""
    flash = Counting(BLOCKS[kind])
    listen(Told(flash))
    prepare(kind, flash)
    rig = Rig(kind, flash)
    rig.hal.edges = Count()
    rig.boot().connect()
    rig.do("TIME", set="%ds" % rig.unix(), offset="0min")
    story.calibrate(rig)
    rig.do("PROG:NEW", name="wear")
    rig.do("PROG:SET", conc="%dmcg/ml" % CONC)
    rig.do("PROG:SEG", day="all", from_="00:00", dose="%dng" % (CONC * 1000 * ml_a_day))
    rig.do(
        "THER:IMPORT", population="spinal", birth="1980-05-01", phase="titration", hash=rig.ask("PROG:CHECK?")[1]["hash"], screen="50mcg",
        effect="short", increase_ago="100000s", volume="20000000nl", conc="%dmcg/ml" % CONC, lot="L1", expiry="2029-01-01",
    )  # fmt: skip
    rig.do("RUN")
    rig.advance(3_600_000)
    return rig


def deliver(kind, ml_a_day, hours):
    rig = begin(kind, ml_a_day)
    flash = rig.flash
    flash.counting = True
    told = Told.now
    told.appends.clear()
    told.saves.clear()
    rig.advance(hours * 3_600_000)
    print("wear", sum(flash.erased), max(flash.erased), flash.pages, len(told.appends), len(told.saves), BLOCKS[kind])


if int(sys.argv[3]):
    deliver(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
else:
    act(sys.argv[1])
