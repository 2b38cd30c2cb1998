# ruff: noqa: F821 - freeze, package and module are given by MicroPython's manifest tool
"""What is frozen into the Pico 2's image: MicroPython's own start-up modules, this board's data, and the whole firmware."""

freeze("$(PORT_DIR)/modules")
module("board.py")
package("doseloop", base_path="../../firmware")
module("hal_common.py", base_path="../../firmware")
module("hal_rp2.py", base_path="../../firmware")
module("rp2_motion.py", base_path="../../firmware")
module("main.py", base_path="../../firmware")
