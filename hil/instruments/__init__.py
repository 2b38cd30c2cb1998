"""Instruments of the bench: balances, real and simulated, and what turns their grams into volume."""

from .balance import (
    Balance,
    BalanceBusy,
    BalanceError,
    BalanceGone,
    BalanceOverload,
    BalanceProtocolError,
    BalanceSilent,
    BalanceUnderload,
    Identity,
    Reading,
)
from .gravimetry import Evaporation, volume_nl, z_factor
from .mtsics import MtSicsBalance
from .simulated import BalanceModel, SimulatedBalance

__all__ = [
    "Balance",
    "BalanceBusy",
    "BalanceError",
    "BalanceGone",
    "BalanceModel",
    "BalanceOverload",
    "BalanceProtocolError",
    "BalanceSilent",
    "BalanceUnderload",
    "Evaporation",
    "Identity",
    "MtSicsBalance",
    "Reading",
    "SimulatedBalance",
    "volume_nl",
    "z_factor",
]
