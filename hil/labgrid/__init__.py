"""Pump and balance as labgrid knows a bench: `imports: [hil.labgrid]` in an environment makes these resources and drivers known.

labgrid lends benches out: a coordinator knows the places, exporters offer what hangs on their machines, and whoever has acquired a place
gets its pump and its balance by drivers. It brings a pyserial of its own, so it lives in an environment of its own (`make labgrid-tests`
makes one).
"""

from hil.labgrid.drivers import BalanceDriver, DosingPumpDriver
from hil.labgrid.resources import DosingPump, WeighingBalance

__all__ = ["BalanceDriver", "DosingPump", "DosingPumpDriver", "WeighingBalance"]
