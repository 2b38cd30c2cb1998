"""Faults of the device, each injected and looked for: `make faults`. See table.py."""
