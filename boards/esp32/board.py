"""ESP32-DevKitC (ESP32-WROOM-32): data only. Times in ms, us or h, volumes in nL, voltages in mV, by the key's end; pins are GPIOs."""

BOARD = {
    "name": "esp32",
    # Pins. None of those that the chip reads while starting (0, 2, 5, 12, 15), none of its flash (6 to 11).
    "step_pin": 25,
    "step_count_pin": 26,  # a wire from the step pin: what leaves it is counted there
    "enable_pin": 27,  # high drives the motor; a pull-down at the driver holds it off through reset
    "direction_pin": 33,  # constant: the head turns one way
    "encoder_a_pin": 18,
    "encoder_b_pin": 19,
    "port_pin": 21,  # closed switch pulls low: a broken wire reads open (34 to 39 have no pull of their own)
    "buzzer_pin": 22,
    "lamp_red_pin": 23,
    "lamp_yellow_pin": 13,
    "battery_pin": 34,  # of converter 1; converter 2 belongs to the radio
    "battery_full_scale_mv": 6600,  # divider 1:1 in front of the converter's 3.3 V; it reads well up to 4900 mV of battery
    # Motion: a peristaltic head of 32 uL a turn at quarter steps, as software starts each step; a rotor encoder as the witness.
    "steps_per_ml_nominal": 25_000,
    "steps_per_turn": 800,
    "encoder_counts_per_turn": 4096,
    "witness_slack_counts": 32,  # six steps: a loaded motor lags up to a full step, which is four
    "min_pulse_period_us": 1_200,
    "step_jitter_us": 20_000,  # design figure, not measured: a soft interrupt waits for a collection or a flash write
    "max_rate_nl_h": 120_000_000,  # absolute, a pulse each 1200 us: the 2 mL screening bolus in its one minute
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
    # Storage: the journal's share of the littlefs (2 MB).
    "journal_folder": "/journal",
    "flash_blocks": 512,
    "watchdog_ms": 8000,
    "observation_h": 24,
    "prime_nl_h": 6_000_000,  # slow enough to see the drop come
}
