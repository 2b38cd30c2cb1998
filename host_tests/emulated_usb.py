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
    """`port` is a new path after each plug_in(). filesystem: what lies in its flash. Use as a context manager."""

    def __init__(self, manifest, filesystem=b""):
        self.rig = Rig()
        self._line = Line(build(manifest), self.rig)
        self._device = self._line.device
        start = self._device.board.layout.fs_start
        self._device.mcu.flash[start : start + len(filesystem)] = filesystem
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
        self._reset("POWER_ON")

    def run_pin(self):
        self._reset("RUN_PIN")

    def _reset(self, name):
        from rp2040py.device.base_device import ResetCause  # after the corrections that tools.emulated_pico makes

        cause = ResetCause[name]
        self._device.simulator.schedule_threadsafe(lambda: self._device.hard_reset(cause=cause))

    def run_on(self, ms):
        """Lets so much of its own time go by."""
        self._line.advance_to(self.now_ms() + ms)

    def now_ms(self):
        return self._line.now_ms()
