"""Pumps to test: the unix port in virtual time, or anything behind a pyserial URL."""
