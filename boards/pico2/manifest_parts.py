# ruff: noqa: F821 - include, package and module are given by MicroPython's manifest tool
"""All of the Pico 2's image but main: its prompt is left free, so that `make smoke` can measure the parts from it."""

include("manifest_boot.py")
module("board.py")
package("doseloop", base_path="../../firmware", opt=3)  # without line numbers: 8 KB less
module("hal_common.py", base_path="../../firmware", opt=3)
module("hal_rp2.py", base_path="../../firmware", opt=3)
module("pins_rp2.py", base_path="../../firmware", opt=3)
module("rp2_motion.py", base_path="../../firmware", opt=3)
