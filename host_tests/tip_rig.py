"""The dose at the tip, worked out beside the firmware: pulses of the fake board into a line that is a queue of slugs.

Nothing here is taken from the firmware: the line holds D steps; what step k pushes out of the tip is what went into the
line D steps before. The program is an integral over the clock shown, in Fractions.
"""

from bisect import bisect_right
from fractions import Fraction
from itertools import pairwise

from pump_rig import DAY_MS, START_UNIX, PumpRig

from hil.errors import Refused

SMALL = {"dead_volume_tubing_nl": 1_000, "dead_volume_catheter_nl": 1_400}  # 240 steps: a bridge within the hour


class Tip:
    """A pump with a line under observation: what its tip gives against what its program says."""

    def __init__(self, board=SMALL, spm=100_000):
        self.rig = PumpRig(board)
        self.spm = spm
        self.dead = -(-(board["dead_volume_tubing_nl"] + board["dead_volume_catheter_nl"]) * spm // 1_000_000)
        self.fills = []  # [(steps made when it was filled, mcg/mL)]
        self.segments = None  # [(minute of the day, ng)], all days alike
        self.periods = []  # [start us, end us or None, ms to add for the clock shown]: basal is to flow
        self.skew_ms = 0

    # What is done to the pump.

    def take_over(self, day, conc, **more):
        self.rig.take_over(segments_of(day), conc=conc, **more)
        if self.spm != 100_000:
            calibrate(self.rig, spm=self.spm)
        self.fills.append((0, conc))
        self.segments = day
        return self

    def run(self):
        self.rig.do("RUN")
        self.periods.append([self.rig.hal.us, None, self.skew_ms])
        return self

    def stop(self):
        self.rig.do("STOP")
        if self.periods and self.periods[-1][1] is None:
            self.periods[-1][1] = self.rig.hal.us
        return self

    def change(self, conc, day=None, volume=18_000_000):
        """STOP, another concentration, a program for it, RUN; the account of tip and program starts here."""
        self.stop()
        refill_with(self.rig, conc, volume)
        self.fills.append((len(self.rig.edges()), conc))
        if day:
            self.segments = day
        self.periods = []
        self.rig.commit(segments_of(self.segments), conc=conc)
        return self.run()

    def set_clock(self, by_s):
        rig = self.rig
        self.skew_ms += by_s * 1000
        rig.skew_s += by_s
        rig.do("TIME", set=f"{int(rig.unix())}s", offset="0min")
        if self.periods[-1][1] is None:
            self.periods[-1][1] = rig.hal.us
            self.periods.append([rig.hal.us, None, self.skew_ms])

    def cut_power(self, outage_ms=0):
        """Basal goes on by itself when the power is back."""
        self.periods[-1][1] = self.rig.hal.us
        self.rig.cut_power(outage_ms).connect()
        self.periods.append([self.rig.hal.us, None, self.skew_ms])

    # What came out of it.

    def conc_of(self, step):
        """mcg/mL that step number `step`, from 1 on, pushes out of the tip."""
        entered = max(0, step - 1 - self.dead)
        return self.fills[bisect_right([made for made, _ in self.fills], entered) - 1][1]

    def strongest(self):
        """ng of one step of the strongest drug that was there."""
        return Fraction(max(conc for _, conc in self.fills) * 1000, self.spm)

    def given_ng(self, first=0):
        """Dose out of the tip with the steps from number `first` on."""
        return sum((Fraction(self.conc_of(k + 1) * 1000, self.spm) for k in range(first, len(self.rig.edges()))), Fraction(0))

    def errors(self):
        """(us, dose before the step, dose with it, dose of the program), each from the first period's start on."""
        given = asked = Fraction(0)
        at, periods = self.periods[0][0], [list(period) for period in self.periods]
        for k, us in enumerate(self.rig.edges(), 1):
            if us <= at and not given:
                continue
            while periods[0][1] is not None and periods[0][1] < us and len(periods) > 1:
                asked += self._asked_in(periods.pop(0))
            step = Fraction(self.conc_of(k) * 1000, self.spm)
            yield us, given, given + step, asked + self._asked_in([periods[0][0], min(us, periods[0][1] or us), periods[0][2]])
            given += step

    def _asked_in(self, period):
        start, end, skew = period
        return self._to(Fraction(end, 1000) + skew) - self._to(Fraction(start, 1000) + skew)

    def _to(self, ms):
        """ng of the program from the first midnight on to ms after it."""
        days, ms = divmod(ms + START_UNIX * 1000 % DAY_MS, DAY_MS)
        total = days * sum(ng for _, ng in self.segments)
        for (start, ng), (end, _) in pairwise([*self.segments, (1440, 0)]):
            total += Fraction(ng * max(0, min(ms, end * 60_000) - start * 60_000), (end - start) * 60_000)
        return total

    def assert_no_step(self):
        """At every instant tip and program agree to within one step."""
        most = self.strongest()
        count = 0
        for us, before, after, asked in self.errors():
            assert after - asked <= most, f"{float(after - asked)} ng ahead at {us}"
            assert asked - before <= most * Fraction(1001, 1000), f"{float(asked - before)} ng behind at {us}"
            count += 1
        assert count


def segments_of(day):
    return [("all", f"{minute // 60:02d}:{minute % 60:02d}", ng) for minute, ng in day]


def refill_with(rig, conc, volume=18_000_000, empty=True, **more):
    """EMPTY, then a fill of `conc`."""
    if empty:
        rig.do("EMPTY")
    fields = dict(
        path="septum", fluid="drug", drug="baclofen", volume=f"{volume}nl", conc=f"{conc}mcg/ml", lot="L2", expiry="2029-01-01",
        withdrawn="0nl", stored="ok", attended="yes",
    )  # fmt: skip
    if more.get("fluid") == "test":
        fields = {name: fields[name] for name in ("path", "volume", "withdrawn")}
    reply = rig.do("RES:REFILL", **{**fields, **more})
    if "RESERVOIR_EMPTY" in rig.alarms():
        rig.do("ALAR:ACK", id="RESERVOIR_EMPTY")
    return reply


def calibrate(rig, **more):
    fields = dict(
        spm=100_000, points=5, spread_ppm=3000, tube="T1", tube_hours=1, date="2027-05-01",
        hours=20_000, volume="100000000ul", rate_min="0nl/h", rate_max="100000nl/h",
    )  # fmt: skip
    fields.update(more)
    try:
        rig.do("CAL:SET", **fields)
    except Refused as refusal:
        if refusal.code != "CONFIRM_CALIBRATION":
            raise
        rig.do("CAL:SET", confirm=refusal.fields["confirm"], **fields)


def prime(rig, volume):
    fields = dict(volume=f"{volume}nl", path="pump", connected="no")
    try:
        rig.do("DOSE:PRIME", **fields)
    except Refused as refusal:
        if refusal.code != "CONFIRM_PRIME":
            raise
        rig.do("DOSE:PRIME", confirm=refusal.fields["confirm"], **fields)
    rig.advance(volume * 3600 // 6000 + 1000)


def new_part(rig, part):
    return rig.do("LINE:NEW", part=part, id=rig.link.new_id())
