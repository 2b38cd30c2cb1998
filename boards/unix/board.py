"""The reference rig on the MicroPython unix port: data only. Times in ms, us or h, volumes in nL, voltages in mV, by the key's end."""

BOARD = {
    "name": "unix",
    # Motion: a peristaltic head of 32 uL a turn, a rotor encoder as the witness.
    "steps_per_ml_nominal": 100_000,
    "steps_per_turn": 3200,
    "encoder_counts_per_turn": 4096,
    "witness_slack_counts": 32,  # a loaded motor lags up to a full step
    "min_pulse_period_us": 250,
    "step_jitter_us": 0,  # virtual time
    "max_rate_nl_h": 144_000_000,  # absolute, a pulse each 250 us; the 2 mL screening bolus in its one minute needs 120_000_000
    # Leases: what is still delivered when the processor dies, whichever is less.
    "lease_basal_ms": 10_000,
    "lease_basal_nl": 2_000,
    "lease_bolus_ms": 1_000,
    # Basal booked before it is delivered, so that a power cut leaves a bounded doubt.
    "reservation_nl": 10_000,
    "reservation_ms": 900_000,
    # Fluid path.
    "reservoir_nl": 20_000_000,
    "threshold_nl": 2_000_000,
    "residual_nl": 500_000,
    "dead_volume_tubing_nl": 100_000,
    "dead_volume_catheter_nl": 140_000,
    # Supply.
    "battery_low_mv": 3300,
    "battery_low_clear_mv": 3400,
    "battery_depleted_mv": 3000,
    "battery_depleted_clear_mv": 3150,
    # Storage: how many erase blocks the journal may use.
    "flash_blocks": 352,
    "watchdog_ms": 8000,
    "observation_h": 24,
    "prime_nl_h": 6_000_000,  # slow enough to see the drop come
}
