"""Named pieces of storage in one folder of a filesystem: what the journal stands on.

Works on littlefs, where closing a file commits it and a rename replaces in one step, and on any POSIX folder, where it
survives the end of the process (a power cut of the computer itself is outside what the unix port stands for).
"""

import os

from doseloop.units import const

_ENOENT = const(2)
_WHOLE = const(4096)  # bytes of a full file of a stream


class FileStore:
    """Files under `root` ("" for the root of a board's filesystem)."""

    torn = 0  # what opening it found torn (region.py); here a cut leaves nothing but shorter files

    def __init__(self, root):
        self._prefix = root + "/" if root and not root.endswith("/") else root

    def read(self, name):
        """The bytes of `name`; None if it is not there; if it is and cannot be read, twice, zeros as of a whole file that is damaged.

        Not b"": what cannot be read now is not empty, and its place must not be used again.
        """
        for _ in range(2):
            try:
                with open(self._prefix + name, "rb") as file:
                    return file.read()
            except OSError as error:
                if error.errno == _ENOENT:
                    return None
        return bytes(_WHOLE)

    def append(self, name, data):
        """Add to the end of `name`, or begin it; durable on return. A power cut may leave a part of `data`."""
        with open(self._prefix + name, "ab") as file:
            file.write(data)

    def replace(self, name, data):
        """Make `data` the whole of `name`; a power cut leaves the old or the new."""
        path = self._prefix + name
        with open(path + ".tmp", "wb") as file:
            file.write(data)
        os.rename(path + ".tmp", path)

    def remove(self, name):
        """Remove `name` if it is there; OSError if it stays: what is appended next would stand behind what was to go."""
        try:
            os.remove(self._prefix + name)
        except OSError as error:
            if error.errno != _ENOENT:
                raise

    def tidy(self):
        """Work that is better done while nothing waits (region.py has some): none here."""
        return False
