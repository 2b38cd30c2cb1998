# ruff: noqa: F821 - freeze is given by MicroPython's manifest tool
"""A genuine MicroPython without the firmware: what a board has before `tools/flash.py` installs it from files."""

freeze("$(PORT_DIR)/modules")
