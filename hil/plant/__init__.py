"""The rig in software: step engine, peristaltic head, rotor and its witness, liquid, supplies, and their faults.

Nothing here knows the firmware or the wire: it is driven by leases and by virtual microseconds.
"""

from .config import RigConfig
from .engine import LeaseError
from .faults import FAULTS, FaultError
from .liquid import buoyancy, water_density
from .rig import Inputs, Load, Rig, Sample

__all__ = ["FAULTS", "FaultError", "Inputs", "LeaseError", "Load", "Rig", "RigConfig", "Sample", "buoyancy", "water_density"]
