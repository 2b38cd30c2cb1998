"""A Sartorius balance as the SBI description has it, on a pty: written from the published formats, not from the driver.

16 characters: sign, value right-aligned in places 2 to 10, a space, three of unit, CR LF. 22 characters: an identification of 6 before
them. No unit while not at rest. ESC P asks for one; ESC T, U, V and unknown commands are not answered; x1_, x2_, x3_ answer model, number
and software.
"""

from __future__ import annotations

import os
import re
import select
import threading
import tty

COMMAND = re.compile(rb"\x1b(x\d_|[^x])(?:\r\n)?")  # the line's end may be left out


class SbiFake:
    def __init__(self, long: bool = True, knows_x: bool = True):
        self.long, self.knows_x = long, knows_x
        self.grams, self.zero_g, self.stable, self.unit, self.says = 0.0, 0.0, True, "g", ""
        self.stable_after = 0  # questions until it is at rest
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        self.path = os.ttyname(self._slave)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self):
        """Unplugged. Its thread ends first: a number of a line that is closed may be another fake's line at once."""
        if not self._over.is_set():
            self._over.set()
            self._thread.join()
            for fd in (self._master, self._slave):
                os.close(fd)

    def _serve(self):
        waiting = b""
        while not self._over.is_set():
            try:
                if not select.select([self._master], [], [], 0.05)[0]:
                    continue
                waiting += os.read(self._master, 100)
                *lines, waiting = COMMAND.split(waiting)
                for line in lines[1::2]:
                    answer = self._answer(line.decode("ascii"))
                    if answer is not None:
                        os.write(self._master, answer.encode() + b"\r\n")
            except OSError:
                return

    def _answer(self, command):
        if command in ("T", "U", "V"):
            self.zero_g = self.grams
        if command in ("x1_", "x2_", "x3_") and self.knows_x:
            return {"x1_": "QUINTIX224-1S", "x2_": "0012345678", "x3_": "00-39-13"}[command]
        return self._printed() if command == "P" else None

    def _printed(self):
        if self.says:
            return f"{'Stat' if self.long else '':<{6 if self.long else 0}}{self.says.center(14)}"
        self.stable_after = max(0, self.stable_after - 1)
        rests = self.stable and not self.stable_after
        shown = (self.grams - self.zero_g) * {"g": 1, "mg": 1000, "kg": 0.001}.get(self.unit, 1)
        body = f"{'-' if shown < 0 else '+'}{abs(shown):>9.4f} {self.unit if rests else '':<3}"
        assert len(body) == 14
        return (f"{'N':<6}" if self.long else "") + body
