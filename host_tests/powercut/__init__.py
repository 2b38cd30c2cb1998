"""The power-cut campaign: the whole firmware on MicroPython over a flash that loses its power at each operation in turn.

run.py plays the story once on each store and writes down every flash operation; then, for each operation, it builds the flash as a cut
there leaves it, boots the firmware on it, and judge.py compares what it finds with what was promised. tools/powercut.py drives it.
All of this runs on MicroPython's unix port: the littlefs is the real one.
"""
