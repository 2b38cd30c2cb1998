"""A pump and the oracle beside it, their time, and what is compared after every event. What an event does is in orders.py."""

from collections import Counter

from campaign.firmware import Firmware
from campaign.oracle import Oracle, figures

_CAPS = (("most", "most_ng"), ("least", "least_ng"), ("wait", "wait_ms"), ("return", "return_ng"))
SECOND, MINUTE, HOUR, DAY = 1000, 60_000, 3_600_000, 86_400_000


class Disagreement(Exception):
    """What the two sides said to the last event of a history."""

    def __init__(self, what, firmware, oracle):
        super().__init__(f"{what}: firmware {firmware}, oracle {oracle}")
        codes = [getattr(side, "code", "") for side in (firmware, oracle)]
        self.signature = " ".join([what, *codes])


class Pair:
    """marks: elapsed ms of what waits are measured from, by name. seen: Counter of `kind code`."""

    make_firmware = Firmware

    def __init__(self, seen=None):
        self.seen = Counter() if seen is None else seen
        self.marks = {}
        self.firmware = self.make_firmware()
        self.oracle = Oracle(self.now(), self.now() + self.firmware.unix_ms_at_zero())

    @property
    def pump(self):
        return self.firmware.pump

    @property
    def record(self):
        return self.oracle.therapy.record

    def now(self):
        return self.firmware.now()

    def mark(self, name):
        self.marks[name] = self.now()

    # What both say.

    def both(self, what, answer, verdict):
        """Compare code and figures; True if both accepted."""
        self.seen[what + " " + answer.code] += 1
        if answer.code != verdict.code:
            raise Disagreement(what, answer, verdict)
        self.told_figures(what, answer, verdict)
        return verdict.ok

    def told_figures(self, what, answer, verdict):
        """What a refusal says beside its code."""
        for name, figure in figures(verdict).items():
            self.same(f"{what} {answer.code} {name}", answer.figure(name), figure)

    def same(self, what, firmware, oracle):
        if firmware != oracle:
            raise Disagreement(what, firmware, oracle)

    def compare(self):
        """What every event leaves equal: program last run, phase, advisory, observation, and every cap."""
        therapy, now = self.pump.therapy, self.now()
        observed_ms = self.oracle.therapy.observed_ms(now)
        last, other = therapy.last_run, self.record.course.last_run
        self.same("last run", last and last.hash, other and other.hash)
        self.same("phase", therapy.phase, self.record.phase)
        self.same("advisory", self.pump.alarms.is_on("CATHETER_SUSPECT"), bool(self.record.advice.raised))
        self.same("observation", max(0, self.pump.observe_until - now), observed_ms)
        if self.pump.clock.is_set():
            self._compare_caps(self.firmware.caps(), self.oracle.therapy.caps(now))

    def _compare_caps(self, told, caps):
        for name, figure in _CAPS:
            self.same("caps " + name, told.figure(name), getattr(caps, figure))
        self.same("caps why", told.fields["why"], caps.why)
        for name in ("top_daily", "top_high", "top_low", "before_daily", "before_high", "started"):
            self.same("caps " + name, told.figure(name), -int(-getattr(caps, name) // 1))
        self.same("caps before_low", told.figure("before_low"), int(caps.before_low // 1))
        self.same("caps licence", told.figure("licence"), (caps.licence_ms or 0) // 1000)
        if self.record.last_run and not self.record.over(self.now()):  # after a holiday's zero nothing hangs on it
            self.same("caps idle", told.figure("idle"), caps.idle_ms // 1000)

    # Time.

    def jump(self, ms):
        """Time passes; the oracle hears of first steps, and of a delivery that ended."""
        end = self.now() + ms
        first = self.firmware.awaited_step()
        while first is not None and first <= end:
            self._jump(first - self.now())
            self.note_step(first)
            first = self.firmware.awaited_step()
        self._jump(end - self.now())

    def _jump(self, ms):
        delivery = self.pump.deliveries.current
        self.firmware.jump(ms)
        self.note_delivery(delivery)
        self.note_rates()

    def note_delivery(self, delivery):
        """A delivery that is over now, if one was moving."""
        if delivery and delivery.ended is not None:
            self.oracle.ended(delivery.ended, delivery.outcome, delivery.made_nl)
            if delivery.verb == "DOSE:SCREEN":
                self.marks["screen_end"] = delivery.ended

    def take_force(self):
        """Go on to the first step of what waits for it (R-TIT-3)."""
        first = self.firmware.awaited_step()
        if first is not None:
            self.jump(first - self.now())

    def note_step(self, first):
        """The first step of an increase was made: it takes force."""
        self.oracle.therapy.first_step(first)
        if self.pump.therapy.last_increase == first:
            self.marks["increase"] = first
        if self.pump.therapy.licensed_at is not None:
            self.marks["licence"] = self.pump.therapy.licensed_at

    def note_rates(self):
        """When the rule of R-PRF-4 held the rate down, and let it go, is the pump's to say."""
        for at, low in self.firmware.held_since():
            self.oracle.therapy.held_low(at, low)
