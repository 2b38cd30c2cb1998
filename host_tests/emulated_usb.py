"""An emulated Pico on a pty, for programs that open a serial port: mpremote, tools/flash.py. Its flash stays while its power does not."""

import contextlib
import os
import pty
import select
import threading
import tty

from tools.emulated_pico import Line, Rig
from tools.image import build

BOOT_S = 120


class UsbPico:
    """`port` is a new path after each unplug(). Use as a context manager."""

    def __init__(self, manifest):
        self.rig = Rig()
        self._line = Line(build(manifest), self.rig)
        self._master = self._slave = -1
        self.port = ""
        self._ended = threading.Event()
        self._mover = threading.Thread(target=self._move, daemon=True)
        self.heard = b""  # all that the board ever said

    def __enter__(self):
        self.plug_in()
        self._line.open(BOOT_S)
        self._mover.start()
        return self

    def __exit__(self, *what):
        self._ended.set()
        self._mover.join(10)
        self._line.close()
        self.unplug()

    def plug_in(self):
        self._master, self._slave = pty.openpty()
        tty.setraw(self._slave)
        self.port = os.ttyname(self._slave)

    def unplug(self):
        """The cable is pulled: whoever has the port open gets an error."""
        master, slave, self._master = self._master, self._slave, -1
        for end in (master, slave):
            with contextlib.suppress(OSError):
                os.close(end)

    def _move(self):
        while not self._ended.is_set():
            with contextlib.suppress(OSError, ValueError):
                self._move_once()

    def _move_once(self):
        master = self._master
        if master >= 0 and select.select([master], [], [], 0)[0]:
            self._line.send(os.read(master, 4096))
        data = self._line.receive(0.005)
        self.heard += data
        if data and master >= 0:
            os.write(master, data)

    def power_cycle(self):
        """Power off and on: memory and marks are gone, flash stays."""
        from rp2040py.device.base_device import ResetCause

        device = self._line.device
        device.simulator.schedule_threadsafe(lambda: device.hard_reset(cause=ResetCause.POWER_ON))

    def run_pin(self):
        from rp2040py.device.base_device import ResetCause

        device = self._line.device
        device.simulator.schedule_threadsafe(lambda: device.hard_reset(cause=ResetCause.RUN_PIN))

    def now_ms(self):
        return self._line.now_ms()
