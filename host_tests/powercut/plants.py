"""Bugs put in on purpose, so that the campaign is seen to find them."""

from doseloop import boot, journal, keeper, region, store


def reply_first():
    """A command is answered before what it changed is written: the state is saved a turn later."""
    usual = keeper.Keeper.save

    def save(self, state):
        late, self.late = getattr(self, "late", None), state
        return usual(self, late) if late else True

    keeper.Keeper.save = save


def old_goes_first():
    """The old file is removed before the new one is whole."""
    usual = region.RegionStore.replace

    def replace(self, name, data):
        self.remove(name)
        usual(self, name, data)

    def replace_file(self, name, data):
        self.remove(name)
        with open(self._prefix + name, "wb") as file:
            file.write(data[: len(data) // 2])
            file.flush()
            file.write(data[len(data) // 2 :])

    region.RegionStore.replace, store.FileStore.replace = replace, replace_file


def torn_is_used_again():
    """The place of a torn record is given to the next one."""
    usual = journal._Stream._settle

    def settle(self, last, size):
        usual(self, last, size)
        if self.newest:
            self._index = self.newest[0]

    journal._Stream._settle = settle


def sample_after():
    """The reservation is written after its steps were allowed: one record late."""
    usual = keeper.Keeper.sample

    def sample(self, ledger, programmed, reserved, kind):
        kept = usual(self, ledger, programmed, getattr(self, "reserved", 0), kind)
        self.reserved = reserved
        return kept

    keeper.Keeper.sample = sample


def counted_with_its_sample():
    """A delivery beside basal whose volume a sample has already is booked whole again at the restart."""
    usual = boot._book

    def book(pump, delivery, steps):
        delivery.is_sampled = False
        usual(pump, delivery, steps)

    boot._book = book


def unsynced():
    """A record is kept in memory until the next one comes."""
    for kind in (store.FileStore, region.RegionStore):
        kind.append = _a_record_late(kind.append)


def _a_record_late(usual):
    def append(self, name, data):
        late, self.late = getattr(self, "late", None), (name, data)
        if late:
            usual(self, *late)

    return append


def error_is_none():
    """A record whose writing has failed is taken for written."""
    usual = journal._Stream._put

    def put(self, *record):
        try:
            usual(self, *record)
        except OSError:
            self._index += 1
            self._pad = 0

    journal._Stream._put = put


_ALL = (reply_first, old_goes_first, torn_is_used_again, sample_after, counted_with_its_sample, unsynced, error_is_none)
PLANTS = {call.__name__: call for call in _ALL}
