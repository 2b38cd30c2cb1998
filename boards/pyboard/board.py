"""pyboard v1.1 (STM32F405): data only. Times in ms, us or h, volumes in nL, voltages in mV, by the key's end; pins by the board's names."""

BOARD = {
    "name": "pyboard",
    # Pins, timers and the pins' alternate functions belong together: STM32F405 data sheet, table 9; each output is channel 1.
    "step_pin": "X9",  # PB6
    "step_timer": 4,
    "step_alternate": 2,
    "count_timer": 2,  # inside the chip: timer 2 counts trigger 3, which is timer 4 (RM0090, TIMx internal trigger connection)
    "count_trigger": 3,
    "enable_pin": "Y7",  # PB14; high drives the motor; a pull-down at the driver holds it off through reset
    "enable_timer": 12,
    "enable_alternate": 9,
    "direction_pin": "Y8",  # constant: the head turns one way
    "encoder_a_pin": "Y2",  # PC7, the timer's channel 2: so it counts up when B leads A
    "encoder_b_pin": "Y1",  # PC6, channel 1
    "encoder_timer": 8,
    "encoder_alternate": 3,
    "wake_timer": 7,  # wakes the step player; 5 and 6 are the port's own
    "port_pin": "X11",  # closed switch pulls low: a broken wire reads open
    "buzzer_pin": "X7",  # PA6
    "buzzer_timer": 13,
    "lamp_red_pin": "X1",
    "lamp_yellow_pin": "X2",
    "battery_pin": "X19",
    "battery_full_scale_mv": 6600,  # divider 1:1 in front of the 3.3 V converter
    # Motion: a peristaltic head of 32 uL a turn at eighth steps, as software starts each step; a rotor encoder as the witness.
    "steps_per_ml_nominal": 50_000,
    "steps_per_turn": 1600,
    "encoder_counts_per_turn": 4096,
    "witness_slack_counts": 32,  # twelve steps: a loaded motor lags up to a full step, which is eight
    "min_pulse_period_us": 600,
    "step_jitter_us": 2_000,  # design figure, not measured: a hard interrupt waits for others, and for the USB
    "max_rate_nl_h": 120_000_000,  # absolute, a pulse each 600 us: the 2 mL screening bolus in its one minute
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
    # Storage: an SD card, as an erase of the chip's own flash would hold up the steps too.
    "journal_folder": "/sd/journal",
    "flash_blocks": 4096,
    "watchdog_ms": 8000,
    "observation_h": 24,
    "prime_nl_h": 6_000_000,  # slow enough to see the drop come
}
