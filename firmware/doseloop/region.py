"""The journal's files on bare erase blocks of NOR flash: a record is one page programmed, and erases are made beforehand.

Every block begins with a head that tells whose it is, so that any block can serve any file and all wear alike:

  0   erases so far, and its complement: programmed when an erase has ended. Without it a block is never used: a cut may
      have left it half erased, its bits flickering
  8   owner, twice: name, generation, part, parts, bytes in all (0xFFFF: as far as was appended), CRC-32
  60  zeros once all parts of a replaced file are there: from then on it is the file (one zero byte is enough to tell)
  64  data

What is no longer wanted has its head programmed to zeros; tidy() erases it at a quiet moment. The oldest of two finished
generations is a cut's leaving, and so are parts without the last: they are dropped when the region is opened.
"""

import binascii
import struct

from doseloop.units import const

MIN_BLOCKS = const(52)  # the streams (33), two copies of the state of three blocks each and one being written, and as many to spare
BLOCK = const(4096)
_PAGE = const(256)
_HEAD = const(64)
_ROOM = const(4032)
_PLACE = const(64)  # what is appended comes in multiples of this
_OWNER = "<14sIBBH"
_OWNER_BYTES = const(22)
_OWNER_AT = const(8)
_DONE_AT = const(60)
_OPEN = const(0xFFFF)
_BLANK = b"\xff" * 256
_EIO = const(5)
_ENOSPC = const(28)
_BLOCK_ERASE = const(6)
_MOST_ERASES = const(10_000_000)  # no block lives so long: a count beyond is what a cut has left


class _File:
    def __init__(self, generation, size):
        self.generation = generation
        self.size = size  # bytes in all; _OPEN: appended to
        self.blocks = []  # by part; None: not found
        self.done = size == _OPEN
        self.end = None  # of an appended file: bytes in it, None: not looked yet


class RegionStore:
    """As store.FileStore, on `device`: readblocks and writeblocks(block, buffer, offset) and ioctl(6, block), as rp2.Flash has."""

    def __init__(self, device, blocks):
        self._device = device
        self._page = bytearray(_PAGE)
        self._back = bytearray(_PAGE)
        self._files = {}
        self._worn = [0] * blocks  # erases of each block
        self._clean = []  # blocks erased to the end
        self._dirty = []  # blocks to be erased
        self._generation = 0
        self.torn = 0  # blocks whose head a cut has torn: with it a record, which is told like any other torn one
        self._open()

    # What store.FileStore can do.

    def read(self, name):
        file = self._files.get(name)
        if not file:
            return None
        size = self._end(file) if file.size == _OPEN else file.size
        data = bytearray(size)
        view = memoryview(data)
        for part, block in enumerate(file.blocks):
            self._device.readblocks(block, view[part * _ROOM : (part + 1) * _ROOM], _HEAD)
        return bytes(data)

    def append(self, name, data):
        """Durable on return. OSError if it does not read back: then a part of it is there."""
        file = self._files.get(name)
        if file:
            self._extend(file, data)
        else:
            self._begin(name, data)

    def _extend(self, file, data):
        at = self._end(file)
        if at + len(data) > _ROOM:
            raise OSError(_ENOSPC)
        file.end = None
        self._program(file.blocks[0], _HEAD + at, data)
        file.end = at + len(data)

    def _begin(self, name, data):
        self._generation += 1
        file = _File(self._generation, _OPEN)
        file.blocks.append(self._take())
        try:
            self._program(file.blocks[0], _OWNER_AT, _owner(name, file, 0, 1) + data)
        except OSError:
            self._drop(file)
            raise
        file.end = len(data)
        self._files[name] = file

    def replace(self, name, data):
        """A cut at any point leaves the old or the new."""
        self._generation += 1
        file = _File(self._generation, len(data))
        try:
            self._write_parts(name, file, data)
        except OSError:
            self._drop(file)
            raise
        old = self._files.get(name)
        self._files[name] = file
        if old:
            self._drop(old)

    def _write_parts(self, name, file, data):
        parts = max(1, -(-len(data) // _ROOM))
        for part in range(parts):
            file.blocks.append(self._take())
            room = memoryview(data)[part * _ROOM : (part + 1) * _ROOM]
            self._program(file.blocks[part], _OWNER_AT, _owner(name, file, part, parts))
            self._program(file.blocks[part], _HEAD, room)
        self._finish(file.blocks[0])

    def _finish(self, block):
        """An error that came after the mark was made is none: a start would find the file whole."""
        try:
            self._program(block, _DONE_AT, bytes(4))
        except OSError:
            mark = bytearray(4)
            self._device.readblocks(block, mark, _DONE_AT)
            if 0 not in tuple(mark):
                raise

    def remove(self, name):
        file = self._files.pop(name, None)
        if file:
            self._drop(file)

    def tidy(self):
        """Erase one block that is no longer wanted; True if there was one. For a moment when nothing waits: it takes 45 ms, or 400."""
        if not self._dirty:
            return False
        self._erase(self._dirty.pop(0))
        return True

    # Blocks.

    def _take(self):
        """A clean block, the least worn one."""
        while not self._clean:
            if not self.tidy():
                raise OSError(_ENOSPC)
        block = self._first()
        self._clean.remove(block)
        return block

    def _first(self):
        first = self._clean[0]
        for block in self._clean:
            if (self._worn[block], block) < (self._worn[first], first):
                first = block
        return first

    def _drop(self, file):
        for block in file.blocks:
            if block is not None:
                self._discard(block)

    def _discard(self, block):
        """Zeros over all of the head but the count of erases: no half erased block passes for a clean one or for anybody's."""
        self._dirty.append(block)
        try:
            self._program(block, 4, bytes(_HEAD - 4))
        except OSError:
            pass  # the erase will tell

    def _erase(self, block):
        """One that is not all blank after it is worn out: it is left alone until the next start."""
        self._device.ioctl(_BLOCK_ERASE, block)
        self._worn[block] += 1
        for at in range(0, BLOCK, _PAGE):
            self._device.readblocks(block, self._back, at)
            if self._back != _BLANK:
                return
        try:
            self._program(block, 0, struct.pack("<II", self._worn[block], self._worn[block] ^ 0xFFFFFFFF))
        except OSError:
            return
        self._clean.append(block)

    def _program(self, block, at, data):
        """Page by page, each read back."""
        done = 0
        while done < len(data):
            offset = (at + done) % _PAGE
            part = data[done : done + _PAGE - offset]
            self._page[:] = _BLANK
            self._page[offset : offset + len(part)] = part
            self._device.writeblocks(block, self._page, at + done - offset)
            self._device.readblocks(block, self._back, at + done - offset)
            if self._back[offset : offset + len(part)] != part:
                raise OSError(_EIO)
            done += len(part)

    def _end(self, file):
        """Bytes of an appended file: up to its last place that is not blank."""
        if file.end is None:
            at = BLOCK
            while at > _HEAD and self._is_blank(file.blocks[0], at - _PLACE):
                at -= _PLACE
            file.end = at - _HEAD
        return file.end

    def _is_blank(self, block, at):
        view = memoryview(self._back)[:_PLACE]
        self._device.readblocks(block, view, at)
        return view == _BLANK[:_PLACE]

    # The region as a cut left it.

    def _open(self):
        head = bytearray(_HEAD)
        found = {}  # (name, generation): file
        for block in range(len(self._worn)):
            self._device.readblocks(block, head, 0)
            self._look(block, head, found)
        for key in sorted(found, key=lambda key: key[1]):
            self._settle(key[0], found[key])
        if self._clean:
            self._suspect(self._first())

    def _look(self, block, head, found):
        count, check = struct.unpack("<II", head[:8])
        sound = count <= _MOST_ERASES and count == check ^ 0xFFFFFFFF  # a blank head that was discarded reads as a count of all ones
        known = sound or (not check and count <= _MOST_ERASES)
        self._worn[block] = count if known else max(self._worn)
        owner = _owner_of(head)
        if owner:
            name, generation, part, parts, size = owner
            self._generation = max(self._generation, generation)
            file = found.setdefault((name, generation), _File(generation, size))
            file.blocks += [None] * (parts - len(file.blocks))
            file.blocks[part] = block
            file.done = file.done or 0 in tuple(head[_DONE_AT:])
        elif sound and head[_OWNER_AT:] == _BLANK[: _HEAD - _OWNER_AT]:
            self._clean.append(block)
        else:
            self.torn += sound
            self._discard(block)

    def _settle(self, name, file):
        """In order of generations: a finished one takes the place of the one before it."""
        if file.done and None not in file.blocks:
            self.remove(name)
            self._files[name] = file
        else:
            self._drop(file)

    def _suspect(self, block):
        """The block that was to be used next: a cut may have left weak bits in it that read as blank. It is erased again."""
        self._clean.remove(block)
        self._discard(block)


def holds_files(device, blocks):
    """Does one of the blocks belong to a file? Asked where something else lies over them."""
    head = bytearray(_HEAD)
    for block in range(blocks):
        device.readblocks(block, head, 0)
        if _owner_of(head):
            return True
    return False


def _owner(name, file, part, parts):
    owner = struct.pack(_OWNER, name.encode(), file.generation, part, parts, file.size)
    owner += struct.pack("<I", binascii.crc32(owner))
    return owner + owner + _BLANK[:4]


def _owner_of(head):
    """(name, generation, part, parts, size) by the better of its two copies, or None."""
    for at in (_OWNER_AT, _OWNER_AT + _OWNER_BYTES + 4):
        raw = bytes(head[at : at + _OWNER_BYTES])
        if struct.unpack_from("<I", head, at + _OWNER_BYTES)[0] == binascii.crc32(raw):
            name, generation, part, parts, size = struct.unpack(_OWNER, raw)
            if part < parts:
                return name.rstrip(b"\0").decode(), generation, part, parts, size
    return None
