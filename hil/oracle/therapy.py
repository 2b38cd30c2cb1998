"""The therapy as a state machine: every order at an elapsed time gives OK with notes, or a code with the limit that refused it.

Cheap to copy and without side effects elsewhere, so that a campaign can drive it beside a pump and compare.

Readings:
- R-TIT-3 "dated by its first step": an increase is dated when its program comes into force while running, unless
  `first_step` says when that step really was.
- R-TIT-4: a commit made while stopped is judged again when RUN puts it in force, without its confirmations: a stop between the
  two must not make room.
- R-TIM-1: RUN carries `at`, so without a clock it is CLOCK_LOST; a basal that resumes by itself is not asked.
- R-FIL-2: a refill at another concentration is possible only while stopped (bridging has rules of its own).
- R-BOL-1: a bolus has exactly the volume the program allows; another is BOLUS_OFF. The lockout runs from start to start.
- R-BOL-2: boluses of the last 24 h, counted from their starts, and a window of the present program's high dose stay within its
  daily dose.
- R-BOL-3, R-CAP-2: while the port reads open it is PORT_OPEN; closed but not yet acknowledged it is ALARM_ACTIVE.
"""

from __future__ import annotations

from copy import copy
from dataclasses import replace
from datetime import date
from fractions import Fraction
from typing import Any, NamedTuple

from . import label, rules
from .program import DAY_MS, Program
from .record import Booked, InForce, Record, Refill, Site, Stretch
from .rules import Order, Refusal

CAREFUL = Order()
THROUGH_SEPTUM = Order(path="septum")


class Verdict(NamedTuple):
    """OK and its notes, or a refusal's code and the limit that refused."""

    code: str
    detail: Any = ()

    @property
    def ok(self) -> bool:
        """Whether it was accepted."""
        return self.code == "OK"


class Therapy:
    """One pump's therapy. Orders refused change nothing."""

    def __init__(self, site: Site | None = None, **fields: Any) -> None:
        self.record = Record(site=site or Site(), **fields)
        self.now_ms = 0

    def copy(self) -> Therapy:
        """An independent twin."""
        return copy(self)

    # programs

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
    ) -> Verdict:
        """A therapy taken over from a replaced pump (R-COM-1)."""
        r = self._at(at_ms)
        new = replace(
            r,
            population=population,
            birth=birth,
            phase=phase,
            screen_ng=screen_ng,
            effect_long={"long": True, "short": False}.get(effect),
            imported=True,
            committed=program,
            last_run=program,
            last_increase_ms=None if increase_ago_s is None else at_ms - increase_ago_s * 1000,
            in_force=(InForce(None, program),) if program else (),
            running_before_ms=label.FIRST_RUNNING_MS if phase in ("titration", "maintenance") else 0,
            stopped_ms=at_ms,
            conc=conc,
            fluid="drug" if volume_nl else "none",
            expiry=expiry,
        )
        return self._decide(rules.first(_import_once(r), _import_limits(new, at_ms, volume_nl)), new)

    def commit(self, at_ms: int, program: Program, order: Order = CAREFUL) -> Verdict:
        """A staged program, read back: in force at once if running, else at RUN."""
        r = self._at(at_ms)
        refusal = rules.first(
            rules.command(r, at_ms, order),
            rules.therapy_fluid(r),
            self._judge(r, at_ms, program, order),
            rules.confirmations(program, order.confirmed),
        )
        found = () if refusal else rules.notes(r, at_ms, program)
        committed = replace(r, committed=program)
        return self._decide(refusal, _put_in_force(committed, at_ms) if r.running else committed, found)

    def run(self, at_ms: int, order: Order = CAREFUL) -> Verdict:
        """Start or resume the basal."""
        r = self._at(at_ms)
        waiting = r.committed if r.committed and not _same(r.committed, r.last_run) else None
        refusal = rules.first(
            rules.command(r, at_ms, order),
            rules.therapy_fluid(r),
            _run_state(r),
            self._judge(r, at_ms, waiting, order) if waiting else (),
        )
        return self._decide(refusal, _started(r, at_ms))

    def stop(self, at_ms: int) -> Verdict:
        """Always obeyed (R-OVD-1)."""
        r = self._at(at_ms)
        return self._decide(None, _stopped(r, at_ms) if r.running else r)

    def set_phase(self, at_ms: int, phase: str) -> Verdict:
        """Into maintenance by command (R-MNT-1)."""
        r = self._at(at_ms)
        found: list[Refusal] = []
        if phase != "maintenance" or r.phase != "titration":
            found.append(("STATE", r.phase))
        if r.increased_lately(at_ms):
            found.append(("TOO_SOON", (r.last_increase_ms or 0) + label.INCREASE_GAP_MS - at_ms))
        return self._decide(rules.first(found), replace(r, phase=phase))

    def first_step(self, at_ms: int) -> None:
        """The first step of an increased program was made now, later than it came into force."""
        self.record = replace(self._at(at_ms), last_increase_ms=at_ms)

    # what happens to the pump

    def power_loss(self, at_ms: int, known_ms: int | None) -> int:
        """Power was lost at at_ms, for a time a kept clock proves, or None; gives the elapsed time after it. A running basal resumes."""
        r = self._at(at_ms)
        after_ms = at_ms + (known_ms or 0)
        was_running = r.running
        if was_running:
            r = _stopped(r, at_ms)
        if known_ms is None:
            r = replace(r, unix_ms=None)
        self.record = _started(r, after_ms) if was_running else r
        self.now_ms = after_ms
        return after_ms

    def clock_set(self, at_ms: int, unix_s: int, offset_min: int = 0) -> Verdict:
        """The wall clock is set: the program follows it, no window or wait moves (R-TIM-1)."""
        r = replace(self._at(at_ms), unix_ms=unix_s * 1000 - at_ms, offset_ms=offset_min * 60_000)
        return self._decide(None, _open_stretch(_close_stretch(r, at_ms), at_ms) if r.running else r)

    def inputs(self, **flags: bool) -> None:
        """port_reads_open, high_alarm, calibrated, uncertain: what the world says."""
        self.record = replace(self.record, **flags)  # type: ignore[arg-type]

    # supplies and boluses

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
    ) -> Verdict:
        """A refill; expected_nl is the count before it, delivered_nl what went since the last one (R-FIL-1, R-FIL-2)."""
        r = self._at(at_ms)
        remaining_nl = max(0, expected_nl - withdrawn_nl)
        refusal = rules.first(
            rules.command(r, at_ms, order, way="septum"),
            _refill_kind(r, fluid, drug, remaining_nl, order),
            _refill_drug(r, at_ms, conc, expiry) if fluid == "drug" else (),
            _refill_room(r, conc, remaining_nl, volume_nl),
        )
        refills = (*(one for one in r.refills if at_ms - one.at_ms <= label.LICENCE_MS), Refill(at_ms, volume_nl))
        new = replace(r, conc=conc, fluid=fluid, expiry=expiry, refills=refills if fluid == "drug" else r.refills)
        return self._decide(refusal, new, _discrepancy(expected_nl, withdrawn_nl, delivered_nl))

    def bolus(self, at_ms: int, volume_nl: int, order: Order = CAREFUL) -> Verdict:
        """A bolus in therapy; its intent reserves its dose (R-BOL-1..3, R-CAP-*)."""
        r = self._at(at_ms)
        refusal = rules.first(
            rules.command(r, at_ms, order),
            rules.therapy_fluid(r),
            _bolus_state(r),
            _bolus_limits(r, at_ms, volume_nl),
        )
        ng = Fraction(volume_nl * (r.last_run.conc if r.last_run else 0), 1000)
        kept = tuple(one for one in r.boluses if at_ms - one.start_ms < DAY_MS or one is r.boluses[-1])
        return self._decide(refusal, replace(r, boluses=(*kept, Booked(at_ms, ng)), bolus_running=True))

    def bolus_ended(self, at_ms: int, outcome: str, delivered_nl: int | None = None) -> None:
        """DONE, PARTIAL with what was delivered, or UNCERTAIN, which counts whole until somebody acknowledges."""
        r = self._at(at_ms)
        boluses = r.boluses
        if outcome == "PARTIAL" and r.last_run:
            boluses = (*boluses[:-1], replace(boluses[-1], ng=Fraction((delivered_nl or 0) * r.last_run.conc, 1000)))
        self.record = replace(r, boluses=boluses, bolus_running=False, uncertain=r.uncertain or outcome == "UNCERTAIN")

    # how it is kept

    def _judge(self, r: Record, at_ms: int, program: Program, order: Order) -> list[Refusal]:
        """All rules of a program that look at the record."""
        found = [*rules.who(r, at_ms, program, order.attended), *rules.concentration(r, program)]
        if r.phase == "none":
            return found
        return [
            *found,
            *rules.absolute(r, at_ms, program),
            *rules.start(r, at_ms, program),
            *rules.increase(r, at_ms, program),
            *rules.decrease(r, at_ms, program, order.reason),
            *rules.window(r, at_ms, program),
        ]

    def _at(self, at_ms: int) -> Record:
        """The record at a time; the first phase ends by itself after 24 h of running."""
        if at_ms < self.now_ms:
            raise ValueError(f"elapsed time runs forward only: at {self.now_ms} ms, asked for {at_ms} ms")
        self.now_ms = at_ms
        if self.record.phase == "first" and self.record.running_for_ms(at_ms) >= label.FIRST_RUNNING_MS:
            self.record = replace(self.record, phase="titration")
        return self.record

    def _decide(self, refusal: Refusal | None, accepted: Record, found: tuple[str, ...] = ()) -> Verdict:
        if refusal:
            return Verdict(*refusal)
        self.record = accepted
        return Verdict("OK", found)


# Rules that belong to one order alone


def _import_once(r: Record) -> list[Refusal]:
    if r.population or r.ran or r.fluid != "none":
        return [("STATE", "once, on an empty journal")]
    return [] if r.unix_ms is not None else [("CLOCK_LOST", None)]


def _import_limits(r: Record, at_ms: int, volume_nl: int) -> list[Refusal]:
    """Reading of R-COM-1: what is taken over must keep the absolute limits; no step or start is judged."""
    found: list[Refusal] = []
    if r.age(at_ms) < label.MIN_AGE:
        found.append(("AGE", label.MIN_AGE))
    if r.expiry and r.today(at_ms) > r.expiry:
        found.append(("EXPIRED", r.expiry))
    if volume_nl > r.site.capacity_nl:
        found.append(("CAPACITY", r.site.capacity_nl))
    if r.last_run:
        found += [*rules.concentration(r, r.last_run), *rules.absolute(r, at_ms, r.last_run)]
    return found


def _run_state(r: Record) -> list[Refusal]:
    found: list[Refusal] = []
    if r.running:
        found.append(("STATE", "already running"))
    if r.phase == "none":
        found.append(("NOT_SCREENED", None))
    elif r.committed is None:
        found.append(("STATE", "no program is committed"))
    elif r.committed.conc != r.conc:
        found.append(("CONCENTRATION", r.conc))
    if not r.ran and not r.calibrated:
        found.append(("UNCALIBRATED", None))
    return found


def _refill_kind(r: Record, fluid: str, drug: str, remaining_nl: int, order: Order) -> list[Refusal]:
    """Reading of R-CAL-2: drug and test fluid never mix: what is of the other kind must be withdrawn first."""
    found: list[Refusal] = []
    if r.fluid != "none" and fluid != r.fluid and remaining_nl:
        found.append(("TEST_FLUID", 0))
    if fluid == "drug" and drug != "baclofen":
        found.append(("COMPOUNDED", "baclofen"))
    if not order.attended:
        found.append(("UNATTENDED", None))
    return found


def _refill_drug(r: Record, at_ms: int, conc: int, expiry: date) -> list[Refusal]:
    """Reading of R-FIL-2: the drug is good on its expiry date, past it the day after."""
    found: list[Refusal] = []
    if not label.CONC_MIN <= conc <= label.CONC_MAX or (r.running and conc != r.conc):
        found.append(("CONCENTRATION", r.conc if r.running else label.CONC_MAX))
    if r.unix_ms is not None and r.today(at_ms) > expiry:
        found.append(("EXPIRED", expiry))
    return found


def _refill_room(r: Record, conc: int, remaining_nl: int, volume_nl: int) -> list[Refusal]:
    found: list[Refusal] = []
    if r.conc is not None and conc != r.conc and remaining_nl > r.site.residual_nl:
        found.append(("RESIDUAL", r.site.residual_nl))
    if remaining_nl + volume_nl > r.site.capacity_nl:
        found.append(("CAPACITY", r.site.capacity_nl - remaining_nl))
    return found


def _discrepancy(expected_nl: int, withdrawn_nl: int, delivered_nl: int) -> tuple[str, ...]:
    off_nl = abs(withdrawn_nl - expected_nl)
    large = off_nl > label.DISCREPANCY_NL and off_nl * 1000 > label.DISCREPANCY_PERMILLE * delivered_nl
    return ("REFILL_DISCREPANCY",) if large else ()


def _bolus_state(r: Record) -> list[Refusal]:
    checks = (
        ("STATE", not r.running),
        ("BUSY", r.bolus_running),
        ("UNCALIBRATED", not r.calibrated),
        ("PORT_OPEN", r.port_reads_open),
        ("ALARM_ACTIVE", r.high_alarm),
        ("UNCERTAIN", r.uncertain),
    )
    return [(code, None) for code, applies in checks if applies]


def _bolus_limits(r: Record, at_ms: int, volume_nl: int) -> list[Refusal]:
    program = r.last_run
    if program is None or program.bolus is None or volume_nl != program.bolus.volume_nl:
        return [("BOLUS_OFF", program.bolus.volume_nl if program and program.bolus else None)]
    found: list[Refusal] = []
    since_ms = at_ms - r.boluses[-1].start_ms if r.boluses else None
    if since_ms is not None and since_ms < program.bolus.lockout_s * 1000:
        found.append(("LOCKOUT", program.bolus.lockout_s * 1000 - since_ms))
    booked = sum(one.ng for one in r.boluses if at_ms - one.start_ms < DAY_MS)
    room = program.daily_ng - program.high_ng - booked
    if Fraction(volume_nl * program.conc, 1000) > room:
        found.append(("WINDOW_MAX", room))
    return found


# Changes of the record


def _same(a: Program | None, b: Program | None) -> bool:
    return a is not None and b is not None and a.hash == b.hash


def _put_in_force(r: Record, at_ms: int) -> Record:
    """The committed program is the one that runs from here."""
    program = r.committed
    if program is None or _same(program, r.last_run):
        return r
    if rules.is_increase(r, program):
        licence = r.licence(at_ms) if r.phase == "maintenance" else None
        licensed_ms = licence.at_ms if licence else r.licensed_ms
        r = replace(r, last_increase_ms=at_ms, before_increase=r.last_run, licensed_ms=licensed_ms)
    in_force = (*_reaching(r.in_force, at_ms), InForce(at_ms, program))
    r = replace(r, last_run=program, in_force=in_force)
    return _open_stretch(_close_stretch(r, at_ms), at_ms) if r.running else r


def _reaching(in_force: tuple[InForce, ...], at_ms: int) -> tuple[InForce, ...]:
    """Those that reach into the last 24 h."""
    old = [one.from_ms is None or one.from_ms <= at_ms - DAY_MS for one in in_force].count(True)
    return in_force[max(0, old - 1) :]


def _started(r: Record, at_ms: int) -> Record:
    r = _put_in_force(r, at_ms)
    before_ms = 0 if r.interrupted(at_ms) else r.running_before_ms
    phase = "first" if r.phase == "screened" else r.phase
    r = replace(r, running_since_ms=at_ms, running_before_ms=before_ms, stopped_ms=None, phase=phase, ran=True)
    return _open_stretch(r, at_ms)


def _stopped(r: Record, at_ms: int) -> Record:
    r = replace(r, running_before_ms=r.running_for_ms(at_ms), running_since_ms=None, stopped_ms=at_ms)
    return _close_stretch(r, at_ms)


def _open_stretch(r: Record, at_ms: int) -> Record:
    if r.last_run is None:
        return r
    kept = tuple(s for s in r.stretches if s.to_ms is None or s.to_ms > at_ms - DAY_MS)
    return replace(r, stretches=(*kept, Stretch(at_ms, None, r.last_run, r.local_ms)))


def _close_stretch(r: Record, at_ms: int) -> Record:
    if not r.stretches or r.stretches[-1].to_ms is not None:
        return r
    return replace(r, stretches=(*r.stretches[:-1], replace(r.stretches[-1], to_ms=at_ms)))
