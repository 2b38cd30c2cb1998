"""Makes this board's hardware and the controller, and runs it."""

import gc
import sys

import micropython

BOOT_WATCHDOG, BOOT_MAINT = 2, 4

# Collect after so many bytes: early while loading, so that what stays lies close together and large blocks stay free.
_COLLECT_LOADING = 8_192
_COLLECT_RUNNING = 65_536


def make_unix():
    import hal_unix

    folder = __file__.rsplit("/", 1)[0] if "/" in __file__ else "."
    if folder not in sys.path:
        sys.path.insert(0, folder)
    return hal_unix.UnixHal(hal_unix.load_board(folder))


def make_rp2():
    import board
    import hal_rp2

    return hal_rp2.Hal(board.BOARD)


def make_esp32():
    import board
    import hal_esp32

    return hal_esp32.Hal(board.BOARD)


def make_stm32():
    import board
    import hal_stm32

    return hal_stm32.Hal(board.BOARD)


# By sys.platform; the stm32 port calls itself after its first board.
MAKERS = {"linux": make_unix, "darwin": make_unix, "rp2": make_rp2, "esp32": make_esp32, "pyboard": make_stm32}
FLASHED = ("rp2", "esp32", "pyboard")


def main():
    try:
        micropython.kbd_intr(-1)  # a stray 0x03 must not stop a running pump
    except AttributeError:
        pass  # the unix port has no such key
    if sys.platform not in MAKERS:
        raise SystemExit("no hal for platform %s: see firmware/README.md" % sys.platform)
    gc.threshold(_COLLECT_LOADING)
    hal = MAKERS[sys.platform]()
    if hal.boot_cause == BOOT_MAINT and sys.platform in FLASHED:
        micropython.kbd_intr(3)  # MAINT: nothing was fed and nothing moves; the REPL opens, a power cycle leaves it
        return
    from doseloop.controller import Controller

    gc.collect()
    gc.threshold(_COLLECT_RUNNING)
    try:
        Controller(hal).run()
    except Exception as error:  # whatever it is: the board starts again, and basal resumes by itself (R-ALM-11)
        sys.print_exception(error, sys.stderr)
        hal.reset(BOOT_WATCHDOG)


main()
