"""What one rig is made of: every number of the plant, with its unit, in one place."""

from __future__ import annotations

from dataclasses import dataclass

# (charge used as a share of the capacity, open-circuit voltage): flat for most of its life, then a knee,
# as a primary lithium pack behaves.
LITHIUM_PACK: tuple[tuple[float, int], ...] = (
    (0.00, 3720),
    (0.05, 3700),
    (0.80, 3620),
    (0.90, 3500),
    (0.96, 3200),
    (1.00, 2400),
)

MONDAY_2027_05_03 = 1809302400  # unix seconds of that Monday, 00:00 UTC


@dataclass(frozen=True)
class RigConfig:
    """The reference rig; give other values to have another one."""

    # head and rotor
    steps_per_ml: int = 100_000
    steps_per_turn: int = 3200
    encoder_counts_per_turn: int = 4096
    encoder_start: int = 0  # where the witness happens to stand
    rollers: int = 8
    pulsation: tuple[float, ...] = (0.15, 0.05)  # amplitude of the roller passage and of its harmonics
    head_error_ppm: float = 0.0  # this head against its nominal steps per mL
    run_in_share: float = 0.001  # how much more a new tube gives at first
    run_in_turns: float = 50.0
    wear_per_1000_turns: float = 0.001  # share of flow lost
    pressure_loss_per_mmhg: float = 0.0001  # share of flow lost
    # liquid and beaker
    reservoir_nl: int = 20_000_000
    liquid_nl: int = 20_000_000  # in the reservoir at the start
    conc_mcg_ml: float = 0.0  # of that liquid and of what stands in the line; 0 = water
    dead_volume_tubing_nl: int = 100_000
    dead_volume_catheter_nl: int = 140_000
    temperature_c: float = 20.0
    salt_g_l: float = 0.0  # 9 for saline
    evaporation_mg_h: float = 0.5
    # supplies
    battery_mah: float = 13_000.0
    battery_curve: tuple[tuple[float, int], ...] = LITHIUM_PACK
    idle_ua: float = 60.0
    step_uc: float = 900.0  # charge of one step, in microcoulombs
    drive_min_mv: int = 2700  # below it the motor cannot turn
    # clock
    rtc_unix_s: int = MONDAY_2027_05_03
    rtc_valid: bool = True
    rtc_drift_ppm: int = 0
