# ruff: noqa: F821 - include and module are given by MicroPython's manifest tool
"""What is frozen into the Pico 2's image: MicroPython's own start-up modules, this board's data, and the whole firmware."""

include("manifest_parts.py")
module("main.py", base_path="../../firmware", opt=3)
