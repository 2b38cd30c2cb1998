"""The Sartorius driver on a fake written from the SBI description, and on a simulator by somebody else where that is installed."""

from __future__ import annotations

import asyncio
import os
import threading
import tty
from contextlib import contextmanager

import pytest
from fakes.sbi import SbiFake
from hypothesis import given, settings
from hypothesis import strategies as st

from hil.errors import InputError
from hil.instruments import (
    BalanceBusy,
    BalanceGone,
    BalanceOverload,
    BalanceProtocolError,
    BalanceSilent,
    BalanceUnderload,
    MtSicsBalance,
    SartoriusBalance,
    open_balance,
)
from hil.instruments.opening import parsed


@contextmanager
def fake(patience_s=20, **kind):
    balance = SbiFake(**kind)
    try:
        with SartoriusBalance(balance.path, timeout_s=patience_s, stable_timeout_s=0.5, clock=lambda: 7.0) as driver:
            yield balance, driver
    finally:
        balance.close()


@pytest.mark.parametrize("long", [True, False])
def test_every_weight_of_both_formats_is_read_as_it_was_printed(long):
    with fake(long=long) as (balance, driver):

        @settings(max_examples=60, deadline=None)
        @given(st.integers(-200_0000, 200_0000), st.booleans())
        def same(tenths_mg, stable):
            balance.grams, balance.stable = tenths_mg / 10_000, stable
            reading = driver.read()
            assert (reading.mass_g, reading.stable, reading.t) == (pytest.approx(tenths_mg / 10_000), stable, 7.0)

        same()


def test_in_milligrams_it_is_still_grams_and_stays_so_while_no_unit_is_told():
    with fake() as (balance, driver):
        balance.unit, balance.grams = "mg", 0.0125
        assert driver.read().mass_g == pytest.approx(0.0125)
        balance.stable = False
        assert driver.read().mass_g == pytest.approx(0.0125)


def test_a_reading_at_rest_is_waited_for_and_not_forever():
    with fake() as (balance, driver):
        balance.stable_after = 4
        assert driver.read(stable=True).stable
        balance.stable = False
        with pytest.raises(BalanceBusy, match="not at rest"):
            driver.read(stable=True)


def test_tare_gives_what_was_tared_and_zero_is_looked_at():
    with fake() as (balance, driver):
        balance.grams = 35.5
        assert driver.tare() == pytest.approx(35.5)
        assert driver.read().mass_g == 0
        balance.grams = 36.0
        driver.zero()
        assert driver.read().mass_g == 0


@pytest.mark.parametrize("long", [True, False])
@pytest.mark.parametrize(
    ("says", "error"),
    [
        ("High", BalanceOverload),
        ("Low", BalanceUnderload),
        ("Cal.Int.", BalanceBusy),
        ("--", BalanceBusy),
        ("ERR 54", BalanceProtocolError),
    ],
)
def test_each_special_output_is_an_error_of_its_own(long, says, error):
    with fake(long=long) as (balance, driver):
        balance.says = says
        with pytest.raises(error):
            driver.read()


def test_it_says_who_it_is_and_an_old_one_that_does_not_know_the_question_is_still_used():
    with fake() as (_, driver):
        assert driver.identify().model == "QUINTIX224-1S"
    with fake(2, knows_x=False) as (_, driver):
        assert "SBI" in driver.identify().model


def test_pieces_instead_of_grams_are_refused():
    with fake() as (balance, driver):
        balance.unit = "pcs"
        with pytest.raises(BalanceProtocolError, match="set its unit to g"):
            driver.read()


def test_unplugged_it_is_gone_and_mute_it_is_silent():
    with fake(0.5) as (balance, driver):
        balance._printed = lambda: None
        with pytest.raises(BalanceSilent):
            driver.read()
        balance.close()
        with pytest.raises((BalanceGone, BalanceSilent)):
            driver.read()


def test_any_balance_is_named_on_one_line():
    assert parsed("/dev/ttyUSB0") == ("mtsics", "/dev/ttyUSB0", {})
    assert parsed("socket://scale:8001") == ("mtsics", "socket://scale:8001", {})
    assert parsed("sbi:/dev/ttyUSB1#baud=1200,bits=7,parity=o") == ("sbi", "/dev/ttyUSB1", {"baudrate": 1200, "bytesize": 7, "parity": "O"})
    with fake() as (balance, _), open_balance(f"sbi:{balance.path}", timeout_s=20) as driver:
        assert isinstance(driver, SartoriusBalance) and driver.read().stable
    with pytest.raises(BalanceGone, match="cannot be opened"):
        open_balance("socket://127.0.0.1:1")
    assert issubclass(MtSicsBalance, type(driver).__mro__[1])


@pytest.mark.parametrize("text", ["", "sbi:", "x#speed=1", "x#baud=fast", "x#parity=Q", "x#bits=9"])
def test_a_wrong_name_is_an_input_error(text):
    with pytest.raises(InputError, match="--balance"):
        parsed(text)


@pytest.mark.parametrize(("grams", "unit"), [(52.1873, "g"), (-0.0042, "g"), (0.8127, "kg")])
@pytest.mark.parametrize("rests", [True, False])
def test_somebody_elses_client_reads_the_fake_as_the_driver_does(grams, unit, rests):
    """The package sartorius (NuMat): so the fake is not only what the driver's author made of the description."""
    client = pytest.importorskip("sartorius", reason="pip install -e '.[dev]': an independent client")
    with fake(long=True) as (balance, driver):
        balance.grams, balance.unit, balance.stable = grams, unit, True
        ours = [driver.identify(), driver.read(stable=True).mass_g]
        balance.stable = rests
        ours.append(driver.read().stable)
        driver.close()

        async def asked():
            scale = client.Scale(balance.path, timeout=10)
            scale.units = unit  # of the reading before, which it takes for one that is not at rest
            found = [await scale.get_info(), await scale.get()]
            scale.hw.close()
            return found

        info, reading = asyncio.run(asked())
    assert (info["model"], info["serial"], info["software"]) == (ours[0].model, ours[0].serial_number, ours[0].software)
    in_grams = reading["mass"] * {"g": 1, "kg": 1000}[reading["units"]]
    assert in_grams == pytest.approx(ours[1], abs=1e-9) and reading["stable"] == ours[2] == rests and reading["measurement"] == "net"


def test_somebody_elses_client_is_told_by_the_fake_that_it_is_off():
    client = pytest.importorskip("sartorius", reason="pip install -e '.[dev]': an independent client")
    with fake(long=True) as (balance, driver):
        driver.close()
        balance.says = "OFF"

        async def asked():
            scale = client.Scale(balance.path, timeout=10)
            try:
                return await scale.get()
            finally:
                scale.hw.close()

        assert asyncio.run(asked()) == {"on": False}


def test_the_driver_on_an_independent_simulator():
    """labmcp-sartorius drags an agent framework in; install it in a virtual environment of its own to run this."""
    simulator = pytest.importorskip("labmcp_sartorius.simulator", reason="pip install labmcp-sartorius==0.1.2: an independent simulator")
    master, slave = os.openpty()
    tty.setraw(slave)
    for fmt in (22, 16):
        scale = simulator.SBISimulator(load_g=52.1873, fmt=fmt, time_scale=50)
        stop = threading.Event()
        thread = threading.Thread(target=_serve, args=(scale, master, stop), daemon=True)
        thread.start()
        with SartoriusBalance(os.ttyname(slave), timeout_s=1, stable_timeout_s=5) as driver:
            assert driver.identify().model == "QUINTIX224-1S"
            assert driver.read(stable=True).mass_g == pytest.approx(52.1873, abs=5e-4)
            assert driver.tare() == pytest.approx(52.1873, abs=5e-4)
            assert driver.read(stable=True).mass_g == pytest.approx(0, abs=5e-4)
            scale.place(53.0)
            assert driver.read(stable=True).mass_g == pytest.approx(0.8127, abs=1e-3)
            scale.place(500.0)
            with pytest.raises(BalanceOverload):
                driver.read()
            stop.set()
            driver._command("Q")
        thread.join(2)


def _serve(scale, master, stop):
    waiting = b""
    while not stop.is_set():
        waiting += os.read(master, 100)
        *lines, waiting = waiting.replace(b"\r", b"").split(b"\n")
        for line in lines:
            answer = scale.handle(line.decode())
            if answer is not None:
                os.write(master, str(answer).encode() + b"\r\n")
