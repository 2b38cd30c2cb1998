"""The RP2040's peripherals as far as the hal itself goes, over a chip of chip.py. State machines only note what is done to them."""

from types import SimpleNamespace

from fakes.chip import bound
from fakes.esp32 import PWM, Esp32
from fakes.esp32 import Timer as NumberedTimer

PINS_LOW = 0xE000


class Rp2(Esp32):
    """machines: by number. told: (us, number, what, value) of everything that was done to one."""

    platform = "rp2"

    def __init__(self, board, **more):
        a_pin = board["encoder_pin"]
        super().__init__(dict(board, encoder_a_pin=a_pin, encoder_b_pin=a_pin + 1), **more)
        self.machines = {}
        self.told = []
        self.registers = {}

    def modules(self):
        found = super().modules()
        machine = found["machine"]
        machine.Timer, machine.PWM, machine.mem32 = bound(Timer, self), bound(PWM, self), Registers()
        words = SimpleNamespace(OUT_LOW=0, JOIN_TX=1, SHIFT_LEFT=0, SHIFT_RIGHT=1)
        found["rp2"] = SimpleNamespace(PIO=words, asm_pio=keep, StateMachine=bound(StateMachine, self), Flash=Flash)
        found["uctypes"] = SimpleNamespace(addressof=id, bytearray_at=lambda address, size: bytearray(size))
        return found

    def puts(self, number):
        """[(us, value)] of what a state machine was given."""
        return [(us, value) for us, n, what, value in self.told if n == number and what == "put"]

    def done(self, number, what):
        return [value for _, n, did, value in self.told if n == number and did == what]


class Flash:
    """The storage as upstream's image has it: its filesystem covers all of it."""

    def __init__(self, start=0, len=0):
        pass

    def ioctl(self, op, arg):
        return 0

    def readblocks(self, block, buf, offset=0):
        buf[:] = b"\xff" * len(buf)


def keep(**settings):
    return lambda program: program


class Registers(dict):
    def __missing__(self, address):
        return 0


class Timer(NumberedTimer):
    """Any number of them."""

    def __init__(self, number):
        assert number == -1, "the port's timers have no number"
        self.turn = 0


class StateMachine:
    chip = None

    def __init__(self, number, program, freq, **settings):
        self.number = number
        self.chip.machines[number] = self

    def _tell(self, what, value=None):
        self.chip.told.append((self.chip.us, self.number, what, value))

    def active(self, on):
        self._tell("active", on)

    def put(self, value):
        self._tell("put", value)

    def exec(self, code):
        self._tell("exec", code)

    def restart(self):
        self._tell("restart")

    def tx_fifo(self):
        return 0
