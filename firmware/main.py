"""Makes this board's hardware and the controller, and runs it.

A flashed board may end at its prompt instead, with nothing made and nothing moving: by MAINT, or because its data is wrong.
"""

import gc
import sys
import time

import micropython

BOOT_WATCHDOG, BOOT_SOFT, BOOT_MAINT = 2, 3, 4

# Collect after so many bytes: early while loading, so that what stays lies close together and large blocks stay free; and for good
# where twice the other does not lie free, as where modules lie in memory.
_COLLECT_EARLY = 4_096
_COLLECT_RUNNING = 65_536
_SAID_AGAIN_S = 2


def make_unix():
    import hal_unix

    folder = __file__.rsplit("/", 1)[0] if "/" in __file__ else "."
    if folder not in sys.path:
        sys.path.insert(0, folder)
    data = hal_unix.load_board(folder)
    text = refusal(data)
    if text:
        print(text, file=sys.stderr)
        raise SystemExit(2)
    return hal_unix.UnixHal(data)


def make_board(name):
    """The hal of a flashed board, or None: the prompt opens. No pin is touched before both questions are answered."""
    family = __import__(name)
    try:
        return open_board(family)
    except Exception as error:  # a part that did not answer, once: no prompt, the board starts again (R-ALM-11)
        sys.print_exception(error, sys.stderr)
        time.sleep(_SAID_AGAIN_S)
        family.mark_cause(BOOT_WATCHDOG)
        family.machine.reset()


def open_board(family):
    cause = family.take_boot_cause()
    if cause == BOOT_MAINT:
        family.mark_cause(BOOT_SOFT)  # what follows the maintenance, unless the power is cut
        return None
    try:
        from board import BOARD
    except ImportError:
        BOARD = {}
    text = refusal(BOARD)
    if text:
        hold(text)
        return None
    from doseloop.units import Refusal

    try:
        return family.Hal(BOARD, cause)
    except Refusal as error:  # the journal is where it cannot be used
        hold(error.text)


def refusal(board):
    """board_check's text, or None. The check is forgotten again: where modules lie in memory it would take room for good."""
    import doseloop.board_check as check

    family = check.FAMILY_OF_PLATFORM[sys.platform]
    text = check.refusal(board, family)
    sys.modules.pop("pins_" + family, None)
    forget("board_check")
    return text


def forget(name):
    """A module that is needed once."""
    del sys.modules["doseloop." + name]
    delattr(sys.modules["doseloop"], name)


def hold(text):
    """Says it again and again, as nobody may be listening yet, until Ctrl-C opens the prompt."""
    micropython.kbd_intr(3)
    try:
        while True:
            print(text)
            time.sleep(_SAID_AGAIN_S)
    except KeyboardInterrupt:
        pass


# By sys.platform: maker, what it is given. The stm32 port calls itself after its first board.
MAKERS = {
    "linux": (make_unix,),
    "darwin": (make_unix,),
    "rp2": (make_board, "hal_rp2"),
    "esp32": (make_board, "hal_esp32"),
    "pyboard": (make_board, "hal_stm32"),
}


def main():
    try:
        micropython.kbd_intr(-1)  # a stray 0x03 must not stop a running pump
    except AttributeError:
        pass  # the unix port has no such key
    if sys.platform not in MAKERS:
        raise SystemExit("no hal for platform %s: see firmware/README.md" % sys.platform)
    gc.threshold(_COLLECT_EARLY)
    maker = MAKERS[sys.platform]
    hal = maker[0](*maker[1:])
    if hal is None:
        micropython.kbd_intr(3)
        return
    try:
        from doseloop.controller import Controller

        gc.collect()
        if gc.mem_free() > 2 * _COLLECT_RUNNING:
            gc.threshold(_COLLECT_RUNNING)
        controller = Controller(hal)
        forget("boot")
        controller.run()
    except Exception as error:  # whatever it is: the board starts again, and basal resumes by itself (R-ALM-11)
        sys.print_exception(error, sys.stderr)
        hal.reset(BOOT_WATCHDOG)


main()
