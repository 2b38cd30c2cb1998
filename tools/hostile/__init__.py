"""Hostile lines against the running firmware: python -m tools.hostile -n 1000000."""
