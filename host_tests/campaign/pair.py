"""A pump and the oracle beside it: one event after the other to both, and what they answer compared."""

from collections import Counter
from datetime import date, timedelta

from campaign import oracle as oracles
from campaign.firmware import Firmware
from campaign.shapes import lines_of

ORDER = {"path": "pump", "route": "intrathecal", "attended": True, "confirm": "yes", "reason": "", "age_s": 0}
_NOTES = {"LOW_DOSE": "below_label_range", "SMALL_STEP": "small_step"}
_MOST_NG = 99_000_000


class Disagreement(Exception):
    """What the two sides said to the last event of a history."""

    def __init__(self, what, firmware, oracle):
        super().__init__("%s: firmware %s, oracle %s" % (what, firmware, oracle))
        self.signature = "%s: %s, %s" % (what, getattr(firmware, "code", "other"), getattr(oracle, "code", "other"))


class Pair:
    """start: the set-up of a history (events.py). seen: Counter of (event kind, code)."""

    def __init__(self, start, seen=None):
        self.seen = Counter() if seen is None else seen
        self.firmware = Firmware()
        self.marks = {}  # name -> elapsed ms of what waits are measured from
        self.pump = self.firmware.pump
        self.oracle = oracles.new_therapy(self.now(), self.firmware.hal.ms + self.firmware.hal.unix_at_zero)
        self._calibrate(20_000)
        self._take_over(start)

    def now(self):
        return self.firmware.now()

    # Both sides.

    def both(self, what, answer, verdict):
        """Compare; True if both accepted."""
        self.seen[what + " " + answer.code] += 1
        if answer.code != verdict.code:
            raise Disagreement(what, answer, verdict)
        for name, figure in oracles.figures(verdict).items():
            told = answer.number(name)
            if told is not None and told != figure:
                raise Disagreement(what + " " + name, answer, verdict)
        return verdict.ok

    def same(self, what, firmware, oracle):
        if firmware != oracle:
            raise Disagreement(what, firmware, oracle)

    def play(self, event):
        """event: [kind, {argument: value}]"""
        kind, args = event
        getattr(self, "do_" + kind)(**args)
        self._compare()

    def _compare(self):
        """What every event leaves equal: time, phase and the program last run."""
        therapy, record = self.firmware.pump.therapy, self.oracle.record
        last, other = therapy.last_run, record.last_run
        self.same("last_run", last and last.hash, other and other.hash)
        self.oracle._at(self.now())
        self.same("phase", therapy.phase, self.oracle.record.phase)

    # Set-up.

    def _calibrate(self, hours):
        unix_days = self.firmware.pump.clock.today()
        args = {
            "spm": "100000", "points": "5", "spread_ppm": "3000", "tube": "T1", "tube_hours": "1", "date": "%d-%02d-%02d" % unix_days,
            "hours": str(hours), "volume": "100000000ul", "rate_min": "0nl/h", "rate_max": "100000nl/h",
        }  # fmt: skip
        return self.firmware.send("CAL:SET", args)

    def _take_over(self, start):
        lines = lines_of("flat", start["daily"], start["conc"], start["bolus"])
        fields = {
            "population": start["population"], "birth": start["birth"], "phase": start["phase"], "screen": "%dmcg" % (start["screen"] // 1000),
            "effect": start["effect"], "increase_ago": "%ds" % start["ago_s"], "volume": "%dnl" % start["volume"],
            "conc": "%dmcg/ml" % start["conc"], "lot": "L1", "expiry": "2032-01-01",
        }  # fmt: skip
        program = None
        if start["phase"] != "screened":
            fields["hash"] = self.firmware.stage(lines)
            program = oracles.parse(lines)
        answer = self.firmware.confirmed("THER:IMPORT", fields, "yes")
        verdict = self.oracle.import_(
            self.now(), program, population=start["population"], birth=date.fromisoformat(start["birth"]), phase=start["phase"],
            screen_ng=start["screen"], effect=start["effect"], increase_ago_s=start["ago_s"] if program else None,
            volume_nl=start["volume"], conc=start["conc"], expiry=date(2032, 1, 1),
        )  # fmt: skip
        if self.both("import", answer, verdict) and program:
            self.marks["increase"] = self.now() - start["ago_s"] * 1000

    # Time.

    def do_wait(self, ms):
        self._pass(ms)

    def do_until(self, mark, ms):
        """Wait until `ms` after a mark, if that is still to come."""
        if mark in self.marks:
            self._pass(max(0, self.marks[mark] + ms - self.now()))

    def _pass(self, ms):
        """Time passes, but a reservoir that would run out meanwhile is filled before."""
        pump = self.firmware.pump
        while ms > 0 and pump.delivering:
            program = pump.basal.program
            lasts = pump.reservoir.usable_nl() * program.conc // 1000 * 86_400_000 // max(1, program.daily.ceil())
            if lasts > ms:
                break
            part = max(0, lasts - 3_600_000)
            self._jump(part)
            ms -= part
            self.do_refill(volume=pump.reservoir.capacity_nl - pump.reservoir.remaining_nl(), withdrawn="none")
        self._jump(ms)

    def _jump(self, ms):
        delivery = self.firmware.pump.deliveries.current
        self.firmware.jump(ms)
        self._note_delivery(delivery)

    def _note_delivery(self, delivery):
        if delivery and delivery.ended is not None and self.oracle.record.bolus_running:
            self.oracle.bolus_ended(delivery.ended, delivery.outcome, delivery.made_nl)

    # Orders.

    def _order(self, more):
        return dict(ORDER, **more)

    def _oracle_order(self, order):
        clock = self.firmware.pump.clock
        return oracles.order_of(order, clock.unix_s())

    def _base(self):
        """What percentages are of: the daily dose last run, else what a first program may have."""
        last = self.oracle.record.last_run
        return -int(-last.daily_ng // 1) if last else 2 * self.oracle.record.screen_ng or 100_000

    def do_commit(self, percent=100, add=0, shape="flat", bolus=0, lockout_s=14_400, conc=None, name="c", **more):
        order = self._order(more)
        daily = min(_MOST_NG, max(1, self._base() * percent // 100 + add))
        conc = conc or self.oracle.record.conc or 500
        lines = lines_of(shape, daily, conc, bolus_of(daily, bolus, lockout_s, conc), name)
        self._commit(lines, order)

    def _commit(self, lines, order):
        program = oracles.parse(lines)
        now = self.now()
        verdict = self.oracle.commit(now, program, self._oracle_order(order))
        fields = {"hash": self.firmware.stage(lines), "attended": "yes" if order["attended"] else "no", "route": order["route"]}
        if order["reason"]:
            fields["reason"] = order["reason"]
        answer = self.firmware.dated("PROG:COMMIT", fields, order)
        if self.both("commit", answer, verdict):
            notes = "+".join([_NOTES[note] for note in verdict.detail]) or "none"
            self.same("notes", answer.fields["notes"], notes)
            self._reason = order["reason"]
            self._take_force()

    def _take_force(self):
        """Go on until the first step of what came into force (R-TIT-3)."""
        first = self.firmware.first_step_at()
        if first is None:
            return
        self._jump(max(0, first - self.now()))
        if self.oracle.record.last_increase_ms is not None and self.firmware.pump.therapy.last_increase == first:
            self.oracle.first_step(first)
            self.marks["increase"] = first

    def do_run(self, **more):
        order = self._order(more)
        verdict = self.oracle.run(self.now(), self._oracle_order(dict(order, reason=getattr(self, "_reason", ""))))
        answer = self.firmware.dated("RUN", {}, order)
        if self.both("run", answer, verdict):
            self.marks["run"] = self.now()
            self._take_force()

    def do_stop(self):
        delivery = self.firmware.pump.deliveries.current
        answer = self.firmware.send("STOP", {})
        self._note_delivery(delivery)
        if self.both("stop", answer, self.oracle.stop(self.now())):
            self.marks["stop"] = self.now()

    def do_phase(self, phase="maintenance"):
        verdict = self.oracle.set_phase(self.now(), phase)
        if self.both("phase", self.firmware.send("THER:PHASE", {"phase": phase}), verdict):
            self.marks["phase"] = self.now()

    def do_power(self, outage_ms):
        """outage_ms None: unknown."""
        before, delivery = self.now(), self.firmware.pump.deliveries.current
        self.firmware.cut_power(outage_ms)
        after = self.now()
        if delivery and self.oracle.record.bolus_running:
            self.oracle.bolus_ended(before, "UNCERTAIN")
        self.oracle.power_loss(before, None if outage_ms is None else after - before)
        clock = self.firmware.pump.clock
        if clock.is_set():
            self.oracle.clock_set(after, clock.unix_s_at(after), 0)
        self.marks["power"] = after

    def do_clock(self, hours=0, days=0):
        clock = self.firmware.pump.clock
        unix_s = (clock.unix_s() or 1_809_302_400) + hours * 3600 + days * 86_400
        delivery = clock and self.firmware.pump.deliveries.current
        if delivery:
            return
        answer = self.firmware.send("TIME", {"set": "%ds" % unix_s, "offset": "0min"})
        self.both("clock", answer, self.oracle.clock_set(self.now(), unix_s))

    # Supplies and boluses.

    def do_refill(self, volume, conc=None, withdrawn="all", expires=600, drug="baclofen", **more):
        pump = self.firmware.pump
        order = self._order(dict({"path": "septum"}, **more))
        expected = pump.reservoir.remaining_nl()
        taken = {"all": expected, "none": 0, "half": expected // 2, "much": expected + 1_500_000}[withdrawn]
        conc = conc or self.oracle.record.conc or 500
        expiry = date(1970, 1, 1) + timedelta(days=pump.clock.unix_s() // 86_400 + expires)
        fields = {
            "path": order["path"], "fluid": "drug", "drug": drug, "volume": "%dnl" % volume, "conc": "%dmcg/ml" % conc, "lot": "L2",
            "expiry": expiry.isoformat(), "withdrawn": "%dnl" % taken, "stored": "ok", "attended": "yes" if order["attended"] else "no",
        }  # fmt: skip
        verdict = self.oracle.refill(
            self.now(), volume, conc, expiry=expiry, withdrawn_nl=taken, expected_nl=expected,
            delivered_nl=pump.ledger.used_nl(), drug=drug, order=self._oracle_order(order),
        )  # fmt: skip
        answer = self.firmware.dated("RES:REFILL", fields, order)
        if self.both("refill", answer, verdict):
            self.same("discrepancy", answer.fields["discrepancy"] == "yes", "REFILL_DISCREPANCY" in verdict.detail)
            self.marks["refill"] = self.now()

    def do_bolus(self, more_nl=0, **more):
        order = self._order(more)
        program = self.oracle.record.last_run
        volume = (program.bolus.volume_nl if program and program.bolus else 100_000) + more_nl
        verdict = self.oracle.bolus(self.now(), volume, self._oracle_order(order))
        answer = self.firmware.dated("DOSE:BOLUS", {"volume": "%dnl" % volume, "path": order["path"]}, order)
        if self.both("bolus", answer, verdict):
            self.marks["bolus"] = self.now()

    def do_acknowledge(self):
        self.firmware.send("ALAR:ACK", {"id": "UNCERTAIN"})
        self.oracle.inputs(uncertain=False)

    def do_port(self, is_open):
        delivery = self.firmware.pump.deliveries.current
        self.firmware.open_port(is_open)
        self._note_delivery(delivery)
        if not is_open:
            self.firmware.jump(1000)
            self.firmware.send("ALAR:ACK", {"id": "PORT_OPEN"})
        self.oracle.inputs(port_reads_open=is_open, high_alarm=is_open)


def bolus_of(daily, percent, lockout_s, conc):
    """Four boluses of together `percent` of the daily dose; None if that makes no whole bolus."""
    allowance = daily * percent // 100
    volume = allowance * 1000 // (4 * conc)
    return (volume, 60, lockout_s, allowance) if percent and volume else None
