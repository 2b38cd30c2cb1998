"""The journal: whatever a power cut leaves, all earlier records are readable and no number is used twice."""

import contextlib
import errno
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from doseloop.journal import _PER_FILE as PER_FILE
from doseloop.journal import STREAMS, Journal
from doseloop.store import FileStore


class PowerCut(BaseException):
    """Not an OSError: nothing in the firmware catches it."""


class TearingStore:
    """Flash with the worst habits: every write may stop at any byte, a replace too, and what was there before is gone."""

    torn = 0

    def __init__(self):
        self.files = {}
        self.left = None  # bytes until the power is cut; None = never

    def read(self, name):
        return bytes(self.files[name]) if name in self.files else None

    def append(self, name, data):
        self._write(self.files.setdefault(name, bytearray()), data)

    def replace(self, name, data):
        self.files[name] = bytearray()
        self._write(self.files[name], data)

    def remove(self, name):
        self.files.pop(name, None)

    def _write(self, file, data):
        if self.left is not None and self.left < len(data):
            file += data[: self.left]
            raise PowerCut
        if self.left is not None:
            self.left -= len(data)
        file += data


class FullStore(TearingStore):
    """A store that takes a part and then says it is full."""

    def append(self, name, data):
        try:
            super().append(name, data)
        except PowerCut:
            raise OSError(28) from None


def opened(store):
    journal = Journal(store)
    journal.open()
    return journal


def filled(store, count, stream="log"):
    journal = opened(store)
    for i in range(count):
        journal.append(stream, 1, i, 0, b"r%d" % i)
    return journal


def seqs(journal, stream="log", start=0):
    return [r[0] for r in journal.records(stream, start)]


@given(st.integers(0, 255), st.integers(0, 2**60), st.integers(0, 2**32 - 1), st.binary(max_size=40))
@settings(max_examples=50, deadline=None)
@pytest.mark.req("R-MON-2")
def test_a_record_is_read_back_as_it_was_written_also_after_a_restart(kind, elapsed, wall, payload):
    store = TearingStore()
    journal = opened(store)
    assert journal.append("acct", kind, elapsed, wall, payload) == 1
    for found in (journal, opened(store)):
        assert list(found.records("acct")) == [(1, kind, elapsed, wall, payload)]
        assert found.newest("acct") == (1, kind, elapsed, wall, payload)
        assert found.newest("log") is None


def test_a_payload_of_more_than_40_bytes_is_a_programming_error():
    with pytest.raises(ValueError):
        opened(TearingStore()).append("log", 1, 0, 0, bytes(41))


@given(st.integers(0, 140), st.integers(0, 63))
@settings(max_examples=120, deadline=None)
@pytest.mark.req("R-MON-2")
def test_a_cut_at_any_byte_of_an_append_leaves_all_earlier_records_and_a_fresh_number(before, cut):
    store = TearingStore()
    journal = filled(store, before)
    store.left = cut
    with pytest.raises(PowerCut):
        journal.append("log", 2, 7, 7, b"torn")
    store.left = None
    journal = opened(store)
    assert seqs(journal) == list(range(1, before + 1))
    assert journal.torn == ([("log", before + 1)] if cut else []) and journal.torn_count == len(journal.torn)
    assert journal.torn_tails == (["log"] if cut else [])
    assert (journal.newest("log") or (0,))[0] == before
    following = journal.append("log", 3, 8, 8, b"next")
    assert following == before + 1 + bool(cut)
    assert seqs(opened(store)) == [*range(1, before + 1), following]
    assert opened(store).torn_tails == []


@given(st.lists(st.one_of(st.none(), st.integers(0, 140)), min_size=1, max_size=90))
@settings(max_examples=60, deadline=None)
@pytest.mark.req("R-MON-2")
def test_cut_after_cut_no_acknowledged_record_is_lost_changed_or_numbered_twice(cuts):
    """A record cut before its last byte may still come to stand whole (its padding can be that byte): written, never acknowledged."""
    store = TearingStore()
    journal, written = opened(store), {}
    for i, cut in enumerate(cuts):
        store.left = cut
        try:
            written[journal.append("log", 1, i, 0, b"%d" % i)] = i
        except PowerCut:
            journal = None
        store.left = None
        journal = journal or opened(store)
    found = [(seq, elapsed) for seq, _, elapsed, _, _ in opened(store).records("log")]
    assert len(dict(found)) == len(found)
    assert set(written.items()) <= set(found)
    assert {elapsed for _, elapsed in set(found) - set(written.items())} <= {i for i, cut in enumerate(cuts) if cut is not None}


@pytest.mark.req("R-MON-2")
@pytest.mark.parametrize("stream, kept", [("log", 1000), ("acct", 700)])
def test_the_newest_records_are_kept_over_many_turns_of_the_ring(stream, kept):
    store = TearingStore()
    total = PER_FILE * STREAMS[stream] * 2 + 5
    journal = filled(store, total, stream)
    for found in (journal, opened(store)):
        numbers = seqs(found, stream)
        assert numbers == list(range(total - len(numbers) + 1, total + 1)) and len(numbers) >= kept
    assert all(len(f) <= 4096 for f in store.files.values())


@pytest.mark.parametrize("total", [63 * 17, 63 * 17 + 1, 63 * 40, 63 * 40 + 62])
def test_at_every_turn_of_the_ring_at_least_1000_records_are_kept(total):
    assert len(seqs(filled(TearingStore(), total))) >= 1000


@given(st.integers(1, 1400), st.integers(-5, 1500))
@settings(max_examples=20, deadline=None)
def test_reading_from_a_number_begins_there_or_at_the_oldest(total, start):
    journal = filled(TearingStore(), total)
    whole = seqs(journal)
    assert seqs(journal, start=start) == [seq for seq in whole if seq >= start]


@given(st.integers(0, 199), st.integers(0, 511))
@settings(max_examples=100, deadline=None)
@pytest.mark.req("R-ALM-8")
def test_a_flipped_bit_costs_one_record_and_is_reported(index, bit):
    store = TearingStore()
    filled(store, 200)
    file = store.files[f"log.{index // PER_FILE:02d}"]
    file[index % PER_FILE * 64 + bit // 8] ^= 1 << bit % 8
    journal = opened(store)
    assert seqs(journal) == [seq for seq in range(1, 201) if seq != index + 1]
    assert journal.torn == [("log", index + 1)]
    assert journal.append("log", 1, 0, 0, b"") == 201


def test_a_file_that_is_gone_or_all_damaged_costs_its_own_records_only():
    store = TearingStore()
    filled(store, 300)
    del store.files["log.01"]
    store.files["log.02"][:] = b"\xff" * 4096
    journal = opened(store)
    assert seqs(journal) == [*range(1, 64), *range(190, 301)]
    assert journal.torn_count == 63 and len(journal.torn) == 32
    assert journal.append("log", 1, 0, 0, b"") == 301


@pytest.mark.parametrize("place, of", [(3, 4), (63, 0), (70, 2), (5, 63), (63, 70), (0, 1)])
def test_a_good_record_in_a_wrong_place_is_damage(place, of):
    store = TearingStore()
    filled(store, 100)
    file, other = store.files[f"log.{place // PER_FILE:02d}"], store.files[f"log.{of // PER_FILE:02d}"]
    file[place % PER_FILE * 64 : place % PER_FILE * 64 + 64] = other[of % PER_FILE * 64 : of % PER_FILE * 64 + 64]
    journal = opened(store)
    assert seqs(journal) == [seq for seq in range(1, 101) if seq != place + 1] and journal.torn == [("log", place + 1)]
    assert journal.newest("log")[0] == 100


def test_bytes_after_the_last_place_of_a_file_are_not_read():
    store = TearingStore()
    filled(store, 70)
    store.files["log.00"] += bytes(store.files["log.01"])
    assert seqs(opened(store)) == list(range(1, 71))


def test_a_newest_file_that_is_all_damaged_gives_its_numbers_away():
    store = TearingStore()
    filled(store, 63 + 10)
    store.files["log.01"][:] = b"\x00" * 640
    journal = opened(store)
    assert seqs(journal) == list(range(1, 64))
    assert journal.append("log", 1, 0, 0, b"") == 74


@given(st.dictionaries(st.sampled_from(["log.00", "log.01", "log.16", "acct.00", "acct.12"]), st.binary(max_size=9000)))
@settings(max_examples=80, deadline=None)
def test_whatever_lies_in_the_files_opening_never_raises_and_writing_works(files):
    store = TearingStore()
    store.files = {name: bytearray(data) for name, data in files.items()}
    journal = opened(store)
    seq = journal.append("log", 1, 5, 6, b"new")
    assert journal.newest("log") == (seq, 1, 5, 6, b"new")
    assert seqs(opened(store))[-1:] == [seq]


@given(st.integers(0, 63))
@settings(max_examples=30, deadline=None)
def test_a_store_that_is_full_says_so_and_the_journal_goes_on_when_there_is_room(taken):
    store = FullStore()
    journal = filled(store, 3)
    store.left = taken
    with pytest.raises(OSError):
        journal.append("log", 1, 0, 0, b"no room")
    store.left = None
    seq = journal.append("log", 1, 0, 0, b"room")
    assert seqs(journal) == [1, 2, 3, seq] == seqs(opened(store))


# ---- two copies


def bits(data):
    return st.integers(0, len(data) * 8 - 1)


@given(st.binary(max_size=200), st.binary(max_size=200), st.integers(0, 440))
@settings(max_examples=150, deadline=None)
@pytest.mark.req("R-ALM-8")
def test_a_cut_at_any_byte_of_a_save_leaves_the_old_or_the_new_whole(old, new, cut):
    store = TearingStore()
    journal = opened(store)
    journal.save("program", old)
    store.left = cut
    with contextlib.suppress(PowerCut):
        journal.save("program", new)
    store.left = None
    data, state = opened(store).load("program")
    assert data in (old, new) and state in ("good", "one_bad")
    assert opened(store).load("program") == (data, "good"), "loading repaired it"


@pytest.mark.req("R-ALM-8")
def test_two_saves_each_cut_at_any_byte_without_a_load_between_leave_one_copy_good():
    for first in range(0, 51, 2):
        for second in range(0, 51, 2):
            store = TearingStore()
            opened(store).save("therapy", b"old")
            for cut, data in ((first, b"new 1"), (second, b"new 2")):
                store.left = cut
                with contextlib.suppress(PowerCut):
                    opened(store).save("therapy", data)
            store.left = None
            assert opened(store).load("therapy")[0] in (b"old", b"new 1", b"new 2")


@pytest.mark.req("R-ALM-8")
@pytest.mark.parametrize("damaged", ["program.a", "program.b"])
@pytest.mark.parametrize("how", [lambda f: f.__setitem__(14, f[14] ^ 1), lambda f: f.clear(), lambda f: f.pop(), lambda f: f.append(0)])
def test_one_damaged_copy_is_told_and_repaired(damaged, how):
    store = TearingStore()
    journal = opened(store)
    journal.save("program", b"name=x")
    how(store.files[damaged])
    assert journal.load("program") == (b"name=x", "one_bad")
    assert journal.load("program") == (b"name=x", "good")


@pytest.mark.req("R-ALM-8")
def test_two_damaged_copies_are_bad_and_nothing_at_all_is_none():
    store = TearingStore()
    journal = opened(store)
    assert journal.load("program") == (None, "none")
    journal.save("program", b"name=x")
    for file in store.files.values():
        file[-1] ^= 1
    assert journal.load("program") == (None, "bad")
    journal.save("program", b"name=y")
    assert journal.load("program") == (b"name=y", "good")


@pytest.mark.req("R-ALM-8")
def test_a_copy_that_is_gone_is_told_unless_the_very_first_save_was_cut_between_the_copies():
    store = TearingStore()
    journal = opened(store)
    journal.save("program", b"1")
    del store.files["program.b"]
    assert journal.load("program") == (b"1", "good")
    journal.save("program", b"2")
    del store.files["program.a"]
    assert journal.load("program") == (b"2", "one_bad")


@given(st.binary(max_size=60).flatmap(lambda d: st.tuples(st.just(d), bits(bytes(16) + d))))
@settings(max_examples=80, deadline=None)
def test_a_flipped_bit_in_a_copy_never_passes(data_and_bit):
    data, bit = data_and_bit
    store = TearingStore()
    journal = opened(store)
    journal.save("x", data)
    journal.save("x", data)
    store.files["x.b"][bit // 8] ^= 1 << bit % 8
    assert journal.load("x") == (data, "one_bad")


# ---- files


def test_a_journal_in_a_folder_is_there_after_a_restart(tmp_path):
    store = FileStore(str(tmp_path))
    filled(store, 70).save("program", b"name=x")
    journal = opened(FileStore(str(tmp_path) + "/"))
    assert seqs(journal) == list(range(1, 71))
    assert journal.load("program") == (b"name=x", "good")


def test_replacing_never_removes_the_old_file_first(tmp_path, monkeypatch):
    store = FileStore(str(tmp_path))
    store.replace("x", b"old")
    monkeypatch.setattr("os.rename", lambda *paths: (_ for _ in ()).throw(PowerCut))
    with pytest.raises(PowerCut):
        store.replace("x", b"new")
    assert store.read("x") == b"old"


def test_the_file_store_tells_missing_from_unreadable(tmp_path):
    store = FileStore(str(tmp_path))
    (tmp_path / "folder").mkdir()
    assert store.read("nothing") is None
    assert store.read("folder") == bytes(4096), "what cannot be read is not empty: its places are not used again"
    store.remove("nothing")


def test_replacing_a_file_leaves_the_old_one_until_the_new_one_is_whole(tmp_path):
    store = FileStore(str(tmp_path))
    store.replace("x", b"old")
    (tmp_path / "x.tmp").write_bytes(b"half of a new o")
    assert store.read("x") == b"old"
    store.replace("x", b"new")
    assert store.read("x") == b"new"
    store.append("x", b"er")
    assert store.read("x") == b"newer"
    store.remove("x")
    assert store.read("x") is None


@pytest.mark.req("R-MON-2", "R-ALM-8")
@pytest.mark.parametrize("misses", [2, 1])
def test_a_newest_file_that_cannot_be_read_at_a_start_is_neither_removed_nor_written_over(tmp_path, misses):
    """Twice unreadable: its 50 records are told as torn, later ones are kept after it. Once: nothing is lost."""
    store = FileStore(str(tmp_path))
    filled(store, 64 + 50)
    left = [misses]

    class Flaky(FileStore):
        def read(self, name):
            data = super().read(name)
            if name == "log.01" and left[0] == 2:
                left[0] = 0
                return bytes(4096)
            return data

    journal = Journal(Flaky(str(tmp_path)))
    journal.open()
    journal.append("log", 1, 0, 0, b"after")
    found = Journal(store)
    found.open()
    kept = [r[4] for r in found.records("log")]
    assert kept[:114] == [b"r%d" % i for i in range(64)] + [b"r%d" % i for i in range(64, 114)] and kept[-1] == b"after"


def test_a_file_that_cannot_be_removed_is_not_appended_to_and_no_record_is_lost(tmp_path, monkeypatch):
    """Found by the power-cut campaign: what came after a removal that had failed stood behind the old records, where nobody looks."""
    ring = STREAMS["marks"] * PER_FILE
    journal, usual, failures = opened(FileStore(str(tmp_path))), os.remove, [OSError(errno.EIO)]
    for number in range(ring):
        journal.append("marks", 1, number, 0, b"")

    def remove(path):
        if failures:
            raise failures.pop()
        usual(path)

    monkeypatch.setattr("doseloop.store.os.remove", remove)
    for number in range(ring, ring + 3):
        journal.append("marks", 1, number, 0, b"")
    assert not failures
    for found in (journal, opened(FileStore(str(tmp_path)))):
        assert [record[2] for record in found.records("marks")] == list(range(PER_FILE, ring + 3))
