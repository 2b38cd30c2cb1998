import pytest

@pytest.mark.wiring  # runs first; if it fails, nothing else is run
def test_the_access_port_is_closed(pump):
    assert "PORT_OPEN" not in pump.alarms()

@pytest.mark.needs("balance")  # skipped, with its reason, on a bench without one
def test_nothing_drips_from_a_stopped_pump(bench, balance):
    before = balance.read().mass_g
    bench.wait("10 min")
    assert abs(balance.read().mass_g - before) < 0.005
