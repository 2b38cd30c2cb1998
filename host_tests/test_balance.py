"""The balance: our driver on an independent server, an independent client on our simulated balance, and ours on ours."""

from __future__ import annotations

import asyncio
import random
import statistics
import threading
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.instruments import (
    BalanceBusy,
    BalanceError,
    BalanceGone,
    BalanceModel,
    BalanceOverload,
    BalanceProtocolError,
    BalanceSilent,
    BalanceUnderload,
    Evaporation,
    MtSicsBalance,
    Reading,
    SimulatedBalance,
    volume_nl,
    z_factor,
)
from hil.plant import Load, Rig, RigConfig

QUIET = BalanceModel(noise_g=0.0, drift_g_sqrt_h=0.0)
DRY = RigConfig(evaporation_mg_h=0.0)
PATIENCE_S = 60  # for what must be answered, however loaded the machine is
SILENCE_S = 0.2  # for what never will be


@contextmanager
def bench(rig=None, model=QUIET, seed=0):
    """A rig, its simulated balance and our driver on its line."""
    rig = rig or Rig(DRY)
    with SimulatedBalance(rig.load, model, seed) as simulated, driver_of(simulated, rig) as driver:
        yield rig, simulated, driver


def driver_of(simulated, rig, patience_s=PATIENCE_S):
    return MtSicsBalance(simulated.path, timeout_s=patience_s, stable_timeout_s=patience_s, clock=lambda: rig.now_us / 1e6)


def pump(rig, steps, period_us=1_000):
    """Let the rig make some steps, fast."""
    rig.feed(steps * period_us // 1000 + 1)
    rig.put(steps, 0, period_us)
    rig.advance_to(rig.now_us + steps * period_us)


# our driver on our simulated balance


def test_what_the_rig_delivers_is_what_the_driver_reads_at_the_same_virtual_instant():
    with bench() as (rig, _, driver):
        before = driver.read().mass_g
        pump(rig, 40_000)
        reading = driver.read(stable=True)
        assert reading.t == 40.0
        assert volume_nl(reading.mass_g - before, 20.0) == pytest.approx(rig.delivered_nl, abs=120)


def test_the_balance_says_who_it_is():
    with bench() as (_, _, driver):
        who = driver.identify()
        assert (who.model, who.serial_number, who.software) == ("SIM220 Simulated balance 220.0000 g", "D000000001", "1.00")
        assert driver.reset() == "D000000001"
        assert {"S", "SI", "SIR", "Z", "T", "@", "I0", "I4"} <= set(driver.commands())


def test_tare_and_zero_start_from_nothing():
    with bench() as (rig, _, driver):
        pump(rig, 100_000)
        assert driver.tare() == pytest.approx(0.9972, abs=2e-3)
        assert driver.read().mass_g == 0
        driver.zero()
        assert driver.read().mass_g == 0
        pump(rig, 10_000)
        assert driver.read().mass_g == pytest.approx(0.0997, abs=5e-4)


def test_noise_has_the_size_it_should_and_the_seed_decides_it():
    def readings(seed):
        with bench(model=BalanceModel(), seed=seed) as (_, _, driver):
            return [driver.read().mass_g for _ in range(200)]

    first = readings(1)
    assert 0.0001 < statistics.stdev(first) < 0.0002
    assert first == readings(1)
    assert first != readings(2)


def test_while_the_load_grows_fast_the_balance_is_dynamic_and_lags():
    with bench() as (rig, _, driver):
        rig.feed(60_000)
        rig.put(10_000, 0, 1_000)
        rig.advance_to(5_000_000)
        moving = driver.read()
        assert not moving.stable
        assert moving.mass_g < rig.weight_g() - 0.004
        for ask in (lambda: driver.read(stable=True), driver.zero, driver.tare):
            with pytest.raises(BalanceBusy, match="not at rest"):
                ask()
        rig.advance_to(11_000_000)
        assert driver.read(stable=True).stable


def test_a_basal_rate_does_not_disturb_the_balance():
    with bench() as (rig, _, driver):
        rig.feed(10_000_000)
        rig.put(1_000, 0, 864_000)  # about 1 mL a day
        rig.advance_to(600_000_000)
        assert driver.read(stable=True).stable


def test_readings_stream_until_the_iterator_is_closed_and_then_single_ones_work():
    with bench() as (_, _, driver):
        stream = driver.stream()
        assert all(abs(next(stream).mass_g) < 1e-3 for _ in range(3))
        stream.close()
        assert driver.read().mass_g == 0


@pytest.mark.parametrize(
    ("fault", "error", "words"),
    [
        ("busy", BalanceBusy, "busy"),
        ("overload", BalanceOverload, "take weight off"),
        ("underload", BalanceUnderload, "beaker"),
        ("transmission", BalanceProtocolError, "baud rate"),
        ("garbled", BalanceProtocolError, "parity"),
    ],
)
def test_each_fault_of_the_balance_is_an_error_of_its_own_that_says_what_to_look_at(fault, error, words):
    with bench() as (_, simulated, driver):
        simulated.faults.add(fault)
        with pytest.raises(error, match=words):
            driver.read()
        simulated.faults.clear()
        assert driver.read().stable


def test_a_mute_balance_is_an_error_that_says_what_to_look_at_and_answers_once_it_is_not():
    with bench() as (rig, simulated, driver):
        simulated.faults.add("mute")
        with driver_of(simulated, rig, SILENCE_S) as hasty, pytest.raises(BalanceSilent, match="switched on"):
            hasty.read()
        simulated.faults.clear()
        assert driver.read().stable


def test_too_much_on_the_pan_is_an_overload():
    with bench(model=BalanceModel(capacity_g=35.5)) as (rig, _, driver):
        pump(rig, 100_000)
        with pytest.raises(BalanceOverload):
            driver.read()


def test_a_balance_unplugged_in_mid_run_is_gone_and_says_so():
    with bench() as (_, simulated, driver):
        assert driver.read().stable
        simulated.unplug()
        for _ in range(2):
            with pytest.raises(BalanceGone, match="went away"):
                driver.read()


def test_a_line_that_does_not_exist_is_named():
    with pytest.raises(BalanceGone, match="/dev/does-not-exist"):
        MtSicsBalance("/dev/does-not-exist")


def test_an_unknown_command_is_a_syntax_error_that_names_it():
    with bench() as (_, _, driver), pytest.raises(BalanceProtocolError, match="'XYZ'"):
        driver._ask("XYZ", PATIENCE_S)


@pytest.mark.parametrize(("answer", "grams"), [("S S 12.5 mg", 0.0125), ("S D -0.0125 kg", -12.5), ("SI S 1. g", 1.0)])
def test_weights_in_any_unit_of_mass_come_as_grams(answer, grams):
    with bench() as (_, simulated, driver):
        simulated.scale._verbs["SI"] = lambda: answer
        assert driver.read().mass_g == pytest.approx(grams)


@pytest.mark.parametrize("answer", ["Z S 12.5 g", "S S 12.5 oz", "S X 12.5 g", "S S nan g", "S S 1e3 g", "S", "12.5"])
def test_an_answer_that_is_no_weight_is_never_read_as_one(answer):
    with bench() as (_, simulated, driver):
        simulated.scale._verbs["SI"] = lambda: answer
        with pytest.raises(BalanceProtocolError, match="answer to SI"):
            driver.read()


# our driver on an independent server


@contextmanager
def independent_server():
    """mt-sics-emulator as an XS204 on TCP, its clock standing still."""
    profiles = pytest.importorskip("mtsics.profiles")
    from mtsics.core.state import ScaleState
    from mtsics.protocol.engine import MTSICSEngine
    from mtsics.transport.tcp import TCPConfig, TCPTransport

    state = ScaleState(profiles.load("mt-xs204"))
    transport = TCPTransport(MTSICSEngine(state), cfg=TCPConfig(host="127.0.0.1", port=0, sir_rate=50.0))
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    asyncio.run_coroutine_threadsafe(transport.start(), loop).result(5)
    try:
        yield state, f"socket://{transport.address[0]}:{transport.address[1]}"
    finally:
        asyncio.run_coroutine_threadsafe(transport.close(), loop).result(5)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5)


def test_the_driver_reads_tares_zeroes_and_streams_on_an_independent_server():
    with independent_server() as (state, url), MtSicsBalance(url, timeout_s=PATIENCE_S) as driver:
        assert driver.identify().serial_number == "B246813579"
        assert driver.commands() == []
        state.set_weight(12.3456, stable=True)
        assert driver.read() == Reading(12.3456, True, pytest.approx(driver._clock(), abs=1))
        state.set_weight(12.3471, stable=False)
        assert (driver.read().mass_g, driver.read().stable) == (12.3471, False)
        state.set_weight(12.3471, stable=True)
        assert driver.tare() == 12.3471
        assert driver.read(stable=True).mass_g == 0
        stream = driver.stream()
        assert [next(stream).mass_g for _ in range(3)] == [0, 0, 0]
        stream.close()
        assert driver.reset() == "B246813579"
        state.set_weight(1.5, stable=True)
        driver.zero()
        assert driver.read().mass_g == 0


def test_the_driver_knows_an_independent_servers_refusals():
    with independent_server() as (state, url), MtSicsBalance(url, timeout_s=PATIENCE_S) as driver:
        state.set_weight(2.0, stable=False)
        with pytest.raises(BalanceBusy):
            driver.zero()
        state.set_weight(500.0, stable=True)
        with pytest.raises(BalanceOverload):
            driver.read()
        with pytest.raises(BalanceProtocolError, match="ES"):
            driver._ask("C3", PATIENCE_S)


# an independent client on our simulated balance


def independent_client():
    """mettler-toledo-device, which expects a name at the top of its dependency where newer releases have it one level down."""
    line = pytest.importorskip("serial_interface.serial_interface")
    top = pytest.importorskip("serial_interface")
    top.WriteFrequencyError = line.WriteFrequencyError
    client_module = pytest.importorskip("mettler_toledo_device")
    client_module.MettlerToledoDevice._RESET_DELAY = 0.0  # it waits for a board that is not there
    return client_module


def test_an_independent_client_finds_the_balance_it_expects():
    client_module = independent_client()
    rig = Rig(DRY)
    with SimulatedBalance(rig.load, QUIET) as simulated:
        client = client_module.MettlerToledoDevice(port=simulated.path)
        try:
            assert client.get_serial_number() == "D000000001"
            assert client.get_balance_data()[-2:] == ["220.0000", "g"]
            pump(rig, 100_000)
            rig.advance_to(rig.now_us + 1)
            assert client.get_weight() == [pytest.approx(0.9972, abs=2e-3), "g", "S"]
            assert client.get_weight_stable() == [pytest.approx(0.9972, abs=2e-3), "g"]
            assert client.zero_stable() is True
            assert client.get_weight()[0] == 0
            assert client.zero() == "S"
            simulated.faults.add("overload")
            with pytest.raises(client_module.MettlerToledoError, match="overload"):
                client.get_weight()
            assert client.zero_stable() is False
        finally:
            client.close()


# from grams to nanolitres


def test_the_z_factor_is_the_one_of_the_tables():
    assert z_factor(20.0) == pytest.approx(1.0029, abs=5e-5)
    assert z_factor(25.0) == pytest.approx(1.0040, abs=5e-5)


@given(st.floats(10, 35), st.floats(1e3, 1e7))
def test_weighing_gives_back_the_volume_the_plant_delivered(celsius, delivered_nl):
    rig = Rig(RigConfig(evaporation_mg_h=0.0, temperature_c=celsius))
    rig.beaker.add(delivered_nl, 0)
    assert volume_nl(rig.weight_g(), celsius) == pytest.approx(delivered_nl, rel=5e-5)


def blank(loss_g_h, cycles, noise=0.00015):
    draw = random.Random(5)
    return [Reading(35 - loss_g_h * i / 4 + draw.gauss(0, noise), True, i * 900.0) for i in range(cycles + 1)]


@given(st.floats(0, 0.005))
def test_a_blank_of_ten_cycles_finds_the_evaporation(loss_g_h):
    found = Evaporation.from_blank(blank(loss_g_h, 10))
    assert found.loss_g_h == pytest.approx(loss_g_h, abs=0.0003)
    assert found.cycles == 10
    dried = Reading(1.0, True, 36_000.0)
    assert found.corrected_g(dried, since_t=0) == pytest.approx(1 + 10 * found.loss_g_h)


def test_a_blank_that_is_too_short_is_refused():
    with pytest.raises(ValueError, match="at least 10 cycles"):
        Evaporation.from_blank(blank(0.001, 9))


def test_evaporation_of_the_beaker_is_what_the_blank_says():
    with bench(Rig(RigConfig(evaporation_mg_h=4.0)), model=BalanceModel()) as (rig, _, driver):
        readings = []
        for cycle in range(21):
            rig.advance_to(cycle * 900_000_000)
            readings.append(driver.read())
        assert Evaporation.from_blank(readings).loss_g_h == pytest.approx(0.004, abs=0.0002)


def test_every_error_of_the_balance_is_one_of_the_bench():
    kinds = (BalanceBusy, BalanceGone, BalanceOverload, BalanceProtocolError, BalanceSilent, BalanceUnderload)
    assert all(issubclass(kind, BalanceError) for kind in kinds)
    assert Load(0.0, 0.0, 0.0).rate_g_s == 0
