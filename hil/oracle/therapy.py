"""The therapy as a state machine: every order at an elapsed time gives OK with notes, or a code with the figures that refused it.

Cheap to copy and without side effects elsewhere, so that a campaign can drive it beside a pump and compare. Without numpy, and with
nothing newer than Python 3.9. An order that is refused changes nothing, save that a commit refused by STEP_CAP counts for R-MNT-4.

Readings:
- R-TIT-4: a commit made while stopped is judged again when RUN puts it in force, without its confirmations, but with the reason it gave:
  a stop between the two must not make room.
- R-TIM-1: RUN carries `at`, so without a clock it is CLOCK_LOST; a basal that resumes by itself is not asked.
- The clock counts for orders that carry their date: commit, RUN, deliveries, refills.
- BUSY comes before STATE, and while a delivery moves it is the answer to every order that changes anything, save STOP.
- RUN without a committed program is STATE, but NOT_SCREENED where no program could have been committed.
"""

from __future__ import annotations

from copy import copy
from dataclasses import replace
from datetime import date
from fractions import Fraction

from . import advice, beginning, force, holiday, label, line, rules, screening, supplies
from .caps import Caps, caps
from .program import Program
from .record import Advice, Clock, InForce, Maintained, Patient, Record, Site, Supplies, Trial
from .rules import Order
from .verdict import Refusal, Verdict, first

CAREFUL = Order()
THROUGH_SEPTUM = Order(path="septum")


class Therapy:
    """One pump's therapy."""

    def __init__(
        self,
        site: Site | None = None,
        *,
        unix_ms: int | None = None,
        offset_ms: int = 0,
        calibrated: bool = False,
        steps_told: bool = False,
    ) -> None:
        supplied = Supplies(calibrated=calibrated)
        self.record = Record(site=site or Site(), steps_told=steps_told, clock=Clock(unix_ms, offset_ms), supplies=supplied)
        self.now_ms = 0

    def copy(self) -> Therapy:
        """An independent twin."""
        return copy(self)

    # who

    def import_(
        self,
        at_ms: int,
        program: Program | None,
        *,
        population: str,
        birth: date,
        phase: str,
        screen_ng: int = 0,
        effect: str = "unknown",
        increase_ago_s: int | None = None,
        volume_nl: int = 0,
        conc: int | None = None,
        expiry: date | None = None,
        injury: date | None = None,
        order: Order = CAREFUL,
    ) -> Verdict:
        """A therapy taken over from a replaced pump (R-COM-1)."""
        r = self._at(at_ms)
        new = replace(
            r,
            patient=Patient(population, birth, injury),
            phase=phase,
            imported=True,
            trial=Trial(screen_ng=screen_ng, effect_long={"long": True, "short": False}.get(effect), imported_ms=at_ms),
            course=replace(
                r.course,
                committed=program,
                last_run=program,
                last_increase_ms=None if increase_ago_s is None else at_ms - increase_ago_s * 1000,
                in_force=(InForce(None, None, program),) if program else (),
                started=program.daily_ng if program else 0,
            ),
            basal=replace(
                r.basal,
                before_ms=label.FIRST_RUNNING_MS if phase in ("titration", "maintenance") else 0,
                stopped_ms=at_ms if program else None,
            ),
            supplies=replace(r.supplies, conc=conc, fluid="drug" if volume_nl else "none", expiry=expiry),
            advice=Advice(maintained=(Maintained(program.daily_ng),) if program and phase == "maintenance" else ()),
        )
        return self._decide(first(rules.busy(r), beginning.import_once(r), beginning.import_limits(new, at_ms, volume_nl, order)), new)

    def enrol(self, at_ms: int, *, population: str, birth: date, injury: date | None = None, order: Order = CAREFUL) -> Verdict:
        """THER:RECORD: population, birth date, brain injury (R-POP-1)."""
        r = self._at(at_ms)
        state = first(rules.busy(r), screening.record_state(r))
        if state or r.clock.unix_ms is None:
            return Verdict(*(state or ("CLOCK_LOST", {})))
        patient, today = Patient(population, birth, injury), r.clock.today(at_ms)
        if injury and injury > today:
            return Verdict("ARG", {})
        refusal = first(screening.ages(patient, today), screening.injury(patient, today, order))
        return self._decide(refusal, replace(r, patient=patient))

    # the screening trial

    def screen(self, at_ms: int, dose_mcg: int, order: Order = CAREFUL) -> Verdict:
        """DOSE:SCREEN (R-SCR-1..3)."""
        r = self._at(at_ms)
        refusal = first(
            rules.command(r, at_ms, order),
            rules.therapy_fluid(r),
            screening.dose_refusals(r, at_ms, dose_mcg, order),
        )
        return self._decide(refusal, screening.given(r, at_ms, dose_mcg))

    def screen_ended(self, at_ms: int, outcome: str) -> None:
        """DONE, PARTIAL or UNCERTAIN (R-SCR-2)."""
        self.record = screening.ended(self._at(at_ms), at_ms, outcome)

    def respond(self, at_ms: int, result: str | None = None, effect: str | None = None) -> Verdict:
        """SCREEN:RESPONSE: positive or inadequate; its effect short or long (R-SCR-3..5)."""
        if result is None and effect is None:
            return Verdict("MISSING", {})
        r = self._at(at_ms)
        refusal = first(rules.busy(r), screening.response_refusals(r, at_ms, result, effect))
        return self._decide(refusal, r if refusal else screening.responded(r, result, effect))

    def new_trial(self, at_ms: int) -> Verdict:
        """SCREEN:NEW: from any phase; the program last run is no longer in force (R-SCR-5)."""
        r = self._at(at_ms)
        refusal = first(rules.busy(r), [("STATE", {})] if r.running else [])
        kept = holiday.forgotten(r, at_ms)
        course = replace(kept.course, committed=None, in_force=force.ended(r.course, at_ms), return_to=0)
        new = replace(r, phase="screening", trial=screening.new_trial(r), course=course, advice=advice.left(r.advice, at_ms))
        return self._decide(refusal, new)

    # programs

    def commit(self, at_ms: int, program: Program, order: Order = CAREFUL, observe_h: int = label.OBSERVE_H) -> Verdict:
        """A staged program, read back: in force at once if running, else at RUN."""
        r = self._at(at_ms)
        found = rules.judge(r, at_ms, program, order.attended, order.reason)
        refusal = first(rules.command(r, at_ms, order), rules.therapy_fluid(r), found.refusals, order.unconfirmed(found.asked))
        if refusal:
            self._count_refused(at_ms, program, refusal)
            return Verdict(*refusal)
        course = replace(r.course, committed=program, reason=order.reason)
        new = supplies.observed(beginning.judged(replace(r, course=course), at_ms, found), at_ms, observe_h)
        return self._decide(None, force.flows(new, at_ms) if r.running else new, rules.notes(r, at_ms, program))

    def run(self, at_ms: int, order: Order = CAREFUL) -> Verdict:
        """Start or resume the basal."""
        r = self._at(at_ms)
        found = beginning.run_program(r, at_ms, order)
        refusal = first(rules.command(r, at_ms, order), rules.therapy_fluid(r), beginning.run_state(r, at_ms), found.refusals)
        if refusal:
            return Verdict(*refusal)
        if force.waiting(r) and r.course.reason != "OVERDOSE":
            r = beginning.judged(r, at_ms, found)
        return self._decide(None, force.started(r, at_ms))

    def stop(self, at_ms: int) -> Verdict:
        """Always obeyed (R-OVD-1)."""
        r = self._at(at_ms)
        return self._decide(None, force.stopped(r, at_ms) if r.running else r)

    def set_phase(self, at_ms: int, phase: str) -> Verdict:
        """Into maintenance by command (R-MNT-1), or out of a holiday that is not over (R-HOL-1)."""
        water = first(rules.therapy_fluid(self._at(at_ms)))
        change = {"maintenance": self._maintain, "titration": self._break_off}.get(phase)
        if water or change is None:
            return Verdict(*(water or ("STATE", {})))
        return change(at_ms)

    def _maintain(self, at_ms: int) -> Verdict:
        r = self._at(at_ms)
        found: list[Refusal] = [*rules.busy(r), *([] if r.phase == "titration" else [("STATE", {})])]
        if r.increased_lately(at_ms):
            found.append(("TOO_SOON", {"wait": (r.last_increase_ms or 0) + label.INCREASE_GAP_MS - at_ms}))
        if r.running and force.rising(r, at_ms):
            found.append(("TOO_SOON", {"wait": label.INCREASE_GAP_MS}))
        doses = r.doses(at_ms)
        noted = advice.entered(r.advice, at_ms, doses.daily) if doses else r.advice
        return self._decide(first(found), replace(r, phase="maintenance", advice=noted))

    def _break_off(self, at_ms: int) -> Verdict:
        r = self._at(at_ms)
        flat = holiday.day_program(r, at_ms) if holiday.resumes(r, at_ms) else None
        refusal = first(rules.busy(r), [] if flat else [("STATE", {})])
        if refusal or flat is None:
            return Verdict(*(refusal or ("STATE", {})))
        course = replace(r.course, committed=flat, reason="", by_return=False)
        new = supplies.observed(replace(r, phase="titration", course=course), at_ms, label.OBSERVE_H)
        return self._decide(None, force.reopened(force.put_in_force(new, at_ms, flat), at_ms))

    def clinical_response(self, at_ms: int, result: str) -> Verdict:
        """THER:RESPONSE: adequate or inadequate, either ends the count of R-MNT-4."""
        r = self._at(at_ms)
        treated = r.phase in ("first", "titration", "maintenance", "holiday")
        refusal = first(rules.busy(r), [] if treated else [("STATE", {})])
        return self._decide(refusal, replace(r, advice=advice.answered(r.advice)))

    def acknowledge(self, at_ms: int) -> None:
        """The advisories were acknowledged."""
        r = self._at(at_ms)
        self.record = replace(r, advice=replace(r.advice, raised=frozenset()))

    def first_step(self, at_ms: int) -> None:
        """The first step of an increase was made now: that dates it (R-TIT-3), and where steps are told it takes force."""
        r = self._at(at_ms)
        dated = replace(r, course=replace(r.course, last_increase_ms=at_ms))
        self.record = force.take_force(r, at_ms) if r.steps_told else dated

    def held_low(self, at_ms: int, low: bool) -> None:
        """The pump held the basal at the lowest rate from then on after a clock correction, or no longer (R-PRF-4)."""
        self.record = force.held(self.record, at_ms, low)

    # what happens to the pump

    def power_loss(self, at_ms: int, known_ms: int | None) -> int:
        """Power was lost at at_ms, for a time a kept clock proves, or None; gives the elapsed time after it. A running basal resumes."""
        r = self._at(at_ms)
        after_ms = at_ms + (known_ms or 0)
        was_running = r.running
        if was_running:
            r = force.stopped(r, at_ms)
        if known_ms is None:
            r = replace(r, clock=replace(r.clock, unix_ms=None))
        self.record = force.started(r, after_ms) if was_running else r
        self.now_ms = after_ms
        return after_ms

    def clock_set(self, at_ms: int, unix_s: int, offset_min: int = 0) -> Verdict:
        """The wall clock is set: the program follows it, no window or wait moves (R-TIM-1)."""
        r = self._at(at_ms)
        new = replace(r, clock=Clock(unix_s * 1000 - at_ms, offset_min * 60_000))
        return self._decide(first(rules.busy(r)), force.reopened(new, at_ms))

    def inputs(self, **flags: bool) -> None:
        """port_reads_open, high_alarm, uncertain, calibrated: what the world says."""
        r, calibrated = self.record, flags.pop("calibrated", self.record.supplies.calibrated)
        self.record = replace(r, supplies=replace(r.supplies, calibrated=calibrated), boluses=replace(r.boluses, **flags))  # type: ignore[arg-type]

    def pumped(self, at_ms: int, volume_nl: int | Fraction, least_nl: int | Fraction | None = None) -> None:
        """So much left the head since the last call; least_nl: the lower bound, where a power cut left it unknown (R-CON-3)."""
        r = self._at(at_ms)
        self.record = replace(r, line=line.pumped(r, volume_nl, least_nl))

    # supplies and deliveries

    def refill(
        self,
        at_ms: int,
        volume_nl: int,
        conc: int,
        *,
        expiry: date,
        withdrawn_nl: int,
        expected_nl: int,
        delivered_nl: int = 0,
        fluid: str = "drug",
        drug: str = "baclofen",
        order: Order = THROUGH_SEPTUM,
        observe_h: int = label.OBSERVE_H,
    ) -> Verdict:
        """A refill; expected_nl is the count before it, delivered_nl what went since the last one (R-FIL-1, R-FIL-2)."""
        r = self._at(at_ms)
        new = supplies.Filling(volume_nl, conc, expiry, max(0, expected_nl - withdrawn_nl), fluid, drug)
        refusal = first(rules.command(r, at_ms, order, way="septum"), supplies.refill_refusals(r, at_ms, new, order))
        filled = supplies.observed(supplies.refilled(r, at_ms, new), at_ms, observe_h)
        return self._decide(refusal, filled, supplies.discrepancy(expected_nl, withdrawn_nl, delivered_nl))

    def empty(self, at_ms: int) -> Verdict:
        """EMPTY: the reservoir was evacuated (R-OVD-1)."""
        r = self._at(at_ms)
        return self._decide(None, replace(r, supplies=replace(r.supplies, emptied=True)))

    def bolus(self, at_ms: int, volume_nl: int, order: Order = CAREFUL) -> Verdict:
        """A bolus in therapy; its intent reserves its dose (R-BOL-1..3, R-CAP-*)."""
        r = self._at(at_ms)
        refusal = first(
            rules.command(r, at_ms, order),
            rules.therapy_fluid(r),
            supplies.bolus_state(r),
            supplies.bolus_limits(r, at_ms, volume_nl),
        )
        return self._decide(refusal, supplies.bolus_started(r, at_ms, volume_nl))

    def bolus_ended(self, at_ms: int, outcome: str, delivered_nl: int | None = None) -> None:
        """DONE, PARTIAL with what was delivered, or UNCERTAIN."""
        self.record = supplies.bolus_ended(self._at(at_ms), outcome, delivered_nl or 0)

    def prime(self, at_ms: int, volume_nl: int, order: Order = CAREFUL) -> Verdict:
        """Fill a new line that is not connected; its intent uses the allowance (R-CON-4)."""
        r = self._at(at_ms)
        asked = order.unconfirmed(("CONFIRM_PRIME",))
        refusal = first(rules.command(r, at_ms, order), rules.therapy_fluid(r), line.prime_refusals(r, volume_nl), asked)
        primed = replace(r.line, prime_nl=r.line.prime_nl - volume_nl)
        return self._decide(refusal, replace(r, line=primed, boluses=replace(r.boluses, moving="prime")))

    def prime_ended(self, at_ms: int, unused_nl: int | Fraction = 0) -> None:
        """What a prime that was broken off surely did not push may be primed again; of an uncertain one nothing."""
        r = self._at(at_ms)
        primed = replace(r.line, prime_nl=r.line.prime_nl + unused_nl)
        self.record = replace(r, line=primed, boluses=replace(r.boluses, moving=""))

    def new_line(self, at_ms: int, part: str) -> Verdict:
        """LINE:NEW: a new tube, catheter, or both (R-CON-4)."""
        r = self._at(at_ms)
        return self._decide(first(rules.busy(r), line.renew_refusals(r, part)), replace(r, line=line.renewed(r, part)))

    def calibrate(self, at_ms: int, tube: str) -> Verdict:
        """CAL:SET with a tube of this name: another name is a new tube, the very first a whole new line."""
        r = self._at(at_ms)
        part = line.new_part(r, tube)
        renewed = line.renewed(r, part) if part else r.line
        new = replace(r, line=replace(renewed, tube=tube), supplies=replace(r.supplies, calibrated=True))
        return self._decide(first(rules.busy(r), line.renew_refusals(r, part)), new)

    # what it shows

    def caps(self, at_ms: int) -> Caps:
        """What a commit could have now."""
        return caps(self._at(at_ms), at_ms)

    def next_screen_mcg(self, at_ms: int) -> int | None:
        """The next dose of the trial; None = none is next."""
        due = screening.next_mcg(self._at(at_ms))
        return due[0] if due else None

    def holiday(self, at_ms: int) -> str:
        """Day of how many (3/14), over, or none."""
        return holiday.shown(self._at(at_ms), at_ms)

    def observed_ms(self, at_ms: int) -> int:
        """What is left of the observation (R-FIL-4)."""
        return max(0, self._at(at_ms).supplies.observe_until_ms - at_ms)

    # how it is kept

    def _at(self, at_ms: int) -> Record:
        """The record at a time; the first phase ends by itself after 24 h of running."""
        if at_ms < self.now_ms:
            raise ValueError(f"elapsed time runs forward only: at {self.now_ms} ms, asked for {at_ms} ms")
        self.now_ms = at_ms
        r = self.record
        if (r.phase == "first" or r.course.restarted) and r.running_for_ms(at_ms) >= label.FIRST_RUNNING_MS:
            phase = "titration" if r.phase == "first" else r.phase
            self.record = replace(r, phase=phase, course=replace(r.course, restarted=False))
        return self.record

    def _decide(self, refusal: Refusal | None, accepted: Record, found: tuple[str, ...] = ()) -> Verdict:
        if refusal:
            return Verdict(*refusal)
        self.record = accepted
        return Verdict("OK", found)

    def _count_refused(self, at_ms: int, program: Program, refusal: Refusal) -> None:
        """R-MNT-4 (b)."""
        r = self.record
        if refusal[0] == "STEP_CAP" and rules.is_increase(r, at_ms, program.doses):
            self.record = replace(r, advice=advice.increase_refused(r.advice, at_ms))
