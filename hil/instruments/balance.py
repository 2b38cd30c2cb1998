"""What any balance of the bench can do, and how it fails."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from hil.errors import BenchUnusable


class BalanceError(BenchUnusable):
    """The balance gave no usable answer; the message says what to look at."""


class BalanceGone(BalanceError):
    """The line cannot be opened, or went away."""


class BalanceSilent(BalanceError):
    """The line is there and nobody answers on it."""


class BalanceBusy(BalanceError):
    """It cannot do it now: it is taring, zeroing, or does not come to rest."""


class BalanceOverload(BalanceError):
    """More on the pan than it can weigh."""


class BalanceUnderload(BalanceError):
    """Less on the pan than it can weigh: beaker or pan not in place."""


class BalanceProtocolError(BalanceError):
    """An answer that is none, or an error answer of the protocol."""


@dataclass(frozen=True)
class Identity:
    """Who answers, as it says itself."""

    model: str
    serial_number: str
    software: str


@dataclass(frozen=True)
class Reading:
    """One weighing: net grams, whether at rest, and when, in seconds of the bench's clock."""

    mass_g: float
    stable: bool
    t: float


class Balance(ABC):
    """A balance the bench can ask. Every method raises BalanceError when it cannot be believed."""

    @abstractmethod
    def identify(self) -> Identity:
        """Model, serial number and software."""

    @abstractmethod
    def zero(self) -> None:
        """Make the load at rest now the zero point."""

    @abstractmethod
    def tare(self) -> float:
        """Make the load at rest now the tare; gives its grams."""

    @abstractmethod
    def read(self, stable: bool = False) -> Reading:
        """The net weight now; stable: wait until it is at rest."""

    @abstractmethod
    def close(self) -> None:
        """Give the line back."""

    def __enter__(self) -> Balance:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()
