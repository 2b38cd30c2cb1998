# ruff: noqa: F821 - include, module and package are given by MicroPython's manifest tool
"""The same firmware with line numbers and the source's names, much larger: for whoever must read a traceback of it.

python tools/image.py --board pico --manifest boards/pico/manifest_readable.py
"""

include("manifest_boot.py")
module("board.py")
package("doseloop", base_path="../../firmware")
module("hal_common.py", base_path="../../firmware")
module("hal_rp2.py", base_path="../../firmware")
module("pins_rp2.py", base_path="../../firmware")
module("rp2_motion.py", base_path="../../firmware")
module("main.py", base_path="../../firmware")
