"""What each step of a timeline does, and whether it went as the story says."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from hil.actions import (
    Action,
    Advance,
    AdvanceTo,
    AdvanceUntil,
    Check,
    Clear,
    Command,
    Commit,
    Fault,
    Hang,
    Hello,
    LoseReplies,
    Mark,
    Measure,
    Mpremote,
    Person,
    PowerCut,
    Repeat,
    Reset,
    Send,
    SetClock,
    Step,
    Type,
)
from hil.errors import BenchError, BenchUnusable, Refused
from hil.follower import Follower
from hil.frames import seal
from hil.judging import code_of, unmet, written
from hil.pin_figures import Hang as Hung
from hil.plant.rig import Rig
from hil.play import DAY_MS, Play
from hil.prescription import Program
from hil.pump import Counts
from hil.quantity import span_text
from hil.result import Measurement
from hil.steps import local_seconds

MINUTE_MS = 60_000
MAINT_MS = 1000  # from the answer to MAINT to the prompt
CALM = (Advance, AdvanceTo, AdvanceUntil, Check, Mark, Measure, Repeat, Hello, LoseReplies)  # the flow goes on as it was
LOOKED_AFTER = (Advance, Command, Commit, Clear, Person, PowerCut, Reset, SetClock, Type)  # alarms may have come or gone


class Acts:
    """One method an action; each files its outcome."""

    def __init__(self, play: Play) -> None:
        self._play = play
        self._follower = Follower(play)
        self._marks: dict[str, dict[str, float]] = {}
        self._doers: dict[type[Any], Callable[[Any, str], None]] = {
            Advance: self._advance,
            AdvanceTo: self._advance_to,
            AdvanceUntil: self._advance_until,
            Command: self._command,
            Commit: self._commit,
            Fault: self._fault,
            Clear: self._clear,
            Person: self._person,
            SetClock: self._set_clock,
            PowerCut: self._power_cut,
            Hang: self._hang,
            Reset: self._reset,
            Mpremote: self._mpremote,
            Hello: self._hello,
            LoseReplies: self._lose_replies,
            Type: self._type,
            Send: self._send,
            Check: self._check,
            Mark: self._mark,
            Measure: self._measure,
            Repeat: self._repeat,
        }

    def do(self, step: Step) -> None:
        """One step; a BenchError that is not the bench's end is a failed outcome."""
        self._play.note = step.note
        if not _calm(step.action):
            self._play.recorder.disturbed()
        try:
            self._doers[type(step.action)](step.action, step.where)
            if isinstance(step.action, LOOKED_AFTER):
                self._play.look()
        except Refused as refused:
            self._play.recorder.refusal(refused)
            self._play.outcome(step.where, refused.verb, False, str(refused))
        except BenchUnusable:
            raise
        except BenchError as error:
            self._play.outcome(step.where, type(step.action).__name__.lower(), False, str(error))

    def first_run(self) -> None:
        """From the set-up pump to the first RUN: the scenario's program is committed where it is not what ran before."""
        play, program = self._play, self._play.scenario.program
        if program is not None and (play.program is None or program.hash() != play.program.hash()):
            self._commit(Commit(program.name, "OK", (), True, {}), "setup", program)
        self._command(Command("RUN"), "setup")

    # ---- time

    def _advance(self, action: Advance, where: str) -> None:
        play = self._play
        span_ms = play.scenario.days * DAY_MS if action.span_ms is None else action.span_ms
        play.advance(span_ms)
        play.outcome(where, f"{span_text(span_ms)} pass", True)

    def _advance_to(self, action: AdvanceTo, where: str) -> None:
        goal_ms, now_ms = action.clock_min * MINUTE_MS, self._play.local_unix_ms() % DAY_MS
        span_ms = (goal_ms - now_ms) % DAY_MS or DAY_MS
        self._advance(Advance(span_ms), where)

    def _advance_until(self, action: AdvanceUntil, where: str) -> None:
        play = self._play
        begun_ms = play.target.now_ms()
        end_ms = begun_ms + action.within_ms
        while not (met := self._reached(action)) and play.target.now_ms() < end_ms:
            play.advance(min(action.every_ms, end_ms - play.target.now_ms()))
        after = span_text(play.target.now_ms() - begun_ms)
        goal = f"{action.alarm} {'off' if action.off else 'on'}" if action.alarm else written(action.stat)
        play.outcome(where, f"{goal} within {span_text(action.within_ms)}", met, f"after {after}" if met else "did not come")

    def _reached(self, action: AdvanceUntil) -> bool:
        stat = self._play.pump.stat()
        on = self._play.recorder.note_alarms(stat)
        self._play.follow(stat)
        if action.alarm is not None:
            return (action.alarm in on) != action.off
        return not unmet(action.stat, stat)

    # ---- commands

    def _command(self, action: Command, where: str) -> None:
        play = self._play
        before = play.pump.counts() if action.no_bolus else None
        what = " ".join([action.verb, *(f"{name}={value}" for name, value in action.fields.items())])
        try:
            reply = self._sent(action)
        except Refused as refused:
            play.recorder.refusal(refused)
            self._expect_refusal(refused, action.expect, action.says, where, what)
        else:
            self._follower.took(action.verb, action.fields, reply)
            if action.verb == "MAINT":
                play.target.advance_to(play.target.now_ms() + MAINT_MS)
            missed = [] if action.expect == "OK" else [f"answered OK, expected {action.expect}"]
            missed += unmet(action.reply, reply)
            play.outcome(where, what, not missed, "; ".join(missed))
        if before is not None:
            self._no_bolus(before, where, what)

    def _sent(self, action: Command) -> dict[str, str]:
        pump = self._play.pump
        if action.verb.endswith("?"):
            return pump.link.ask(action.verb, action.fields)
        return pump.confirmed(action.verb, action.fields, confirm=action.confirm, role=action.role, sign=action.sign)

    def _expect_refusal(self, refused: Refused, expect: str, says: Iterable[str], where: str, what: str) -> None:
        missed = [] if refused.code == expect else [f"refused as {refused.code} ({refused.text}), expected {expect}"]
        answer = " ".join([refused.text, *(f"{name}={value}" for name, value in refused.fields.items())])
        missed += [f"{words!r} is not in {answer!r}" for words in says if words not in answer]
        detail = "; ".join(missed) or f"{refused.code}: {refused.text}"
        self._play.outcome(where, what, not missed, detail)

    def _no_bolus(self, before: Counts, where: str, what: str) -> None:
        now = self._play.pump.counts()
        steps = now.bolus - before.bolus + now.prime - before.prime
        self._play.outcome(where, f"not one step of {what}", steps == 0, f"{steps} steps")

    def _commit(self, action: Commit, where: str, program: Program | None = None) -> None:
        play = self._play
        program = program or play.scenario.find(action.program)
        what = f"commit {program.name}"
        try:
            play.pump.commit(program, confirm=action.confirm, fields=action.fields)
        except Refused as refused:
            play.recorder.refusal(refused)
            self._expect_refusal(refused, action.expect, action.says, where, what)
            return
        self._follower.committed(program)
        ok = action.expect == "OK"
        play.outcome(where, what, ok, "" if ok else f"answered OK, expected {action.expect}")

    def _type(self, action: Type, where: str) -> None:
        play = self._play
        answer = play.pump.link.type_line(action.text)
        if action.text.strip().upper() == "STOP":
            self._follower.stopped()
        missed = [words for words in action.says if words not in answer]
        play.outcome(where, f"typed {action.text!r}", not missed, f"{missed} not in {answer!r}" if missed else answer.strip()[:120])

    def _send(self, action: Send, where: str) -> None:
        play, link = self._play, self._play.pump.link
        data = action.text.encode("latin-1")
        link.send_raw(seal(action.text) if action.seal else data + (b"\n" if action.end else b""))
        code = code_of(link.next_reply()) if action.end or action.seal else "NOTHING"
        play.outcome(where, f"sent {action.text[:40]!r}", code == action.expect, f"answered {code}, expected {action.expect}")

    def _lose_replies(self, action: LoseReplies, where: str) -> None:
        self._play.pump.link.lose_replies(action.count)
        self._play.outcome(where, f"the host loses the next {action.count} replies", True)

    def _hello(self, action: Hello, where: str) -> None:
        self._play.pump.open()
        self._play.outcome(where, "another session is opened", True)

    # ---- the rig

    def _rig(self) -> Rig:
        rig = self._play.target.rig
        if rig is None:
            raise BenchError("this step acts on the simulated rig and there is none")
        return rig

    def _fault(self, action: Fault, where: str) -> None:
        self._rig().fault(action.name, **action.params)
        self._woken(action.name)
        params = " ".join(f"{name}={value}" for name, value in action.params.items())
        self._play.outcome(where, f"fault {action.name} {params}".strip(), True)

    def _clear(self, action: Clear, where: str) -> None:
        self._rig().clear(action.name)
        self._woken(action.name)
        self._play.outcome(where, f"fault {action.name} ends", True)

    def _woken(self, fault: str) -> None:
        """An edge of the port switch wakes the firmware; a bolus that it ends is over for the oracle too."""
        port = fault.startswith("port_")
        self._play.target.rig_changed(port)
        if port and self._rig().inputs().port_open:
            self._follower.end_push()

    def _person(self, action: Person, where: str) -> None:
        rig = self._rig()
        if action.act == "withdraw":
            detail = f"{rig.withdraw(float(action.volume_nl or 0)) / 1e6:.3f} mL came out"
        elif action.act == "fill":
            rig.refill(float(action.volume_nl or 0), action.conc_mcg_ml)
            detail = f"{(action.volume_nl or 0) / 1e6:.3f} mL; it holds {rig.reservoir.conc:.4g} mcg/mL now"
        else:
            detail = ""
            self._at_the_rig(rig, action.act)
        self._play.outcome(where, f"a person: {action.act.replace('_', ' ')}", True, detail)

    def _at_the_rig(self, rig: Rig, act: str) -> None:
        acts: dict[str, Callable[[], None]] = {
            "new_battery": rig.new_battery,
            "new_tube": rig.new_tube,
            "new_catheter": rig.new_catheter,
            "connect": lambda: rig.join(True),
            "disconnect": lambda: rig.join(False),
        }
        acts[act]()

    def _power_cut(self, action: PowerCut, where: str) -> None:
        play, rig = self._play, self._rig()
        play.clock_kept = action.clock_kept
        if play.expectation is not None:
            play.expectation.cut(play.now_us, rig.engine.total)
        play.expected_restarts = 1
        play.target.power_cut(action.outage_ms, action.clock_kept)
        play.reopen()
        if play.expectation is not None and play.ordered_run:
            play.expectation.run(play.now_us)
        clock = "kept" if action.clock_kept else "lost"
        play.outcome(where, f"power cut for {span_text(action.outage_ms)}, clock {clock}", True)

    def _hang(self, action: Hang, where: str) -> None:
        play = self._play
        play.expected_restarts = 1
        in_bolus = play.expectation is not None and play.expectation.pushing(play.now_us)
        play.hangs.append(Hung(play.now_us * 1000, in_bolus))
        play.target.hang()
        play.outcome(where, "the processor hangs", True)

    def _reset(self, action: Reset, where: str) -> None:
        play = self._play
        play.expected_restarts = 1
        play.target.press_reset()
        play.reopen()
        play.outcome(where, "the RUN pin is pulled low", True)

    def _mpremote(self, action: Mpremote, where: str) -> None:
        printed = self._play.target.mpremote(action.words)
        missed = [words for words in action.says if words not in printed]
        what = "mpremote " + " ".join(action.words)
        self._play.outcome(where, what, not missed, f"{missed} not in {printed[-300:]!r}" if missed else printed.strip()[-120:])

    def _set_clock(self, action: SetClock, where: str) -> None:
        play = self._play
        if action.local is None:
            shown_ms = play.local_unix_ms() + (action.shift_ms or 0)
        else:
            shown_ms = local_seconds(action.local, where) * 1000
        local_s = shown_ms // 1000
        play.pump.set_time(local_s - play.scenario.offset_min * 60, play.scenario.offset_min)
        play.clock_shift_ms += local_s * 1000 - play.local_unix_ms()
        play.clock_kept = True
        if play.expectation is not None:
            play.expectation.clock(play.now_us, local_s)
        play.outcome(where, f"the clock is set to {span_text(local_s % 86_400 * 1000)}", True)

    # ---- looking

    def _check(self, action: Check, where: str) -> None:
        play = self._play
        for part, wanted in action.parts.items():
            missed = unmet(wanted, play.pump.stat(part))
            play.outcome(where, f"{part}: {written(wanted)}", not missed, "; ".join(missed))
        self._check_alarms(action, where)
        if action.counts:
            missed = unmet(action.counts, {key: f"{value:.3f}" for key, value in self._since(action.since).items()})
            play.outcome(where, f"counts: {written(action.counts)}", not missed, "; ".join(missed))

    def _check_alarms(self, action: Check, where: str) -> None:
        if not (action.alarms_on or action.alarms_off):
            return
        on = self._play.recorder.note_alarms(self._play.pump.stat())
        for code in action.alarms_on:
            self._play.outcome(where, f"{code} is on", code in on, f"on: {', '.join(sorted(on)) or 'none'}")
        for code in action.alarms_off:
            self._play.outcome(where, f"{code} is off", code not in on, f"on: {', '.join(sorted(on)) or 'none'}")

    def _counts(self) -> dict[str, float]:
        """In all, so that a mark may be set before the first delivery; the balance counts from there."""
        play = self._play
        counts, weighed = play.pump.counts(), play.recorder.balance()
        target, nan = play.target, float("nan")
        return {
            "authorised_nl": play.recorder.authorised_in_all_nl(counts),
            "witnessed_nl": play.recorder.witnessed_in_all_nl(counts),
            "balance_nl": weighed.volume_nl if weighed else nan,
            "basal_steps": float(counts.basal),
            "bolus_steps": float(counts.bolus),
            "pulses": float(target.rig.engine.total) if target.rig is not None else nan,
            "tip_ng": target.rig.tip_ng if target.rig is not None else nan,
            "programmed_ng": play.expectation.dose_ng(play.now_us) if play.expectation is not None else 0.0,
            "time_s": target.now_ms() / 1000,
            "driven": float(target.rig.enabled) if target.rig is not None else nan,
            "beeps": float(sounds) if (sounds := target.sounds()) is not None else nan,
        }

    def _since(self, mark: str | None) -> dict[str, float]:
        """Since a mark; without one volumes count from the first delivery, the rest in all."""
        now = self._counts()
        if mark is None:
            counts, recorder = self._play.pump.counts(), self._play.recorder
            return {**now, "authorised_nl": recorder.authorised_nl(counts), "witnessed_nl": recorder.witnessed_nl(counts)}
        if mark not in self._marks:
            raise BenchError(f"there is no mark {mark!r} before this step")
        return {key: value - self._marks[mark][key] for key, value in now.items()}

    def _mark(self, action: Mark, where: str) -> None:
        self._marks[action.name] = self._counts()

    def _measure(self, action: Measure, where: str) -> None:
        unit = action.of.rpartition("_")[2].replace("nl", "nL")
        value = self._since(action.since)[action.of]
        figure = Measurement(action.name, value, unit, action.low, action.high, f"since {action.since}")
        self._play.recorder.result.measurements.append(figure)

    def _repeat(self, action: Repeat, where: str) -> None:
        for _ in range(action.times):
            for step in action.steps:
                self.do(step)


def _calm(action: Action) -> bool:
    """It changes nothing of what flows: time, looking, asking, and what is to be refused."""
    if isinstance(action, Command | Commit) and action.expect != "OK":
        return True
    return isinstance(action, CALM) or (isinstance(action, Command) and action.verb.endswith("?"))
