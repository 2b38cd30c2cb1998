# ruff: noqa: F821 - freeze, package and module are given by MicroPython's manifest tool
"""All of the Pico 2's image but main: its prompt is left free, so that `make smoke` can measure the parts from it."""

freeze("$(PORT_DIR)/modules")
module("board.py")
package("doseloop", base_path="../../firmware")
module("hal_common.py", base_path="../../firmware")
module("hal_rp2.py", base_path="../../firmware")
module("rp2_motion.py", base_path="../../firmware")
