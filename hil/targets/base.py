"""What the bench needs of a pump to test; a target is one short file behind this contract."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence

from hil.channel import Channel
from hil.errors import BenchError
from hil.pin_figures import Pins
from hil.plant.rig import Rig

SIMULATED = "SIMULATED"
EMULATED = "EMULATED"
MEASURED = "MEASURED"
NO_EVIDENCE = "NOTHING MEASURED"  # a line that never said what stands behind it


class Target(ABC):
    """One pump. `evidence` is the word printed on every figure that comes from it."""

    name: str
    evidence: str
    virtual: bool  # its time passes only while the bench lets it
    rig: Rig | None = None  # the simulated rig on its pins, with all its faults; None: a real one
    instant: bool = False  # no time passes during an exchange over the line
    hours: bool = True  # hours of its time are nothing
    keeps_clock: bool = True  # its wall clock survives a restart

    @abstractmethod
    def start(self) -> None:
        """Make the pump answer; TargetError or LinkError if it cannot."""

    def told_identity(self, identity: Mapping[str, str]) -> None:  # noqa: B027 (most targets know it beforehand)
        """The pump has said what it is; a target that cannot know beforehand takes its word of evidence from it."""

    @abstractmethod
    def channel(self) -> Channel:
        """Its serial line."""

    @abstractmethod
    def now_ms(self) -> int:
        """Time of this run in ms, the pump's (virtual) or the wall's."""

    @abstractmethod
    def unix_s(self) -> float:
        """What the host's wall clock shows now."""

    @abstractmethod
    def advance_to(self, end_ms: int) -> None:
        """Let time pass up to `end_ms` of now_ms()."""

    @abstractmethod
    def close(self) -> None:
        """Let go of everything; safe to call twice."""

    def on_restart(self, told: Callable[[int], None]) -> None:  # noqa: B027 (a real pump tells nobody)
        """`told(cause)` is called whenever the pump restarts and its sessions are gone."""

    def clock_s(self) -> float:
        """What a host waits by, for an answer."""
        return time.monotonic()

    # ---- what only a pump on a simulated rig can do

    def rig_changed(self, port: bool) -> None:
        """A fault began or ended at the rig; with `port` the firmware takes in what the port switch reads now."""
        raise self._cannot("change the rig of")

    def power_cut(self, outage_ms: int, clock_kept: bool = True) -> None:
        """Off now, on again after the outage, with what the flash holds."""
        raise self._cannot("cut the power of")

    def hang(self) -> None:
        """The processor stops computing, until its watchdog restarts it."""
        raise self._cannot("hang")

    def press_reset(self) -> None:
        """The RUN pin is pulled low for a moment."""
        raise self._cannot("reset")

    def flow_since_ms(self) -> int:
        """When the motor last began to be driven, after it had rested."""
        raise self._cannot("look into")

    def sounds(self) -> int | None:
        """Sounds the buzzer was heard to make; None: nobody listens."""
        return None

    def pins(self) -> Pins | None:
        """What a listener on the pins saw, apart from the rig; None: there is none."""
        return None

    def pin_pulses(self) -> int | None:
        """Pulses on the step pin since the last boot, by that listener."""
        return None

    def mpremote(self, words: Sequence[str]) -> str:
        """Run mpremote on the pump's line, with these words after `resume`; gives what it printed."""
        raise self._cannot("run mpremote on")

    def _cannot(self, what: str) -> BenchError:
        return BenchError(f"this step wants to {what} the pump, and {self.name} offers no way to do it")

    def versions(self) -> dict[str, str]:
        """What ran below the firmware."""
        return {}
