"""The kill campaign sees what it is there to see: each planted fault is found by its own campaign; a case comes back by its seed."""

import pytest
from killing_rig import PLANTS, planted

from hil.errors import TargetError
from hil.link import Patience
from tools.killing import cable, firmware, host, noise
from tools.killing.tally import Tally
from tools.killing.tracer import can_trace

SEEDS = range(1, 6)
needs_ptrace = pytest.mark.skipif(not can_trace(), reason="no process can be traced here (ptrace): these kills cannot be had")


def killed(folder, plant=None, seed=1, lives=8, until=""):
    script = planted(plant, folder) if plant else firmware.FIRMWARE
    history = firmware.History(seed, folder / "pump", script)
    try:
        return history.run(lives, until), history.trail
    finally:
        history.close()


def first_found(zero, folders, plant):
    """Histories one after the other, until one of them finds it."""
    for seed in SEEDS:
        tally, _ = killed(folders.mktemp("plant"), plant, seed, 20, zero)
        if tally.found[zero]:
            return tally
    return None


@needs_ptrace
@pytest.mark.req("R-ALM-11", "R-MON-2")
def test_a_history_of_kills_holds_and_comes_back_by_its_seed(tmp_path_factory):
    one, trail = killed(tmp_path_factory.mktemp("one"), seed=3)
    other, again = killed(tmp_path_factory.mktemp("other"), seed=3)
    assert one.clean and one.done == other.done
    assert len(trail) == 8 and trail == again


@needs_ptrace
@pytest.mark.parametrize(
    ("plant", "zero"),
    [
        ("basal goes before its reservation is written", firmware.ABOVE),
        ("a lease is put before its reservation is written", firmware.ABOVE),
        ("a delivery that was cut off forgets its id", firmware.TWICE),
        ("STOP is answered and not kept", firmware.LOST),
        ("a boot makes up for steps that nobody asks for", firmware.OFF),
    ],
)
def test_a_fault_planted_in_the_firmware_is_found_by_killing_it(plant, zero, tmp_path_factory):
    assert first_found(zero, tmp_path_factory, plant), f"{plant}: nobody saw it"


def test_a_frame_that_is_carried_out_without_its_end_is_found_by_killing_the_host(tmp_path):
    script = planted("a new frame ends the one before it", tmp_path)
    found = Tally("", host.ZEROS)
    for part in host.cases(1000, script, (host.Bolus,)):
        found.add(part)
    assert found.found[host.EARLY]


def test_a_host_killed_at_the_last_bytes_of_every_job_leaves_it_whole_or_undone():
    found = Tally("", host.ZEROS)
    for part in host.cases(1000):
        found.add(part)
    assert found.clean, found.told
    assert found.done[host.LOOKED] == (1 + host.SHARE_LAST) * len(host.JOBS)


class CarelessDay(noise.Day):
    """A host that takes an order for lost when no answer comes at once, and gives it anew under another id."""

    def _with_id(self, verb, fields, known):
        patient = self._link._patience

        def work():
            self._ids += 1
            self._link._patience = Patience(reply_s=noise.REPLY_MS / 1000, tries=1)
            try:
                self._link.command(verb, {**fields, "id": f"{0xC0000000 + self._ids:08x}"})
            finally:
                self._link._patience = patient

        self._host(work)

    def _mend(self, refused):
        self.target.advance_to(self.target.now_ms() + 60_000)
        return True


def test_a_careless_host_gives_a_bolus_twice_over_a_noisy_line_and_is_found_out(tmp_path):
    found = []
    for seed in SEEDS:
        day = CarelessDay(0.01, seed, tmp_path / str(seed))
        try:
            tally = day.run()
        finally:
            day.target.close()
        found.append(tally.found[noise.TWICE])
        if found[-1]:
            return
    raise AssertionError(f"nobody saw it: {found}")


def test_a_firmware_that_looks_at_no_crc_is_found_over_a_noisy_line(tmp_path):
    script = planted("no frame's CRC is looked at", tmp_path)
    tallies = list(noise.days(0.01, 2, 1, boluses=6, script=script))
    assert any(not tally.clean for tally in tallies)


def test_a_day_over_a_noisy_line_holds():
    for tally in noise.days(0.01, 1, 1, boluses=6):
        assert tally.clean, tally.told
        assert tally.done["lines sent again"] > 10


def test_a_pump_that_takes_a_pulled_cable_for_an_error_is_found(tmp_path):
    script = planted("a line that nobody holds is an error", tmp_path)
    with pytest.raises(TargetError, match="resets itself again and again"):
        list(cable.rounds(3, 1, script))


@pytest.mark.req("R-ALM-11")
def test_a_pump_goes_on_while_its_cable_is_out_and_tells_what_became_of_an_order():
    for tally in cable.rounds(3, 1):
        assert tally.clean, tally.told
        assert tally.done["names that the device came back under"] > 1


def test_every_plant_is_one_that_a_test_sows():
    text = open(__file__, encoding="utf-8").read()  # noqa: SIM115, PTH123
    assert all(f'"{name}"' in text for name in PLANTS)
