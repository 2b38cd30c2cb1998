def test_the_access_port_is_closed(pump):
    assert "PORT_OPEN" not in pump.alarms()

def test_nothing_drips_from_a_pump_that_does_not_run(pump, balance):
    before = balance.read().mass_g
    pump.wait("2 s")
    assert abs(balance.read().mass_g - before) < 0.005

def test_five_seconds_are_delivered_as_programmed_and_stop_ends_it(pump):
    assert pump.run_scenario("examples/labgrid/five-seconds.toml").verdict == "passed"
    pump.stop()
    assert pump.stat()["state"] == "stopped"
