"""The campaign's events on the whole firmware of pump_rig.PumpRig: real motion, journal and alarms, in real turns of the loop."""

from campaign.firmware import Firmware
from campaign.orders import Play
from campaign.stub_board import BOARD
from pump_rig import START_UNIX, PumpRig

SELF_TEST_MS = 5_000  # after a start no bolus is allowed before the self-test has passed; the oracle knows of none (R-BOL-3)


class WholeFirmware(Firmware):
    """campaign.firmware.Firmware over a PumpRig instead of the stub board."""

    def __init__(self):
        self.rig = PumpRig(board=BOARD)
        self._ids = 0
        self.sent = None
        self._take_parts()
        self.send("TIME", {"set": f"{START_UNIX}s", "offset": "0min"})
        self.jump(SELF_TEST_MS)

    def _take_parts(self):
        self.pump = self.rig.pump
        self._commands = self.rig.controller._commands

    def _look(self):
        self.rig.turn()

    def jump(self, ms):
        self.rig.advance(ms)
        self.pump.watch.settle_force(self.now())

    def unix_ms_at_zero(self):
        return START_UNIX * 1000

    def awaited_step(self):
        self.rig.turn()
        return self.pump.dosing.first_step_at if self._waits() else None

    def held_since(self):
        return []

    def cut_power(self, outage_ms):
        self.rig.cut_power(outage_ms)
        self._take_parts()
        return 0

    def open_port(self, is_open):
        self.rig.open_port(is_open)


class WholePlay(Play):
    """Codes, phase and program last run are compared; figures are the campaign's: a restart knows its running time to a record only."""

    make_firmware = WholeFirmware

    def do_power(self, outage_ms):
        """Within a minute a first step is noted and saved; a cut before that only makes it wait for the next one."""
        self.jump(61_000)
        super().do_power(outage_ms)
        self.jump(SELF_TEST_MS)

    def told_figures(self, what, answer, verdict):
        pass

    def compare(self):
        therapy, last = self.pump.therapy, self.record.last_run
        self.same("last run", therapy.last_run and therapy.last_run.hash, last and last.hash)
        self.same("phase", therapy.phase, self.record.phase)
