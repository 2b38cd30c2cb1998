"""What survives a power cut: streams of fixed-size records, and named data kept in two copies.

It knows no kinds of records. A stream is a ring of files of 63 records, each one flash block with its head (region.py); record number `seq`
(1, 2, 3, ...) has its fixed place, so that a damaged one costs its own number and nothing else. Whatever a cut leaves
of an append is a torn record: reported, stepped over, never used again.
"""

import binascii
import struct

from doseloop.units import const

RECORD_BYTES = const(64)
PAYLOAD_BYTES = const(40)
VERSION = const(1)
LISTED_TORN = const(32)

_BODY = "<IBBBBQI40s"  # seq, kind, version, length of the payload, flags (0), elapsed ms, unix s (0 = unset), payload
_PER_FILE = const(63)
_FILE_BYTES = const(4032)

# name: files of its ring; while one fills, the others are kept whole: 16 x 63 and 12 x 63 records at least.
# marks: a sample of the account each quarter of an hour, 31 h of them.
STREAMS = {"log": 17, "acct": 13, "marks": 3}

_COPY_HEAD = "<4sII"  # mark, generation, length; then the data and a CRC-32 of all of it
_COPY_HEAD_BYTES = const(12)
_COPY_MARK = b"DLC1"
_SOUND = const(0x2144DF1C)  # the CRC-32 of whatever ends with its own, least byte first


class Journal:
    """The journal on a store (store.py). Call open() once before anything else."""

    def __init__(self, store):
        self.torn = []  # (stream, seq) of damaged records found by open(), the first 32; seq 0: it cannot be told
        self.torn_count = 0
        self.torn_tails = []  # streams whose newest record is damaged: what the last power cut tore
        self._store = store
        self._streams = {name: _Stream(store, name, files) for name, files in STREAMS.items()}

    def open(self):
        """Read everything once. Never raises for what it finds; returns the number of damaged records."""
        self.torn = []
        self.torn_tails = []
        self.torn_count = self._store.torn
        for name, stream in self._streams.items():
            damaged = stream.scan()
            self.torn_count += damaged.count
            self.torn += [(name, seq) for seq in damaged.seqs[: LISTED_TORN - len(self.torn)]]
            if stream.tail_torn:
                self.torn_tails.append(name)
        return self.torn_count

    def append(self, stream, kind, elapsed_ms, wall_s, payload):
        """Add a record, durable on return; returns its seq. OSError if the store fails: then nothing was added."""
        return self._streams[stream].append(kind, elapsed_ms, wall_s, payload)

    def records(self, stream, from_seq=0):
        """Yields (seq, kind, elapsed_ms, wall_s, payload) from `from_seq` on, oldest first; damaged ones are left out."""
        return self._streams[stream].records(from_seq)

    def newest(self, stream):
        """The last good record of the stream, or None."""
        return self._streams[stream].newest

    def tail(self, stream):
        """How many damaged records follow the last good one: a cut leaves 1, or 2 where it was written again."""
        return self._streams[stream].tail()

    def save(self, name, data):
        """Keep `data` in two copies, the worse one written first: a cut at any byte leaves the old or the new whole.

        Returns how many have it, 0 to 2: a copy that cannot be written leaves it to the other.
        """
        copies = [(_generation(self._store.read(name + end)), name + end) for end in (".a", ".b")]
        generation = max(copies)[0] + 1
        blob = _sealed(struct.pack(_COPY_HEAD, _COPY_MARK, generation, len(data)), data)
        kept = 0
        for _, path in sorted(copies):
            try:
                self._store.replace(path, blob)
                kept += 1
            except (OSError, MemoryError):
                kept += _generation(self._store.read(path)) == generation  # the error came after all was written
        return kept

    def load(self, name, repair=True):
        """(data or None, state). Anything but two good copies is repaired on the way, unless nothing may be written now.

        "good"     both copies; or a cut came between the two, which is no damage: the newer one counts
        "one_bad"  one copy is damaged or gone
        "bad"      no copy is good: data is None
        "none"     never saved: data is None
        """
        blobs = [self._store.read(name + end) for end in (".a", ".b")]
        copies = [_generation(blob) for blob in blobs]
        best, worst = max(copies), min(copies)
        if best < 1:
            return None, "none" if blobs == [None, None] else "bad"
        newest = blobs[copies.index(best)]
        if repair and worst != best:
            self._repair(name + (".a" if copies[0] == worst else ".b"), newest)
        first_save_cut = best == 1 and None in blobs
        return newest[_COPY_HEAD_BYTES:-4], "good" if worst > 0 or first_save_cut else "one_bad"

    def _repair(self, path, blob):
        try:
            self._store.replace(path, blob)
        except OSError:
            pass  # what was read is good all the same; the next load says one_bad again


class _Damage:
    """Damaged records: a whole flash of them finds room."""

    def __init__(self):
        self.count = 0
        self.seqs = []  # of the first 32
        self.last = 0  # the highest seq

    def add(self, seqs):
        self.count += len(seqs)
        self.last = max(self.last, seqs[-1])
        self.seqs.extend(seqs[: LISTED_TORN - len(self.seqs)])


class _Stream:
    """One ring of files. Place of a record: index = seq - 1, file = index // 63 modulo the ring, offset = index % 63."""

    def __init__(self, store, name, files):
        self.newest = None  # the last good record
        self.tail_torn = False  # the place before the next one holds a damaged record
        self._store = store
        self._name = name
        self._files = files
        self._index = 0  # of the next record
        self._pad = 0  # bytes that bring the file of the next record to a whole number of places

    def _file(self, index):
        return "%s.%02d" % (self._name, index // _PER_FILE % self._files)

    def scan(self):
        """Find the next place; returns what is damaged."""
        damaged = _Damage()
        self.newest = None
        lost = {}  # file without one good record: its size
        last, size = -_PER_FILE, _FILE_BYTES  # first index and size of the newest file
        for number in range(self._files):
            data = self._store.read(self._file(number * _PER_FILE))
            if not data:
                continue
            base = self._base(data, number)
            if base is None:
                lost[number] = len(data)
            else:
                self._look(data, base, damaged)
                if base > last:
                    last, size = base, len(data)
        last, size = self._adopt(last, size, lost, damaged)
        self._settle(last, size)
        self.tail_torn = 0 < damaged.last == self._index  # an index is the seq of the place before it
        return damaged

    def tail(self):
        return self._index - (self.newest[0] if self.newest else 0)

    def _base(self, data, number):
        """Index of the file's first place, told by any good record that belongs into this file; None without one."""
        for place in range(_places(len(data))):
            record = _unpack(data, place)
            if record:
                base = record[0] - 1 - place
                if base >= 0 and base % _PER_FILE == 0 and base // _PER_FILE % self._files == number:
                    return base
        return None

    def _look(self, data, base, damaged):
        for place in range(_places(len(data))):
            record = _unpack(data, place)
            if not record or record[0] != base + place + 1:
                damaged.add((base + place + 1,))
            elif not self.newest or record[0] > self.newest[0]:
                self.newest = record

    def _adopt(self, last, size, lost, damaged):
        """A file without a good record is the newest if it comes right after a full newest one: begun, then torn."""
        while size >= _FILE_BYTES:
            number = (last + _PER_FILE) // _PER_FILE % self._files
            if number not in lost:
                break
            last += _PER_FILE
            size = lost.pop(number)
            damaged.add(range(last + 1, last + 1 + _places(size)))
        for old in lost.values():
            damaged.add([0] * _places(old))
        return last, size

    def _settle(self, last, size):
        places = _places(size)
        self._index = last + places
        self._pad = places * RECORD_BYTES - size if places < _PER_FILE else 0

    def append(self, kind, elapsed_ms, wall_s, payload):
        if len(payload) > PAYLOAD_BYTES:
            raise ValueError("a payload has at most 40 bytes")
        try:
            self._put(kind, elapsed_ms, wall_s, payload)
        except OSError:
            self.scan()  # a part of it may be there: the next good place is tried, once
            try:
                self._put(kind, elapsed_ms, wall_s, payload)
            except OSError:
                self.scan()
                raise
        self.newest = (self._index, kind, elapsed_ms, wall_s, bytes(payload))
        return self._index

    def _put(self, kind, elapsed_ms, wall_s, payload):
        body = struct.pack(_BODY, self._index + 1, kind, VERSION, len(payload), 0, elapsed_ms, wall_s, payload)
        file = self._file(self._index)
        if self._index % _PER_FILE == 0:
            self._store.remove(file)  # the oldest 63 make room
        self._store.append(file, b"\xff" * self._pad + _sealed(body))
        self._index += 1
        self._pad = 0

    def records(self, from_seq):
        newest = self._index - 1
        oldest = (newest // _PER_FILE - self._files + 1) * _PER_FILE
        start = max(from_seq - 1, oldest, 0)
        for base in range(start // _PER_FILE * _PER_FILE, self._index, _PER_FILE):
            data = self._store.read(self._file(base)) or b""
            for place in range(max(0, start - base), _places(len(data))):
                record = _unpack(data, place)
                if record and record[0] == base + place + 1:
                    yield record


def _places(size):
    """Places taken in a file of `size` bytes; a torn record takes a whole one."""
    return min(-(-size // RECORD_BYTES), _PER_FILE)


def _unpack(data, place):
    """The record at a place as (seq, kind, elapsed_ms, wall_s, payload), or None if it is damaged."""
    raw = data[place * RECORD_BYTES : (place + 1) * RECORD_BYTES]
    if len(raw) < RECORD_BYTES or not _is_sound(raw):
        return None
    seq, kind, version, length, _, elapsed_ms, wall_s, payload = struct.unpack_from(_BODY, raw)
    if not seq or version != VERSION or length > PAYLOAD_BYTES:
        return None
    return seq, kind, elapsed_ms, wall_s, payload[:length]


def _sealed(*parts):
    """The bytes and their CRC-32, in one copy: of a full week's state `+` made three of 4 KB."""
    crc = 0
    for part in parts:
        crc = binascii.crc32(part, crc)
    return b"".join(parts + (struct.pack("<I", crc),))


def _is_sound(sealed):
    return binascii.crc32(sealed) == _SOUND


def _generation(blob):
    """That of a copy; 0 if it is damaged or not there."""
    if blob and len(blob) >= _COPY_HEAD_BYTES + 4:
        mark, generation, length = struct.unpack_from(_COPY_HEAD, blob)
        if len(blob) == _COPY_HEAD_BYTES + length + 4 and mark == _COPY_MARK and _is_sound(blob):
            return generation
    return 0
