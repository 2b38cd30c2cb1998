# ruff: noqa: F821 - freeze is given by MicroPython's manifest tool
"""A Pico's image without any of ours: what the firmware adds to it is the difference (`make benchmark BOARD=emulated`)."""

freeze("$(PORT_DIR)/modules")
