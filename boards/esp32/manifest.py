# ruff: noqa: F821 - freeze, package and module are given by MicroPython's manifest tool
"""What is frozen into the ESP32's image: MicroPython's own start-up modules, this board's data, and the whole firmware."""

freeze("$(PORT_DIR)/modules")
module("board.py")
package("doseloop", base_path="../../firmware")
module("hal_common.py", base_path="../../firmware")
module("software_leases.py", base_path="../../firmware")
module("hal_esp32.py", base_path="../../firmware")
module("esp32_motion.py", base_path="../../firmware")
module("main.py", base_path="../../firmware")
