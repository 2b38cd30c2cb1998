"""Campaign 1: the firmware's process is killed, again and again, on one store.

A history is one rig and one store under load: basal runs, boluses are asked for, the reservoir is refilled, programs are committed,
the clock is set, the log is read. Each life of the process ends by SIGKILL: before a system call that was drawn (in a command, in the
passing of time, in its boot), at a real microsecond that was drawn, or asleep. With it dies the power, or the processor alone: then
the engine makes the steps that were leased until the watchdog resets it. After each boot a new host asks what became of things, and
the rotor decides.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

from hil.errors import Refused
from hil.expectation import Expectation, Push
from hil.judging import push_of
from hil.pump import Pump, leading_int
from hil.targets.process import FIRMWARE, FirmwareKilled
from tools.killing.mind import Mind, Order
from tools.killing.tally import Tally
from tools.killing.world import BOLUS_NL, CONC, OFFSET_MIN, STEP_NL, KillTarget, begin, new_host, plan

LIVES = 25  # of one history
RESERVATION_STEPS = 1000  # DESIGN: at most 10 uL of basal in doubt
BOLUS_S = 120
PRIME_NL = 20_000
START_MCG = 240
MOST_DEEDS = 40  # of a life that its end does not find
SLACK_MS = 120_000  # each outage is known to the second, and an increase is dated by its first step
TURN_MS = 100  # within which the end of a delivery is seen
DEBOUNCE_MS = 5000  # after a boot the port's switch is not trusted at once
NEVER_ON = ("MEMORY_FAULT", "OVER_DELIVERY", "FLOW_DISCREPANCY", "MOTOR_STALL", "LATE", "RESERVOIR_EMPTY")
DELIVERIES = ("DOSE:BOLUS", "DOSE:PRIME")

ABOVE = "restarts with more turned than the ledger's upper bound"
BELOW = "restarts with less turned than the ledger's lower bound"
DOUBT = "restarts with more in doubt than a reservation and the delivery under way"
TWICE = "orders executed twice, or forgotten and open to it"
OFF = "lives with a step more than one from its ideal place"
LOST = "acknowledged orders lost"
RESERVOIR = "restarts with the reservoir counted fuller than it is"
CAP = "orders accepted or refused against the oracle (caps, windows, lockouts)"
ALARMED = "alarms of faults that nobody made"
ZEROS = (ABOVE, BELOW, DOUBT, TWICE, OFF, LOST, RESERVOIR, CAP, ALARMED)

KILLS = "kills of the pump's process"
TRACED = "  before a system call that was drawn"
TIMED = "  at a real microsecond that was drawn"
ASLEEP = "  asleep"
BOOTING = "  in the midst of a boot"


class History:
    """One seed: the same lives, orders and instants each time; `traced` = False: ended by the timer, and never twice the same."""

    def __init__(self, seed: int, work: Path, script: Path = FIRMWARE, traced: bool = True) -> None:
        self.seed = seed
        self.tally = Tally("the pump's process killed", ZEROS)
        self.trail: list[str] = []  # how each life ended, for a case that is brought back
        self._random = Random(seed)
        self._traced = traced
        self._flat = seed % 3 == 0  # and its clock is set now and then: what R-PRF-4 then holds down is no other rate
        self._target = KillTarget(seed, work, script)
        self._mind: Mind
        self._pump: Pump
        self._expected: Expectation
        self._life = 0
        self._ids = 0
        self._way = ""
        self._loaded: Callable[[], None] | None = None  # what the next order sets off
        self._uncertain_nl = 0
        self._boots = 1
        self._filled_at = 0  # steps turned when a person last filled the reservoir
        self._unrecorded_nl = 0  # what went out between that and its record: the pump cannot know whose it was
        self._turned_at_death = 0
        self._begun_ms = 0
        self._boot_calls = 0  # system calls of a whole boot

    def close(self) -> None:
        self._target.close()

    # ---- a history

    def run(self, lives: int = LIVES, until: str = "") -> Tally:
        """So many lives; or until something of that name is found."""
        self._begin()
        for self._life in range(1, lives + 1):
            self._live()
            self._die()
            self._account()
            if self.tally.found[until]:
                break
        return self.tally

    def _begin(self) -> None:
        program = plan(START_MCG, flat=self._flat)
        if self._traced:
            self._target.trace_boot = 1 << 30
        self._pump = begin(self._target, program, self.seed)
        if self._target.tracer:
            self._boot_calls = self._target.tracer.calls
            self._target.tracer.let_go()
        self._mind = Mind(program, self._target.now_ms(), self._target.unix_s(), self._first_step)
        self._begin_life()
        self._order(Order("RUN", self._with_id({})))

    def _first_step(self, after_ms: int) -> int | None:
        edges_us = self._target.plant.edges_us()
        later = edges_us[edges_us > after_ms * 1000]
        return int(later[0]) // 1000 if len(later) else None

    def _live(self) -> None:
        """Until it dies."""
        self._loaded = None
        draw = self._random
        way = draw.choices(("command", "time", "boot", "asleep"), (55, 22, 18, 5))[0]
        self._way = way if self._traced or way == "asleep" else "timer"
        armed_at = draw.randrange(4)
        try:
            for deed in range(MOST_DEEDS):
                if deed == armed_at:
                    self._arm()
                self._deed(passing=self._way == "time" and deed >= armed_at)
        except FirmwareKilled:
            return
        self._target.kill()

    def _arm(self) -> None:
        target, draw = self._target, self._random
        calls, us = draw.randrange(draw.choice((30, 150, 700))), draw.randrange(draw.choice((2000, 20_000, 100_000)))
        if self._way == "command":
            self._loaded = lambda: target.trace(calls)
        elif self._way == "time":
            target.trace(calls)
        elif self._way == "timer" and us % 2:
            self._loaded = lambda: target.fuse(us)
        elif self._way == "timer":
            target.fuse(us)
        else:
            target.kill()

    def _set_off(self) -> None:
        """An order is about to be sent: now the end begins, if this life waits for it."""
        if self._loaded is not None:
            self._loaded()
            self._loaded = None

    def _die(self) -> None:
        """The instant of death, and everything up to the next boot that lives."""
        target, power = self._target, self._random.random() < 0.6
        outage_ms = self._random.choices((0, 40, 2000, 30_000, 600_000, 3_600_000), (30, 25, 25, 14, 4, 2))[0]
        self._note_death(power)
        self._judge_life()
        self._killed_ms = target.now_ms()
        if self._way == "boot":
            target.trace_boot = self._random.randrange(self._boot_calls)
        while True:
            try:
                target.bury(power, outage_ms)
                return
            except FirmwareKilled:
                target.lockstep.hung = False
                self.tally.count(KILLS)
                self.tally.count(BOOTING)
                power, outage_ms = True, 0

    def _note_death(self, power: bool) -> None:
        tracer, how = self._target.tracer, {"timer": TIMED}.get(self._way, ASLEEP)
        where = self._way
        if tracer is not None and tracer.killed_before is not None:
            how, where = TRACED, f"before its system call {tracer.calls}, a number {tracer.killed_before}"
        self.tally.count(KILLS)
        self.tally.count(how)
        doing = self._mind.pending.verb if self._mind.pending else "nothing"
        dead = "the power" if power else "the processor"
        self._turned_at_death = self._target.rotor_steps
        self.trail.append(f"life {self._life} ended at {self._target.now_ms()} ms, {where}, with {dead}, {doing} in doubt")

    # ---- what is done to a pump that lives

    def _deed(self, passing: bool) -> None:
        if passing or self._random.random() < 0.4:
            self._target.advance_to(self._target.now_ms() + self._random.choice((500, 20_000, 60_000, 1_200_000, 4_000_000)))
            return
        if not self._mind.run and self._random.random() < 0.5:  # a pump that stands long raises alarms that forbid boluses
            self._order(Order("RUN", self._with_id({})))
            return
        orders = (self._bolus, self._commit, self._refill, self._stop_or_run, self._set_time, self._prime)
        others = (self._read, self._acknowledge, self._again)
        self._random.choices((*orders, *others), (26, 18, 9, 14, 8, 5, 10, 6, 8))[0]()

    def _order(self, order: Order, first: Callable[[], None] = lambda: None) -> None:
        """Send it; pump and oracle must answer alike. `first`: what a person does at the rig before."""
        mind, now_ms = self._mind, self._target.now_ms()
        if order.program is not None:
            self._pump.stage(order.program)
        self._look_at_alarms()
        expected = mind.verdict(order, now_ms)
        first()
        mind.pending = order
        self._set_off()
        refusal: Refused | None = None
        reply: dict[str, str] = {}
        try:
            reply = self._pump.confirmed(order.verb, order.fields, confirm=True)
        except Refused as refused:
            refusal = refused
        self._compare(order, refusal, None if expected is None or expected.ok else (expected.code, expected.detail))
        if refusal is not None:
            mind.pending = None
            self.tally.count("orders refused")
        else:
            self.tally.count("orders acknowledged")
            self._accepted(order, reply, now_ms)

    def _accepted(self, order: Order, reply: dict[str, str], now_ms: int) -> None:
        if order.verb == "RES:REFILL":
            self._note_unrecorded(order, reply)
        if reply.get("repeated") == "yes":
            self._mind.know(order)
            return
        self._follow(order, reply, now_ms * 1000)
        self._mind.done(order, now_ms, reply)

    def _note_unrecorded(self, order: Order, reply: dict[str, str]) -> None:
        """What went out between fill and record, at the latest the pump's death, was taken for the old fill's; and what the pump believes
        that a person left in the reservoir stays counted (R-FIL-2), though it went out unrecorded at an earlier fill.
        """
        repeated = reply.get("repeated") == "yes"
        turned = self._turned_at_death if repeated else self._target.rotor_steps
        known_nl = self._unrecorded_nl + STEP_NL
        kept_nl = known_nl if repeated else min(known_nl, leading_int(reply["res"]) - leading_int(order.fields["volume"]))
        self._unrecorded_nl = kept_nl + (turned - self._filled_at) * STEP_NL

    def _compare(self, order: Order, refusal: Refused | None, expected: tuple[str, object] | None) -> None:
        """Both refuse, or neither; where only a wait parts them it must be short."""
        known = order.verb not in ("RES:REFILL", "TIME", "ALAR:ACK")
        if (refusal is None) == (expected is None) and known:
            return
        if refusal is None and not known:
            return
        waits = [leading_int(refusal.fields.get("wait", "0"))] if refusal else []
        if expected is not None and isinstance(expected[1], dict):
            waits.append(int(expected[1].get("wait") or 0))
        if any(0 < wait <= SLACK_MS for wait in waits) or order.verb == "ALAR:ACK":  # an alarm in doubt may be off by now
            return
        young = self._target.now_ms() - self._begun_ms < DEBOUNCE_MS
        if refusal is not None and (refusal.code == "BUSY" or (refusal.code == "PORT_OPEN" and young)):
            return
        pump = f"{refusal.code} {refusal.text}" if refusal else "OK"
        self._wrong(CAP, f"{order.verb} {order.fields}: the pump {pump}, the oracle {expected or 'OK'}")

    def _follow(self, order: Order, reply: dict[str, str], now_us: int) -> None:
        """The ideal curve of this life learns what was accepted."""
        if order.verb == "RUN":
            self._expected.run(now_us)
        elif order.verb == "STOP":
            self._end_push(now_us)
            self._expected.stop(now_us)
        elif order.program is not None:
            self._expected.commit(now_us, order.program)
        elif order.verb == "TIME":
            self._expected.clock(now_us, leading_int(order.fields["set"]) + OFFSET_MIN * 60)
        elif order.verb in DELIVERIES:
            volume_nl, steps, span_ms = push_of(order.verb, order.fields, reply, BOLUS_S)
            self._expected.push(now_us, Push(volume_nl, span_ms, steps))

    def _end_push(self, now_us: int) -> None:
        if self._expected.pushing(now_us):
            made = leading_int(self._pump.stat()["steps"])
            self._expected.push_ended(now_us, made)
            self._mind.end_delivery(now_us // 1000, "PARTIAL", made * STEP_NL)

    def _bolus(self) -> None:
        self._order(Order("DOSE:BOLUS", self._with_id({"volume": f"{BOLUS_NL}nl", "path": "pump"})))

    def _commit(self) -> None:
        factor = self._random.choice((70, 80, 82, 95, 100, 110, 129, 130, 131))
        mcg = min(900, max(48, self._mind.program.day_ng("mon") * factor // 100_000))
        program = plan(mcg, f"p{mcg}-{self._ids}", self._flat)
        self._order(Order("PROG:COMMIT", self._with_id({"hash": program.hash(), "attended": "yes", "route": "intrathecal"}), program))

    def _refill(self) -> None:
        """A person empties the reservoir and fills it, and then it is recorded; not while a bolus moves, for then no record is taken."""
        if self._mind.moving is not None:
            return
        out_nl, volume_nl = int(self._target.plant.sample().reservoir_nl), self._random.choice((15_000_000, 17_000_000))
        fields = {
            "path": "septum", "fluid": "drug", "drug": "baclofen", "volume": f"{volume_nl}nl", "conc": f"{CONC}mcg/ml",
            "lot": f"L{self._ids}", "expiry": "2028-06-30", "withdrawn": f"{out_nl}nl", "stored": "ok", "attended": "yes",
        }  # fmt: skip
        self._order(Order("RES:REFILL", self._with_id(fields)), lambda: self._fill(volume_nl))

    def _fill(self, volume_nl: int) -> None:
        self._filled_at = self._target.rotor_steps
        self._target.plant.withdraw()
        self._target.plant.refill(volume_nl, CONC)

    def _stop_or_run(self) -> None:
        self._order(Order("STOP", {}) if self._mind.run else Order("RUN", self._with_id({})))

    def _set_time(self) -> None:
        if self._flat:
            self._order(self._time_order())

    def _time_order(self) -> Order:
        return Order("TIME", {"set": f"{int(self._target.unix_s())}s", "offset": f"{OFFSET_MIN}min"})

    def _read(self) -> None:
        self._pump.link.records("LOG?", limit=self._random.randrange(1, 12))
        self._pump.stat("motion")
        self.tally.count("looks into log and status")

    def _acknowledge(self) -> None:
        for code in self._pump.alarms():
            self._order(Order("ALAR:ACK", {"id": code}))
        if self._mind.therapy.record.boluses.uncertain and self._mind.moving is None:
            self._order(Order("ALAR:ACK", {"id": "UNCERTAIN"}))
            self._mind.therapy.inputs(uncertain=False)

    def _again(self) -> None:
        """An order that was acknowledged is sent again under its id: it must be known, and nothing may be done."""
        if self._mind.acked:
            self._send_again(self._random.choice(self._mind.acked))

    def _send_again(self, order: Order) -> None:
        turned = self._pump.counts().authorised
        try:
            reply = self._pump.link.command(order.verb, order.fields)
        except Refused as refused:
            self._wrong(TWICE, f"{order.verb} id {order.id} again: {refused.code}, the pump has forgotten it")
            return
        self.tally.count("acknowledged orders sent again under their id")
        if reply.get("repeated") != "yes" or self._pump.counts().authorised != turned:
            self._wrong(TWICE, f"{order.verb} id {order.id} was carried out again: {reply}")

    def _prime(self) -> None:
        """A new tube is filled, while stopped and not connected."""
        if self._mind.run:
            self._order(Order("STOP", {}))
        self._order(Order("LINE:NEW", self._with_id({"part": "tube"})))
        self._order(Order("DOSE:PRIME", self._with_id({"volume": f"{PRIME_NL}nl", "path": "pump", "connected": "no"})))

    def _with_id(self, fields: dict[str, str]) -> dict[str, str]:
        self._ids += 1
        return {**fields, "id": f"{self.seed % 4096:03x}{self._ids:05x}"}

    def _look_at_alarms(self) -> None:
        high = any(row["priority"] == "HIGH" for row in self._pump.alarms().values())
        self._mind.therapy.inputs(high_alarm=high)

    # ---- what a life must have been

    def _begin_life(self) -> None:
        target = self._target
        now_us = target.now_ms() * 1000
        self._begun_ms = target.now_ms()
        self._expected = expected = Expectation(now_us, 100_000)
        expected.base(target.plant.engine.total)
        expected.clock(now_us, *divmod(self._pump_local_ms(), 1000))
        expected.commit(now_us, self._mind.program)
        if self._mind.run:
            expected.run(now_us)

    def _pump_local_ms(self) -> int:
        """The kept clock tells whole seconds: what it told at the boot, and the ms since; in the first life it was set to the second."""
        local_ms, since_ms = self._target.local_ms(), self._target.now_ms() - self._target.lockstep.boots[-1][0] if self._life else 0
        return (local_ms - since_ms) // 1000 * 1000 + since_ms

    def _judge_life(self) -> None:
        """Every pulse of this life against the oracle's curve: a step made again, or made up for, stands more than one from it."""
        error = self._expected.step_error(self._target.plant.edges_us(), self._target.now_ms() * 1000)
        self.tally.count("lives judged pulse by pulse against the oracle's curve")
        if error > 1.0:
            self._wrong(OFF, f"{error:.3f} steps off")

    # ---- after a boot

    def _account(self) -> None:
        """A new host asks; the rotor decides. Then what was in doubt is settled, as a host would."""
        if self._target.tracer is not None:
            self._target.tracer.let_go()
        self._pump = new_host(self._target, self.seed * 1000 + self._life)
        self._pump.open()
        self._check_bounds()
        in_force = self._learn()
        self._check_in_force()
        self._begin_life()
        if self._mind.acked:
            self._send_again(self._mind.acked[-1])
        self._settle(in_force)
        self._check_alarms()
        self._acknowledge()

    def _check_bounds(self) -> None:
        account, turned = self._pump.stat("account"), self._target.rotor_steps
        authorised, uncertain_nl = leading_int(account["authorised"]), leading_int(account["uncertain"])
        self.tally.count("restarts whose ledger was held against the rotor")
        if turned > authorised:
            self._wrong(ABOVE, f"{turned} steps turned, {authorised} booked")
        if turned < authorised - uncertain_nl // STEP_NL:
            self._wrong(BELOW, f"{turned} steps turned, {authorised} booked, {uncertain_nl} nL of it in doubt")
        allowed_nl = (self._boots_since() * RESERVATION_STEPS + self._under_way()) * STEP_NL
        if uncertain_nl - self._uncertain_nl > allowed_nl:
            self._wrong(DOUBT, f"{uncertain_nl - self._uncertain_nl} nL more in doubt, {allowed_nl} allowed")
        self._uncertain_nl = uncertain_nl
        if self._mind.pending is None or self._mind.pending.verb != "RES:REFILL":  # else a person has filled what the pump may not know of
            self._check_reservoir()

    def _under_way(self) -> int:
        """Steps of the delivery that was killed, or that may have been."""
        orders = [self._mind.pending, self._mind.moving[0] if self._mind.moving else None]
        return sum(order.steps for order in orders if order is not None)

    def _boots_since(self) -> int:
        """Boots since the last look: each may leave a reservation open."""
        boots = len(self._target.lockstep.boots)
        since, self._boots = boots - self._boots, boots
        return since

    def _check_reservoir(self) -> None:
        counted_nl = leading_int(self._pump.stat("supplies")["res"])
        true_nl = self._target.plant.sample().reservoir_nl
        if counted_nl > true_nl + STEP_NL + self._unrecorded_nl:
            self._wrong(RESERVOIR, f"{counted_nl} nL counted, {true_nl:.0f} nL in it")

    def _learn(self) -> bool:
        """Whether the order in doubt was carried out before the end, as far as the pump's status says; the oracle is told."""
        mind, order, stat = self._mind, self._mind.pending, self._pump.stat()
        done = False
        if order is not None and order.verb in ("RUN", "STOP"):
            done = (stat["state"] == "running") == (order.verb == "RUN")
        elif order is not None and order.program is not None:
            done = stat["hash"] == order.program.hash()
        elif order is not None and order.verb in DELIVERIES:
            done = stat["last_id"] == order.id
        if mind.moving is not None and stat["last_id"] == mind.moving[0].id:
            self._learn_end(stat, mind.moving[1])
        if order is not None and done:
            mind.done(order, self._killed_ms, {"time": f"{1 << 40}ms"})
        mind.killed(self._killed_ms, self._target.lockstep.boots[-1][0], self._target.now_ms())
        return done

    def _learn_end(self, stat: dict[str, str], end_ms: int) -> None:
        """Of the delivery that moved: its result was written in time, or it was killed in the turn that would have written it."""
        outcome = stat["outcome"]
        if outcome in ("DONE", "PARTIAL") or (outcome == "UNCERTAIN" and self._killed_ms <= end_ms + TURN_MS):
            self._mind.end_delivery(self._killed_ms, outcome, leading_int(stat["steps"]) * STEP_NL)

    def _check_in_force(self) -> None:
        """What was acknowledged is in force, and what was in doubt is, or is not."""
        stat, supplies, mind = self._pump.stat(), self._pump.stat("supplies"), self._mind
        order = mind.pending
        lots = {mind.lot} | ({order.fields["lot"]} if order and order.verb == "RES:REFILL" else set())
        checks = (
            (stat["state"] == "running", {mind.run}),
            (stat["hash"], {mind.program.hash()}),
            (supplies["lot"], lots),
            (supplies["calibrated"], {"yes"}),
            (stat["clock"], {"set"}),
        )
        for found, allowed in checks:
            self.tally.count("acknowledged states looked for after a restart")
            if found not in allowed:
                self._wrong(LOST, f"{found} is in force, acknowledged was {allowed}")

    def _settle(self, in_force: bool) -> None:
        """What a host does with an order whose answer never came: it asks, and sends it again under its own id."""
        order = self._mind.pending
        if order is None and not in_force:
            return
        self.tally.count("orders in doubt settled")
        if order is None:
            return
        if order.program is not None:
            self._mind.pending = None  # the staging is gone and the old program runs: a person begins anew
        elif order.verb == "TIME":
            self._order(self._time_order())
        else:
            self._order(order)

    def _check_alarms(self) -> None:
        on = self._pump.alarms()
        for code in NEVER_ON:
            if code in on:
                self._wrong(ALARMED, f"{code}: {on[code].get('text')}")
                self._pump.link.command("ALAR:ACK", {"id": code})

    def _wrong(self, zero: str, text: str) -> None:
        self.tally.wrong(zero, f"seed {self.seed}, {text}; {self.trail[-1] if self.trail else 'at the start'}")


def histories(kills: int, seed: int, traced: bool, script: Path = FIRMWARE) -> Iterator[Tally]:
    """Histories of LIVES lives each, until there were enough kills; each fourth is ended by the timer."""
    done = 0
    while done < kills:
        with tempfile.TemporaryDirectory(prefix="doseloop-kill-") as folder:
            history = History(seed, Path(folder), script, traced and seed % 4 != 0)
            try:
                tally = history.run(min(LIVES, kills - done))
            finally:
                history.close()
        done += tally.done[KILLS]
        seed += 1
        yield tally
