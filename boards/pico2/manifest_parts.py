# ruff: noqa: F821 - freeze, package and module are given by MicroPython's manifest tool
"""All of the Pico 2's image but main: its prompt is left free, so that `make smoke` can measure the parts from it."""

freeze("$(PORT_DIR)/modules", ("rp2.py", "_boot_fat.py"))
freeze("../pico/boot", "_boot.py")  # the journal has the end of the storage
module("board.py")
package("doseloop", base_path="../../firmware", opt=3)  # without line numbers: 8 KB less
module("hal_common.py", base_path="../../firmware", opt=3)
module("hal_rp2.py", base_path="../../firmware", opt=3)
module("rp2_motion.py", base_path="../../firmware", opt=3)
