# ruff: noqa: F821 - freeze, package and module are given by MicroPython's manifest tool
"""What is frozen into the ESP32's image: MicroPython's own start-up modules, this board's data, and the whole firmware."""

freeze("$(PORT_DIR)/modules")
module("board.py")
package("doseloop", base_path="../../firmware", opt=3)  # without line numbers: 8 KB less
module("hal_common.py", base_path="../../firmware", opt=3)
module("software_leases.py", base_path="../../firmware", opt=3)
module("hal_esp32.py", base_path="../../firmware", opt=3)
module("pins_esp32.py", base_path="../../firmware", opt=3)
module("esp32_motion.py", base_path="../../firmware", opt=3)
module("main.py", base_path="../../firmware", opt=3)
