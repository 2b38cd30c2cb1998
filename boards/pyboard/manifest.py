# ruff: noqa: F821 - freeze, package and module are given by MicroPython's manifest tool
"""What is frozen into the pyboard's image: this board's data, and the whole firmware."""

module("board.py")
package("doseloop", base_path="../../firmware", opt=3)  # without line numbers: 8 KB less
module("hal_common.py", base_path="../../firmware", opt=3)
module("software_leases.py", base_path="../../firmware", opt=3)
module("hal_stm32.py", base_path="../../firmware", opt=3)
module("pins_stm32.py", base_path="../../firmware", opt=3)
module("stm32_motion.py", base_path="../../firmware", opt=3)
module("main.py", base_path="../../firmware", opt=3)
