"""Pumps to test: the unix port in virtual time, the flashed image on an emulated board, or anything behind a pyserial URL."""
