"""NOR flash as it is: erased by blocks, programmed by pages of 256 bytes, a program only clears bits, and the power may go in the midst."""

from random import Random

BLOCK, PAGE = 4096, 256


class PowerCut(BaseException):
    """Not an OSError: nothing in the firmware catches it."""


class NorFlash:
    """A block device as rp2.Flash. left: operations (a page programmed, a block erased) until the power goes; None: never.

    The one in progress is left as `how` says: "before" nothing of it is done, "half" the first half of it (of a page) or every bit
    at random between old and new, "flip" all of it but one wrong bit among the bytes that it was to change.
    """

    def __init__(self, blocks, seed=1):
        self.blocks = blocks
        self.data = bytearray(b"\xff" * (blocks * BLOCK))
        self.left = None
        self.how = "before"
        self.programs = self.erases = 0
        self.erased = [0] * blocks
        self.stuck = set()  # blocks that no longer erase
        self._random = Random(seed)

    def readblocks(self, block, buf, offset=0):
        at = block * BLOCK + offset
        buf[:] = self.data[at : at + len(buf)]

    def writeblocks(self, block, buf, offset):
        assert offset % PAGE == 0 and len(buf) % PAGE == 0, "whole pages only"
        for done in range(0, len(buf), PAGE):
            at = block * BLOCK + offset + done
            old = self.data[at : at + PAGE]
            self.programs += 1
            self._put(at, bytes(a & b for a, b in zip(old, buf[done : done + PAGE])))

    def ioctl(self, op, arg):
        if op == 6:
            self.erases += 1
            self.erased[arg] += 1
            if arg not in self.stuck:
                self._put(arg * BLOCK, b"\xff" * BLOCK)
            return 0
        return {4: self.blocks, 5: BLOCK}.get(op)

    def _put(self, at, new):
        if self.left == 0:
            if self.how != "before":
                self._tear(at, new)
            self.left = -1
        if self.left is not None and self.left < 0:
            raise PowerCut
        if self.left is not None:
            self.left -= 1
        self.data[at : at + len(new)] = new

    def _tear(self, at, new):
        old = self.data[at : at + len(new)]
        if self.how == "flip":
            changed = [k for k in range(len(new)) if new[k] != old[k]] or [0]
            torn = bytearray(new)
            torn[self._random.randint(changed[0], changed[-1])] ^= 1 << self._random.randrange(8)
        elif len(new) == PAGE and self._random.random() < 0.5:
            torn = new[: PAGE // 2] + old[PAGE // 2 :]
        else:
            mask = self._random.randbytes(len(new))
            torn = bytes((a & m) | (b & ~m & 0xFF) for a, b, m in zip(old, new, mask))
        self.data[at : at + len(new)] = torn
