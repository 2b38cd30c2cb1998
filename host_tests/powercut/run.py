"""Use: micropython run.py STORE FIRST COUNT STRIDE SECONDS [PLANT]: cuts at every STRIDEth operation of the story, from FIRST on.

With "errors" for SECONDS each of these operations says once that it failed, the story goes on, and is cut some operations later.

STORE: files or region. SECONDS: for each start after a cut, so many further cuts in it. Prints `ops N` (the story's), `cuts N` as it
goes, a line `FAULT ...` for each thing that is wrong, and at last `end CUTS FAULTS TORN`.
"""

import sys

HERE = __file__.rsplit("/", 2)[0]
sys.path[:0] = [HERE + "/../firmware", HERE]

from powercut import judge, plants, story
from powercut.flash import HOWS, Flash, dice
from powercut.rig import STORES
from powercut.told import Told, follow, listen

LISTED = 20
AFTER_AN_ERROR = (0, 2, 11, 47)  # operations until the cut
_PLACE = 64


class Campaign:
    def __init__(self, kind, seconds, plant=lambda: None):
        self.kind = kind
        self.plant = plant
        self.seconds = seconds
        self.cuts = self.faults = self.torn = 0

    def record(self, error_at=None):
        """Play the story once; error_at: its operation that fails."""
        self.image = self.told = self.ops = None  # what was recorded before makes room
        flash = Flash(bytearray(b"\xff" * (STORES[self.kind] * 4096)))
        listen(Told(flash))
        rig = story.begin(self.kind, flash)
        self.image = flash.image()
        self.told = Told(flash)
        follow(rig, self.told)
        flash.error_at = error_at
        self.plant()
        self.plant = lambda: None
        story.tell(rig)
        self.ops = flash.ops
        self.told.flash = None

    def run(self, first, count, stride):
        done = 0
        for n in range(first, min(first + count, len(self.ops)), stride):
            while done < n:
                self._do(done)
                done += 1
            for how in HOWS:
                self._cut(n, how)
            print("cuts", self.cuts)

    def run_errors(self, first, count, stride):
        for n in list(range(first, min(first + count, len(self.ops)), stride)):
            self.record(n)
            done = 0
            for way, after in enumerate(AFTER_AN_ERROR):
                cut = n + after
                if cut >= len(self.ops):
                    break
                while done < cut:
                    self._do(done)
                    done += 1
                self._cut(cut, HOWS[(n + way) % len(HOWS)], " after an error at %d" % n)
            print("cuts", self.cuts)

    def _do(self, op):
        at, new = self.ops[op]
        self.image[at : at + len(new)] = new

    def _cut(self, n, how, story=""):
        random = dice(3 * n + HOWS.index(how) + 1)
        flash = Flash(self.image)
        flash.tear(self.ops[n], how, random)
        base = flash.image() if self.seconds else None
        cut = judge.Cut(self.told, n)
        name = "%s operation %d %s%s" % (self.kind, n, how, story)
        starts, told = self._start(flash, cut, name, self._is_torn(flash, n))
        if told is None or not starts:
            return
        cut.lives.append(told)
        for _ in range(self.seconds):
            again, again_how = random(starts), HOWS[random(len(HOWS))]
            second = Flash(base)
            for at, new in flash.ops[:again]:
                second.put(at, new)
            second.tear(flash.ops[again], again_how, random)
            self._start(second, cut, "%s, then of the start %d %s" % (name, again, again_how), False)

    def _start(self, flash, cut, name, torn):
        """(operations of the start, what it wrote)"""
        self.cuts += 1
        told, found = None, []
        try:
            rig, told = judge.restart(self.kind, flash, cut)
            starts = told.ops()
            journal = rig.pump.keeper.journal
            self.torn += journal.torn_count > 0
            if torn and not journal.torn_count:
                found.append("a torn record is not reported")
            found += judge.faults(rig, told, cut)
        except Exception as error:
            sys.print_exception(error, sys.stderr)
            found.append("raised %r" % error)
            starts = 0
        for text in found:
            self.faults += 1
            if self.faults <= LISTED:
                print("FAULT", name + ":", text)
        return starts, told

    def _is_torn(self, flash, n):
        """The cut has left a part of a record: seen on the flash itself, place by place."""
        if self.kind != "region" or not [each for each in self.told.appends if each[0] <= n < each[1]]:
            return False
        at, new = self.ops[n]
        if len(new) == 4096:
            return False
        whole, found = Flash(self.image), flash.look(at, len(new))
        old = whole.look(at, len(new))
        for place in range(0, len(new), _PLACE):
            part = found[place : place + _PLACE]
            changed = old[place : place + _PLACE] != new[place : place + _PLACE]
            if (at + place) % 4096 and changed and part not in (old[place : place + _PLACE], new[place : place + _PLACE]):
                return True
        return False


def main(kind, first, count, stride, seconds, plant=None):
    errors = seconds == "errors"
    campaign = Campaign(kind, 0 if errors else int(seconds), plants.PLANTS[plant] if plant else lambda: None)
    campaign.record()
    print("ops", len(campaign.ops))
    (campaign.run_errors if errors else campaign.run)(int(first), int(count), int(stride))
    print("end", campaign.cuts, campaign.faults, campaign.torn)


main(*sys.argv[1:])
