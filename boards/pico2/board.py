"""Raspberry Pi Pico 2 (RP2350): data only. Times in ms, us or h, volumes in nL, voltages in mV, by the key's end; pins are GPIO numbers."""

BOARD = {
    "name": "pico2",
    # Pins: the Pico's. The PIO counter reads the step pin itself; the encoder's B channel must be the GPIO after its A channel.
    "step_pin": 2,
    "enable_pin": 3,  # high drives the motor; a pull-down at the driver holds it off through reset
    "direction_pin": 4,  # constant: the head turns one way
    "encoder_pin": 6,
    "port_pin": 8,  # closed switch pulls low: a broken wire reads open
    "buzzer_pin": 9,
    "lamp_red_pin": 10,
    "lamp_yellow_pin": 11,
    "battery_pin": 26,
    "battery_full_scale_mv": 6600,  # divider 1:1 in front of the 3.3 V converter
    # Motion: a peristaltic head of 32 uL a turn, a rotor encoder as the witness.
    "steps_per_ml_nominal": 100_000,
    "steps_per_turn": 3200,
    "encoder_counts_per_turn": 4096,
    "witness_slack_counts": 32,  # a loaded motor lags up to a full step
    "min_pulse_period_us": 250,
    "step_jitter_us": 1,  # a state machine keeps the time
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
    # Storage: its erase blocks, how many at its end are the journal's own (0: none) in an image of ours, its folder where the filesystem
    # has them all.
    "journal_folder": "/journal",
    "journal_blocks": 64,
    "flash_blocks": 768,
    "code_trailer": 0x100F_F000,  # the flash block before the storage, which begins at 1 MB: the image's length and hash, by tools/image.py
    "watchdog_ms": 8000,  # the chip cannot wait longer than 8388
    "observation_h": 24,
    "prime_nl_h": 6_000_000,  # slow enough to see the drop come
}
