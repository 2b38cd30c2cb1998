"""Keeps the oracle in step with what the pump accepted: what runs, what is pushed, which concentration is where."""

from __future__ import annotations

from collections.abc import Mapping

from hil.expectation import Push
from hil.judging import push_of
from hil.play import Play
from hil.prescription import Program
from hil.pump import leading_int

PUSHES = ("DOSE:BOLUS", "DOSE:PRIME", "DOSE:SCREEN", "TEST:BOLUS", "TEST:FLOW", "CAL:MOVE")


class Follower:
    """Told of each command that was answered OK."""

    def __init__(self, play: Play) -> None:
        self._play = play

    def took(self, verb: str, fields: Mapping[str, str], reply: Mapping[str, str]) -> None:
        """A command was accepted now."""
        if reply.get("repeated") == "yes":
            return
        if verb == "RUN":
            self._run()
        elif verb in ("STOP", "EMPTY"):
            self.stopped()
        elif verb in PUSHES:
            self._pushed(verb, fields, reply)
        elif verb == "RES:REFILL":
            self._refilled(fields)
        elif verb == "MAINT":
            self._play.expected_restarts = 1
        elif verb == "LINE:NEW" and fields.get("part") == "both":
            self._play.fluids.new_line()
            self._play.bridge(0, 0)
        elif verb == "THER:PHASE" and fields.get("phase") == "titration":
            self._broken_off()

    def committed(self, program: Program) -> None:
        play = self._play
        play.program = program
        if play.expectation is not None:
            play.expectation.commit(play.now_us, program)

    def stopped(self) -> None:
        """STOP, by a frame or by hand, or EMPTY."""
        play = self._play
        play.ordered_run = False
        if play.expectation is not None:
            self.end_push()
            play.expectation.stop(play.now_us)

    def end_push(self) -> None:
        """A bolus that was cut short counts the steps it made."""
        play = self._play
        if play.expectation is not None and play.expectation.pushing(play.now_us):
            play.expectation.push_ended(play.now_us, leading_int(play.pump.stat().get("steps", "0")))

    def _run(self) -> None:
        play = self._play
        play.ordered_run = True
        self._moved()
        if play.expectation is None:
            play.begin("RUN")
        play.expectation_now().run(play.now_us)

    def _pushed(self, verb: str, fields: Mapping[str, str], reply: Mapping[str, str]) -> None:
        play = self._play
        self._moved()
        if play.expectation is None and verb == "DOSE:SCREEN":
            play.begin("screening dose")
        if play.expectation is None:
            return
        bolus_s = play.program.bolus.time_s if play.program and play.program.bolus else 0
        volume_nl, steps, span_ms = push_of(verb, fields, reply, bolus_s)
        is_dose = verb in ("DOSE:BOLUS", "DOSE:SCREEN")
        dose_ng = volume_nl * (play.fluids.reservoir or 0) // 1000 if is_dose else 0
        play.expectation.push(play.now_us, Push(volume_nl, max(1, span_ms), steps, dose_ng))

    def _moved(self) -> None:
        self._look_at_bridge()
        self._play.fluids.moved()

    def _refilled(self, fields: Mapping[str, str]) -> None:
        play = self._play
        self._look_at_bridge()
        conc = leading_int(fields["conc"]) if fields.get("fluid") == "drug" and "conc" in fields else None
        if conc is not None:
            play.recorder.refills.append((play.now_us, conc))
        bridge = play.fluids.refilled(conc)
        if bridge is not None:
            play.bridge(bridge.old_mcg_ml, bridge.volume_nl)

    def _look_at_bridge(self) -> None:
        """It may have ended meanwhile."""
        play = self._play
        if play.fluids.bridging and play.expectation is not None and not play.expectation.bridging(play.now_us):
            play.fluids.through()

    def _broken_off(self) -> None:
        play = self._play
        flat = play.expectation.break_off(play.now_us) if play.expectation is not None else None
        play.program = flat or play.program
