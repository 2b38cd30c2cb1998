"""What the bench needs of a pump to test; a target is one short file behind this contract."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

from hil.channel import Channel

SIMULATED = "SIMULATED"
EMULATED = "EMULATED"
MEASURED = "MEASURED"
NO_EVIDENCE = "NOTHING MEASURED"  # a line that never said what stands behind it


class Target(ABC):
    """One pump. `evidence` is the word printed on every figure that comes from it."""

    name: str
    evidence: str
    virtual: bool  # it has virtual time, scripted faults and power cuts

    @abstractmethod
    def start(self) -> None:
        """Make the pump answer; TargetError or LinkError if it cannot."""

    def told_board(self, board: str) -> None:  # noqa: B027 (most targets know it beforehand)
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

    def versions(self) -> dict[str, str]:
        """What ran below the firmware."""
        return {}
