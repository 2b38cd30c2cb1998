"""The parts of `python tools/flash.py`: what is installed (payload), where (ports, kinds), through what (prompt), on what (device), in
which order (install), and the talk with a doseloop before and after (pump). A board that loses its cable or its power at any moment
starts the old firmware or the new one, never half of each.
"""


class FlashError(Exception):
    """Why a board was not flashed, and what to do next: a sentence or two for a person."""
