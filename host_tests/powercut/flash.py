"""NOR flash whose operations are written down, and which can be built anew as a cut at any of them left it."""

BLOCK, PAGE = 4096, 256
ERASED = b"\xff" * BLOCK
_EIO = -5  # as littlefs takes it from a device
HOWS = ("before", "half", "flip")  # what was done of the operation in which the power went: nothing, a part, all but one wrong bit


class Flash:
    """A block device over `base`, which stays as it is: what is written lies beside it. ops: (at, new bytes) of each page or block."""

    def __init__(self, base):
        self._base = base
        self._own = {}  # block: its bytes, where they differ
        self.blocks = len(base) // BLOCK
        self.ops = []
        self.writing_down = True
        self.before_op = None  # told of each
        self.erases = 0
        self.error_at = None  # number of the operation that is not done and says so, once
        self.errors = 0  # so far

    def readblocks(self, block, buf, offset=0):
        own = self._own.get(block)
        if own is None:
            at = block * BLOCK + offset
            buf[:] = memoryview(self._base)[at : at + len(buf)]
        else:
            buf[:] = memoryview(own)[offset : offset + len(buf)]

    def writeblocks(self, block, buf, offset=None):
        assert offset is not None and offset % PAGE == 0 and len(buf) % PAGE == 0, "whole pages, erased before"
        page = bytearray(PAGE)
        for done in range(0, len(buf), PAGE):
            self.readblocks(block, page, offset + done)
            anded = int.from_bytes(page, "little") & int.from_bytes(bytes(buf[done : done + PAGE]), "little")
            if self._fails():
                return _EIO
            self.do(block * BLOCK + offset + done, anded.to_bytes(PAGE, "little"))
        return None

    def ioctl(self, op, arg):
        if op == 6:
            if self._fails():
                return _EIO
            self.erases += 1
            self.do(arg * BLOCK, ERASED)
            return 0
        return {4: self.blocks, 5: BLOCK}.get(op, 0)

    def _fails(self):
        if self.error_at is None or not self.writing_down or len(self.ops) != self.error_at:
            return False
        self.error_at = None
        self.errors += 1
        return True

    def do(self, at, new):
        if self.writing_down:
            self.ops.append((at, new))
            if self.before_op:
                self.before_op()
        self.put(at, new)

    def put(self, at, new):
        block, offset = divmod(at, BLOCK)
        if block not in self._own:
            self._own[block] = bytearray(memoryview(self._base)[block * BLOCK : (block + 1) * BLOCK])
        self._own[block][offset : offset + len(new)] = new

    def look(self, at, size):
        found = bytearray(size)
        self.readblocks(at // BLOCK, found, at % BLOCK)
        return found

    def image(self):
        """All of it as it is now."""
        whole = bytearray(self._base)
        for block, own in self._own.items():
            whole[block * BLOCK : (block + 1) * BLOCK] = own
        return whole

    def tear(self, op, how, random):
        """Do a part of an operation."""
        at, new = op
        if how == "before":
            return
        old = self.look(at, len(new))
        changed = [k for k in range(len(new)) if new[k] != old[k]] or [0]
        if how == "flip":
            torn = bytearray(new)
            torn[changed[0] + random(changed[-1] - changed[0] + 1)] ^= 1 << random(8)
        elif random(2):
            middle = changed[0] + (changed[-1] - changed[0] + 1) // 2
            torn = new[:middle] + old[middle:]
        else:
            torn = bytearray(len(new))
            for k in range(len(new)):
                mask = random(256)
                torn[k] = (old[k] & mask) | (new[k] & ~mask & 0xFF)
        self.put(at, torn)


def dice(seed):
    """random(n): 0 to n - 1, the same on every machine."""
    state = [seed * 2654435761 & 0xFFFFFFFF or 1]

    def random(n):
        x = state[0]
        x ^= x << 13 & 0xFFFFFFFF
        x ^= x >> 17
        x ^= x << 5 & 0xFFFFFFFF
        state[0] = x
        return x % n

    return random
