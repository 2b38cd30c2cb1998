"""What each kind of event is for the pump and for the oracle. `Play(start).play([kind, arguments])` does it on both."""

from datetime import date, timedelta

from campaign.oracle import NOTES, order_of, parse
from campaign.pair import DAY, HOUR, Pair
from campaign.shapes import lines_of, taper_of
from doseloop.alarms import HIGH
from doseloop.units import nl_of_steps
from doseloop.watch import calibration_fault

RESTING = ("PUMP_STOPPED", "WITHDRAWAL_RISK", "UNDER_DELIVERY")
ORDER = {"path": "pump", "route": "intrathecal", "attended": True, "confirm": "yes", "reason": "", "age_s": 0}
_STEP_NG = 45  # what two steps hold at most, with the rounding of the account
_RESERVED_NG = 20_000  # what one reservation holds at most
_MOST_NG = 99_000_000
_EXPIRY = "2034-01-01"


class Play(Pair):
    """start: the set-up of a history (events.py)."""

    def __init__(self, start, seen=None):
        super().__init__(seen)
        self._start = start
        self._unsure_ng = 0  # of basal covered by a reservation in a delivery that was cut off: the upper bound counts
        self._world = None  # what the oracle was told of alarms, port and calibration
        self._moved = 0  # steps of drug that the oracle was told of
        self._at_intent = None  # the oracle's record and what it was told of, when the last delivery began
        self._sent = None  # (verb, arguments) of the last delivery order that was accepted
        self.do_calibrate(20_000, "T1")
        if start["origin"] == "imported":
            self._take_over(start)

    def play(self, event):
        kind, args = event
        self._tell_world()
        getattr(self, "do_" + kind)(**args)
        self._tell_world()
        self.compare()

    def _tell_world(self, unsure_steps=0):
        """Alarms, port, calibration and what left the head are inputs: the oracle takes them from the pump.

        unsure_steps: which of the last steps were perhaps not made.
        """
        self.note_rates()
        ledger = self.pump.ledger
        moved = ledger.steps["dose"] + ledger.steps["prime"]
        if moved != self._moved:
            volumes = [nl_of_steps(steps, ledger.steps_per_ml) for steps in (moved - self._moved, moved - self._moved - unsure_steps)]
            self.oracle.therapy.pumped(self.now(), *volumes)
            self._moved = moved
        world = (self.pump.alarms.high() is not None, self.pump.port.open, calibration_fault(self.pump) is None)
        if world != self._world:
            self._world = world
            self.oracle.therapy.inputs(high_alarm=world[0], port_reads_open=world[1], calibrated=world[2])

    # Sending.

    def _order(self, more, **usual):
        order = dict(ORDER, **usual)
        order.update(more)
        return order

    def _theirs(self, order, way="pump"):
        return order_of(order, self.pump.clock.unix_s(), way)

    def _dated(self, verb, args, order):
        delivery = self.pump.deliveries.current
        answer = self.firmware.dated(verb, args, order)
        self.note_delivery(delivery)
        if answer.code == "OK":
            self._sent = self.firmware.sent
        if self.pump.deliveries.current is not delivery:
            self._at_intent = self.record, self._moved
        return answer

    def do_repeat(self):
        """The last accepted order again, same id: its outcome, and nothing is done twice."""
        if self._sent:
            answer = self.firmware.send(*self._sent)
            self.seen["repeat " + answer.code] += 1
            self.same("repeat", (answer.code, answer.fields.get("repeated")), ("OK", "yes"))

    # Set-up.

    def _take_over(self, start):
        lines = lines_of("flat", start["daily"], start["conc"], start["bolus"])
        fields = {
            "population": start["population"], "birth": start["birth"], "phase": start["phase"], "screen": f"{start['screen']}mcg",
            "effect": start["effect"], "increase_ago": f"{start['ago_s']}s", "volume": f"{start['volume']}nl",
            "conc": f"{start['conc']}mcg/ml", "lot": "L1", "expiry": _EXPIRY,
        }  # fmt: skip
        program = None
        if start["phase"] != "screened":
            fields["hash"] = self.firmware.stage(lines)
            program = parse(lines)
        verdict = self.oracle.therapy.import_(
            self.now(), program, population=start["population"], birth=date.fromisoformat(start["birth"]), phase=start["phase"],
            screen_ng=start["screen"] * 1000, effect=start["effect"], increase_ago_s=start["ago_s"] if program else None,
            volume_nl=start["volume"], conc=start["conc"], expiry=date.fromisoformat(_EXPIRY), order=self._theirs(ORDER),
        )  # fmt: skip
        if self.both("import", self.firmware.confirmed("THER:IMPORT", fields, "yes"), verdict) and program:
            self.marks["increase"] = self.now() - start["ago_s"] * 1000

    def do_record(self, **more):
        who = dict({"population": "spinal", "birth": "1980-05-01", "injury": "none"}, **self._start)
        who.update(more)
        order = self._order({"confirm": who.get("confirm", "yes")})
        fields = {name: who[name] for name in ("population", "birth", "injury")}
        injury = None if who["injury"] == "none" else date.fromisoformat(who["injury"])
        verdict = self.oracle.therapy.enrol(
            self.now(), population=who["population"], birth=date.fromisoformat(who["birth"]), injury=injury, order=self._theirs(order)
        )
        self.both("record", self.firmware.confirmed("THER:RECORD", fields, order["confirm"]), verdict)

    # Time and the world.

    def do_wait(self, ms):
        self._pass(ms)

    def do_until(self, mark, ms):
        """Wait until `ms` after a mark, if that is still to come."""
        if mark in self.marks:
            self._pass(max(0, self.marks[mark] + ms - self.now()))

    def _pass(self, ms):
        """Time passes, but a reservoir that would run out meanwhile is filled before, or the wait ends there where it cannot be (without a
        clock): alarms that stop are not played here.
        """
        end = self.now() + ms
        while self.pump.delivering and self.now() < end:
            if self.pump.deliveries.current:
                self.jump(min(end - self.now(), self.pump.deliveries.current.span_ms))
                continue
            lasts = self._lasts_ms()
            if self.now() + lasts >= end:
                break
            self.jump(max(0, lasts))
            room = self.pump.reservoir.capacity_nl - self.pump.reservoir.remaining_nl()
            if not self.pump.clock.is_set() or not room:
                return
            self.do_refill(volume=room, withdrawn="none")
            if self._lasts_ms() < 0:
                return
        self.jump(end - self.now())

    def _lasts_ms(self):
        """How long the reservoir lasts at the most that the program takes, less an hour."""
        program = self.pump.basal.program
        if self.pump.basal.is_over(self.now()):
            return 400 * DAY
        conc = min(program.conc, self.pump.line.conc or program.conc)
        return self.pump.reservoir.usable_nl() * conc // 1000 * DAY // max(1, program.daily.ceil()) - HOUR

    def do_clock(self, hours=0):
        if self.pump.deliveries.current:
            return
        unix_s = (self.pump.clock.unix_s() or 1_809_302_400) + hours * 3600
        answer = self.firmware.send("TIME", {"set": f"{unix_s}s", "offset": "0min"})
        self.both("clock", answer, self.oracle.therapy.clock_set(self.now(), unix_s))

    def do_power(self, outage_ms):
        """outage_ms None: unknown.

        While a delivery moves nothing is written: what the pump knows ends with its start, and if no clock tells how long ago that
        was, its time goes on from there. Both sides are set back to it.
        """
        moving = self.pump.deliveries.current
        before = moving.started if moving else self.now()
        off_ng = self.firmware.cut_power(outage_ms)
        after = self.now()
        self._unsure_ng += _RESERVED_NG if moving else _STEP_NG
        if moving:
            self.oracle.therapy.now_ms, self._world = before, None
            self.oracle.therapy.record, self._moved = self._at_intent
            self.oracle.ended(before, "UNCERTAIN", nl_of_steps(moving.steps, self.pump.ledger.steps_per_ml))
        else:
            self.same("account after a power loss", 0 if off_ng <= self._unsure_ng else off_ng, 0)
        self.oracle.therapy.power_loss(before, None if outage_ms is None else after - before)
        if self.pump.clock.is_set():
            self.oracle.therapy.clock_set(after, self.pump.clock.unix_s())
        self._tell_world(1 if self.pump.delivering and not moving else 0)
        self.mark("power")

    def do_port(self, is_open):
        delivery = self.pump.deliveries.current
        self.firmware.open_port(is_open)
        self.note_delivery(delivery)
        if not is_open:
            self.jump(1000)

    def do_alarm(self, is_on):
        """A HIGH alarm of no matter which cause."""
        delivery = self.pump.deliveries.current
        self.firmware.set_alarm("MOTOR_STALL", is_on)
        self.note_delivery(delivery)

    def do_acknowledge(self):
        """A person sees whatever is on; in a delivery that would not be kept over a power cut."""
        if self.pump.deliveries.current:
            return
        for alarm in self.pump.alarms.active():
            self.firmware.send("ALAR:ACK", {"id": alarm.code})
        self.seen["acknowledge OK"] += 1
        self.firmware.send("ALAR:ACK", {"id": "UNCERTAIN"})
        self.oracle.therapy.inputs(uncertain=False)
        self.oracle.therapy.acknowledge(self.now())

    def do_calibrate(self, hours, tube):
        args = {
            "spm": "100000", "points": "5", "spread_ppm": "3000", "tube": tube, "tube_hours": "1", "date": "2027-05-01",
            "hours": str(hours), "volume": "100000000ul", "rate_min": "0nl/h", "rate_max": "100000nl/h",
        }  # fmt: skip
        self.both("calibrate", self.firmware.send("CAL:SET", args), self.oracle.therapy.calibrate(self.now(), tube))

    # Programs.

    def _base(self, of):
        """The dose that percentages are of, ng: the one last run, what a return or a restart may reach, the screening dose, or a number."""
        if isinstance(of, int):
            return of
        record, now = self.record, self.now()
        last = record.doses(now)
        base = {
            "last": last.daily if last else 0,
            "started": record.course.started,
            "return": record.return_to(now),
            "screen": record.trial.screen_ng,
        }[of]
        return -int(-base // 1) or 2 * record.trial.screen_ng or 100_000

    def do_commit(self, percent=100, add=0, of="last", shape="flat", bolus=0, lockout_s=14_400, conc=None, name="c", **more):
        daily = min(_MOST_NG, max(24, self._base(of) * percent // 100 + add))
        conc = conc or self.record.supplies.conc or 500
        self._commit(lines_of(shape, daily, conc, bolus_of(daily, bolus, lockout_s, conc), name), more)

    def do_taper(self, days, percent, spoil="", **more):
        first_ng = min(_MOST_NG, self._base("last") * percent // 100)
        self._commit(taper_of(first_ng, days, self.record.supplies.conc or 500, spoil), more)

    def _commit(self, lines, more):
        order = self._order(more)
        verdict = self.oracle.therapy.commit(self.now(), parse(lines), self._theirs(order))
        fields = {"hash": self.firmware.stage(lines), "attended": "yes" if order["attended"] else "no", "route": order["route"]}
        if order["reason"]:
            fields["reason"] = order["reason"]
        answer = self._dated("PROG:COMMIT", fields, order)
        if not answer.code.startswith("OK"):
            self.mark("refused")
        if self.both("commit", answer, verdict):
            self.mark("commit")
            self.same("notes", answer.fields["notes"], "+".join([NOTES[note] for note in verdict.detail]) or "none")
            self._take_force(order.get("hurry"))

    def _take_force(self, hurry=False):
        holiday = self.record.phase == "holiday"
        if not hurry:
            self.take_force()
        if holiday and self.record.course.holiday_ms is not None:
            self.marks["taper"] = self.record.course.holiday_ms

    def do_run(self, **more):
        order = self._order(more)
        verdict = self.oracle.therapy.run(self.now(), self._theirs(order))
        if self.both("run", self._dated("RUN", {}, order), verdict):
            self.mark("run")
            self._take_force(order.get("hurry"))

    def do_stop(self):
        delivery = self.pump.deliveries.current
        answer = self.firmware.send("STOP", {})
        self.note_delivery(delivery)
        if self.both("stop", answer, self.oracle.therapy.stop(self.now())):
            self.mark("stop")

    def do_phase(self, phase="maintenance"):
        verdict = self.oracle.therapy.set_phase(self.now(), phase)
        if self.both("phase", self.firmware.send("THER:PHASE", {"phase": phase}), verdict):
            self._take_force()

    def do_clinical(self, result):
        verdict = self.oracle.therapy.clinical_response(self.now(), result)
        self.both("clinical", self.firmware.numbered("THER:RESPONSE", {"result": result}), verdict)

    # Screening.

    def do_screen(self, mcg="next", time_s=None, **more):
        order = self._order(more)
        mcg = self.oracle.therapy.next_screen_mcg(self.now()) or 50 if mcg == "next" else mcg
        fields = {"dose": f"{mcg}mcg", "path": order["path"], "attended": "yes" if order["attended"] else "no", "route": order["route"]}
        if time_s:
            fields["time"] = f"{time_s}s"
        if not self._holds(mcg * 20_000):
            return
        verdict = self._screen_verdict(mcg, order)
        if self.both("screen", self._dated("DOSE:SCREEN", fields, order), verdict):
            self.mark("screen")
            self.marks["screen_end"] = self.now() + (time_s or 60) * 1000

    def _screen_verdict(self, mcg, order):
        """A stopped infusion's own alarms are no reason against a screening dose: the oracle is not told of them here."""
        alarms, therapy = self.pump.alarms, self.oracle.therapy
        others = [row for row in alarms.active() if row.priority == HIGH and row.code not in RESTING]
        therapy.inputs(high_alarm=bool(others))
        verdict = therapy.screen(self.now(), mcg, self._theirs(order))
        therapy.inputs(high_alarm=alarms.high() is not None)
        return verdict

    def do_respond(self, result=None, effect=None):
        verdict = self.oracle.therapy.respond(self.now(), result, effect)
        fields = {name: text for name, text in (("result", result), ("effect", effect)) if text}
        self.both("respond", self.firmware.numbered("SCREEN:RESPONSE", fields), verdict)

    def do_trial(self):
        self.both("trial", self.firmware.numbered("SCREEN:NEW", {}), self.oracle.therapy.new_trial(self.now()))

    # Supplies, boluses, the line.

    def _holds(self, volume_nl):
        """The reservoir has that much; the oracle keeps no count of it."""
        return self.pump.reservoir.usable_nl() > volume_nl + 100_000

    def do_empty(self):
        """Only while stopped and with a refill right after: an empty reservoir stops the basal, and alarms that stop are not played."""
        if not self.pump.run and not self.pump.deliveries.current and self.pump.clock.is_set():
            self._empty()
            self.do_refill(volume=15_000_000)

    def _empty(self):
        self.both("empty", self.firmware.numbered("EMPTY", {}), self.oracle.therapy.empty(self.now()))

    def do_test_fluid(self):
        """Water instead of drug: from here on therapy is refused, until it was emptied and filled with drug."""
        if self.pump.run or self.pump.deliveries.current or not self.pump.clock.is_set() or self.record.line.bridging:
            return
        self._empty()
        fields = {"path": "septum", "fluid": "test", "volume": "15000000nl", "withdrawn": "0nl"}
        verdict = self.oracle.therapy.refill(
            self.now(),
            15_000_000,
            0,
            expiry=date(2030, 1, 1),
            withdrawn_nl=0,
            expected_nl=0,
            fluid="test",
            order=self._theirs(ORDER, "septum"),
        )
        self.both("test_fluid", self._dated("RES:REFILL", fields, ORDER), verdict)

    def do_refill(self, volume, conc=None, withdrawn="all", expires=600, drug="baclofen", observe=24, **more):
        self._tell_world()
        order, pump = self._order(more, path="septum"), self.pump
        expected = pump.reservoir.remaining_nl()
        taken = {
            "all": expected, "none": 0, "half": expected // 2, "much": expected + 1_500_000,
            "residual": max(0, expected - pump.reservoir.residual_nl), "more": max(0, expected - pump.reservoir.residual_nl - 1),
        }[withdrawn]  # fmt: skip
        conc = conc or self.record.supplies.conc or 500
        expiry = date(1970, 1, 1) + timedelta(days=pump.clock.unix_s() // 86_400 + expires)
        fields = {
            "path": order["path"], "fluid": "drug", "drug": drug, "volume": f"{volume}nl", "conc": f"{conc}mcg/ml", "lot": "L2",
            "expiry": expiry.isoformat(), "withdrawn": f"{taken}nl", "stored": "ok", "attended": "yes" if order["attended"] else "no",
            "observe": f"{observe}h",
        }  # fmt: skip
        verdict = self.oracle.therapy.refill(
            self.now(), volume, conc, expiry=expiry, withdrawn_nl=taken, expected_nl=expected, delivered_nl=pump.ledger.used_nl(),
            drug=drug, order=self._theirs(order, "septum"), observe_h=observe,
        )  # fmt: skip
        answer = self._dated("RES:REFILL", fields, order)
        if self.both("refill", answer, verdict):
            self.same("discrepancy", answer.fields["discrepancy"] == "yes", "REFILL_DISCREPANCY" in verdict.detail)
            self.mark("refill")

    def do_bolus(self, more_nl=0, **more):
        order, program = self._order(more), self.record.last_run
        volume = (program.bolus.volume_nl if program and program.bolus else 100_000) + more_nl
        if not self._holds(volume):
            return
        verdict = self.oracle.therapy.bolus(self.now(), volume, self._theirs(order))
        answer = self._dated("DOSE:BOLUS", {"volume": f"{volume}nl", "path": order["path"]}, order)
        if self.both("bolus", answer, verdict):
            self.mark("bolus")
            self.oracle.note_first()

    def do_line(self, part):
        self.both("line", self.firmware.numbered("LINE:NEW", {"part": part}), self.oracle.therapy.new_line(self.now(), part))

    def do_prime(self, percent=100, add=0, **more):
        """percent of what may still be primed."""
        order = self._order(more)
        volume = max(10, int(self.record.line.prime_nl) * percent // 100 + add)
        if not self._holds(volume) or self.pump.reservoir.fluid != "drug":
            return
        verdict = self.oracle.prime(self.now(), volume, self._theirs(order))
        fields = {"volume": f"{volume}nl", "path": order["path"], "connected": "no"}
        self.both("prime", self._dated("DOSE:PRIME", fields, order), verdict)


def bolus_of(daily, percent, lockout_s, conc):
    """Boluses of together `percent` of the daily dose, four at least, so small that no limit of the board is met; None if they vanish."""
    allowance = daily * percent // 100
    volume = min(allowance * 1000 // (4 * conc), 300_000)
    weak = daily * 1000 // conc > 3_000_000  # nL a day: the basal beside a bolus would not fit its reservation
    return (volume, 60, lockout_s, allowance) if percent and volume and not weak else None
