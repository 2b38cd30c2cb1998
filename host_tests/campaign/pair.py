"""A pump and the oracle beside it, their time, and what is compared after every event. What an event does is in orders.py."""

from collections import Counter

from campaign.firmware import Firmware
from campaign.oracle import Oracle, figures

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
        self._compared = (None, None)  # elapsed ms and the oracle's record when caps were compared last
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
        if self.pump.clock.is_set() and not self._is_compared(now):
            self._compared = (now, self.record)
            self._compare_caps(self.firmware.caps(), self.oracle.therapy.caps(now))

    def _is_compared(self, now):
        """Nothing has happened to the oracle since; what a refused order might have changed in the pump shows with the next event."""
        return self._compared[0] == now and self._compared[1] is self.record

    def _compare_caps(self, told, caps):
        """STAT? part=caps, by its text."""
        expected = {
            "most": f"{caps.most_ng}ng",
            "least": f"{caps.least_ng}ng",
            "wait": f"{caps.wait_ms}ms",
            "why": caps.why,
            "return": f"{caps.return_ng}ng",
            "top_daily": f"{-int(-caps.top_daily // 1)}ng",
            "top_high": f"{-int(-caps.top_high // 1)}ng",
            "top_low": f"{-int(-caps.top_low // 1)}ng",
            "before_daily": f"{-int(-caps.before_daily // 1)}ng",
            "before_high": f"{-int(-caps.before_high // 1)}ng",
            "before_low": f"{int(caps.before_low // 1)}ng",
            "licence": f"{(caps.licence_ms or 0) // 1000}s",
            "started": f"{-int(-caps.started // 1)}ng",
        }
        if self.record.last_run and not self.record.over(self.now()):  # after a holiday's zero nothing hangs on it
            expected["idle"] = f"{caps.idle_ms // 1000}s"
        for name, text in expected.items():
            self.same("caps " + name, told[name], text)

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
