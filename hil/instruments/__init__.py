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
from .opening import open_balance
from .sartorius import SartoriusBalance
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
    "SartoriusBalance",
    "SimulatedBalance",
    "open_balance",
    "volume_nl",
    "z_factor",
]
