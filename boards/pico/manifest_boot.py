# ruff: noqa: F821 - freeze is given by MicroPython's manifest tool
"""What every image of ours begins with: MicroPython's own modules, and the start that leaves the journal its flash."""

freeze("$(PORT_DIR)/modules", ("rp2.py", "_boot_fat.py"))
freeze("boot", "_boot.py")  # the journal has the end of the storage
