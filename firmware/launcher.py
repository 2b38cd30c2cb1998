"""What is /main.py on a board that tools/flash.py installed: the one file that says which firmware starts.

It is replaced in one rename, so a board starts the old firmware or the new one. Each file is compared with what was
installed before any of it runs: a damaged one is named and nothing moves (R-ALM-11).
"""

import binascii
import hashlib
import sys
import time

FOLDER = "/fw-0000000000000000"  # tools/flash.py writes the folder here; its digits are the hash of its list of files
LIST = "files.txt"  # a line for each file: SHA-256 in hex, a space, its path in the folder
_SAID_AGAIN_S = 2


def digest(path):
    whole = hashlib.sha256()
    part = bytearray(1024)
    with open(path, "rb") as file:
        while True:
            count = file.readinto(part)
            if not count:
                return binascii.hexlify(whole.digest()).decode()
            whole.update(part if count == len(part) else part[:count])


def damaged(folder):
    """The first file that is not as installed, None if all are."""
    path = folder + "/" + LIST
    try:
        if digest(path)[:16] != folder[-16:]:
            return path
        with open(path) as lines:
            for line in lines:
                want, name = line.split()
                path = folder + "/" + name
                if digest(path) != want:
                    return path
    except (OSError, ValueError):
        return path
    return None


def interrupt(byte):
    """Which byte is Ctrl-C, -1 for none; a desktop's Python has no such setting."""
    try:
        import micropython

        micropython.kbd_intr(byte)
    except (ImportError, AttributeError):
        pass


def start(folder):
    """Runs the folder's main, or says why not until Ctrl-C opens the prompt."""
    interrupt(-1)  # a stray 0x03 must not end a start that resumes basal
    path = damaged(folder)
    if path is None:
        sys.path.insert(0, folder)
        sys.modules.pop("main", None)
        __import__("main")
        return
    interrupt(3)
    try:
        while True:
            print("DOSELOOP DOES NOT START: %s is damaged or gone. Nothing moves." % path)
            print("Install it again: python tools/flash.py")
            time.sleep(_SAID_AGAIN_S)
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    start(FOLDER)
